"""Arbitrary arguments: every kernel answers right or raises ValueError or TypeError; the interpreter never crashes.

Two searches. `calls` draws calls that are nearly valid: small arrays of any layout, options that often fit, so that
most reach the compiled code, where an answer is held against the reference. `junk` replaces arguments of a valid call
by things from everywhere, so that most are refused. The small search runs in this process; the large one (marker
``slow``) in a process of its own, so that a crash is a failed test that names the kernel, and not the end of the run.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernels
from kernels.api import Kernels
from kernels.cases import edge_cases
from kernels.spec import BY_NAME, SPECS
from kernels.validation import compare, outputs

ROOT = Path(__file__).parents[2]
KERNELS = [spec.name for spec in SPECS]
EXPECTED = (ValueError, TypeError)
COMMON = {"suppress_health_check": [HealthCheck.too_slow], "deadline": None, "database": None}

# -- strategies --------------------------------------------------------------------------------------------------------

extent = st.integers(0, 7)
seeds = st.integers(0, 2**32 - 1)
n_threads = st.sampled_from([1, 1, 2, 3])


@st.composite
def layouts(draw, shape: tuple[int, ...], dtype: str, fill: str = "normal") -> np.ndarray:
    """An array of a shape, in one of many layouts, with a few values that are not finite where `fill` says so."""
    rng = np.random.default_rng(draw(seeds))
    x = rng.standard_normal(shape).astype(dtype)
    if fill == "special" and x.size and draw(st.booleans()):
        x.reshape(-1)[rng.integers(x.size)] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0.0]))
    kind = draw(st.sampled_from(["plain", "plain", "fortran", "reversed", "strided", "unaligned", "broadcast"]))
    if kind == "fortran":
        return np.asfortranarray(x)
    if kind == "reversed":
        return x[tuple(slice(None, None, -1) for _ in shape)]
    if kind == "strided" and shape:
        return np.repeat(x, 2, axis=-1)[..., ::2]
    if kind == "unaligned":
        raw = np.empty(x.nbytes + 1, np.uint8)[1:].view(dtype).reshape(shape)
        raw[...] = x
        return raw
    if kind == "broadcast" and shape and shape[0]:
        return np.broadcast_to(x[:1], shape)
    return x


def nearly(draw, right: int) -> int:
    """The right extent, mostly."""
    return draw(st.sampled_from([right] * 15 + [right + 1, max(right - 1, 0)]))


size_option = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))
padding_option = st.one_of(
    st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3)), st.sampled_from(["same", "valid"]),
    st.tuples(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.tuples(st.integers(0, 3), st.integers(0, 3))),
)  # fmt: skip


@st.composite
def gemm_calls(draw, dtype):
    m, k, n = draw(extent), draw(st.integers(0, 40)), draw(st.integers(0, 40))
    ta, tb = draw(st.booleans()), draw(st.booleans())
    inner = nearly(draw, k)
    a = draw(layouts((k, m) if ta else (m, k), dtype, "special"))
    b = draw(layouts((n, inner) if tb else (inner, n), dtype, "special"))
    options: dict[str, Any] = {"transpose_a": ta, "transpose_b": tb}
    options |= draw(st.fixed_dictionaries({}, optional={
        "alpha": st.floats(-3, 3), "activation": st.sampled_from([None, "relu", "sigmoid", "tanh"]),
        "bias": layouts((nearly(draw, n),), dtype), "beta": st.floats(-2, 2),
    }))  # fmt: skip
    if draw(st.booleans()):
        options["out"] = np.array(draw(layouts((m, n), dtype)))
    return (a, b), options


@st.composite
def conv_calls(draw, dtype, kernel):
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    x_shape = draw(st.integers(0, 2)), draw(extent), draw(extent), groups * draw(st.integers(1, 3))
    per_group, channels = nearly(draw, x_shape[3] // groups), groups * draw(st.sampled_from([1, 2, 11]))
    w_shape = draw(st.integers(1, 4)), draw(st.integers(1, 4)), per_group, channels
    window = {"groups": groups} | draw(
        st.fixed_dictionaries({}, optional={"stride": size_option, "padding": padding_option, "dilation": size_option})
    )
    if kernel == "conv2d":
        extra = {"activation": draw(st.sampled_from([None, "relu", "sigmoid", "tanh"]))}
        arguments = draw(layouts(x_shape, dtype)), draw(layouts(w_shape, dtype))
        if draw(st.booleans()):
            arguments = (*arguments, draw(layouts((nearly(draw, channels),), dtype)))
        return arguments, window | extra
    y_shape = _shape_of(lambda k: k.conv2d(np.zeros(x_shape), np.zeros(w_shape), **window))
    dy = draw(layouts(y_shape, dtype))
    if kernel == "conv2d_backward_input":
        return (dy, draw(layouts(w_shape, dtype)), x_shape), window
    return (dy, draw(layouts(x_shape, dtype)), w_shape[:2]), window


def _shape_of(call) -> tuple[int, ...]:
    """Shape of a forward kernel's answer, where it has one."""
    try:
        return call(kernels.load("reference")).shape
    except EXPECTED:
        return (1, 2, 2, 1)


