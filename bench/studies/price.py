"""A house as a list of numbers: weights that can be read off, and whether they say what matters.

A linear regression multiplies each feature by a weight and adds up. With features in units of their standard deviation, the
size of a weight is often read as importance. Permutation importance (Breiman, Random Forests, Machine Learning 45, 2001,
section 10; Fisher, Rudin and Dominici, JMLR 20, 2019) asks the model instead: shuffle one feature among the test samples, and
see how much R² is lost. The two orders are compared by their concordance: the share of pairs of features that both put in
the same order (Kendall 1938): 1 is the same order, 1/2 what two random orders have.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict

#: Data sets keep no names of columns; these are those of their documentation, and what a price is.
COLUMNS = {
    "diabetes": ("age", "sex", "body mass", "blood pressure", "s1 cholesterol", "s2 LDL", "s3 HDL", "s4 ratio",
                 "s5 triglycerides", "s6 glucose"),
    "pmlb:537_houses": ("income", "age of houses", "rooms", "bedrooms", "people", "households", "latitude", "longitude"),
}  # fmt: skip
ANSWERS = {
    "diabetes": "progression of the disease after a year",
    "pmlb:537_houses": "price of the median house, dollars",
}
MODELS = {
    "ridge": "a weighted sum (linear regression)",
    "decision_tree": "one decision tree",
    "random_forest": "100 trees that vote",
    "hist_gradient_boosting": "trees that correct each other",
    "network": "a network with 100 hidden units",
}
#: Those whose importances are held against the weights.
OTHERS = ("hist_gradient_boosting", "network")
#: Shuffles of each feature.
REPEATS = 5
#: Halfway between two random orders (1/2) and the same order (1).
ALIKE = 0.75


def network(seed: int, n_threads: int, backend: str) -> Any:
    """Return our MLP on a target of mean 0 and deviation 1, as a network wants it."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    from models import MLPRegressor

    inner = MLPRegressor(
        hidden_layer_sizes=(100,), alpha=1e-2, learning_rate_init=3e-3, max_iter=60, random_state=seed, n_jobs=n_threads,
        backend=backend,
    )
    return TransformedTargetRegressor(inner, transformer=StandardScaler())


network.family = "deep"


def measure(ctx: Context) -> Measurements:
    """Score the models on folds of the harness, and read weights and importances on the same folds."""
    s = ctx.settings
    models = [f"{__name__}:{name}" if name == "network" else name for name in MODELS]
    rows = ctx.cells("models", datasets=[s["dataset"]], models=models, features=["standardized"], folds=s["folds"])
    folds = ctx.folds(s["dataset"], folds=s["folds"])
    names = COLUMNS[s["dataset"].partition("@")[0]]
    read = ctx.map("importance", lambda i: _read(folds[i], names), range(len(folds)))
    kept = ("model", "fold", "status", "message", "r2", "rmse", "n_train", "n_test", "time_fit_s")
    return {
        "dataset": s["dataset"],
        "answer": ANSWERS[s["dataset"].partition("@")[0]],
        "columns": list(names),
        "rows": [{k: row.get(k) for k in kept} for row in rows],
        "read": read,
        "house": ctx.part("house", lambda: _house(folds[0], names)),
    }


