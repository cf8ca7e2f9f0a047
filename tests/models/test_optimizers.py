"""SGD and Adam against the formulas of scikit-learn's optimizers, written out here."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from models.optimizers import SGD, Adam

K = kernels.load(kernels.backends()[0])
N, N_WEIGHTS = 7, 4


def _gradients(n_steps: int) -> list[np.ndarray]:
    return list(np.random.RandomState(0).normal(size=(n_steps, N)))


def _with_decay(w: np.ndarray, gradient: np.ndarray, decay: float) -> np.ndarray:
    return gradient + decay * np.where(np.arange(N) < N_WEIGHTS, w, 0.0)


@pytest.mark.parametrize("decay", [0.0, 0.3, -0.1])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("schedule", ["constant", "invscaling", "adaptive"])
def test_sgd_steps_as_scikit_learn_also_where_the_rate_changes(schedule, momentum, nesterov, decay):
    w = np.linspace(-1.0, 1.0, N)
    expected, velocity, rate, n_seen = w.copy(), np.zeros(N), 0.1, 0
    optimizer = SGD(w, N_WEIGHTS, 0.1, schedule=schedule, momentum=momentum, nesterov=nesterov, power_t=0.4)
    for step, gradient in enumerate(_gradients(12), start=1):
        g = _with_decay(expected, gradient, decay)
        velocity = momentum * velocity - rate * g
        expected += momentum * velocity - rate * g if nesterov else velocity
        optimizer.update(K, w, gradient.copy(), weight_decay=decay)
        if step % 3 == 0:  # an epoch ends
            n_seen += 50
            optimizer.epoch_ends(n_seen)
            if schedule == "invscaling":
                rate = 0.1 / (n_seen + 1) ** 0.4
        if step % 4 == 0 and schedule == "adaptive":
            assert not optimizer.should_stop("", False)
            rate /= 5.0
        assert optimizer.learning_rate == pytest.approx(rate, rel=1e-15)
        np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.0), (0.5, 0.2)])
def test_adam_steps_as_scikit_learn(betas, decay):
    beta_1, beta_2 = betas
    w = np.linspace(-1.0, 1.0, N)
    expected, m, v = w.copy(), np.zeros(N), np.zeros(N)
    optimizer = Adam(w, N_WEIGHTS, 0.05, beta_1=beta_1, beta_2=beta_2, epsilon=1e-3)
    for t, gradient in enumerate(_gradients(10), start=1):
        g = _with_decay(expected, gradient, decay)
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        rate = 0.05 * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        expected -= rate * m / (np.sqrt(v) + 1e-3)
        optimizer.update(K, w, gradient.copy(), weight_decay=decay)
        assert optimizer.learning_rate == pytest.approx(rate)
        np.testing.assert_allclose(w, expected, rtol=1e-12, atol=1e-14)


def test_only_weights_decay():
    w = np.ones(N)
    SGD(w, N_WEIGHTS, 0.5, momentum=0.0).update(K, w, np.zeros(N), weight_decay=0.2)
    np.testing.assert_allclose(w, [0.9] * N_WEIGHTS + [1.0] * (N - N_WEIGHTS), rtol=1e-15)


@pytest.mark.parametrize(
    ("schedule", "rate", "stops", "says"),
    [
        ("constant", 0.1, True, "m. Stopping."),
        ("adaptive", 0.1, False, "m. Setting learning rate to 0.020000"),
        ("adaptive", 1e-6, True, "m. Learning rate too small. Stopping."),
    ],
)
def test_when_nothing_improves(schedule, rate, stops, says, capsys):
    assert SGD(np.zeros(1), 1, rate, schedule=schedule).should_stop("m.", True) is stops
    assert capsys.readouterr().out.strip() == says


def test_a_rate_that_underflows_keeps_the_velocity_finite():
    w = np.ones(2)
    optimizer = SGD(w, 2, 1e-300, schedule="invscaling", power_t=100.0)
    optimizer.update(K, w, np.ones(2))
    optimizer.epoch_ends(1000)
    assert optimizer.learning_rate == 0.0
    assert np.isfinite(optimizer.velocity).all()
