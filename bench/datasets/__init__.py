"""Data sets by name: where the samples come from, and the checks that each passes before a model sees it.

::

    __init__.py     load(): the one way in; names, validation
    entry.py        what a data set hands over (Data), and what its entry says (Dataset, File, Reference)
    catalog.py      the entries; references.py: scores of others; sources.py: files, addresses, SHA-256
    embedded.py     the sets that scikit-learn brings along (no network)
    images.py       MNIST and its like, CIFAR-10, traffic signs, and views of them; folders.py: images in files
    tables.py       Adult, Covertype, California housing; pmlb.py, openml.py: any table of these collections
    files.py        a person's own .csv, .parquet, .arff, .npz or folder of images
    table.py        which columns are numbers, which categories; preparation.py: made numbers of, per fold
    presets.py      a fixed part: fashion_mnist@S
    cache.py        where files lie, whether they are right, and how they are brought; archives.py: members of zip and tar
    command.py      depthbench data

To add a data set: one `Dataset` in catalog.py, one function that returns `Data`, one line in its test.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.datasets import cache, openml, pmlb, presets
from bench.datasets.catalog import DATASETS
from bench.datasets.entry import CLASSIFICATION, REGRESSION, Data, Dataset
from bench.errors import InputError
from bench.names import unknown

__all__ = [
    "CLASSIFICATION", "DATASETS", "REGRESSION", "Data", "Dataset", "check", "embedded_names", "fetch", "get", "load", "names",
]  # fmt: skip


def names() -> list[str]:
    """Return the names of the registry, in its order."""
    return [d.name for d in DATASETS]


def embedded_names() -> list[str]:
    """Return the names of the data sets that need no file."""
    return [d.name for d in DATASETS if not d.sources]


def get(name: str) -> Dataset:
    """Return the entry of that name, also of ``pmlb:<name>`` and ``openml:<id>``; a preset in the name is passed over.

    Raises
    ------
    InputError
        Unknown name; the message names the nearest.

    Examples
    --------
    >>> get("digits@S").line
    '1797 handwritten digits, 8x8 pixels, 10 classes'
    >>> get("pmlb:letter").line
    '20000 samples, 16 columns, 26 classes'
    """
    base, _ = presets.parted(name)
    for collection in (pmlb, openml):
        if base.startswith(collection.PREFIX):
            return collection.entry(base.removeprefix(collection.PREFIX))
    for dataset in DATASETS:
        if dataset.name == base:
            return dataset
    raise unknown("dataset", base, [*names(), "pmlb:<name>", "openml:<id>"])


def fetch(name: str) -> list[Path]:
    """Bring the files of a data set where they are not at hand; return where they lie, verified.

    Raises
    ------
    InputError
        They cannot be had; the message says where to put them by hand.

    Examples
    --------
    >>> fetch("digits")
    []
    """
    dataset = get(name)
    if dataset.fetch is not None:
        return dataset.fetch()
    return [cache.locate(file) for file in cache.choose(dataset.sources)] if dataset.sources else []


def load(name: str, path: str | None = None, target: str | None = None) -> Data:
    """Load and check a data set of the registry, or the file or folder at `path`; ``name@S`` is a fixed part of it.

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
    base, preset = presets.parted(name)
    if path is not None:
        from bench.datasets.files import read

        data = check(read(path, target, base))
    else:
        dataset = get(base)
        data = check(dataset.load())
        if dataset.sources:
            files = {file.path: file.sha256 for file in cache.choose(dataset.sources)}
            data = replace(data, facts={**data.facts, "files": files})
    return replace(presets.subsample(data, preset) if preset else data, name=name)


def check(data: Data) -> Data:
    """Return `data` as it is, or say what is wrong with it.

    Raises
    ------
    InputError
        Shapes that do not match, no samples, infinite values, NaN that nothing fills, fewer than two classes.
    """
    import numpy as np

    where = f"dataset {data.name!r}"
    if data.X.ndim != 2 or len(data.X) != len(data.y):
        raise InputError(f"{where}: X has shape {data.X.shape} for {len(data.y)} values of y")
    if data.X.size == 0:
        raise InputError(f"{where} is empty: X has shape {data.X.shape}")
    gaps_are_filled = data.preparation is not None
    if data.X.dtype != np.uint8 and (wrong := np.isinf(data.X) if gaps_are_filled else ~np.isfinite(data.X)).any():
        row, column = np.argwhere(wrong)[0]
        n = int(wrong.sum())
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
