"""Each contestant against each other: Nadeau and Bengio's corrected t-test on the folds they share.

The verdict asks one question, who is worse than the best; a reader who has two candidates asks another. Here each pair has
its difference, its interval, a p-value that Holm's method has adjusted for all pairs, and Hedges' g of the differences. All
pairs are computed at once, from the covariances of the folds' scores; `compare_paired` says the same of any single one.

On a single split there are no folds to compare; then it is the exact McNemar test of the test samples, which speaks of these
fitted models only; of balanced accuracies with a weight for each class, from how many of each were right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.analysis.predictions import counts
from bench.cell import Row
from bench.metrics import errors_by_class
from bench.statistics import CONFIDENCE, MIN_FOLDS, Comparison, compare_paired, holm
from bench.statistics.by_class import bounded_by_class
from bench.statistics.effects import correction
from bench.statistics.resampled import errors_to_detect
from bench.statistics.samples import bounded, compare_samples
from bench.tables import DatasetTable, Summary

if TYPE_CHECKING:
    import numpy as np

FOLDS, SAMPLES, CLASSES = "folds", "samples", "classes"


@dataclass(frozen=True, eq=False)
class Pairs:
    """All pairs of some contestants; matrices are (k, k), row minus column.

    Attributes
    ----------
    contestants : tuple of Summary
        Highest mean first.
    difference, low, high : ndarray
        Of scores, with the ends of each pair's own interval.
    p_value, p_adjusted : ndarray
        Two-sided; the second by Holm's method over all pairs. NaN where nothing can be tested.
    effect_size : ndarray
        Hedges' g of the folds' differences; NaN on a single split.
    detectable : ndarray
        The smallest true difference that would have been found with 80 % probability, by the unadjusted test.
    n : int
        Folds, or test samples.
    basis : str
        `FOLDS`, `SAMPLES`, or `CLASSES`: samples by their classes.
    """

    contestants: tuple[Summary, ...]
    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    p_adjusted: np.ndarray
    effect_size: np.ndarray
    detectable: np.ndarray
    n: int
    basis: str

    def distinguishable(self, i: int, j: int, alpha: float = 1.0 - CONFIDENCE) -> bool:
        """Whether contestant `i` and contestant `j` are told apart, with all pairs tested at once."""
        return bool(self.p_adjusted[i, j] < alpha)


def highest_of_each_line(table: DatasetTable) -> list[Summary]:
    """Return each model (with its backend and threads) on the feature set where its mean is highest, best first.

    Only contestants that finished every fold. That the feature set was picked by its score flatters all of them a little.
    """
    best: dict[tuple, Summary] = {}
    for summary in table.ranked:
        best.setdefault(summary.line, summary)
    return list(best.values())


def compare_all(contestants: Sequence[Summary]) -> Pairs | None:
    """Compare each contestant with each other; None where there are fewer than two, or neither folds nor samples allow it.

    Parameters
    ----------
    contestants : sequence of Summary
        Of one table, all with the same folds.
    """
    if len(contestants) < 2:
        return None
    n = contestants[0].n
    return _by_folds(contestants) if n >= MIN_FOLDS else _by_samples(contestants) if n == 1 else None


def _by_folds(contestants: Sequence[Summary]) -> Pairs:
    import numpy as np
    from scipy.special import stdtr, stdtrit

    folds = list(contestants[0].scores)
    scores = np.array([[s.scores[fold] for fold in folds] for s in contestants])
    k, n = scores.shape
    ratio = contestants[0].test_train_ratio
    difference = scores.mean(axis=1)[:, None] - scores.mean(axis=1)[None, :]
    centred = scores - scores.mean(axis=1, keepdims=True)
    # row by row, as sums of squares: a formula by covariances would lose the digits of contestants that are nearly alike
    variance = np.array([((centred[i] - centred) ** 2).sum(axis=1) for i in range(k)]) / (n - 1)
    error = np.sqrt(variance * (1.0 / n + ratio))
    alike = variance <= 1e-24
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = np.where(alike, np.nan, 2.0 * stdtr(n - 1, -np.abs(difference) / error))
        effect = np.where(alike, np.nan, correction(n - 1) * difference / np.sqrt(variance))
    half = float(stdtrit(n - 1, 0.5 + CONFIDENCE / 2)) * error
    low, high = difference - half, difference + half
    detectable = error * errors_to_detect(n)
    for i in range(k):
        p_value[i, i] = 1.0
        for j in range(i):
            if alike[i, j]:  # differences that are all the same have rules of their own
                one = compare_paired(list(scores[i]), list(scores[j]), ratio, n_test=contestants[i].test_size)
                sides = ((i, j, one.difference, one.low, one.high), (j, i, -one.difference, _minus(one.high), _minus(one.low)))
                for a, b, d, lowest, highest in sides:
                    difference[a, b], p_value[a, b] = d, _or_nan(one.p_value)
                    low[a, b], high[a, b] = _or_nan(lowest), _or_nan(highest)
                    detectable[a, b] = _or_nan(one.detectable)
    return Pairs(
        tuple(contestants), difference, low, high, p_value, _adjusted(p_value), effect, detectable, n, FOLDS
    )


def _by_samples(contestants: Sequence[Summary]) -> Pairs | None:
    import numpy as np

    rows = [s.scored_rows[0] for s in contestants]
    n_test = rows[0].n_test
    if not n_test or any(row.n_test != n_test for row in rows):
        return None
    if contestants[0].metric == "accuracy":
        basis, compared = SAMPLES, _compared
    elif contestants[0].metric == "balanced_accuracy" and None not in [errors_by_class(row.confusion) for row in rows]:
        basis, compared = CLASSES, _compared_by_class
    else:
        return None
    k = len(rows)
    names = ("difference", "low", "high", "p_value", "detectable")
    found = {name: np.zeros((k, k)) for name in names}
    for i in range(k):
        found["p_value"][i, i] = 1.0
        for j in range(i):
            one = compared(rows[i], rows[j])
            values = (one.difference, one.low, one.high, one.p_value, one.detectable)
            mirrored = (-one.difference, -one.high, -one.low, one.p_value, one.detectable)
            for name, value, other in zip(names, values, mirrored, strict=True):
                found[name][i, j], found[name][j, i] = value, other
    effect = np.full((k, k), np.nan)
    return Pairs(
        tuple(contestants), *(found[name] for name in names[:4]), _adjusted(found["p_value"]), effect, found["detectable"],
        int(n_test), basis,
    )  # fmt: skip


def _compared(first: Row, second: Row) -> Comparison:
    both = counts(first, second)
    if both is not None:
        return compare_samples(both.first_only, both.second_only, both.n)
    return bounded(*(round((1.0 - row.accuracy) * row.n_test) for row in (first, second)), first.n_test)


def _compared_by_class(first: Row, second: Row) -> Comparison:
    (errors, sizes), (others, _) = errors_by_class(first.confusion), errors_by_class(second.confusion)
    return bounded_by_class(errors, others, sizes)


def _adjusted(p_value: np.ndarray) -> np.ndarray:
    import numpy as np

    rows, columns = np.triu_indices(len(p_value), 1)
    tested = np.isfinite(p_value[rows, columns])
    rows, columns = rows[tested], columns[tested]
    adjusted = np.full_like(p_value, np.nan)
    np.fill_diagonal(adjusted, 1.0)
    adjusted[rows, columns] = adjusted[columns, rows] = holm(np.clip(p_value[rows, columns], 0.0, 1.0).tolist())
    return adjusted


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _minus(value: float | None) -> float | None:
    return None if value is None else -value
