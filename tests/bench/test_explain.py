"""The chain behind a row: every hash, who shares it, and which cell was meant; and tables that refuse to mix code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cell import Row
from bench.errors import InputError
from bench.explain.chain import explain
from bench.explain.naming import find
from bench.identity import CodeMismatch, changed_code, check_code
from bench.payback import calls_until, paybacks, sentences
from bench.store import read_run
from bench.tables import build_tables
from bench.verdict import judge

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "results" / "digits"  # rows of an older version, without any digest


def row(model="lda", fold=0, backend="sklearn", feature_set="raw", **more):
    hashes = {
        "y_sha256": "a" * 64, "split_sha256": f"{fold}" * 64, "x_train_sha256": f"{fold + 1}" * 64,
        "x_test_sha256": f"{fold + 2}" * 64, "features_digest": f"{fold + 3}" * 64, "model_digest": f"{len(model):x}" * 32,
    }  # fmt: skip
    values = {"accuracy": 0.9 + fold / 100, "n_train": 90, "n_test": 30, **hashes, **more}
    return Row("digits", feature_set, model, backend, 1, 0, fold, 0, **{"status": "ok", **values})


ROWS = [
    row(model, fold, backend, feature_set, kernels_digest=None if backend == "sklearn" else "c" * 64)
    for fold in range(3)
    for feature_set in ("raw", "pca")
    for model, backend in (("lda", "sklearn"), ("lda+tuned", "sklearn"), ("mlp_100", "cython"), ("mlp_100", "numba"))
]


# -- which cell


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("digits/raw/lda", ("raw", "lda", "sklearn", 0)),
        ("digits/raw/lda/sklearn/1/0/2", ("raw", "lda", "sklearn", 2)),
        ("lda raw", ("raw", "lda", "sklearn", 0)),
        ("raw lda 2", ("raw", "lda", "sklearn", 2)),
        ("raw lda fold=1", ("raw", "lda", "sklearn", 1)),
        ("LDA+ raw", ("raw", "lda+tuned", "sklearn", 0)),
        ("mlp/pca/numba/0/1", ("pca", "mlp_100", "numba", 1)),
        ("model=mlp backend=cy features=pca", ("pca", "mlp_100", "cython", 0)),
        ("100 is no fold", None),
        ("#1", ("raw", "lda", "sklearn", 0)),
        ("#24", ("pca", "mlp_100", "numba", 2)),
    ],
)
def test_a_cell_is_found_by_what_tells_it_from_the_others(text, expected):
    if expected is None:
        with pytest.raises(InputError):
            find(ROWS, text)
    else:
        found = find(ROWS, text)
        assert (found.feature_set, found.model, found.backend, found.fold) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mlp_100 raw", "any of 2 contestants; say more:\n  digits/raw/mlp_100/cython/1\n  digits/raw/mlp_100/numba/1"),
        ("raw ldda", "nothing in this run is called 'ldda'; did you mean 'lda'?"),
        ("raw lda fold=7", "no fold 7; there are 0, 1, 2"),
        ("raw lda fold=x", "fold must be a number, not 'x'"),
        ("mdoel=lda", "unknown key 'mdoel'; did you mean 'model'?"),
        ("lda numba", "no cell has 'numba' together with the rest of it"),
        ("#25", "#1 to #24"),
        ("#0", "#1 to #24"),
        ("1 2 3 4", "at most three numbers"),
        ("/", "digits/raw/lda/sklearn/fold=0"),
    ],
)
def test_what_is_not_found_is_answered_with_what_there_is(text, words):
    with pytest.raises(InputError) as error:
        find(ROWS, text)
    assert words in str(error.value)


def test_a_run_without_cells_says_so():
    with pytest.raises(InputError, match="no cells yet"):
        find([], "lda")


# -- the chain


def test_every_hash_of_the_chain_stands_there_in_full_and_in_order():
    mine = next(r for r in ROWS if r.backend == "numba" and r.fold == 1 and r.feature_set == "raw")
    text = explain(mine, ROWS, {"datasets": {"digits": {"n_samples": 120, "n_features": 64}}})
    keys = ("y", "split", "features", "x_train", "x_test", "model", "kernels")
    hashes = [getattr(mine, f"{key}_sha256", None) or getattr(mine, f"{key}_digest") for key in keys]
    order = [hashes[0], hashes[1], hashes[2], hashes[3], hashes[4], hashes[5], hashes[6]]
    places = [text.index(value) for value in order]
    assert places == sorted(places)
    assert "120 samples of 64 values" in text
    assert "the same in all 24 cells of this data set" in text
    assert "the same in all 8 cells of this fold" in text
    assert "the same in all 4 cells on raw of this fold" in text
    assert "the same in all 3 folds of this contestant" in text
    assert "the same in all 6 cells on numba" in text


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("y_sha256", "DIFFERENT in 23 of 24 cells of this data set"),
        ("split_sha256", "DIFFERENT in 7 of 8 cells of this fold"),
        ("x_train_sha256", "DIFFERENT in 3 of 4 cells on raw of this fold"),
        ("x_test_sha256", "DIFFERENT in 3 of 4 cells on raw of this fold"),
        ("model_digest", "DIFFERENT in 2 of 3 folds of this contestant"),
        ("kernels_digest", "DIFFERENT in 5 of 6 cells on cython"),
    ],
)
def test_a_link_that_others_do_not_share_is_seen(key, words):
    rows = [replace(r, **{key: "f" * 64}) if r is ROWS[2] else r for r in ROWS]
    assert words in explain(rows[2], rows)


LEDGER = {
    "time_import_s": 1.5, "time_warmup_s": 9.25, "time_jit_s": 8.75, "time_features_s": 0.25, "time_fit_s": 0.5,
    "cpu_fit_s": 0.45, "utc": "2026-11-20T12:00:00+00:00",
    "time_predict_s": 0.002, "time_predict_one_s": 0.000031, "time_overhead_s": 0.004, "energy_fit_j": 12.5,
    "peak_memory_bytes": 300 << 20, "peak_memory_above_data_bytes": 70 << 20, "cpus": [3], "position": 17, "n_workers": 2,
    "threads_before": {"openblas": 1, "openmp": 1}, "threads_after": {"openblas": 1, "openmp": 1, "numba": 1},
    "predict_batches": [{"batch": 10, "n": 200, "first_s": 0.0021, "p50_s": 0.00012, "p99_s": 0.00019, "samples_s": [1.0]}],
    "converged": False,
}  # fmt: skip


def test_the_ledger_tells_every_cost():
    text = explain(mine := row(**LEDGER), [mine])
    for words in (
        "1.5 s", "9.25 s", "8.75 s", "made in 250 ms", "500 ms   450 ms of processors   12.5 J", "31 µs", "4 ms", "300 MiB",
        "70.0 MiB", "above libraries and data", "pinned to processor 3", "after 17 other rows", "2 workers beside each other",
        "before: openblas 1, openmp 1", "after: numba 1, openblas 1, openmp 1", "stopped before it converged",
    ):  # fmt: skip
        assert words in text, words
    [line] = [line for line in text.splitlines() if line.split()[:2] == ["10", "200"]]
    assert line.split()[2:] == ["2.1", "ms", "120", "µs", "190", "µs"]


@pytest.mark.parametrize(("folder", "which"), [("digits", n) for n in (0, 1, 47, 450, 899)] + [("fashion", n) for n in (0, 7)])
def test_stored_rows_are_explained_in_80_columns(folder, which):
    """Those of Fashion-MNIST are of an older version."""
    run = read_run(ROOT / "results" / folder)
    text = explain(run.rows[which], run.rows, run.manifest)
    assert max(map(len, text.splitlines())) <= 80
    assert "not recorded" in text or folder == "digits"


def test_long_words_and_control_characters_stay_within_the_width():
    words = {"message": "bad\x1b[31m " * 40, "traceback": "line " * 60, "accuracy": None}
    mine = row("package.module:" + "x" * 90, status="failed", **words)
    text = explain(mine, [mine])
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_the_command_explains_and_refuses(tmp_path):
    def report(*arguments):
        command = [sys.executable, "-m", "bench", "report", DIGITS, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done = report("--explain", "svc_rbf raw fold=3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("cell      digits / raw / svc_rbf on sklearn, 1 thread, repeat 0, fold 3, seed 0")
    done = report("--explain", "svc_rfb")
    assert done.returncode == 2
    assert "did you mean 'svc_rbf'" in done.stderr


# -- tables refuse to mix code


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model_digest", r"mlp_100 on raw: model_digest differs: 7+ \(2 rows\), f+ \(1 row\)|f+ \(1 row\), 7+ \(2 rows\)"),
        ("kernels_digest", r"backend cython: kernels_digest differs"),
    ],
)
def test_a_table_does_not_rank_rows_of_two_versions(key, words):
    check_code(ROWS)
    rows = [replace(r, **{key: "f" * 64}) if r is ROWS[2] else r for r in ROWS]
    with pytest.raises(CodeMismatch, match=words):
        check_code(rows)
    [table] = build_tables(rows)
    assert table.ranked == []
    assert "rows made by different code stand in this table" in judge(table).headline
    [table] = build_tables(ROWS)
    assert table.mismatch is None and table.ranked


def test_different_models_and_backends_may_differ_and_rows_without_digest_are_named():
    old = [replace(r, model_digest=None, kernels_digest=None) if r.fold == 0 else r for r in ROWS]
    [table] = build_tables(old)
    assert table.mismatch is None
    assert any("Of 8 rows it is not known which code made them" in text for text in table.warnings)
    [table] = build_tables([replace(r, model_digest=None, kernels_digest=None) for r in ROWS])
    assert not any("which code" in text for text in table.warnings)


def test_what_code_changed_since_a_run_began_is_named():
    before = {"code_digests": {"models": "a", "features": "b"}, "packages": {"scikit-learn": "1.8.0", "numpy": "2.3"}}
    assert changed_code(before, before) == changed_code({}, before) == changed_code(before, {}) == []
    now = {"code_digests": {"models": "a", "features": "x"}, "packages": {"scikit-learn": "1.9.0", "numpy": "2.3"}}
    assert changed_code(before, now) == ["features", "scikit-learn"]


# -- what a JIT gains


@pytest.mark.parametrize(
    ("once", "per_call", "other", "floor", "expected"),
    [
        (10.0, 1.0, 2.0, None, 10),
        (10.0, 1.0, 4.0, None, 4),  # 3.33 calls: after the fourth
        (10.0, 2.0, 1.0, None, None),
        (10.0, 1.0, 1.0, None, None),
        (10.0, 1.0, 1.04, 1.05, None),  # within the noise
        (10.0, 1.0, 2.0, 1.05, 10),
        (0.0, 1.0, 2.0, None, 0),
    ],
)
def test_calls_until_a_compilation_has_paid(once, per_call, other, floor, expected):
    assert calls_until(once, per_call, other, floor) == expected
    if expected:
        assert expected * (other - per_call) >= once > (expected - 1) * (other - per_call)


def test_paybacks_compare_numba_with_every_other_backend_of_the_model():
    fit = {"numba": 0.1, "cython": 0.08, "reference": 0.6}
    rows = [
        row("mlp_100", fold, backend, time_fit_s=fit[backend], time_predict_s=fit[backend] / 100,
            time_jit_s=9.0 if backend == "numba" and fold == 0 else None)
        for backend in fit for fold in range(3)
    ]  # fmt: skip
    found = {p.other: p for p in paybacks(rows)}
    assert set(found) == {"cython", "reference"}
    assert found["cython"].n_fits is None and found["cython"].n_predictions is None
    assert found["reference"].n_fits == 18 and found["reference"].n_predictions == 1800
    [table] = build_tables(rows)
    [said] = [text for text in table.warnings if "reference" in text]
    assert "numba's compilation for mlp_100 on raw (9 s)" in said
    assert "after 18 fits, after 1,800 predictions" in said
    assert len(sentences(rows)) == 2
    assert sentences([replace(r, time_jit_s=None) for r in rows]) == [], "what was not measured is not said"


def test_rows_of_the_committed_runs_still_load_and_rank():
    for folder in sorted(p.parent for p in (ROOT / "results").glob("*/rows.jsonl")):
        run = read_run(folder)
        n_lines = len((folder / "rows.jsonl").read_bytes().splitlines())
        assert len(run.rows) == n_lines > 0
        assert all(table.mismatch is None for table in build_tables(run.rows, run.manifest))
        first = json.loads((folder / "rows.jsonl").read_bytes().splitlines()[0])
        assert {k: v for k, v in run.rows[0].to_dict().items() if k in first} == first
