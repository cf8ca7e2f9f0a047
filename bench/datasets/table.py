"""From a table with named columns to `Data`: which columns are numbers, which categories, what is missing, what is left out.

Only what a column *is* is decided here, from the whole table: numbers or categories, with gaps or without. Nothing is estimated
from values: medians, and which categories a model knows, are for `Preparation`, fold by fold. What was decided is said in
``facts["inferred"]``, a line each, which the run prints and stores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.datasets.entry import CLASSIFICATION, REGRESSION, Data
from bench.datasets.preparation import ONE_HOT_MAX, Preparation
from bench.errors import InputError
from bench.names import suggestion

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

#: A target of whole numbers with more distinct values than this (and than one in twenty samples) is a quantity.
MOST_CLASSES = 20

#: A column of text in which more than this part of the values differ tells samples apart, and nothing else.
IDENTIFIER_SHARE = 0.9

#: Columns of these names that count the rows, as tools write them, are left out.
ROW_NUMBERS = ("", "id", "index", "unnamed: 0")


def is_group(column: str) -> bool:
    """Whether a column says which samples belong together; it is for ``split = "group:<column>"``, and no model sees it."""
    return column == "group" or column.startswith("group_")


def listed(names: Any) -> str:
    """Return the first names, and how many more there are."""
    names = [str(n) for n in names]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def enough_memory(n_values: int, where: Any) -> None:
    """Raise InputError where a matrix of so many values, and the copies that a run makes of it, would not fit."""
    import psutil

    needed, free = 3 * 4 * n_values, psutil.virtual_memory().available
    if needed > free:
        raise InputError(f"{where} is too large: its {n_values} values need about {needed >> 30} GiB, {free >> 30} are free")


def from_frame(
    name: str,
    where: Any,
    table: pd.DataFrame,
    target: str | None,
    *,
    task: str | None = None,
    is_test: np.ndarray | None = None,
) -> Data:
    """Return the data in a table; `where` is what messages call it.

    Raises
    ------
    InputError
        No such target, a missing target value, a column without any value, or one that holds no plain values.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"size": [1.5, None, 3.0], "color": ["red", "blue", "red"], "y": ["a", "b", "a"]})
    >>> data = from_frame("mine", "mine.csv", table, "y")
    >>> data.X.tolist(), data.classes
    ([[1.5, 1.0], [nan, 0.0], [3.0, 1.0]], ('a', 'b'))
    >>> print(*data.facts["inferred"], sep="; ")
    target 'y': 2 classes (a, b); 1 column of numbers; 1 of categories: color (2, one-hot); missing: size (1)
    """
    import numpy as np
    import pandas as pd

    table = table.set_axis([str(c) for c in table.columns], axis=1)
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise InputError(f"{where} has two columns named {twice[0]!r}")
    if target is None:
        raise InputError(f"{where}: say which column is the target (--target, or target = in the suite)")
    if target not in table:
        raise InputError(f"{where} has no column {target!r}{suggestion(target, table)} Its columns: {listed(table)}")
    if table.empty:
        raise InputError(f"{where} is empty: it has no rows")
    if table[target].isna().any():
        row = int(np.argmax(table[target].isna().to_numpy()))
        raise InputError(f"{where}: the target {target!r} is missing in row {row + 1} (after the names of the columns)")
    groups = {c: pd.factorize(table[c])[0] for c in table if is_group(c) and c != target}
    features = table.drop(columns=[target, *groups])
    enough_memory(features.size, where)
    X, preparation, inferred = _columns(where, features)
    y, task, classes = labels(_plain(table[target]), task)
    kind = f"{len(classes)} classes ({listed(classes)})" if task == CLASSIFICATION else "a number to predict"
    inferred = [f"target {target!r}: {kind}", *inferred]
    if groups:
        inferred.append(f"groups, not seen by models: {listed(groups)}")
    return Data(
        name, X, y, task, classes, is_test=is_test, groups=groups, preparation=preparation, facts={"inferred": inferred}
    )


def _plain(target: pd.Series) -> np.ndarray:
    """Return the values of a target; pandas' own kinds of integers as NumPy's."""
    import numpy as np
    import pandas as pd

    values = target.to_numpy()
    return target.to_numpy(np.float64) if values.dtype == object and pd.api.types.is_numeric_dtype(target) else values


def _columns(where: Any, features: pd.DataFrame) -> tuple[np.ndarray, Preparation | None, list[str]]:
    """Return the matrix, how a fold of it is prepared (None: it is numbers throughout), and what was inferred."""
    import numpy as np

    columns, one_hot, ordinal, gaps, left_out = [], {}, {}, {}, {}
    for name in features:
        column = features[name]
        n_missing = int(column.isna().sum())
        if n_missing == len(column):
            raise InputError(f"{where}: column {name!r} has no value at all; drop it")
        numbers = _as_numbers(column)
        if numbers is not None:
            if name.lower() in ROW_NUMBERS and _counts_rows(numbers):
                left_out[name] = "it counts the rows"
                continue
            columns.append(numbers)
        else:
            codes, n_values = _as_codes(where, name, column)
            if n_values > max(ONE_HOT_MAX, IDENTIFIER_SHARE * (len(column) - n_missing)):
                left_out[name] = "nearly every value differs"
                continue
            (one_hot if n_values <= ONE_HOT_MAX else ordinal)[len(columns)] = f"{name} ({n_values}"
            columns.append(codes)
        if n_missing:
            gaps[len(columns) - 1] = f"{name} ({n_missing})"
    if not columns:
        raise InputError(f"{where} has no column to learn from")
    categories = {*one_hot, *ordinal}
    numbers = [i for i in range(len(columns)) if i not in categories]
    filled = tuple(i for i in numbers if i in gaps)
    inferred = [f"{len(numbers)} column{'s' * (len(numbers) != 1)} of numbers"]
    if categories:
        how = [f"{text}, one-hot)" for text in one_hot.values()] + [f"{text}, codes)" for text in ordinal.values()]
        inferred.append(f"{len(categories)} of categories: {listed(how)}")
    if gaps:
        inferred.append(f"missing: {listed(gaps.values())}")
    if left_out:
        inferred.append(f"left out: {listed(f'{name} ({why})' for name, why in left_out.items())}")
    X = np.ascontiguousarray(np.stack(columns, axis=1))
    if not categories and not filled:
        return X, None, inferred
    return X, Preparation(tuple(i for i in numbers if i not in gaps), filled, tuple(one_hot), tuple(ordinal)), inferred


def _as_numbers(column: pd.Series) -> np.ndarray | None:
    """Return a column of numbers, truth values or dates (in days since 1970) as float32; None for everything else."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return None
    if pd.api.types.is_datetime64_any_dtype(column):
        naive = column.dt.tz_localize(None) if column.dt.tz is not None else column
        column = (naive - pd.Timestamp(0)) / pd.Timedelta(days=1)
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        return None
    with np.errstate(over="ignore"):  # what is infinite as float32 is answered by the check that follows
        return column.to_numpy(np.float64, na_value=np.nan).astype(np.float32)


