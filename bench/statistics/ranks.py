"""Several data sets: mean ranks, whether they differ at all, and by how much two must differ to be told apart.

Each data set is one block: contestants are ranked by their score on it, 1 for the best, ties sharing the mean of their
places. Friedman's test asks whether all mean ranks could be alike, in Iman and Davenport's form, which is less timid than
the chi-squared; Nemenyi's critical difference is what two mean ranks must be apart by. Data sets are independent of each
other, so nothing needs correcting for shared samples; but with fewer than five of them ranks hardly show anything.

References
----------
Demsar, J. (2006). Statistical comparisons of classifiers over multiple data sets. JMLR 7, 1-30 (sections 3.1.3 and 3.2;
    his worked example of 4 variants of C4.5 on 14 data sets is among the tests).
Iman, R. L. and Davenport, J. M. (1980). Approximations of the critical region of the Friedman statistic. Communications in
    Statistics A 9, 571-595.
Wilcoxon, F. (1945). Individual comparisons by ranking methods. Biometrics Bulletin 1, 80-83.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

ALPHA = 0.05


@dataclass(frozen=True)
class Friedman:
    """Whether k contestants on n data sets could all be alike.

    Attributes
    ----------
    chi_squared, f : float
        Friedman's statistic, and Iman and Davenport's.
    p_value : float
        Of `f`, with k - 1 and (k - 1)(n - 1) degrees of freedom.
    critical_difference : float
        Nemenyi's, at 0.05: mean ranks closer than this are not told apart.
    """

    n: int
    k: int
    chi_squared: float
    f: float
    p_value: float
    critical_difference: float


def ranks(scores: Sequence[float]) -> list[float]:
    """Return the places of scores, 1 for the highest; equal scores share the mean of their places.

    Examples
    --------
    >>> ranks([0.9, 0.8, 0.9, 0.7])
    [1.5, 3.0, 1.5, 4.0]
    """
    order = sorted(range(len(scores)), key=lambda i: -scores[i])
    found = [0.0] * len(scores)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and scores[order[end + 1]] == scores[order[start]]:
            end += 1
        for place in range(start, end + 1):
            found[order[place]] = (start + end) / 2 + 1
        start = end + 1
    return found


def mean_ranks(blocks: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean rank of each contestant.

    Parameters
    ----------
    blocks : sequence of sequences of float
        Per data set the score of each contestant, in the same order.

    Examples
    --------
    >>> mean_ranks([[0.9, 0.8], [0.7, 0.6], [0.5, 0.5]])
    [1.1666666666666667, 1.8333333333333333]
    """
    by_block = [ranks(block) for block in blocks]
    return [math.fsum(column) / len(by_block) for column in zip(*by_block, strict=True)]


def friedman(blocks: Sequence[Sequence[float]]) -> Friedman:
    """Test whether all contestants are alike; see `mean_ranks` for `blocks`.

    Raises
    ------
    ValueError
        Fewer than two data sets or three contestants.

    Examples
    --------
    >>> found = friedman([[0.9, 0.8, 0.7], [0.8, 0.7, 0.6], [0.7, 0.6, 0.8], [0.9, 0.7, 0.6]])
    >>> found.chi_squared, round(found.p_value, 3), round(found.critical_difference, 2)
    (3.5, 0.178, 1.66)
    """
    from scipy.special import fdtrc

    n, k = len(blocks), len(blocks[0]) if blocks else 0
    if n < 2 or k < 3:
        raise ValueError(f"needs at least 2 data sets and 3 contestants, got {n} and {k}")
    means = mean_ranks(blocks)
    # Demsar's equation 3.2.2; ties are left uncorrected there, and so here: it errs on the cautious side
    chi_squared = 12 * n / (k * (k + 1)) * (math.fsum(r * r for r in means) - k * (k + 1) ** 2 / 4)
    chi_squared = min(max(chi_squared, 0.0), n * (k - 1.0))
    rest = n * (k - 1) - chi_squared
    if rest <= 1e-12:  # the same order on every data set
        f, p_value = math.inf, 0.0
    else:
        f = (n - 1) * chi_squared / rest
        p_value = float(fdtrc(k - 1, (k - 1) * (n - 1), f))
    return Friedman(n, k, chi_squared, f, p_value, critical_difference(n, k))


