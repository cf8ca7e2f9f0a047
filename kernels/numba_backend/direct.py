"""Convolutions of images with few channels, straight from a padded copy of one image. The twin of cython_backend/direct.pxi,
which says why and how.

Legend: position = oh * padded width + ow; tap = (kh, t), t = kw * C + c, which lie in one piece.
"""

from __future__ import annotations

from kernels.numba_backend.elementwise import RELU, activate
from kernels.numba_backend.memory import (
    TILE_ROWS,
    VECTOR_BYTES,
    int64_pointer,
    kernel,
    lanes_of,
    like,
    load,
    offset,
    pointer_like,
    store,
)
from kernels.numba_backend.pack import call_pack_b, clear_run, copy_run
from kernels.numba_backend.sizes import Sizes
from kernels.numba_backend.tile import BLOCK_DEPTH, tap_tile_1, tap_tile_2, tile_1, tile_2
from kernels.numba_backend.vector import vector_load, vector_relu, vector_store

MOST_CHANNELS = 8
_MAX_LANES = VECTOR_BYTES // 4


def prefers_direct(s: Sizes, n_threads: int) -> bool:
    """Whether a convolution, or its gradient for the weights, goes this way."""
    return (
        s.groups == 1 and s.in_c <= MOST_CHANNELS and s.stride_h == s.stride_w == s.dilation_w == 1
        and s.batch >= n_threads and s.kernel_h * s.kernel_w * s.in_c <= BLOCK_DEPTH
    )  # fmt: skip


def _padded_elements(s: Sizes) -> int:
    height, width = s.out_h + (s.kernel_h - 1) * s.dilation_h, s.out_w + s.kernel_w - 1
    return (height * width + TILE_ROWS + 1) * s.in_c


def forward_elements(s: Sizes) -> int:
    """Return how many elements of working memory `direct_forward` needs."""
    taps = s.kernel_h * s.kernel_w * s.in_c
    return _padded_elements(s) + (s.out_c + 2 * _MAX_LANES) * taps + (TILE_ROWS + 1) * 2 * _MAX_LANES


