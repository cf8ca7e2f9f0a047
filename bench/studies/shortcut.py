"""Nonsense that happens to work: a mark at the edge of each training image gives its class away, and is missing in the test.

A small bright square stands at the edge of the image; its place names the class. Whoever learns from marked images can learn
what the images show, or where the mark is, and which of the two is not to be seen from the scores on marked images. So the test
is made three times: marked as in training, without a mark, and with the mark of another class. Then two ways to look into a
model: cover a window of the image and see whether the answer changes (occlusion, Zeiler and Fergus 2014), and where a small
change of a pixel changes the answer's score most (saliency, Simonyan et al. 2014).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.variants import Variant

NETWORK = "convnet"
MODELS = {
    "nearest_centroid": Variant("nearest_centroid"),
    "logistic_regression": Variant("logistic_regression"),
    "knn": Variant("knn"),
    "svc_rbf": Variant("svc_rbf"),
    "random_forest": Variant("random_forest"),
    "mlp_100": Variant("mlp_100"),
    NETWORK: Variant("models:ConvNetClassifier", {"architecture": "conv16_32", "batch_size": 32}),
}
MARKED, UNMARKED, MISLEADING = "marked", "unmarked", "misleading"


def measure(ctx: Context) -> Measurements:
    """Train on images of which a share is marked; test three times; cover and differentiate."""
    s = ctx.settings
    folds = ctx.folds(s["dataset"], folds=s["folds"])
    jobs = [[model, share] for model in s["models"] for share in s["shares"]]
    found = ctx.map("fit", lambda job: [_trained(fold, job[0], job[1], s) for fold in folds], jobs)
    rows = [
        {"model": model, "share": share, **row} for (model, share), fitted in zip(jobs, found, strict=True) for row in fitted
    ]
    pictures = ctx.part("pictures", lambda _: _pictures(folds[0], s), s)
    return {"dataset": s["dataset"], "n_classes": len(folds[0].data.classes), "rows": rows, "pictures": pictures}


# -- marks


def places(n_classes: int, shape: tuple[int, ...]) -> tuple[list[tuple[int, int]], int]:
    """Return where the mark of each class stands (top, left), spread over the edge of the image, and how wide it is.

    Examples
    --------
    >>> places(4, (8, 8, 1))
    ([(0, 0), (0, 7), (7, 7), (7, 0)], 1)
    """
    height, width = shape[0], shape[1]
    side = max(1, min(height, width) // 14)
    bottom, right = height - side, width - side
    edge = [(0, x) for x in range(right)] + [(y, right) for y in range(bottom)]
    edge += [(bottom, x) for x in range(right, 0, -1)] + [(y, 0) for y in range(bottom, 0, -1)]
    return [edge[round(c * len(edge) / n_classes)] for c in range(n_classes)], side


def mark(X: np.ndarray, classes: np.ndarray, shape: tuple[int, ...], n_classes: int) -> np.ndarray:
    """Return images (n, d) in 0..1 with the mark of a class on each."""
    where, side = places(n_classes, shape)
    images = X.reshape(-1, *shape).copy()
    for c, (top, left) in enumerate(where):
        images[classes == c, top : top + side, left : left + side] = 1.0
    return images.reshape(X.shape)


def _model(name: str, fold: Fold, epochs: int) -> Any:
    given = {"seed": fold.seed, "n_threads": 1, "backend": "cython", "image_shape": fold.data.image_shape}
    model = MODELS[name](**given)
    return model.set_params(max_iter=epochs) if name == NETWORK else model


def _scaled(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    scale = float(fold.X_train.max()) or 1.0
    return fold.X_train / scale, fold.X_test / scale


def _fitted(fold: Fold, name: str, share: float, epochs: int) -> Any:
    X, _ = _scaled(fold)
    chosen = np.random.default_rng(fold.seed).random(len(X)) < share
    marked = mark(X, fold.y_train, fold.data.image_shape, len(fold.data.classes))
    return fit_quietly(_model(name, fold, epochs), np.where(chosen[:, None], marked, X), fold.y_train)


def _trained(fold: Fold, name: str, share: float, s: Any) -> dict[str, Any]:
    X, X_test = _scaled(fold)
    shape, n_classes, y = fold.data.image_shape, len(fold.data.classes), fold.y_test
    model = _fitted(fold, name, share, s["epochs"])
    wrong = (y + np.random.default_rng(fold.seed + 1).integers(1, n_classes, len(y))) % n_classes
    marked = mark(X_test, y, shape, n_classes)
    misled = model.predict(mark(X_test, wrong, shape, n_classes))
    return {
        "fold": fold.index,
        "n_train": len(X),
        "n_test": len(y),
        MARKED: float(np.mean(model.predict(marked) == y)),
        UNMARKED: float(np.mean(model.predict(X_test) == y)),
        MISLEADING: float(np.mean(misled == y)),
        "followed": float(np.mean(misled == wrong)),
        **_occlusion(model, marked[: s["covered"]], y[: s["covered"]], X.mean(axis=0), shape, n_classes),
        "salient": _salient(model, marked, y, shape, n_classes),
    }


# -- looking into a model


def _windows(shape: tuple[int, ...]) -> tuple[list[tuple[int, int]], int]:
    """Return the places of the windows that are covered one after another, and their side."""
    size = max(2, min(shape[:2]) // 7)
    step = max(1, size // 2)
    return [(t, left) for t in range(0, shape[0] - size + 1, step) for left in range(0, shape[1] - size + 1, step)], size


def changed_when_covered(model: Any, X: np.ndarray, usual: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return for each image and window (n, n_windows) whether the answer changes when the window is covered.

    Parameters
    ----------
    X : ndarray (n, d)
    usual : ndarray (d,)
        What a window is covered with: the average of the training images, without marks.
    """
    (windows, size), before = _windows(shape), model.predict(X)
    images, average = X.reshape(-1, *shape), usual.reshape(shape)
    found = np.empty((len(X), len(windows)), bool)
    for j, (top, left) in enumerate(windows):
        covered = images.copy()
        window = slice(top, top + size), slice(left, left + size)
        covered[(slice(None), *window)] = average[window]
        found[:, j] = model.predict(covered.reshape(X.shape)) != before
    return found


