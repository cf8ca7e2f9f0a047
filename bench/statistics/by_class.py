"""Balanced accuracy on a single split: the mean over the classes of the share that is right, its interval, and two of them.

Each class is a sample of its own. What `samples` and Wilson say of one is put together for their mean by the method of variance
estimates recovery: the interval's halves are the roots of the summed squares of the classes' halves (Zou et al.). The test of
two models is McNemar's with a weight for each class: were both equally good, each sample on which just one of them is right
would have been as likely to fall to the other.

References
----------
Zou, G., Huang, W. and Zhang, X. (2009). A note on confidence interval estimation for a linear function of binomial proportions.
    Computational Statistics & Data Analysis 53, 1080-1085.
McNemar (1947), as in `samples`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.statistics.resampled import CONFIDENCE, Comparison, Interval, wilson_interval
from bench.statistics.samples import compare_samples, mcnemar

#: With no more outcomes than this the sign test is computed exactly, else by a normal distribution.
MOST_OUTCOMES = 200_000


def balanced_interval(errors: Sequence[int], sizes: Sequence[int], *, confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of a balanced accuracy: the noise of the samples, not of the training.

    Parameters
    ----------
    errors, sizes : sequence of int
        Of each class: how many of its samples were given to another, and how many there are; classes without samples take
        no part.

    Examples
    --------
    >>> found = balanced_interval([1, 40], [10, 4000])
    >>> f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"
    '0.945 [0.798, 0.985]'
    """
    parts = [wilson_interval(1.0 - e / n, n, confidence=confidence) for e, n in _classes(errors, sizes)]
    mean = math.fsum(p.mean for p in parts) / len(parts)
    low = math.hypot(*(p.mean - p.low for p in parts)) / len(parts)
    high = math.hypot(*(p.high - p.mean for p in parts)) / len(parts)
    return Interval(mean, max(0.0, mean - low), min(1.0, mean + high), 1)


def compare_by_class(
    first_only: Sequence[int], second_only: Sequence[int], sizes: Sequence[int], *, confidence: float = CONFIDENCE
) -> Comparison:
    """Compare the balanced accuracies of two models on the same test samples, first minus second.

    Parameters
    ----------
    first_only, second_only, sizes : sequence of int
        Of each class: samples on which the first alone is right, on which the second alone is, and all.

    Returns
    -------
    Comparison
        Its ``n`` is the number of samples.

    Examples
    --------
    >>> c = compare_by_class([6, 5], [1, 20], [50, 4000])
    >>> f"{c.difference:.4f} [{c.low:.4f}, {c.high:.4f}] p={c.p_value:.3f}"
    '0.0481 [-0.0088, 0.1012] p=0.125'
    """
    first_only, second_only, sizes = zip(*_classes(first_only, second_only, sizes), strict=True)
    parts = [compare_samples(b, c, n, confidence=confidence) for b, c, n in zip(first_only, second_only, sizes, strict=True)]
    k = len(parts)
    difference = math.fsum(p.difference for p in parts) / k
    low = difference - math.hypot(*(p.difference - p.low for p in parts)) / k
    high = difference + math.hypot(*(p.high - p.difference for p in parts)) / k
    detectable = math.hypot(*(p.detectable for p in parts)) / k
    p_value = sign_test(first_only, second_only, [1.0 / n for n in sizes])
    return Comparison(difference, max(low, -1.0), min(high, 1.0), p_value, sum(sizes), detectable, confidence)


def bounded_by_class(
    errors_first: Sequence[int], errors_second: Sequence[int], sizes: Sequence[int], *, confidence: float = CONFIDENCE
) -> Comparison:
    """Compare two models of which only the number of errors in each class is known, first minus second.

    As if they shared no error that they need not share: the p-value can only be too large, the interval too wide.

    Examples
    --------
    >>> c = bounded_by_class([1, 40], [9, 60], [50, 4000])
    >>> f"{c.difference:.4f} p={c.p_value:.3f}"
    '0.0825 p=0.003'
    """
    both = list(zip(*_classes(errors_first, errors_second, sizes), strict=True))
    shared = [max(0, a + b - n) for a, b, n in zip(*both, strict=True)]
    first, second = ([e - s for e, s in zip(errors, shared, strict=True)] for errors in both[:2])
    return compare_by_class(second, first, both[2], confidence=confidence)


def sign_test(first_only: Sequence[int], second_only: Sequence[int], weights: Sequence[float]) -> float:
    """Return the two-sided p-value of McNemar's test with a weight for the samples of each class.

    Examples
    --------
    >>> round(sign_test([1], [8], [0.1]), 4) == round(mcnemar(1, 8), 4), sign_test([0], [0], [1.0])
    (True, 1.0)
    """
    counts = [b + c for b, c in zip(first_only, second_only, strict=True)]
    total = abs(math.fsum(w * (b - c) for w, b, c in zip(weights, first_only, second_only, strict=True)))
    if not any(counts):
        return 1.0
    if len(set(weights)) == 1:
        return mcnemar(sum(first_only), sum(second_only))
    if math.prod(n + 1 for n in counts) > MOST_OUTCOMES:
        deviation = math.sqrt(math.fsum(n * w * w for n, w in zip(counts, weights, strict=True)))
        return math.erfc(total / deviation / math.sqrt(2.0))
    return _exactly(counts, weights, total)


def _exactly(counts: Sequence[int], weights: Sequence[float], total: float) -> float:
    """Return the probability that a sum of weighted signs is as far from zero as `total`."""
    import numpy as np
    from scipy.stats import binom

    values, chances = np.zeros(1), np.ones(1)
    for n, weight in zip(counts, weights, strict=True):
        right = np.arange(n + 1)
        values = (values[:, None] + weight * (2 * right - n)).ravel()
        chances = (chances[:, None] * binom.pmf(right, n, 0.5)).ravel()
    return float(min(1.0, chances[np.abs(values) >= total * (1.0 - 1e-12)].sum()))


def _classes(*columns: Sequence[int]) -> list[tuple[int, ...]]:
    """Return what is known of each class that has samples; the last column is their number."""
    found = [row for row in zip(*columns, strict=True) if row[-1] > 0]
    if not found:
        raise ValueError("no class has a sample")
    return found
