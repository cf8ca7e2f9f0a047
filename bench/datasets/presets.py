"""Presets S and M: a fixed, stratified part of a data set, for a first look; L is all of it.

The preset stands in the name (``fashion_mnist@S``), so that no table can pass a part off as the whole. Training and test part
are drawn each by itself, the same samples at every run, and the samples of S are among those of M.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.datasets.entry import CLASSIFICATION, Data
from bench.errors import InputError

if TYPE_CHECKING:
    import numpy as np

#: At most so many samples, of the training part and of the test part where there is an official one.
SIZES: dict[str, int | None] = {"S": 1_000, "M": 10_000, "L": None}

#: Of the draw; stored with each run.
SEED = 20_260_101

#: What a rare class keeps (or all it has), so that it reaches every fold.
FEWEST = 10


def parted(name: str) -> tuple[str, str | None]:
    """Return the name of the data set and its preset.

    Raises
    ------
    InputError
        An unknown preset.

    Examples
    --------
    >>> parted("fashion_mnist@S"), parted("iris")
    (('fashion_mnist', 'S'), ('iris', None))
    """
    match = re.fullmatch(r"(.+)@([^@/.]*)", name, re.DOTALL)
    if match is None:
        return name, None
    if match[2] not in SIZES:
        raise InputError(f"{name!r}: unknown preset {match[2]!r}; allowed: {', '.join(SIZES)}")
    return match[1], match[2]


def subsample(data: Data, preset: str) -> Data:
    """Return the part of `data` that the preset stands for; what was drawn stands in its facts.

    Examples
    --------
    >>> from bench.datasets import load
    >>> len(subsample(load("digits"), "S").y)
    1000
    """
    import numpy as np

    size = SIZES[preset]
    parts = [np.arange(len(data.y))]
    if data.is_test is not None:
        parts = [np.flatnonzero(~data.is_test), np.flatnonzero(data.is_test)]
    labels = data.y if data.task == CLASSIFICATION else np.zeros(len(data.y), np.int64)
    drawn = [p if size is None or len(p) <= size else p[_draw(labels[p], size, i)] for i, p in enumerate(parts)]
    keep = np.sort(np.concatenate(drawn))
    n_samples = {"train": len(drawn[0]), "test": len(drawn[1])} if len(drawn) == 2 else {"all": len(drawn[0])}
    facts = {**data.facts, "preset": {"name": preset, "seed": SEED, "n_samples": n_samples}}
    if len(keep) == len(data.y):
        return replace(data, facts=facts)
    return replace(
        data,
        X=np.ascontiguousarray(data.X[keep]),
        y=data.y[keep],
        is_test=None if data.is_test is None else data.is_test[keep],
        groups={name: values[keep] for name, values in data.groups.items()},
        facts=facts,
    )


def _draw(labels: np.ndarray, size: int, part: int) -> np.ndarray:
    """Return the positions of `size` samples, each class in its proportion."""
    import numpy as np

    classes, positions, counts = np.unique(labels, return_inverse=True, return_counts=True)
    quota = _quotas(counts, size)
    random = np.random.default_rng((SEED, part))
    shuffled = [random.permutation(np.flatnonzero(positions == c)) for c in range(len(classes))]
    return np.concatenate([s[:q] for s, q in zip(shuffled, quota, strict=True)])


def _quotas(counts: np.ndarray, size: int) -> np.ndarray:
    """Return how many of each class: proportional, by largest remainders, but no class below `FEWEST` (or all it has)."""
    import numpy as np

    share = counts * (size / counts.sum())
    quota = np.maximum(np.floor(share).astype(int), np.minimum(counts, FEWEST))
    for c in np.argsort(quota - share, kind="stable"):
        if quota.sum() >= size:
            break
        quota[c] += quota[c] < counts[c]
    while quota.sum() > size and quota.max() > FEWEST:
        quota[quota.argmax()] -= 1  # the largest class pays for what the rare ones keep
    return quota