@st.composite
def pool_calls(draw, dtype, kernel):
    x_shape = draw(st.integers(0, 2)), draw(extent), draw(extent), draw(st.sampled_from([1, 3, 17]))
    size = draw(size_option)
    options = draw(st.fixed_dictionaries({}, optional={"stride": size_option, "padding": padding_option}))
    y_shape = _shape_of(lambda k: k.avg_pool2d(np.zeros(x_shape), size, **options))
    if kernel == "max_pool2d_backward":
        low, high = draw(st.sampled_from([(0, 1), (0, 1), (0, 1), (-1, 1), (0, 2)]))
        pixels = max(x_shape[1] * x_shape[2], 1)
        argmax = np.random.default_rng(draw(seeds)).integers(low * pixels, high * pixels, y_shape)
        argmax = argmax.astype(draw(st.sampled_from([np.int32, np.int32, np.int64, np.int8])))
        return (draw(layouts(y_shape, dtype)), argmax, x_shape), {}
    if kernel == "max_pool2d":
        return (draw(layouts(x_shape, dtype, "special")), size), options
    options["count_include_pad"] = draw(st.booleans())
    if kernel == "avg_pool2d":
        return (draw(layouts(x_shape, dtype)), size), options
    return (draw(layouts(y_shape, dtype)), size, x_shape), options


@st.composite
def flat_calls(draw, dtype, kernel):
    shape = tuple(draw(st.lists(extent, max_size=4)))
    if kernel == "softmax_cross_entropy":
        n, classes = draw(extent), draw(st.integers(0, 40))
        labels = np.random.default_rng(draw(seeds)).integers(0, max(nearly(draw, classes), 1), nearly(draw, n))
        return (draw(layouts((n, classes), dtype, "special")), labels), {}
    if kernel in ("sgd_update", "adam_update"):
        count = {"sgd_update": 3, "adam_update": 4}[kernel]
        arrays = [np.array(draw(layouts(shape, dtype))) for _ in range(count)]
        arrays[1] = draw(layouts(shape, dtype))
        options: dict[str, Any] = {"learning_rate": draw(st.floats(0, 1)), "weight_decay": draw(st.floats(0, 1))}
        if kernel == "adam_update":
            arrays[3] = np.asarray(np.abs(arrays[3]) + 0.01, dtype)
            return tuple(arrays), options | {"step": draw(st.integers(0, 10**6))}
        return tuple(arrays), options | {"momentum": draw(st.floats(0, 1)), "nesterov": draw(st.booleans())}
    count = len([p for p in inspect.signature(getattr(Kernels, kernel)).parameters if p in ("x", "dy", "y", "a", "b")])
    return tuple(draw(layouts(shape, dtype, "special" if count == 1 else "normal")) for _ in range(count)), {}


