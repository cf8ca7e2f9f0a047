"""The pools of threads are what was asked for, set before imports and set after; each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import kernels
from kernels.threads import VARIABLES, environment

ROOT = Path(__file__).parents[2]

LOAD = """
import json, sys
import numpy as np, scipy.linalg, sklearn.cluster
from kernels.threads import effective_threads, set_threads
"""


def run(code: str, variables: dict[str, str]):
    """Run code that prints JSON, with these variables and no others about threads."""
    clean = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=clean | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_variables_are_heeded_by_every_pool(n_threads):
    found = run(LOAD + "print(json.dumps(effective_threads()))", environment(n_threads))
    assert set(found) >= {"openmp"}
    assert set(found.values()) == {n_threads}


@pytest.mark.parametrize("n_threads", [1, 2])
def test_pools_that_are_loaded_already_are_set(n_threads):
    code = f"set_threads({3 - n_threads}); set_threads({n_threads}); print(json.dumps(effective_threads()))"
    assert set(run(LOAD + code, environment(2)).values()) == {n_threads}


@pytest.mark.parametrize("name", kernels.backends())
def test_a_kernel_is_not_held_to_the_pools_of_others(name):
    """A worker of one thread may still be asked for two by a kernel's own argument; the answer is the same."""
    code = f"""
import json
import numpy as np, kernels
k = kernels.load({name!r})
a = np.random.default_rng(0).standard_normal((96, 96)).astype(np.float32)
one, two = k.gemm(a, a, n_threads=1), k.gemm(a, a, n_threads=2)
print(json.dumps(bool(np.allclose(one, two, atol=1e-3))))
"""
    assert run(code, environment(1)) is True


def test_every_variable_is_a_number_in_words():
    assert set(environment(3)) == set(VARIABLES)
    assert set(environment(3).values()) == {"3"}


def test_without_numba_none_is_reported():
    code = "import json\nfrom kernels.threads import effective_threads\nprint(json.dumps(effective_threads()))"
    assert "numba" not in run(code, {})
