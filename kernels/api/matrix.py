"""Products of matrices, and the gradient of a bias."""

from __future__ import annotations

from kernels import arguments as check
from kernels.api.base import Base


class Matrix(Base):
    """Products of matrices, and the gradient of a bias."""

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
            Rounded to the dtype of the arrays. With ``beta=0`` `out` is never read, so it may hold NaN.
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
        alpha, beta = check.factor("alpha", alpha, a.dtype), check.factor("beta", beta, a.dtype)
        check.choice("activation", activation, check.ACTIVATIONS)
        n_threads = check.threads("n_threads", n_threads)
        shape = op_a.shape[0], op_b.shape[1]
        if bias is not None:
            bias = check.contiguous(check.array("bias", bias, dtype=a.dtype, shape=(shape[1],)))
        if out is None and beta != 0.0:
            raise ValueError(f"beta is {beta}, but there is no out to read")
        result = check.output("out", out, shape, a.dtype, a, b, bias, read=beta != 0.0)
        self._impl.gemm(op_a, op_b, result, alpha, beta, bias, activation, n_threads)
        return check.deliver(result, out)

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
        n_threads = check.threads("n_threads", n_threads)
        channels = dy.shape[-1]
        result = check.output("out", out, (channels,), dy.dtype, dy)
        rows = dy.size // channels if channels else 0
        self._impl.bias_backward(check.contiguous(dy).reshape(rows, channels), result, n_threads)
        return check.deliver(result, out)
