"""The clock and the memory mark of a cell: exactly what is timed, and nothing around it.

Fixed words: a *warm-up* is a tiny fit and predict that comes first and pays for imports, JIT and first touches of
memory; it is timed apart and never inside a fit. Times are wall-clock seconds of ``time.perf_counter``.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

#: One-sample prediction: at least this many repeats, more while they fit into the time.
MIN_REPEATS, MAX_REPEATS, ENOUGH_S = 5, 100, 0.02


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
    """Return the median seconds of at least 5 calls, up to 100 as long as 20 ms are not over."""
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

    def restart(self) -> None:
        """Begin anew at the present size."""
        self._works = False
        if not sys.platform.startswith("linux"):
            return
        try:
            with open("/proc/self/clear_refs", "w") as f:
                f.write("5")
        except OSError:  # a container without the right to
            return
        self._works = True

    def peak(self) -> int | None:
        """Return the peak since `restart`."""
        if not self._works:
            return None
        with open("/proc/self/status") as f:
            for line in f:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None
