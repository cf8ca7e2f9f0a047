"""Calibration: does a model that says 90 % turn out right in 90 % of cases? Bins of a reliability diagram and their error.

The confidence of a prediction is the largest of its probabilities. Predictions are sorted into `N_BINS` bins of equal width
by their confidence; in each bin the share that is right should be the mean confidence. The expected calibration error is
the mean of the gaps between the two, weighted by the number of predictions (Guo, Pleiss, Sun and Weinberger 2017, On
calibration of modern neural networks, ICML, equations 1 to 3, with their 15 bins).

A row keeps the bins of its test fold (`measure`); `pool` adds those of several folds up, exactly, as a bin holds its sums.
The error depends on the number of bins and is never below what chance alone gives on so few samples; compare it between
models of the same folds only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

N_BINS = 15


@dataclass(frozen=True)
class Bin:
    """Predictions whose confidence lies in (``low``, ``high``]: their number, mean confidence and share that is right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The bins that hold any predictions, from the least confident on, and the expected calibration error (0..1)."""

    bins: tuple[Bin, ...]
    ece: float
    n: int


def measure(probabilities: np.ndarray, classes: np.ndarray, y_true: np.ndarray) -> dict[str, Any]:
    """Return what a row keeps of the calibration of a test fold.

    Parameters
    ----------
    probabilities : ndarray, shape (n, K)
    classes : ndarray, shape (K,)
        The class that each column stands for.
    y_true : ndarray, shape (n,)

    Returns
    -------
    dict
        ``n_bins``; ``ece``; ``bins``, a list of ``[number of the bin from 0, n, mean confidence, share that is right]``
        for each bin that holds any.

    Examples
    --------
    >>> import numpy as np
    >>> p = np.array([[0.9, 0.1], [0.9, 0.1], [0.45, 0.55], [0.35, 0.65]])
    >>> measure(p, np.array([0, 1]), np.array([0, 1, 1, 1]))
    {'n_bins': 15, 'ece': 0.4, 'bins': [[8, 1, 0.55, 1.0], [9, 1, 0.65, 1.0], [13, 2, 0.9, 0.5]]}
    """
    import numpy as np

    confidence = probabilities.max(axis=1)
    right = classes[probabilities.argmax(axis=1)] == y_true
    # bin b holds (b / N, (b + 1) / N], as in the paper
    number = np.clip(np.ceil(confidence * N_BINS).astype(int) - 1, 0, N_BINS - 1)
    counts = np.bincount(number, minlength=N_BINS)
    sums = (np.bincount(number, weights=values, minlength=N_BINS) for values in (confidence, right))
    bins = [
        [b, int(n), round(float(c / n), 6), round(float(r / n), 6)]
        for b, (n, c, r) in enumerate(zip(counts, *sums, strict=True))
        if n
    ]
    return {"n_bins": N_BINS, "ece": round(_error([(n, c, r) for _, n, c, r in bins]), 6), "bins": bins}


def pool(stored: Iterable[Mapping[str, Any] | None]) -> Calibration | None:
    """Add up what the rows of several folds keep; None where none keeps anything.

    Entries that are no calibration (a file that was edited) and those of another number of bins than the first are passed
    over.

    Examples
    --------
    >>> fold = {"n_bins": 15, "ece": 0.1, "bins": [[14, 10, 0.98, 0.9]]}
    >>> other = {"n_bins": 15, "ece": 0.02, "bins": [[14, 30, 0.98, 1.0]]}
    >>> pool([fold, None, other])
    Calibration(bins=(Bin(low=0.9333333333333333, high=1.0, n=40, confidence=0.98, accuracy=0.975),), ece=0.005, n=40)
    """
    totals: dict[int, list[float]] = {}
    n_bins = None
    for entry in stored:
        if (found := _readable(entry)) is None or n_bins not in (None, found[0]):
            continue
        n_bins = found[0]
        for b, n, confidence, accuracy in found[1]:
            total = totals.get(b)
            if total is None:
                total = totals[b] = [0.0, 0.0, 0.0]
            total[0] += n
            total[1] += n * confidence
            total[2] += n * accuracy
    if n_bins is None or not totals:
        return None
    bins = tuple(
        Bin(b / n_bins, (b + 1) / n_bins, int(n), round(c / n, 6), round(r / n, 6)) for b, (n, c, r) in sorted(totals.items())
    )
    return Calibration(bins, round(_error([(b.n, b.confidence, b.accuracy) for b in bins]), 6), sum(b.n for b in bins))


def _error(bins: Sequence[tuple[float, float, float]]) -> float:
    total = math.fsum(n for n, _, _ in bins)
    return math.fsum(n * abs(accuracy - confidence) for n, confidence, accuracy in bins) / total if total else 0.0


def _readable(entry: Any) -> tuple[int, list[tuple[int, float, float, float]]] | None:
    """Return number of bins and bins of an entry, or None where it is not one: rows come from a file."""
    try:
        n_bins = int(entry["n_bins"])
        bins = [(int(b), float(n), float(c), float(r)) for b, n, c, r in entry["bins"]]
    except (KeyError, TypeError, ValueError):
        return None
    for b, n, c, r in bins:
        if not (0 <= b < n_bins and n > 0 and 0 <= c <= 1.000001 and 0 <= r <= 1):
            return None
    return n_bins, bins