def _as_codes(where: Any, name: str, column: pd.Series) -> tuple[np.ndarray, int]:
    """Return the codes of a column of categories (NaN where missing), in their order, and how many there are."""
    import numpy as np
    import pandas as pd

    if not isinstance(column.dtype, pd.CategoricalDtype):
        first = column.dropna().iloc[0]
        if isinstance(first, Sequence | dict | np.ndarray) and not isinstance(first, str | bytes):
            raise InputError(f"{where}: column {name!r} holds {type(first).__name__}s, not plain values")
        column = column.map(lambda v: v.decode(errors="replace") if isinstance(v, bytes) else str(v), na_action="ignore")
        column = column.astype("category")
    column = column.cat.remove_unused_categories()
    codes = column.cat.codes.to_numpy().astype(np.float32)
    return np.where(codes < 0, np.float32(np.nan), codes), len(column.cat.categories)


def _counts_rows(numbers: np.ndarray) -> bool:
    import numpy as np

    return bool((numbers - numbers[0] == np.arange(len(numbers), dtype=np.float32)).all())


def labels(y: np.ndarray, task: str | None = None) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Tell classes from quantities; return y as `Data` has it, the task and the names of the classes.

    Text, truth values and whole numbers with at most 20 distinct values (or fewer than one in twenty samples) are classes; any
    other number is a quantity.

    Examples
    --------
    >>> import numpy as np
    >>> labels(np.array(["no", "yes", "no"]))
    (array([0, 1, 0]), 'classification', ('no', 'yes'))
    >>> labels(np.array([0.5, 1.5]))[1]
    'regression'
    """
    import numpy as np

    if task is None:
        task = REGRESSION if _is_quantity(y) else CLASSIFICATION
    if task == REGRESSION:
        return y.astype(np.float64), REGRESSION, ()
    classes, numbers = np.unique(y if y.dtype.kind in "fiub" else y.astype(str), return_inverse=True)
    if classes.dtype.kind == "f" and (classes == np.round(classes)).all():
        classes = classes.astype(np.int64)  # "1", not "1.0"
    return numbers.astype(np.int64).reshape(-1), CLASSIFICATION, tuple(str(c) for c in classes)


def _is_quantity(y: np.ndarray) -> bool:
    import numpy as np

    if y.dtype.kind not in "fiu":
        return False
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.round(y)).all()):
        return True
    return len(np.unique(y)) > max(MOST_CLASSES, len(y) // 20)
