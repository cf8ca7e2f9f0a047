"""Why deep networks could not be trained, and what each remedy does: gradients by layer, and accuracy by depth.

From the loss back to the first layer, a gradient is multiplied by the weights and by the slope of each layer's curve. The
sigmoid's slope is at most 1/4, and weights drawn as was usual let a third of the variance through; over many layers little is
left (Hochreiter 1991; Glorot & Bengio 2010). The remedies in the order in which they came: weights drawn so that the variance
stays (Glorot & Bengio, AISTATS 2010), a curve with slope 1 (ReLU; Glorot, Bordes & Bengio, AISTATS 2011) with weights drawn for
it (He et al., ICCV 2015), values normalized in each batch (Ioffe & Szegedy, ICML 2015), a way past each layer (He et al., CVPR
2016). The norm of the gradient is measured before the first step, for each layer's weights.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.variants import Variant

WIDTH = 32
#: name -> (what it is in words, curve, starting weights, tokens of a further layer)
REMEDIES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "sigmoid": ("sigmoid, weights as before 2010", "logistic", "uniform", ("32",)),
    "sigmoid_glorot": ("sigmoid, Glorot's weights", "logistic", "glorot", ("32",)),
    "relu": ("ReLU, weights as before 2010", "relu", "uniform", ("32",)),
    "relu_he": ("ReLU, He's weights", "relu", "he", ("32",)),
    "relu_bn": ("ReLU, He's weights, batch norm", "relu", "he", ("32", "bn")),
    "residual": ("the same with a way past each layer", "relu", "he", ("(", "32", "bn", ")")),
}
FIRST, LAST = "sigmoid", "residual"
#: Of the samples whose gradient is measured.
GRADIENT_SAMPLES, GRADIENT_SEEDS = 256, 3


def network(name: str, depth: int, epochs: int) -> Variant:
    """Return a network with `depth` hidden layers of 32 units.

    Examples
    --------
    >>> network("relu_bn", 2, 5).params["architecture"]
    ['32', 'bn', '32', 'bn', 'out']
    >>> network("residual", 2, 5).params["architecture"]
    ['32', 'bn', '(', '32', 'bn', ')', 'bn', 'out']
    """
    _, activation, initializer, layer = REMEDIES[name]
    first = ("32", "bn") if "bn" in layer else ("32",)
    last = ("bn",) if "(" in layer else ()  # each block adds to what passes through; the sum is normalized once more
    params = {
        "architecture": [*first, *layer * (depth - 1), *last, "out"], "activation": activation, "initializer": initializer,
        "max_iter": epochs, "batch_size": 64, "learning_rate_init": 0.05, "alpha": 0.0, "n_iter_no_change": epochs,
    }  # fmt: skip
    return Variant("models:ConvNetClassifier", params, flat=True)


def __getattr__(name: str) -> Variant:
    """Answer the harness, which imports ``bench.studies.depth:relu_he__64_layers_10_epochs``."""
    found = re.fullmatch(r"(\w+)__(\d+)_layers_(\d+)_epochs", name)
    if found is None or found[1] not in REMEDIES:
        raise AttributeError(name)
    return network(found[1], int(found[2]), int(found[3]))


def measure(ctx: Context) -> Measurements:
    """Train each network on each fold, and take the gradients before the first step."""
    s = ctx.settings
    names = {f"{name}__{depth}_layers_{s['epochs']}_epochs": (name, depth) for name in REMEDIES for depth in s["depths"]}
    cells = ctx.cells(
        "networks", datasets=[s["dataset"]], features=["standardized"], models=[f"{__name__}:{name}" for name in names],
        folds=s["folds"],
    )  # fmt: skip
    rows = []
    for row in cells:
        name, depth = names[row["model"]]
        kept = {k: row.get(k) for k in ("fold", "status", "accuracy", "n_train", "n_test", "time_fit_s")}
        rows.append({"network": name, "depth": depth, **kept})
    fold = ctx.folds(s["dataset"], folds=s["folds"])[0]
    X = fold.X_train[:GRADIENT_SAMPLES]
    X = (X - X.mean()) / X.std()
    y = fold.y_train[:GRADIENT_SAMPLES]
    deepest = max(s["depths"])
    gradients = ctx.map("gradients", lambda name: _gradients(name, deepest, X, y), REMEDIES)
    return {
        "dataset": s["dataset"], "epochs": s["epochs"], "rows": rows, "depths": list(s["depths"]),
        "gradients": [g for found in gradients for g in found],
    }  # fmt: skip


def _gradients(name: str, depth: int, X: np.ndarray, y: np.ndarray) -> list[dict[str, Any]]:
    """Return the norm of each hidden layer's gradient before the first step, mean of the logarithms over seeds."""
    norms = []
    for seed in range(GRADIENT_SEEDS):
        model = network(name, depth, 1)(seed=seed, n_threads=1, backend="cython")
        # steps of (almost) no length: what is fitted are the starting weights
        model.set_params(learning_rate_init=1e-30, standardize=False, dtype="float64")
        fit_quietly(model, X.astype(np.float64), y)
        norms.append(model.weight_gradient_norms(X.astype(np.float64), y)[:depth])
    means = np.log10(np.maximum(norms, 1e-300)).mean(axis=0)
    return [{"network": name, "layer": i + 1, "log10_norm": float(m)} for i, m in enumerate(means)]


