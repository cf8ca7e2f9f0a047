"""Learning or memorising: labels drawn at random, labels of which a share is false, and what stands nearest in memory.

Two findings together make the puzzle of Zhang et al. 2017: a network is able to memorise labels that mean nothing, and the
same network, trained the same way, finds what true labels have in common. What a mere memory would do is measured beside
it: one nearest neighbour, which answers with the label of the training image that is most alike. Then the training is
followed epoch by epoch: what is general is learned before the exceptions are memorised (Arpit et al. 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.studies import charts, findings
from bench.studies.context import Context, Fold, fit_quietly
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.variants import Variant

#: Small for digits, and yet with more weights (23,000) than there are training images; no weight decay, which works against
#: memorising.
_FREE = {"solver": "adam", "learning_rate_init": 2e-3, "batch_size": 32, "alpha": 0.0, "n_iter_no_change": 10_000}
TOKENS = ["c16k3p1", "m2", "c32k3p1", "m2", "128", "out"]
MEMORY, NETWORK = "nearest image", "convnet"
#: name -> model, and whether it is deep; the simplest first
MODELS = {
    "average of each class": Variant("nearest_centroid"),
    "logistic regression": Variant("logistic_regression"),
    MEMORY: Variant("sklearn.neighbors:KNeighborsClassifier", {"n_neighbors": 1}),
    "5 nearest images": Variant("knn"),
    "svc_rbf": Variant("svc_rbf"),
    "decision tree": Variant("decision_tree"),
    "random forest": Variant("random_forest"),
    "mlp": Variant("models:MLPClassifier", {"hidden_layer_sizes": (256,), **_FREE}),
    NETWORK: Variant("models:ConvNetClassifier", {"architecture": TOKENS, **_FREE}),
}
DEEP = ("mlp", NETWORK)
#: No more lines than there are colours to tell them apart; the tables have all.
NOT_DRAWN = ("decision tree",)
#: The share of labels that the second half of the verdict looks at, and what counts as memorised.
NOISE, MEMORISED = 0.4, 0.9


def measure(ctx: Context) -> Measurements:
    """Train each model with each share of false labels, follow the network, and look for what it has seen before."""
    s = ctx.settings
    folds = ctx.folds(s["dataset"], folds=s["folds"])
    jobs = [[model, share] for model in s["models"] for share in s["shares"]]
    found = ctx.map("fit", lambda job: [_scores(fold, job[0], job[1], s["epochs"]) for fold in folds], jobs)
    rows = [
        {"model": model, "share": share, **row} for (model, share), fitted in zip(jobs, found, strict=True) for row in fitted
    ]
    curve = ctx.map("epochs", lambda i: _followed(folds[i], s["epochs"]), range(len(folds)))
    neighbours = ctx.map("neighbours", lambda i: _neighbours(folds[i], s["epochs"]), range(len(folds)))
    shown = [n["pictures"] for n in neighbours if n["pictures"]]
    pictures = [[p for rows in shown for p in rows[line]][:8] for line in (0, 1)] if shown else []
    return {
        "dataset": s["dataset"],
        "n_classes": len(folds[0].data.classes),
        "epochs": s["epochs"],
        "rows": rows,
        "curve": [row for fold in curve for row in fold],
        "neighbours": [{k: v for k, v in n.items() if k != "pictures"} for n in neighbours],
        "pictures": pictures,
    }


def with_false_labels(y: np.ndarray, share: float, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels of which a share was replaced by classes drawn at random, and which of them are false now.

    A drawn class may be the true one; with ``share=1`` labels say nothing about the images.

    Examples
    --------
    >>> labels, false = with_false_labels(np.zeros(1000, int), 0.5, 10, 0)
    >>> bool(0.40 < np.mean(false) < 0.50), bool(np.all(false == (labels != 0)))
    (True, True)
    """
    random = np.random.default_rng(seed)
    drawn = random.integers(0, n_classes, len(y)).astype(y.dtype)
    labels = np.where(random.random(len(y)) < share, drawn, y)
    return labels, labels != y


