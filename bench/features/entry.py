"""What the harness must know of a feature set: its name, what it is made of, what it needs, and who makes it.

A builder is named ``"module:function"`` below `bench.features` and imported when it is called, so that listing feature
sets, planning a run and asking for help import nothing heavy.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from bench.features.builders import Fold
    from bench.plan import DatasetInfo


@dataclass(frozen=True)
class FeatureSet:
    """An entry of the registry.

    Parameters
    ----------
    name, line : str
        What it is called in tables, and one line about it.
    builder : str
        ``"module:function"``; the function takes a `Fold` and `options`, and returns (X_train, X_test).
    citation : str
        Where it comes from; empty where there is nothing to cite.
    options : mapping
        Given to builder and check.
    reads : tuple of str
        Which of ``"y_train"``, ``"seed"``, ``"backend"`` and ``"dataset"`` the builder reads beside samples and image
        shape. What it reads is part of the key that its matrices are stored under.
    keeps_image : bool
        A row is still the image, pixel by pixel, so that a ConvNet can take it.
    needs_image, needs_table, needs_classes : bool
        It can be made of images only, of what is no image only, of a data set with classes only.
    min_side, max_columns : int, optional
        Bounds on the height and width of images, and on the columns of a table.
    check : str, optional
        ``"module:function"`` that takes the data set's name, its `DatasetInfo` and `options`, and returns one more
        reason why it cannot be made, or None.
    stored : bool
        Its matrices are worth a place on disk: making them again takes longer than reading them.
    """

    name: str
    line: str
    builder: str
    citation: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    keeps_image: bool = False
    needs_image: bool = False
    needs_table: bool = False
    needs_classes: bool = False
    min_side: int = 1
    max_columns: int | None = None
    check: str | None = None
    stored: bool = True

    def build(self, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
        """Return (X_train, X_test), float32, with a row per sample.

        Examples
        --------
        >>> import numpy as np
        >>> from bench.features import get
        >>> from bench.features.builders import Fold
        >>> fold = Fold(np.float32([[0, 1], [2, 5]]), np.float32([[1, 3]]), np.array([0, 1]))
        >>> get("standardized").build(fold)[0].tolist()
        [[-1.0, -1.0], [1.0, 1.0]]
        """
        return _function(self.builder)(fold, **self.options)

    def reason_to_skip(self, dataset: str, info: DatasetInfo) -> str | None:
        """Return why it cannot be made of a data set, or None where it can.

        Examples
        --------
        >>> from bench.features import get
        >>> from bench.plan import DatasetInfo
        >>> get("hog").reason_to_skip("iris", DatasetInfo("classification", 150, 4))
        'hog needs images, and iris has none'
        """
        if self.needs_image and info.image_shape is None:
            return f"{self.name} needs images, and {dataset} has none"
        if self.needs_table and info.image_shape is not None:
            return f"{self.name} is made for tables, and {dataset} has images"
        if self.max_columns is not None and info.n_features > self.max_columns:
            return f"{self.name} takes at most {self.max_columns} columns, and {dataset} has {info.n_features}"
        if info.image_shape is not None and min(info.image_shape[:2]) < self.min_side:
            height, width, _ = info.image_shape
            return f"{self.name} needs images of at least {self.min_side}x{self.min_side} pixels, not {height}x{width}"
        if self.needs_classes and info.task != "classification":
            return f"{self.name} is learned from classes, and {dataset} has a number to predict"
        return None if self.check is None else _function(self.check)(dataset, info, **self.options)


def _function(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(f"bench.features.{module}"), name)
