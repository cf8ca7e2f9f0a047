"""The cost model: seconds of a model on a fold of which nothing has been measured yet, on the machine of results/digits.

Classical models and MLPs: their seconds on a training fold of scikit-learn's digits, times (n d / n0 d0) to a power of their
own, a line in logarithms through two stored points (results/digits; for the power results/fashion and results/cifar).
Networks on images: the operations of all their steps, three times the forward pass's (forward, gradients of the inputs, of
the weights), at the rate at which they are done. Both are coarse: a factor of two either way is common.
"""

from __future__ import annotations

import statistics
from functools import lru_cache

from models import catalog
from models.architectures import build

#: Numbers in the training fold that the seconds below were measured on: digits, 4 of 5 folds, as pixels.
BASE = 1438 * 64
#: model -> (seconds to fit and to predict the test fold, power of n d)
COSTS = {
    "dummy": (0.00023, 0.36), "nearest_centroid": (0.0015, 1.11), "gaussian_nb": (0.0013, 0.90), "lda": (0.0031, 1.18),
    "qda": (0.0055, 1.18), "knn": (0.0028, 1.83), "logistic_regression": (0.023, 1.31), "linear_svc": (0.027, 1.5),
    "svc_rbf": (0.026, 1.58), "decision_tree": (0.011, 1.15), "random_forest": (0.17, 0.92), "extra_trees": (0.12, 0.92),
    "hist_gradient_boosting": (0.26, 0.87), "sklearn_mlp_100": (0.11, 0.95), "mlp_100": (0.065, 0.84),
    "mlp_100_100": (0.10, 0.79), "mlp_sigmoid_4": (0.19, 0.84),
    "xiao2017_gaussian_nb": (0.0013, 0.90), "xiao2017_decision_tree": (0.011, 1.14),
    "xiao2017_logistic_regression": (0.023, 1.31), "xiao2017_knn": (0.0028, 1.83), "xiao2017_random_forest": (0.17, 0.92),
    "xiao2017_sklearn_mlp_100": (0.11, 0.95), "xiao2017_svc_rbf": (0.026, 1.58),
}  # fmt: skip
#: feature set -> seconds to make it, the same way; others are taken for the slowest of these
FEATURE_COSTS = {"raw": 0.0001, "standardized": 0.0005, "pca": 0.0023, "hog": 0.018, "learned": 0.18}
#: Operations of a network's training per second of one processor: 62e9 (lenet5) to 135e9 (vgg_small_bn) in results/cifar.
TRAINING_FLOPS_PER_S = 80e9


def seconds(model: str, n_train: int, n_features: int, image_shape: tuple[int, ...] | None, n_classes: int) -> float | None:
    """Return the seconds to fit a model and to predict a test fold; None where the cost model does not know it.

    Examples
    --------
    >>> round(seconds("lda", 1438, 64, None, 10), 4), round(seconds("lenet5", 50_000, 3072, (32, 32, 3), 10))
    (0.0031, 67)
    >>> seconds("my.module:factory", 1438, 64, None, 10)
    """
    if model in COSTS:
        return _scaled(COSTS[model], n_train * n_features)
    flops = None if image_shape is None else _training_flops(model, tuple(image_shape), max(n_classes, 1))
    return None if flops is None else flops * n_train / TRAINING_FLOPS_PER_S


def guess(n_train: int, n_features: int) -> float:
    """Return the median of what the models take that are known by a line in logarithms."""
    return statistics.median(_scaled(cost, n_train * n_features) for cost in COSTS.values())


def features(feature_set: str, n_train: int, n_features: int) -> float:
    """Return the seconds that it takes to make the features of one fold."""
    base = FEATURE_COSTS.get(feature_set.partition(":")[0], max(FEATURE_COSTS.values()))
    return base * n_train * n_features / BASE


def _scaled(cost: tuple[float, float], size: int) -> float:
    at_base, power = cost
    return at_base * (size / BASE) ** power


@lru_cache(maxsize=1000)
def _training_flops(model: str, image_shape: tuple[int, ...], n_outputs: int) -> float | None:
    """Return the operations that a network's training takes per sample, in all its epochs; None for what is none."""
    try:
        params = catalog.get(model).params
        layers = build(params["architecture"], image_shape, n_outputs)
    except (KeyError, ValueError):  # no network of images, or images too small for it
        return None
    return 3.0 * sum(layer.flops for layer in layers) * params["max_iter"]
