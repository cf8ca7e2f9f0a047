"""The inner folds of a training part, and the score that configurations are judged by.

Inner folds are drawn from the training part alone: stratified for classes, with groups kept together where the outer split
keeps them together. All models of a fold get the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.datasets import CLASSIFICATION, Data
from bench.scores import checked
from bench.tuning.search import N_INNER_FOLDS

if TYPE_CHECKING:
    import numpy as np


class TooFewError(ValueError):
    """A training part that cannot be divided into two inner folds."""


def metric(task: str, of_classes: str = "accuracy") -> str:
    """Return what configurations are judged by: the metric that a suite names for classes, R² for numbers.

    Examples
    --------
    >>> metric("classification", "balanced_accuracy"), metric("regression", "balanced_accuracy")
    ('balanced_accuracy', 'r2')
    """
    return of_classes if task == CLASSIFICATION else "r2"


@dataclass(frozen=True, eq=False)
class InnerFold:
    """What a configuration is fitted on and scored with; features are fitted on the inner training part."""

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray


class Cache:
    """The features of the inner folds of one training part, in memory, for all configurations and models.

    Examples
    --------
    >>> cache = Cache()
    >>> cache.get(("iris", 0), 1, lambda: ([[1.0]], [[2.0]]))[0].dtype.name
    'float32'
    """

    def __init__(self):
        self._key: tuple | None = None
        self._made: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def get(self, key: tuple, fold: int, make: Callable[[], tuple]) -> tuple[np.ndarray, np.ndarray]:
        """Return the matrices of an inner fold, made now if they are not there; another key lets go of all before."""
        import numpy as np

        if key != self._key:
            self._key, self._made = key, {}
        if fold not in self._made:
            matrices = tuple(np.array(X, np.float32, order="C") for X in make())
            if not all(np.isfinite(X).all() for X in matrices):
                raise ValueError(f"the feature set has NaN or infinite values on inner fold {fold}")
            for X in matrices:
                X.flags.writeable = False  # no configuration can change what the next one sees
            self._made[fold] = matrices
        return self._made[fold]


def groups(data: Data, rule: str, train: np.ndarray) -> np.ndarray | None:
    """Return which samples of a training part belong together, or None where all stand alone.

    That is the column of a split by group; and the only group column of a data set with an official split, which keeps its
    groups apart.

    Examples
    --------
    >>> import numpy as np
    >>> data = Data("d", np.zeros((4, 1)), np.arange(4.0), "regression", groups={"track": np.array([0, 0, 1, 1])})
    >>> groups(data, "group:track", np.array([1, 2])), groups(data, "kfold", np.array([1, 2]))
    (array([0, 1]), None)
    """
    if rule.startswith("group:"):
        return data.groups[rule.removeprefix("group:")][train]
    if rule == "official" and len(data.groups) == 1:
        [column] = data.groups.values()
        return column[train]
    return None


def split(
    y: np.ndarray, task: str, seed: int, groups: np.ndarray | None = None, n_folds: int = N_INNER_FOLDS
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the (train, test) positions of the inner folds of a training part.

    There are fewer folds where the rarest class has fewer samples, or where there are fewer groups.

    Parameters
    ----------
    y : ndarray of shape (n,)
        The targets of the training part.
    task : {"classification", "regression"}
    seed : int
    groups : ndarray of shape (n,), optional
        Samples of a group never stand on both sides.
    n_folds : int

    Raises
    ------
    TooFewError
        Not even two folds can be made.

    Examples
    --------
    >>> import numpy as np
    >>> [(len(train), len(test)) for train, test in split(np.arange(40) % 2, "classification", 0)]
    [(30, 10), (30, 10), (30, 10), (30, 10)]
    """
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    is_classes = task == CLASSIFICATION
    kinds = {"samples": len(y)}
    if is_classes:
        kinds["samples of the rarest class"] = int(np.unique(y, return_counts=True)[1].min())
    if groups is not None:
        kinds["groups"] = len(np.unique(groups))
    what, fewest = min(kinds.items(), key=lambda item: item[1])
    if fewest < 2:
        raise TooFewError(f"the training part has {fewest} {what}; inner folds, to tune on, need two")
    n_folds = min(n_folds, fewest)
    if groups is None:
        kind = StratifiedKFold if is_classes else KFold
    else:
        kind = StratifiedGroupKFold if is_classes else GroupKFold
    splitter = kind(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros((len(y), 1)), y, groups=groups))


def judge(metric: str, y_test: np.ndarray, y_pred: Any) -> float:
    """Return the score of predictions by accuracy, balanced accuracy or R²; more is better.

    Raises
    ------
    ValueError
        The predictions have another shape than the targets.
    DivergedError
        They are NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> judge("accuracy", np.array([0, 1, 1, 1]), [0, 1, 1, 0])
    0.75
    """
    return float(_JUDGES[metric](y_test, checked(y_pred, y_test)))


def _accuracy(y_test: np.ndarray, y_pred: np.ndarray) -> float:
    return (y_pred == y_test).mean()


def _balanced_accuracy(y_test: np.ndarray, y_pred: np.ndarray) -> float:
    import numpy as np
    from sklearn.metrics import recall_score

    return recall_score(y_test, y_pred, labels=np.unique(y_test), average="macro", zero_division=0)


def _r2(y_test: np.ndarray, y_pred: np.ndarray) -> float:
    from sklearn.metrics import r2_score

    return r2_score(y_test, y_pred)


_JUDGES: dict[str, Callable] = {"accuracy": _accuracy, "balanced_accuracy": _balanced_accuracy, "r2": _r2}
