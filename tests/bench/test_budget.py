"""Plans: how long they should take and why, and what fits into a budget.

The code was broken once in each of these ways, and a test was red each time: a fold taken that does not fit, its
seconds not taken off, the search ended at the first that does not fit, single cells never taken, or of a data set
that has a whole fold, or the longest first; start, shared features, workers or the machine's speed not counted; the
run going beyond the choice, nothing said of it, finished cells planned again, nothing learned, the deadline passed
over; a dry run that runs, or heeds neither budget nor rows.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench import budget, costs, planning, runs, store
from bench.budget import choose, duration, parse_duration
from bench.cell import Cell, Row
from bench.cli import app
from bench.errors import InputError
from bench.estimates import GUESSED, MEASURED, MODELLED, Estimates
from bench.history import History, Observed
from bench.plan import DatasetInfo, OwnModel, plan
from bench.suite import Suite
from bench.tables import build_tables
from models import catalog

DIGITS = {"digits": DatasetInfo("classification", 1797, 64, (8, 8, 1))}


def cells_of(**datasets: int) -> list[Cell]:
    """So many folds of each data set, two models each."""
    return [
        Cell(name, "raw", model, "sklearn", 1, 0, fold, 0)
        for name, n in datasets.items()
        for fold in range(n)
        for model in ("lda", "qda")
    ]


@pytest.mark.parametrize("text", ["", "soon", "30 parsecs", "-5min", "0", "min", "5min and a bit", "1e9", "nan"])
def test_what_is_no_time_is_said(text):
    with pytest.raises(InputError, match="30min"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("left", "taken"),
    [
        # seconds: a cell of `small` takes 1, of `large` 10
        (1000, {("large", 0), ("large", 1), ("small", 0), ("small", 1)}),
        (44, {("large", 0), ("large", 1), ("small", 0), ("small", 1)}),
        (43.9, {("large", 0), ("large", 1), ("small", 0)}),
        (30, {("large", 0), ("small", 0), ("small", 1)}),  # passed over for a smaller one
        (19, {("large", 0), ("small", 0), ("small", 1)}),  # not one fold of `large` fits: a cell of its first
        (3, {("small", 0)}),
        (0.5, set()),
    ],
)
def test_whole_folds_first_and_never_more_than_fits(left, taken):
    cells = cells_of(large=2, small=2)
    seconds = {c: 10.0 if c.dataset == "large" else 1.0 for c in cells}
    choice = choose(cells, seconds, left)
    assert {(c.dataset, c.fold) for c in choice.taken} == taken
    assert sum(seconds[c] for c in choice.taken) <= left
    assert [*choice.taken, *choice.left_out] == sorted(cells, key=lambda c: c in choice.left_out)
    if left >= 22:
        assert all((replace(c, model="qda") in choice.taken) == (replace(c, model="lda") in choice.taken) for c in cells)


@pytest.mark.parametrize(("left", "taken"), [(5, {"lda"}), (10.5, {"lda"}), (11, {"lda", "qda"})])
def test_of_a_fold_that_does_not_fit_the_shortest_cells_come_first(left, taken):
    cells = cells_of(large=2)
    choice = choose(cells, {c: 1.0 if c.model == "lda" else 10.0 for c in cells}, left)
    assert {c.model for c in choice.taken} == taken and {c.fold for c in choice.taken} == {0}


def test_the_start_counts_and_features_are_shared(monkeypatch):
    suite = Suite(name="s", datasets=["digits"], features=["raw", "hog"], models=["lda", "svc_rbf"], folds=5)
    here = Estimates(suite, DIGITS, History({}), speed=1.0)
    monkeypatch.setattr(Estimates, "here", classmethod(lambda cls, *arguments: here))
    whole = planning.make(suite, DIGITS, {}).time
    assert whole.start_s > 0 and sum(whole.features.values()) > 0
    assert not planning.make(suite, DIGITS, {}, budget_s=whole.seconds + 1e-6).choice.left_out
    assert planning.make(suite, DIGITS, {}, budget_s=whole.seconds - whole.start_s / 2).choice.left_out
    two = here.of_plan(plan(suite, {}), n_workers=2)
    assert two.seconds - two.start_s == pytest.approx((whole.seconds - whole.start_s) / 2)
    assert sum(two.with_shares().values()) == pytest.approx(two.seconds - two.start_s)


def test_a_dry_run_runs_nothing_and_says_what_would_be(tmp_path, monkeypatch):
    monkeypatch.setenv("DEPTHBENCH_CACHE", str(tmp_path / "cache"))

    def said(*arguments):
        what = ["run", "digits", "-d", "iris", "-m", "lda,dummy", "-f", "raw", "--folds", "3", "--repeats", "1"]
        done = CliRunner().invoke(app, [*what, "-o", str(tmp_path), *arguments])
        assert done.exit_code in (0, 3), done.output
        return done.output

    text = said("--dry-run")
    assert "6 cells: 6 to run in about" in text and text.count("fold=") == 6
    assert not list(tmp_path.glob("*/run.json"))
    assert "6 left out" in said("--dry-run", "--budget", "0.01s")
    suite = Suite(name="digits", datasets=["iris"], models=["lda", "dummy"], folds=3)
    with store.Writer(tmp_path / "r", {"run_id": "r", "suite": suite.model_dump(mode="json")}) as writer:
        for cell in plan(suite, {})[:4]:
            writer.append(Row(*cell.identity, status="ok"))
    text = said("--resume", "r", "--dry-run")
    assert "6 cells: 2 to run" in text and "4 done" in text
    assert len(store.read_run(tmp_path / "r").rows) == 4


def test_what_is_left_out_is_counted_in_folds_and_cells():
    cells = cells_of(iris=3)
    out = budget.left_out(cells[:3], cells[3:])
    assert out == {"iris": {"cells": 3, "folds": 1, "folds_in_part": 1}}
    assert budget.words(out, "iris") == "1 fold and 1 fold in part (3 cells) of iris"
    assert budget.words(out, "wine") == ""


def test_an_estimate_says_what_it_rests_on():
    suite = Suite(name="s", datasets=["digits"], models=["lda", "svc_rbf", "my.module:make"], folds=10)
    cells = plan(suite, {"my.module:make": OwnModel("classical", False)})
    observed = Observed(suite)
    for fold in range(5):
        like = Row("digits", "raw", "lda", "sklearn", 1, 0, fold, 0, "ok", n_train=1600)
        observed.add(replace(like, time_cell_s=9.0 if fold == 0 else float(fold), time_features_s=4.0))
    history = History({})
    history.learn(observed, start_s=11.0)
    estimates = Estimates(suite, DIGITS, history, speed=2.0)
    found = {(c.model, c.fold): estimates.cell(c) for c in cells}
    assert (found["lda", 0].seconds, found["lda", 0].source) == (9.0, MEASURED)
    assert (found["lda", 7].seconds, found["lda", 7].source) == (2.5, MEASURED)
    assert found["svc_rbf", 7].source == MODELLED and found["my.module:make", 7].source == GUESSED
    svc = next(c for c in cells if (c.model, c.fold) == ("svc_rbf", 1))
    twice = Estimates(suite, DIGITS, history, speed=4.0).cell(svc).seconds
    assert twice == pytest.approx(2 * found["svc_rbf", 1].seconds), "a machine half as fast"
    time = estimates.of_plan(cells)
    assert time.start_s >= 11.0 and time.sources == {MEASURED: 10, MODELLED: 10, GUESSED: 10}
    shares = time.with_shares()
    assert sum(shares.values()) + time.start_s == pytest.approx(time.seconds)
    assert time.features == dict.fromkeys(time.features, 4.0) and len(time.features) == 10
    # a training fold of another size is another thing
    small = Estimates(suite.model_copy(update={"folds": 2}), DIGITS, history, speed=2.0)
    assert small.cell(cells[3]).source == MODELLED


def test_a_network_takes_what_its_operations_take():
    """By hand: lenet5 on 28x28x1 does 0.85 million operations a sample forwards, three times that in training, in 20 epochs."""
    forward = 2 * (784 * 25 * 6 + 100 * 150 * 16 + 400 * 120 + 120 * 84 + 84 * 10)
    of = partial(costs.seconds, "lenet5", 60_000, 784, (28, 28, 1), 10)
    on_cifar = [costs.seconds(model, 50_000, 3072, (32, 32, 3), 10) for model in ("lenet5", "resnet20")]
    assert of() == pytest.approx(3 * forward * 20 * 60_000 / costs.TRAINING_FLOPS_PER_S, rel=0.02)
    assert costs.seconds("lenet5", 30_000, 784, (28, 28, 1), 10) == pytest.approx(of() / 2)
    assert on_cifar[1] > 10 * on_cifar[0]


def test_the_cost_model_knows_every_network_of_the_catalog():
    for model in (m for m in catalog.MODELS if m.accepts == "image"):
        assert costs.seconds(model.name, 1438, 3072, (32, 32, 3), 10) is not None, model.name
    assert costs.seconds("lenet5", 1438, 64, None, 10) is None, "no images"
    assert costs.seconds("lenet5", 1438, 64, (8, 8, 1), 10) is None, "images that it does not take"
    assert costs.seconds("my.module:make", 1438, 64, (8, 8, 1), 10) is None


@pytest.mark.parametrize("content", [b"", b"[]", b'{"version": 9}', b"\x00", b'{"version": 1, "x": 3}', b"[" * 5000])
def test_a_history_that_cannot_be_read_is_none(tmp_path, monkeypatch, content):
    monkeypatch.setenv("DEPTHBENCH_CACHE", str(tmp_path))
    (tmp_path / "history.json").write_bytes(content)
    assert History.of_this_machine().values == {}
    history = History({})
    history.learn(Observed(), start_s=3.0)
    history.save("x")
    assert json.loads((tmp_path / "history.json").read_text())["x"] == {"start": {"rest_s": 3.0}}


def test_a_plan_of_many_cells_is_read_at_a_glance():
    suite = Suite(name="s", datasets=["digits"], features=["raw", "hog"], models=["lda", "conv16_32"], repeats=5)
    planned = planning.make(suite, DIGITS, {}, budget_s=40.0)
    out = io.StringIO()
    planning.show(planned, suite, Console(file=out, width=80), list_cells=False)
    text = out.getvalue()
    assert len(text.splitlines()) < 15 and max(map(len, text.splitlines()[:3])) <= 80
    assert "100 cells: " in text and "25 skipped" in text and "does not keep the image" in text
    planning.show(planned, suite, Console(file=(out := io.StringIO()), width=80), list_cells=True)
    assert len(out.getvalue().splitlines()) > 100


def test_a_budget_is_kept_said_and_gone_beyond_by_resume(tmp_path, monkeypatch):
    """Really run: the plan believes that a cell takes 100 s, so one of three folds fits; the rest is run afterwards."""
    monkeypatch.setenv("DEPTHBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DEPTHBENCH_NOISE_S", "0")
    suite = Suite(name="s", datasets=["iris"], models=["lda", "dummy"], folds=3)
    observed = Observed()
    for model in suite.models:
        for fold in (0, 1):
            observed.add(Row("iris", "raw", model, "sklearn", 1, 0, fold, 0, "ok", n_train=100, time_cell_s=100.0))
    history = History({})
    history.learn(observed, start_s=1.0)
    monkeypatch.setattr(History, "of_this_machine", classmethod(lambda cls: history))
    target, out = runs.Target("r", tmp_path / "r"), io.StringIO()
    console = Console(file=out, width=80)
    assert runs.run(suite, target, console, [], report=False, how=runs.How(budget_s=310.0)) == runs.DONE
    run = store.read_run(tmp_path / "r")
    assert [(r.model, r.fold) for r in run.rows] == [("lda", 0), ("dummy", 0)]
    assert run.manifest["budget"]["n_left_out"] == 4
    assert "2 folds (4 cells) of iris" in out.getvalue() and "--resume" in out.getvalue()
    [table] = build_tables(run.rows, run.manifest)
    assert any("Left out for want of time (budget 5.2 min): 2 folds (4 cells) of iris" in w for w in table.warnings)
    assert all(r.time_cell_s > 0 and r.host and r.machine_fingerprint for r in run.rows)
    assert runs.run(suite, target, console, [], report=False) == runs.DONE
    run = store.read_run(tmp_path / "r")
    assert len(run.rows) == 6 and run.manifest["budget"] is None
    assert build_tables(run.rows, run.manifest)[0].warnings == build_tables(run.rows)[0].warnings
    assert history.cell_s(plan(suite, {})[0], 100, suite) < 50, "what the cells really took has been learned"
    assert json.loads((tmp_path / "cache" / "history.json").read_text())["version"] == 1


def test_times_of_two_machines_do_not_mix():
    rows = [
        Row("iris", "raw", m, "sklearn", 1, 0, fold, 0, "ok", accuracy=0.9, time_fit_s=seconds, machine_fingerprint=machine)
        for m in ("lda", "qda")
        for fold, (machine, seconds) in enumerate([("slow", 99.0), ("fast", 1.0), ("fast", 2.0), ("fast", 3.0), ("slow", 80.0)])
    ]
    rows += [replace(rows[0], model="only_there", fold=0)]
    [table] = build_tables(rows, {"machines": {"fast": {"cpu": "A fast CPU"}}})
    times = {s.model: s.times.get("time_fit_s") for s in table.cells.values()}
    assert times == {"lda": 2.0, "qda": 2.0, "only_there": None}
    assert {s.model: s.n for s in table.cells.values()} == {"lda": 5, "qda": 5, "only_there": 1}, "scores count from all"
    assert any("2 kinds of machines" in w and "6 of 11 cells that ran on A fast CPU" in w for w in table.warnings)
    [alone] = build_tables([replace(r, machine_fingerprint="slow") for r in rows])
    assert not any("machines" in w for w in alone.warnings)


def test_durations_are_two_digits():
    assert [duration(s) for s in (0.5, 59.6, 89, 90, 3599, 3600, 86400, 864000)] == [
        "< 1 s", "60 s", "89 s", "1.5 min", "60 min", "1 h", "24 h", "10 d",
    ]  # fmt: skip


def test_the_deadline_holds_when_the_plan_was_wrong():
    """No cell is dealt after it, and what is left stays without a row."""
    import time

    from bench.executors import LocalExecutor

    executor = LocalExecutor({}, Path(os.devnull))
    executor.deadline = time.monotonic() - 1
    assert list(executor.run(cells_of(iris=2))) == []
