"""Tables: what is ranked, what is refused, and that every missing score has its reason."""

from dataclasses import replace

import pytest

from bench.cell import Row
from bench.tables import DATA_HASHES, HashMismatch, build_tables, check_hashes

FOLDS = 5


def row(model="lda", feature_set="raw", fold=0, accuracy=0.9, **changes):
    values = dict(
        dataset="d", feature_set=feature_set, model=model, backend="sklearn", threads=1, repeat=0, fold=fold, seed=0,
        status="ok", family="classical", accuracy=accuracy, n_train=80, n_test=20, time_fit_s=0.1, time_predict_s=0.01,
        x_train_sha256=f"{feature_set}-train-{fold}", x_test_sha256=f"{feature_set}-test-{fold}", y_sha256=f"y-{fold}",
        split_sha256=f"split-{fold}",
    )  # fmt: skip
    return Row(**{**values, **changes})


def folds(model, scores, **changes):
    return [row(model, fold=i, accuracy=a, **changes) for i, a in enumerate(scores)]


def without_score(model, status, message, n=FOLDS, **changes):
    changes = {name: None for name in ("x_train_sha256", "x_test_sha256", "y_sha256", "split_sha256")} | changes
    return [row(model, fold=i, accuracy=None, status=status, message=message, **changes) for i in range(n)]


def only(tables):
    assert len(tables) == 1
    return tables[0]


@pytest.mark.parametrize("name", DATA_HASHES)
@pytest.mark.parametrize("other", ["something else", None])
def test_rows_that_saw_other_data_are_not_ranked(name, other):
    rows = folds("lda", [0.9] * FOLDS) + folds("qda", [0.8] * FOLDS)
    rows[-2] = replace(rows[-2], **{name: other})
    with pytest.raises(HashMismatch, match=rf"d on raw, repeat 0, fold 3: {name} differs: .*lda.*qda"):
        check_hashes(rows)
    table = only(build_tables(rows))
    assert table.ranked == [] and name in str(table.mismatch)
    assert {s.model: s.mean for s in table.cells.values()} == pytest.approx({"lda": 0.9, "qda": 0.8})


@pytest.mark.parametrize(("name", "refused"), [("y_sha256", True), ("split_sha256", True), ("x_train_sha256", False)])
def test_feature_sets_must_share_samples_but_not_matrices(name, refused):
    rows = folds("lda", [0.9] * FOLDS) + folds("lda", [0.8] * FOLDS, feature_set="pca")
    rows = [replace(r, **{name: "other"}) if r.feature_set == "pca" and r.fold == 1 else r for r in rows]
    assert (only(build_tables(rows)).mismatch is not None) == refused


def test_another_data_set_is_not_held_against_it():
    rows = folds("lda", [0.9] * FOLDS) + folds("lda", [0.8] * FOLDS, dataset="e", y_sha256="other")
    assert [t.mismatch for t in build_tables(rows)] == [None, None]


def test_a_failed_row_without_hashes_is_no_mismatch():
    rows = folds("lda", [0.9] * FOLDS) + without_score("qda", "failed", "singular")
    assert only(build_tables(rows)).mismatch is None


def test_no_hash_at_all_is_said():
    rows = folds("lda", [0.9] * FOLDS, **dict.fromkeys(DATA_HASHES))
    table = only(build_tables(rows))
    assert len(table.ranked) == 1 and "not proven" in table.warnings[0]


def test_who_missed_a_fold_is_not_ranked_with_those_who_did_not():
    rows = folds("lda", [0.9] * FOLDS) + folds("qda", [0.99] * 4)
    rows.append(without_score("qda", "timeout", "took longer than 60 s", n=5)[4])
    table = only(build_tables(rows))
    assert [s.model for s in table.ranked] == ["lda"]
    qda = table.cells["raw", "qda", "sklearn", 1]
    assert (qda.n, qda.n_expected, qda.complete, qda.mean) == (4, 5, False, pytest.approx(0.99))
    assert table.footnotes[0].text == "timeout: qda on raw (1 of 5 folds): took longer than 60 s"


def test_folds_that_were_not_run_are_said():
    table = only(build_tables(folds("lda", [0.9] * FOLDS) + folds("qda", [0.9] * 3)))
    assert table.footnotes[0].text == "not run: qda on raw (2 of 5 folds): the run ended before these folds"


@pytest.mark.parametrize("status", ["failed", "timeout", "out_of_memory", "diverged", "skipped", "invalid"])
def test_each_status_has_one_footnote_for_all_its_folds(status):
    rows = folds("lda", [0.9] * FOLDS)
    for feature_set in ("raw", "pca"):
        rows += without_score("qda", status, "the same reason", feature_set=feature_set)
    table = only(build_tables(rows))
    assert [n.text for n in table.footnotes] == [f"{status.replace('_', ' ')}: qda on raw, pca: the same reason"]
    assert table.cells["raw", "qda", "sklearn", 1].footnotes == (1,)
    assert table.cells["raw", "qda", "sklearn", 1].interval is None


