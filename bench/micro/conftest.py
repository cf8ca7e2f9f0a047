"""Options of the micro-benchmarks, and the contests they are grouped into.

A test is one backend in one contest. The first test of a contest that runs holds it, for all backends that were
selected; the others find their results there.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kernels
from bench.micro import network_contest as network_contest_module
from bench.micro.contest import Contest, Result, hold
from bench.micro.network_contest import TASKS, NetworkContest, hold_networks
from bench.micro.peers import peers, usable_peers
from bench.micro.peers.networks import Setting, contestants
from bench.profiling.machine import machine
from kernels.cases import PRESETS, cases
from kernels.spec import SPECS
from kernels.threads import set_threads

DTYPES = ("float32", "float64")
#: Seconds of timing that each network gets at least: a step is longer than a kernel.
MIN_NETWORK_S = 0.2


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _counts(text: str) -> list[int]:
    return [int(name) for name in _names(text)]


def pytest_addoption(parser):
    group = parser.getgroup("kernels", "micro-benchmarks of the kernels")
    group.addoption("--kernel-backends", type=_names, default=None, help="comma-separated; all that are usable here")
    group.addoption("--kernel-dtypes", type=_names, default=["float32"], help="comma-separated: float32,float64")
    group.addoption("--kernel-threads", type=_counts, default=[1], help="comma-separated thread counts")
    group.addoption("--kernel-preset", choices=PRESETS, default="S", help="size of the cases")
    group.addoption("--kernel-budget", type=float, default=0.05, help="seconds of timing for each backend and case")
    group.addoption("--kernel-peers", action="store_true", help="the installed peers too: OpenBLAS, PyTorch, ONNX Runtime")
    group.addoption("--kernel-outcomes", type=Path, default=None, help="file that gets a line of JSON for every test")


def pytest_generate_tests(metafunc):
    if "backend" not in metafunc.fixturenames:
        return
    option = metafunc.config.getoption
    known = (*kernels.backends(), *kernels.variants())
    backends = option("--kernel-backends") or kernels.backends()
    unusable = [name for name in backends if name not in known]
    unknown = [name for name in option("--kernel-dtypes") if name not in DTYPES]
    if unusable or unknown:
        raise pytest.UsageError(f"not usable here: {', '.join(unusable + unknown)}; there is {', '.join((*known, *DTYPES))}")
    # The backend varies fastest, so that the tests of a contest follow each other.
    if "contest" in metafunc.fixturenames:
        _parametrize_kernels(metafunc, backends)
    else:
        _parametrize_networks(metafunc, backends)


def _parametrize_kernels(metafunc, backends: list[str]) -> None:
    option = metafunc.config.getoption
    present = usable_peers() if option("--kernel-peers") else {}
    parameters = [
        (spec.name, case.name, dtype, n_threads, backend)
        for spec in SPECS
        for case in cases(spec.name, option("--kernel-preset"))
        for dtype in option("--kernel-dtypes")
        for n_threads in option("--kernel-threads")
        for backend in (*backends, *(name for name, peer in present.items() if peer.supports(spec.name)))
    ]
    names = [f"{kernel}-{case}-{dtype}-{n}t-{backend}" for kernel, case, dtype, n, backend in parameters]
    metafunc.parametrize(("kernel", "case", "dtype", "threads", "backend"), parameters, ids=names)


def _parametrize_networks(metafunc, backends: list[str]) -> None:
    option = metafunc.config.getoption
    parameters = [
        (task, network, batch, n_threads, backend)
        for task in TASKS
        for network, batch in network_contest_module.PRESETS[option("--kernel-preset")][task]
        for n_threads in option("--kernel-threads")
        for backend in contestants(task, network, tuple(backends), option("--kernel-peers"))
    ]
    names = [f"{task}-{network}-b{batch}-{n}t-{backend}" for task, network, batch, n, backend in parameters]
    metafunc.parametrize(("task", "network", "batch", "threads", "backend"), parameters, ids=names)


@pytest.fixture
def contest(request, kernel: str, case: str, dtype: str, threads: int) -> Contest:
    preset = cases(kernel, request.config.getoption("--kernel-preset"))
    return Contest(next(c for c in preset if c.name == case), dtype, threads)


@pytest.fixture
def network_contest(task: str, network: str, batch: int, threads: int) -> NetworkContest:
    return NetworkContest(task, Setting(network, batch, threads))


def _selected_contestants(items, parameters: dict) -> list[str]:
    """Return the contestants of the tests that are in the same contest as the one with these parameters."""

    def key(values: dict) -> dict:
        return {name: value for name, value in values.items() if name != "backend"}

    all_parameters = [item.callspec.params for item in items if hasattr(item, "callspec")]
    return [p["backend"] for p in all_parameters if key(p) == key(parameters)]


@pytest.fixture(scope="session")
def _held() -> dict[Contest | NetworkContest, dict[str, Result | ImportError]]:
    return {}


@pytest.fixture
def result(request, _held, contest: Contest, backend: str) -> Result:
    """What became of this contestant in this contest."""
    if contest not in _held:
        _held.clear()  # the results of earlier contests have been reported
        selected = _selected_contestants(request.session.items, request.node.callspec.params)
        set_threads(contest.n_threads)
        entered = {name: peer for name, peer in peers().items() if name in selected}
        loaded, broken = _load([name for name in selected if name not in entered])
        budget_s = request.config.getoption("--kernel-budget")
        _held[contest] = broken | hold(contest, loaded, peers=entered, budget_s=budget_s)
    return _found(_held[contest], backend)


@pytest.fixture
def network_result(request, _held, network_contest: NetworkContest, backend: str) -> Result:
    """What became of this contestant in this contest."""
    if network_contest not in _held:
        _held.clear()
        selected = _selected_contestants(request.session.items, request.node.callspec.params)
        set_threads(network_contest.setting.n_threads)
        budget_s = max(MIN_NETWORK_S, request.config.getoption("--kernel-budget"))
        _held[network_contest] = hold_networks(network_contest, selected, budget_s=budget_s)
    return _found(_held[network_contest], backend)


def _found(held: dict[str, Result | ImportError], backend: str) -> Result:
    if isinstance(held[backend], ImportError):
        pytest.fail(f"backend {backend} cannot be loaded: {held[backend]}", pytrace=False)
    return held[backend]


def _load(names: list[str]) -> tuple[dict[str, kernels.Kernels], dict[str, ImportError]]:
    """Load the backends; one that cannot be loaded does not keep the others from running."""
    loaded, broken = {}, {}
    for name in names:
        try:
            loaded[name] = kernels.load(name)
        except ImportError as error:
            broken[name] = error
    return loaded, broken


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    path = item.config.getoption("--kernel-outcomes")
    if path is not None and (call.when == "call" or report.failed):
        message = call.excinfo.exconly() if call.excinfo else None
        line = {**item.callspec.params, "outcome": report.outcome, "message": message}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return report


def pytest_benchmark_update_json(config, benchmarks, output_json):
    # Not into machine_info: ceilings differ a little each time, and pytest-benchmark warns of any difference there.
    output_json["depthbench"] = machine(config.getoption("--kernel-dtypes"), config.getoption("--kernel-threads"))
