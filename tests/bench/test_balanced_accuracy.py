"""Tables that rank by balanced accuracy: the statistics of a mean over classes, what is ranked, and how it is asked for."""

import csv
import io
import itertools

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from bench import store
from bench.analysis.pairs import CLASSES, compare_all
from bench.cell import Row
from bench.errors import InputError
from bench.metrics import METRICS, OF_CLASSES, errors_by_class
from bench.report.content import make
from bench.report.export import to_csv
from bench.report.page import to_html
from bench.report.text import to_markdown
from bench.statistics import by_class, wilson_interval
from bench.statistics.samples import compare_samples, mcnemar
from bench.store import Run
from bench.suite import load
from bench.tables import build_tables
from bench.verdict import judge

BALANCED = {"suite": {"name": "s", "metric": "balanced_accuracy"}}

# -- statistics


def test_of_a_single_class_they_are_what_one_sample_says():
    assert vars(by_class.balanced_interval([7], [100])) == pytest.approx(vars(wilson_interval(0.93, 100)))
    assert vars(by_class.compare_by_class([60, 0], [30, 0], [1000, 0])) == pytest.approx(vars(compare_samples(60, 30, 1000)))
    for b, c in ((1, 8), (0, 0), (300, 200)):
        assert by_class.sign_test([b], [c], [0.01]) == pytest.approx(mcnemar(b, c))


@pytest.mark.parametrize(
    ("first_only", "second_only", "weights"),
    [
        ([3, 1], [0, 4], [0.5, 0.02]),
        ([2, 0, 1], [2, 1, 4], [0.3, 0.2, 0.01]),
        ([5, 0], [0, 0], [1.0, 0.1]),
        ([1, 1], [2, 2], [0.2, 0.2]),
    ],
)
def test_the_sign_test_counts_all_outcomes(first_only, second_only, weights):
    """Against the definition: every sample's sign in turn."""
    signs = [w for w, b, c in zip(weights, first_only, second_only, strict=True) for _ in range(b + c)]
    seen = abs(sum(w * (b - c) for w, b, c in zip(weights, first_only, second_only, strict=True)))
    sums = [abs(sum(s * w for s, w in zip(one, signs, strict=True))) for one in itertools.product((-1, 1), repeat=len(signs))]
    expected = np.mean([value >= seen - 1e-12 for value in sums])
    assert by_class.sign_test(first_only, second_only, weights) == pytest.approx(expected)


def test_the_normal_distribution_takes_over_where_exact_would_be_long(monkeypatch):
    counts = ([40, 130, 20], [28, 171, 25], [1 / 300, 1 / 4000, 1 / 900])
    near = by_class.sign_test(*counts)
    monkeypatch.setattr(by_class, "MOST_OUTCOMES", 10**9)
    assert near == pytest.approx(by_class.sign_test(*counts), rel=0.06)


def test_intervals_hold_what_they_promise():
    """Of 400 draws 20 are expected to miss the truth; 4 to 40 are allowed."""
    rng = np.random.default_rng(0)
    recalls, sizes = np.array([0.8, 0.97, 0.9]), np.array([30, 2000, 120])
    missed, differed = 0, 0
    for _ in range(400):
        errors = sizes - rng.binomial(sizes, recalls)
        found = by_class.balanced_interval(errors, sizes)
        missed += not found.low <= recalls.mean() <= found.high
        only_first, only_second = rng.binomial(sizes, 0.08), rng.binomial(sizes, 0.04)
        c = by_class.compare_by_class(only_first, np.minimum(only_second, sizes - only_first), sizes)
        differed += not c.low <= 0.04 <= c.high
    assert 4 <= missed <= 40 and 4 <= differed <= 40


def test_what_is_bounded_is_never_surer_than_what_is_known():
    known = by_class.compare_by_class([4, 30], [1, 10], [40, 3000])  # 6 and 50 errors shared
    bounded = by_class.bounded_by_class([1 + 6, 10 + 50], [4 + 6, 30 + 50], [40, 3000])
    assert bounded.difference == pytest.approx(known.difference)
    assert bounded.p_value >= known.p_value and bounded.low <= known.low and bounded.high >= known.high


def test_there_must_be_samples():
    with pytest.raises(ValueError, match="no class has a sample"):
        by_class.balanced_interval([0], [0])


@pytest.mark.parametrize("bad", [None, "text", [[1, 2]], [[1], [2]], [["a", 1], [1, 1]], [[0, 0], [0, 0]], [[-5, 6], [1, 1]]])
def test_a_confusion_matrix_that_is_none_tells_nothing(bad):
    assert errors_by_class(bad) is None


# -- tables and verdict

SIZES = (60, 3000)


def row(model, recalls, fold=0, **changes):
    """A row of a model that is right on these shares of a rare and a frequent class."""
    errors = [round((1 - r) * n) for r, n in zip(recalls, SIZES, strict=True)]
    y_test = np.repeat([0, 1], SIZES)
    y_pred = np.where(np.concatenate([np.arange(n) < e for n, e in zip(SIZES, errors, strict=True)]), 1 - y_test, y_test)
    deep = model.startswith("mlp")
    values = dict(
        family="deep" if deep else "classical", accuracy=float(np.mean(y_pred == y_test)),
        balanced_accuracy=float(balanced_accuracy_score(y_test, y_pred)), confusion=confusion_matrix(y_test, y_pred).tolist(),
        n_train=9000, n_test=sum(SIZES), time_fit_s=1.0, time_predict_s=0.1, y_sha256=f"y{fold}", split_sha256=f"s{fold}",
    )  # fmt: skip
    backend = "cython" if deep else "sklearn"
    return Row("d", "raw", model, backend, 1, 0, fold, 0, "ok", **{**values, **changes})


