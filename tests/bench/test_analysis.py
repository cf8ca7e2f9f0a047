"""Pairs, ranks under two policies, the factor split, backends and the chooser, on tables whose truth is known."""

import numpy as np
import pytest

from bench import predictions
from bench.analysis import backends, choose, gains, pairs, ranking
from bench.cell import Row
from bench.errors import InputError
from bench.statistics import compare_paired, holm
from bench.statistics.samples import bounded, compare_samples
from bench.tables import build_tables
from bench.verdict import judge

N_TRAIN, N_TEST, N_CLASSES = 900, 100, 10


def row(model, fold, accuracy=None, *, features="raw", dataset="d", backend="sklearn", status="ok", **facts):
    hashes = {name: f"{dataset} {fold}" for name in ("y_sha256", "split_sha256")}
    hashes |= {name: f"{dataset} {features} {fold}" for name in ("x_train_sha256", "x_test_sha256")}
    message = None if status == "ok" else f"{status} here"
    seen = {"n_train": N_TRAIN, "n_test": N_TEST, **hashes} if status == "ok" else {}
    repeat = facts.pop("repeat", 0)
    values = {"accuracy": accuracy, "message": message, **seen, **facts}
    return Row(dataset, features, model, backend, 1, repeat, fold, 0, status, **values)


def packed(right, offset=1):
    """Predictions that are right where `right` says so, and off by `offset` elsewhere."""
    y_test = np.arange(len(right)) % N_CLASSES
    y_pred = np.where(right, y_test, (y_test + offset) % N_CLASSES)
    facts = {"predictions": predictions.pack(y_pred, y_test, N_CLASSES), "n_classes": N_CLASSES, "n_test": len(right)}
    return {"accuracy": float(np.mean(right)), **facts}


def table_of(rows):
    return build_tables(rows)[0]


