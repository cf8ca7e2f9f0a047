"""Pooling: one pass over the images, vectorised over channels. The twin of cython_backend/pool2d.pxi.

Each function does rows (or images) start..end. Legend: oh, ow output pixel; h, w input pixel; c channel.
"""

from __future__ import annotations

from kernels.numba_backend.memory import int32_pointer, kernel, lanes_of, like, load, offset, pointer_like, store
from kernels.numba_backend.vector import indices_of, indices_store, larger_and_where, vector_load, vector_store


@kernel
def clipped(o, stride, pad, size, extent):
    """First and end pixel of a window that lie in the image."""
    return max(o * stride - pad, 0), min(o * stride - pad + extent, size)


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
def max_pool(
    start, end, number, x_address, y_address, argmax_address, n_images, in_h, in_w, channels, kernel_h, kernel_w,
    stride_h, stride_w, pad_top, pad_left, out_h, out_w,
):  # fmt: skip
    """Rows start..end of N * OH. The first pixel of a window stands until a larger one, or a NaN, comes."""
    x, y, argmax = pointer_like(number, x_address), pointer_like(number, y_address), int32_pointer(argmax_address)
    lanes = lanes_of(x)
    overshoot = -channels % lanes
    y_end, x_end = end * out_w * channels, n_images * in_h * in_w * channels
    for row in range(start, end):
        n = row // out_h
        image = offset(x, n * in_h * in_w * channels)
        h0, h1 = clipped(row - n * out_h, stride_h, pad_top, in_h, kernel_h)
        for ow in range(out_w):
            w0, w1 = clipped(ow, stride_w, pad_left, in_w, kernel_w)
            at = (row * out_w + ow) * channels
            # Too many elements may be written where they are this thread's (and so overwritten next), and read inside x.
            last = (n * in_h * in_w + (h1 - 1) * in_w + w1) * channels
            if at + channels + overshoot <= y_end and last + overshoot <= x_end:
                max_pool_vectors(image, in_w, channels, h0, h1, w0, w1, offset(y, at), offset(argmax, at))
                continue
            best, where = offset(y, (row * out_w + ow) * channels), offset(argmax, (row * out_w + ow) * channels)
            source, place = offset(image, (h0 * in_w + w0) * channels), like(load(where, 0), h0 * in_w + w0)
            for c in range(channels):
                store(best, c, load(source, c))
                store(where, c, place)
            for h in range(h0, h1):
                for w in range(w0 + 1 if h == h0 else w0, w1):
                    source, place = offset(image, (h * in_w + w) * channels), like(load(where, 0), h * in_w + w)
                    for c in range(channels):
                        v, top = load(source, c), load(best, c)
                        wins = (v > top) | (v != v)
                        store(best, c, v if wins else top)
                        store(where, c, place if wins else load(where, c))


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


@kernel
def avg_pool(
    start, end, number, x_address, y_address, include_pad, in_h, in_w, channels, kernel_h, kernel_w,
    stride_h, stride_w, pad_top, pad_left, out_h, out_w,
):  # fmt: skip
    """Rows start..end of N * OH."""
    x, y = pointer_like(number, x_address), pointer_like(number, y_address)
    for row in range(start, end):
        n = row // out_h
        image = offset(x, n * in_h * in_w * channels)
        h0, h1 = clipped(row - n * out_h, stride_h, pad_top, in_h, kernel_h)
        for ow in range(out_w):
            w0, w1 = clipped(ow, stride_w, pad_left, in_w, kernel_w)
            total = offset(y, (row * out_w + ow) * channels)
            divisor = like(number, kernel_h * kernel_w if include_pad else (h1 - h0) * (w1 - w0))
            source = offset(image, (h0 * in_w + w0) * channels)
            for c in range(channels):
                store(total, c, load(source, c))
            for h in range(h0, h1):
                for w in range(w0 + 1 if h == h0 else w0, w1):
                    source = offset(image, (h * in_w + w) * channels)
                    for c in range(channels):
                        store(total, c, load(total, c) + load(source, c))
            for c in range(channels):
                store(total, c, load(total, c) / divisor)


@kernel
def avg_pool_backward(
    start, end, number, dy_address, dx_address, include_pad, in_h, in_w, channels, kernel_h, kernel_w,
    stride_h, stride_w, pad_top, pad_left, out_h, out_w,
):  # fmt: skip
    """Images start..end: windows may overlap, so a whole image is one thread's."""
    dy, dx = pointer_like(number, dy_address), pointer_like(number, dx_address)
    for n in range(start, end):
        image = offset(dx, n * in_h * in_w * channels)
        for i in range(in_h * in_w * channels):
            store(image, i, like(number, 0.0))
        for oh in range(out_h):
            h0, h1 = clipped(oh, stride_h, pad_top, in_h, kernel_h)
            for ow in range(out_w):
                w0, w1 = clipped(ow, stride_w, pad_left, in_w, kernel_w)
                slope = offset(dy, ((n * out_h + oh) * out_w + ow) * channels)
                divisor = like(number, kernel_h * kernel_w if include_pad else (h1 - h0) * (w1 - w0))
                for h in range(h0, h1):
                    for w in range(w0, w1):
                        target = offset(image, (h * in_w + w) * channels)
                        for c in range(channels):
                            store(target, c, load(target, c) + load(slope, c) / divisor)
