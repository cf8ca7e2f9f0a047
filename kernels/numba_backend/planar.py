"""First layers with few filters as well: a vector of filters would be mostly empty, so a vector holds neighbouring positions.
The twin of cython_backend/planar.pxi, which says how.

Legend: position = oh * padded width + ow; tap = (kh, kw, c); filters f in groups that the registers hold.
"""

from __future__ import annotations

from kernels.numba_backend.direct import pad_image, prefers_direct
from kernels.numba_backend.elementwise import RELU, activate
from kernels.numba_backend.memory import (
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
from kernels.numba_backend.pack import clear_run
from kernels.numba_backend.sizes import Sizes
from kernels.numba_backend.tile import (
    PLANAR_VECTORS,
    lane_products_1x1,
    lane_products_1x2,
    lane_products_1x4,
    lane_products_1x6,
    lane_products_nx1,
    lane_products_nx2,
    lane_products_nx4,
    lane_products_nx6,
    planar_tile_1,
    planar_tile_2,
    planar_tile_4,
    planar_tile_6,
)
from kernels.numba_backend.vector import vector_load, vector_of, vector_relu, vector_store, vector_sum

#: Filters of a tile, at most.
MOST_FILTERS = 6
_MAX_LANES = VECTOR_BYTES // 4


def prefers_planar(s: Sizes, lanes: int) -> bool:
    """Whether a convolution, or its gradient for the weights, goes this way."""
    return 2 * s.out_c <= lanes and prefers_direct(s, 1)


def _plane_elements(s: Sizes) -> int:
    height, width = s.out_h + (s.kernel_h - 1) * s.dilation_h, s.out_w + s.kernel_w - 1
    return height * width + (PLANAR_VECTORS + 1) * _MAX_LANES


def forward_elements(s: Sizes) -> int:
    """Return how many elements of working memory `planar_forward` needs."""
    return 2 * _plane_elements(s) * s.in_c + MOST_FILTERS * PLANAR_VECTORS * _MAX_LANES


def weight_elements(s: Sizes) -> int:
    """Return how many elements of working memory `planar_weights` needs; the offsets of the taps take two each."""
    taps = s.kernel_h * s.kernel_w * s.in_c
    slopes = s.out_c * (s.out_h * (s.out_w + s.kernel_w - 1) + _MAX_LANES)
    return 2 * _plane_elements(s) * s.in_c + slopes + taps * s.out_c * _MAX_LANES + 2 * taps + 16


@kernel
def plane_size(height, width, lanes):
    """Elements of one channel's plane, and of what is read too much behind it."""
    return height * width + (PLANAR_VECTORS + 1) * lanes


@kernel
def take_apart(s, height, width, size, x, padded, planes):
    """planes[c, h * width + w] of one padded image; what lies behind the last pixel stays as it is."""
    if s.in_c == 1:
        pad_image(s, height, width, x, planes)
        return
    pad_image(s, height, width, x, padded)
    for c in range(s.in_c):
        for i in range(height * width):
            store(planes, c * size + i, load(padded, i * s.in_c + c))


@kernel
def filters_together(n):
    """How many of n filters go into one tile."""
    return 6 if n >= 6 else 4 if n >= 4 else 2 if n >= 2 else 1


@kernel
def planar_group(filters, s, width, size, planes, w, bias, has_bias, activation, tile, y):
    """One image, `filters` filters."""
    lanes = lanes_of(tile)
    together, row = PLANAR_VECTORS * lanes, PLANAR_VECTORS * lanes
    end, line, taps = (s.out_h - 1) * width + s.out_w, s.dilation_h * width, s.in_c * s.out_c
    position, oh, ow = 0, 0, 0
    while position < end:
        for f in range(filters):
            start = vector_of(load(bias, f) if has_bias else like(load(w, 0), 0.0))
            for v in range(0, together, lanes):
                vector_store(offset(tile, f * row + v), start)
        for c in range(s.in_c):
            x, a = offset(planes, c * size + position), offset(w, c * s.out_c)
            if filters == 6:
                planar_tile_6(s.kernel_h, s.kernel_w, a, 1, taps, s.kernel_w * taps, x, 1, line, tile, row)
            elif filters == 4:
                planar_tile_4(s.kernel_h, s.kernel_w, a, 1, taps, s.kernel_w * taps, x, 1, line, tile, row)
            elif filters == 2:
                planar_tile_2(s.kernel_h, s.kernel_w, a, 1, taps, s.kernel_w * taps, x, 1, line, tile, row)
            else:
                planar_tile_1(s.kernel_h, s.kernel_w, a, 1, taps, s.kernel_w * taps, x, 1, line, tile, row)
        if activation == RELU:
            for v in range(0, filters * row, lanes):
                vector_store(offset(tile, v), vector_relu(vector_load(offset(tile, v))))
        i = 0
        while i < together and oh < s.out_h:
            n = min(together - i, s.out_w - ow)
            target = offset(y, (oh * s.out_w + ow) * s.out_c)
            for f in range(filters):
                for q in range(n):
                    store(target, q * s.out_c + f, load(tile, f * row + i + q))
            n = min(together - i, width - ow)
            i += n
            ow += n
            if ow == width:
                ow = 0
                oh += 1
        position += together


@kernel
def planar_forward(work_address, number, s, x_address, w_address, bias_address, y_address, activation):
    """y of all images."""
    x, w, y = pointer_like(number, x_address), pointer_like(number, w_address), pointer_like(number, y_address)
    planes, bias = pointer_like(number, work_address), pointer_like(number, bias_address)
    height, width = s.out_h + (s.kernel_h - 1) * s.dilation_h, s.out_w + s.kernel_w - 1
    size, pixels = plane_size(height, width, lanes_of(x)), s.out_h * s.out_w * s.out_c
    padded = offset(planes, size * s.in_c)
    tile = offset(padded, size * s.in_c)
    clear_run(planes, size * s.in_c)
    for n in range(s.batch):
        take_apart(s, height, width, size, offset(x, n * s.in_h * s.in_w * s.in_c), padded, planes)
        image = offset(y, n * pixels)
        f = 0
        while f < s.out_c:
            together = filters_together(s.out_c - f)
            planar_group(
                together, s, width, size, planes, offset(w, f), offset(bias, f), bias_address != 0, activation, tile,
                offset(image, f),
            )  # fmt: skip
            f += together
        if activation > RELU:
            activate(activation, image, image, pixels)
    return 0


# -- gradient for the weights: dw[tap, f] = sum over positions of plane[position + tap] * dy[f, position] ------------------


@kernel
def planar_taps(filters, planes, offsets, n_taps, dy, dy_plane, n, total):
    """total[tap, f, lane] += the products of n positions, whole vectors."""
    lanes = lanes_of(dy)
    tap = 0
    while tap + PLANAR_VECTORS <= n_taps:
        place, taps = offset(total, tap * filters * lanes), offset(offsets, tap)
        if filters == 6:
            lane_products_nx6(n, planes, taps, dy, dy_plane, place)
        elif filters == 4:
            lane_products_nx4(n, planes, taps, dy, dy_plane, place)
        elif filters == 2:
            lane_products_nx2(n, planes, taps, dy, dy_plane, place)
        else:
            lane_products_nx1(n, planes, taps, dy, dy_plane, place)
        tap += PLANAR_VECTORS
    while tap < n_taps:
        place, taps = offset(total, tap * filters * lanes), offset(offsets, tap)
        if filters == 6:
            lane_products_1x6(n, planes, taps, dy, dy_plane, place)
        elif filters == 4:
            lane_products_1x4(n, planes, taps, dy, dy_plane, place)
        elif filters == 2:
            lane_products_1x2(n, planes, taps, dy, dy_plane, place)
        else:
            lane_products_1x1(n, planes, taps, dy, dy_plane, place)
        tap += 1


@kernel
def planar_weights(work_address, number, s, x_address, dy_address, dw_address):
    """dw of all images. Returns whether all of it is finite; positions that are no pixels add zero times what lies there."""
    x, dy, dw = pointer_like(number, x_address), pointer_like(number, dy_address), pointer_like(number, dw_address)
    lanes = lanes_of(x)
    height, width = s.out_h + (s.kernel_h - 1) * s.dilation_h, s.out_w + s.kernel_w - 1
    size, n_taps = plane_size(height, width, lanes), s.kernel_h * s.kernel_w * s.in_c
    length = (s.out_h * width + lanes - 1) // lanes * lanes
    offsets = int64_pointer(work_address)
    planes = pointer_like(number, work_address + (8 * n_taps + 63) // 64 * 64)
    padded = offset(planes, size * s.in_c)
    slopes = offset(padded, size * s.in_c)
    total = offset(slopes, s.out_c * length)
    clear_run(planes, size * s.in_c)
    clear_run(slopes, s.out_c * length)
    clear_run(total, n_taps * s.out_c * lanes)
    for tap in range(n_taps):
        c, pixel = tap % s.in_c, tap // s.in_c
        store(offsets, tap, c * size + pixel // s.kernel_w * s.dilation_h * width + pixel % s.kernel_w)
    for n in range(s.batch):
        take_apart(s, height, width, size, offset(x, n * s.in_h * s.in_w * s.in_c), padded, planes)
        for oh in range(s.out_h):
            source = offset(dy, (n * s.out_h + oh) * s.out_w * s.out_c)
            for f in range(s.out_c):
                target = offset(slopes, f * length + oh * width)
                for ow in range(s.out_w):
                    store(target, ow, load(source, ow * s.out_c + f))
        f = 0
        while f < s.out_c:
            together = filters_together(s.out_c - f)
            sums = offset(total, f * n_taps * lanes)
            planar_taps(together, planes, offsets, n_taps, offset(slopes, f * length), length, length, sums)
            f += together
    nothing = like(number, 0.0)
    f = 0
    while f < s.out_c:
        together = filters_together(s.out_c - f)
        for tap in range(n_taps):
            for i in range(together):
                value = vector_sum(vector_load(offset(total, (f * n_taps + tap * together + i) * lanes)))
                store(dw, tap * s.out_c + f + i, value)
                nothing += value - value
        f += together
    return nothing == like(number, 0.0)
