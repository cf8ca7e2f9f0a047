"""A person's own data: a table in a .csv file, or arrays in an .npz file.

CSV: the first line names the columns; one is the target, the others are numbers. NPZ: ``X`` of shape (n, d), (n, H, W)
or (n, H, W, C), and ``y``; if there, ``is_test`` (n booleans) is the official split. Columns named ``group`` or
``group_...`` say which samples belong together; they are for `split = "group:<column>"` and no model sees them.

A target of text, booleans or whole numbers with at most 20 distinct values (or fewer than one in twenty samples) is a
class; any other number is a quantity to be predicted. Nothing in a file is executed: arrays of objects are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import InputError
from bench.names import suggestion

if TYPE_CHECKING:
    import numpy as np

    from bench.datasets import Data

SUFFIXES = (".csv", ".npz")
MAX_BYTES = 4 << 30


def read(path: str | Path, target: str | None, name: str) -> Data:
    """Read the file; see the head of this module for what it may hold.

    Raises
    ------
    InputError
        Not there, unreadable, truncated, ragged, empty, without the target; the message names the file and the column.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: unknown kind of file {path.suffix!r}; allowed: {', '.join(SUFFIXES)}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES >> 30} GiB")
        return (_read_csv if path.suffix.lower() == ".csv" else _read_npz)(path, target, name)
    except OSError as e:
        raise InputError(f"cannot read {path}: {e.strerror or e}") from e


def _is_group(column: str) -> bool:
    return column == "group" or column.startswith("group_")


def _read_csv(path: Path, target: str | None, name: str) -> Data:
    import numpy as np
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as e:
        raise InputError(f"{path} is not a readable table: {str(e).strip()}") from e
    table.columns = [str(c) for c in table.columns]
    if target is None:
        raise InputError(f"{path}: say which column is the target (--target, or target = in the suite)")
    if target not in table:
        raise InputError(f"{path} has no column {target!r}{suggestion(target, table)} Its columns: {_list(table)}")
    groups = {c: pd.factorize(table[c])[0] for c in table if _is_group(c) and c != target}
    features = table.drop(columns=[target, *groups])
    text = [c for c in features if not pd.api.types.is_numeric_dtype(features[c])]
    if text:
        raise InputError(f"{path}: column {text[0]!r} is not numbers throughout; turn it into numbers or drop it")
    if table[target].isna().any():
        line = int(np.argmax(table[target].isna().to_numpy())) + 2
        raise InputError(f"{path}: the target {target!r} is missing in line {line}")
    return _data(name, features.to_numpy(np.float32), table[target].to_numpy(), groups=groups)


def _read_npz(path: Path, target: str | None, name: str) -> Data:
    import zipfile
    import zlib

    import numpy as np

    target = target or "y"
    try:
        # opened here: NumPy forgets to close what it cannot read
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise InputError(f"{path} is not a readable .npz file (truncated, or holding objects): {e}") from e
    for key in ("X", target):
        if key not in arrays:
            raise InputError(f"{path} has no array {key!r}{suggestion(key, arrays)} Its arrays: {_list(arrays)}")
    X, y = arrays["X"], arrays[target]
    if X.ndim not in (2, 3, 4) or y.ndim != 1 or len(X) != len(y):
        raise InputError(f"{path}: X must be (n, d), (n, H, W) or (n, H, W, C) and {target} (n,): {X.shape}, {y.shape}")
    if X.dtype.kind not in "fiub":
        raise InputError(f"{path}: X holds {X.dtype}, not numbers")
    beside = {k: v for k, v in arrays.items() if k not in ("X", target)}
    for key, array in beside.items():
        if (_is_group(key) or key == "is_test") and array.shape != y.shape:
            raise InputError(f"{path}: {key} must have shape {y.shape}, it has {array.shape}")
    return _data(
        name,
        X.reshape(len(X), -1).astype(np.float32),
        y,
        groups={k: np.unique(v, return_inverse=True)[1] for k, v in beside.items() if _is_group(k)},
        is_test=beside["is_test"].astype(bool) if "is_test" in beside else None,
        image_shape=None if X.ndim == 2 else (*X.shape[1:3], X.shape[3] if X.ndim == 4 else 1),
    )


def _data(name: str, X: np.ndarray, y: np.ndarray, **more) -> Data:
    """Tell classes from quantities."""
    import numpy as np

    from bench.datasets import CLASSIFICATION, REGRESSION, Data

    X = np.ascontiguousarray(X)
    if _is_quantity(y):
        return Data(name, X, y.astype(np.float64), REGRESSION, **more)
    classes, numbers = np.unique(y.astype(str) if y.dtype.kind in "OUST" else y, return_inverse=True)
    labels = tuple(str(c) for c in classes)
    return Data(name, X, numbers.astype(np.int64).reshape(-1), CLASSIFICATION, classes=labels, **more)


def _is_quantity(y: np.ndarray) -> bool:
    import numpy as np

    if y.dtype.kind not in "fiu":
        return False
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.round(y)).all()):
        return True
    return len(np.unique(y)) > max(20, len(y) // 20)


def _list(names) -> str:
    names = [str(n) for n in names]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
