"""3x3 convolutions of many channels in 4 / 9 of the multiplications: F(2x2, 3x3) of Lavin & Gray (CVPR 2016). The twin of
cython_backend/winograd.pxi, which has the formulas and the layouts.

Sums of infinities cancel to NaN in other places than in the plain sum. So each function says whether all it wrote is finite;
where not, the caller computes everything anew by packing.
"""

from __future__ import annotations

from typing import NamedTuple

from kernels.numba_backend.elementwise import RELU, activate
from kernels.numba_backend.memory import TILE_ROWS, kernel, lanes_of, like, offset, pointer_like
from kernels.numba_backend.pack import clear_run
from kernels.numba_backend.sizes import Sizes
from kernels.numba_backend.tile import A_STRIDE, BLOCK_DEPTH, GRADIENT_ROWS, gradient_tile_1, gradient_tile_2, tile_1, tile_2
from kernels.numba_backend.vector import vector_load, vector_of, vector_relu, vector_store, vector_sum, vector_zero

POSITIONS = 16
BLOCK_TILES = 48  # a multiple of every TILE_ROWS


class Winograd(NamedTuple):
    """One convolution: images (batch, in_h, in_w, in_c) -> (batch, out_h, out_w, out_c)."""

    batch: int
    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    pad_top: int
    pad_left: int
    tiles_h: int
    tiles_w: int

    @property
    def n_tiles(self) -> int:
        return self.batch * self.tiles_h * self.tiles_w

    @property
    def filter_elements(self) -> int:
        """Elements of the transformed filters, or of their gradient."""
        return POSITIONS * self.in_c * self.out_c

    @property
    def forward_elements(self) -> int:
        """Elements of working memory of `winograd_tiles`."""
        return POSITIONS * BLOCK_TILES * (A_STRIDE + self.out_c) + self.in_c

    @property
    def gradient_elements(self) -> int:
        """Elements of working memory of `winograd_gradient_tiles`."""
        return POSITIONS * BLOCK_TILES * (self.in_c + self.out_c) + self.in_c


def prefers_winograd(s: Sizes, lanes: int) -> bool:
    """Whether a convolution goes this way: whole vectors of channels, and enough tiles to pay for transforming the filters."""
    return (
        s.kernel_h == s.kernel_w == 3 and s.stride_h == s.stride_w == s.dilation_h == s.dilation_w == s.groups == 1
        and s.pad_top <= 2 and s.pad_left <= 2 and s.in_c % lanes == 0 and s.out_c % lanes == 0
        and s.in_c % GRADIENT_ROWS == 0 and max(s.in_c, s.out_c) <= BLOCK_DEPTH
        and s.batch * s.out_h * s.out_w >= 4 * BLOCK_TILES
    )  # fmt: skip


def forward_of(s: Sizes) -> Winograd:
    """Return the convolution itself, also for its gradient for the weights."""
    tiles = (s.out_h + 1) // 2, (s.out_w + 1) // 2
    return Winograd(s.batch, s.in_h, s.in_w, s.in_c, s.out_h, s.out_w, s.out_c, s.pad_top, s.pad_left, *tiles)


def backward_of(s: Sizes) -> Winograd:
    """Return the convolution of dy that gives the gradient for the input."""
    tiles = (s.in_h + 1) // 2, (s.in_w + 1) // 2
    return Winograd(s.batch, s.out_h, s.out_w, s.out_c, s.in_h, s.in_w, s.in_c, 2 - s.pad_top, 2 - s.pad_left, *tiles)


# -- transforms of one dimension ------------------------------------------------------------------------------------------


@kernel
def of_input(a, b, c, d):
    """B' of four."""
    return a - c, b + c, c - b, b - d


@kernel
def of_filter(half, a, b, c):
    """G of three."""
    return a, half * (a + c + b), half * (a + c - b), c


@kernel
def to_output(a, b, c, d):
    """A' of four."""
    return a + b + c, b - c - d


@kernel
def of_slope(zero, a, b):
    """A of two."""
    return a, a + b, a - b, zero - b


@kernel
def to_filter(half, a, b, c, d):
    """G' of four."""
    return a + half * (b + c), half * (b - c), half * (b + c) + d


@kernel
def store_four(target, step, a, b, c, d):
    """Write four vectors, `step` elements apart."""
    vector_store(target, a)
    vector_store(offset(target, step), b)
    vector_store(offset(target, 2 * step), c)
    vector_store(offset(target, 3 * step), d)


# -- filters and images ---------------------------------------------------------------------------------------------------


