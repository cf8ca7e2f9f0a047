"""Matrix products around the register tile. The twin of cython_backend/gemm.pxi:

C[i, j] = act(alpha * sum_k A[i, k] * B[k, j] + beta * C[i, j] + bias[j])

One compiled function serves gemm and all three convolutions: A is a strided matrix, or the patches of images, or those
transposed. It computes rows i_begin..i_end over the depth k_begin..k_end, so that threads can divide either.
"""

from __future__ import annotations

from kernels.numba_backend.elementwise import RELU, activate
from kernels.numba_backend.memory import (
    TILE_ROWS,
    VECTOR_BYTES,
    kernel,
    lanes_of,
    like,
    load,
    offset,
    pointer_like,
    store,
)
from kernels.numba_backend.pack import (
    Patches,
    pack_b,
    pack_columns,
    pack_patches,
    pack_patches_transposed,
    pack_rows,
)
from kernels.numba_backend.tile import A_STRIDE, BLOCK_DEPTH, tile_1, tile_2
from kernels.numba_backend.vector import vector_load, vector_of, vector_relu, vector_store

STRIDED, PATCHES, PATCHES_TRANSPOSED = 0, 1, 2
BLOCK_ROWS, BLOCK_COLUMNS = 240, 2048
#: Elements of float32 in a vector: more than those of float64, so that one size of buffers serves both.
MAX_LANES = VECTOR_BYTES // 4
NO_PATCHES = (0,) * len(Patches._fields)

#: Elements of the working memory of one thread: the panels of A, one line, one tile, then the panels of B.
LINE = (BLOCK_ROWS + TILE_ROWS) * A_STRIDE
TILE = LINE + BLOCK_ROWS + 4 * MAX_LANES + TILE_ROWS
PANELS_B = TILE + TILE_ROWS * 2 * MAX_LANES


def working_elements(n: int, k: int) -> int:
    """Return how many elements of memory a thread needs for products of `n` columns and depth `k`."""
    return PANELS_B + (min(n, BLOCK_COLUMNS) + 2 * MAX_LANES) * min(k, BLOCK_DEPTH)


@kernel
def write_tile(tile, width, c, c_stride, rows, columns, alpha, beta, bias, has_bias, activation, last):
    """C = alpha * tile + beta * C, with the last block of the depth bias and activation too. beta = 0 reads no C."""
    zero, lanes = like(alpha, 0.0), lanes_of(tile)
    if columns == width:
        factor, rest = vector_of(alpha), vector_of(beta)
        for i in range(rows):
            row, t = offset(c, i * c_stride), offset(tile, i * width)
            j = 0
            while j < width:
                value = factor * vector_load(offset(t, j))
                if beta != zero:
                    value = value + rest * vector_load(offset(row, j))
                if last:
                    if has_bias:
                        value = value + vector_load(offset(bias, j))
                    if activation == RELU:
                        value = vector_relu(value)
                vector_store(offset(row, j), value)
                j += lanes
            if last and activation > RELU:
                activate(activation, row, row, columns)
        return
    for i in range(rows):
        row, t = offset(c, i * c_stride), offset(tile, i * width)
        if beta == zero:
            for j in range(columns):
                store(row, j, alpha * load(t, j))
        else:
            for j in range(columns):
                store(row, j, alpha * load(t, j) + beta * load(row, j))
        if last:
            if has_bias:
                for j in range(columns):
                    store(row, j, load(row, j) + load(bias, j))
            if activation:
                activate(activation, row, row, columns)


