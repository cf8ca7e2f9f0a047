"""Activations of any rank, and their gradients from what the activation gave."""

from __future__ import annotations

from kernels import arguments as check
from kernels.api.base import Base


class Activations(Base):
    """Activations of any rank, and their gradients from what the activation gave."""

    def _forward(self, function, x, out, n_threads):
        x = check.array("x", x)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, x.shape, x.dtype, x)
        function(check.contiguous(x).reshape(-1), result.reshape(-1), n_threads)
        return check.deliver(result, out)

    def _backward(self, function, dy, y, out, n_threads):
        dy = check.array("dy", dy)
        y = check.array("y", y, dtype=dy.dtype, shape=dy.shape)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, dy.shape, dy.dtype, dy, y)
        function(check.contiguous(dy).reshape(-1), check.contiguous(y).reshape(-1), result.reshape(-1), n_threads)
        return check.deliver(result, out)

    def relu(self, x, *, out=None, n_threads=1):
        """Rectifier, max(x, 0), of any rank; NaN stays NaN.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").relu(np.array([-1.0, 2.0]))
        array([0., 2.])
        """
        return self._forward(self._impl.relu, x, out, n_threads)

    def relu_backward(self, dy, y, *, out=None, n_threads=1):
        """Gradient of :meth:`relu` from its output `y`: 0 where y <= 0, else `dy`.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0]))
        array([0., 5.])
        """
        return self._backward(self._impl.relu_backward, dy, y, out, n_threads)

    def sigmoid(self, x, *, out=None, n_threads=1):
        """Logistic function 1 / (1 + exp(-x)), of any rank, without overflow.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").sigmoid(np.array([0.0]))
        array([0.5])
        """
        return self._forward(self._impl.sigmoid, x, out, n_threads)

    def sigmoid_backward(self, dy, y, *, out=None, n_threads=1):
        """Gradient of :meth:`sigmoid` from its output `y`: dy * y * (1 - y).

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").sigmoid_backward(np.array([1.0]), np.array([0.5]))
        array([0.25])
        """
        return self._backward(self._impl.sigmoid_backward, dy, y, out, n_threads)

    def tanh(self, x, *, out=None, n_threads=1):
        """Hyperbolic tangent, of any rank.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").tanh(np.array([0.0]))
        array([0.])
        """
        return self._forward(self._impl.tanh, x, out, n_threads)

    def tanh_backward(self, dy, y, *, out=None, n_threads=1):
        """Gradient of :meth:`tanh` from its output `y`: dy * (1 - y**2).

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").tanh_backward(np.array([1.0]), np.array([0.5]))
        array([0.75])
        """
        return self._backward(self._impl.tanh_backward, dy, y, out, n_threads)
