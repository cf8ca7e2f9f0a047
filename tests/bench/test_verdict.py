"""The verdict, on constructed folds that must give each of its answers."""

import numpy as np
import pytest

from bench.cell import Row
from bench.simplicity import depth_of, is_deep, simplicity
from bench.statistics import Comparison
from bench.tables import build_tables
from bench.verdict import judge, p_worse, reference_scores
from models import catalog

DEEP = {"conv16_32", "mlp_100", "lenet5"}


def rows_of(means, *, n=10, noise=0.002, seed=0, feature_set="raw", dataset="d", metric="accuracy"):
    """Return rows whose folds share their luck, as real folds do, and differ by a little noise of their own."""
    rng = np.random.default_rng(seed)
    luck = rng.normal(0, 0.005, n)
    found = []
    for model, mean in means.items():
        for fold in range(n):
            score = min(1.0, mean + luck[fold] + rng.normal(0, noise))
            found.append(
                Row(
                    dataset,
                    feature_set,
                    model,
                    "cython" if model in DEEP else "sklearn",
                    1,
                    0,
                    fold,
                    0,
                    "ok",
                    family="deep" if model in DEEP else "classical",
                    **{metric: score},
                    n_train=1000,
                    n_test=1000 // n,
                    time_fit_s=1.0 if model in DEEP else 0.01,
                    time_predict_s=0.002,
                    time_features_s=0.1,
                )
            )
    return found


def verdict_on(rows, manifest=None):
    (table,) = build_tables(rows, manifest)
    return judge(table, manifest)


def test_depth_pays():
    v = verdict_on(rows_of({"lda": 0.90, "svc_rbf": 0.93, "conv16_32": 0.98}))
    assert v.headline == "Depth pays here: every classical contestant is distinguishably worse than conv16_32 on raw."
    assert v.simplest.model == "conv16_32"
    assert v.gain.difference == pytest.approx(0.05, abs=0.005) and v.gain.low > 0
    assert v.sentences["gain"].startswith("What depth gains: +")
    assert "1.1 s against 0.11 s (10 times) to fit, features included" in v.sentences["cost"]


def test_no_case_for_depth():
    v = verdict_on(rows_of({"lda": 0.90, "svc_rbf": 0.980, "conv16_32": 0.9805}, noise=0.004))
    assert v.headline == "No case for depth here: svc_rbf on raw is not distinguishably worse than the best."
    assert v.simplest.model == "svc_rbf"
    assert "this run cannot tell" in v.sentences["gain"] and "10 folds detect only" in v.sentences["gain"]


def test_depth_does_not_pay():
    v = verdict_on(rows_of({"lda": 0.90, "svc_rbf": 0.98, "conv16_32": 0.95}))
    assert v.headline == "Depth does not pay here: the best classical contestant beats the best deep one."
    assert v.gain.high < 0


def test_borderline():
    """Alone, depth's gain is beyond chance; with half of the error rate, the walk lets the simpler one stand."""
    for seed in range(300):
        v = verdict_on(rows_of({"lda": 0.976, "svc_rbf": 0.978, "conv16_32": 0.9825}, noise=0.004, seed=seed))
        if v.headline.startswith("Borderline"):
            assert v.gain.conclusive and v.simplest.model in ("lda", "svc_rbf")
            assert max(v.p_adjusted.values()) >= 0.05
            return
    raise AssertionError("no borderline case among 300")


def test_nothing_can_be_told():
    v = verdict_on(rows_of({"lda": 0.95, "svc_rbf": 0.951, "conv16_32": 0.952}, noise=0.02))
    assert v.headline == "This run cannot tell: none of the 3 contestants is distinguishable from the best."
    assert "detect only differences of" in v.sentences["simplest"]


