"""Images moved as no training image was, what a layer makes of a moved image, and convolutions whose weights are not shared."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline

SHIFT, ROTATION, SCALE = "shift", "rotation", "scale"


def framed(X: np.ndarray, shape: tuple[int, int, int], margin: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Return images (n, d) with an empty frame around them, so that moving loses nothing, and their new shape.

    Examples
    --------
    >>> framed(np.ones((1, 4)), (2, 2, 1), 1)[0].reshape(4, 4).sum(axis=1).tolist()
    [0.0, 2.0, 2.0, 0.0]
    """
    images = np.pad(X.reshape(-1, *shape), ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    return np.ascontiguousarray(images.reshape(len(X), -1)), images.shape[1:]


def shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return images (n, H, W, C) moved by whole pixels; what comes in is empty.

    Examples
    --------
    >>> shifted(np.arange(4.0).reshape(1, 2, 2, 1), 1, 0)[0, ..., 0].tolist()
    [[0.0, 0.0], [0.0, 1.0]]
    """
    height, width = images.shape[1:3]
    moved = np.zeros_like(images)
    to_y, from_y = slice(max(down, 0), height + min(down, 0)), slice(max(-down, 0), height + min(-down, 0))
    to_x, from_x = slice(max(right, 0), width + min(right, 0)), slice(max(-right, 0), width + min(-right, 0))
    moved[:, to_y, to_x] = images[:, from_y, from_x]
    return moved


def moves(kind: str, amount: float) -> list[tuple[float, float]]:
    """Return the moves of one size: shifts in four directions, turns to both sides, one scale."""
    if kind == SHIFT:
        return [(amount, 0), (-amount, 0), (0, amount), (0, -amount)]
    return [(amount, 0), (-amount, 0)] if kind == ROTATION else [(amount, 0)]


def moved(X: np.ndarray, shape: tuple[int, int, int], kind: str, move: tuple[float, float]) -> np.ndarray:
    """Return images (n, d) shifted (pixels), turned (degrees) or scaled about their centre, bilinear between pixels."""
    images = X.reshape(-1, *shape)
    if kind == SHIFT:
        return shifted(images, int(move[0]), int(move[1])).reshape(X.shape)
    if kind == ROTATION:
        angle = np.deg2rad(move[0])
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    else:
        matrix = np.eye(2) / move[0]
    return _sampled(images, matrix).reshape(X.shape)


def _sampled(images: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return images whose place p shows what stood at ``matrix @ p``, both from the centre; outside they are empty."""
    height, width = images.shape[1:3]
    centre = (np.array([height, width]) - 1) / 2
    places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1) - centre
    source = places @ matrix.T + centre + 1.0  # in images with one empty pixel around them
    source = np.clip(source, 0.0, np.array([height, width]) + 0.999)
    corner = np.floor(source).astype(int)
    share = (source - corner)[..., None].astype(images.dtype)
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2), (0, 0)))
    found = np.zeros_like(images)
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - share[..., 0, :]) * np.abs(1 - right - share[..., 1, :])
            found += weight * padded[:, corner[..., 0] + down, corner[..., 1] + right]
    return found


def equivariance_error(
    before: np.ndarray, after: np.ndarray, step: int, down: int, right: int, edge: int = 0
) -> float:
    """Return how far the activations of a shifted image are from the shifted activations, relative to their size.

    Parameters
    ----------
    before, after : ndarray (n, h, w, c)
        Activations of images, and of the same images shifted.
    step : int
        Pixels between neighbouring places of the layer: activations are repeated to the image's size first.
    down, right : int
        The shift in pixels.
    edge : int
        So many pixels at each edge are left out: there the zeros around an image do not move along with it.

    Returns
    -------
    float
        0: they move along with the image; sqrt(2): what two unrelated activations of one size have.

    Examples
    --------
    >>> x = np.zeros((1, 4, 4, 1)); x[0, 1, 1] = 1.0
    >>> equivariance_error(x, shifted(x, 1, 0), 1, 1, 0), equivariance_error(x, x, 1, 1, 0)
    (0.0, 1.4142135623730951)
    """
    large = [a.astype(np.float64).repeat(step, axis=1).repeat(step, axis=2) for a in (before, after)]
    inner = slice(None), *(slice(edge, extent - edge) for extent in large[0].shape[1:3])
    expected, found = shifted(large[0], down, right)[inner], large[1][inner]
    size = np.sqrt(np.linalg.norm(expected) * np.linalg.norm(found))
    return float(np.linalg.norm(found - expected) / size) if size else 0.0


class Patches(TransformerMixin, BaseEstimator):
    """Lay the window around each pixel out as channels of its own: a grouped 1x1 convolution then shares no weights.

    Parameters
    ----------
    image_shape : (H, W, C)
    size : int
        Odd side of the window; outside the image stand zeros.

    Examples
    --------
    >>> Patches((8, 8, 1), 3).fit_transform(np.ones((2, 64), np.float32)).shape
    (2, 576)
    """

    def __init__(self, image_shape: tuple[int, int, int], size: int):
        self.image_shape, self.size = image_shape, size

    def fit(self, X, y=None):
        """Nothing is estimated."""
        self.fitted_ = True
        return self

    def transform(self, X):
        """Return (n, H * W * size * size * C) values."""
        edge = self.size // 2
        images = np.pad(X.reshape(-1, *self.image_shape), ((0, 0), (edge, edge), (edge, edge), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(images, (self.size, self.size), axis=(1, 2))
        return np.ascontiguousarray(windows.reshape(len(X), -1))


def unshared(estimator: Any, size: int, filters: int) -> Any:
    """Return a network like ``c<filters>k<size>`` and an output layer, but for weights of its own at each pixel.

    A convolution of 1x1 with as many groups as there are pixels, on the windows around them: as local as a convolution,
    with as many outputs, but nothing is shared.
    """
    height, width, channels = estimator.image_shape
    n = height * width
    estimator.set_params(
        architecture=[f"c{n * filters}k1g{n}", "out"], image_shape=(1, 1, n * size * size * channels)
    )
    return make_pipeline(Patches((height, width, channels), size), estimator)
