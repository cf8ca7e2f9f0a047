"""Products of very few rows, or of a single column and row: nothing would be read often enough to pay for packing. The twin of
cython_backend/skinny.pxi.
"""

from __future__ import annotations

import math

from kernels.numba_backend.elementwise import RELU, activate
from kernels.numba_backend.memory import kernel, lanes_of, like, load, offset, pointer_like, store
from kernels.numba_backend.product_tile import (
    ALL,
    PART,
    Target,
    dots,
    row_tile_1,
    row_tile_2,
    row_tile_4,
    row_tile_8,
    rows_tile_1,
    rows_tile_4,
    rows_tile_8,
)
from kernels.numba_backend.vector import (
    vector_load,
    vector_load_head,
    vector_of,
    vector_store,
    vector_store_head,
    vector_sum,
    vector_zero,
)

#: Rows of a product that goes this way, at most.
SKINNY_ROWS = 4
#: Fewer scalar products than these are taken one by one.
FEW_DOTS = 4


def prefers_skinny(m: int, a_column_stride: int, b_row_stride: int, b_column_stride: int) -> bool:
    """Whether a product of a strided matrix goes this way."""
    return m <= SKINNY_ROWS and (b_column_stride == 1 or (b_row_stride == 1 and a_column_stride == 1))


@kernel
def skinny_columns(m, n, k, a, a_row, a_k, b, b_k, c, c_stride, mode, alpha, beta, floor, bias, has_bias):
    """C where the rows of B are read along; two rows at a time, of three the last one alone."""
    lanes = lanes_of(a)
    j = 0
    while j < n:
        left = (n - j + lanes - 1) // lanes
        vectors = 8 if left >= 8 else 4 if left >= 4 else 1 if left < 2 or m > 1 else 2
        head = min(lanes, n - j - (vectors - 1) * lanes)
        target = Target(mode, 2, head, alpha, beta, floor, offset(bias, j if has_bias else 0), has_bias)
        for i in range(0, m, 2):
            row, at, to = offset(a, i * a_row), offset(b, j), offset(c, i * c_stride + j)
            if i + 1 < m:
                if vectors == 8:
                    rows_tile_8(k, row, a_row, a_k, at, b_k, to, c_stride, target)
                elif vectors == 4:
                    rows_tile_4(k, row, a_row, a_k, at, b_k, to, c_stride, target)
                else:
                    rows_tile_1(k, row, a_row, a_k, at, b_k, to, c_stride, target)
            elif vectors == 8:
                row_tile_8(k, row, 0, a_k, at, b_k, to, 0, target)
            elif vectors == 4:
                row_tile_4(k, row, 0, a_k, at, b_k, to, 0, target)
            elif vectors == 2:
                row_tile_2(k, row, 0, a_k, at, b_k, to, 0, target)
            else:
                row_tile_1(k, row, 0, a_k, at, b_k, to, 0, target)
        j += vectors * lanes


@kernel
def dot_of_one(k, a, b):
    """One scalar product, in four sums."""
    lanes = lanes_of(a)
    s0 = s1 = s2 = s3 = vector_zero(a)
    i = 0
    while i + 4 * lanes <= k:
        s0 = s0 + vector_load(offset(a, i)) * vector_load(offset(b, i))
        s1 = s1 + vector_load(offset(a, i + lanes)) * vector_load(offset(b, i + lanes))
        s2 = s2 + vector_load(offset(a, i + 2 * lanes)) * vector_load(offset(b, i + 2 * lanes))
        s3 = s3 + vector_load(offset(a, i + 3 * lanes)) * vector_load(offset(b, i + 3 * lanes))
        i += 4 * lanes
    while i + lanes <= k:
        s0 = s0 + vector_load(offset(a, i)) * vector_load(offset(b, i))
        i += lanes
    if i < k:
        s1 = s1 + vector_load_head(offset(a, i), k - i) * vector_load_head(offset(b, i), k - i)
    return vector_sum((s0 + s1) + (s2 + s3))


