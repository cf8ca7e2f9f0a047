"""Micro-benchmarks as files to keep: a Markdown table of every case, and pytest-benchmark's JSON as its manifest.

The JSON holds all that the table is made of (times, FLOPs, bytes, machine, ceilings, versions), so that another run can be
held against it; the name of the host is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.micro.runner import Outcome
from bench.micro.tables import Measured, measured, noise_floor, ratio_cell
from bench.profiling.printing import rate_cells, seconds

_COLUMNS = ("kernel", "case", "dtype", "threads", "backend", "isa", "time", "GFLOP/s", "GB/s", "of ceiling", "ratio")

_HOW_TO_READ = (
    "Medians of interleaved calls, each checked against the reference before it was timed. Of ceiling: the least time that "
    "the machine needs over the time taken, with the ceiling that binds. Ratio: the reference's time over this one."
)


def markdown(outcome: Outcome, command: Sequence[str]) -> str:
    """Return the table with the ceilings it is held against, and how it was made."""
    isa = outcome.machine.get("isa") or ""
    floor = noise_floor(outcome.benchmarks)
    lines = ["# Kernels", "", *_ceilings(outcome), ""]
    lines += ["| " + " | ".join(_COLUMNS) + " |", "|---|---|---|--:|---|---|--:|--:|--:|--:|--:|"]
    lines += ["| " + " | ".join(_cells(row, isa, floor)) + " |" for row in measured(outcome)]
    lines += ["", _HOW_TO_READ]
    if floor is not None:
        lines.append(f"Noise floor, the same code against itself (A/A): {100 * (floor - 1):.1f} %; ~1x is inside it.")
    for missing in outcome.not_timed:
        lines.append(f"Not timed: {missing['kernel']} {missing['case']} {missing['backend']}: {missing['message']}")
    about = outcome.machine
    versions = ", ".join(f"{name} {version}" for name, version in about.get("versions", {}).items())
    lines += ["", f"Made by `{' '.join(command)}` on {about.get('cpu')}, {about.get('cores')} cores; {versions}."]
    return "\n".join(lines) + "\n"


def _ceilings(outcome: Outcome) -> list[str]:
    lines = ["| dtype | threads | FMA GFLOP/s | measured by | copy GB/s |", "|---|--:|--:|---|---|"]
    for c in outcome.machine.get("ceilings", []):
        levels = ", ".join(f"{level['name']} {level['gb_per_s']:.0f}" for level in c["levels"])
        lines.append(f"| {c['dtype']} | {c['n_threads']} | {c['fma_gflops']:.1f} | {c['fma_method']} | {levels} |")
    return lines


def _cells(row: Measured, isa: str, floor: float | None) -> list[str]:
    gflops, gb_per_s, _, of_ceiling = rate_cells(row.rate)
    where = isa if row.backend == "cython" else ""
    return [
        row.kernel, row.case, row.dtype, str(row.threads), row.backend, where, seconds(row.rate.seconds), gflops, gb_per_s,
        of_ceiling.strip(), ratio_cell(row, floor),
    ]  # fmt: skip


def write(folder: Path, outcome: Outcome, json_file: Path, command: Sequence[str]) -> None:
    """Write ``table.md`` and ``benchmarks.json`` into `folder`."""
    values = json.loads(json_file.read_text(encoding="utf-8"))
    values.get("machine_info", {}).pop("node", None)
    values["command"] = list(command)
    for benchmark in values.get("benchmarks", []):
        benchmark["stats"].pop("data", None)  # the raw samples: megabytes, and the quartiles are there
    (folder / "benchmarks.json").write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    (folder / "table.md").write_text(markdown(outcome, command), encoding="utf-8")
