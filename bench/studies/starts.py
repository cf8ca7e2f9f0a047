"""Random initial weights: do different starts end at different solutions, and are these any worse or better?

One network is trained from many random starts on each of several folds. The scatter of scores is taken apart into what starts
do (the standard deviation among the starts of a fold) and what folds do (that of the folds' means, less what starts alone
would make of it): the analysis of variance with one random effect. The interval of their ratio is the exact one for normal
values (Searle, Casella and McCulloch, Variance Components, 1992, section 3.6).

Solutions are compared after the best matching of hidden units: to swap two of them changes the weights, but nothing else
(Hecht-Nielsen 1990). Distance is relative: 0 the same weights, sqrt(2) what two unrelated directions of one length have.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict

HIDDEN = 32
#: Network pairs whose distance is measured: all pairs of so many starts.
PAIRED = 20


def measure(ctx: Context) -> Measurements:
    """Train from each start on each fold; keep scores, and of the first fold predictions and weights."""
    s = ctx.settings
    folds = ctx.folds(s["dataset"], folds=s["folds"])
    rows: list[dict[str, Any]] = []
    found = []
    for start in range(s["starts"]):
        kept = ctx.arrays("start", partial(_train, folds, s["epochs"]), start)
        found.append(kept)
        rows += [
            {"start": start, "fold": fold.index, "accuracy": accuracy, "n_train": len(fold.y_train), "n_test": len(fold.y_test)}
            for fold, accuracy in zip(folds, kept["accuracy"].tolist(), strict=True)
        ]
        ctx.say(f"start {start + 1}/{s['starts']}")
    pairs = [_pair(a, b) for a, b in itertools.combinations(found[:PAIRED], 2)]
    moved = [_distance(_vector(k, "begin"), _vector(k, "end")) for k in found]
    return {"dataset": s["dataset"], "rows": rows, "pairs": pairs, "moved": moved, "epochs": s["epochs"]}


def _train(folds: list[Fold], epochs: int, start: int) -> dict[str, np.ndarray]:
    """Return the accuracies of one start on all folds, and of the first fold predictions and weights before and after."""
    from models import MLPClassifier

    found: dict[str, np.ndarray] = {}
    accuracies = []
    for fold in folds:
        scale = float(fold.X_train.max()) or 1.0
        X, y, seed = fold.X_train / scale, fold.y_train, 1000 * start + fold.index
        model = MLPClassifier(
            (HIDDEN,), max_iter=epochs, n_iter_no_change=epochs, random_state=seed, learning_rate_init=0.01
        )
        predicted = fit_quietly(model, X, y).predict(fold.X_test / scale)
        accuracies.append(float(np.mean(predicted == fold.y_test)))
        if fold.index == 0:
            found |= {"predictions": predicted, "right": predicted == fold.y_test, **_weights(model, "end")}
            # steps of (almost) no length, and the starting weights are still there
            still = MLPClassifier((HIDDEN,), max_iter=1, random_state=seed, solver="sgd", learning_rate_init=1e-30)
            found |= _weights(fit_quietly(still, X, y), "begin")
    return {"accuracy": np.array(accuracies), **found}


def _weights(model, when: str) -> dict[str, np.ndarray]:
    hidden, out = model.coefs_
    return {f"{when}_in": np.vstack([hidden, model.intercepts_[0]]), f"{when}_out": out}


def _vector(kept: Mapping[str, np.ndarray], when: str) -> np.ndarray:
    """Return one row per hidden unit: the weights that lead to it and from it."""
    return np.hstack([kept[f"{when}_in"].T, kept[f"{when}_out"]])


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the distance of two solutions over the root of the product of their lengths."""
    return float(np.linalg.norm(a - b) / math.sqrt(np.linalg.norm(a) * np.linalg.norm(b)))


