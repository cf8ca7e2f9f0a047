"""Suites, plans and splits: every mistake is answered with the key and what it allows; every model meets the same folds."""

from itertools import pairwise

import numpy as np
import pytest

from bench import features
from bench.datasets import Data, load
from bench.errors import InputError
from bench.plan import DatasetInfo, OwnModel, plan, reason_to_skip
from bench.splits import derived_seed, split
from bench.suite import Suite, parse_bytes, shipped, validated
from bench.suite import load as load_suite
from models import catalog

GOOD = {"name": "t", "datasets": ["iris"], "features": ["raw"], "models": ["lda"]}


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        ({"modles": ["lda"]}, "modles", "did you mean 'models'"),
        ({"models": ["svc_rfb"]}, "models", "did you mean 'svc_rbf'"),
        ({"datasets": ["irsi"]}, "datasets", "did you mean 'iris'"),
        ({"features": ["rwa"]}, "features", "did you mean 'raw'"),
        ({"backends": ["cyton"]}, "backends", "did you mean 'cython'"),
        ({"split": "kfolds"}, "split", "kfold"),
        ({"tune_metric": "f1"}, "tune_metric", "'accuracy' or 'balanced_accuracy'"),
        ({"folds": 1}, "folds", "2"),
        ({"folds": "five"}, "folds", "integer"),
        ({"repeats": 0}, "repeats", "1"),
        ({"threads": [0]}, "threads", "1"),
        ({"timeout_s": -1}, "timeout_s", "0"),
        ({"memory_bytes": "much"}, "memory_bytes", "size"),
        ({"memory_bytes": 5}, "memory_bytes", str(1 << 20)),
        ({"models": []}, "models", "models"),
        ({"seed": -1}, "seed", "0"),
    ],
)
def test_a_mistake_is_answered_with_its_key(change, key, expected):
    with pytest.raises(InputError) as caught:
        validated({**GOOD, **change}, "my.toml")
    assert "my.toml" in str(caught.value)
    assert key in str(caught.value)
    assert expected in str(caught.value)


@pytest.mark.parametrize("missing", ["datasets", "models"])
def test_a_missing_key_is_named(missing):
    with pytest.raises(InputError, match=missing):
        validated({k: v for k, v in GOOD.items() if k != missing}, "my.toml")


def test_every_shipped_suite_loads():
    assert "digits" in shipped()
    for name in shipped():
        assert load_suite(name).models


def test_a_suite_read_back_from_a_manifest_is_the_same():
    suite = load_suite("digits")
    assert validated(suite.model_dump(mode="json"), "run.json") == suite


@pytest.mark.parametrize("text", ["name = [", "name = 1\nname = 2", "\x00"])
def test_toml_that_does_not_parse_names_the_file(tmp_path, text):
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"broken\.toml"):
        load_suite(str(path))


def test_unknown_suite_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'digits'"):
        load_suite("digit")


def test_sizes():
    assert parse_bytes("1.5K") == 1536
    with pytest.raises(ValueError, match="not a size"):
        parse_bytes("2 parsecs")


def test_digits_has_what_it_promises():
    suite = load_suite("digits")
    families = [catalog.get(m).family for m in suite.models]
    assert families.count("classical") >= 14
    assert families.count("deep") >= 4
    assert len(suite.features) == 5
    assert suite.backends == ("cython",)


def test_plan_has_every_combination_once_and_folds_together():
    suite = Suite(
        name="t", datasets=["iris", "wine"], features=["raw", "pca"], models=["lda", "mlp_100"],
        backends=["cython", "reference"], folds=3, repeats=2, threads=[1, 2],
    )  # fmt: skip
    cells = plan(suite, {})
    # a classical model knows no backend
    assert len(cells) == 2 * 2 * 2 * 3 * 2 * (1 + 2)
    assert len({c.identity for c in cells}) == len(cells)
    folds = [(c.threads, c.dataset, c.repeat, c.fold, c.feature_set) for c in cells]
    changes = sum(a != b for a, b in pairwise(folds))
    assert changes == len(set(folds)) - 1, "all models of a fold and feature set stand together"
    assert cells == plan(suite, {})


