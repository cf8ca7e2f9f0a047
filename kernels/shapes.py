"""Size arithmetic of convolution and pooling, shared by every backend, so that no backend can disagree about a shape.

Sizes follow Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016, arXiv:1603.07285):
out = floor((in + pad_before + pad_after - (dilation * (kernel - 1) + 1)) / stride) + 1. ``"same"`` is TensorFlow's:
out = ceil(in / stride), the odd pixel of padding at the end.

Legend: N batch, H and W height and width of the input, C channels, KH and KW of the kernel, OH and OW of the output.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: Options above this are refused: products of a few of them must not overflow a C ``ptrdiff_t``.
MAX_OPTION = 2**31 - 1
#: Arrays with more elements than this are refused before anything is allocated.
MAX_ELEMENTS = 2**56

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True, slots=True)
class Conv2dGeometry:
    """All sizes of one convolution; every number a backend needs, none it has to derive."""

    batch: int
    in_h: int
    in_w: int
    in_c: int
    kernel_h: int
    kernel_w: int
    out_c: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_bottom: int
    pad_left: int
    pad_right: int
    dilation_h: int
    dilation_w: int
    groups: int
    out_h: int
    out_w: int

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.in_h, self.in_w, self.in_c

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return self.kernel_h, self.kernel_w, self.in_c // self.groups, self.out_c

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.out_h, self.out_w, self.out_c


@dataclass(frozen=True, slots=True)
class Pool2dGeometry:
    """All sizes of one pooling."""

    batch: int
    in_h: int
    in_w: int
    channels: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_bottom: int
    pad_left: int
    pad_right: int
    out_h: int
    out_w: int

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.in_h, self.in_w, self.channels

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.out_h, self.out_w, self.channels


def integer(name: str, value: Any, *, minimum: int) -> int:
    """Return `value` as an int of at least `minimum`, or raise naming the argument."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got the bool {value}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {type(value).__name__} {_short(value)}") from None
    if not minimum <= number <= MAX_OPTION:
        raise ValueError(f"{name} must be between {minimum} and {MAX_OPTION}, got {number}")
    return number


