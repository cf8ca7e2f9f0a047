"""Profiles: counters, given data, a run's report, threads that stand still, and what Linux perf sees of the kernels."""

from __future__ import annotations

import json
import mmap
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import kernels
from bench.errors import InputError
from bench.profiling import counters, printing, targets
from bench.profiling.ceilings import Ceilings, Level
from bench.profiling.recorder import IDLE, Recorder
from bench.profiling.step import TrainingStep, count, profile_step
from bench.report import profiles, render
from kernels.cython_backend import loader

CEILINGS = Ceilings("float32", 2, 100.0, "made up", (Level("L1", 2**15, 100.0, "made up"),))


def depthbench(*arguments: str, cwd=None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "bench", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))},
    )  # fmt: skip


# -- counters -------------------------------------------------------------------------------------------------------------


def test_a_counter_counts():
    """Fresh pages are counted by the kernel itself, so also where there is no hardware counter."""
    event = next(e for e in counters.EVENTS if e.name == "page_faults")
    try:
        with counters.counting(event) as counter:
            before = counter.read()
            with mmap.mmap(-1, 2**22) as memory:  # new memory, where an allocator might hand out what was touched before
                memory[::4096] = bytes(2**10)
            assert counter.read() - before >= 1
    except counters.Unavailable as error:
        pytest.skip(f"perf_event_open is not allowed here: {error}")


def test_every_event_is_there_or_says_why():
    usable, reasons = counters.available()
    assert len(usable) + len(reasons) == len(counters.EVENTS)
    assert all(reasons)


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "riscv64")])
def test_other_systems_have_none(monkeypatch, system, machine):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(counters.platform, "machine", lambda: machine)
    with pytest.raises(counters.Unavailable, match="on Linux only"):
        counters.Counter(counters.EVENTS[0])


class Ticks:
    """An event that counts how often it is read."""

    def __init__(self):
        self.n = 0

    def read(self) -> int:
        self.n += 10
        return self.n


@pytest.mark.parametrize("n_threads", [1, 2])
def test_counters_stand_beside_their_calls(monkeypatch, n_threads):
    from contextlib import contextmanager

    @contextmanager
    def counting(event):
        yield Ticks()

    events = (counters.EVENTS[0], counters.EVENTS[1])
    monkeypatch.setattr(counters, "counting", counting)
    monkeypatch.setattr(counters, "available", lambda: (events, ()))
    step = TrainingStep(targets.find("conv16_32"), kernels.load(kernels.backends()[0]), batch=8, n_threads=n_threads)
    step()
    assert set(count(step)) == {"cycles", "instructions"}
    result = profile_step(step, targets.find("conv16_32"), CEILINGS, n_steps=2)
    for values in result.counters.values():
        assert len(values) == len(result.lines)
        assert all(v == (0 if line.kernel == IDLE else 10) for v, line in zip(values, result.lines, strict=True))


def test_rates_of_counters_and_their_table(capsys, monkeypatch):
    assert counters.derived({"cycles": 0, "instructions": 5}) == {}
    monkeypatch.setattr(counters, "available", lambda: (counters.EVENTS[:2], ()))
    printing._print_counters(printing.wide_enough(80), [("gemm", {"cycles": 1000, "instructions": 2500})], "step")
    said = capsys.readouterr().out
    assert "2,500" in said and "2.50" in said
    monkeypatch.setattr(counters, "available", lambda: ((), ("cycles: not permitted",)))
    printing._print_counters(printing.wide_enough(80), [("gemm", {})], "step")
    assert "no hardware counters here (cycles: not permitted)" in capsys.readouterr().out


# -- threads --------------------------------------------------------------------------------------------------------------


def test_standing_threads_are_part_of_the_wall_time():
    k = kernels.load(kernels.backends()[0])
    if not k.runs_together:
        pytest.skip("this backend runs programs one after the other")
    recorder = Recorder(k)
    sizes = (2**6, 2**18)  # the first has done long before the second
    arrays = [np.ones(n, np.float32) for n in sizes]
    programs = [recorder.program([recorder.bind("relu", a, out=np.empty_like(a))]) for a in arrays]
    recorder.run_together(programs)
    calls = recorder.take()
    idle = [c for c in calls if c.kernel == IDLE]
    assert [c.thread for c in idle] == [0, 1]
    spans = [sum(c.seconds for c in calls if c.thread == t) for t in (0, 1)]
    assert spans[0] == pytest.approx(spans[1])  # each thread's calls and idleness fill the same time
    assert idle[0].seconds > idle[1].seconds


