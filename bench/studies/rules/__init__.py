"""Plain programming against learning: rules and weights set by hand against estimated ones, as the training data grow.

By hand: `by_hand.py`. Estimated: a decision tree, which is rules that data wrote, and logistic regression, which is weights
that data set. Each learner is given the first 1, 3, 10 ... samples of each fold's training part (`FirstSamples`), so a point
of a learning curve is a cell of the harness like any other.
"""

from __future__ import annotations

from typing import Any

from bench.studies import charts, findings
from bench.studies.context import Context
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.variants import Variant

SIZES = (1, 3, 10, 30, 100, 300, 1000)
ALL = 10**9
BY_HAND = {"rules_by_hand": "rules written by hand", "weights_by_hand": "weights set by hand"}
LEARNED = {"weights": "weights estimated (logistic regression)", "rules": "rules estimated (decision tree)"}
#: What is compared with the better of the two by hand: named beforehand.
LEARNER = "weights"

_ESTIMATORS = {"weights": "bench.studies.rules:standardized_regression", "rules": "sklearn.tree:DecisionTreeClassifier"}
VARIANTS = {
    "rules_by_hand": Variant("bench.studies.rules.by_hand:ByHand", {"kind": "rules"}),
    "weights_by_hand": Variant("bench.studies.rules.by_hand:ByHand", {"kind": "weights"}),
    **{f"{name}_{n}": Variant(_ESTIMATORS[name], n_samples=n) for name in LEARNED for n in (*SIZES, ALL)},
}


def __getattr__(name: str) -> Variant:
    """Answer the harness, which imports ``bench.studies.rules:weights_30``."""
    if name not in VARIANTS:
        raise AttributeError(name)
    return VARIANTS[name]


