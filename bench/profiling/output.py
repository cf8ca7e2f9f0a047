"""Profiles as files: JSON, Chrome trace, speedscope, and the roofline as a page or a picture.

The JSON bears a schema version; figures have their unit at the end of their name; what was not measured is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.profiling import counters
from bench.profiling.kernel import KernelProfile
from bench.profiling.machine import machine
from bench.profiling.roofline import Rate
from bench.profiling.step import StepProfile

SCHEMA_VERSION = 1


def rate_values(rate: Rate) -> dict[str, Any]:
    """Return the figures of a rate under their names in JSON."""
    return {
        "time_s": rate.seconds, "flops": rate.flops, "bytes": rate.n_bytes, "gflops": rate.gflops,
        "gb_per_s": rate.gb_per_s, "intensity_flops_per_byte": rate.intensity, "bound": rate.bound,
        "of_ceiling": rate.of_ceiling,
    }  # fmt: skip


def to_dict(profile: StepProfile | KernelProfile, backend: str) -> dict[str, Any]:
    """Return a profile as plain values."""
    ceilings = profile.ceilings
    head = {
        "schema_version": SCHEMA_VERSION,
        "kind": profile.kind if isinstance(profile, StepProfile) else "kernel",
        "target": profile.target.name if isinstance(profile, StepProfile) else profile.kernel,
        "backend": backend,
        "dtype": ceilings.dtype,
        "threads": ceilings.n_threads,
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine((ceilings.dtype,), (ceilings.n_threads,)),
    }
    return head | (_step(profile) if isinstance(profile, StepProfile) else _kernel(profile))


def _kernel(profile: KernelProfile) -> dict[str, Any]:
    cases = []
    for case in profile.cases:
        values = {"kernel": case.kernel, "case": case.case, "shapes": case.shapes, "first_call_s": case.first_call_s}
        if case.rate is None:
            cases.append({**values, "validation": f"wrong: {case.wrong}"})
        else:
            counted = {"counters": case.counters | counters.derived(case.counters)} if case.counters else {}
            cases.append({**values, "validation": "ok", **rate_values(case.rate), **counted})
    return {"cases": cases}


def _step(profile: StepProfile) -> dict[str, Any]:
    def line_values(line) -> dict[str, Any]:
        share = line.rate.seconds / profile.wall_s
        names = {"kernel": line.kernel, "phase": line.phase, "layer": line.layer, "shapes": line.shapes}
        named = {name: text for name, text in names.items() if text}
        return {**named, "calls": line.calls, "is_kernel": line.is_kernel, "share": share, **rate_values(line.rate)}

    calls = [line_values(line) for line in profile.lines]
    for i, call in enumerate(calls):
        if counted := {name: values[i] for name, values in profile.counters.items()}:
            call["counters"] = counted | counters.derived(counted)
    return {
        "batch": profile.batch,
        "architecture": list(profile.target.architecture),
        "input_shape": list(profile.target.input_shape),
        **({"dataset": profile.target.dataset} if profile.target.dataset else {}),
        "calls": calls,
        "kernels": [line_values(line) for line in profile.by_kernel()],
        "reconciliation": {
            "steps": profile.n_steps,
            "wall_s": profile.wall_s,
            "kernels_s": sum(line.rate.seconds for line in profile.lines if line.is_kernel),
            "explained_s": profile.explained_s,
            "unexplained": profile.unexplained,
            "recorded_s": profile.recorded_s,
            "recorder_overhead": profile.overhead,
            "warmup_s": profile.warmup_s,
            "samples_per_s": profile.batch / profile.wall_s,
        },
    }


def write_json(path: Path, profiles: Sequence[StepProfile | KernelProfile], backend: str) -> None:
    """Write a profile as JSON; of several thread counts the last one, and the times of all."""
    values = to_dict(profiles[-1], backend)
    if len(profiles) > 1:
        from bench.profiling.plot import scaling

        values["scaling"] = scaling(profiles)
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def write_trace(path: Path, profiles: Sequence[StepProfile], backend: str) -> None:
    """Write the last recorded step in the Trace Event Format, which Perfetto and chrome://tracing open."""
    profile = profiles[-1]
    events = [
        {
            "name": call.kernel, "cat": "kernel" if call.is_kernel else "other", "ph": "X", "pid": 1, "tid": 1 + call.thread,
            "ts": (call.start_s - profile.timeline[0].start_s) * 1e6, "dur": call.seconds * 1e6,
            "args": {"layer": call.label, "shapes": call.shapes, "flops": call.flops, "bytes": call.n_bytes},
        }
        for call in profile.timeline
    ]  # fmt: skip
    name = {"name": "process_name", "ph": "M", "pid": 1, "args": {"name": f"{profile.target.name}, {backend}"}}
    path.write_text(json.dumps({"traceEvents": [name, *events], "displayTimeUnit": "ns"}), encoding="utf-8")


def write_speedscope(path: Path, profiles: Sequence[StepProfile], backend: str) -> None:
    """Write the last recorded step for speedscope.app: a profile per thread, kernels inside of their layers.

    The file format ("evented": frames that open and close) is that of speedscope's file-format-schema.json.
    """
    profile = profiles[-1]
    frames: dict[str, int] = {}
    threads = []
    start_s = profile.timeline[0].start_s
    for thread in sorted({call.thread for call in profile.timeline}):
        events, end = [], 0.0
        for call in (c for c in profile.timeline if c.thread == thread):
            begin = max(end, (call.start_s - start_s) * 1e6)  # readings may overlap by their rounding
            end = max(begin, (call.start_s - start_s + call.seconds) * 1e6)
            stack = [frames.setdefault(name, len(frames)) for name in (call.label or "other", call.kernel)]
            events += [{"type": "O", "frame": frame, "at": begin} for frame in stack]
            events += [{"type": "C", "frame": frame, "at": end} for frame in reversed(stack)]
        name = f"{profile.target.name}, {backend}, thread {thread}"
        threads.append(
            {"type": "evented", "name": name, "unit": "microseconds", "startValue": 0.0, "endValue": end, "events": events}
        )
    values = {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "name": f"{profile.target.name}, one {profile.kind}",
        "exporter": "depthbench",
        "shared": {"frames": [{"name": name} for name in frames]},
        "profiles": threads,
    }
    path.write_text(json.dumps(values), encoding="utf-8")


def write_plots(path: Path, profiles: Sequence[StepProfile | KernelProfile], backend: str) -> None:
    """Write a page with all plots (.html), or the roofline alone (.svg, .png or, as Vega-Lite, .json)."""
    from bench.profiling.plot import save

    save(path, profiles, backend)


def store(folder: Path, profiles: Sequence[StepProfile | KernelProfile], backend: str) -> Path:
    """Store a profile with its plots in a run folder, where the run's report finds it; return the file."""
    from bench.profiling.plot import about, plots
    from bench.report import write_atomically, write_report
    from bench.report.profiles import FOLDER

    profile = profiles[-1]
    title, setting, sentence = about(profile, backend)
    values = to_dict(profile, backend) | {"title": title, "setting": setting, "sentence": sentence, "plots": plots(profiles)}
    words = [values["target"], values.get("dataset"), values["kind"], backend, f"{values['threads']}t", values["dtype"]]
    name = "-".join(re.sub(r"[^\w.]+", "_", str(word)) for word in words if word)
    path = folder / FOLDER / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())
    write_report(folder)
    return path


WRITERS = {"json": write_json, "trace": write_trace, "speedscope": write_speedscope, "html": write_plots}
"""Kind of file -> function of path, profiles (one for each thread count) and backend."""
