"""Networks: the parameter vector, the buffers, inference beside training."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kernels
from models import initializers
from models.architectures import build
from models.inference import Inference, resolve_threads
from models.layers import Rows
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.optimizers import SGD, Adam
from models.training import Batches, training_step

K = kernels.load(kernels.backends()[0])
TOKENS = ["c4k3p1", "m2", "c6k3", "a2", "12", "out"]


def _network(max_batch=16, **options) -> Network:
    network = Network(build(TOKENS, (8, 8, 1), 5), kernels=K, max_batch=max_batch, **options)
    network.initialize(np.random.RandomState(0))
    return network


def test_weights_stand_before_biases_in_one_vector():
    network = _network()
    assert network.n_weights == sum(w.size for w in network.weights)
    assert network.vector.size == network.n_parameters == network.n_weights + sum(b.size for b in network.biases)
    expected = np.concatenate([a.ravel() for a in (*network.weights, *network.biases)])
    np.testing.assert_array_equal(network.vector, expected)
    assert all(np.shares_memory(a, network.vector) for a in network.parameters)
    network.vector[...] = 7.0
    assert all((a == 7.0).all() for a in network.parameters)


def test_starting_weights():
    """He's deviation before relu, Glorot's before the softmax, zero biases; of one seed the same in both dtypes."""
    layers = build(["c32k5", "200", "out"], (20, 20, 3), 50)
    networks = [Network(layers, kernels=K, dtype=dtype, max_batch=1) for dtype in (np.float32, np.float64)]
    for network in networks:
        network.initialize(np.random.RandomState(3))
    first, dense, last = networks[1].weights
    assert first.std() == pytest.approx(np.sqrt(2 / 75), rel=0.05)
    assert dense.std() == pytest.approx(np.sqrt(2 / 8192), rel=0.05)
    assert last.std() == pytest.approx(np.sqrt(2 / 250), rel=0.05)
    assert not any(b.any() for b in networks[1].biases)
    np.testing.assert_array_equal(networks[0].vector, networks[1].vector.astype(np.float32))


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (initializers.he_deviation(50), 0.2),
        (initializers.glorot_deviation(40, 10), 0.2),
        (initializers.glorot_bound(100, 50), 0.2),
        (initializers.glorot_bound(40, 10, logistic=True), 0.2),
    ],
)
def test_scales_of_starting_weights(actual, expected):
    assert actual == pytest.approx(expected, rel=1e-12)


def test_layers_are_not_shared_between_networks():
    layers = build(TOKENS, (8, 8, 1), 5)
    one, two = (Network(layers, kernels=K, max_batch=2) for _ in range(2))
    one.initialize(np.random.RandomState(0))
    assert not two.vector.any()
    assert not hasattr(layers[0], "weight")


def test_replica_shares_parameters_and_nothing_else():
    network, x = _network(), np.ones((3, 8, 8, 1), np.float32)
    replica = network.replica(4)
    expected = network.forward(x).copy()
    np.testing.assert_array_equal(replica.forward(x), expected)
    assert not np.shares_memory(replica.forward(x), network.forward(x))
    network.vector *= 2.0
    assert not np.array_equal(replica.forward(x), expected)
    assert replica.gradient is None


@pytest.mark.parametrize("training", [False, True])
def test_small_batches_are_read_as_they_are_now(training):
    """One array again and again, changed in between, other arrays, and weights changed in place: never an old answer."""
    network, rng = _network(4, training=training), np.random.RandomState(0)
    arrays = [rng.standard_normal((4, 8, 8, 1)).astype(np.float32) for _ in range(2)]
    if not training:
        for parameter, value in zip(network.parameters, _network().parameters, strict=True):
            parameter[...] = value
    order = [0] * 7 + [1, 0, 1] + [1] * 6 + [0]
    for step, which in enumerate(order):
        x = arrays[which]
        x += 0.25
        for weight in network.weights if step % 3 == 2 else ():
            weight *= 1.125
        fresh = _network(4)
        for parameter, value in zip(fresh.parameters, network.parameters, strict=True):
            parameter[...] = value
        np.testing.assert_array_equal(network.forward(x), fresh.forward(x.copy()), err_msg=f"step {step}")
        if training:
            delta = np.ones((4, 5), np.float32)
            network.backward(delta)
            fresh.backward(delta)
            np.testing.assert_array_equal(network.gradient, fresh.gradient, err_msg=f"step {step}")


@pytest.mark.parametrize(("max_batch", "n"), [(4, 5), (1, 2)])
def test_too_large_a_batch_is_refused(max_batch, n):
    with pytest.raises(ValueError, match=f"x has {n} samples, the network has buffers for {max_batch}"):
        _network(max_batch).forward(np.ones((n, 8, 8, 1), np.float32))


def test_no_room_for_a_batch_is_refused():
    with pytest.raises(ValueError, match="max_batch must be at least 1, got 0"):
        _network(0)


def test_rows_are_views_made_once():
    rows = Rows(np.zeros((4, 3)))
    assert rows(2) is rows(2)
    assert np.shares_memory(rows(2), rows.array)
    assert rows(4) is rows.array


@pytest.mark.skipif(K.name == "reference", reason="the reference allocates inside its kernels")
@pytest.mark.parametrize("optimizer", [SGD, Adam])
@pytest.mark.parametrize("tokens", [TOKENS, ["64", "out"]])
def test_a_step_allocates_no_arrays(tokens, optimizer):
    """After the first step of each batch size, what Python allocates stays far below the smallest buffer."""
    network = Network(build(tokens, (16, 16, 1), 5), kernels=K, max_batch=64)
    network.initialize(np.random.RandomState(0))
    loss = SoftmaxCrossEntropy(K, np.float32, 64, 5)
    update = optimizer(network.vector, network.n_weights, 0.01)
    rng = np.random.RandomState(0)
    X = rng.rand(200, 16, 16, 1).astype(np.float32)
    batches = Batches(X, rng.randint(0, 5, 200), None, 64, shift=0.5, scale=2.0)
    sizes = [np.arange(64), np.arange(100, 130)]

    def steps():
        for rows in sizes:
            x, target, weight = batches.take(rows)
            training_step(network, loss, update, x, target, weight, alpha=1e-3)

    steps()
    tracemalloc.start()
    try:
        steps()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 64 * 5 * 4 * 4, peak_bytes  # a batch's images alone are 65,536 bytes


@pytest.mark.parametrize("n", [1, 2, 3, 255, 256, 257, 1000])
def test_inference_in_blocks_is_the_forward_pass(n):
    network = _network(max_batch=1000)
    x = np.random.RandomState(1).normal(size=(n, 8, 8, 1)).astype(np.float32)
    expected = network.forward(x).copy()
    inference = Inference(network.layers, network.parameters, kernels=K, dtype=np.float32, n_threads=1)

    def copy(values, out):
        out[...] = values

    np.testing.assert_allclose(inference.run(x, copy, np.empty((n, 5), np.float32)), expected, rtol=1e-5, atol=1e-6)


def test_inference_from_many_threads_at_once():
    network = _network()
    inference = Inference(network.layers, network.parameters, kernels=K, dtype=np.float32, n_threads=1)
    xs = [np.random.RandomState(i).normal(size=(40, 8, 8, 1)).astype(np.float32) for i in range(8)]

    def predict(x):
        def copy(values, out):
            out[...] = values

        return inference.run(x, copy, np.empty((40, 5), np.float32))

    expected = [predict(x) for x in xs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            for actual, wanted in zip(pool.map(predict, xs), expected, strict=True):
                np.testing.assert_array_equal(actual, wanted)


def test_summary():
    summary = _network().summary()
    assert [line.name for line in summary] == ["c4k3p1", "m2", "c6k3", "a2", "flatten", "12", "out"]
    assert sum(line.n_parameters for line in summary) == _network().n_parameters
    assert summary[0].output_shape == (8, 8, 4)
    assert summary[0].activation_bytes == 8 * 8 * 4 * 4
    assert summary[0].forward_flops == 8 * 8 * 4 * 19


@pytest.mark.parametrize(("n_jobs", "expected"), [(None, 1), (1, 1), (5, 5)])
def test_threads(n_jobs, expected):
    assert resolve_threads(n_jobs) == expected


def test_threads_counted_from_the_cpus():
    assert resolve_threads(-1) >= 1
    assert resolve_threads(-2) == max(1, resolve_threads(-1) - 1)
    assert resolve_threads(-10_000) == 1


@pytest.mark.parametrize(("n_jobs", "error"), [(0, ValueError), (1.5, TypeError), (True, TypeError), ("2", TypeError)])
def test_threads_refused(n_jobs, error):
    with pytest.raises(error, match="n_jobs"):
        resolve_threads(n_jobs)
