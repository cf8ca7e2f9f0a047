"""Convolutions on one thread, each one compiled function: which way it goes, and what it needs beyond a product.

::

                 forward                      gradient for the input        gradient for the weights
    planar       as direct, and few filters                                 as direct, and few filters
    direct       1..8 channels, stride 1                                    1..8 channels, stride 1
    scatter                                   few channels, or a stride
    winograd     3x3, vectors of channels     3x3, vectors of channels      3x3, vectors of channels
    packed       everything else, and what came out not finite

Every function takes the address of its working memory first, and returns 0. See cython_backend/{choice,conv2d}.pxi.
"""

from __future__ import annotations

from kernels.numba_backend.direct import add_sums, direct_forward, direct_weights
from kernels.numba_backend.memory import element_bytes, kernel, like, load, pointer_like, store
from kernels.numba_backend.pack import Patches, clear_run
from kernels.numba_backend.planar import planar_forward, planar_weights
from kernels.numba_backend.product import PATCHES, PATCHES_TRANSPOSED, product
from kernels.numba_backend.scatter import scatter_images
from kernels.numba_backend.separate import separately
from kernels.numba_backend.winograd import transform_filters, winograd_gradient_tiles, winograd_tiles, write_filters
from kernels.shapes import Conv2dGeometry


def patches_of_input(g: Conv2dGeometry) -> Patches:
    """Patches of x, for the forward pass and the gradient for the weights."""
    return Patches(
        g.in_h, g.in_w, g.in_c, g.in_c // g.groups, g.kernel_h, g.kernel_w, g.out_h, g.out_w,
        g.stride_h, g.stride_w, g.dilation_h, g.dilation_w, -g.pad_top, -g.pad_left, 1, 1,
    )  # fmt: skip


def patches_of_output(g: Conv2dGeometry) -> Patches:
    """Patches of dy around each input pixel: the images exchange their roles, the taps are counted backwards."""
    return Patches(
        g.out_h, g.out_w, g.out_c, g.out_c // g.groups, g.kernel_h, g.kernel_w, g.in_h, g.in_w,
        1, 1, g.dilation_h, g.dilation_w,
        g.pad_top - (g.kernel_h - 1) * g.dilation_h, g.pad_left - (g.kernel_w - 1) * g.dilation_w,
        g.stride_h, g.stride_w,
    )  # fmt: skip


@kernel
def transpose_filters(number, w_address, target_address, n_taps, n_c, out_c, first, n_out):
    """target[(n_taps - 1 - tap, co), c] = w[tap, c, first + co] of one group."""
    w, target = pointer_like(number, w_address), pointer_like(number, target_address)
    for tap in range(n_taps):
        for c in range(n_c):
            for co in range(n_out):
                place = ((n_taps - 1 - tap) * n_out + co) * n_c + c
                store(target, place, load(w, (tap * n_c + c) * out_c + first + co))


call_product, call_transpose_filters = separately(product), separately(transpose_filters)
call_direct_forward, call_direct_weights, call_add_sums = map(separately, (direct_forward, direct_weights, add_sums))
call_planar_forward, call_planar_weights = separately(planar_forward), separately(planar_weights)
call_scatter_images = separately(scatter_images)
call_transform_filters, call_winograd_tiles = separately(transform_filters), separately(winograd_tiles)
call_winograd_gradient_tiles, call_write_filters = separately(winograd_gradient_tiles), separately(write_filters)


# -- forward --------------------------------------------------------------------------------------------------------------


@kernel
def forward_directly(work, number, s, x, w, bias, y, activation):
    """y of images with few channels."""
    call_direct_forward(0, s.batch, work, number, s, x, w, bias, y, activation)
    return 0


@kernel
def forward_planar(work, number, s, x, w, bias, y, activation):
    """y of images with few channels and few filters."""
    return call_planar_forward(work, number, s, x, w, bias, y, activation)


@kernel
def forward_packed(work, number, s, p, x, x_end, w, w_end, bias, y, activation):
    """y by packing patches, group by group."""
    n, channels, size = s.out_c // s.groups, s.in_c // s.groups, element_bytes(number)
    m, k = s.batch * s.out_h * s.out_w, s.kernel_h * s.kernel_w * channels
    for group in range(s.groups):
        shift = group * n * size
        call_product(
            0, m, 0, k, work, y + shift, s.out_c, like(number, 1.0), like(number, 0.0),
            bias + shift if bias != 0 else 0, activation, PATCHES, x + group * channels * size, x_end, 0, 0,
            w + shift, w_end, s.out_c, 1, n, p,
        )  # fmt: skip
    return 0


