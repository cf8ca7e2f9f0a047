"""Feature sets made of columns, and what all builders share.

Whatever is estimated is estimated on the training part alone. Rows are worked on in blocks, so that memory grows by the
matrices that are returned and by little else.

Legend: n samples, d columns, p features; images are rows of H * W * C values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Values in a block of rows: float64 intermediates of 4 MiB, which a last-level cache holds a few of.
BLOCK_VALUES = 2**19

#: Share of the variance that `pca` keeps.
KEPT_VARIANCE = 0.95

#: Features of `random_fourier`, and the training samples that its bandwidth is estimated from.
FOURIER_FEATURES, FOURIER_SAMPLES = 1024, 1000


@dataclass(frozen=True, eq=False)
class Fold:
    """What a builder may look at: no labels of the test part."""

    X_train: np.ndarray  # (n_train, d) float32
    X_test: np.ndarray  # (n_test, d) float32
    y_train: np.ndarray
    image_shape: tuple[int, int, int] | None = None  # (H, W, C)
    seed: int = 0
    backend: str = "reference"  # of the kernels that networks and random filters run on
    dataset: str = ""  # name, for what is made by hand for one data set


Matrices = tuple[np.ndarray, np.ndarray]


def in_blocks(function: Callable[[np.ndarray], np.ndarray], X: np.ndarray, values_per_row: int | None = None) -> np.ndarray:
    """Return ``function(X)`` as float32, computed for a few rows at a time.

    Parameters
    ----------
    function : callable
        Takes rows of X and returns as many rows; what a row becomes must not depend on the others.
    X : ndarray (n, ...)
    values_per_row : int, optional
        Of the largest intermediate array; default: of a row of X.

    Examples
    --------
    >>> in_blocks(lambda rows: rows[:, :1] * 2.0, np.float32([[1, 2], [3, 4]])).tolist()
    [[2.0], [6.0]]
    """
    size = max(1, BLOCK_VALUES // max(1, values_per_row or X[0].size))
    out = None
    for start in range(0, len(X), size):
        part = function(X[start : start + size])
        if out is None:
            out = np.empty((len(X), part.shape[1]), np.float32)
        out[start : start + size] = part
    return out


def scaling(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column and what to multiply it by, 1 / deviation, or 0 where it is constant; (d,) float64.

    Sums run in float64: over 60,000 float32 values the mean would lose digits.

    Examples
    --------
    >>> [values.tolist() for values in scaling(np.float32([[1, 7], [3, 7]]))]
    [[2.0, 7.0], [1.0, 0.0]]
    """
    size = max(1, BLOCK_VALUES // X.shape[1])
    mean = X.mean(axis=0, dtype=np.float64)
    squares = np.zeros(X.shape[1])
    for start in range(0, len(X), size):
        squares += np.square(X[start : start + size] - mean).sum(axis=0)
    deviation = np.sqrt(squares / len(X))
    # values that differ by no more than float32 rounds them are one value, and their differences are noise
    constant = deviation <= np.finfo(np.float32).eps * np.abs(mean)
    return mean, np.where(constant, 0.0, 1.0 / np.where(constant, 1.0, deviation))


def standardize(X_train: np.ndarray, X_test: np.ndarray) -> Matrices:
    """Return both parts less the training part's mean, divided by its deviation; a constant column becomes zero."""
    mean, scale = scaling(X_train)
    return tuple(in_blocks(lambda rows: (rows - mean) * scale, X) for X in (X_train, X_test))


def raw(fold: Fold) -> Matrices:
    """The values as they came."""
    return fold.X_train, fold.X_test


def standardized(fold: Fold) -> Matrices:
    """Each column with mean 0 and deviation 1 on the training part."""
    return standardize(fold.X_train, fold.X_test)


def pca(fold: Fold) -> Matrices:
    """Rotate onto the principal components that keep 95 % of the variance.

    Pixels share a unit and are only centred; the columns of a table do not, and are standardized first. With more samples
    than columns the components are eigenvectors of the covariance, which takes seconds where a decomposition of the
    samples takes minutes (60,000 x 784), and no second copy of them.
    """
    from sklearn.decomposition import PCA

    X_train, X_test = (fold.X_train, fold.X_test) if fold.image_shape else standardized(fold)
    solver = "covariance_eigh" if len(X_train) >= X_train.shape[1] else "full"
    model = PCA(n_components=KEPT_VARIANCE, svd_solver=solver).fit(X_train)
    return tuple(in_blocks(model.transform, X) for X in (X_train, X_test))


def poly2(fold: Fold) -> Matrices:
    """Standardized columns, their squares and their products in pairs, standardized once more: d (d + 3) / 2 features."""
    from sklearn.preprocessing import PolynomialFeatures

    X_train, X_test = standardized(fold)
    expansion = PolynomialFeatures(degree=2, include_bias=False).fit(X_train)
    parts = (in_blocks(expansion.transform, X, expansion.n_output_features_) for X in (X_train, X_test))
    return standardize(*parts)


def random_fourier(fold: Fold) -> Matrices:
    """Random cosines whose inner products approach an RBF kernel on standardized columns: 1,024 features.

    The kernel's bandwidth is the median distance of training samples, of at most 1,000 drawn ones.

    References
    ----------
    Rahimi & Recht, "Random Features for Large-Scale Kernel Machines", NIPS 2007; for the median, Garreau, Jitkrittum &
    Kanagawa, "Large sample analysis of the median heuristic", 2017.
    """
    from scipy.spatial.distance import pdist
    from sklearn.kernel_approximation import RBFSampler

    X_train, X_test = standardized(fold)
    drawn = np.random.default_rng(fold.seed).permutation(len(X_train))[:FOURIER_SAMPLES]
    median = np.median(pdist(X_train[drawn])) if len(drawn) > 1 else 0.0
    gamma = 1.0 / (2.0 * median**2) if median > 0 else 1.0  # samples that are all alike have no scale
    sampler = RBFSampler(gamma=gamma, n_components=FOURIER_FEATURES, random_state=fold.seed).fit(X_train)
    return tuple(in_blocks(sampler.transform, X, FOURIER_FEATURES) for X in (X_train, X_test))
