"""Does a model know when it may be wrong? Confidence against accuracy, and on what it cannot know.

A classifier gives each class a probability; its *confidence* is the largest. It is calibrated if of all answers given with 80 %
confidence, 80 % are right; the expected calibration error is the mean distance from that, over bins of confidence (Naeini,
Cooper & Hauskrecht, AAAI 2015; Guo et al., ICML 2017). Each fold leaves two classes out of the training: their images, images
with shuffled pixels and pure noise have no right answer, and a model that knew that would spread its probability evenly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict

BINS = 10
#: what is asked about -> in words
KINDS = {"seen": "classes it knows", "unseen": "classes never seen", "shuffled": "shuffled pixels", "noise": "noise"}
WORDS = {
    "logistic_regression": "logistic regression", "knn": "5 nearest neighbours", "gaussian_nb": "naive Bayes",
    "random_forest": "random forest", "mlp_100": "network, 1 hidden layer", "mlp_100_100": "network, 2 hidden layers",
    "conv16_32": "ConvNet", "lenet5": "ConvNet",
}  # fmt: skip


def measure(ctx: Context) -> Measurements:
    """Fit each model without two classes, and ask about everything; two other classes in each fold."""
    s = ctx.settings
    folds = ctx.folds(s["dataset"], folds=5)
    n_classes = len(folds[0].data.classes)

    def one(what: list) -> dict[str, Any]:
        model, index = what
        left_out = [2 * index % n_classes, (2 * index + 1) % n_classes]
        return _ask(model, folds[index], left_out)

    found = ctx.map("model", one, [[model, i] for model in s["models"] for i in range(len(folds))])
    bins: list[dict[str, Any]] = [b for f in found for b in f.pop("bins")]
    return {"dataset": s["dataset"], "n_classes": n_classes - 2, "rows": found, "bins": bins}


def _ask(name: str, fold: Fold, left_out: list[int]) -> dict[str, Any]:
    from models import catalog

    known, tested = (~np.isin(y, left_out) for y in (fold.y_train, fold.y_test))
    low, high = float(fold.X_train.min()), float(fold.X_train.max())
    X_train, X_test = ((X - low) / (high - low) for X in (fold.X_train, fold.X_test))
    entry = catalog.get(name)
    model = entry.build(
        "classification", seed=fold.seed, n_threads=1, backend="cython" if entry.family == "deep" else "sklearn",
        image_shape=fold.data.image_shape,
    )  # fmt: skip
    fit_quietly(model, X_train[known], fold.y_train[known])
    random = np.random.default_rng(fold.seed)
    seen = X_test[tested]
    asked = {
        "seen": seen,
        "unseen": X_test[~tested],
        "shuffled": random.permuted(seen, axis=1),
        "noise": random.uniform(0.0, 1.0, seen.shape).astype(seen.dtype),
    }
    confidence, right = {}, None
    for kind, X in asked.items():
        probability = model.predict_proba(X)
        confidence[kind] = probability.max(axis=1)
        if kind == "seen":
            right = model.classes_[probability.argmax(axis=1)] == fold.y_test[tested]
    found = bins_of(confidence["seen"], right)
    n = len(right)
    return {
        "model": name, "family": entry.family, "fold": fold.index, "n_train": int(known.sum()), "n_test": n,
        "accuracy": float(right.mean()),
        "calibration_error": sum(b["n"] / n * abs(b["confidence"] - b["right"]) for b in found),
        "confidence_wrong": float(confidence["seen"][~right].mean()) if not right.all() else None,
        **{f"confidence_{kind}": float(c.mean()) for kind, c in confidence.items()},
        **{f"sure_{kind}": float((c > 0.9).mean()) for kind, c in confidence.items()},
        "told_apart": told_apart(confidence["seen"], confidence["unseen"]),
        "bins": [{"model": name, "fold": fold.index, **b} for b in found],
    }  # fmt: skip


def bins_of(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Return for each bin of confidence that holds any: how many, their mean confidence, the share that is right.

    Examples
    --------
    >>> bins_of(np.array([0.96875, 0.90625, 0.5625]), np.array([True, False, True]))
    [{'bin': 5, 'n': 1, 'confidence': 0.5625, 'right': 1.0}, {'bin': 9, 'n': 2, 'confidence': 0.9375, 'right': 0.5}]
    """
    at = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        {"bin": b, "n": int((at == b).sum()), "confidence": float(confidence[at == b].mean()),
         "right": float(right[at == b].mean())}
        for b in range(BINS) if (at == b).any()
    ]  # fmt: skip


