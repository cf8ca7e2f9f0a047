"""A/A: the same work, timed as if it were two contestants. What they differ by is the noise of every comparison made here.

A table compares medians over folds. So A and B are called in turn, five times each, like five folds, and the ratio of
their medians is taken; over and over, for work that is bound by the interpreter, by memory and by arithmetic, since
neighbours and clocks disturb each in another way. The floor is the largest ratio seen, in either direction.

Kalibera & Jones, Rigorous benchmarking in reasonable time, ISMM 2013, on why this has to be measured where it is used.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.timing import timed

#: Calls of A, and of B, behind one median: as many as a usual number of folds.
CALLS = 5
MIN_PAIRS, MAX_PAIRS = 4, 40


@dataclass(frozen=True)
class Noise:
    """What A/A comparisons showed. ``ratios`` has, for each kind of work, the ratio of each pair of medians."""

    ratios: Mapping[str, tuple[float, ...]]

    @property
    def floor(self) -> float:
        """The largest ratio in either direction, 1 where none was measured."""
        return max((max(ratio, 1 / ratio) for ratios in self.ratios.values() for ratio in ratios), default=1.0)

    def facts(self) -> dict[str, Any]:
        """Return it as run.json keeps it."""
        by_work = {name: round(Noise({name: ratios}).floor, 4) for name, ratios in self.ratios.items()}
        return {"floor": round(self.floor, 4), "floor_by_work": by_work, "n_pairs": sum(map(len, self.ratios.values()))}


def workloads() -> dict[str, Callable[[], Any]]:
    """Return calls of about a millisecond, each bound by something else."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((160, 160), dtype=np.float32)
    source = np.ones(1 << 20, np.float32)  # 4 MiB: beyond the inner caches
    target = np.empty_like(source)
    return {
        "interpreter": lambda: sum(i * i for i in range(8000)),
        "memory": lambda: np.copyto(target, source),
        "arithmetic": lambda: [a @ a for _ in range(4)],
    }


def measure(limit_s: float, work: Mapping[str, Callable[[], Any]] | None = None) -> Noise:
    """Compare each kind of work with itself until the time is over, but at least four times.

    Examples
    --------
    >>> measure(0.01, {"nothing much": lambda: sum(range(1000))}).floor >= 1.0
    True
    """
    work = workloads() if work is None else work
    for call in work.values():
        call()  # touches its memory, sizes its thread pool
    found: dict[str, list[float]] = {name: [] for name in work}
    end = time.perf_counter() + limit_s
    for pair in range(MAX_PAIRS):
        if pair >= MIN_PAIRS and time.perf_counter() > end:
            break
        for name, call in work.items():
            found[name].append(pair_ratio(call, first=pair % 2))
    return Noise({name: tuple(ratios) for name, ratios in found.items()})


def pair_ratio(call: Callable[[], Any], first: int = 0) -> float:
    """Return the median time of A over that of B, where both are `call`; `first` says which of them begins."""
    times: Sequence[list[float]] = ([], [])
    for i in range(2 * CALLS):
        times[(i + first) % 2].append(timed(call)[1])
    a, b = map(statistics.median, times)
    return a / b if a > 0 and b > 0 else 1.0
