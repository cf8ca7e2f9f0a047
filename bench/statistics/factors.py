"""Features or classifier: a table of feature sets x models taken apart, fold by fold.

Two questions, two answers, both from one balanced table (each model on each feature set, in all the same folds):

*Where does the scatter of the table come from?* The two-way analysis of variance of the means splits it into a part of the
feature sets, a part of the models, and their interaction, which is what no sum of the two explains (a model that needs just
those features). The parts add up to 1 (`Shares`).

*What of a gain is owed to which?* From a base (a simple model on plain features) to the best cell lie two steps, other
features and another model, and what one brings depends on whether it comes first. The mean of both orders is Shapley's value
of a game of two: the two parts add up to the gain exactly, and the interaction is shared evenly (`split_gain`).

Both are functions of the folds' scores, so their intervals come from folds: the gain's parts are linear and have the
corrected resampled t interval; shares and effects of single feature sets are bootstrapped over folds, stretched by the
same correction (``bench/statistics/bootstrap.py``).

References
----------
Fisher, R. A. (1925). Statistical methods for research workers, chapter VII (analysis of variance).
Shapley, L. S. (1953). A value for n-person games. Contributions to the Theory of Games II, 307-317.
Shorrocks, A. (2013). Decomposition procedures for distributional analysis: a unified framework based on the Shapley value.
    J. Economic Inequality 11, 99-126.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.statistics.bootstrap import over_folds
from bench.statistics.resampled import Comparison, compare_paired

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Part:
    """An estimate with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Shares:
    """What part of the scatter of a table's means is due to what; they add up to 1."""

    features: Part
    models: Part
    interaction: Part


@dataclass(frozen=True)
class Gain:
    """A gain over a base and its two parts, which add up to it; ``interaction`` is shared evenly between them.

    ``interaction`` is what both steps together bring beyond the sum of each alone.
    """

    total: Comparison
    features: Comparison
    models: Comparison
    interaction: Comparison


def shares(scores: np.ndarray, test_train_ratio: float) -> Shares | None:
    """Return the shares of feature sets, models and interaction in the scatter of a table's means.

    Parameters
    ----------
    scores : ndarray, shape (n_features, n_models, n_folds)
        At least two of each.
    test_train_ratio : float

    Returns
    -------
    Shares or None
        None where all means are alike.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array([[0.90, 0.92], [0.94, 0.96]])[:, :, None] + np.array([-0.01, 0.0, 0.01])
    >>> found = shares(table, 0.5)
    >>> round(found.features.value, 3), round(found.models.value, 3), round(found.interaction.value, 3)
    (0.8, 0.2, 0.0)
    """
    import numpy as np

    _check(scores)

    def parts(weights: np.ndarray) -> np.ndarray:
        means = np.einsum("fmk,dk->dfm", scores, weights)
        grand = means.mean(axis=(1, 2), keepdims=True)
        by_features, by_models = means.mean(axis=2, keepdims=True) - grand, means.mean(axis=1, keepdims=True) - grand
        rest = means - grand - by_features - by_models
        squares = np.stack([np.sum(np.broadcast_to(e, means.shape) ** 2, axis=(1, 2)) for e in (by_features, by_models, rest)])
        total = squares.sum(axis=0)
        return np.divide(squares, total, out=np.full_like(squares, np.nan), where=total > 1e-24).T

    estimate, low, high = over_folds(parts, scores.shape[2], test_train_ratio)
    if not np.isfinite([estimate, low, high]).all():
        return None
    return Shares(*(Part(*map(float, np.clip(ends, 0.0, 1.0))) for ends in zip(estimate, low, high, strict=True)))


def effects(scores: np.ndarray, test_train_ratio: float, *, of: str = "features") -> list[Part]:
    """Return by how much each feature set (or model) lies above the mean of the table, averaged over the other factor.

    Examples
    --------
    >>> import numpy as np
    >>> table = np.array([[0.90, 0.92], [0.94, 0.96]])[:, :, None] + np.array([-0.01, 0.0, 0.01])
    >>> [round(part.value, 3) for part in effects(table, 0.5)], [round(p.value, 3) for p in effects(table, 0.5, of="models")]
    ([-0.02, 0.02], [-0.01, 0.01])
    """
    _check(scores)
    by_fold = scores.mean(axis=1 if of == "features" else 0)  # (levels, folds)
    centred = by_fold - by_fold.mean(axis=0)
    estimate, low, high = over_folds(lambda weights: weights @ centred.T, scores.shape[2], test_train_ratio)
    return [Part(*map(float, ends)) for ends in zip(estimate, low, high, strict=True)]


def split_gain(
    base: Sequence[float],
    features_only: Sequence[float],
    model_only: Sequence[float],
    both: Sequence[float],
    test_train_ratio: float,
    *,
    n_test: float | None = None,
) -> Gain:
    """Split a gain into what the features and what the model brought.

    Parameters
    ----------
    base, features_only, model_only, both : sequences of float
        Scores by fold of four cells: where one starts; with the new features; with the new model; with both.
    test_train_ratio, n_test
        As in `compare_paired`.

    Examples
    --------
    >>> gain = split_gain([0.90, 0.91, 0.89], [0.94, 0.95, 0.92], [0.95, 0.96, 0.95], [0.97, 0.97, 0.96], 0.5)
    >>> [round(part.difference, 4) for part in (gain.total, gain.features, gain.models, gain.interaction)]
    [0.0667, 0.025, 0.0417, -0.0233]
    """
    cells = list(zip(base, features_only, model_only, both, strict=True))
    of_features = [((f - b) + (fm - m)) / 2 for b, f, m, fm in cells]
    of_models = [((m - b) + (fm - f)) / 2 for b, f, m, fm in cells]
    mixed = [fm - f - m + b for b, f, m, fm in cells]
    zero = [0.0] * len(cells)

    def compared(first: Sequence[float], second: Sequence[float]) -> Comparison:
        return compare_paired(first, second, test_train_ratio, n_test=n_test)

    return Gain(compared(both, base), compared(of_features, zero), compared(of_models, zero), compared(mixed, zero))


def _check(scores: np.ndarray) -> None:
    if scores.ndim != 3 or min(scores.shape) < 2:
        raise ValueError(f"a table to take apart has 2 feature sets, models and folds at least, got shape {scores.shape}")
