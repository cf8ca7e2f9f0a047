"""The gradient for the input, the other way round: what each output pixel sends to each of its taps is added into dX
("col2im"). The twin of cython_backend/scatter.pxi, which says when that is the better way.
"""

from __future__ import annotations

from kernels.numba_backend.memory import TILE_ROWS, kernel, lanes_of, like, load, offset, pointer_like, store
from kernels.numba_backend.pack import MAX_LANES, call_pack_b, clear_run, pack_rows, panel_elements
from kernels.numba_backend.product import BLOCK_COLUMNS, BLOCK_ROWS, PACKED_ROWS, call_multiply_block
from kernels.numba_backend.sizes import Sizes
from kernels.numba_backend.tile import A_STRIDE, BLOCK_DEPTH
from kernels.numba_backend.vector import vector_load, vector_store

_PANELS = (BLOCK_ROWS + TILE_ROWS) * A_STRIDE


def prefers_scatter(s: Sizes, lanes: int) -> bool:
    """Whether the gradient for the input goes this way."""
    channels = s.in_c // s.groups
    if s.out_c // s.groups > BLOCK_DEPTH or s.kernel_h * s.kernel_w * channels > BLOCK_COLUMNS:
        return False  # one block of depth and columns is all this loop nest has
    return s.stride_h * s.stride_w > 1 or 2 * channels <= lanes


def elements(s: Sizes) -> int:
    """Return how many elements of working memory `scatter_images` needs."""
    taps = s.kernel_h * s.kernel_w * (s.in_c // s.groups)
    return _PANELS + (BLOCK_ROWS + 1) * (taps + MAX_LANES) + panel_elements(taps, s.out_c // s.groups)


@kernel
def add_run(target, source, n, end):
    """target[:n] += source[:n]; nothing at or behind `end` is touched, `source` may be read one vector too far."""
    lanes = lanes_of(source)
    i = 0
    while i + lanes <= n:
        vector_store(offset(target, i), vector_load(offset(target, i)) + vector_load(offset(source, i)))
        i += lanes
    while i < n:
        store(target, i, load(target, i) + load(source, i))
        i += 1


@kernel
def scatter_pixel(s, image, oh, ow, taps, dx, group, end):
    """dx[image, oh * stride + kh * dilation - pad, ...] += taps[kh, kw, c]."""
    channels = s.in_c // s.groups
    run = s.kernel_w * channels
    left = (ow * s.stride_w - s.pad_left) * channels
    for kh in range(s.kernel_h):
        h = oh * s.stride_h + kh * s.dilation_h - s.pad_top
        if h < 0 or h >= s.in_h:
            continue
        row = offset(dx, (image * s.in_h + h) * s.in_w * s.in_c + group * channels)
        if s.groups == 1 and s.dilation_w == 1:
            lo = min(max(-left, 0), run)
            hi = min(max(s.in_w * channels - left, lo), run)
            add_run(offset(row, left + lo), offset(taps, kh * run + lo), hi - lo, end)
        else:
            for kw in range(s.kernel_w):
                w = ow * s.stride_w + kw * s.dilation_w - s.pad_left
                if w >= 0 and w < s.in_w:
                    add_run(offset(row, w * s.in_c), offset(taps, kh * run + kw * channels), channels, end)


@kernel
def scatter_images(n0, n1, work_address, number, s, dy_address, w_address, dx_address):
    """dx of images n0..n1."""
    dy, w, dx = pointer_like(number, dy_address), pointer_like(number, w_address), pointer_like(number, dx_address)
    panels = pointer_like(number, work_address)
    lanes, one, zero = lanes_of(dy), like(number, 1.0), like(number, 0.0)
    n_out, channels = s.out_c // s.groups, s.in_c // s.groups
    n_taps, image_elements = s.kernel_h * s.kernel_w * channels, s.in_h * s.in_w * s.in_c
    columns = -(-n_taps // lanes) * lanes  # whole vectors: what is too many is never read
    taps = offset(panels, _PANELS)
    b_panels = offset(taps, BLOCK_ROWS * columns + lanes)
    clear_run(offset(dx, n0 * image_elements), (n1 - n0) * image_elements)
    end = offset(dx, n1 * image_elements)
    for group in range(s.groups):
        b = offset(w, group * n_out)
        call_pack_b(b, 1, s.out_c, offset(w, n_taps * s.out_c), 0, n_taps, 0, n_out, b_panels)
        i, i_end = n0 * s.out_h * s.out_w, n1 * s.out_h * s.out_w
        image, oh, ow = n0, 0, 0
        while i < i_end:
            rows = min(BLOCK_ROWS, i_end - i)
            pack_rows(offset(dy, group * n_out), s.out_c, 1, i, rows, 0, n_out, panels)
            call_multiply_block(
                PACKED_ROWS, panels, A_STRIDE, TILE_ROWS * A_STRIDE, b_panels, 0, 0, b_panels, taps, columns, rows,
                rows, columns, n_out, one, zero, taps, False, 0, True,
            )  # fmt: skip
            for r in range(rows):
                scatter_pixel(s, image, oh, ow, offset(taps, r * columns), dx, group, end)
                ow += 1
                if ow == s.out_w:
                    ow = 0
                    oh += 1
                    if oh == s.out_h:
                        oh = 0
                        image += 1
            i += rows
