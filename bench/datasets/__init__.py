"""Data sets by name: where the samples come from, and the checks that each passes before a model sees it.

::

    __init__.py   the registry, load(): the one way in; what a data set hands over; its validation
    embedded.py   the sets that scikit-learn brings along (no network)
    files.py      a person's own .csv or .npz file

To add a data set: one `Dataset` below, one function that returns `Data`, one line in its test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.datasets import embedded
from bench.errors import InputError
from bench.names import unknown

if TYPE_CHECKING:
    import numpy as np

CLASSIFICATION, REGRESSION = "classification", "regression"


@dataclass(frozen=True, eq=False)
class Data:
    """The samples of a data set.

    ``X`` is (n, d) float32, C-contiguous; images are flat rows, and ``image_shape`` says (H, W, C). ``y`` holds class
    numbers 0..K-1 (int64, in the order of ``classes``), or numbers (float64) for regression.
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    task: str
    classes: tuple[str, ...] = ()
    image_shape: tuple[int, int, int] | None = None
    is_test: np.ndarray | None = None  # the official split: True where a sample belongs to the test part
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)  # columns that say which samples belong together


@dataclass(frozen=True)
class Dataset:
    """An entry of the registry."""

    name: str
    line: str
    load: Callable[[], Data]


DATASETS = (
    Dataset("digits", "1797 handwritten digits, 8x8 pixels, 10 classes", embedded.digits),
    Dataset("iris", "150 flowers, 4 measures, 3 classes", embedded.iris),
    Dataset("wine", "178 wines, 13 measures, 3 classes", embedded.wine),
    Dataset("breast_cancer", "569 tumours, 30 measures, 2 classes", embedded.breast_cancer),
    Dataset("diabetes", "442 patients, 10 measures, regression", embedded.diabetes),
)


def names() -> list[str]:
    """Return the names of the registry, in its order."""
    return [d.name for d in DATASETS]


def load(name: str, path: str | None = None, target: str | None = None) -> Data:
    """Load and check a data set of the registry, or the file at `path`.

    Raises
    ------
    InputError
        Unknown name, unreadable file, or samples no model can learn from; the message says which column or class.

    Examples
    --------
    >>> data = load("iris")
    >>> data.X.shape, data.task, data.classes
    ((150, 4), 'classification', ('setosa', 'versicolor', 'virginica'))
    """
    if path is not None:
        from bench.datasets.files import read

        return check(read(path, target, name))
    for dataset in DATASETS:
        if dataset.name == name:
            return check(dataset.load())
    raise unknown("dataset", name, names())


def check(data: Data) -> Data:
    """Return `data` as it is, or say what is wrong with it.

    Raises
    ------
    InputError
        Shapes that do not match, no samples, NaN or infinite values, fewer than two classes.
    """
    import numpy as np

    where = f"dataset {data.name!r}"
    if data.X.ndim != 2 or len(data.X) != len(data.y):
        raise InputError(f"{where}: X has shape {data.X.shape} for {len(data.y)} values of y")
    if data.X.size == 0:
        raise InputError(f"{where} is empty: X has shape {data.X.shape}")
    finite = np.isfinite(data.X)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        n = int((~finite).sum())
        raise InputError(
            f"{where}: {n} of its feature values are NaN or infinite (the first in sample {row}, column {column}); "
            "fill or drop them before the run"
        )
    if not np.isfinite(data.y).all():
        raise InputError(f"{where}: the target holds NaN or infinite values")
    if data.task == CLASSIFICATION and len(np.unique(data.y)) < 2:
        raise InputError(f"{where} has one class only; there is nothing to tell apart")
    if data.is_test is not None and (data.is_test.all() or not data.is_test.any()):
        raise InputError(f"{where}: its official split leaves the training or the test part empty")
    return data