@st.composite
def norm_calls(draw, dtype, kernel):
    """Large arrays of one shape, and vectors of its channels."""
    shape = (*draw(st.lists(extent, max_size=3)), draw(st.sampled_from([1, 3, 16, 33])))
    arguments = []
    for name in inspect.signature(getattr(Kernels, kernel)).parameters:
        if name in ("x", "dy"):
            arguments.append(draw(layouts(shape, dtype)))
        elif name in ("mean", "variance", "gamma", "beta", "sum_dy", "sum_dy_x"):
            vector = np.array(draw(layouts((nearly(draw, shape[-1]),), dtype)))
            arguments.append(np.abs(vector) if name == "variance" else vector)
    options = {}
    if not kernel.endswith(("statistics", "sums")):
        options["epsilon"] = draw(st.sampled_from([1e-5, 0.1]))
    if kernel in ("batch_norm", "layer_norm"):
        options["activation"] = draw(st.sampled_from([None, "relu", "sigmoid", "tanh"]))
    return tuple(arguments), options


@st.composite
def embedding_calls(draw, dtype, kernel):
    """Texts whose indices and lengths fit, mostly."""
    n, steps, n_rows = draw(extent), draw(st.integers(0, 9)), draw(st.integers(0, 9))
    width = draw(st.sampled_from([1, 3, 16, 67]))
    rng = np.random.default_rng(draw(seeds))
    integer = draw(st.sampled_from([np.int64, np.int64, np.int32, np.uint8]))
    indices = rng.integers(0, max(nearly(draw, n_rows), 1), (n, steps)).astype(integer)
    lengths = rng.integers(0, nearly(draw, steps) + 1, nearly(draw, n)).astype(integer)
    if kernel == "embedding_mean":
        return (draw(layouts((n_rows, width), dtype)), indices, lengths), {}
    return (draw(layouts((n, width), dtype)), indices, lengths, nearly(draw, n_rows)), {}


@st.composite
def calls(draw, kernel: str):
    """A call of a kernel that is valid more often than not."""
    dtype = draw(st.sampled_from(["float32", "float64"]))
    group = BY_NAME[kernel].group
    if kernel == "gemm":
        arguments, options = draw(gemm_calls(dtype))
    elif group == "convolution":
        arguments, options = draw(conv_calls(dtype, kernel))
    elif group == "pooling":
        arguments, options = draw(pool_calls(dtype, kernel))
    elif group == "normalization":
        arguments, options = draw(norm_calls(dtype, kernel))
    elif group == "embedding":
        arguments, options = draw(embedding_calls(dtype, kernel))
    else:
        arguments, options = draw(flat_calls(dtype, kernel))
    return arguments, options | {"n_threads": draw(n_threads)}


#: What may stand where an array, a size, a number, a name or a flag should.
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers(), st.text(max_size=5),
    st.binary(max_size=5),
    st.sampled_from([0, -1, 2**31, 2**63, -(2**63), 10**30, np.nan, np.inf, "same", "valid", "relu", object, len, ...]),
    st.lists(st.integers(-2, 2**33), max_size=4).map(tuple), st.lists(st.floats(), max_size=3),
    st.tuples(st.tuples(st.integers(-1, 9), st.integers(-1, 9)), st.tuples(st.integers(-1, 9), st.integers(-1, 9))),
    st.builds(
        lambda shape, dtype: np.zeros(shape, dtype), st.lists(extent, max_size=5),
        st.sampled_from(["f4", "f8", ">f4", ">f8", "f2", "g", "i4", "i8", "u8", "?", "c8", "O", "U1", "M8[s]", "V8"]),
    ),
    # Views of one number: of a moderate size, or beyond any machine; what is between would be allocated in earnest.
    st.sampled_from([(2**40,), (2**24, 2**24), (2, 2**45), (1, 2**20, 2**20, 64), (5, 2**10), (9, 0, 2**40)]).map(
        lambda shape: np.broadcast_to(1.0, shape)
    ),
    st.builds(np.ma.masked_array, st.just(np.ones((2, 3)))),
)  # fmt: skip