def _model(name: str, fold: Fold, epochs: int) -> Any:
    given = {"seed": fold.seed, "n_threads": 1, "backend": "cython", "image_shape": fold.data.image_shape}
    model = MODELS[name](**given)
    return model.set_params(max_iter=epochs) if name in DEEP else model


def _scaled(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    scale = float(fold.X_train.max()) or 1.0
    return fold.X_train / scale, fold.X_test / scale


def _scores(fold: Fold, name: str, share: float, epochs: int) -> dict[str, Any]:
    """Return the accuracies on labels as they were given, on those that are false, and on true ones never seen."""
    X, X_test = _scaled(fold)
    labels, false = with_false_labels(fold.y_train, share, len(fold.data.classes), fold.seed)
    model = fit_quietly(_model(name, fold, epochs), X, labels)
    fitted = model.predict(X) == labels
    return {
        "fold": fold.index,
        "repeat": fold.repeat,
        "accuracy": float(np.mean(model.predict(X_test) == fold.y_test)),
        "train_accuracy": float(np.mean(fitted)),
        "accuracy_false": float(np.mean(fitted[false])) if false.any() else None,
        "n_train": len(labels),
        "n_test": len(fold.y_test),
    }


def _followed(fold: Fold, epochs: int) -> list[dict[str, Any]]:
    """Return, after each epoch of the network, what it knows of the false labels and of what it has never seen."""
    X, X_test = _scaled(fold)
    n_classes = len(fold.data.classes)
    labels, false = with_false_labels(fold.y_train, NOISE, n_classes, fold.seed)
    model, rows = _model(NETWORK, fold, epochs), []
    for epoch in range(1, epochs + 1):
        model.partial_fit(X, labels, classes=np.arange(n_classes))
        predicted = model.predict(X[false])
        rows.append({
            "fold": fold.index, "epoch": epoch,
            "accuracy": float(np.mean(model.predict(X_test) == fold.y_test)),
            "memorised": float(np.mean(predicted == labels[false])),
            "corrected": float(np.mean(predicted == fold.y_train[false])),
        })  # fmt: skip
    return rows


def _neighbours(fold: Fold, epochs: int) -> dict[str, Any]:
    """Return how right the network, trained on true labels, is near to and far from what it has seen, with pictures."""
    from sklearn.neighbors import NearestNeighbors

    X, X_test = _scaled(fold)
    right = fit_quietly(_model(NETWORK, fold, epochs), X, fold.y_train).predict(X_test) == fold.y_test
    distance, nearest = (a[:, 0] for a in NearestNeighbors(n_neighbors=1).fit(X).kneighbors(X_test))
    same = fold.y_train[nearest] == fold.y_test
    order = np.argsort(distance, kind="stable")
    quarters = [
        {"quarter": q + 1, "n": len(part), "distance": float(np.mean(distance[part])), "right": int(right[part].sum()),
         "memory_right": int(same[part].sum())}
        for q, part in enumerate(np.array_split(order, 4))
    ]  # fmt: skip
    return {
        "fold": fold.index,
        "n_test": len(right),
        "n_train": len(X),
        "identical": int(np.sum(distance == 0.0)),
        "right": int(right.sum()),
        "right_other_class": int(np.sum(right & ~same)),
        "other_class": int(np.sum(~same)),
        "quarters": quarters,
        "pictures": _pictures(fold, np.flatnonzero(right & ~same)[:8], nearest, X, X_test),
    }


def _pictures(fold: Fold, chosen: np.ndarray, nearest: np.ndarray, X: np.ndarray, X_test: np.ndarray) -> list:
    """Return images that the network got right although their nearest training image shows another class; and that one."""
    shape, names = fold.data.image_shape, fold.data.classes
    if shape is None or not len(chosen):
        return []
    new = [
        {"png": charts.png(X_test[i].reshape(shape), low=0, high=1), "label": f"new: {names[fold.y_test[i]]}"} for i in chosen
    ]
    seen = [
        {"png": charts.png(X[nearest[i]].reshape(shape), low=0, high=1), "label": f"seen: {names[fold.y_train[nearest[i]]]}"}
        for i in chosen
    ]
    return [new, seen]


# -- what follows is made of the measurements alone


def _of(m: Measurements, model: str, share: float) -> list[dict[str, Any]]:
    return findings.only(m["rows"], model=model, share=share)


def verdict(m: Measurements) -> Verdict:
    """The network can memorise, and with false labels it is better than a mere memory."""
    memorised = findings.mean_of(_of(m, NETWORK, 1.0), "train_accuracy")
    chance = findings.mean_of(_of(m, NETWORK, 1.0))
    true, network, memory = (
        findings.mean_of(_of(m, *job)) for job in ((NETWORK, 0.0), (NETWORK, NOISE), (MEMORY, NOISE))
    )
    gain = findings.compare(_of(m, NETWORK, NOISE), _of(m, MEMORY, NOISE))
    other, right = (sum(n[k] for n in m["neighbours"]) for k in ("other_class", "right_other_class"))
    able = findings.outcome(memorised.low, memorised.high, MEMORISED)
    words = {findings.SUPPORTED: "so it can memorise", findings.REFUTED: "so it cannot memorise them all"}
    so = words.get(able, "nearly all or most of them")
    answer = (
        f"A network fits {findings.plus_minus(memorised)} % of {m['rows'][0]['n_train']:,} labels drawn at random, {so}, which "
        f"helps it to nothing on new images ({findings.percent(chance.mean)}, chance is "
        f"{findings.percent(1 / m['n_classes'], 0)}); trained the same way on true labels it gets "
        f"{findings.percent(true.mean)} of new images right, and {right} of the {other} whose nearest training image shows "
        f"another class. With {findings.percent(NOISE, 0)} of the labels replaced by random ones it is right on "
        f"{findings.percent(network.mean)} of new images, a mere memory (the label of the nearest training image) on "
        f"{findings.percent(memory.mean)}, a difference of {findings.points(gain.difference)} points."
    )
    outcome = findings.combined([able, findings.outcome(gain.low, gain.high)])
    return Verdict(outcome, answer, findings.interval_of_points(gain), "noise")


def tables(m: Measurements) -> list[Table]:
    """Return accuracies by share of false labels, and by distance to what was seen."""
    shares = findings.values(m["rows"], "share")
    header = ["model", *("true labels" if s == 0 else f"{findings.percent(s, 0)} random" for s in shares)]
    models = findings.values(m["rows"], "model")

    def grid(metric: str) -> list[list[str]]:
        return [[model, *(_said(_of(m, model, s), metric) for s in shares)] for model in models]

    quarters = []
    for q in range(4):
        mine = [n["quarters"][q] for n in m["neighbours"]]
        n = sum(x["n"] for x in mine)
        quarters.append([
            ("nearest quarter", "second", "third", "farthest quarter")[q], str(n),
            findings.number(float(np.average([x["distance"] for x in mine], weights=[x["n"] for x in mine]))),
            findings.percent(sum(x["right"] for x in mine) / n), findings.percent(sum(x["memory_right"] for x in mine) / n),
        ])  # fmt: skip
    keys = ("n_test", "identical", "right", "other_class", "right_other_class")
    total = {k: sum(n[k] for n in m["neighbours"]) for k in keys}
    seen = [
        ["new images in all folds", str(total["n_test"])],
        ["of these identical to a training image", str(total["identical"])],
        ["the network is right on", str(total["right"])],
        ["nearest training image shows another class", str(total["other_class"])],
        ["the network is right on these", str(total["right_other_class"])],
    ]
    return [
        Table("Accuracy on new images, in percent, when a share of the training labels is drawn at random", header,
              grid("accuracy")),
        Table("Accuracy on the training labels as they were given, in percent", header, grid("train_accuracy")),
        Table("Of the training labels that are false, in percent: so many were memorised", header, grid("accuracy_false")),
        Table("New images, sorted by their distance to the nearest training image (true labels)",
              ["images", "number", "mean distance", "network right", "nearest image right"], quarters),
        Table("What of the right answers could be remembered (true labels)", ["what", "number"], seen),
    ]  # fmt: skip


def _said(rows: list[dict[str, Any]], metric: str) -> str:
    if not any(row.get(metric) is not None for row in rows):
        return "-"
    return findings.plus_minus(findings.mean_of(rows, metric))


def figures(m: Measurements) -> list[Figure]:
    """Return accuracy against false labels, the epochs of the network, and pictures."""
    shares, models = findings.values(m["rows"], "share"), findings.values(m["rows"], "model")
    drawn, fitted = [], []
    for model in (name for name in models if name not in NOT_DRAWN):
        for share in shares:
            i = findings.mean_of(_of(m, model, share))
            drawn.append({"model": model, "share": share, "accuracy": i.mean})
            mean = findings.mean_of(_of(m, model, share), "train_accuracy").mean
            fitted.append({"model": model, "share": share, "accuracy": mean})
    x = charts.axis("share", "training labels replaced by random ones", percent=True, values=shares)
    lines = charts.lines(drawn, x, charts.axis("accuracy", "accuracy on new images", percent=True, domain=[0, 1]), "model")
    train = charts.lines(
        fitted, x, charts.axis("accuracy", "accuracy on training labels as given", percent=True, domain=[0, 1]), "model"
    )
    words = {
        "accuracy": "right on new images",
        "memorised": "false training labels repeated",
        "corrected": "false training labels: the true class answered",
    }
    epochs = []
    for epoch in findings.values(m["curve"], "epoch"):
        rows = findings.only(m["curve"], epoch=epoch)
        epochs += [{"epoch": epoch, "what": w, "share": float(np.mean([r[k] for r in rows]))} for k, w in words.items()]
    best = max((e for e in epochs if e["what"] == words["accuracy"]), key=lambda e: e["share"])
    last = [e for e in epochs if e["what"] == words["accuracy"]][-1]
    found = [
        Figure("noise", "New images, when training labels are false",
               "Accuracy of each model on new images as more of the training labels are drawn at random. A line above that of "
               f"the nearest image belongs to a model that did more than remember. Convnet: {_series(drawn)}.", lines),
        Figure("memory", "Training labels repeated, false ones included",
               "Accuracy of each model on its own training labels, false ones included, as more of them are drawn at random: "
               f"a line that stays at the top belongs to a model that can memorise anything. Convnet: {_series(fitted)}.",
               train),
        Figure("epochs", "First the rule, then the exceptions?",
               f"A network trained with {findings.percent(NOISE, 0)} random labels, epoch by epoch. On new images it is best "
               f"after epoch {best['epoch']} ({findings.percent(best['share'])}) and ends at "
               f"{findings.percent(last['share'])}; of the false labels it repeats "
               f"{findings.percent(_repeated(epochs, best['epoch']))} then, and at the end "
               f"{findings.percent(_repeated(epochs, last['epoch']))}.",
               charts.lines(epochs, charts.axis("epoch", "epoch: times that all training images were seen"),
                            charts.axis("share", "share", percent=True, domain=[0, 1]), "what")),
    ]  # fmt: skip
    if m["pictures"]:
        found.append(
            Figure("unlike", "Right, but not remembered",
                   "Above: new images whose class the network named rightly. Below each: the training image that is most "
                   "alike, which shows another class.", pictures=charts.picture_rows(m["pictures"]))
        )  # fmt: skip
    return found


def _repeated(epochs: list[dict[str, Any]], epoch: int) -> float:
    return next(e["share"] for e in epochs if e["epoch"] == epoch and e["what"] == "false training labels repeated")


def _series(rows: list[dict[str, Any]]) -> str:
    mine = [row for row in rows if row["model"] == NETWORK]
    return ", ".join(f"{findings.percent(r['accuracy'], 0)} at {findings.percent(r['share'], 0)}" for r in mine)


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(gains: list[float], memorised: float = 0.99) -> Measurements:
        rows = [
            {"model": model, "share": share, "fold": f, "repeat": 0, "n_train": 800, "n_test": 200,
             "accuracy": 0.1 if share == 1.0 else 0.95 - share / 2 + (gain if model == NETWORK else 0.0),
             "train_accuracy": memorised + f / 1000, "accuracy_false": memorised if share else None}
            for model in (MEMORY, NETWORK) for share in (0.0, NOISE, 1.0) for f, gain in enumerate(gains)
        ]  # fmt: skip
        quarters = [{"quarter": q, "n": 50, "distance": 1.0, "right": 49, "memory_right": 48} for q in range(1, 5)]
        neighbours = [
            {"fold": f, "n_test": 200, "n_train": 800, "identical": 0, "right": 196, "right_other_class": 5, "other_class": 8,
             "quarters": quarters}
            for f in range(len(gains))
        ]  # fmt: skip
        curve = [{"fold": 0, "epoch": e, "accuracy": 0.9, "memorised": 0.1 * e, "corrected": 0.5} for e in (1, 2)]
        return {"dataset": "digits", "n_classes": 10, "epochs": 2, "rows": rows, "curve": curve, "neighbours": neighbours,
                "pictures": []}  # fmt: skip

    return {
        "supported": made([0.04, 0.03, 0.05]),
        "refuted": made([0.04, 0.03, 0.05], memorised=0.5),
        "undecided": made([0.04, -0.05, 0.02]),
    }


def _preset(dataset: str, folds: int, epochs: int, models: list[str], shares: list[float]) -> dict[str, Any]:
    return {"dataset": dataset, "folds": folds, "epochs": epochs, "models": models, "shares": shares}


_SHARES = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]