def test_reasons_that_differ_by_feature_set_only_are_one():
    rows = folds("lda", [0.9] * FOLDS)
    for feature_set in ("pca", "hog"):
        rows += without_score("conv", "skipped", f"needs images; {feature_set} has none", feature_set=feature_set)
    table = only(build_tables(rows))
    assert [n.text for n in table.footnotes] == ["skipped: conv on pca, hog: needs images; ... has none"]


def test_a_long_reason_is_cut():
    rows = folds("lda", [0.9] * FOLDS) + without_score("qda", "failed", "word " * 500)
    assert len(only(build_tables(rows)).footnotes[0].text) < 350


def test_reasons_that_differ_by_fold_are_counted():
    rows = folds("lda", [0.9] * FOLDS)
    rows += [replace(r, message=f"fold {i}") for i, r in enumerate(without_score("qda", "failed", ""))]
    assert only(build_tables(rows)).footnotes[0].text == "failed: qda on raw: fold 0 (and 4 other messages)"


def test_the_numbers_of_a_cell():
    rows = folds("lda", [0.90, 0.92, 0.94, 0.91, 0.93])
    rows = [
        replace(r, time_fit_s=t, peak_memory_bytes=m)
        for r, t, m in zip(rows, (1, 2, 3, 4, 100), (5, 9, 7, 1, 1), strict=True)
    ]
    summary = only(build_tables(rows)).ranked[0]
    assert summary.mean == pytest.approx(0.92)
    assert (summary.interval.low, summary.interval.high) == pytest.approx((0.8906, 0.9494), abs=1e-4)
    assert summary.times["time_fit_s"] == 3  # the median
    assert summary.peak_memory_bytes == 9
    assert summary.statuses == {"ok": 5}


def test_a_single_split_has_the_interval_of_its_samples():
    interval = only(build_tables([row(accuracy=0.8, n_test=10)])).ranked[0].interval
    assert (interval.low, interval.high) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_regression_has_its_own_table_and_score():
    rows = folds("lda", [0.9] * FOLDS) + [
        row("ridge", fold=i, dataset="price", accuracy=None, r2=-0.5 + i, rmse=2.0) for i in range(2)
    ]
    classification, regression = build_tables(rows)
    assert (classification.metric, regression.metric) == ("accuracy", "r2")
    assert regression.ranked[0].mean == pytest.approx(0.0)
    assert regression.ranked[0].interval.high <= 1.0


def test_order_is_the_suites():
    rows = folds("a", [0.9] * 2, feature_set="hog") + folds("b", [0.9] * 2) + folds("a", [0.9] * 2)
    table = only(build_tables(rows, {"suite": {"features": ["raw", "hog"], "models": ["b", "a"]}}))
    assert table.feature_sets == ("raw", "hog")
    assert [line[0] for line in table.lines] == ["b", "a"]
    assert [line[0] for line in only(build_tables(rows, {"suite": {"models": "all"}})).lines] == ["a", "b"]


def test_backend_and_threads_are_named_where_there_are_several():
    rows = (
        folds("mlp", [0.9] * 2, backend="cython")
        + folds("mlp", [0.9] * 2, backend="numba", threads=2)
        + folds("lda", [0.9] * 2)
    )
    table = only(build_tables(rows))
    assert sorted(table.labels.values()) == ["lda", "mlp (cython, 1 thread)", "mlp (numba, 2 threads)"]
    assert table.threads_note == "1 or 2 threads"


@pytest.mark.parametrize("value", ["0.9", True, float("nan"), float("inf"), [0.9]])
def test_a_score_that_is_no_number_is_no_score(value):
    table = only(build_tables([row(accuracy=value)]))
    assert table.ranked == [] and "invalid" in table.footnotes[0].text


def test_a_score_of_an_invalid_row_does_not_count():
    rows = folds("lda", [0.9] * FOLDS) + folds("qda", [0.99] * FOLDS, status="invalid", message="2 threads, not 1")
    rows = [replace(r, y_sha256="other") if r.model == "qda" else r for r in rows]
    table = only(build_tables(rows))
    assert [s.model for s in table.ranked] == ["lda"] and table.mismatch is None
    assert table.footnotes[0].text == "invalid: qda on raw: 2 threads, not 1"


def test_what_the_optimizer_and_the_threads_did_is_said():
    rows = folds("mlp", [0.9] * 2, converged=False, threads_effective=4)
    assert only(build_tables(rows)).warnings == (
        "The optimizer stopped before it converged: mlp (2 folds).",
        "Times of mlp were not taken with the threads asked for.",
    )


def test_no_rows_no_tables():
    assert build_tables([]) == []
