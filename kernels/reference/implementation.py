"""The reference: what each kernel means, in NumPy, with nothing clever. The other backends are held against it.

float32 inputs are computed in float64 and rounded once at the end, so the oracle is more exact than what it judges;
float64 inputs are computed in float64. `n_threads` is ignored. Formulas and their sources: ``kernels/api/``.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from kernels.shapes import Conv2dGeometry, Pool2dGeometry

#: Infinity and NaN are values like others here, as in compiled code: no warning.
_quiet = np.errstate(all="ignore")


def _wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """Both branches of the logistic function, each where it cannot overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def _activate(x: np.ndarray, activation: str | None) -> np.ndarray:
    if activation == "relu":
        return np.where(x < 0, 0.0, x)  # NaN < 0 is false: NaN stays
    if activation == "sigmoid":
        return _sigmoid(x)
    if activation == "tanh":
        return np.tanh(x)
    return x


@_quiet
def gemm(a, b, out, alpha, beta, bias, activation, n_threads):
    result = alpha * (_wide(a) @ _wide(b))
    if beta != 0.0:
        result += beta * out
    if bias is not None:
        result += bias
    out[...] = _activate(result, activation)


# -- convolution: one matrix product per kernel position and group ---------------------------------------------------


def _padded(x: np.ndarray, g: Conv2dGeometry) -> np.ndarray:
    return np.pad(_wide(x), ((0, 0), (g.pad_top, g.pad_bottom), (g.pad_left, g.pad_right), (0, 0)))


def _taps(padded: np.ndarray, g: Conv2dGeometry):
    """Yield (kh, kw, view): the pixels (N, OH, OW, C) that kernel position (kh, kw) meets."""
    for kh in range(g.kernel_h):
        for kw in range(g.kernel_w):
            top, left = kh * g.dilation_h, kw * g.dilation_w
            bottom, right = top + (g.out_h - 1) * g.stride_h + 1, left + (g.out_w - 1) * g.stride_w + 1
            yield kh, kw, padded[:, top : bottom : g.stride_h, left : right : g.stride_w, :]


def _groups(g: Conv2dGeometry):
    """Yield the slices of input and output channels of each group."""
    c, k = g.in_c // g.groups, g.out_c // g.groups
    for i in range(g.groups):
        yield slice(i * c, (i + 1) * c), slice(i * k, (i + 1) * k)


@_quiet
def conv2d(x, w, bias, out, geometry, activation, n_threads):
    padded = _padded(x, geometry)
    result = np.zeros(geometry.output_shape)
    for kh, kw, pixels in _taps(padded, geometry):
        for c, k in _groups(geometry):
            result[..., k] += pixels[..., c] @ _wide(w[kh, kw][:, k])
    if bias is not None:
        result += bias
    out[...] = _activate(result, activation)


@_quiet
def conv2d_backward_input(dy, w, out, geometry, n_threads):
    g = geometry
    padded = np.zeros((g.batch, g.in_h + g.pad_top + g.pad_bottom, g.in_w + g.pad_left + g.pad_right, g.in_c))
    for kh, kw, pixels in _taps(padded, g):
        for c, k in _groups(g):
            pixels[..., c] += _wide(dy[..., k]) @ _wide(w[kh, kw][:, k]).T
    out[...] = padded[:, g.pad_top : g.pad_top + g.in_h, g.pad_left : g.pad_left + g.in_w, :]


@_quiet
def conv2d_backward_weight(dy, x, out, geometry, n_threads):
    padded = _padded(x, geometry)
    for kh, kw, pixels in _taps(padded, geometry):
        for c, k in _groups(geometry):
            out[kh, kw][:, k] = np.einsum("nhwc,nhwk->ck", pixels[..., c], _wide(dy[..., k]), optimize=True)


# -- pooling ---------------------------------------------------------------------------------------------------------


def _windows(x: np.ndarray, g: Pool2dGeometry, fill) -> np.ndarray:
    """View the padded input as (N, OH, OW, C, KH, KW)."""
    pads = ((0, 0), (g.pad_top, g.pad_bottom), (g.pad_left, g.pad_right), (0, 0))
    padded = np.pad(x, pads, constant_values=fill)
    return sliding_window_view(padded, (g.kernel_h, g.kernel_w), axis=(1, 2))[:, :: g.stride_h, :: g.stride_w]


def _pixel_counts(g: Pool2dGeometry, include_pad: bool) -> np.ndarray:
    """Divisor of each window, (OH, OW, 1)."""
    if include_pad:
        return np.full((g.out_h, g.out_w, 1), float(g.kernel_h * g.kernel_w))
    inside = _windows(np.ones((1, g.in_h, g.in_w, 1)), g, 0.0)
    return inside.sum(axis=(4, 5))[0]