@kernel
def skinny_dots(m, n, k, a, a_row, b, b_column, c, c_stride, mode, alpha, beta, floor, bias, has_bias):
    """C where B is stored transposed: scalar products along the memory, a vector of them at a time."""
    lanes = lanes_of(a)
    for i in range(m):
        row, line = offset(a, i * a_row), offset(c, i * c_stride)
        j = 0
        while j < n:
            at, columns = offset(b, j * b_column), min(lanes, n - j)
            if columns >= FEW_DOTS:
                place = offset(bias, j if has_bias else 0)
                target = Target(mode, 1, columns, alpha, beta, floor, place, has_bias)
                dots(k, row, at, b_column, offset(line, j), target)
            else:
                columns = 1
                number = alpha * dot_of_one(k, row, at)
                if mode == ALL:
                    number += beta * load(line, j)
                if has_bias:
                    number += load(bias, j)
                store(line, j, floor if number < floor else number)
            j += columns


@kernel
def outer_product(
    work_address, m, n, c_address, c_stride, alpha, beta, bias_address, activation, a_address, a_row_stride, b_address
):
    """One column times one row: each element is written once, and nothing is added up."""
    a, b, c = pointer_like(alpha, a_address), pointer_like(alpha, b_address), pointer_like(alpha, c_address)
    bias, lanes, zero = pointer_like(alpha, bias_address), lanes_of(c), like(alpha, 0.0)
    whole, rest, has_bias = n // lanes * lanes, n % lanes, bias_address != 0
    end, factors = vector_load_head(offset(b, whole), rest), vector_of(alpha)
    # Up to which row vectors are written whole where the row ends: what is too many falls into the next rows, written next.
    whole_to = m - (whole + lanes - 1) // n if beta == zero and c_stride == n else 0
    i = 0
    if whole == 0 and not has_bias and activation == 0:
        while i < whole_to:
            vector_store(offset(c, i * c_stride), factors * (vector_of(load(a, i * a_row_stride)) * end))
            i += 1
    while i < m:
        row, factor = offset(c, i * c_stride), vector_of(load(a, i * a_row_stride))
        j = 0
        while j < whole:
            value = factors * (factor * vector_load(offset(b, j)))
            if beta != zero:
                value = value + vector_of(beta) * vector_load(offset(row, j))
            if has_bias:
                value = value + vector_load(offset(bias, j))
            vector_store(offset(row, j), value)
            j += lanes
        if rest > 0:
            value = factors * (factor * end)
            if beta != zero:
                value = value + vector_of(beta) * vector_load_head(offset(row, j), rest)
            if has_bias:
                value = value + vector_load_head(offset(bias, j), rest)
            if i < whole_to:
                vector_store(offset(row, j), value)
            else:
                vector_store_head(offset(row, j), value, rest)
        if activation > 0:
            activate(activation, row, row, n)
        i += 1
    return 0


@kernel
def skinny_product(
    work_address, m, n, k, c_address, c_stride, alpha, beta, bias_address, activation,
    a_address, a_row_stride, a_column_stride, b_address, b_row_stride, b_column_stride,
):  # fmt: skip
    """C of a few rows."""
    a, b, c = pointer_like(alpha, a_address), pointer_like(alpha, b_address), pointer_like(alpha, c_address)
    bias, has_bias = pointer_like(alpha, bias_address), bias_address != 0
    zero = like(alpha, 0.0)
    floor, mode = zero if activation == RELU else like(alpha, math.nan), PART if beta == zero else ALL
    if not has_bias:
        bias = c  # something that may be read
    if b_row_stride == 1 and a_column_stride == 1 and (b_column_stride != 1 or n == 1):
        skinny_dots(
            m, n, k, a, a_row_stride, b, b_column_stride, c, c_stride, mode, alpha, beta, floor, bias, has_bias,
        )  # fmt: skip
    else:
        skinny_columns(
            m, n, k, a, a_row_stride, a_column_stride, b, b_row_stride, c, c_stride, mode, alpha, beta, floor, bias, has_bias,
        )  # fmt: skip
    if activation > RELU:
        for i in range(m):
            activate(activation, offset(c, i * c_stride), offset(c, i * c_stride), n)
    return 0
