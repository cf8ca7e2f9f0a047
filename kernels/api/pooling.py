"""Maximum and average pooling, and their gradients."""

from __future__ import annotations

import numpy as np

from kernels import arguments as check
from kernels.api.base import Base
from kernels.shapes import pool2d_geometry


class Pooling(Base):
    """Maximum and average pooling, and their gradients."""

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
        n_threads = check.threads("n_threads", n_threads)
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
        if (dy.shape[0], dy.shape[3]) != (input_shape[0], input_shape[3]):
            raise ValueError(f"input_shape must have dy's batch and channels, {dy.shape}, got {input_shape}")
        n_pixels = input_shape[1] * input_shape[2]
        if n_pixels >= 2**31:
            raise ValueError(f"input_shape: height * width must be below 2**31, got {input_shape}")
        argmax = check.indices("argmax", argmax, dy.shape, n_pixels)
        n_threads = check.threads("n_threads", n_threads)
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
        n_threads = check.threads("n_threads", n_threads)
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
        n_threads = check.threads("n_threads", n_threads)
        result = check.output("out", out, input_shape, dy.dtype, dy)
        self._impl.avg_pool2d_backward(check.contiguous(dy), result, geometry, include, n_threads)
        return check.deliver(result, out)