def _standardized(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    mean, deviation = fold.X_train.mean(axis=0), fold.X_train.std(axis=0)
    return (fold.X_train - mean) / deviation, (fold.X_test - mean) / deviation


def _build(name: str, seed: int) -> Any:
    if name == "network":
        return network(seed, 1, "cython")
    from models import catalog

    return catalog.get(name).build("regression", seed=seed, n_threads=1, backend="cython")


def _read(fold: Fold, names: Sequence[str]) -> dict[str, Any]:
    """Return the weights of a linear regression, and each model's permutation importances, on one fold."""
    from sklearn.inspection import permutation_importance

    X, X_test = _standardized(fold)
    found: dict[str, Any] = {"fold": fold.index, "n_train": len(fold.y_train), "n_test": len(fold.y_test)}
    for name in ("ridge", *OTHERS):
        model = fit_quietly(_build(name, fold.seed), X, fold.y_train)
        if name == "ridge":
            found["weights"] = dict(zip(names, model.coef_.tolist(), strict=True))
        loss = permutation_importance(model, X_test, fold.y_test, n_repeats=REPEATS, random_state=fold.seed)
        found[name] = dict(zip(names, loss.importances_mean.tolist(), strict=True))
    return found


def _house(fold: Fold, names: Sequence[str]) -> dict[str, Any]:
    """Return one sample of the test part, its weighted sum term by term."""
    X, X_test = _standardized(fold)
    model = fit_quietly(_build("ridge", fold.seed), X, fold.y_train)
    terms = [
        {"feature": n, "value": float(fold.X_test[0, i]), "standardized": float(X_test[0, i]), "weight": float(model.coef_[i])}
        for i, n in enumerate(names)
    ]
    predicted = float(model.predict(X_test[:1])[0])
    return {"terms": terms, "average": float(model.intercept_), "predicted": predicted, "true": float(fold.y_test[0])}


# -- what follows is made of the measurements alone


def concordance(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the share of pairs that both put in the same order; ties count half.

    Examples
    --------
    >>> concordance([1, 2, 3], [10, 20, 30]), concordance([1, 2, 3], [3, 2, 1]), concordance([1, 2], [5, 5])
    (1.0, 0.0, 0.5)
    """
    pairs = list(itertools.combinations(range(len(first)), 2))
    signs = [np.sign(first[i] - first[j]) * np.sign(second[i] - second[j]) for i, j in pairs]
    return float(np.mean([0.5 + 0.5 * s for s in signs]))


def _best(m: Measurements) -> str:
    """Return which of the other models predicts best: a weighted sum is not asked whether it agrees with itself."""
    means = {name: findings.mean_of(findings.only(m["rows"], model=name), "r2").mean for name in OTHERS}
    return max(means, key=lambda name: means[name])


def agreement(m: Measurements) -> list[dict[str, Any]]:
    """Return, for each fold, how alike the order of the weights and that of the best other model's importances are."""
    best = _best(m)
    return [
        {
            "fold": r["fold"], "n_train": r["n_train"], "n_test": r["n_test"],
            "concordance": concordance([abs(r["weights"][c]) for c in m["columns"]], [r[best][c] for c in m["columns"]]),
        }
        for r in m["read"]
    ]  # fmt: skip


def verdict(m: Measurements) -> Verdict:
    """Weights say what matters where their order is that of another model's importances."""
    best = _best(m)
    found = findings.mean_of(agreement(m), "concordance")
    linear = findings.mean_of(findings.only(m["rows"], model="ridge"), "r2")
    top = findings.mean_of(findings.only(m["rows"], model=best), "r2")
    by_weight = max(m["columns"], key=lambda c: np.mean([abs(r["weights"][c]) for r in m["read"]]))
    by_loss = max(m["columns"], key=lambda c: np.mean([r[best][c] for r in m["read"]]))
    answer = (
        f"A weighted sum explains {findings.percent(linear.mean, 0)} of how the answers vary, {MODELS[best]}, the best "
        f"of the others, {findings.percent(top.mean, 0)}; by the weights the feature that matters most is {by_weight}, by what "
        f"that model loses without a feature it is {by_loss}, and of all pairs of features both put "
        f"{findings.percent(found.mean, 0)} in the same order (by chance it would be 50 %)."
    )
    interval = (
        f"95 % interval {findings.percent(found.low, 0)} to {findings.percent(found.high, 0)} of the pairs, "
        f"{len(m['read'])} folds"
    )
    return Verdict(findings.outcome(found.low, found.high, ALIKE), answer, interval, "importance")


def tables(m: Measurements) -> list[Table]:
    """Return how well each model predicts, what matters to whom, and one sample added up."""
    scores = []
    for name, words in MODELS.items():
        mine = [r for r in findings.only(m["rows"], model=name) if r.get("r2") is not None]
        if not mine:
            scores.append([words, *(["not finished"] + [""] * 3)])
            continue
        r2 = findings.mean_of(mine, "r2")
        step = findings.compare(mine, findings.only(m["rows"], model="ridge"), "r2")
        against = "" if name == "ridge" or step.low is None else f"{step.difference:+.3f} ({step.low:+.3f} to {step.high:+.3f})"
        spread = "" if r2.low is None else f" ±{(r2.high - r2.low) / 2:.3f}"
        scores.append(
            [words, f"{r2.mean:.3f}{spread}", against, findings.number(float(np.mean([r["rmse"] for r in mine])), 3)]
        )
    matter = []
    for c in sorted(m["columns"], key=lambda c: -np.mean([abs(r["weights"][c]) for r in m["read"]])):
        weight = [r["weights"][c] for r in m["read"]]
        cells = [f"{np.mean([r[name][c] for r in m['read']]):.3f}" for name in ("ridge", *OTHERS)]
        matter.append([c, f"{findings.number(float(np.mean(weight)), 3)}", *cells])
    house = m["house"]
    added = [
        [t["feature"], findings.number(t["value"], 4), f"{t['standardized']:+.2f}", findings.number(t["weight"], 3),
         findings.number(t["standardized"] * t["weight"], 3)]
        for t in house["terms"]
    ]  # fmt: skip
    added.append(["the average of all", "", "", "", findings.number(house["average"], 4)])
    added.append(["sum: what is predicted", "", "", "", findings.number(house["predicted"], 4)])
    added.append(["what it was", "", "", "", findings.number(house["true"], 4)])
    return [
        Table(f"How well each predicts: {m['answer']}; R² is the share of the variation that is explained",
              ["model", "R²", "against the weighted sum", "typical error (RMSE)"], scores),
        Table("What matters: the weight per standard deviation, and the R² that is lost where the feature is shuffled",
              ["feature", "weight", "lost: weighted sum", "lost: trees", "lost: network"], matter),
        Table("One sample added up", ["feature", "value", "in deviations from the mean", "weight", "adds"], added),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return the scores, and weights beside importances."""
    best, rows = _best(m), []
    for name, words in MODELS.items():
        mine = [r for r in findings.only(m["rows"], model=name) if r.get("r2") is not None]
        if mine:
            r2 = findings.mean_of(mine, "r2")
            rows.append({"what": words, "r2": r2.mean, "low": r2.low, "high": r2.high})
    weights = {c: float(np.mean([abs(r["weights"][c]) for r in m["read"]])) for c in m["columns"]}
    losses = {c: float(max(0.0, np.mean([r[best][c] for r in m["read"]]))) for c in m["columns"]}
    by_weight, by_loss = "by its weight", f"by what {MODELS[best]} loses without it"
    shares = [
        {"feature": c, "kind": kind, "share": values[c] / max(sum(values.values()), 1e-12)}
        for kind, values in ((by_weight, weights), (by_loss, losses))
        for c in m["columns"]
    ]
    order = sorted(m["columns"], key=lambda c: -weights[c])
    return [
        Figure(
            "scores", "How much of the variation each model explains",
            "The share of the variation that each model explains on samples not seen, with its 95 % interval: "
            + ", ".join(f"{r['what']} {r['r2']:.2f}" for r in rows) + ".",
            charts.intervals(rows, charts.axis("r2", "R²: share of the variation explained", percent=True), "what"),
        ),
        Figure(
            "importance", "What matters, read off in two ways",
            f"For each feature its share of all weights, and its share of what {MODELS[best]} loses when the feature is "
            "shuffled. Where both bars of a feature are alike, its weight says how much it matters.",
            charts.bars(shares, charts.axis("share", "share of the whole", percent=True, zero=True), "feature", order=order,
                        colour="kind"),
        ),
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""
    columns = [f"feature {i}" for i in range(6)]

    def made(orders: list[list[int]]) -> Measurements:
        rows = [
            {"model": model, "fold": f, "status": "ok", "r2": 0.5 + 0.05 * i + 0.01 * f, "rmse": 1.0, "n_train": 80,
             "n_test": 20, "time_fit_s": 0.1}
            for i, model in enumerate(MODELS) for f in range(len(orders))
        ]  # fmt: skip
        read = [
            {
                "fold": f, "n_train": 80, "n_test": 20, "weights": {c: float(6 - i) for i, c in enumerate(columns)},
                **{name: {c: 0.1 * order[i] for i, c in enumerate(columns)}
                   for name in ("ridge", *OTHERS)},
            }
            for f, order in enumerate(orders)
        ]  # fmt: skip
        term = {"value": 1.0, "standardized": 0.5, "weight": 2.0}
        house = {"terms": [{"feature": c, **term} for c in columns], "average": 10.0, "predicted": 16.0, "true": 15.0}
        return {"dataset": "diabetes", "answer": "a number", "columns": columns, "rows": rows, "read": read, "house": house}

    same, reverse, near = [6, 5, 4, 3, 2, 1], [1, 2, 3, 4, 5, 6], [6, 5, 4, 3, 1, 2]
    return {
        "supported": made([same, same, near, same, same]),
        "refuted": made([reverse, reverse, reverse, [2, 1, 3, 4, 5, 6], reverse]),
        "undecided": made([same, reverse, near, same, reverse]),
    }


STUDY = Study(
    name="price",
    question="The house one would like to buy: how do its features become a number, and do the weights say what matters?",
    claim="The weights of a weighted sum say which features matter: they put them in the order in which another kind of "
    "model, trees or a network, would miss them.",
    source="put to the test by Breiman, Statistical Modeling: The Two Cultures, Statistical Science 16, 2001, section 9",
    refuted_if="Weights and importances put fewer than three quarters of all pairs of features in the same order, halfway "
    "between chance (one half) and full agreement: the 95 % interval of that share lies below 75 %.",
    method="Each sample is a list of numbers, and so is its answer: a price, or how far a disease has gone. A weighted sum is "
    "fitted; its weights, per standard deviation of each feature, can be read off. Trees and a network learn from the same "
    "samples. What matters to a model is measured by shuffling one feature among the test samples and looking at how much of "
    "the explained variation is lost. Then the two orders of features are compared, fold by fold.",
    presets={
        "XS": {"dataset": "diabetes", "folds": 3},
        "S": {"dataset": "diabetes", "folds": 10},
        "M": {"dataset": "pmlb:537_houses", "folds": 5},
        "L": {"dataset": "pmlb:537_houses", "folds": 10},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="Where two features say almost the same, neither a weight nor a shuffle can tell which of them matters: a weighted "
    "sum shares the weight between them at random, and a model that has lost one of them asks the other. Neither says what "
    "would happen if one changed a feature of a real house.",
)  # fmt: skip
