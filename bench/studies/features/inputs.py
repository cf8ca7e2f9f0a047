"""Samples made harder: buried under columns of noise, or with their pixels in another order.

Both are transformers that stand before a model in a scikit-learn pipeline, so that the harness runs it as any other model.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline

from bench.studies.variants import Variant

#: The one permutation of the pixels; the same in every fold and for every model.
PERMUTATION_SEED = 1998


class NoiseColumns(TransformerMixin, BaseEstimator):
    """Append columns of Gaussian noise with the mean and the deviation of all values of the training samples.

    Parameters
    ----------
    n_columns : int
    random_state : int
        Samples to learn from and samples to predict get noise of different streams.

    Examples
    --------
    >>> NoiseColumns(3, random_state=0).fit_transform(np.eye(4, dtype=np.float32)).shape
    (4, 7)
    """

    def __init__(self, n_columns: int, random_state: int = 0):
        self.n_columns, self.random_state = n_columns, random_state

    def fit(self, X, y=None):
        """Estimate the mean and the deviation of the noise."""
        self.mean_, self.deviation_ = float(np.mean(X, dtype=np.float64)), float(np.std(X, dtype=np.float64))
        return self

    def fit_transform(self, X, y=None):
        """Return the training samples with their noise."""
        return self.fit(X)._with_noise(X, stream=0)

    def transform(self, X):
        """Return other samples with noise of their own."""
        return self._with_noise(X, stream=1)

    def _with_noise(self, X: np.ndarray, stream: int) -> np.ndarray:
        random = np.random.default_rng([self.random_state, stream])
        noise = random.normal(self.mean_, self.deviation_, size=(len(X), self.n_columns))
        return np.hstack([X, noise.astype(X.dtype)])


class PermutedColumns(TransformerMixin, BaseEstimator):
    """Put the columns into another order, the same for every sample: nothing is lost but who is whose neighbour.

    Examples
    --------
    >>> X = np.arange(6.0).reshape(2, 3)
    >>> np.sort(PermutedColumns().fit_transform(X)).tolist() == X.tolist()
    True
    """

    def fit(self, X, y=None):
        """Draw the order; it depends on the number of columns alone."""
        self.order_ = np.random.default_rng(PERMUTATION_SEED).permutation(X.shape[1])
        return self

    def transform(self, X):
        """Return the samples with their columns in the new order."""
        return np.ascontiguousarray(X[:, self.order_])


def buried(model: Variant, n_columns: int) -> Variant:
    """Return a model whose samples are buried under so many columns of noise."""
    return replace(model, wrap=lambda estimator, seed: make_pipeline(NoiseColumns(n_columns, seed), estimator))


def permuted(model: Variant) -> Variant:
    """Return a model that sees the pixels in another order."""
    return replace(model, wrap=lambda estimator, seed: make_pipeline(PermutedColumns(), estimator))
