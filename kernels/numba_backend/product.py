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
    element_bytes,
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
from kernels.numba_backend.separate import separately
from kernels.numba_backend.tile import (
    A_STRIDE,
    BLOCK_DEPTH,
    tile_1,
    tile_2,
)
from kernels.numba_backend.vector import vector_load, vector_of, vector_relu, vector_store

STRIDED, PATCHES, PATCHES_TRANSPOSED = 0, 1, 2
BLOCK_ROWS, BLOCK_COLUMNS = 240, 2048
#: Elements of float32 in a vector: more than those of float64, so that one size of buffers serves both.
MAX_LANES = VECTOR_BYTES // 4
#: A is read where it is for at most so many columns of C, B for at most so many tiles of rows (docs/decisions/0014).
IN_PLACE_COLUMNS, IN_PLACE_TILES = 8 * MAX_LANES, 4
#: Sums as long as this, into a C as small as that, are read in place also where a tile hangs over the edge.
LONG_DEPTH, SMALL_PRODUCT = 512, 16384
NO_PATCHES = Patches(*(0,) * len(Patches._fields))

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
def run_tile(form, width, depth, a, a_step, b, b_k, c, c_row):
    """One tile, written to c. Form 0: A packed by rows; 1: by columns; 2: rows in place; 3: columns in place."""
    if width > lanes_of(c):
        if form == 0:
            tile_2(1, depth, a, A_STRIDE, 1, 0, b, b_k, 0, c, c_row)
        elif form == 1:
            tile_2(1, depth, a, 1, TILE_ROWS, 0, b, b_k, 0, c, c_row)
        elif form == 2:
            tile_2(1, depth, a, a_step, 1, 0, b, b_k, 0, c, c_row)
        else:
            tile_2(1, depth, a, 1, a_step, 0, b, b_k, 0, c, c_row)
    elif form == 0:
        tile_1(1, depth, a, A_STRIDE, 1, 0, b, b_k, 0, c, c_row)
    elif form == 1:
        tile_1(1, depth, a, 1, TILE_ROWS, 0, b, b_k, 0, c, c_row)
    elif form == 2:
        tile_1(1, depth, a, a_step, 1, 0, b, b_k, 0, c, c_row)
    else:
        tile_1(1, depth, a, 1, a_step, 0, b, b_k, 0, c, c_row)