def of_folds(n):
    """dummy is right on the frequent class alone, mlp_100 on most of both."""
    rng = np.random.default_rng(0)
    shares = {"dummy": (0.0, 1.0), "lda": (0.6, 0.98), "mlp_100": (0.9, 0.97)}
    noise = {m: rng.normal(0, 0.004 if m != "dummy" else 0.0, (n, 2)) for m in shares}
    return [row(m, np.clip(np.array(r) + noise[m][i], 0, 1), i) for m, r in shares.items() for i in range(n)]


@pytest.mark.parametrize("n", [1, 5])
def test_the_order_turns_where_a_class_is_rare(n):
    (by_accuracy,), (balanced,) = build_tables(of_folds(n)), build_tables(of_folds(n), BALANCED)
    assert (by_accuracy.metric, balanced.metric) == ("accuracy", "balanced_accuracy")
    assert [s.model for s in by_accuracy.ranked] == ["dummy", "lda", "mlp_100"]
    assert [s.model for s in balanced.ranked] == ["mlp_100", "lda", "dummy"]
    best = balanced.ranked[0]
    assert best.interval.low < best.mean < best.interval.high and best.mean == pytest.approx(0.935, abs=0.01)
    found = judge(balanced)
    assert found.best.model == "mlp_100" and found.gain.difference == pytest.approx(0.145, abs=0.02)
    assert "depth pays here: every classical contestant is distinguishably worse than mlp_100" in found.headline.lower()
    if n == 1:
        assert "a weight for each class" in found.sentences["caution"]


def test_one_split_is_tested_by_class():
    rows = [row("lda", (0.80, 0.97)), row("qda", (0.85, 0.97)), row("mlp_100", (0.99, 0.97))]
    (table,) = build_tables(rows, BALANCED)
    found = compare_all(table.ranked)
    assert found.basis == CLASSES and [s.model for s in found.contestants] == ["mlp_100", "qda", "lda"]
    # of 60 rare samples 12, 9 and 1 are missed: 12 against 1 is told apart, 12 against 9 is not
    assert found.distinguishable(0, 2) and not found.distinguishable(1, 2)
    errors = errors_by_class(rows[0].confusion), errors_by_class(rows[2].confusion)
    alone = by_class.bounded_by_class(errors[1][0], errors[0][0], SIZES)
    assert found.p_value[0, 2] == pytest.approx(alone.p_value) and found.difference[0, 2] == pytest.approx(alone.difference)


def test_without_a_confusion_matrix_one_split_shows_scores_and_tests_nothing():
    rows = [row(m, r, confusion=None) for m, r in (("lda", (0.6, 1.0)), ("mlp_100", (0.9, 1.0)))]
    (table,) = build_tables(rows, BALANCED)
    assert judge(table).headline.startswith("This run cannot tell") and compare_all(table.ranked) is None
    assert table.ranked[0].mean == pytest.approx(0.95)


def test_regressions_and_rows_without_it_keep_their_own():
    r2 = [Row("d", "raw", "lda", "sklearn", 1, 0, i, 0, "ok", r2=0.5) for i in range(3)]
    assert build_tables(r2, BALANCED)[0].metric == "r2"
    plain = [row("lda", (1.0, 1.0), i, balanced_accuracy=None) for i in range(3)]
    assert build_tables(plain, BALANCED)[0].metric == "accuracy"
    assert build_tables(of_folds(3), {"suite": {"metric": "f1"}})[0].metric == "accuracy"


@pytest.mark.parametrize("n", [1, 5])
def test_every_format_says_which_score_it_is(n):
    report = make(Run("r", None, BALANCED, of_folds(n)))
    text = to_markdown(report)
    assert "Balanced accuracy in percent" in text and "Accuracy in percent" not in text
    assert "balanced accuracy" in to_html(report)
    name = "balanced_accuracy_"
    (best,) = [r for r in csv.DictReader(io.StringIO(to_csv(report))) if r["model"] == "mlp_100"]
    assert float(best[f"{name}ci_low"]) < float(best[f"{name}mean"]) < float(best[f"{name}ci_high"])
    assert best["accuracy_ci_low"] == "" and best["best"] == "true" and best["rank"] == "1"


# -- asked for


def test_a_suite_names_it_and_signs_does():
    assert load("signs").metric == "balanced_accuracy" and load("digits").metric == "accuracy"
    with pytest.raises(InputError, match="'accuracy' or 'balanced_accuracy'"):
        load("digits", metric="f1")
    assert OF_CLASSES == ("accuracy", "balanced_accuracy") and all(hasattr(row("lda", (1.0, 1.0)), name) for name in METRICS)


def test_a_report_ranks_by_another_score_than_the_run(tmp_path, capsys):
    from bench import commands

    with store.Writer(tmp_path / "r", {"run_id": "r", "suite": {"name": "s"}}) as writer:
        for one in of_folds(5):
            writer.append(one)
    outputs = {}
    for metric in (None, "balanced_accuracy"):
        commands.report([str(tmp_path / "r")], "md", None, metric=metric)
        outputs[metric] = capsys.readouterr().out
    assert "Accuracy in percent" in outputs[None] and "Best: dummy on raw" in outputs[None]
    assert "Balanced accuracy in percent" in outputs["balanced_accuracy"]
    assert "Best: mlp_100 on raw" in outputs["balanced_accuracy"]
    with pytest.raises(InputError, match="unknown metric 'f1'"):
        commands.report([str(tmp_path / "r")], None, None, metric="f1")
