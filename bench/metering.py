"""What a fit and its predictions cost: wall-clock, processor seconds, energy, memory, and predictions batch by batch.

A call is metered once, where it is called anyway: nothing is fitted twice. All counters are read outside the clock. Cold
and warm stay apart: of each batch size the first call is kept beside the median of those after it.

Energy is that of the processor packages, all cores and all programs, as the kernel's powercap interface counts it (Intel's
RAPL and AMD's; Documentation/power/powercap). Most systems let only root read it; then it is absent.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench import processes
from bench.timing import timed

POWERCAP = Path("/sys/class/powercap")

#: Predictions at so many samples a call, for so many calls or so long a time, whichever ends first.
BATCHES = (1, 10, 100, 1000)
MAX_CALLS, BATCH_LIMIT_S = 200, 0.2
#: So many single calls of a batch size are kept as they were.
KEPT_SAMPLES = 16


@dataclass(frozen=True)
class Cost:
    """What one call took. Joules are absent where the system does not tell."""

    time_s: float
    cpu_s: float  # of all threads of this process and of all processes below it
    energy_j: float | None = None


class Meter:
    """Measures calls.

    Parameters
    ----------
    powercap : Path
        Where the system counts energy.

    Examples
    --------
    >>> value, cost = Meter().measure(lambda: sum(range(1000)))
    >>> value, cost.time_s > 0, cost.cpu_s >= 0
    (499500, True, True)
    """

    def __init__(self, powercap: Path = POWERCAP):
        self._domains = energy_domains(powercap)

    def measure(self, call: Callable[[], Any]) -> tuple[Any, Cost]:
        """Return what `call` returns, and what it took."""
        energy, cpu = [d.read() for d in self._domains], cpu_seconds()
        value, time_s = timed(call)
        cpu_s = cpu_seconds() - cpu
        joules = [d.since(before) for d, before in zip(self._domains, energy, strict=True)]
        known = joules and None not in joules
        return value, Cost(time_s, max(0.0, cpu_s), sum(joules) if known else None)


def cpu_seconds() -> float:
    """Return the processor time of this process so far, all threads, with all processes below it, ended or not."""
    total = time.process_time()
    try:
        import resource
    except ImportError:  # Windows
        return total
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = processes.children(os.getpid())
    if living:
        total += processes.cpu_seconds_of_living([*living, *(p for pid in living for p in processes.descendants(pid))])
    return total + ended.ru_utime + ended.ru_stime


@dataclass(frozen=True)
class EnergyDomain:
    """A counter of microjoules that begins anew at `range_uj`."""

    path: Path
    range_uj: int

    def read(self) -> int | None:
        """Return the counter, None where it cannot be read any more."""
        return _number(self.path)

    def since(self, before: int | None) -> float | None:
        """Return the joules since the counter stood at `before`."""
        now = self.read()
        if now is None or before is None:
            return None
        return (now - before if now >= before else now + self.range_uj - before) / 1e6


def energy_domains(powercap: Path = POWERCAP) -> tuple[EnergyDomain, ...]:
    """Return the counters of whole packages that may be read; parts of a package (cores, memory) would count twice."""
    found = []
    for folder in sorted(powercap.glob("*-rapl:*")) if powercap.is_dir() else []:
        is_part = folder.name.count(":") > 1
        is_twin = "mmio" in folder.name and (powercap / folder.name.replace("-mmio", "")).exists()
        energy, whole = _number(folder / "energy_uj"), _number(folder / "max_energy_range_uj")
        if not is_part and not is_twin and energy is not None and whole:
            found.append(EnergyDomain(folder / "energy_uj", whole))
    return tuple(found)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def latencies(predict: Callable[[np.ndarray], Any], X: np.ndarray, time_all_s: float) -> list[dict[str, Any]]:
    """Return how long predictions take at 1, 10, 100, 1000 and all samples a call.

    Parameters
    ----------
    predict : callable
        Of an array (n_samples, n_features).
    X : ndarray (n_samples, n_features)
        The test fold; where it is smaller than a batch its samples are repeated.
    time_all_s : float
        What predicting all of it took. A batch that should take longer than the limit by that is not measured,
        but for a single sample, which always is.

    Returns
    -------
    list of dict
        ``batch`` (samples a call), ``n`` (calls), ``first_s``, ``p50_s`` and ``p99_s`` (of the calls after the first;
        of the only one where there is but one), ``samples_s`` (the first 16 of these, as they were).

    Examples
    --------
    >>> found = latencies(lambda X: X.sum(axis=1), np.ones((20, 3), np.float32), time_all_s=1e-5)
    >>> [line["batch"] for line in found]
    [1, 10, 100, 1000, 20]
    """
    found = []
    for n in dict.fromkeys((*BATCHES, len(X))):
        expected_s = max(time_all_s * n / len(X), *(line["p50_s"] for line in found if line["batch"] < n), 0.0)
        if n == 1 or expected_s <= BATCH_LIMIT_S:
            batch = X if n == len(X) else np.ascontiguousarray(np.resize(X, (n, *X.shape[1:])))
            found.append({"batch": n, **_calls(lambda batch=batch: predict(batch))})
    return found


def _calls(call: Callable[[], Any]) -> dict[str, Any]:
    times = [timed(call)[1]]
    while len(times) < MAX_CALLS and sum(times) + statistics.median(times[-5:]) < BATCH_LIMIT_S:
        times.append(timed(call)[1])
    later = times[1:] or times
    p50, p99 = (float(np.quantile(later, q, method="higher" if q > 0.5 else "linear")) for q in (0.5, 0.99))
    samples = [float(f"{s:.3g}") for s in later[:KEPT_SAMPLES]]
    return {"n": len(times), "first_s": times[0], "p50_s": p50, "p99_s": p99, "samples_s": samples}


class JitClock:
    """Seconds that Numba has spent compiling in this process, by Numba's own events; 0 while it is not imported.

    Examples
    --------
    >>> JitClock().seconds() >= 0
    True
    """

    def __init__(self):
        self._listener = None

    def seconds(self) -> float:
        """Return the seconds so far."""
        if self._listener is None and "numba" in sys.modules:
            self._listener = _listener()
        return 0.0 if self._listener is None else self._listener.total_s


@cache
def _listener() -> Any:
    from numba.core import event

    class Compiling(event.Listener):
        """Adds up the outermost compilations: one compiles what it calls."""

        def __init__(self):
            self.total_s, self._depth, self._start = 0.0, 0, 0.0

        def on_start(self, _) -> None:
            self._depth += 1
            if self._depth == 1:
                self._start = time.perf_counter()

        def on_end(self, _) -> None:
            self._depth -= 1
            if self._depth == 0:
                self.total_s += time.perf_counter() - self._start

    listener = Compiling()
    event.register("numba:compile", listener)
    return listener