def critical_difference(n: int, k: int, alpha: float = ALPHA) -> float:
    """Return by how much the mean ranks of two of k contestants on n data sets must differ (Nemenyi).

    Examples
    --------
    >>> round(critical_difference(14, 4), 2), round(critical_difference(14, 4, 0.10), 2)
    (1.25, 1.12)
    """
    return _studentized(k, alpha) / math.sqrt(2) * math.sqrt(k * (k + 1) / (6 * n))


def nemenyi(means: Sequence[float], n: int) -> list[list[float]]:
    """Return p-values of all pairs of mean ranks over n data sets, adjusted for all of them.

    Examples
    --------
    >>> [[round(p, 3) for p in row] for row in nemenyi([3.143, 2.0, 2.893, 1.964], 14)][0]
    [1.0, 0.089, 0.956, 0.074]
    """
    import numpy as np
    from scipy.stats import studentized_range

    k = len(means)
    difference = np.abs(np.subtract.outer(means, means))
    q = difference / math.sqrt(k * (k + 1) / (12 * n))
    upper = np.triu_indices(k, 1)
    p_values = np.ones((k, k))
    p_values[upper] = studentized_range.sf(q[upper], k, math.inf)
    return np.clip(np.minimum(p_values, p_values.T), 0.0, 1.0).tolist()


def groups(means: Sequence[float], difference: float) -> list[tuple[int, ...]]:
    """Return which contestants are not told apart: the bars of a critical-difference diagram, as wide as they go.

    Parameters
    ----------
    means : sequence of float
        Mean ranks.
    difference : float
        Nemenyi's critical difference.

    Returns
    -------
    list of tuples of int
        Positions, by rank; groups of one are left out.

    Examples
    --------
    >>> groups([3.143, 2.000, 2.893, 1.964], 1.15)
    [(3, 1, 2), (1, 2, 0)]
    """
    order = sorted(range(len(means)), key=lambda i: means[i])
    found: list[tuple[int, ...]] = []
    last_end = 0
    for start in range(len(order)):
        end = start
        while end + 1 < len(order) and means[order[end + 1]] - means[order[start]] < difference:
            end += 1
        if end > start and end > last_end:
            found.append(tuple(order[start : end + 1]))
            last_end = end
    return found


def wilcoxon(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test of the scores of two contestants on the same data sets.

    Differences of zero are split evenly between the two, as Demsar has it; exact up to 50 data sets without ties.

    Examples
    --------
    >>> round(wilcoxon([0.9, 0.8, 0.7, 0.95, 0.6], [0.8, 0.75, 0.62, 0.91, 0.57]), 4)
    0.0625
    """
    import warnings

    from scipy.stats import wilcoxon as signed_rank

    differences = [round(a - b, 12) for a, b in zip(first, second, strict=True)]
    if not any(differences):
        return 1.0
    with warnings.catch_warnings():  # SciPy says where it takes the normal approximation
        warnings.simplefilter("ignore")
        return min(1.0, float(signed_rank(differences, zero_method="zsplit").pvalue))


def wilcoxon_holm(scores: Mapping[str, Sequence[float]]) -> dict[tuple[str, str], float]:
    """Return Wilcoxon's p-values of all pairs of contestants over the same data sets, adjusted by Holm's method.

    Examples
    --------
    >>> wilcoxon_holm({"a": [0.9, 0.8, 0.7], "b": [0.8, 0.7, 0.6], "c": [0.9, 0.8, 0.7]})[("a", "c")]
    1.0
    """
    from itertools import combinations

    from bench.statistics.multiplicity import holm

    pairs = list(combinations(scores, 2))
    return dict(zip(pairs, holm([wilcoxon(scores[a], scores[b]) for a, b in pairs]), strict=True))


@lru_cache(maxsize=64)
def _studentized(k: int, alpha: float) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.isf(alpha, k, math.inf))
