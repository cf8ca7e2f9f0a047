"""What a model is given: fitted on the training fold alone, one matrix for all, and data that are checked before use."""

import dataclasses
import hashlib

import numpy as np
import pytest

from bench import datasets, features
from bench.errors import InputError
from bench.features.builders import Fold
from bench.features.cache import FeatureCache
from bench.splits import split

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


# -- data sets


@pytest.mark.parametrize("dataset", datasets.DATASETS, ids=lambda d: d.name)
def test_embedded_sets_are_what_they_say(dataset):
    data = datasets.load(dataset.name)
    assert data.X.dtype == np.float32
    assert data.X.flags.c_contiguous
    assert len(data.X) == len(data.y)
    assert str(len(data.X)) in dataset.line
    if data.image_shape:
        assert np.prod(data.image_shape) == data.X.shape[1]
    if data.classes:
        assert data.y.max() + 1 == len(data.classes)


def write(path, text):
    path.write_text(text)
    return path


GOOD = "a,b,label\n" + "".join(f"{i},{i * 2},{'x' if i % 2 else '<script>'}\n" for i in range(10))


def test_a_csv_of_ones_own(tmp_path):
    data = datasets.load("mine", str(write(tmp_path / "mine.csv", GOOD)), "label")
    assert data.X.shape == (10, 2)
    assert data.classes == ("<script>", "x")
    assert data.task == "classification"


def test_a_number_to_predict(tmp_path):
    text = "a,price\n" + "".join(f"{i},{i * 1.37 + 0.1}\n" for i in range(40))
    assert datasets.load("mine", str(write(tmp_path / "m.csv", text)), "price").task == "regression"


def test_group_columns_are_not_features(tmp_path):
    text = "a,group,y\n" + "".join(f"{i},{i // 3},{i % 2}\n" for i in range(12))
    data = datasets.load("mine", str(write(tmp_path / "m.csv", text)), "y")
    assert data.X.shape == (12, 1)
    assert len(split(data, "group:group", 2, 0, 0)) == 2


@pytest.mark.parametrize(
    ("name", "content", "target", "message"),
    [
        ("m.csv", "", "label", "m.csv"),
        ("m.csv", "a,label\n", "label", "m.csv|empty"),
        ("m.csv", "a,label\n1,x\n2,y,3\n", "label", "m.csv"),
        ("m.csv", "a,label\n1,x\n,y\n", "label", "NaN|missing"),
        ("m.csv", "a,label\n1,x\ninf,y\n", "label", "infinite|NaN"),
        ("m.csv", "a,label\n1,x\nred,y\n", "label", "'a'"),
        ("m.csv", "a,label\n1,x\n2,x\n", "label", "one class"),
        ("m.csv", GOOD, "lable", "did you mean 'label'"),
        ("m.csv", b"\xff\xfe\x00\x01", "label", "m.csv"),
        ("m.npz", b"PK\x03\x04 cut short", None, "m.npz"),
        ("m.npz", b"", None, "m.npz"),
        ("m.xls", "a", None, "allowed: .csv, .npz"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path, name, content, target, message):
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=message):
        datasets.load("mine", str(path), target)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"nothere\.csv"):
        datasets.load("mine", str(tmp_path / "nothere.csv"), "y")


@pytest.mark.parametrize("shape", [(20, 5), (20, 4, 4), (20, 4, 4, 3)])
def test_npz(tmp_path, shape):
    np.savez(tmp_path / "m.npz", X=np.zeros(shape), y=np.arange(20) % 2, is_test=np.arange(20) > 14)
    data = datasets.load("mine", str(tmp_path / "m.npz"))
    assert data.X.shape == (20, np.prod(shape[1:]))
    assert (data.image_shape is not None) == (len(shape) > 2)
    assert data.is_test.sum() == 5


class Bomb:
    """Its pickle would run code when it is read."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a data file was executed')",))


def test_nothing_in_a_file_is_executed(tmp_path):
    np.savez(tmp_path / "m.npz", X=np.array([Bomb()], dtype=object), y=np.zeros(1))
    with pytest.raises(InputError, match=r"object|pickle"):
        datasets.load("mine", str(tmp_path / "m.npz"))