def matched(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the units (rows) of `b` in the order that lies nearest to `a`.

    Examples
    --------
    >>> a = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> matched(a, a[::-1]).tolist() == a.tolist()
    True
    """
    from scipy.optimize import linear_sum_assignment

    _, order = linear_sum_assignment(a @ b.T, maximize=True)
    return b[order]


def _pair(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> dict[str, float]:
    units_a, units_b = _vector(a, "end"), _vector(b, "end")
    return {
        "distance": _distance(units_a, units_b),
        "distance_matched": _distance(units_a, matched(units_a, units_b)),
        "agreement": float(np.mean(a["predictions"] == b["predictions"])),
        "both_wrong": float(np.mean(~a["right"] & ~b["right"])),
        "wrong_a": float(np.mean(~a["right"])),
        "wrong_b": float(np.mean(~b["right"])),
    }


# -- what follows is made of the measurements alone


def spreads(m: Measurements) -> dict[str, float]:
    """Return the spread over starts and over folds, the ratio of the second to the first and its 95 % interval."""
    from scipy.stats import f as f_distribution

    folds, starts = findings.values(m["rows"], "fold"), findings.values(m["rows"], "start")
    table = np.array([[_one(m, start, fold) for fold in folds] for start in starts])
    n_starts, n_folds = table.shape
    within = float(table.var(axis=0, ddof=1).mean())
    between = n_starts * float(table.mean(axis=0).var(ddof=1))
    if within == 0.0:
        return {"starts": 0.0, "folds": math.sqrt(between / n_starts), "ratio": 1e9, "low": 1e9, "high": 1e9}
    f = between / within
    df = n_folds - 1, n_folds * (n_starts - 1)
    low, ratio, high = (
        math.sqrt(max(f / q - 1.0, 0.0) / n_starts)
        for q in (f_distribution.ppf(0.975, *df), 1.0, f_distribution.ppf(0.025, *df))
    )
    return {"starts": math.sqrt(within), "folds": ratio * math.sqrt(within), "ratio": ratio, "low": low, "high": high}


def _one(m: Measurements, start: int, fold: int) -> float:
    return next(row["accuracy"] for row in m["rows"] if row["start"] == start and row["fold"] == fold)


def verdict(m: Measurements) -> Verdict:
    """Compare the spread over starts with the spread over folds."""
    s = spreads(m)
    distance = np.mean([p["distance_matched"] for p in m["pairs"]])
    agreement = np.mean([p["agreement"] for p in m["pairs"]])
    n_starts, n_folds = len(findings.values(m["rows"], "start")), len(findings.values(m["rows"], "fold"))
    outcome = findings.outcome(s["low"], s["high"], 1.0)
    answer = (
        f"{n_starts} random starts end at weights that lie far apart (distance {distance:.2f}, where 0 is the same and 1.41 "
        f"unrelated), yet they agree on {findings.percent(agreement)} of the answers, and their accuracies differ by "
        f"{100 * s['starts']:.2f} points (standard deviation), while another choice of examples makes {100 * s['folds']:.2f}: "
        f"{findings.number(s['ratio'])} times as much."
    )
    interval = (
        f"95 % interval of the ratio {findings.number(s['low'])} to {findings.number(s['high'])}, "
        f"{n_starts} starts on {n_folds} folds"
    )
    return Verdict(outcome, answer, interval, "scores")


def tables(m: Measurements) -> list[Table]:
    """Return scores by fold, and how alike solutions are."""
    rows = []
    for fold in findings.values(m["rows"], "fold"):
        a = np.array([r["accuracy"] for r in m["rows"] if r["fold"] == fold])
        rows.append([str(fold), *(f"{100 * v:.2f}" for v in (a.mean(), a.std(ddof=1), a.min(), a.max()))])
    s = spreads(m)
    rows.append(["spread", "", f"{100 * s['starts']:.2f}", "", f"{100 * s['folds']:.2f} over folds"])
    pairs = m["pairs"]
    mean = {key: float(np.mean([p[key] for p in pairs])) for key in pairs[0]}
    chance = float(np.mean([p["wrong_a"] * p["wrong_b"] for p in pairs]))
    alike = [
        ["distance of two solutions", f"{mean['distance']:.2f}"],
        ["distance after matching the hidden units", f"{mean['distance_matched']:.2f}"],
        ["distance from a start to its own solution", f"{np.mean(m['moved']):.2f}"],
        ["answers on which two solutions agree", findings.percent(mean["agreement"])],
        ["both wrong", findings.percent(mean["both_wrong"], 2)],
        ["both wrong, were their mistakes independent", findings.percent(chance, 2)],
    ]
    return [
        Table("Accuracy of the starts, in percent", ["fold", "mean", "std. deviation", "least", "greatest"], rows),
        Table(f"How alike two solutions are, mean of {len(pairs)} pairs", ["what", "value"], alike),
    ]


def figures(m: Measurements) -> list[Figure]:
    """Return every score by fold, and distances against agreement."""
    scores = charts.strips(
        m["rows"], charts.axis("fold", "fold: which examples were set aside for the test", kind="O"),
        charts.axis("accuracy", "accuracy", percent=True),
    )  # fmt: skip
    drawn = [{"what": "as they are", "d": p["distance"]} for p in m["pairs"]]
    drawn += [{"what": "after matching the hidden units", "d": p["distance_matched"]} for p in m["pairs"]]
    drawn += [{"what": "from a start to its own solution", "d": d} for d in m["moved"]]
    distances = charts.histogram(drawn, "d", "distance of two networks (0: the same weights; 1.41: unrelated)", colour="what")
    return [
        Figure(
            "scores", "Accuracy of every start, by fold",
            "Each dot is one random start; each bar the mean of its fold. Where the columns stand higher and lower than the "
            "dots of one column scatter, the choice of examples matters more than the start.", scores,
        ),
        Figure(
            "distances", "How far apart the solutions are",
            "How often each distance occurs between the weights of two trained networks, before and after their hidden units "
            "are put into the same order, and between a network's starting weights and what it ends at.", distances,
        ),
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(start_spread: float, fold_spread: float) -> Measurements:
        random = np.random.default_rng(0)
        n_folds = 8
        by_fold = fold_spread * (np.arange(n_folds) - 3.5) / 2.45
        rows = [
            {"start": s, "fold": f, "accuracy": float(0.9 + by_fold[f] + start_spread * random.standard_normal()),
             "n_train": 900, "n_test": 100}
            for s in range(20) for f in range(n_folds)
        ]  # fmt: skip
        pair = {"distance": 1.3, "distance_matched": 1.0, "agreement": 0.95, "both_wrong": 0.05, "wrong_a": 0.1, "wrong_b": 0.1}
        return {"dataset": "digits", "rows": rows, "pairs": [pair, pair], "moved": [0.8] * 20, "epochs": 10}

    return {"supported": made(0.002, 0.02), "refuted": made(0.02, 0.001), "undecided": made(0.01, 0.008)}


STUDY = Study(
    name="starts",
    question="A network starts with random numbers. Does it matter which?",
    claim="Different random starts end at different weights that are about equally good: the spread of scores over starts is "
    "smaller than the spread over the choice of examples.",
    source="Choromanska et al., The Loss Surfaces of Multilayer Networks, AISTATS 2015; Bouthillier et al., Accounting for "
    "Variance in Machine Learning Benchmarks, MLSys 2021",
    refuted_if="The scores of different starts on the same examples differ by more than those of one start on different "
    "examples: the 95 % interval of the ratio (examples to starts) lies below 1.",
    method="A network with one hidden layer of 32 units is trained from many random starts, again and again with other "
    "examples set aside for the test (folds). We compare how much scores vary from start to start with how much they vary from "
    "fold to fold; how far apart the weights are that the starts end at, once hidden units that do the same are put into the "
    "same place; and on how many test examples two such networks give the same answer.",
    presets={
        "XS": {"dataset": "digits@S", "starts": 4, "folds": 3, "epochs": 10},
        "S": {"dataset": "digits", "starts": 50, "folds": 10, "epochs": 20},
        "M": {"dataset": "fashion_mnist@S", "starts": 50, "folds": 10, "epochs": 20},
        "L": {"dataset": "fashion_mnist@M", "starts": 50, "folds": 10, "epochs": 30},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="The spread over folds holds two things, other examples to learn from and others to be tested on; that a single "
    "start is as good as any other holds for this network on these data, not for every network: very deep ones can fail to "
    "start at all (see the study of depth).",
)  # fmt: skip
