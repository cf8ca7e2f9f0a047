"""The oracle itself, against what it does not use: loops written from the definitions, and SciPy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.signal
import scipy.special

import kernels
from kernels.cases import edge_cases
from kernels.shapes import conv2d_geometry, pool2d_geometry

REFERENCE = kernels.load("reference")
WINDOW = ("stride", "padding", "dilation", "groups")


def small(kernel: str, limit: int):
    return [c for c in edge_cases(kernel) if sum(getattr(v, "size", 0) for v in c.make("float64")[0]) <= limit]


def taps(g):
    """Every (n, oh, ow, ih, iw, kh, kw) of a window whose pixel lies in the image."""
    for n, oh, ow, kh, kw in itertools.product(*map(range, (g.batch, g.out_h, g.out_w, g.kernel_h, g.kernel_w))):
        dilation_h, dilation_w = getattr(g, "dilation_h", 1), getattr(g, "dilation_w", 1)
        ih, iw = oh * g.stride_h + kh * dilation_h - g.pad_top, ow * g.stride_w + kw * dilation_w - g.pad_left
        if 0 <= ih < g.in_h and 0 <= iw < g.in_w:
            yield n, oh, ow, ih, iw, kh, kw


@pytest.mark.parametrize("case", small("conv2d", 600), ids=lambda c: c.name)
def test_convolution_by_its_definition(case):
    """y[co] += x[c] w[c, co], tap by tap; the gradients are the same triple product, summed over other axes."""
    (x, w, *bias), options = case.make("float64")
    window = {k: v for k, v in options.items() if k in WINDOW}
    g = conv2d_geometry(x.shape, w.shape, **window)
    per_group_in, per_group_out = g.in_c // g.groups, g.out_c // g.groups
    dy = np.random.default_rng(0).standard_normal(g.output_shape)
    y, dx, dw = np.zeros(g.output_shape), np.zeros_like(x), np.zeros_like(w)
    for n, oh, ow, ih, iw, kh, kw in taps(g):
        for co in range(g.out_c):
            first = co // per_group_out * per_group_in
            for c in range(per_group_in):
                y[n, oh, ow, co] += x[n, ih, iw, first + c] * w[kh, kw, c, co]
                dx[n, ih, iw, first + c] += dy[n, oh, ow, co] * w[kh, kw, c, co]
                dw[kh, kw, c, co] += dy[n, oh, ow, co] * x[n, ih, iw, first + c]
    plain = y + (bias[0] if bias else 0.0)
    np.testing.assert_allclose(REFERENCE.conv2d(x, w, *bias, **window), plain, rtol=1e-12, atol=1e-12)
    actual = REFERENCE.conv2d_backward_input(dy, w, x.shape, **window)
    np.testing.assert_allclose(actual, dx, rtol=1e-12, atol=1e-12)
    actual = REFERENCE.conv2d_backward_weight(dy, x, w.shape[:2], **window)
    np.testing.assert_allclose(actual, dw, rtol=1e-12, atol=1e-12)


def test_convolution_is_scipys_correlation(rng):
    x, w = rng.standard_normal((1, 9, 8, 1)), rng.standard_normal((3, 4, 1, 1))
    expected = scipy.signal.correlate2d(x[0, :, :, 0], w[:, :, 0, 0], mode="valid")
    np.testing.assert_allclose(REFERENCE.conv2d(x, w)[0, :, :, 0], expected, rtol=1e-12, atol=1e-12)


def _beats(value: float, best: float) -> bool:
    """The first of equals keeps its place; a NaN beats all that came before it, a NaN included."""
    return value > best or math.isnan(value)


@pytest.mark.parametrize("case", small("max_pool2d", 300), ids=lambda c: c.name)
def test_max_pooling_by_its_definition(case):
    (x, size), options = case.make("float64")
    g = pool2d_geometry(x.shape, size, **options)
    y, argmax = np.full(g.output_shape, -np.inf), np.full(g.output_shape, -1)
    for n, oh, ow, ih, iw, _, _ in taps(g):
        for c in range(g.channels):
            at, value = (n, oh, ow, c), float(x[n, ih, iw, c])
            if argmax[at] < 0 or _beats(value, y[at]):
                y[at], argmax[at] = value, ih * g.in_w + iw
    actual = REFERENCE.max_pool2d(x, size, **options)
    np.testing.assert_array_equal(actual[0], y)
    np.testing.assert_array_equal(actual[1], argmax)


@pytest.mark.parametrize("case", small("avg_pool2d", 300), ids=lambda c: c.name)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_average_pooling_by_its_definition(case):
    (x, size), options = case.make("float64")
    include = options.pop("count_include_pad")
    g = pool2d_geometry(x.shape, size, **options)
    total, count = np.zeros(g.output_shape), np.zeros((g.out_h, g.out_w))
    for n, oh, ow, ih, iw, _, _ in taps(g):
        total[n, oh, ow] += x[n, ih, iw]
        count[oh, ow] += n == 0
    expected = total / (g.kernel_h * g.kernel_w if include else count[..., None])
    actual = REFERENCE.avg_pool2d(x, size, **options, count_include_pad=include)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


def test_functions_are_scipys():
    (x,), _ = next(c for c in edge_cases("sigmoid") if c.name == "extremes").make("float64")
    tiny = np.finfo(np.float64).tiny  # SciPy's drops to 0 where 1 + exp(-x) overflows
    np.testing.assert_allclose(REFERENCE.sigmoid(x), scipy.special.expit(x), rtol=1e-14, atol=tiny)
    np.testing.assert_allclose(REFERENCE.tanh(x), [math.tanh(v) for v in x], rtol=1e-14)
    np.testing.assert_array_equal(REFERENCE.relu(x), [v if v > 0 or math.isnan(v) else 0.0 for v in x])


def test_cross_entropy_is_scipys(rng):
    logits, labels = 50 * rng.standard_normal((9, 7)), rng.integers(0, 7, 9)
    loss, gradient = REFERENCE.softmax_cross_entropy(logits, labels)
    log_probability = scipy.special.log_softmax(logits, axis=1)
    assert loss == pytest.approx(-log_probability[np.arange(9), labels].mean(), rel=1e-13)
    one_hot = np.eye(7)[labels]
    np.testing.assert_allclose(gradient, (np.exp(log_probability) - one_hot) / 9, rtol=1e-12, atol=1e-15)


def test_what_empty_and_extreme_calls_answer():
    """Said once in numbers, so that the reference cannot drift from its documentation together with the others."""
    assert (REFERENCE.gemm(np.ones((2, 0)), np.ones((0, 3)), bias=np.arange(3.0)) == [0, 1, 2]).all()
    assert math.isnan(REFERENCE.softmax_cross_entropy(np.ones((0, 3)), np.zeros(0, int))[0])
    assert (REFERENCE.bias_backward(np.ones((0, 3))) == 0).all()
    loss, gradient = REFERENCE.softmax_cross_entropy(np.array([[1e30, -1e30]]), np.array([1]))
    assert loss == 2e30
    np.testing.assert_array_equal(gradient, [[1.0, -1.0]])
    y, argmax = REFERENCE.max_pool2d(np.array([1.0, np.nan, np.nan, 2.0]).reshape(1, 2, 2, 1), 2)
    assert np.isnan(y.item()) and argmax.item() == 2
    y, argmax = REFERENCE.max_pool2d(np.array([3.0, 5.0, 5.0, 2.0]).reshape(1, 2, 2, 1), 2)
    assert (y.item(), argmax.item()) == (5.0, 1)


def test_float32_is_computed_in_double_and_rounded_once(rng):
    a, b = rng.standard_normal((3, 500)).astype(np.float32), rng.standard_normal((500, 4)).astype(np.float32)
    expected = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(REFERENCE.gemm(a, b), expected)
