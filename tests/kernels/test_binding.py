"""Bound calls and programs: the same answers as the calls themselves, on memory that may change in between."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from kernels.cases import cases
from kernels.spec import BY_NAME, SPECS
from kernels.validation import disagreement, outputs

BACKENDS = [*kernels.backends(), *kernels.variants()]


def _with_outputs(kernel: str, case, dtype):
    """Return a call with memory for all it writes, and what the plain call gives."""
    arguments, options = case.make(dtype)
    expected = outputs(kernels.load("reference"), kernel, *case.make(dtype))
    arrays = [np.full_like(array, -1) for array in expected if isinstance(array, np.ndarray)]
    if not BY_NAME[kernel].in_place:
        options = {**dict(zip(BY_NAME[kernel].outs, arrays, strict=True)), **options}
    return arguments, options


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kernel", [spec.name for spec in SPECS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_bound_call_is_the_call(backend, kernel, dtype):
    k, case = kernels.load(backend), cases(kernel, "S")[0]
    arguments, options = _with_outputs(kernel, case, dtype)
    plain = outputs(k, kernel, *case.make(dtype))
    value = k.bind(kernel, *arguments, **options)()
    written = [a for a in plain if isinstance(a, np.ndarray)]
    if BY_NAME[kernel].in_place:
        found = [arguments[0], *arguments[2:]]
    else:
        found = [options[name] for name in BY_NAME[kernel].outs if name in options]
    for a, b in zip(found, written, strict=False):
        np.testing.assert_array_equal(a, b)
    if kernel == "softmax_cross_entropy":
        assert float(value) == pytest.approx(plain[0], rel=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_bound_call_runs_with_the_numbers_of_another_step(backend, dtype):
    k, numbers = kernels.load(backend), {"step": 7, "learning_rate": 0.3, "epsilon": 0.02, "weight_decay": 0.1}
    w, dw, m, v = (np.linspace(low, 2.0, 37).astype(dtype) for low in (-1.0, 1.0, -0.5, 0.25))
    expected = [w.copy(), m.copy(), v.copy()]
    k.adam_update(expected[0], dw, *expected[1:], beta_1=0.8, beta_2=0.95, **numbers)
    call = k.bind("adam_update", w, dw, m, v, step=1, learning_rate=9.0, beta_1=0.8, beta_2=0.95)
    call.run_with(**numbers)
    for a, b in zip((w, m, v), expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("variant", kernels.variants())
@pytest.mark.parametrize("kernel", [spec.name for spec in SPECS])
def test_every_instruction_set_can_be_loaded_beside_the_others(variant, kernel):
    k = kernels.load(variant)
    assert k.name == variant
    assert disagreement(k, cases(kernel, "S")[0], "float32") is None


def test_an_instruction_set_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"unknown backend 'cython-v9'.*Usable here: .*reference"):
        kernels.load("cython-v9")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_runs_its_calls_in_order_and_sees_new_values(backend):
    k = kernels.load(backend)
    x, y, z = np.array([-1.0, 2.0], np.float32), np.empty(2, np.float32), np.empty(2, np.float32)
    program = k.program([k.bind("relu", x, out=y), k.bind("relu_backward", x, y, out=z)])
    program()
    assert z.tolist() == [0.0, 2.0]
    x[...] = 3.0, -4.0
    program()
    assert z.tolist() == [3.0, 0.0]
    w = np.zeros(2, np.float32)
    program.replace(1, k.bind("tanh", y, out=w))
    program()
    assert w.tolist() == pytest.approx(np.tanh([3.0, 0.0]).tolist())
    assert len(program) == len(program.bindings) == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_times_are_written_where_there_is_room_for_them(backend):
    k = kernels.load(backend)
    x, y = np.ones(4, np.float64), np.empty(4, np.float64)
    program = k.program([k.bind("relu", x, out=y)] * 3)
    program.times = np.zeros((3, 2), np.int64)
    program()
    times = program.times.ravel()
    assert (np.diff(times) >= 0).all()
    assert times[0] > 0
    program.times = None
    program()
    np.testing.assert_array_equal(program.times or times, times)


@pytest.mark.skipif("cython" not in BACKENDS, reason="the Cython kernels are not built")
@pytest.mark.parametrize(
    "times", [np.zeros((2, 2), np.int64), np.zeros((1, 2), np.int32), np.zeros((1, 4), np.int64)[:, ::2], np.zeros(2, np.int64)]
)
def test_room_of_another_kind_is_refused(times):
    k = kernels.load("cython")
    program = k.program([k.bind("relu", np.ones(4), out=np.empty(4))])
    with pytest.raises(ValueError, match=r"int64 array \(1, 2\)"):
        program.times = times


@pytest.mark.parametrize("backend", BACKENDS)
def test_programs_run_together_do_what_they_do_alone(backend):
    k = kernels.load(backend)
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 64, 64)).astype(np.float32)
    outs = [np.empty((64, 64), np.float32) for _ in range(3)]
    programs = [k.program([k.bind("gemm", a, b, out=out), k.bind("relu", out, out=np.empty_like(out))]) for out in outs]
    k.run_together(programs)
    for out in outs:
        np.testing.assert_array_equal(out, k.gemm(a, b))
    k.run_together([])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("arguments", "options", "error", "says"),
    [
        (("relu", np.ones(3)), {}, ValueError, "no `out`"),
        (("relu", np.ones(6)[::2]), {"out": np.empty(3)}, ValueError, "not C-contiguous"),
        (("relu", np.ones(3)), {"out": np.empty(6)[::2]}, ValueError, "not C-contiguous"),
        (("relu", [1.0]), {"out": np.empty(1)}, TypeError, "numpy.ndarray"),
        (("rleu", np.ones(3)), {}, ValueError, "there are gemm"),
        (("gemm", np.ones((2, 3)), np.ones((4, 2))), {"out": np.empty((2, 2))}, ValueError, "a"),
    ],
)
def test_what_cannot_be_bound_is_said(backend, arguments, options, error, says):
    with pytest.raises(error, match=says):
        kernels.load(backend).bind(*arguments, **options)


@pytest.mark.skipif("cython" not in BACKENDS, reason="the Cython kernels are not built")
def test_a_call_that_was_never_filled_is_refused():
    from kernels.cython_backend import loader

    module = loader.module("float32")
    with pytest.raises(ValueError, match="bound"):
        module.Bound()()
    with pytest.raises(ValueError, match="not bound"):
        module.Program([module.Bound()])
    with pytest.raises(TypeError):
        module.Program([1])
    with pytest.raises(IndexError):
        module.Program([]).replace(0, module.Bound())


def test_an_index_that_points_outside_is_still_found():
    for backend in kernels.backends():
        k = kernels.load(backend)
        argmax = np.zeros((1, 1, 1, 1), np.int32)
        call = k.bind("max_pool2d_backward", np.ones((1, 1, 1, 1)), argmax, (1, 2, 2, 1), out=np.empty((1, 2, 2, 1)))
        assert call()
        argmax[...] = 99
        assert not call()
