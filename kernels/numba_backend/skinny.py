"""Products of very few rows, or of a single column and row: nothing would be read often enough to pay for packing. The twin of
cython_backend/skinny.pxi.
"""

from __future__ import annotations

from kernels.numba_backend.elementwise import activate
from kernels.numba_backend.memory import kernel, lanes_of, like, load, offset, pointer_like, store
from kernels.numba_backend.pack import clear_run, copy_run
from kernels.numba_backend.product import MAX_LANES, write_tile
from kernels.numba_backend.tile import SKINNY_VECTORS, skinny_1, skinny_2x8, skinny_8
from kernels.numba_backend.vector import vector_load, vector_of, vector_store, vector_sum, vector_zero

#: Rows of a product that goes this way, at most.
SKINNY_ROWS = 4


def prefers_skinny(m: int, a_column_stride: int, b_row_stride: int, b_column_stride: int) -> bool:
    """Whether a product of a strided matrix goes this way."""
    return m <= SKINNY_ROWS and (b_column_stride == 1 or (b_row_stride == 1 and a_column_stride == 1))


def skinny_elements(k: int) -> int:
    """Return how many elements of working memory `skinny_product` needs."""
    return SKINNY_ROWS * SKINNY_VECTORS * MAX_LANES + (k + 1) * MAX_LANES


@kernel
def skinny_tile(m, vectors, k, a, a_row, a_k, b, b_k, tile):
    """tile (m, vectors * lanes) = a (m, k) @ as many columns of b."""
    lanes = lanes_of(a)
    if vectors == 1:
        for i in range(m):
            skinny_1(1, k, offset(a, i * a_row), 0, a_k, 0, b, b_k, 0, offset(tile, i * lanes), 0)
    elif m == 1:
        skinny_8(1, k, a, 0, a_k, 0, b, b_k, 0, tile, 0)
    else:
        for i in range(0, m, 2):  # of three rows the last one alone
            if i + 1 < m:
                skinny_2x8(1, k, offset(a, i * a_row), a_row, a_k, 0, b, b_k, 0, offset(tile, i * 8 * lanes), 8 * lanes)
            else:
                skinny_8(1, k, offset(a, i * a_row), 0, a_k, 0, b, b_k, 0, offset(tile, i * 8 * lanes), 0)


@kernel
def dots_of_eight(k, a, b, step):
    """The scalar products of `a` with eight columns, `step` elements apart, as far as there are whole vectors."""
    lanes = lanes_of(a)
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = vector_zero(a)
    for i in range(0, k - lanes + 1, lanes):
        v, at = vector_load(offset(a, i)), offset(b, i)
        s0 = s0 + v * vector_load(at)
        s1 = s1 + v * vector_load(offset(at, step))
        s2 = s2 + v * vector_load(offset(at, 2 * step))
        s3 = s3 + v * vector_load(offset(at, 3 * step))
        s4 = s4 + v * vector_load(offset(at, 4 * step))
        s5 = s5 + v * vector_load(offset(at, 5 * step))
        s6 = s6 + v * vector_load(offset(at, 6 * step))
        s7 = s7 + v * vector_load(offset(at, 7 * step))
    return (
        vector_sum(s0), vector_sum(s1), vector_sum(s2), vector_sum(s3),
        vector_sum(s4), vector_sum(s5), vector_sum(s6), vector_sum(s7),
    )  # fmt: skip


@kernel
def dot_of_one(k, a, b):
    """One scalar product, in four sums, as far as there are whole vectors."""
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
    return vector_sum((s0 + s1) + (s2 + s3))


