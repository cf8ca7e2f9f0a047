"""What the agreement with scikit-learn's numbers does not cover: parameters, state, threads, bad input."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn.neural_network
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kernels
import models
from models.mlp_base import BaseMLP

BACKEND = kernels.backends()[0]
X, Y = load_iris(return_X_y=True)
CLASSIFIER, REGRESSOR = models.MLPClassifier, models.MLPRegressor
BOTH = pytest.mark.parametrize("kind", [CLASSIFIER, REGRESSOR])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _fitted(kind=CLASSIFIER, x=X, **parameters):
    parameters = {"max_iter": 5, "random_state": 0, "hidden_layer_sizes": (6,), "backend": BACKEND, **parameters}
    return kind(**parameters).fit(x, Y)


def _parameters(estimator) -> list[np.ndarray]:
    return estimator.coefs_ + estimator.intercepts_


@BOTH
def test_parameters_are_scikit_learns_and_two_more(kind):
    theirs = inspect.signature(getattr(sklearn.neural_network, kind.__name__)).parameters
    ours = inspect.signature(kind).parameters
    assert list(ours) == [*theirs, "backend", "n_jobs"]
    for name, parameter in theirs.items():
        assert ours[name].default == parameter.default, name
        assert ours[name].kind == parameter.kind, name
    assert ours["backend"].default == "cython"
    assert ours["n_jobs"].default is None


@BOTH
def test_the_same_values_are_refused(kind):
    theirs = getattr(sklearn.neural_network, kind.__name__)._parameter_constraints
    for name, constraints in theirs.items():
        ours = kind._parameter_constraints[name]
        assert [_words(c) for c in ours] == [_words(c) for c in constraints], name


def _words(constraint) -> list[str]:
    """Words of a constraint's text; those of a set come in any order."""
    return sorted(re.findall(r"[^\s,{}]+", str(constraint)))


def test_the_arithmetic_is_not_scikit_learns():
    modules = {cls.__module__ for kind in (CLASSIFIER, REGRESSOR) for cls in kind.__mro__}
    assert not any(module.startswith("sklearn.neural_network") for module in modules)


@pytest.mark.parametrize("n_threads", [None, 2])
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@BOTH
def test_one_seed_gives_the_same_bits(kind, solver, n_threads):
    one, two = (_fitted(kind, solver=solver, n_jobs=n_threads) for _ in range(2))
    for a, b in zip(_parameters(one), _parameters(two), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.loss_ == two.loss_
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


@pytest.mark.parametrize("epochs", [1, 2, 7])
@BOTH
def test_max_iter_is_the_number_of_epochs(kind, epochs):
    estimator = _fitted(kind, max_iter=epochs)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == epochs
    assert estimator.t_ == epochs * len(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@BOTH
def test_weights_take_the_dtype_of_the_data(kind, dtype):
    estimator = _fitted(kind, x=X.astype(dtype))
    expected = np.float32 if dtype == np.float32 else np.float64
    assert {a.dtype for a in _parameters(estimator)} == {np.dtype(expected)}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.uint8, bool])
