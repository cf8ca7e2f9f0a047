"""What a model is given: fitted on the training fold alone, one matrix for all."""

import dataclasses
import hashlib

import numpy as np
import pytest

from bench import datasets, features
from bench.errors import InputError
from bench.features.builders import Fold
from bench.features.cache import FeatureCache

DIGITS = datasets.load("digits")


def fold(train=slice(0, 200), test=slice(200, 260), seed=0):
    return Fold(DIGITS.X[train], DIGITS.X[test], DIGITS.y[train], DIGITS.image_shape, seed, "reference")


@pytest.fixture(params=features.FEATURE_SETS, ids=lambda f: f.name)
def feature_set(request):
    return request.param


def test_matrices_have_a_row_per_sample_and_no_holes(feature_set):
    X_train, X_test = feature_set.build(fold())
    assert (X_train.shape[0], X_test.shape[0]) == (200, 60)
    assert X_train.shape[1] == X_test.shape[1]
    assert X_train.dtype == X_test.dtype == np.float32
    assert np.isfinite(X_train).all()
    assert np.isfinite(X_test).all()


def test_the_test_part_has_no_influence_on_the_training_part(feature_set):
    one = feature_set.build(fold())
    other_test = feature_set.build(fold(test=slice(900, 960)))
    assert np.array_equal(one[0], other_test[0]), "X_train changed with the test part: something was fitted on it"
    whole, part = feature_set.build(fold()), feature_set.build(fold(test=slice(200, 201)))
    assert np.allclose(whole[1][:1], part[1], atol=1e-5), "a test sample changed with the samples beside it"


@pytest.mark.parametrize("name", ["standardized", "pca", "learned"])
def test_what_is_estimated_follows_the_training_part(name):
    build = features.get(name).build
    one, other = build(fold())[1], build(fold(train=slice(300, 500)))[1]
    assert one.shape != other.shape or not np.allclose(one, other)


def test_the_same_fold_gives_the_same_bits(feature_set):
    one, again = feature_set.build(fold()), feature_set.build(fold())
    assert features.sha256(*one) == features.sha256(*again)


def test_labels_of_the_test_part_cannot_leak():
    assert "y_test" not in {f.name for f in dataclasses.fields(Fold)}


def test_the_hash_is_what_its_docstring_says():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert features.sha256(x) == hashlib.sha256(b"<f4(2, 3)" + x.tobytes()).hexdigest()
    assert features.sha256(x) != features.sha256(x.reshape(3, 2))
    assert features.sha256(x) != features.sha256(x.astype(np.float64))


def test_unknown_feature_set_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'pca'"):
        features.get("pac")


# -- the cache


def matrices(value=1.0):
    return np.full((4, 3), value, np.float32), np.full((2, 3), value, np.float64)


def never():
    raise AssertionError("made a second time")


def test_a_second_worker_gets_the_identical_matrix(tmp_path):
    one = FeatureCache(tmp_path).get("key", matrices)
    other = FeatureCache(tmp_path).get("key", never)
    assert other.x_train_sha256 == one.x_train_sha256 == features.sha256(one.X_train)
    assert np.array_equal(other.X_test, one.X_test)
    assert one.X_test.dtype == np.float32
    assert one.X_train.flags.c_contiguous
    assert not one.X_train.flags.writeable, "a model could change what the next one sees"


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty"])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    FeatureCache(tmp_path).get("key", matrices)
    [path] = tmp_path.glob("*.features")
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-1] ^= 0xFF
    path.write_bytes(b"" if damage == "empty" else bytes(content[: -5 if damage == "truncate" else None]))
    again = FeatureCache(tmp_path).get("key", lambda: matrices(2.0))
    assert again.X_train[0, 0] == 2.0


def test_a_full_disk_costs_the_cache_and_nothing_else(tmp_path, monkeypatch):
    import builtins
    import os

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert builtins.open
    found = FeatureCache(tmp_path).get("key", matrices)
    assert found.X_train.shape == (4, 3)
