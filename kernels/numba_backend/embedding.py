"""Embeddings: means of rows of a table, and the gradient for the table. The twin of cython_backend/embedding.pxi.

A text with an index that points outside (only a bound call can find one) is passed over. Legend: n texts; steps words of the
longest; rows words there are; channels of a word's vector.
"""

from __future__ import annotations

import numpy as np

from kernels.numba_backend.calls import OUT_OF_RANGE, SUCCESS, Task, address_of
from kernels.numba_backend.memory import VECTOR_BYTES, int64_pointer, kernel, lanes_of, like, load, offset, pointer_like, store
from kernels.numba_backend.parallel import parts, run
from kernels.numba_backend.vector import vector_load, vector_of, vector_store, vector_zero


@kernel
def is_inside(bag, length, steps, rows):
    """Whether a text's length and indices are ones."""
    inside = 0 <= length <= steps
    for t in range(length if inside else 0):
        inside &= 0 <= load(bag, t) < rows
    return inside


@kernel
def mean_of_bag(table, bag, length, channels, y):
    """y[c] = mean of table[bag[t], c]: two vectors of columns at a time, then one, then single ones."""
    lanes, count = lanes_of(y), like(load(y, 0), length)
    c = 0
    while c + 2 * lanes <= channels:
        a = b = vector_zero(y)
        for t in range(length):
            row = offset(table, load(bag, t) * channels + c)
            a = a + vector_load(row)
            b = b + vector_load(offset(row, lanes))
        vector_store(offset(y, c), a / vector_of(count))
        vector_store(offset(y, c + lanes), b / vector_of(count))
        c += 2 * lanes
    while c + lanes <= channels:
        a = vector_zero(y)
        for t in range(length):
            a = a + vector_load(offset(table, load(bag, t) * channels + c))
        vector_store(offset(y, c), a / vector_of(count))
        c += lanes
    while c < channels:
        total = like(count, 0.0)
        for t in range(length):
            total += load(table, load(bag, t) * channels + c)
        store(y, c, total / count)
        c += 1


@kernel
def means(start, end, number, table_address, indices_address, lengths_address, y_address, steps, rows, channels):
    """Texts start..end; returns whether all indices point inside."""
    table, y = pointer_like(number, table_address), pointer_like(number, y_address)
    indices, lengths = int64_pointer(indices_address), int64_pointer(lengths_address)
    inside = True
    for n in range(start, end):
        bag, length, mine = offset(indices, n * steps), load(lengths, n), offset(y, n * channels)
        if not is_inside(bag, length, steps, rows):
            inside = False
        elif length == 0:
            for c in range(channels):
                store(mine, c, like(number, 0.0))
        elif channels > 0:
            mean_of_bag(table, bag, length, channels, mine)
    return inside


@kernel
def gradient(start, end, number, dy_address, indices_address, lengths_address, dw_address, n, steps, rows, channels):
    """Columns start..end of the table's gradient, all words in their order; returns whether all indices point inside."""
    dy, dw = pointer_like(number, dy_address), pointer_like(number, dw_address)
    indices, lengths = int64_pointer(indices_address), int64_pointer(lengths_address)
    lanes, inside = lanes_of(dw), True
    for row in range(rows):
        for c in range(start, end):
            store(dw, row * channels + c, like(number, 0.0))
    for i in range(n):
        bag, length = offset(indices, i * steps), load(lengths, i)
        if not is_inside(bag, length, steps, rows):
            inside = False
            continue
        slope, count = offset(dy, i * channels), like(number, length)
        c = start
        while c + lanes <= end:
            part = vector_load(offset(slope, c)) / vector_of(count)
            for t in range(length):
                target = offset(dw, load(bag, t) * channels + c)
                vector_store(target, vector_load(target) + part)
            c += lanes
        while c < end:
            share = load(slope, c) / count
            for t in range(length):
                at = load(bag, t) * channels + c
                store(dw, at, load(dw, at) + share)
            c += 1
    return inside


# -- on one thread, as tasks ----------------------------------------------------------------------------------------------


@kernel
def _means(work, n, number, table, indices, lengths, y, steps, rows, channels):
    inside = means(0, n, number, table, indices, lengths, y, steps, rows, channels)
    return SUCCESS if inside else OUT_OF_RANGE


@kernel
def _gradient(work, number, dy, indices, lengths, dw, n, steps, rows, channels):
    inside = gradient(0, channels, number, dy, indices, lengths, dw, n, steps, rows, channels)
    return SUCCESS if inside else OUT_OF_RANGE


def _mean_arguments(weight, indices, lengths, out) -> tuple:
    addresses = address_of(weight), address_of(indices), address_of(lengths), address_of(out)
    return weight.dtype.type(0), *addresses, indices.shape[1], *weight.shape


def _gradient_arguments(dy, indices, lengths, out) -> tuple:
    addresses = address_of(dy), address_of(indices), address_of(lengths), address_of(out)
    return dy.dtype.type(0), *addresses, *indices.shape, *out.shape


class Tasks:
    """One thread; each function returns the task."""

    @staticmethod
    def embedding_mean(weight, indices, lengths, out) -> Task:
        keeps = weight, indices, lengths, out
        return Task(_means, (len(indices), *_mean_arguments(*keeps)), 0, keeps)

    @staticmethod
    def embedding_mean_backward(dy, indices, lengths, out) -> Task:
        keeps = dy, indices, lengths, out
        return Task(_gradient, _gradient_arguments(*keeps), 0, keeps)


# -- on several: texts are divided, or columns ----------------------------------------------------------------------------


def embedding_mean(weight, indices, lengths, out, n_threads):
    return all(run(means, parts(len(indices), n_threads), *_mean_arguments(weight, indices, lengths, out)))


def embedding_mean_backward(dy, indices, lengths, out, n_threads):
    pieces = parts(out.shape[1], n_threads, VECTOR_BYTES // np.dtype(out.dtype).itemsize)
    return all(run(gradient, pieces, *_gradient_arguments(dy, indices, lengths, out)))
