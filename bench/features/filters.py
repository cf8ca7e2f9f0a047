"""Random filters that nobody trained: how much of a convolutional network's worth is its form alone.

One layer of it: convolution, ReLU, average pooling. Jarrett et al. found that such features come close to learned ones
where samples are few; Saxe et al. say why: convolution with pooling is selective of frequency and insensitive to shifts
whatever the filters are.

References
----------
Jarrett, Kavukcuoglu, Ranzato & LeCun, "What is the Best Multi-Stage Architecture for Object Recognition?", ICCV 2009.
Saxe, Koh, Chen, Bhand, Suresh & Ng, "On Random Weights and Unsupervised Feature Learning", ICML 2011.
"""

from __future__ import annotations

import math

import numpy as np

from bench.features.builders import Fold, Matrices, in_blocks

FILTERS = 64

#: Averages per side of the image.
GRID = 4


def random_filters(rng: np.random.Generator, side: int, channels: int) -> np.ndarray:
    """Return filters (side, side, channels, 64) of Gaussian numbers, each with mean 0 and Euclidean length 1.

    With mean 0 a filter is blind to brightness, and answers to edges and texture only.

    Examples
    --------
    >>> random_filters(np.random.default_rng(0), 5, 1).shape
    (5, 5, 1, 64)
    """
    filters = rng.standard_normal((side, side, channels, FILTERS))
    filters -= filters.mean(axis=(0, 1, 2))
    filters /= np.sqrt(np.square(filters).sum(axis=(0, 1, 2)))
    return filters.astype(np.float32)


def random_conv(fold: Fold) -> Matrices:
    """Mean answers of 64 random filters on a 4x4 grid of the image: 1,024 features where the sides divide by four.

    Filters are 5x5 pixels, or 3x3 on images of less than 12 pixels. Of the training part two numbers are estimated, mean
    and deviation of all its pixels, so that an answer means the same for pixels in 0..1 and in 0..255.
    """
    import kernels

    k = kernels.load(fold.backend)
    height, width, channels = fold.image_shape
    side = 5 if min(height, width) >= 12 else 3
    filters = random_filters(np.random.default_rng(fold.seed), side, channels)
    mean = np.float32(fold.X_train.mean(dtype=np.float64))
    deviation = np.float32(math.sqrt(in_blocks(_row_squares(mean), fold.X_train).mean(dtype=np.float64)))
    scale = 1 / deviation if deviation > 0 else np.float32(0)
    window = tuple(math.ceil(extent / GRID) for extent in (height, width))
    # the last row and column of the grid average what is left of the image
    padding = tuple((0, -extent % size) for extent, size in zip((height, width), window, strict=True))

    def rows(X: np.ndarray) -> np.ndarray:
        images = ((X - mean) * scale).reshape(-1, height, width, channels)
        answers = k.conv2d(images, filters, padding="same", activation="relu")
        return k.avg_pool2d(answers, window, padding=padding, count_include_pad=False).reshape(len(X), -1)

    return tuple(in_blocks(rows, X, height * width * FILTERS) for X in (fold.X_train, fold.X_test))


def _row_squares(mean: np.float32):
    return lambda X: np.square(X - mean, dtype=np.float64).mean(axis=1, keepdims=True)
