"""Activations of any rank, and their gradients: from what the activation gave, gelu's from what it was given."""

from __future__ import annotations

import numpy as np

from kernels import arguments as check
from kernels.api.base import Base


class Activations(Base):
    """Activations of any rank, and their gradients: from what the activation gave, gelu's from what it was given."""

    def _forward(self, function, x, out, n_threads, *options):
        x = check.array("x", x)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, x.shape, x.dtype, x)
        function(check.contiguous(x).reshape(-1), result.reshape(-1), *options, n_threads)
        return check.deliver(result, out)

    def _backward(self, function, dy, y, out, n_threads, *options, name="y"):
        dy = check.array("dy", dy)
        y = check.array(name, y, dtype=dy.dtype, shape=dy.shape)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, dy.shape, dy.dtype, dy, y)
        flat = (check.contiguous(array).reshape(-1) for array in (dy, y))
        function(*flat, result.reshape(-1), *options, n_threads)
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

    def leaky_relu(self, x, *, slope=0.01, out=None, n_threads=1):
        """Leaky rectifier, x where x >= 0 and slope * x below, of any rank.

        Maas et al., "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").leaky_relu(np.array([-1.0, 2.0]), slope=0.25)
        array([-0.25,  2.  ])
        """
        return self._forward(self._impl.leaky_relu, x, out, n_threads, self._slope(x, slope))

    def leaky_relu_backward(self, dy, y, *, slope=0.01, out=None, n_threads=1):
        """Gradient of :meth:`leaky_relu` from its output `y`: slope * dy where y <= 0, else `dy`.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").leaky_relu_backward(np.array([4.0, 4.0]), np.array([-0.1, 2.0]), slope=0.25)
        array([1., 4.])
        """
        return self._backward(self._impl.leaky_relu_backward, dy, y, out, n_threads, self._slope(dy, slope))

    @staticmethod
    def _slope(x, slope):
        # 0 would be relu; a negative one would take the sign away that the gradient is worked out from
        return check.number("slope", slope, getattr(x, "dtype", np.dtype(float)), minimum=0.0)

    def gelu(self, x, *, out=None, n_threads=1):
        """Gaussian error linear unit in its tanh form, x * sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x**3).

        Hendrycks & Gimpel, "Gaussian error linear units (GELUs)", arXiv:1606.08415, section 2. PyTorch:
        ``gelu(x, approximate="tanh")``.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").gelu(np.array([-1.0, 0.0, 1.0])).round(4)
        array([-0.1588,  0.    ,  0.8412])
        """
        return self._forward(self._impl.gelu, x, out, n_threads)

    def gelu_backward(self, dy, x, *, out=None, n_threads=1):
        """Gradient of :meth:`gelu`, from its *input* `x`: it is not monotonic, so its output does not tell.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").gelu_backward(np.array([2.0]), np.array([0.0]))
        array([1.])
        """
        return self._backward(self._impl.gelu_backward, dy, x, out, n_threads, name="x")

    def add(self, a, b, *, activation=None, out=None, n_threads=1):
        """activation(a + b) of two arrays of one shape: where a residual block meets its shortcut.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").add(np.array([1.0, -3.0]), np.array([1.0, 1.0]), activation="relu")
        array([2., 0.])
        """
        a = check.array("a", a)
        b = check.array("b", b, dtype=a.dtype, shape=a.shape)
        check.choice("activation", activation, check.ACTIVATIONS)
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, a.shape, a.dtype, a, b)
        flat = (check.contiguous(array).reshape(-1) for array in (a, b))
        self._impl.add(*flat, result.reshape(-1), activation, n_threads)
        return check.deliver(result, out)
