"""Each kernel on one thread, as a `Task`: one compiled function and its arguments.

What each builder gets has been checked (``kernels/api/``); the order of the arguments is the reference's, without the
number of threads.
"""

from __future__ import annotations

import numpy as np

from kernels.numba_backend import (
    convolution,
    direct,
    elementwise,
    planar,
    pooling,
    product,
    scatter,
    skinny,
    training,
    turned,
    winograd,
)
from kernels.numba_backend.calls import OUT_OF_RANGE, SUCCESS, Task, address_of, end_of
from kernels.numba_backend.embedding import Tasks as EmbeddingTasks
from kernels.numba_backend.memory import VECTOR_BYTES, float64_pointer, kernel, store
from kernels.numba_backend.normalization import Tasks
from kernels.numba_backend.sizes import sizes_of


def _real(array: np.ndarray, value: float = 0.0):
    return array.dtype.type(value)


# -- matrices -------------------------------------------------------------------------------------------------------------


def gemm(a, b, out, alpha, beta, bias, activation) -> Task:
    (m, k), n, size = a.shape, b.shape[1], a.itemsize
    a_row, a_column = (s // size for s in a.strides)
    b_row, b_column = (s // size for s in b.strides)
    alpha, beta, code = _real(out, alpha), _real(out, beta), elementwise.CODES[activation]
    target = address_of(out), n, alpha, beta, address_of(bias), code
    keeps = a, b, out, bias
    if k == 0 or m == 0 or n == 0:
        return Task(product.without_depth, (m, n, address_of(out), n, beta, address_of(bias), code), 0, keeps)
    if skinny.prefers_skinny(m, a_column, b_row, b_column):
        operands = address_of(a), a_row, a_column, address_of(b), b_row, b_column
        return Task(skinny.skinny_product, (m, n, k, *target, *operands), 0, keeps)
    if k == 1 and b_column == 1:
        return Task(skinny.outer_product, (m, n, *target, address_of(a), a_row, address_of(b)), 0, keeps)
    if n == 1 and bias is None and skinny.prefers_skinny(1, b_row, a_column, a_row):  # A b = (b' A')', of one row
        operands = address_of(b), b_column, b_row, address_of(a), a_column, a_row
        target = address_of(out), m, alpha, beta, 0, code
        return Task(skinny.skinny_product, (1, m, k, *target, *operands), 0, keeps)
    plain = beta == 0 and bias is None and activation is None
    if plain and turned.prefers_turned(m, n, a_row, a_column, size):
        operands = address_of(a), a_column, address_of(b), b_row, b_column, product.NO_PATCHES
        arguments = m, n, k, address_of(out), n, alpha, *operands
        return Task(turned.turned_product, arguments, size * turned.turned_elements(m, n, k), keeps)
    b_end = address_of(b) + (max(0, (k - 1) * b_row) + n) * size
    operands = (
        product.STRIDED, address_of(a), 0, a_row, a_column, address_of(b), b_end, b_row, b_column, n, product.NO_PATCHES,
    )  # fmt: skip
    return Task(product.whole_product, (m, k, *target, *operands), size * product.working_elements(m, n, k), keeps)


# -- convolutions ---------------------------------------------------------------------------------------------------------


def conv2d(x, w, bias, out, geometry, activation) -> Task:
    s, size, keeps = sizes_of(geometry), x.itemsize, (x, w, bias, out)
    code, addresses = elementwise.CODES[activation], (address_of(bias), address_of(out))
    if direct.prefers_direct(s, 1):
        arguments = _real(x), s, address_of(x), address_of(w), *addresses, code
        if planar.prefers_planar(s, VECTOR_BYTES // size):
            return Task(convolution.forward_planar, arguments, size * planar.forward_elements(s), keeps)
        return Task(convolution.forward_directly, arguments, size * direct.forward_elements(s), keeps)
    p = convolution.patches_of_input(geometry)
    operands = address_of(x), end_of(x), address_of(w), end_of(w), *addresses, code
    packed = product.working_elements(product.BLOCK_ROWS, s.out_c // s.groups, s.kernel_h * s.kernel_w * (s.in_c // s.groups))
    if winograd.prefers_winograd(s, VECTOR_BYTES // size):
        g = winograd.forward_of(s)
        n = max(g.filter_elements + g.forward_elements, packed)
        return Task(convolution.forward_winograd, (_real(x), s, g, p, *operands), size * n, keeps)
    return Task(convolution.forward_packed, (_real(x), s, p, *operands), size * packed, keeps)


def conv2d_backward_input(dy, w, out, geometry) -> Task:
    s, size, keeps = sizes_of(geometry), dy.itemsize, (dy, w, out)
    if scatter.prefers_scatter(s, VECTOR_BYTES // size):
        arguments = _real(dy), s, address_of(dy), address_of(w), address_of(out)
        return Task(convolution.input_scattered, arguments, size * scatter.elements(s), keeps)
    p = convolution.patches_of_output(geometry)
    operands = address_of(dy), end_of(dy), address_of(w), address_of(out)
    depth = s.kernel_h * s.kernel_w * (s.out_c // s.groups)
    packed = product.working_elements(product.BLOCK_ROWS, s.in_c // s.groups, depth) + w.size + VECTOR_BYTES
    if winograd.prefers_winograd(s, VECTOR_BYTES // size):
        g = winograd.backward_of(s)
        n = max(g.filter_elements + max(g.forward_elements, w.size), packed)
        return Task(convolution.input_winograd, (_real(dy), s, g, p, *operands), size * n, keeps)
    return Task(convolution.input_packed, (_real(dy), s, p, *operands), size * packed, keeps)


def conv2d_backward_weight(dy, x, out, geometry) -> Task:
    s, size, keeps = sizes_of(geometry), dy.itemsize, (dy, x, out)
    if direct.prefers_direct(s, 1):
        sums = direct.sum_elements(s)
        arguments = _real(x), s, sums, address_of(x), address_of(dy), address_of(out)
        if planar.prefers_planar(s, VECTOR_BYTES // size):
            n = max(planar.weight_elements(s), sums + direct.weight_elements(s))
            return Task(convolution.weights_planar, arguments, size * n + 64, keeps)
        return Task(convolution.weights_directly, arguments, size * (sums + direct.weight_elements(s)) + 64, keeps)
    p = convolution.patches_of_input(geometry)
    operands = address_of(x), end_of(x), address_of(dy), end_of(dy), address_of(out)
    packed = product.working_elements(product.BLOCK_ROWS, s.out_c // s.groups, s.batch * s.out_h * s.out_w)
    if winograd.prefers_winograd(s, VECTOR_BYTES // size):
        g = winograd.forward_of(s)
        n = max(g.filter_elements + g.gradient_elements, packed)
        return Task(convolution.weights_winograd, (_real(x), s, g, p, *operands), size * n, keeps)
    return Task(convolution.weights_packed, (_real(x), s, p, *operands), size * packed, keeps)


# -- pooling --------------------------------------------------------------------------------------------------------------


def window_of(g) -> pooling.Window:
    return pooling.Window(*(int(getattr(g, name)) for name in pooling.Window._fields))


@kernel
def _max_pool(work, number, x, y, argmax, s):
    pooling.max_pool(0, s.batch * s.out_h, number, x, y, argmax, s)
    return SUCCESS


def max_pool2d(x, out, argmax, geometry) -> Task:
    addresses = address_of(x), address_of(out), address_of(argmax)
    return Task(_max_pool, (_real(x), *addresses, window_of(geometry)), 0, (x, out, argmax))


@kernel
def _max_pool_backward(work, number, dy, argmax, dx, batch, n_windows, n_pixels, channels):
    inside = pooling.max_pool_backward(0, batch, number, dy, argmax, dx, n_windows, n_pixels, channels)
    return SUCCESS if inside else OUT_OF_RANGE


def max_pool2d_backward(dy, argmax, out) -> Task:
    batch, h, w, channels = out.shape
    arguments = address_of(dy), address_of(argmax), address_of(out), batch, dy.shape[1] * dy.shape[2], h * w, channels
    return Task(_max_pool_backward, (_real(dy), *arguments), 0, (dy, argmax, out))


@kernel
def _avg_pool(work, number, x, y, include_pad, s):
    pooling.avg_pool(0, s.batch * s.out_h, number, x, y, include_pad, s)
    return SUCCESS


def avg_pool2d(x, out, geometry, count_include_pad) -> Task:
    arguments = _real(x), address_of(x), address_of(out), bool(count_include_pad), window_of(geometry)
    return Task(_avg_pool, arguments, 0, (x, out))


@kernel
def _avg_pool_backward(work, number, dy, dx, include_pad, s):
    pooling.avg_pool_backward(0, s.batch, number, dy, dx, include_pad, s)
    return SUCCESS


def avg_pool2d_backward(dy, out, geometry, count_include_pad) -> Task:
    arguments = _real(dy), address_of(dy), address_of(out), bool(count_include_pad), window_of(geometry)
    return Task(_avg_pool_backward, arguments, 0, (dy, out))


# -- activations ----------------------------------------------------------------------------------------------------------


@kernel
def _activate(work, n, activation, number, x, y):
    elementwise.forward(0, n, activation, number, x, y)
    return SUCCESS


@kernel
def _activate_backward(work, n, activation, number, dy, y, dx):
    elementwise.backward(0, n, activation, number, dy, y, dx)
    return SUCCESS


def _forward(code: int):
    def builder(x, out) -> Task:
        return Task(_activate, (x.size, code, _real(x), address_of(x), address_of(out)), 0, (x, out))

    return builder


def _backward(code: int):
    def builder(dy, y, out) -> Task:
        addresses = address_of(dy), address_of(y), address_of(out)
        return Task(_activate_backward, (dy.size, code, _real(dy), *addresses), 0, (dy, y, out))

    return builder


relu, relu_backward = _forward(elementwise.RELU), _backward(elementwise.RELU)
sigmoid, sigmoid_backward = _forward(elementwise.SIGMOID), _backward(elementwise.SIGMOID)
tanh, tanh_backward = _forward(elementwise.TANH), _backward(elementwise.TANH)
gelu, gelu_backward = _forward(elementwise.GELU), _backward(elementwise.GELU)


@kernel
def _leaky(work, n, slope, x, y):
    elementwise.leaky(0, n, slope, x, y)
    return SUCCESS


def leaky_relu(x, out, slope) -> Task:
    return Task(_leaky, (x.size, _real(x, slope), address_of(x), address_of(out)), 0, (x, out))


@kernel
def _leaky_backward(work, n, slope, dy, y, dx):
    elementwise.leaky_backward(0, n, slope, dy, y, dx)
    return SUCCESS


def leaky_relu_backward(dy, y, out, slope) -> Task:
    addresses = address_of(dy), address_of(y), address_of(out)
    return Task(_leaky_backward, (dy.size, _real(dy, slope), *addresses), 0, (dy, y, out))


@kernel
def _add(work, n, activation, number, a, b, y):
    elementwise.add(0, n, activation, number, a, b, y)
    return SUCCESS


def add(a, b, out, activation) -> Task:
    addresses = address_of(a), address_of(b), address_of(out)
    return Task(_add, (a.size, elementwise.CODES[activation], _real(a), *addresses), 0, (a, b, out))


# -- normalization --------------------------------------------------------------------------------------------------------

batch_norm_statistics, batch_norm = Tasks.batch_norm_statistics, Tasks.batch_norm
batch_norm_backward_sums, batch_norm_backward = Tasks.batch_norm_backward_sums, Tasks.batch_norm_backward
layer_norm, layer_norm_backward = Tasks.layer_norm, Tasks.layer_norm_backward


# -- embeddings -----------------------------------------------------------------------------------------------------------

embedding_mean, embedding_mean_backward = EmbeddingTasks.embedding_mean, EmbeddingTasks.embedding_mean_backward


# -- loss, bias, optimizers -----------------------------------------------------------------------------------------------


@kernel
def _cross_entropy(work, number, logits, labels, dlogits, n_classes, n, loss):
    total = training.cross_entropy(0, n, number, logits, labels, dlogits, n_classes, n)
    store(float64_pointer(loss), 0, total / n)
    return SUCCESS


def softmax_cross_entropy(logits, labels, out, loss) -> Task:
    """`loss` (1,) of float64 takes the mean loss."""
    n, n_classes = logits.shape
    addresses = address_of(logits), address_of(labels), address_of(out)
    arguments = _real(logits), *addresses, n_classes, n, address_of(loss)
    return Task(_cross_entropy, arguments, 0, (logits, labels, out, loss))


@kernel
def _bias(work, number, dy, db, n_rows, channels):
    training.bias(0, channels, number, dy, db, work, n_rows, channels)
    return SUCCESS


def bias_backward(dy, out) -> Task:
    n_rows, channels = dy.shape
    arguments = _real(dy), address_of(dy), address_of(out), n_rows, channels
    return Task(_bias, arguments, 8 * max(channels, training.BIAS_FOLDED), (dy, out))


@kernel
def _sgd(work, n, w, dw, velocity, rate, momentum, nesterov, decay):
    training.sgd(0, n, w, dw, velocity, rate, momentum, nesterov, decay)
    return SUCCESS


def sgd_update(w, dw, velocity, learning_rate, momentum, nesterov, weight_decay) -> Task:
    addresses = address_of(w), address_of(dw), address_of(velocity)
    options = _real(w, learning_rate), _real(w, momentum), bool(nesterov), _real(w, weight_decay)
    return Task(_sgd, (w.size, *addresses, *options), 0, (w, dw, velocity))


@kernel
def _adam(work, n, w, dw, m, v, rate, beta_1, rest_1, beta_2, rest_2, correction_2, epsilon, decay):
    training.adam(0, n, w, dw, m, v, rate, beta_1, rest_1, beta_2, rest_2, correction_2, epsilon, decay)
    return SUCCESS


@np.errstate(over="ignore")
def adam_options(real, step, learning_rate, beta_1, beta_2, epsilon, weight_decay) -> tuple:
    """Return the numbers of a step of Adam in the arrays' type, its corrections taken in double."""
    rate, correction_2 = real(learning_rate / (1.0 - beta_1**step)), real(1.0 / (1.0 - beta_2**step))
    moments = real(beta_1), real(1.0 - beta_1), real(beta_2), real(1.0 - beta_2)
    return rate, *moments, correction_2, real(epsilon), real(weight_decay)


def adam_update(w, dw, m, v, step, learning_rate, beta_1, beta_2, epsilon, weight_decay) -> Task:
    addresses = address_of(w), address_of(dw), address_of(m), address_of(v)
    options = adam_options(w.dtype.type, step, learning_rate, beta_1, beta_2, epsilon, weight_decay)
    return Task(_adam, (w.size, *addresses, *options), 0, (w, dw, m, v))