# -- a given data set -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("network", "dataset", "shape"), [("conv16_32", "digits", (8, 8, 1)), ("mlp", "wine", (13,))])
def test_a_step_on_a_data_set(network, dataset, shape):
    target, (x, y) = targets.with_data(targets.find(network), dataset, None, None, 16, "float64")
    assert target.input_shape == shape and target.title == f"{network} on {dataset}"
    assert x.shape[1:] == shape and x.dtype == np.float64
    assert abs(x.mean()) < 1e-9 and abs(x.std() - 1) < 1e-9
    assert target.n_classes == len(np.unique(y))
    step = TrainingStep(target, kernels.load("reference"), 16, "float64", samples=(x, y))
    losses = [step() for _ in range(60)]
    assert np.mean(losses[-10:]) < np.mean(losses[:10]), "it does not learn from these data"


@pytest.mark.parametrize(
    ("network", "dataset", "batch", "says"),
    [
        ("mlp", "diabetes", 8, "numbers to predict"),
        ("lenet5", "iris", 8, "is a table"),
        ("mlp", "iris", 151, "150 samples"),
        ("mlp", "irus", 8, "iris"),
    ],
)
def test_data_that_do_not_fit(network, dataset, batch, says):
    with pytest.raises(InputError, match=says):
        targets.with_data(targets.find(network), dataset, None, None, batch, "float32")


# -- a run's report -------------------------------------------------------------------------------------------------------


def test_a_profile_in_the_report_of_a_run(tmp_path):
    run = depthbench("run", "digits", "-m", "lda", "-f", "raw", "--folds", "2", "-o", str(tmp_path))
    assert run.returncode == 0, run.stderr
    (folder,) = [p for p in tmp_path.iterdir() if p.is_dir()]
    done = depthbench(
        "profile", "conv16_32", "-d", "digits", "--batch", "16", "--steps", "3", "--run", str(folder), cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (stored,) = (folder / "profiles").iterdir()
    values = json.loads(stored.read_text(encoding="utf-8"))
    assert values["dataset"] == "digits" and set(values["plots"]) == {"Roofline", "Timeline"}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "conv16_32 on digits: one training step, batch 16" in page
    assert page.count("data:image/svg+xml;base64,") == 2
    (folder / "profiles" / "half.json").write_text(stored.read_text(encoding="utf-8")[:500], encoding="utf-8")
    (folder / "profiles" / "other.json").write_text('{"plots": []}', encoding="utf-8")
    assert len(profiles.read(folder)) == 1
    values |= {"title": "<script>alert(1)</script>", "plots": {"x": "<svg><script>alert(2)</script></svg>"}}
    stored.write_text(json.dumps(values), encoding="utf-8")
    page = render(folder, "html")
    assert "alert(1)</script>" not in page and "alert(2)" not in page


def test_no_such_run(tmp_path):
    done = depthbench("profile", "relu", "--run", "nowhere", cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere" in done.stderr


# -- Linux perf -----------------------------------------------------------------------------------------------------------

HOT = """
import numpy as np, kernels
k = kernels.load("cython")
a, out = np.ones((512, 512), np.float32), np.empty((512, 512), np.float32)

def the_caller():
    for _ in range(600):
        k.gemm(a, a, out=out)

the_caller()
"""


@pytest.mark.skipif(not loader.available(), reason="the Cython kernels are not built")
def test_perf_walks_from_the_kernels_to_their_callers(tmp_path):
    if shutil.which("perf") is None:
        pytest.skip("Linux perf is not installed")
    data = str(tmp_path / "perf.data")
    record = ["perf", "record", "-q", "-e", "cpu-clock:u", "--call-graph", "fp", "-o", data, sys.executable, "-c", HOT]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path])), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(record, capture_output=True, text=True, timeout=120, env=environment)
    if done.returncode != 0:
        pytest.skip(f"perf may not record here: {done.stderr[:200]}")
    script = subprocess.run(["perf", "script", "-i", data], capture_output=True, text=True, timeout=120).stdout
    heads = [(s, s.split("\n")[1]) for s in script.split("\n\n") if s.count("\n") > 1]
    stacks = [s for s, head in heads if re.search(r"__pyx_f\w*_(multiply|tile)", head)]
    assert len(stacks) >= 20, "the kernels' functions have no symbols"
    walked = [s for s in stacks if re.search(r"_PyEval_EvalFrameDefault|PyObject_Vectorcall|_PyObject_Call", s)]
    assert len(walked) > 0.8 * len(stacks), "the stack ends inside of the kernels"