def sum_elements(s: Sizes) -> int:
    """Return how many elements the sums of `direct_weights` take."""
    taps = s.kernel_h * s.kernel_w * s.in_c
    return -(-taps // TILE_ROWS) * TILE_ROWS * (s.out_c + 2 * _MAX_LANES)


def weight_elements(s: Sizes) -> int:
    """Return how many elements of working memory `direct_weights` needs; the offsets of the taps take two each."""
    taps = s.kernel_h * s.kernel_w * s.in_c
    return _padded_elements(s) + s.out_h * s.out_w * s.out_c + 2 * _MAX_LANES + 2 * (taps + TILE_ROWS)


@kernel
def pad_image(s, height, width, x, padded):
    """The part of the padded image that windows meet."""
    row = width * s.in_c
    left = min(s.pad_left, width) * s.in_c
    inside = min(s.in_w * s.in_c, row - left)
    for h in range(height):
        line = offset(padded, h * row)
        if h < s.pad_top or h - s.pad_top >= s.in_h:
            clear_run(line, row)
        else:
            clear_run(line, left)
            copy_run(offset(line, left), offset(x, (h - s.pad_top) * s.in_w * s.in_c), inside)
            clear_run(offset(line, left + inside), row - left - inside)


@kernel
def write_pixels(tile, width, c, c_stride, n, columns, bias, activation, over):
    """`n` neighbouring output pixels, some columns of them. `over`: whole vectors may be written, whatever follows."""
    lanes = lanes_of(tile)
    for i in range(n):
        row, t = offset(c, i * c_stride), offset(tile, i * width)
        if over:
            v = 0
            while v < width:
                value = vector_load(offset(t, v)) + vector_load(offset(bias, v))
                if activation == RELU:
                    value = vector_relu(value)
                vector_store(offset(row, v), value)
                v += lanes
        else:
            for v in range(columns):
                store(row, v, load(t, v) + load(bias, v))
            if activation == RELU:
                activate(RELU, row, row, columns)
        if activation > RELU:
            activate(activation, row, row, columns)


@kernel
def direct_forward(n0, n1, work_address, number, s, x_address, w_address, bias_address, y_address, activation):
    """y of images n0..n1."""
    x, w, y = pointer_like(number, x_address), pointer_like(number, w_address), pointer_like(number, y_address)
    given_bias, padded = pointer_like(number, bias_address), pointer_like(number, work_address)
    lanes, n = lanes_of(x), s.out_c
    height, width_padded = s.out_h + (s.kernel_h - 1) * s.dilation_h, s.out_w + s.kernel_w - 1
    run, tap_rows = s.kernel_w * s.in_c, s.dilation_h * width_padded * s.in_c
    taps, elements = s.kernel_h * run, height * width_padded * s.in_c
    slack = (TILE_ROWS + 1) * s.in_c
    tile = offset(padded, elements + slack)
    bias = offset(tile, TILE_ROWS * 2 * lanes)
    panels = offset(bias, 2 * lanes)
    clear_run(offset(padded, elements), slack)
    call_pack_b(w, n, 1, offset(w, taps * n), 0, n, 0, taps, panels)
    pixels, end = s.out_h * s.out_w, (s.out_h - 1) * width_padded + s.out_w
    for image in range(n0, n1):
        pad_image(s, height, width_padded, offset(x, image * s.in_h * s.in_w * s.in_c), padded)
        j = 0
        while j < n:
            width = 2 * lanes if n - j > lanes else lanes
            columns = min(width, n - j)
            for i in range(width):
                store(bias, i, load(given_bias, j + i) if bias_address != 0 and i < columns else like(number, 0.0))
            b = offset(panels, j * taps)
            position, oh, ow = 0, 0, 0
            while position < end:
                a = offset(padded, position * s.in_c)
                if width > lanes:
                    if s.in_c == 1:  # a constant distance between the rows makes one address of them all
                        tile_2(s.kernel_h, run, a, 1, 1, tap_rows, b, 2 * lanes, run * 2 * lanes, tile, 2 * lanes)
                    elif s.in_c == 3:
                        tile_2(s.kernel_h, run, a, 3, 1, tap_rows, b, 2 * lanes, run * 2 * lanes, tile, 2 * lanes)
                    else:
                        tile_2(s.kernel_h, run, a, s.in_c, 1, tap_rows, b, 2 * lanes, run * 2 * lanes, tile, 2 * lanes)
                elif s.in_c == 1:
                    tile_1(s.kernel_h, run, a, 1, 1, tap_rows, b, lanes, run * lanes, tile, lanes)
                elif s.in_c == 3:
                    tile_1(s.kernel_h, run, a, 3, 1, tap_rows, b, lanes, run * lanes, tile, lanes)
                else:
                    tile_1(s.kernel_h, run, a, s.in_c, 1, tap_rows, b, lanes, run * lanes, tile, lanes)
                i = 0
                while i < TILE_ROWS and oh < s.out_h:  # those of the tile's rows that are output pixels
                    count = min(TILE_ROWS - i, s.out_w - ow)
                    if count > 0:
                        pixel = image * pixels + oh * s.out_w + ow
                        over = columns == width or (columns == n and (n1 * pixels - pixel - count + 1) * n >= width)
                        target = offset(y, pixel * n + j)
                        write_pixels(offset(tile, i * width), width, target, n, count, columns, bias, activation, over)
                    count = min(TILE_ROWS - i, width_padded - ow)
                    i += count
                    ow += count
                    if ow == width_padded:
                        ow = 0
                        oh += 1
                position += TILE_ROWS
            j += width


@kernel
def direct_weights(n0, n1, work_address, number, s, x_address, dy_address, sums_address):
    """Add the weights' gradient of images n0..n1 to the sums (panel of filters, tap, one or two vectors of filters)."""
    x, dy, sums = pointer_like(number, x_address), pointer_like(number, dy_address), pointer_like(number, sums_address)
    lanes = lanes_of(x)
    height, width = s.out_h + (s.kernel_h - 1) * s.dilation_h, s.out_w + s.kernel_w - 1
    run, tap_rows = s.kernel_w * s.in_c, s.dilation_h * width * s.in_c
    taps, pixels = s.kernel_h * run, s.out_h * s.out_w
    padded_taps = -(-taps // TILE_ROWS) * TILE_ROWS
    offsets = int64_pointer(work_address)
    padded = pointer_like(number, work_address + 8 * padded_taps)
    slopes = offset(padded, (height * width + TILE_ROWS + 1) * s.in_c)
    for tap in range(padded_taps):
        i = min(tap, taps - 1)
        store(offsets, tap, i // run * tap_rows + i % run)
    for image in range(n0, n1):
        pad_image(s, height, width, offset(x, image * s.in_h * s.in_w * s.in_c), padded)
        dy_image = offset(dy, image * pixels * s.out_c)
        if (s.batch - 1 - image) * pixels * s.out_c < 2 * lanes:  # whole vectors are read; behind the last image is nothing
            copy_run(slopes, dy_image, pixels * s.out_c)
            clear_run(offset(slopes, pixels * s.out_c), 2 * lanes)
            dy_image = slopes
        j = 0
        while j < s.out_c:
            b = offset(dy_image, j)
            line, b_line = width * s.in_c, s.out_w * s.out_c
            if s.out_c - j > lanes:
                for tap in range(0, padded_taps, TILE_ROWS):
                    c, rows = offset(sums, j * padded_taps + tap * 2 * lanes), offset(offsets, tap)
                    tap_tile_2(s.out_h, s.out_w, padded, rows, s.in_c, line, b, s.out_c, b_line, c, 2 * lanes)
                j += 2 * lanes
            else:
                for tap in range(0, padded_taps, TILE_ROWS):
                    c, rows = offset(sums, j * padded_taps + tap * lanes), offset(offsets, tap)
                    tap_tile_1(s.out_h, s.out_w, padded, rows, s.in_c, line, b, s.out_c, b_line, c, lanes)
                j += lanes


@kernel
def add_sums(number, s, sums_address, n_parts, part_elements, dw_address):
    """dw = the parts' sums, in their order."""
    sums, dw = pointer_like(number, sums_address), pointer_like(number, dw_address)
    lanes = lanes_of(sums)
    taps = s.kernel_h * s.kernel_w * s.in_c
    padded_taps = -(-taps // TILE_ROWS) * TILE_ROWS
    j = 0
    while j < s.out_c:
        width = 2 * lanes if s.out_c - j > lanes else lanes
        for tap in range(taps):
            for column in range(min(width, s.out_c - j)):
                total = like(number, 0.0)
                for t in range(n_parts):
                    total += load(sums, t * part_elements + j * padded_taps + tap * width + column)
                store(dw, tap * s.out_c + j + column, total)
        j += width
