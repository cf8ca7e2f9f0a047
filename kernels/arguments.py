"""Checks of what callers pass to a kernel, done once for all backends before a byte is read.

Every message names the argument, what it was and what was expected. What comes out is what a backend may rely on:
plain ndarrays of one native float dtype, aligned and C-contiguous, with sizes that agree and nothing that overlaps.
"""

from __future__ import annotations

import ctypes
import math
import numbers
import os
from typing import Any

import numpy as np

from kernels.shapes import check_elements, integer

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
ACTIVATIONS = (None, "relu", "sigmoid", "tanh")
MAX_THREADS = 1024
#: More threads than this are taken as this many: they cannot help, and a runtime that fails to start a thread (a limit
#: on processes, say) ends the interpreter. A few are allowed on the smallest machine, so that a result for a number of
#: threads can be had there too.
_USEFUL_THREADS = max(16, os.cpu_count() or 1)
#: Arrays above this many bytes are held against the machine's memory before they are allocated.
_LARGE_BYTES = 2**30


def array(name: str, value: Any, *, ndim: int | None = None, dtype: np.dtype | None = None, shape=None) -> np.ndarray:
    """Return `value` as a base-class ndarray of float32 or float64; never cast, never copied."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray of float32 or float64, got {type(value).__name__}")
    _refuse_masked(name, value)
    if value.dtype not in DTYPES or not value.dtype.isnative:
        raise TypeError(f"{name} must have dtype float32 or float64 in native byte order, got {value.dtype.str}")
    if dtype is not None and value.dtype != dtype:
        raise TypeError(f"{name} must have the dtype of the other arrays, {dtype}, got {value.dtype}")
    if ndim is not None and value.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} axes, got {value.ndim} (shape {value.shape})")
    if shape is not None and value.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {value.shape}")
    return value if type(value) is np.ndarray else np.asarray(value)


def _refuse_masked(name: str, value: np.ndarray) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; fill or drop the masked values first")


def indices(name: str, value: Any, shape: tuple[int, ...], n: int) -> np.ndarray:
    """Return flat indices as int32 of `shape`. Each must lie in 0..n-1; those of an int32 array are not looked at here.

    A backend checks an index where it uses it, which costs nothing; other dtypes must be cast first, and a cast must
    not turn a wrong index into a right one.
    """
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a numpy.ndarray of integers, got {getattr(value, 'dtype', type(value))}")
    _refuse_masked(name, value)
    if value.shape != shape:
        raise ValueError(f"{name} must have dy's shape {shape}, got {value.shape}")
    value = np.asarray(value)
    if value.dtype == np.int32:
        return value
    if value.size and (int(value.min()) < 0 or int(value.max()) >= n):
        raise ValueError(f"{name} must lie in 0..{n - 1}, got {value.min()}..{value.max()}")
    return value.astype(np.int32)


def integers(name: str, value: Any, shape: tuple[int | None, ...], below: int) -> np.ndarray:
    """Return integers in 0..below-1 as C-contiguous int64; None in `shape` stands for any extent."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray of integers, got {type(value).__name__}")
    _refuse_masked(name, value)
    if value.dtype.kind not in "iu":
        raise TypeError(f"{name} must have an integer dtype, got {value.dtype}")
    fits = value.ndim == len(shape) and all(s in (None, n) for s, n in zip(shape, value.shape, strict=True))
    if not fits:
        wanted = str(shape).replace("None", "any")
        raise ValueError(f"{name} must have shape {wanted}, got {value.shape}")
    if value.size and (int(value.min()) < 0 or int(value.max()) >= below):
        value = np.asarray(value)
        at = tuple(int(i) for i in np.argwhere((value < 0) | (value >= below))[0])
        raise ValueError(f"{name} must lie in 0..{below - 1}, got {value[at]} at {at}")
    return contiguous(np.ascontiguousarray(value, dtype=np.int64))


def contiguous(value: np.ndarray) -> np.ndarray:
    """Return `value`, or a C-contiguous, aligned copy of it where it is not so already."""
    if value.flags.c_contiguous and value.flags.aligned:
        return value
    _check_memory("a contiguous copy", value.shape, value.dtype)
    return np.array(value, order="C", copy=True, subok=False)


def strided(value: np.ndarray) -> np.ndarray:
    """Return `value`, or a copy where its strides are not whole elements (fields of a structured array, say)."""
    if value.flags.aligned and all(s % value.itemsize == 0 for s in value.strides):
        return value
    return contiguous(value)


def output(name: str, out: Any, shape: tuple[int, ...], dtype, *inputs: np.ndarray, read: bool = False) -> np.ndarray:
    """Return the C-contiguous array that a backend writes into: `out` itself where it can be, else a new one.

    With `read`, what `out` holds is carried over. Hand the result to :func:`deliver` afterwards.
    """
    if out is None:
        _check_memory(name, shape, dtype)
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray or None, got {type(out).__name__}")
    if out.dtype != dtype or not out.dtype.isnative:
        raise TypeError(f"{name} must have dtype {np.dtype(dtype)}, got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only")
    refuse_overlap(name, out, *inputs)
    if out.flags.c_contiguous and out.flags.aligned:
        return out if type(out) is np.ndarray else np.asarray(out)
    if _overlaps_itself(out):
        raise ValueError(f"{name} has elements that share memory (strides {out.strides})")
    return np.array(out, order="C", copy=True, subok=False) if read else np.empty(shape, dtype)


