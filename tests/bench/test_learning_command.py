"""``python -m bench.learning``: the comparison of backends over seeds, on the smallest setting."""

from __future__ import annotations

import pytest

import kernels
from bench import learning


@pytest.mark.skipif("cython" not in kernels.backends(), reason="the Cython kernels are not built")
def test_a_comparison_says_what_it_could_have_seen():
    found = learning.compare("mlp", "cython", n_samples=200, epochs=3, size=8, seeds=3)
    assert len(found["accuracy"]["cython"]) == len(found["accuracy"]["reference"]) == 3
    assert abs(found["difference"]) <= 0.05
    text = learning.markdown([found], "command", {"cpu": "a CPU", "isa": "v4"})
    assert "| mlp | 200 | 8 | 3 | 3 |" in text
    assert "detectable" in text


@pytest.mark.parametrize(("network", "shape"), [("mlp", (64,)), ("conv16_32", (8, 8, 1)), ("vgg_small", (16, 16, 3))])
def test_digits_are_made_to_fit(network, shape):
    x, y = learning.digits_for(network, 20, shape[1] if len(shape) > 1 and shape[0] > 8 else 8)
    assert x.shape == (20, *shape)
    assert len(y) == 20
    assert 0 <= x.min() < x.max() <= 1
