"""Every kernel on every case of a preset, with every backend.

>>> # pytest bench/micro --benchmark-only -k "conv2d and lenet5" --kernel-preset M --kernel-backends cython,numba
"""

from __future__ import annotations

import statistics

import pytest

from bench.micro.contest import Contest, Result
from bench.micro.replay import CLOCK, replay


@pytest.mark.benchmark(timer=CLOCK.read, disable_gc=False, warmup=False)
def test_kernel(benchmark, contest: Contest, backend: str, result: Result):
    if result.wrong is not None:
        benchmark.skipped = True  # there is nothing to time
        pytest.fail(f"wrong: {result.wrong}", pytrace=False)
    benchmark.group = contest.title
    benchmark.extra_info.update(
        kernel=contest.case.kernel,
        case=contest.case.name,
        shapes=result.shapes,
        dtype=contest.dtype,
        threads=contest.n_threads,
        backend=backend,
        validation="ok",
        flops=result.flops,
        bytes=result.n_bytes,
        first_call_s=result.first_call_s,
        loops=result.timing.loops,
    )
    if result.aa_ratio is not None:
        benchmark.extra_info["aa_ratio"] = result.aa_ratio
    replay(benchmark, result.timing.values_s)
    if benchmark.enabled:
        assert benchmark.stats.stats.median == pytest.approx(statistics.median(result.timing.values_s))