@pytest.mark.parametrize(("n", "metric"), [(1, "r2"), (2, "r2"), (2, "accuracy")])
def test_few_folds_cannot_tell(n, metric):
    v = verdict_on(rows_of({"lda": 0.10, "conv16_32": 0.99}, n=n, metric=metric))
    assert v.headline.startswith("This run cannot tell") and v.gain is None and v.p_adjusted == {}
    assert "conv16_32 on raw has the highest score" in v.sentences["best"]


def test_one_contestant_alone():
    assert "nothing to compare" in verdict_on(rows_of({"lda": 0.9})).headline


def test_only_classical_says_that_depth_was_not_tested():
    v = verdict_on(rows_of({"lda": 0.90, "svc_rbf": 0.98}))
    assert v.gain is None and "depth was not tested" in v.headline
    assert v.sentences["gain"] == "No deep model finished every fold: what depth gains and costs was not measured."


def test_a_classical_model_on_learned_features_is_deep():
    rows = rows_of({"lda": 0.90, "conv16_32": 0.95}) + rows_of({"lda": 0.98}, feature_set="learned")
    v = verdict_on(rows)
    assert (v.best.feature_set, v.best_deep.model, v.best_classical.feature_set) == ("learned", "lda", "raw")
    assert "a network was trained to make them" in v.sentences["cost"]


def test_incomplete_contestants_take_no_part():
    rows = rows_of({"lda": 0.90, "svc_rbf": 0.95, "conv16_32": 0.99})
    v = verdict_on([r for r in rows if not (r.model == "conv16_32" and r.fold == 3)])
    assert v.best.model == "svc_rbf" and v.best_deep is None


def test_differing_hashes_end_in_no_verdict():
    rows = rows_of({"lda": 0.90, "conv16_32": 0.99})
    from dataclasses import replace

    rows[0] = replace(rows[0], y_sha256="aa")
    v = verdict_on(rows)
    assert "Not ranked" in v.headline and "y_sha256" in v.headline and v.best is None


def test_regression_speaks_of_r2():
    v = verdict_on(rows_of({"ridge": 0.50, "mlp_100": 0.60}, metric="r2"))
    assert "R²" in v.sentences["gain"] and "points" not in v.sentences["gain"]


def test_all_means_alike():
    rows = rows_of({"lda": 0.9, "svc_rbf": 0.9}, noise=0.0)
    v = verdict_on(rows)
    assert v.simplest.model == "lda" and "cannot tell" in v.headline


def test_picking_on_the_other_folds_takes_the_flattery_off():
    """Twenty networks and one classical model, all of equal worth: what the highest network is ahead by is luck."""
    flattered, honest = [], []
    for seed in range(60):
        means = {f"net{i}": 0.9 for i in range(20)} | {"lda": 0.9}
        rows = rows_of(means, n=5, noise=0.01, seed=seed)
        rows = [r if r.model == "lda" else Row(**{**r.to_dict(), "family": "deep"}) for r in rows]
        v = verdict_on(rows)
        flattered.append(v.best_deep.mean - v.best_classical.mean)
        honest.append(v.gain.difference)
    assert np.mean(flattered) > 0.005
    assert abs(np.mean(honest)) < 3 * np.std(honest) / np.sqrt(60)


def test_the_reference_is_the_best_of_the_other_folds():
    scores = {"a": [0.9, 0.5, 0.5], "b": [0.8, 0.6, 0.6]}
    rows = [
        Row("d", "raw", model, "x", 1, 0, fold, 0, "ok", accuracy=accuracy)
        for model, folds in scores.items()
        for fold, accuracy in enumerate(folds)
    ]
    (table,) = build_tables(rows)
    # fold 0: b is best on folds 1 and 2; fold 1: a and b have 1.4 each, and a, ranked first or not, breaks the tie
    reference = reference_scores(sorted(table.cells.values(), key=lambda s: s.model))
    assert list(reference.values()) == [0.8, 0.5, 0.5]


@pytest.mark.parametrize(
    ("difference", "p_value", "expected"), [(0.1, 0.01, 0.01), (-0.1, 0.01, 1.0), (0.1, None, 1.0)]
)
def test_only_what_is_behind_the_reference_can_be_worse(difference, p_value, expected):
    assert p_worse(Comparison(difference, -1.0, 1.0, p_value, n=5)) == expected


