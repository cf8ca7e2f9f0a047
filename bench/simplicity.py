"""The order of simplicity: which contestant a reader would rather use, were their scores the same.

It is fixed before any score is looked at, which is what lets the verdict test contestants one after another without
paying for every comparison. From the simplest on:

1. classical models on features that no network made, in the order of `CLASSICAL`: a constant, class means, Gaussians,
   linear boundaries, one tree, stored samples, quadratic boundaries, kernels, ensembles of trees; models it does not
   know follow, by the time that fitting takes;
2. deep models, by their number of layers with weights where run.json tells it ("models": {name: {"depth": ...}}),
   else in the order of `DEEP`, else by the time that fitting takes;
3. any model on features that a network learned: that is a network and a second model on top.

Within a model, feature sets come in the order of `FEATURES`, others after them by name. A variant ("svc_rbf+tuned")
stands where its model stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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
DEEP = (
    "sklearn_mlp",
    "mlp_100",
    "mlp_256_128",
    "mlp_sigmoid",
    "conv16_32",
    "lenet5",
    "conv32_64",
    "vgg_small",
    "alexnet_small",
    "resnet20",
    "resnet56",
    "resnet110",
)
FEATURES = ("raw", "standardized", "pca", "hog")

#: Feature sets that a network made; on these even a classical model is the last step of a deep one.
LEARNED_FEATURES = ("learned",)


def base_name(name: str) -> str:
    """Return a name without its variant.

    Examples
    --------
    >>> base_name("svc_rbf+tuned"), base_name("learned@S")
    ('svc_rbf', 'learned')
    """
    return re.split(r"[+@]", name, maxsplit=1)[0]


def uses_learned_features(summary: Summary) -> bool:
    return base_name(summary.feature_set) in LEARNED_FEATURES


def is_deep(summary: Summary) -> bool:
    """Whether a network with hidden layers stands anywhere between the samples and the prediction."""
    return summary.family == "deep" or uses_learned_features(summary)


def simplicity(summary: Summary, models: Mapping[str, Any] | None = None) -> tuple:
    """Return a sort key: what sorts first is simpler.

    Parameters
    ----------
    summary : Summary
    models : mapping, optional
        "models" of run.json: name -> {"family", "depth", ...}.
    """
    name = base_name(summary.model)
    tier = 2 if uses_learned_features(summary) else int(summary.family == "deep")
    known = CLASSICAL + DEEP if summary.family != "deep" else DEEP
    rank = known.index(name) if name in known else len(known)
    depth = _depth(name, models) if summary.family == "deep" else 0.0
    features = base_name(summary.feature_set)
    feature_rank = FEATURES.index(features) if features in FEATURES else len(FEATURES)
    fit_s = summary.times.get("time_fit_s", float("inf"))
    return tier, depth, rank, fit_s if rank == len(known) else 0.0, summary.model, feature_rank, summary.key


def _depth(name: str, models: Mapping[str, Any] | None) -> float:
    """Return the layers with weights of a deep model: as stored, else as its name tells, else unknown (last)."""
    entry = models.get(name) if isinstance(models, Mapping) else None
    depth = entry.get("depth") if isinstance(entry, Mapping) else None
    if isinstance(depth, (int, float)) and not isinstance(depth, bool):
        return float(depth)
    if hidden := re.fullmatch(r"mlp((?:_\d+)+)", name):
        return float(hidden[1].count("_") + 1)
    if sizes := re.fullmatch(r"(?:conv)((?:_?\d+)+)", name):
        return float(sizes[1].count("_") + 2)
    return _KNOWN_DEPTHS.get(name, float("inf"))


_KNOWN_DEPTHS = {
    "sklearn_mlp": 2.0, "lenet5": 5.0, "conv32_64": 4.0, "vgg_small": 7.0,
    "alexnet_small": 8.0, "resnet20": 20.0, "resnet56": 56.0, "resnet110": 110.0,
}  # fmt: skip
