"""Picks, at import, the compiled modules that fit this CPU.

One source is compiled per instruction set (see ``kernels.pxi``); the best that both the compiler could build and the
CPU can run is taken. ``DEPTHBENCH_ISA`` asks for another one; a higher one than the CPU has is refused, not tried.

    isa     needs of the CPU                  vector    tile (float32)
    v4      x86-64-v4: AVX-512 F BW CD DQ VL  64 bytes  12 x 32
    v3      x86-64-v3: AVX2, FMA, BMI         32 bytes   6 x 16
    v2      x86-64-v2: SSE4.2                 16 bytes   4 x 8
    plain   any CPU that is not x86-64        16 bytes   4 x 8
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from functools import cache
from types import ModuleType

import numpy as np

#: Best first: name, level asked of the CPU (None: none).
ISAS = (("v4", 4), ("v3", 3), ("v2", 2), ("plain", None))
VARIABLE = "DEPTHBENCH_ISA"


def _built(name: str) -> bool:
    return importlib.util.find_spec(f"kernels.cython_backend.{name}") is not None


@cache
def built() -> tuple[str, ...]:
    """Instruction sets that were compiled, best first."""
    return tuple(isa for isa, _ in ISAS if _built(f"f32_{isa}") and _built(f"f64_{isa}"))


@cache
def available() -> tuple[str, ...]:
    """Instruction sets that were compiled and that this CPU runs, best first; empty where nothing was built."""
    if not _built("cpu"):
        return ()
    from kernels.cython_backend import cpu

    return tuple(isa for isa, level in ISAS if isa in built() and (level is None or cpu.has_level(level)))


@cache
def chosen() -> str:
    """The instruction set in use: the best available, or the one that ``DEPTHBENCH_ISA`` names.

    Raises
    ------
    ValueError
        ``DEPTHBENCH_ISA`` names one that does not exist, was not built, or that this CPU does not run.
    ImportError
        Nothing was built.
    """
    if not available():
        raise ImportError("the Cython kernels are not built; run `pip install -e .` in the checkout")
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return available()[0]
    usable = ", ".join(available())
    if asked not in dict(ISAS):
        raise ValueError(f"{VARIABLE} must be one of {usable} here, got {asked!r}")
    if asked not in built():
        raise ValueError(f"{VARIABLE}={asked} was not built; usable here: {usable}")
    if asked not in available():
        raise ValueError(f"{VARIABLE}={asked} needs instructions that this CPU does not have; usable here: {usable}")
    return asked


def module(dtype, isa: str | None = None) -> ModuleType:
    """Return the compiled module of a dtype, in the chosen instruction set or in `isa`."""
    isa = chosen() if isa is None else isa
    if isa not in available():
        raise ValueError(f"isa must be one of {', '.join(available())} here, got {isa!r}")
    short = {"float32": "f32", "float64": "f64"}[np.dtype(dtype).name]
    return importlib.import_module(f"kernels.cython_backend.{short}_{isa}")


def has_openmp() -> bool:
    """Whether the kernels can use more than one thread."""
    from kernels.cython_backend import cpu

    return cpu.has_openmp()


def fma_loop(dtype, n_iterations: int, n_threads: int = 1, isa: str | None = None) -> int:
    """Run a loop of nothing but vector multiply-adds; return the FLOPs executed. The caller holds the clock."""
    if n_iterations < 0 or not 1 <= n_threads <= 1024:
        raise ValueError(f"n_iterations must be >= 0 and n_threads in 1..1024, got {n_iterations} and {n_threads}")
    return module(dtype, isa).fma_loop(n_iterations, n_threads)
