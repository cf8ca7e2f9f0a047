"""scikit-learn's own tests of its multi-layer perceptrons, with ours in their place.

Its test module is executed afresh with MLPClassifier and MLPRegressor replaced, and its test functions are collected
here under their own names and parameters. None is left out.
"""

from __future__ import annotations

import importlib.util
import inspect

import pytest
import sklearn.neural_network
from sklearn.neural_network.tests import test_mlp as original

import kernels
import models

# The suite brings its own idea of which warnings matter; scikit-learn's convergence warnings are most of them.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def _with_ours() -> dict:
    """Execute scikit-learn's test module with our estimators under its names, and return its test functions."""
    theirs = sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor
    spec = importlib.util.spec_from_file_location("sklearn_test_mlp_with_ours", original.__file__)
    module = importlib.util.module_from_spec(spec)
    try:
        sklearn.neural_network.MLPClassifier = models.MLPClassifier
        sklearn.neural_network.MLPRegressor = models.MLPRegressor
        spec.loader.exec_module(module)
    finally:
        sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor = theirs
    assert module.MLPClassifier is models.MLPClassifier
    return {name: value for name, value in vars(module).items() if name.startswith("test_") and callable(value)}


_TESTS = _with_ours()
globals().update(_TESTS)


def test_all_of_the_suite_is_here():
    expected = {name for name, _ in inspect.getmembers(original, inspect.isfunction) if name.startswith("test_")}
    assert set(_TESTS) == expected
    assert len(expected) > 30


@pytest.fixture
def global_random_seed():
    """As scikit-learn's conftest gives it where no other seed is asked for."""
    return 42


@pytest.fixture(autouse=True)
def usable_backend(monkeypatch):
    """Where nothing is compiled, the default backend is the fastest there is."""
    for estimator in (models.MLPClassifier, models.MLPRegressor):
        monkeypatch.setitem(estimator.__init__.__kwdefaults__, "backend", kernels.backends()[0])
