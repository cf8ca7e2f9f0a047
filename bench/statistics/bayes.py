"""How likely is a difference that matters? Bayesian tests with a region of practical equivalence.

A p-value says how odd the data were if there were no difference; it never says that two are equal. These tests answer with
three probabilities: that the first is better by more than a margin (1 point unless said otherwise), that the second is, and
that the two are within the margin of each other, which is what "as good as" should mean.

On one data set: the correlated t-test. With a flat prior the mean difference has a Student distribution whose scale is
Nadeau and Bengio's; so the probability of a sign is one minus the one-sided corrected p-value. Over data sets: the signed
ranks under a Dirichlet process with one pseudo-observation of weight `PRIOR` at zero, within the margin.

References
----------
Corani, G. and Benavoli, A. (2015). A Bayesian approach for comparing cross-validated algorithms on multiple data sets.
    Machine Learning 100, 285-304, equation 6.
Benavoli, A., Corani, G., Demsar, J. and Zaffalon, M. (2017). Time for a change: a tutorial for comparing multiple
    classifiers through Bayesian analysis. JMLR 18(77), 1-36 (sections 3 and 4.2; their package baycomp is what the tests
    compare with).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.statistics.resampled import corrected_variance

#: One point of accuracy: closer than this is as good as the same.
ROPE = 0.01
#: Weight of the pseudo-observation of the signed-rank test, where an observation weighs 1.
PRIOR = 0.5
N_SAMPLES = 20_000


@dataclass(frozen=True)
class Posterior:
    """Probabilities, which add up to 1: ``better`` that the first is by more than the margin, ``worse``, or ``same``."""

    better: float
    same: float
    worse: float
    rope: float = ROPE

    @property
    def decided(self) -> str:
        """Return ``"better"``, ``"same"`` or ``"worse"`` where its probability is at least 95 %, else nothing.

        Examples
        --------
        >>> Posterior(0.01, 0.97, 0.02).decided, Posterior(0.6, 0.3, 0.1).decided
        ('same', '')
        """
        return next((name for name in ("better", "same", "worse") if getattr(self, name) >= 0.95), "")


def correlated_t(differences: Sequence[float], test_train_ratio: float, *, rope: float = ROPE) -> Posterior:
    """Return the probabilities for paired differences of the folds of one data set, first minus second.

    Parameters
    ----------
    differences : sequence of float
        One per fold, at least two.
    test_train_ratio : float
        ``n_test / n_train``.
    rope : float
        Differences up to this are none.

    Examples
    --------
    >>> p = correlated_t([0.02, 0.03, 0.02, 0.01, 0.03], 0.25)
    >>> round(p.better, 3), round(p.same, 3), round(p.worse, 3)
    (0.95, 0.047, 0.002)
    """
    from scipy.special import stdtr

    _check_rope(rope)
    mean = math.fsum(differences) / len(differences)
    scale = math.sqrt(corrected_variance(differences, test_train_ratio))
    if scale <= 1e-12:  # all alike: no spread to judge by
        better, worse = float(mean > rope + 1e-12), float(mean < -rope - 1e-12)
    else:
        df = len(differences) - 1
        better, worse = float(stdtr(df, (mean - rope) / scale)), float(stdtr(df, (-rope - mean) / scale))
    return Posterior(better, max(0.0, 1.0 - better - worse), worse, rope)


def signed_rank(
    differences: Sequence[float], *, rope: float = ROPE, n_samples: int = N_SAMPLES, seed: int = 0
) -> Posterior:
    """Return the probabilities for differences over data sets, first minus second, one per data set.

    Parameters
    ----------
    differences : sequence of float
        One per data set.
    rope : float
    n_samples : int
        Draws from the posterior; the error of a probability is 0.004 at most with the default.
    seed : int
        The same differences give the same probabilities.

    Examples
    --------
    >>> p = signed_rank([0.05, 0.04, 0.06, 0.03, 0.08, 0.05])
    >>> p.decided
    'better'
    """
    import numpy as np

    _check_rope(rope)
    if not len(differences):
        raise ValueError("needs the difference on at least one data set")
    z = np.concatenate([[0.0], np.asarray(differences, np.float64)])
    sums = z[:, None] + z[None, :]
    right, left = (sums > 2 * rope).astype(float), (sums < -2 * rope).astype(float)
    weights = np.random.default_rng(seed).dirichlet([PRIOR] + [1.0] * (len(z) - 1), n_samples)
    shares = np.empty((n_samples, 3))
    shares[:, 0] = np.einsum("si,ij,sj->s", weights, right, weights, optimize=True)
    shares[:, 2] = np.einsum("si,ij,sj->s", weights, left, weights, optimize=True)
    shares[:, 1] = 1.0 - shares[:, 0] - shares[:, 2]
    better, same, worse = np.bincount(shares.argmax(axis=1), minlength=3) / n_samples
    return Posterior(float(better), float(same), float(worse), rope)


def _check_rope(rope: float) -> None:
    if not 0.0 <= rope < math.inf:
        raise ValueError(f"the margin of practical equivalence must be a number >= 0, got {rope}")
