"""Folds of each kind of data that feature sets are made of: grey images, colour images, a table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import datasets
from bench.features.builders import Fold
from bench.plan import DatasetInfo

N_TRAIN, N_TEST = 120, 30


def colour_images(n: int, shape=(12, 12, 3)) -> tuple[np.ndarray, np.ndarray]:
    """Two classes of noise, 0..255: one with a red left half, one with a green lower half."""
    rng = np.random.default_rng(5)
    images = rng.integers(0, 120, (n, *shape)).astype(np.float32)
    y = np.arange(n) % 2
    images[y == 0, :, : shape[1] // 2, 0] += 130
    images[y == 1, shape[0] // 2 :, :, 1] += 130
    return images.reshape(n, -1), y


def samples(kind: str) -> tuple[np.ndarray, np.ndarray, tuple | None, str]:
    if kind == "colour":
        return *colour_images(300), (12, 12, 3), "mine"
    data = datasets.load({"grey": "digits", "table": "breast_cancer"}[kind])
    return data.X[:300], data.y[:300], data.image_shape, data.name


def fold(kind: str, train=slice(0, N_TRAIN), test=slice(N_TRAIN, N_TRAIN + N_TEST), **changes) -> Fold:
    X, y, image_shape, name = samples(kind)
    return replace(Fold(X[train], X[test], y[train], image_shape, 0, "reference", name), **changes)


def info(kind: str) -> DatasetInfo:
    X, _, image_shape, _ = samples(kind)
    return DatasetInfo("classification", *X.shape, image_shape)


@pytest.fixture(scope="session")
def make_fold():
    return fold


@pytest.fixture(scope="session")
def make_info():
    return info