def test_predicting_in_another_dtype(dtype):
    x = X.astype(np.float32)
    theirs = sklearn.neural_network.MLPRegressor(hidden_layer_sizes=(6,), max_iter=5, random_state=0).fit(x, Y)
    ours = _fitted(REGRESSOR, x=x)
    expected, actual = theirs.predict(X.astype(dtype)), ours.predict(X.astype(dtype))
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))], ids=["deepcopy", "pickle"])
@BOTH
def test_copies_predict_and_train_on(kind, copied):
    original = _fitted(kind)
    twin = copied(original)
    np.testing.assert_array_equal(twin.predict(X), original.predict(X))
    original.partial_fit(X, Y)
    twin.partial_fit(X, Y)
    for a, b in zip(_parameters(original), _parameters(twin), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.shares_memory(a, b)


def test_a_pickle_holds_no_buffers():
    estimator = _fitted(hidden_layer_sizes=(500,))
    estimator.predict_proba(X)
    estimator.partial_fit(X, Y)
    floats = 4 * estimator.coefs_[0].size + 4 * estimator.coefs_[1].size + 4 * 503  # weights, and Adam's two moments
    assert len(pickle.dumps(estimator)) < 8 * floats + 10_000


@BOTH
def test_changed_weights_count_at_the_next_prediction(kind):
    estimator = _fitted(kind)
    before = estimator._forward(X).copy()
    estimator.intercepts_[-1][0] += 1.0  # in place
    in_place = estimator._forward(X).copy()
    assert not np.allclose(before, in_place)
    changed = estimator.intercepts_[-1].copy()
    changed[0] -= 1.0
    estimator.intercepts_[-1] = changed  # another array
    np.testing.assert_allclose(estimator._forward(X), before, rtol=1e-12)
    changed[0] += 1.0
    np.testing.assert_allclose(estimator._forward(X), in_place, rtol=1e-12)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_replaced_weights_count_when_training_goes_on(solver):
    estimator = _fitted(solver=solver)
    estimator.partial_fit(X, Y)
    estimator.coefs_[0] = np.zeros_like(estimator.coefs_[0])
    estimator.partial_fit(X, Y)
    assert np.abs(estimator.coefs_[0]).max() < 0.1  # one epoch away from zero, not from where training was
    assert np.shares_memory(estimator.coefs_[0], estimator._trainer[0].vector)


def test_changed_weights_in_another_dtype():
    estimator = _fitted(x=X.astype(np.float32))
    before = estimator.predict_proba(X)
    estimator.coefs_[0][...] = 0.0
    assert not np.allclose(estimator.predict_proba(X), before)


def test_partial_fit_keeps_its_buffers():
    estimator = _fitted()
    estimator.partial_fit(X, Y)
    network = estimator._trainer[0]
    vector, buffers = network.vector, [layer._y.array for layer in network.layers]
    estimator.partial_fit(X[:20], Y[:20])
    assert estimator._trainer[0] is network
    assert network.vector is vector
    assert all(layer._y.array is buffer for layer, buffer in zip(network.layers, buffers, strict=True))


def test_predicting_from_many_threads():
    estimator = _fitted()
    expected = estimator.predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        for actual in pool.map(lambda _: estimator.predict_proba(X), range(50)):
            np.testing.assert_array_equal(actual, expected)


def test_inside_scikit_learn():
    pipeline = make_pipeline(StandardScaler(), CLASSIFIER((8,), solver="lbfgs", random_state=0, backend=BACKEND))
    assert cross_val_score(pipeline, X, Y).mean() > 0.9
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=3).fit(X, Y)
    assert search.best_score_ > 0.9
    assert clone(search.best_estimator_[-1]).get_params()["backend"] == BACKEND


@pytest.mark.parametrize("n_classes", [1, 2, 3])
@pytest.mark.parametrize("backend", kernels.backends())
def test_every_backend_gives_the_same_network(backend, n_classes):
    keep = n_classes > Y
    reference, other = (
        CLASSIFIER((5,), max_iter=3, random_state=0, backend=name).fit(X[keep], Y[keep]).predict_proba(X)
        for name in ("reference", backend)
    )
    np.testing.assert_allclose(other, reference, rtol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"backend": "fortran"}, ValueError, "unknown backend 'fortran'.*reference"),
        ({"backend": "cyton"}, ValueError, "did you mean 'cython'"),
        ({"backend": None}, ValueError, "'backend' parameter of MLPClassifier must be an instance of 'str'"),
        ({"n_jobs": 0}, ValueError, "n_jobs == 0 has no meaning"),
        ({"n_jobs": 1.5}, ValueError, "'n_jobs' parameter"),
        ({"hidden_layer_sizes": (5, 0)}, ValueError, "hidden_layer_sizes must be > 0"),
        ({"activation": "relux"}, ValueError, "'activation' parameter of MLPClassifier must be a str among"),
        ({"max_iter": 0}, ValueError, "'max_iter' parameter"),
    ],
)
def test_bad_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        _fitted(**parameters)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "Input X contains NaN"), (np.inf, "Input X contains infinity")]
)
def test_features_that_are_not_finite(value, message):
    x = X.copy()
    x[3, 1] = value
    with pytest.raises(ValueError, match=message):
        _fitted(x=x)
    with pytest.raises(ValueError, match=message):
        _fitted().predict(x)


def test_a_diverging_network_is_told_as_scikit_learn_does():
    y = 1e150 * np.arange(len(X))
    for estimator in (sklearn.neural_network.MLPRegressor(solver="sgd"), REGRESSOR(solver="sgd", backend=BACKEND)):
        with np.errstate(all="ignore"), pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
            estimator.fit(X, y)


def test_targets_that_do_not_fit_a_warm_start():
    estimator = _fitted(REGRESSOR, warm_start=True)
    with pytest.raises(ValueError, match="y has 2 outputs, the fitted network 1"):
        estimator.fit(X, np.c_[Y, Y])


def test_a_batch_whose_weights_are_zero():
    weight = np.ones(len(X))
    weight[7] = 0.0
    theirs = sklearn.neural_network.MLPClassifier(batch_size=1)
    for estimator in (theirs, CLASSIFIER(batch_size=1, backend=BACKEND)):
        with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
            estimator.fit(X, Y, sample_weight=weight)


def test_ctrl_c_ends_training_and_keeps_the_network(monkeypatch):
    """As in scikit-learn: a warning, and what was learned so far."""
    estimator = CLASSIFIER(backend=BACKEND, random_state=0)
    calls = iter(range(3))

    def interrupted(*_):
        if next(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(BaseMLP, "_count_no_improvement", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(X, Y)
    assert estimator.n_iter_ == 3
    assert estimator.predict(X).shape == Y.shape
