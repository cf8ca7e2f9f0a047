"""The simplest learner: the average of each class, and what each step from there to a network buys.

Three identities, checked on every fold. (1) To ask which average is nearest is to ask on which side of a hyperplane a sample
lies: ||x - m_1||^2 < ||x - m_0||^2 <=> 2 (m_1 - m_0) x > ||m_1||^2 - ||m_0||^2. (2) One unit with a sigmoid, trained on the
log loss, is logistic regression (Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., sections
4.4 and 11.3): a network without a hidden layer. (3) So the three differ in how the weights of one hyperplane are found.
Then the ladder: models of the catalog on the same folds, from averages to a ConvNet.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.variants import Variant

#: model -> what the step to it adds, in a newcomer's words
STEPS = {
    "nearest_centroid": "the nearest average",
    "lda": "averages, and how pixels vary together",
    "logistic_regression": "one unit per class, its weights trained",
    "knn": "all examples remembered, the 5 nearest asked",
    "mlp_100": "a hidden layer of 100 units",
    "convnet": "patterns that slide over the image",
}
#: Of the L2 term on both sides of the second identity: scikit-learn's alpha is 1 / C. Large enough, also for thousands of
#: pixels, that both optimizers stop near the minimum and not somewhere in a flat valley around it.
ALPHA = 10.0
#: A ConvNet small enough for tests.
tiny = Variant("models:ConvNetClassifier", {"architecture": ["c8k3", "m2", "out"], "max_iter": 8, "batch_size": 32})
#: The weights of two optimizers that minimize one function agree to about this, relative to the largest.
TOLERANCE = 1e-3


def measure(ctx: Context) -> Measurements:
    """Check the identities on two classes, and run the ladder on all."""
    s = ctx.settings
    folds = ctx.folds(s["dataset"], folds=s["folds"])
    ctx.say("identities")
    identities = ctx.part("identities", lambda _: [_identities(fold, s["pair"]) for fold in folds], s["pair"])
    pictures = ctx.part("pictures", lambda _: _pictures(folds[0], s["pair"]), s["pair"])
    ladder = [s["convnet"] if name == "convnet" else name for name in STEPS]
    rows = ctx.cells("ladder", datasets=[s["dataset"]], models=ladder, folds=s["folds"], features=["standardized"])
    convnet = s["convnet"].rpartition(":")[2]
    kept = ("fold", "status", "message", "accuracy", "n_train", "n_test", "time_fit_s", "time_predict_s")
    return {
        "dataset": s["dataset"],
        "classes": [folds[0].data.classes[i] for i in s["pair"]],
        "n_classes": len(folds[0].data.classes),
        "identities": identities,
        "pictures": pictures,
        "rows": [
            {"model": "convnet" if row["model"] == convnet else row["model"], **{k: row.get(k) for k in kept}} for row in rows
        ],
        "convnet": convnet,
    }


def _two(fold: Fold, pair: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the two classes of a pair as float64, less the average of all training images, with labels 0 and 1.

    To move all images alike changes neither which average is nearer nor what a unit with an intercept can say; it spares
    the optimizers the one direction in which all images agree.
    """
    train, test = (np.isin(y, pair) for y in (fold.y_train, fold.y_test))
    scale = float(fold.X_train.max())
    X_train, X_test = (X.astype(np.float64) / scale for X in (fold.X_train[train], fold.X_test[test]))
    average = X_train.mean(axis=0)
    X_train, X_test = X_train - average, X_test - average
    return X_train, (fold.y_train[train] == pair[1]).astype(int), X_test, (fold.y_test[test] == pair[1]).astype(int)