@st.composite
def junk(draw, kernel: str):
    """A valid call with one to three arguments replaced, or options added."""
    case = draw(st.sampled_from(edge_cases(kernel)[:12]))
    arguments, options = case.make(draw(st.sampled_from(["float32", "float64"])))
    names = list(inspect.signature(getattr(Kernels, kernel)).parameters)[1:]
    call = dict(zip(names, arguments, strict=False)) | options
    for name in draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)):
        call[name] = draw(JUNK)
    return call


# -- what must hold ----------------------------------------------------------------------------------------------------


def copies(arguments, options):
    """The same call with memory of its own, in C order."""
    copy = lambda v: np.array(v, order="C") if isinstance(v, np.ndarray) else v  # noqa: E731
    return tuple(map(copy, arguments)), {k: copy(v) for k, v in options.items()}


def holds(backend, kernel: str, call) -> bool:
    """Whether a call was answered; what is answered must be right, what is refused must be refused properly."""
    arguments, options = call
    before = copies(arguments, options)
    try:
        expected = outputs(kernels.load("reference"), kernel, *copies(*before))
    except EXPECTED as error:
        with pytest.raises(type(error)):
            outputs(backend, kernel, arguments, options)
        return False
    actual = outputs(backend, kernel, arguments, options)
    before[1].pop("n_threads", None)
    assert compare(BY_NAME[kernel], tuple(map(_plain, actual)), expected, *before) is None
    return True


def _plain(value):
    return np.array(value) if isinstance(value, np.ndarray) else value


def refused_or_answered(backend, kernel: str, call: dict) -> None:
    try:
        getattr(backend, kernel)(**call)
    except EXPECTED as error:
        assert str(error)
    except MemoryError:
        pass  # sizes that are valid, and too large


def search_near(backend, kernel: str, examples: int) -> list[bool]:
    """Draw nearly valid calls; return of each whether it was answered."""
    answered = []

    @settings(max_examples=examples, **COMMON)
    @given(calls(kernel))
    def search(call):
        answered.append(holds(backend, kernel, call))

    search()
    return answered


def search_far(backend, kernel: str, examples: int) -> None:
    """Draw calls with junk in them."""

    @settings(max_examples=examples, **COMMON)
    @given(junk(kernel))
    def search(call):
        refused_or_answered(backend, kernel, call)

    search()


@pytest.mark.parametrize("kernel", KERNELS)
def test_nearly_valid_calls(backend, kernel):
    assert any(search_near(backend, kernel, 60)), "no call reached the kernel: the search tests nothing"


@pytest.mark.parametrize("kernel", KERNELS)
def test_junk(backend, kernel):
    search_far(backend, kernel, 60)


LARGE = """
import faulthandler, importlib.util, resource, sys
import psutil
faulthandler.enable()
spec = importlib.util.spec_from_file_location("fuzz", sys.argv[1])
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)
most = psutil.Process().memory_info().vms + 3 * 2**30  # of sizes drawn at random, some would fill any machine
resource.setrlimit(resource.RLIMIT_AS, (most, most))
fuzz.search_widely(sys.argv[2], int(sys.argv[3]))
"""


def search_widely(name: str, examples: int) -> None:
    """Both searches on every kernel of a backend; its name is printed first, to be found after a crash."""
    backend = kernels.load(name)
    for kernel in KERNELS:
        print(kernel, flush=True)
        search_near(backend, kernel, examples)
        search_far(backend, kernel, examples)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_large_search_in_a_process_of_its_own(backend):
    examples = 200 if backend.name == "numba" else 1500  # Numba compiles anew for each kind of argument
    command = [sys.executable, "-W", "error", "-c", LARGE, __file__, backend.name, str(examples)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-6000:]}"
