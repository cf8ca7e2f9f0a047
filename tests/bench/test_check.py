"""The self-test is right where all is right, and each of its parts sees its own kind of mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import kernels
from bench.cli import app
from bench.errors import InputError
from bench.selftest import checks, gradients, machine, start
from bench.selftest.checks import Finding

ROOT = Path(__file__).parents[2]
COMPILED = "cython" if "cython" in kernels.backends() else "reference"


def invoke(*arguments):
    return CliRunner().invoke(app, ["check", *arguments])


def test_a_sound_installation_passes(tmp_path):
    """As a command of its own, where nothing of the tests has set a thread pool."""
    command = [sys.executable, "-m", "bench", "check", "-b", COMPILED, "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout)
    wrong = [f for f in answer["findings"] if f["status"] == "wrong"]
    assert not wrong and answer["ok"] and done.returncode == 0, done.stderr
    names = {f["name"] for f in answer["findings"]}
    assert names >= {f"gradients {COMPILED}", "threads", "worker", "noise floor", "harness", "machine"}
    [noise] = [f for f in answer["findings"] if f["name"] == "noise floor"]
    assert noise["details"]["floor"] >= 1.0


# -- each part sees its mistake


class _Wrong:
    """A backend with one wrong kernel."""

    def __init__(self, name, change):
        self._real, self._name, self._change = kernels.load("reference"), name, change

    def __getattr__(self, name):
        real = getattr(self._real, name)
        return real if name != self._name else lambda *a, **k: self._change(real(*a, **k))


def flip_last(x):
    x = np.array(x)
    if x.size:
        x.flat[-1] += 0.5
    return x


@pytest.mark.parametrize(
    ("kernel", "change"),
    [
        ("conv2d", flip_last),
        ("gemm", lambda y: y.astype(np.float32)),
        ("tanh", lambda y: y.ravel()[:-1]),
        ("layer_norm", lambda answer: tuple(np.full_like(a, np.nan) for a in answer)),
    ],
)
def test_a_wrong_kernel_is_found_by_name(monkeypatch, kernel, change):
    real = kernels.load
    monkeypatch.setattr(kernels, "load", lambda name: real("reference") if name == "reference" else _Wrong(kernel, change))
    finding = checks.kernels_agree("made up")
    assert finding.status == "wrong"
    assert "disagree with the reference" in finding.text and kernel in finding.text


@pytest.mark.parametrize("network", gradients.NETWORKS)
def test_gradients_are_right_in_the_reference(network):
    found = gradients.check("reference", network)
    assert found.ok and found.worst < 0.1, "a right gradient is far from what is allowed"


@pytest.mark.parametrize(
    ("kernel", "network"),
    [
        ("conv2d_backward_weight", "convolutions"),
        ("conv2d_backward_input", "residual"),
        ("bias_backward", "strides and means"),
        ("tanh_backward", "strides and means"),
        ("avg_pool2d_backward", "strides and means"),
        ("max_pool2d_backward", "normalizations"),
        ("sigmoid_backward", "dense"),
        ("batch_norm_backward", "residual"),
        ("layer_norm_backward", "normalizations"),
        ("gelu_backward", "residual"),
    ],
)
def test_a_backward_pass_that_is_a_thousandth_off_is_found(monkeypatch, kernel, network):
    from kernels.reference import implementation

    real = getattr(implementation, kernel)

    def off(*arguments):
        before = [a.copy() if isinstance(a, np.ndarray) else None for a in arguments]
        result = real(*arguments)
        for array, kept in zip(arguments, before, strict=True):  # whatever it wrote is a thousandth too large
            if kept is not None and array.dtype == np.float64 and not np.array_equal(array, kept, equal_nan=True):
                array *= 1.001
        return result

    monkeypatch.setattr(implementation, kernel, off)
    monkeypatch.setattr(kernels, "load", lambda name: kernels.Kernels(name, implementation))
    assert not gradients.check("reference", network).ok


def test_threads_that_are_not_kept_are_wrong(monkeypatch):
    monkeypatch.setattr("kernels.threads.effective_threads", lambda: {"openblas": 1, "openmp": 4})
    finding = checks.threads_are_kept(1)
    assert finding.status == "wrong" and "openmp 4" in finding.text


def test_noise_and_a_slow_harness_are_warnings_and_not_mistakes(monkeypatch):
    found = {"floor": 1.9, "floor_by_work": {"memory": 1.9}, "n_pairs": 4, "overhead_s": 0.08}
    found["warnings"] = ["on battery: plug it in"]
    monkeypatch.setattr("bench.selftest.short.look", lambda *_: found)
    findings = {f.name: f for f in checks.noise_and_machine(1)}
    assert {f.status for f in findings.values()} == {"warning"}
    assert "x1.900" in findings["noise floor"].text and "80.0 ms" in findings["harness"].text
    assert "plug it in" in findings["machine"].text


def test_a_check_that_raises_has_failed():
    [finding] = checks.run("sums", lambda: [1 / 0])
    assert finding.status == "wrong" and "ZeroDivisionError" in finding.text


# -- the command


@pytest.mark.parametrize(
    ("findings", "code", "words"),
    [
        ([Finding("a", "ok", "fine")], 0, "All is right."),
        ([Finding("a", "ok", "fine"), Finding("b", "warning", "loud: wait")], 0, "All is right; 1 warning about"),
        ([Finding("a", "wrong", "bad " * 60), Finding("b", "warning", "loud")], 1, "1 of 2 checks failed"),
    ],
)
def test_exit_code_and_words(monkeypatch, findings, code, words):
    monkeypatch.setattr(checks, "every", lambda *_, **__: [("all", lambda: findings)])
    done = invoke()
    assert done.exit_code == code
    assert words in done.output
    assert max(map(len, done.output.splitlines())) <= 80
    answer = json.loads(invoke("--format", "json").output)
    assert answer["ok"] == (code == 0) and len(answer["findings"]) == len(findings)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["-b", "cyton"], "did you mean"), (["--format", "yaml"], "text, json"), (["--threads", "0"], "--threads")],
)
def test_bad_options_are_answered(arguments, words):
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert words in done.output + done.stderr


def test_the_machine_of_these_tests_can_be_looked_at():
    assert all(": " in warning for warning in machine.Watch().warnings())


# -- at each run's start: broken once by a kernel that is wrong, one that crashes, and one that never answers

BROKEN = """
import os, sys, time
if "bench.selftest.start" in sys.orig_argv:
    import kernels

    class Wrong:
        def __init__(self, real):
            self.real = real

        def __getattr__(self, name):
            return relu if name == "relu" else getattr(self.real, name)

    load = kernels.load
    kernels.load = lambda name: load(name) if name == "reference" else Wrong(load(name))

    def relu(x, **options):
        {body}