def standardized_regression() -> Any:
    """Return logistic regression on columns brought to mean 0 and deviation 1."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def measure(ctx: Context) -> Measurements:
    """Run all, by hand and estimated, on all data sets."""
    s = ctx.settings
    sizes = [n for n in SIZES if n <= s["most"]] + [ALL]
    models = [*BY_HAND, *(f"{name}_{n}" for name in LEARNED for n in sizes)]
    cells = ctx.cells(
        "by_hand", datasets=s["datasets"], models=[f"{__name__}:{m}" for m in models], folds=s["folds"], repeats=s["repeats"]
    )
    rows = []
    for row in cells:
        name, _, n = row["model"].rpartition("_")
        learned = name in LEARNED
        if learned and int(n) != ALL and int(n) >= row["n_train"]:
            continue  # the same as all
        kept = {k: row.get(k) for k in ("dataset", "repeat", "fold", "status", "accuracy", "n_train", "n_test")}
        who = {"who": name, "n": min(int(n), row["n_train"]), "is_all": int(n) == ALL} if learned else {"who": row["model"]}
        rows.append({**who, **kept})
    return {"rows": rows}


# -- what follows is made of the measurements alone


def best_by_hand(m: Measurements, dataset: str) -> str:
    """Return which of the two by hand has the higher mean: chosen in its favour."""
    return max(BY_HAND, key=lambda who: findings.mean_of(findings.only(m["rows"], dataset=dataset, who=who)).mean)


def learned(m: Measurements, dataset: str, who: str = LEARNER) -> list[tuple[int, list[Any]]]:
    """Return the rows of a learner for each number of samples, the fewest first; the last has all."""
    rows = findings.only(m["rows"], dataset=dataset, who=who)
    few = sorted({row["n"] for row in rows if not row["is_all"]})
    found = [(n, findings.only(rows, n=n, is_all=False)) for n in few]
    whole = findings.only(rows, is_all=True)
    return [*found, (min(row["n_train"] for row in whole), whole)]


def overtakes(m: Measurements, dataset: str, who: str = LEARNER) -> int | None:
    """Return from which number of samples on the learner is better than what was made by hand, interval and all."""
    by_hand = findings.only(m["rows"], dataset=dataset, who=best_by_hand(m, dataset))
    since = None
    for n, rows in learned(m, dataset, who):
        found = findings.compare(rows, by_hand)
        is_better = found.low is not None and found.low > 0.0
        since = (since or n) if is_better else None
    return since


def verdict(m: Measurements) -> Verdict:
    """Do estimated weights overtake what was written by hand, on every data set?"""
    outcomes, parts, intervals = [], [], []
    for dataset in findings.values(m["rows"], "dataset"):
        by_hand = findings.only(m["rows"], dataset=dataset, who=best_by_hand(m, dataset))
        found = findings.compare(learned(m, dataset)[-1][1], by_hand)
        outcomes.append(findings.outcome(found.low, found.high))
        n = overtakes(m, dataset)
        when = "not seen to overtake" if n is None else f"ahead from {n} samples on"
        name = dataset.partition("@")[0].replace("_", " ")
        parts.append(f"{name} {findings.points(found.difference)} points ({when})")
        low, high = findings.points(found.low), findings.points(found.high)
        intervals.append(f"{name} {low} to {high}" if found.low is not None else f"{name}: no interval")
    n_ahead = sum(o == "supported" for o in outcomes)
    answer = (
        f"With all samples, learning is ahead of the better of rules and weights made by hand on {n_ahead} of {len(outcomes)} "
        f"data sets: {', '.join(parts)}."
    )
    return Verdict(findings.combined(outcomes), answer, f"95 % intervals in points: {', '.join(intervals)}", "lead")


def tables(m: Measurements) -> list[Table]:
    """Return accuracies by data set, and where learning overtakes."""
    datasets = findings.values(m["rows"], "dataset")
    rows = []
    for who, words in BY_HAND.items():
        by_hand = [findings.mean_of(findings.only(m["rows"], dataset=d, who=who)) for d in datasets]
        rows.append([words, *map(findings.plus_minus, by_hand)])
    for who, words in LEARNED.items():
        for label, pick in (("10 samples", 10), ("100 samples", 100), ("all samples", None)):
            cells = []
            for d in datasets:
                by_size = learned(m, d, who)
                mine = by_size[-1][1] if pick is None else next((r for n, r in by_size[:-1] if n == pick), None)
                cells.append("" if mine is None else findings.plus_minus(findings.mean_of(mine)))
            rows.append([f"{words}, {label}", *cells])
    when = []
    for who, words in LEARNED.items():
        crossing = [overtakes(m, d, who) for d in datasets]
        when.append([words, *("not seen" if n is None else f"{n:,}" for n in crossing)])
    return [
        Table("Accuracy in percent", ["", *datasets], rows),
        Table("From how many samples on learning is ahead of the better one by hand, interval and all", ["", *datasets], when),
    ]


def figures(m: Measurements) -> list[Figure]:
    """Return one learning curve per data set, with what was made by hand as level lines."""
    rows = []
    for dataset in findings.values(m["rows"], "dataset"):
        for who, words in LEARNED.items():
            for n, mine in learned(m, dataset, who):
                rows.append({"dataset": dataset, "who": words, "n": n, "accuracy": findings.mean_of(mine).mean})
        n_all = learned(m, dataset)[-1][0]
        for who, words in BY_HAND.items():
            mean = findings.mean_of(findings.only(m["rows"], dataset=dataset, who=who)).mean
            rows += [{"dataset": dataset, "who": words, "n": n, "accuracy": mean} for n in (1, n_all)]
    order = [*LEARNED.values(), *BY_HAND.values()]
    found = [_lead(m)]
    for dataset in findings.values(rows, "dataset"):
        name = dataset.partition("@")[0]
        chart = charts.lines(
            findings.only(rows, dataset=dataset), charts.axis("n", "samples to learn from (log)", log=True),
            charts.axis("accuracy", "accuracy on samples not seen", percent=True), "who", order=order,
        )  # fmt: skip
        found.append(
            Figure(f"curves_{name}", f"{name.replace('_', ' ')}: by hand against learned",
                   f"{name.replace('_', ' ')}: accuracy of estimated rules and weights against the number of samples they "
                   "learned from; the level lines are what was written by hand, which learns from none.", chart)
        )  # fmt: skip
    return found


def _lead(m: Measurements) -> Figure:
    """Return how far learning from all samples is ahead on each data set."""
    rows = []
    for dataset in findings.values(m["rows"], "dataset"):
        by_hand = findings.only(m["rows"], dataset=dataset, who=best_by_hand(m, dataset))
        found = findings.compare(learned(m, dataset)[-1][1], by_hand)
        low, high = (found.difference if v is None else v for v in (found.low, found.high))
        name = dataset.partition("@")[0].replace("_", " ")
        rows.append({"dataset": name, "lead": 100 * found.difference, "low": 100 * low, "high": 100 * high})
    chart = charts.intervals(rows, charts.axis("lead", "points that learning is ahead", zero=True), "dataset")
    return Figure(
        "lead", "How far learning is ahead, with all samples",
        "Accuracy of estimated weights less that of the better of rules and weights made by hand, in points, with its 95 % "
        "interval; left of zero the hand is ahead.", charts.rule(chart, 0.0, vertical=True),
    )  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(by_hand: float, gains: list[float]) -> Measurements:
        def row(who: str, f: int, accuracy: float, **more: Any) -> dict[str, Any]:
            return {"dataset": "digits", "who": who, "repeat": 0, "fold": f, "status": "ok", "accuracy": accuracy,
                    "n_train": 80, "n_test": 20, **more}  # fmt: skip

        rows = []
        for f, gain in enumerate(gains):
            rows += [row(who, f, by_hand) for who in BY_HAND]
            for who in LEARNED:
                rows += [row(who, f, 0.2 + f / 100, n=1, is_all=False), row(who, f, by_hand + gain, n=80, is_all=True)]
        return {"rows": rows}

    return {
        "supported": made(0.5, [0.3, 0.32, 0.28, 0.31]),
        "refuted": made(0.9, [-0.3, -0.32, -0.28, -0.31]),
        "undecided": made(0.7, [0.2, -0.25, 0.05, -0.1]),
    }


STUDY = Study(
    name="rules",
    question="Why learn at all? Could one not simply write the rules down?",
    claim="Given enough samples, what is estimated from data overtakes what a person writes down, on every data set.",
    source="Sutton, The Bitter Lesson, 2019; Domingos, A Few Useful Things to Know About Machine Learning, CACM 55, 2012",
    refuted_if="On one of the data sets, hand-written rules or hand-set weights are better than weights estimated from all "
    "samples.",
    method="For four data sets (flowers, wines, tumours, written digits) we wrote a few lines of ordinary code that decide by "
    "rules, and set weights of a sum by hand (for the digits, by drawing each digit). Against them stand the same two with "
    "their numbers estimated from data: a decision tree, which is rules that data wrote, and logistic regression, which is "
    "weights that data set, from 1 sample up to all of them. All are tested on samples that none has seen.",
    presets={
        "XS": {"datasets": ["iris"], "folds": 3, "repeats": 1, "most": 10},
        "S": {"datasets": ["iris", "wine", "breast_cancer", "digits"], "folds": 5, "repeats": 1, "most": 1000},
        "M": {"datasets": ["iris", "wine", "breast_cancer", "digits"], "folds": 10, "repeats": 2, "most": 1000},
        "L": {"datasets": ["iris", "wine", "breast_cancer", "digits"], "folds": 10, "repeats": 10, "most": 1000},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="How good hand-written rules are depends on who writes them and for how long; ours took minutes. The flowers and "
    "the wines are so well known that nobody can write rules for them without having seen the data in a book.",
)  # fmt: skip
