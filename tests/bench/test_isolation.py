"""Limits that hold: whatever a model starts, in whatever session, is gone with its worker. And who runs where, and when."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bench import pinning, processes
from bench.cell import Cell
from bench.errors import InputError
from bench.executors import LocalExecutor
from bench.plan import plan
from bench.runs import suite_context
from bench.suite import Suite
from bench.workers import Worker

ON_LINUX = sys.platform.startswith("linux")
HERE = Path(__file__).parent
LIMIT_S = 3.0

pytestmark = pytest.mark.skipif(not ON_LINUX, reason="what a worker starts is followed on Linux only")


@pytest.fixture(scope="module")
def execute(tmp_path_factory):
    """Run cells of models in workers; return, for each, its row, and what it told of that still ran when the row came."""

    def run(*models, timeout_s=LIMIT_S, **limits):
        folder = tmp_path_factory.mktemp("run")
        names = [m if m in ("lda", "dummy") else f"escaping_models:{m}" for m in models]
        suite = Suite(name="t", datasets=["breast_cancer"], models=names, folds=2, timeout_s=timeout_s)
        context = suite_context(suite) | {"noise_s": 0.0}
        cells = [Cell("breast_cancer", "raw", name, "sklearn", 1, 0, 0, 0) for name in names]
        found = {}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", f"{HERE.parents[1]}{os.pathsep}{HERE}")
            patch.setenv("PIDS", str(folder / "pids"))
            with LocalExecutor(context, folder / "logs", timeout_s=timeout_s, **limits) as executor:
                for row in executor.run(cells):
                    found[row.model.removeprefix("escaping_models:")] = row, living(folder / "pids")
        found[None] = None, living(folder / "pids")
        return found

    return run


def living(file: Path, within_s: float = 2.0) -> set[int]:
    """Processes that a model told of and that still run; one that was killed may need a moment to be gone."""
    end = time.monotonic() + within_s
    while found := _running(file):
        if time.monotonic() > end:
            break
        time.sleep(0.01)
    return found


def _running(file: Path) -> set[int]:
    pids = {int(line) for line in file.read_text().split()} if file.exists() else set()
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            found.add(pid)
    return found


ESCAPING = ("spins_in_c", "forks", "detached", "chain")


@pytest.fixture(scope="module")
def killed(execute):
    return execute(*ESCAPING)


@pytest.mark.parametrize("model", ESCAPING)
def test_what_is_over_its_time_is_gone_with_all_it_started(killed, model):
    row, left = killed[model]
    assert row.status == "timeout", row.message
    assert "killed in fit after the limit of 3 s" in row.message
    assert left == set()


def test_what_is_over_its_memory_is_gone_with_all_it_started(execute, monkeypatch):
    """No limit is given, so the machine's memory is one."""
    monkeypatch.setattr(processes, "machine_bytes", lambda: 500 << 20)
    row, left = execute("hoards_in_a_child", timeout_s=60)["hoards_in_a_child"]
    assert row.status == "out_of_memory", row.message
    assert "the limit is 450 MiB (most of this machine's memory" in row.message
    assert left == set()


@pytest.fixture(scope="module")
def tame(execute):
    """A row of each model, from one pinned worker; five processes of 240 MiB each would be more than the limit."""
    return execute("shares", "leaves_one", "moves", "lda", timeout_s=60, memory_bytes=900 << 20, pin=True)


def test_memory_that_forked_processes_share_counts_once(tame):
    row, _ = tame["shares"]
    assert row.status in ("ok", "invalid"), row.message  # invalid: five processes take more than one processor


def test_what_a_model_leaves_behind_ends_with_its_worker(tame):
    row, left = tame["leaves_one"]
    assert row.status == "ok", row.message
    assert len(left) == 1
    assert tame["lda"][0].status == "ok"
    assert tame[None][1] == set()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["spins_in_c", "forks", "detached", "chain", "hoards_in_a_child"])
