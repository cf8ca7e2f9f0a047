"""Pooling: one pass over the images, vectorised over channels. The twin of cython_backend/pool2d.pxi.

Each function does rows (or images) start..end. Legend: oh, ow output pixel; h, w input pixel; c channel.
"""

from __future__ import annotations

from typing import NamedTuple

from kernels.numba_backend.memory import int32_pointer, kernel, lanes_of, like, load, offset, pointer_like, store
from kernels.numba_backend.vector import (
    indices_of,
    indices_store,
    larger_and_where,
    vector_load,
    vector_of,
    vector_store,
    vector_zero,
)


class Window(NamedTuple):
    """Sizes of the images and of the windows on them, in pixels."""

    batch: int
    in_h: int
    in_w: int
    channels: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    out_h: int
    out_w: int


@kernel
def clipped(o, stride, pad, size, extent):
    """First and end pixel of a window that lie in the image."""
    return max(o * stride - pad, 0), min(o * stride - pad + extent, size)


# -- maximum --------------------------------------------------------------------------------------------------------------


@kernel
def max_pool_vectors(image, in_w, channels, h0, h1, w0, w1, y, argmax):
    """One window, a vector of channels at a time; up to a vector less one channels too many are read and written."""
    lanes = lanes_of(y)
    for c in range(0, channels, lanes):
        first = h0 * in_w + w0
        best, where = vector_load(offset(image, first * channels + c)), indices_of(y, first)
        for h in range(h0, h1):
            for w in range(w0, w1):
                index = h * in_w + w
                best, where = larger_and_where(best, where, vector_load(offset(image, index * channels + c)), index)
        vector_store(offset(y, c), best)
        indices_store(offset(argmax, c), where)


@kernel
def max_pool_pixel(image, in_w, channels, h0, h1, w0, w1, best, where):
    """One window, a channel at a time."""
    for c in range(channels):
        top, place = load(image, (h0 * in_w + w0) * channels + c), h0 * in_w + w0
        for h in range(h0, h1):
            for w in range(w0, w1):
                v = load(image, (h * in_w + w) * channels + c)
                wins = (v > top) | (v != v)
                top, place = v if wins else top, h * in_w + w if wins else place
        store(best, c, top)
        store(where, c, like(load(where, c), place))


@kernel
def max_pool(start, end, number, x_address, y_address, argmax_address, s):
    """Rows start..end of N * OH. The first pixel of a window stands until a larger one, or a NaN, comes."""
    x, y, argmax = pointer_like(number, x_address), pointer_like(number, y_address), int32_pointer(argmax_address)
    channels, pixels = s.channels, s.in_h * s.in_w
    overshoot = -channels % lanes_of(x)
    y_end, x_end = end * s.out_w * channels, s.batch * pixels * channels
    for row in range(start, end):
        n = row // s.out_h
        image = offset(x, n * pixels * channels)
        h0, h1 = clipped(row - n * s.out_h, s.stride_h, s.pad_top, s.in_h, s.kernel_h)
        for ow in range(s.out_w):
            w0, w1 = clipped(ow, s.stride_w, s.pad_left, s.in_w, s.kernel_w)
            at = (row * s.out_w + ow) * channels
            best, where = offset(y, at), offset(argmax, at)
            # Too many elements may be written where they are this thread's (and so overwritten next), and read inside x.
            last = (n * pixels + (h1 - 1) * s.in_w + w1) * channels
            if at + channels + overshoot <= y_end and last + overshoot <= x_end:
                max_pool_vectors(image, s.in_w, channels, h0, h1, w0, w1, best, where)
            else:
                max_pool_pixel(image, s.in_w, channels, h0, h1, w0, w1, best, where)


@kernel
def max_pool_backward(start, end, number, dy_address, argmax_address, dx_address, n_windows, n_pixels, channels):
    """Images start..end. Returns False where an index points outside; such an index is not followed."""
    dy, dx, argmax = pointer_like(number, dy_address), pointer_like(number, dx_address), int32_pointer(argmax_address)
    inside = True
    for n in range(start, end):
        image = offset(dx, n * n_pixels * channels)
        for i in range(n_pixels * channels):
            store(image, i, like(number, 0.0))
        for o in range(n * n_windows, (n + 1) * n_windows):
            for c in range(channels):
                index = load(argmax, o * channels + c)
                if 0 <= index < n_pixels:
                    place = index * channels + c
                    store(image, place, load(image, place) + load(dy, o * channels + c))
                else:
                    inside = False
    return inside


# -- mean -----------------------------------------------------------------------------------------------------------------


@kernel
def divisor_of(number, s, include_pad, n_pixels):
    """By how many pixels a window's sum is divided."""
    return like(number, s.kernel_h * s.kernel_w if include_pad else n_pixels)


@kernel
def avg_pool(start, end, number, x_address, y_address, include_pad, s):
    """Rows start..end of N * OH."""
    x, y = pointer_like(number, x_address), pointer_like(number, y_address)
    lanes, channels = lanes_of(x), s.channels
    for row in range(start, end):
        n = row // s.out_h
        image = offset(x, n * s.in_h * s.in_w * channels)
        h0, h1 = clipped(row - n * s.out_h, s.stride_h, s.pad_top, s.in_h, s.kernel_h)
        for ow in range(s.out_w):
            w0, w1 = clipped(ow, s.stride_w, s.pad_left, s.in_w, s.kernel_w)
            mean = offset(y, (row * s.out_w + ow) * channels)
            divisor = divisor_of(number, s, include_pad, (h1 - h0) * (w1 - w0))
            c = 0
            while c + lanes <= channels:
                total = vector_zero(x)
                for h in range(h0, h1):
                    for w in range(w0, w1):
                        total = total + vector_load(offset(image, (h * s.in_w + w) * channels + c))
                vector_store(offset(mean, c), total / vector_of(divisor))
                c += lanes
            while c < channels:
                rest = like(number, 0.0)
                for h in range(h0, h1):
                    for w in range(w0, w1):
                        rest += load(image, (h * s.in_w + w) * channels + c)
                store(mean, c, rest / divisor)
                c += 1


@kernel
def avg_pool_backward(start, end, number, dy_address, dx_address, include_pad, s):
    """Images start..end: windows may overlap, so a whole image is one thread's."""
    dy, dx = pointer_like(number, dy_address), pointer_like(number, dx_address)
    lanes, channels = lanes_of(dx), s.channels
    for n in range(start, end):
        image = offset(dx, n * s.in_h * s.in_w * channels)
        for i in range(s.in_h * s.in_w * channels):
            store(image, i, like(number, 0.0))
        for oh in range(s.out_h):
            h0, h1 = clipped(oh, s.stride_h, s.pad_top, s.in_h, s.kernel_h)
            for ow in range(s.out_w):
                w0, w1 = clipped(ow, s.stride_w, s.pad_left, s.in_w, s.kernel_w)
                slope = offset(dy, ((n * s.out_h + oh) * s.out_w + ow) * channels)
                divisor = divisor_of(number, s, include_pad, (h1 - h0) * (w1 - w0))
                c = 0
                while c + lanes <= channels:
                    share = vector_load(offset(slope, c)) / vector_of(divisor)
                    for h in range(h0, h1):
                        for w in range(w0, w1):
                            target = offset(image, (h * s.in_w + w) * channels + c)
                            vector_store(target, vector_load(target) + share)
                    c += lanes
                while c < channels:
                    rest = load(slope, c) / divisor
                    for h in range(h0, h1):
                        for w in range(w0, w1):
                            place = (h * s.in_w + w) * channels + c
                            store(image, place, load(image, place) + rest)
                    c += 1
