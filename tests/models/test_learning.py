"""Faster kernels must not change what is learned.

In float32, two ways of adding the same numbers give different last digits, and training lets the difference grow; so 200
steps of each network are held against the same training by the reference in float64. Rounding strays some 1e-7 from that.
Now and then a ReLU's input, or two candidates of a maximum, are so close to a tie that rounding decides, and from there
on the curves part by 1e-5 to 1e-1: the reference's own float32 curve does that too. The small networks start where no
such tie occurs, and must stay close throughout; the larger ones start thrice, and must be close in most steps of most starts.
An error in a kernel parts the curves at once, everywhere.
"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

import kernels
from models.architectures import build
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.optimizers import SGD, Adam
from models.training import training_step

STEPS, BATCH, N_CLASSES = 200, 24, 4
#: In units of the first loss: some hundred times what rounding does, a fraction of what one missing image does.
CLOSE = 1e-5

#: name -> input, optimizer; images small enough for the reference
SMALL = {"lenet5": ((16, 16, 1), SGD), "conv16_32": ((8, 8, 1), SGD), "mlp": ((40,), Adam)}
LARGE = {"conv32_64": ((12, 12, 1), SGD), "vgg_small": ((8, 8, 3), SGD)}
MLP = ["64", "32", "out"]

FAST = [(b, t) for b in kernels.backends() if b != "reference" for t in (1, 2)]


def loss_curve(name: str, backend: str, dtype: type, n_threads: int = 1, seed: int = 3) -> np.ndarray:
    """Return the loss of each of 200 steps on 8 batches of noise that a class shifts."""
    shape, optimizer = (SMALL | LARGE)[name]
    k = kernels.load(backend)
    layers = build(MLP if name == "mlp" else name, shape, N_CLASSES)
    network = Network(layers, kernels=k, dtype=dtype, max_batch=BATCH, n_threads=n_threads)
    network.initialize(np.random.RandomState(seed))
    network.vector[...] = network.vector.astype(np.float32)  # the same start in both dtypes
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, (8, BATCH))
    x = rng.standard_normal((8, BATCH, *shape))
    x[..., : shape[0] // 2 if len(shape) == 1 else shape[-1]] += 0.5 * labels.reshape(8, BATCH, *[1] * len(shape))
    x = x.astype(np.float32).astype(dtype)
    loss = SoftmaxCrossEntropy(k, dtype, BATCH, N_CLASSES, n_threads)
    update = optimizer(network.vector, network.n_weights, 1e-3 if optimizer is Adam else 2e-3)
    return np.array([training_step(network, loss, update, x[i % 8], labels[i % 8]) for i in range(STEPS)])


@cache
def exact(name: str, seed: int = 3) -> np.ndarray:
    return loss_curve(name, "reference", np.float64, seed=seed)


def strays(name: str, backend: str, dtype: type, n_threads: int = 1, seed: int = 3) -> np.ndarray:
    """Return how far each step's loss is from the exact one, in units of the first loss."""
    curve = exact(name, seed)
    assert curve[-8:].mean() < 0.5 * curve[:8].mean(), "there must be something to learn"
    return np.abs(loss_curve(name, backend, dtype, n_threads, seed) - curve) / curve[0]


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("backend", "n_threads"), [*FAST, ("reference", 1)])
def test_small_networks_learn_the_same_step_by_step(name, backend, n_threads):
    assert strays(name, backend, np.float32, n_threads).max() <= CLOSE


@pytest.mark.parametrize("name", ["conv16_32", "mlp"])
@pytest.mark.parametrize(("backend", "n_threads"), FAST)
def test_in_float64_the_curves_agree_to_the_last_digits(name, backend, n_threads):
    assert strays(name, backend, np.float64, n_threads).max() <= 1e-11


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize(("backend", "n_threads"), [*FAST, ("reference", 1)])
def test_large_networks_learn_the_same_in_most_steps_of_most_starts(name, backend, n_threads):
    typical = [np.median(strays(name, backend, np.float32, n_threads, seed)) for seed in (3, 4, 5)]
    assert np.median(typical) <= CLOSE


def test_a_gradient_that_lacks_one_image_is_seen(monkeypatch):
    reference = kernels.load("reference")
    right = reference._impl.conv2d_backward_weight

    def wrong(dy, x, out, geometry, n_threads):
        right(dy[:-1], x[:-1], out, dataclasses.replace(geometry, batch=geometry.batch - 1), n_threads)

    expected = exact("conv16_32")
    monkeypatch.setattr(reference._impl, "conv2d_backward_weight", wrong)
    found = np.abs(loss_curve("conv16_32", "reference", np.float32) - expected) / expected[0]
    assert np.median(found) > 10 * CLOSE
