"""Losses: values as scikit-learn's metrics have them, gradients by central differences, odd cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error

import kernels
from models import losses

K = kernels.load(kernels.backends()[0])
N, OUTPUTS = 6, 3
RNG = np.random.RandomState(0)
Z = RNG.normal(size=(N, OUTPUTS))
LABELS = np.array([0, 2, 1, 1, 0, 2])
INDICATORS = (RNG.rand(N, OUTPUTS) > 0.5).astype(float)
NUMBERS = RNG.rand(N, OUTPUTS) * 3
WEIGHTS = RNG.rand(N) + 0.1

# The gradient is that of a sum over outputs; of these, squared error is the one whose value is their mean.
CASES = {
    "softmax": (losses.SoftmaxCrossEntropy, LABELS, 1.0),
    "logistic": (losses.LogisticCrossEntropy, INDICATORS, 1.0),
    "squared": (losses.SquaredError, NUMBERS, float(OUTPUTS)),
    "poisson": (losses.PoissonDeviance, NUMBERS, 1.0),
}


def _call(name, z=Z, weight=None, **options):
    kind, target, _ = CASES[name]
    loss, delta = kind(K, z.dtype, N + 2, OUTPUTS, **options), np.full_like(z, np.nan)
    if name != "softmax":
        target = target.astype(z.dtype)
    return loss(z, target, weight, delta), delta


def _prediction(name, z=Z):
    out = np.empty_like(z)
    CASES[name][0](K, z.dtype, N, OUTPUTS).link(z, out)
    return out


@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_gradient(name, weight):
    _, delta = _call(name, weight=weight)
    for i in range(N):
        for j in range(OUTPUTS):
            above, below = Z.copy(), Z.copy()
            above[i, j] += 1e-6
            below[i, j] -= 1e-6
            expected = (_call(name, above, weight)[0] - _call(name, below, weight)[0]) / 2e-6 * CASES[name][2]
            assert delta[i, j] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", CASES)
def test_value(name, weight):
    prediction = _prediction(name)
    if name == "softmax":
        expected = log_loss(LABELS, prediction, sample_weight=weight)
    elif name == "logistic":
        expected = sum(log_loss(INDICATORS[:, j], prediction[:, j], sample_weight=weight) for j in range(OUTPUTS))
    elif name == "squared":
        expected = 0.5 * mean_squared_error(NUMBERS, prediction, sample_weight=weight)
    else:
        columns = range(OUTPUTS)
        deviances = [mean_poisson_deviance(NUMBERS[:, j], prediction[:, j], sample_weight=weight) for j in columns]
        expected = 0.5 * sum(deviances)
    assert _call(name, weight=weight)[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_weights_of_one_change_nothing(name):
    plain, weighted = _call(name), _call(name, weight=np.ones(N))
    assert plain[0] == pytest.approx(weighted[0], rel=1e-12)
    np.testing.assert_allclose(plain[1], weighted[1], rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_weights_of_zero_are_refused(name):
    with pytest.raises(ZeroDivisionError, match="Weights sum to zero"):
        _call(name, weight=np.zeros(N))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["plain", "weighted"])
def test_softmax_clips_as_scikit_learn_where_asked(dtype, weight):
    """A hopeless sample costs -log(eps) with clipping, its full distance without."""
    z = (Z * 200).astype(dtype)
    weight = None if weight is None else weight.astype(dtype)
    kept = z.astype(np.float64)
    kept -= kept.max(axis=1, keepdims=True)
    each = np.log(np.exp(kept).sum(axis=1)) - kept[np.arange(N), LABELS]
    eps = np.finfo(dtype).eps
    assert (each > -np.log(eps)).any()
    clipped = np.minimum(each, -np.log(eps))
    assert _call("softmax", z, weight, clip=True)[0] == pytest.approx(np.average(clipped, weights=weight), rel=1e-5)
    if weight is None:
        assert _call("softmax", z)[0] == pytest.approx(each.mean(), rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_nan_goes_through(name):
    z = Z.copy()
    z[1, 1] = np.nan
    value, delta = _call(name, z, **({"clip": True} if name == "softmax" else {}))
    assert np.isnan(value)
    assert np.isnan(delta[1]).any()
    assert np.isfinite(delta[0]).all()


@pytest.mark.parametrize("name", ["logistic", "softmax", "squared"])
def test_large_values_do_not_overflow(name):
    value, delta = _call(name, Z * 1e4, **({"clip": True} if name == "softmax" else {}))
    assert np.isfinite(value)
    assert np.isfinite(delta).all()
