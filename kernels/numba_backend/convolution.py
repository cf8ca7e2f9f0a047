"""What a convolution needs beyond a product: its patches, and turned filters. See cython_backend/conv2d.pxi."""

from __future__ import annotations

from kernels.numba_backend.memory import kernel, load, pointer_like, store
from kernels.numba_backend.pack import Patches
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
