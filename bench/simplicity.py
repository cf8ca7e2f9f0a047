"""The order of simplicity: which contestant a reader would rather use, were their scores the same.

It is fixed before any score is looked at, which is what lets the verdict test contestants one after another without
paying for every comparison. From the simplest on:

1. classical models on features that no network made, in the order of `CLASSICAL`: a constant, class means, Gaussians,
   linear boundaries, one tree, stored samples, quadratic boundaries, kernels, ensembles of trees; models it does not
   know follow, by the time that fitting takes;
2. deep models, by their number of layers with weights: as run.json tells it ("models": {name: {"depth": ...}}), else
   as the name does ("mlp_100_100" has three), then by the time that fitting takes; scikit-learn's own MLP is one of
   them, though it is listed with the classical models;
3. any model on features that a network learned: that is a network and a second model on top.

Within a model, feature sets come in the order of `FEATURES`, others after them by name. A tuned model
("svc_rbf+tuned") stands where its model stands, behind it: a search is one thing more to do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bench.names import is_tuned
from bench.tables import Summary

CLASSICAL = (
    "dummy",
    "nearest_centroid",
    "gaussian_nb",
    "lda",
    "linear_regression",
    "ridge",
    "logistic_regression",
    "linear_svc",
    "decision_tree",
    "knn",
    "qda",
    "svc_rbf",
    "random_forest",
    "extra_trees",
    "hist_gradient_boosting",
)
FEATURES = ("raw", "standardized", "pca", "poly2", "handmade", "hog", "lbp", "random_fourier", "random_conv")

#: Feature sets that a network made; on these even a classical model is the last step of a deep one.
LEARNED_FEATURES = ("learned",)


#: Models with the parameters of a published table: as simple as those of the same name.
PUBLISHED = "xiao2017_"


def base_name(name: str) -> str:
    """Return a name without its variant, and of learned features without the network and layer that they are taken from.

    Examples
    --------
    >>> base_name("svc_rbf+tuned"), base_name("learned@S"), base_name("learned:lenet5@c16k5"), base_name("xiao2017_knn")
    ('svc_rbf', 'learned', 'learned', 'knn')
    """
    return re.split(r"[+@]|(?<=^learned):", name.removeprefix(PUBLISHED), maxsplit=1)[0]


def uses_learned_features(summary: Summary) -> bool:
    return base_name(summary.feature_set) in LEARNED_FEATURES


def is_deep(summary: Summary) -> bool:
    """Whether a network with hidden layers stands anywhere between the samples and the prediction."""
    return is_network(summary) or uses_learned_features(summary)


def is_network(summary: Summary) -> bool:
    """Whether the model itself is a network, whoever wrote it."""
    return summary.family == "deep" or base_name(summary.model).startswith("sklearn_mlp")


def simplicity(summary: Summary, models: Mapping[str, Any] | None = None) -> tuple:
    """Return a sort key: what sorts first is simpler.

    Parameters
    ----------
    summary : Summary
    models : mapping, optional
        "models" of run.json: name -> {"family", "depth", ...}.
    """
    name = base_name(summary.model)
    network = is_network(summary)
    tier = 2 if uses_learned_features(summary) else int(network)
    depth = _depth(name, models) if network else 0.0
    known = name in CLASSICAL and not network
    rank = CLASSICAL.index(name) if known else len(CLASSICAL)
    fit_s = 0.0 if known else summary.times.get("time_fit_s", float("inf"))
    features = base_name(summary.feature_set)
    feature_rank = FEATURES.index(features) if features in FEATURES else len(FEATURES)
    return tier, depth, rank, is_tuned(summary.model), fit_s, summary.model, feature_rank, summary.key


def depth_of(summary: Summary, models: Mapping[str, Any] | None = None) -> float:
    """Return how many layers with weights stand between the features and the prediction; 0 for what is no network."""
    return _depth(base_name(summary.model), models) if is_network(summary) else 0.0


def _depth(name: str, models: Mapping[str, Any] | None) -> float:
    """Return the layers with weights of a network: as stored, else as its name tells, else unknown (last)."""
    entry = models.get(name) if isinstance(models, Mapping) else None
    depth = entry.get("depth") if isinstance(entry, Mapping) else None
    if isinstance(depth, (int, float)) and not isinstance(depth, bool):
        return float(depth)
    name = re.sub(r"_(flip|shift)$", "", name)  # how its images were changed
    if name in _KNOWN_DEPTHS:
        return _KNOWN_DEPTHS[name]
    if layers := re.fullmatch(r"mlp_(?:sigmoid|residual)_(\d+)|resnet(\d+)", name):
        return float(layers[1]) + 1.0 if layers[1] else float(layers[2])
    if sizes := re.fullmatch(r"(?:sklearn_)?(?:mlp_|conv)(\d+(?:_\d+)*)", name):
        return float(sizes[1].count("_") + 2)
    return float("inf")


#: Of runs that did not store them. The catalog is not asked, as reports are made where no model can be loaded; a test holds
#: these against it.
_KNOWN_DEPTHS = {
    "lenet5": 5.0, "conv32_64": 4.0, "vgg_small": 7.0, "vgg_small_bn": 7.0, "vgg_tiny_bn": 5.0, "vgg_narrow_bn": 7.0,
    "vgg_mid_bn": 7.0, "vgg_wide_bn": 7.0, "alexnet_small": 8.0,
}  # fmt: skip