def deliver(result: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """Return the caller's `out`, filled, or the new array where the caller gave none."""
    if out is None:
        return result
    if result is not out and not np.may_share_memory(result, out):
        out[...] = result
    return out


def in_place(name: str, value: Any, dtype, shape, *others: np.ndarray) -> np.ndarray:
    """As :func:`output`, for an array that is read and written: weights and the state of an optimizer."""
    array(name, value, dtype=dtype, shape=shape)
    return output(name, value, shape, dtype, *others, read=True)


def refuse_overlap(name: str, out: np.ndarray, *inputs: np.ndarray) -> None:
    """Raise where `out` shares memory with an input; a question too hard to settle counts as yes."""
    for value in inputs:
        if value is None or not np.may_share_memory(out, value):
            continue
        try:
            shared = np.shares_memory(out, value, max_work=10_000)
        except np.exceptions.TooHardError:
            shared = True
        if shared:
            raise ValueError(f"{name} overlaps an input; give it memory of its own")


def _overlaps_itself(value: np.ndarray) -> bool:
    """Whether two elements of a strided array may lie at one address (a broadcast view, say)."""
    axes = sorted((abs(s), n) for s, n in zip(value.strides, value.shape, strict=True) if n > 1)
    reach = value.itemsize
    for stride, extent in axes:
        if stride < reach:
            return True
        reach = stride * (extent - 1) + reach
    return False


def real(name: str, value: Any) -> float:
    """Return a real number as a float."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number, got {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must fit in a float, got {value}") from None


def factor(name: str, value: Any, dtype: np.dtype) -> float:
    """Return a real number rounded to the arrays' dtype, as BLAS takes its scalars: what is 0 in float32 acts as 0."""
    result = real(name, value)
    return result if dtype.itemsize == 8 else ctypes.c_float(result).value  # past the largest: inf, without a warning


def number(name: str, value: Any, dtype: np.dtype, *, minimum: float = -math.inf, below: float = math.inf) -> float:
    """Return a real number with minimum <= number < below that is finite in the arrays' dtype."""
    result = real(name, value)
    if not math.isfinite(factor(name, value, dtype)) or not minimum <= result < below:
        raise ValueError(f"{name} must be a finite number of {dtype} with {minimum} <= {name} < {below}, got {result}")
    return result


def threads(name: str, value: Any) -> int:
    """Return a number of threads; 1 to `MAX_THREADS` may be asked for."""
    if type(value) is int and 0 < value <= _USEFUL_THREADS:  # nearly every call
        return value
    result = integer(name, value, minimum=1)
    if result > MAX_THREADS:
        raise ValueError(f"{name} must be at most {MAX_THREADS}, got {result}")
    return min(result, _USEFUL_THREADS)


def choice(name: str, value: Any, allowed: tuple) -> Any:
    """Return `value` where it is one of `allowed`."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be one of {allowed}, got {type(value).__name__}")
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, got {value!r}")
    return value


def flag(name: str, value: Any) -> bool:
    """Return a bool; numbers are refused, so that a forgotten keyword does not pass as one."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {type(value).__name__}")
    return bool(value)


def labels(name: str, value: Any, n: int, n_classes: int) -> np.ndarray:
    """Return class labels as C-contiguous int64 of shape (n,), each in 0..n_classes-1."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray of integers, got {type(value).__name__}")
    _refuse_masked(name, value)
    if value.dtype.kind not in "iu":
        raise TypeError(f"{name} must have an integer dtype, got {value.dtype}")
    if value.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one label per row of logits, got {value.shape}")
    if n and (int(value.min()) < 0 or int(value.max()) >= n_classes):
        raise ValueError(f"{name} must lie in 0..{n_classes - 1}, got {value.min()}..{value.max()}")
    return contiguous(np.ascontiguousarray(value, dtype=np.int64))


def shape4(name: str, value: Any) -> tuple[int, int, int, int]:
    """Return (N, H, W, C) as a tuple of ints."""
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        raise ValueError(f"{name} must be (N, H, W, C), got {value!r}")
    result = []
    for i, extent in enumerate(value):
        if isinstance(extent, (bool, np.bool_)) or not hasattr(extent, "__index__"):
            raise TypeError(f"{name}[{i}] must be an integer, got {type(extent).__name__}")
        if int(extent) < 0:
            raise ValueError(f"{name}[{i}] must not be negative, got {extent}")
        result.append(int(extent))
    check_elements(name, tuple(result))
    return tuple(result)


def _check_memory(name: str, shape: tuple[int, ...], dtype) -> None:
    check_elements(name, shape)
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if size_bytes < _LARGE_BYTES:
        return
    try:
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if size_bytes > memory_bytes:
        raise ValueError(f"{name} needs {size_bytes} bytes (shape {shape}); this machine has {memory_bytes}")
