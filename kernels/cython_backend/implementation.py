"""The Cython kernels as one backend: each call goes to the module of its dtype in the chosen instruction set."""

from __future__ import annotations

from kernels.api import IMPLEMENTATION
from kernels.cython_backend import loader

_SINGLE = loader.module("float32")
_DOUBLE = loader.module("float64")


def _dispatch(name: str):
    single, double = getattr(_SINGLE, name), getattr(_DOUBLE, name)

    def kernel(first, *rest):
        return (single if first.itemsize == 4 else double)(first, *rest)

    kernel.__name__ = kernel.__qualname__ = name
    return kernel


globals().update({name: _dispatch(name) for name in IMPLEMENTATION})
