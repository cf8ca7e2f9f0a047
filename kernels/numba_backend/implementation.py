"""The Numba kernels as one backend. On one thread a call is a `Task` (``singles.py``); on several, this file divides the work.

What each function gets has been checked (``kernels/api/``); the order of the arguments is the reference's.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from kernels.numba_backend import calls, convolution, direct, elementwise, pooling, scatter, singles, skinny, training, winograd
from kernels.numba_backend import product as gemm_driver
from kernels.numba_backend.calls import Bound, BoundLoss, address_of, end_of, memory
from kernels.numba_backend.embedding import embedding_mean, embedding_mean_backward  # noqa: F401  looked up by name
from kernels.numba_backend.memory import TILE_ROWS, VECTOR_BYTES
from kernels.numba_backend.normalization import (  # noqa: F401  kernels of this backend, looked up by name
    batch_norm,
    batch_norm_backward,
    batch_norm_backward_sums,
    batch_norm_statistics,
    layer_norm,
    layer_norm_backward,
)
from kernels.numba_backend.parallel import parts, run
from kernels.numba_backend.product import NO_PATCHES, PATCHES, PATCHES_TRANSPOSED, STRIDED
from kernels.numba_backend.sizes import sizes_of

#: Fewer elements, or multiply-adds, than these are not worth a second thread.
_MIN_ELEMENTS, _MIN_PRODUCTS = 16384, 100_000
#: An update of so many parameters takes as long as it takes to wake a thread.
_UPDATES, _MIN_UPDATE = ("sgd_update", "adam_update"), 2**20

#: Threads are Python's: to hand work to one takes as long as a small call.
DIVIDES_CALLS = False

program, run_together = calls.Program, calls.run_together


def bind(name: str, arguments: tuple):
    """Return a call of a kernel that is checked already, to be run again and again."""
    *given, n_threads = arguments
    if name in _UPDATES and given[0].size < _MIN_UPDATE:
        n_threads = 1
    if n_threads > 1 or not hasattr(singles, name):
        return partial(globals()[name], *arguments)
    if name == "softmax_cross_entropy":
        loss = np.empty(1)
        return BoundLoss(Bound(singles.softmax_cross_entropy(*given, loss)), loss)
    return Bound(getattr(singles, name)(*given))


# -- matrices -------------------------------------------------------------------------------------------------------------


def _product(n_threads, m, n, k, c, c_stride, alpha, beta, bias, activation, operands):
    """C = act(alpha A B + beta C + bias); `c` and `bias` are addresses, alpha and beta numbers of C's dtype."""
    code = elementwise.CODES[activation]
    size = alpha.itemsize
    if m == 0 or n == 0:
        return
    if k == 0:
        gemm_driver.finish(m, n, c, c_stride, beta, bias, code, 0, 0, 0)
        return
    if m * n * k < _MIN_PRODUCTS:
        n_threads = 1
    divide_depth = n_threads > 1 and m < n_threads * 4 * TILE_ROWS and k >= 4 * m
    pieces = parts(k, n_threads) if divide_depth else parts(m, n_threads, TILE_ROWS)
    elements = gemm_driver.working_elements(m, n, k)
    if not divide_depth:
        work = memory.addresses(len(pieces), elements, size)

        def rows(i_begin, i_end):
            place = work[pieces.index((i_begin, i_end))]
            gemm_driver.product(i_begin, i_end, 0, k, place, c, c_stride, alpha, beta, bias, code, *operands)

        run(rows, pieces)
        return
    # each thread adds up a part of the depth; then the parts are added in their order
    work = memory.addresses(len(pieces), elements, size)
    none = type(alpha)(0)
    sums = np.empty((len(pieces), m, n), type(alpha))

    def depth(k_begin, k_end):
        i = pieces.index((k_begin, k_end))
        gemm_driver.product(0, m, k_begin, k_end, work[i], address_of(sums[i]), n, alpha, none, 0, 0, *operands)

    run(depth, pieces)
    gemm_driver.finish(m, n, c, c_stride, beta, bias, code, address_of(sums), len(pieces), m * n)


