"""Any data set of OpenML (Vanschoren et al. 2014), as ``openml:<id>``, by scikit-learn's fetch_openml, which checks its MD5.

What OpenML marks as the target is the target; columns that it marks as identifiers are left out.
"""

from __future__ import annotations

import functools
import re
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.datasets import cache, table
from bench.datasets.entry import Data, Dataset
from bench.errors import InputError

PREFIX = "openml:"


def entry(number: str) -> Dataset:
    """Return the registry's entry of ``openml:<id>``; nothing is fetched.

    Raises
    ------
    InputError
        Not a number.

    Examples
    --------
    >>> entry("61").name
    'openml:61'
    """
    if re.fullmatch(r"[1-9]\d{0,8}", number) is None:
        raise InputError(f"dataset {PREFIX + number!r}: expected {PREFIX}<number of a data set>, such as {PREFIX}61")
    return Dataset(
        PREFIX + number,
        "a data set of OpenML",
        functools.partial(load, number),
        "stands in its description on OpenML",
        "Vanschoren et al., OpenML: networked science in machine learning, SIGKDD Explorations 15 (2014); and its own authors",
        fetch=functools.partial(fetch, number),
    )


def is_here(number: str) -> bool:
    """Whether its description has been fetched before; the samples are fetched together with it."""
    return (_home() / "openml.org" / "api" / "v1" / "json" / "data" / f"{number}.gz").is_file()


def fetch(number: str) -> list[Path]:
    """Bring the data set to the cache folder; return the folder of OpenML's files."""
    _fetch(number)
    return [_home()]


def load(number: str) -> Data:
    """Return the samples; fetch them where they are not at hand.

    Raises
    ------
    InputError
        It cannot be had, or has no single target.
    """
    import scipy.sparse

    name = PREFIX + number
    bunch, notes = _fetch(number)
    if len(bunch.target_names) != 1:
        raise InputError(f"dataset {name!r} has {len(bunch.target_names)} targets; one is needed")
    X = bunch.data
    if scipy.sparse.issparse(X):
        import pandas as pd

        table.enough_memory(X.shape[0] * X.shape[1], name)
        X = pd.DataFrame(X.toarray(), columns=bunch.feature_names)
    target = bunch.target_names[0]
    data = table.from_frame(name, name, X.assign(**{target: bunch.target}), target)
    about = f"OpenML {number}: {bunch.details['name']}, version {bunch.details['version']}"
    data.facts.update(about=about, inferred=[*data.facts["inferred"], *notes])
    return data


def _home() -> Path:
    return cache.folder() / "openml"  # where fetch_openml puts its files, given the folder above


def _fetch(number: str):
    """Return scikit-learn's bunch and what OpenML says against the data set."""
    import urllib.error

    from sklearn.datasets import fetch_openml

    try:
        with _timeout(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            bunch = fetch_openml(data_id=int(number), data_home=cache.folder(), parser="auto", n_retries=cache.RETRIES)
    except urllib.error.HTTPError as e:
        reason = "there is none of that number" if e.code in (404, 412) else f"{e.code} {e.reason}"
        raise InputError(f"cannot fetch {PREFIX}{number}: {reason}") from e
    except urllib.error.URLError as e:
        raise InputError(f"cannot fetch {PREFIX}{number}: {_why(e.reason)}") from e
    except OSError as e:
        raise InputError(
            f"cannot fetch {PREFIX}{number} to {_home()}: {_why(e)}; {cache.VARIABLE} names a folder that can be written"
        ) from e
    except ValueError as e:  # a wrong MD5, no ARFF, no such set: sklearn's own sentences say which
        raise InputError(f"cannot fetch {PREFIX}{number}: {e}") from e
    return bunch, [str(w.message) for w in caught if "OpenML" in str(w.message) or "inactive" in str(w.message)]


def _why(error: object) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__


@contextmanager
def _timeout() -> Iterator[None]:
    """Give sockets that are opened meanwhile a time limit; fetch_openml has none of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(cache.TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
