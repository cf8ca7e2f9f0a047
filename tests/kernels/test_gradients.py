"""Every backward kernel against central differences of its own forward kernel, in float64, element by element.

The loss is sum(dy * forward(x)) for a fixed random dy, so that its derivative with respect to x[i] is what the backward
kernel must give at i: (loss(x + h e_i) - loss(x - h e_i)) / 2h, exact for linear kernels, else off by O(h**2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

STEP = 1e-5


def central_difference(loss: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    """Derivative of `loss` with respect to each element of `x`; `x` is put back as it was."""
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        kept = x[i]
        x[i] = kept + STEP
        above = loss(x)
        x[i] = kept - STEP
        below = loss(x)
        x[i] = kept
        gradient[i] = (above - below) / (2 * STEP)
    return gradient


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-7, atol=1e-8)


CONVOLUTIONS = {
    "plain": ((1, 4, 5, 2), (3, 2, 2, 3), {}),
    "stride_padding": ((2, 5, 4, 2), (3, 3, 2, 2), {"stride": 2, "padding": 1}),
    "asymmetric": ((1, 4, 5, 1), (2, 3, 1, 3), {"stride": (1, 2), "padding": ((0, 2), (3, 1))}),
    "dilation": ((1, 6, 7, 1), (2, 3, 1, 2), {"dilation": (3, 2), "padding": 1}),
    "same": ((1, 5, 4, 2), (4, 3, 2, 2), {"stride": 2, "padding": "same"}),
    "groups": ((1, 4, 4, 4), (3, 3, 2, 6), {"groups": 2, "padding": 1}),
    "depthwise": ((1, 4, 5, 3), (3, 3, 1, 3), {"groups": 3, "stride": 2, "padding": 1}),
    "kernel_1": ((2, 3, 3, 3), (1, 1, 3, 4), {"stride": 2}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution(backend, name, rng):
    x_shape, w_shape, options = CONVOLUTIONS[name]
    x, w, bias = rng.standard_normal(x_shape), rng.standard_normal(w_shape), rng.standard_normal(w_shape[3])
    dy = rng.standard_normal(backend.conv2d(x, w, **options).shape)

    def loss(_):
        return float((dy * backend.conv2d(x, w, bias, **options)).sum())

    close(backend.conv2d_backward_input(dy, w, x_shape, **options), central_difference(loss, x))
    close(backend.conv2d_backward_weight(dy, x, w_shape[:2], **options), central_difference(loss, w))
    close(backend.bias_backward(dy), central_difference(loss, bias))


POOLINGS = {
    "plain": ((2, 4, 6, 2), 2, {}),
    "overlap": ((1, 5, 6, 2), 3, {"stride": 2, "padding": 1}),
    "stride_1": ((1, 5, 4, 2), (2, 3), {"stride": 1}),
    "asymmetric": ((1, 4, 5, 2), 3, {"stride": (1, 2), "padding": ((2, 0), (1, 2))}),
    "same": ((1, 5, 6, 1), (3, 2), {"stride": 2, "padding": "same"}),
    "gaps": ((1, 7, 6, 1), 2, {"stride": 3}),
}


@pytest.mark.parametrize("name", POOLINGS)
def test_max_pooling(backend, name, rng):
    x_shape, size, options = POOLINGS[name]
    x = rng.permutation(np.arange(float(np.prod(x_shape)))).reshape(x_shape)  # no two within a step of each other
    y, argmax = backend.max_pool2d(x, size, **options)
    dy = rng.standard_normal(y.shape)

    def loss(x):
        return float((dy * backend.max_pool2d(x, size, **options)[0]).sum())

    close(backend.max_pool2d_backward(dy, argmax, x_shape), central_difference(loss, x))


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("name", POOLINGS)
def test_average_pooling(backend, name, count_include_pad, rng):
    x_shape, size, options = POOLINGS[name]
    options = {**options, "count_include_pad": count_include_pad}
    x = rng.standard_normal(x_shape)
    dy = rng.standard_normal(backend.avg_pool2d(x, size, **options).shape)

    def loss(x):
        return float((dy * backend.avg_pool2d(x, size, **options)).sum())

    close(backend.avg_pool2d_backward(dy, size, x_shape, **options), central_difference(loss, x))


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_activation(backend, activation, rng):
    x = rng.uniform(-4, 4, 40)  # none within a step of relu's corner: the seed is fixed
    assert np.abs(x).min() > 10 * STEP
    forward, backward = getattr(backend, activation), getattr(backend, f"{activation}_backward")
    dy = rng.standard_normal(x.shape)
    close(backward(dy, forward(x)), central_difference(lambda x: float((dy * forward(x)).sum()), x))


@pytest.mark.parametrize("slope", [0.01, 0.3])
def test_leaky_relu(backend, slope, rng):
    x, dy = rng.uniform(-4, 4, 40), rng.standard_normal(40)
    assert np.abs(x).min() > 10 * STEP

    def loss(x):
        return float((dy * backend.leaky_relu(x, slope=slope)).sum())

    y = backend.leaky_relu(x, slope=slope)
    close(backend.leaky_relu_backward(dy, y, slope=slope), central_difference(loss, x))


def test_gelu(backend, rng):
    x, dy = rng.uniform(-6, 6, 60), rng.standard_normal(60)
    close(backend.gelu_backward(dy, x), central_difference(lambda x: float((dy * backend.gelu(x)).sum()), x))


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 17), (7, 64)])
def test_batch_norm(backend, shape, rng):
    """Through the statistics: a change of one x moves the mean and the variance of its channel."""
    x, dy = rng.standard_normal(shape) + 2.0, rng.standard_normal(shape)
    gamma, beta = rng.standard_normal(shape[-1]), rng.standard_normal(shape[-1])

    def loss(_):
        return float((dy * backend.batch_norm(x, *backend.batch_norm_statistics(x), gamma, beta)).sum())

    mean, variance = backend.batch_norm_statistics(x)
    sums = backend.batch_norm_backward_sums(dy, x, mean)
    close(backend.batch_norm_backward(dy, x, mean, variance, gamma, *sums), central_difference(loss, x))
    close(sums[1] / np.sqrt(variance + 1e-5), central_difference(loss, gamma))
    close(sums[0], central_difference(loss, beta))


def test_batch_norm_of_two_shares_is_that_of_the_whole(backend, rng):
    """Sums of shares add up, and `count` says how many rows the statistics came from."""
    x, dy, gamma = rng.standard_normal((11, 5)), rng.standard_normal((11, 5)), rng.standard_normal(5)
    mean, variance = backend.batch_norm_statistics(x)
    sums = [sum(s) for s in zip(*(backend.batch_norm_backward_sums(dy[p], x[p], mean) for p in SHARES), strict=True)]
    parts = [backend.batch_norm_backward(dy[p], x[p], mean, variance, gamma, *sums, count=11) for p in SHARES]
    whole = backend.batch_norm_backward(dy, x, mean, variance, gamma, *backend.batch_norm_backward_sums(dy, x, mean))
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-12, atol=1e-14)


SHARES = (slice(0, 4), slice(4, 11))


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 17), (4, 131)])
def test_layer_norm(backend, shape, rng):
    x, dy = rng.standard_normal(shape) + 2.0, rng.standard_normal(shape)
    gamma, beta = rng.standard_normal(shape[-1]), rng.standard_normal(shape[-1])

    def loss(_):
        return float((dy * backend.layer_norm(x, gamma, beta)).sum())

    dx, dgamma, dbeta = backend.layer_norm_backward(dy, x, gamma)
    close(dx, central_difference(loss, x))
    close(dgamma, central_difference(loss, gamma))
    close(dbeta, central_difference(loss, beta))


@pytest.mark.parametrize("width", [1, 3, 17])
def test_embedding_mean(backend, width, rng):
    """Words that come again, a text without words, and rows that no word points to."""
    weight, dy = rng.standard_normal((6, width)), rng.standard_normal((4, width))
    indices, lengths = np.array([[1, 2, 2], [0, 0, 0], [5, 1, 0], [4, 4, 4]]), np.array([3, 0, 2, 1])

    def loss(weight):
        return float((dy * backend.embedding_mean(weight, indices, lengths)).sum())

    close(backend.embedding_mean_backward(dy, indices, lengths, 6), central_difference(loss, weight))


@pytest.mark.parametrize("shape", [(1, 2), (5, 3), (3, 17)])
def test_softmax_cross_entropy(backend, shape, rng):
    logits, labels = 3 * rng.standard_normal(shape), rng.integers(0, shape[1], shape[0])
    gradient = backend.softmax_cross_entropy(logits, labels)[1]
    close(gradient, central_difference(lambda x: backend.softmax_cross_entropy(x, labels)[0], logits))


@pytest.mark.parametrize("activation", [None, "relu", "sigmoid", "tanh"])
def test_dense_layer(backend, activation, rng):
    """The products of a dense layer, as training uses gemm: x @ w + b, its gradients by transposed products."""
    x, w, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 5)), rng.standard_normal(5)
    dy = rng.standard_normal((3, 5))

    def forward():
        return backend.gemm(x, w, bias=b, activation=activation)

    def loss(_):
        return float((dy * forward()).sum())

    dz = dy if activation is None else getattr(backend, f"{activation}_backward")(dy, forward())
    close(backend.gemm(dz, w, transpose_b=True), central_difference(loss, x))
    close(backend.gemm(x, dz, transpose_a=True), central_difference(loss, w))
    close(backend.bias_backward(dz), central_difference(loss, b))
