"""Convolution and its two gradients."""

from __future__ import annotations

from kernels import arguments as check
from kernels.api.base import Base
from kernels.shapes import conv2d_geometry, integer, pair


class Convolution(Base):
    """Convolution and its two gradients."""

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
        check.choice("activation", activation, check.ACTIVATIONS)
        n_threads = check.threads("n_threads", n_threads)
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
        n_threads = check.threads("n_threads", n_threads)
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
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, w_shape, dy.dtype, dy, x)
        self._impl.conv2d_backward_weight(check.contiguous(dy), check.contiguous(x), result, geometry, n_threads)
        return check.deliver(result, out)
