"""Every instruction set that was built and runs here, not only the best; each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernels.cython_backend import loader

ROOT = Path(__file__).parents[2]
AVAILABLE = loader.available()
pytestmark = pytest.mark.skipif(not AVAILABLE, reason="the Cython kernels are not built")

SELF_TEST = """
import kernels
from kernels.cython_backend import loader
from kernels.validation import self_test
print(loader.chosen())
print(*self_test(kernels.load("cython")), sep="\\n")
"""


def run(code: str, isa: str | None) -> subprocess.CompletedProcess:
    """Run Python code under DEPTHBENCH_ISA."""
    environment = {k: v for k, v in os.environ.items() if k != loader.VARIABLE}
    if isa is not None:
        environment[loader.VARIABLE] = isa
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("isa", AVAILABLE)
def test_instruction_set_is_right(isa):
    done = run(SELF_TEST, isa)
    assert done.returncode == 0, done.stderr
    chosen, *wrong = done.stdout.split("\n")
    assert chosen == isa
    assert not "".join(wrong), "\n".join(wrong)


def test_the_best_is_chosen_where_none_is_asked_for():
    code = "from kernels.cython_backend import loader; print(loader.chosen())"
    for isa in (None, ""):
        assert run(code, isa).stdout.strip() == AVAILABLE[0]


@pytest.mark.parametrize("wrong", ["v5", "V3", "avx2", "v3 ", "../v3", "f32_v3"])
def test_an_unknown_instruction_set_is_refused(wrong):
    done = run("import kernels; kernels.load('cython')", wrong)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: DEPTHBENCH_ISA must be one of")
    assert repr(wrong) in last
    assert ", ".join(AVAILABLE) in last


@pytest.mark.parametrize(
    ("built", "available", "asked", "match"),
    [
        (("v3", "v2"), ("v3", "v2"), "v4", "v4 was not built; usable here: v3, v2"),
        (("v4", "v3", "v2"), ("v3", "v2"), "v4", "instructions that this CPU does not have; usable here: v3, v2"),
        (("v3", "v2"), ("v3", "v2"), "plain", "plain was not built"),
    ],
)
def test_one_that_cannot_run_here_is_refused_not_tried(monkeypatch, built, available, asked, match):
    monkeypatch.setenv(loader.VARIABLE, asked)
    monkeypatch.setattr(loader, "built", lambda: built)
    monkeypatch.setattr(loader, "available", lambda: available)
    with pytest.raises(ValueError, match=match):
        loader.chosen.__wrapped__()


def test_nothing_built_says_what_to_do(monkeypatch):
    monkeypatch.setattr(loader, "available", lambda: ())
    with pytest.raises(ImportError, match="pip install -e"):
        loader.chosen.__wrapped__()


@pytest.mark.parametrize("isa", AVAILABLE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_modules_of_instruction_sets_are_different_files(isa, dtype):
    """A list of variants that all load the same one would test, and measure, nothing."""
    module = loader.module(dtype, isa)
    short = {"float32": "f32", "float64": "f64"}[dtype]
    assert Path(module.__file__).name.startswith(f"{short}_{isa}.")
    assert loader.fma_loop(dtype, 100, isa=isa) > 0


def test_an_instruction_set_that_is_not_here_is_named():
    with pytest.raises(ValueError, match=r"isa must be one of.*'v9'"):
        loader.module("float32", "v9")
