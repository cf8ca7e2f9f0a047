"""Turning thousands of knobs: random search, hill climbing, evolution, finite differences, gradient descent.

All methods turn the weights of the same network, from the same starts, towards the same loss on the same samples; what differs
is how they find out which way to turn. Asked about more and more weights, a method without the gradient learns less and less of
each answer: one number for p weights, where a pass back gives p numbers for the price of about three (`searches.py`).

A walker (`crawler.py`) shows the other side: where the ground is touched or not, there is no gradient, and trying is what is
left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.statistics import compare_paired
from bench.studies import charts, findings
from bench.studies.context import Context
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.knobs import crawler, searches

METHODS = {
    "random_search": "all weights drawn anew",
    "hill_climbing": "small changes, the better kept",
    "evolution": "a cloud of tries, its better half followed",
    "finite_differences": "each weight tried by itself",
    "gradient_descent": "the gradient, by one pass back",
}
BLIND = [name for name in METHODS if name != "gradient_descent"]
#: Where the curves are read off.
CHECKPOINTS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)


class Loss:
    """The loss of a network with one hidden layer on fixed samples, as a function of all its weights at once."""

    def __init__(self, X: np.ndarray, y: np.ndarray, hidden: int, n_classes: int):
        import kernels
        from models.architectures import build
        from models.losses import SoftmaxCrossEntropy
        from models.network import Network

        loaded = kernels.load("cython") if "cython" in kernels.backends() else kernels.load("reference")
        layers = build([str(hidden), "out"], (1, X.shape[1], 1), n_classes, activation="tanh")
        self.network = Network(layers, kernels=loaded, dtype=np.float64, max_batch=len(X))
        self._loss = SoftmaxCrossEntropy(loaded, np.float64, len(X), n_classes)
        self._x = np.ascontiguousarray(X, np.float64).reshape(len(X), 1, -1, 1)
        self._y = y.astype(np.int64)

    def start(self, seed: int) -> np.ndarray:
        """Return starting weights (p,)."""
        self.network.initialize(np.random.RandomState(seed))
        return self.network.vector.copy()

    def value(self, w: np.ndarray) -> float:
        self.network.vector[...] = w
        return self._loss(self.network.forward(self._x), self._y, None, self.network.delta(len(self._y)))

    def values(self, W: np.ndarray) -> np.ndarray:
        """Return the loss of each row of weights."""
        return np.array([self.value(w) for w in W])

    def value_and_gradient(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        value = self.value(w)
        self.network.backward(self.network.delta(len(self._y)))
        return value, self.network.gradient.copy()


def _search(name: str, loss: Loss, seed: int, budget: int) -> Iterator[tuple[int, float]]:
    start = loss.start(seed)
    if name == "gradient_descent":
        return searches.gradient_descent(loss.value_and_gradient, start)
    # new draws have the deviation of starting weights, which are all that is known beforehand
    more = {"random_search": {"scale": float(start.std())}, "finite_differences": {"most": budget}}.get(name, {"step": 0.1})
    steps = getattr(searches, name)(loss.values, start[None], np.random.default_rng(seed), **more)
    return ((spent, float(best[0])) for spent, best in steps)


def _curve(steps: Iterator[tuple[int, Any]], budget: int) -> list[dict[str, Any]]:
    """Return the best value at each checkpoint up to the budget, with the seconds it took."""
    found, begun, best = [], time.perf_counter(), None
    waiting = [c for c in CHECKPOINTS if c < budget] + [budget]
    for spent, value in steps:
        while waiting and spent > waiting[0]:  # a step that goes beyond counts for the checkpoint behind it
            if best is not None:
                found.append({"evaluations": waiting[0], "value": best, "seconds": time.perf_counter() - begun})
            waiting.pop(0)
        best = value
        if not waiting:
            break
        if spent == waiting[0]:
            found.append({"evaluations": waiting.pop(0), "value": best, "seconds": time.perf_counter() - begun})
            if not waiting:
                break
    return found + [{"evaluations": c, "value": best, "seconds": time.perf_counter() - begun} for c in waiting]


def measure(ctx: Context) -> Measurements:
    """Let each method turn the knobs of networks that grow, and of the walker."""
    s = ctx.settings
    fold = ctx.folds(s["dataset"], folds=2)[0]
    X, y = fold.X_train[: s["samples"]], fold.y_train[: s["samples"]]
    X = (X - X.mean()) / X.std()
    n_classes = len(fold.data.classes)

    def one(what: list) -> list[dict[str, Any]]:
        hidden, seed = what
        loss = Loss(X, y, hidden, n_classes)
        return [
            {"method": name, "weights": loss.network.n_parameters, "seed": seed, **point}
            for name in METHODS for point in _curve(_search(name, loss, seed, s["evaluations"]), s["evaluations"])
        ]  # fmt: skip

    parts = ctx.map("network", one, [[h, seed] for h in s["hidden"] for seed in range(s["seeds"])])
    walker = ctx.part("walker", lambda w: [row for name in BLIND for row in _walk(name, w)], dict(s["walker"]))
    return {
        "dataset": s["dataset"], "samples": len(X), "evaluations": s["evaluations"], "rows": [r for p in parts for r in p],
        "walker": walker, "walker_steps": s["walker"]["steps"],
    }  # fmt: skip


def _walk(name: str, walker: dict[str, int]) -> list[dict[str, Any]]:
    """Return how far the walkers of all seeds get under one method."""
    hidden, seeds = walker["hidden"], walker["seeds"]
    random = np.random.default_rng(1)
    starts = 0.5 * random.standard_normal((seeds, crawler.n_weights(hidden)))

    def minus_distance(W: np.ndarray) -> np.ndarray:
        return -crawler.distance(W, hidden, walker["steps"])

    more = {"finite_differences": {"width": 0.05, "rate": 0.1, "most": walker["evaluations"]}}.get(name, {})
    steps = getattr(searches, name)(minus_distance, starts, np.random.default_rng(2), **more)
    points = _curve(steps, walker["evaluations"])
    return [
        {"method": name, "seed": i, "evaluations": p["evaluations"], "distance": float(-p["value"][i]), "seconds": p["seconds"]}
        for p in points for i in range(seeds)
    ]  # fmt: skip


# -- what follows is made of the measurements alone


def last_values(m: Measurements, weights: int) -> dict[str, list[float]]:
    """Return, for each method, the loss that each start has reached when the evaluations are spent."""
    found = {}
    for name in METHODS:
        rows = findings.only(m["rows"], method=name, weights=weights)
        seeds = findings.values(rows, "seed")
        found[name] = [max(findings.only(rows, seed=i), key=lambda r: r["evaluations"])["value"] for i in seeds]
    return found


def advantages(m: Measurements) -> dict[int, list[float]]:
    """Return, for each number of weights, log10 of the best blind method's loss over gradient descent's, start by start.

    The best blind method is the one with the lowest mean logarithm there, chosen in its own favour.
    """
    found = {}
    for weights in sorted(findings.values(m["rows"], "weights")):
        logs = {name: np.log10(np.maximum(v, 1e-12)) for name, v in last_values(m, weights).items()}
        best = min(BLIND, key=lambda name: logs[name].mean())
        found[weights] = (logs[best] - logs["gradient_descent"]).tolist()
    return found


def verdict(m: Measurements) -> Verdict:
    """Gradient descent is ahead where weights are many, and further ahead than where they are few."""
    by_size = advantages(m)
    few, many = min(by_size), max(by_size)
    ahead = compare_paired(by_size[many], [0.0] * len(by_size[many]), 0.0)
    grows = compare_paired(by_size[many], by_size[few], 0.0)
    outcome = findings.combined([findings.outcome(ahead.low, ahead.high), findings.outcome(grows.low, grows.high)])
    walked = {name: float(np.mean([max(d) for d in _walked(m, name)])) for name in BLIND}
    best = max(walked, key=walked.__getitem__)
    times = [10 ** float(np.mean(by_size[size])) for size in (few, many)]
    answer = (
        f"After as many evaluations, the loss of the best method without the gradient is {findings.number(times[0])} times "
        f"that of gradient descent with {few:,} weights and {findings.number(times[1])} times with {many:,}; the walker, "
        f"whose world has no gradient, learns to move without one: {findings.number(walked[best])} body lengths in "
        f"{m['walker_steps']} steps by {METHODS[best]}."
    )
    if ahead.low is None:
        interval = f"no interval: {ahead.n} starts are too few for one"
    else:
        interval = (
            f"95 % interval of the ratio with {many:,} weights {findings.number(10**ahead.low)} to "
            f"{findings.number(10**ahead.high)}, {ahead.n} starts"
        )
    return Verdict(outcome, answer, interval, "growth")


def _walked(m: Measurements, name: str) -> list[list[float]]:
    rows = findings.only(m["walker"], method=name)
    return [[r["distance"] for r in findings.only(rows, seed=i)] for i in findings.values(rows, "seed")]


def _geometric(rows: list[dict[str, Any]], key: str) -> float:
    return float(10 ** np.mean(np.log10([max(r[key], 1e-12) for r in rows])))


def tables(m: Measurements) -> list[Table]:
    """Return the loss by method and number of weights, and how far the walker gets."""
    sizes = sorted(findings.values(m["rows"], "weights"))
    rows = []
    for name, words in METHODS.items():
        losses = [10 ** float(np.mean(np.log10(np.maximum(last_values(m, size)[name], 1e-12)))) for size in sizes]
        largest = findings.only(m["rows"], method=name, weights=sizes[-1])
        seconds = float(np.median([max(r["seconds"] for r in findings.only(largest, seed=i)) for i in
                                   findings.values(largest, "seed")]))  # fmt: skip
        rows.append([words, *(findings.number(v) for v in losses), findings.number(seconds)])
    walker = []
    for name in BLIND:
        reached = [max(d) for d in _walked(m, name)]
        walker.append([METHODS[name], *(f"{v:.2f}" for v in (np.mean(reached), min(reached), max(reached)))])
    header = ["method", *(f"{size:,} weights" for size in sizes), f"s, {sizes[-1]:,} weights"]
    title = f"Loss on {m['samples']} samples after {m['evaluations']:,} evaluations, geometric mean of the starts"
    return [
        Table(title, header, rows),
        Table("How far the walker gets, in body lengths", ["method", "mean", "least", "greatest"], walker),
    ]


def figures(m: Measurements) -> list[Figure]:
    """Return loss against evaluations, its growth with the weights, and the walker's distance."""
    sizes, order = sorted(findings.values(m["rows"], "weights")), list(METHODS.values())
    growth, curves, walker = [], [], []
    for name, words in METHODS.items():
        for size in sizes:
            growth.append({"method": words, "weights": size,
                           "loss": 10 ** float(np.mean(np.log10(np.maximum(last_values(m, size)[name], 1e-12))))})  # fmt: skip
        largest = findings.only(m["rows"], method=name, weights=sizes[-1])
        for at in findings.values(largest, "evaluations"):
            value = _geometric(findings.only(largest, evaluations=at), "value")
            curves.append({"method": words, "evaluations": at, "loss": value})
    for name in BLIND:
        for at in findings.values(findings.only(m["walker"], method=name), "evaluations"):
            d = [r["distance"] for r in findings.only(m["walker"], method=name, evaluations=at)]
            spread = {"distance": float(np.mean(d)), "low": min(d), "high": max(d)}
            walker.append({"method": METHODS[name], "evaluations": at, **spread})
    evaluations = charts.axis("evaluations", "evaluations (log)", log=True)
    weights = charts.axis("weights", "weights (log)", log=True, values=sizes)
    loss = charts.axis("loss", "loss (log): lower is better", log=True)
    return [
        Figure("growth", "Loss reached, against the number of knobs",
               f"The loss that each method has reached after {m['evaluations']:,} evaluations, for networks with more and "
               "more weights. Where a line rises to the right, the method copes less and less with more knobs.",
               charts.lines(growth, weights, loss, "method", order=order)),
        Figure("curves", f"Loss against evaluations, {sizes[-1]:,} weights",
               "How the loss of the largest network falls with each further evaluation, one line per method. A gradient "
               "counts as three evaluations; trying each weight by itself needs one for every weight before its first step.",
               charts.lines(curves, evaluations, loss, "method", order=order)),
        Figure("walker", "A walker learns to move",
               "How far the walker gets against the number of tries, mean of the starts with the range from the worst to the "
               "best. None of these methods knows of arms or ground: they only see how far it got.",
               charts.lines(walker, evaluations, charts.axis("distance", "body lengths", zero=True), "method", order=order[:-1],
                            low="low", high="high")),
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(small: list[float], large: list[float]) -> Measurements:
        rows = [
            {"method": name, "weights": weights, "seed": i, "evaluations": 100, "seconds": 0.1,
             "value": 0.1 if name == "gradient_descent" else 0.1 * 10**advantage}
            for name in METHODS for weights, values in ((50, small), (5000, large)) for i, advantage in enumerate(values)
        ]  # fmt: skip
        walker = [
            {"method": name, "seed": i, "evaluations": 100, "distance": 1.0 + i, "seconds": 0.1}
            for name in BLIND for i in range(2)
        ]  # fmt: skip
        return {"dataset": "digits", "samples": 200, "evaluations": 100, "rows": rows, "walker": walker, "walker_steps": 60}

    return {
        "supported": made([0.1, 0.2, 0.15, 0.1], [1.0, 1.2, 1.1, 0.9]),
        "refuted": made([0.1, 0.2, 0.15, 0.1], [-0.5, -0.4, -0.6, -0.5]),
        "undecided": made([0.1, 0.2, 0.15, 0.1], [1.0, -0.8, 0.1, 0.3]),
    }


STUDY = Study(
    name="knobs",
    question="A network has thousands of knobs: how can anybody, or any machine, turn them right?",
    claim="Trying does for a few knobs; for thousands the gradient is needed, which one pass back through the network gives, "
    "and its lead grows with the number of knobs.",
    source="Rumelhart, Hinton and Williams, Learning Representations by Back-Propagating Errors, Nature 323, 1986",
    refuted_if="With the most weights, the best of the other methods reaches a lower loss after as many evaluations, or the "
    "lead of gradient descent is smaller than with the fewest weights.",
    method="A knob is a weight, a number in the formula of the network. The loss says how wrong the network is on the "
    "examples: the lower the better. Five methods turn all knobs from the same starting positions: drawing them anew, small "
    "changes of which the better ones are kept, an evolution of a cloud of tries, trying each knob by itself, and following "
    "the gradient, which says for all knobs at once which way is down. Each may ask for the loss equally often. A small "
    "simulated walker learns to move by those methods that need no gradient.",
    presets={
        "XS": {"dataset": "digits@S", "samples": 60, "hidden": [1, 8], "seeds": 3, "evaluations": 300,
               "walker": {"hidden": 4, "seeds": 3, "steps": 40, "evaluations": 100}},
        "S": {"dataset": "digits", "samples": 200, "hidden": [1, 4, 16, 64], "seeds": 5, "evaluations": 3000,
              "walker": {"hidden": 8, "seeds": 8, "steps": 60, "evaluations": 1000}},
        "M": {"dataset": "fashion_mnist@S", "samples": 300, "hidden": [1, 4, 16, 64], "seeds": 5, "evaluations": 3000,
              "walker": {"hidden": 8, "seeds": 16, "steps": 100, "evaluations": 3000}},
        "L": {"dataset": "fashion_mnist@S", "samples": 1000, "hidden": [1, 4, 16, 64, 256], "seeds": 10, "evaluations": 30_000,
              "walker": {"hidden": 8, "seeds": 16, "steps": 200, "evaluations": 10_000}},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="The loss is that of the examples the knobs are turned on: how well the network then does on others is another "
    "question (see the study of memorising). Step sizes are each method's own rule, not tuned for each number of weights.",
)  # fmt: skip
