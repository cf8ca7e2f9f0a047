"""The Cython kernels as one backend: each call goes to the module of its dtype.

This module is the backend in the chosen instruction set; `variant` makes another one beside it, for comparisons.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace

from kernels.api import IMPLEMENTATION
from kernels.cython_backend import loader


def _kernel(name: str, single: ModuleType, double: ModuleType):
    in_single, in_double = getattr(single, name), getattr(double, name)

    def kernel(first, *rest):
        return (in_single if first.itemsize == 4 else in_double)(first, *rest)

    kernel.__name__ = kernel.__qualname__ = name
    return kernel


def _functions(isa: str | None = None) -> dict:
    """Return what a backend's module must have (kernels/api/), in an instruction set."""
    single, double = loader.module("float32", isa), loader.module("float64", isa)

    def bind(name: str, arguments: tuple):
        """Return a call of a kernel that is checked already, to be run again and again."""
        module = single if arguments[0].itemsize == 4 else double
        return getattr(module, name)(*arguments, module.Bound())

    def program(calls: list):
        """Return bound calls of one dtype as one thing to run."""
        return (single if all(isinstance(call, single.Bound) for call in calls) else double).Program(calls)

    def run_together(programs: list) -> None:
        """Run programs of one dtype at the same time, each on a thread of its own."""
        (single if all(isinstance(p, single.Program) for p in programs) else double).run_together(programs)

    kernels = {name: _kernel(name, single, double) for name in IMPLEMENTATION}
    return {**kernels, "bind": bind, "program": program, "run_together": run_together}


def variant(isa: str) -> SimpleNamespace:
    """Return the backend in another instruction set.

    Raises
    ------
    ValueError
        One that does not exist, was not built, or that this CPU does not run.
    """
    return SimpleNamespace(**_functions(isa))


globals().update(_functions())
