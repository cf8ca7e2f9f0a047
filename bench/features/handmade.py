"""Features as a person would make them who knows what the samples show: the way before networks learned their own.

What is measured depends on the data: strokes and shape where images are grey (strokes.py), colours and edges where they
have three channels (colours.py), sizes and ratios of columns for the tables known by name (tables.py). A data set for
which nobody has thought of any is skipped with that reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bench.features import colours, strokes, tables
from bench.features.builders import Fold, Matrices, in_blocks, standardize

if TYPE_CHECKING:
    from bench.plan import DatasetInfo


def handmade(fold: Fold) -> Matrices:
    """Measure each sample, and standardize: a count of holes and the logarithm of a moment have no unit in common."""
    measure = _of_table(fold) if fold.image_shape is None else _of_images(fold)
    return standardize(*(in_blocks(measure, X) for X in (fold.X_train, fold.X_test)))


def reason_to_skip(dataset: str, info: DatasetInfo) -> str | None:
    """Return why there is nothing to measure, or None.

    Examples
    --------
    >>> from bench.plan import DatasetInfo
    >>> reason_to_skip("mine", DatasetInfo("classification", 150, 4))
    'handmade features are known of images and of iris, wine, breast_cancer, diabetes, not of mine'
    """
    if info.image_shape is not None:
        channels = info.image_shape[2]
        known = channels in (1, 3)
        return None if known else f"handmade features are known of images with 1 or 3 channels, not {channels}"
    table = tables.by_name(dataset)
    if table is None:
        return f"handmade features are known of images and of {', '.join(tables.TABLES)}, not of {dataset}"
    if info.n_features != table.n_columns:  # a file of one's own that happens to have the name
        return f"handmade features of {dataset} are made of its {table.n_columns} columns, not of {info.n_features}"
    return None


def _of_table(fold: Fold) -> Callable[[np.ndarray], np.ndarray]:
    measure = tables.by_name(fold.dataset).measure

    def rows(X: np.ndarray) -> np.ndarray:
        X = X.astype(np.float64)
        return np.column_stack([X, *measure(X.T)])

    return rows


def _of_images(fold: Fold) -> Callable[[np.ndarray], np.ndarray]:
    if fold.image_shape[2] == 1:
        return lambda X: strokes.measure(X.reshape(-1, *fold.image_shape[:2]))
    # the training part says which value is black and which is full light; test pixels beyond are clipped
    dark, bright = min(0.0, float(fold.X_train.min())), float(fold.X_train.max())
    scale = 1.0 / (bright - dark) if bright > dark else 0.0
    return lambda X: colours.measure(np.clip((X - dark) * scale, 0.0, 1.0).reshape(-1, *fold.image_shape))
