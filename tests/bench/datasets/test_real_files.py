"""The real files, where they are: shapes, parts, counts and mean pixels as their authors publish them."""

import zipfile

import numpy as np
import pytest
from PIL import Image

from bench import datasets
from bench.datasets import cache, pmlb
from bench.splits import split

MNIST, FASHION = "mnist/train-images-idx3-ubyte.gz", "fashion_mnist/train-images-idx3-ubyte.gz"
JPEG, SIGNS = "cifar10_jpeg/cifar10_jpeg.zip", "gtsrb_subset/gtsrb_subset_32x32.npz"


@pytest.mark.parametrize(
    ("name", "file", "shape", "n_train", "counts"),
    [
        ("mnist", MNIST, (28, 28, 1), 60_000, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("fashion_mnist", FASHION, (28, 28, 1), 60_000, [6000] * 10),
        ("cifar10_jpeg", JPEG, (32, 32, 3), 50_000, [5000] * 10),
        ("cats_vs_dogs", JPEG, (32, 32, 3), 10_000, [5000] * 2),
        ("gtsrb_subset", SIGNS, (32, 32, 3), 7842, None),
        ("stop_sign", SIGNS, (32, 32, 3), 7842, [7842 - 156, 156]),
        ("adult", "adult_raw/adult-train.csv", None, 32_561, [24_720, 7841]),
        ("covertype_15k", "covertype_15k/train.m", None, 15_120, [2160] * 7),
    ],
)
def test_a_set_is_what_its_authors_say(real, name, file, shape, n_train, counts):
    real(file)
    data = datasets.load(name)
    is_train = np.ones(len(data.y), bool) if data.is_test is None else ~data.is_test
    assert is_train.sum() == n_train
    assert data.image_shape == shape
    assert data.X.dtype == (np.uint8 if shape else np.float32)
    assert len(data.classes) == data.y.max() + 1
    if counts:
        assert np.bincount(data.y[is_train]).tolist() == counts
    assert str(len(data.y)) in datasets.get(name).line
    assert set(data.facts["files"]) >= {file}


@pytest.mark.parametrize(
    ("name", "file", "mean", "deviation"), [("mnist", MNIST, 0.1307, 0.3081), ("fashion_mnist", FASHION, 0.2860, 0.3530)]
)
def test_pixels_are_those_that_others_publish(real, name, file, mean, deviation):
    real(file)
    data = datasets.load(name)
    pixels = data.X[~data.is_test] / np.float32(255)
    assert abs(pixels.mean(dtype=np.float64) - mean) < 1e-4
    assert abs(pixels.std(dtype=np.float64) - deviation) < 1e-4


def test_images_that_were_kept_are_the_images_that_were_decoded(real, decoded_once):
    path = real(JPEG)
    data = datasets.load("cifar10_jpeg")
    again = datasets.load("cifar10_jpeg")
    assert list(decoded_once.rglob("*.npy")), "the second load need not decode again"
    assert not [p for p in path.parent.iterdir() if p.suffix == ".npy"], "nothing is written beside the data"
    with zipfile.ZipFile(path) as archive:
        for i, name in [(0, "test/airplane/0000"), (10_000, "train/airplane/0000"), (-1, "train/truck/4999")]:
            pixels = np.asarray(Image.open(archive.open(f"cifar10_jpeg/{name}.jpg")))
            assert np.array_equal(again.X[i].reshape(32, 32, 3), pixels)
            assert np.array_equal(data.X[i], again.X[i])
            assert data.classes[data.y[i]] == name.split("/")[1]
            assert data.is_test[i] == name.startswith("test")


@pytest.mark.parametrize("name", ["cifar10_jpeg", "cats_vs_dogs"])
def test_re_encoded_images_say_so(real, name):
    real(JPEG)
    assert datasets.load(f"{name}@S").facts["about"] == "CIFAR-10, JPEG re-encoded"


@pytest.mark.parametrize("name", ["stop_sign", "gtsrb_subset", "stop_sign@M"])
def test_frames_of_one_track_stay_together(real, name):
    real(SIGNS)
    data = datasets.load(name)
    track = data.groups["track"]
    for train, test in split(data, "group:track", 3, repeat=0, seed=0):
        assert not set(track[train]) & set(track[test])
        assert not data.is_test[train].any()
        assert not data.is_test[test].any()
        assert len(np.unique(data.y[test])) == len(data.classes)
    [(train, test)] = split(data, "official", 3, repeat=0, seed=0)
    assert len(train) + len(test) == len(data.y)


@pytest.mark.parametrize("name", pmlb.KNOWN)
def test_tables_of_the_penn_benchmarks(real, name):
    real(f"pmlb/{name}.tsv.gz")
    data = datasets.load(f"pmlb:{name}")
    n_samples, n_columns, n_classes, *_ = pmlb.KNOWN[name]
    assert data.X.shape == (n_samples, n_columns)
    assert len(data.classes) == n_classes
    assert data.task == ("classification" if n_classes else "regression")


def test_adult_is_prepared_by_its_training_part(real):
    real("adult_raw/adult-train.csv")
    data = datasets.load("adult")
    [(train, test)] = split(data, "official", 5, repeat=0, seed=0)
    X_train, X_test = data.fold(train, test)
    # 6 numbers; 8+1, 16, 7, 14+1, 6, 5, 2 and 41+1 categories, with those that are missing
    assert X_train.shape == (32_561, 6 + 9 + 16 + 7 + 15 + 6 + 5 + 2 + 42)
    assert (X_test[:, 6:].sum(axis=1) <= 8).all()
    assert cache.sha256_of(cache.path_of(datasets.get("adult").sources[0][0])) in data.facts["files"].values()
