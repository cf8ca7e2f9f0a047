"""What this machine can do: multiply-adds per second, and bytes per second from each level of its memory.

Measured by loops of our own, without root and without a look at the CPU's name, in the process and with the thread
count that the profile runs with. A ceiling is the best of several tries by the best of the ways at hand: noise and a
busy machine only ever make a loop slower, so the largest rate is the nearest to what the machine can do. The way that
won is kept with the figure.

Bandwidth is that of a copy, bytes read plus bytes written, as STREAM counts them (McCalpin, "Memory bandwidth and
machine balance in current high performance computers", IEEE TCCA Newsletter, 1995). Each level is measured on buffers
that fill half of it.
"""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil

#: Where the operating system does not say: what nearly every CPU of the last ten years has at least.
ASSUMED_CACHES = (("L1", 32 << 10), ("L2", 256 << 10), ("L3", 8 << 20))
TRIES = 5
TRY_S = 0.01


@dataclass(frozen=True)
class Level:
    """One level of the memory: what it holds for all threads together, and how fast a copy inside it runs."""

    name: str
    capacity_bytes: float  # infinite for main memory
    gb_per_s: float
    method: str


@dataclass(frozen=True)
class Ceilings:
    """The ceilings of the machine for one dtype and thread count."""

    dtype: str
    n_threads: int
    fma_gflops: float
    fma_method: str
    levels: tuple[Level, ...]  # from the fastest to main memory

    def level_for(self, n_bytes: float) -> Level:
        """Return the fastest level that holds `n_bytes`."""
        return next((level for level in self.levels if n_bytes <= level.capacity_bytes), self.levels[-1])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON (main memory's capacity, infinite, is None)."""
        values = asdict(self)
        for level in values["levels"]:
            if math.isinf(level["capacity_bytes"]):
                level["capacity_bytes"] = None
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Ceilings:
        """Return what :meth:`to_dict` was made of."""
        levels = [{**level, "capacity_bytes": level["capacity_bytes"] or math.inf} for level in values["levels"]]
        return cls(**{**values, "levels": tuple(Level(**level) for level in levels)})


def _best_rate(run: Callable[[int], float], tries: int = TRIES, seconds: float = TRY_S) -> float:
    """Return the best units per second of ``run(n)``, which does n rounds and returns the units of work done."""
    run(1)  # compile, and touch the pages
    n, elapsed = 1, 0.0
    while elapsed < seconds / 2:  # grow until a round is long enough to be timed
        n *= 2
        start = time.perf_counter()
        run(n)
        elapsed = time.perf_counter() - start
    n = max(1, round(n * seconds / elapsed))
    best = 0.0
    for _ in range(tries):
        start = time.perf_counter()
        units = run(n)
        best = max(best, units / (time.perf_counter() - start))
    return best


def _side_by_side(pool: ThreadPoolExecutor | None, functions: list[Callable[[], Any]]) -> list[Any]:
    """Run the functions on one thread each, and return their results when all are done."""
    if pool is None:
        return [function() for function in functions]
    return [future.result() for future in [pool.submit(function) for function in functions]]


# -- multiply-adds -----------------------------------------------------------------------------------------------------


def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None


def _fma_ways(dtype: str, n_threads: int, pool: ThreadPoolExecutor | None) -> dict[str, Callable[[int], float]]:
    """Return the ways to run multiply-adds at full rate here: name -> function of rounds that returns FLOPs."""
    from kernels.cython_backend import loader

    ways: dict[str, Callable[[int], float]] = {}
    if loader.available():
        isa = loader.available()[0]  # the machine's best, whatever DEPTHBENCH_ISA makes the kernels use
        ways[f"Cython {isa} FMA loop"] = lambda n: loader.fma_loop(dtype, 1000 * n, n_threads, isa)
    if _has_numba():
        from bench.profiling import loops

        def numba_way(n: int) -> float:
            return sum(_side_by_side(pool, [lambda: loops.fma_loop(dtype, 1000 * n)] * n_threads))

        ways[f"Numba {8 * loops.VECTOR_BYTES}-bit {'FMA' if loops.FUSED else 'multiply, add'} loop"] = numba_way
    if not ways:
        a = np.ones((512, 512), dtype)

        def numpy_way(n: int) -> float:
            for _ in range(n):
                a @ a
            return n * 2.0 * len(a) ** 3

        ways["NumPy matrix product, a lower bound"] = numpy_way
    return ways


# -- bandwidth ---------------------------------------------------------------------------------------------------------


def _parse_size(text: str) -> int:
    """Return bytes of the kernel's way to write a cache's size.

    >>> _parse_size("48K"), _parse_size("32M")
    (49152, 33554432)
    """
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    text = text.strip()
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def _linux_caches(folder: Path) -> tuple[tuple[str, int], ...]:
    found = {}
    for index in sorted(folder.glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
            if kind in ("Data", "Unified"):
                found[f"L{int(level)}"] = _parse_size(size)
        except (OSError, ValueError):  # a virtual machine may leave a file out or empty
            continue
    return tuple(sorted(found.items()))


def _mac_caches() -> tuple[tuple[str, int], ...]:
    found = []
    for name, key in (("L1", "hw.l1dcachesize"), ("L2", "hw.l2cachesize"), ("L3", "hw.l3cachesize")):
        answer = subprocess.run(["sysctl", "-n", key], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip().isdigit() and int(answer.stdout) > 0:
            found.append((name, int(answer.stdout)))
    return tuple(found)


def cache_sizes() -> tuple[tuple[str, int], ...]:
    """Return ``(("L1", bytes), ("L2", bytes), ...)`` of one core, from the system or else assumed."""
    found = _mac_caches() if sys.platform == "darwin" else _linux_caches(Path("/sys/devices/system/cpu/cpu0/cache"))
    increasing = all(a[1] < b[1] for a, b in pairwise(found))
    return found if found and increasing else ASSUMED_CACHES


def _memory_footprint(last_cache_bytes: int) -> int:
    """Four times the last cache, between 64 MiB and 1 GiB, and never more than an eighth of the free memory."""
    wanted = min(max(4 * last_cache_bytes, 64 << 20), 1 << 30)
    return max(min(wanted, psutil.virtual_memory().available // 8), 1 << 20)


def _copy_ways(footprint: int, n_threads: int, pool: ThreadPoolExecutor | None) -> dict[str, Callable[[int], float]]:
    """Return the ways to copy: name -> function of rounds that returns the bytes read and written.

    `footprint` counts source and target of one thread together. NumPy's copy is memcpy, which goes round the caches
    where the buffers are large; the loop is what a kernel can do.
    """
    n = max(footprint // 2 // 8, 64)
    buffers = [(np.zeros(n), np.ones(n)) for _ in range(n_threads)]  # both are written: their pages are there
    for target, _ in buffers:
        target[:] = 0.5
    moved = 2 * buffers[0][0].nbytes * n_threads

    def with_numpy(rounds: int) -> float:
        def one(target, source):
            for _ in range(rounds):
                np.copyto(target, source)

        _side_by_side(pool, [lambda pair=pair: one(*pair) for pair in buffers])
        return rounds * moved

    ways: dict[str, Callable[[int], float]] = {"NumPy copyto": with_numpy}
    if _has_numba():
        from bench.profiling import loops

        def with_numba(rounds: int) -> float:
            _side_by_side(pool, [lambda pair=pair: loops.copy_loop(*pair, rounds) for pair in buffers])
            return rounds * moved

        ways["Numba copy loop"] = with_numba
    return ways


# -- together ----------------------------------------------------------------------------------------------------------


def _fastest(ways: dict[str, Callable[[int], float]]) -> tuple[float, str]:
    return max((_best_rate(way), name) for name, way in ways.items())


@cache
def measure(dtype: str = "float32", n_threads: int = 1) -> Ceilings:
    """Measure the ceilings of the machine (well under 2 s; once per process for each dtype and thread count).

    Parameters
    ----------
    dtype : {"float32", "float64"}
    n_threads : int

    Examples
    --------
    >>> c = measure("float32")
    >>> c.fma_gflops > 0 and c.levels[-1].name == "DRAM"
    True
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None
    try:
        fma, fma_method = _fastest(_fma_ways(dtype, n_threads, pool))
        caches = cache_sizes()
        levels = []
        for name, size in caches:
            shared = name not in ("L1", "L2") and n_threads > 1
            footprint = size // 2 // n_threads if shared else size // 2
            rate, method = _fastest(_copy_ways(footprint, n_threads, pool))
            levels.append(Level(name, size if shared else size * n_threads, rate / 1e9, method))
        footprint = _memory_footprint(caches[-1][1]) // n_threads
        rate, method = _fastest(_copy_ways(footprint, n_threads, pool))
        levels.append(Level("DRAM", math.inf, rate / 1e9, method))
    finally:
        if pool is not None:
            pool.shutdown()
    return Ceilings(dtype, n_threads, fma / 1e9, fma_method, tuple(levels))


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
