"""Memory of every kind: the same values in other strides, orders and alignments, and inside walls that show a leak."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest


class Subclass(np.ndarray):
    """What numpy.memmap and others are: an array of another class."""


def _poison(dtype):
    """What must not be read: NaN, or a number that is no index and no label."""
    return np.array(np.nan if dtype.kind == "f" else -9).astype(dtype)


def _sliced(x):
    """Every second element along each axis of an array filled with poison, from the second on."""
    wide = np.full([2 * n + 1 for n in x.shape], _poison(x.dtype))
    view = wide[tuple(slice(1, 2 * n + 1, 2) for n in x.shape)]
    view[...] = x
    return view


def _reversed(x):
    """Negative strides along every axis."""
    step = tuple(slice(None, None, -1) for _ in x.shape)
    return np.array(x[step], order="C")[step]


def _swapped(x):
    """Memory order of the last axis first."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, -1, 0)), 0, -1) if x.ndim else x.copy()


def _unaligned(x):
    """One byte past where an element may begin."""
    raw = np.empty(x.nbytes + x.itemsize, np.uint8)
    view = raw[1 : 1 + x.nbytes].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def _field(x):
    """A field of a packed structured array: strides that are no whole number of elements."""
    table = np.zeros(x.shape, np.dtype([("flag", np.uint8), ("value", x.dtype), ("rest", np.uint8, 2)]))
    table["value"] = x
    return table["value"]


def _offset(x):
    """Aligned to one element and to nothing more."""
    view = np.empty(x.size + 1, x.dtype)[1:].reshape(x.shape)
    view[...] = x
    return view


def _subclass(x):
    return x.copy().view(Subclass)


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


#: Layouts that keep the values. Those that may be written into come first.
WRITABLE = {
    "fortran": lambda x: np.array(x, order="F"),
    "sliced": _sliced,
    "reversed": _reversed,
    "swapped": _swapped,
    "unaligned": _unaligned,
    "field": _field,
    "offset": _offset,
    "subclass": _subclass,
}
LAYOUTS = {**WRITABLE, "read_only": _read_only}


WALL = 67  # elements: more than a vector and a cache line, and odd


def _wall(x: np.ndarray) -> np.ndarray:
    """The array between poison: what a kernel reads or writes beyond its ends shows."""
    room = np.full(x.size + 2 * WALL, _poison(x.dtype))
    view = room[WALL : WALL + x.size].reshape(x.shape)
    view[...] = x
    return view


def _wall_stands(view: np.ndarray) -> bool:
    """Whether nothing was written beyond an array made by `_wall`."""
    ends = np.concatenate([view.base[:WALL], view.base[WALL + view.size :]])
    return np.array_equal(ends, np.full(2 * WALL, _poison(view.dtype)), equal_nan=view.dtype.kind == "f")


@pytest.fixture(params=LAYOUTS)
def layout(request) -> Callable[[np.ndarray], np.ndarray]:
    """Each layout that an input may have."""
    return LAYOUTS[request.param]


@pytest.fixture(params=WRITABLE)
def writable_layout(request) -> Callable[[np.ndarray], np.ndarray]:
    """Each layout that an array to be written may have."""
    return WRITABLE[request.param]


@pytest.fixture
def wall() -> Callable[[np.ndarray], np.ndarray]:
    """Puts an array between poison."""
    return _wall


@pytest.fixture
def wall_stands() -> Callable[[np.ndarray], bool]:
    """Says whether nothing was written beyond an array that `wall` made."""
    return _wall_stands


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)
