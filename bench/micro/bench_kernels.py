"""Every kernel on every case of a preset, with every backend and, where asked for, the peers.

>>> # pytest bench/micro --benchmark-only -k "conv2d and lenet5" --kernel-preset M --kernel-backends cython,numba
"""

from __future__ import annotations

import pytest

from bench.micro.contest import Contest, Result
from bench.micro.replay import CLOCK, report


@pytest.mark.benchmark(timer=CLOCK.read, disable_gc=False, warmup=False)
def test_kernel(benchmark, contest: Contest, backend: str, result: Result):
    case = contest.case
    about = {"kernel": case.kernel, "case": case.name, "dtype": contest.dtype, "threads": contest.n_threads}
    report(benchmark, contest.title, about, result)
