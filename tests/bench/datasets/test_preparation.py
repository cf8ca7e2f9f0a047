"""Tables become numbers fold by fold: nothing of the test part reaches the training of a model."""

import numpy as np
import pandas as pd
import pytest

from bench.datasets import table
from bench.datasets.entry import Data
from bench.datasets.preparation import MISSING, ONE_HOT_MAX, UNSEEN, Preparation
from bench.execution import Bench, Context

nan = np.nan


def prepared(preparation, train, test):
    return [X.tolist() for X in preparation.fit_transform(np.array(train, np.float32), np.array(test, np.float32))]


@pytest.mark.parametrize(
    ("preparation", "train", "test", "expected_train", "expected_test"),
    [
        (Preparation(kept=(0,)), [[1], [2]], [[3]], [[1], [2]], [[3]]),
        (Preparation(filled=(0,)), [[1], [2], [9], [nan]], [[nan]], [[1], [2], [9], [2]], [[2]]),
        (Preparation(filled=(0,)), [[nan], [nan]], [[5]], [[0], [0]], [[5]]),
        (Preparation(one_hot=(0,)), [[3], [5]], [[5], [4], [nan]], [[1, 0], [0, 1]], [[0, 1], [0, 0], [0, 0]]),
        (Preparation(one_hot=(0,)), [[3], [nan]], [[nan], [4]], [[1, 0], [0, 1]], [[0, 1], [0, 0]]),
        (
            Preparation(ordinal=(0,)),
            [[30], [50], [nan]],
            [[50], [40], [nan]],
            [[0], [1], [MISSING]],
            [[1], [UNSEEN], [MISSING]],
        ),
        (Preparation((1,), (2,), (0,)), [[7, 1, nan], [8, 2, 4]], [[8, 3, 5]], [[1, 4, 1, 0], [2, 4, 0, 1]], [[3, 5, 0, 1]]),
    ],
)
def test_what_becomes_of_a_column(preparation, train, test, expected_train, expected_test):
    assert prepared(preparation, train, test) == [expected_train, expected_test]


def mixed(n=200, seed=0):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "number": random.normal(size=n),
            "gappy": np.where(random.random(n) < 0.3, nan, random.normal(size=n)),
            "few": random.choice(["a", "b", "c", None], n),
            "many": random.integers(0, ONE_HOT_MAX + 10, n).astype(str),
            "y": random.choice(["no", "yes"], n),
        }
    )
    return table.from_frame("mixed", "mixed.csv", frame, "y")


def test_the_test_part_has_no_influence():
    data = mixed()
    train, test, other = np.arange(100), np.arange(100, 150), np.arange(150, 200)
    one, with_other = data.fold(train, test), data.fold(train, other)
    assert np.array_equal(one[0], with_other[0])
    changed = Data(**{**data.__dict__, "X": np.where(np.arange(200)[:, None] >= 100, data.X + 1, data.X)})
    assert np.array_equal(one[0], changed.fold(train, test)[0])
    alone = data.fold(train, test[:1])[1]
    assert np.array_equal(one[1][:1], alone), "a test sample changed with the samples beside it"
    assert all(X.dtype == np.float32 and X.flags.c_contiguous and np.isfinite(X).all() for X in one)


def test_what_is_estimated_follows_the_training_part():
    data = mixed()
    test = np.arange(150, 200)
    assert not np.array_equal(data.fold(np.arange(70), test)[1], data.fold(np.arange(70, 140), test)[1])


@pytest.mark.parametrize(("n_values", "how"), [(ONE_HOT_MAX, "one-hot"), (ONE_HOT_MAX + 1, "codes")])
def test_many_categories_become_codes(n_values, how):
    frame = pd.DataFrame({"a": [f"v{i % n_values}" for i in range(200)], "y": [0, 1] * 100})
    data = table.from_frame("d", "d.csv", frame, "y")
    assert f"a ({n_values}, {how})" in "; ".join(data.facts["inferred"])
    assert data.fold(np.arange(200), np.arange(2))[0].shape == (200, n_values if how == "one-hot" else 1)


def test_text_that_tells_every_sample_apart_is_left_out():
    frame = pd.DataFrame({"a": range(100, 200), "name": [f"person {i}" for i in range(100)], "y": [0, 1] * 50})
    data = table.from_frame("d", "d.csv", frame, "y")
    assert data.X.shape == (100, 1)
    assert "left out: name (nearly every value differs)" in data.facts["inferred"]


@pytest.mark.parametrize(
    ("name", "first", "left_out"), [("Id", 1, True), ("Unnamed: 0", 0, True), ("Id", None, False), ("t", 0, False)]
)
def test_only_what_counts_rows_is_a_row_number(name, first, left_out):
    values = range(first, first + 30) if first is not None else np.arange(30)[::-1]
    frame = pd.DataFrame({"a": np.arange(30) ** 2, name: values, "y": [0, 1] * 15})
    assert table.from_frame("d", "d.csv", frame, "y").X.shape == (30, 1 if left_out else 2)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (np.array(["b", "a"]), "classification", ("a", "b")),
        (np.array([True, False]), "classification", ("False", "True")),
        (np.array([3.0, 1.0]), "classification", ("1", "3")),
        (np.array([3.5, 1.0]), "regression", ()),
        (np.arange(21), "regression", ()),
        (np.arange(1000) % 40, "classification", tuple(map(str, range(40)))),
    ],
)
def test_classes_and_quantities(values, task, classes):
    assert table.labels(values)[1:] == (task, classes)


def test_a_task_that_is_known_is_not_guessed():
    assert table.labels(np.arange(30.0), "classification")[2][:2] == ("0", "1")
    assert table.labels(np.array([1, 2, 1]), "regression")[0].dtype == np.float64


def test_the_hash_is_of_the_matrix_that_models_see(tmp_path):
    """The preparation comes before the feature set, and before the hash."""
    from bench import features
    from bench.cell import Cell

    path = tmp_path / "mine.csv"
    pd.DataFrame({"a": [1.0, None] * 20, "b": ["x", "y", "z", "y"] * 10, "label": [0, 1] * 20}).to_csv(path, index=False)
    context = Context({"mine": str(path)}, "label", ("lda",), ("reference",), "kfold", 4, 1, 0, "reference")
    bench = Bench(context)
    assert bench.check()["mine"].n_features == 2
    assert "missing: a (20)" in bench.check()["mine"].facts["inferred"]
    prepared = bench.prepare(Cell("mine", "raw", "lda", "sklearn", 1, 0, 0, 0))
    assert prepared.matrices.X_train.shape == (30, 4)
    assert prepared.hashes["x_train_sha256"] == features.sha256(prepared.data.fold(prepared.train, prepared.test)[0])
    assert bench.execute(Cell("mine", "raw", "lda", "sklearn", 1, 0, 0, 0), prepared).status == "ok"