def test_the_reference_stays_within_a_repeat():
    """In another repeat the same samples are tested again; picking there would look at the fold that is held out."""
    rows = [
        Row("d", "raw", model, "x", 1, repeat, fold, 0, "ok", accuracy=0.5 + 0.1 * ((model == "a") == (repeat == 0)))
        for model in "ab"
        for repeat in range(2)
        for fold in range(3)
    ]
    (table,) = build_tables(rows)
    assert set(reference_scores(list(table.cells.values())).values()) == {0.6}


def test_simplest_is_wrongly_passed_over_in_at_most_5_of_100_runs():
    """All contestants are equal: the simplest one must be found worse than the best only by chance."""
    passed_over = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        n, ratio = 5, 0.25
        shared = np.sqrt(ratio / (1 + ratio)) * rng.normal(size=(4, 1)) + np.sqrt(1 / (1 + ratio)) * rng.normal(
            size=(4, n)
        )
        rows = [
            Row(
                "d",
                "raw",
                model,
                "sklearn",
                1,
                0,
                f,
                0,
                "ok",
                accuracy=0.9 + 0.01 * shared[m, f],
                n_train=80,
                n_test=20,
            )
            for m, model in enumerate(("dummy", "lda", "knn", "svc_rbf"))
            for f in range(n)
        ]
        passed_over += verdict_on(rows).simplest.model != "dummy"
    assert passed_over / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.parametrize(
    "names",
    [
        ["dummy", "nearest_centroid", "lda", "svc_rbf", "svc_rbf+tuned", "random_forest", "own_model"],
        ["lda", "own_model", "sklearn_mlp_100", "mlp_100_100", "mlp_sigmoid_4", "resnet20", "own_net"],
        ["conv16_32", "conv32_64", "lenet5", "vgg_small", "alexnet_small"],
        ["mlp_100", "conv48_96_flip", "lenet5_shift", "vgg_narrow_bn", "vgg_small_bn", "alexnet_small", "resnet20", "own_net"],
    ],
)
def test_order_of_simplicity(names):
    classical = {"dummy", "nearest_centroid", "lda", "svc_rbf", "svc_rbf+tuned", "random_forest", "own_model"}
    rows = [
        Row(
            "d",
            "raw",
            n,
            "x",
            1,
            0,
            0,
            0,
            "ok",
            accuracy=0.5,
            family="classical" if n in classical or n.startswith("sklearn") else "deep",
            time_fit_s=1.0,
        )
        for n in reversed(names)
    ]
    (table,) = build_tables(rows)
    assert [s.model for s in sorted(table.cells.values(), key=simplicity)] == names


def test_names_tell_the_depths_that_the_catalog_has():
    rows = [Row("d", "raw", m.name, "x", 1, 0, 0, 0, "ok", accuracy=0.5, family="deep") for m in catalog.DEEP_MODELS]
    (table,) = build_tables(rows)
    stored = {m.name: {"depth": m.depth} for m in catalog.DEEP_MODELS}
    for s in table.cells.values():
        assert depth_of(s) == depth_of(s, stored) > 1, s.model


def test_stored_depths_go_before_names():
    rows = rows_of({"mlp_100": 0.9, "lenet5": 0.9}, n=3)
    (table,) = build_tables(rows)
    models = {"mlp_100": {"depth": 9}, "lenet5": {"depth": 3}}
    assert [s.model for s in sorted(table.cells.values(), key=lambda s: simplicity(s, models))] == ["lenet5", "mlp_100"]


def test_scikit_learns_mlp_is_a_network_whatever_its_family():
    (table,) = build_tables(rows_of({"sklearn_mlp_100": 0.9, "lda": 0.9}, n=3))
    assert {s.model: is_deep(s) for s in table.cells.values()} == {"sklearn_mlp_100": True, "lda": False}
