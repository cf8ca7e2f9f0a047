"""Feature engineering against feature learning: who finds the features, and what are they worth under any classifier?

Every feature set under every classical classifier ("head"), on the same folds. Two features (pixels P, learned L) and two
heads (linear A, Gaussian kernel B) split the gain a(L, B) - a(P, A) fairly, as Shapley does: to features goes the mean of
what they bring under either head, to the head the mean of what it brings on either features::

    features = (a(L, A) - a(P, A) + a(L, B) - a(P, B)) / 2
    head     = (a(P, B) - a(P, A) + a(L, B) - a(L, A)) / 2        features - head = a(L, A) - a(P, B)

So the question of which is worth more is one paired comparison: the simple classifier on learned features against the
strong classifier on pixels.
"""

from __future__ import annotations

import re
from typing import Any

from bench.studies import charts, findings
from bench.studies.context import Context
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict
from bench.studies.features import inputs
from bench.studies.variants import Variant, variant

LINEAR, KERNEL = "logistic_regression", "svc_rbf"
#: The classical classifiers of the catalog, the simplest first.
HEADS = ("nearest_centroid", "gaussian_nb", "lda", "qda", "knn", "logistic_regression", "linear_svc", "svc_rbf",
         "decision_tree", "random_forest", "extra_trees", "hist_gradient_boosting")  # fmt: skip
#: Forests as preset S has them.
FORESTS, FEWER_TREES = ("random_forest", "extra_trees"), "{}_30"
#: feature set -> in a newcomer's words
FEATURES = {
    "raw": "pixels",
    "handmade": "handmade: what a person would measure",
    "hog": "HOG: directions of edges",
    "lbp": "LBP: small patterns, counted",
    "pca": "PCA: directions of most variance",
    "random_conv": "random filters, never trained",
    "learned": "learned by the network",
}
NOISY = ("nearest_centroid", "knn", "logistic_regression", "svc_rbf", "extra_trees", "extra_trees_30", "mlp_100")
PERMUTED = ("logistic_regression", "svc_rbf", "mlp_100", "convnet")
_KEPT = ("fold", "repeat", "status", "message", "accuracy", "n_train", "n_test", "n_features", "time_fit_s")


def __getattr__(name: str):
    """Return a model that the harness names: ``extra_trees_30``, ``knn_noise_64``, ``mlp_100_permuted``."""
    if match := re.fullmatch(r"(.+)_noise_(\d+)", name):
        return inputs.buried(_model(match[1]), int(match[2]))
    if name.endswith("_permuted"):
        return inputs.permuted(_model(name.removesuffix("_permuted")))
    return variant({FEWER_TREES.format(f): _model(FEWER_TREES.format(f)) for f in FORESTS}, name)


def _model(name: str) -> Variant:
    """Return a model of the catalog, or a forest of fewer trees."""
    forest = name.removesuffix("_30")
    return Variant(forest, {"n_estimators": 30}) if forest in FORESTS and forest != name else Variant(name)


def measure(ctx: Context) -> Measurements:
    """Run the heads on the feature sets, and some models on harder samples."""
    s = ctx.settings
    data, network = s["dataset"], s["network"]
    learned = f"learned:{network}"
    names = [learned if name == "learned" else name for name in s["features"]]
    heads = [head if head in HEADS else f"{__name__}:{head}" for head in s["heads"]]
    rows = ctx.cells("heads", datasets=[data], models=heads, features=names, folds=s["folds"])
    rows = [{**row, "feature_set": "learned" if row["feature_set"] == learned else row["feature_set"]} for row in rows]
    here = f"{__name__}:"
    noisy = [name for name in NOISY if name in s["heads"] or name == "mlp_100"]
    shuffled = [network if name == "convnet" else name for name in PERMUTED]
    buried = [f"{m}_noise_{n}" for m in noisy for n in s["noise"]]
    permuted = [f"{m}_permuted" for m in shuffled]
    # On the same pixels and folds, so one run: each starts workers.
    harder = ctx.cells(
        "pixels", datasets=[data], models=["mlp_100", network, *(here + m for m in [*buried, *permuted])], folds=s["folds"]
    )
    plain = [r for r in harder if r["model"] in ("mlp_100", network)]

    def of(row: dict[str, Any], **more: Any) -> dict[str, Any]:
        model = more.pop("model", row["model"])
        return {"model": "convnet" if model == network else model, **{k: row.get(k) for k in _KEPT}, **more}

    raw = {(r["model"], r["fold"]): r for r in [*findings.only(rows, feature_set="raw"), *plain]}
    noise_rows = [of(r, n_noise=0) for (m, _), r in raw.items() if m in noisy]
    for row in harder:
        if row["model"] in buried:
            model, _, n = row["model"].rpartition("_noise_")
            noise_rows.append(of(row, model=model, n_noise=int(n)))
    order_rows = [of(r, order="as they are") for (m, _), r in raw.items() if m in shuffled]
    order_rows += [
        of(r, model=r["model"].removesuffix("_permuted"), order="permuted") for r in harder if r["model"] in permuted
    ]
    return {
        "dataset": data,
        "network": network,
        "n_columns": findings.only(rows, feature_set="raw")[0]["n_features"],
        "rows": [of(row, feature_set=row["feature_set"]) for row in rows],
        "networks": [of(row) for row in plain],
        "noise": noise_rows,
        "order": order_rows,
    }