def told_apart(seen: np.ndarray, unseen: np.ndarray) -> float:
    """Return how often an image of a known class gets more confidence than one of an unknown class (area under the ROC curve).

    Examples
    --------
    >>> told_apart(np.array([0.9, 0.8]), np.array([0.5, 0.85]))
    0.75
    """
    both = np.concatenate([seen, unseen])
    _, ranks, counts = np.unique(both, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2.0  # ties share their mean rank
    rank_sum = middle[ranks][: len(seen)].sum()
    return float((rank_sum - len(seen) * (len(seen) + 1) / 2.0) / (len(seen) * len(unseen)))


# -- what follows is made of the measurements alone


def by_family(m: Measurements, family: str, key: str) -> list[dict[str, Any]]:
    """Return, fold by fold, the mean of a column over the models of a family."""
    rows = findings.only(m["rows"], family=family)
    found = []
    for fold in findings.values(m["rows"], "fold"):
        mine = findings.only(rows, fold=fold)
        sizes = {k: min(r[k] for r in mine) for k in ("n_train", "n_test")}
        found.append({"fold": fold, "share": float(np.mean([r[key] for r in mine])), **sizes})
    return found


def verdict(m: Measurements) -> Verdict:
    """Are the networks surer than classical models of what they cannot know?"""
    deep, classical = (by_family(m, family, "confidence_unseen") for family in ("deep", "classical"))
    gap = findings.compare(deep, classical, "share")
    means = {f: float(np.mean([r["share"] for r in by_family(m, f, "confidence_unseen")])) for f in ("deep", "classical")}
    errors = {f: float(np.mean([r["share"] for r in by_family(m, f, "calibration_error")])) for f in ("deep", "classical")}
    noise = float(np.mean([r["share"] for r in by_family(m, "deep", "confidence_noise")]))
    answer = (
        f"Asked about classes they have never seen, networks are {findings.percent(means['deep'], 0)} sure of an answer that "
        f"must be wrong, classical models {findings.percent(means['classical'], 0)} (even odds among {m['n_classes']} classes "
        f"would be {findings.percent(1 / m['n_classes'], 0)}); of pure noise, networks are {findings.percent(noise, 0)} sure; "
        f"on classes they know, confidence is off by {100 * errors['deep']:.1f} points for networks and "
        f"{100 * errors['classical']:.1f} for the others."
    )
    interval = f"networks less classical models: {findings.interval_of_points(gap)}"
    return Verdict(findings.outcome(gap.low, gap.high), answer, interval, "confidence")


def _mean(m: Measurements, model: str, key: str) -> float | None:
    found = [r[key] for r in findings.only(m["rows"], model=model) if r[key] is not None]
    return float(np.mean(found)) if found else None


def tables(m: Measurements) -> list[Table]:
    """Return calibration and confidence of each model."""
    models = findings.values(m["rows"], "model")
    calibration = [
        [WORDS.get(n, n), findings.plus_minus(findings.mean_of(findings.only(m["rows"], model=n))),
         findings.percent(_mean(m, n, "confidence_seen")), findings.percent(_mean(m, n, "calibration_error")),
         findings.percent(_mean(m, n, "confidence_wrong"))]
        for n in models
    ]  # fmt: skip
    unknown = [
        [WORDS.get(n, n), *(findings.percent(_mean(m, n, f"confidence_{k}")) for k in KINDS),
         findings.percent(_mean(m, n, "sure_unseen")), f"{_mean(m, n, 'told_apart'):.2f}"]
        for n in models
    ]  # fmt: skip
    return [
        Table(f"On classes it knows ({m['dataset']})",
              ["model", "accuracy, %", "confidence", "calibration error", "confidence where wrong"], calibration),
        Table("Mean confidence by what is asked about",
              ["model", *KINDS.values(), "over 90 % sure of the never seen", "known from unknown (0.5: a guess)"], unknown),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return confidence by kind of image, and confidence against the share that is right."""
    models = findings.values(m["rows"], "model")
    rows = [
        {"model": WORDS.get(n, n), "asked": words, "confidence": _mean(m, n, f"confidence_{kind}")}
        for n in models for kind, words in KINDS.items()
    ]  # fmt: skip
    bars = charts.bars(rows, charts.axis("confidence", "mean confidence", percent=True, zero=True, domain=[0, 1]), "model",
                       colour="asked")  # fmt: skip
    reliable = []
    for n in models:
        for b in range(BINS):
            mine = findings.only(m["bins"], model=n, bin=b)
            total = sum(r["n"] for r in mine)
            if total >= 20:  # fewer say little
                shares = {k: sum(r["n"] * r[k] for r in mine) / total for k in ("confidence", "right")}
                reliable.append({"model": WORDS.get(n, n), **shares})
    diagonal = [{"model": "confidence is right", "confidence": v, "right": v} for v in (0.0, 1.0)]
    line = charts.lines(
        [*reliable, *diagonal], charts.axis("confidence", "confidence of the answer", percent=True, domain=[0, 1]),
        charts.axis("right", "share that is right", percent=True, domain=[0, 1]), "model",
    )  # fmt: skip
    return [
        Figure("confidence", "How sure each model is, by what it is asked about",
               "Mean confidence of each model on images of classes it knows, on classes it has never seen, on shuffled pixels "
               "and on noise. Only the first have a right answer: the other bars should be short.", bars),
        Figure("calibration", "Is what is said with 80 % confidence right in 80 % of cases?",
               "Share of right answers against confidence, on classes the models know. A line below the diagonal says more "
               "than it knows, one above it less. Points with fewer than 20 answers are left out.", line),
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(gaps: list[float]) -> Measurements:
        rows = [
            {"model": model, "family": family, "fold": f, "n_train": 800, "n_test": 200, "accuracy": 0.95,
             "calibration_error": 0.02,
             "confidence_wrong": 0.7, "confidence_seen": 0.95, "confidence_unseen": 0.6 + (gap if family == "deep" else 0.0),
             "confidence_shuffled": 0.6, "confidence_noise": 0.5, "sure_seen": 0.9, "sure_unseen": 0.2, "sure_shuffled": 0.2,
             "sure_noise": 0.1, "told_apart": 0.9}
            for model, family in (("knn", "classical"), ("mlp_100", "deep")) for f, gap in enumerate(gaps)
        ]  # fmt: skip
        bins = [{"model": "knn", "fold": 0, "bin": 9, "n": 100, "confidence": 0.95, "right": 0.96}]
        return {"dataset": "digits", "n_classes": 8, "rows": rows, "bins": bins}

    return {
        "supported": made([0.2, 0.22, 0.18, 0.21, 0.2]),
        "refuted": made([-0.2, -0.22, -0.18, -0.21, -0.2]),
        "undecided": made([0.2, -0.22, 0.1, -0.05, 0.02]),
    }


STUDY = Study(
    name="doubt",
    question="A model may be wrong. Does it know?",
    claim="Networks are surer than they should be: of things they have never seen they are surer than classical models are.",
    source="Guo et al., On Calibration of Modern Neural Networks, ICML 2017; Hein, Andriushchenko and Bitterwolf, Why ReLU "
    "Networks Yield High-Confidence Predictions Far Away from the Training Data, CVPR 2019",
    refuted_if="On images of classes left out of the training, the classical models are on average more confident than the "
    "networks.",
    method="A model says not only which class, but how sure it is. Each fold leaves two classes out of the training; then the "
    "model is asked about classes it knows, about the two it has never seen, about images whose pixels were shuffled, and "
    "about noise. On the first we check whether answers given with 80 % confidence are right in 80 % of cases (calibration); "
    "on the others no answer is right, so the less confidence the better.",
    presets={
        "XS": {"dataset": "digits@S", "models": ["gaussian_nb", "knn", "mlp_100"]},
        "S": {"dataset": "digits", "models": ["logistic_regression", "knn", "gaussian_nb", "random_forest", "mlp_100",
                                              "mlp_100_100", "conv16_32"]},
        "M": {"dataset": "fashion_mnist@S", "models": ["logistic_regression", "knn", "gaussian_nb", "random_forest", "mlp_100",
                                                       "mlp_100_100", "lenet5"]},
        "L": {"dataset": "fashion_mnist@M", "models": ["logistic_regression", "knn", "gaussian_nb", "random_forest", "mlp_100",
                                                       "mlp_100_100", "lenet5"]},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="Which models stand for “classical” matters: naive Bayes is far too sure by construction, a forest careful. There "
    "are remedies that are not tried here, such as scaling the confidence on held-back data.",
)  # fmt: skip
