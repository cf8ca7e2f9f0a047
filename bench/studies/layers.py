"""Higher and higher abstraction: what each layer of one network knows, read off by a linear classifier.

A linear probe (Alain and Bengio 2016) is a linear classifier trained on the activations of one layer, after the network's own
training has ended: it finds what stands there for the taking, and adds no layer of its own. Beside it stands the same network
with its random starting weights, for a layer may help by its form alone. How far classes lie apart is the share of the
variance of activations that is between class averages (0: classes coincide, 1: all images of a class are one point).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict

PIXELS = "pixels"
TRAINED, RANDOM = "trained", "random weights"
#: Of a layer with more activations, the probe sees so many, drawn at random.
MOST_FEATURES = 4096
#: A unit is shown by the images that excite it most, and judged by so many of them.
EXCITING = 20
UNITS = 8
#: What a token does, in a newcomer's words.
_WORDS = {"c": "convolution", "m": "pooling", "a": "average pooling"}


def measure(ctx: Context) -> Measurements:
    """Train one network per fold; probe each of its layers, before and after the training."""
    s = ctx.settings
    folds = ctx.folds(s["dataset"], folds=s["folds"])
    found = ctx.map("fold", lambda i: _probed(folds[i], s["tokens"], s["epochs"]), range(len(folds)))
    pictures = ctx.part("pictures", lambda _: _pictures(folds[0], s["tokens"], s["epochs"]), s["tokens"])
    return {
        "dataset": s["dataset"],
        "tokens": s["tokens"],
        "rows": [row for rows in found for row in rows],
        "pictures": pictures,
    }


def _network(fold: Fold, tokens: list[str], epochs: int | None) -> Any:
    """Return a trained network; without epochs, one with its starting weights."""
    from models import ConvNetClassifier

    # steps of (almost) no length, and the starting weights are still there
    options = {"max_iter": 1, "learning_rate_init": 1e-30} if epochs is None else {"max_iter": epochs}
    model = ConvNetClassifier(
        tokens, fold.data.image_shape, batch_size=32, n_iter_no_change=10_000, random_state=fold.seed, **options
    )
    return fit_quietly(model, fold.X_train, fold.y_train)


def _shapes(tokens: list[str], image_shape: tuple[int, ...], n_classes: int) -> list[tuple[int, ...]]:
    """Return the shape of each token's activations."""
    from models.architectures import build

    layers = build(tokens, image_shape, n_classes)
    return [[layer for layer in layers if layer.position <= i][-1].output_shape for i in range(len(tokens))]


def separation(A: np.ndarray, y: np.ndarray) -> float:
    """Return the share of the variance of activations A (n, d) that is between the averages of classes.

    Examples
    --------
    >>> separation(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1]))
    1.0
    """
    A = A.astype(np.float64)
    mean = A.mean(axis=0)
    total = float(np.square(A - mean).sum())
    between = sum(np.sum(y == c) * float(np.square(A[y == c].mean(axis=0) - mean).sum()) for c in np.unique(y))
    return float(between / total) if total else 0.0


def purity(A: np.ndarray, y: np.ndarray) -> float:
    """Return which share of the images that excite a unit most are of one class, as a mean over the units of A (n, units).

    Examples
    --------
    >>> y = np.repeat([0, 1], 20)
    >>> purity(np.stack([y, 1 - y], axis=1), y)
    1.0
    """
    top = np.argsort(-A, axis=0, kind="stable")[: min(EXCITING, len(A))]
    alive = A.max(axis=0) > A.min(axis=0)
    shares = [np.bincount(y[top[:, u]]).max() / len(top) for u in np.flatnonzero(alive)]
    return float(np.mean(shares)) if shares else 0.0


def _probed(fold: Fold, tokens: list[str], epochs: int) -> list[dict[str, Any]]:
    rows = []
    shapes = _shapes(tokens, fold.data.image_shape, len(fold.data.classes))
    for weights in (TRAINED, RANDOM):
        model = _network(fold, tokens, epochs if weights == TRAINED else None)
        for position in range(-1, len(tokens) - 1):
            if position < 0:
                train, test, shape = fold.X_train, fold.X_test, fold.data.image_shape
            else:
                train, test = (model.transform(X, position) for X in (fold.X_train, fold.X_test))
                shape = shapes[position]
            rows.append({
                "position": position + 1, "layer": tokens[position] if position >= 0 else PIXELS, "weights": weights,
                "fold": fold.index, "n_features": int(train.shape[1]), "n_train": len(train), "n_test": len(test),
                **_probe(fold, train, test), "separation": separation(test, fold.y_test),
                # a unit of a convolution is a filter, wherever in the image it answers most
                "purity": purity(test.reshape(len(test), -1, shape[-1]).max(axis=1), fold.y_test),
            })  # fmt: skip
    return rows