# -- what follows is made of the measurements alone


def _of(m: Measurements, name: str, depth: int) -> list[dict[str, Any]]:
    return [{**row, "accuracy": row["accuracy"] or 0.0} for row in findings.only(m["rows"], network=name, depth=depth)]


def _score(m: Measurements, name: str, depth: int) -> str:
    """Return the accuracy in words; a training whose loss became infinite has none, and counts as 0."""
    rows = findings.only(m["rows"], network=name, depth=depth)
    n_diverged = sum(row["accuracy"] is None for row in rows)
    if n_diverged == len(rows):
        return "diverged"
    text = findings.plus_minus(findings.mean_of(_of(m, name, depth)))
    return f"{text} ({n_diverged} of {len(rows)} diverged)" if n_diverged else text


def vanishing(m: Measurements, name: str) -> float:
    """Return how many powers of ten the gradient loses from the last hidden layer to the first."""
    norms = sorted(findings.only(m["gradients"], network=name), key=lambda g: g["layer"])
    return norms[-1]["log10_norm"] - norms[0]["log10_norm"]


def verdict(m: Measurements) -> Verdict:
    """At the greatest depth: depth has hurt the network of old, and the remedies have repaired it."""
    shallow, deep = min(m["depths"]), max(m["depths"])
    hurt = findings.compare(_of(m, FIRST, shallow), _of(m, FIRST, deep))
    repaired = findings.compare(_of(m, LAST, deep), _of(m, FIRST, deep))
    paid = findings.compare(_of(m, LAST, deep), _of(m, LAST, shallow))
    outcome = findings.combined([findings.outcome(hurt.low, hurt.high), findings.outcome(repaired.low, repaired.high)])
    means = {(n, d): findings.mean_of(_of(m, n, d)).mean for n in (FIRST, LAST) for d in (shallow, deep)}
    answer = (
        f"With sigmoids and the weights of old, {deep} layers get {findings.percent(means[FIRST, deep])} right where "
        f"{shallow} gets {findings.percent(means[FIRST, shallow])}, and the gradient at the first layer is "
        f"{vanishing(m, FIRST):.0f} powers of ten smaller than at the last; with all remedies {deep} layers get "
        f"{findings.percent(means[LAST, deep])} ({findings.points(repaired.difference)} points) and it changes by "
        f"{abs(vanishing(m, LAST)):.1f} powers of ten; what depth then gains here against {shallow} layer is "
        f"{findings.points(paid.difference)} points."
    )
    return Verdict(outcome, answer, findings.interval_of_points(repaired), "accuracy")


