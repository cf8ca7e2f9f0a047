"""Tuning as it is run: in workers, with models that hang, die or raise in the middle of a search, and resumed ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.report.shell import block_of
from bench.tuning.trials import FILE, read

ROOT = Path(__file__).parents[3]
OWN_MODELS = Path(__file__).parents[1]


def environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(OWN_MODELS), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "COLUMNS": "80"}


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "bench", *map(str, arguments)]


def depthbench(*arguments, cwd):
    return subprocess.run(command(*arguments), cwd=cwd, env=environment(), capture_output=True, text=True, timeout=240)


def suite(folder: Path, **keys) -> Path:
    values = {"name": "t", "datasets": ["breast_cancer"], "features": ["raw"], "folds": 2, "timeout_s": 30, **keys}
    path = folder / "t.toml"
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))
    return path


def only_run(folder: Path) -> Path:
    [run] = [p for p in folder.iterdir() if (p / "run.json").exists()]
    return run


def rows_of(run: Path) -> dict[tuple[str, int], dict]:
    rows = [json.loads(line) for line in (run / "rows.jsonl").read_text().splitlines()]
    return {(r["model"].removeprefix("own_models:"), r["fold"]): r for r in rows}


def trials_of(run: Path, model: str, fold: int) -> list[dict]:
    return next(found for key, found in read(run).items() if key[2].endswith(model) and key[6] == fold)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """One run that tunes models which misbehave, a pipeline, a bare one, ours and those with nothing to tune."""
    folder = tmp_path_factory.mktemp("zoo")
    own = "choosy hopeless scaled_svc bare misspelt fine".split()
    models = ["dummy", "lda", "mlp_100", *(f"own_models:{name}" for name in own)]
    path = suite(folder, models=models, tune=6, timeout_s=4, backends=["reference"])
    done = depthbench("run", path, "-o", "runs", cwd=folder)
    run = only_run(folder / "runs")
    return done, run, rows_of(run)


def test_a_tuned_cell_stands_beside_each_model_that_has_a_space(zoo):
    _, _, rows = zoo
    models = {model for model, _ in rows}
    tuned = {model.removesuffix("+tuned") for model in models if model.endswith("+tuned")}
    assert models - {f"{model}+tuned" for model in tuned} - tuned == {"dummy", "fine"}
    assert tuned == {"lda", "mlp_100", "choosy", "hopeless", "scaled_svc", "bare", "misspelt"}


@pytest.mark.parametrize("model", ["lda", "mlp_100", "scaled_svc", "bare", "choosy"])
def test_a_row_says_what_was_chosen_and_what_it_took(zoo, model):
    _, run, rows = zoo
    for fold in (0, 1):
        row, trials = rows[f"{model}+tuned", fold], trials_of(run, f"{model}+tuned", fold)
        assert row["status"] == "ok", row.get("message")
        assert row["n_trials"] == len(trials)
        assert row["n_configurations"] == len({t["configuration"] for t in trials}) <= 6
        assert row["tuned_params"] in [t["params"] for t in trials]
        cost = sum(t[name] for t in trials for name in ("time_fit_s", "time_predict_s") if name in t)
        assert row["time_tune_s"] == pytest.approx(cost)
        assert row["x_train_sha256"] == rows["dummy", fold]["x_train_sha256"], "the same matrix as every other model"


def test_what_raises_hangs_or_dies_in_a_trial_costs_that_trial_alone(zoo):
    _, run, rows = zoo
    for fold in (0, 1):
        trials = trials_of(run, "choosy+tuned", fold)
        statuses = {t["params"]["how"]: (t["status"], t.get("message", "")) for t in trials if t["inner_fold"] == 0}
        assert statuses["fine"] == statuses["good"] == ("ok", "")
        assert statuses["raises"] == ("failed", "ValueError: not so")
        assert statuses["spins"] == ("timeout", "killed in tuning after the limit of 4 s")
        assert statuses["dies"][0] == "failed" and "ended with code 7 during tuning" in statuses["dies"][1]
        places = [(t["configuration"], t["inner_fold"]) for t in trials]
        assert len(places) == len(set(places)), "nothing was fitted twice"
        row = rows["choosy+tuned", fold]
        assert row["tuned_params"] == {"how": "good"}
        assert row["accuracy"] > rows["choosy", fold]["accuracy"]
        assert row["time_tune_s"] > 4, "what hung has its seconds counted"


def test_where_nothing_can_be_fitted_the_row_says_so(zoo):
    _, run, rows = zoo
    row = rows["hopeless+tuned", 0]
    assert (row["status"], row["message"]) == ("failed", "ValueError: not so")
    assert row["tuned_params"] == {"how": "raises"}
    assert {t["status"] for t in trials_of(run, "hopeless+tuned", 0)} == {"failed"}


def test_a_parameter_that_nobody_takes_is_named(zoo):
    _, _, rows = zoo
    row = rows["misspelt+tuned", 0]
    assert row["status"] == "failed" and "'svc__gama'" in row["message"] and "svc__gamma" in row["message"]


def test_a_pipeline_is_tuned_by_its_steps(zoo):
    _, run, rows = zoo
    params = [t["params"] for t in trials_of(run, "scaled_svc+tuned", 0)]
    assert params[0] == {"svc__C": 1.0, "svc__kernel": "rbf"}
    assert len({p["svc__C"] for p in params}) == 6
    assert rows["scaled_svc+tuned", 0]["accuracy"] > 0.9


def test_the_report_shows_default_and_tuned_side_by_side(zoo):
    done, run, _ = zoo
    text = (run / "table.md").read_text()
    assert "### Tuning" in text and "Each search was given 6 configurations" in text
    assert "No search space: dummy, own_models:fine." in text
    assert "tuned \N{MINUS SIGN} default" in done.stdout
    page = (run / "report.html").read_text()
    tried = json.dumps(block_of(page, "cells-0"))
    assert "What was tried" in page and "killed in tuning after the limit of 4 s" in tried


def test_two_models_of_one_space_draw_the_same(tmp_path):
    models = ["mlp_100+tuned", "sklearn_mlp_100+tuned"]
    done = depthbench("run", suite(tmp_path, models=models, tune=5, datasets=["iris"]), "-o", "runs", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(tmp_path / "runs")
    ours, theirs = ([t["params"] for t in trials_of(run, model, 1) if t["rung"] == 0] for model in models)
    assert ours == theirs and len(ours) == 5
    assert {model for model, _ in rows_of(run)} == set(models), "a suite that names the tuned ones gets these alone"


def test_seconds_for_every_model(tmp_path):
    arguments = ("-m", "gaussian_nb,own_models:slow_to_tune", "--tune-seconds", 3, "-o", "runs")
    done = depthbench("run", suite(tmp_path, models=["lda"]), *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = rows_of(only_run(tmp_path / "runs"))
    for fold in (0, 1):
        slow, fast = rows["slow_to_tune+tuned", fold], rows["gaussian_nb+tuned", fold]
        assert fast["n_configurations"] > slow["n_configurations"] >= 2
        assert all(row["time_tune_s"] >= 1 for row in (slow, fast))


def test_an_interrupted_search_keeps_its_trials_and_goes_on(tmp_path):
    path = suite(tmp_path, models=["own_models:slow_to_tune+tuned"], tune=12)
    process = subprocess.Popen(
        command("run", path, "-o", "runs"), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        end = time.monotonic() + 60
        while not any(len(p.read_bytes().splitlines()) >= 6 for p in (tmp_path / "runs").glob(f"*/{FILE}")):
            assert time.monotonic() < end, "no trial was written"
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    run = only_run(tmp_path / "runs")
    before = (run / FILE).read_bytes()
    assert before.count(b"\n") >= 6 and rows_of(run) == {}
    with open(run / FILE, "ab") as f:
        f.write(b'{"dataset": "breast_can')  # the power went in the middle of a line
    done = depthbench("run", "--resume", run, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (run / FILE).read_bytes().startswith(before)
    for fold in (0, 1):
        row, trials = rows_of(run)["slow_to_tune+tuned", fold], trials_of(run, "slow_to_tune+tuned", fold)
        places = [(t["configuration"], t["inner_fold"]) for t in trials]
        assert len(places) == len(set(places)) == row["n_trials"] == 12 + 6 + 2 * 3, "nothing was fitted again"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "digits", "--tune", "1"], "tune"),
        (["run", "digits", "--tune-seconds", "0"], "tune_s"),
        (["run", "digits", "-m", "lda+tuned"], "'lda+tuned' needs a budget"),
        (["run", "digits", "-m", "lda+tune"], "unknown model 'lda+tune'; did you mean 'lda"),
        (["run", "digits", "-m", "own_models:no_space", "--tune", "4"], "search space of model 'own_models:no_space'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_answered(tmp_path, arguments, message):
    done = depthbench(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in (done.stdout + done.stderr).replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_the_plan_says_what_would_be_tuned(tmp_path):
    arguments = ("run", "digits", "-m", "dummy,lda", "-f", "raw", "--folds", 2, "--repeats", 1, "--tune", 4, "--dry-run")
    lines = depthbench(*arguments, cwd=tmp_path).stdout.splitlines()
    assert [line.split()[2] for line in lines[:3]] == ["dummy", "lda", "lda+tuned"]


def test_a_suite_says_what_searches_judge_by(tmp_path):
    """In the trials, and in words where the report tells of the budget."""
    path = suite(tmp_path, models=["lda"], tune=2, tune_metric="balanced_accuracy")
    done = depthbench("run", path, "-o", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    assert {t["metric"] for fold in (0, 1) for t in trials_of(run, "lda+tuned", fold)} == {"balanced_accuracy"}
    assert "judged classifiers by balanced accuracy" in (run / "table.md").read_text()
