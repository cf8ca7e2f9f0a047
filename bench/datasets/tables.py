"""Tables that are fetched: Adult, Covertype, California housing."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from bench.datasets import cache, table
from bench.datasets.archives import members
from bench.datasets.entry import REGRESSION, Data
from bench.datasets.sources import (
    ADULT_TEST,
    ADULT_TRAIN,
    CALIFORNIA_HOUSING,
    COVERTYPE,
    COVERTYPE_15K,
    COVERTYPE_15K_HEADER,
)
from bench.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

_ADULT_COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race", "sex",
    "capital_gain", "capital_loss", "hours_per_week", "native_country", "income",
)  # fmt: skip


def adult() -> Data:
    """Return who of the US census of 1994 earns above 50,000 dollars: numbers, categories and gaps, the official split."""
    import numpy as np
    import pandas as pd

    paths = cache.locate(ADULT_TRAIN), cache.locate(ADULT_TEST)
    options = {"header": None, "names": list(_ADULT_COLUMNS), "skipinitialspace": True, "na_values": ["?"]}
    train, test = (pd.read_csv(p, **options) for p in paths)
    both = pd.concat([train, test], ignore_index=True)
    both["income"] = both["income"].str.removesuffix(".")  # the test part writes its labels with a full stop
    return table.from_frame("adult", paths[0].parent, both, "income", is_test=np.arange(len(both)) >= len(train))


def covertype() -> Data:
    """Return forest cover types (Blackard & Dean 1999): ten measures and 44 indicators, 7 classes, all 581,012 rows."""
    return _cover_types("covertype", _matrix(cache.locate(COVERTYPE)))


def covertype_15k() -> Data:
    """Return the balanced draw of 15,120 rows of Covertype that a competition handed out, without its row numbers."""
    path = cache.locate(COVERTYPE_15K)
    header = cache.locate(COVERTYPE_15K_HEADER).read_text(encoding="utf-8").strip().split(",")
    values = _matrix(path)
    if values.shape[1] != len(header):
        raise InputError(f"{path} has {values.shape[1]} columns, its header.csv {len(header)}")
    return _cover_types("covertype_15k", values[:, 1:])


def _cover_types(name: str, values: np.ndarray) -> Data:
    import numpy as np

    y, task, classes = table.labels(values[:, -1])
    return Data(name, np.ascontiguousarray(values[:, :-1], np.float32), y, task, classes)


def _matrix(path: Path) -> np.ndarray:
    """Return the numbers of a table without a header, gzipped or not."""
    import pandas as pd

    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as f:
            return pd.read_csv(f, header=None, dtype="float64").to_numpy()
    except (OSError, EOFError, ValueError) as e:
        raise InputError(f"{path} is not a readable table: {e}") from e


def california_housing() -> Data:
    """Return median house values of Californian blocks in 1990, in 100,000 dollars (Pace & Barry 1997).

    The columns are those of scikit-learn's `fetch_california_housing`: rooms, bedrooms and population per household.
    """
    import io

    import numpy as np

    path = cache.locate(CALIFORNIA_HOUSING)
    with members(path) as found:
        content = next((read() for name, read in found.items() if name.endswith("cal_housing.data")), None)
    if content is None:
        raise InputError(f"{path} has no cal_housing.data")
    longitude, latitude, age, rooms, bedrooms, population, households, income, value = np.loadtxt(
        io.BytesIO(content), delimiter=","
    ).T
    per_household = rooms / households, bedrooms / households, population / households
    X = np.stack([income, age, *per_household[:2], population, per_household[2], latitude, longitude], axis=1)
    return Data("california_housing", np.ascontiguousarray(X, np.float32), value / 100_000, REGRESSION)
