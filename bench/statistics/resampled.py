"""What a handful of folds can say about scores: intervals, paired tests, and what would go unseen.

Scores of cross-validation folds are not independent: the training sets overlap, so the plain t-test finds differences
that are not there. Nadeau and Bengio's correction widens the variance of the mean of n folds from ``s^2 / n`` to
``s^2 (1/n + n_test/n_train)``. It is a heuristic, not a theorem, and it is the one the field settled on because its
error rate holds up in simulation, also for repeated k-fold.

Everything here is a pure function of plain numbers; scores are fractions (0..1) unless a name says otherwise.

References
----------
Nadeau, C. and Bengio, Y. (2003). Inference for the generalization error. Machine Learning 52, 239-281.
Bouckaert, R. and Frank, E. (2004). Evaluating the replicability of significance tests for comparing learning
    algorithms. PAKDD 2004, section 3.3 (repeated k-fold: n counts every fold of every repeat).
Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22, 209-212.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

CONFIDENCE = 0.95
POWER = 0.80

#: Fewer paired folds than this support no claim: two differences leave one degree of freedom, and scores that are
#: counts of a few dozen samples coincide too easily for that.
MIN_FOLDS = 3


@dataclass(frozen=True)
class Interval:
    """A mean over ``n`` folds and its interval. ``low`` and ``high`` are None where ``n`` is too small for one."""

    mean: float
    low: float | None
    high: float | None
    n: int
    half_width: float | None = None  # before clipping to the possible range; None where the interval is not symmetric


@dataclass(frozen=True)
class Comparison:
    """A paired comparison over the folds that both contestants finished.

    ``difference`` is first minus second; ``p_value`` is two-sided and None where nothing can be tested;
    ``detectable`` is the smallest true difference that such folds would have shown with 80 % probability, in a test
    at the level of the interval.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    detectable: float | None = None
    confidence: float = CONFIDENCE

    @property
    def conclusive(self) -> bool:
        """Whether the interval exists and leaves zero out.

        Examples
        --------
        >>> Comparison(0.02, 0.01, 0.03, 0.001, n=10).conclusive
        True
        >>> Comparison(0.02, None, None, None, n=1).conclusive
        False
        """
        return self.low is not None and self.high is not None and (self.low > 0.0 or self.high < 0.0)


