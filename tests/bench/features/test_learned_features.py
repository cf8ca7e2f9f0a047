"""learned, learned:<network>, learned:<network>@<layer>: which network, which layer, and what a wrong name is told."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from bench import features
from bench.errors import InputError
from bench.features import networks
from bench.simplicity import base_name, uses_learned_features
from bench.suite import Suite, validated
from models import ConvNetClassifier, MLPClassifier, architectures, catalog


def test_every_network_has_features():
    expected = {m.name for m in catalog.DEEP_MODELS} | set(architectures.BY_NAME)
    assert set(networks.networks()) == expected
    for name in expected:
        assert features.get(f"learned:{name}").name == f"learned:{name}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("learned:lenet", r"'lenet' is no network; did you mean 'lenet5'\? Networks: .*lenet5.*vgg_small"),
        ("learned:svc_rbf", "'svc_rbf' is no network"),
        ("learned:sklearn_mlp_100", "'sklearn_mlp_100' is no network; did you mean 'mlp_100'"),
        ("learned:", "'' is no network"),
        ("learned:lenet5@", "lenet5 has no layer ''; layers: 0 c6k5p2, 1 m2, 2 c16k5, 3 m2, 4 120, 5 84, 6 out"),
        ("learned:lenet5@7", "lenet5 has no layer '7'; layers: 0 c6k5p2"),
        ("learned:lenet5@-1", "lenet5 has no layer '-1'"),
        ("learned:lenet5@²", "lenet5 has no layer '²'"),
        ("learned:lenet5@m2", "'m2' stands 2 times in lenet5; layers: 0 c6k5p2, 1 m2"),
        ("learned:mlp_100_100@100", "'100' stands 2 times in mlp_100_100; layers: 0 100, 1 100, 2 out"),
        ("learned:lenet5@1@2", "lenet5 has no layer '1@2'"),
        ("learnt:lenet5", "unknown feature set 'learnt:lenet5'; did you mean 'learned:<network>'"),
    ],
)
def test_a_wrong_name_is_told_what_there_is(name, message):
    with pytest.raises(InputError, match=message):
        features.get(name)
    with pytest.raises(InputError, match=message):
        validated({"name": "t", "datasets": ["digits"], "features": [name], "models": ["knn"]}, "t.toml")


def test_a_suite_takes_them():
    suite = Suite(name="t", datasets=["digits"], features=["raw", "learned:lenet5@c16k5"], models=["knn"])
    assert suite.features == ("raw", "learned:lenet5@c16k5")
    everything = Suite(name="t", datasets=["digits"], features="all", models=["knn"]).features
    assert everything == tuple(features.names())


@pytest.mark.parametrize(("layer", "position"), [("0", 0), ("c32k3p1", 2), ("3", 3), ("out", 4), (None, None)])
def test_a_layer_is_that_of_the_model_of_this_name(make_fold, layer, position):
    fold = make_fold("grey")
    X_train, X_test = features.get("learned:conv16_32" + (f"@{layer}" if layer else "")).build(fold)
    model = catalog.get("conv16_32").build(
        "classification", seed=fold.seed, n_threads=1, backend=fold.backend, image_shape=fold.image_shape
    )
    assert isinstance(model, ConvNetClassifier)
    model.fit(fold.X_train, fold.y_train)
    assert np.array_equal(X_test, model.transform(fold.X_test, position))
    assert np.array_equal(X_train, model.transform(fold.X_train, position))


def test_an_architecture_without_a_model(make_fold):
    fold = make_fold("grey")
    assert features.get("learned:conv32_64").build(fold)[1].shape == (30, 128)


@pytest.mark.parametrize("name", ["mlp_100", "mlp_sigmoid_4"])
def test_the_units_of_an_mlp_lead_to_its_probabilities(make_fold, name):
    """The last layer's sums, through softmax, are what the model of that name predicts on standardized columns."""
    from scipy.special import softmax
    from sklearn.exceptions import ConvergenceWarning

    fold = make_fold("grey")
    sums = features.get(f"learned:{name}@out").build(fold)[1]
    model = catalog.get(name).build("classification", seed=fold.seed, n_threads=1, backend=fold.backend)
    assert isinstance(model, MLPClassifier)
    X_train, X_test = features.get("standardized").build(fold)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X_train, fold.y_train)
    assert np.allclose(softmax(sums, axis=1), model.predict_proba(X_test), atol=1e-5)
    hidden = features.get(f"learned:{name}").build(fold)[1]
    assert np.allclose(hidden @ model.coefs_[-1] + model.intercepts_[-1], sums, atol=1e-4)


def test_it_helps_a_simple_model(make_fold):
    """A linear model tells digits apart better by penultimate activations than by pixels."""
    from sklearn.linear_model import RidgeClassifier

    fold = make_fold("grey", train=slice(0, 220), test=slice(220, 300))
    y_test = make_fold("grey", train=slice(220, 300)).y_train
    scores = {}
    for name in ("raw", "learned:conv16_32"):
        X_train, X_test = features.get(name).build(fold)
        scores[name] = RidgeClassifier().fit(X_train, fold.y_train).score(X_test, y_test)
    assert scores["learned:conv16_32"] > scores["raw"]


@pytest.mark.parametrize("name", ["learned", "learned:lenet5", "learned:lenet5@2", "learned@S", "learned:mlp_100@out+tuned"])
def test_a_verdict_counts_them_as_learned(name):
    assert base_name(name) == "learned"
    assert uses_learned_features(SimpleNamespace(feature_set=name))


@pytest.mark.parametrize("name", ["learnedish", "my_package.learned:make", "raw", "hog"])
def test_and_no_others(name):
    assert base_name(name) == name
