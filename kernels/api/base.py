"""What the parts of the public face share: the module that does the work."""

from __future__ import annotations

from types import ModuleType


class Base:
    """Holds the backend's functions; :class:`kernels.api.Kernels` is made of its children."""

    name: str
    _impl: ModuleType
