"""Results to compare: the JSON of the micro-benchmarks, of a profile, or a run folder."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import store
from bench.errors import InputError

KERNELS, PROFILE, RUN = "kernels", "profile", "run"

#: What two machines must share for their times to be compared.
FINGERPRINT = ("cpu", "cores", "system", "isa")


@dataclass(frozen=True)
class Timing:
    """The median of some rounds and the quartiles around it; None where only the median was kept."""

    median_s: float
    q1_s: float | None = None
    q3_s: float | None = None


@dataclass(frozen=True)
class Measurements:
    """One result.

    Attributes
    ----------
    timings : dict
        By name: what was timed, with its setting.
    noise : float or None
        The largest ratio of the same code against itself, 1.04 say; None where none was measured.
    """

    kind: str
    source: Path
    machine: dict[str, Any]
    timings: dict[str, Timing] = field(default_factory=dict)
    noise: float | None = None
    run: store.Run | None = None


def read(name: str, root: Path | None = None) -> Measurements:
    """Read a result that is named by a file, a folder, or the id of a run.

    Raises
    ------
    InputError
        There is nothing of the kind, or it cannot be read.
    """
    path = Path(name)
    if path.is_dir() and (path / "benchmarks.json").is_file():
        path = path / "benchmarks.json"
    if path.is_file() and path.suffix == ".json" and path.name != store.MANIFEST:
        return _of_json(path)
    return _of_run(store.read_run(store.find_run(name, root)))


def _of_json(path: Path) -> Measurements:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON (line {error.lineno}): was it cut off?") from None
    try:
        if isinstance(values, dict) and isinstance(values.get("benchmarks"), list):
            return _of_benchmarks(path, values)
        if isinstance(values, dict) and values.get("kind") in ("step", "prediction", "kernel"):
            return _of_profile(path, values)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} lacks what a result has: {type(error).__name__} {error}") from None
    raise InputError(
        f"{path} is neither of `depthbench kernels --json` (or pytest-benchmark) nor of `depthbench profile --json`"
    )


def _of_benchmarks(path: Path, values: dict[str, Any]) -> Measurements:
    timings, pairs = {}, []
    for benchmark in values["benchmarks"]:
        stats, info = benchmark["stats"], benchmark.get("extra_info", {})
        timings[_benchmark_name(benchmark, info)] = Timing(stats["median"], stats.get("q1"), stats.get("q3"))
        if "aa_ratio" in info:
            pairs.append(max(info["aa_ratio"], 1.0 / info["aa_ratio"]))
    machine = values.get("depthbench") or {"cpu": values.get("machine_info", {}).get("cpu", {}).get("brand_raw")}
    return Measurements(KERNELS, path, machine, timings, max(pairs, default=None))


def _benchmark_name(benchmark: dict[str, Any], info: dict[str, Any]) -> str:
    names = ("kernel", "case", "dtype", "backend")
    if all(name in info for name in names):
        return " ".join((*(str(info[name]) for name in names), f"{info.get('threads', 1)}t"))
    return benchmark["fullname"]


def _of_profile(path: Path, values: dict[str, Any]) -> Measurements:
    setting = f"{values['target']} {values['backend']} {values['dtype']} {values['threads']}t"
    timings: dict[str, Timing] = {}
    if values["kind"] == "kernel":
        lines = [case for case in values["cases"] if "time_s" in case]
    else:
        lines = values["calls"]
        timings[f"{setting}: whole {values['kind']}"] = Timing(values["reconciliation"]["wall_s"])
    for line in lines:
        parts = (line.get("phase"), line.get("layer"), line["kernel"], line.get("case"))
        name = f"{setting}: " + " ".join(part for part in parts if part)
        while name in timings:  # the same kernel twice in a layer: its weights and its input
            name += "'"
        timings[name] = Timing(line["time_s"])
    return Measurements(PROFILE, path, values["machine"], timings)


def _of_run(run: store.Run) -> Measurements:
    return Measurements(RUN, run.folder, run.manifest.get("environment", {}), run=run)


def differing(a: Measurements, b: Measurements) -> list[str]:
    """Return in what the two machines differ, in words; nothing where times can be compared.

    Examples
    --------
    >>> here, there = ({"cpu": cpu, "cores": 2} for cpu in ("Zen 5", "Zen 4"))
    >>> differing(Measurements(KERNELS, Path("a"), here), Measurements(KERNELS, Path("b"), there))
    ["cpu: 'Zen 5' and 'Zen 4'"]
    """
    found = [
        f"{key}: {a.machine.get(key)!r} and {b.machine.get(key)!r}"
        for key in FINGERPRINT
        if a.machine.get(key) != b.machine.get(key)
    ]
    digests = {a.machine.get("fingerprint"), b.machine.get("fingerprint")} - {None}
    if not found and len(digests) > 1:  # of a run: system and architecture are in it too
        found = [f"platform: {a.machine.get('platform')!r} and {b.machine.get('platform')!r}"]
    return found