@_quiet
def max_pool2d(x, out, argmax, geometry, n_threads):
    g = geometry
    index = np.arange(g.in_h * g.in_w, dtype=np.int64).reshape(1, g.in_h, g.in_w, 1)
    index = _windows(index, g, -1).reshape(1, g.out_h, g.out_w, 1, -1)
    values = _windows(x, g, -np.inf).reshape(*g.output_shape, g.kernel_h * g.kernel_w)
    inside = np.broadcast_to(index >= 0, values.shape)
    # Rank of a pixel: padding below everything, NaN above everything. argmax gives the first of equals ...
    best = np.argmax(np.where(inside, np.where(np.isnan(values), -np.inf, values), -np.inf), axis=-1)
    # ... which may be padding where all real pixels are -inf: then the first real pixel.
    first = np.argmax(inside, axis=-1)
    real = np.take_along_axis(inside, best[..., None], -1)[..., 0]
    best = np.where(real, best, first)
    # Of several NaN the last wins, as in PyTorch.
    nan = np.isnan(values) & inside
    last_nan = values.shape[-1] - 1 - np.argmax(nan[..., ::-1], axis=-1)
    best = np.where(nan.any(axis=-1), last_nan, best)
    out[...] = np.take_along_axis(values, best[..., None], -1)[..., 0]
    argmax[...] = np.take_along_axis(np.broadcast_to(index, values.shape), best[..., None], -1)[..., 0]


@_quiet
def max_pool2d_backward(dy, argmax, out, n_threads):
    n, h, w, c = out.shape
    if argmax.size and (argmax.min() < 0 or argmax.max() >= h * w):
        return False
    flat = np.zeros((n, h * w, c))
    image, channel = np.ogrid[:n, :c]
    for oh in range(dy.shape[1]):
        for ow in range(dy.shape[2]):
            flat[image, argmax[:, oh, ow, :], channel] += dy[:, oh, ow, :]
    out[...] = flat.reshape(out.shape)
    return True


@_quiet
def avg_pool2d(x, out, geometry, count_include_pad, n_threads):
    out[...] = _windows(_wide(x), geometry, 0.0).sum(axis=(4, 5)) / _pixel_counts(geometry, count_include_pad)


@_quiet
def avg_pool2d_backward(dy, out, geometry, count_include_pad, n_threads):
    g = geometry
    share = _wide(dy) / _pixel_counts(g, count_include_pad)
    padded = np.zeros((g.batch, g.in_h + g.pad_top + g.pad_bottom, g.in_w + g.pad_left + g.pad_right, g.channels))
    for kh in range(g.kernel_h):
        for kw in range(g.kernel_w):
            bottom, right = kh + (g.out_h - 1) * g.stride_h + 1, kw + (g.out_w - 1) * g.stride_w + 1
            padded[:, kh : bottom : g.stride_h, kw : right : g.stride_w, :] += share
    out[...] = padded[:, g.pad_top : g.pad_top + g.in_h, g.pad_left : g.pad_left + g.in_w, :]


# -- activations -----------------------------------------------------------------------------------------------------


@_quiet
def relu(x, out, n_threads):
    out[...] = _activate(x, "relu")


@_quiet
def relu_backward(dy, y, out, n_threads):
    out[...] = np.where(y <= 0, 0.0, dy)


@_quiet
def sigmoid(x, out, n_threads):
    out[...] = _sigmoid(_wide(x))


@_quiet
def sigmoid_backward(dy, y, out, n_threads):
    out[...] = _wide(dy) * _wide(y) * (1.0 - _wide(y))


@_quiet
def tanh(x, out, n_threads):
    out[...] = np.tanh(_wide(x))


@_quiet
def tanh_backward(dy, y, out, n_threads):
    out[...] = _wide(dy) * (1.0 - _wide(y) ** 2)


#: Beyond this many deviations, gelu's step from 0 to 1 is over in double precision; the cube of more could overflow.
_GELU_REACH = 30.0


def _gelu_gate(x):
    """Return x within reach, the gate sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x**3), and the slope of 2 u."""
    near = np.clip(_wide(x), -_GELU_REACH, _GELU_REACH)
    factor = 2.0 * np.sqrt(2.0 / np.pi)
    gate = _sigmoid(factor * (near + 0.044715 * near**3))
    return near, gate, factor * (1.0 + 3 * 0.044715 * near**2)


@_quiet
def gelu(x, out, n_threads):
    near, gate, _ = _gelu_gate(x)
    out[...] = np.where(x > 0, _wide(x), near) * gate


@_quiet
def gelu_backward(dy, x, out, n_threads):
    near, gate, slope = _gelu_gate(x)
    out[...] = _wide(dy) * (gate + near * gate * (1.0 - gate) * slope)


@_quiet
def leaky_relu(x, out, slope, n_threads):
    out[...] = np.where(x < 0, slope * _wide(x), x)


@_quiet
def leaky_relu_backward(dy, y, out, slope, n_threads):
    out[...] = np.where(y <= 0, slope * _wide(dy), dy)


@_quiet
def add(a, b, out, activation, n_threads):
    out[...] = _activate(_wide(a) + _wide(b), activation)


