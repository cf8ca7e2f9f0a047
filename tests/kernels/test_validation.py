"""The validator must be able to say no: to each kind of wrong answer, on every kernel, and to one missing term."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from kernels.cases import Case, cases, edge_cases
from kernels.spec import BY_NAME, SPECS
from kernels.validation import compare, disagreement, outputs

KERNELS = [spec.name for spec in SPECS]
REFERENCE = kernels.load("reference")


def answer(kernel: str, dtype: str = "float32"):
    """The right answer to a case with axes of different lengths, as a list, and a judge of changed ones."""
    name = {"softmax_cross_entropy": "seventeen", "gemm": "primes"}.get(kernel)
    case = next(c for c in edge_cases(kernel) if c.name == name or (name is None and _suits(c)))
    arguments, options = case.make(dtype)
    expected = outputs(REFERENCE, kernel, arguments, options)
    arguments, options = case.make(dtype)
    copy = [v.copy() if isinstance(v, np.ndarray) else v for v in expected]
    return copy, lambda actual: compare(BY_NAME[kernel], actual, expected, arguments, options)


def _suits(case: Case) -> bool:
    return case.name in ("non_square", "2x3x5x7", "3x4x5x17", "shape_3x3x5x7")


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_right_answer_passes(kernel):
    right, judge = answer(kernel)
    assert judge(tuple(right)) is None


@pytest.mark.parametrize("kernel", KERNELS)
def test_wrong_count(kernel):
    right, judge = answer(kernel)
    assert "outputs, expected" in judge(tuple(right[:-1]))
    assert "outputs, expected" in judge((*right, right[-1]))
    assert "outputs, expected" in judge(())


@pytest.mark.parametrize("kernel", KERNELS)
def test_wrong_kind(kernel):
    right, judge = answer(kernel)
    assert "is a list" in judge((right[0].tolist() if isinstance(right[0], np.ndarray) else [right[0]], *right[1:]))
    assert "is a NoneType" in judge((*right[:-1], None))


@pytest.mark.parametrize("kernel", KERNELS)
def test_wrong_shape(kernel):
    right, judge = answer(kernel)
    *others, last = right
    assert "has shape" in judge((*others, last[None]))
    assert "has shape" in judge((*others, last[..., :-1]))
    if last.ndim > 1:
        assert "has shape" in judge((*others, np.swapaxes(last, -1, -2)))


@pytest.mark.parametrize("kernel", KERNELS)
def test_axes_swapped_under_the_right_shape(kernel):
    right, judge = answer(kernel)
    *others, last = right
    assert "values are wrong" in judge((*others, np.ravel(last, order="F")[::-1].reshape(last.shape)))


@pytest.mark.parametrize("kernel", KERNELS)
def test_wrong_dtype(kernel):
    right, judge = answer(kernel)
    *others, last = right
    wrong = np.float64 if last.dtype == np.float32 else np.int64
    assert "has dtype" in judge((*others, last.astype(wrong)))
    assert "has dtype" in judge((*others, last.astype(last.dtype.newbyteorder())))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kernel", KERNELS)
def test_not_finite_in_the_place_of_a_number(kernel, value):
    right, judge = answer(kernel)
    wrong = next(v for v in right if isinstance(v, np.ndarray) and v.dtype.kind == "f")
    wrong.flat[-1] = value
    assert "in other places" in judge(tuple(right))


@pytest.mark.parametrize(
    ("expected", "actual"), [(np.nan, 1.0), (np.nan, np.inf), (np.inf, -np.inf), (-np.inf, np.nan), (np.inf, 3e38)]
)
def test_a_number_in_the_place_of_what_is_not_finite(expected, actual):
    spec, x = BY_NAME["sigmoid"], np.zeros(2, np.float32)
    right = np.array([0.5, expected], np.float32)
    assert compare(spec, right.copy(), right, (x,), {}) is None
    assert "in other places" in compare(spec, np.array([0.5, actual], np.float32), right, (x,), {})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_one_value_a_little_off(kernel, dtype):
    """A hundredth of a percent (float64: a billionth) of the largest value is seen, wherever it is."""
    right, judge = answer(kernel, dtype)
    wrong = next(v for v in reversed(right) if isinstance(v, np.ndarray) and v.dtype.kind == "f")
    wrong.flat[int(np.argmax(np.abs(wrong)))] *= 1 + (1e-4 if dtype == "float32" else 1e-9)
    assert "1 of" in judge(tuple(right))


def test_one_loss_a_little_off():
    (loss, gradient), judge = answer("softmax_cross_entropy")
    assert "output 0" in judge((loss * 1.0001, gradient))


def test_float32_in_the_place_of_float64():
    """A kernel that computes float64 in single precision is wrong, though its dtype is right."""
    for kernel in ("gemm", "conv2d", "sigmoid", "tanh", "softmax_cross_entropy", "adam_update"):
        right, judge = answer(kernel, "float64")
        rounded = [v.astype(np.float32).astype(np.float64) if isinstance(v, np.ndarray) else v for v in right]
        assert "values are wrong" in judge(tuple(rounded)), kernel


# -- one missing term --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("terms", [3, 64, 1000, 30_000, 100_000])
def test_gemm_without_its_last_term(terms, dtype, rng):
    a, b = rng.standard_normal((8, terms)).astype(dtype), rng.standard_normal((terms, 16)).astype(dtype)
    right, wrong = REFERENCE.gemm(a, b), REFERENCE.gemm(a[:, :-1], b[:-1])
    assert compare(BY_NAME["gemm"], right, right, (a, b), {}) is None
    assert "values are wrong" in compare(BY_NAME["gemm"], wrong, right, (a, b), {})


def test_a_sum_of_one_sign_is_not_refused_for_its_rounding(rng):
    """One accumulator and 20000 terms of one sign, the worst order there is, is still right; one less term is not."""
    a = rng.random((1, 20_000), dtype=np.float32)
    b = rng.random((20_000, 4), dtype=np.float32)
    total = np.zeros((1, 4), np.float32)
    for i in range(20_000):
        total += a[:, i : i + 1] * b[i]
    right = REFERENCE.gemm(a, b)
    assert compare(BY_NAME["gemm"], total, right, (a, b), {}) is None


@pytest.mark.parametrize("case", cases("conv2d_backward_weight", "M"), ids=str)
def test_weight_gradient_without_one_pixel(case):
    """The longest sums of training, up to 10**5 terms, in float32: one output pixel left out is seen."""
    arguments, options = case.make("float32")
    right = REFERENCE.conv2d_backward_weight(*arguments, **options)
    dy = arguments[0].copy()
    dy[-1, dy.shape[1] // 2, dy.shape[2] // 2] = 0.0
    wrong = REFERENCE.conv2d_backward_weight(dy, *arguments[1:], **options)
    assert "values are wrong" in compare(BY_NAME[case.kernel], wrong, right, arguments, options)


# -- a whole backend that is wrong -------------------------------------------------------------------------------------


class Wrong:
    """The reference with one kernel replaced."""

    def __init__(self, kernel: str, function):
        setattr(self, kernel, function)


@pytest.mark.parametrize(
    ("kernel", "wrong"),
    [
        ("gemm", lambda a, b, **o: REFERENCE.gemm(a, b, **{**o, "alpha": 1.0})),
        ("conv2d", lambda x, w, bias=None, **o: REFERENCE.conv2d(x, w, None, **o)),
        ("conv2d", lambda *a, **o: REFERENCE.conv2d(*a, **{**o, "activation": None})),
        ("conv2d_backward_input", lambda dy, w, s, **o: REFERENCE.conv2d_backward_input(dy, w[::-1, ::-1], s, **o)),
        ("max_pool2d", lambda *a, **o: (REFERENCE.max_pool2d(*a, **o)[0], REFERENCE.max_pool2d(*a, **o)[1] + 1)),
        ("avg_pool2d", lambda *a, **o: REFERENCE.avg_pool2d(*a, **{**o, "count_include_pad": True})),
        ("relu", lambda x, **o: np.where(x > 0, x, np.zeros_like(x))),  # loses NaN
        ("sigmoid", lambda x, **o: x),
        ("bias_backward", lambda dy, **o: REFERENCE.bias_backward(dy[1:], **o)),
        ("sgd_update", lambda *a, **o: REFERENCE.sgd_update(*a, **{**o, "nesterov": False})),
        ("adam_update", lambda *a, **o: REFERENCE.adam_update(*a, **{**o, "step": o["step"] + 1})),
        ("adam_update", lambda *a, **o: None),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_edge_cases_find_a_wrong_backend(kernel, wrong):
    found = [disagreement(Wrong(kernel, wrong), case, "float32") for case in edge_cases(kernel)]
    assert any(found)
