"""Batches and the order of samples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from models.training import Batches, batch_rows

X = np.arange(24.0).reshape(8, 3)
LABELS = np.arange(8)
WEIGHT = np.linspace(1.0, 2.0, 8)


@pytest.mark.parametrize("rows", [np.array([5, 0, 7]), slice(2, 5)], ids=["indices", "slice"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (3.0, 0.5)])
def test_take(rows, weight, shift, scale):
    x, target, taken = Batches(X, LABELS, weight, 4, shift=shift, scale=scale).take(rows)
    np.testing.assert_array_equal(x, (X[rows] - shift) * scale)
    np.testing.assert_array_equal(target, LABELS[rows])
    if weight is None:
        assert taken is None
    else:
        np.testing.assert_array_equal(taken, weight[rows])
    np.testing.assert_array_equal(X, np.arange(24.0).reshape(8, 3))  # the data stay as they are


def test_buffers_are_used_again():
    batches = Batches(X, LABELS, WEIGHT, 4)
    first, second = (batches.take(rows) for rows in (np.array([0, 1]), np.array([2, 3])))
    assert all(a is b for a, b in zip(first, second, strict=True))


def test_samples_in_order_are_not_copied():
    x, _, _ = Batches(X, LABELS, None, 4).take(slice(0, 4))
    assert np.shares_memory(x, X)


def test_sparse():
    rows = np.array([5, 0, 7])
    x, _, _ = Batches(scipy.sparse.csr_matrix(X), LABELS, None, 4).take(rows)
    assert scipy.sparse.issparse(x)
    np.testing.assert_array_equal(x.toarray(), X[rows])


@pytest.mark.parametrize("batch_size", [1, 3, 8, 100])
@pytest.mark.parametrize("rows", [None, np.array([1, 3, 5, 7, 9])], ids=["all", "some"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_each_sample_once(rows, shuffled, batch_size):
    data = np.arange(10)
    n = 10 if rows is None else 5
    order = np.random.RandomState(0).permutation(n) if shuffled else None
    seen = [data[batch] for batch in batch_rows(n, batch_size, rows, order)]
    assert [len(batch) for batch in seen[:-1]] == [batch_size] * (len(seen) - 1)
    together = np.concatenate(seen)
    expected = data if rows is None else rows
    np.testing.assert_array_equal(np.sort(together), expected)
    assert np.array_equal(together, expected) is not shuffled