def hyperplane(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the weights and the threshold that ask which of two averages is nearer.

    Examples
    --------
    >>> hyperplane(np.array([[0.0, 0.0], [2.0, 0.0]]), np.array([0, 1]))
    (array([4., 0.]), 4.0)
    """
    zero, one = X[y == 0].mean(axis=0), X[y == 1].mean(axis=0)
    return 2.0 * (one - zero), float(one @ one - zero @ zero)


def _unit(X: np.ndarray, y: np.ndarray) -> Any:
    """Return one sigmoid unit trained by our kernels: a network without a hidden layer."""
    from models import MLPClassifier

    unit = MLPClassifier((), solver="lbfgs", alpha=ALPHA, tol=1e-10, max_iter=5000, random_state=0, warm_start=True)
    for _ in range(4):  # L-BFGS begins anew where its memory of the curvature has grown stale
        fit_quietly(unit, X, y)
    return unit


def _identities(fold: Fold, pair: list[int]) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestCentroid

    X, y, X_test, y_test = _two(fold, pair)
    nearest = fit_quietly(NearestCentroid(), X, y).predict(X_test)
    weights, threshold = hyperplane(X, y)
    by_formula = (X_test @ weights > threshold).astype(int)
    regression = LogisticRegression(C=1.0 / ALPHA, tol=1e-10, max_iter=10_000).fit(X, y)
    unit = _unit(X, y)
    difference = np.abs(unit.coefs_[0][:, 0] - regression.coef_[0]).max() / np.abs(regression.coef_).max()
    return {
        "fold": fold.index,
        "n_test": len(y_test),
        "accuracy": float(np.mean(nearest == y_test)),
        "accuracy_unit": float(np.mean(unit.predict(X_test) == y_test)),
        "differing_hyperplane": int(np.sum(nearest != by_formula)),
        "differing_unit": int(np.sum(unit.predict(X_test) != regression.predict(X_test))),
        "weights_difference": float(difference),
    }


def _pictures(fold: Fold, pair: list[int]) -> list[list[dict[str, str]]]:
    """Return averages and weights as rows of pictures."""
    if fold.data.image_shape is None:
        return []
    shape, names = fold.data.image_shape, fold.data.classes
    train = fold.X_train.astype(np.float64) / float(fold.X_train.max())
    averages = [train[fold.y_train == c].mean(axis=0).reshape(shape) for c in range(len(names))]
    X, y, _, _ = _two(fold, pair)
    planes = [("averages", hyperplane(X, y)[0]), ("trained unit", _unit(X, y).coefs_[0][:, 0])]
    return [
        [{"png": charts.png(a, low=0, high=1), "label": f"average {names[c]}"} for c, a in enumerate(averages)],
        [{"png": charts.png(w.reshape(shape).mean(axis=2), signed=True), "label": f"weights: {label}"} for label, w in planes],
    ]


# -- what follows is made of the measurements alone


def _of(m: Measurements, model: str) -> list[dict[str, Any]]:
    return findings.only(m["rows"], model=model)


def verdict(m: Measurements) -> Verdict:
    """The identities hold exactly, and the top of the ladder is better than its foot."""
    n = sum(i["n_test"] for i in m["identities"])
    differing = sum(i["differing_hyperplane"] for i in m["identities"])
    differing_unit = sum(i["differing_unit"] for i in m["identities"])
    weights = max(i["weights_difference"] for i in m["identities"])
    same = differing == 0 and weights < TOLERANCE
    gain = findings.compare(_of(m, "convnet"), _of(m, "nearest_centroid"))
    foot, top = (findings.mean_of(_of(m, model)) for model in ("nearest_centroid", "convnet"))
    outcome = findings.combined([findings.outcome(gain.low, gain.high), "supported" if same else "refuted"])
    answer = (
        f"To ask which average is nearest and to ask on which side of a hyperplane a sample lies gave {differing} different "
        f"answers on {n} samples, and a single trained unit is logistic regression ({differing_unit} different answers, "
        f"weights alike to {findings.number(weights, 1)} of the largest); averages alone get {findings.percent(foot.mean)} "
        f"of {m['n_classes']} classes right, the ConvNet at the top of the ladder {findings.percent(top.mean)}, a gain of "
        f"{findings.points(gain.difference)} points."
    )
    return Verdict(outcome, answer, findings.interval_of_points(gain), "ladder")


def tables(m: Measurements) -> list[Table]:
    """Return the ladder with what each step buys, and the identities."""
    rows, before = [], None
    for model, words in STEPS.items():
        mine = _of(m, model)
        scored = [row for row in mine if row.get("accuracy") is not None]
        if not scored:
            rows.append([model, words, next((str(r["status"]) for r in mine), "not run"), "", ""])
            continue
        step = "" if before is None else findings.change(findings.compare(mine, before))
        fit = float(np.median([row["time_fit_s"] for row in scored]))
        rows.append([model, words, findings.plus_minus(findings.mean_of(mine)), step, findings.number(fit)])
        before = mine
    first, second = m["classes"]
    identities = [
        [str(i["fold"]), str(i["n_test"]), findings.percent(i["accuracy"]), str(i["differing_hyperplane"]),
         findings.percent(i["accuracy_unit"]), str(i["differing_unit"]), f"{i['weights_difference']:.1e}"]
        for i in m["identities"]
    ]  # fmt: skip
    header = ["fold", "samples", "nearest average", "hyperplane: differs on", "trained unit", "log. regression: differs on",
              "weights: apart by"]  # fmt: skip
    return [
        Table(f"The ladder on {m['dataset']}: accuracy in percent, and against the step before, in points",
              ["model", "what it adds", "accuracy", "step", "fit s"], rows, n_text=2),
        Table(f"The identities on {first} against {second}", header, identities),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return the ladder, and averages with weights as pictures."""
    rows = []
    for model, words in STEPS.items():
        scored = [row for row in _of(m, model) if row.get("accuracy") is not None]
        if scored:
            interval = findings.mean_of(scored)
            rows.append({"what": words, "accuracy": interval.mean, "low": interval.low, "high": interval.high})
    ladder = charts.intervals(rows, charts.axis("accuracy", "accuracy on samples not seen", percent=True), "what")
    found = [
        Figure("ladder", "From averages to a ConvNet",
               "Accuracy of each model with its 95 % interval, the simplest on top: "
               + ", ".join(f"{r['what']} {findings.percent(r['accuracy'])}" for r in rows) + ".", ladder)
    ]  # fmt: skip
    if m["pictures"]:
        first, second = m["classes"]
        found.append(
            Figure("averages", "What was learned, as pictures",
                   "Above: the average of all training images of each class. Below: the weights of the hyperplane between "
                   f"{first} and {second}, made of two averages, and of a trained unit; red pixels speak for {second}, "
                   f"blue ones for {first}.", pictures=charts.picture_rows(m["pictures"]))
        )  # fmt: skip
    return found


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(gains: list[float], differing: int = 0) -> Measurements:
        identity = {"n_test": 70, "accuracy": 0.9, "accuracy_unit": 0.95, "differing_unit": 0, "weights_difference": 1e-6}
        rows = [
            {"model": model, "fold": f, "status": "ok", "accuracy": 0.9 + (gain if model == "convnet" else 0.0), "n_train": 800,
             "n_test": 200, "time_fit_s": 0.1, "time_predict_s": 0.01}
            for model in STEPS for f, gain in enumerate(gains)
        ]  # fmt: skip
        return {
            "dataset": "digits", "classes": ["3", "8"], "n_classes": 10, "convnet": "conv16_32", "pictures": [], "rows": rows,
            "identities": [{**identity, "fold": f, "differing_hyperplane": differing} for f in range(len(gains))],
        }  # fmt: skip

    return {
        "supported": made([0.08, 0.09, 0.07, 0.08, 0.09]),
        "refuted": made([0.08, 0.09, 0.07, 0.08, 0.09], differing=2),
        "undecided": made([0.05, -0.06, 0.01, -0.03, 0.04]),
    }


STUDY = Study(
    name="centroid",
    question="The average cat, the average dog: is that already learning, and what does each step up from there buy?",
    claim="A classifier of averages is one hyperplane, and so is a single unit of a network; a network does better because "
    "more is learned, not because it is of another kind.",
    source="Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed. 2009, sections 4.3, 4.4 and 11.3",
    refuted_if="The nearest average and the hyperplane made from the averages ever answer differently, a trained unit and "
    "logistic regression end at different weights, or the ConvNet is no better than the averages.",
    method="For each class we average all training examples; a new one belongs to the class whose average is nearest. The "
    "same question is written as a formula: a weighted sum of the pixels against a threshold, a hyperplane. Then the weights "
    "are not averaged but trained: by one unit of a network on our kernels, and by logistic regression, the statistician's "
    "method, from another library. Last, models of growing ability learn from the same examples, and are tested on the same.",
    presets={
        "XS": {"dataset": "digits@S", "pair": [3, 8], "folds": 3, "convnet": "bench.studies.centroid:tiny"},
        "S": {"dataset": "digits", "pair": [3, 8], "folds": 10, "convnet": "conv16_32"},
        "M": {"dataset": "cats_vs_dogs@S", "pair": [0, 1], "folds": 3, "convnet": "lenet5"},
        "L": {"dataset": "cats_vs_dogs", "pair": [0, 1], "folds": 5, "convnet": "vgg_small_bn"},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="That two formulas agree does not depend on the data; what each step buys does: on other data a network may buy "
    "nothing (see the study of data).",
)  # fmt: skip
