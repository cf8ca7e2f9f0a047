"""Feature sets by name: what a model is given to learn from, fitted on the training fold only.

::

    __init__.py   the registry, and the hash that proves what a model saw
    builders.py   one function per feature set
    cache.py      one matrix per fold for all models and all workers

To add a feature set: one `FeatureSet` below, one function in builders.py, one line in its test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.features import builders
from bench.names import unknown

if TYPE_CHECKING:
    import numpy as np

    from bench.features.builders import Fold


@dataclass(frozen=True)
class FeatureSet:
    """An entry of the registry.

    ``build`` takes a `Fold` and returns (X_train, X_test). ``keeps_image`` says that a row is still the image, pixel by
    pixel, so that a ConvNet can take it; ``needs_image`` that it can be made of images only; ``needs_classes`` that it
    is learned from labels.
    """

    name: str
    line: str
    build: Callable[[Fold], tuple[np.ndarray, np.ndarray]]
    keeps_image: bool = False
    needs_image: bool = False
    needs_classes: bool = False


FEATURE_SETS = (
    FeatureSet("raw", "the values as they came", builders.raw, keeps_image=True),
    FeatureSet("standardized", "each column with mean 0 and deviation 1", builders.standardized, keeps_image=True),
    FeatureSet("pca", "principal components that keep 95 % of the variance", builders.pca),
    FeatureSet("hog", "histograms of oriented gradients (Dalal & Triggs 2005)", builders.hog, needs_image=True),
    FeatureSet(
        "learned",
        "penultimate activations of a ConvNet trained on the training fold",
        builders.learned,
        needs_image=True,
        needs_classes=True,
    ),
)


def names() -> list[str]:
    """Return the names of the registry, in its order."""
    return [f.name for f in FEATURE_SETS]


def get(name: str) -> FeatureSet:
    """Return the entry of that name.

    Raises
    ------
    InputError
        Unknown name; the message names the nearest.
    """
    for feature_set in FEATURE_SETS:
        if feature_set.name == name:
            return feature_set
    raise unknown("feature set", name, names())


def sha256(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of arrays: of each, its dtype and shape as text, then its bytes in C order.

    The text keeps apart what has equal bytes and is not the same: ``<f4(2, 3)`` and ``<f4(3, 2)``.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros((2, 3), np.float32)
    >>> sha256(x) == sha256(np.asfortranarray(x)) != sha256(x.T)
    True
    """
    import hashlib

    import numpy as np

    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
