"""What is peculiar to the Numba kernels: the tile as LLVM instructions, own exp, threads, what is compiled and when.

Their values are held against the reference with those of all backends, in ``test_against_reference.py``.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("numba", reason="the Numba backend needs numba")

import numba

import kernels
from kernels.cases import edge_cases
from kernels.numba_backend import (
    calls,
    convolution,
    direct,
    elementwise,
    memory,
    parallel,
    planar,
    pooling,
    product,
    scatter,
    singles,
    skinny,
    tile,
    training,
    turned,
    winograd,
)  # fmt: skip
from kernels.spec import SPECS
from kernels.validation import outputs

DTYPES = ["float32", "float64"]
KERNELS = [spec.name for spec in SPECS]

#: Every function that Python calls, or that is called by address: one compiled version per dtype, whatever the arrays are like.
ENTRIES = (
    product.product, product.finish, product.whole_product, skinny.skinny_product, product.without_depth,
    skinny.outer_product, turned.turned_product,
    convolution.transpose_filters, convolution.forward_directly, convolution.forward_planar, convolution.forward_packed,
    convolution.forward_winograd, convolution.input_scattered, convolution.input_packed, convolution.input_winograd,
    convolution.weights_directly, convolution.weights_planar, convolution.weights_packed, convolution.weights_winograd,
    direct.direct_forward, direct.direct_weights, direct.add_sums, planar.planar_forward, planar.planar_weights,
    scatter.scatter_images, winograd.transform_filters, winograd.winograd_tiles, winograd.winograd_gradient_tiles,
    winograd.write_filters, pooling.max_pool, pooling.max_pool_backward, pooling.avg_pool, pooling.avg_pool_backward,
    elementwise.forward, elementwise.backward, training.cross_entropy, training.bias, training.sgd, training.adam,
    singles._max_pool, singles._avg_pool, singles._activate, singles._bias, singles._sgd, singles._adam, calls.run_one,
)  # fmt: skip


@pytest.fixture(scope="module")
def backend():
    return kernels.load("numba")


def address(x: np.ndarray) -> int:
    return x.__array_interface__["data"][0]


# -- the tile --------------------------------------------------------------------------------------------------------

TILES = {1: tile.tile_1, 2: tile.tile_2}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("n_vectors", TILES)
def test_tile_is_the_product_of_its_panels(n_vectors, by_rows, dtype, rng, wall, wall_stands):
    instructions, pointer_like = TILES[n_vectors], memory.pointer_like
    rows, columns = memory.TILE_ROWS, n_vectors * memory.VECTOR_BYTES // np.dtype(dtype).itemsize
    a_row, a_k = (tile.A_STRIDE, 1) if by_rows else (1, rows)

    @numba.njit
    def call(depth, number, a, b, c):
        a, b, c = pointer_like(number, a), pointer_like(number, b), pointer_like(number, c)
        instructions(1, depth, a, a_row, a_k, 0, b, columns, 0, c, columns)

    for depth in (1, 2, 7, tile.BLOCK_DEPTH):
        a, b = rng.standard_normal((rows, depth)).astype(dtype), rng.standard_normal((depth, columns)).astype(dtype)
        panel = np.full((rows, tile.A_STRIDE), np.nan, dtype)
        if by_rows:
            panel[:, :depth] = a
        else:
            panel.ravel()[: rows * depth] = a.T.ravel()
        c = wall(np.full((rows, columns), np.nan, dtype))
        call(depth, np.dtype(dtype).type(0), address(panel), address(b), address(c))
        expected = a.astype(np.longdouble) @ b.astype(np.longdouble)
        bound = depth * np.finfo(dtype).eps * (abs(a).astype(np.float64) @ abs(b).astype(np.float64))
        assert np.all(abs(c - expected) <= bound), f"depth {depth}"
        assert wall_stands(c)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("by_offsets", [True, False])
def test_tiles_add_to_what_is_there_over_several_lines(by_offsets, dtype, rng, wall, wall_stands):
    """Two loops, rows anywhere in memory, sums that go on: what the direct and the planar convolutions are made of."""
    lanes = memory.VECTOR_BYTES // np.dtype(dtype).itemsize
    outer, depth = 3, 5
    rows = memory.TILE_ROWS if by_offsets else 6
    n_vectors = 2 if by_offsets else tile.PLANAR_VECTORS
    columns = n_vectors * lanes
    a = rng.standard_normal((outer, rows, depth)).astype(dtype)
    b = rng.standard_normal((outer, depth, columns)).astype(dtype)
    start = rng.standard_normal((rows, columns)).astype(dtype)
    offsets = np.arange(rows) * depth
    instructions, pointer_like = tile.tap_tile_2 if by_offsets else tile.planar_tile_6, memory.pointer_like
    int64_pointer, a_outer, b_outer = memory.int64_pointer, rows * depth, depth * columns

    if by_offsets:

        @numba.njit
        def call(number, a, row, b, c):
            a, b, c = pointer_like(number, a), pointer_like(number, b), pointer_like(number, c)
            instructions(outer, depth, a, int64_pointer(row), 1, a_outer, b, columns, b_outer, c, columns)
    else:

        @numba.njit
        def call(number, a, row, b, c):
            a, b, c = pointer_like(number, a), pointer_like(number, b), pointer_like(number, c)
            instructions(outer, depth, a, depth, 1, a_outer, b, columns, b_outer, c, columns)

    c = wall(start.copy())
    call(np.dtype(dtype).type(0), address(a), address(offsets), address(b), address(c))
    expected = start + np.einsum("oik,okj->ij", a.astype(np.longdouble), b.astype(np.longdouble))
    np.testing.assert_allclose(c, expected.astype(np.float64), rtol=0, atol=100 * np.finfo(dtype).eps)
    assert wall_stands(c)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tile_uses_the_widest_vectors(backend, dtype):
    """Guards the speed: the compiled product holds vectors as wide as the CPU's, not a loop over elements."""
    backend.gemm(np.ones((8, 8), dtype), np.ones((8, 8), dtype))
    lanes = memory.VECTOR_BYTES // np.dtype(dtype).itemsize
    real = {"float32": "float", "float64": "double"}[dtype]
    names = {"float32": numba.float32, "float64": numba.float64}
    signature = next(s for s in product.multiply_block.signatures if names[dtype] in s)
    assert f"fmul contract <{lanes} x {real}>" in product.multiply_block.inspect_llvm(signature)


