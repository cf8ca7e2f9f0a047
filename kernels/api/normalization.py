"""Batch and layer normalization: what they estimate, what they write, and their gradients.

Batch normalization (Ioffe & Szegedy, "Batch normalization: accelerating deep network training by reducing internal
covariate shift", ICML 2015) is four kernels and not two, because its statistics may come from elsewhere: from running
means in a prediction, from several shares of a batch in training. Layer normalization: Ba et al., arXiv:1607.06450.

Legend: R all axes but the last, taken together; C the last one.
"""

from __future__ import annotations

from kernels import arguments as check
from kernels.api.base import Base


class Normalization(Base):
    """Batch and layer normalization over the last axis' channels."""

    @staticmethod
    def _rows(name, x):
        x = check.array(name, x)
        if x.ndim < 1:
            raise ValueError(f"{name} must have at least one axis, got a scalar")
        return x, x.shape[-1]

    @staticmethod
    def _flat(x):
        channels = x.shape[-1]
        return check.contiguous(x).reshape(x.size // channels if channels else 0, channels)

    @staticmethod
    def _channels(dtype, channels, **arrays):
        """Return arrays (C,) by name, checked and contiguous."""
        return [
            check.contiguous(check.array(name, value, dtype=dtype, shape=(channels,))) for name, value in arrays.items()
        ]

    def batch_norm_statistics(self, x, *, out=None, variance_out=None, n_threads=1):
        """Mean and variance of each channel.

        Parameters
        ----------
        x : ndarray (..., C)
        out, variance_out : ndarray (C,), optional
            Receive mean and variance.

        Returns
        -------
        mean, variance : ndarray (C,)
            The variance is the mean squared deviation (divided by R, not R - 1); both are NaN where R is 0.

        Notes
        -----
        Blocks of rows are looked at twice while they are in the cache, about their own mean, and merged as in Chan, Golub
        & LeVeque, "Algorithms for computing the sample variance" (1983): no difference of large squares.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").batch_norm_statistics(np.array([[1.0, 5.0], [3.0, 5.0]]))
        (array([2., 5.]), array([1., 0.]))
        """
        x, channels = self._rows("x", x)
        n_threads = check.threads("n_threads", n_threads)
        mean = check.output("out", out, (channels,), x.dtype, x)
        variance = check.output("variance_out", variance_out, (channels,), x.dtype, x, mean)
        self._impl.batch_norm_statistics(self._flat(x), mean, variance, n_threads)
        return check.deliver(mean, out), check.deliver(variance, variance_out)

    def batch_norm(
        self, x, mean, variance, gamma, beta, *, epsilon=1e-5, activation=None, out=None, n_threads=1
    ):
        """activation((x - mean) / sqrt(variance + epsilon) * gamma + beta), channel by channel.

        Parameters
        ----------
        x : ndarray (..., C)
        mean, variance, gamma, beta : ndarray (C,)
        activation : {None, "relu", "sigmoid", "tanh"}
        out : ndarray (..., C), optional

        Returns
        -------
        ndarray (..., C)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> zero, one = np.zeros(1), np.ones(1)
        >>> kernels.load("reference").batch_norm(np.array([[3.0], [1.0]]), 2 * one, one, one, zero, epsilon=0.0)
        array([[ 1.],
               [-1.]])
        """
        x, channels = self._rows("x", x)
        vectors = self._channels(x.dtype, channels, mean=mean, variance=variance, gamma=gamma, beta=beta)
        epsilon = check.number("epsilon", epsilon, x.dtype, minimum=0.0)
        check.choice("activation", activation, check.ACTIVATIONS)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, x.shape, x.dtype, x, mean, variance, gamma, beta)
        self._impl.batch_norm(self._flat(x), *vectors, self._flat(result), epsilon, activation, n_threads)
        return check.deliver(result, out)

    def batch_norm_backward_sums(self, dy, x, mean, *, out=None, product_out=None, n_threads=1):
        """What the gradients of a batch normalization need from the whole batch: sum(dy) and sum(dy * (x - mean)).

        The first is the gradient of beta, the second times 1 / sqrt(variance + epsilon) that of gamma.

        Parameters
        ----------
        dy, x : ndarray (..., C)
        mean : ndarray (C,)
        out, product_out : ndarray (C,), optional

        Returns
        -------
        sum_dy, sum_dy_x : ndarray (C,)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> dy, x = np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]])
        >>> kernels.load("reference").batch_norm_backward_sums(dy, x, np.array([4.0]))
        (array([3.]), array([1.]))
        """
        dy, channels = self._rows("dy", dy)
        x = check.array("x", x, dtype=dy.dtype, shape=dy.shape)
        [mean_checked] = self._channels(dy.dtype, channels, mean=mean)
        n_threads = check.threads("n_threads", n_threads)
        total = check.output("out", out, (channels,), dy.dtype, dy, x, mean)
        product = check.output("product_out", product_out, (channels,), dy.dtype, dy, x, mean, total)
        self._impl.batch_norm_backward_sums(self._flat(dy), self._flat(x), mean_checked, total, product, n_threads)
        return check.deliver(total, out), check.deliver(product, product_out)

    def batch_norm_backward(
        self, dy, x, mean, variance, gamma, sum_dy, sum_dy_x, *, count=None, epsilon=1e-5, out=None, n_threads=1
    ):
        """Gradient of a batch normalization for its input, where mean and variance came from `count` rows.

        gamma / sqrt(v) * (dy - sum_dy / count - (x - mean) * sum_dy_x / (count * v)) with v = variance + epsilon.

        Parameters
        ----------
        dy, x : ndarray (..., C)
        mean, variance, gamma, sum_dy, sum_dy_x : ndarray (C,)
            The sums as of :meth:`batch_norm_backward_sums`, over all rows that the statistics came from.
        count : int, optional
            How many rows these were; as many as x has where not given.
        out : ndarray (..., C), optional

        Returns
        -------
        ndarray (..., C)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> k, one = kernels.load("reference"), np.ones(1)
        >>> x = np.array([[1.0], [3.0]])
        >>> k.batch_norm_backward(np.ones((2, 1)), x, 2 * one, one, one, 2 * one, 0 * one, epsilon=0.0)
        array([[0.],
               [0.]])
        """
        dy, channels = self._rows("dy", dy)
        x = check.array("x", x, dtype=dy.dtype, shape=dy.shape)
        given = {"mean": mean, "variance": variance, "gamma": gamma, "sum_dy": sum_dy, "sum_dy_x": sum_dy_x}
        vectors = self._channels(dy.dtype, channels, **given)
        rows = self._flat(dy)
        count = max(len(rows), 1) if count is None else check.integer("count", count, minimum=1)
        epsilon = check.number("epsilon", epsilon, dy.dtype, minimum=0.0)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, dy.shape, dy.dtype, dy, x, *given.values())
        options = float(count), epsilon, n_threads
        self._impl.batch_norm_backward(rows, self._flat(x), *vectors, self._flat(result), *options)
        return check.deliver(result, out)

    def layer_norm(self, x, gamma, beta, *, epsilon=1e-5, activation=None, out=None, n_threads=1):
        """Normalize each row over its channels: activation((x - mean) / sqrt(variance + epsilon) * gamma + beta).

        Parameters
        ----------
        x : ndarray (..., C)
        gamma, beta : ndarray (C,)
        activation : {None, "relu", "sigmoid", "tanh"}
        out : ndarray (..., C), optional

        Returns
        -------
        ndarray (..., C)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> x = np.array([[1.0, 3.0], [10.0, 30.0]])
        >>> kernels.load("reference").layer_norm(x, np.ones(2), np.zeros(2), epsilon=0.0)
        array([[-1.,  1.],
               [-1.,  1.]])
        """
        x, channels = self._rows("x", x)
        vectors = self._channels(x.dtype, channels, gamma=gamma, beta=beta)
        epsilon = check.number("epsilon", epsilon, x.dtype, minimum=0.0)
        check.choice("activation", activation, check.ACTIVATIONS)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, x.shape, x.dtype, x, gamma, beta)
        self._impl.layer_norm(self._flat(x), *vectors, self._flat(result), epsilon, activation, n_threads)
        return check.deliver(result, out)

    def layer_norm_backward(
        self, dy, x, gamma, *, epsilon=1e-5, out=None, gamma_out=None, beta_out=None, n_threads=1
    ):
        """Gradients of :meth:`layer_norm` (before its activation) for x, gamma and beta.

        Parameters
        ----------
        dy, x : ndarray (..., C)
        gamma : ndarray (C,)
        out : ndarray (..., C), optional
        gamma_out, beta_out : ndarray (C,), optional

        Returns
        -------
        dx : ndarray (..., C)
        dgamma, dbeta : ndarray (C,)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> dx, dgamma, dbeta = kernels.load("reference").layer_norm_backward(
        ...     np.ones((1, 2)), np.array([[1.0, 3.0]]), np.ones(2), epsilon=0.0)
        >>> dx, dgamma, dbeta
        (array([[0., 0.]]), array([-1.,  1.]), array([1., 1.]))
        """
        dy, channels = self._rows("dy", dy)
        x = check.array("x", x, dtype=dy.dtype, shape=dy.shape)
        [gamma_checked] = self._channels(dy.dtype, channels, gamma=gamma)
        epsilon = check.number("epsilon", epsilon, dy.dtype, minimum=0.0)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, dy.shape, dy.dtype, dy, x, gamma)
        dgamma = check.output("gamma_out", gamma_out, (channels,), dy.dtype, dy, x, gamma, result)
        dbeta = check.output("beta_out", beta_out, (channels,), dy.dtype, dy, x, gamma, result, dgamma)
        outputs = self._flat(result), dgamma, dbeta
        self._impl.layer_norm_backward(self._flat(dy), self._flat(x), gamma_checked, *outputs, epsilon, n_threads)
        return check.deliver(result, out), check.deliver(dgamma, gamma_out), check.deliver(dbeta, beta_out)
