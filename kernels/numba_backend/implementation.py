"""The Numba kernels as one backend: arrays become addresses and sizes, work is divided among threads.

What each function gets has been checked (``kernels/api/``); the order of the arguments is the reference's.
"""

from __future__ import annotations

import threading

import numpy as np

from kernels.numba_backend import convolution, direct, elementwise, pooling, scatter, training, winograd
from kernels.numba_backend import product as gemm_driver
from kernels.numba_backend.memory import TILE_ROWS, VECTOR_BYTES
from kernels.numba_backend.parallel import parts, run
from kernels.numba_backend.sizes import sizes_of
from kernels.numba_backend.product import NO_PATCHES, PATCHES, PATCHES_TRANSPOSED, STRIDED

#: Fewer elements, or multiply-adds, than these are not worth a second thread.
_MIN_ELEMENTS, _MIN_PRODUCTS = 16384, 100_000


def _address(array: np.ndarray | None) -> int:
    return 0 if array is None else array.__array_interface__["data"][0]


def _end(array: np.ndarray) -> int:
    """The address behind a C-contiguous array."""
    return _address(array) + array.nbytes


class _Memory(threading.local):
    """Working memory of the calling thread, grown and kept: new memory costs a page fault for each 4 KiB."""

    def __init__(self):
        self._bytes = np.empty(0, np.uint8)

    def addresses(self, n_parts: int, elements: int, itemsize: int) -> list[int]:
        """Return one address for each part, 64-byte aligned."""
        stride = -(-elements * itemsize // 64) * 64
        if self._bytes.size < n_parts * stride + 64:
            self._bytes = np.empty(n_parts * stride + 64, np.uint8)
        start = -(-_address(self._bytes) // 64) * 64
        return [start + i * stride for i in range(n_parts)]


_memory = _Memory()


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
    elements = gemm_driver.working_elements(n, k)
    if not divide_depth:
        work = _memory.addresses(len(pieces), elements, size)

        def rows(i_begin, i_end):
            place = work[pieces.index((i_begin, i_end))]
            gemm_driver.product(i_begin, i_end, 0, k, place, c, c_stride, alpha, beta, bias, code, *operands)

        run(rows, pieces)
        return
    # each thread adds up a part of the depth; then the parts are added in their order
    work = _memory.addresses(len(pieces), elements, size)
    none = type(alpha)(0)
    sums = np.empty((len(pieces), m, n), type(alpha))

    def depth(k_begin, k_end):
        i = pieces.index((k_begin, k_end))
        gemm_driver.product(0, m, k_begin, k_end, work[i], _address(sums[i]), n, alpha, none, 0, 0, *operands)

    run(depth, pieces)
    gemm_driver.finish(m, n, c, c_stride, beta, bias, code, _address(sums), len(pieces), m * n)


def gemm(a, b, out, alpha, beta, bias, activation, n_threads):
    (m, k), n, size = a.shape, b.shape[1], a.itemsize
    real = out.dtype.type
    b_strides = [s // size for s in b.strides]
    b_end = _address(b) + (max(0, (k - 1) * b_strides[0]) + n) * size
    operands = (
        STRIDED, _address(a), 0, a.strides[0] // size, a.strides[1] // size,
        _address(b), b_end, *b_strides, n, *NO_PATCHES,
    )  # fmt: skip
    _product(n_threads, m, n, k, _address(out), n, real(alpha), real(beta), _address(bias), activation, operands)


def conv2d(x, w, bias, out, geometry, activation, n_threads):
    s = sizes_of(geometry)
    if direct.prefers_direct(s, n_threads):
        pieces = parts(s.batch, n_threads)
        work = _memory.addresses(len(pieces), direct.forward_elements(s), x.itemsize)
        arguments = s, _address(x), _address(w), _address(bias), _address(out), elementwise.CODES[activation]

        def images(n0, n1):
            direct.direct_forward(n0, n1, work[pieces.index((n0, n1))], x.dtype.type(0), *arguments)

        run(images, pieces)
        return
    if winograd.prefers_winograd(s, VECTOR_BYTES // x.itemsize) and _winograd(
        winograd.forward_of(s), x, _address(w), _address(bias), activation, out, n_threads
    ):
        return
    g, size, real = geometry, x.itemsize, x.dtype.type
    m, n, channels = g.batch * g.out_h * g.out_w, g.out_c // g.groups, g.in_c // g.groups
    k = g.kernel_h * g.kernel_w * channels
    patches = convolution.patches_of_input(g)
    for group in range(g.groups):
        shift = group * n * size
        operands = (
            PATCHES, _address(x) + group * channels * size, _end(x), 0, 0,
            _address(w) + shift, _end(w), g.out_c, 1, n, *patches,
        )  # fmt: skip
        group_bias = 0 if bias is None else _address(bias) + shift
        target = _address(out) + shift
        _product(n_threads, m, n, k, target, g.out_c, real(1), real(0), group_bias, activation, operands)


def _winograd(g, x, w, bias, activation, out, n_threads) -> bool:
    """Convolve x with the filters at address `w`; whether all of the result is finite."""
    number, code = x.dtype.type(0), elementwise.CODES[activation]
    blocks = parts(-(-g.n_tiles // winograd.BLOCK_TILES), n_threads)
    pieces = [(a * winograd.BLOCK_TILES, min(b * winograd.BLOCK_TILES, g.n_tiles)) for a, b in blocks]
    u = np.empty(g.filter_elements, x.dtype)
    winograd.transform_filters(number, g, w, _address(u))
    work = _memory.addresses(len(pieces), g.forward_elements, x.itemsize)
    arguments = number, g, _address(x), _address(u), bias, code, _address(out)

    def tiles(t0, t1):
        return winograd.winograd_tiles(t0, t1, work[pieces.index((t0, t1))], *arguments)

    return all(run(tiles, pieces))


def _winograd_weights(g, x, dy, out, n_threads) -> bool:
    """Write the gradient for the weights; whether all of it is finite."""
    number = x.dtype.type(0)
    pieces = parts(g.n_tiles, n_threads)
    du = np.zeros((len(pieces), g.filter_elements), x.dtype)
    work = _memory.addresses(len(pieces), g.gradient_elements, x.itemsize)

    def tiles(t0, t1):
        i = pieces.index((t0, t1))
        winograd.winograd_gradient_tiles(t0, t1, work[i], number, g, _address(x), _address(dy), _address(du[i]))

    run(tiles, pieces)
    return winograd.write_filters(number, g, _address(du), len(pieces), g.filter_elements, _address(out))


def conv2d_backward_input(dy, w, out, geometry, n_threads):
    s, lanes = sizes_of(geometry), VECTOR_BYTES // dy.itemsize
    if scatter.prefers_scatter(s, lanes):
        pieces = parts(s.batch, n_threads)
        places = _memory.addresses(len(pieces), scatter.elements(s), dy.itemsize)
        addresses = _address(dy), _address(w), _address(out)

        def images(n0, n1):
            scatter.scatter_images(n0, n1, places[pieces.index((n0, n1))], dy.dtype.type(0), s, *addresses)

        run(images, pieces)
        return
    if winograd.prefers_winograd(s, lanes):
        turned = np.empty(w.size, w.dtype)
        sizes = 9, s.in_c, s.out_c, 0, s.out_c
        convolution.transpose_filters(w.dtype.type(0), _address(w), _address(turned), *sizes)
        if _winograd(winograd.backward_of(s), dy, _address(turned), 0, None, out, n_threads):
            return
    g, size, real = geometry, dy.itemsize, dy.dtype.type
    m, n, n_out = g.batch * g.in_h * g.in_w, g.in_c // g.groups, g.out_c // g.groups
    n_taps = g.kernel_h * g.kernel_w
    transposed = np.empty(n_taps * n_out * n, dy.dtype)
    patches = convolution.patches_of_output(g)
    for group in range(g.groups):
        convolution.transpose_filters(
            real(0), _address(w), _address(transposed), n_taps, n, g.out_c, group * n_out, n_out
        )
        operands = (
            PATCHES, _address(dy) + group * n_out * size, _end(dy), 0, 0,
            _address(transposed), _end(transposed), n, 1, n, *patches,
        )  # fmt: skip
        target = _address(out) + group * n * size
        _product(n_threads, m, n, n_taps * n_out, target, g.in_c, real(1), real(0), 0, None, operands)


def conv2d_backward_weight(dy, x, out, geometry, n_threads):
    s = sizes_of(geometry)
    if direct.prefers_direct(s, n_threads):
        pieces = parts(s.batch, n_threads)
        work = _memory.addresses(len(pieces), direct.weight_elements(s), x.itemsize)
        sums = np.zeros((len(pieces), direct.sum_elements(s)), x.dtype)

        def images(n0, n1):
            i = pieces.index((n0, n1))
            direct.direct_weights(n0, n1, work[i], x.dtype.type(0), s, _address(x), _address(dy), _address(sums[i]))

        run(images, pieces)
        direct.add_sums(x.dtype.type(0), s, _address(sums), len(pieces), sums.shape[1], _address(out))
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
            PATCHES_TRANSPOSED, _address(x) + group * channels * size, _end(x), 0, 0,
            _address(dy) + group * n * size, _end(dy), g.out_c, 1, n, *patches,
        )  # fmt: skip
        target = _address(out) + group * n * size
        m = g.kernel_h * g.kernel_w * channels
        _product(n_threads, m, n, k, target, g.out_c, real(1), real(0), 0, None, operands)


# -- pooling ---------------------------------------------------------------------------------------------------------


def _window(g) -> tuple:
    return (
        g.in_h, g.in_w, g.channels, g.kernel_h, g.kernel_w, g.stride_h, g.stride_w, g.pad_top, g.pad_left,
        g.out_h, g.out_w,
    )  # fmt: skip


def max_pool2d(x, out, argmax, geometry, n_threads):
    pieces = parts(geometry.batch * geometry.out_h, n_threads)
    number = x.dtype.type(0)
    addresses = _address(x), _address(out), _address(argmax)
    run(pooling.max_pool, pieces, number, *addresses, geometry.batch, *_window(geometry))


def max_pool2d_backward(dy, argmax, out, n_threads):
    batch, h, w, channels = out.shape
    sizes = dy.shape[1] * dy.shape[2], h * w, channels
    number = dy.dtype.type(0)
    pieces = parts(batch, n_threads)
    return all(run(pooling.max_pool_backward, pieces, number, _address(dy), _address(argmax), _address(out), *sizes))


def avg_pool2d(x, out, geometry, count_include_pad, n_threads):
    pieces = parts(geometry.batch * geometry.out_h, n_threads)
    number = x.dtype.type(0)
    run(pooling.avg_pool, pieces, number, _address(x), _address(out), count_include_pad, *_window(geometry))


def avg_pool2d_backward(dy, out, geometry, count_include_pad, n_threads):
    pieces = parts(geometry.batch, n_threads)
    number = dy.dtype.type(0)
    run(pooling.avg_pool_backward, pieces, number, _address(dy), _address(out), count_include_pad, *_window(geometry))


# -- elementwise -----------------------------------------------------------------------------------------------------


def _pieces(n: int, n_threads: int) -> list[tuple[int, int]]:
    return parts(n, n_threads if n > _MIN_ELEMENTS else 1, 64)


def _forward(activation: str):
    code = elementwise.CODES[activation]

    def kernel(x, out, n_threads):
        run(elementwise.forward, _pieces(x.size, n_threads), code, x.dtype.type(0), _address(x), _address(out))

    return kernel


def _backward(activation: str):
    code = elementwise.CODES[activation]

    def kernel(dy, y, out, n_threads):
        addresses = _address(dy), _address(y), _address(out)
        run(elementwise.backward, _pieces(dy.size, n_threads), code, dy.dtype.type(0), *addresses)

    return kernel


relu, relu_backward = _forward("relu"), _backward("relu")
sigmoid, sigmoid_backward = _forward("sigmoid"), _backward("sigmoid")
tanh, tanh_backward = _forward("tanh"), _backward("tanh")


# -- loss, bias, optimizers ------------------------------------------------------------------------------------------


def softmax_cross_entropy(logits, labels, out, n_threads):
    n, n_classes = logits.shape
    addresses = _address(logits), _address(labels), _address(out)
    losses = run(training.cross_entropy, parts(n, n_threads), logits.dtype.type(0), *addresses, n_classes, n)
    return sum(losses) / n


def bias_backward(dy, out, n_threads):
    n_rows, channels = dy.shape
    total = np.empty(max(channels, training.BIAS_FOLDED))
    pieces = parts(channels, n_threads if dy.size > _MIN_ELEMENTS else 1, 16)
    addresses = _address(dy), _address(out), _address(total)
    run(training.bias, pieces, dy.dtype.type(0), *addresses, n_rows, channels)


def sgd_update(w, dw, velocity, learning_rate, momentum, nesterov, weight_decay, n_threads):
    real = w.dtype.type
    addresses = _address(w), _address(dw), _address(velocity)
    options = real(learning_rate), real(momentum), nesterov, real(weight_decay)
    run(training.sgd, _pieces(w.size, n_threads), *addresses, *options)


@np.errstate(over="ignore")
def adam_update(w, dw, m, v, step, learning_rate, beta_1, beta_2, epsilon, weight_decay, n_threads):
    real = w.dtype.type
    addresses = _address(w), _address(dw), _address(m), _address(v)
    rate, correction_2 = real(learning_rate / (1.0 - beta_1**step)), real(1.0 / (1.0 - beta_2**step))
    options = real(beta_1), real(1.0 - beta_1), real(beta_2), real(1.0 - beta_2), correction_2, real(epsilon)
    run(training.adam, _pieces(w.size, n_threads), *addresses, rate, *options, real(weight_decay))