STUDY = Study(
    name="memorise",
    question="Does a network learn, or does it only memorise what it was shown?",
    claim="It can do both: a network fits labels that were drawn at random, and with true labels, even when some are false, it "
    "finds what they have in common and is better than a mere memory.",
    source="Zhang, Bengio, Hardt, Recht and Vinyals, Understanding deep learning requires rethinking generalization, ICLR "
    "2017; Arpit et al., A Closer Look at Memorization in Deep Networks, ICML 2017",
    refuted_if=f"The network fits less than {findings.percent(MEMORISED, 0)} of random labels, or, with "
    f"{findings.percent(NOISE, 0)} of the labels replaced by random ones, it is no better on new images than one that answers "
    "with the label of the nearest training image.",
    method="We replace a share of the training labels by classes drawn at random, from none to all, train networks and "
    "classical models on them, and look at two scores: how many of the given labels each repeats, and how many new images, "
    "with true labels, it gets right. With all labels drawn at random there is nothing to learn, only to memorise. A mere "
    "memory is measured beside them: it answers with the label of the training image that is most alike. For each new image "
    "that the network gets right we look for that nearest training image. And we follow one training epoch by epoch (an epoch: "
    "once through all training images).",
    presets={
        "XS": _preset("digits@S", 3, 12, [MEMORY, NETWORK], [0.0, NOISE, 1.0]),
        "S": _preset("digits", 4, 45, list(MODELS), [0.0, 0.2, 0.4, 0.7, 1.0]),
        "M": _preset("fashion_mnist@S", 3, 40, list(MODELS), [0.0, 0.2, 0.4, 0.7, 1.0]),
        "L": _preset("fashion_mnist@M", 3, 100, list(MODELS), _SHARES),
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="False labels drawn at random are the mildest kind: mistakes that follow a rule are learned as one. A network that "
    "is stopped early, or whose weights are kept small, memorises less than this one, which was given nothing against it. "
    "Nearest is meant pixel by pixel; to the network other images may be nearer.",
)  # fmt: skip
