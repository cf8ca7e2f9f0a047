"""What a backend may rely on, whatever the caller hands in: shown by a backend that computes nothing and looks."""

from __future__ import annotations

import types

import numpy as np
import pytest

from kernels import Kernels
from kernels.api import IMPLEMENTATION
from kernels.cases import edge_cases
from kernels.spec import BY_NAME, SPECS

KERNELS = [spec.name for spec in SPECS]


def spy() -> tuple[Kernels, list[tuple]]:
    """Kernels whose implementation only notes its arguments, and the notes."""
    notes: list[tuple] = []

    def function(name):
        def note(*arguments):
            notes.append((name, arguments))
            return True

        return note

    module = types.SimpleNamespace(**{name: function(name) for name in IMPLEMENTATION})
    return Kernels("spy", module), notes


def arrays(arguments) -> list[np.ndarray]:
    return [v for v in arguments if isinstance(v, np.ndarray)]


def laid_out(value, layout):
    """An array in a layout; one number has but one."""
    return layout(value) if isinstance(value, np.ndarray) and value.ndim else value


@pytest.mark.parametrize("kernel", KERNELS)
def test_arrays_are_plain_aligned_and_contiguous(kernel, layout):
    """gemm's a and b alone may be strided, in whole elements."""
    k, notes = spy()
    for case in edge_cases(kernel):
        arguments, options = case.make("float32")
        written = BY_NAME[kernel].in_place
        arguments = tuple(laid_out(v, layout) if not written or i == 1 else v for i, v in enumerate(arguments))
        options = {name: laid_out(v, layout) if name != "out" else v for name, v in options.items()}
        getattr(k, kernel)(*arguments, **options)
    assert {name for name, _ in notes} == {kernel}
    for _, arguments in notes:
        for i, x in enumerate(arrays(arguments)):
            assert type(x) is np.ndarray
            assert x.flags.aligned and x.dtype.isnative
            assert x.flags.c_contiguous or (kernel == "gemm" and i < 2)
            assert all(stride % x.itemsize == 0 for stride in x.strides)


@pytest.mark.parametrize("kernel", KERNELS)
def test_arrays_do_not_overlap_and_numbers_are_plain(kernel):
    k, notes = spy()
    for case in edge_cases(kernel):
        arguments, options = case.make("float64")
        getattr(k, kernel)(*arguments, **options, n_threads=np.int64(2))
    for _, arguments in notes:
        found = arrays(arguments)
        overlaps = [(a, b) for i, a in enumerate(found) for b in found[:i] if np.shares_memory(a, b)]
        assert not overlaps
        assert type(arguments[-1]) is int and arguments[-1] == 2
        assert not [v for v in arguments if isinstance(v, np.generic)]


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_array_is_copied_that_need_not_be(kernel):
    """A contiguous call goes through as it is: training allocates nothing here."""
    k, notes = spy()
    case = edge_cases(kernel)[3]
    arguments, options = case.make("float32")
    getattr(k, kernel)(*arguments, **options)
    given = [v for v in arrays(arguments) if v.dtype.kind == "f"]
    received = arrays(notes[0][1])
    for x in given:
        assert any(np.shares_memory(x, y) for y in received) or x.size == 0


@pytest.mark.parametrize("kernel", [k for k in KERNELS if not BY_NAME[k].in_place])
def test_a_given_out_is_the_one_that_is_written(kernel):
    k, notes = spy()
    case = edge_cases(kernel)[3]
    arguments, options = case.make("float32")
    result = getattr(k, kernel)(*arguments, **options)
    result = result if isinstance(result, tuple) else (result,)
    out = np.empty_like(result[-len(BY_NAME[kernel].outs)])
    getattr(k, kernel)(*arguments, **{**options, "out": out})
    assert any(v is out or np.shares_memory(v, out) for v in arrays(notes[-1][1]))


def test_an_empty_batch_asks_no_backend_for_its_loss():
    k, notes = spy()
    loss, gradient = k.softmax_cross_entropy(np.ones((0, 3)), np.zeros(0, int))
    assert np.isnan(loss) and gradient.shape == (0, 3) and not notes
