"""Gradients of whole networks, held against central differences in float64, layer type by layer type."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from models import losses
from models.architectures import build
from models.network import Network

FASTEST = kernels.backends()[0]

NETWORKS = {
    "dense": (["7", "5", "out"], (6,)),
    "conv": (["c3k3", "out"], (5, 6, 2)),
    "conv_stride_padding": (["c3k3s2p1", "c4k2", "out"], (7, 6, 2)),
    "conv_dilation": (["c3k2d2", "c3k3p1", "out"], (6, 6, 1)),
    "conv_groups": (["c4k3g2p1", "c6k3g2", "out"], (5, 5, 2)),
    "max_pool": (["c3k3p1", "m2", "c2k1", "out"], (6, 7, 1)),
    "max_pool_overlapping": (["c3k3p1", "m3s2p1", "c2k2", "out"], (7, 7, 1)),
    "avg_pool": (["c3k3p1", "a2", "c2k1", "out"], (6, 7, 1)),
    "avg_pool_overlapping": (["c3k3p1", "a3s2p1", "4", "out"], (7, 7, 1)),
    "pool_first": (["m2", "c3k2", "a2", "6", "out"], (8, 8, 2)),
    "deep": (["c2k3p1", "c3k3p1", "m2", "c4k3p1", "m2", "6", "5", "out"], (8, 8, 1)),
}


def _network(name: str, backend: str, activation: str | None, max_batch: int = 5) -> tuple[Network, np.ndarray]:
    tokens, shape = NETWORKS[name]
    rng = np.random.RandomState(0)
    layers = build(tokens, shape, 3, activation=activation)
    network = Network(layers, kernels=kernels.load(backend), dtype=np.float64, max_batch=max_batch)
    network.initialize(rng)
    for bias in network.biases:
        bias[...] = rng.normal(scale=0.1, size=bias.shape)
    return network, rng.normal(size=(max_batch, *shape))


def _loss_of(network: Network, loss: losses.Loss, x: np.ndarray, target: np.ndarray) -> float:
    return loss(network.forward(x), target, None, np.empty((len(x), 3)))


@pytest.mark.parametrize("backend", sorted({FASTEST, "reference"}))
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", None])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_of_all_parameters(name, activation, backend):
    network, x = _network(name, backend, activation)
    labels = np.array([0, 2, 1, 1, 0])
    loss = losses.SoftmaxCrossEntropy(network.kernels, np.float64, 5, 3)
    delta = network.delta(5)
    loss(network.forward(x), labels, None, delta)
    network.backward(delta)
    actual = network.gradient.copy()
    assert np.count_nonzero(actual) > actual.size // 3

    step = 1e-6
    rng = np.random.RandomState(1)
    for i in rng.permutation(network.n_parameters)[:60]:
        kept = network.vector[i]
        network.vector[i] = kept + step
        above = _loss_of(network, loss, x, labels)
        network.vector[i] = kept - step
        below = _loss_of(network, loss, x, labels)
        network.vector[i] = kept
        # error of a central difference: step**2 of truncation and eps / step of rounding
        assert actual[i] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8), i


@pytest.mark.parametrize("name", NETWORKS)
def test_a_smaller_batch_is_as_exact_as_a_full_one(name):
    """The last batch of an epoch uses the front of the same buffers."""
    network, x = _network(name, FASTEST, "relu")
    small, _ = _network(name, FASTEST, "relu", max_batch=2)
    labels = np.array([0, 2, 1, 1, 0])
    gradients = []
    for net in (network, small):
        loss = losses.SoftmaxCrossEntropy(net.kernels, np.float64, net.max_batch, 3)
        if net is network:  # leave something in the buffers
            loss(net.forward(x), labels, None, net.delta(5))
            net.backward(net.delta(5))
        loss(net.forward(x[:2]), labels[:2], None, net.delta(2))
        net.backward(net.delta(2))
        gradients.append(net.gradient)
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["dense", "conv", "pool_first"])
def test_nobody_works_out_the_gradient_of_the_data(name):
    network, _ = _network(name, FASTEST, "relu")
    first = next(layer for layer in network.layers if layer.parameters)
    assert not first.wants_input_gradient
    assert first._dx is None
    assert all(layer.wants_input_gradient for layer in network.layers[network.layers.index(first) + 1 :])


def test_max_pooling_takes_over_the_derivative_before_it():
    """And leaves the caller's layers alone, so that networks with other neighbours can be made of them."""
    layers = build(["c3k3p1", "m2", "a2", "c3k1", "a2", "out"], (8, 8, 1), 3)
    network = Network(layers, kernels=kernels.load(FASTEST), max_batch=2)
    assert [layer.derivative for layer in network.layers] == [None, "relu", None, "relu", None, None, None]
    assert [layer.derivative for layer in network.replica(1).layers] == [None, "relu", None, "relu", None, None, None]
    assert [layer.derivative for layer in layers] == ["relu", None, None, "relu", None, None, None]