@kernel
def transform_filters(number, g, w_address, u_address):
    """u[position] = panels of G W G', as the tile reads them: columns beside each other, channel by channel."""
    w, u = pointer_like(number, w_address), pointer_like(number, u_address)
    lanes, size, half = lanes_of(w), g.in_c * g.out_c, vector_of(like(number, 0.5))
    j = 0
    while j < g.out_c:
        width = 2 * lanes if g.out_c - j > lanes else lanes
        for c in range(g.in_c):
            for lane in range(0, width, lanes):
                f = offset(w, c * g.out_c + j + lane)
                a0, a1, a2, a3 = of_filter(
                    half, vector_load(f), vector_load(offset(f, 3 * size)), vector_load(offset(f, 6 * size))
                )
                b0, b1, b2, b3 = of_filter(
                    half, vector_load(offset(f, size)), vector_load(offset(f, 4 * size)), vector_load(offset(f, 7 * size))
                )
                c0, c1, c2, c3 = of_filter(
                    half, vector_load(offset(f, 2 * size)), vector_load(offset(f, 5 * size)), vector_load(offset(f, 8 * size))
                )
                target = offset(u, j * g.in_c + c * width + lane)
                store_four(target, size, *of_filter(half, a0, b0, c0))
                store_four(offset(target, 4 * size), size, *of_filter(half, a1, b1, c1))
                store_four(offset(target, 8 * size), size, *of_filter(half, a2, b2, c2))
                store_four(offset(target, 12 * size), size, *of_filter(half, a3, b3, c3))
        j += width


@kernel
def pixel_at(g, x, zeros, image, h, w):
    """Where a pixel lies; one in the padding is zeros."""
    if h < 0 or w < 0 or h >= g.in_h or w >= g.in_w:
        return zeros
    return offset(x, ((image * g.in_h + h) * g.in_w + w) * g.in_c)


@kernel
def row_of_pixels(g, x, zeros, image, h, w):
    """Where four neighbouring pixels lie."""
    return (
        pixel_at(g, x, zeros, image, h, w), pixel_at(g, x, zeros, image, h, w + 1),
        pixel_at(g, x, zeros, image, h, w + 2), pixel_at(g, x, zeros, image, h, w + 3),
    )  # fmt: skip


@kernel
def column_of_input(a, b, c, d, at):
    """B' of four pixels below each other, one vector of channels."""
    return of_input(
        vector_load(offset(a, at)), vector_load(offset(b, at)), vector_load(offset(c, at)), vector_load(offset(d, at))
    )


@kernel
def transform_images(g, x, zeros, t0, count, row, v):
    """v[position, tile, channel] = B' X B of `count` tiles; a row of v is `row` elements long."""
    lanes, step = lanes_of(x), BLOCK_TILES * row
    per_image = g.tiles_h * g.tiles_w
    for i in range(count):
        t = t0 + i
        image = t // per_image
        th = t // g.tiles_w - image * g.tiles_h
        h, w = 2 * th - g.pad_top, 2 * (t % g.tiles_w) - g.pad_left
        a0, a1, a2, a3 = row_of_pixels(g, x, zeros, image, h, w)
        b0, b1, b2, b3 = row_of_pixels(g, x, zeros, image, h + 1, w)
        c0, c1, c2, c3 = row_of_pixels(g, x, zeros, image, h + 2, w)
        d0, d1, d2, d3 = row_of_pixels(g, x, zeros, image, h + 3, w)
        target = offset(v, i * row)
        for c in range(0, g.in_c, lanes):
            p0, p1, p2, p3 = column_of_input(a0, b0, c0, d0, c)
            q0, q1, q2, q3 = column_of_input(a1, b1, c1, d1, c)
            r0, r1, r2, r3 = column_of_input(a2, b2, c2, d2, c)
            s0, s1, s2, s3 = column_of_input(a3, b3, c3, d3, c)
            place = offset(target, c)
            store_four(place, step, *of_input(p0, q0, r0, s0))
            store_four(offset(place, 4 * step), step, *of_input(p1, q1, r1, s1))
            store_four(offset(place, 8 * step), step, *of_input(p2, q2, r2, s2))
            store_four(offset(place, 12 * step), step, *of_input(p3, q3, r3, s3))


@kernel
def column_to_output(m, at, step):
    """A' of the four positions at, at + 4, at + 8, at + 12."""
    return to_output(
        vector_load(offset(m, at * step)), vector_load(offset(m, (at + 4) * step)),
        vector_load(offset(m, (at + 8) * step)), vector_load(offset(m, (at + 12) * step)),
    )  # fmt: skip


@kernel
def write_pixel(g, y, image, h, w, j, value, activation):
    """One vector of filters of an output pixel, if there is such a pixel."""
    if h < g.out_h and w < g.out_w:
        target = offset(y, ((image * g.out_h + h) * g.out_w + w) * g.out_c + j)
        if activation == RELU:
            vector_store(target, vector_relu(value))
        else:
            vector_store(target, value)
            if activation > RELU:
                activate(activation, target, target, lanes_of(target))


