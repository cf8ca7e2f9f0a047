"""scikit-learn's checks for estimators. None is expected to fail."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import kernels
import models

BACKEND = kernels.backends()[0]


@pytest.mark.filterwarnings("default")  # the checks fit a few samples for a few epochs, and are warned about it
@parametrize_with_checks(
    [
        models.MLPClassifier(max_iter=100, backend=BACKEND),
        models.MLPRegressor(max_iter=100, backend=BACKEND),
        models.MLPClassifier((10,), solver="lbfgs", max_iter=50, backend=BACKEND),
        models.ConvNetClassifier(["c4k1", "out"], backend=BACKEND),
        models.ConvNetClassifier(["c4k1", 8, "out"], solver="adam", learning_rate_init=0.01, backend=BACKEND),
    ]
)
def test_sklearn_compatible(estimator, check):
    check(estimator)
