"""Size arithmetic against counting: where a window fits, one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kernels.shapes import MAX_ELEMENTS, MAX_OPTION, conv2d_geometry, pool2d_geometry


def count(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Positions of a window that lies in the padded input, counted."""
    extent = dilation * (kernel - 1) + 1
    return sum(1 for begin in range(0, size + before + after, stride) if begin + extent <= size + before + after)


def test_sizes_of_convolutions_are_counted():
    sizes = itertools.product(range(1, 9), range(1, 5), range(1, 4), range(4), (1, 2))
    for size, kernel, stride, pad, dilation in sizes:
        expected = count(size, kernel, stride, pad, 1, dilation)
        call = {"stride": (stride, 1), "padding": ((pad, 1), (0, 0)), "dilation": (dilation, 1)}
        if expected == 0:
            with pytest.raises(ValueError, match="the kernel spans"):
                conv2d_geometry((1, size, 1, 1), (kernel, 1, 1, 1), **call)
        else:
            assert conv2d_geometry((1, size, 1, 1), (kernel, 1, 1, 1), **call).out_h == expected


def test_same_keeps_the_size_with_the_odd_pixel_at_the_end():
    for size, kernel, stride, dilation in itertools.product(range(1, 9), range(1, 6), range(1, 5), (1, 2, 3)):
        call = {"stride": stride, "dilation": dilation, "padding": "same"}
        g = conv2d_geometry((1, size, size, 1), (kernel, kernel, 1, 1), **call)
        assert g.out_h == g.out_w == -(-size // stride)
        assert 0 <= g.pad_bottom - g.pad_top <= 1
        # No more padding than it takes.
        needed = (g.out_h - 1) * stride + dilation * (kernel - 1) + 1 - size
        assert g.pad_top + g.pad_bottom == max(needed, 0)


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (0, (0, 0, 0, 0)), (2, (2, 2, 2, 2)), ((1, 2), (1, 1, 2, 2)), ([1, 2], (1, 1, 2, 2)),
        (((1, 2), (0, 2)), (1, 2, 0, 2)), ([[1, 2], (0, 2)], (1, 2, 0, 2)), ("valid", (0, 0, 0, 0)),
        ("same", (1, 1, 1, 1)), (np.int64(1), (1, 1, 1, 1)), ((np.int8(1), 0), (1, 1, 0, 0)),
    ],
)  # fmt: skip
def test_forms_of_padding(padding, expected):
    for g in (
        conv2d_geometry((1, 7, 7, 1), (3, 3, 1, 1), padding=padding),
        pool2d_geometry((1, 7, 7, 1), 3, stride=1, padding=padding),
    ):
        assert (g.pad_top, g.pad_bottom, g.pad_left, g.pad_right) == expected


def test_shapes_of_a_geometry():
    g = conv2d_geometry((2, 9, 8, 6), (3, 2, 3, 4), groups=2)
    assert (g.input_shape, g.weight_shape, g.output_shape) == ((2, 9, 8, 6), (3, 2, 3, 4), (2, 7, 7, 4))
    p = pool2d_geometry((2, 9, 8, 6), (3, 2))
    assert (p.stride_h, p.stride_w) == (3, 2)
    assert (p.input_shape, p.output_shape) == ((2, 9, 8, 6), (2, 3, 4, 6))


def test_true_is_not_one_though_it_hashes_alike():
    """A cache keyed by value alone would let True and 1.0 pass once 1 has been seen."""
    conv2d_geometry((1, 4, 4, 1), (2, 2, 1, 1), stride=1, groups=1)
    for wrong in (True, 1.0, np.float64(1.0), np.True_):
        for option in ("stride", "padding", "dilation", "groups"):
            with pytest.raises(TypeError, match=option):
                conv2d_geometry((1, 4, 4, 1), (2, 2, 1, 1), **{option: wrong})


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "options"),
    [
        ((1, 2**20, 2**20, 1), (1, 1, 1, 2**20), {}),
        ((1, 1, 1, 1), (1, 1, 1, 1), {"padding": MAX_OPTION}),
        ((2**40, 2**10, 2**10, 1), (1, 1, 1, 1), {}),
    ],
)
def test_outputs_beyond_any_machine_are_refused(x_shape, w_shape, options):
    with pytest.raises(ValueError, match=f"at most {MAX_ELEMENTS}"):
        conv2d_geometry(x_shape, w_shape, **options)


def test_a_stride_past_everything_leaves_one_window():
    assert conv2d_geometry((1, 5, 5, 1), (3, 3, 1, 1), stride=MAX_OPTION).output_shape == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="stride must be between 1"):
        conv2d_geometry((1, 5, 5, 1), (3, 3, 1, 1), stride=MAX_OPTION + 1)
