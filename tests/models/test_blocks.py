"""Normalizations, residual blocks, dropout and further activations: gradients, statistics, threads."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from models import losses
from models.architectures import build
from models.blocks import Subsample
from models.network import Network
from models.pointwise import Dropout

BACKENDS = kernels.backends()
NETWORKS = {
    "bn": ("c4k3p1 bn m2 c5k3 bn 7 bn out", (6, 6, 2)),
    "bn_of_the_input": ("bn c3k1 relu gap out", (4, 4, 2)),
    "residual": ("c4k3p1 bn ( c4k3p1 bn c4k3p1 bn ) ( c8k3s2p1 bn c8k3p1 bn ) gap out", (6, 7, 2)),
    "residual_first": ("( c2k3p1 bn ) relu gap out", (5, 5, 2)),
    "residual_dense": ("9 ln gelu ( 9 ) ( 9 ln ) drop50 5 leaky_relu out", (4,)),
    "residual_gelu": ("( 6 ) gelu ( 6 sigmoid 6 ) tanh out", (6,)),
    "ln_of_pixels": ("c4k3p1 gelu a2 drop25 c4k1 ln tanh 6 sigmoid out", (6, 6, 2)),
    "ln_of_the_input": ("ln 5 out", (6,)),
    "pool_in_a_block": ("c3k3p1 ( c3k3p1 m3s1p1 c3k1 ) gap out", (5, 5, 1)),
}


def made(name: str, backend: str, n: int, n_threads: int = 1, training: bool = True):
    """Return a network, its loss, a batch and its labels; all dropouts begin with one seed."""
    tokens, shape = NETWORKS[name]
    k = kernels.load(backend)
    network = Network(
        build(tokens, shape, 3), kernels=k, dtype=np.float64, max_batch=n, n_threads=n_threads, training=training
    )
    network.initialize(np.random.RandomState(0))
    rng = np.random.default_rng(1)
    network.vector[network.n_weights :] += 0.1 * rng.standard_normal(network.n_parameters - network.n_weights)
    loss = losses.SoftmaxCrossEntropy(k, np.float64, n, 3)
    return network, loss, rng.standard_normal((n, *shape)), rng.integers(0, 3, n)


def value_and_gradient(network, loss, x, labels, *, gradient=True):
    for layer in network.layers:
        if isinstance(layer, Dropout):
            layer.draws.generator = np.random.default_rng(3)
    delta = network.delta(len(x))
    value = loss(network.forward(x), labels, None, delta)
    if gradient:
        network.backward(delta)
    return value, network.gradient.copy()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_of_all_parameters(name, backend):
    network, loss, x, labels = made(name, backend, 6)
    _, actual = value_and_gradient(network, loss, x, labels)
    step = 1e-6
    for i in np.random.default_rng(2).permutation(network.n_parameters)[:60]:
        kept = network.vector[i]
        network.vector[i] = kept + step
        above, _ = value_and_gradient(network, loss, x, labels, gradient=False)
        network.vector[i] = kept - step
        below, _ = value_and_gradient(network, loss, x, labels, gradient=False)
        network.vector[i] = kept
        assert actual[i] == pytest.approx((above - below) / (2 * step), rel=1e-5, abs=1e-8), i


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [6, 5, 1])
@pytest.mark.parametrize("name", NETWORKS)
def test_threads_that_share_a_batch_change_nothing(name, n, backend):
    """Statistics are those of the whole batch, and random numbers go to samples, not to threads."""
    outcomes = []
    for n_threads in (1, 2, 3):
        network, loss, x, labels = made(name, backend, n, n_threads)
        outcomes.append((*value_and_gradient(network, loss, x, labels), network.memory.copy()))
    for value, gradient, memory in outcomes[1:]:
        assert value == pytest.approx(outcomes[0][0], rel=1e-12)
        np.testing.assert_allclose(gradient, outcomes[0][1], rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(memory, outcomes[0][2], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("backend", BACKENDS)
def test_running_statistics(backend, n_threads):
    """A tenth of each batch's mean and unbiased variance, as in PyTorch; prediction takes them."""
    k = kernels.load(backend)
    network = Network(build("bn linear out", (3,), 2), kernels=k, dtype=np.float64, max_batch=8, n_threads=n_threads)
    network.initialize(np.random.RandomState(0))
    rng = np.random.default_rng(0)
    mean, variance = np.zeros(3), np.ones(3)
    for n in (8, 5):
        x = rng.standard_normal((n, 3)) * 3 + 1
        network.forward(x)
        mean, variance = 0.9 * mean + 0.1 * x.mean(axis=0), 0.9 * variance + 0.1 * x.var(axis=0, ddof=1)
    np.testing.assert_allclose(network.states[0], mean, rtol=1e-12)
    np.testing.assert_allclose(network.states[1], variance, rtol=1e-12)
    weight, bias = network.parameters[2:]
    expected = (x - mean) / np.sqrt(variance + 1e-5) @ weight + bias
    np.testing.assert_allclose(network.replica(5).forward(x), expected, rtol=1e-10)


def test_dropout_in_training_and_in_prediction():
    network = Network(build("drop30 out", (4000,), 2), kernels=kernels.load("reference"), dtype=np.float64, max_batch=3)
    dropout, x = network.layers[0], np.ones((3, 4000))
    network.forward(x)
    dropped = dropout._y(3)
    assert set(np.unique(dropped)) == {0.0, 1.0 / 0.7}
    assert dropped.mean() == pytest.approx(1.0, abs=0.03)
    assert not np.array_equal(dropped[0], dropped[1])
    first = dropped.copy()
    network.forward(x)
    assert not np.array_equal(first, dropout._y(3)), "each batch draws anew"
    np.testing.assert_array_equal(network.replica(3).forward(x), np.zeros((3, 2)))
    assert network.replica(3).layers[0].forward(x) is x


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("shape", "stride", "filters"), [((6, 6, 4), 2, 8), ((7, 5, 3), 2, 6), ((4, 4, 2), 1, 5)])
def test_a_shortcut_takes_every_second_pixel_and_adds_empty_channels(shape, stride, filters, backend):
    out = (-(-shape[0] // stride), -(-shape[1] // stride), filters)
    layer = Subsample("shortcut", shape, out, stride)
    layer.bind_kernels(kernels.load(backend), 1)
    layer.bind_output(np.dtype(np.float32), 2)
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    expected = np.zeros((2, *out), np.float32)
    before = (filters - shape[2]) // 2
    expected[..., before : before + shape[2]] = x[:, ::stride, ::stride]
    np.testing.assert_array_equal(layer.forward(x), expected)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("tokens", ["drop25 20 out", "bn linear out", "ln 20 out"])
def test_large_batches_are_read_where_they_lie(tokens, n_threads):
    """Batches above 256 KiB are not copied: what read the first one must read the next."""
    k = kernels.load(BACKENDS[0])
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((40, 1000)) for _ in range(3)]
    outcomes = []
    for copies in (False, True):
        network = Network(build(tokens, (1000,), 2), kernels=k, dtype=np.float64, max_batch=40, n_threads=n_threads)
        network.initialize(np.random.RandomState(0))
        place = batches[0].copy()
        for batch in batches:
            place[...] = batch
            network.forward(place if copies else batch)
            delta = network.delta(40)
            delta[...] = 1.0
            network.backward(delta)
        outcomes.append(network.gradient.copy())
    np.testing.assert_array_equal(*outcomes)
