"""The images that fits are measured on."""

from __future__ import annotations

import numpy as np

from bench.fit_speed.race import Images


def _parts(dataset: str):
    from bench.datasets import load
    from bench.errors import InputError

    data = load(dataset)
    if data.image_shape is None or data.is_test is None:
        raise InputError(f"dataset {dataset!r} has no images with an official split, as fashion_mnist has")
    train, test = np.flatnonzero(~data.is_test), np.flatnonzero(data.is_test)
    return data, *data.fold(train, test), data.y[train], data.y[test]


def training_part(dataset: str) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Return the training part: X (n, H * W * C) float32, y (n,) and (H, W, C)."""
    data, X_train, _, y_train, _ = _parts(dataset)
    return np.ascontiguousarray(X_train), y_train, data.image_shape


def images(dataset: str) -> Images:
    """Return both parts as images, standardized by the mean and deviation of all training pixels."""
    data, X_train, X_test, y_train, y_test = _parts(dataset)
    mean, deviation = float(X_train.mean(dtype=np.float64)), float(X_train.std(dtype=np.float64))
    X_train, X_test = (
        np.ascontiguousarray(((X - mean) / deviation).astype(np.float32).reshape(-1, *data.image_shape))
        for X in (X_train, X_test)
    )
    return Images(X_train, y_train.astype(np.int64), X_test, y_test.astype(np.int64))
