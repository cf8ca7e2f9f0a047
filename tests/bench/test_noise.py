"""The noise floor is the noise: none for equal times, what was put in for others; and who disturbs is named."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench import noise
from bench.cell import Row
from bench.errors import InputError
from bench.selftest import machine, same
from bench.selftest.machine import Watch
from bench.selftest.overhead import overhead_s
from bench.tables import build_tables
from bench.verdict import judge

ROOT = Path(__file__).parents[2]


# -- A/A


@pytest.fixture
def clock(monkeypatch):
    """Calls that take as long as they are told to."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def taking(seconds):
        seconds = itertools.cycle(seconds)
        return lambda: now.__setitem__(0, now[0] + next(seconds))

    return taking


def test_what_never_varies_has_no_noise(clock):
    assert same.measure(1.0, {"steady": clock([0.001])}).floor == pytest.approx(1.0)


@pytest.mark.parametrize("factor", [1.05, 1.5, 3.0])
def test_the_floor_is_what_was_put_in(clock, factor):
    """The first of each two calls is slower, as where a neighbour comes and goes; A and B take turns in beginning."""
    call = clock([0.001 * factor, 0.001])
    call()  # measure() calls it once before it begins
    found = same.measure(1.0, {"disturbed": call, "steady": clock([0.001])})
    assert found.floor == pytest.approx(factor)
    facts = found.facts()
    assert facts["floor_by_work"]["steady"] == 1.0
    assert facts["floor"] == pytest.approx(factor, abs=1e-4)


def test_one_slow_call_in_five_is_no_noise_of_a_median(clock):
    assert same.measure(1.0, {"hiccups": clock([0.01, 0.001, 0.001, 0.001, 0.001])}).floor == pytest.approx(1.0)


def test_real_work_is_compared_often_enough_and_not_for_ever():
    found = same.measure(0.0)
    assert {len(ratios) for ratios in found.ratios.values()} == {same.MIN_PAIRS}
    assert set(found.ratios) == {"interpreter", "memory", "arithmetic"}
    assert 1.0 <= found.floor < 100


def test_the_harness_takes_time_and_says_so():
    assert 0 < overhead_s() < 10


# -- what tables make of it


def rows(deep_s, classical_s):
    for model, family, fit_s in (("lda", "classical", classical_s), ("mlp_100", "deep", deep_s)):
        for fold in range(4):
            yield Row(
                "d", "raw", model, "sklearn", 1, 0, fold, 0, "ok", family=family, accuracy=0.9 + fold / 100, n_train=90,
                n_test=30, time_fit_s=fit_s, time_predict_s=fit_s,
            )  # fmt: skip


def cost(manifest, deep_s=1.04):
    [table] = build_tables(list(rows(deep_s, 1.0)), manifest)
    return judge(table, manifest).sentences["cost"]


def test_a_ratio_below_the_floor_is_not_printed():
    assert "(1 times)" in cost({})
    assert "times)" not in cost({"noise": {"floor": 1.05}})
    assert "within the noise" in cost({"noise": {"floor": 1.05}})
    assert "(2 times)" in cost({"noise": {"floor": 1.05}}, deep_s=2.0)
    assert "within the noise" in cost({"noise": {"floor": 2.5}}, deep_s=2.0)


def test_a_table_says_what_spoke_against_its_times():
    [table] = build_tables(list(rows(1.0, 1.0)), {"noise": {"floor": 1.3, "warnings": ["on battery: plug it in"]}})
    assert "When this run began: on battery: plug it in." in table.warnings
    assert table.noise_floor == 1.3


@pytest.mark.parametrize("value", [None, [], {}, "x", *({"floor": f} for f in (None, 0.5, True, float("nan")))])
def test_a_manifest_without_a_usable_floor_has_none(value):
    assert noise.floor_of({"noise": value}) is None
    assert noise.warnings_of({"noise": value}) == []


def test_each_run_begins_with_it(tmp_path):
    command = [sys.executable, "-m", "bench", "run", "-d", "iris", "-f", "raw", "-m", "lda", "--folds", "2", "-o", tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), noise.VARIABLE: "0.05"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [path] = tmp_path.glob("*/run.json")
    found = json.loads(path.read_text())["noise"]
    assert found["floor"] >= 1.0
    assert 0 < found["overhead_s"] < 10
    assert isinstance(found["warnings"], list)
    for warning in found["warnings"]:
        assert f"warning: {warning}" in done.stdout


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "1e9"])
def test_seconds_that_are_none_are_refused(monkeypatch, value):
    monkeypatch.setenv(noise.VARIABLE, value)
    with pytest.raises(InputError, match=noise.VARIABLE):
        noise.limit_s()


@pytest.mark.parametrize(("cpu_s", "warned"), [(1.0, False), (0.85, False), (0.6, True), (0.0, True), (None, False)])
def test_a_table_says_when_its_fits_had_to_wait(cpu_s, warned):
    [table] = build_tables([replace(row, cpu_fit_s=cpu_s) for row in rows(1.0, 1.0)])
    assert any("Fits waited for" in text for text in table.warnings) == warned


