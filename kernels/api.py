"""The public face of the kernels: one class, the same for every backend.

A call is checked once (``kernels/arguments.py``), its sizes are worked out once (``kernels/shapes.py``), and then the
backend's own function of the same name does the work. So backends share every word of their contract and no word of
their arithmetic. A backend is a module with the functions named in `IMPLEMENTATION`; what it gets is checked,
C-contiguous (``gemm``'s a and b: any whole-element strides, transposes already applied), and never overlaps.

Legend: N batch; H, W, C input height, width, channels; OH, OW output; KH, KW kernel; M, K, N of a matrix product.
Images are (N, H, W, C), filters (KH, KW, C // groups, C_out).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from kernels import arguments as check
from kernels.shapes import conv2d_geometry, integer, pair, pool2d_geometry

ACTIVATIONS = (None, "relu", "sigmoid", "tanh")

#: What the module of a backend must define (positional arguments only; see any backend for their order).
IMPLEMENTATION = (
    "gemm", "conv2d", "conv2d_backward_input", "conv2d_backward_weight",
    "max_pool2d", "max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward",
    "relu", "relu_backward", "sigmoid", "sigmoid_backward", "tanh", "tanh_backward",
    "softmax_cross_entropy", "bias_backward", "sgd_update", "adam_update",
)  # fmt: skip


def _threads(n_threads: Any) -> int:
    if type(n_threads) is int and 0 < n_threads <= 1024:
        return n_threads
    number = integer("n_threads", n_threads, minimum=1)
    if number > 1024:
        raise ValueError(f"n_threads must be at most 1024, got {number}")
    return number


class Kernels:
    """The kernels of one backend. Made by :func:`kernels.load`.

    All of them take float32 or float64 arrays (never mixed, never cast), ``out=None`` where they return arrays, and
    ``n_threads=1``. Inputs may have any strides; one that is not C-contiguous is copied first, except the matrices of
    `gemm`. ``out`` must not overlap an input.

    Raises
    ------
    TypeError
        An argument of the wrong type or dtype.
    ValueError
        An argument of the wrong shape or value, or an ``out`` that overlaps an input.
    """

    def __init__(self, name: str, implementation: ModuleType):
        missing = [function for function in IMPLEMENTATION if not hasattr(implementation, function)]
        if missing:
            raise ImportError(f"backend {name!r} lacks the kernels {missing}")
        self.name = name
        self._impl = implementation

    def __repr__(self) -> str:
        return f"<kernels of backend {self.name!r}>"

    def __reduce__(self):
        from kernels import load

        return load, (self.name,)

    # -- matrix product ------------------------------------------------------------------------------------------

    def gemm(
        self, a, b, *, transpose_a=False, transpose_b=False, alpha=1.0, beta=0.0, out=None, n_threads=1,
        bias=None, activation=None,
    ):  # fmt: skip
        """Matrix product: ``activation(alpha * op(a) @ op(b) + beta * out + bias)``.

        Parameters
        ----------
        a : ndarray (M, K), or (K, M) with `transpose_a`
        b : ndarray (K, N), or (N, K) with `transpose_b`
        alpha, beta : float
            With ``beta=0`` `out` is never read, so it may hold NaN.
        out : ndarray (M, N), optional
        bias : ndarray (N,), optional
            Added to each row.
        activation : {None, "relu", "sigmoid", "tanh"}

        Returns
        -------
        ndarray (M, N)

        Notes
        -----
        Blocking after Goto & van de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 34 (2008).

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").gemm(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]))
        array([[1., 2.],
               [3., 4.]])
        """
        a = check.array("a", a, ndim=2)
        b = check.array("b", b, ndim=2, dtype=a.dtype)
        op_a = check.strided(a.T if check.flag("transpose_a", transpose_a) else a)
        op_b = check.strided(b.T if check.flag("transpose_b", transpose_b) else b)
        if op_a.shape[1] != op_b.shape[0]:
            raise ValueError(f"op(a) has shape {op_a.shape} and op(b) {op_b.shape}: the inner sizes differ")
        alpha, beta = check.real("alpha", alpha), check.real("beta", beta)
        check.choice("activation", activation, ACTIVATIONS)
        n_threads = _threads(n_threads)
        shape = op_a.shape[0], op_b.shape[1]
        if bias is not None:
            bias = check.contiguous(check.array("bias", bias, dtype=a.dtype, shape=(shape[1],)))
        if out is None and beta != 0.0:
            raise ValueError(f"beta is {beta}, but there is no out to read")
        result = check.output("out", out, shape, a.dtype, a, b, bias, read=beta != 0.0)
        self._impl.gemm(op_a, op_b, result, alpha, beta, bias, activation, n_threads)
        return check.deliver(result, out)

    # -- convolution ---------------------------------------------------------------------------------------------

    def conv2d(
        self, x, w, bias=None, *, stride=1, padding=0, dilation=1, groups=1, activation=None, out=None, n_threads=1
    ):
        """Two-dimensional cross-correlation, as networks call it convolution, with bias and activation in one pass.

        y[n, oh, ow, co] = act(bias[co] + sum over kh, kw, c of
        x[n, oh * stride + kh * dilation - pad_top, ow * stride + kw * dilation - pad_left, c] * w[kh, kw, c, co])

        Parameters
        ----------
        x : ndarray (N, H, W, C)
        w : ndarray (KH, KW, C // groups, C_out)
        bias : ndarray (C_out,), optional
        stride, dilation : int or (h, w)
        padding : int, (h, w), ((top, bottom), (left, right)), "same" or "valid"
        groups : int
            Divides C and C_out; group g of the outputs sees group g of the inputs only.
        activation : {None, "relu", "sigmoid", "tanh"}
        out : ndarray (N, OH, OW, C_out), optional

        Returns
        -------
        ndarray (N, OH, OW, C_out)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> k = kernels.load("reference")
        >>> k.conv2d(np.ones((1, 3, 3, 1)), np.ones((3, 3, 1, 1)), padding="same")[0, :, :, 0]
        array([[4., 6., 4.],
               [6., 9., 6.],
               [4., 6., 4.]])
        """
        x = check.array("x", x, ndim=4)
        w = check.array("w", w, ndim=4, dtype=x.dtype)
        geometry = conv2d_geometry(x.shape, w.shape, stride=stride, padding=padding, dilation=dilation, groups=groups)
        if bias is not None:
            bias = check.contiguous(check.array("bias", bias, dtype=x.dtype, shape=(geometry.out_c,)))
        check.choice("activation", activation, ACTIVATIONS)
        n_threads = _threads(n_threads)
        result = check.output("out", out, geometry.output_shape, x.dtype, x, w, bias)
        self._impl.conv2d(check.contiguous(x), check.contiguous(w), bias, result, geometry, activation, n_threads)
        return check.deliver(result, out)

    def conv2d_backward_input(
        self, dy, w, input_shape, *, stride=1, padding=0, dilation=1, groups=1, out=None, n_threads=1
    ):
        """Gradient of the loss with respect to the input of :meth:`conv2d` (a transposed convolution of `dy`).

        Parameters
        ----------
        dy : ndarray (N, OH, OW, C_out)
        w : ndarray (KH, KW, C // groups, C_out)
        input_shape : (N, H, W, C)
        out : ndarray (N, H, W, C), optional

        Returns
        -------
        ndarray (N, H, W, C)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> k = kernels.load("reference")
        >>> k.conv2d_backward_input(np.ones((1, 2, 2, 1)), np.ones((2, 2, 1, 1)), (1, 3, 3, 1))[0, :, :, 0]
        array([[1., 2., 1.],
               [2., 4., 2.],
               [1., 2., 1.]])
        """
        dy = check.array("dy", dy, ndim=4)
        w = check.array("w", w, ndim=4, dtype=dy.dtype)
        input_shape = check.shape4("input_shape", input_shape)
        window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        geometry = conv2d_geometry(input_shape, w.shape, **window)
        check.array("dy", dy, shape=geometry.output_shape)
        n_threads = _threads(n_threads)
        result = check.output("out", out, input_shape, dy.dtype, dy, w)
        self._impl.conv2d_backward_input(check.contiguous(dy), check.contiguous(w), result, geometry, n_threads)
        return check.deliver(result, out)

    def conv2d_backward_weight(
        self, dy, x, kernel_size, *, stride=1, padding=0, dilation=1, groups=1, out=None, n_threads=1
    ):
        """Gradient of the loss with respect to the filters of :meth:`conv2d`.

        Parameters
        ----------
        dy : ndarray (N, OH, OW, C_out)
        x : ndarray (N, H, W, C)
        kernel_size : int or (KH, KW)
        out : ndarray (KH, KW, C // groups, C_out), optional

        Returns
        -------
        ndarray (KH, KW, C // groups, C_out)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> k = kernels.load("reference")
        >>> k.conv2d_backward_weight(np.ones((1, 2, 2, 1)), np.arange(9.0).reshape(1, 3, 3, 1), 2)[:, :, 0, 0]
        array([[ 8., 12.],
               [20., 24.]])
        """
        dy = check.array("dy", dy, ndim=4)
        x = check.array("x", x, ndim=4, dtype=dy.dtype)
        kernel_h, kernel_w = pair("kernel_size", kernel_size)
        groups = integer("groups", groups, minimum=1)
        if x.shape[3] % groups:
            raise ValueError(f"groups must divide the channels of x ({x.shape[3]}), got {groups}")
        w_shape = kernel_h, kernel_w, x.shape[3] // groups, dy.shape[3]
        geometry = conv2d_geometry(x.shape, w_shape, stride=stride, padding=padding, dilation=dilation, groups=groups)
        check.array("dy", dy, shape=geometry.output_shape)
        n_threads = _threads(n_threads)
        result = check.output("out", out, w_shape, dy.dtype, dy, x)
        self._impl.conv2d_backward_weight(check.contiguous(dy), check.contiguous(x), result, geometry, n_threads)
        return check.deliver(result, out)

    # -- pooling -------------------------------------------------------------------------------------------------

    def max_pool2d(self, x, size, *, stride=None, padding=0, out=None, argmax_out=None, n_threads=1):
        """Largest value of each window, and where it was.

        Padding never wins. Of equal values the first in row-major order wins; a NaN beats every number, and of several
        NaN the last wins (as in PyTorch).

        Parameters
        ----------
        x : ndarray (N, H, W, C)
        size : int or (h, w)
        stride : int or (h, w), optional
            `size` where None.
        padding : int, (h, w), ((top, bottom), (left, right)), "same" or "valid"
            At most the window's size minus 1 on each side.
        out : ndarray (N, OH, OW, C), optional
        argmax_out : int32 ndarray (N, OH, OW, C), optional

        Returns
        -------
        y : ndarray (N, OH, OW, C)
        argmax : int32 ndarray (N, OH, OW, C)
            h * W + w of the winner in its image and channel.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> y, argmax = kernels.load("reference").max_pool2d(np.arange(4.0).reshape(1, 2, 2, 1), 2)
        >>> float(y[0, 0, 0, 0]), int(argmax[0, 0, 0, 0])
        (3.0, 3)
        """
        x = check.array("x", x, ndim=4)
        geometry = pool2d_geometry(x.shape, size, stride=stride, padding=padding)
        n_threads = _threads(n_threads)
        result = check.output("out", out, geometry.output_shape, x.dtype, x)
        argmax = check.output("argmax_out", argmax_out, geometry.output_shape, np.dtype(np.int32), x, out)
        self._impl.max_pool2d(check.contiguous(x), result, argmax, geometry, n_threads)
        return check.deliver(result, out), check.deliver(argmax, argmax_out)

    def max_pool2d_backward(self, dy, argmax, input_shape, *, out=None, n_threads=1):
        """Gradient with respect to the input of :meth:`max_pool2d`: each `dy` goes to where the largest value was.

        Parameters
        ----------
        dy : ndarray (N, OH, OW, C)
        argmax : int32 (or other integer) ndarray (N, OH, OW, C)
        input_shape : (N, H, W, C)
        out : ndarray (N, H, W, C), optional

        Returns
        -------
        ndarray (N, H, W, C)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> k = kernels.load("reference")
        >>> k.max_pool2d_backward(np.ones((1, 1, 1, 1)), np.full((1, 1, 1, 1), 2, np.int32), (1, 2, 2, 1)).ravel()
        array([0., 0., 1., 0.])
        """
        dy = check.array("dy", dy, ndim=4)
        input_shape = check.shape4("input_shape", input_shape)
        if not isinstance(argmax, np.ndarray) or argmax.dtype.kind not in "iu":
            raise TypeError(f"argmax must be a numpy.ndarray of integers, got {getattr(argmax, 'dtype', type(argmax))}")
        if argmax.shape != dy.shape:
            raise ValueError(f"argmax must have dy's shape {dy.shape}, got {argmax.shape}")
        if (dy.shape[0], dy.shape[3]) != (input_shape[0], input_shape[3]):
            raise ValueError(f"input_shape must have dy's batch and channels, {dy.shape}, got {input_shape}")
        n_pixels = input_shape[1] * input_shape[2]
        if n_pixels >= 2**31:
            raise ValueError(f"input_shape: height * width must be below 2**31, got {input_shape}")
        if argmax.dtype != np.int32:
            if argmax.size and (int(argmax.min()) < 0 or int(argmax.max()) >= n_pixels):
                raise ValueError(f"argmax must lie in 0..{n_pixels - 1}, got {argmax.min()}..{argmax.max()}")
            argmax = argmax.astype(np.int32)
        n_threads = _threads(n_threads)
        result = check.output("out", out, input_shape, dy.dtype, dy, argmax)
        dy, argmax = check.contiguous(dy), check.contiguous(argmax)
        if not self._impl.max_pool2d_backward(dy, argmax, result, n_threads):  # each index is checked where it is used
            raise ValueError(f"argmax must lie in 0..{n_pixels - 1}, got {argmax.min()}..{argmax.max()}")
        return check.deliver(result, out)

    def avg_pool2d(self, x, size, *, stride=None, padding=0, count_include_pad=False, out=None, n_threads=1):
        """Mean of each window.

        Parameters
        ----------
        x : ndarray (N, H, W, C)
        size, stride, padding
            As in :meth:`max_pool2d`.
        count_include_pad : bool
            Divide by the window's size, not by the number of its pixels that lie in the image.
        out : ndarray (N, OH, OW, C), optional

        Returns
        -------
        ndarray (N, OH, OW, C)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> float(kernels.load("reference").avg_pool2d(np.arange(4.0).reshape(1, 2, 2, 1), 2)[0, 0, 0, 0])
        1.5
        """
        x = check.array("x", x, ndim=4)
        geometry = pool2d_geometry(x.shape, size, stride=stride, padding=padding)
        include = check.flag("count_include_pad", count_include_pad)
        n_threads = _threads(n_threads)
        result = check.output("out", out, geometry.output_shape, x.dtype, x)
        self._impl.avg_pool2d(check.contiguous(x), result, geometry, include, n_threads)
        return check.deliver(result, out)

    def avg_pool2d_backward(
        self, dy, size, input_shape, *, stride=None, padding=0, count_include_pad=False, out=None, n_threads=1
    ):
        """Gradient with respect to the input of :meth:`avg_pool2d`: each `dy` is spread evenly over its window.

        Parameters
        ----------
        dy : ndarray (N, OH, OW, C)
        input_shape : (N, H, W, C)
        size, stride, padding, count_include_pad
            As in :meth:`avg_pool2d`.
        out : ndarray (N, H, W, C), optional

        Returns
        -------
        ndarray (N, H, W, C)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").avg_pool2d_backward(np.ones((1, 1, 1, 1)), 2, (1, 2, 2, 1)).ravel()
        array([0.25, 0.25, 0.25, 0.25])
        """
        dy = check.array("dy", dy, ndim=4)
        input_shape = check.shape4("input_shape", input_shape)
        geometry = pool2d_geometry(input_shape, size, stride=stride, padding=padding)
        check.array("dy", dy, shape=geometry.output_shape)
        include = check.flag("count_include_pad", count_include_pad)
        n_threads = _threads(n_threads)
        result = check.output("out", out, input_shape, dy.dtype, dy)
        self._impl.avg_pool2d_backward(check.contiguous(dy), result, geometry, include, n_threads)
        return check.deliver(result, out)

    # -- activations ---------------------------------------------------------------------------------------------

    def _forward(self, function, x, out, n_threads):
        x = check.array("x", x)
        n_threads = _threads(n_threads)
        result = check.output("out", out, x.shape, x.dtype, x)
        function(check.contiguous(x).reshape(-1), result.reshape(-1), n_threads)
        return check.deliver(result, out)

    def _backward(self, function, dy, y, out, n_threads):
        dy = check.array("dy", dy)
        y = check.array("y", y, dtype=dy.dtype, shape=dy.shape)
        n_threads = _threads(n_threads)
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

    # -- loss, bias, optimizers ----------------------------------------------------------------------------------

    def softmax_cross_entropy(self, logits, labels, *, out=None, n_threads=1):
        """Mean cross-entropy of softmax(logits) against class labels, and its gradient.

        Parameters
        ----------
        logits : ndarray (N, C)
        labels : integer ndarray (N,), each in 0..C-1
        out : ndarray (N, C), optional
            Receives the gradient.

        Returns
        -------
        loss : float
            Mean over the batch, summed in double precision; NaN for an empty batch (as in PyTorch).
        dlogits : ndarray (N, C)
            (softmax(logits) - one_hot(labels)) / N.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> loss, dlogits = kernels.load("reference").softmax_cross_entropy(np.zeros((1, 2)), np.array([1]))
        >>> round(loss, 6), dlogits
        (0.693147, array([[ 0.5, -0.5]]))
        """
        logits = check.array("logits", logits, ndim=2)
        n, n_classes = logits.shape
        if n_classes < 1:
            raise ValueError(f"logits must have at least one column, got shape {logits.shape}")
        labels = check.labels("labels", labels, n, n_classes)
        n_threads = _threads(n_threads)
        result = check.output("out", out, logits.shape, logits.dtype, logits, labels)
        if n == 0:
            return float("nan"), check.deliver(result, out)
        loss = self._impl.softmax_cross_entropy(check.contiguous(logits), labels, result, n_threads)
        return float(loss), check.deliver(result, out)

    def bias_backward(self, dy, *, out=None, n_threads=1):
        """Gradient of a bias: the sum of `dy` over all axes but the last.

        Parameters
        ----------
        dy : ndarray (..., C)
        out : ndarray (C,), optional

        Returns
        -------
        ndarray (C,)

        Examples
        --------
        >>> import kernels, numpy as np
        >>> kernels.load("reference").bias_backward(np.ones((3, 2)))
        array([3., 3.])
        """
        dy = check.array("dy", dy)
        if dy.ndim < 1:
            raise ValueError("dy must have at least one axis, got a scalar")
        n_threads = _threads(n_threads)
        channels = dy.shape[-1]
        result = check.output("out", out, (channels,), dy.dtype, dy)
        rows = dy.size // channels if channels else 0
        self._impl.bias_backward(check.contiguous(dy).reshape(rows, channels), result, n_threads)
        return check.deliver(result, out)

    def sgd_update(
        self, w, dw, velocity, *, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0, n_threads=1
    ):
        """One step of stochastic gradient descent with momentum, in place (PyTorch's form).

        g = dw + weight_decay * w; velocity = momentum * velocity + g;
        w -= learning_rate * (g + momentum * velocity if nesterov else velocity)

        Parameters
        ----------
        w, velocity : ndarray, any shape
            Overwritten.
        dw : ndarray of the same shape
        learning_rate, momentum, weight_decay : float

        Notes
        -----
        Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> w, velocity = np.array([1.0]), np.zeros(1)
        >>> kernels.load("reference").sgd_update(w, np.array([2.0]), velocity, learning_rate=0.25)
        >>> w, velocity
        (array([0.5]), array([2.]))
        """
        w = check.array("w", w)
        dw = check.array("dw", dw, dtype=w.dtype, shape=w.shape)
        w_new = check.in_place("w", w, w.dtype, w.shape, dw)
        v_new = check.in_place("velocity", velocity, w.dtype, w.shape, dw, w)
        options = (
            check.number("learning_rate", learning_rate, minimum=0.0),
            check.number("momentum", momentum, minimum=0.0),
            check.flag("nesterov", nesterov),
            check.number("weight_decay", weight_decay, minimum=0.0),
        )
        n_threads = _threads(n_threads)
        dw = check.contiguous(dw).reshape(-1)
        self._impl.sgd_update(w_new.reshape(-1), dw, v_new.reshape(-1), *options, n_threads)
        check.deliver(w_new, w)
        check.deliver(v_new, velocity)

    def adam_update(
        self, w, dw, m, v, *, step, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0, n_threads=1
    ):
        """One step of Adam, in place.

        g = dw + weight_decay * w; m = beta_1 * m + (1 - beta_1) * g; v = beta_2 * v + (1 - beta_2) * g**2;
        w -= learning_rate * (m / (1 - beta_1**step)) / (sqrt(v / (1 - beta_2**step)) + epsilon)

        Parameters
        ----------
        w, m, v : ndarray, any shape
            Overwritten; m and v start as zeros.
        dw : ndarray of the same shape
        step : int
            1 at the first call.
        learning_rate, beta_1, beta_2, epsilon, weight_decay : float

        Notes
        -----
        Algorithm 1 of Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> w, m, v = np.array([1.0]), np.zeros(1), np.zeros(1)
        >>> kernels.load("reference").adam_update(w, np.array([2.0]), m, v, step=1, learning_rate=0.5)
        >>> w.round(6)
        array([0.5])
        """
        w = check.array("w", w)
        dw = check.array("dw", dw, dtype=w.dtype, shape=w.shape)
        w_new = check.in_place("w", w, w.dtype, w.shape, dw)
        m_new = check.in_place("m", m, w.dtype, w.shape, dw, w)
        v_new = check.in_place("v", v, w.dtype, w.shape, dw, w, m)
        options = (
            integer("step", step, minimum=1),
            check.number("learning_rate", learning_rate, minimum=0.0),
            check.number("beta_1", beta_1, minimum=0.0, below=1.0),
            check.number("beta_2", beta_2, minimum=0.0, below=1.0),
            check.number("epsilon", epsilon, minimum=0.0),
            check.number("weight_decay", weight_decay, minimum=0.0),
        )
        n_threads = _threads(n_threads)
        dw = check.contiguous(dw).reshape(-1)
        self._impl.adam_update(w_new.reshape(-1), dw, m_new.reshape(-1), v_new.reshape(-1), *options, n_threads)
        for new, old in ((w_new, w), (m_new, m), (v_new, v)):
            check.deliver(new, old)
