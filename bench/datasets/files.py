"""A person's own data: a table (.csv, .parquet, .arff), arrays (.npz), or a folder of images.

A table names its columns; one is the target, and the others are numbers or categories, with gaps or without (`table.py` says
what becomes of them). NPZ: ``X`` of shape (n, d), (n, H, W) or (n, H, W, C), and ``y``; if there, ``is_test`` (n booleans) is
the official split. Columns named ``group`` or ``group_...`` say which samples belong together; they are for
``split = "group:<column>"`` and no model sees them. A folder: one sub-folder of images per class (`folders.py`).

Nothing in a file is executed: arrays of objects are refused.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets import cache, folders, table
from bench.datasets.entry import Data
from bench.datasets.preparation import Preparation
from bench.errors import InputError
from bench.names import suggestion

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".arff", ".npz")
MAX_BYTES = 4 << 30

#: What stands for a missing value in a .csv file, beside nothing.
MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def is_path(name: str) -> bool:
    """Whether the name of a data set is a path: it ends like a file that can be read, or has a slash, as a folder's must.

    Examples
    --------
    >>> is_path("my.csv"), is_path("./photos"), is_path("photos/"), is_path("digits")
    (True, True, True, False)
    """
    return name.lower().endswith(SUFFIXES) or "/" in name or os.sep in name


def read(path: str | Path, target: str | None, name: str) -> Data:
    """Read the file or folder; see the head of this module for what it may hold.

    Raises
    ------
    InputError
        Not there, unreadable, truncated, ragged, empty, too large, without the target; the message names file and column.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return folders.read(path, name)
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise InputError(f"{path}: unknown kind of file {suffix!r}; allowed: {', '.join(SUFFIXES)}, or a folder of images")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES >> 30} GiB")
        if suffix == ".npz":
            data = _read_npz(path, target, name)
        else:
            frame, notes = {".csv": _read_csv, ".parquet": _read_parquet, ".arff": _read_arff}[suffix](path)
            data = table.from_frame(name, path, frame, target)
            data.facts["inferred"][:0] = notes
        data.facts["file"] = {"name": path.name, "sha256": cache.sha256_of(path)}
        return data
    except MemoryError as e:
        raise InputError(f"{path} does not fit into memory") from e
    except OSError as e:
        raise InputError(f"cannot read {path}: {e.strerror or e}") from e