def noisy(means, n_folds=10, spread=0.01, seed=0):
    """{model: mean} -> {model: scores by fold}, with what is hard about a fold shared by all."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 2 * spread, n_folds)
    return {model: mean + shared + rng.normal(0, spread, n_folds) for model, mean in means.items()}


MEANS = {"lda": 0.80, "qda": 0.805, "svc_rbf": 0.84, "mlp_100": 0.845}


def test_all_pairs_at_once_are_the_pairs_one_by_one():
    scores = noisy(MEANS)
    table = table_of([row(m, k, float(v)) for m, values in scores.items() for k, v in enumerate(values)])
    found = pairs.compare_all(table.ranked)
    k = len(found.contestants)
    raw = {}
    for i in range(k):
        for j in range(k):
            if i != j:
                a, b = (list(found.contestants[x].scores.values()) for x in (i, j))
                one = compare_paired(a, b, N_TEST / N_TRAIN)
                actual = [m[i, j] for m in (found.difference, found.low, found.high, found.p_value, found.detectable)]
                assert actual == pytest.approx([one.difference, one.low, one.high, one.p_value, one.detectable])
                raw[i, j] = one.p_value
    upper = [(i, j) for i, j in raw if i < j]
    adjusted = dict(zip(upper, holm([raw[pair] for pair in upper]), strict=True))
    assert [found.p_adjusted[pair] for pair in upper] == pytest.approx(list(adjusted.values()))
    assert found.p_adjusted == pytest.approx(found.p_adjusted.T)


def test_pairs_that_coincide_have_the_rules_of_a_single_comparison():
    rows = [row(m, k, v + k / 100) for m, v in (("lda", 0.9), ("qda", 0.9), ("knn", 0.8)) for k in range(5)]
    found = pairs.compare_all(table_of(rows).ranked)
    names = [s.model for s in found.contestants]
    same, other = (names.index("lda"), names.index("qda")), (names.index("lda"), names.index("knn"))
    assert found.p_value[same] == 1.0
    expected = compare_paired([0.9] * 5, [0.8] * 5, N_TEST / N_TRAIN, n_test=N_TEST)
    assert found.p_value[other] == pytest.approx(expected.p_value)


@pytest.mark.parametrize("stored", [True, False])
def test_a_single_split_is_compared_by_its_samples(stored):
    rng = np.random.default_rng(1)
    first = rng.random(2000) < 0.95
    second = first & (rng.random(2000) < 0.97)
    rows = [row(m, 0, **packed(right)) for m, right in (("lda", first), ("knn", second))]
    if not stored:
        rows = [Row.from_dict({**r.to_dict(), "predictions": None}) for r in rows]
    found = pairs.compare_all(table_of(rows).ranked)
    assert (found.basis, found.n) == (pairs.SAMPLES, 2000)
    if stored:
        expected = compare_samples(int((first & ~second).sum()), 0, 2000)
    else:
        expected = bounded(int((~first).sum()), int((~second).sum()), 2000)
    assert found.p_value[0, 1] == found.p_value[1, 0] == pytest.approx(expected.p_value)
    assert (found.low[0, 1], found.high[0, 1]) == pytest.approx((expected.low, expected.high))


def test_predictions_of_other_samples_are_not_held_against_each_other():
    from bench.analysis.predictions import counts

    right = np.ones(50, bool)
    one, other = row("lda", 0, **packed(right)), row("knn", 1, **packed(right))
    assert counts(one, one).differ == 0
    assert counts(one, other) is None  # other hashes
    assert counts(one, Row.from_dict({**one.to_dict(), "predictions": "tampered"})) is None


def multi(scores, failed=(), skipped=()):
    """{model: {dataset: mean}} as tables of three folds; `failed` has (model, dataset, fold), `skipped` (model, dataset)."""
    rows = []
    for model, by_dataset in scores.items():
        for dataset, mean in by_dataset.items():
            for k in range(3):
                if (model, dataset) in skipped:
                    rows.append(row(model, k, dataset=dataset, status="skipped"))
                elif (model, dataset, k) in failed:
                    rows.append(row(model, k, dataset=dataset, status="timeout"))
                else:
                    rows.append(row(model, k, mean + k / 1000, dataset=dataset))
    return build_tables(rows)


SETS = ("d1", "d2", "d3", "d4", "d5")


def scores_of(*columns):
    """One line of means per model, over `SETS`."""
    return {f"model_{i}": dict(zip(SETS, line, strict=True)) for i, line in enumerate(columns)}


ORDERED = scores_of([0.9] * 5, [0.8] * 5, [0.7] * 5)


def test_without_failures_both_policies_are_the_same():
    found = ranking.rank(multi(ORDERED))
    assert list(found.imputed.mean_ranks.values()) == [1.0, 2.0, 3.0]
    assert found.imputed.mean_ranks == found.complete.mean_ranks
    assert found.disagreement is None
    assert found.imputed.friedman.p_value < 0.05


def test_a_failure_that_decides_the_order_is_said():
    """model_0 wins wherever it finishes, and times out on three of five."""
    failed = [("model_0", d, k) for d in ("d1", "d2", "d3") for k in range(3)]
    found = ranking.rank(multi(ORDERED, failed=failed))
    assert found.complete.blocks == ("d4", "d5")
    assert found.complete.order[0][1] == "model_0"
    assert found.imputed.mean_ranks["raw", "model_0", "sklearn", 1] == pytest.approx((3 * 2.5 + 2 * 1) / 5)
    assert found.imputed.order[0][1] == "model_1"
    assert "disagree" in found.disagreement
    assert "Not even the first place is the same." in found.disagreement


def test_a_failure_that_decides_nothing_is_said_too():
    found = ranking.rank(multi(ORDERED, failed=[("model_2", "d1", 0)]))
    assert "agree on the order" in found.disagreement


def test_one_failed_fold_costs_that_fold():
    found = ranking.rank(multi(ORDERED, failed=[("model_0", "d1", 2)]))
    imputed = found.imputed.scores["raw", "model_0", "sklearn", 1][0]
    assert imputed == pytest.approx((0.9 + 0.901 + 0.702) / 3)


def test_what_cannot_apply_is_no_failure():
    found = ranking.rank(multi(ORDERED, skipped=[("model_1", "d2")]))
    assert found.left_out == {"model_1 on raw": "cannot apply to d2"}
    assert found.disagreement is None


def test_nothing_complete_is_said():
    failed = [("model_0", d, 0) for d in SETS[:3]] + [("model_1", d, 0) for d in SETS[3:]]
    found = ranking.rank(multi(ORDERED, failed=failed))
    assert found.complete.mean_ranks == {}
    assert "leave nothing" in found.disagreement


def test_one_data_set_ranks_by_common_folds():
    """On fold 2, which model_0 lost, model_1 did badly: spared that fold, model_1 is ahead."""
    rows = [row("a", k, v) for k, v in enumerate([0.90, 0.90])] + [row("a", 2, status="timeout")]
    rows += [row("b", k, v) for k, v in enumerate([0.91, 0.91, 0.30])]
    rows += [row("c", k, v) for k, v in enumerate([0.80, 0.80, 0.80])]
    found = ranking.rank(build_tables(rows))
    assert [key[1] for key in found.complete.order] == ["b", "a", "c"]
    assert found.imputed.order[0][1] == "c"
    assert "disagree" in found.disagreement


def grid(by_features, by_model, interaction=0.0, n_folds=10):
    """Rows of two feature sets x three models, of which the last gains by `interaction` on the second feature set."""
    rng = np.random.default_rng(0)
    rows = []
    for f, features in enumerate(("raw", "pca")):
        for m, model in enumerate(("nearest_centroid", "lda", "svc_rbf")):
            for k in range(n_folds):
                mean = 0.8 + f * by_features + m / 2 * by_model + (interaction if (f, m) == (1, 2) else 0.0)
                rows.append(row(model, k, float(mean + rng.normal(0, 0.002)), features=features))
    return rows


@pytest.mark.parametrize(
    ("by_features", "by_model", "interaction"), [(0.05, 0.02, 0.0), (0.0, 0.08, 0.0), (0.06, 0.0, 0.0), (0.02, 0.02, 0.05)]
)
def test_the_split_finds_what_was_put_in(by_features, by_model, interaction):
    found = gains.split(table_of(grid(by_features, by_model, interaction)))
    assert found.base.model == "nearest_centroid" and found.base.feature_set == "raw"
    gain = found.gain
    assert gain.features.difference + gain.models.difference == pytest.approx(gain.total.difference)
    if by_features and by_model:
        assert gain.features.difference == pytest.approx(by_features + interaction / 2, abs=0.003)
        assert gain.models.difference == pytest.approx(by_model + interaction / 2, abs=0.003)
        assert (abs(gain.interaction.difference) > 0.01) == bool(interaction)
    elif by_model:
        assert abs(gain.features.difference) < 0.003 and found.shares.models.value > 0.95
    else:
        assert abs(gain.models.difference) < 0.003 and found.shares.features.value > 0.95
    effects = found.feature_effects
    assert effects["pca"].value == pytest.approx(-effects["raw"].value)
    assert effects["pca"].value == pytest.approx(by_features / 2 + interaction / 6, abs=0.003)


def test_the_split_leaves_out_what_has_gaps_and_constant_models():
    rows = grid(0.05, 0.02)
    rows += [row("conv16_32", k, 0.95) for k in range(10)]
    rows += [row("conv16_32", k, features="pca", status="skipped") for k in range(10)]
    rows += [row("dummy", k, 0.1, features=f) for f in ("raw", "pca") for k in range(10)]
    found = gains.split(table_of(rows))
    assert found.left_out == ("conv16_32",)
    assert {line[0] for line in found.lines} == {"nearest_centroid", "lda", "svc_rbf"}


def test_a_backend_is_no_other_classifier():
    rows = grid(0.05, 0.02)
    twice = [Row.from_dict({**r.to_dict(), "backend": "numba"}) for r in rows if r.model == "svc_rbf"]
    one, two = (gains.split(table_of(found)) for found in (rows, rows + twice))
    assert len(two.lines) == 3
    assert two.shares.models.value == pytest.approx(one.shares.models.value)


@pytest.mark.parametrize("rows", [grid(0.1, 0.1, n_folds=2), [r for r in grid(0.1, 0.1) if r.feature_set == "raw"]])
def test_what_cannot_be_split_is_not(rows):
    assert gains.split(table_of(rows)) is None


def with_backends(wrong_share, seed=0, repeats=1):
    rng = np.random.default_rng(seed)
    rows = []
    for repeat in range(repeats):
        for k in range(5):
            right = rng.random(N_TEST) < 0.9
            other = np.where(rng.random(N_TEST) < wrong_share, False, right)
            rows += [
                row("mlp_100", k, backend="cython", repeat=repeat, **packed(right)),
                row("mlp_100", k, backend="numba", repeat=repeat, **packed(other)),
            ]
    return rows


@pytest.mark.parametrize(("wrong_share", "differs"), [(0.0, False), (0.004, False), (0.2, True)])
def test_a_backend_that_is_wrong_is_found(wrong_share, differs):
    [found] = backends.agreements(table_of(with_backends(wrong_share)))
    assert found.differs == differs
    assert found.counts.n == 5 * N_TEST
    assert (found.counts.differ == 0) == (wrong_share == 0.0)


def test_predictions_may_differ_where_both_are_wrong():
    right = np.arange(N_TEST) < 90
    rows = [
        row("mlp_100", 0, backend="cython", **packed(right, offset=1)),
        row("mlp_100", 0, backend="numba", **packed(right, offset=2)),
    ]
    [found] = backends.agreements(table_of(rows))
    assert (found.counts.differ, found.counts.first_only, found.counts.second_only, found.p_value) == (10, 0, 0, 1.0)


def test_repeats_count_once_for_the_test():
    once, thrice = with_backends(0.05), with_backends(0.05, repeats=3)
    [a], [b] = (backends.agreements(table_of(rows)) for rows in (once, thrice))
    assert (a.p_value, 3 * a.counts.n) == (b.p_value, b.counts.n)


def test_without_predictions_scores_are_compared():
    rows = [Row.from_dict({**r.to_dict(), "predictions": None}) for r in with_backends(0.0)]
    [found] = backends.agreements(table_of(rows))
    assert (found.counts, found.p_value, found.same_scores, found.n_folds) == (None, None, 5, 5)


def test_one_backend_has_nothing_to_agree_with():
    assert backends.agreements(table_of(grid(0.1, 0.1))) == []


def timed_rows():
    facts = {
        "lda": (0.90, 0.0001, 0.01, 150e6), "svc_rbf": (0.95, 0.002, 1.0, 200e6), "random_forest": (0.94, 0.010, 2.0, 900e6),
        "knn": (0.93, None, 0.01, None),
    }  # fmt: skip
    return [
        row(m, k, a + k / 1000, time_predict_one_s=one, time_fit_s=fit, peak_memory_bytes=memory and int(memory))
        for m, (a, one, fit, memory) in facts.items()
        for k in range(5)
    ]


CHOICES = [
    ("latency=5ms", ["svc_rbf", "lda"], ["knn"]),
    ("latency=1ms,memory=160MB", ["lda"], ["knn"]),
    ("fit=0.5s", ["knn", "lda"], []),
    ("accuracy=93.5%", ["svc_rbf", "random_forest"], []),
    ("accuracy=0.935, latency=1us", [], []),
]


@pytest.mark.parametrize(("text", "within", "not_measured"), CHOICES)
def test_the_chooser(text, within, not_measured):
    table = table_of(timed_rows())
    found = choose.choose(table, judge(table), choose.parse(text))
    assert [s.model for s in found.within] == within
    assert [s.model for s in found.not_measured] == not_measured
    assert found.best.model == "svc_rbf"


def test_memory_above_the_data_goes_before_the_whole_process():
    rows = [row("lda", k, 0.9, peak_memory_bytes=300_000_000, peak_memory_above_data_bytes=2_000_000) for k in range(3)]
    rows += [row("qda", k, 0.8, peak_memory_bytes=300_000_000) for k in range(3)]
    table = table_of(rows)
    found = choose.choose(table, judge(table), choose.parse("memory=100MB"))
    assert [s.model for s in found.within] == ["lda"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no limit"), ("latency", "name=value"), ("latancy=1ms", "did you mean 'latency'"), ("latency=-1ms", "number"),
        ("latency=1MB", "one of ns"), ("memory=1ms", "as in memory=100MB"), ("fit=1s,fit=2s", "twice"), ("accuracy=x", "%"),
    ],
)  # fmt: skip
def test_limits_that_cannot_be_read(text, says):
    with pytest.raises(InputError, match=says):
        choose.parse(text)