@kernel
def multiply_block(
    by_rows, a_panels, b_panels, tile, c, c_stride, rows, columns, depth, alpha, beta, bias, has_bias, activation, last
):
    """All tiles of one block of C."""
    lanes = lanes_of(tile)
    j = 0
    while j < columns:
        width = 2 * lanes if columns - j > lanes else lanes
        b = offset(b_panels, j * depth)
        i = 0
        while i < rows:
            a = offset(a_panels, i * A_STRIDE)
            if width > lanes:
                if by_rows:
                    tile_2(1, depth, a, A_STRIDE, 1, 0, b, 2 * lanes, 0, tile, 2 * lanes)
                else:
                    tile_2(1, depth, a, 1, TILE_ROWS, 0, b, 2 * lanes, 0, tile, 2 * lanes)
            elif by_rows:
                tile_1(1, depth, a, A_STRIDE, 1, 0, b, lanes, 0, tile, lanes)
            else:
                tile_1(1, depth, a, 1, TILE_ROWS, 0, b, lanes, 0, tile, lanes)
            write_tile(
                tile, width, offset(c, i * c_stride + j), c_stride, min(TILE_ROWS, rows - i), min(width, columns - j),
                alpha, beta, offset(bias, j), has_bias, activation, last,
            )  # fmt: skip
            i += TILE_ROWS
        j += width


@kernel
def product(
    i_begin, i_end, k_begin, k_end, work_address, c_address, c_stride, alpha, beta, bias_address, activation,
    kind, a_address, a_end_address, a_row_stride, a_column_stride,
    b_address, b_end_address, b_row_stride, b_column_stride, n,
    height, width, channels_total, channels, kernel_h, kernel_w, out_h, out_w,
    step_h, step_w, tap_h, tap_w, offset_h, offset_w, divisor_h, divisor_w,
):  # fmt: skip
    """Rows i_begin..i_end of C over the depth k_begin..k_end. Addresses are integers; `alpha` has C's dtype."""
    p = Patches(
        height, width, channels_total, channels, kernel_h, kernel_w, out_h, out_w,
        step_h, step_w, tap_h, tap_w, offset_h, offset_w, divisor_h, divisor_w,
    )  # fmt: skip
    a, a_end = pointer_like(alpha, a_address), pointer_like(alpha, a_end_address)
    b, b_end = pointer_like(alpha, b_address), pointer_like(alpha, b_end_address)
    c, bias = pointer_like(alpha, c_address), pointer_like(alpha, bias_address)
    work = pointer_like(alpha, work_address)
    line, tile, b_panels = offset(work, LINE), offset(work, TILE), offset(work, PANELS_B)
    by_columns = kind == PATCHES_TRANSPOSED or (kind == STRIDED and a_row_stride == 1 and a_column_stride != 1)
    j = 0
    while j < n:
        columns = min(BLOCK_COLUMNS, n - j)
        k = k_begin
        while k < k_end:
            depth = min(BLOCK_DEPTH, k_end - k)
            pack_b(b, b_row_stride, b_column_stride, b_end, j, columns, k, depth, b_panels)
            i = i_begin
            while i < i_end:
                rows = min(BLOCK_ROWS, i_end - i)
                if kind == PATCHES:
                    pack_patches(p, a, a_end, i, rows, k, depth, work)
                elif kind == PATCHES_TRANSPOSED:
                    pack_patches_transposed(p, a, a_end, i, rows, k, depth, work, line)
                elif by_columns:
                    pack_columns(a, a_column_stride, i, rows, k, depth, work, line)
                else:
                    pack_rows(a, a_row_stride, a_column_stride, i, rows, k, depth, work)
                multiply_block(
                    not by_columns, work, b_panels, tile, offset(c, i * c_stride + j), c_stride, rows, columns, depth,
                    alpha, beta if k == k_begin else like(alpha, 1.0), offset(bias, j), bias_address != 0, activation,
                    k + depth == k_end,
                )  # fmt: skip
                i += BLOCK_ROWS
            k += BLOCK_DEPTH
        j += BLOCK_COLUMNS


@kernel
def finish(m, n, c_address, c_stride, beta, bias_address, activation, parts_address, n_parts, part_size):
    """C = act(beta * C + the parts, in their order, + bias): what is left where the depth was divided, or is 0."""
    c, bias = pointer_like(beta, c_address), pointer_like(beta, bias_address)
    parts = pointer_like(beta, parts_address)
    zero = like(beta, 0.0)
    for i in range(m):
        row = offset(c, i * c_stride)
        for j in range(n):
            total = zero if beta == zero else beta * load(row, j)
            for t in range(n_parts):
                total += load(parts, t * part_size + i * n + j)
            if bias_address != 0:
                total += load(bias, j)
            store(row, j, total)
        activate(activation, row, row, n)
