"""One training, one test set: what the same test samples say of two fitted models.

A single split shows nothing of how scores vary with the training samples; but of these two fitted models it tells which is
right more often, on samples like these. McNemar's test asks it of the samples on which just one of the two is right: were
they equally good, each would be right on half of them. It is computed exactly, as a sign test, however many there are.

Where predictions were not stored, accuracies alone still bound it: the difference fixes by how much the one is ahead, and
the two can disagree on no more samples than they have errors together. The test is weakest where no error is shared; that
p-value is reported, so it can only be too large (`bounded`).

References
----------
McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions. Psychometrika 12, 153-157.
Dietterich, T. (1998). Approximate statistical tests for comparing supervised classification learning algorithms. Neural
    Computation 10, 1895-1923 (section 3.1: what it does not say).
Bonett, D. and Price, R. (2012). Adjusted Wald confidence interval for a difference of binomial proportions based on paired
    data. J. Educational and Behavioral Statistics 37, 479-488.
"""

from __future__ import annotations

import math

from bench.statistics.resampled import CONFIDENCE, POWER, Comparison


def mcnemar(first_only: int, second_only: int) -> float:
    """Return the exact two-sided p-value of McNemar's test.

    Parameters
    ----------
    first_only, second_only : int
        Samples on which the first alone is right, and the second alone.

    Examples
    --------
    >>> round(mcnemar(1, 8), 4), mcnemar(0, 0)
    (0.0391, 1.0)
    """
    from scipy.special import bdtr

    n = first_only + second_only
    if first_only < 0 or second_only < 0:
        raise ValueError(f"counts of samples cannot be negative: {first_only}, {second_only}")
    if n == 0:
        return 1.0
    return min(1.0, 2.0 * float(bdtr(min(first_only, second_only), n, 0.5)))


def compare_samples(
    first_only: int, second_only: int, n_samples: int, *, confidence: float = CONFIDENCE, power: float = POWER
) -> Comparison:
    """Compare two models on the same test samples, first minus second.

    The interval is Bonett and Price's, which keeps its level for few samples too; ``detectable`` is the difference that
    the test would find with `power`, were the two to disagree on as many samples as they do here.

    Parameters
    ----------
    first_only, second_only : int
        Samples on which the first alone is right, and the second alone.
    n_samples : int
    confidence, power : float

    Returns
    -------
    Comparison
        Its ``n`` is `n_samples`.

    Examples
    --------
    >>> c = compare_samples(60, 30, 1000)
    >>> f"{c.difference:.3f} [{c.low:.4f}, {c.high:.4f}] p={c.p_value:.4f}"
    '0.030 [0.0113, 0.0486] p=0.0021'
    """
    from scipy.special import ndtri

    if n_samples < 1 or first_only + second_only > n_samples:
        raise ValueError(f"{first_only} and {second_only} of {n_samples} samples cannot be")
    b, c = (first_only + 1) / (n_samples + 2), (second_only + 1) / (n_samples + 2)
    z = float(ndtri(0.5 + confidence / 2))
    half = z * math.sqrt(max(b + c - (b - c) ** 2, 0.0) / (n_samples + 2))
    detectable = (z + float(ndtri(power))) * math.sqrt((b + c) / (n_samples + 2))
    difference = (first_only - second_only) / n_samples
    low, high = max(b - c - half, -1.0), min(b - c + half, 1.0)
    # the centre is shrunken towards zero; the estimate lies within all the same
    low, high = min(low, difference), max(high, difference)
    return Comparison(difference, low, high, mcnemar(first_only, second_only), n_samples, detectable, confidence)


def bounded(errors_first: int, errors_second: int, n_samples: int, *, confidence: float = CONFIDENCE) -> Comparison:
    """Compare two models of which only the number of errors on the same samples is known, first minus second.

    The p-value is the largest that McNemar's test can give for such errors, and the interval the widest.

    Examples
    --------
    >>> c = bounded(100, 150, 1000)
    >>> round(c.difference, 3), round(c.p_value, 4)
    (0.05, 0.0019)
    """
    # no error shared: the first alone is right where the second errs. Where errors exceed the samples, some must be shared.
    shared = max(0, errors_first + errors_second - n_samples)
    return compare_samples(errors_second - shared, errors_first - shared, n_samples, confidence=confidence)
