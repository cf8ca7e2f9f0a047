"""Noise that fools: changes too small to matter to a person, chosen against a model, and what helps.

How a model's loss grows with each pixel is its gradient for the input; a step against the model changes every pixel by the same
small amount, in the direction of that gradient's sign (FGSM, Goodfellow et al. 2015), or goes there in several steps and stays
within the same bounds (PGD, Madry et al. 2018). For a linear model the gradient is made of its weights: with p the
probabilities and e_y the true class, dL/dx = (p - e_y) W. Goodfellow et al. explain the effect by that: many small changes, all
in the direction of the weights, add up to a large one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.variants import Variant

LINEAR, MLP, NETWORK, HARDENED = "linear", "mlp", "convnet", "convnet, hardened"
#: Models that are attacked through their own gradients, and others that meet images made against these.
ATTACKED = (LINEAR, MLP, NETWORK, HARDENED)
MODELS = {
    LINEAR: Variant("logistic_regression"),
    MLP: Variant("mlp_100"),
    NETWORK: Variant("models:ConvNetClassifier", {"architecture": "conv16_32", "batch_size": 32}),
    "nearest_centroid": Variant("nearest_centroid"),
    "knn": Variant("knn"),
    "svc_rbf": Variant("svc_rbf"),
    "random_forest": Variant("random_forest"),
}
NOISE, FGSM, PGD = "random", "FGSM", "PGD"
ATTACKS = {NOISE: "random noise of that size", FGSM: "one step along the gradient (FGSM)", PGD: "several steps (PGD)"}
#: Madry et al. 2018 go in steps of 2.5 bounds over their number, from a random point; while hardening, in fewer.
STEPS, STEPS_IN_TRAINING, STRIDE = 10, 3, 2.5
CHUNK = 128


def measure(ctx: Context) -> Measurements:
    """Train, attack each model with growing strength, and show images made against one model to the others."""
    s = ctx.settings
    folds = ctx.folds(s["dataset"], folds=s["folds"])
    found = ctx.map("fold", lambda i: _attacked(folds[i], s), range(len(folds)))
    return {
        "dataset": s["dataset"],
        "epsilon": s["epsilon"],
        "rows": [row for fold in found for row in fold["rows"]],
        "transfer": [row for fold in found for row in fold["transfer"]],
        "pictures": next((fold["pictures"] for fold in found if fold["pictures"]), []),
    }


def gradient(model: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how the loss of each sample grows with each of its values; of a linear model by formula.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])
    >>> np.sign(gradient(LogisticRegression().fit(X, y), X, y)).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    if hasattr(model, "input_gradient"):
        return model.input_gradient(X, y)
    probability = model.predict_proba(X)
    if probability.shape[1] == 2:
        return ((probability[:, 1] - (y == model.classes_[1]))[:, None] * model.coef_).astype(X.dtype)
    truth = y[:, None] == model.classes_
    return ((probability - truth) @ model.coef_).astype(X.dtype)


def attack(kind: str, model: Any, X: np.ndarray, y: np.ndarray, epsilon: float, seed: int, steps: int = STEPS) -> np.ndarray:
    """Return samples of which no value, all in 0..1, was changed by more than `epsilon`.

    Parameters
    ----------
    kind : {"random", "FGSM", "PGD"}
    model : classifier
        What it is made against; "random" asks nobody.
    X : ndarray (n, d)
    y : ndarray (n,)
        True classes.
    """
    random = np.random.default_rng([seed, 7])
    if kind == NOISE:
        return _within(X + epsilon * random.choice(np.float32([-1, 1]), X.shape), X, epsilon)
    if kind == FGSM:
        return _within(X + epsilon * np.sign(gradient(model, X, y)), X, epsilon)
    changed = _within(X + random.uniform(-epsilon, epsilon, X.shape), X, epsilon)
    for _ in range(steps):
        changed = _within(changed + STRIDE * epsilon / steps * np.sign(gradient(model, changed, y)), X, epsilon)
    return changed


def _within(changed: np.ndarray, X: np.ndarray, epsilon: float) -> np.ndarray:
    return np.clip(np.clip(changed, X - epsilon, X + epsilon), 0.0, 1.0).astype(X.dtype)


def hardened(model: Any, X: np.ndarray, y: np.ndarray, epsilon: float, epochs: int, seed: int) -> Any:
    """Return the network trained on images as they are and on images changed against it as it stands, half and half."""
    random = np.random.default_rng(seed)
    model.partial_fit(X, y, classes=np.unique(y))  # an epoch of images as they are: there must be something to attack
    for _ in range(epochs - 1):
        order = random.permutation(len(X))
        for start in range(0, len(X), CHUNK):
            part = order[start : start + CHUNK]
            changed = attack(PGD, model, X[part], y[part], epsilon, int(random.integers(2**31)), STEPS_IN_TRAINING)
            model.partial_fit(np.concatenate([X[part], changed]), np.concatenate([y[part], y[part]]))
    return model


def _attacked(fold: Fold, s: Any) -> dict[str, Any]:
    scale = float(fold.X_train.max()) or 1.0
    X, X_test, y_test = fold.X_train / scale, fold.X_test / scale, fold.y_test
    if len(y_test) > s["attacked"]:
        X_test, y_test = X_test[: s["attacked"]], y_test[: s["attacked"]]
    given = {"seed": fold.seed, "n_threads": 1, "backend": "cython", "image_shape": fold.data.image_shape}
    models = {}
    for name in s["models"]:
        model = MODELS[NETWORK if name == HARDENED else name](**given)
        if name in (NETWORK, HARDENED):
            model.set_params(max_iter=s["epochs"])
        if name == HARDENED:
            models[name] = hardened(model, X, fold.y_train, s["epsilon"], s["epochs"], fold.seed)
        else:
            models[name] = fit_quietly(model, X, fold.y_train)

    def row(target: str, changed: np.ndarray, **more: Any) -> dict[str, Any]:
        right = models[target].predict(changed) == y_test
        return {"model": target, "fold": fold.index, "accuracy": float(np.mean(right)), "n_train": len(X),
                "n_test": len(y_test), **more}  # fmt: skip

    rows, transfer, made = [], [], {}
    for name in (n for n in ATTACKED if n in models):
        for kind in ATTACKS:
            rows.append(row(name, X_test, attack=kind, epsilon=0.0))
            for epsilon in s["epsilons"]:
                changed = attack(kind, models[name], X_test, y_test, epsilon, fold.seed)
                rows.append(row(name, changed, attack=kind, epsilon=epsilon))
                if epsilon == s["epsilon"]:
                    made[name, kind] = changed
    sources = {"as they are": X_test, "random": made[NETWORK, NOISE]}
    sources |= {name: changed for (name, kind), changed in made.items() if kind == PGD}
    for source, changed in sources.items():
        transfer += [row(target, changed, source=source) for target in models]
    return {"rows": rows, "transfer": transfer, "pictures": _pictures(fold, models[NETWORK], X_test, y_test, made)}


def _pictures(fold: Fold, model: Any, X: np.ndarray, y: np.ndarray, made: dict[tuple[str, str], np.ndarray]) -> list:
    """Return images that the network gets right, with noise, and changed against it, with what it takes them for."""
    shape, names = fold.data.image_shape, fold.data.classes
    changed, noisy = made[NETWORK, PGD], made[NETWORK, NOISE]
    fooled = np.flatnonzero((model.predict(X) == y) & (model.predict(changed) != y) & (model.predict(noisy) == y))
    first = [np.flatnonzero(y[fooled] == c)[:1] for c in np.unique(y[fooled])]  # one of each class
    chosen = fooled[np.concatenate(first)][:8] if len(fooled) else []

    def line(images: np.ndarray, word: str) -> list[dict[str, str]]:
        said = model.predict(images[chosen])
        return [
            {"png": charts.png(images[i].reshape(shape), low=0, high=1), "label": f"{word}{names[c]}"}
            for i, c in zip(chosen, said, strict=True)
        ]

    if not len(chosen):
        return []
    change = [
        {"png": charts.png((changed[i] - X[i]).reshape(shape).mean(axis=2), signed=True), "label": "change"} for i in chosen
    ]
    return [line(X, "as it is: "), line(noisy, "noise: "), change, line(changed, "attacked: ")]


# -- what follows is made of the measurements alone


def _of(m: Measurements, model: str, kind: str, epsilon: float | None = None) -> list[dict[str, Any]]:
    return findings.only(m["rows"], model=model, attack=kind, epsilon=m["epsilon"] if epsilon is None else epsilon)


def _between(m: Measurements, source: str, target: str) -> list[dict[str, Any]]:
    return findings.only(m["transfer"], source=source, model=target)


def verdict(m: Measurements) -> Verdict:
    """A chosen change costs more than a random one of its size, and training on such images helps."""
    fooled = findings.compare(_of(m, NETWORK, NOISE), _of(m, NETWORK, PGD))
    helped = findings.compare(_of(m, HARDENED, PGD), _of(m, NETWORK, PGD))

    def said(rows: list[dict[str, Any]]) -> str:
        return findings.percent(findings.mean_of(rows).mean)

    answer = (
        f"On {m['dataset']}, when each pixel may change by at most {findings.percent(m['epsilon'], 0)} of the way from black "
        f"to white, random changes leave a convolutional network at {said(_of(m, NETWORK, NOISE))} accuracy "
        f"({said(_of(m, NETWORK, NOISE, 0.0))} unchanged), changes chosen against it at {said(_of(m, NETWORK, PGD))}, a "
        f"difference of {findings.points(fooled.difference)} points; through the weights of a linear model "
        f"{said(_of(m, LINEAR, NOISE))} against {said(_of(m, LINEAR, PGD))}. Images made against the linear model leave the "
        f"network at {said(_between(m, LINEAR, NETWORK))}. A network trained on such images keeps "
        f"{said(_of(m, HARDENED, PGD))} when it is attacked itself ({findings.points(helped.difference)} points) and has "
        f"{said(_of(m, HARDENED, NOISE, 0.0))} on images as they are."
    )
    outcome = findings.combined([findings.outcome(c.low, c.high) for c in (fooled, helped)])
    return Verdict(outcome, answer, findings.interval_of_points(fooled), "strength")


def tables(m: Measurements) -> list[Table]:
    """Return accuracy by strength of the attack, and who is fooled by images made against whom."""
    epsilons = sorted(findings.values(m["rows"], "epsilon"))
    models = findings.values(m["rows"], "model")
    rows = [
        [model, words, *(findings.plus_minus(findings.mean_of(_of(m, model, kind, e))) for e in epsilons)]
        for model in models for kind, words in ATTACKS.items()
    ]  # fmt: skip
    sources, targets = findings.values(m["transfer"], "source"), findings.values(m["transfer"], "model")
    between = [[t, *(findings.plus_minus(findings.mean_of(_between(m, s, t))) for s in sources)] for t in targets]
    return [
        Table("Accuracy in percent by the largest change of a pixel (share of the way from black to white)",
              ["model", "attack", *(f"{e:g}" for e in epsilons)], rows, n_text=2),
        Table(f"Who is fooled by images made against whom (PGD, changes of at most {m['epsilon']:g}): accuracy in percent",
              ["model", *(s if s in ("as they are", "random") else f"made against {s}" for s in sources)], between),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return accuracy against strength, the transfer, and changed images."""
    epsilons, strength = sorted(findings.values(m["rows"], "epsilon")), []
    for model in findings.values(m["rows"], "model"):
        for kind in (NOISE, PGD):
            for e in epsilons:
                i = findings.mean_of(_of(m, model, kind, e))
                what = f"{model}, {'random noise' if kind == NOISE else 'attacked (PGD)'}"
                strength.append({"what": what, "epsilon": e, "accuracy": i.mean, "low": i.low, "high": i.high})
    tiles = [
        {"source": s, "target": t, "accuracy": mean, "text": f"{100 * mean:.0f}"}
        for s in findings.values(m["transfer"], "source") for t in findings.values(m["transfer"], "model")
        for mean in [findings.mean_of(_between(m, s, t)).mean]
    ]  # fmt: skip
    at = {w: findings.mean_of(_of(m, NETWORK, w)).mean for w in (NOISE, PGD)}
    found = [
        Figure("strength", "Accuracy as pixels may change more and more",
               "Accuracy of each model, attacked through its own gradient and under random noise of the same size, as the "
               f"largest allowed change of a pixel grows. At {m['epsilon']:g} noise leaves the convnet at "
               f"{findings.percent(at[NOISE])}, the attack at {findings.percent(at[PGD])}.",
               charts.lines(strength, charts.axis("epsilon", "largest change of a pixel (1: from black to white)"),
                            charts.axis("accuracy", "accuracy on new images", percent=True, domain=[0, 1]), "what")),
        Figure("transfer", "Made against one model, shown to another",
               f"Accuracy in percent of each model (lines) on images changed by at most {m['epsilon']:g} against each model "
               "(columns); light: fooled. Models that have no gradient, such as neighbours and trees, meet what was made "
               "against others.",
               charts.heat(tiles, "source", "target", "accuracy", text="text", x_title="made against", y_title="shown to",
                           x_order=findings.values(m["transfer"], "source"), y_order=findings.values(m["transfer"], "model"),
                           domain=[0, 1])),
    ]  # fmt: skip
    if m["pictures"]:
        found.append(
            Figure("images", "What the network takes them for",
                   "From above: images as they are, with random noise, the change that was chosen against the network (red "
                   "lighter, blue darker), and the image with that change; below each image what the network takes it for.",
                   pictures=charts.picture_rows(m["pictures"]))
        )  # fmt: skip
    return found


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(lost: list[float], regained: list[float]) -> Measurements:
        def accuracy(model: str, kind: str, epsilon: float, f: int) -> float:
            if epsilon == 0.0 or kind == NOISE:
                return 0.97
            return 0.97 - lost[f] + (regained[f] if model == HARDENED else 0.0)

        rows = [
            {"model": model, "attack": kind, "epsilon": e, "fold": f, "accuracy": accuracy(model, kind, e, f), "n_train": 800,
             "n_test": 200}
            for model in (LINEAR, NETWORK, HARDENED) for kind in ATTACKS for e in (0.0, 0.1) for f in range(len(lost))
        ]  # fmt: skip
        transfer = [
            {"source": source, "model": target, "fold": f, "accuracy": 0.6, "n_train": 800, "n_test": 200}
            for source in (LINEAR, NETWORK) for target in (LINEAR, NETWORK) for f in range(len(lost))
        ]  # fmt: skip
        return {"dataset": "digits", "epsilon": 0.1, "rows": rows, "transfer": transfer, "pictures": []}

    return {
        "supported": made([0.5, 0.55, 0.52], [0.3, 0.32, 0.29]),
        "refuted": made([-0.05, -0.06, -0.05], [0.3, 0.32, 0.29]),
        "undecided": made([0.5, 0.55, 0.52], [0.1, -0.1, 0.05]),
    }


