"""Micro-benchmarks as files to keep: Markdown tables of every case and of the bars, and pytest-benchmark's JSON.

The JSON holds all that the table is made of (times, FLOPs, bytes, machine, ceilings, versions), so that another run can be
held against it; the name of the host is taken out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bench.micro.bars import summarize, timed
from bench.micro.peers import FAMILIES, family_of
from bench.micro.runner import Outcome, title_of
from bench.micro.tables import Measured, measured, noise_floor, ratio_cell, ratio_text
from bench.profiling.ceilings import Ceilings
from bench.profiling.printing import rate_cells, seconds
from bench.profiling.roofline import rate

_COLUMNS = ("kernel", "case", "dtype", "threads", "backend", "isa", "time", "GFLOP/s", "GB/s", "of ceiling", "reference")
_SIDES = ("---", "---", "---", "--:", "---", "---", *["--:"] * 5)

_HOW_TO_READ = (
    "Medians of interleaved calls, each checked against the reference before it was timed; kernels as networks call them, "
    "with their arguments bound. Of ceiling: the least time that the machine needs over the time taken, with the ceiling that "
    "binds; for calls that are timed one at a time, in turn with others, the data of all of these pass through the caches in "
    "between, so the memory that binds is what holds them all. The other columns are ratios: the time of the NumPy reference, "
    "or of the fastest variant of a peer, over this one."
)


def markdown(outcome: Outcome, command: Sequence[str]) -> str:
    """Return the table with the ceilings it is held against, and how it was made."""
    isa = outcome.machine.get("isa") or ""
    floor = noise_floor(outcome.benchmarks)
    rows = measured(outcome)
    families = [family for family in FAMILIES if any(family in row.peers for row in rows)]
    lines = ["# Kernels", "", *_ceilings(outcome), ""]
    lines += ["| " + " | ".join((*_COLUMNS, *families)) + " |"]
    lines += ["|" + "|".join((*_SIDES, *["--:"] * len(families))) + "|"]
    for row in rows:
        if family_of(row.backend) is None:
            peers = [ratio_text(row.peers.get(family), floor) for family in families]
            lines.append("| " + " | ".join((*_cells(row, isa, floor), *peers)) + " |")
    return "\n".join([*lines, "", _HOW_TO_READ, *_about(outcome, command, floor)]) + "\n"


def summary(outcome: Outcome, command: Sequence[str]) -> str:
    """Return what was asked for and what was measured, a line each (``bars.py``)."""
    ceilings = {(c["dtype"], c["n_threads"]): Ceilings.from_dict(c) for c in outcome.machine["ceilings"]}

    def of_ceiling(benchmark: dict) -> tuple[float | None, str | None]:
        info = benchmark["extra_info"]
        machine, work = ceilings[info["dtype"], info["threads"]], (info["flops"], info["bytes"], info.get("resident_bytes"))
        found = rate(machine, benchmark["stats"]["median"], *work)
        return found.of_ceiling, found.bound

    lines = ["# Bars", "", "| what | setting | must | measured | met |", "|---|---|---|---|---|"]
    for line in summarize(timed(outcome.benchmarks, of_ceiling)):
        met = "" if line.met is None else "yes" if line.met else "no"
        lines.append(f"| {line.bar} | {line.setting} | {line.must} | {line.measured} | {met} |")
    how = "A ratio is the fastest peer's time over ours; means are geometric."
    return "\n".join([*lines, "", how, *_about(outcome, command, noise_floor(outcome.benchmarks))]) + "\n"


def _about(outcome: Outcome, command: Sequence[str], floor: float | None) -> list[str]:
    lines = []
    if floor is not None:
        lines.append(f"Noise floor, the same code against itself (A/A): {100 * (floor - 1):.1f} %; ~1x is inside it.")
    for missing in outcome.not_timed:
        lines.append(f"Not timed: {title_of(missing)} {missing['threads']}t {missing['backend']}: {missing['message']}")
    about = outcome.machine
    versions = ", ".join(f"{name} {version}" for name, version in about.get("versions", {}).items())
    return [*lines, "", f"Made by `{' '.join(command)}` on {about.get('cpu')}, {about.get('cores')} cores; {versions}."]


def _ceilings(outcome: Outcome) -> list[str]:
    lines = ["| dtype | threads | FMA GFLOP/s | measured by | copy GB/s |", "|---|--:|--:|---|---|"]
    for c in outcome.machine.get("ceilings", []):
        levels = ", ".join(f"{level['name']} {level['gb_per_s']:.0f}" for level in c["levels"])
        lines.append(f"| {c['dtype']} | {c['n_threads']} | {c['fma_gflops']:.1f} | {c['fma_method']} | {levels} |")
    return lines


def _cells(row: Measured, isa: str, floor: float | None) -> list[str]:
    gflops, gb_per_s, _, of_ceiling = rate_cells(row.rate)
    where = isa if row.backend == "cython" else row.backend.removeprefix("cython-") if "-v" in row.backend else ""
    return [
        row.kernel, row.case, row.dtype, str(row.threads), row.backend, where, seconds(row.rate.seconds), gflops, gb_per_s,
        of_ceiling.strip(), ratio_cell(row, floor),
    ]  # fmt: skip


def write(folder: Path, outcome: Outcome, json_file: Path, command: Sequence[str]) -> None:
    """Write ``table.md``, ``summary.md`` and ``benchmarks.json`` into `folder`."""
    values = json.loads(json_file.read_text(encoding="utf-8"))
    values.get("machine_info", {}).pop("node", None)
    values["command"] = list(command)
    for benchmark in values.get("benchmarks", []):
        benchmark["stats"].pop("data", None)  # the raw samples: megabytes, and the quartiles are there
    lines = json.dumps(values, separators=(",", ":")).replace('{"group":', '\n{"group":')  # a line for each benchmark
    (folder / "benchmarks.json").write_text(lines + "\n", encoding="utf-8")
    (folder / "table.md").write_text(markdown(outcome, command), encoding="utf-8")
    (folder / "summary.md").write_text(summary(outcome, command), encoding="utf-8")
