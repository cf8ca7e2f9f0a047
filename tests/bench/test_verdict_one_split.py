"""The verdict on a single split, which goes by test samples: with stored predictions, and from accuracies alone."""

import numpy as np
import pytest

from bench import predictions
from bench.cell import Row
from bench.tables import build_tables
from bench.verdict import judge
from bench.verdict.model import ACCURACIES, SAMPLES
from bench.verdict.samples import PARTS, BySamples

N, K = 2000, 10
DEEP = ("mlp_100", "conv16_32", "lenet5")


def rows_of(right, *, stored=True, **facts):
    """{model: which of the N samples it is right on} as rows of one split."""
    y_test = np.arange(N) % K
    rows = []
    for model, ok in right.items():
        y_pred = np.where(ok, y_test, (y_test + 1) % K)
        kept = {"predictions": predictions.pack(y_pred, y_test, K), "n_classes": K} if stored else {}
        backend, family = ("cython", "deep") if model in DEEP else ("sklearn", "classical")
        rows.append(
            Row(
                "d", "raw", model, backend, 1, 0, 0, 0, "ok", family=family,
                accuracy=float(np.mean(ok)), n_train=6000, n_test=N, y_sha256="y", split_sha256="s",
                **{"time_fit_s": 1.0, "time_predict_s": 0.1, **facts.get(model, {})}, **kept,
            )
        )  # fmt: skip
    return rows


def models_that_share_errors(shares, seed=0, own=0.01):
    """Models that are right on a common share of samples, and lose or win a few of their own."""
    rng = np.random.default_rng(seed)
    hard = rng.random(N)
    return {m: (hard < share) ^ (rng.random(N) < own) for m, share in shares.items()}


def verdict_on(rows):
    (table,) = build_tables(rows)
    return judge(table)


def test_depth_pays_on_these_samples():
    v = verdict_on(rows_of(models_that_share_errors({"lda": 0.80, "mlp_100": 0.90, "conv16_32": 0.90})))
    assert v.basis == SAMPLES
    assert v.headline.startswith("On this one split: depth pays here")
    assert v.simplest.model == "mlp_100"
    assert v.gain.conclusive and v.gain.n == N
    assert "whether more depth than mlp_100 on raw gains" in v.sentences["more_depth"].lower()
    assert "not of what another training would give" in v.sentences["caution"]


def test_what_cannot_be_told_apart_is_said():
    v = verdict_on(rows_of(models_that_share_errors({"lda": 0.90, "qda": 0.90, "mlp_100": 0.90})))
    assert v.headline.startswith("On this one split: this run cannot tell")
    assert "no contestant is distinguishable from it on these 2,000 test samples" in v.sentences["best"]
    assert "2,000 test samples detect only differences of" in v.sentences["gain"]


def test_accuracies_alone_tell_less():
    right = models_that_share_errors({"lda": 0.898, "mlp_100": 0.91})
    stored, alone = (verdict_on(rows_of(right, stored=s)) for s in (True, False))
    assert (stored.basis, alone.basis) == (SAMPLES, ACCURACIES)
    assert stored.simplest.model == "mlp_100"
    assert alone.simplest.model == "lda"
    assert "Predictions are not stored" in alone.sentences["caution"]


def test_accuracies_alone_tell_large_differences():
    v = verdict_on(rows_of(models_that_share_errors({"lda": 0.80, "mlp_100": 0.90}), stored=False))
    assert v.simplest.model == "mlp_100"
    assert v.gain.conclusive


def test_the_reference_of_a_tenth_is_picked_on_the_others():
    """One model is right on nothing but the first tenth: a pick that saw it would take that model there."""
    here = np.zeros(N, bool)
    here[::PARTS] = True
    rows = rows_of({"lucky": here, "steady": np.random.default_rng(0).random(N) < 0.5})
    (table,) = build_tables(rows)
    ranked = table.ranked
    right = np.array([np.random.default_rng(0).random(N) < 0.5, here])
    assert [s.model for s in ranked] == ["steady", "lucky"]
    assert BySamples(ranked, right).behind(ranked[0]).difference == 0.0


@pytest.mark.parametrize("stored", [True, False])
def test_equals_are_seldom_called_worse(stored):
    """Nine models, equally good, each with luck of its own: at most 5 % of runs may call the simplest worse."""
    names = ["nearest_centroid", "gaussian_nb", "lda", "knn", "qda", "svc_rbf", "random_forest", "mlp_100", "conv16_32"]
    wrong = 0
    for seed in range(150):
        v = verdict_on(rows_of(models_that_share_errors(dict.fromkeys(names, 0.9), seed, own=0.03), stored=stored))
        wrong += v.simplest.model != "nearest_centroid"
    assert wrong / 150 <= 0.08


def test_the_best_sentence_names_fastest_and_quick():
    facts = {
        "lda": {"time_fit_s": 0.1, "time_predict_one_s": 0.0001}, "qda": {"time_fit_s": 9.0, "time_predict_one_s": 0.02},
        "mlp_100": {"time_predict_s": 0.01, "time_predict_one_s": 0.0005},
    }  # fmt: skip
    v = verdict_on(rows_of(models_that_share_errors({"lda": 0.899, "qda": 0.901, "mlp_100": 0.9}, own=0.0), **facts))
    said = v.sentences["best"]
    assert said.startswith("Best: qda on raw (90")
    assert "fastest of those: to fit lda on raw" in said and "to predict mlp_100 on raw" in said
    assert "best under 1 ms per prediction: mlp_100 on raw" in said and "0.50 ms" in said


@pytest.mark.parametrize(
    ("floor", "says"),
    [
        (None, "to fit lda on raw (90.0 %, 0.10 s), to predict"),
        (1.04, "to fit lda on raw (90.0 %, 0.10 s), to predict"),
        (1.1, "to fit (as fast within the noise: lda on raw (90.0 %, 0.10 s), qda on raw (90.1 %, 0.10 s)), to predict"),
    ],
)
def test_no_single_one_is_fastest_within_the_noise(floor, says):
    facts = {"lda": {"time_fit_s": 0.1}, "qda": {"time_fit_s": 0.105}, "mlp_100": {"time_fit_s": 3.0}}
    rows = rows_of(models_that_share_errors({"lda": 0.899, "qda": 0.901, "mlp_100": 0.9}, own=0.0), **facts)
    [table] = build_tables(rows, {"noise": {"floor": floor}})
    assert f"fastest of those: {says}" in judge(table, None).sentences["best"]