def _probe(fold: Fold, train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if train.shape[1] > MOST_FEATURES:
        kept = np.random.default_rng(fold.seed).permutation(train.shape[1])[:MOST_FEATURES]
        train, test = train[:, kept], test[:, kept]
    probe = fit_quietly(make_pipeline(StandardScaler(), LogisticRegression(max_iter=100)), train, fold.y_train)
    nearest = fit_quietly(NearestCentroid(), train, fold.y_train)
    return {
        "accuracy": float(np.mean(probe.predict(test) == fold.y_test)),
        "accuracy_centroid": float(np.mean(nearest.predict(test) == fold.y_test)),
    }


def window(tokens: list[str], position: int, side: int) -> tuple[int, int, int]:
    """Return what a unit of a layer sees of an image: size, and step and start as its place moves by one.

    Parameters
    ----------
    tokens : list of str
        Convolutions and poolings up to `position`; behind a dense layer a unit sees the whole image of `side` pixels.

    Examples
    --------
    >>> window(["c16k3p1", "m2", "c32k3p1"], 2, 8)
    (8, 2, -3)
    """
    import re

    size, step, start = 1, 1, 0
    for token in tokens[: position + 1]:
        if token in ("bn", "ln", "relu"):
            continue
        match = re.fullmatch(r"(?:c\d+k|[ma])(\d+)((?:[sp]\d+)*)", token)
        if match is None:
            return side, side, 0
        options = dict(re.findall(r"([sp])(\d+)", match[2]))
        kernel, pooled = int(match[1]), token[0] in "ma"
        stride = int(options.get("s", kernel if pooled else 1))
        start -= int(options.get("p", 0)) * step
        size += (kernel - 1) * step
        step *= stride
    return size, step, start


def _pictures(fold: Fold, tokens: list[str], epochs: int) -> list[dict[str, Any]]:
    """Return the first filters, and for some units of each convolution and dense layer what excites them most."""
    model = _network(fold, tokens, epochs)
    images = fold.X_test.reshape(-1, *fold.data.image_shape)
    high = float(fold.X_train.max()) or 1.0
    filters = model.coefs_[0]
    found = []
    if filters.ndim == 4:
        found.append({"layer": "first filters", "pictures": [
            {"png": charts.png(filters[..., u].mean(axis=2), signed=True), "label": f"filter {u + 1}"}
            for u in range(min(UNITS, filters.shape[-1]))
        ]})  # fmt: skip
    shapes = _shapes(tokens, fold.data.image_shape, len(fold.data.classes))
    for position, token in enumerate(tokens[:-1]):
        if not (token[0] == "c" or token.isdigit()):
            continue
        shape = shapes[position]
        answers = model.transform(fold.X_test, position).reshape(len(images), -1, shape[-1])  # (n, places, units)
        units = [u for u in range(shape[-1]) if answers[..., u].max() > 0][:UNITS]
        size, step, start = window(tokens, position, images.shape[1])
        drawn = []
        for number, unit in enumerate(units, start=1):
            best = answers[..., unit].argmax(axis=1)
            strongest = np.argsort(-answers[..., unit].max(axis=1), kind="stable")[:4]
            patches = []
            for i in strongest:
                row, column = divmod(int(best[i]), shape[1]) if len(shape) == 3 else (0, 0)
                patches.append(_patch(images[i], start + row * step, start + column * step, size))
            drawn.append({"png": charts.png(_mosaic(patches, high), low=0, high=high), "label": f"unit {number}"})
        if drawn:
            found.append({"layer": f"{position + 1} {_words(token)}", "pictures": drawn})
    return found


def _patch(image: np.ndarray, top: int, left: int, size: int) -> np.ndarray:
    """Return a window of an image; what lies outside is black."""
    margin = size + max(image.shape)
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)))
    return padded[margin + top : margin + top + size, margin + left : margin + left + size]


