"""How large a difference is against its own spread, beside how many points it measures.

Points are what a reader decides by, and always stand first. But two points are much where folds scatter by half a point,
and nothing where they scatter by five; Hedges' g of the paired differences says which. It is taken of the differences, not
of the two lots of scores, since contestants share their folds: what is hard about a fold is hard for both and no part of
what tells them apart (Cliff's delta and Hedges' g of two independent groups would count it). g is the mean difference in
standard deviations of the differences, without the upward bias of few folds (Hedges 1981). Nadeau and Bengio's correction
has no place in it: that is for the error of the mean, which shrinks with more folds; an effect size does not.

Usual words for |g| (Cohen 1988): 0.2 small, 0.5 medium, 0.8 large. They are of psychology; folds of one data set agree far
better than people do, so values of 2 and more are common here.

Reference: Hedges, L. V. (1981). Distribution theory for Glass's estimator of effect size. J. Educational Statistics 6,
107-128, equation 6e (exact factor).
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def hedges_g(differences: Sequence[float]) -> float | None:
    """Return Hedges' g of paired differences; None for fewer than two, or where all are alike.

    Examples
    --------
    >>> round(hedges_g([0.02, 0.03, 0.02, 0.01, 0.04]), 3)
    1.679
    >>> hedges_g([0.01, 0.01]) is None
    True
    """
    n = len(differences)
    if n < 2:
        return None
    mean = math.fsum(differences) / n
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1))
    if spread <= 1e-12 * max(1.0, abs(mean)):
        return None
    return correction(n - 1) * mean / spread


def correction(df: int) -> float:
    """Return Hedges' factor that takes the bias of few values off a standardized mean.

    Examples
    --------
    >>> round(correction(4), 4), round(correction(99), 4)
    (0.7979, 0.9924)
    """
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2) if df > 1 else 0.0


def wins(differences: Sequence[float]) -> tuple[int, int, int]:
    """Return on how many folds the first was ahead, level, and behind.

    Examples
    --------
    >>> wins([0.02, 0.0, -0.01, 0.03])
    (2, 1, 1)
    """
    ahead, behind = (sum(sign * d > 1e-12 for d in differences) for sign in (1, -1))
    return ahead, len(differences) - ahead - behind, behind