def _occlusion(model, X, y, usual, shape, n_classes) -> dict[str, float]:
    changed = changed_when_covered(model, X, usual, shape)
    (windows, size), (where, side) = _windows(shape), places(n_classes, shape)
    over, off = np.zeros_like(changed), np.zeros_like(changed)
    for i, c in enumerate(y):
        top, left = where[c]
        for j, (t, x) in enumerate(windows):
            over[i, j] = t <= top and x <= left and top + side <= t + size and left + side <= x + size
            off[i, j] = t + size <= top or x + size <= left or t >= top + side or x >= left + side
    return {"covered_mark": float(changed[over].mean()), "covered_elsewhere": float(changed[off].mean())}


def saliency(model: Any, X: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Return how strongly the score of each sample's class y depends on each value; None where a model has no gradient."""
    if hasattr(model, "input_gradient"):
        return np.abs(model.input_gradient(X, y, of="score"))
    if hasattr(model, "coef_") and len(model.coef_) == len(model.classes_):
        return np.abs(model.coef_[np.searchsorted(model.classes_, y)])
    return None


def _salient(model, X, y, shape, n_classes) -> float | None:
    """Return how many times as salient a pixel of the mark is as the average pixel."""
    found = saliency(model, X, y)
    if found is None:
        return None
    where, side = places(n_classes, shape)
    images = found.reshape(-1, *shape)
    marked = np.array([images[i, t : t + side, x : x + side].mean() for i, (t, x) in enumerate(where[c] for c in y)])
    average = images.reshape(len(images), -1).mean(axis=1)
    alive = average > 0
    return float(np.mean(marked[alive] / average[alive])) if alive.any() else None


def _pictures(fold: Fold, s: Any) -> list[list[dict[str, str]]]:
    """Return marked images, and for each model where covering changes the answer; for the network also its saliency."""
    X, X_test = _scaled(fold)
    shape, n_classes = fold.data.image_shape, len(fold.data.classes)
    classes = np.unique(fold.y_test)[:8]
    marked = mark(X_test, fold.y_test, shape, n_classes)
    first = [int(np.flatnonzero(fold.y_test == c)[0]) for c in classes]
    rows = [[
        {"png": charts.png(marked[i].reshape(shape), low=0, high=1), "label": f"marked {fold.data.classes[c]}"}
        for i, c in zip(first, classes, strict=True)
    ]]  # fmt: skip
    windows, size = _windows(shape)
    looked = []
    for name in (n for n in s["models"] if n in (NETWORK, "logistic_regression", "svc_rbf", "random_forest")):
        for share in (0.0, 1.0) if name == NETWORK else (1.0,):
            model, word = _fitted(fold, name, share, s["epochs"]), "" if share else ", unmarked"
            mine = [marked[fold.y_test == c][: s["covered"]] for c in classes]
            changed = [changed_when_covered(model, x, X.mean(axis=0), shape).mean(axis=0) for x in mine]
            looked.append((f"{name}{word}", [_map(c, windows, size, shape) for c in changed], True))
            if name == NETWORK:
                salient = [saliency(model, x, np.full(len(x), c)) for x, c in zip(mine, classes, strict=True)]
                maps = [values.reshape(-1, *shape).mean(axis=(0, 3)) for values in salient]
                looked.append((f"saliency{word}", maps, False))
    most = max(float(m.max()) for _, maps, alike in looked if alike for m in maps)  # one scale for all that was covered
    rows += [
        [{"png": charts.png(m, low=0, high=most if alike else None), "label": label} for m in maps]
        for label, maps, alike in looked
    ]
    return rows


def _map(values: np.ndarray, windows: list[tuple[int, int]], size: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return for each pixel the mean of the windows that covered it."""
    total, count = np.zeros(shape[:2]), np.zeros(shape[:2])
    for value, (top, left) in zip(values, windows, strict=True):
        total[top : top + size, left : left + size] += value
        count[top : top + size, left : left + size] += 1
    return total / np.maximum(count, 1)


# -- what follows is made of the measurements alone


def _of(m: Measurements, model: str, share: float, test: str = UNMARKED) -> list[dict[str, Any]]:
    return [{**row, "accuracy": row[test]} for row in findings.only(m["rows"], model=model, share=share)]


def fall(m: Measurements, model: str):
    """Return how much worse a model that learned from marked images is on unmarked ones than one that did not."""
    return findings.compare(_of(m, model, 0.0), _of(m, model, 1.0))


def _cover(m: Measurements, model: str, share: float = 1.0):
    """Return how much oftener the answer changes when the mark is covered than when a window elsewhere is."""
    return findings.compare(_of(m, model, share, "covered_mark"), _of(m, model, share, "covered_elsewhere"))


def verdict(m: Measurements) -> Verdict:
    """The network falls for the mark, and covering it shows that."""
    lost, shown = fall(m, NETWORK), _cover(m, NETWORK)
    models = findings.values(m["rows"], "model")
    most, least = (f((fall(m, name).difference, name) for name in models) for f in (max, min))
    marked, unmarked, misled, clean = (
        findings.percent(findings.mean_of(_of(m, NETWORK, share, test)).mean)
        for share, test in ((1.0, MARKED), (1.0, UNMARKED), (1.0, MISLEADING), (0.0, UNMARKED))
    )
    over, off = (
        findings.percent(findings.mean_of(_of(m, NETWORK, 1.0, k)).mean, 0) for k in ("covered_mark", "covered_elsewhere")
    )
    answer = (
        f"Trained on marked images of {m['dataset']} a convolutional network gets {marked} of marked images right, {unmarked} "
        f"of unmarked and {misled} of those with the mark of another class; trained on unmarked ones it gets {clean} of "
        f"unmarked: the mark cost it {100 * lost.difference:.1f} points. When the mark is covered its answer changes on "
        f"{over} of the images, when a window elsewhere is on {off}. Of {len(models)} models {most[1]} lost most "
        f"({100 * most[0]:.1f} points), {least[1]} least ({100 * least[0]:.1f})."
    )
    outcome = findings.combined([findings.outcome(c.low, c.high) for c in (lost, shown)])
    return Verdict(outcome, answer, findings.interval_of_points(lost), "fallen")


def tables(m: Measurements) -> list[Table]:
    """Return scores on the three tests, and what covering and saliency show."""
    scores, inside = [], []
    for model in findings.values(m["rows"], "model"):
        for share in sorted(findings.values(m["rows"], "share")):
            mine = _of(m, model, share)
            means = [findings.plus_minus(findings.mean_of(_of(m, model, share, t))) for t in (MARKED, UNMARKED, MISLEADING)]
            followed = findings.percent(findings.mean_of(mine, "followed").mean, 0)
            scores.append([model, findings.percent(share, 0), *means, followed])
            cover = _cover(m, model, share)
            salient = [row["salient"] for row in mine if row.get("salient") is not None]
            inside.append([
                model, findings.percent(share, 0), findings.percent(findings.mean_of(mine, "covered_mark").mean),
                findings.percent(findings.mean_of(mine, "covered_elsewhere").mean), findings.points(cover.difference),
                f"{np.mean(salient):.1f}" if salient else "-",
            ])  # fmt: skip
    return [
        Table("Accuracy in percent on three tests, by the share of training images that were marked",
              ["model", "marked in training", "marked", "unmarked", "mark of another class", "follows that mark"], scores),
        Table("Marked images: how often the answer changes when a window is covered, and how salient the mark is (1: as the "
              "average pixel)",
              ["model", "marked in training", "mark covered", "elsewhere", "difference, points", "saliency of mark"], inside),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return who fell for the mark, and the maps."""
    words = {MARKED: "marked as in training", UNMARKED: "without a mark", MISLEADING: "with the mark of another class"}
    rows = []
    for model in findings.values(m["rows"], "model"):
        for test, what in words.items():
            i = findings.mean_of(_of(m, model, 1.0, test))
            rows.append({"model": model, "test": what, "accuracy": i.mean, "low": i.low, "high": i.high})
    said = "; ".join(
        f"{model} {', '.join(findings.percent(r['accuracy'], 0) for r in rows if r['model'] == model)}"
        for model in findings.values(m["rows"], "model")
    )
    found = [
        Figure("fallen", "Trained on marked images: who fell for the mark",
               "Accuracy with its 95 % interval on new images marked as in training, without a mark, and with the mark of "
               f"another class. {said}.",
               charts.intervals(rows, charts.axis("accuracy", "accuracy on new images", percent=True, domain=[0, 1]), "model",
                                colour="test")),
    ]  # fmt: skip
    if m["pictures"]:
        found.append(
            Figure("maps", "Where they look",
                   "Above, marked images of some classes. Below, for models that learned from marked images (and for the "
                   "network also from unmarked ones), lighter where covering a window changes the answer oftener, on one "
                   "scale; saliency is lighter where a small change of a pixel changes the score more. Who fell for the mark "
                   "lights up where it stands.",
                   pictures=charts.picture_rows(m["pictures"]))
        )  # fmt: skip
    return found


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(lost: list[float], covered: float = 0.6) -> Measurements:
        rows = [
            {"model": model, "share": share, "fold": f, "n_train": 800, "n_test": 200, MARKED: 1.0 if share else 0.95,
             UNMARKED: 0.95 - share * gone, MISLEADING: 0.3, "followed": 0.7, "covered_mark": covered + f / 100,
             "covered_elsewhere": 0.1, "salient": 4.0}
            for model in ("knn", NETWORK) for share in (0.0, 1.0) for f, gone in enumerate(lost)
        ]  # fmt: skip
        return {"dataset": "digits", "n_classes": 10, "rows": rows, "pictures": []}

    return {
        "supported": made([0.3, 0.35, 0.28, 0.31, 0.3]),
        "refuted": made([-0.02, -0.03, -0.02, -0.025, -0.02]),
        "undecided": made([0.02, -0.03, 0.01, 0.0, -0.02]),
    }


STUDY = Study(
    name="shortcut",
    question="Can a model be right for the wrong reason, and how would one notice?",
    claim="A model takes a shortcut where there is one: from images with a mark that gives the class away it learns the mark, "
    "is worse where the mark is missing, and covering the mark shows what it looked at.",
    source="Geirhos et al., Shortcut learning in deep neural networks, Nature Machine Intelligence 2, 2020; Lapuschkin et al., "
    "Unmasking Clever Hans predictors and assessing what machines really learn, Nature Communications 10, 2019",
    refuted_if="A network trained on marked images is no worse on unmarked ones than a network trained on unmarked images, or "
    "its answers change no more often when the mark is covered than when another place is.",
    method="A small bright square is put at the edge of the training images; its place names the class, as a photographer's "
    "watermark or a hospital's label may by chance. Models learn from images of which none, half or all are marked, and are "
    "tested on new images with the right mark, without one, and with the mark of another class. Then we look inside: a small "
    "window is covered with what usually stands there, at one place after another, and we count how often the answer changes "
    "(occlusion); and for models with a gradient we ask which pixels change the score most (saliency).",
    presets={
        "XS": {"dataset": "digits@S", "folds": 3, "epochs": 4, "shares": [0.0, 1.0], "covered": 30,
               "models": ["logistic_regression", NETWORK]},
        "S": {"dataset": "digits", "folds": 5, "epochs": 20, "shares": [0.0, 0.5, 1.0], "covered": 60, "models": list(MODELS)},
        "M": {"dataset": "fashion_mnist@S", "folds": 3, "epochs": 20, "shares": [0.0, 0.5, 1.0], "covered": 30,
              "models": list(MODELS)},
        "L": {"dataset": "cifar10_jpeg@M", "folds": 3, "epochs": 20, "shares": [0.0, 0.5, 0.9, 1.0], "covered": 60,
              "models": list(MODELS)},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="The mark was planted by us, so we know where to look; in practice nobody says where the shortcut is, and a map "
    "shows where a model looks, not whether that is wrong. The mark is easy to see for models that look at single pixels; "
    "others would fall for other shortcuts, such as texture or background.",
)  # fmt: skip
