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


def bind(name: str, arguments: tuple):
    """Return a call of a kernel that is checked already, to be run again and again."""
    module = _SINGLE if arguments[0].itemsize == 4 else _DOUBLE
    return getattr(module, name)(*arguments, module.Bound())


def program(calls: list):
    """Return bound calls of one dtype as one thing to run."""
    module = _SINGLE if all(isinstance(call, _SINGLE.Bound) for call in calls) else _DOUBLE
    return module.Program(calls)


def run_together(programs: list) -> None:
    """Run programs of one dtype at the same time, each on a thread of its own."""
    module = _SINGLE if all(isinstance(program, _SINGLE.Program) for program in programs) else _DOUBLE
    module.run_together(programs)


globals().update({name: _dispatch(name) for name in IMPLEMENTATION})