# -- what follows is made of the measurements alone


def _of(m: Measurements, feature_set: str, model: str) -> list[dict[str, Any]]:
    return findings.only(m["rows"], feature_set=feature_set, model=model)


def _scored(rows: list[dict[str, Any]]) -> bool:
    return any(row.get("accuracy") is not None for row in rows)


def corners(m: Measurements) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the two heads on pixels and on learned features, and those of the network itself."""
    return {
        "a linear classifier on pixels": _of(m, "raw", LINEAR),
        "a strong classifier on pixels": _of(m, "raw", KERNEL),
        "a linear classifier on learned features": _of(m, "learned", LINEAR),
        "a strong classifier on learned features": _of(m, "learned", KERNEL),
        "the network itself": findings.only(m["networks"], model="convnet"),
    }


def gains(m: Measurements) -> dict[str, float]:
    """Return the gain from the first corner to the fourth, and its parts: features, head."""
    pa, pb, la, lb, _ = (findings.mean_of(rows).mean for rows in corners(m).values())
    return {"whole": lb - pa, "features": (la - pa + lb - pb) / 2, "head": (pb - pa + lb - la) / 2}


def last_steps(m: Measurements) -> list[tuple[str, float]]:
    """Return each head on the learned features with its accuracy, the lowest first."""
    heads = [head for head in findings.values(m["rows"], "model") if _scored(_of(m, "learned", head))]
    return sorted(((head, findings.mean_of(_of(m, "learned", head)).mean) for head in heads), key=lambda pair: pair[1])


def lead(m: Measurements, order: str):
    """Return how far the ConvNet is ahead of the network without convolutions, with the pixels in that order."""
    rows = findings.only(m["order"], order=order)
    return findings.compare(findings.only(rows, model="convnet"), findings.only(rows, model="mlp_100"))


def verdict(m: Measurements) -> Verdict:
    """Compare the linear classifier on learned features with the strong one on pixels."""
    found = findings.compare(_of(m, "learned", LINEAR), _of(m, "raw", KERNEL))
    pixels, strong, learned, _, network = (findings.percent(findings.mean_of(r).mean) for r in corners(m).values())
    g, steps = gains(m), last_steps(m)
    before, after = lead(m, "as they are"), lead(m, "permuted")
    answer = (
        f"On {m['dataset']} a linear classifier gets {pixels} on pixels and {learned} on the features that a network learned, "
        f"a strong classifier {strong} on pixels: of a gain of {100 * g['whole']:.1f} points features bring "
        f"{findings.points(g['features'])} and the classifier {findings.points(g['head'])}, and between learned features with "
        f"the linear classifier and pixels with the strong one lie {findings.points(found.difference)} points. With its last "
        f"step replaced by each of {len(steps)} classical classifiers the network's {network} become "
        f"{findings.percent(steps[0][1])} ({steps[0][0]}) to {findings.percent(steps[-1][1])} ({steps[-1][0]}), and one fixed "
        f"permutation of the pixels changes the lead of convolutions from {findings.points(before.difference)} to "
        f"{findings.points(after.difference)} points."
    )
    return Verdict(findings.outcome(found.low, found.high), answer, findings.interval_of_points(found), "split")


def tables(m: Measurements) -> list[Table]:
    """Return heads on features, the gain and its parts, noise columns, and permuted pixels."""
    features = findings.values(m["rows"], "feature_set")
    heads = findings.values(m["rows"], "model")
    grid = [
        [head, *(findings.plus_minus(findings.mean_of(_of(m, f, head))) if _scored(_of(m, f, head)) else "-" for f in features)]
        for head in heads
    ]
    network = findings.only(m["networks"], model="convnet")
    grid.append([f"the network itself ({m['network']})",
                 *(findings.plus_minus(findings.mean_of(network)) if f == "learned" else "" for f in features)])  # fmt: skip
    g = gains(m)
    split = [[what, findings.plus_minus(findings.mean_of(rows))] for what, rows in corners(m).items()]
    split += [[f"gain, from first to fourth: {what}", findings.points(value)] for what, value in g.items()]
    noises = sorted(findings.values(m["noise"], "n_noise"))
    noise = [
        [model, *(findings.plus_minus(findings.mean_of(findings.only(m["noise"], model=model, n_noise=n))) for n in noises)]
        for model in findings.values(m["noise"], "model")
    ]
    order = []
    for model in findings.values(m["order"], "model"):
        pair = [findings.only(m["order"], model=model, order=o) for o in ("as they are", "permuted")]
        change = findings.compare(pair[1], pair[0])
        order.append([model, *(findings.plus_minus(findings.mean_of(rows)) for rows in pair), findings.change(change)])
    for model in ("lead of convnet over mlp_100",):
        found = [lead(m, o) for o in ("as they are", "permuted")]
        order.append([model, *(findings.change(c) for c in found), ""])
    return [
        Table(f"Accuracy in percent on {m['dataset']}: each classifier on each feature set (-: cannot be fitted)",
              ["classifier", *features], grid),
        Table("The gain and its parts, in percent and points", ["what", "accuracy"], split),
        Table(f"{m['n_columns']} pixels under columns of noise: accuracy in percent",
              ["model", *(f"+{n}" if n else "no noise" for n in noises)], noise),
        Table("The pixels in one other order, the same for all images: accuracy in percent",
              ["model", "as they are", "permuted", "change in points"], order),
    ]  # fmt: skip


def figures(m: Measurements) -> list[Figure]:
    """Return the split of the gain, heads on features, noise and permutation."""
    steps = []
    for what, rows in corners(m).items():
        i = findings.mean_of(rows)
        steps.append({"what": what, "accuracy": i.mean, "low": i.low, "high": i.high})
    percent = charts.axis("accuracy", "accuracy on samples not seen", percent=True)
    tiles = []
    for row in {(r["feature_set"], r["model"]): r for r in m["rows"]}.values():
        mine = _of(m, row["feature_set"], row["model"])
        if _scored(mine):
            mean = findings.mean_of(mine).mean
            tiles.append({"features": row["feature_set"], "head": row["model"], "accuracy": mean, "text": f"{100 * mean:.1f}"})
    best = max(tiles, key=lambda tile: tile["accuracy"])
    noise = []
    for model in findings.values(m["noise"], "model"):
        for n in sorted(findings.values(m["noise"], "n_noise")):
            i = findings.mean_of(findings.only(m["noise"], model=model, n_noise=n))
            noise.append({"model": model, "n": str(n), "accuracy": i.mean, "low": i.low, "high": i.high})
    order = []
    for model in findings.values(m["order"], "model"):
        for o in ("as they are", "permuted"):
            i = findings.mean_of(findings.only(m["order"], model=model, order=o))
            order.append({"model": model, "pixels": f"pixels {o}", "accuracy": i.mean, "low": i.low, "high": i.high})
    features = [f for f in FEATURES if any(t["features"] == f for t in tiles)]
    columns = list(dict.fromkeys(n["n"] for n in noise))
    return [
        Figure("split", "Two feature sets under two classifiers, and the network",
               "Accuracy with its 95 % interval: " + ", ".join(f"{s['what']} {findings.percent(s['accuracy'])}" for s in steps)
               + ".", charts.intervals(steps, percent, "what")),
        Figure("grid", "Every feature set under every classifier",
               "Accuracy in percent, a column for each feature set ("
               + "; ".join(f"{f}: {FEATURES[f]}" for f in features if f != FEATURES[f])
               + f"), a line for each classifier, darker is better; best is {best['head']} on {best['features']} with "
               f"{findings.percent(best['accuracy'])}.",
               charts.heat(tiles, "features", "head", "accuracy", text="text", x_order=features,
                           y_order=findings.values(m["rows"], "model"))),
        Figure("noise", "A signal buried under noise",
               f"Accuracy of each model as columns of pure noise are put beside the {m['n_columns']} pixels, with its 95 % "
               "interval; a line that falls belongs to a model that noise misleads.",
               charts.lines(noise, charts.axis("n", "columns of noise", kind="O", sort=columns),
                            charts.axis("accuracy", "accuracy", percent=True), "model", low="low", high="high")),
        Figure("permutation", "The same pixels in another order",
               "Accuracy with its 95 % interval of each model on images as they are, and with their pixels in one fixed other "
               "order: who learns column by column stays where it was, who learns from neighbours does not.",
               charts.intervals(order, percent, "model", colour="pixels")),
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(ahead: list[float]) -> Measurements:
        def rows(accuracy: float, gain: list[float] | None = None, **more: Any) -> list[dict[str, Any]]:
            return [
                {**more, "fold": f, "repeat": 0, "status": "ok", "accuracy": accuracy + (gain[f] if gain else 0.0),
                 "n_train": 800, "n_test": 200, "n_features": 64, "time_fit_s": 0.1}
                for f in range(len(ahead))
            ]  # fmt: skip

        return {
            "dataset": "digits", "network": "conv16_32", "n_columns": 64,
            "rows": [
                *rows(0.85, model=LINEAR, feature_set="raw"), *rows(0.9, model=KERNEL, feature_set="raw"),
                *rows(0.9, ahead, model=LINEAR, feature_set="learned"), *rows(0.92, model=KERNEL, feature_set="learned"),
            ],
            "networks": [*rows(0.89, model="mlp_100"), *rows(0.92, model="convnet")],
            "noise": [r for n in (0, 64) for r in rows(0.9 - n / 1000, model=KERNEL, n_noise=n)],
            "order": [r for model, loss in (("mlp_100", 0.0), ("convnet", 0.04)) for o in ("as they are", "permuted")
                      for r in rows(0.92 - loss * (o == "permuted"), model=model, order=o)],
        }  # fmt: skip

    return {
        "supported": made([0.03, 0.02, 0.03, 0.04, 0.03]),
        "refuted": made([-0.03, -0.02, -0.03, -0.04, -0.03]),
        "undecided": made([0.02, -0.03, 0.01, 0.0, -0.02]),
    }


STUDY = Study(
    name="features",
    question="Must a person think up what to look for in an image, or can a network learn it, and which of the two is better?",
    claim="What a deep network gains it gains by the features it learns, not by its classifier: with learned features a simple "
    "linear classifier beats a strong classifier on pixels.",
    source="LeCun, Bengio and Hinton, Deep learning, Nature 521, 2015; Donahue et al., DeCAF, ICML 2014",
    refuted_if="A strong classifier (a support vector machine with a Gaussian kernel) on pixels is better than a linear one on "
    "learned features; the classifier is then worth more than the features.",
    method="Features are the numbers that a classifier is given in the place of an image. Some are thought up by people "
    "(counts of strokes, HOG, LBP), some estimated without labels (PCA), some drawn at random, some learned by a convolutional "
    "network, whose last step we then replace: each classical classifier takes its place, and each is tried on every other "
    "feature set. The gain from a linear classifier on pixels to a strong one on learned features is shared out between "
    "features and classifier by the average of both orders in which one can exchange them. Then we put columns of pure noise "
    "beside the pixels, and last we put the pixels of all images into one other order, which loses nothing but the knowledge "
    "of which pixels are neighbours.",
    presets={
        "XS": {"dataset": "digits@S", "network": "conv16_32", "heads": ["nearest_centroid", LINEAR, KERNEL],
               "features": ["raw", "hog", "learned"], "folds": 3, "noise": [64]},
        "S": {"dataset": "digits", "network": "conv16_32", "features": list(FEATURES), "folds": 3, "noise": [64, 512],
              "heads": [FEWER_TREES.format(h) if h in FORESTS else h for h in HEADS if h != "hist_gradient_boosting"]},
        "M": {"dataset": "fashion_mnist@S", "network": "lenet5", "heads": list(HEADS), "features": list(FEATURES), "folds": 3,
              "noise": [784, 3136]},
        "L": {"dataset": "cifar10_jpeg@M", "network": "vgg_small_bn", "heads": list(HEADS), "features": list(FEATURES),
              "folds": 3, "noise": [3072, 12288]},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    limits="The learned features come from these images alone; where few are at hand, features that a network learned on a "
    "million others are what is used in practice. On small, centred images pixels are good features already, and leave "
    "little to gain. The same training images taught the features and the classifier that replaces the last step, so a head "
    "that trusts them too much is at a disadvantage.",
)  # fmt: skip
