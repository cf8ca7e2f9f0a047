"""Intervals of what has no formula, by resampling folds or data sets.

Data sets are independent, and the bootstrap may draw among them as it is (`over_datasets`, bias-corrected and accelerated,
Efron 1987). Folds are not: they share training samples, and drawing among them finds the scatter of an ordinary mean, too
small by the factor that Nadeau and Bengio's correction is about. So the deviations of the draws from the estimate are
stretched by ``sqrt((1/n + ratio) / (1/n) * n / (n - 1))`` (`over_folds`; the last factor is for the bootstrap's division by n
in place of n - 1). For a mean the interval then has the standard error of the corrected t-test; it is a heuristic as that
one is, and with few folds a normal in place of a Student distribution makes it somewhat short.

References
----------
Efron, B. (1987). Better bootstrap confidence intervals. JASA 82, 171-185.
Nadeau, C. and Bengio, Y. (2003). Inference for the generalization error. Machine Learning 52, 239-281.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bench.statistics.resampled import CONFIDENCE

if TYPE_CHECKING:
    import numpy as np

N_DRAWS = 2000
_MOST_WEIGHTS = 1_000_000  # that are held at once
_MANY_FOLDS = 1000


def over_folds(
    statistic: Callable[[np.ndarray], np.ndarray],
    n_folds: int,
    test_train_ratio: float,
    *,
    confidence: float = CONFIDENCE,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the estimate of a statistic with the ends of its interval.

    Parameters
    ----------
    statistic : callable
        Given weights of the folds, (draws, n_folds) with rows that add up to 1, returns (draws, ...).
    n_folds : int
        At least two.
    test_train_ratio : float
    confidence : float
    n_draws, seed : int

    Returns
    -------
    estimate, low, high : ndarray
        Of the statistic's shape, without the draws.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.array([0.90, 0.92, 0.94, 0.91, 0.93])
    >>> estimate, low, high = over_folds(lambda w: w @ scores, 5, 0.25)
    >>> f"{estimate:.3f} [{low:.3f}, {high:.3f}]"
    '0.920 [0.900, 0.940]'
    """
    import numpy as np

    if n_folds < 2:
        raise ValueError(f"resampling needs at least two folds, got {n_folds}")
    rng = np.random.default_rng(seed)
    estimate = statistic(np.full((1, n_folds), 1 / n_folds))[0]
    stretch = math.sqrt((1 + n_folds * test_train_ratio) * n_folds / (n_folds - 1))
    block = max(1, _MOST_WEIGHTS // n_folds)  # all draws at once would take 16 bytes x folds x draws
    sizes = [min(block, n_draws - start) for start in range(0, n_draws, block)]
    drawn = np.concatenate([statistic(_weights(rng, n_folds, size)) for size in sizes])
    draws = estimate + stretch * (drawn - estimate)
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return estimate, low, high


def _weights(rng: np.random.Generator, n_folds: int, n_draws: int) -> np.ndarray:
    """Return how often each fold is drawn, over the number of folds: (n_draws, n_folds)."""
    import numpy as np

    if n_folds <= _MANY_FOLDS:
        return rng.multinomial(n_folds, np.full(n_folds, 1 / n_folds), n_draws) / n_folds
    # the same distribution; a multinomial draw costs a binomial one for each fold, ten times as much
    return np.stack([np.bincount(rng.integers(n_folds, size=n_folds), minlength=n_folds) for _ in range(n_draws)]) / n_folds


def over_datasets(
    differences: Sequence[float], *, confidence: float = CONFIDENCE, n_draws: int = N_DRAWS, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean of differences over data sets with its interval; the ends are the mean where all are alike.

    Examples
    --------
    >>> mean, low, high = over_datasets([0.01, 0.03, 0.02, 0.05, 0.04])
    >>> f"{mean:.3f} [{low:.3f}, {high:.3f}]"
    '0.030 [0.018, 0.042]'
    """
    import numpy as np
    from scipy.stats import bootstrap

    values = np.asarray(differences, np.float64)
    mean = float(values.mean())
    if len(values) < 2 or np.ptp(values) <= 1e-15:
        return mean, mean, mean
    found = bootstrap(
        (values,), np.mean, n_resamples=n_draws, confidence_level=confidence, method="BCa",
        rng=np.random.default_rng(seed), vectorized=True,
    ).confidence_interval  # fmt: skip
    return mean, float(found.low), float(found.high)
