"""Hands times that were measured elsewhere to pytest-benchmark, through its own timer.

pytest-benchmark times one function at a time, from start to end; contestants that run in turn do not fit into that. So
the timer of the benchmarks is a clock that moves only when told to, and the "function" that pytest-benchmark times
moves it on by what the next round took. Its statistics, its JSON and ``pytest-benchmark compare`` are then those of the
interleaved rounds, and nothing in it is patched.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pytest

from bench.micro.contest import Result


class ReplayClock:
    """A clock that moves when it is told to.

    Examples
    --------
    >>> clock = ReplayClock()
    >>> start = clock.read()
    >>> clock.advance(0.25)
    >>> clock.read() - start
    0.25
    """

    def __init__(self):
        self._now_s = 0.0

    def read(self) -> float:
        return self._now_s

    def advance(self, seconds: float) -> None:
        self._now_s += seconds

    def reset(self) -> None:
        """Start again at zero, where a float has its finest resolution."""
        self._now_s = 0.0


CLOCK = ReplayClock()


def replay(benchmark, values_s: Sequence[float]) -> None:
    """Let the `benchmark` fixture, whose timer is `CLOCK`, see `values_s` as its rounds."""
    values = cycle(values_s)  # endless: pytest-benchmark may call once more than it times
    CLOCK.reset()
    benchmark.pedantic(lambda: CLOCK.advance(next(values)), rounds=len(values_s), iterations=1)


def report(benchmark, group: str, about: dict[str, Any], result: Result) -> None:
    """Hand one contestant's result to pytest-benchmark, or fail where it was wrong and has no time."""
    if result.wrong is not None:
        benchmark.skipped = True  # there is nothing to time
        pytest.fail(f"wrong: {result.wrong}", pytrace=False)
    benchmark.group = group
    benchmark.extra_info.update(
        about,
        shapes=result.shapes,
        backend=result.backend,
        validation="ok",
        flops=result.flops,
        bytes=result.n_bytes,
        resident_bytes=result.resident_bytes,
        first_call_s=result.first_call_s,
        loops=result.timing.loops,
    )
    if result.aa_ratio is not None:
        benchmark.extra_info["aa_ratio"] = result.aa_ratio
    if result.of_fma_loop is not None:
        benchmark.extra_info["of_fma_loop"] = result.of_fma_loop
    replay(benchmark, result.timing.values_s)
    if benchmark.enabled:
        assert benchmark.stats.stats.median == pytest.approx(statistics.median(result.timing.values_s))