def tables(m: Measurements) -> list[Table]:
    """Return accuracy by depth, and what each remedy adds at the greatest."""
    rows = []
    for name, (words, *_) in REMEDIES.items():
        rows.append([words, *(_score(m, name, depth) for depth in m["depths"])])
    deep, effects, before = max(m["depths"]), [], None
    for name, (words, *_) in REMEDIES.items():
        mine = _of(m, name, deep)
        found = None if before is None else findings.compare(mine, before)
        effects.append(
            [words, _score(m, name, deep), "" if found is None else findings.points(found.difference),
             "" if found is None or found.low is None else f"{findings.points(found.low)} to {findings.points(found.high)}",
             f"{vanishing(m, name):.1f}"]
        )  # fmt: skip
        before = mine
    return [
        Table(f"Accuracy on {m['dataset']} in percent, after {m['epochs']} passes over the data", ["network", *(
            f"{d} layer{'s' if d > 1 else ''}" for d in m["depths"])], rows),
        Table(f"Each remedy at {deep} layers", ["network", "accuracy, %", "against the line above, points", "95 % interval",
              "powers of ten that the gradient loses"], effects),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return accuracy against depth, and gradients against layers."""
    words = {name: remedy[0] for name, remedy in REMEDIES.items()}
    scores = []
    for name in REMEDIES:
        for depth in m["depths"]:
            i = findings.mean_of(_of(m, name, depth))
            scores.append({"network": words[name], "depth": depth, "accuracy": i.mean, "low": i.low, "high": i.high})
    order = list(words.values())
    accuracy = charts.lines(
        scores, charts.axis("depth", "hidden layers (log)", log=True, values=m["depths"]),
        charts.axis("accuracy", "accuracy on samples not seen", percent=True, zero=True), "network", order=order,
    )  # fmt: skip
    gradients = [{**g, "network": words[g["network"]]} for g in m["gradients"]]
    by_layer = charts.curves(
        gradients, charts.axis("layer", "hidden layer, the first on the left"),
        charts.axis("log10_norm", "norm of the gradient, power of ten"), "network", order=order,
    )  # fmt: skip
    deep = max(m["depths"])
    return [
        Figure("accuracy", "Accuracy against depth",
               f"Accuracy of networks of {min(m['depths'])} to {deep} hidden layers, one line per remedy. Where a line falls "
               "to the accuracy of a guess, the network has learned nothing.", accuracy),
        Figure("gradients", f"The gradient on its way back through {deep} layers",
               "How long the gradient of each layer's weights is before the first step, as a power of ten: a line that falls "
               "to the left is a gradient that vanishes on its way to the first layer, one that rises to the left a gradient "
               "that explodes.", by_layer),
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(first_deep: list[float], last_deep: list[float]) -> Measurements:
        rows = [
            {"network": name, "depth": depth, "fold": f, "status": "ok", "n_train": 800, "n_test": 200, "time_fit_s": 1.0,
             "accuracy": 0.95 if depth == 1 else first_deep[f] if name == FIRST else last_deep[f]}
            for name in REMEDIES for depth in (1, 32) for f in range(len(first_deep))
        ]  # fmt: skip
        gradients = [{"network": n, "layer": i, "log10_norm": -i / 2} for n in REMEDIES for i in (1, 32)]
        return {"dataset": "digits", "epochs": 5, "rows": rows, "depths": [1, 32], "gradients": gradients}

    return {
        "supported": made([0.1, 0.12, 0.11], [0.95, 0.94, 0.96]),
        "refuted": made([0.97, 0.99, 0.98], [0.5, 0.52, 0.51]),
        "undecided": made([0.1, 0.95, 0.5], [0.95, 0.94, 0.96]),
    }


STUDY = Study(
    name="depth",
    question="Why more layers, and why was deep so hard?",
    claim="Networks of many sigmoid layers with starting weights as they were usual before 2010 cannot be trained, because the "
    "gradient vanishes on its way to the first layers; better starting weights, ReLU, batch normalization and residual "
    "connections repair it.",
    source="Glorot and Bengio, Understanding the Difficulty of Training Deep Feedforward Neural Networks, AISTATS 2010; "
    "He et al., Deep Residual Learning for Image Recognition, CVPR 2016",
    refuted_if="At the greatest depth the network of old is better than a shallow one, or better than the one with all "
    "remedies.",
    method="A network learns by small steps along the gradient: how the error changes with each weight. It is worked out "
    "from the last layer back to the first. We build networks of 1 to 128 layers of 32 units, first as before 2010 (the "
    "S-shaped sigmoid curve, small random weights), then with one remedy after the other; measure how long the gradient of "
    "each layer is before the first step; train all with the same step size and number of passes, and test them on examples "
    "they have not seen.",
    presets={
        "XS": {"dataset": "digits@S", "depths": [1, 12], "folds": 3, "epochs": 3},
        "S": {"dataset": "digits", "depths": [1, 2, 4, 8, 16, 32, 64, 128], "folds": 3, "epochs": 8},
        "M": {"dataset": "fashion_mnist@S", "depths": [1, 2, 4, 8, 16, 32, 64, 128], "folds": 5, "epochs": 10},
        "L": {"dataset": "fashion_mnist@M", "depths": [1, 2, 4, 8, 16, 32, 64, 128], "folds": 5, "epochs": 20},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="All networks have one step size and one number of passes; a remedy may shine with others. On data as simple as "
    "these depth is not needed: that a deep network can be trained is not yet a reason to have one.",
)  # fmt: skip