"""
BODIES = {
    "wrong": ("return kernels.load('reference').relu(x, **options) + 1", "disagree with the reference; the first: relu"),
    "crashes": ("os.abort()", "their check crashed (exit code -6"),
    "hangs": ("time.sleep(60)", "took more than"),
}
needs_compiled = pytest.mark.skipif(COMPILED == "reference", reason="no compiled backend")


def run_small(folder, **environment):
    what = ["-d", "iris", "-f", "raw", "-m", "mlp_100", "-b", COMPILED, "-o", str(folder)]
    command = [sys.executable, "-m", "bench", "run", *what]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DEPTHBENCH_NOISE_S": "0.01", "COLUMNS": "400", **environment}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


@needs_compiled
@pytest.mark.parametrize("how", BODIES)
def test_the_check_of_a_start_refuses_what_is_broken(tmp_path, monkeypatch, how):
    body, said = BODIES[how]
    (tmp_path / "sitecustomize.py").write_text(BROKEN.format(body=body))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.setattr(start, "LIMIT_S", 1.0 if how == "hangs" else 60.0)
    with pytest.raises(InputError, match=COMPILED) as refused:
        start.in_a_process([COMPILED], 1)
    assert said in str(refused.value) and "Build them again" in str(refused.value)


@needs_compiled
def test_a_wrong_kernel_ends_a_run_before_its_first_cell(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BROKEN.format(body=BODIES["wrong"][0]))
    done = run_small(tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 2, done.stderr
    assert f"kernels {COMPILED}" in done.stderr and "No cell was run" in done.stderr
    assert not list(tmp_path.glob("**/rows.jsonl"))


@needs_compiled
def test_a_run_says_that_its_kernels_were_checked(tmp_path):
    done = run_small(tmp_path)
    assert done.returncode == 0, done.stderr
    [manifest] = tmp_path.glob("**/run.json")
    checked = json.loads(manifest.read_text())["kernels_checked"]
    assert list(checked) == [f"kernels {COMPILED}", f"gradients {COMPILED}"]
    assert checked[f"kernels {COMPILED}"] in (manifest.parent / "report.html").read_text(encoding="utf-8")


def test_what_compiles_when_it_is_called_is_not_differentiated_again(monkeypatch):
    called = []
    monkeypatch.setattr(start, "kernels_agree", lambda name, quick: called.append(name) or Finding("k", "ok", ""))
    monkeypatch.setattr(start, "gradients_agree", lambda name: called.append(name) or Finding("g", "ok", ""))
    list(start.look(["cython", "numba", "reference"]))
    assert called == ["cython", "cython", "numba", "reference"]


def test_what_cannot_be_compiled_in_time_is_said_and_no_reason_to_refuse(monkeypatch):
    def run(command, **options):
        assert command[-2:] == ["cython", "numba"]
        said = b'["kernels cython", "ok", "right"]\n["gradients cython", "ok", "right"]\n["kern'
        raise subprocess.TimeoutExpired(command, 1.0, output=said)

    monkeypatch.setattr(start.subprocess, "run", run)
    found = start.in_a_process(["numba", "cython"], 1)
    assert found["kernels cython"] == "right" and "so not checked" in found["kernels numba"] and len(found) == 3
