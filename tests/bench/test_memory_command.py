"""``python -m bench.micro.memory``: peaks and growth, each in a process of its own."""

from __future__ import annotations

import sys

import pytest

import kernels
from bench.micro import memory


@pytest.mark.skipif("cython" not in kernels.backends() or sys.platform != "linux", reason="needs the Cython kernels, on Linux")
def test_a_step_of_conv32_64_takes_what_its_activations_take():
    found = memory.in_process("conv32_64", "cython", batch=64, steps=3, growth_steps=20)
    activations = 64 * (28 * 28 * 32 + 14 * 14 * 32 + 14 * 14 * 64 + 7 * 7 * 64) * 4
    im2col = 64 * 14 * 14 * 9 * 32 * 4  # what an array of patches of the second layer alone would add
    assert activations < found["peak_bytes"] < activations + 2 * 64 * 28 * 28 * 32 * 4 + im2col
    assert abs(found["growth_bytes"]) < 2**20


def test_the_table_compares_with_pytorch():
    row = {"network": "mlp", "batch": 128, "growth_bytes": 0}
    rows = [{**row, "contestant": "cython", "peak_bytes": 2**20}, {**row, "contestant": "torch", "peak_bytes": 3 * 2**20}]
    assert "| mlp | 128 | cython | 1.0 | 0.0 | 3.00x |" in memory.markdown(rows, "command")