NARROW = """
import llvmlite.binding as llvm
features = llvm.get_host_cpu_features()
for name in list(features):
    if name.startswith({without!r}) or name in {without!r}:
        features[name] = False
llvm.get_host_cpu_features = lambda: features

import numpy as np
import kernels
from kernels.cases import edge_cases
from kernels.numba_backend.memory import TILE_ROWS, VECTOR_BYTES
from kernels.validation import disagreement

assert (VECTOR_BYTES, TILE_ROWS) == {expected!r}, (VECTOR_BYTES, TILE_ROWS)
backend = kernels.load("numba")
for kernel in ("gemm", "conv2d", "conv2d_backward_input", "conv2d_backward_weight", "sigmoid"):
    for case in edge_cases(kernel):
        message = disagreement(backend, case, "float32")
        assert message is None, f"{{case}}: {{message}}"
rng = np.random.default_rng(0)
for m, k, n in ((7, 400, 9), (13, 385, 35), (250, 20, 70)):
    a, b = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    for dtype in ("float32", "float64"):
        a, b = a.astype(dtype), b.astype(dtype)
        np.testing.assert_allclose(backend.gemm(a, b), a @ b, rtol=0, atol=2 * k * np.finfo(dtype).eps)
print("agrees")
"""


@pytest.mark.slow  # all kernels are compiled anew
@pytest.mark.parametrize(
    ("without", "expected"),
    [(("avx512", "evex512"), (32, 6)), (("avx", "evex512", "fma", "vaes", "vpclmulqdq", "f16c", "gfni"), (16, 4))],
    ids=["avx2", "sse2"],
)
def test_cpus_with_narrower_vectors(without, expected):
    """A process that is told of a lesser CPU compiles another tile, which gives the same products."""
    if expected[0] >= memory.VECTOR_BYTES:
        pytest.skip("this CPU has no wider vectors to do without")
    script = NARROW.format(without=without, expected=expected)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "agrees", done.stderr