# -- the machine


def system(folder: Path, **files) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("PLUS", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))
    return folder


CPU = "sys__devices__system__cpu__cpu0__"
FAULTS = {
    "heat": ({CPU + "thermal_throttle__core_throttle_count": 3}, {CPU + "thermal_throttle__core_throttle_count": 4}, "heat"),
    "quota": ({"sys__fs__cgroup__cpu.stat": "nr_throttled 0"}, {"sys__fs__cgroup__cpu.stat": "nr_throttled 9"}, "container"),
    "capped": (
        {CPU + "cpufreq__scaling_max_freq": 2_000_000, CPU + "cpufreq__cpuinfo_max_freq": 4_500_000}, {}, "2.0 of 4.5 GHz",
    ),
    "governor": (
        {CPU + "cpufreq__scaling_governor": "powersave", CPU + "cpufreq__scaling_driver": "acpi-cpufreq"}, {}, "save power",
    ),
    "battery": (
        {"sys__class__power_supply__BAT0__type": "Battery", "sys__class__power_supply__BAT0__status": "Discharging"}, {},
        "plug it in",
    ),
    "memory": ({"proc__meminfo": "MemTotal: 1000000 kB\nMemAvailable: 9000 kB"}, {}, "memory are free"),
    "busy": ({"proc__stat": "cpu 0 0 0 0 0 0 0 0"}, {"proc__stat": "cpu 90000 0 0 10000 0 0 0 0"}, "the machine is busy"),
    "stolen": ({"proc__stat": "cpu 0 0 0 0 0 0 0 0"}, {"proc__stat": "cpu 0 0 0 90 0 0 0 10"}, "10%"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_with_what_to_do(tmp_path, fault):
    before, after, words = FAULTS[fault]
    watch = Watch(root=system(tmp_path, **before))
    time.sleep(0.01)
    system(tmp_path, **after)
    [warning] = watch.warnings()
    assert words in warning
    what, _, to_do = warning.partition(": ")
    assert what and len(to_do.split()) > 2


FINE = {
    "throttled once, long ago": {CPU + "thermal_throttle__core_throttle_count": 3},
    "a governor of that name that is none": {
        CPU + "cpufreq__scaling_governor": "powersave", CPU + "cpufreq__scaling_driver": "intel_pstate",
    },
    "on mains": {
        "sys__class__power_supply__BAT0__type": "Battery", "sys__class__power_supply__BAT0__status": "Discharging",
        "sys__class__power_supply__AC__type": "Mains", "sys__class__power_supply__AC__online": 1,
    },
    "a mouse with a battery": {
        "sys__class__power_supply__m__type": "Battery", "sys__class__power_supply__m__status": "Discharging",
        "sys__class__power_supply__m__scope": "Device",
    },
    "idle": {"proc__stat": "cpu 0 0 0 0 0 0 0 0"},
    "nothing to read": {},
    "nonsense": {"proc__stat": "?", "proc__meminfo": "MemTotal: much", CPU + "cpufreq__scaling_max_freq": ""},
}  # fmt: skip


@pytest.mark.parametrize("state", FINE)
def test_a_machine_at_rest_is_not_warned_of(tmp_path, state):
    watch = Watch(root=system(tmp_path, **FINE[state]))
    assert watch.warnings() == []


def test_more_threads_than_processors_are_warned_of(tmp_path):
    [warning] = Watch(threads=machine._cores(), n_workers=2, root=tmp_path).warnings()
    assert "wait for each other" in warning


def test_others_are_held_against_all_processors_even_where_we_are_pinned_to_one(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_cores", lambda: 1)
    cpus = "\n".join(f"cpu{i} 0" for i in range(64))
    watch = Watch(root=system(tmp_path, proc__stat=f"cpu 0 0 0 0 0 0 0 0\n{cpus}"))
    time.sleep(0.05)
    busy = round(2 * 0.05 * os.sysconf("SC_CLK_TCK"))
    system(tmp_path, proc__stat=f"cpu {busy} 0 0 {32 * busy} 0 0 0 0\n{cpus}")
    assert watch.warnings() == [], "two of 64 disturb nobody"


def test_what_we_do_ourselves_is_not_taken_for_others(tmp_path):
    watch = Watch(root=system(tmp_path, proc__stat="cpu 0 0 0 0 0 0 0 0"))
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    ticks = round(0.2 * os.sysconf("SC_CLK_TCK"))
    system(tmp_path, proc__stat=f"cpu {ticks} 0 0 0 0 0 0 0")
    assert watch.others_cpus() == 0.0
    system(tmp_path, proc__stat=f"cpu {100 * ticks} 0 0 0 0 0 0 0")
    assert watch.others_cpus() > 0.0
