"""The strongest drop-in test: one seed, float64, and the whole course of training is scikit-learn's to rounding."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network
from sklearn.datasets import load_digits, make_multilabel_classification

import kernels
import models

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BACKEND = kernels.backends()[0]
X, Y = load_digits(return_X_y=True)
X, Y = X[:260] / 16.0, Y[:260]
X_LABELS, Y_LABELS = make_multilabel_classification(n_samples=120, random_state=0)
WEIGHT = np.random.RandomState(0).rand(len(Y)) + 0.1

C, R = "MLPClassifier", "MLPRegressor"
SGD = {"solver": "sgd", "learning_rate_init": 0.05}

# name: estimator, X, y, sample weights, parameters
CASES = {
    "default": (C, X, Y, None, {}),
    "sgd": (C, X, Y, None, SGD),
    "sgd_plain_momentum": (C, X, Y, None, {**SGD, "nesterovs_momentum": False}),
    "sgd_no_momentum": (C, X, Y, None, {**SGD, "momentum": 0.0}),
    "sgd_invscaling": (C, X, Y, None, {**SGD, "learning_rate": "invscaling", "power_t": 0.2}),
    "sgd_adaptive": (C, X, Y, None, {**SGD, "learning_rate": "adaptive", "tol": 0.02, "n_iter_no_change": 1}),
    "lbfgs": (C, X, Y, None, {"solver": "lbfgs"}),
    "alpha": (C, X, Y, None, {"alpha": 3.0}),
    "alpha_sgd": (C, X, Y, None, {**SGD, "alpha": 3.0}),
    "alpha_lbfgs": (C, X, Y, None, {"solver": "lbfgs", "alpha": 3.0}),
    "identity": (C, X, Y, None, {"activation": "identity"}),
    "logistic": (C, X, Y, None, {"activation": "logistic"}),
    "tanh": (C, X, Y, None, {"activation": "tanh"}),
    "three_hidden": (C, X, Y, None, {"hidden_layer_sizes": (20, 15, 10)}),
    "deep_sigmoid": (C, X, Y, None, {"hidden_layer_sizes": (8,) * 8, "activation": "logistic"}),
    "int_hidden": (C, X, Y, None, {"hidden_layer_sizes": 7}),
    "batches_that_do_not_divide": (C, X, Y, None, {"batch_size": 33}),
    "batch_of_one": (C, X[:40], Y[:40], None, {"batch_size": 1}),
    "in_order": (C, X, Y, None, {"shuffle": False, "batch_size": 33}),
    "early_stopping": (C, X, Y, None, {"early_stopping": True, "learning_rate_init": 0.01}),
    "early_stopping_in_order": (C, X, Y, None, {"early_stopping": True, "shuffle": False}),
    "early_stopping_sgd": (C, X, Y, WEIGHT, {**SGD, "early_stopping": True, "n_iter_no_change": 2, "tol": 0.1}),
    "converges": (C, X, Y, None, {"tol": 0.05, "n_iter_no_change": 2}),
    "two_classes": (C, X, Y > 4, None, {}),
    "two_classes_lbfgs": (C, X, Y > 4, None, {"solver": "lbfgs"}),
    "text_labels": (C, X, np.array(list("abcdefghij"))[Y], None, {}),
    "several_labels": (C, X_LABELS, Y_LABELS, None, {}),
    "several_labels_lbfgs": (C, X_LABELS, Y_LABELS, None, {"solver": "lbfgs"}),
    "weights": (C, X, Y, WEIGHT, {}),
    "weights_sgd": (C, X, Y, WEIGHT, {**SGD, "alpha": 1.0}),
    "weights_lbfgs": (C, X, Y, WEIGHT, {"solver": "lbfgs"}),
    "weights_two_classes": (C, X, Y > 4, WEIGHT, {}),
    "sparse": (C, scipy.sparse.csr_matrix(X), Y, None, {}),
    "sparse_csc_tanh": (C, scipy.sparse.csc_array(X), Y, None, {"activation": "tanh"}),
    "sparse_lbfgs": (C, scipy.sparse.csr_array(X), Y, None, {"solver": "lbfgs"}),
    "sparse_weights_early": (C, scipy.sparse.csr_matrix(X), Y, WEIGHT, {"early_stopping": True}),
    "unscaled_data_clips": (C, X * 300, Y, None, {}),
    "unscaled_data_clips_weights": (C, X * 300, Y, WEIGHT, {**SGD, "learning_rate_init": 1e-4}),
    "regression": (R, X, Y / 10.0, None, {}),
    "regression_sgd": (R, X, Y / 10.0, None, SGD),
    "regression_lbfgs": (R, X, Y / 10.0, None, {"solver": "lbfgs"}),
    "regression_early": (R, X, Y / 10.0, None, {"early_stopping": True}),
    "regression_two_outputs": (R, X, np.c_[Y, Y**2] / 10.0, None, {}),
    "regression_two_outputs_lbfgs": (R, X, np.c_[Y, Y**2] / 10.0, None, {"solver": "lbfgs"}),
    "regression_weights": (R, X, np.c_[Y, Y**2] / 10.0, WEIGHT, {}),
    "poisson": (R, X, Y.astype(float), None, {"loss": "poisson"}),
    "poisson_weights": (R, X, Y.astype(float), WEIGHT, {"loss": "poisson"}),
    "poisson_lbfgs": (R, X, Y.astype(float), None, {"loss": "poisson", "solver": "lbfgs"}),
}


def _pair(kind: str, **parameters):
    parameters = {"random_state": 0, "max_iter": 12, "hidden_layer_sizes": (16,), **parameters}
    return getattr(sklearn.neural_network, kind)(**parameters), getattr(models, kind)(**parameters, backend=BACKEND)


def _assert_same(expected, actual, x, rtol=1e-6):
    for name in ("n_iter_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "t_"):
        assert getattr(actual, name) == getattr(expected, name), name
    for theirs, ours in zip(expected.coefs_ + expected.intercepts_, actual.coefs_ + actual.intercepts_, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * 1e-2)
    for name in ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_"):
        assert hasattr(actual, name) == hasattr(expected, name), name
        if getattr(expected, name, None) is not None:
            np.testing.assert_allclose(getattr(actual, name), getattr(expected, name), rtol=rtol, err_msg=name)
        else:
            assert getattr(actual, name, None) is None, name
    for method in ("predict", "predict_proba", "predict_log_proba"):
        if hasattr(expected, method):
            theirs, ours = getattr(expected, method)(x), getattr(actual, method)(x)
            assert ours.dtype == theirs.dtype
            if theirs.dtype.kind == "f":
                np.testing.assert_allclose(ours, theirs, rtol=rtol * 10, atol=rtol)
            else:
                np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", CASES)
def test_training_and_prediction(case):
    kind, x, y, weight, parameters = CASES[case]
    expected, actual = _pair(kind, **parameters)
    expected.fit(x, y, sample_weight=weight)
    actual.fit(x, y, sample_weight=weight)
    _assert_same(expected, actual, x)


@pytest.mark.parametrize("kind", [C, R])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_float32(kind, solver):
    """Rounding is coarser; dtypes of weights and predictions are scikit-learn's."""
    x, y = X.astype(np.float32), Y if kind == C else Y.astype(np.float32) / 10
    expected, actual = _pair(kind, solver=solver, max_iter=4)
    _assert_same(expected.fit(x, y), actual.fit(x, y), x, rtol=2e-3)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("kind", [C, R])
