"""What a convolution's compiled functions know of it, as one value. The twin of the struct in cython_backend/conv2d.pxi."""

from __future__ import annotations

from typing import NamedTuple

from kernels.shapes import Conv2dGeometry


class Sizes(NamedTuple):
    """Sizes of images, filters and windows, in pixels and elements."""

    batch: int
    in_h: int
    in_w: int
    in_c: int
    kernel_h: int
    kernel_w: int
    out_c: int
    out_h: int
    out_w: int
    groups: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    dilation_h: int
    dilation_w: int


def sizes_of(g: Conv2dGeometry) -> Sizes:
    """Return the sizes of a geometry."""
    return Sizes(*(int(getattr(g, name)) for name in Sizes._fields))