# -- exp, sigmoid, tanh ----------------------------------------------------------------------------------------------


def ulps(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest error, in units of the last place of the result (of the smallest normal number below that)."""
    smallest = np.finfo(actual.dtype).tiny
    unit = np.spacing(np.maximum(abs(expected), smallest).astype(actual.dtype)).astype(np.longdouble)
    return float((abs(actual - expected) / unit).max())


def exact_sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("name", "exact", "dtype", "most"),
    [
        ("sigmoid", exact_sigmoid, "float32", 3), ("sigmoid", exact_sigmoid, "float64", 3),
        ("tanh", np.tanh, "float32", 5), ("tanh", np.tanh, "float64", 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("compiled", ["cython", "numba"])
def test_activations_within_units_of_the_last_place(compiled, name, exact, dtype, most):
    """In single precision tanh is a quotient of polynomials; beyond -87 (-708) sigmoid is 0, as it soon is no normal number."""
    reach = {"float32": 87, "float64": 708}[dtype]
    tiny = np.logspace(-30, 0, 4001)
    x = np.concatenate([np.linspace(-reach, reach, 200_001), np.linspace(-1.5, 1.5, 100_001), tiny, -tiny])
    x = x.astype(dtype)
    assert ulps(getattr(kernels.load(compiled), name)(x), exact(x.astype(np.longdouble))) < most


@pytest.mark.parametrize("dtype", DTYPES)
def test_activations_at_the_ends(backend, dtype):
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(backend.sigmoid(x), np.array([0, 0, 0.5, 0.5, 1, 1, np.nan], dtype))
    np.testing.assert_array_equal(backend.tanh(x), np.array([-1, -1, 0, 0, 1, 1, np.nan], dtype))
    np.testing.assert_array_equal(backend.relu(x), np.array([0, 0, 0, 0, 1e30, np.inf, np.nan], dtype))


# -- what is compiled, and when --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_array_makes_a_kernel_compile_again(backend, kernel, tmp_path):
    """Read-only arrays and memory maps are the same to a kernel: at most one version per dtype in all."""
    for dtype, case in itertools.product(DTYPES, edge_cases(kernel)[:3]):
        arguments, options = case.make(dtype)
        expected = outputs(backend, kernel, *case.make(dtype))
        compiled = [len(entry.signatures) for entry in ENTRIES]
        if kernel not in ("sgd_update", "adam_update"):  # those write into their arguments
            mapped = [
                as_map(v, tmp_path / f"{dtype}_{case.name}_{i}") if isinstance(v, np.ndarray) and v.size else v
                for i, v in enumerate(arguments)
            ]
            actual = outputs(backend, kernel, mapped, options)
            for a, e in zip(actual, expected, strict=True):
                np.testing.assert_array_equal(a, e)
        assert [len(entry.signatures) for entry in ENTRIES] == compiled
    versions = {entry.__name__: versions_of(entry) for entry in ENTRIES}
    assert {name: found for name, found in versions.items() if len(found) > len(DTYPES)} == {}


def versions_of(entry) -> list[tuple]:
    """Return the types that a function was compiled for; those with constants among them are parts of other functions."""
    return [s for s in entry.signatures if not any(isinstance(kind, numba.types.Literal) for kind in s)]


def as_map(x: np.ndarray, path) -> np.memmap:
    """The same values in a file that is mapped read-only."""
    x.tofile(path)
    return np.memmap(path, dtype=x.dtype, mode="r", shape=x.shape)


def test_nothing_is_cached_on_disk_and_no_thread_started(tmp_path):
    script = (
        "import sys, threading, kernels; assert 'numba' not in sys.modules; import numpy as np\n"
        "x = np.ones((300, 300)); k = kernels.load('numba'); k.relu(x); k.bias_backward(x)\n"
        "print(threading.active_count())"
    )
    environment = {"PATH": "", "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "1", done.stderr
    assert not list(tmp_path.iterdir())


def test_without_compilation_the_reason_is_told():
    script = "import kernels; kernels.load('numba')"
    environment = {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": ":".join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert "unset NUMBA_DISABLE_JIT" in done.stderr


# -- threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("multiple", [1, 4, 12])
@pytest.mark.parametrize("n_threads", [1, 2, 3, 16])
@pytest.mark.parametrize("n", [0, 1, 5, 12, 97])
def test_parts_cover_everything_once(n, n_threads, multiple):
    pieces = parallel.parts(n, n_threads, multiple)
    assert [i for start, end in pieces for i in range(start, end)] == list(range(n))
    assert len(pieces) <= n_threads
    assert all((end - start) % multiple == 0 for start, end in pieces[:-1])


def test_one_thread_asks_for_no_pool(backend, monkeypatch, rng):
    x = rng.standard_normal((200, 200))
    monkeypatch.setattr(parallel, "_pool", lambda n: pytest.fail("a pool was asked for"))
    backend.gemm(x, x)
    backend.tanh(x)
    with pytest.raises(pytest.fail.Exception):
        backend.gemm(x, x, n_threads=2)


def test_the_clock_of_programs_is_that_of_python(backend):
    @numba.njit
    def read():
        return calls.nanoseconds()

    read()
    before, reading, after = time.perf_counter_ns(), read(), time.perf_counter_ns()
    assert before <= reading <= after


@pytest.mark.parametrize("dtype", DTYPES)
def test_arguments_come_out_of_a_block_as_they_went_in(dtype):
    """Integers of all signs, truth, reals of one kind among those of another, and named tuples."""
    real = np.dtype(dtype).type
    window = pooling.Window(*range(-6, 6))
    found = np.zeros(16)

    @memory.kernel
    def spread(work, place, flag, small, s, wide):
        target = memory.float64_pointer(place)
        memory.store(target, 0, float(work))
        memory.store(target, 1, 1.0 if flag else 0.0)
        memory.store(target, 2, float(small))
        memory.store(target, 3, float(s.batch + s.out_w))
        memory.store(target, 4, wide)
        return 7

    task = calls.Task(spread, (address(found), True, real(-1.5), window, np.float64(1e300)), 64, (found,))
    assert calls.Bound(task)() is True
    assert spread(calls.memory.address(64), *task.arguments) == 7
    assert found[0] == calls.memory.address(64) and found[0] % 64 == 0
    assert found[1:5].tolist() == [1.0, -1.5, -1.0, 1e300]


@pytest.mark.parametrize("shape", [(200, 150, 40), (8, 5000, 12)], ids=["rows divided", "depth divided"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_of_python_and_of_the_kernel_at_once(backend, shape, dtype, rng):
    """Several callers, each on two threads, share pools but no memory; each result repeats bit for bit."""
    m, k, n = shape
    inputs = [(rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)) for _ in range(6)]
    expected = [backend.gemm(a, b, n_threads=2) for a, b in inputs]
    with ThreadPoolExecutor(3) as callers:
        for _ in range(5):
            actual = callers.map(lambda pair: backend.gemm(*pair, n_threads=2), inputs)
            for x, y in zip(actual, expected, strict=True):
                np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_waits_for_the_other_parts(error):
    """They hold bare addresses: the caller's arrays must outlive them."""
    ended = threading.Event()

    def work(start, end):
        if start == 0:
            raise error
        time.sleep(0.1)
        ended.set()

    with pytest.raises(error):
        parallel.run(work, [(0, 1), (1, 2)])
    assert ended.is_set()


def test_a_late_interrupt_waits_too(monkeypatch):
    ended, patience = threading.Event(), parallel.wait

    def interrupted_once(futures):
        monkeypatch.setattr(parallel, "wait", patience)
        raise KeyboardInterrupt

    def work(start, end):
        if start == 0:
            raise ValueError
        time.sleep(0.1)
        ended.set()

    monkeypatch.setattr(parallel, "wait", interrupted_once)
    with pytest.raises(KeyboardInterrupt):
        parallel.run(work, [(0, 1), (1, 2)])
    assert ended.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="no fork there")
def test_a_forked_child_has_threads_of_its_own():
    script = (
        "import os, numpy as np, kernels\n"
        "k = kernels.load('numba'); x = np.ones(100_000); k.relu(x, n_threads=2)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if k.relu(x, n_threads=2).sum() == x.size else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0", done.stderr
