"""The profiler adds up to the step, the micro-benchmarks time nothing that is wrong, and both say what they cannot do."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import kernels
from bench.cli import app
from bench.micro.contest import LONGEST_REST_S, REST_S, Contest, check, hold, interleave, rest
from bench.profiling import roofline
from bench.profiling.ceilings import Ceilings, Level, measure, usable_cores
from bench.profiling.recorder import Recorder
from bench.profiling.step import Prediction
from bench.profiling.targets import find
from kernels.cases import cases
from kernels.validation import outputs
from models.architectures import build
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.optimizers import SGD
from models.training import training_step

ROOT = Path(__file__).parents[2]
MACHINE = Ceilings("float32", 1, 100.0, "made up", (Level("L1", 1000, 80.0, ""), Level("DRAM", math.inf, 10.0, "")))


def depthbench(*arguments, cwd):
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=240)


# -- the recorder


@pytest.fixture(scope="module")
def lenet5_step():
    """The calls of one training step of lenet5 at batch 4."""
    recorder = Recorder(kernels.load("reference"))
    network = Network(build("lenet5", (28, 28, 1), 10), kernels=recorder, max_batch=4)
    network.initialize(np.random.RandomState(0))
    loss = SoftmaxCrossEntropy(recorder, np.float32, 4, 10)
    optimizer = SGD(network.vector, network.n_weights, 0.01)
    x = np.random.default_rng(0).standard_normal((4, 28, 28, 1)).astype(np.float32)
    recorder.take()
    training_step(network, loss, optimizer, x, np.arange(4), alpha=1e-4)
    return recorder.take()


def test_every_call_of_a_step_is_there(lenet5_step):
    names = [call.kernel for call in lenet5_step]
    assert names.count("conv2d") == 2
    assert names.count("conv2d_backward_weight") == 2
    assert names.count("conv2d_backward_input") == 1, "the first layer has no gradient for its input"
    assert names.count("gemm") == 3 + 3 + 3 + 1, "forward, two gradients, and the sum of the squared weights"
    assert names.count("max_pool2d") == names.count("max_pool2d_backward") == 2
    assert names.count("softmax_cross_entropy") == 1
    assert names.count("sgd_update") == 2, "weights decay, biases do not"


def test_flops_are_those_worked_out_by_hand(lenet5_step):
    forward = {call.shapes.split(",")[0]: call.flops for call in lenet5_step if call.kernel == "conv2d"}
    # 28x28 outputs, 6 filters of 5x5x1; 10x10 outputs, 16 filters of 5x5x6; and one addition of a bias each
    assert forward["4x28x28x1"] == 4 * 28 * 28 * 6 * (2 * 25 + 1)
    assert forward["4x14x14x6"] == 4 * 10 * 10 * 16 * (2 * 150 + 1)
    dense = [call.flops for call in lenet5_step if call.kernel == "gemm"][:3]
    assert dense == [4 * n * (2 * m + 1) for m, n in ((400, 120), (120, 84), (84, 10))]
    [loss] = [call for call in lenet5_step if call.kernel == "softmax_cross_entropy"]
    assert loss.n_bytes == 2 * 4 * 10 * 4 + 4 * 8, "logits in, gradient out, labels of 8 bytes"


def test_a_recorder_that_is_off_is_the_kernels_themselves():
    k = kernels.load("reference")
    recorder = Recorder(k)
    recorder.enabled = False
    assert recorder.gemm == k.gemm
    recorder.gemm(np.eye(2), np.eye(2))
    assert recorder.take() == []


def test_times_are_the_clock_s():
    ticks = iter(range(0, 10_000, 100))
    recorder = Recorder(kernels.load("reference"), clock=lambda: next(ticks))
    recorder.relu(np.ones(3))
    [call] = recorder.take()
    assert call.seconds == pytest.approx(100e-9)


# -- the roofline


@pytest.mark.parametrize(
    ("flops", "n_bytes", "bound", "least_s"),
    [
        (1e9, 500, "FMA", 0.01),
        (1, 800, "L1", 1e-8),
        (1e3, 1e9, "DRAM", 0.1),
        (1e10, 1e9, "FMA", 0.1),  # on the ridge
    ],
)
def test_the_lower_ceiling_binds(flops, n_bytes, bound, least_s):
    found = roofline.roof(MACHINE, flops, n_bytes)
    assert found.bound == bound
    assert found.least_s == pytest.approx(least_s)


def test_rates_add_up():
    one, other = roofline.rate(MACHINE, 0.02, 1e9, 500), roofline.rate(MACHINE, 0.2, 1e3, 1e9)
    assert one.of_ceiling == pytest.approx(0.5)
    assert one.gflops == pytest.approx(50)
    both = roofline.total([one, other])
    assert both.seconds == pytest.approx(0.22)
    assert both.least_s == pytest.approx(0.11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ceilings_are_measured_and_say_how(dtype):
    found = measure(dtype)
    assert found.fma_gflops > 0
    assert "loop" in found.fma_method or "lower bound" in found.fma_method
    assert found.levels[-1].name == "DRAM"
    assert all(level.gb_per_s > 0 for level in found.levels)
    assert Ceilings.from_dict(json.loads(json.dumps(found.to_dict()))) == found


# -- contests: checked first, then timed


class Wrong:
    """Kernels whose relu gives something else."""

    def __init__(self, answer):
        self._answer = answer

    def relu(self, x, *, out=None, n_threads=1):
        return self._answer(np.maximum(x, 0))


CASE = cases("relu", "S")[0]


def _nan(y):
    y = y.copy()
    y.flat[0] = np.nan
    return y


@pytest.mark.parametrize(
    "answer",
    [
        lambda y: y + 1,
        lambda y: y[:-1],
        lambda y: y.astype(np.float64),
        lambda y: (y, y),
        lambda y: None,
        _nan,
    ],
    ids=["value", "shape", "dtype", "count", "nothing", "finiteness"],
)
def test_what_is_wrong_gets_no_time(answer):
    found = hold(Contest(CASE, "float32", 1), {"cython": Wrong(answer), "reference": kernels.load("reference")}, budget_s=0.001)
    assert found["cython"].wrong
    assert found["cython"].timing is None
    assert found["reference"].wrong is None
    assert found["reference"].timing.values_s


def test_a_kernel_that_raises_is_wrong_and_the_others_go_on():
    def boom(y):
        raise RuntimeError("no relu today")

    expected = outputs(kernels.load("reference"), "relu", *CASE.make("float32"))
    assert "no relu today" in check(Wrong(boom), CASE, "float32", 1, expected).wrong


def test_square_products_are_held_against_multiply_adds_timed_in_turn():
    of_gemm = {c.name: c for c in cases("gemm", "S")}
    backends = {"cython": kernels.load("cython")}
    square = hold(Contest(of_gemm["square_128"], "float32", 1), backends, budget_s=0.01)["cython"]
    assert square.of_fma_loop > 0
    other = next(c for name, c in of_gemm.items() if not name.startswith("square_"))
    assert hold(Contest(other, "float32", 1), backends, budget_s=0.001)["cython"].of_fma_loop is None


@pytest.mark.parametrize("in_a_row", [False, True])
def test_calls_in_a_row_begin_outside_the_clock(in_a_row):
    made = []

    def slow():  # one call is a round
        made.append(time.sleep(1e-3))

    timing = interleave({"a": slow}, budget_s=8e-3, in_a_row=in_a_row)["a"]
    assert timing.loops == 1
    assert len(made) == 3 + len(timing.values_s) * (2 if in_a_row else 1)


@pytest.mark.parametrize(
    ("computed_s", "slept"), [([0.0], 1), ([5e-3, 2e-3, 1e-4], 3), ([5e-3] * 1000, round(LONGEST_REST_S / REST_S))]
)
def test_a_rest_lasts_as_long_as_a_thread_computes(computed_s, slept, monkeypatch):
    """On clocks of our own: after each sleep the process has computed so much more."""
    now, sleeps = {"wall": 0.0, "process": 0.0}, []

    def sleep(seconds):
        now["process"] += computed_s[len(sleeps)]
        now["wall"] += seconds
        sleeps.append(seconds)

    clocks = SimpleNamespace(sleep=sleep, perf_counter=lambda: now["wall"], process_time=lambda: now["process"])
    monkeypatch.setattr("bench.micro.contest.time", clocks)
    rest()
    assert len(sleeps) == pytest.approx(slept, abs=1 if slept > 3 else 0)


def test_compiling_is_never_timed():
    calls = []
    interleave({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, budget_s=0.001)
    assert calls[:3] == ["a"] * 3, "warm-up, and two calls to size the rounds, before anything counts"
    assert abs(calls.count("a") - calls.count("b")) <= max(calls.count("a"), calls.count("b")) // 2 + 1


@pytest.mark.parametrize("preset", ["S", "M"])
def test_no_case_is_drawn_from_an_empty_range(preset):
    for kernel in ("gemm", "conv2d", "relu", "softmax_cross_entropy", "sgd_update"):
        for case in cases(kernel, preset):
            arguments, _ = case.make("float32")
            for array in arguments:
                if isinstance(array, np.ndarray) and array.dtype.kind == "f" and kernel != "sgd_update":
                    assert array.std() > 0, f"{kernel} {case.name}"


# -- the commands


def test_profile_a_step(tmp_path):
    files = ("--json", "p.json", "--trace", "t.json")
    done = depthbench("profile", "conv16_32", "--batch", 16, "--steps", 4, *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "unexplained" in done.stdout
    found = json.loads((tmp_path / "p.json").read_text())
    shares = [line["share"] for line in found["calls"]]
    assert all(0 <= share < 1 for share in shares)
    assert {"machine", "calls", "kernels", "reconciliation"} <= set(found)
    assert sum(line["calls"] for line in found["kernels"]) == sum(line["calls"] for line in found["calls"])
    assert json.loads((tmp_path / "t.json").read_text())


def test_profile_a_kernel_at_ones_own_shape(tmp_path):
    done = depthbench("profile", "gemm", "--shape", "33x17,17x9", "--json", "k.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [case] = json.loads((tmp_path / "k.json").read_text())["cases"]
    assert case["validation"] == "ok"
    assert case["flops"] == 2 * 33 * 17 * 9


def test_kernels_writes_a_table_and_json_that_pytest_benchmark_reads(tmp_path):
    done = depthbench(
        "kernels", "-k", "relu and lenet5", "--backends", "cython,reference" if "cython" in kernels.backends() else "reference",
        "--budget", 0.001, "-o", "out", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| relu |" in table
    assert "Made by `depthbench kernels" in table
    values = json.loads((tmp_path / "out" / "benchmarks.json").read_text())
    assert {b["extra_info"]["validation"] for b in values["benchmarks"]} == {"ok"}
    assert "node" not in values["machine_info"]
    compare = [sys.executable, "-m", "pytest_benchmark", "compare", "--csv", str(tmp_path / "c.csv")]
    read = subprocess.run([*compare, str(tmp_path / "out" / "benchmarks.json")], cwd=tmp_path, capture_output=True, text=True)
    assert read.returncode == 0, read.stderr
    assert "relu" in (tmp_path / "c.csv").read_text()


def test_the_benchmark_files_work_alone(tmp_path):
    folder = str(ROOT / "bench" / "micro")
    command = [sys.executable, "-m", "pytest", folder, "--benchmark-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-k", "relu and square or relu-lenet5 and reference"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["profile", "lenet6"], "did you mean 'lenet5'"),
        (["profile", "conv2dd"], "did you mean 'conv2d'"),
        (["profile", "gemm", "--shape", "3x4,5x6"], "--shape"),
        (["profile", "gemm", "--dtype", "float16"], "float32"),
        (["profile", "lenet5", "--backend", "cyton"], "cython"),
        (["profile", "lenet5", "--threads", "4096"], "cores"),
        (["profile", "lenet5", "--threads", "1,x"], "--threads"),
        (["profile", "lenet5", "--html", "page.docx"], "page.docx"),
        (["profile", "gemm", "--predict"], "--predict"),
        (["profile", "gemm", "--speedscope", "s.json"], "--speedscope"),
        (["kernels", "--isa", "v9"], "Known: v"),
        (["profile", "lenet5", "--json", "/nowhere/at/all.json"], "/nowhere/at"),
        (["kernels", "-k", "nothing_like_it"], "nothing_like_it"),
        (["kernels", "--backends", "cyton"], "did you mean 'cython'"),
        (["kernels", "--threads", "0"], "--threads"),
        (["kernels", "--preset", "XXL"], "XXL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_not_there_is_answered_with_what_is(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2, done.output
    assert message in done.output


# -- predictions, and profiles for other tools


@pytest.mark.parametrize("threads", [1, 2])
def test_a_prediction_is_recorded_piece_by_piece(threads):
    if threads > usable_cores():
        pytest.skip("one core")
    target, k = find("conv16_32"), kernels.load(kernels.backends()[0])
    prediction, recorder = Prediction(target, k, batch=40, n_threads=threads), Recorder(k)
    expected = prediction().copy()
    prediction.use(recorder)
    np.testing.assert_array_equal(prediction(), expected)
    recorder.take()
    prediction()
    calls = recorder.take()
    assert sum(call.label.startswith("forward/1 ") for call in calls) == (2 if threads == 2 and k.runs_together else 1)
    assert {call.thread for call in calls} == set(range(threads if k.runs_together else 1))
    assert all(call.share == 1 / (threads if k.runs_together else 1) for call in calls)


def test_speedscope_reads_a_step(tmp_path):
    files = ("--speedscope", "s.json", "--json", "p.json", "--predict")
    done = depthbench("profile", "conv16_32", "--batch", 16, "--steps", 4, *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Prediction of conv16_32" in done.stdout
    assert json.loads((tmp_path / "p.json").read_text())["kind"] == "prediction"
    found = json.loads((tmp_path / "s.json").read_text())
    names = [frame["name"] for frame in found["shared"]["frames"]]
    assert {"conv2d", "max_pool2d", "gemm"} <= set(names)
    [one] = found["profiles"]
    stack, last = [], 0.0
    for event in one["events"]:  # as speedscope's importer demands: in order, and each frame closed where it is on top
        assert last <= event["at"] <= one["endValue"]
        last = event["at"]
        if event["type"] == "O":
            stack.append(event["frame"])
        else:
            assert stack.pop() == event["frame"]
    assert not stack


def test_the_page_of_a_profile_holds_all_plots_and_needs_nothing_else(tmp_path):
    threads = "1,2" if usable_cores() > 1 else "1"
    files = ("--html", "p.html", "--json", "p.json", "--threads", threads)
    done = depthbench("profile", "conv16_32", "--batch", 16, "--steps", 4, *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "p.html").read_text()
    assert text.count("<svg") == (3 if threads == "1,2" else 2)
    assert "if free" in text
    assert "were it free" in text
    assert not re.search(r"<script|<link|src=", text), "one file, and nothing is fetched"
    for name in ("conv2d_backward_weight", "1 c16k3p1", "arithmetic intensity"):
        assert name in text
    if threads == "1,2":
        assert "speed-up" in done.stdout
        lines = json.loads((tmp_path / "p.json").read_text())["scaling"]
        assert [line["threads"] for line in lines] == [1, 2]
        assert lines[0]["speedup"] == 1.0
        assert lines[1]["efficiency"] == pytest.approx(lines[1]["speedup"] / 2)


@pytest.mark.parametrize("suffix", ["svg", "png", "json", "html"])
def test_the_roofline_of_a_kernel_as_a_picture(tmp_path, suffix):
    done = depthbench("profile", "relu", "--preset", "S", "--html", f"r.{suffix}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = (tmp_path / f"r.{suffix}").read_bytes()
    start = {"svg": b"<svg", "png": b"\x89PNG", "json": b"{", "html": b"<!doctype html>"}[suffix]
    assert found.startswith(start)
