"""Drop-in means it: what people write with scikit-learn's MLPs gives the same with ours, by changing the import.

Each case is a few lines as a user has them, with the estimator's class left open. It is run with scikit-learn's class and with
ours, from one seed, in float64; what comes out must agree to rounding. Where a case ends in labels or chosen parameters it must
be equal.
"""

from __future__ import annotations

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn import neural_network
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier, MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

import kernels
from models import ConvNetClassifier, MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.skipif("cython" not in kernels.backends(), reason="the Cython kernels are not built"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),  # a few epochs are enough to compare
]

X, Y = load_iris(return_X_y=True)
X = X + np.random.RandomState(0).normal(0, 0.3, X.shape)  # else everything is right from the first epoch on
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
NUMBERS = load_diabetes(return_X_y=True)
FEW = {"max_iter": 12, "random_state": 0}


def scaled(Classifier, **params):
    return Pipeline([("scale", StandardScaler()), ("mlp", Classifier((8,), **FEW, **params))])


def pipeline(C):
    return scaled(C).fit(X[::2], NAMES[::2]).predict_proba(X[1::2])


def labels_of_a_pipeline(C):
    return scaled(C).fit(X[::2], NAMES[::2]).predict(X[1::2])


def data_frames(C):
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.where(X[:, 0] > 5, "long", "short"))
    columns = ColumnTransformer([("n", StandardScaler(), list("abcd")), ("c", OneHotEncoder(), ["kind"])])
    model = make_pipeline(columns, C((8,), **FEW)).fit(frame, pd.Series(NAMES))
    bare = C((8,), **FEW).fit(frame[list("abcd")], NAMES)
    return model.predict_proba(frame), bare.feature_names_in_


def grid_search(C):
    grid = {"mlp__alpha": [1e-4, 1.0], "mlp__hidden_layer_sizes": [(4,), (8, 4)]}
    search = GridSearchCV(scaled(C), grid, cv=3, scoring="neg_log_loss").fit(X, Y)
    return search.cv_results_["mean_test_score"], search.best_params_, search.predict(X)


def grid_search_in_threads(C):
    with joblib.parallel_backend("threading", n_jobs=2):
        return grid_search(C)


def randomized_search(C):
    space = {"mlp__learning_rate_init": [1e-3, 1e-2, 1e-1], "mlp__activation": ["relu", "tanh", "logistic"]}
    search = RandomizedSearchCV(scaled(C), space, n_iter=3, cv=2, random_state=0, scoring="neg_log_loss").fit(X, Y)
    return search.cv_results_["mean_test_score"], search.best_params_


def cross_validated(C):
    found = cross_validate(scaled(C), X, NAMES, cv=3, scoring=["accuracy", "neg_log_loss"], return_train_score=True)
    return [found[key] for key in sorted(found) if not key.endswith("_time")]


def cross_predicted(C):
    return cross_val_predict(scaled(C), X, Y, cv=3, method="predict_proba")


def curves(C):
    sizes, _, test = learning_curve(scaled(C), X, Y, cv=2, train_sizes=[0.5, 1.0], shuffle=True, random_state=0)
    return sizes, test, validation_curve(scaled(C), X, Y, param_name="mlp__alpha", param_range=[1e-4, 1.0], cv=2)[1]


def cloned(C):
    model = scaled(C, alpha=0.5).fit(X, Y)
    copy = clone(model)
    assert not hasattr(copy["mlp"], "coefs_")
    return copy["mlp"].get_params()["alpha"], copy.fit(X, Y).predict_proba(X)


def parameters(C):
    theirs = neural_network.MLPClassifier().get_params()
    mine = C().set_params(alpha=0.25, hidden_layer_sizes=[3]).get_params()
    return {name: mine[name] for name in theirs}, is_classifier(C())


def calibrated(C, method):
    return CalibratedClassifierCV(scaled(C), method=method, cv=3).fit(X, NAMES).predict_proba(X)


def calibrated_after_fitting(C):
    fitted = FrozenEstimator(scaled(C).fit(X[::2], Y[::2]))
    return CalibratedClassifierCV(fitted).fit(X[1::2], Y[1::2]).predict_proba(X)


