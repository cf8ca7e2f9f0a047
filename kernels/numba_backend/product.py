"""Matrix products around the register tile. The twin of cython_backend/gemm.pxi:

C[i, j] = act(alpha * sum_k A[i, k] * B[k, j] + beta * C[i, j] + bias[j])

One compiled function serves gemm and all three convolutions: A is a strided matrix, or the patches of images, or those
transposed. It computes rows i_begin..i_end over the depth k_begin..k_end, so that threads can divide either.
"""

from __future__ import annotations

import math

from kernels.numba_backend.elementwise import RELU, activate
from kernels.numba_backend.memory import (
    TILE_ROWS,
    VECTOR_BYTES,
    element_bytes,
    inlined,
    kernel,
    lanes_of,
    like,
    load,
    offset,
    pointer_like,
    prefetch,
    store,
)
from kernels.numba_backend.pack import (
    MAX_LANES,
    Patches,
    call_pack_b,
    call_pack_patches,
    call_pack_patches_transposed,
    pack_columns,
    pack_rows,
    panel_elements,
)
from kernels.numba_backend.product_tile import (
    ALL,
    FINISH,
    HAS_HALVES,
    PART,
    STORE,
    THIRD_ROWS,
    TWO_THIRDS_ROWS,
    Target,
    product_tile_1,
    product_tile_2,
    product_tile_half,
    third_tile_1,
    third_tile_2,
    two_thirds_tile_1,
    two_thirds_tile_2,
)
from kernels.numba_backend.separate import separately
from kernels.numba_backend.tile import A_STRIDE, BLOCK_DEPTH

STRIDED, PATCHES, PATCHES_TRANSPOSED = 0, 1, 2
BLOCK_ROWS, BLOCK_COLUMNS = 240, 2048
#: How a tile finds A.
PACKED_ROWS, BY_COLUMNS, ROWS_IN_PLACE = 0, 1, 2
#: B is read where it is for at most so many tiles of rows (docs/decisions/0014), or for a batch where its rows are at most so
#: many bytes apart: farther, its panels fall into few sets of the cache (0033).
IN_PLACE_TILES, IN_PLACE_STRIDE = 4, 2048
#: Before longer sums the lines of C that they go to are asked for.
PREFETCHED_DEPTH = 64
#: Sums as long as this, into a C as small as that, are read in place also where a tile hangs over the edge.
LONG_DEPTH, SMALL_PRODUCT = 512, 16384
NO_PATCHES = Patches(*(0,) * len(Patches._fields))