def corrected_variance(values: Sequence[float], test_train_ratio: float) -> float:
    """Return Nadeau and Bengio's variance of the mean of ``values``: ``s^2 (1/n + n_test/n_train)``.

    Parameters
    ----------
    values : sequence of float
        One value per fold, at least two.
    test_train_ratio : float
        ``n_test / n_train``; ``1 / (k - 1)`` for k-fold.

    Examples
    --------
    >>> round(corrected_variance([1.0, 2.0, 3.0], 0.5), 6)
    0.833333
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"a variance needs at least two values, got {n}")
    _check_ratio(test_train_ratio)
    mean = math.fsum(values) / n
    sample_variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return sample_variance * (1.0 / n + test_train_ratio)


def mean_interval(
    scores: Sequence[float],
    test_train_ratio: float,
    *,
    confidence: float = CONFIDENCE,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> Interval:
    """Return the mean of the folds' scores with its corrected resampled t interval.

    Parameters
    ----------
    scores : sequence of float
        One score per fold (all repeats together), not empty.
    test_train_ratio : float
        ``n_test / n_train``.
    confidence : float
    bounds : (float, float)
        The range a score can have; the interval is clipped to it.

    Examples
    --------
    >>> interval = mean_interval([0.90, 0.92, 0.94, 0.91, 0.93], 0.25, bounds=(0, 1))
    >>> f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
    '0.920 [0.891, 0.949]'
    """
    n = len(scores)
    if n == 0:
        raise ValueError("a mean needs at least one score")
    mean = math.fsum(scores) / n
    if n == 1:
        return Interval(mean, None, None, 1)
    half = _t_quantile(0.5 + confidence / 2, n - 1) * math.sqrt(corrected_variance(scores, test_train_ratio))
    return Interval(mean, max(mean - half, bounds[0]), min(mean + half, bounds[1]), n, half)


def wilson_interval(accuracy: float, n_samples: int, *, confidence: float = CONFIDENCE) -> Interval:
    """Return Wilson's interval for one accuracy on one test set: the noise of the samples, not of the training.

    Examples
    --------
    >>> interval = wilson_interval(0.8, 10)
    >>> f"[{interval.low:.4f}, {interval.high:.4f}]"
    '[0.4902, 0.9433]'
    """
    from scipy.special import ndtri

    if n_samples < 1 or not 0.0 <= accuracy <= 1.0:
        raise ValueError(f"need an accuracy in 0..1 on at least one sample, got {accuracy} on {n_samples}")
    z = float(ndtri(0.5 + confidence / 2))
    shrink = 1.0 + z * z / n_samples
    centre = (accuracy + z * z / (2 * n_samples)) / shrink
    half = z / shrink * math.sqrt(accuracy * (1 - accuracy) / n_samples + z * z / (4 * n_samples**2))
    return Interval(accuracy, max(0.0, centre - half), min(1.0, centre + half), 1)


def compare_paired(
    first: Sequence[float],
    second: Sequence[float],
    test_train_ratio: float,
    *,
    n_test: float | None = None,
    confidence: float = CONFIDENCE,
    power: float = POWER,
) -> Comparison:
    """Compare two contestants on the same folds by the corrected resampled t-test, first minus second.

    Parameters
    ----------
    first, second : sequences of float
        Scores of the same folds in the same order.
    test_train_ratio : float
        ``n_test / n_train``.
    n_test : float, optional
        Samples per test fold, where the scores are shares of them. If every fold shows the very same difference, the
        sample variance is zero and t would be infinite, though such scores are only counts that coincide. Then the
        smallest variance that a difference d of shares can have stands in: each sample adds -1, 0 or 1, so the
        variance of a fold's difference is at least ``(|d| - d^2) / n_test``. Without ``n_test`` nothing is claimed.
    confidence : float
        Of the interval; `detectable` is for a test at the same level.
    power : float
        More than one half.

    Returns
    -------
    Comparison
        Without interval and p-value if there are fewer than `MIN_FOLDS` folds.

    Examples
    --------
    >>> c = compare_paired([0.97, 0.98, 0.99, 0.97, 0.98], [0.95, 0.95, 0.97, 0.96, 0.94], 0.25)
    >>> f"{c.difference:.3f} [{c.low:.3f}, {c.high:.3f}] p={c.p_value:.3f}"
    '0.024 [0.003, 0.045] p=0.035'
    """
    if len(first) != len(second):
        raise ValueError(f"the contestants have {len(first)} and {len(second)} folds; a paired test needs the same")
    differences = [a - b for a, b in zip(first, second, strict=True)]
    n = len(differences)
    if n == 0:
        raise ValueError("the contestants share no fold")
    mean = math.fsum(differences) / n
    if n < MIN_FOLDS:
        return Comparison(mean, None, None, None, n, confidence=confidence)
    variance = corrected_variance(differences, test_train_ratio)
    if variance <= (1e-12 * max(1.0, abs(mean))) ** 2:  # all alike, up to rounding
        if abs(mean) <= 1e-12:
            return Comparison(0.0, 0.0, 0.0, 1.0, n, 0.0, confidence)
        if n_test is None:
            return Comparison(mean, None, None, None, n, confidence=confidence)
        variance = max(abs(mean) - mean**2, 0.0) / n_test * (1.0 / n + test_train_ratio)
        if variance == 0.0:  # every sample of every fold: right here, wrong there
            return Comparison(mean, mean, mean, 0.0, n, 0.0, confidence)
    error = math.sqrt(variance)
    half = _t_quantile(0.5 + confidence / 2, n - 1) * error
    detectable = error * _noncentrality(n - 1, 1.0 - confidence, power)
    p_value = _two_sided_p(mean / error, n - 1)
    return Comparison(mean, mean - half, mean + half, p_value, n, detectable, confidence)


def errors_to_detect(n_folds: int, *, confidence: float = CONFIDENCE, power: float = POWER) -> float:
    """Return how many standard errors a true difference must measure for a test over `n_folds` to find it with `power`.

    Examples
    --------
    >>> round(errors_to_detect(10), 3)
    3.15
    """
    return _noncentrality(n_folds - 1, 1.0 - confidence, power)


def test_train_ratio(n_train: Sequence[int | None], n_test: Sequence[int | None], n_folds: int) -> float:
    """Return ``n_test / n_train`` over the folds; where sizes are not stored, that of ``n_folds``-fold validation.

    Examples
    --------
    >>> test_train_ratio([80, 80], [20, 20], n_folds=5)
    0.25
    >>> test_train_ratio([None], [None], n_folds=5)
    0.25
    """
    if n_train and n_test and all(n_train) and all(n_test):
        return sum(n_test) / sum(n_train)
    return 1.0 / (n_folds - 1) if n_folds > 1 else 1.0


test_train_ratio.__test__ = False  # pytest collects what begins with "test"; this is no test


def _check_ratio(ratio: float) -> None:
    if not ratio >= 0.0 or math.isinf(ratio):
        raise ValueError(f"test_train_ratio must be a finite number >= 0, got {ratio}")


def _two_sided_p(t: float, df: int) -> float:
    from scipy.special import stdtr

    return float(2.0 * stdtr(df, -abs(t)))


@lru_cache(maxsize=1024)
def _t_quantile(probability: float, df: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


@lru_cache(maxsize=1024)
def _noncentrality(df: int, alpha: float, power: float) -> float:
    """How many standard errors a true difference must measure for a two-sided t-test to find it with ``power``."""
    from scipy.optimize import brentq
    from scipy.special import nctdtr

    critical = _t_quantile(1.0 - alpha / 2, df)

    def missing(noncentrality: float) -> float:
        # the far tail, of finding the opposite, is below 1e-6 for any power above one half, and NaN in SciPy at times
        return 1.0 - float(nctdtr(df, noncentrality, critical)) - power

    high = critical + 1.0
    while missing(high) < 0.0:
        high *= 1.25
    return float(brentq(missing, 0.0, high))
