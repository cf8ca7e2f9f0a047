"""Training steps and forward passes of whole networks, ours and the peers'.

>>> # pytest bench/micro/bench_networks.py --benchmark-only --kernel-preset M --kernel-peers
"""

from __future__ import annotations

import pytest

from bench.micro.contest import Result
from bench.micro.network_contest import NetworkContest
from bench.micro.replay import CLOCK, report


@pytest.mark.benchmark(timer=CLOCK.read, disable_gc=False, warmup=False)
def test_network(benchmark, network_contest: NetworkContest, backend: str, network_result: Result):
    case = network_contest.case
    about = {"kernel": network_contest.task, "case": case, "dtype": "float32", "threads": network_contest.setting.n_threads}
    report(benchmark, network_contest.title, about, network_result)
    benchmark.extra_info["images_per_s"] = network_contest.setting.batch / benchmark.stats.stats.median
