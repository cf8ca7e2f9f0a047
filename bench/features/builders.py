"""How each feature set is made from a fold. Whatever is estimated is estimated on the training part alone.

Legend: n samples, d columns, p features; images are rows of H * W * C values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Fold:
    """What a builder may look at: no labels of the test part."""

    X_train: np.ndarray  # (n_train, d) float32
    X_test: np.ndarray  # (n_test, d) float32
    y_train: np.ndarray
    image_shape: tuple[int, int, int] | None = None  # (H, W, C)
    seed: int = 0
    backend: str = "reference"  # of a network that has to be trained


def raw(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """The values as they came."""
    return fold.X_train, fold.X_test


def standardized(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Subtract the mean and divide by the deviation of the training part; a constant column becomes zero.

    Sums run in float64: over 60,000 float32 values the mean would lose digits.
    """
    import numpy as np

    mean = fold.X_train.mean(axis=0, dtype=np.float64)
    deviation = fold.X_train.std(axis=0, dtype=np.float64)
    # the deviation of equal float32 values is not always exactly 0, but never above their rounding error
    constant = deviation <= np.finfo(np.float32).eps * np.abs(mean)
    scale = np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))
    return tuple(((X - mean) * scale).astype(np.float32) for X in (fold.X_train, fold.X_test))


def pca(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Rotate onto the principal components that keep 95 % of the variance.

    Pixels share a unit and are only centred; the columns of a table do not, and are standardized first.
    """
    from sklearn.decomposition import PCA

    X_train, X_test = (fold.X_train, fold.X_test) if fold.image_shape else standardized(fold)
    model = PCA(n_components=0.95, svd_solver="full").fit(X_train)
    return model.transform(X_train), model.transform(X_test)


def hog(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Histograms of oriented gradients: 9 orientations, cells of a quarter of the image (8 pixels at most), 2x2 blocks.

    Nothing is estimated, so training and test part go the same way. On 8x8 images: cells of 2x2 pixels, 324 features.
    """
    import numpy as np
    from skimage.feature import hog as descriptor

    height, width, channels = fold.image_shape
    cell = max(1, min(8, height // 4, width // 4))
    options = {"orientations": 9, "pixels_per_cell": (cell, cell), "cells_per_block": (2, 2)}

    def describe(X: np.ndarray) -> np.ndarray:
        images = X.reshape(len(X), height, width, channels)
        one = images[..., 0] if channels == 1 else images
        axis = None if channels == 1 else -1
        return np.stack([descriptor(image, channel_axis=axis, **options) for image in one]).astype(np.float32)

    return describe(fold.X_train), describe(fold.X_test)


def learned(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """The activations that feed the last layer of a ConvNet, trained on the training part.

    conv16_32 up to 16x16 pixels (128 features at 8x8), lenet5 above (84 features). One thread and one seed, so that the
    matrix can be made again bit for bit.
    """
    from models import ConvNetClassifier

    height, width, _ = fold.image_shape
    network = ConvNetClassifier(
        architecture="conv16_32" if max(height, width) <= 16 else "lenet5",
        image_shape=fold.image_shape,
        batch_size=32,
        max_iter=15,
        random_state=fold.seed,
        backend=fold.backend,
        n_jobs=1,
    )
    network.fit(fold.X_train, fold.y_train)
    return network.transform(fold.X_train), network.transform(fold.X_test)