def test_gone_within_two_seconds_of_the_limit(execute, monkeypatch, model):
    """Timed, so not among the quick tests; the clock starts when the limit was reached."""
    reached = []
    over = LocalExecutor._over_limit

    def watched(self, worker):
        if worker.phase == "fit" and time.monotonic() - worker.since > LIMIT_S and not reached:
            reached.append(worker.since + LIMIT_S)
        return over(self, worker)

    monkeypatch.setattr(LocalExecutor, "_over_limit", watched)
    row, left = execute(model)[model]
    assert row.status == "timeout"
    assert left == set()
    assert time.monotonic() - reached[0] < 2.0


def test_a_death_for_want_of_memory_is_told_from_others(tmp_path, monkeypatch):
    for more, status in ((0, "failed"), (1, "out_of_memory")):
        kills = [5]
        monkeypatch.setattr(processes, "oom_kills", lambda kills=kills: kills[0])
        worker = Worker(1, tmp_path / "log")
        os.kill(worker.pid, 9)
        kills[0] += more
        assert worker.death().status == status


# -- where


@pytest.fixture
def cpus(tmp_path):
    """Two packages of two cores with two threads each, as Linux numbers them; the second package is faster."""
    for cpu in range(8):
        topology = tmp_path / f"cpu{cpu}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(str(cpu // 2 % 2))
        (topology / "core_id").write_text(str(cpu % 2))
        frequency = tmp_path / f"cpu{cpu}" / "cpufreq"
        frequency.mkdir()
        (frequency / "cpuinfo_max_freq").write_text(str(4_000_000 + 500_000 * (cpu // 2 % 2)))
    return tmp_path


def test_cores_come_before_their_twins_and_fast_ones_first(cpus):
    order = pinning.best_first(range(8), cpus)
    assert order == [7, 6, 5, 4, 3, 2, 1, 0]
    assert pinning.best_first([0, 1, 2, 3], cpus) == [3, 2, 1, 0]
    assert pinning.best_first([2, 6, 1, 5], cpus) == [6, 5, 2, 1], "2 is the twin of 6, 1 that of 5"
    assert pinning.best_first([0, 1, 2], cpus / "nothing") == [2, 1, 0]


def test_workers_are_given_processors_that_no_other_has():
    taken: list[int] = []
    for _ in range(3):
        chosen = pinning.choose([5, 4, 3, 2, 1, 0], taken, 2)
        assert not set(chosen) & set(taken)
        taken += chosen


def test_more_than_there_are_is_refused():
    n = len(pinning.allowed())
    pinning.check(n, 1)
    with pytest.raises(InputError, match=f"need {2 * n} processors, and this process may use {n}"):
        pinning.check(n, 2)


def test_a_pinned_worker_stays_where_it_was_put_and_its_rows_say_where(tame):
    [expected] = pinning.best_first(pinning.allowed())[:1]
    assert tame["leaves_one"][0].cpus == tame["lda"][0].cpus == [expected]
    assert tame["moves"][0].cpus == pinning.allowed(), "a model that moves is found out, and put back for the next"


def test_unpinned_rows_name_no_processors(killed):
    assert {row.cpus for row, _ in killed.values() if row} == {None}


# -- when


@pytest.mark.parametrize(("n_models", "folds", "repeats"), [(4, 4, 1), (3, 2, 3), (5, 5, 2)])
def test_contestants_take_turns_so_that_drift_hits_all_alike(n_models, folds, repeats):
    models = ["dummy", "lda", "qda", "knn", "gaussian_nb"][:n_models]
    suite = Suite(name="s", datasets=["iris"], features=["raw", "pca"], models=models, folds=folds, repeats=repeats)
    cells = plan(suite, {})
    assert len(set(cells)) == len(cells) == 2 * n_models * folds * repeats
    groups = [cells[i : i + n_models] for i in range(0, len(cells), n_models)]
    assert all({c.model for c in group} == set(models) for group in groups), "all models of a matrix stand together"
    places = Counter((c.model, i) for group in groups for i, c in enumerate(group))
    assert max(places.values()) - min(places.values(), default=0) <= 2
    if folds * repeats % n_models == 0:
        assert len(places) == n_models**2 and len(set(places.values())) == 1, "each has each place equally often"
    first = Counter(groups[i][0].feature_set for i in range(0, len(groups), 2))
    assert abs(first["raw"] - first["pca"]) <= 1
