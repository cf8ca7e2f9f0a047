"""THE list: one `KernelSpec` per kernel. Tests, micro-benchmarks, the profiler and the docs are parametrised over it.

A spec says what a kernel costs and how exact it must be. Its formulas take the very arguments of a call, so whoever has
a call (a test, a benchmark, a recorded training step) has its figures.

FLOPs count a multiply and an add as two, as the field does, and count what the mathematics needs, padding included
(the convention of Chetlur et al., "cuDNN", 2014): a kernel that finds a cheaper way shows a higher rate, not less work.
Bytes are those that must move at least once: every input read, every output written; nothing for what a kernel copies
for its own use.

Tolerances: the error of a sum of n products in any order is at most gamma_n * sum |x_i y_i|, gamma_n = n u / (1 - n u),
u the unit roundoff (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1). That is sound, and so
wide that a long sum could lose a term unseen. Rounding errors behave like a random walk over the partial sums (Higham &
Mary, SIAM J. Sci. Comput. 41, 2019): where these drift to a large result s the error is about sqrt(n) u |s|, and where
the terms have mean zero, as in our cases, a small multiple of u sum |x_i y_i|, whatever n is (Higham & Mary, "Sharper
probabilistic backward error analysis for basic linear algebra kernels with random data", SISC 42, 2020). The tolerance
is the sum of the two times a safety factor; `terms` gives n for a call, ``kernels/validation.py`` the sum of |x_i y_i|.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernels.shapes import conv2d_geometry, pool2d_geometry

#: Factor over the expected error, in units of eps = 2 u. Over all cases, backends and instruction sets the worst error
#: measured stays below half of what this allows.
SAFETY = 4.0


@dataclass(frozen=True)
class KernelSpec:
    """What one kernel is, costs, and may be wrong by.

    Attributes
    ----------
    name : str
        The method of :class:`kernels.Kernels`.
    group : str
        "matrix", "convolution", "pooling", "activation", "residual", "normalization", "embedding", "loss" or "optimizer".
    summary : str
        One line for lists and docs.
    shapes : str
        Inputs -> outputs, in the legend of ``kernels/api/``.
    flops : callable
        FLOPs of a call, from the call's own arguments.
    terms : callable
        Length of the longest sum behind one output element, from the call's own arguments.
    in_place : tuple of str
        Arguments that are read and written.
    outs : tuple of str
        Arguments that receive outputs, the last ones of those returned.
    exact : bool
        No rounding at all: outputs must be equal.
    unread : callable
        Bytes of the inputs that a call does not look at, from the call's own arguments.
    """

    name: str
    group: str
    summary: str
    shapes: str
    flops: Callable[..., int]
    terms: Callable[..., int]
    in_place: tuple[str, ...] = ()
    outs: tuple[str, ...] = ("out",)  # the arguments that take the last of the outputs, in their order
    exact: bool = False
    unread: Callable[..., int] = lambda *_, **__: 0

    def bytes_moved(self, arguments: tuple, options: dict[str, Any], result: Any) -> int:
        """Bytes that must move at least once: arrays in, arrays out, and in-place arrays a second time.

        `options` named out are not counted for themselves: they are the result. With beta != 0 `out` is read as well.
        """
        ins = [v for v in (*arguments, *(v for k, v in options.items() if k not in self.outs))]
        outs = result if isinstance(result, tuple) else (result,)
        total = sum(v.nbytes for v in (*ins, *outs) if isinstance(v, np.ndarray))
        total -= self.unread(*arguments, **options)
        if self.in_place:  # w, dw, velocity ...: all but dw are written back
            total += sum(v.nbytes for v in arguments if isinstance(v, np.ndarray)) - arguments[1].nbytes
        if options.get("beta", 0.0) != 0.0 and isinstance(options.get("out"), np.ndarray):
            total += options["out"].nbytes
        return total

    def tolerance(self, dtype, *arguments, **options) -> tuple[float, float]:
        """Return (relative, per_unit_of_scale) of a call in `dtype`.

        An output y passes where |y - expected| <= relative * |expected| + per_unit_of_scale * scale, `scale` being the
        sum of the absolute values of the terms behind an element (:func:`kernels.validation.scales`).

        Examples
        --------
        >>> a = np.ones((2, 400))
        >>> relative, per_unit_of_scale = BY_NAME["gemm"].tolerance(np.float32, a, a.T)
        >>> round(relative / per_unit_of_scale)
        20
        """
        if self.exact:
            return 0.0, 0.0
        per_unit_of_scale = SAFETY * float(np.finfo(dtype).eps)
        return per_unit_of_scale * math.sqrt(max(self.terms(*arguments, **options), 1)), per_unit_of_scale


def _out_elements(value) -> int:
    return int(np.prod(value, dtype=object))


# -- FLOPs and lengths of sums ---------------------------------------------------------------------------------------


def _gemm_sizes(a, b, transpose_a=False, transpose_b=False, **_) -> tuple[int, int, int]:
    m, k = a.shape[::-1] if transpose_a else a.shape
    return m, k, (b.shape[0] if transpose_b else b.shape[1])


def _gemm_flops(a, b, *, bias=None, beta=0.0, **options) -> int:
    m, k, n = _gemm_sizes(a, b, **options)
    return 2 * m * k * n + (m * n if bias is not None else 0) + (2 * m * n if beta else 0)


def _window(options: dict) -> dict:
    return {k: v for k, v in options.items() if k in ("stride", "padding", "dilation", "groups")}


def _conv_flops_of(geometry) -> int:
    taps = geometry.kernel_h * geometry.kernel_w * (geometry.in_c // geometry.groups)
    return 2 * _out_elements(geometry.output_shape) * taps


def _conv_flops(x, w, bias=None, **options) -> int:
    geometry = conv2d_geometry(x.shape, w.shape, **_window(options))
    return _conv_flops_of(geometry) + (_out_elements(geometry.output_shape) if bias is not None else 0)


def _conv_terms(x, w, bias=None, **_) -> int:
    return w.shape[0] * w.shape[1] * w.shape[2] + 1


def _conv_input_flops(dy, w, input_shape, **options) -> int:
    return _conv_flops_of(conv2d_geometry(input_shape, w.shape, **_window(options)))


def _conv_input_terms(dy, w, input_shape, *, groups=1, **_) -> int:
    return w.shape[0] * w.shape[1] * (w.shape[3] // groups)


def _conv_weight_flops(dy, x, kernel_size, *, groups=1, **_) -> int:
    kh, kw = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
    return 2 * dy.size * kh * kw * (x.shape[3] // groups)


def _conv_weight_terms(dy, x, kernel_size, **_) -> int:
    return dy.shape[0] * dy.shape[1] * dy.shape[2]


def _pool_geometry(input_shape, size, stride=None, padding=0, **_):
    return pool2d_geometry(input_shape, size, stride=stride, padding=padding)


def _pool_flops(x, size, **options) -> int:
    g = _pool_geometry(x.shape, size, **options)
    return _out_elements(g.output_shape) * g.kernel_h * g.kernel_w


def _pool_terms(x, size, **options) -> int:
    g = _pool_geometry(x.shape, size, **options)
    return g.kernel_h * g.kernel_w


def _avg_backward_flops(dy, size, input_shape, **options) -> int:
    g = _pool_geometry(input_shape, size, **options)
    return dy.size * g.kernel_h * g.kernel_w


def _overlap(size, stride) -> int:
    """How many windows at most meet one pixel."""
    size = size if isinstance(size, (tuple, list)) else (size, size)
    stride = size if stride is None else stride if isinstance(stride, (tuple, list)) else (stride, stride)
    return -(-size[0] // stride[0]) * -(-size[1] // stride[1])


def _per_element(count: int) -> Callable[..., int]:
    return lambda first, *_, **__: count * first.size


def _rows(x) -> int:
    return x.size // x.shape[-1] if x.ndim and x.shape[-1] else 0


def _channels(x) -> int:
    return x.shape[-1] if x.ndim else 0


def _words(indices, lengths) -> np.ndarray:
    """The indices that are no padding, one after the other."""
    return indices[np.arange(indices.shape[1]) < lengths[:, None]]


def _padding_bytes(_, indices, lengths, *__, **___) -> int:
    return (indices.size - int(lengths.sum())) * indices.itemsize


def _unread_rows_bytes(weight, indices, lengths, **_) -> int:
    """Rows of a table that no word points to, and the padding."""
    unread = len(weight) - len(np.unique(_words(indices, lengths)))
    return unread * weight.shape[1] * weight.itemsize + _padding_bytes(weight, indices, lengths)


def _bag_flops(table_or_dy, indices, lengths, *_, **__) -> int:
    """An addition for each word and column, a division for each text and column."""
    return (int(lengths.sum()) + len(lengths)) * table_or_dy.shape[1]


def _constant(n: int) -> Callable[..., int]:
    return lambda *_, **__: n


# A polynomial exponential costs about 12 multiply-adds and a division; the field counts transcendental functions
# variously, so these rates serve to compare runs of one kernel, not kernels with each other.
_EXP_FLOPS = 12

SPECS: tuple[KernelSpec, ...] = (
    KernelSpec(
        "gemm", "matrix", "matrix product with alpha, beta, bias and activation",
        "a (M, K), b (K, N) -> (M, N)",
        flops=_gemm_flops, terms=lambda a, b, **o: _gemm_sizes(a, b, **o)[1] + 2,
    ),
    KernelSpec(
        "conv2d", "convolution", "convolution with bias and activation",
        "x (N, H, W, C), w (KH, KW, C // groups, C_out) -> (N, OH, OW, C_out)",
        flops=_conv_flops, terms=_conv_terms,
    ),
    KernelSpec(
        "conv2d_backward_input", "convolution", "gradient of conv2d for its input",
        "dy (N, OH, OW, C_out), w (KH, KW, C // groups, C_out) -> (N, H, W, C)",
        flops=_conv_input_flops, terms=_conv_input_terms,
    ),
    KernelSpec(
        "conv2d_backward_weight", "convolution", "gradient of conv2d for its filters",
        "dy (N, OH, OW, C_out), x (N, H, W, C) -> (KH, KW, C // groups, C_out)",
        flops=_conv_weight_flops, terms=_conv_weight_terms,
    ),
    KernelSpec(
        "max_pool2d", "pooling", "largest value of each window, and where it was",
        "x (N, H, W, C) -> y, argmax (N, OH, OW, C)",
        flops=_pool_flops, terms=_constant(1), exact=True, outs=("out", "argmax_out"),
    ),
    KernelSpec(
        "max_pool2d_backward", "pooling", "gradient of max_pool2d",
        "dy, argmax (N, OH, OW, C) -> (N, H, W, C)",
        flops=_per_element(1), terms=_constant(16),
    ),
    KernelSpec(
        "avg_pool2d", "pooling", "mean of each window",
        "x (N, H, W, C) -> (N, OH, OW, C)",
        flops=_pool_flops, terms=_pool_terms,
    ),
    KernelSpec(
        "avg_pool2d_backward", "pooling", "gradient of avg_pool2d",
        "dy (N, OH, OW, C) -> (N, H, W, C)",
        flops=_avg_backward_flops, terms=lambda dy, size, input_shape, *, stride=None, **_: _overlap(size, stride),
    ),
    KernelSpec("relu", "activation", "max(x, 0)", "x -> y", _per_element(1), _constant(1), exact=True),
    KernelSpec("relu_backward", "activation", "gradient of relu from its output", "dy, y -> dx",
               _per_element(1), _constant(1), exact=True),
    KernelSpec("sigmoid", "activation", "1 / (1 + exp(-x))", "x -> y", _per_element(_EXP_FLOPS + 2), _constant(4)),
    KernelSpec("sigmoid_backward", "activation", "gradient of sigmoid from its output", "dy, y -> dx",
               _per_element(3), _constant(3)),
    KernelSpec("tanh", "activation", "hyperbolic tangent", "x -> y", _per_element(_EXP_FLOPS + 3), _constant(4)),
    KernelSpec("tanh_backward", "activation", "gradient of tanh from its output", "dy, y -> dx",
               _per_element(3), _constant(3)),
    KernelSpec("leaky_relu", "activation", "x, or slope * x below 0", "x -> y", _per_element(1), _constant(2)),
    KernelSpec("leaky_relu_backward", "activation", "gradient of leaky_relu from its output", "dy, y -> dx",
               _per_element(1), _constant(2)),
    KernelSpec("gelu", "activation", "Gaussian error linear unit, tanh form", "x -> y", _per_element(_EXP_FLOPS + 8),
               _constant(8)),
    KernelSpec("gelu_backward", "activation", "gradient of gelu from its input", "dy, x -> dx",
               _per_element(_EXP_FLOPS + 15), _constant(12)),
    KernelSpec("add", "residual", "activation(a + b)", "a, b -> y", _per_element(1), _constant(2)),
    KernelSpec("batch_norm_statistics", "normalization", "mean and variance of each channel",
               "x (..., C) -> mean, variance (C,)", _per_element(4), lambda x, **_: _rows(x) + 4,
               outs=("out", "variance_out")),
    KernelSpec("batch_norm", "normalization", "batch normalization with activation, from given statistics",
               "x (..., C), mean, variance, gamma, beta (C,) -> y", _per_element(3), _constant(8)),
    KernelSpec("batch_norm_backward_sums", "normalization", "what the gradients of batch_norm need of the whole batch",
               "dy, x (..., C), mean (C,) -> sum_dy, sum_dy_x (C,)", _per_element(4), lambda dy, *_, **__: _rows(dy) + 4,
               outs=("out", "product_out")),
    KernelSpec("batch_norm_backward", "normalization", "gradient of batch_norm for its input",
               "dy, x (..., C), mean, variance, gamma, sum_dy, sum_dy_x (C,) -> dx", _per_element(5), _constant(12)),
    KernelSpec("layer_norm", "normalization", "layer normalization with activation",
               "x (..., C), gamma, beta (C,) -> y", _per_element(8), lambda x, *_, **__: _channels(x) + 8),
    KernelSpec("layer_norm_backward", "normalization", "gradients of layer_norm",
               "dy, x (..., C), gamma (C,) -> dx (..., C), dgamma, dbeta (C,)", _per_element(16),
               lambda dy, *_, **__: _rows(dy) + _channels(dy) + 12, outs=("out", "gamma_out", "beta_out")),
    KernelSpec(
        "embedding_mean", "embedding", "mean of the rows of a table that each text's words point to",
        "weight (V, D), indices (N, T), lengths (N,) -> (N, D)",
        flops=_bag_flops, terms=lambda weight, indices, lengths, **_: int(lengths.max(initial=0)) + 1,
        unread=_unread_rows_bytes,
    ),
    KernelSpec(
        "embedding_mean_backward", "embedding", "gradient of embedding_mean for the table",
        "dy (N, D), indices (N, T), lengths (N,) -> (V, D)",
        flops=_bag_flops, unread=_padding_bytes,
        terms=lambda dy, indices, lengths, *_, **__: int(np.bincount(_words(indices, lengths)).max(initial=0)) + 1,
    ),
    KernelSpec(
        "softmax_cross_entropy", "loss", "mean cross-entropy of softmax(logits), and its gradient",
        "logits (N, C), labels (N,) -> loss, dlogits (N, C)",
        flops=_per_element(_EXP_FLOPS + 5), terms=lambda logits, labels, **_: logits.shape[1] + 4,
    ),
    KernelSpec("bias_backward", "matrix", "sum over all axes but the last", "dy (..., C) -> (C,)",
               _per_element(1), lambda dy, **_: dy.size // dy.shape[-1] if dy.shape[-1] else 0),
    KernelSpec("sgd_update", "optimizer", "SGD with momentum, Nesterov momentum and weight decay, in place",
               "w, dw, velocity", _per_element(6), _constant(4), in_place=("w", "velocity")),
    KernelSpec("adam_update", "optimizer", "Adam, in place", "w, dw, m, v", _per_element(14), _constant(6),
               in_place=("w", "m", "v")),
)  # fmt: skip

BY_NAME = {spec.name: spec for spec in SPECS}
