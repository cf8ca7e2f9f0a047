"""The peers of the micro-benchmarks: they give our answers in our layout, and one that is missing is only a note."""

from __future__ import annotations

import numpy as np
import pytest

from bench.micro.contest import Contest, check_race, hold
from bench.micro.network_contest import NetworkContest, hold_networks
from bench.micro.peers import family_of, networks, peers, usable_peers
from bench.micro.peers.networks import Setting
from kernels import load
from kernels.cases import cases, find
from kernels.spec import SPECS

KERNELS = [spec.name for spec in SPECS]


@pytest.mark.peers
@pytest.mark.parametrize(
    ("name", "kernel"),
    [(name, k) for name, peer in peers().items() if name != "openblas-avx512" for k in KERNELS if peer.supports(k)],
)
def test_a_peer_gives_our_answer(name, kernel):
    peer = peers()[name]
    reason = peer.missing()
    if reason:
        pytest.skip(reason)
    for case in cases(kernel, "S"):
        for dtype in ("float32", "float64"):
            race, _, wrong = check_race(peer, case, dtype, 1)
            assert wrong is None, f"{case}: {wrong}"
            race()


def test_openblas_in_a_process_of_its_own_runs_beside_the_others():
    if "openblas-avx512" not in usable_peers():
        pytest.skip("this CPU has no AVX-512, or NumPy no OpenBLAS")
    case = find("gemm", "square_64")
    entered = {name: usable_peers()[name] for name in ("openblas", "openblas-avx512")}
    found = hold(Contest(case, "float32", 1), {"reference": load("reference")}, peers=entered, budget_s=0.005)
    assert [result.wrong for result in found.values()] == [None, None, None]
    assert all(result.timing.values_s for result in found.values())


def test_a_peer_that_is_wrong_gets_no_time():
    class Wrong:
        name = "wrong"

        def prepare(self, kernel, arguments, options, n_threads):
            from bench.micro.peers import Race

            return Race(lambda: arguments[0], lambda x: (x + 1,))

    found = hold(
        Contest(find("relu", "lenet5_c1_b8"), "float32", 1), {"reference": load("reference")}, peers={"wrong": Wrong()},
        budget_s=0.001,
    )  # fmt: skip
    assert "relu" in found["wrong"].wrong
    assert found["wrong"].timing is None
    assert found["reference"].timing.values_s


@pytest.mark.parametrize("network", ["lenet5", "mlp"])
@pytest.mark.parametrize("task", ["training", "inference"])
def test_our_backends_agree_on_a_network(task, network):
    backends = ["cython", "reference"]
    found = hold_networks(NetworkContest(task, Setting(network, 4, 1)), backends, budget_s=0.001)
    assert {name: result.wrong for name, result in found.items()} == dict.fromkeys(backends)
    assert all(result.flops > 0 and result.timing.values_s for result in found.values())


@pytest.mark.peers
@pytest.mark.parametrize("network", ["lenet5", "conv16_32", "conv32_64", "vgg_small", "mlp"])
@pytest.mark.parametrize("task", ["training", "inference"])
def test_peers_agree_on_a_network(task, network):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    names = networks.contestants(task, network, ("cython",), with_peers=True)
    names = [name for name in names if "compiled" not in name]  # half a minute each
    found = hold_networks(NetworkContest(task, Setting(network, 2, 1)), names, budget_s=0.001)
    assert {name: result.wrong for name, result in found.items()} == dict.fromkeys(names)


def test_a_network_that_disagrees_gets_no_time(monkeypatch):
    right = networks.prepare

    def prepare(task, setting, name):
        call = right(task, setting, "reference")
        return (lambda: call() * np.float32(1.01)) if name == "cython" else call

    monkeypatch.setattr(networks, "prepare", prepare)
    found = hold_networks(NetworkContest("inference", Setting("mlp", 2, 1)), ["cython", "reference"], budget_s=0.001)
    assert "off by" in found["cython"].wrong
    assert found["cython"].timing is None
    assert found["reference"].timing.values_s


def test_every_peer_belongs_to_a_family():
    assert all(family_of(name) for name in peers())
    assert family_of("cython-v3") is None