def _read_csv(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Read with Arrow, which refuses rows of another length instead of filling them up."""
    import pyarrow as pa
    from pyarrow import csv

    separator = _separator(path)
    try:
        found = csv.read_csv(
            path,
            read_options=csv.ReadOptions(use_threads=False, block_size=16 << 20),
            parse_options=csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=csv.ConvertOptions(null_values=MISSING, strings_can_be_null=True),
        )
    except (pa.ArrowException, UnicodeDecodeError) as e:
        raise InputError(f"{path} is not a readable table: {str(e).strip()}") from e
    binary = [field.name for field in found.schema if pa.types.is_binary(field.type)]
    if binary:
        raise InputError(f"{path}: column {binary[0]!r} is not text in UTF-8; save the file in that encoding")
    notes = [] if separator == "," else [f"columns are separated by {separator!r}"]
    return _to_frame(path, found), notes


def _separator(path: Path) -> str:
    """Return what separates the columns in the first line: the most frequent of comma, semicolon and tab."""
    with open(path, encoding="utf-8", errors="replace") as f:
        first = f.readline(1 << 20)
    return max(",;\t", key=first.count)


def _read_parquet(path: Path) -> tuple[pd.DataFrame, list[str]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            table.enough_memory(file.metadata.num_rows * file.metadata.num_columns, path)
            found = file.read(use_threads=False)
    except (pa.ArrowException, UnicodeDecodeError) as e:
        raise InputError(f"{path} is not a readable Parquet file: {str(e).strip()}") from e
    return _to_frame(path, found), []


def _to_frame(path: Path, found) -> pd.DataFrame:
    """Turn Arrow's table into pandas'; done by column, as two of one name would otherwise be one."""
    twice = {n for n in found.column_names if found.column_names.count(n) > 1}
    if twice:
        raise InputError(f"{path} has two columns named {sorted(twice)[0]!r}")
    return found.to_pandas(use_threads=False, date_as_object=False)


def _read_arff(path: Path) -> tuple[pd.DataFrame, list[str]]:
    import arff
    import pandas as pd

    try:
        with open(path, encoding="utf-8") as f:
            content = arff.load(f)
    except (arff.ArffException, UnicodeDecodeError) as e:
        raise InputError(f"{path} is not a readable ARFF file: {str(e).strip()}") from e
    attributes = content["attributes"]
    frame = pd.DataFrame(content["data"], columns=[name for name, _ in attributes])
    for name, kind in attributes:
        if isinstance(kind, list):  # nominal: in the order in which the file declares its values
            frame[name] = pd.Categorical(frame[name], categories=kind)
    return frame, []


def _read_npz(path: Path, target: str | None, name: str) -> Data:
    import numpy as np

    target = target or "y"
    arrays = _arrays(path)
    for key in ("X", target):
        if key not in arrays:
            raise InputError(f"{path} has no array {key!r}{suggestion(key, arrays)} Its arrays: {table.listed(arrays)}")
    X, y = arrays["X"], arrays[target]
    if X.ndim not in (2, 3, 4) or y.ndim != 1 or len(X) != len(y):
        raise InputError(f"{path}: X must be (n, d), (n, H, W) or (n, H, W, C) and {target} (n,): {X.shape}, {y.shape}")
    if X.dtype.kind not in "fiub":
        raise InputError(f"{path}: X holds {X.dtype}, not numbers")
    beside = {k: v for k, v in arrays.items() if k not in ("X", target)}
    for key, array in beside.items():
        if (table.is_group(key) or key == "is_test") and array.shape != y.shape:
            raise InputError(f"{path}: {key} must have shape {y.shape}, it has {array.shape}")
    is_image = X.ndim > 2
    flat = np.ascontiguousarray(X.reshape(len(X), -1), np.uint8 if is_image and X.dtype == np.uint8 else np.float32)
    preparation, gaps = (None, []) if is_image else _gaps(path, flat)
    y, task, classes = table.labels(y)
    return Data(
        name, flat, y, task, classes,
        image_shape=(*X.shape[1:3], X.shape[3] if X.ndim == 4 else 1) if is_image else None,
        is_test=beside["is_test"].astype(bool) if "is_test" in beside else None,
        groups={k: np.unique(v, return_inverse=True)[1] for k, v in beside.items() if table.is_group(k)},
        preparation=preparation,
        facts={"inferred": [f"target {target!r}: {f'{len(classes)} classes' if classes else 'a number to predict'}", *gaps]},
    )  # fmt: skip


def _arrays(path: Path) -> dict[str, np.ndarray]:
    import zipfile

    import numpy as np

    try:
        # opened here: NumPy forgets to close what it cannot read
        with open(path, "rb") as file:
            with zipfile.ZipFile(file) as archive:
                size = sum(member.file_size for member in archive.infolist())
            if size > MAX_BYTES:
                raise InputError(f"{path} is larger than {MAX_BYTES >> 30} GiB once it is unpacked")
            with np.load(file, allow_pickle=False) as archive:
                return {key: archive[key] for key in archive.files}
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        if isinstance(e, InputError):
            raise
        raise InputError(f"{path} is not a readable .npz file (truncated, or holding objects): {e}") from e


def _gaps(path: Path, X: np.ndarray) -> tuple[Preparation | None, list[str]]:
    """Return how columns with missing values are prepared; None where all are complete."""
    import numpy as np

    missing = np.isnan(X).sum(axis=0)
    if (missing == len(X)).any() and len(X):
        raise InputError(f"{path}: column {int(missing.argmax())} of X has no value at all; drop it")
    if not missing.any():
        return None, []
    kept, filled = (tuple(np.flatnonzero(mask).tolist()) for mask in (missing == 0, missing > 0))
    return Preparation(kept, filled), [f"missing: {table.listed(f'column {c} ({missing[c]})' for c in filled)}"]