@kernel
def multiply_panel(
    form, a, a_step, tile_step, b, b_k, width, tile, c, c_stride, rows, columns, depth, alpha, beta, bias, has_bias,
    activation, last,
):  # fmt: skip
    """All rows of a block of C, one panel of B. Where C is the plain product, whole tiles are written to it at once."""
    plain = alpha == like(alpha, 1.0) and beta == like(beta, 0.0) and not (last and (has_bias or activation > 0))
    plain = plain and columns == width
    i = 0
    while i < rows:
        whole = plain and rows - i >= TILE_ROWS
        row = offset(c, i * c_stride)
        target, target_row = (row, c_stride) if whole else (tile, width)
        run_tile(form, width, depth, offset(a, i // TILE_ROWS * tile_step), a_step, b, b_k, target, target_row)
        if not whole:
            write_tile(
                tile, width, row, c_stride, min(TILE_ROWS, rows - i), columns, alpha, beta, bias, has_bias, activation, last,
            )  # fmt: skip
        i += TILE_ROWS


@kernel
def multiply_block(
    form, a, a_step, tile_step, b, b_row, in_place, b_panels, tile, c, c_stride, rows, columns, depth, alpha, beta, bias,
    has_bias, activation, last,
):  # fmt: skip
    """All tiles of one block of C. Its first `in_place` columns of B are read where they are, the others from panels."""
    lanes = lanes_of(tile)
    j = 0
    while j < columns:
        width = 2 * lanes if columns - j > lanes else lanes
        if j < in_place:
            width = 2 * lanes if in_place - j > lanes else lanes
            panel, b_k = offset(b, j), b_row
        else:
            panel, b_k = offset(b_panels, (j - in_place) * depth), width
        multiply_panel(
            form, a, a_step, tile_step, panel, b_k, width, tile, offset(c, j), c_stride, rows, min(width, columns - j),
            depth, alpha, beta, offset(bias, j), has_bias, activation, last,
        )  # fmt: skip
        j += width


call_multiply_block = separately(multiply_block)


@kernel
def reads_a_in_place(number, kind, row_stride, column_stride, n):
    """Whether packing A would cost more than it saves; rows a multiple of a page apart would share one set of the cache."""
    if kind != STRIDED or n > IN_PLACE_COLUMNS:
        return False
    if column_stride == 1:
        return row_stride * element_bytes(number) % 1024 != 0
    return row_stride == 1


@kernel
def readable_depth(m, n, k, kind, a_row_stride, a_column_stride, b_row_stride, b_column_stride, lanes):
    """Up to which depth a tile that hangs over the edge of A or B still reads inside of them (the beginning of the next row).

    For long sums into a small C alone, where packing would be most of the work.
    """
    if kind != STRIDED or k < LONG_DEPTH or m * n > SMALL_PRODUCT:
        return 0
    if a_row_stride != 1 or b_column_stride != 1 or a_column_stride < m or b_row_stride < n:
        return 0
    return max(0, k - max((TILE_ROWS - 1) // a_column_stride, (2 * lanes - 1) // b_row_stride) - 1)


@kernel
def product(
    i_begin, i_end, k_begin, k_end, work_address, c_address, c_stride, alpha, beta, bias_address, activation,
    kind, a_address, a_end_address, a_row_stride, a_column_stride,
    b_address, b_end_address, b_row_stride, b_column_stride, n, p,
):  # fmt: skip
    """Rows i_begin..i_end of C over the depth k_begin..k_end. Addresses are integers; `alpha` has C's dtype."""
    a, a_end = pointer_like(alpha, a_address), pointer_like(alpha, a_end_address)
    b, b_end = pointer_like(alpha, b_address), pointer_like(alpha, b_end_address)
    c, bias = pointer_like(alpha, c_address), pointer_like(alpha, bias_address)
    work = pointer_like(alpha, work_address)
    line, tile, b_panels = offset(work, LINE), offset(work, TILE), offset(work, PANELS_B)
    lanes, has_bias = lanes_of(tile), bias_address != 0
    by_columns = kind == PATCHES_TRANSPOSED or (kind == STRIDED and a_row_stride == 1 and a_column_stride != 1)
    packed_form, packed_step = (1 if by_columns else 0), TILE_ROWS * A_STRIDE
    a_in_place = reads_a_in_place(alpha, kind, a_row_stride, a_column_stride, n)
    here_form, here_step = (3, a_column_stride) if by_columns else (2, a_row_stride)
    b_in_place = b_column_stride == 1 and (i_end - i_begin <= IN_PLACE_TILES * TILE_ROWS or b_row_stride <= 2 * lanes)
    # equal parts of the depth, so that the last one is not a short one that pays for a whole pass over C
    n_parts = -(-(k_end - k_begin) // BLOCK_DEPTH)
    most_depth = -(-(k_end - k_begin) // max(n_parts, 1))
    readable = 0
    if a_in_place and b_in_place:
        readable = readable_depth(
            i_end - i_begin, n, k_end, kind, a_row_stride, a_column_stride, b_row_stride, b_column_stride, lanes
        )
    j = 0
    while j < n:
        columns = min(BLOCK_COLUMNS, n - j)
        k = k_begin
        while k < k_end:
            depth = min(most_depth, k_end - k)
            if k < readable and readable < k + depth:
                depth = readable - k
            over = k + depth <= readable
            in_place = columns if over else columns // (2 * lanes) * (2 * lanes) if b_in_place else 0
            pack_b(b, b_row_stride, b_column_stride, b_end, j + in_place, columns - in_place, k, depth, b_panels)
            b_here = offset(b, k * b_row_stride + j)
            now, last = beta if k == k_begin else like(alpha, 1.0), k + depth == k_end
            i = i_begin
            while i < i_end:
                rows = min(BLOCK_ROWS, i_end - i)
                target, whole = offset(c, i * c_stride + j), 0
                if a_in_place:
                    whole = rows if over else rows // TILE_ROWS * TILE_ROWS
                    call_multiply_block(
                        here_form, offset(a, i * a_row_stride + k * a_column_stride), here_step, TILE_ROWS * a_row_stride,
                        b_here, b_row_stride, in_place, b_panels, tile, target, c_stride, whole, columns, depth, alpha, now,
                        offset(bias, j), has_bias, activation, last,
                    )  # fmt: skip
                if whole < rows:
                    if kind == PATCHES:
                        pack_patches(p, a, a_end, i, rows, k, depth, work)
                    elif kind == PATCHES_TRANSPOSED:
                        pack_patches_transposed(p, a, a_end, i, rows, k, depth, work, line)
                    elif by_columns:
                        pack_columns(a, a_column_stride, i + whole, rows - whole, k, depth, work, line)
                    else:
                        pack_rows(a, a_row_stride, a_column_stride, i + whole, rows - whole, k, depth, work)
                    call_multiply_block(
                        packed_form, work, 0, packed_step, b_here, b_row_stride, in_place, b_panels, tile,
                        offset(target, whole * c_stride), c_stride, rows - whole, columns, depth, alpha, now,
                        offset(bias, j), has_bias, activation, last,
                    )  # fmt: skip
                i += BLOCK_ROWS
            k += depth
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


call_product = separately(product)


@kernel
def whole_product(
    work_address, m, k, c_address, c_stride, alpha, beta, bias_address, activation,
    kind, a_address, a_end_address, a_row_stride, a_column_stride,
    b_address, b_end_address, b_row_stride, b_column_stride, n, p,
):  # fmt: skip
    """All rows of C, on one thread."""
    call_product(
        0, m, 0, k, work_address, c_address, c_stride, alpha, beta, bias_address, activation,
        kind, a_address, a_end_address, a_row_stride, a_column_stride,
        b_address, b_end_address, b_row_stride, b_column_stride, n, p,
    )  # fmt: skip
    return 0


@kernel
def without_depth(work_address, m, n, c_address, c_stride, beta, bias_address, activation):
    """C where there is nothing to add up."""
    finish(m, n, c_address, c_stride, beta, bias_address, activation, 0, 0, 0)
    return 0
