"""Every kernel of every backend against the reference: edge cases, real sizes, threads, memory of every kind."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kernels
from kernels.cases import Case, cases, edge_cases
from kernels.spec import BY_NAME, SPECS
from kernels.validation import compare, disagreement, outputs

KERNELS = [spec.name for spec in SPECS]
DTYPES = ["float32", "float64"]
COMPILED = [name for name in kernels.backends() if name != "reference"]

#: One case of middling size and odd shape per kernel, for the tests of memory.
TYPICAL = {
    "gemm": "alpha_beta_bias_tanh", "conv2d": "groups_stride_dilation", "conv2d_backward_input": "stride_pair",
    "conv2d_backward_weight": "pad_asymmetric", "max_pool2d": "overlap_2", "max_pool2d_backward": "overlap_2",
    "avg_pool2d": "pad_asymmetric", "avg_pool2d_backward": "pad_asymmetric", "softmax_cross_entropy": "seventeen",
    "bias_backward": "3x4x5x17", "sgd_update": "shape_3x3x5x7", "adam_update": "shape_3x3x5x7",
}  # fmt: skip
def typical(kernel: str) -> Case:
    name = TYPICAL.get(kernel, "2x3x5x7")
    return next(case for case in edge_cases(kernel) if case.name == name)


def expected_of(case: Case, dtype: str, seed: int = 0) -> tuple:
    return outputs(kernels.load("reference"), case.kernel, *case.make(dtype, seed))


def outs(kernel: str, expected: tuple) -> dict[str, np.ndarray]:
    """The `out` arguments of a kernel, by name, each with the array that it should receive."""
    if BY_NAME[kernel].in_place:
        return {}
    names = BY_NAME[kernel].outs
    return dict(zip(names, expected[-len(names) :], strict=True))


def garbage(x: np.ndarray) -> np.ndarray:
    return np.full(x.shape, np.nan if x.dtype.kind == "f" else -7, x.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_edge_cases(backend, kernel, dtype):
    found = [disagreement(backend, case, dtype) for case in edge_cases(kernel)]
    wrong = [f"{case}: {message}" for case, message in zip(edge_cases(kernel), found, strict=True) if message]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_edge_cases_between_walls_on_two_threads(backend, kernel, dtype, wall, wall_stands):
    """Inputs lie between NaN and `out` between NaN and full of it: nothing beyond an array is read or written."""
    wrong = []
    for case in edge_cases(kernel):
        expected = expected_of(case, dtype)
        arguments, options = case.make(dtype)
        arguments = tuple(wall(v) if isinstance(v, np.ndarray) else v for v in arguments)
        options = {k: wall(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
        given = {k: v for k, v in outs(kernel, expected).items() if k not in options}
        options |= {k: wall(garbage(v)) for k, v in given.items()}
        actual = outputs(backend, kernel, arguments, {**options, "n_threads": 2})
        message = compare(BY_NAME[kernel], actual, expected, *case.make(dtype))
        walls = [v for v in (*arguments, *options.values()) if isinstance(v, np.ndarray)]
        if message is None and not all(wall_stands(v) for v in walls):
            message = "wrote beyond an array"
        if message is None and any(not any(r is options[k] for r in actual) for k in given):
            message = "did not return the out it was given"
        if message:
            wrong.append(f"{case}: {message}")
    assert not wrong, "\n".join(wrong)


def wrong_answers(kernel: str, preset: str, dtype: str, seed: int, threads: tuple[int, ...]) -> list[str]:
    """Ask all compiled backends; the reference, by far the slowest, answers once for each case."""
    wrong = []
    for case in cases(kernel, preset):
        expected = expected_of(case, dtype, seed)
        for name, n_threads in itertools.product(COMPILED, threads):
            message = disagreement(kernels.load(name), case, dtype, seed, expected, n_threads=n_threads)
            if message:
                wrong.append(f"{name}, {n_threads} threads, {case}: {message}")
    return wrong


@pytest.mark.parametrize("kernel", KERNELS)
def test_training_sizes(kernel):
    """The preset S: large enough that every block of a kernel and every thread has work."""
    wrong = wrong_answers(kernel, "S", "float32", 0, (1, 2, 3))
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize(("preset", "dtype"), [("M", "float32"), ("M", "float64"), ("L", "float32")])
@pytest.mark.parametrize("kernel", KERNELS)
def test_larger_training_sizes(preset, kernel, dtype):
    wrong = wrong_answers(kernel, preset, dtype, 1, (2,))
    assert not wrong, "\n".join(wrong)


GEMM_SIZES = (0, 1, 2, 3, 5, 8, 13, 31, 48, 97)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gemm_of_all_small_sizes_and_transposes(backend, dtype, rng):
    """Every ragged edge of a register tile, in every combination."""
    pool = rng.standard_normal((2, max(GEMM_SIZES), max(GEMM_SIZES))).astype(dtype)
    limit = 4 * np.finfo(dtype).eps
    for m, k, n in itertools.product(GEMM_SIZES, repeat=3):
        a, b = pool[0, :m, :k], pool[1, :k, :n]
        expected = a.astype(np.float64) @ b.astype(np.float64)
        allowed = limit * (np.abs(a.astype(np.float64)) @ np.abs(b)) * 2 + np.finfo(dtype).tiny
        which = (m + k + n) % 4
        ta, tb = bool(which & 1), bool(which & 2)
        actual = backend.gemm(a.T if ta else a, b.T if tb else b, transpose_a=ta, transpose_b=tb)
        assert actual.shape == (m, n)
        assert actual.dtype == a.dtype
        assert (np.abs(actual - expected) <= allowed).all(), (m, k, n, ta, tb)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gemm_of_every_layout_and_transpose(backend, dtype, layout, rng):
    """gemm reads strided matrices as they are: this layout of a with each of b, in every combination of transposes."""
    for (m, k, n), ta, tb in itertools.product(((7, 13, 5), (25, 1, 35), (13, 37, 1), (0, 3, 2)), *[(False, True)] * 2):
        a = rng.standard_normal((k, m) if ta else (m, k)).astype(dtype)
        b = rng.standard_normal((n, k) if tb else (k, n)).astype(dtype)
        options = {"transpose_a": ta, "transpose_b": tb}
        expected = kernels.load("reference").gemm(a, b, **options)
        pairs = (layout(a), b), (a, layout(b)), (layout(a), layout(b)), (layout(a), np.asfortranarray(b))
        for operands in pairs:
            assert compare(BY_NAME["gemm"], backend.gemm(*operands, **options), expected, (a, b), options) is None


# -- memory of every kind ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_inputs_of_any_layout(backend, kernel, dtype, layout):
    """All inputs in one layout; what is overwritten stays writable."""
    case = typical(kernel)
    expected = expected_of(case, dtype)
    arguments, options = case.make(dtype)
    written = range(len(arguments)) if BY_NAME[kernel].in_place else ()
    arguments = tuple(
        layout(v) if isinstance(v, np.ndarray) and (i not in written or i == 1) else v for i, v in enumerate(arguments)
    )
    options = {k: layout(v) if isinstance(v, np.ndarray) and k != "out" else v for k, v in options.items()}
    before = [v.copy() for v in arguments if isinstance(v, np.ndarray)] if not written else []
    actual = outputs(backend, kernel, arguments, options)
    assert compare(BY_NAME[kernel], actual, expected, *case.make(dtype)) is None
    for now, then in zip([v for v in arguments if isinstance(v, np.ndarray)], before, strict=False):
        np.testing.assert_array_equal(now, then, err_msg="an input was changed")


@pytest.mark.parametrize("kernel", KERNELS)
def test_outputs_of_any_layout(backend, kernel, writable_layout):
    """`out` (weights and state of an optimizer, too) in any layout: filled where it lies, and handed back itself."""
    case, dtype = typical(kernel), "float32"
    expected = expected_of(case, dtype)
    arguments, options = case.make(dtype)
    if BY_NAME[kernel].in_place:
        arguments = tuple(v if i == 1 else writable_layout(v) for i, v in enumerate(arguments))
    for name, value in outs(kernel, expected).items():
        options[name] = writable_layout(options.get(name, garbage(value)))
    actual = outputs(backend, kernel, arguments, options)
    plain = tuple(np.array(v) if isinstance(v, np.ndarray) else v for v in actual)
    assert compare(BY_NAME[kernel], plain, expected, *case.make(dtype)) is None
    for name in outs(kernel, expected):
        assert any(v is options[name] for v in actual)


def test_an_out_in_a_larger_array_leaves_the_rest_alone(backend):
    room = np.full((9, 12), -1.0)
    a, b = np.ones((3, 2)), np.ones((2, 4))
    backend.gemm(a, b, out=room[1:7:2, 2:10:2])
    assert (room[1:7:2, 2:10:2] == 2.0).all()
    assert np.count_nonzero(room != -1.0) == 12


@pytest.mark.parametrize("kernel", ["gemm", "conv2d", "max_pool2d", "avg_pool2d", "bias_backward", "tanh"])
def test_broadcast_inputs(backend, kernel):
    """Strides of 0: one number in memory, many in the array."""
    case = typical(kernel)
    arguments, options = case.make("float64")
    options.pop("out", None), options.pop("beta", None)
    x = arguments[0]
    views = np.broadcast_to(x[..., :1], x.shape), np.broadcast_to(x.ravel()[0], x.shape)
    for view in views:
        actual = outputs(backend, kernel, (view, *arguments[1:]), options)
        expected = outputs(kernels.load("reference"), kernel, (view.copy(), *arguments[1:]), options)
        assert compare(BY_NAME[kernel], actual, expected, (view.copy(), *arguments[1:]), options) is None


@pytest.mark.parametrize("kernel", [k for k in KERNELS if not BY_NAME[k].in_place])
def test_out_that_overlaps_an_input_is_refused(backend, kernel):
    """Wherever they overlap, whichever input it is, before anything is written."""
    case = typical(kernel)
    expected = expected_of(case, "float64")
    arguments, options = case.make("float64")
    options = {k: v for k, v in options.items() if k not in ("beta", "out")}
    arrays = [i for i, v in enumerate(arguments) if isinstance(v, np.ndarray)]
    for i, (name, value) in itertools.product(arrays, outs(kernel, expected).items()):
        x = arguments[i]
        shift = -(-max(x.nbytes - x.itemsize, 0) // 8) * 8  # the last element of x is the first of out, or nearly so
        room = np.zeros(shift + x.nbytes + value.nbytes + 16, np.uint8)
        moved = room[: x.nbytes].view(x.dtype).reshape(x.shape)
        moved[...] = x
        begin = max(shift - 8, 0)
        out = room[begin : begin + value.nbytes].view(value.dtype).reshape(value.shape)
        call = tuple(moved if j == i else v for j, v in enumerate(arguments))
        before = room.copy()
        with pytest.raises(ValueError, match=f"{name} overlaps an input"):
            getattr(backend, kernel)(*call, **{**options, name: out})
        np.testing.assert_array_equal(room, before)


def test_interleaved_out_is_no_overlap(backend):
    """Even and odd columns of one array share no element, though their ranges of addresses cross."""
    room = np.zeros((4, 6))
    room[:, ::2] = np.arange(12.0).reshape(4, 3)
    expected = np.arange(12.0).reshape(4, 3)
    assert (backend.relu(room[:, ::2], out=room[:, 1::2]) == expected).all()


def test_weights_that_overlap_their_state_are_refused(backend):
    w, dw = np.zeros(8), np.ones(8)
    with pytest.raises(ValueError, match="velocity overlaps"):
        backend.sgd_update(w, dw, w, learning_rate=0.1)
    with pytest.raises(ValueError, match="w overlaps"):
        backend.sgd_update(w, w, np.zeros(8), learning_rate=0.1)
    m = np.zeros(8)
    with pytest.raises(ValueError, match="v overlaps"):
        backend.adam_update(w, dw, m, m, step=1, learning_rate=0.1)
    assert (w == 0.0).all()


def test_calls_from_many_threads_of_python_at_once(backend):
    """Kernels keep no state that two callers could spoil for each other."""
    chosen = [typical(kernel) for kernel in ("gemm", "conv2d", "conv2d_backward_weight", "softmax_cross_entropy")]
    jobs = [(case, seed) for seed in range(8) for case in chosen]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda job: disagreement(backend, job[0], "float32", seed=job[1], n_threads=2), jobs))
    assert found == [None] * len(jobs)
