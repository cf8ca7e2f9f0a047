"""When does deep pay: accuracy over the number of examples, for simple models and a ConvNet, on the same folds.

Learning curves (Cortes et al., NIPS 1993): each model learns from the first n examples of each training fold, larger draws
containing the smaller, and is tested on the whole test fold. Where two curves cross is read off by interpolation in log n; its
interval reaches from the last size at which the one was distinguishably ahead to the first at which the other was. The error
of many models falls as a power of n, a n^-b (Hestness et al. 2017, arXiv:1712.00409). That law is fitted to the smaller sizes,
and what it foretells for the largest, which it has not seen, is set beside what was measured there.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.variants import Variant

DEEP = "convnet"
MODELS = {
    "nearest_centroid": "averages",
    "logistic_regression": "logistic regression",
    "random_forest": "100 trees that vote",
    "svc_rbf": "support vector machine",
    "mlp_100": "a network with 100 hidden units",
    DEEP: "a ConvNet",
}
#: A network sees as many batches, however few the examples are.
BATCH, UPDATES, MOST_EPOCHS = 32, 1_200, 400
_NETWORKS = {
    "tiny": ["c8k3", "m2", "out"],
    "small": ["c16k3p1", "m2", "c32k3p1", "m2", "out"],
    "lenet5": "lenet5",
}


def __getattr__(name: str) -> Variant:
    """Return the variant of a name such as ``svc_rbf_n50`` or ``convnet_small_n50``."""
    match = re.fullmatch(r"(\w+?)_n(\d+)", name)
    if match is None:
        raise AttributeError(name)
    model, n = match[1], int(match[2])
    epochs = min(MOST_EPOCHS, max(12, math.ceil(UPDATES * BATCH / n)))
    if model.startswith(f"{DEEP}_"):
        network = _NETWORKS[model.removeprefix(f"{DEEP}_")]
        params = {"architecture": network, "max_iter": epochs, "batch_size": BATCH, "learning_rate_init": 0.02}
        return Variant("models:ConvNetClassifier", params, n_samples=n)
    params = {"max_iter": epochs, "batch_size": min(BATCH, n)} if model == "mlp_100" else {}
    return Variant(model, params, n_samples=n)


def measure(ctx: Context) -> Measurements:
    """Run every model on every number of examples; one cell each."""
    s = ctx.settings
    rows = []
    for n in s["sizes"]:
        models = [f"{__name__}:{DEEP + '_' + s['network'] if name == DEEP else name}_n{n}" for name in s["models"]]
        rows += ctx.cells(f"n = {n}", datasets=[s["dataset"]], models=models, features=["standardized"], folds=s["folds"])
    kept = ("fold", "status", "message", "accuracy", "n_train", "n_test", "time_fit_s")
    found = []
    for row in rows:
        model, n = re.fullmatch(r"(\w+?)_n(\d+)", row["model"]).groups()
        model = DEEP if model.startswith(f"{DEEP}_") else model
        found.append({"model": model, "n": int(n), **{k: row.get(k) for k in kept}})
    return {"dataset": s["dataset"], "network": s["network"], "rows": found}


# -- what follows is made of the measurements alone


def _of(m: Measurements, model: str, n: int) -> list[dict[str, Any]]:
    return findings.only(m["rows"], model=model, n=n)


def _sizes(m: Measurements) -> list[int]:
    return sorted(findings.values(m["rows"], "n"))


def _others(m: Measurements) -> list[str]:
    return [name for name in MODELS if name != DEEP and findings.only(m["rows"], model=name)]


def _scored(m: Measurements, model: str, n: int) -> bool:
    """Whether any cell of a model ended well with so many examples."""
    return any(row.get("accuracy") is not None for row in _of(m, model, n))


def _best_other(m: Measurements, n: int) -> str:
    scored = [name for name in _others(m) if _scored(m, name, n)]
    return max(scored, key=lambda name: findings.mean_of(_of(m, name, n)).mean)


def crossing(m: Measurements, model: str) -> dict[str, Any]:
    """Return where the ConvNet overtakes a model for good: the size, and between which sizes it is certain to lie.

    ``at`` is None where it never does, and 0 where it is ahead from the start.
    """
    sizes = [n for n in _sizes(m) if _scored(m, DEEP, n) and _scored(m, model, n)]
    found = [findings.compare(_of(m, DEEP, n), _of(m, model, n)) for n in sizes]
    ahead = [c.difference > 0 for c in found]
    behind = [n for n, c in zip(sizes, found, strict=True) if c.high is not None and c.high < 0]
    clear = [n for n, c in zip(sizes, found, strict=True) if c.low is not None and c.low > 0]
    low = max(behind, default=None)
    high = min((n for n in clear if low is None or n > low), default=None)
    if not ahead[-1]:
        return {"at": None, "low": low, "high": high}
    last = max((i for i, a in enumerate(ahead) if not a), default=None)
    if last is None:
        return {"at": 0, "low": low, "high": high}
    before, after = found[last].difference, found[last + 1].difference
    share = -before / (after - before)
    at = math.exp(math.log(sizes[last]) + share * (math.log(sizes[last + 1]) - math.log(sizes[last])))
    return {"at": at, "low": low, "high": high}


def power_law(sizes: list[int], errors: list[float]) -> tuple[float, float]:
    """Return a and b of error = a n^-b, least squares between logarithms.

    Examples
    --------
    >>> a, b = power_law([10, 100], [0.2, 0.02])
    >>> round(a, 6), round(b, 6)
    (2.0, 1.0)
    """
    slope, constant = np.polyfit(np.log(sizes), np.log(np.maximum(errors, 1e-6)), 1)
    return float(np.exp(constant)), float(-slope)


def foretold(m: Measurements, model: str) -> dict[str, Any]:
    """Fit the law to all sizes but the largest, fold by fold; return what it says of the largest, and what was measured."""
    *small, largest = _sizes(m)
    rows = []
    for last in _of(m, model, largest):
        fold = [r for n in small for r in _of(m, model, n) if r["fold"] == last["fold"] and r.get("accuracy") is not None]
        if last.get("accuracy") is None or len(fold) < 2:
            continue
        a, b = power_law([r["n"] for r in fold], [1 - r["accuracy"] for r in fold])
        said = a * min(largest, last["n_train"]) ** -b
        rows.append({**last, "b": b, "said": said, "off": said - (1 - last["accuracy"])})
    if not rows:
        return {}
    off, said = findings.mean_of(rows, "off"), float(np.mean([r["said"] for r in rows]))
    return {
        "b": float(np.mean([r["b"] for r in rows])), "said": said, "was": said - off.mean, "off": off.mean, "low": off.low,
        "high": off.high,
    }  # fmt: skip


def verdict(m: Measurements) -> Verdict:
    """The simple are ahead with few examples, and the ConvNet with many."""
    sizes = _sizes(m)
    few, many = sizes[0], sizes[-1]
    simple, rival = _best_other(m, few), _best_other(m, many)
    begins = findings.compare(_of(m, simple, few), _of(m, DEEP, few))
    ends = findings.compare(_of(m, DEEP, many), _of(m, rival, many))
    outcome = findings.combined([findings.outcome(c.low, c.high) for c in (begins, ends)])
    where = crossing(m, rival)
    if where["at"] is None:
        overtakes = f"it does not overtake {MODELS[rival]} within {many:,}"
    elif where["at"] == 0:
        overtakes = f"it is ahead of {MODELS[rival]} from the start"
    else:
        overtakes = f"it overtakes {MODELS[rival]} at about {findings.number(where['at'])} examples"
    answer = (
        f"With {few:,} examples the best simple model ({MODELS[simple]}) less the ConvNet makes "
        f"{findings.points(begins.difference)} points, with {many:,} the ConvNet less the best of the others "
        f"({MODELS[rival]}) {findings.points(ends.difference)}; {overtakes}."
    )
    interval = f"with few: {findings.interval_of_points(begins)}; with many: {findings.interval_of_points(ends)}"
    return Verdict(outcome, answer, interval, "curves")


def tables(m: Measurements) -> list[Table]:
    """Return accuracy by size, crossings, and what the law foretold."""
    sizes = _sizes(m)
    curves = []
    for name in [*_others(m), DEEP]:
        cells = [findings.plus_minus(findings.mean_of(_of(m, name, n))) if _scored(m, name, n) else "-" for n in sizes]
        curves.append([MODELS[name], *cells])
    crossed = []
    for name in _others(m):
        c = crossing(m, name)
        at = "never, here" if c["at"] is None else "from the start" if c["at"] == 0 else findings.number(c["at"])
        crossed.append([MODELS[name], at, findings.number(c["low"]), findings.number(c["high"])])
    laws = []
    for name in [*_others(m), DEEP]:
        f = foretold(m, name)
        if f:
            off = findings.points(f["off"]) + ("" if f["low"] is None else
                                               f" ({findings.points(f['low'])} to {findings.points(f['high'])})")  # fmt: skip
            laws.append([MODELS[name], f"{f['b']:.2f}", findings.percent(f["said"]), findings.percent(f["was"]), off])
    return [
        Table(f"Accuracy in percent on {m['dataset']}, by the number of examples to learn from",
              ["model", *(f"{n:,}" for n in sizes)], curves),
        Table("From how many examples on the ConvNet is ahead",
              ["of", "crossing", "surely behind at", "surely ahead at"], crossed),
        Table(f"Extrapolated from at most {sizes[-2]:,} examples to {sizes[-1]:,}: errors, and how far off in points",
              ["model", "power b", "foretold", "measured", "off"], laws),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return the learning curves."""
    rows = []
    for name in [*_others(m), DEEP]:
        for n in (n for n in _sizes(m) if _scored(m, name, n)):
            found = findings.mean_of(_of(m, name, n))
            rows.append({"model": MODELS[name], "n": n, "error": 1 - found.mean, "low": 1 - (found.high or found.mean),
                         "high": 1 - (found.low if found.low is not None else found.mean)})  # fmt: skip
    ends = [r for r in rows if r["n"] == _sizes(m)[-1]]
    x = charts.axis("n", "examples to learn from", log=True, values=_sizes(m))
    chart = charts.lines(rows, x, charts.axis("error", "errors on samples not seen", percent=True, zero=True), "model",
                         low="low", high="high", order=[MODELS[n] for n in MODELS])  # fmt: skip
    return [
        Figure(
            "curves", "Errors over the number of examples",
            f"One falling line per model with its 95 % interval; with {_sizes(m)[-1]:,} examples the errors are "
            + ", ".join(f"{r['model']} {findings.percent(r['error'])}" for r in ends) + ".",
            chart,
        )
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(deep: dict[int, float], scatter: float = 0.002) -> Measurements:
        flat = {10: 0.70, 100: 0.85, 1000: 0.90}
        rows = [
            {"model": model, "n": n, "fold": f, "status": "ok", "accuracy": curve[n] + scatter * ((f * 7 + k) % 5 - 2),
             "n_train": 1000, "n_test": 250, "time_fit_s": 0.1}
            for k, (model, curve) in enumerate({"nearest_centroid": flat, DEEP: deep}.items()) for n in flat for f in range(5)
        ]  # fmt: skip
        return {"dataset": "digits", "network": "small", "rows": rows}

    return {
        "supported": made({10: 0.50, 100: 0.86, 1000: 0.97}),
        "refuted": made({10: 0.50, 100: 0.80, 1000: 0.85}),
        "undecided": made({10: 0.695, 100: 0.85, 1000: 0.905}, scatter=0.02),
    }


_ALL = list(MODELS)
STUDY = Study(
    name="data",
    question="How many examples does a deep model need before it pays?",
    claim="It depends on how many examples there are: with few, simple models are ahead; with many, a deep one overtakes them.",
    source="Perlich, Provost and Simonoff, Tree Induction vs. Logistic Regression: A Learning-Curve Analysis, Journal of "
    "Machine Learning Research 4, 2003 (curves of simple and flexible models cross)",
    refuted_if="With the fewest examples the ConvNet is already ahead of the best simple model, or with the most it is still "
    "behind the best of the others: one of these differences has the wrong sign over its whole 95 % interval.",
    method="Each model learns from the first few examples of a training fold, then from ever more of "
    "them, and is tested on the same test fold. "
    "Networks see as many batches however few the examples are, so that little data does not mean little training. Where the "
    "lines cross, the deep model begins to pay. A law (errors fall as a power of the number of examples) is fitted to all but "
    "the largest number; what it says of the largest is an extrapolation, and stands beside what was measured there.",
    presets={
        "XS": {"dataset": "digits@S", "folds": 3, "sizes": [20, 100, 600], "network": "tiny",
               "models": ["nearest_centroid", "logistic_regression", DEEP]},
        "S": {"dataset": "digits", "folds": 5, "sizes": [20, 50, 150, 450, 1437], "network": "small", "models": _ALL},
        "M": {"dataset": "fashion_mnist@M", "folds": 3, "sizes": [30, 100, 300, 1000, 3000, 10000], "network": "lenet5",
              "models": _ALL},
        "L": {"dataset": "fashion_mnist", "folds": 3, "sizes": [30, 100, 300, 1000, 3000, 10000, 30000], "network": "lenet5",
              "models": _ALL},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="Crossings hold for these models at these settings on these data; a network made for little data, or one that has "
    "learned from other data before, would cross earlier. What lies beyond the largest number is not known, only extrapolated.",
)  # fmt: skip