def test_partial_fit(kind, solver):
    expected, actual = _pair(kind, solver=solver, batch_size=32)
    options = {"classes": np.arange(10)} if kind == C else {}
    for estimator in (expected, actual):
        for part in (slice(0, 100), slice(100, 140), slice(140, 260), slice(0, 100)):
            estimator.partial_fit(X[part], Y[part], **options)
            options = {}
        options = {"classes": np.arange(10)} if kind == C else {}
    _assert_same(expected, actual, X)


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("kind", [C, R])
def test_warm_start(kind, solver):
    expected, actual = _pair(kind, solver=solver, warm_start=True, max_iter=4)
    for estimator in (expected, actual):
        for _ in range(3):
            estimator.fit(X, Y)
    _assert_same(expected, actual, X)


@pytest.mark.parametrize("kind", [C, R])
def test_random_state_instance_is_advanced_alike(kind):
    states = np.random.RandomState(5), np.random.RandomState(5)
    for estimator, state in zip(_pair(kind, early_stopping=True), states, strict=True):
        estimator.set_params(random_state=state).fit(X, Y)
    assert states[0].randint(2**31) == states[1].randint(2**31)


def test_verbose_prints_the_same(capsys):
    outputs = []
    for estimator in _pair(C, verbose=True, early_stopping=True, n_iter_no_change=1, tol=0.2):
        estimator.fit(X, Y)
        outputs.append(capsys.readouterr().out)
    assert "Iteration 1, loss = " in outputs[0]
    assert "Stopping." in outputs[0]
    assert outputs[0] == outputs[1]
