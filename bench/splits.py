"""Who is trained on and who is tested on: made from the data set and the seed alone, so every model meets the same.

``kfold``           repeated stratified k-fold (plain k-fold for regression); each repeat shuffles anew
``official``        the split that the data set came with; one fold
``group:<column>``  k-fold in which samples that share a value of the column never stand on both sides; of a set with an
                    official split it divides the training part, and the test part stays out
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.datasets import CLASSIFICATION, Data
from bench.errors import InputError
from bench.names import unknown

if TYPE_CHECKING:
    import numpy as np

RULES = ("kfold", "official", "group:<column>")


def n_splits(rule: str, folds: int) -> int:
    """Return how many folds one repeat of the rule has."""
    return 1 if rule == "official" else folds


def split(data: Data, rule: str, folds: int, repeat: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the (train, test) indices of all folds of one repeat, int64 and sorted.

    Raises
    ------
    InputError
        The data set does not allow the rule: too few samples in a class, no such column, no official split.

    Examples
    --------
    >>> from bench.datasets import load
    >>> [(len(train), len(test)) for train, test in split(load("iris"), "kfold", 5, repeat=0, seed=0)]
    [(120, 30), (120, 30), (120, 30), (120, 30), (120, 30)]
    """
    import numpy as np

    if rule == "official":
        if data.is_test is None:
            raise InputError(f"dataset {data.name!r} has no official split; use split = \"kfold\"")
        return [(np.flatnonzero(~data.is_test), np.flatnonzero(data.is_test))]
    rows = np.arange(len(data.y)) if rule == "kfold" or data.is_test is None else np.flatnonzero(~data.is_test)
    y = data.y[rows]
    splitter, groups = _splitter(data, rule, rows, folds, derived_seed(seed, repeat))
    return [(rows[train], rows[test]) for train, test in splitter.split(y, y, groups=groups)]


def _splitter(data: Data, rule: str, rows: np.ndarray, folds: int, seed: int):
    import numpy as np
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    if rule == "kfold":
        if len(data.y) < folds:
            raise InputError(f"dataset {data.name!r} has {len(data.y)} samples, fewer than folds = {folds}")
        if data.task == CLASSIFICATION:
            _check_classes(data, rows, folds)
            return StratifiedKFold(folds, shuffle=True, random_state=seed), None
        return KFold(folds, shuffle=True, random_state=seed), None
    column = rule.removeprefix("group:")
    if column not in data.groups:
        if not data.groups:
            raise InputError(f"dataset {data.name!r} has no group columns; use split = \"kfold\"")
        raise unknown(f"group column of dataset {data.name!r}:", column, data.groups)
    groups = data.groups[column][rows]
    n_groups = len(np.unique(groups))
    if n_groups < folds:
        raise InputError(f"dataset {data.name!r}: column {column!r} has {n_groups} groups, fewer than folds = {folds}")
    if data.task == CLASSIFICATION:
        _check_classes(data, rows, folds)
        return StratifiedGroupKFold(folds, shuffle=True, random_state=seed), groups
    return GroupKFold(folds, shuffle=True, random_state=seed), groups


def _check_classes(data: Data, rows: np.ndarray, folds: int) -> None:
    """Every class must reach every test fold, or its accuracy is that of a class never asked for."""
    import numpy as np

    counts = np.bincount(data.y[rows], minlength=len(data.classes))
    fewest = int(counts.argmin())
    if counts[fewest] < folds:
        label = data.classes[fewest] if fewest < len(data.classes) else fewest
        raise InputError(
            f"dataset {data.name!r}: class {label!r} has {counts[fewest]} samples, fewer than folds = {folds}; "
            "take fewer folds, or leave the class out"
        )


def derived_seed(*parts: int) -> int:
    """Return a seed that depends on all of `parts` and looks like none of them.

    Examples
    --------
    >>> derived_seed(0, 1) == derived_seed(0, 1) != derived_seed(1, 0)
    True
    """
    import numpy as np

    return int(np.random.SeedSequence(parts).generate_state(1)[0])
