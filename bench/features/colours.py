"""What a person would measure of a colour image: which colours, how spread, and where light and edges are.

Legend: n images of H x W pixels in red, green and blue, each 0..1.
"""

from __future__ import annotations

import numpy as np

from bench.features.images import grey

#: Bins of hue, saturation and value.
BINS = (12, 8, 8)

#: Zones per side of the image.
ZONES = 4


def measure(images: np.ndarray) -> np.ndarray:
    """Return histograms in HSV, colour moments, and mean colours and edges of a 4x4 grid; (n, 101).

    Parameters
    ----------
    images : ndarray (n, H, W, 3), values 0..1

    Examples
    --------
    >>> measure(np.zeros((2, 8, 8, 3), np.float32)).shape
    (2, 101)
    """
    return np.column_stack([histograms(images), moments(images), zones(images), zones(_edges(images)[..., None])])


def histograms(images: np.ndarray) -> np.ndarray:
    """Return the share of pixels in each bin of hue, saturation and value; (n, 28).

    In the hue's histogram a pixel counts by how colourful it is: the hue of grey is noise.

    Examples
    --------
    >>> red = np.zeros((1, 2, 2, 3), np.float32)
    >>> red[..., 0] = 1
    >>> np.flatnonzero(histograms(red)[0]).tolist()  # the first hue, full saturation, full value
    [0, 19, 27]
    """
    from skimage.color import rgb2hsv

    n = len(images)
    hsv = rgb2hsv(images)
    weights = (hsv[..., 1] * hsv[..., 2], None, None)
    parts = []
    for channel, (bins, weight) in enumerate(zip(BINS, weights, strict=True)):
        bin_ = np.minimum((hsv[..., channel] * bins).astype(np.intp), bins - 1)
        index = (np.arange(n)[:, None, None] * bins + bin_).ravel()
        counts = np.bincount(index, None if weight is None else weight.ravel(), minlength=n * bins).reshape(n, bins)
        parts.append(counts / (images.shape[1] * images.shape[2]))
    return np.hstack(parts)


def moments(images: np.ndarray) -> np.ndarray:
    """Return mean, deviation and the cube root of the third moment of each channel; (n, 9).

    References
    ----------
    Stricker & Orengo, "Similarity of Color Images", SPIE 2420, 1995.
    """
    pixels = images.reshape(len(images), -1, 3).astype(np.float64)
    mean = pixels.mean(axis=1)
    centred = pixels - mean[:, None]
    return np.hstack([mean, np.sqrt(np.square(centred).mean(axis=1)), np.cbrt((centred**3).mean(axis=1))])


def zones(images: np.ndarray) -> np.ndarray:
    """Return the mean of each channel in each zone of a 4x4 grid; (n, 16 C)."""
    rows, columns = (np.arange(ZONES) * extent // ZONES for extent in images.shape[1:3])
    sums = np.add.reduceat(np.add.reduceat(images, rows, axis=1, dtype=np.float64), columns, axis=2)
    heights, widths = (np.diff([*edges, extent]) for edges, extent in zip((rows, columns), images.shape[1:3], strict=True))
    return (sums / np.outer(heights, widths)[..., None]).reshape(len(images), -1)


def _edges(images: np.ndarray) -> np.ndarray:
    """Return how much brightness changes at each pixel, (n, H, W)."""
    down, across = np.gradient(grey(images), axis=(1, 2))
    return np.hypot(down, across)