# -- normalization: x (R, C) ------------------------------------------------------------------------------------------


@_quiet
def batch_norm_statistics(x, mean, variance, n_threads):
    if len(x) == 0:
        mean[...], variance[...] = np.nan, np.nan
        return
    mean[...] = _wide(x).mean(axis=0)
    variance[...] = _wide(x).var(axis=0)


@_quiet
def batch_norm(x, mean, variance, gamma, beta, out, epsilon, activation, n_threads):
    scale = _wide(gamma) / np.sqrt(_wide(variance) + epsilon)
    out[...] = _activate((_wide(x) - mean) * scale + beta, activation)


@_quiet
def batch_norm_backward_sums(dy, x, mean, total, product, n_threads):
    total[...] = _wide(dy).sum(axis=0)
    product[...] = (_wide(dy) * (_wide(x) - mean)).sum(axis=0)


@_quiet
def batch_norm_backward(dy, x, mean, variance, gamma, sum_dy, sum_dy_x, out, count, epsilon, n_threads):
    spread = _wide(variance) + epsilon
    centred = _wide(x) - mean
    out[...] = gamma / np.sqrt(spread) * (dy - sum_dy / count - centred * (sum_dy_x / (count * spread)))


def _standardized(x, epsilon):
    """Return each row with mean 0 and deviation 1, and one over the deviations."""
    centred = _wide(x) - _wide(x).mean(axis=1, keepdims=True)
    inverse = 1.0 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon)
    return centred * inverse, inverse


@_quiet
def layer_norm(x, gamma, beta, out, epsilon, activation, n_threads):
    if x.size:
        out[...] = _activate(_standardized(x, epsilon)[0] * gamma + beta, activation)


@_quiet
def layer_norm_backward(dy, x, gamma, out, gamma_out, beta_out, epsilon, n_threads):
    gamma_out[...], beta_out[...] = 0.0, 0.0
    if x.size:
        standardized, inverse = _standardized(x, epsilon)
        g = _wide(dy) * gamma
        across = g.mean(axis=1, keepdims=True) + standardized * (g * standardized).mean(axis=1, keepdims=True)
        out[...] = inverse * (g - across)
        gamma_out[...], beta_out[...] = (_wide(dy) * standardized).sum(axis=0), _wide(dy).sum(axis=0)


# -- embeddings: indices (N, T) and lengths (N,) ---------------------------------------------------------------------


def _inside(indices, lengths, n_rows) -> bool:
    """Whether all point to a row; only a call that was bound earlier can find others."""
    words = indices[np.arange(indices.shape[1]) < lengths[:, None]]
    return bool(((lengths >= 0) & (lengths <= indices.shape[1])).all() and ((words >= 0) & (words < n_rows)).all())


@_quiet
def embedding_mean(weight, indices, lengths, out, n_threads):
    if not _inside(indices, lengths, len(weight)):
        return False
    for n, length in enumerate(lengths):
        out[n] = _wide(weight[indices[n, :length]]).sum(axis=0) / max(length, 1)
    return True


@_quiet
def embedding_mean_backward(dy, indices, lengths, out, n_threads):
    if not _inside(indices, lengths, len(out)):
        return False
    total = np.zeros(out.shape)
    for n, length in enumerate(lengths):
        np.add.at(total, indices[n, :length], _wide(dy[n]) / max(length, 1))
    out[...] = total
    return True


# -- loss, bias, optimizers ------------------------------------------------------------------------------------------


@_quiet
def softmax_cross_entropy(logits, labels, out, n_threads):
    n = len(labels)
    shifted = _wide(logits) - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    rows = np.arange(n)
    loss = (log_sum - shifted[rows, labels]).mean()
    gradient = np.exp(shifted - log_sum[:, None])
    gradient[rows, labels] -= 1.0
    out[...] = gradient / n
    return loss


@_quiet
def bias_backward(dy, out, n_threads):
    out[...] = _wide(dy).sum(axis=0)


@_quiet
def sgd_update(w, dw, velocity, learning_rate, momentum, nesterov, weight_decay, n_threads):
    g = _wide(dw) + weight_decay * _wide(w)
    v = momentum * _wide(velocity) + g
    w[...] = w - learning_rate * (g + momentum * v if nesterov else v)
    velocity[...] = v


@_quiet
def adam_update(w, dw, m, v, step, learning_rate, beta_1, beta_2, epsilon, weight_decay, n_threads):
    g = _wide(dw) + weight_decay * _wide(w)
    m_new = beta_1 * _wide(m) + (1.0 - beta_1) * g
    v_new = beta_2 * _wide(v) + (1.0 - beta_2) * g**2
    m_hat, v_hat = m_new / (1.0 - beta_1**step), v_new / (1.0 - beta_2**step)
    w[...] = w - learning_rate * m_hat / (np.sqrt(v_hat) + epsilon)
    m[...], v[...] = m_new, v_new