def _mosaic(patches: list[np.ndarray], ink: float) -> np.ndarray:
    """Return up to four windows as one image of two by two, with lines between them."""
    size, _, channels = patches[0].shape
    whole = np.full((2 * size + 1, 2 * size + 1, channels), 0.6 * ink, np.float32)
    for k, patch in enumerate(patches[:4]):
        top, left = (k // 2) * (size + 1), (k % 2) * (size + 1)
        whole[top : top + size, left : left + size] = patch
    return whole


# -- what follows is made of the measurements alone


def _of(m: Measurements, position: int, weights: str = TRAINED) -> list[dict[str, Any]]:
    return findings.only(m["rows"], position=position, weights=weights)


def _positions(m: Measurements) -> list[int]:
    return sorted(findings.values(m["rows"], "position"))


def verdict(m: Measurements) -> Verdict:
    """The last hidden layer is read better than the pixels, and no layer worse than the one before."""
    positions = _positions(m)
    last = positions[-1]
    gain = findings.compare(_of(m, last), _of(m, 0))
    steps = [findings.compare(_of(m, b), _of(m, a)) for a, b in itertools.pairwise(positions)]
    worse = [b for b, step in zip(positions[1:], steps, strict=True) if step.high is not None and step.high < 0]
    no_step_down = findings.REFUTED if worse else findings.SUPPORTED
    means = [findings.mean_of(_of(m, p)).mean for p in positions]
    apart = [findings.mean_of(_of(m, p), "separation").mean for p in (0, last)]
    untrained = [findings.mean_of(_of(m, p, RANDOM)).mean for p in positions[1:]]
    down = (
        "no layer is distinguishably worse than the one before"
        if not worse
        else f"distinguishably worse than the layer before: {', '.join(_of(m, p)[0]['layer'] for p in worse)}"
    )
    answer = (
        f"On {m['dataset']} a linear classifier reads {findings.percent(means[0])} of the classes off the pixels and "
        f"{findings.percent(means[-1])} off the last hidden layer, a difference of {findings.points(gain.difference)} points "
        f"(layer by layer {', '.join(f'{100 * a:.1f}' for a in means)}; {down}). Off the same layers with random weights it "
        f"reads at best {findings.percent(max(untrained))}, and off the last {findings.percent(untrained[-1])}. The share of "
        f"the variance that lies between classes goes from {apart[0]:.2f} in the pixels to {apart[1]:.2f}."
    )
    outcome = findings.combined([findings.outcome(gain.low, gain.high), no_step_down])
    return Verdict(outcome, answer, findings.interval_of_points(gain), "probes")


def _words(token: str) -> str:
    """Return what a layer is, in a word or two.

    Examples
    --------
    >>> _words("c16k3p1"), _words("m2"), _words("64"), _words("pixels")
    ('convolution', 'pooling', 'all to all', 'pixels')
    """
    return PIXELS if token == PIXELS else _WORDS.get(token[0], "all to all")


def tables(m: Measurements) -> list[Table]:
    """Return what each layer knows, before and after training."""
    rows, before = [], None
    for p in _positions(m):
        mine, untrained = _of(m, p), _of(m, p, RANDOM)
        step = "" if before is None else findings.change(findings.compare(mine, before))
        token = mine[0]["layer"]
        rows.append([
            f"{p} {_words(token)}", token, str(mine[0]["n_features"]), findings.plus_minus(findings.mean_of(mine)), step,
            findings.plus_minus(findings.mean_of(untrained)),
            findings.plus_minus(findings.mean_of(mine, "accuracy_centroid")),
            f"{findings.mean_of(mine, 'separation').mean:.2f}", f"{findings.mean_of(untrained, 'separation').mean:.2f}",
            findings.percent(findings.mean_of(mine, "purity").mean, 0),
        ])  # fmt: skip
        before = mine
    header = ["layer", "written", "values", "probe", "step", "probe, random weights", "nearest average",
              "between classes", "the same, random weights", "of one class"]  # fmt: skip
    return [
        Table(
            "What can be read off each layer: accuracy in percent on new images; share of the variance between classes; of the "
            f"{EXCITING} images that excite a unit most, so many of its commonest class",
            header, rows, n_text=2,
        )
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return probes and separation by layer, and pictures of filters and what excites units."""
    probes, apart = [], []
    for p in _positions(m):
        for weights in (TRAINED, RANDOM):
            mine = _of(m, p, weights)
            name = f"{p} {_words(mine[0]['layer'])}"
            i = findings.mean_of(mine)
            probes.append({"layer": name, "weights": weights, "accuracy": i.mean, "low": i.low, "high": i.high})
            apart.append({"layer": name, "weights": weights, "share": findings.mean_of(mine, "separation").mean})
    order = list(dict.fromkeys(row["layer"] for row in probes))
    x = charts.axis("layer", "layer, from the image to the answer", kind="O", sort=order)
    said = ", ".join(f"{r['layer']} {findings.percent(r['accuracy'])}" for r in probes if r["weights"] == TRAINED)
    found = [
        Figure("probes", "What a linear classifier reads off each layer",
               f"Accuracy of a linear classifier on the activations of each layer, with its 95 % interval. Trained: {said}.",
               charts.lines(probes, x, charts.axis("accuracy", "accuracy on new images", percent=True), "weights", low="low",
                            high="high")),
        Figure("separation", "How far apart the classes lie",
               "The share of the variance of each layer's activations that is between the averages of classes: "
               + ", ".join(f"{r['layer']} {r['share']:.2f}" for r in apart if r["weights"] == TRAINED)
               + ", when trained; 1 would mean that all images of a class are one point.",
               charts.lines(apart, x, charts.axis("share", "share of variance between classes", domain=[0, 1]), "weights")),
    ]  # fmt: skip
    if m["pictures"]:
        shown = [
            [{**p, "label": f"{row['layer']}: {p['label']}" if i == 0 else p["label"]} for i, p in enumerate(row["pictures"])]
            for row in m["pictures"]
        ]
        found.append(
            Figure("units", "What excites the units of each layer",
                   "Above the filters of the first layer, red where light pixels excite them and blue where dark ones do. "
                   "Below, a line for each layer: of some units, the four windows of new images that excite them most, as much "
                   "of the image as the unit can see.",
                   pictures=charts.picture_rows(shown))
        )  # fmt: skip
    return found


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(steps: list[list[float]]) -> Measurements:
        rows = [
            {"position": p, "layer": [PIXELS, "c16k3p1", "64"][p], "weights": weights, "fold": f, "n_features": 64,
             "accuracy": 0.9 + (gain if weights == TRAINED else 0.0), "accuracy_centroid": 0.8, "separation": 0.3 + 0.1 * p,
             "purity": 0.5, "n_train": 800, "n_test": 200}
            for p, gains in enumerate([[0.0] * 5, *steps]) for f, gain in enumerate(gains) for weights in (TRAINED, RANDOM)
        ]  # fmt: skip
        return {"dataset": "digits", "tokens": ["c16k3p1", "64", "out"], "rows": rows, "pictures": []}

    up = [0.03, 0.04, 0.03, 0.035, 0.03]
    return {
        "supported": made([up, [2 * g for g in up]]),
        "refuted": made([[2 * g for g in up], up]),
        "undecided": made([[0.01, -0.02, 0.02, -0.01, 0.0], [0.02, -0.03, 0.01, 0.0, -0.02]]),
    }


_TOKENS = ["c16k3p1", "c16k3p1", "m2", "c32k3p1", "c32k3p1", "m2", "64", "out"]

STUDY = Study(
    name="layers",
    question="Why several layers: does each see something more abstract than the one before?",
    claim="Layer by layer a network makes classes easier to tell apart: a linear classifier reads them off the last hidden "
    "layer better than off the pixels, and off no layer worse than off the one before.",
    source="Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016 (arXiv:1610.01644); "
    "Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014",
    refuted_if="A linear classifier is worse on the last hidden layer than on the pixels, or distinguishably worse on a layer "
    "than on the one before.",
    method="One network is trained for each choice of training images. Then, on the numbers that each of its layers "
    "puts out (its activations), a linear classifier of its own is trained: a probe, which weighs and adds and can do nothing "
    "else. What it gets right on new images was there for the taking. The same is done with the network as it was before its "
    "training, with random weights. We also measure how far apart the classes lie in each layer, whether the images that "
    "excite a unit most are of one class, and draw these images, each cut to what the unit sees of it.",
    presets={
        "XS": {"dataset": "digits@S", "folds": 3, "epochs": 3, "tokens": ["c8k3p1", "m2", "32", "out"]},
        "S": {"dataset": "digits", "folds": 5, "epochs": 20, "tokens": _TOKENS},
        "M": {"dataset": "fashion_mnist@S", "folds": 3, "epochs": 20, "tokens": _TOKENS},
        "L": {"dataset": "cifar10_jpeg@M", "folds": 3, "epochs": 20,
              "tokens": ["c32k3p1", "bn", "c32k3p1", "bn", "m2", "c64k3p1", "bn", "c64k3p1", "bn", "m2", "128", "out"]},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits=f"That a probe cannot read a class off a layer does not mean that the layer has lost it. Of layers with more than "
    f"{MOST_FEATURES:,} values the probe sees as many, drawn at random. What excites a unit most need not be what it is for. "
    "Not distinguishably worse does not mean as good: few folds see small steps only when they are steady.",
)  # fmt: skip
