"""Means of rows of a table: messages that name argument, value and place, and bits that threads do not change.

That they are right is tested where all kernels are.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kernels.cases import cases


def ones(*shape):
    return np.ones(shape)


def ints(*shape):
    return np.zeros(shape, np.int64)


VALID = {
    "embedding_mean": {"weight": ones(5, 3), "indices": ints(2, 4), "lengths": ints(2), "out": ones(2, 3)},
    "embedding_mean_backward": {
        "dy": ones(2, 3), "indices": ints(2, 4), "lengths": ints(2), "n_rows": 5, "out": ones(5, 3),
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kernel", "changes", "error", "match"),
    [
        ("embedding_mean", {"weight": ones(5)}, ValueError, "weight must have 2 axes, got 1"),
        ("embedding_mean", {"indices": ints(2)}, ValueError, r"indices must have shape \(any, any\), got \(2,\)"),
        ("embedding_mean", {"indices": ones(2, 4)}, TypeError, "indices must have an integer dtype, got float64"),
        ("embedding_mean", {"indices": ones(2, 4) > 0}, TypeError, "indices must have an integer dtype, got bool"),
        ("embedding_mean", {"indices": [[0]]}, TypeError, "indices must be a numpy.ndarray of integers, got list"),
        ("embedding_mean", {"indices": np.ma.zeros((2, 4), int)}, TypeError, "indices is a masked array"),
        ("embedding_mean", {"indices": np.array([[0, 1], [5, 0]])}, ValueError, r"indices must .* 0\.\.4, got 5 at \(1, 0\)"),
        ("embedding_mean", {"indices": np.array([[0, -1], [0, 0]])}, ValueError, r"indices must .* 0\.\.4, got -1 at \(0, 1\)"),
        ("embedding_mean", {"indices": np.full((2, 2), 2**63, np.uint64)}, ValueError, "indices must lie in"),
        ("embedding_mean", {"weight": ones(0, 3)}, ValueError, r"indices must lie in 0\.\.-1"),
        ("embedding_mean", {"lengths": ints(3)}, ValueError, r"lengths must have shape \(2,\), got \(3,\)"),
        ("embedding_mean", {"lengths": np.array([1, 5])}, ValueError, r"lengths must lie in 0\.\.4, got 5 at \(1,\)"),
        ("embedding_mean", {"lengths": np.array([-1, 5])}, ValueError, r"lengths must lie in 0\.\.4, got -1"),
        ("embedding_mean", {"lengths": None}, TypeError, "lengths must be a numpy.ndarray of integers"),
        ("embedding_mean_backward", {"dy": ones(2)}, ValueError, "dy must have 2 axes"),
        ("embedding_mean_backward", {"indices": ints(3, 4)}, ValueError, r"indices must have shape \(2, any\)"),
        ("embedding_mean_backward", {"indices": np.array([[0], [5]])}, ValueError, r"indices must lie in 0\.\.4, got 5"),
        ("embedding_mean_backward", {"n_rows": -1}, ValueError, "n_rows must be between 0"),
        ("embedding_mean_backward", {"n_rows": 5.0}, TypeError, "n_rows must be an integer, got float"),
        ("embedding_mean_backward", {"n_rows": 4}, ValueError, r"out must have shape \(4, 3\)"),
    ],
)
def test_one_wrong_argument(backend, kernel, changes, error, match):
    out = ones(*VALID[kernel]["out"].shape)
    with pytest.raises(error, match=match):
        getattr(backend, kernel)(**{**VALID[kernel], "out": out, **changes})
    assert (out == 1.0).all(), "an array was written"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_threads_gives_the_same_bits(backend, dtype):
    for kernel in VALID:
        for case in cases(kernel, "S"):
            arguments, options = case.make(dtype)
            one, *others = (getattr(backend, kernel)(*arguments, **options, n_threads=n) for n in (1, 2, 3, 5))
            for other in others:
                np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize("wrong", [-1, 5, 2**40, -(2**63)])
def test_a_bound_index_that_came_to_point_outside_is_not_followed(backend, wrong):
    """Checked when it was bound, and changed since: that text is passed over, at the start, at the end, on any thread."""
    room = np.full(40, 7.0)
    y, dw = room[5:11].reshape(2, 3), room[20:35].reshape(5, 3)
    for n_threads, place in itertools.product((1, 2), ((0, 0), (1, 3))):
        indices, lengths = np.ones((2, 4), np.int64), np.full(2, 4)
        calls = [
            backend.bind("embedding_mean", ones(5, 3), indices, lengths, out=y, n_threads=n_threads),
            backend.bind("embedding_mean_backward", ones(2, 3), indices, lengths, 5, out=dw, n_threads=n_threads),
        ]
        assert all(call() for call in calls)
        indices[place] = wrong
        assert not any(call() for call in calls)
        indices[place], lengths[place[0]] = 1, wrong
        assert not any(call() for call in calls)
        assert (np.delete(room, [*range(5, 11), *range(20, 35)]) == 7.0).all()