#: Elements of the working memory of one thread beside the panels: a line, for a column of A.
LINE = ((BLOCK_ROWS + TILE_ROWS) // MAX_LANES + 5) * MAX_LANES


def working_elements(m: int, n: int, k: int) -> int:
    """Return how many elements of memory a thread needs for products of `m` rows, `n` columns and depth `k`: a line, the panels
    of A, the panels of B.
    """
    return LINE + (min(m, BLOCK_ROWS) + TILE_ROWS) * A_STRIDE + panel_elements(min(n, BLOCK_COLUMNS), min(k, BLOCK_DEPTH))


@inlined
def run_tile(form, width, depth, a, a_step, b, b_k, c, c_row, t):
    """One tile, written to c. Form 0: A packed by rows; 1: by columns, packed or in place; 2: rows in place."""
    lanes = lanes_of(c)
    two, half = width == 2 * lanes, width < lanes
    if t.rows <= THIRD_ROWS:
        if form == BY_COLUMNS and two:
            third_tile_2(depth, a, 1, a_step, b, b_k, c, c_row, t)
        elif form == BY_COLUMNS:
            third_tile_1(depth, a, 1, a_step, b, b_k, c, c_row, t)
        elif two:
            third_tile_2(depth, a, a_step, 1, b, b_k, c, c_row, t)
        else:
            third_tile_1(depth, a, a_step, 1, b, b_k, c, c_row, t)
    elif t.rows <= TWO_THIRDS_ROWS:
        if form == BY_COLUMNS and two:
            two_thirds_tile_2(depth, a, 1, a_step, b, b_k, c, c_row, t)
        elif form == BY_COLUMNS:
            two_thirds_tile_1(depth, a, 1, a_step, b, b_k, c, c_row, t)
        elif two:
            two_thirds_tile_2(depth, a, a_step, 1, b, b_k, c, c_row, t)
        else:
            two_thirds_tile_1(depth, a, a_step, 1, b, b_k, c, c_row, t)
    elif two:
        if form == PACKED_ROWS:
            product_tile_2(depth, a, A_STRIDE, 1, b, b_k, c, c_row, t)
        elif form == BY_COLUMNS:
            product_tile_2(depth, a, 1, a_step, b, b_k, c, c_row, t)
        else:
            product_tile_2(depth, a, a_step, 1, b, b_k, c, c_row, t)
    elif half:
        if form == PACKED_ROWS:
            product_tile_half(depth, a, A_STRIDE, 1, b, b_k, c, c_row, t)
        elif form == BY_COLUMNS:
            product_tile_half(depth, a, 1, a_step, b, b_k, c, c_row, t)
        else:
            product_tile_half(depth, a, a_step, 1, b, b_k, c, c_row, t)
    elif form == PACKED_ROWS:
        product_tile_1(depth, a, A_STRIDE, 1, b, b_k, c, c_row, t)
    elif form == BY_COLUMNS:
        product_tile_1(depth, a, 1, a_step, b, b_k, c, c_row, t)
    else:
        product_tile_1(depth, a, a_step, 1, b, b_k, c, c_row, t)


@kernel
def tile_width(columns, lanes):
    """Of the tile for that many columns, or the first of them."""
    if columns > lanes:
        return 2 * lanes
    return lanes // 2 if HAS_HALVES and columns <= lanes // 2 else lanes


@kernel
def multiply_panel(
    form, a, a_step, tile_step, b, b_k, width, c, c_stride, rows, rows_left, columns, depth, alpha, beta, bias, has_bias,
    activation, last,
):  # fmt: skip
    """All rows of a block of C, one panel of B. C has `rows_left` rows from the first one of the block on."""
    zero, lanes = like(alpha, 0.0), lanes_of(c)
    has_bias, relu = has_bias and last, last and activation == RELU
    mode, edge = FINISH, PART if beta == zero else ALL
    if beta != zero:
        mode = ALL
    elif alpha == like(alpha, 1.0) and not (has_bias or relu):
        mode = STORE
    # Up to which row tiles are written in whole vectors. Where C is one panel wide and nothing of it is read, also those that
    # are wider than C: what is too many falls into the next rows, which are written next.
    whole_to = -1
    if columns == width:
        whole_to = rows - TILE_ROWS
    elif columns == c_stride and beta == zero:
        whole_to = min(rows, rows_left - (width - 1) // columns) - TILE_ROWS
    floor, source = zero if relu else like(alpha, math.nan), bias if has_bias else c
    head = columns if columns <= lanes else columns - lanes
    i = 0
    while i < rows:
        row, n = offset(c, i * c_stride), min(TILE_ROWS, rows - i)
        target = Target(mode if i <= whole_to else edge, n, head, alpha, beta, floor, source, has_bias)
        if depth > PREFETCHED_DEPTH:
            for r in range(n):
                prefetch(offset(row, r * c_stride), columns)
        run_tile(form, width, depth, offset(a, i // TILE_ROWS * tile_step), a_step, b, b_k, row, c_stride, target)
        if last and activation > RELU:
            for r in range(n):
                activate(activation, offset(row, r * c_stride), offset(row, r * c_stride), columns)
        i += TILE_ROWS


@kernel
def multiply_block(
    form, a, a_step, tile_step, b, b_row, in_place, b_panels, c, c_stride, rows, rows_left, columns, depth, alpha, beta, bias,
    has_bias, activation, last,
):  # fmt: skip
    """All tiles of one block of C. Its first `in_place` columns of B are read where they are, the others from panels."""
    lanes = lanes_of(c)
    j = 0
    while j < columns:
        if j < in_place:
            width = step = tile_width(in_place - j, lanes)
            n = min(width, in_place - j)
            panel, b_k = offset(b, j), b_row
        else:
            width, step = tile_width(columns - j, lanes), 2 * lanes if columns - j > lanes else lanes
            n = min(width, columns - j)
            panel, b_k = offset(b_panels, (j - in_place) * depth), step
        multiply_panel(
            form, a, a_step, tile_step, panel, b_k, width, offset(c, j), c_stride, rows, rows_left, n, depth, alpha, beta,
            offset(bias, j), has_bias, activation, last,
        )  # fmt: skip
        j += step


call_multiply_block = separately(multiply_block)


@kernel
def reads_a_in_place(number, kind, row_stride, column_stride, n):
    """Whether packing A would cost more than it saves; rows a multiple of a page apart would share one set of the cache."""
    size = element_bytes(number)
    most = 8 * VECTOR_BYTES // size  # four panels
    if kind != STRIDED or n > 2 * most:
        return False
    if column_stride == 1:
        return n <= most and row_stride * size % 1024 != 0
    return row_stride == 1 and (n <= most or column_stride * size % 4096 != 0)


@kernel
def reads_b_in_place(number, rows, row_stride, column_stride):
    """Whether packing B would."""
    size = element_bytes(number)
    if column_stride != 1:
        return False
    if row_stride * size <= IN_PLACE_STRIDE and rows <= 11 * TILE_ROWS:  # a batch of 128
        return True
    return rows <= IN_PLACE_TILES * TILE_ROWS or row_stride * size <= 2 * VECTOR_BYTES


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
    line = pointer_like(alpha, work_address)
    panels = offset(line, LINE)
    b_panels = offset(panels, (min(i_end - i_begin, BLOCK_ROWS) + TILE_ROWS) * A_STRIDE)
    lanes, has_bias = lanes_of(c), bias_address != 0
    by_columns = kind == PATCHES_TRANSPOSED or (kind == STRIDED and a_row_stride == 1 and a_column_stride != 1)
    packed_form, packed_step = (BY_COLUMNS, TILE_ROWS) if by_columns else (PACKED_ROWS, A_STRIDE)
    a_in_place = reads_a_in_place(alpha, kind, a_row_stride, a_column_stride, n)
    here_form, here_step = (BY_COLUMNS, a_column_stride) if by_columns else (ROWS_IN_PLACE, a_row_stride)
    b_in_place = reads_b_in_place(alpha, i_end - i_begin, b_row_stride, b_column_stride)
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
            call_pack_b(b, b_row_stride, b_column_stride, b_end, j + in_place, columns - in_place, k, depth, b_panels)
            b_here = offset(b, k * b_row_stride + j)
            now, last = beta if k == k_begin else like(alpha, 1.0), k + depth == k_end
            i = i_begin
            while i < i_end:
                rows = min(BLOCK_ROWS, i_end - i)
                target, whole = offset(c, i * c_stride + j), 0
                if a_in_place:
                    rest = rows % TILE_ROWS  # a tile of fewer rows that are all there reads nothing else
                    whole = rows if over or rest in (THIRD_ROWS, TWO_THIRDS_ROWS) else rows - rest
                    call_multiply_block(
                        here_form, offset(a, i * a_row_stride + k * a_column_stride), here_step, TILE_ROWS * a_row_stride,
                        b_here, b_row_stride, in_place, b_panels, target, c_stride, whole, i_end - i, columns, depth, alpha,
                        now, offset(bias, j), has_bias, activation, last,
                    )  # fmt: skip
                if whole < rows:
                    if kind == PATCHES:
                        call_pack_patches(p, a, a_end, i, rows, k, depth, panels)
                    elif kind == PATCHES_TRANSPOSED:
                        call_pack_patches_transposed(p, a, a_end, i, rows, k, depth, panels, line)
                    elif by_columns:
                        pack_columns(a, a_column_stride, i + whole, rows - whole, k, depth, panels, line)
                    else:
                        pack_rows(a, a_row_stride, a_column_stride, i + whole, rows - whole, k, depth, panels)
                    call_multiply_block(
                        packed_form, panels, packed_step, TILE_ROWS * A_STRIDE, b_here, b_row_stride, in_place, b_panels,
                        offset(target, whole * c_stride), c_stride, rows - whole, i_end - i - whole, columns, depth,
                        alpha, now, offset(bias, j), has_bias, activation, last,
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
