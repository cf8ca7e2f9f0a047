"""Two rows of one fold, sample by sample: on how many they differ, and which is right where just one of them is.

A row keeps for each test sample how far its prediction is off (``bench/predictions.py``). Two rows can be held against each
other where they were tested on the same samples: the hashes of labels and split must agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bench.cell import Row
from bench.predictions import unpack

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Counts:
    """Of `n` test samples: on how many the predictions differ, and on how many just the first, or the second, is right."""

    n: int = 0
    differ: int = 0
    first_only: int = 0
    second_only: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.n + other.n,
            self.differ + other.differ,
            self.first_only + other.first_only,
            self.second_only + other.second_only,
        )


def offsets(row: Row) -> np.ndarray | None:
    """Return how far each prediction of a row is off, zero where it is right; None where the row keeps none.

    Text that cannot be read (rows come from a file that anyone may have edited) counts as none.
    """
    if not isinstance(row.predictions, str) or not row.n_test or not row.n_classes:
        return None
    try:
        return _unpacked(row.predictions, int(row.n_test), int(row.n_classes))
    except (TypeError, ValueError):
        return None


@lru_cache(maxsize=256)
def _unpacked(text: str, n_test: int, n_classes: int) -> np.ndarray:
    found = unpack(text, n_test, n_classes)
    found.flags.writeable = False
    return found


def same_samples(first: Row, second: Row) -> bool:
    """Whether two rows were tested on the same samples, and say so by their hashes."""
    proofs = ("y_sha256", "split_sha256")
    return all(getattr(first, name) and getattr(first, name) == getattr(second, name) for name in proofs)


def counts(first: Row, second: Row) -> Counts | None:
    """Return how the predictions of two rows differ; None where they cannot be held against each other."""
    if not same_samples(first, second) or first.n_classes != second.n_classes:
        return None
    a, b = offsets(first), offsets(second)
    if a is None or b is None or len(a) != len(b):
        return None
    right_a, right_b = a == 0, b == 0
    return Counts(
        len(a), int((a != b).sum()), int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    )