def gemm(a, b, out, alpha, beta, bias, activation, n_threads):
    (m, k), n, size = a.shape, b.shape[1], a.itemsize
    a_row, a_column = (s // size for s in a.strides)
    b_row, b_column = (s // size for s in b.strides)
    if n_threads == 1 or m * n * k < _MIN_PRODUCTS or skinny.prefers_skinny(m, a_column, b_row, b_column):
        singles.gemm(a, b, out, alpha, beta, bias, activation)()
        return
    real = out.dtype.type
    b_end = address_of(b) + (max(0, (k - 1) * b_row) + n) * size
    operands = STRIDED, address_of(a), 0, a_row, a_column, address_of(b), b_end, b_row, b_column, n, NO_PATCHES
    _product(n_threads, m, n, k, address_of(out), n, real(alpha), real(beta), address_of(bias), activation, operands)


# -- convolutions ---------------------------------------------------------------------------------------------------------


def conv2d(x, w, bias, out, geometry, activation, n_threads):
    if n_threads == 1:
        singles.conv2d(x, w, bias, out, geometry, activation)()
        return
    s = sizes_of(geometry)
    if direct.prefers_direct(s, n_threads):
        pieces = parts(s.batch, n_threads)
        work = memory.addresses(len(pieces), direct.forward_elements(s), x.itemsize)
        arguments = s, address_of(x), address_of(w), address_of(bias), address_of(out), elementwise.CODES[activation]

        def images(n0, n1):
            direct.direct_forward(n0, n1, work[pieces.index((n0, n1))], x.dtype.type(0), *arguments)

        run(images, pieces)
        return
    if winograd.prefers_winograd(s, VECTOR_BYTES // x.itemsize) and _winograd(
        winograd.forward_of(s), x, address_of(w), address_of(bias), activation, out, n_threads
    ):
        return
    g, size, real = geometry, x.itemsize, x.dtype.type
    m, n, channels = g.batch * g.out_h * g.out_w, g.out_c // g.groups, g.in_c // g.groups
    k = g.kernel_h * g.kernel_w * channels
    patches = convolution.patches_of_input(g)
    for group in range(g.groups):
        shift = group * n * size
        operands = (
            PATCHES, address_of(x) + group * channels * size, end_of(x), 0, 0,
            address_of(w) + shift, end_of(w), g.out_c, 1, n, patches,
        )  # fmt: skip
        group_bias = 0 if bias is None else address_of(bias) + shift
        target = address_of(out) + shift
        _product(n_threads, m, n, k, target, g.out_c, real(1), real(0), group_bias, activation, operands)


def _winograd(g, x, w, bias, activation, out, n_threads) -> bool:
    """Convolve x with the filters at address `w`; whether all of the result is finite."""
    number, code = x.dtype.type(0), elementwise.CODES[activation]
    blocks = parts(-(-g.n_tiles // winograd.BLOCK_TILES), n_threads)
    pieces = [(a * winograd.BLOCK_TILES, min(b * winograd.BLOCK_TILES, g.n_tiles)) for a, b in blocks]
    u = np.empty(g.filter_elements, x.dtype)
    winograd.transform_filters(number, g, w, address_of(u))
    work = memory.addresses(len(pieces), g.forward_elements, x.itemsize)
    arguments = number, g, address_of(x), address_of(u), bias, code, address_of(out)

    def tiles(t0, t1):
        return winograd.winograd_tiles(t0, t1, work[pieces.index((t0, t1))], *arguments)

    return all(run(tiles, pieces))


def conv2d_backward_input(dy, w, out, geometry, n_threads):
    if n_threads == 1:
        singles.conv2d_backward_input(dy, w, out, geometry)()
        return
    s, lanes = sizes_of(geometry), VECTOR_BYTES // dy.itemsize
    if scatter.prefers_scatter(s, lanes):
        pieces = parts(s.batch, n_threads)
        places = memory.addresses(len(pieces), scatter.elements(s), dy.itemsize)
        addresses = address_of(dy), address_of(w), address_of(out)

        def images(n0, n1):
            scatter.scatter_images(n0, n1, places[pieces.index((n0, n1))], dy.dtype.type(0), s, *addresses)

        run(images, pieces)
        return
    turned = np.empty(w.size, w.dtype)
    if winograd.prefers_winograd(s, lanes):
        sizes = 9, s.in_c, s.out_c, 0, s.out_c
        convolution.transpose_filters(w.dtype.type(0), address_of(w), address_of(turned), *sizes)
        if _winograd(winograd.backward_of(s), dy, address_of(turned), 0, None, out, n_threads):
            return
    g, size, real = geometry, dy.itemsize, dy.dtype.type
    m, n, n_out = g.batch * g.in_h * g.in_w, g.in_c // g.groups, g.out_c // g.groups
    n_taps = g.kernel_h * g.kernel_w
    patches = convolution.patches_of_output(g)
    turned_end = address_of(turned) + n_taps * n_out * n * size
    for group in range(g.groups):
        convolution.transpose_filters(
            real(0), address_of(w), address_of(turned), n_taps, n, g.out_c, group * n_out, n_out
        )
        operands = (
            PATCHES, address_of(dy) + group * n_out * size, end_of(dy), 0, 0, address_of(turned), turned_end, n, 1, n, patches,
        )  # fmt: skip
        target = address_of(out) + group * n * size
        _product(n_threads, m, n, n_taps * n_out, target, g.in_c, real(1), real(0), 0, None, operands)


def conv2d_backward_weight(dy, x, out, geometry, n_threads):
    if n_threads == 1:
        singles.conv2d_backward_weight(dy, x, out, geometry)()
        return
    s = sizes_of(geometry)
    if direct.prefers_direct(s, n_threads):
        pieces = parts(s.batch, n_threads)
        work = memory.addresses(len(pieces), direct.weight_elements(s), x.itemsize)
        sums = np.zeros((len(pieces), direct.sum_elements(s)), x.dtype)

        def images(n0, n1):
            i = pieces.index((n0, n1))
            addresses = address_of(x), address_of(dy), address_of(sums[i])
            direct.direct_weights(n0, n1, work[i], x.dtype.type(0), s, *addresses)

        run(images, pieces)
        direct.add_sums(x.dtype.type(0), s, address_of(sums), len(pieces), sums.shape[1], address_of(out))
        return
    if winograd.prefers_winograd(s, VECTOR_BYTES // x.itemsize) and _winograd_weights(
        winograd.forward_of(s), x, dy, out, n_threads
    ):
        return
    g, size, real = geometry, dy.itemsize, dy.dtype.type
    n, channels, k = g.out_c // g.groups, g.in_c // g.groups, g.batch * g.out_h * g.out_w
    patches = convolution.patches_of_input(g)
    for group in range(g.groups):
        operands = (
            PATCHES_TRANSPOSED, address_of(x) + group * channels * size, end_of(x), 0, 0,
            address_of(dy) + group * n * size, end_of(dy), g.out_c, 1, n, patches,
        )  # fmt: skip
        target = address_of(out) + group * n * size
        m = g.kernel_h * g.kernel_w * channels
        _product(n_threads, m, n, k, target, g.out_c, real(1), real(0), 0, None, operands)


def _winograd_weights(g, x, dy, out, n_threads) -> bool:
    """Write the gradient for the weights; whether all of it is finite."""
    number = x.dtype.type(0)
    pieces = parts(g.n_tiles, n_threads)
    du = np.zeros((len(pieces), g.filter_elements), x.dtype)
    work = memory.addresses(len(pieces), g.gradient_elements, x.itemsize)

    def tiles(t0, t1):
        i = pieces.index((t0, t1))
        winograd.winograd_gradient_tiles(t0, t1, work[i], number, g, address_of(x), address_of(dy), address_of(du[i]))

    run(tiles, pieces)
    return winograd.write_filters(number, g, address_of(du), len(pieces), g.filter_elements, address_of(out))


# -- pooling --------------------------------------------------------------------------------------------------------------


def max_pool2d(x, out, argmax, geometry, n_threads):
    pieces = parts(geometry.batch * geometry.out_h, n_threads)
    addresses = address_of(x), address_of(out), address_of(argmax)
    run(pooling.max_pool, pieces, x.dtype.type(0), *addresses, singles.window_of(geometry))


def max_pool2d_backward(dy, argmax, out, n_threads):
    batch, h, w, channels = out.shape
    sizes = dy.shape[1] * dy.shape[2], h * w, channels
    addresses = address_of(dy), address_of(argmax), address_of(out)
    return all(run(pooling.max_pool_backward, parts(batch, n_threads), dy.dtype.type(0), *addresses, *sizes))


def avg_pool2d(x, out, geometry, count_include_pad, n_threads):
    pieces = parts(geometry.batch * geometry.out_h, n_threads)
    arguments = x.dtype.type(0), address_of(x), address_of(out), bool(count_include_pad), singles.window_of(geometry)
    run(pooling.avg_pool, pieces, *arguments)


def avg_pool2d_backward(dy, out, geometry, count_include_pad, n_threads):
    pieces = parts(geometry.batch, n_threads)
    arguments = dy.dtype.type(0), address_of(dy), address_of(out), bool(count_include_pad), singles.window_of(geometry)
    run(pooling.avg_pool_backward, pieces, *arguments)


# -- elementwise ----------------------------------------------------------------------------------------------------------


def _pieces(n: int, n_threads: int, least: int = _MIN_ELEMENTS) -> list[tuple[int, int]]:
    return parts(n, n_threads if n > least else 1, 64)


def _forward(code: int):
    def kernel(x, out, n_threads):
        run(elementwise.forward, _pieces(x.size, n_threads), code, x.dtype.type(0), address_of(x), address_of(out))

    return kernel


def _backward(code: int):
    def kernel(dy, y, out, n_threads):
        addresses = address_of(dy), address_of(y), address_of(out)
        run(elementwise.backward, _pieces(dy.size, n_threads), code, dy.dtype.type(0), *addresses)

    return kernel


relu, relu_backward = _forward(elementwise.RELU), _backward(elementwise.RELU)
sigmoid, sigmoid_backward = _forward(elementwise.SIGMOID), _backward(elementwise.SIGMOID)
tanh, tanh_backward = _forward(elementwise.TANH), _backward(elementwise.TANH)
gelu, _gelu_backward = _forward(elementwise.GELU), _backward(elementwise.GELU)


def gelu_backward(dy, x, out, n_threads):
    _gelu_backward(dy, x, out, n_threads)


def leaky_relu(x, out, slope, n_threads):
    run(elementwise.leaky, _pieces(x.size, n_threads), x.dtype.type(slope), address_of(x), address_of(out))


def leaky_relu_backward(dy, y, out, slope, n_threads):
    addresses = address_of(dy), address_of(y), address_of(out)
    run(elementwise.leaky_backward, _pieces(dy.size, n_threads), dy.dtype.type(slope), *addresses)


def add(a, b, out, activation, n_threads):
    arguments = elementwise.CODES[activation], a.dtype.type(0), address_of(a), address_of(b), address_of(out)
    run(elementwise.add, _pieces(a.size, n_threads), *arguments)


# -- loss, bias, optimizers -----------------------------------------------------------------------------------------------


def softmax_cross_entropy(logits, labels, out, n_threads):
    n, n_classes = logits.shape
    addresses = address_of(logits), address_of(labels), address_of(out)
    losses = run(training.cross_entropy, parts(n, n_threads), logits.dtype.type(0), *addresses, n_classes, n)
    return sum(losses) / n


def bias_backward(dy, out, n_threads):
    n_rows, channels = dy.shape
    total = np.empty(max(channels, training.BIAS_FOLDED))
    pieces = parts(channels, n_threads if dy.size > _MIN_ELEMENTS else 1, 16)
    run(training.bias, pieces, dy.dtype.type(0), address_of(dy), address_of(out), address_of(total), n_rows, channels)


def sgd_update(w, dw, velocity, learning_rate, momentum, nesterov, weight_decay, n_threads):
    real = w.dtype.type
    options = real(learning_rate), real(momentum), bool(nesterov), real(weight_decay)
    run(training.sgd, _pieces(w.size, n_threads, _MIN_UPDATE), address_of(w), address_of(dw), address_of(velocity), *options)


def adam_update(w, dw, m, v, step, learning_rate, beta_1, beta_2, epsilon, weight_decay, n_threads):
    addresses = address_of(w), address_of(dw), address_of(m), address_of(v)
    options = singles.adam_options(w.dtype.type, step, learning_rate, beta_1, beta_2, epsilon, weight_decay)
    run(training.adam, _pieces(w.size, n_threads, _MIN_UPDATE), *addresses, *options)