def pair(name: str, value: Any, *, minimum: int = 1) -> Pair:
    """Return an int or an (h, w) pair as a pair."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be an int or a pair (h, w), got {len(value)} values: {_short(value)}")
        return integer(f"{name}[0]", value[0], minimum=minimum), integer(f"{name}[1]", value[1], minimum=minimum)
    number = integer(name, value, minimum=minimum)
    return number, number


def pads(name: str, value: Any, size: Pair, extent: Pair, stride: Pair) -> Pads:
    """Return `padding` as (top, bottom, left, right).

    `size` is the input's (H, W), `extent` what one window spans: dilation * (kernel - 1) + 1.
    """
    if isinstance(value, str):
        if value == "valid":
            return 0, 0, 0, 0
        if value == "same":
            top, bottom = _same(size[0], extent[0], stride[0])
            left, right = _same(size[1], extent[1], stride[1])
            return top, bottom, left, right
        forms = "'same', 'valid', an int, (h, w) or ((top, bottom), (left, right))"
        raise ValueError(f"{name} must be {forms}, got {value!r}")
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(v, (tuple, list)) for v in value):
        top, bottom = pair(f"{name}[0]", value[0], minimum=0)
        left, right = pair(f"{name}[1]", value[1], minimum=0)
        return top, bottom, left, right
    h, w = pair(name, value, minimum=0)
    return h, h, w, w


def _same(size: int, extent: int, stride: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def _out_size(what: str, size: int, before: int, after: int, extent: int, stride: int) -> int:
    if size < 1:
        raise ValueError(f"x: {what} must be at least 1, got {size}")
    if extent > size + before + after:
        padded = f"{size} + {before} + {after}"
        raise ValueError(f"the kernel spans {extent} in {what}, more than the padded input's {padded}")
    return (size + before + after - extent) // stride + 1


@lru_cache(maxsize=1024)
def _conv2d_geometry(x_shape, w_shape, stride, padding, dilation, groups) -> Conv2dGeometry:
    stride = pair("stride", stride)
    dilation = pair("dilation", dilation)
    groups = integer("groups", groups, minimum=1)
    n, h, w, c = x_shape
    kh, kw, c_group, out_c = w_shape
    if min(kh, kw) < 1:
        raise ValueError(f"w: kernel height and width must be at least 1, got shape {w_shape}")
    if c < 1 or out_c < 1:
        raise ValueError(f"channels must be at least 1, got x of shape {x_shape} and w of shape {w_shape}")
    if c % groups or out_c % groups:
        raise ValueError(f"groups must divide the channels of x ({c}) and of w ({out_c}), got {groups}")
    if c_group != c // groups:
        raise ValueError(
            f"w must have shape (KH, KW, C_in // groups, C_out) with C_in // groups = {c // groups}, got {w_shape}"
        )
    extent = dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1
    top, bottom, left, right = pads("padding", padding, (h, w), extent, stride)
    out_h = _out_size("height", h, top, bottom, extent[0], stride[0])
    out_w = _out_size("width", w, left, right, extent[1], stride[1])
    check_elements("the output of conv2d", (n, out_h, out_w, out_c))
    return Conv2dGeometry(
        n, h, w, c, kh, kw, out_c, *stride, top, bottom, left, right, *dilation, groups, out_h, out_w
    )


@lru_cache(maxsize=1024)
def _pool2d_geometry(x_shape, size, stride, padding) -> Pool2dGeometry:
    kernel = pair("size", size)
    stride = kernel if stride is None else pair("stride", stride)
    n, h, w, c = x_shape
    top, bottom, left, right = pads("padding", padding, (h, w), kernel, stride)
    for name, pad, extent in (("height", max(top, bottom), kernel[0]), ("width", max(left, right), kernel[1])):
        if pad > extent - 1:
            raise ValueError(f"padding in {name} must be smaller than the window ({extent}), got {pad}")
    if c < 1:
        raise ValueError(f"x: channels must be at least 1, got shape {x_shape}")
    out_h = _out_size("height", h, top, bottom, kernel[0], stride[0])
    out_w = _out_size("width", w, left, right, kernel[1], stride[1])
    if h * w > MAX_OPTION:
        raise ValueError(f"x: height * width must be at most {MAX_OPTION}, got {h} * {w}")
    check_elements("the output of pooling", (n, out_h, out_w, c))
    return Pool2dGeometry(n, h, w, c, *kernel, *stride, top, bottom, left, right, out_h, out_w)


def conv2d_geometry(x_shape, w_shape, *, stride=1, padding=0, dilation=1, groups=1) -> Conv2dGeometry:
    """Sizes of a convolution of `x_shape` (N, H, W, C) with `w_shape` (KH, KW, C // groups, C_out).

    Raises
    ------
    ValueError, TypeError
        Naming the argument that does not fit.

    Examples
    --------
    >>> conv2d_geometry((1, 28, 28, 1), (5, 5, 1, 6), padding="same").output_shape
    (1, 28, 28, 6)
    """
    options = (
        _hashable("stride", stride), _hashable("padding", padding), _hashable("dilation", dilation),
        _hashable("groups", groups),
    )  # fmt: skip
    return _conv2d_geometry(tuple(x_shape), tuple(w_shape), *options)


def pool2d_geometry(x_shape, size, *, stride=None, padding=0) -> Pool2dGeometry:
    """Sizes of a pooling of `x_shape` (N, H, W, C) with windows of `size`; `stride` None means `size`.

    Examples
    --------
    >>> pool2d_geometry((1, 28, 28, 6), 2).output_shape
    (1, 14, 14, 6)
    """
    options = _hashable("size", size), _hashable("stride", stride), _hashable("padding", padding)
    return _pool2d_geometry(tuple(x_shape), *options)


def check_elements(what: str, shape: tuple[int, ...]) -> None:
    """Refuse a shape whose number of elements would overflow or could never be stored."""
    count = 1
    for extent in shape:
        count *= extent
    if count > MAX_ELEMENTS:
        raise ValueError(f"{what} would have {count} elements (shape {shape}); at most {MAX_ELEMENTS} are possible")


def _hashable(name: str, option: Any, depth: int = 0) -> Any:
    """Return an option as a key of the geometry cache: tuples of ints and names, never what merely hashes like one.

    True == 1 == 1.0 share a hash, so that a cache would let the wrong ones pass once the right one has been seen.
    """
    if isinstance(option, (list, tuple)):
        if depth == 2 or len(option) > 4:
            raise ValueError(f"{name} must be an integer or a pair, got {_short(option)}")
        return tuple(_hashable(name, v, depth + 1) for v in option)
    if option is None or type(option) in (int, str):
        return option
    return integer(name, option, minimum=-MAX_OPTION)


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
