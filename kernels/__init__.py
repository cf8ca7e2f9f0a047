"""The kernels: one contract (``api.py``, ``spec.py``), three implementations. Imports nothing of models or bench.

>>> import kernels
>>> k = kernels.load("reference")
>>> k.name
'reference'
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from functools import cache

from kernels.api import Kernels

__all__ = ["Kernels", "backends", "load", "variants"]

#: In order of speed. Each is the module ``kernels.<folder>.implementation``.
_BACKENDS = {"cython": "cython_backend", "numba": "numba_backend", "reference": "reference"}


def _usable(name: str) -> bool:
    """Whether a backend could be loaded, found out without its heavy imports."""
    if name == "numba":
        return importlib.util.find_spec("numba") is not None
    if name == "cython":
        from kernels.cython_backend import loader

        return loader.available() != ()
    return True


@cache
def _usable_backends() -> tuple[str, ...]:
    return tuple(name for name in _BACKENDS if _usable(name))


def backends() -> list[str]:
    """Names of the backends usable here, fastest first."""
    return list(_usable_backends())


@cache
def variants() -> tuple[str, ...]:
    """Names of the Cython kernels in each instruction set that was built and that this CPU runs, best first."""
    if not _usable("cython"):
        return ()
    from kernels.cython_backend import loader

    return tuple(f"cython-{isa}" for isa in loader.available())


@cache
def _load(name: str) -> Kernels:
    _, _, isa = name.partition("-")
    if isa:
        from kernels.cython_backend import implementation

        return Kernels(name, implementation.variant(isa))
    return Kernels(name, importlib.import_module(f"kernels.{_BACKENDS[name]}.implementation"))


def load(name: str) -> Kernels:
    """Return the kernels of a backend.

    Parameters
    ----------
    name : str
        One of :func:`backends`, or the Cython kernels in a certain instruction set: ``"cython-v3"``.

    Raises
    ------
    ValueError
        An unknown name, or a backend that cannot be used here (not compiled, say).
    """
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, got {type(name).__name__}")
    if name in variants():
        return _load(name)
    if name not in _BACKENDS:
        near = difflib.get_close_matches(name, [*_BACKENDS, *variants()], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown backend {name!r}{hint}. Usable here: {', '.join((*backends(), *variants()))}")
    if name not in backends():
        raise ValueError(f"backend {name!r} cannot be used here (not built?). Usable: {', '.join(backends())}")
    return _load(name)