@pytest.mark.parametrize(
    ("dataset", "feature_set", "model", "reason"),
    [
        (("classification", (8, 8, 1)), "raw", "conv16_32", None),
        (("classification", (8, 8, 1)), "standardized", "conv16_32", None),
        (("classification", (8, 8, 1)), "pca", "conv16_32", "needs images"),
        (("classification", None), "raw", "conv16_32", "needs images"),
        (("classification", None), "hog", "lda", "needs images"),
        (("classification", (8, 8, 1)), "raw", "lenet5", "at least 12x12"),
        (("regression", None), "raw", "lda", "does not do regression"),
        (("regression", (8, 8, 1)), "learned", "knn", "learned from classes"),
        (("regression", None), "raw", "knn", None),
    ],
)
def test_what_cannot_apply_has_a_reason(dataset, feature_set, model, reason):
    from bench.cell import Cell

    task, shape = dataset
    found = reason_to_skip(
        Cell("d", feature_set, model, "cython", 1, 0, 0, 0), DatasetInfo(task, 100, 64, shape), {}
    )
    assert (found is None) if reason is None else (reason in found)


def test_an_own_model_runs_on_kernels_only_if_it_takes_a_backend():
    suite = Suite(name="t", datasets=["iris"], models=["my.mod:make"], backends=["cython", "reference"], folds=2)
    assert {c.backend for c in plan(suite, {"my.mod:make": OwnModel("deep", True)})} == {"cython", "reference"}
    assert {c.backend for c in plan(suite, {"my.mod:make": OwnModel("classical", False)})} == {"sklearn"}


# -- splits


def make(y, **more):
    y = np.asarray(y)
    return Data("toy", np.arange(2.0 * len(y), dtype=np.float32).reshape(-1, 2), y, "classification", **more)


def test_folds_cover_every_sample_once_and_keep_the_classes():
    data = load("digits")
    folds = split(data, "kfold", 5, repeat=0, seed=3)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(data.y)))
    whole = np.bincount(data.y) / len(data.y)
    for train, test in folds:
        assert not set(train) & set(test)
        assert np.abs(np.bincount(data.y[test]) / len(test) - whole).max() < 0.01


def test_repeats_and_seeds_shuffle_anew_and_repeat_themselves():
    data = load("iris")
    first = split(data, "kfold", 3, repeat=0, seed=0)[0][1]
    assert np.array_equal(first, split(data, "kfold", 3, repeat=0, seed=0)[0][1])
    assert not np.array_equal(first, split(data, "kfold", 3, repeat=1, seed=0)[0][1])
    assert not np.array_equal(first, split(data, "kfold", 3, repeat=0, seed=1)[0][1])
    assert derived_seed(1, 2) != derived_seed(2, 1)


def test_groups_never_stand_on_both_sides():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 5)
    data = make(rng.permutation(np.arange(100) % 2), groups={"group": groups})
    for train, test in split(data, "group:group", 4, 0, 0):
        assert not set(groups[train]) & set(groups[test])


def test_official_split_is_the_given_one():
    is_test = np.arange(10) >= 7
    [(train, test)] = split(make(np.arange(10) % 2, is_test=is_test), "official", 5, 0, 0)
    assert list(train) == list(range(7))
    assert list(test) == [7, 8, 9]


@pytest.mark.parametrize(
    ("data", "rule", "folds", "message"),
    [
        (make([0] * 10 + [1] * 3, classes=("many", "rare")), "kfold", 5, "class 'rare' has 3 samples"),
        (make([0, 1, 0]), "kfold", 5, "3 samples, fewer than folds = 5"),
        (make([0, 1] * 5), "official", 5, "no official split"),
        (make([0, 1] * 5), "group:track", 2, "no group columns"),
        (make([0, 1] * 5, groups={"track": np.arange(10) % 3}), "group:trak", 2, "did you mean 'track'"),
        (make([0, 1] * 5, groups={"track": np.arange(10) % 3}), "group:track", 4, "3 groups"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(data, rule, folds, message):
    with pytest.raises(InputError, match=message):
        split(data, rule, folds, 0, 0)


# -- the catalog


@pytest.mark.parametrize("model", catalog.MODELS, ids=lambda m: m.name)
def test_every_model_builds_and_fits(model):
    import warnings

    for task in ("classification", "regression"):
        if model.estimator(task) is None:
            continue
        image_shape = (12, 12, 1) if model.accepts == "image" else None
        estimator = model.build(task, seed=0, n_threads=1, backend="reference", image_shape=image_shape)
        parameters = estimator.get_params()
        rng = np.random.default_rng(0)
        X = rng.standard_normal((40, 144)).astype(np.float32)
        y = np.arange(40) % 2 if task == "classification" else X[:, 0].astype(np.float64)
        if "max_iter" in parameters and model.family == "deep":
            estimator.set_params(max_iter=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one epoch does not converge
            assert estimator.fit(X, y).predict(X[:3]).shape == (3,)


def test_names_are_unique_and_every_feature_set_has_a_line():
    for names in (catalog.names(), features.names()):
        assert len(set(names)) == len(names)
    assert all(f.line for f in features.FEATURE_SETS)
    assert all(m.line for m in catalog.MODELS)
