"""The clock and the memory mark of a cell: exactly what is timed, and nothing around it.

Fixed words: a *warm-up* is a tiny fit and predict that comes first and pays for imports, JIT and first touches of
memory; it is timed apart and never inside a fit. Times are wall-clock seconds of ``time.perf_counter``.
"""

from __future__ import annotations

import ctypes
import functools
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

#: One-sample prediction: at least this many repeats, more while they fit into the time. The first fold has more of them
#: (bench/metering.py, latencies).
MIN_REPEATS, MAX_REPEATS, ENOUGH_S = 5, 100, 0.002


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `call` returns, and its seconds.

    Examples
    --------
    >>> value, seconds = timed(lambda: 1 + 1)
    >>> value, seconds >= 0
    (2, True)
    """
    start = time.perf_counter()
    value = call()
    return value, time.perf_counter() - start


def median_time(call: Callable[[], Any]) -> float:
    """Return the median seconds of at least 5 calls, up to 100 as long as 2 ms are not over."""
    times: list[float] = []
    total = 0.0
    while len(times) < MIN_REPEATS or (len(times) < MAX_REPEATS and total < ENOUGH_S):
        times.append(timed(call)[1])
        total += times[-1]
    return statistics.median(times)


class PeakMemory:
    """The largest resident size of this process since `restart`, in bytes.

    Linux keeps the mark itself and lets a process set it back (write 5 to /proc/self/clear_refs), so that a worker can
    give each of its cells a peak of its own. Elsewhere, and where that file is forbidden, `peak` is None: the mark of the
    whole process would tell of the hungriest cell before.
    """

    def __init__(self):
        self._works = False
        self._start = 0

    def restart(self) -> None:
        """Begin anew at the present size, after giving back to the system what earlier cells have freed."""
        self._works = False
        if not sys.platform.startswith("linux"):
            return
        trim_heap()
        try:
            with open("/proc/self/clear_refs", "w") as f:
                f.write("5")
        except OSError:  # a container without the right to
            return
        self._works = True
        self._start = self.peak() or 0

    def peak(self) -> int | None:
        """Return the peak since `restart`."""
        if not self._works:
            return None
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None

    def above_start(self) -> int | None:
        """Return how far the peak lies above the size at `restart`: above libraries and data, where these came before."""
        peak = self.peak()
        return None if peak is None else max(0, peak - self._start)


@functools.cache
def _c_library() -> Any:
    try:
        library = ctypes.CDLL(None)
        library.malloc_trim.argtypes = (ctypes.c_size_t,)
    except (OSError, AttributeError):  # not glibc
        return None
    return library


def trim_heap() -> None:
    """Let malloc return free pages, else the memory of an earlier cell would hide what this one needs."""
    library = _c_library()
    if library is not None:
        library.malloc_trim(0)
