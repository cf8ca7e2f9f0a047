"""Packing: from matrices and image patches to the panels that the tile reads. The twin of cython_backend/pack.pxi.

`Patches` describes a matrix that is never stored: element (pixel, tap) is the image pixel under kernel position
number `tap` when the kernel stands at output pixel `pixel`: source = (out * step + tap * tap_step + offset) /
divisor, where that divides.
"""

from __future__ import annotations

from typing import NamedTuple

from kernels.numba_backend.memory import (
    TILE_ROWS,
    VECTOR_BYTES,
    copy_vector,
    elements_between,
    kernel,
    lanes_of,
    like,
    load,
    offset,
    store,
)
from kernels.numba_backend.separate import separately
from kernels.numba_backend.tile import A_STRIDE
from kernels.numba_backend.vector import HAS_MASKS, transpose_whole, vector_load_head, vector_store_head

#: Elements of float32 in a vector: more than those of float64, so that one size of buffers serves both.
MAX_LANES = VECTOR_BYTES // 4
#: Panels of B that are packed at once, so that some hundred bytes of each of its rows are read together.
PANELS_TOGETHER = 4


class Patches(NamedTuple):
    """Sizes of the images and of the windows on them; see the module's head. All in elements or pixels."""

    height: int
    width: int
    channels_total: int
    channels: int
    kernel_h: int
    kernel_w: int
    out_h: int
    out_w: int
    step_h: int
    step_w: int
    tap_h: int
    tap_w: int
    offset_h: int
    offset_w: int
    divisor_h: int
    divisor_w: int


@kernel
def copy_run(target, source, n):
    """target[:n] = source[:n]; runs are short."""
    lanes = lanes_of(source)
    i = 0
    while i + lanes <= n:
        copy_vector(offset(target, i), offset(source, i))
        i += lanes
    if HAS_MASKS and i < n:
        vector_store_head(offset(target, i), vector_load_head(offset(source, i), n - i), n - i)
        return
    while i < n:
        store(target, i, load(source, i))
        i += 1


@kernel
def copy_over(target, source, n, end):
    """As copy_run, in whole vectors: what is too many, the next run overwrites. Nothing behind `end` is read."""
    lanes = lanes_of(source)
    if elements_between(source, end) < n + lanes:
        copy_run(target, source, n)
        return
    i = 0
    while i < n:
        copy_vector(offset(target, i), offset(source, i))
        i += lanes


@kernel
def clear_run(target, n):
    """target[:n] = 0."""
    zero = like(load(target, 0), 0.0)
    for i in range(n):
        store(target, i, zero)


@kernel
def fill_dense(p, image, end, index, ow, oh, tap0, count, target):
    """target[t] = the patch at tap0 + t, where a row of the kernel meets one piece of memory."""
    run = p.kernel_w * p.channels
    row_length = p.width * p.channels
    h = oh * p.step_h + p.offset_h
    left = (ow * p.step_w + p.offset_w) * p.channels
    base = offset(image, index * p.height * row_length)
    at = tap0
    while at >= run:
        at -= run
        h += p.tap_h
    left += at
    done = 0
    while done < count:
        n = min(run - at, count - done)
        if h < 0 or h >= p.height:
            clear_run(offset(target, done), n)
        elif left >= 0 and left + n <= row_length:
            copy_over(offset(target, done), offset(base, h * row_length + left), n, end)
        else:
            lo = min(max(-left, 0), n)
            hi = min(max(row_length - left, lo), n)
            clear_run(offset(target, done), lo)
            copy_run(offset(target, done + lo), offset(base, h * row_length + left + lo), hi - lo)
            clear_run(offset(target, done + hi), n - hi)
        done += n
        h += p.tap_h
        left -= at
        at = 0