@kernel
def write_images(g, m, bias, has_bias, activation, t0, count, y):
    """The pixels of `count` tiles, with bias and activation. Returns 0, or NaN where one is not finite."""
    lanes, per_image, step = lanes_of(m), g.tiles_h * g.tiles_w, BLOCK_TILES * g.out_c
    nothing = vector_zero(m)
    for i in range(count):
        t = t0 + i
        image = t // per_image
        h, w = 2 * (t // g.tiles_w - image * g.tiles_h), 2 * (t % g.tiles_w)
        for j in range(0, g.out_c, lanes):
            panel = j // (2 * lanes) * (2 * lanes)
            width = 2 * lanes if g.out_c - panel > lanes else lanes
            place = offset(m, panel * BLOCK_TILES + i * width + j - panel)  # m[position, panel, tile, column]
            a0, a1 = column_to_output(place, 0, step)
            b0, b1 = column_to_output(place, 1, step)
            c0, c1 = column_to_output(place, 2, step)
            d0, d1 = column_to_output(place, 3, step)
            p0, p1 = to_output(a0, b0, c0, d0)
            p2, p3 = to_output(a1, b1, c1, d1)
            if has_bias:
                shift = vector_load(offset(bias, j))
                p0, p1, p2, p3 = p0 + shift, p1 + shift, p2 + shift, p3 + shift
            # an infinity, or NaN, minus itself is NaN; what lies outside the image counts too, which costs time alone
            nothing = nothing + (p0 - p0) + (p1 - p1) + (p2 - p2) + (p3 - p3)
            write_pixel(g, y, image, h, w, j, p0, activation)
            write_pixel(g, y, image, h, w + 1, j, p1, activation)
            write_pixel(g, y, image, h + 1, w, j, p2, activation)
            write_pixel(g, y, image, h + 1, w + 1, j, p3, activation)
    return vector_sum(nothing)


@kernel
def winograd_tiles(t0, t1, work_address, number, g, x_address, u_address, bias_address, activation, y_address):
    """Tiles t0..t1 of a convolution with transformed filters u. Returns whether all results are finite."""
    x, u, y = pointer_like(number, x_address), pointer_like(number, u_address), pointer_like(number, y_address)
    bias, v = pointer_like(number, bias_address), pointer_like(number, work_address)
    lanes, zero = lanes_of(x), like(number, 0.0)
    m = offset(v, POSITIONS * BLOCK_TILES * A_STRIDE)
    zeros = offset(m, POSITIONS * BLOCK_TILES * g.out_c)
    clear_run(zeros, g.in_c)
    nothing = zero
    while t0 < t1:
        count = min(BLOCK_TILES, t1 - t0)
        transform_images(g, x, zeros, t0, count, A_STRIDE, v)
        for position in range(POSITIONS):
            j = 0
            while j < g.out_c:
                panel = offset(u, (position * g.out_c + j) * g.in_c)
                target = offset(m, (position * g.out_c + j) * BLOCK_TILES)
                rows = offset(v, position * BLOCK_TILES * A_STRIDE)
                if g.out_c - j > lanes:
                    for i in range(0, count, TILE_ROWS):
                        tile_2(
                            1, g.in_c, offset(rows, i * A_STRIDE), A_STRIDE, 1, 0, panel, 2 * lanes, 0,
                            offset(target, i * 2 * lanes), 2 * lanes,
                        )  # fmt: skip
                    j += 2 * lanes
                else:
                    for i in range(0, count, TILE_ROWS):
                        tile_1(
                            1, g.in_c, offset(rows, i * A_STRIDE), A_STRIDE, 1, 0, panel, lanes, 0,
                            offset(target, i * lanes), lanes,
                        )  # fmt: skip
                    j += lanes
        nothing += write_images(g, m, bias, bias_address != 0, activation, t0, count, y)
        t0 += count
    return nothing == zero


# -- gradient for the weights ---------------------------------------------------------------------------------------------


@kernel
def transform_slopes(g, dy, image, th, tw, z, step):
    """z[position, filter] = A dY A'."""
    lanes, zero = lanes_of(dy), vector_zero(dy)
    right, below = 2 * tw + 1 < g.out_w, 2 * th + 1 < g.out_h
    pixel = offset(dy, ((image * g.out_h + 2 * th) * g.out_w + 2 * tw) * g.out_c)
    for j in range(0, g.out_c, lanes):
        d0 = vector_load(offset(pixel, j))
        d1 = vector_load(offset(pixel, g.out_c + j)) if right else zero
        d2 = vector_load(offset(pixel, g.out_w * g.out_c + j)) if below else zero
        d3 = vector_load(offset(pixel, (g.out_w + 1) * g.out_c + j)) if right and below else zero
        a0, a1, a2, a3 = of_slope(zero, d0, d2)
        b0, b1, b2, b3 = of_slope(zero, d1, d3)
        place = offset(z, j)
        store_four(place, step, *of_slope(zero, a0, b0))
        store_four(offset(place, 4 * step), step, *of_slope(zero, a1, b1))
        store_four(offset(place, 8 * step), step, *of_slope(zero, a2, b2))
        store_four(offset(place, 12 * step), step, *of_slope(zero, a3, b3))


@kernel
def winograd_gradient_tiles(t0, t1, work_address, number, g, x_address, dy_address, du_address):
    """Add the transformed filters' gradient of tiles t0..t1 to du (position, channel, filter)."""
    x, dy, du = pointer_like(number, x_address), pointer_like(number, dy_address), pointer_like(number, du_address)
    v = pointer_like(number, work_address)
    z = offset(v, POSITIONS * BLOCK_TILES * g.in_c)
    zeros = offset(z, POSITIONS * BLOCK_TILES * g.out_c)
    lanes, per_image = lanes_of(x), g.tiles_h * g.tiles_w
    clear_run(zeros, g.in_c)
    while t0 < t1:
        count = min(BLOCK_TILES, t1 - t0)
        transform_images(g, x, zeros, t0, count, g.in_c, v)
        for i in range(count):
            t = t0 + i
            image = t // per_image
            th, tw = t // g.tiles_w - image * g.tiles_h, t % g.tiles_w
            transform_slopes(g, dy, image, th, tw, offset(z, i * g.out_c), BLOCK_TILES * g.out_c)
        for position in range(POSITIONS):
            a, b = offset(v, position * BLOCK_TILES * g.in_c), offset(z, position * BLOCK_TILES * g.out_c)
            c = offset(du, position * g.in_c * g.out_c)
            j = 0
            while j < g.out_c:
                if g.out_c - j > lanes:
                    for i in range(0, g.in_c, GRADIENT_ROWS):
                        gradient_tile_2(
                            1, count, offset(a, i), 1, g.in_c, 0, offset(b, j), g.out_c, 0,
                            offset(c, i * g.out_c + j), g.out_c,
                        )  # fmt: skip
                    j += 2 * lanes
                else:
                    for i in range(0, g.in_c, GRADIENT_ROWS):
                        gradient_tile_1(
                            1, count, offset(a, i), 1, g.in_c, 0, offset(b, j), g.out_c, 0,
                            offset(c, i * g.out_c + j), g.out_c,
                        )  # fmt: skip
                    j += lanes
        t0 += count


@kernel
def sum_of_parts(du, at, size, n_parts, part_elements):
    """One vector of du, summed over the parts in their order."""
    total = vector_load(offset(du, at))
    for part in range(1, n_parts):
        total = total + vector_load(offset(du, part * part_elements + at))
    return total


@kernel
def column_to_filter(du, half, first, e, size, n_parts, part_elements):
    """G' of the positions first, first + 4, first + 8, first + 12."""
    return to_filter(
        half,
        sum_of_parts(du, first * size + e, size, n_parts, part_elements),
        sum_of_parts(du, (first + 4) * size + e, size, n_parts, part_elements),
        sum_of_parts(du, (first + 8) * size + e, size, n_parts, part_elements),
        sum_of_parts(du, (first + 12) * size + e, size, n_parts, part_elements),
    )


@kernel
def store_three(target, size, a, b, c):
    """Write three vectors; returns zeros, or NaN where one is not finite."""
    vector_store(target, a)
    vector_store(offset(target, size), b)
    vector_store(offset(target, 2 * size), c)
    return (a - a) + (b - b) + (c - c)


@kernel
def write_filters(number, g, du_address, n_parts, part_elements, dw_address):
    """dw = G' dU G of the sum of the parts. Returns whether all of it is finite."""
    du, dw = pointer_like(number, du_address), pointer_like(number, dw_address)
    size, half, nothing = g.in_c * g.out_c, vector_of(like(number, 0.5)), vector_zero(du)
    for e in range(0, size, lanes_of(du)):
        a0, a1, a2 = column_to_filter(du, half, 0, e, size, n_parts, part_elements)
        b0, b1, b2 = column_to_filter(du, half, 1, e, size, n_parts, part_elements)
        c0, c1, c2 = column_to_filter(du, half, 2, e, size, n_parts, part_elements)
        d0, d1, d2 = column_to_filter(du, half, 3, e, size, n_parts, part_elements)
        target = offset(dw, e)
        nothing = nothing + store_three(target, size, *to_filter(half, a0, b0, c0, d0))
        nothing = nothing + store_three(offset(target, 3 * size), size, *to_filter(half, a1, b1, c1, d1))
        nothing = nothing + store_three(offset(target, 6 * size), size, *to_filter(half, a2, b2, c2, d2))
    return vector_sum(nothing) == like(number, 0.0)