def permutation(C):
    found = permutation_importance(scaled(C).fit(X, Y), X, Y, n_repeats=3, random_state=0, scoring="neg_log_loss")
    return found.importances


def dependence(C):
    return partial_dependence(scaled(C).fit(X, Y), X, [0], grid_resolution=5)["average"]


def pickled(C):
    return pickle.loads(pickle.dumps(scaled(C).fit(X, NAMES))).predict_proba(X)


def dumped_by_joblib(C):
    file = io.BytesIO()
    joblib.dump(scaled(C).fit(X, NAMES), file)
    file.seek(0)
    return joblib.load(file).predict_proba(X)


def pickled_within_a_training(C):
    model = C((8,), random_state=0).partial_fit(X, Y, classes=[0, 1, 2])
    return pickle.loads(pickle.dumps(model)).partial_fit(X, Y).predict_proba(X)


def stream(C):
    model = C((8,), random_state=0)
    for rows in np.array_split(np.random.RandomState(1).permutation(len(X)), 5):
        model.partial_fit(X[rows], NAMES[rows], classes=np.unique(NAMES))
    return model.predict_proba(X), model.t_, model.loss_curve_


def warm_start(C):
    model = C((8,), warm_start=True, max_iter=3, random_state=0)
    return [model.fit(X, Y).loss_ for _ in range(3)], model.loss_curve_


def early_stopping(C):
    model = scaled(C, early_stopping=True, validation_fraction=0.3, n_iter_no_change=2).fit(X, NAMES)["mlp"]
    return model.validation_scores_, model.n_iter_, model.best_validation_score_


def sample_weights(C):
    weight = np.random.RandomState(2).uniform(0.1, 3, len(X))
    return C((8,), **FEW).fit(X, Y, sample_weight=weight).predict_proba(X), C((8,), **FEW).fit(X, Y).score(X, Y, weight)


def routed_weights(C):
    weight = np.random.RandomState(2).uniform(0.1, 3, len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        mlp = C((8,), **FEW).set_fit_request(sample_weight=True)
        model = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), mlp)
        return model.fit(X, Y, sample_weight=weight).predict_proba(X)


def sparse(C):
    return C((8,), **FEW).fit(scipy.sparse.csr_matrix(X), Y).predict_proba(scipy.sparse.csc_array(X))


def two_classes(C):
    return C((8,), **FEW).fit(X[:100], NAMES[:100]).predict_proba(X), C((8,), solver="lbfgs", **FEW).fit(X, Y).coefs_[0]


def many_labels(C):
    X, Y = make_multilabel_classification(60, 6, n_classes=3, random_state=0)
    model = C((8,), **FEW).fit(X, Y)
    return model.predict_proba(X), model.predict(X)


def ensembles(C):
    small, other = C((4,), **FEW), LogisticRegression()
    return [
        VotingClassifier([("a", small), ("b", other)], voting="soft").fit(X, Y).predict_proba(X),
        StackingClassifier([("a", small), ("b", other)], cv=2).fit(X, Y).predict_proba(X),
        BaggingClassifier(small, 3, random_state=0).fit(X, Y).predict_proba(X),
        AdaBoostClassifier(small, n_estimators=2, random_state=0).fit(X, Y).predict_proba(X),
    ]


def many_from_one(C):
    small, both = C((4,), **FEW), np.column_stack([Y == 0, X[:, 0] > 5.5]).astype(int)
    return [
        OneVsRestClassifier(small).fit(X, Y).predict_proba(X),
        MultiOutputClassifier(small).fit(X, both).predict(X),
        ClassifierChain(small).fit(X, both).predict_proba(X),
        SelfTrainingClassifier(small, max_iter=2).fit(X, np.where(np.arange(len(Y)) % 3, Y, -1)).predict_proba(X),
    ]


def selection(C):
    return SequentialFeatureSelector(scaled(C), n_features_to_select=2, cv=2).fit(X, Y).get_support()


CLASSIFIER_CASES = [
    pipeline, labels_of_a_pipeline, data_frames, grid_search, grid_search_in_threads, randomized_search, cross_validated,
    cross_predicted, curves, cloned, parameters, calibrated_after_fitting, permutation, dependence, pickled, dumped_by_joblib,
    pickled_within_a_training, stream, warm_start, early_stopping, sample_weights, routed_weights, sparse, two_classes,
    many_labels, ensembles, many_from_one, selection,
]  # fmt: skip


