"""Data that are checked before use. What is made of them: tests/bench/features/."""

import numpy as np
import pytest

from bench import datasets
from bench.errors import InputError
from bench.splits import split


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
