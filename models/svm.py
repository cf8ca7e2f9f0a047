"""scikit-learn's support vector machines with a Gaussian kernel whose width is told relative to the data.

``gamma="scale"`` of scikit-learn is ``1 / (d * X.var())``, which suits pixels in 0..16 and standardized columns alike.
A search over widths needs a number, and one that means the same on each feature set: ``gamma_factor`` times that.
With a factor of 1 they are scikit-learn's own, bit for bit.
"""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.svm import SVC, SVR
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval

_FACTOR = {"gamma_factor": [Interval(Real, 0, None, closed="neither")]}


class _RelativeWidth:
    def fit(self, X, y, sample_weight=None):
        """Fit on X of shape (n, d) and targets y of shape (n,); see scikit-learn's estimator."""
        self._validate_params()
        values = check_array(X, dtype=np.float64)
        variance = values.var()
        # as scikit-learn does where all values are the same
        self.gamma = self.gamma_factor / (values.shape[1] * variance) if variance else float(self.gamma_factor)
        return super().fit(X, y, sample_weight)


class GaussianSVC(_RelativeWidth, SVC):
    """Support vector classifier with a Gaussian kernel.

    Parameters
    ----------
    C : float, default=1.0
    gamma_factor : float, default=1.0
        The kernel is ``exp(-gamma |x - z|^2)`` with ``gamma = gamma_factor / (d * X.var())``.
    cache_size : float, default=200
        Of the kernel matrix, in MB.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> bool((GaussianSVC().fit(X, y).predict(X) == SVC(gamma="scale").fit(X, y).predict(X)).all())
    True
    """

    _parameter_constraints: dict = {**SVC._parameter_constraints, **_FACTOR}  # noqa: RUF012 - scikit-learn's protocol

    def __init__(self, C=1.0, gamma_factor=1.0, cache_size=200):
        super().__init__(C=C, cache_size=cache_size)
        self.gamma_factor = gamma_factor


class GaussianSVR(_RelativeWidth, SVR):
    """Support vector regression with a Gaussian kernel.

    Parameters
    ----------
    C : float, default=1.0
    epsilon : float, default=0.1
        Errors up to it are free.
    gamma_factor : float, default=1.0
        As for `GaussianSVC`.
    cache_size : float, default=200
        Of the kernel matrix, in MB.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> GaussianSVR(C=100.0).fit(X, y).score(X, y) > 0.5
    True
    """

    _parameter_constraints: dict = {**SVR._parameter_constraints, **_FACTOR}  # noqa: RUF012 - scikit-learn's protocol

    def __init__(self, C=1.0, epsilon=0.1, gamma_factor=1.0, cache_size=200):
        super().__init__(C=C, epsilon=epsilon, cache_size=cache_size)
        self.gamma_factor = gamma_factor
