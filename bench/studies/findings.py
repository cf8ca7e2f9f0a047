"""From rows to findings: means, paired comparisons and their outcome, and how numbers are said.

The statistics are the harness's own (`bench.statistics`): corrected resampled intervals over folds, Wilson's for one test set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.statistics import Comparison, Interval, compare_paired, mean_interval, wilson_interval
from bench.statistics import test_train_ratio as ratio_of
from bench.studies.entry import REFUTED, SUPPORTED, UNDECIDED

Row = Mapping[str, Any]


def only(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """Return the rows whose fields have these values.

    Examples
    --------
    >>> only([{"model": "lda", "fold": 0}, {"model": "knn", "fold": 0}], model="knn")
    [{'model': 'knn', 'fold': 0}]
    """
    return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]


def values(rows: Iterable[Row], field: str) -> list[Any]:
    """Return the values of a field in the order in which they first stand there, each once."""
    return list(dict.fromkeys(row[field] for row in rows))


def mean_of(rows: Sequence[Row], metric: str = "accuracy") -> Interval:
    """Return the mean over folds with its corrected interval; for a single fold with accuracies Wilson's.

    Rows without the metric (a cell that failed) are passed over.

    Examples
    --------
    >>> rows = [{"accuracy": a, "n_train": 80, "n_test": 20} for a in (0.9, 0.92, 0.94)]
    >>> round(mean_of(rows).mean, 2)
    0.92
    """
    rows = [row for row in rows if row.get(metric) is not None]
    if len(rows) == 1 and metric == "accuracy":
        return wilson_interval(rows[0][metric], rows[0]["n_test"])
    bounds = (0.0, 1.0) if metric == "accuracy" else (-math.inf, math.inf)
    return mean_interval([row[metric] for row in rows], _ratio(rows), bounds=bounds)


def compare(first: Sequence[Row], second: Sequence[Row], metric: str = "accuracy") -> Comparison:
    """Compare two contestants on the folds that both finished, first minus second (corrected resampled t-test)."""
    by_fold = {_fold(row): row for row in second if row.get(metric) is not None}
    pairs = [(row, by_fold[_fold(row)]) for row in first if row.get(metric) is not None and _fold(row) in by_fold]
    a, b = [p[0][metric] for p in pairs], [p[1][metric] for p in pairs]
    rows = [p[0] for p in pairs]
    n_test = min((row["n_test"] for row in rows), default=None) if metric == "accuracy" else None
    return compare_paired(a, b, _ratio(rows), n_test=n_test)


def _fold(row: Row) -> tuple:
    return row.get("dataset"), row.get("repeat", 0), row.get("fold", 0)


def _ratio(rows: Sequence[Row]) -> float:
    return ratio_of([row.get("n_train") for row in rows], [row.get("n_test") for row in rows], len(rows))


def outcome(low: float | None, high: float | None, threshold: float = 0.0) -> str:
    """Return what an interval says of "greater than `threshold`": supported, refuted, or undecided where it holds both.

    Examples
    --------
    >>> outcome(0.1, 0.3), outcome(-0.3, -0.1), outcome(-0.1, 0.1), outcome(None, None)
    ('supported', 'refuted', 'undecided', 'undecided')
    """
    if low is None or high is None:
        return UNDECIDED
    return SUPPORTED if low > threshold else REFUTED if high < threshold else UNDECIDED


def combined(outcomes: Iterable[str]) -> str:
    """Return the outcome of a claim that has several parts: refuted if one is, supported only if all are.

    Examples
    --------
    >>> combined(["supported", "undecided"]), combined(["supported", "refuted"]), combined(["supported"])
    ('undecided', 'refuted', 'supported')
    """
    found = set(outcomes)
    return REFUTED if REFUTED in found else SUPPORTED if found == {SUPPORTED} else UNDECIDED


# -- numbers in words


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent: ``"97.3 %"``.

    Examples
    --------
    >>> percent(0.9731), percent(None)
    ('97.3 %', '-')
    """
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def points(value: float | None, digits: int = 1) -> str:
    """Return a difference of shares in percentage points with its sign: ``"+1.2"``.

    Examples
    --------
    >>> points(0.0123), points(-0.2)
    ('+1.2', '-20.0')
    """
    return "-" if value is None else f"{100 * value:+.{digits}f}"


def plus_minus(interval: Interval, digits: int = 1) -> str:
    """Return a mean accuracy with half of its interval, in percent: ``"97.3 ±0.8"``."""
    if interval.low is None or interval.high is None:
        return f"{100 * interval.mean:.{digits}f}"
    half = interval.half_width if interval.half_width is not None else (interval.high - interval.low) / 2
    return f"{100 * interval.mean:.{digits}f} ±{100 * half:.{digits}f}"


def change(found: Comparison) -> str:
    """Return a difference in points with its interval, as a cell of a table.

    Examples
    --------
    >>> change(Comparison(0.01, 0.002, 0.018, 0.02, 5)), change(Comparison(0.01, None, None, None, 1))
    ('+1.0 (+0.2 to +1.8)', '+1.0')
    """
    if found.low is None or found.high is None:
        return points(found.difference)
    return f"{points(found.difference)} ({points(found.low)} to {points(found.high)})"


def interval_of_points(found: Comparison, what: str = "folds") -> str:
    """Return the interval of a difference in words.

    Examples
    --------
    >>> interval_of_points(Comparison(0.01, 0.002, 0.018, 0.02, 5))
    '95 % interval +0.2 to +1.8 points, 5 folds'
    """
    if found.low is None or found.high is None:
        return f"no interval: {found.n} {what} are too few for one"
    return f"95 % interval {points(found.low)} to {points(found.high)} points, {found.n} {what}"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with so many significant digits, without an exponent where that is readable.

    Examples
    --------
    >>> number(0.012345), number(1234567.0), number(3), number(1.2e-9)
    ('0.012', '1,200,000', '3', '1.2e-09')
    """
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if isinstance(value, int):
        return f"{value:,}"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size > 9:
        return f"{value:.{digits - 1}e}"
    rounded = round(value, digits - 1 - size)
    return f"{rounded:,.{max(0, digits - 1 - size)}f}"
