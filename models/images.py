"""Images as an estimator takes them: (n, H, W, C), (n, H, W) or flat rows, brought to one form.

Pixels are brought to mean 0 and variance 1 with two numbers for the whole training set (LeCun et al., "Efficient
BackProp", 1998, section 4.3), batch by batch, so that a learning rate means the same for pixels in 0..1 and in 0..255.
"""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np
from sklearn.utils.validation import validate_data


class ImageInput:
    """What `ConvNetClassifier` knows of images; reads ``image_shape dtype``, and ``image_shape_ pixel_mean_ pixel_scale_``."""

    def _validated(self, X, y=None, *, reset: bool):
        """Return X as rows of the network's dtype, y where there is one, and the image shape that X itself has."""
        if not hasattr(X, "ndim") and isinstance(X, (list, tuple)):
            X = np.asarray(X)
        image = None
        if getattr(X, "ndim", 0) in (3, 4) and isinstance(X, np.ndarray):
            image = (*X.shape[1:], 1) if X.ndim == 3 else X.shape[1:]
            if not reset and image != self.image_shape_:
                raise ValueError(f"X has images of shape {image}, but this network was fitted on {self.image_shape_}")
            X = X.reshape(X.shape[0], math.prod(image))
        options = {"dtype": np.dtype(self.dtype), "order": "C", "reset": reset}
        with np.errstate(over="ignore"):  # a value too large for the dtype becomes inf, and is refused as such
            if y is None:
                return validate_data(self, X, **options), None, image
            return *validate_data(self, X, y, **options), image

    def _resolve_image_shape(self, image: tuple[int, ...] | None, n_features: int) -> tuple[int, int, int]:
        if self.image_shape is None:
            return image or (1, n_features, 1)
        given = tuple(self.image_shape)
        whole = all(isinstance(extent, Integral) and extent > 0 for extent in given)
        if len(given) not in (2, 3) or not whole:
            raise ValueError(f"image_shape must be (H, W) or (H, W, C) of positive integers, got {self.image_shape!r}")
        shape = tuple(int(extent) for extent in given) + (1,) * (3 - len(given))
        if math.prod(shape) != n_features:
            raise ValueError(
                f"image_shape {self.image_shape!r} has {math.prod(shape)} values, the samples of X have {n_features}"
            )
        if image is not None and image != shape:
            raise ValueError(f"X has images of shape {image}, but image_shape is {self.image_shape!r}")
        return shape

    def _standardized(self, x: np.ndarray) -> np.ndarray:
        if self.pixel_mean_ == 0.0 and self.pixel_scale_ == 1.0:
            return x
        x = x - x.dtype.type(self.pixel_mean_)
        x *= 1.0 / self.pixel_scale_
        return x


def mean_and_deviation(X: np.ndarray, weight: np.ndarray | None = None) -> tuple[float, float]:
    """Mean and standard deviation of all values, in float64 and without a copy of X; a constant X counts as 1.

    With `weight` (n,) a sample counts as often as its weight says.
    """
    block = max(1, 2**18 // X.shape[1])
    parts = [slice(start, start + block) for start in range(0, len(X), block)]
    counts = np.ones(len(X)) if weight is None else weight.astype(np.float64)
    total = float(counts.sum()) * X.shape[1]
    if total == 0.0:
        return 0.0, 1.0
    mean = sum(float(counts[p] @ X[p].sum(axis=1, dtype=np.float64)) for p in parts) / total
    squares = sum(float(counts[p] @ np.square(X[p] - mean, dtype=np.float64).sum(axis=1)) for p in parts)
    deviation = math.sqrt(squares / total)
    return mean, deviation if deviation > 0.0 and math.isfinite(deviation) else 1.0