def regression(R):
    X, y = NUMBERS
    model = make_pipeline(StandardScaler(), R(hidden_layer_sizes=(8,), **FEW))
    model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return model.fit(X, y).predict(X), is_regressor(R())


def regression_search(R):
    X, y = NUMBERS
    search = GridSearchCV(R(hidden_layer_sizes=(8,), **FEW), {"alpha": [1e-4, 10.0], "solver": ["adam", "sgd"]}, cv=2)
    return search.fit(10 * X, y / 100).cv_results_["mean_test_score"], search.best_params_


def several_numbers(R):
    X, y = NUMBERS
    both = np.column_stack([y, -y]) / 100
    model = R(hidden_layer_sizes=(8,), **FEW)
    return model.fit(X, both).predict(X), MultiOutputRegressor(model).fit(X, both).predict(X)


def regression_importance(R):
    X, y = NUMBERS
    model = R(hidden_layer_sizes=(8,), **FEW).fit(X, y / 100)
    return permutation_importance(model, X, y / 100, n_repeats=2, random_state=0).importances


def assert_same(actual, expected, where="result"):
    """Both are the same, in whatever they are nested; numbers to rounding that has gone through twelve epochs."""
    assert type(actual) is type(expected) or np.isscalar(actual), where
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key in expected:
            assert_same(actual[key], expected[key], f"{where}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            assert_same(a, e, f"{where}[{i}]")
    elif isinstance(expected, float) or (isinstance(expected, np.ndarray) and expected.dtype.kind == "f"):
        np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-9, err_msg=where)
    else:
        np.testing.assert_array_equal(actual, expected, err_msg=where)


@pytest.mark.parametrize("case", CLASSIFIER_CASES, ids=lambda case: case.__name__)
def test_code_with_a_classifier_gives_the_same(case):
    assert_same(case(MLPClassifier), case(neural_network.MLPClassifier))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_gives_the_same(method):
    assert_same(calibrated(MLPClassifier, method), calibrated(neural_network.MLPClassifier, method))


@pytest.mark.parametrize(
    "case", [regression, regression_search, several_numbers, regression_importance], ids=lambda case: case.__name__
)
def test_code_with_a_regressor_gives_the_same(case):
    assert_same(case(MLPRegressor), case(neural_network.MLPRegressor))


def test_a_difference_would_be_seen():
    """Of parameters, labels, numbers in the eighth digit."""
    for actual, expected in [({"a": 1}, {"a": 2}), (["x"], ["y"]), (np.ones(3), np.ones(3) + 1e-6)]:
        with pytest.raises(AssertionError):
            assert_same(actual, expected)


#: The same lines with a ConvNet, which has no twin: they run, and what must hold of any classifier holds.
IMAGES = np.repeat(np.repeat(X[:, None, :2], 4, axis=1), 2, axis=2).reshape(len(X), -1).astype(np.float32)


def Net(hidden_layer_sizes=(), **params):
    return ConvNetClassifier(["c4k3p1", "out"], image_shape=(4, 4, 1), learning_rate_init=0.05, **params)


@pytest.mark.parametrize(
    "case", [pipeline, cross_predicted, cloned, permutation, pickled, dumped_by_joblib, calibrated_after_fitting, ensembles],
    ids=lambda case: case.__name__,
)  # fmt: skip
def test_code_with_a_convnet_runs_and_repeats(case, monkeypatch):
    monkeypatch.setitem(globals(), "X", IMAGES)
    first, second = case(Net), case(Net)
    assert_same(first, second)


def test_a_convnet_is_searched_and_calibrated():
    search = GridSearchCV(scaled(Net), {"mlp__alpha": [0.0, 0.1], "mlp__batch_size": [16, 64]}, cv=3).fit(IMAGES, NAMES)
    assert search.best_score_ > 0.6
    probability = CalibratedClassifierCV(scaled(Net), cv=2).fit(IMAGES, NAMES).predict_proba(IMAGES)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
