"""Training adds little to the data it is given, and nothing more as it goes on."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import kernels
from models import ConvNetClassifier, MLPClassifier

BACKEND = kernels.backends()[0]
N_BYTES_DATA = 8_000 * 784 * 4

pytestmark = [
    pytest.mark.skipif(BACKEND == "reference", reason="the reference allocates inside its kernels"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((8_000, 784), dtype=np.float32), rng.integers(0, 10, 8_000)


def _estimators() -> dict:
    options = {"max_iter": 1, "random_state": 0, "backend": BACKEND}
    return {
        "lenet5": ConvNetClassifier("lenet5", (28, 28), **options),
        "lenet5_early_stopping": ConvNetClassifier("lenet5", (28, 28), early_stopping=True, **options),
        "mlp": MLPClassifier((100,), **options),
    }


def _peak_bytes(function) -> int:
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_fit_does_not_copy_the_data(name):
    x, y = _data()
    assert _peak_bytes(lambda: _estimators()[name].fit(x, y)) < 0.75 * N_BYTES_DATA


def test_a_validation_split_copies_only_itself():
    x, y = _data()
    plain, split = (_peak_bytes(lambda n=n: _estimators()[n].fit(x, y)) for n in ("lenet5", "lenet5_early_stopping"))
    assert split < plain + 0.6 * N_BYTES_DATA  # a tenth is set aside, and predicting takes buffers; a copy would be 0.9


@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_prediction_goes_in_blocks(name):
    x, y = _data()
    model = _estimators()[name].fit(x[:500], y[:500])
    model.predict(x[:500])
    assert _peak_bytes(lambda: model.predict_proba(x)) < 0.75 * N_BYTES_DATA


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_ten_thousand_steps_add_nothing(name):
    x, y = _data()
    model = _estimators()[name].set_params(batch_size=16, n_iter_no_change=10**6)
    parts = {"classes": np.arange(10)}
    for _ in range(2):
        model.partial_fit(x[:1600], y[:1600], **parts)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):  # of 100 steps each
            model.partial_fit(x[:1600], y[:1600])
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 100_000, grown  # the loss curve has 100 more entries
