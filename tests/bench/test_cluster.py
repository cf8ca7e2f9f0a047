"""A run on a dask cluster: a real scheduler and two worker processes on this machine, one of them killed in the middle.

Seen red with the code broken: the cell of the lost worker not dealt again, its loss not seen, only one worker used.
What cannot be seen on one machine is asked in test_cluster_books.py.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs the extra 'cluster' (dask.distributed)")
psutil = pytest.importorskip("psutil")
ROOT = Path(__file__).parents[2]


def environment(cache: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    more = {"PYTHONPATH": path, "COLUMNS": "80", "DEPTHBENCH_NOISE_S": "0", "DEPTHBENCH_CACHE": str(cache / "cache")}
    return {**os.environ, **more, "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "False"}


class Cluster:
    """A scheduler on the loopback interface, and workers that are started and killed."""

    def __init__(self, folder: Path):
        self.folder, self.processes = folder, []
        file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)
        wait_for(lambda: file.exists() and file.read_text().rstrip().endswith("}"))
        self.address = json.loads(file.read_text())["address"]

    def _start(self, what: str, *options) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *map(str, options), "--no-dashboard"]
        with open(self.folder / f"{what}-{len(self.processes)}.log", "wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=environment(self.folder), stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def worker(self) -> subprocess.Popen:
        options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--local-directory", self.folder / "dask")
        return self._start("worker", self.address, *options)

    def close(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    found = Cluster(tmp_path)
    yield found
    found.close()


def wait_for(condition, seconds=90.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def suite(folder: Path, **keys) -> Path:
    values = {"name": "t", "datasets": ["breast_cancer"], "models": ["own_models:slow", "gaussian_nb"], "folds": 10, **keys}
    path = folder / "t.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


def run(folder: Path, *arguments) -> subprocess.Popen:
    command = [sys.executable, "-m", "bench", "run", "t.toml", "-o", ".", "--resume", "r", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def rows_of(folder: Path) -> list[dict]:
    path = folder / "r" / "rows.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def check_complete(rows: list[dict], n: int) -> None:
    assert len({(r["feature_set"], r["model"], r["fold"]) for r in rows}) == len(rows) == n
    assert {r["status"] for r in rows} == {"ok"}, {r.get("message") for r in rows}


def ours_below(worker: subprocess.Popen) -> list[psutil.Process]:
    return [p for p in psutil.Process(worker.pid).children() if "bench.worker" in p.cmdline()]


def gone(processes) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_a_worker_is_killed_and_nothing_is_lost(tmp_path, cluster, seed):
    """And the run, ended before its end, goes on without the cluster."""
    suite(tmp_path, folds=20)  # enough for one of them to go on with alone
    chance = random.Random(seed)
    workers = [cluster.worker(), cluster.worker()]
    process = run(tmp_path, "--executor", "dask", "--scheduler", cluster.address)
    wait_for(lambda: len(rows_of(tmp_path)) >= 3 and all(map(ours_below, workers)))
    time.sleep(chance.random())
    victim = chance.choice(workers)
    ours = ours_below(victim)
    assert ours
    victim.send_signal(signal.SIGKILL)
    before = rows_of(tmp_path)
    wait_for(lambda: gone(ours), 15)  # and its worker of ours, with it
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    rows = rows_of(tmp_path)
    check_complete(rows, 40)
    assert rows[: len(before)] == before
    assert "is gone" in output
    for r in rows:
        assert r["host"] and r["machine_fingerprint"] and r["threads_effective"] == 1
    assert {r["n_workers"] for r in rows} == {1, 2}, "two beside each other on this machine, then one"
    manifest = json.loads((tmp_path / "r" / "run.json").read_text())
    assert set(manifest["machines"]) == {r["machine_fingerprint"] for r in rows}


@pytest.mark.slow
def test_interrupted_there_it_is_finished_here(tmp_path, cluster):
    suite(tmp_path)
    worker = cluster.worker()
    process = run(tmp_path, "--executor", "dask", "--scheduler", cluster.address)
    wait_for(lambda: len(rows_of(tmp_path)) >= 4)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in output, output
    before = rows_of(tmp_path)
    assert 0 < len(before) < 20
    wait_for(lambda: not ours_below(worker), 20)  # nothing of ours is left there
    process = run(tmp_path)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    rows = rows_of(tmp_path)
    assert rows[: len(before)] == before
    check_complete(rows, 20)


@pytest.mark.slow
def test_limits_hold_there_too_and_a_missing_file_is_named(tmp_path, cluster):
    cluster.worker()
    suite(tmp_path, folds=2, timeout_s=3, models=["own_models:spins", "own_models:dies", "gaussian_nb"])
    process = run(tmp_path, "--executor", "dask", "--scheduler", cluster.address)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 1, output
    status = {r["model"]: r["status"] for r in rows_of(tmp_path)}
    assert status == {"own_models:spins": "timeout", "own_models:dies": "failed", "gaussian_nb": "ok"}

    from bench.cluster import DaskExecutor
    from bench.errors import InputError
    from bench.runs import suite_context
    from bench.suite import Suite

    here = tmp_path / "here.csv"
    here.write_text("a,b,label\n" + "1,2,x\n2,3,y\n" * 20)
    context = suite_context(Suite(name="t", datasets=[str(here)], target="label", models=["lda"]))
    here.unlink()  # as it is on a machine that does not share our files
    with DaskExecutor(context, cluster.address) as executor, pytest.raises(InputError, match=r"here\.csv is not there.*share"):
        executor.check(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--executor", "dask"], "--scheduler"),
        (["--scheduler", "tcp://127.0.0.1:1"], "--executor dask"),
        (["--executor", "dusk", "--scheduler", "x"], "did you mean 'dask'"),
        (["--executor", "dask", "--scheduler", "tcp://127.0.0.1:1"], "no dask scheduler answers at 'tcp://127.0.0.1:1'"),
    ],
)
def test_bad_usage_is_said(tmp_path, monkeypatch, arguments, message):
    from bench import cluster as module
    from bench.errors import InputError

    suite(tmp_path)
    if len(arguments) == 4 and "dusk" not in arguments:
        monkeypatch.setattr(module, "CONNECT_S", 1.0)
        with pytest.raises(InputError, match=message), module.DaskExecutor({}, arguments[-1]):
            pass
        return
    process = run(tmp_path, *arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and message in output.replace("\n", " "), output