_EPSILONS = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3]

STUDY = Study(
    name="adversarial",
    question="Can a change so small that nobody would notice it make a network see something else?",
    claim="Small changes of all pixels, chosen along the gradient, fool networks and linear models far more than random noise "
    "of the same size, and training on such images helps.",
    source="Goodfellow, Shlens and Szegedy, Explaining and Harnessing Adversarial Examples, ICLR 2015; Madry et al., Towards "
    "Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018",
    refuted_if="Under changes chosen against it the network is no worse than under random noise of the same size, or a network "
    "trained on such images is no better under attack than one that was not.",
    method="For each pixel we work out whether the model errs more when it grows lighter or darker: the gradient. Then "
    "every pixel is changed by the same small amount in that direction (FGSM), or in several smaller steps that stay "
    "within the same bound (PGD). Beside it stands noise of the same size with random signs. A linear model is attacked "
    "the same way, through its weights. Images made against one model are shown to the others, those included that have "
    "no gradient. Last, a network is hardened: trained on images as they are and on images changed against it as it "
    "stands at that moment, half and half, and then attacked anew.",
    presets={
        "XS": {"dataset": "digits@S", "folds": 3, "epochs": 4, "epsilon": 0.1, "epsilons": [0.1], "attacked": 100,
               "models": [LINEAR, NETWORK, HARDENED, "knn"]},
        "S": {"dataset": "digits", "folds": 3, "epochs": 25, "epsilon": 0.1, "epsilons": _EPSILONS, "attacked": 300,
              "models": [*ATTACKED, "nearest_centroid", "knn", "svc_rbf", "random_forest"]},
        "M": {"dataset": "fashion_mnist@S", "folds": 3, "epochs": 20, "epsilon": 0.05, "attacked": 300,
              "epsilons": [0.01, 0.02, 0.05, 0.1],
              "models": [*ATTACKED, "nearest_centroid", "knn", "svc_rbf", "random_forest"]},
        "L": {"dataset": "cifar10_jpeg@M", "folds": 3, "epochs": 20, "epsilon": 8 / 255, "attacked": 1000,
              "epsilons": [2 / 255, 4 / 255, 8 / 255, 16 / 255], "models": [*ATTACKED, "knn", "random_forest"]},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="A model is only as safe as the attacks that were tried on it: stronger ones may exist, and one that hides its "
    "gradient looks safe until images made against another are shown to it. How small is too small to notice depends on the "
    "images; on 8x8 pixels a person would see the changes that fool.",
)  # fmt: skip
