"""Normalization as calls: on one thread a `Task` each (``singles.py``), on several the functions below.

The order of the arguments is the reference's.
"""

from __future__ import annotations

import numpy as np

from kernels.numba_backend import elementwise, norm
from kernels.numba_backend.calls import Task, address_of
from kernels.numba_backend.memory import VECTOR_BYTES
from kernels.numba_backend.parallel import parts, run

#: Fewer elements than these are not worth a second thread.
_MIN_ELEMENTS = 16384


def _line(x: np.ndarray) -> int:
    """Return the elements of a line (``norm.py``)."""
    return int(norm.rows_folded(VECTOR_BYTES // x.itemsize, x.shape[1])) * x.shape[1]


def _number(x: np.ndarray):
    return x.dtype.type(0)


def _addresses(*arrays: np.ndarray) -> tuple[int, ...]:
    return tuple(address_of(array) for array in arrays)


class Tasks:
    """One thread; each function returns the task."""

    @staticmethod
    def batch_norm_statistics(x, mean, variance) -> Task:
        moments = np.empty((2, x.shape[1]))
        arguments = _number(x), address_of(x), *x.shape, *_addresses(mean, variance, moments)
        return Task(norm.statistics, arguments, norm.WORK_BYTES, (x, mean, variance, moments))

    @staticmethod
    def batch_norm(x, mean, variance, gamma, beta, out, epsilon, activation) -> Task:
        width, code = _line(x), elementwise.CODES[activation]
        keeps = x, mean, variance, gamma, beta, out
        arguments = _number(x), x.size, x.shape[1], max(width, 1), *_addresses(*keeps), np.float64(epsilon), code
        return Task(norm.norm_task, arguments, 3 * width * x.itemsize, keeps)

    @staticmethod
    def batch_norm_backward_sums(dy, x, mean, total, product) -> Task:
        sums = np.empty((2, x.shape[1]))
        arguments = _number(x), *_addresses(dy, x, mean), *x.shape, *_addresses(total, product, sums)
        return Task(norm.backward_sums, arguments, norm.WORK_BYTES, (dy, x, mean, total, product, sums))

    @staticmethod
    def batch_norm_backward(dy, x, mean, variance, gamma, sum_dy, sum_dy_x, out, count, epsilon) -> Task:
        width, keeps = _line(x), (dy, x, mean, variance, gamma, sum_dy, sum_dy_x, out)
        arguments = _number(x), x.size, x.shape[1], max(width, 1), *_addresses(*keeps), np.float64(count), np.float64(epsilon)
        return Task(norm.norm_backward_task, arguments, 4 * width * x.itemsize, keeps)

    @staticmethod
    def layer_norm(x, gamma, beta, out, epsilon, activation) -> Task:
        keeps, code = (x, gamma, beta, out), elementwise.CODES[activation]
        arguments = _number(x), x.shape[0], *_addresses(*keeps), x.shape[1], np.float64(epsilon), code
        return Task(norm.layer_norm_task, arguments, 0, keeps)

    @staticmethod
    def layer_norm_backward(dy, x, gamma, out, gamma_out, beta_out, epsilon) -> Task:
        keeps = dy, x, gamma, out, gamma_out, beta_out
        arguments = _number(x), x.shape[0], *_addresses(*keeps), x.shape[1], np.float64(epsilon)
        return Task(norm.layer_norm_backward_task, arguments, 16 * x.shape[1], keeps)


# -- several threads: each takes rows; sums are added in the order of the rows -------------------------------------------


def _row_parts(x: np.ndarray, n_threads: int) -> list[tuple[int, int]]:
    return parts(x.shape[0], n_threads if x.size > _MIN_ELEMENTS else 1)


def _with_buffers(function, pieces, channels, *arguments):
    """Return two doubles for each channel of each piece, filled by function(start, end, *arguments, first, second, work)."""
    sums = np.zeros((len(pieces), 2, channels))
    work = np.empty((len(pieces), norm.WORK_BYTES), np.uint8)

    def piece(start, end):
        i = pieces.index((start, end))
        function(start, end, *arguments, *_addresses(*sums[i], work[i]))

    run(piece, pieces)
    return sums


def batch_norm_statistics(x, mean, variance, n_threads):
    if n_threads == 1:
        Tasks.batch_norm_statistics(x, mean, variance)()
        return
    if x.shape[0] == 0:
        mean[...], variance[...] = np.nan, np.nan
        return
    pieces = _row_parts(x, n_threads)
    sums = _with_buffers(norm.row_moments, pieces, x.shape[1], _number(x), address_of(x), x.shape[1])
    (means, squares), before = sums[0], pieces[0][1]
    with np.errstate(all="ignore"):
        for (start, end), (means_b, squares_b) in zip(pieces[1:], sums[1:], strict=True):
            n, difference = end - start, means_b - means
            means = means + difference * (n / (before + n))
            squares = squares + squares_b + difference**2 * (before * n / (before + n))
            before += n
        mean[...], variance[...] = means, squares / before


def batch_norm_backward_sums(dy, x, mean, total, product, n_threads):
    if n_threads == 1:
        Tasks.batch_norm_backward_sums(dy, x, mean, total, product)()
        return
    arguments = _number(x), *_addresses(dy, x, mean), x.shape[1]
    with np.errstate(all="ignore"):
        sums = _with_buffers(norm.row_sums, _row_parts(x, n_threads), x.shape[1], *arguments)
        total[...], product[...] = sums.sum(axis=0)


def _element_parts(x: np.ndarray, width: int, n_threads: int) -> list[tuple[int, int]]:
    return parts(x.size, n_threads if x.size > _MIN_ELEMENTS else 1, max(width, 1))


def batch_norm(x, mean, variance, gamma, beta, out, epsilon, activation, n_threads):
    if n_threads == 1:
        Tasks.batch_norm(x, mean, variance, gamma, beta, out, epsilon, activation)()
        return
    width, code = _line(x), elementwise.CODES[activation]
    if x.size == 0:
        return
    constants = np.empty(3 * width, x.dtype)
    vectors = _addresses(mean, variance, gamma, beta)
    norm.forward_constants(_number(x), x.shape[1], width, *vectors, np.float64(epsilon), address_of(constants))
    arguments = _number(x), *_addresses(x, out, constants), width, code
    run(norm.norm, _element_parts(x, width, n_threads), *arguments)


def batch_norm_backward(dy, x, mean, variance, gamma, sum_dy, sum_dy_x, out, count, epsilon, n_threads):
    if n_threads == 1:
        Tasks.batch_norm_backward(dy, x, mean, variance, gamma, sum_dy, sum_dy_x, out, count, epsilon)()
        return
    width = _line(x)
    if x.size == 0:
        return
    constants = np.empty(4 * width, x.dtype)
    vectors = _addresses(mean, variance, gamma, sum_dy, sum_dy_x)
    options = np.float64(count), np.float64(epsilon), address_of(constants)
    norm.backward_constants(_number(x), x.shape[1], width, *vectors, *options)
    run(norm.norm_backward, _element_parts(x, width, n_threads), _number(x), *_addresses(dy, x, out, constants), width)


def layer_norm(x, gamma, beta, out, epsilon, activation, n_threads):
    if n_threads == 1:
        Tasks.layer_norm(x, gamma, beta, out, epsilon, activation)()
        return
    if x.size:
        options = x.shape[1], np.float64(epsilon), elementwise.CODES[activation]
        run(norm.layer_norm, _row_parts(x, n_threads), _number(x), *_addresses(x, gamma, beta, out), *options)


def layer_norm_backward(dy, x, gamma, out, gamma_out, beta_out, epsilon, n_threads):
    if n_threads == 1:
        Tasks.layer_norm_backward(dy, x, gamma, out, gamma_out, beta_out, epsilon)()
        return
    gamma_out[...], beta_out[...] = 0, 0
    if x.size == 0:
        return
    pieces, channels = _row_parts(x, n_threads), x.shape[1]
    sums = np.zeros((len(pieces), 2, channels))
    arguments = _number(x), *_addresses(dy, x, gamma, out), channels, np.float64(epsilon)

    def piece(start, end):
        norm.layer_norm_backward(start, end, *arguments, *_addresses(*sums[pieces.index((start, end))]))

    run(piece, pieces)
    with np.errstate(all="ignore"):
        gamma_out[...], beta_out[...] = sums.sum(axis=0)
