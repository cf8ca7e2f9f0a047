"""What is passed in and what is estimated: a formula's family is chosen by a person, its numbers by the data.

A secret law makes noisy points. Learners are given the points, not the law: the right formula with open numbers, wrong ones,
polynomials of each degree (the degree is what one passes in, a hyper-parameter; the coefficients are estimated), and a network
without any formula. All are then asked inside the range of their points and beyond it (Breiman, Statistical Modeling: The Two
Cultures, 2001; Xu et al., How Neural Networks Extrapolate, ICLR 2021, who prove that a ReLU network goes on in straight lines).

Fitted numbers are fixed: their hash before and after 1000 predictions is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.statistics import compare_paired
from bench.studies import charts, findings
from bench.studies.context import Context, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict

#: The range of the points that are learned from, and the one beyond it.
INSIDE, BEYOND = (0.0, 3.0), (3.0, 4.5)
NOISE = 0.2
DEGREES = tuple(range(1, 10))

Columns = Callable[[np.ndarray], np.ndarray]


def law(x: np.ndarray) -> np.ndarray:
    """Return what the secret law says: a slope with a wave on it.

    Examples
    --------
    >>> law(np.array([0.0])).tolist()
    [0.0]
    """
    return 0.8 * x + np.sin(2.0 * x)


#: formula -> (what a person writes down, its columns: y is a weighted sum of them with weights that the data give)
FORMULAS: dict[str, tuple[str, Columns]] = {
    "right": ("y = a x + b sin(2x)", lambda x: np.stack([x, np.sin(2.0 * x)], axis=1)),
    "line": ("y = a x + c", lambda x: np.stack([x, np.ones_like(x)], axis=1)),
    "wrong": ("y = a x + b x^2 + c", lambda x: np.stack([x, x**2, np.ones_like(x)], axis=1)),
    **{
        f"degree_{d}": (f"polynomial of degree {d}", lambda x, d=d: np.stack([(x / 3.0) ** k for k in range(d + 1)], axis=1))
        for d in DEGREES
    },
}
NETWORK, CHOSEN = "network", "degree_chosen"
SHOWN = ("right", "line", "wrong", CHOSEN, NETWORK)


def words(name: str) -> str:
    """Return how a learner is called in tables and figures."""
    more = {NETWORK: "a network, no formula", CHOSEN: "polynomial, its degree chosen on held-back points"}
    return more[name] if name in more else FORMULAS[name][0]


def measure(ctx: Context) -> Measurements:
    """Draw points, fit all learners, ask them inside and beyond; again for each repeat."""
    s = ctx.settings
    repeats = ctx.map("repeat", lambda r: _repeat(r, s["points"], s["epochs"]), range(s["repeats"]))
    return {
        "rows": [row for repeat in repeats for row in repeat["rows"]], "curves": repeats[0]["curves"],
        "points": repeats[0]["points"], "coefficients": [repeat["coefficients"] for repeat in repeats],
        "hashes_changed": sum(repeat["hash_before"] != repeat["hash_after"] for repeat in repeats),
        "n_points": s["points"],
    }  # fmt: skip


class Formula:
    """Weights of columns by least squares: what the person passes in are the columns, what is estimated are the weights."""

    def __init__(self, name: str):
        self.name, self.columns = name, FORMULAS[name][1]

    def fit(self, x: np.ndarray, y: np.ndarray) -> Formula:
        self.weights_ = np.linalg.lstsq(self.columns(x), y, rcond=None)[0]
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.columns(x) @ self.weights_


class Network:
    """Two hidden layers of 32 units and no formula; x and y brought to mean 0 and deviation 1."""

    def __init__(self, seed: int, epochs: int):
        from models import MLPRegressor

        self.model = MLPRegressor(
            hidden_layer_sizes=(32, 32), max_iter=epochs, n_iter_no_change=epochs, learning_rate_init=0.01, batch_size=20,
            random_state=seed,
        )  # fmt: skip

    def fit(self, x: np.ndarray, y: np.ndarray) -> Network:
        self._x, self._y = (x.mean(), x.std()), (y.mean(), y.std())
        fit_quietly(self.model, self._scaled(x), (y - self._y[0]) / self._y[1])
        return self

    def _scaled(self, x: np.ndarray) -> np.ndarray:
        return ((x - self._x[0]) / self._x[1])[:, None]

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict(self._scaled(x)) * self._y[1] + self._y[0]

    @property
    def sha256(self) -> str:
        """Return a hash of all weights."""
        return hashlib.sha256(b"".join(a.tobytes() for a in (*self.model.coefs_, *self.model.intercepts_))).hexdigest()


def _repeat(repeat: int, n: int, epochs: int) -> dict[str, Any]:
    random = np.random.default_rng(repeat)
    x = random.uniform(*INSIDE, n)
    y = law(x) + NOISE * random.standard_normal(n)
    learners: dict[str, Any] = {name: Formula(name).fit(x, y) for name in FORMULAS}
    learners[CHOSEN] = learners[f"degree_{_chosen_degree(x, y)}"]
    learners[NETWORK] = Network(repeat, epochs).fit(x, y)
    before = learners[NETWORK].sha256
    rows = []
    for name, learner in learners.items():
        errors = {}
        for where, (low, high) in (("inside", INSIDE), ("beyond", BEYOND)):
            asked = np.linspace(low, high, 500)
            errors[where] = float(np.sqrt(np.mean((learner.predict(asked) - law(asked)) ** 2)))
        residual = float(np.sqrt(np.mean((learner.predict(x) - y) ** 2)))
        rows.append({"learner": name, "repeat": repeat, "training": residual, **errors})
    grid = np.linspace(INSIDE[0], BEYOND[1], 91)
    curves = [{"learner": name, "x": float(a), "y": float(b)} for name in SHOWN
              for a, b in zip(grid, learners[name].predict(grid), strict=True)]  # fmt: skip
    curves += [{"learner": "law", "x": float(a), "y": float(b)} for a, b in zip(grid, law(grid), strict=True)]
    return {
        "rows": rows, "curves": curves, "points": [{"x": float(a), "y": float(b)} for a, b in zip(x, y, strict=True)],
        "coefficients": learners["right"].weights_.tolist(), "hash_before": before, "hash_after": learners[NETWORK].sha256,
    }  # fmt: skip


def _chosen_degree(x: np.ndarray, y: np.ndarray) -> int:
    """Return the degree that does best on held-back points: five parts, each held back once."""
    part = np.arange(len(x)) % 5

    def error(degree: int) -> float:
        total = 0.0
        for p in range(5):
            held = part == p
            learner = Formula(f"degree_{degree}").fit(x[~held], y[~held])
            total += float(np.sum((learner.predict(x[held]) - y[held]) ** 2))
        return total

    return min(DEGREES, key=error)


# -- what follows is made of the measurements alone


def errors(m: Measurements, name: str, where: str) -> list[float]:
    """Return the root mean square error of a learner, repeat by repeat."""
    return [row[where] for row in findings.only(m["rows"], learner=name)]


def verdict(m: Measurements) -> Verdict:
    """Inside, the network beats the wrong formula; beyond, the right formula beats the network; numbers stay as fitted."""
    inside = compare_paired(errors(m, "wrong", "inside"), errors(m, NETWORK, "inside"), 0.0)
    beyond = compare_paired(errors(m, NETWORK, "beyond"), errors(m, "right", "beyond"), 0.0)
    outcomes = [findings.outcome(inside.low, inside.high), findings.outcome(beyond.low, beyond.high)]
    outcome = findings.combined([*outcomes, "refuted" if m["hashes_changed"] else "supported"])

    def mean(name: str, where: str) -> str:
        return findings.number(float(np.mean(errors(m, name, where))))

    a, b = np.mean(m["coefficients"], axis=0)
    answer = (
        f"From {m['n_points']} points the right formula estimates its two numbers as {a:.2f} and {b:.2f} (true: 0.80 and "
        f"1.00) and errs by {mean('right', 'inside')} inside their range and {mean('right', 'beyond')} beyond it; the network "
        f"without a formula errs by {mean(NETWORK, 'inside')} inside, where a wrong formula errs by "
        f"{mean('wrong', 'inside')}, but by {mean(NETWORK, 'beyond')} beyond; once fitted, no number changed in any prediction."
    )
    if m["hashes_changed"]:
        answer = answer.replace("no number changed in any prediction", f"numbers changed in {m['hashes_changed']} repeats")
    if beyond.low is None:
        interval = f"no interval: {beyond.n} repeats are too few for one"
    else:
        interval = (
            f"95 % interval of network less right formula, beyond the range, {beyond.low:+.2f} to {beyond.high:+.2f}; of wrong "
            f"formula less network, inside, {inside.low:+.3f} to {inside.high:+.3f}; {beyond.n} repeats"
        )
    return Verdict(outcome, answer, interval, "errors")


def tables(m: Measurements) -> list[Table]:
    """Return the errors of all learners."""
    rows = []
    for name in findings.values(m["rows"], "learner"):
        estimated = {NETWORK: "1153", CHOSEN: "1 to 10"}.get(name)
        if estimated is None:
            estimated = str(FORMULAS[name][1](np.zeros(1)).shape[1])
        means = [float(np.mean(errors(m, name, where))) for where in ("training", "inside", "beyond")]
        rows.append([words(name), estimated, *(findings.number(v) for v in means)])
    header = ["what is passed in", "numbers estimated", "error on its points", "inside", "beyond"]
    n = len(m["coefficients"])
    return [Table(f"Root mean square errors, mean of {n} repeats (noise of the points: {NOISE})", header, rows)]


def figures(m: Measurements) -> list[Figure]:
    """Return errors inside and beyond, one repeat's curves, and errors against the degree."""
    import altair as alt

    bars = [
        {"learner": words(name), "where": label, "error": float(np.median(errors(m, name, where))),
         "low": float(np.quantile(errors(m, name, where), 0.1)), "high": float(np.quantile(errors(m, name, where), 0.9))}
        for name in SHOWN for where, label in (("inside", "inside the range of the points"), ("beyond", "beyond it"))
    ]  # fmt: skip
    order = [words(name) for name in SHOWN]
    compared = charts.intervals(
        bars, charts.axis("error", "root mean square error (log)", log=True), "learner", order=order, colour="where"
    )
    names = {**{name: words(name) for name in SHOWN}, "law": "the secret law"}
    drawn = [{**c, "learner": names[c["learner"]]} for c in m["curves"] if -3 < c["y"] < 8]
    curve = charts.curves(drawn, charts.axis("x", "x"), charts.axis("y", "y"), "learner", order=list(names.values()))
    dots = alt.Chart(alt.Data(values=list(m["points"]))).encode(x="x:Q", y="y:Q")
    dots = dots.mark_circle(size=18, color="#888", opacity=0.7)
    degrees = [
        {"degree": d, "where": label, "error": float(np.median(errors(m, f"degree_{d}", where)))}
        for d in DEGREES
        for where, label in (("training", "on its points"), ("inside", "inside the range"), ("beyond", "beyond it"))
    ]
    by_degree = charts.lines(degrees, charts.axis("degree", "degree: what is passed in", kind="O"),
                             charts.axis("error", "median error (log)", log=True), "where")  # fmt: skip
    return [
        Figure("errors", "Errors inside and beyond",
               "How far each learner is from the law, inside the range of the points it has seen and beyond it: median of the "
               "repeats, with a bar over the middle 80 % of them, on a logarithmic axis.", compared),
        Figure("curves", "One draw of points, and what was made of it",
               "The points lie between 0 and 3. Up to there all but the line follow the law; behind 3 each goes on as its "
               "formula says, and the network, which has none, goes on straight.", charts.over(curve, dots)),
        Figure("degree", "The degree is passed in, the coefficients are estimated",
               "Errors of polynomials by their degree: on the points the error falls with each degree; beyond them it soon "
               "explodes.", by_degree),
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(network_inside: list[float], network_beyond: list[float], changed: int = 0) -> Measurements:
        rows = []
        for i, (inside, beyond) in enumerate(zip(network_inside, network_beyond, strict=True)):
            for name in (*FORMULAS, CHOSEN, NETWORK):
                mine = (inside, beyond) if name == NETWORK else (0.05, 0.1) if name == "right" else (0.4, 2.0)
                rows.append({"learner": name, "repeat": i, "training": 0.2, "inside": mine[0], "beyond": mine[1]})
        curves = [{"learner": name, "x": float(x), "y": 1.0} for name in (*SHOWN, "law") for x in range(3)]
        return {
            "rows": rows, "curves": curves, "points": [{"x": 1.0, "y": 1.0}],
            "coefficients": [[0.8, 1.0]] * len(network_inside),
            "hashes_changed": changed, "n_points": 60,
        }  # fmt: skip

    return {
        "supported": made([0.1, 0.12, 0.11, 0.1], [1.0, 1.4, 1.2, 1.1]),
        "refuted": made([0.1, 0.12, 0.11, 0.1], [0.01, 0.02, 0.01, 0.015]),
        "undecided": made([0.1, 0.12, 0.11, 0.1], [0.05, 1.5, 0.01, 0.2]),
    }


STUDY = Study(
    name="estimated",
    question="What is learned, and what do I have to write down myself?",
    claim="The person passes in a family of formulas, the data give its numbers. A right formula needs few points and holds "
    "beyond them; a network needs no formula and does well where it has seen points, and only there.",
    source="Breiman, Statistical Modeling: The Two Cultures, Statistical Science 16, 2001; Xu et al., How Neural Networks "
    "Extrapolate, ICLR 2021",
    refuted_if="Beyond the range of its points the network is as good as the right formula or better, inside it is worse than "
    "a wrong formula, or predicting changes a fitted number.",
    method="We make up a law, y = 0.8 x + sin(2x), draw noisy points from it with x from 0 to 3, and hand them to learners "
    "that do not know it: formulas with open numbers, one of them right; polynomials of degree 1 to 9 (the degree is a "
    "hyper-parameter: passed in, or chosen on points held back); and a network of two hidden layers, which is given no "
    "formula. Then all are asked for x from 0 to 3, and for x from 3 to 4.5, where they have seen nothing. A fingerprint "
    "(hash) of the network's numbers is taken before and after predicting.",
    presets={
        "XS": {"repeats": 4, "points": 40, "epochs": 120},
        "S": {"repeats": 30, "points": 60, "epochs": 300},
        "M": {"repeats": 200, "points": 60, "epochs": 300},
        "L": {"repeats": 500, "points": 200, "epochs": 500},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="One law, made up by us, of which the right formula is known to us; with a real question nobody hands it over. "
    "Which network goes on how beyond its points depends on its curve: ReLU goes on straight.",
)  # fmt: skip
