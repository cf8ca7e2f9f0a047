"""``depthbench compare``: what counts as slower, on constructed results and on real ones."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from bench import predictions
from bench.cell import Row
from bench.cli import app
from bench.compare.measurements import read
from bench.compare.scores import group, on_same_samples, score_changes, time_changes
from bench.statistics import holm

ROOT = Path(__file__).parents[2]
HERE = {"cpu": "Zen 5", "cores": 2, "system": "linux", "isa": "v4"}
DIGITS = ROOT / "results" / "digits"


def depthbench(*arguments) -> SimpleNamespace:
    """Call the command in this process, which is quick, and answer as `subprocess.run` would."""
    done = CliRunner(env={"COLUMNS": "80"}).invoke(app, [*map(str, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


def benchmarks(folder: Path, name: str, medians: dict[str, float], *, noise: float = 1.02, spread: float = 0.01, machine=HERE):
    """Write a result like those of `depthbench kernels`, one benchmark per backend."""
    listed = [
        {
            "fullname": backend,
            "stats": {"median": m, "q1": m * (1 - spread), "q3": m * (1 + spread)},
            "extra_info": {
                "kernel": "gemm", "case": "square", "dtype": "float32", "threads": 1, "backend": backend, "aa_ratio": noise,
            },
        }
        for backend, m in medians.items()
    ]  # fmt: skip
    path = folder / name
    path.write_text(json.dumps({"benchmarks": listed, "depthbench": machine}))
    return path


SAME = {"cython": 1.0, "reference": 10.0}


@pytest.mark.parametrize(
    ("a", "b", "options", "code", "says"),
    [
        ({}, {}, (), 0, "0 of 2 timings got slower"),
        ({}, {"medians": {"cython": 1.2, "reference": 10.0}}, (), 1, "slower"),
        ({}, {"medians": {"cython": 0.8, "reference": 10.0}}, (), 0, "1 faster"),
        ({}, {"medians": {"cython": 1.2, "reference": 10.0}, "noise": 1.3}, (), 0, "30.0 %"),
        ({"noise": 0.7}, {"medians": {"cython": 1.2, "reference": 10.0}}, (), 0, "0 of 2 timings got slower"),
        ({}, {"medians": {"cython": 1.2, "reference": 10.0}, "spread": 0.2}, (), 0, "0 of 2 timings got slower"),
        ({}, {"medians": {"cython": 1.04, "reference": 10.0}}, (), 0, "5.0 %"),
        ({}, {"medians": {"cython": 1.04, "reference": 10.0}}, ("--threshold", 0.01), 1, "slower"),
        ({}, {"medians": {"cython": 1.2, "reference": 12.5}}, (), 0, "unchanged code"),
        ({}, {"machine": {**HERE, "cpu": "Zen 4"}}, (), 2, "--relative-to"),
        ({}, {"machine": {**HERE, "isa": "v3"}}, (), 2, "isa: 'v4' and 'v3'"),
        (
            {}, {"machine": {**HERE, "cpu": "Zen 4"}, "medians": {"cython": 2.0, "reference": 20.0}},
            ("--relative-to", "gemm square float32 reference 1t"), 0, "0 of 2 timings got slower",
        ),
        (
            {}, {"machine": {**HERE, "cpu": "Zen 4"}, "medians": {"cython": 3.0, "reference": 20.0}},
            ("--relative-to", "gemm square float32 reference"), 1, "slower",
        ),
        ({}, {}, ("--relative-to", "gem square"), 2, "Known: gemm square"),
        ({}, {"medians": {"numba": 1.0}}, (), 2, "no benchmark in common"),
        ({}, {"medians": {"cython": 1.0, "numba": 1.0}}, (), 0, "only in B: gemm square float32 numba 1t"),
        ({}, {}, ("--format", "yaml"), 2, "Known: table, md, json"),
    ],
)  # fmt: skip
def test_what_counts_as_slower(tmp_path, a, b, options, code, says):
    first = benchmarks(tmp_path, "a.json", **{"medians": SAME, **a})
    second = benchmarks(tmp_path, "b.json", **{"medians": SAME, **b})
    done = depthbench("compare", first, second, *options)
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, text
    assert says in text
    assert "Traceback" not in text
    assert max(map(len, done.stdout.splitlines()), default=0) <= 80


@pytest.mark.parametrize("format", ["md", "json"])
def test_formats(tmp_path, format):
    slower = benchmarks(tmp_path, "b.json", {"cython": 2.0, "reference": 10.0})
    done = depthbench("compare", benchmarks(tmp_path, "a.json", SAME), slower, "--format", format)
    assert done.returncode == 1
    if format == "json":
        found = json.loads(done.stdout)
        assert [c["verdict"] for c in found["times"]] == ["slower", "same"]
        assert found["times"][0]["ratio"] == 2.0
    else:
        assert "| gemm square float32 cython 1t | 1.00 s | 2.00 s | +100.0 % | slower |" in done.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "cut off"), ("[]", "neither"), ('{"benchmarks": [{}]}', "lacks"), ('{"kind": "step"}', "lacks")],
)
def test_files_that_are_no_results(tmp_path, text, says):
    path = tmp_path / "x.json"
    path.write_text(text)
    done = depthbench("compare", path, path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_result_and_unlike_kinds(tmp_path):
    assert depthbench("compare", "nowhere", "nowhere").returncode == 2
    done = depthbench("compare", DIGITS, benchmarks(tmp_path, "a.json", SAME))
    assert done.returncode == 2
    assert "kind run" in done.stderr


def test_profiles_are_compared_call_by_call(tmp_path):
    values = json.loads((ROOT / "results" / "kernels" / "lenet5.json").read_text())
    for name, factor in (("a", 1.0), ("b", 1.5)):
        values["calls"][2]["time_s"] *= factor
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    done = depthbench("compare", tmp_path / "a.json", tmp_path / "b.json", "--format", "json")
    assert done.returncode == 1
    slower = [c for c in json.loads(done.stdout)["times"] if c["verdict"] == "slower"]
    assert [round(c["ratio"], 6) for c in slower] == [1.5]


def run_copy(folder: Path, change, environment=None) -> Path:
    """Copy the stored run with its rows changed."""
    folder.mkdir()
    manifest = json.loads((DIGITS / "run.json").read_text())
    manifest["environment"].update(environment or {})
    (folder / "run.json").write_text(json.dumps(manifest))
    rows = [json.loads(line) for line in (DIGITS / "rows.jsonl").read_text().splitlines()]
    (folder / "rows.jsonl").write_text("".join(json.dumps(change(dict(row))) + "\n" for row in rows))
    return folder


def _lda_loses_five_points(row):
    if row["model"] == "lda" and row["status"] == "ok":
        row["accuracy"] -= 0.05 + 0.001 * row["fold"]
    return row


def _knn_takes_twice_as_long(row):
    if row["model"].startswith("knn") and row["status"] == "ok":
        row["time_fit_s"] *= 2.0
    return row


@pytest.mark.parametrize(
    ("change", "environment", "code", "kind", "model"),
    [
        (lambda row: row, {}, 0, None, None),
        (_lda_loses_five_points, {}, 1, "scores", "lda"),
        (_knn_takes_twice_as_long, {}, 1, "times", "knn"),
        (_knn_takes_twice_as_long, {"cpu": "another"}, 0, None, None),
        (_knn_takes_twice_as_long, {"fingerprint": "another"}, 0, None, None),
    ],
)
def test_runs(tmp_path, change, environment, code, kind, model):
    done = depthbench("compare", DIGITS, run_copy(tmp_path / "b", change, environment), "--format", "json")
    assert done.returncode == code, done.stderr
    found = json.loads(done.stdout)
    worse = [c["name"] for c in found["scores"] + found["times"] if c["verdict"] in ("worse", "slower")]
    assert bool(worse) == (code == 1)
    assert all(model in name for name in worse)
    if kind == "scores":
        assert len(worse) == 5, "one for each feature set"
    assert bool(found["times"]) == (not environment)


def _svm_now_fails(row):
    if row["model"] == "svc_rbf" and row["feature_set"] == "raw" and row["fold"] < 3:
        row = {k: v for k, v in row.items() if k != "accuracy"} | {"status": "failed", "message": "ValueError: gamma"}
    return row


def test_what_fails_now_got_worse(tmp_path):
    done = depthbench("compare", DIGITS, run_copy(tmp_path / "b", _svm_now_fails), "--format", "json")
    assert done.returncode == 1, done.stderr
    [lost] = json.loads(done.stdout)["statuses"]
    assert (lost["name"], lost["before"], lost["after"]) == ("digits raw svc_rbf sklearn 1t", 10, 4)
    assert "ValueError: gamma" in lost["message"]


def _other_samples(row):
    return row | ({"split_sha256": "other"} if row["status"] == "ok" else {})


def test_other_samples_are_not_compared(tmp_path):
    done = depthbench("compare", DIGITS, run_copy(tmp_path / "b", _other_samples))
    assert done.returncode == 2
    assert "other samples" in done.stderr


def _all_half_as_fast(row):
    if row["status"] == "ok":
        row["time_fit_s"] *= 2.0 if row["model"] != "knn" else 4.0
        row["time_predict_s"] *= 2.0
    return row


def test_two_machines_are_compared_relative_to_a_model(tmp_path):
    other = run_copy(tmp_path / "b", _all_half_as_fast, {"cpu": "another"})
    refused = depthbench("compare", DIGITS, other, "--format", "json")
    assert json.loads(refused.stdout)["times"] == []
    assert "--relative-to" in " ".join(json.loads(refused.stdout)["notes"])
    done = depthbench("compare", DIGITS, other, "--relative-to", "lda", "--format", "json")
    assert done.returncode == 1
    slower = [c["name"] for c in json.loads(done.stdout)["times"] if c["verdict"] == "slower"]
    assert len(slower) == 5 and all(" knn " in name and name.endswith("fit") for name in slower)
    unknown = depthbench("compare", DIGITS, other, "--relative-to", "ldaa")
    assert unknown.returncode == 2 and "did you mean 'lda'" in unknown.stderr


def one_split(right, **facts):
    y_test = np.arange(len(right)) % 10
    packed = predictions.pack(np.where(right, y_test, (y_test + 1) % 10), y_test, 10)
    kept = {"predictions": packed, "n_classes": 10} | facts
    return Row(
        "d", "raw", "lda", "sklearn", 1, 0, 0, 0, "ok", accuracy=float(np.mean(right)), n_train=900, n_test=len(right),
        y_sha256="y", split_sha256="s", **kept,
    )  # fmt: skip


@pytest.mark.parametrize(("lost", "verdict"), [(0, "same"), (4, "same"), (40, "worse")])
def test_one_split_is_compared_by_its_samples(lost, verdict):
    right = np.arange(1000) < 900
    now = right.copy()
    now[:lost] = False
    pairs, other = on_same_samples(group([one_split(right)]), group([one_split(now)]))
    [found] = score_changes(pairs)
    assert (found.verdict, found.n_predictions, found.n_differ, other) == (verdict, 1000, lost, [])


def test_a_noise_floor_hides_what_is_below_it():
    def row(fold, seconds):
        return Row("d", "raw", "lda", "sklearn", 1, 0, fold, 0, "ok", time_fit_s=seconds)

    folds = [(row(k, 1.0), row(k, 1.4 + k / 100)) for k in range(10)]
    for floors, verdict in (((None, None), "slower"), ((1.1, 1.6), "same")):
        [found] = time_changes({"d raw lda": folds}, 0.05, floors=floors)
        assert found.verdict == verdict
    little = [(row(k, 1.0), row(k, 1.15 + k / 1000)) for k in range(10)]
    for floors, verdict in (((1.1, 1.02), "slower"), ((1.1, 1.2), "same"), ((1.1, None), "same"), ((), "same")):
        [found] = time_changes({"d raw lda": little}, 0.05, floors=floors)
        assert found.verdict == verdict, floors


def test_the_stored_result_can_be_read():
    found = read(str(ROOT / "results" / "kernels"))
    assert found.kind == "kernels"
    assert found.noise > 1
    assert found.timings


def test_holm_is_monotone_and_not_below_the_raw_values():
    raw = [0.04, 0.01, 0.03, 0.005]
    adjusted = holm(raw)
    assert [round(p, 4) for p in adjusted] == [0.06, 0.03, 0.06, 0.02]
    assert all(a >= r for a, r in zip(adjusted, raw, strict=True))
