"""What a data set is: its samples (`Data`), and its entry in the registry (`Dataset`) with files, licence and scores of others.

Nothing here is heavy to import and nothing is read: an entry can be listed on a machine that has none of its files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from bench.datasets.preparation import Preparation

CLASSIFICATION, REGRESSION = "classification", "regression"

#: Where the hash of a file comes from, if it was computed here; any other text is the published source that it was copied from.
CHECKED = "computed from the file"


@dataclass(frozen=True, eq=False)
class Data:
    """The samples of a data set.

    ``X`` is (n, d), C-contiguous: float32, or uint8 for images, which takes a quarter of the memory; images are flat rows, and
    ``image_shape`` says (H, W, C). Where a table has categories or missing values, ``X`` holds the codes of the categories and
    NaN, and ``preparation`` turns them into numbers, fold by fold. ``y`` holds class numbers 0..K-1 (int64, in the order of
    ``classes``), or numbers (float64) for regression.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    task: str
    classes: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None
    is_test: np.ndarray | None = None  # the official split: True where a sample belongs to the test part
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)  # columns that say which samples belong together
    preparation: Preparation | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # plain values for run.json: what was inferred, drawn or re-encoded

    def fold(self, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows `train` and `test` as float32; whatever has to be estimated is estimated on `train` alone.

        Examples
        --------
        >>> import numpy as np
        >>> from bench.datasets.preparation import Preparation
        >>> X = np.array([[1], [3], [np.nan]], np.float32)
        >>> data = Data("d", X, np.zeros(3), REGRESSION, preparation=Preparation(filled=(0,)))
        >>> data.fold(np.array([0, 1]), np.array([2]))[1]
        array([[2.]], dtype=float32)
        """
        import numpy as np

        X_train, X_test = self.X[train], self.X[test]
        if self.preparation is not None:
            return self.preparation.fit_transform(X_train, X_test)
        return X_train.astype(np.float32, copy=False), X_test.astype(np.float32, copy=False)


@dataclass(frozen=True)
class File:
    """A file below the cache folder, and how one is sure that it is the right one."""

    path: str  # "mnist/train-images-idx3-ubyte.gz"
    sha256: str
    size_bytes: int | None  # None: not known before it is here
    urls: tuple[str, ...] = ()  # tried in this order; none: the file cannot be downloaded
    hash_from: str = CHECKED


@dataclass(frozen=True)
class Reference:
    """A score that others published, to set one of ours beside; never measured here."""

    model: str
    value: float
    source: str
    metric: str = "accuracy"


@dataclass(frozen=True)
class Dataset:
    """An entry of the registry.

    ``sources`` are alternatives, the best first; each lists all the files that it takes. One without files is embedded, or,
    where ``fetch`` is given, brought by a function of its own.
    """

    name: str
    line: str
    load: Callable[[], Data]
    licence: str
    citation: str
    sources: tuple[tuple[File, ...], ...] = ()
    references: tuple[Reference, ...] = ()
    note: str = ""  # what must be known before a score is compared
    fetch: Callable[[], list[Path]] | None = None