@kernel
def fill_sparse(p, image, index, ow, oh, tap0, count, target):
    """As fill_dense, where taps lie apart (groups, dilation) or between pixels (divisor > 1)."""
    tap = tap0 // p.channels
    c = tap0 - tap * p.channels
    kh = tap // p.kernel_w
    kw = tap - kh * p.kernel_w
    done = 0
    while done < count:
        n = min(p.channels - c, count - done)
        h = oh * p.step_h + p.offset_h + kh * p.tap_h
        w = ow * p.step_w + p.offset_w + kw * p.tap_w
        inside = (
            h >= 0 and w >= 0 and h % p.divisor_h == 0 and w % p.divisor_w == 0
            and h // p.divisor_h < p.height and w // p.divisor_w < p.width
        )  # fmt: skip
        if inside:
            pixel = (index * p.height + h // p.divisor_h) * p.width + w // p.divisor_w
            copy_run(offset(target, done), offset(image, pixel * p.channels_total + c), n)
        else:
            clear_run(offset(target, done), n)
        done += n
        c = 0
        kw += 1
        if kw == p.kernel_w:
            kw = 0
            kh += 1


@kernel
def is_dense(p):
    """Whether a row of the kernel meets one piece of memory."""
    return p.channels == p.channels_total and p.tap_w == 1 and p.divisor_h == 1 and p.divisor_w == 1


@kernel
def fill_taps(p, image, end, pixel, tap0, count, target):
    """target[t] = the patch of output pixel number `pixel` at tap0 + t; may write one vector too many."""
    row = pixel // p.out_w
    ow = pixel - row * p.out_w
    index = row // p.out_h
    oh = row - index * p.out_h
    if is_dense(p):
        fill_dense(p, image, end, index, ow, oh, tap0, count, target)
    else:
        fill_sparse(p, image, index, ow, oh, tap0, count, target)


@kernel
def pack_patches(p, image, end, i0, rows, k0, depth, panels):
    """Rows of the patch matrix, by rows; the missing rows of the last panel are zeros."""
    for i in range(rows):
        fill_taps(p, image, end, i0 + i, k0, depth, offset(panels, i * A_STRIDE))
    for i in range(rows, -(-rows // TILE_ROWS) * TILE_ROWS):
        clear_run(offset(panels, i * A_STRIDE), depth)


@kernel
def pack_patches_transposed(p, image, end, i0, rows, k0, depth, panels, line):
    """Rows of the transposed patch matrix (taps), by columns; `line` holds one column."""
    for k in range(depth):
        fill_taps(p, image, end, k0 + k, i0, rows, line)
        spread_column(line, rows, k, panels)


@kernel
def spread_column(line, rows, k, panels):
    """Panels by columns: element i of the line goes to row i % TILE_ROWS of panel i // TILE_ROWS.

    In whole vectors, for ascending k: what is too many is overwritten by the next, or falls into the gap behind a panel.
    """
    lanes = lanes_of(line)
    i = 0
    while i < rows:
        target = offset(panels, i * A_STRIDE + k * TILE_ROWS)
        for r in range(0, TILE_ROWS, lanes):
            copy_vector(offset(target, r), offset(line, i + r))
        i += TILE_ROWS


@kernel
def pack_rows(a, row_stride, column_stride, i0, rows, k0, depth, panels):
    """Rows of a strided matrix, by rows."""
    for i in range(rows):
        source = offset(a, (i0 + i) * row_stride + k0 * column_stride)
        target = offset(panels, i * A_STRIDE)
        if column_stride == 1:
            copy_run(target, source, depth)
        else:
            for k in range(depth):
                store(target, k, load(source, k * column_stride))
    for i in range(rows, -(-rows // TILE_ROWS) * TILE_ROWS):
        clear_run(offset(panels, i * A_STRIDE), depth)


@kernel
def pack_columns(a, column_stride, i0, rows, k0, depth, panels, line):
    """Rows of a matrix that is stored transposed, by columns."""
    # vectors that begin in one of the first panels end before the next column of A does
    direct = max(0, rows - TILE_ROWS - lanes_of(a)) // TILE_ROWS * TILE_ROWS
    for k in range(depth):
        source = offset(a, i0 + (k0 + k) * column_stride)
        spread_column(source, direct, k, panels)
        copy_run(line, offset(source, direct), rows - direct)
        spread_column(line, rows - direct, k, offset(panels, direct * A_STRIDE))


def panel_elements(columns: int, depth: int) -> int:
    """Return how many elements of memory `pack_b` needs; blocks that are transposed are written whole."""
    return (columns + 2 * MAX_LANES) * depth + 2 * MAX_LANES * MAX_LANES


@kernel
def pack_whole_panels(b, row_stride, j0, n_panels, k0, depth, panels):
    """Panels of whole columns, from rows that lie along the memory."""
    lanes = lanes_of(b)
    width, first = 2 * lanes, 0
    while first < n_panels:
        n = min(PANELS_TOGETHER, n_panels - first)
        for k in range(depth):
            source = offset(b, (k0 + k) * row_stride + j0 + first * width)
            target = offset(panels, (first * depth + k) * width)
            for panel in range(n):
                to, row = offset(target, panel * depth * width), offset(source, panel * width)
                copy_vector(to, row)
                copy_vector(offset(to, lanes), offset(row, lanes))
        first += n


@kernel
def pack_b(b, row_stride, column_stride, end, j0, columns, k0, depth, panels):
    """Panels of two vectors of columns, k by k; a last one of one vector where that holds the rest."""
    lanes = lanes_of(b)
    j = 0
    if column_stride == 1:
        n_panels = columns // (2 * lanes)
        pack_whole_panels(b, row_stride, j0, n_panels, k0, depth, panels)
        j = n_panels * 2 * lanes
    while j < columns:
        width = 2 * lanes if columns - j > lanes else lanes
        n = min(width, columns - j)
        target = offset(panels, j * depth)
        source = offset(b, k0 * row_stride + (j0 + j) * column_stride)
        if column_stride == 1:
            for k in range(depth):
                row = offset(source, k * row_stride)
                if elements_between(row, end) >= width:
                    # columns beyond n are never written to C, so they may hold whatever follows
                    copy_vector(offset(target, k * width), row)
                    if width > lanes:
                        copy_vector(offset(target, k * width + lanes), offset(row, lanes))
                else:
                    copy_run(offset(target, k * width), row, n)
                    clear_run(offset(target, k * width + n), width - n)
        elif row_stride == 1:
            r = 0
            while r < n:
                at = offset(source, r * column_stride)
                transpose_whole(at, column_stride, min(lanes, n - r), depth, offset(target, r), width)
                r += lanes
        else:
            block = 0
            while block < depth:  # neither lies along the memory: blocks whose target stays in the first-level cache
                for r in range(n):
                    for k in range(block, min(block + 192, depth)):
                        store(target, k * width + r, load(source, k * row_stride + r * column_stride))
                block += 192
            if n < width:
                for k in range(depth):
                    clear_run(offset(target, k * width + n), width - n)
        j += width


# What several functions call, or one that is large.
call_pack_patches = separately(pack_patches)
call_pack_patches_transposed = separately(pack_patches_transposed)
call_pack_b = separately(pack_b)