@kernel
def forward_winograd(work, number, s, g, p, x, x_end, w, w_end, bias, y, activation):
    """y by Winograd's algorithm."""
    n_tiles, size = g.batch * g.tiles_h * g.tiles_w, element_bytes(number)
    call_transform_filters(number, g, w, work)
    rest = work + 16 * g.in_c * g.out_c * size
    if call_winograd_tiles(0, n_tiles, rest, number, g, x, work, bias, activation, y):
        return 0
    return forward_packed(work, number, s, p, x, x_end, w, w_end, bias, y, activation)


# -- gradient for the input -----------------------------------------------------------------------------------------------


@kernel
def input_scattered(work, number, s, dy, w, dx):
    """dx by scattering."""
    call_scatter_images(0, s.batch, work, number, s, dy, w, dx)
    return 0


@kernel
def input_packed(work, number, s, p, dy, dy_end, w, dx):
    """dx by gathering patches of dy, group by group."""
    n, n_out, size = s.in_c // s.groups, s.out_c // s.groups, element_bytes(number)
    n_taps, m = s.kernel_h * s.kernel_w, s.batch * s.in_h * s.in_w
    turned_bytes = n_taps * n_out * n * size
    rest = work + (turned_bytes + 63) // 64 * 64
    for group in range(s.groups):
        call_transpose_filters(number, w, work, n_taps, n, s.out_c, group * n_out, n_out)
        call_product(
            0, m, 0, n_taps * n_out, rest, dx + group * n * size, s.in_c, like(number, 1.0), like(number, 0.0), 0, 0,
            PATCHES, dy + group * n_out * size, dy_end, 0, 0, work, work + turned_bytes, n, 1, n, p,
        )  # fmt: skip
    return 0


@kernel
def input_winograd(work, number, s, g, p, dy, dy_end, w, dx):
    """dx by Winograd's algorithm: a convolution of dy with the filters turned around."""
    n_tiles, size = g.batch * g.tiles_h * g.tiles_w, element_bytes(number)
    turned = work + 16 * g.in_c * g.out_c * size
    call_transpose_filters(number, w, turned, 9, s.in_c, s.out_c, 0, s.out_c)
    call_transform_filters(number, g, turned, work)
    if call_winograd_tiles(0, n_tiles, turned, number, g, dy, work, 0, 0, dx):
        return 0
    return input_packed(work, number, s, p, dy, dy_end, w, dx)


# -- gradient for the weights ---------------------------------------------------------------------------------------------


@kernel
def weights_directly(work, number, s, sum_elements, x, dy, dw):
    """dw of images with few channels."""
    clear_run(pointer_like(number, work), sum_elements)
    rest = work + (sum_elements * element_bytes(number) + 63) // 64 * 64
    call_direct_weights(0, s.batch, rest, number, s, x, dy, work)
    call_add_sums(number, s, work, 1, sum_elements, dw)
    return 0


@kernel
def weights_planar(work, number, s, sum_elements, x, dy, dw):
    """dw of images with few channels and few filters."""
    if call_planar_weights(work, number, s, x, dy, dw):
        return 0
    return weights_directly(work, number, s, sum_elements, x, dy, dw)


@kernel
def weights_packed(work, number, s, p, x, x_end, dy, dy_end, dw):
    """dw by packing patches, group by group."""
    n, channels, size = s.out_c // s.groups, s.in_c // s.groups, element_bytes(number)
    m, k = s.kernel_h * s.kernel_w * channels, s.batch * s.out_h * s.out_w
    if k == 0:
        clear_run(pointer_like(number, dw), m * s.out_c)
        return 0
    for group in range(s.groups):
        shift = group * n * size
        call_product(
            0, m, 0, k, work, dw + shift, s.out_c, like(number, 1.0), like(number, 0.0), 0, 0,
            PATCHES_TRANSPOSED, x + group * channels * size, x_end, 0, 0, dy + shift, dy_end, s.out_c, 1, n, p,
        )  # fmt: skip
    return 0


@kernel
def weights_winograd(work, number, s, g, p, x, x_end, dy, dy_end, dw):
    """dw by Winograd's algorithm."""
    n_tiles, elements = g.batch * g.tiles_h * g.tiles_w, 16 * g.in_c * g.out_c
    clear_run(pointer_like(number, work), elements)
    call_winograd_gradient_tiles(0, n_tiles, work + elements * element_bytes(number), number, g, x, dy, work)
    if call_write_filters(number, g, work, 1, elements, dw):
        return 0
    return weights_packed(work, number, s, p, x, x_end, dy, dy_end, dw)
