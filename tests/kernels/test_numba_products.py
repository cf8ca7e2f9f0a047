"""Numba's products: tiles that write C themselves, blocks transposed in registers, and the ways that depend on the shape."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

pytest.importorskip("numba", reason="the Numba backend needs numba")

import numba

import kernels
from kernels.numba_backend import calls, memory, product_tile, turned, vector
from kernels.numba_backend.product_tile import ALL, FINISH, PART, STORE, Target

DTYPES = ["float32", "float64"]
#: Tile, its rows, its vectors of columns, what its vectors are divided by.
TILES = {
    "whole": (product_tile.product_tile_2, memory.TILE_ROWS, 2, 1),
    "half": (product_tile.product_tile_half, memory.TILE_ROWS, 1, 2 if product_tile.HAS_HALVES else 1),
    "low": (product_tile.two_thirds_tile_2, product_tile.TWO_THIRDS_ROWS, 2, 1),
    "row": (product_tile.row_tile_4, 1, 4, 1),
}


@pytest.fixture(scope="module")
def backend():
    return kernels.load("numba")


def address(x: np.ndarray) -> int:
    return x.__array_interface__["data"][0]


def lanes_of(dtype: str) -> int:
    return memory.VECTOR_BYTES // np.dtype(dtype).itemsize


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TILES)
def test_tile_writes_what_is_asked_for_and_nothing_beside_it(name, dtype, rng, wall, wall_stands):
    tile, rows, n_vectors, divisor = TILES[name]
    lanes, real, pointer_like = lanes_of(dtype) // divisor, np.dtype(dtype).type, memory.pointer_like
    width, depth = n_vectors * lanes, 5

    @numba.njit
    def call(a, b, c, c_row, mode, n_rows, head, alpha, beta, floor, bias, has_bias):
        target = Target(mode, n_rows, head, alpha, beta, floor, pointer_like(alpha, bias), has_bias)
        a, b, c = pointer_like(alpha, a), pointer_like(alpha, b), pointer_like(alpha, c)
        tile(depth, a, depth, 1, b, width, c, c_row, target)

    a, b = rng.standard_normal((rows, depth)).astype(dtype), rng.standard_normal((depth, width)).astype(dtype)
    sums = a.astype(np.longdouble) @ b
    for mode in (STORE, FINISH, PART, ALL) if rows == memory.TILE_ROWS else (PART, ALL):
        part = mode in (PART, ALL)
        edges = (rows, lanes, False, np.nan), (max(1, rows - 1), 1, True, 0), (1, lanes, True, 0)
        for n_rows, head, has_bias, floor in edges:
            n_rows, head = (n_rows, head) if part else (rows, lanes)
            columns = width - lanes + head
            start = np.full((n_rows, columns), np.nan) if mode != ALL else rng.standard_normal((n_rows, columns))
            c, bias = wall(start.astype(dtype)), wall(rng.standard_normal(columns).astype(dtype))
            before, bound = c.copy(), 100 * np.finfo(dtype).eps
            numbers = real(-2), real(0.5), real(floor)
            call(address(a), address(b), address(c), columns, mode, n_rows, head, *numbers, address(bias), has_bias)
            expected = sums[:n_rows, :columns]
            if mode != STORE:
                expected = -2 * expected + (bias if has_bias else 0) + (before * 0.5 if mode == ALL else 0)
                expected = np.where(expected < floor, 0, expected)
            np.testing.assert_allclose(c, expected.astype(dtype), rtol=0, atol=bound, err_msg=f"{mode} {n_rows} {head}")
            assert wall_stands(c)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("whole", [True, False])
def test_blocks_are_transposed(whole, dtype, rng, wall, wall_stands):
    lanes, pointer_like = lanes_of(dtype), memory.pointer_like
    transpose = vector.transpose_whole if whole else vector.transpose

    @numba.njit
    def call(number, source, stride, rows, count, target, target_stride):
        transpose(pointer_like(number, source), stride, rows, count, pointer_like(number, target), target_stride)

    for rows, count in ((lanes, lanes), (lanes, 3 * lanes), (1, 1), (lanes - 1, lanes + 1), (2, 2 * lanes - 1)):
        source = wall(rng.standard_normal((rows, count)).astype(dtype))
        shape = (-(-count // lanes) * lanes, lanes) if whole else (count, rows)
        target = wall(np.full(shape, np.nan, dtype))
        call(np.dtype(dtype).type(0), address(source), count, rows, count, address(target), shape[1])
        np.testing.assert_array_equal(target[:count, :rows], source.T, err_msg=f"{rows} rows of {count}")
        assert wall_stands(target)


#: m, k, n and what is stored transposed: each goes another way, or ends at another edge.
SHAPES = {
    "low_rows_in_place": (32, 40, 100, ""), "third_of_rows": (28, 40, 100, "a"), "narrow_over_the_rows": (50, 9, 6, ""),
    "narrow_and_long": (25, 600, 6, "a"), "half_panel": (26, 30, 70, "b"), "few_as_rows": (128, 32, 10, "a"),
    "few_as_rows_both": (96, 33, 20, "ab"), "dots": (1, 10, 84, "b"), "dots_of_three": (3, 37, 19, "b"), "dot": (2, 70, 2, "b"),
    "one_row": (1, 84, 105, ""), "three_rows": (3, 20, 43, ""), "outer": (84, 1, 10, ""), "wide_outer": (9, 1, 37, ""),
    "columns_packed": (252, 8, 300, "a"), "column": (784, 10, 1, "a"),
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SHAPES)
def test_products_of_every_way(name, dtype, backend, rng, wall, wall_stands):
    m, k, n, stored = SHAPES[name]
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    given = [wall(np.ascontiguousarray(x.T)) if key in stored else wall(x) for x, key in ((a, "a"), (b, "b"))]
    options = {"transpose_a": "a" in stored, "transpose_b": "b" in stored}
    for extra in ({}, {"alpha": -0.5, "beta": 2.0, "bias": rng.standard_normal(n).astype(dtype), "activation": "relu"}):
        out = wall(np.full((m, n), 3 if extra else np.nan, dtype))
        backend.bind("gemm", *given, out=out, **options, **extra)()
        expected = a.astype(np.longdouble) @ b
        if extra:
            expected = np.maximum(-0.5 * expected + 6 + extra["bias"], 0)
        bound = k * np.finfo(dtype).eps * (abs(a).astype(np.float64) @ abs(b) + 10)
        assert np.all(abs(out - expected) <= bound)
        assert wall_stands(out)


@pytest.mark.parametrize(
    ("m", "n", "stored", "expected"),
    [
        pytest.param(128, 10, True, True, id="last_layer"),
        pytest.param(128, 10, False, False, id="not_transposed"),
        pytest.param(20, 10, True, False, id="few_rows_too"),
        pytest.param(128, 200, True, False, id="many_columns"),
    ],
)
def test_few_columns_become_rows(m, n, stored, expected):
    if memory.TILE_ROWS == 12:  # what is worth it depends on the tile
        assert turned.prefers_turned(m, n, 1 if stored else 50, m if stored else 1, 4) is expected


# -- Python's way into a bound call ----------------------------------------------------------------------------------


def test_a_bound_call_is_a_built_in_function(backend):
    x, y = np.array([-1.0, 2.0]), np.empty(2)
    run = backend.bind("relu", x, out=y).run
    assert isinstance(run.func, type(len))
    references = sys.getrefcount(True)
    assert all(run() is True for _ in range(1000))
    assert abs(sys.getrefcount(True) - references) < 500
    np.testing.assert_array_equal(y, [0.0, 2.0])
    with pytest.raises(TypeError):
        run(1)


def test_what_is_wrong_in_a_bound_call_is_false():
    @memory.kernel
    def answer(work, code):
        return code

    assert calls.Bound(calls.Task(answer, (calls.SUCCESS,)))() is True
    assert calls.Bound(calls.Task(answer, (calls.OUT_OF_RANGE,)))() is False


def test_a_bound_call_lets_other_threads_run(backend, rng):
    x = rng.standard_normal((700, 700))
    run, done, seen = backend.bind("gemm", x, x, out=np.empty_like(x)).run, threading.Event(), []

    def count():
        while not done.is_set():
            seen.append(1)

    other = threading.Thread(target=count)
    other.start()
    while len(seen) < 3:
        run()
    done.set()
    other.join()


def test_several_threads_may_use_calls_of_their_own(backend, rng):
    x = rng.standard_normal((40, 30))
    outs = [np.empty((40, 40)) for _ in range(4)]
    runs = [backend.bind("gemm", x, x, transpose_b=True, out=out).run for out in outs]
    threads = [threading.Thread(target=lambda run=run: [run() for _ in range(200)]) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for out in outs:
        np.testing.assert_array_equal(out, outs[0])