@kernel
def skinny_dots(m, n, k, a, a_row, b, b_column, tile, c, c_stride, alpha, beta, bias, has_bias, activation):
    """C where B is stored transposed: scalar products along the memory."""
    whole = k // lanes_of(a) * lanes_of(a)
    for i in range(m):
        row, line = offset(a, i * a_row), offset(c, i * c_stride)
        j = 0
        while j < n:
            at, columns = offset(b, j * b_column), 8 if n - j >= 8 else 1
            if columns == 8:
                d0, d1, d2, d3, d4, d5, d6, d7 = dots_of_eight(k, row, at, b_column)
                store(tile, 0, d0)
                store(tile, 1, d1)
                store(tile, 2, d2)
                store(tile, 3, d3)
                store(tile, 4, d4)
                store(tile, 5, d5)
                store(tile, 6, d6)
                store(tile, 7, d7)
            else:
                store(tile, 0, dot_of_one(k, row, at))
            for q in range(columns):
                total = load(tile, q)
                for r in range(whole, k):
                    total += load(row, r) * load(at, q * b_column + r)
                store(tile, q, total)
            write_tile(
                tile, MAX_LANES, offset(line, j), c_stride, 1, columns, alpha, beta, offset(bias, j), has_bias, activation, True
            )
            j += columns


@kernel
def outer_product(
    work_address, m, n, c_address, c_stride, alpha, beta, bias_address, activation, a_address, a_row_stride, b_address
):
    """One column times one row: each element is written once, and nothing is added up."""
    a, b, c = pointer_like(alpha, a_address), pointer_like(alpha, b_address), pointer_like(alpha, c_address)
    bias, lanes, zero = pointer_like(alpha, bias_address), lanes_of(c), like(alpha, 0.0)
    for i in range(m):
        row, factor = offset(c, i * c_stride), load(a, i * a_row_stride)
        j = 0
        while j + lanes <= n:
            value = vector_of(alpha) * (vector_of(factor) * vector_load(offset(b, j)))
            if beta != zero:
                value = value + vector_of(beta) * vector_load(offset(row, j))
            if bias_address != 0:
                value = value + vector_load(offset(bias, j))
            vector_store(offset(row, j), value)
            j += lanes
        while j < n:
            number = alpha * (factor * load(b, j))
            if beta != zero:
                number += beta * load(row, j)
            if bias_address != 0:
                number += load(bias, j)
            store(row, j, number)
            j += 1
        activate(activation, row, row, n)
    return 0


@kernel
def skinny_product(
    work_address, m, n, k, c_address, c_stride, alpha, beta, bias_address, activation,
    a_address, a_row_stride, a_column_stride, b_address, b_row_stride, b_column_stride,
):  # fmt: skip
    """C of a few rows."""
    a, b, c = pointer_like(alpha, a_address), pointer_like(alpha, b_address), pointer_like(alpha, c_address)
    bias, tile = pointer_like(alpha, bias_address), pointer_like(alpha, work_address)
    lanes, has_bias = lanes_of(a), bias_address != 0
    if b_row_stride == 1 and a_column_stride == 1 and (b_column_stride != 1 or n == 1):
        skinny_dots(
            m, n, k, a, a_row_stride, b, b_column_stride, tile, c, c_stride, alpha, beta, bias, has_bias, activation
        )
        return 0
    rest = offset(tile, SKINNY_ROWS * SKINNY_VECTORS * lanes)
    whole = n // lanes * lanes
    if whole < n:
        for r in range(k):
            copy_run(offset(rest, r * lanes), offset(b, r * b_row_stride + whole), n - whole)
            clear_run(offset(rest, r * lanes + n - whole), lanes - (n - whole))
    j = 0
    while j < n:
        vectors = SKINNY_VECTORS if n - j >= SKINNY_VECTORS * lanes else 1
        if j < whole:
            skinny_tile(m, vectors, k, a, a_row_stride, a_column_stride, offset(b, j), b_row_stride, tile)
        else:
            skinny_tile(m, 1, k, a, a_row_stride, a_column_stride, rest, lanes, tile)
        write_tile(
            tile, vectors * lanes, offset(c, j), c_stride, m, min(vectors * lanes, n - j), alpha, beta, offset(bias, j),
            has_bias, activation, True,
        )  # fmt: skip
        j += vectors * lanes
    return 0
