"""Convolution and pooling: what filters of each size cost and bring, what sharing weights does, and who stands being moved.

Three choices make a convolutional network (LeCun et al. 1998): a unit sees a small window (its receptive field), units at all
places share their weights, and pooling forgets where exactly something was. Each is varied by itself. A layer is
equivariant where its activations move along with the image, f(Tx) = T f(x); the error is the distance of the two sides
relative to their size, measured layer by layer. Behind a pooling of stride 2 only every second shift can be exact.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.receptive import moving
from bench.studies.variants import Variant, variant

SIZES = (1, 3, 5, 7)
FILTERS, WINDOW = 16, 3
MAX, AVERAGE, NONE, GLOBAL, DENSE = "max pooling", "average pooling", "no pooling", "pooled to one value", "no convolution"
#: What is moved: name -> tokens.
MOVED = {
    DENSE: ["100", "out"],
    NONE: ["c16k3p1", "c32k3p1", "out"],
    AVERAGE: ["c16k3p1", "a2", "c32k3p1", "a2", "out"],
    MAX: ["c16k3p1", "m2", "c32k3p1", "m2", "out"],
    GLOBAL: ["c16k3p1", "m2", "c32k3p1", "m2", "gap", "out"],
}


def _net(tokens: list[str], wrap: Any = None) -> Variant:
    return Variant("models:ConvNetClassifier", {"architecture": tokens, "batch_size": 32, "max_iter": 20}, wrap=wrap)


def _by_size(k: int) -> list[str]:
    return [f"c16k{k}p{k // 2}", "m2", f"c32k{k}p{k // 2}", "m2", "out"]


#: One hidden layer, connected in three ways: name -> what that is.
SHARING = {
    "all_to_all": "all connected to all",
    "unshared": "a window each, weights of its own at each pixel",
    "shared": "a window each, weights shared (convolution)",
}
VARIANTS = {
    **{f"k{k}": _net(_by_size(k)) for k in SIZES},
    "max_pool": _net(MOVED[MAX]),
    "average_pool": _net(MOVED[AVERAGE]),
    "no_pool": _net(MOVED[NONE]),
    "shared": _net([f"c{FILTERS}k{WINDOW}p{WINDOW // 2}", "out"]),
    "unshared": _net(["out"], lambda estimator, seed: moving.unshared(estimator, WINDOW, FILTERS)),
    "all_to_all": _net(["out"], lambda estimator, seed: _all_to_all(estimator)),
}
POOLINGS = {"max_pool": MAX, "average_pool": AVERAGE, "no_pool": NONE}


def _all_to_all(estimator: Any) -> Any:
    """Return a network whose hidden layer has as many units as that of the convolution."""
    height, width, _ = estimator.image_shape
    return estimator.set_params(architecture=[str(height * width * FILTERS), "out"])


def __getattr__(name: str):
    return variant(VARIANTS, name)


def measure(ctx: Context) -> Measurements:
    """Run filters, poolings and connections as cells; move images that networks on framed images have never seen so."""
    s = ctx.settings
    names = [name for name in VARIANTS if name in s["variants"]]
    rows = ctx.cells("networks", datasets=[s["dataset"]], models=[f"{__name__}:{v}" for v in names], folds=s["folds"])
    folds = ctx.folds(s["dataset"], folds=s["moved_folds"])
    found = ctx.map("moved", partial(_moved, folds, s), range(len(folds)))
    data = folds[0].data
    kept = ("fold", "repeat", "status", "message", "accuracy", "n_train", "n_test", "time_fit_s", "time_predict_s")
    return {
        "dataset": s["dataset"],
        "side": data.image_shape[0],
        "shift": s["shift"],
        "rows": [{"model": row["model"], **{k: row.get(k) for k in kept}} for row in rows],
        "costs": {name: _cost(name, data.image_shape, len(data.classes)) for name in names},
        "moved": [row for fold in found for row in fold["accuracy"]],
        "layers": [row for fold in found for row in fold["layers"]],
        "pictures": ctx.part("pictures", lambda _: _pictures(folds[0], s), s),
    }


def _cost(name: str, shape: tuple[int, ...], n_classes: int) -> dict[str, int]:
    """Return weights, and operations (a multiply and an add are two) to look at one image."""
    from models.architectures import build

    height, width, channels = shape
    n = height * width
    tokens, given = VARIANTS[name].params["architecture"], tuple(shape)
    if name == "unshared":
        tokens, given = [f"c{n * FILTERS}k1g{n}", "out"], (1, 1, n * WINDOW * WINDOW * channels)
    elif name == "all_to_all":
        tokens = [str(n * FILTERS), "out"]
    layers = build(tokens, given, n_classes)
    return {"weights": sum(layer.n_parameters for layer in layers), "flops": sum(layer.flops for layer in layers)}


def _moved(folds: list[Fold], s: Any, index: int) -> dict[str, Any]:
    """Train on centred images in a frame; return accuracies on moved ones, and equivariance errors."""
    fold = folds[index]
    scale = float(fold.X_train.max()) or 1.0
    X, shape = moving.framed(fold.X_train / scale, fold.data.image_shape, s["margin"])
    X_test, _ = moving.framed(fold.X_test / scale, fold.data.image_shape, s["margin"])
    X_test, y_test = X_test[: s["tested"]], fold.y_test[: s["tested"]]
    accuracy, layers = [], []
    for name in s["moved"]:
        options = {"max_iter": s["epochs"], "image_shape": shape}
        model = _net(MOVED[name])(seed=fold.seed, n_threads=1, backend="cython").set_params(**options)
        fit_quietly(model, X, fold.y_train)
        for kind, amounts in s["moves"].items():
            for amount in amounts:
                right = [
                    float(np.mean(model.predict(moving.moved(X_test, shape, kind, move)) == y_test))
                    for move in moving.moves(kind, amount)
                ]
                accuracy.append({
                    "model": name, "move": kind, "amount": amount, "fold": fold.index, "accuracy": float(np.mean(right)),
                    "n_train": len(X), "n_test": len(X_test),
                })  # fmt: skip
        layers += _equivariance(model, name, X_test, shape, s, fold.index)
    return {"accuracy": accuracy, "layers": layers}


def _equivariance(model: Any, name: str, X: np.ndarray, shape: tuple, s: Any, index: int) -> list[dict[str, Any]]:
    from models.architectures import build

    built, rows, step = build(MOVED[name], shape, len(model.classes_)), [], 1
    for position, token in enumerate(MOVED[name]):
        output = [layer for layer in built if layer.position <= position][-1].output_shape
        step *= int(token[1]) if token[0] in "ma" and token[1:].isdigit() else 1
        before = model.transform(X, position)
        for amount in (a for a in s["moves"][moving.SHIFT] if a):
            errors = []
            for down, right in moving.moves(moving.SHIFT, amount):
                after = model.transform(moving.moved(X, shape, moving.SHIFT, (down, right)), position)
                if len(output) == 3:
                    pair = (a.reshape(-1, *output) for a in (before, after))
                    edge = min(s["margin"] + amount, shape[0] // 3)
                    errors.append(moving.equivariance_error(*pair, step, int(down), int(right), edge))
                else:  # there is no place in it any more: it should not change at all
                    size = np.sqrt(np.linalg.norm(before) * np.linalg.norm(after))
                    errors.append(float(np.linalg.norm(after - before) / size) if size else 0.0)
            rows.append({"model": name, "position": position + 1, "layer": token, "amount": amount, "fold": index,
                         "error": float(np.mean(errors))})  # fmt: skip
    return rows


def _pictures(fold: Fold, s: Any) -> list[list[dict[str, str]]]:
    """Return an image of each of some classes as it is and moved."""
    scale = float(fold.X_train.max()) or 1.0
    X, shape = moving.framed(fold.X_test / scale, fold.data.image_shape, s["margin"])
    first = [int(np.flatnonzero(fold.y_test == c)[0]) for c in np.unique(fold.y_test)[:3]]
    kinds = [(k, amounts[-1]) for k, amounts in s["moves"].items()]
    kinds = [("as it is", 0), *kinds]
    rows = []
    for i in first:
        line = []
        for kind, amount in kinds:
            image = X[i : i + 1]
            if amount:
                image = moving.moved(image, shape, kind, moving.moves(kind, amount)[0])
            label = _amount(kind, amount) if amount else kind
            line.append({"png": charts.png(image.reshape(shape), low=0, high=1), "label": label})
        rows.append(line)
    return rows


# -- what follows is made of the measurements alone


def _amount(kind: str, amount: float) -> str:
    unit = {moving.SHIFT: "pixel", moving.ROTATION: "degree", moving.SCALE: "time"}[kind]
    return f"{kind} {amount:g} {unit}{'' if amount == 1 else 's'}"


def _model(m: Measurements, name: str) -> list[dict[str, Any]]:
    return findings.only(m["rows"], model=name)


def _at(m: Measurements, name: str, kind: str, amount: float) -> list[dict[str, Any]]:
    return findings.only(m["moved"], model=name, move=kind, amount=amount)


def verdict(m: Measurements) -> Verdict:
    """On shifted images convolution with pooling is better than a network without, and than one without pooling."""
    amount = m["shift"]
    local, pooled = (
        findings.compare(_at(m, MAX, moving.SHIFT, amount), _at(m, other, moving.SHIFT, amount)) for other in (DENSE, NONE)
    )
    means = {name: findings.percent(findings.mean_of(_at(m, name, moving.SHIFT, amount)).mean) for name in (MAX, DENSE, NONE)}
    centred = {name: findings.percent(findings.mean_of(_at(m, name, moving.SHIFT, 0)).mean) for name in (MAX, DENSE)}
    shared = findings.compare(_model(m, "shared"), _model(m, "unshared"))
    weights = [m["costs"][name]["weights"] for name in ("shared", "unshared")]
    answer = (
        f"On images of {m['dataset']} shifted by {amount} of {m['side']} pixels, which no training image was, convolutions "
        f"with max pooling get {means[MAX]} right, a network without convolutions {means[DENSE]} ({centred[MAX]} and "
        f"{centred[DENSE]} where nothing is moved), a difference of {findings.points(local.difference)} points; without "
        f"pooling {means[NONE]} ({findings.points(pooled.difference)}). Sharing its weights changes a convolution's accuracy "
        f"by {findings.points(shared.difference)} points, with {weights[0]:,} weights in the place of {weights[1]:,}."
    )
    outcome = findings.combined([findings.outcome(c.low, c.high) for c in (local, pooled)])
    intervals = [f"less {other}: {findings.interval_of_points(c)}" for other, c in ((DENSE, local), (NONE, pooled))]
    return Verdict(outcome, answer, "; ".join(intervals), "moved")


def _cost_row(m: Measurements, name: str, what: str) -> list[str]:
    rows, cost = _model(m, name), m["costs"][name]
    fits = [row["time_fit_s"] for row in rows if row.get("time_fit_s") is not None]
    return [what, findings.plus_minus(findings.mean_of(rows)), f"{cost['weights']:,}", f"{cost['flops']:,}",
            findings.number(float(np.median(fits))) if fits else "-"]  # fmt: skip


def tables(m: Measurements) -> list[Table]:
    """Return filters, connections and poolings with their costs, accuracy under moves, and equivariance errors."""
    cost = ["weights", "operations per image", "fit s"]
    there = {row["model"] for row in m["rows"] if row.get("accuracy") is not None}
    sizes = [_cost_row(m, f"k{k}", f"{k}x{k}") for k in SIZES if f"k{k}" in there]
    sharing = [_cost_row(m, name, what) for name, what in SHARING.items() if name in there]
    pooling = [_cost_row(m, name, what) for name, what in POOLINGS.items() if name in there]
    pairs = list(dict.fromkeys((row["move"], row["amount"]) for row in m["moved"]))
    models = findings.values(m["moved"], "model")
    moved = [
        ["nothing moved" if (kind, amount) == (moving.SHIFT, 0) else _amount(kind, amount),
         *(findings.plus_minus(findings.mean_of(_at(m, name, kind, amount))) for name in models)]
        for kind, amount in pairs
    ]  # fmt: skip
    amounts = findings.values(m["layers"], "amount")
    layers = []
    for name in models:
        for position in findings.values(findings.only(m["layers"], model=name), "position"):
            mine = findings.only(m["layers"], model=name, position=position)
            errors = [np.mean([row["error"] for row in mine if row["amount"] == a]) for a in amounts]
            layers.append([name, f"{position} {mine[0]['layer']}", *(f"{e:.2f}" for e in errors)])
    found = [
        Table("Two convolutions with filters of each size", ["filters", "accuracy", *cost], sizes),
        Table(f"One hidden layer of {m['side']}x{m['side']}x{FILTERS} units, connected in three ways",
              ["connections", "accuracy", *cost], sharing),
        Table("Two convolutions with each pooling", ["pooling", "accuracy", *cost], pooling),
        Table("Accuracy in percent on images moved as no training image was", ["move", *models], moved),
        Table("Equivariance error of each layer, by the shift in pixels (0: activations move along with the image, or, behind "
              "the last place, do not change; 1.41: unrelated)", ["model", "layer", *map(str, amounts)], layers, n_text=2),
    ]  # fmt: skip
    return [table for table in found if table.rows]


def figures(m: Measurements) -> list[Figure]:
    """Return accuracy against shift, under all moves, filters against cost, and errors by layer."""
    percent = charts.axis("accuracy", "accuracy on new images", percent=True)
    models = findings.values(m["moved"], "model")
    shifts, others = [], []
    for row in {(r["model"], r["move"], r["amount"]): r for r in m["moved"]}.values():
        i = findings.mean_of(_at(m, row["model"], row["move"], row["amount"]))
        point = {"model": row["model"], "accuracy": i.mean, "low": i.low, "high": i.high, "amount": row["amount"]}
        if row["move"] == moving.SHIFT:
            shifts.append({**point, "amount": str(row["amount"])})
        else:
            others.append({**point, "what": _amount(row["move"], row["amount"])})
    order = list(dict.fromkeys(p["amount"] for p in shifts))
    costs = []
    for row in {r["model"]: r for r in m["rows"] if r.get("accuracy") is not None}.values():
        name = row["model"]
        if name.startswith("k"):
            i = findings.mean_of(_model(m, name))
            size, flops = f"{name[1:]}x{name[1:]}", m["costs"][name]["flops"]
            costs.append({"filters": size, "flops": flops, "accuracy": i.mean, "low": i.low, "high": i.high})
    errors = []
    for name in models:
        for position in findings.values(findings.only(m["layers"], model=name), "position"):
            mine = findings.only(m["layers"], model=name, position=position, amount=m["shift"])
            if mine:
                errors.append({"model": name, "layer": str(position), "error": float(np.mean([r["error"] for r in mine]))})
    at = {name: findings.percent(findings.mean_of(_at(m, name, moving.SHIFT, m["shift"])).mean) for name in models}
    by = _amount(moving.SHIFT, m["shift"])
    found = [
        Figure("moved", "Shifted images, which no training image was",
               f"Accuracy of each network as test images are shifted, with its 95 % interval. At {by}: "
               + ", ".join(f"{name} {value}" for name, value in at.items()) + ".",
               charts.lines(shifts, charts.axis("amount", "shift in pixels", kind="O", sort=order), percent, "model", low="low",
                            high="high")),
        Figure("filters", "Filters of 1x1 to 7x7",
               "Accuracy of two convolutions with filters of each size, with its 95 % interval (in brackets the operations for "
               "one image): " + ", ".join(f"{c['filters']} {findings.percent(c['accuracy'])} ({c['flops']:,})" for c in costs)
               + ".",
               charts.intervals(costs, percent, "filters")),
        Figure("equivariance", "How well activations move along",
               f"Equivariance error of each layer at {by}: 0 where activations move with the image, or do not change where a "
               "layer has no places any more; 1.41 where they have nothing to do with each other. First layer: "
               + ", ".join(f"{e['model']} {e['error']:.2f}" for e in errors if e["layer"] == "1") + "; output: "
               + ", ".join(f"{name} {[e['error'] for e in errors if e['model'] == name][-1]:.2f}" for name in models) + ".",
               charts.lines(errors, charts.axis("layer", "layer, from the image to the answer", kind="O"),
                            charts.axis("error", "equivariance error", zero=True), "model")),
    ]  # fmt: skip
    if others:
        found.insert(1, Figure(
            "turned", "Turned and scaled images",
            "Accuracy of each network on test images turned to either side, made smaller and larger, with its 95 % interval.",
            charts.intervals(others, percent, "what", colour="model"),
        ))  # fmt: skip
    if m["pictures"]:
        found.append(
            Figure("images", "What moved images look like",
                   "Some test images in their frame as they are, and moved as far as was tried.",
                   pictures=charts.picture_rows(m["pictures"]))
        )  # fmt: skip
    return found


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(ahead: list[float]) -> Measurements:
        n = {"n_train": 800, "n_test": 200}
        moved = [
            {"model": name, "move": moving.SHIFT, "amount": amount, "fold": f,
             "accuracy": 0.95 if amount == 0 else 0.7 + gain * (name == MAX), **n}
            for name in (DENSE, NONE, MAX) for amount in (0, 1) for f, gain in enumerate(ahead)
        ]  # fmt: skip
        rows = [
            {"model": name, "fold": f, "repeat": 0, "status": "ok", "accuracy": 0.95 + f / 1000, "time_fit_s": 0.1,
             "time_predict_s": 0.01, **n}
            for name in VARIANTS for f in range(len(ahead))
        ]  # fmt: skip
        layers = [
            {"model": name, "position": 1, "layer": "c16k3p1", "amount": 1, "fold": f, "error": 0.1}
            for name in (DENSE, NONE, MAX) for f in range(len(ahead))
        ]  # fmt: skip
        return {
            "dataset": "digits", "side": 8, "shift": 1, "rows": rows, "moved": moved, "layers": layers, "pictures": [],
            "costs": {name: {"weights": 1000, "flops": 10_000} for name in VARIANTS},
        }  # fmt: skip

    return {
        "supported": made([0.1, 0.12, 0.11]),
        "refuted": made([-0.1, -0.12, -0.11]),
        "undecided": made([0.1, -0.12, 0.01]),
    }


_ALL = list(VARIANTS)

STUDY = Study(
    name="receptive",
    question="What do convolution and pooling do that a network without them cannot?",
    claim="Small windows, shared weights and pooling make a network stand shifts that it has never seen better than one that "
    "connects all pixels with all units, and better than one that does not pool.",
    source="LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, Proceedings of the "
    "IEEE 86, 1998",
    refuted_if="On shifted images, trained on centred ones, the network with convolutions and max pooling is worse than one "
    "without convolutions, or than one without pooling.",
    method="We vary one thing at a time. The filter: the window that a unit sees, 1x1 to 7x7 pixels. Sharing: one hidden "
    "layer, connected to windows with the same weights at every place (a convolution), with weights of its own at each pixel, "
    "or connected to everything. Pooling: the largest of each 2x2 window is kept, or the average, or all. Then "
    "networks that learned from centred images in an empty frame meet shifted, turned and scaled ones. Last we look inside: "
    "if the image moves by some pixels, do the activations of a layer move by as many? The distance from that, relative "
    "to their size, is the equivariance error.",
    presets={
        "XS": {"dataset": "digits@S", "folds": 3, "moved_folds": 3, "epochs": 3, "margin": 2, "shift": 1, "tested": 60,
               "variants": ["k3", "shared", "unshared"], "moved": [DENSE, NONE, MAX],
               "moves": {moving.SHIFT: [0, 1], moving.ROTATION: [20]}},
        "S": {"dataset": "digits", "folds": 5, "moved_folds": 3, "epochs": 20, "margin": 2, "shift": 1, "tested": 300,
              "variants": _ALL, "moved": list(MOVED),
              "moves": {moving.SHIFT: [0, 1, 2], moving.ROTATION: [10, 20, 40], moving.SCALE: [0.7, 0.85, 1.2]}},
        "M": {"dataset": "fashion_mnist@S", "folds": 3, "moved_folds": 3, "epochs": 20, "margin": 4, "shift": 2, "tested": 300,
              "variants": [v for v in _ALL if v != "all_to_all"], "moved": list(MOVED),
              "moves": {moving.SHIFT: [0, 1, 2, 4], moving.ROTATION: [10, 20, 40], moving.SCALE: [0.7, 0.85, 1.2]}},
        "L": {"dataset": "cifar10_jpeg@M", "folds": 3, "moved_folds": 3, "epochs": 20, "margin": 4, "shift": 2, "tested": 2000,
              "variants": [v for v in _ALL if v != "all_to_all"], "moved": list(MOVED),
              "moves": {moving.SHIFT: [0, 1, 2, 4], moving.ROTATION: [10, 20, 40], moving.SCALE: [0.7, 0.85, 1.2]}},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="Shifted training images teach any of these networks to stand shifts; here they are never shown any. An image that "
    "is turned or scaled is smoothed as well, which is part of what makes it harder. Times are of this machine; operations "
    "and weights are not.",
)  # fmt: skip
