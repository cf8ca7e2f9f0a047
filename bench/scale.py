"""Does the harness carry 100,000 cells? ``python -m bench.scale -o results/scale``

Four questions, each answered in a process of its own, whose largest memory is read, with that of all it starts: how long
planning takes; what a cell costs beside what is timed in it, when 100,000 rows stand in the folder; how long a row is in
the file before it is on the disk; how long the report takes. Cells are cells of scikit-learn's digits: their rows are taken
from a real run of a few folds and repeated under other fold numbers, so they have the size that rows have. The cells that
are run in earnest have a model that does nothing, so all the time that passes is the harness's.
"""

from __future__ import annotations

import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

FEATURES = ("raw", "standardized")
MODELS = ("dummy", "nearest_centroid", "gaussian_nb", "lda", "bench.scale:nothing")
FOLDS = 10
OF_A_FOLD = ("x_train_sha256", "x_test_sha256", "split_sha256")

#: what -> (unit, must be below)
BARS = {
    "plan": ("s", 5.0),
    "overhead": ("ms per cell", 5.0),
    "sync": ("s", 1.0),
    "report": ("s", 20.0),
    "memory": ("MB", 500.0),
}


class Nothing:
    """A classifier that takes no time: it has learned the first class it saw."""

    def fit(self, X, y):
        self.classes_ = y[:1]
        return self

    def predict(self, X):
        return self.classes_.repeat(len(X))


def nothing() -> Nothing:
    """Return the model that does nothing; it is named in a suite as ``bench.scale:nothing``."""
    return Nothing()


def suite_of(n_cells: int) -> Any:
    """Return a suite with that many cells, rounded up to whole repeats."""
    from bench.suite import Suite

    repeats = -(-n_cells // (len(FEATURES) * len(MODELS) * FOLDS))
    return Suite(name="scale", datasets=["digits"], features=FEATURES, models=MODELS, folds=FOLDS, repeats=repeats)


def memory_mb() -> float:
    """Return the largest resident size of this process, in MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def measure_plan(folder: Path, n_cells: int) -> dict[str, float]:
    """From a suite to all its cells, their reasons to be skipped and the seconds they should take."""
    from bench import own_models
    from bench.estimates import Estimates
    from bench.plan import DatasetInfo, plan, reason_to_skip

    suite = suite_of(n_cells)
    own = {name: own_models.load(name) for name in MODELS if ":" in name}
    info = {"digits": DatasetInfo("classification", 1797, 64, (8, 8, 1))}
    start = time.perf_counter()
    cells = plan(suite, own)
    reasons = [reason_to_skip(cell, info[cell.dataset], own) for cell in cells]
    Estimates.here(suite, info).of_plan([c for c, reason in zip(cells, reasons, strict=True) if reason is None])
    return {"plan": time.perf_counter() - start, "cells": len(cells)}


def fill(folder: Path, n_cells: int, n_left: int) -> None:
    """Run a few folds; repeat their rows until only the last `n_left` cells of the suite have none."""
    from bench import own_models, runs, store
    from bench.plan import plan
    from bench.store import Writer, read_run

    suite = suite_of(n_cells)
    small = folder / "small"
    code = runs.run(suite.model_copy(update={"repeats": 1}), runs.Target("small", small), quiet(), [], report=False)
    if code != runs.DONE:
        raise SystemExit(f"the small run ended with code {code}")
    ran = read_run(small)
    rows = {(r.feature_set, r.model, r.fold): r for r in ran.rows}
    cells = plan(suite, {name: own_models.load(name) for name in MODELS if ":" in name})
    manifest = {**ran.manifest, "run_id": "large", "utc_end": None, "suite": suite.model_dump(mode="json")}
    now = store.utc_now()
    with Writer(folder / "large", manifest) as writer:
        for i, cell in enumerate(cells[:-n_left]):
            like = rows[cell.feature_set, cell.model, cell.fold]
            # hashes are those of another fold: as many different ones as a real run has
            hashes = {name: f"{cell.repeat:04x}{getattr(like, name)[4:]}" for name in OF_A_FOLD}
            utc = f"{now[:-8]}{i % 60:02d}+00:00"
            writer.append(replace(like, repeat=cell.repeat, run_id="large", utc=utc, **hashes))


def quiet() -> Any:
    from rich.console import Console

    return Console(file=io.StringIO(), width=80)


def measure_run(folder: Path, n_cells: int) -> dict[str, float]:
    """Resume a run of which only the last cells are left; time them, and watch when their rows reach the disk."""
    from bench import appending, runs

    moments: list[float] = []
    synced: list[tuple[float, float]] = []
    append, fsync = appending.AppendedFile.append, os.fsync

    def watched(self, line: bytes) -> None:
        append(self, line)
        moments.append(time.perf_counter())

    def watched_fsync(fd: int) -> None:
        begin = time.perf_counter()  # what is in the file now is on the disk when it returns
        fsync(fd)
        synced.append((begin, time.perf_counter()))

    appending.AppendedFile.append, os.fsync = watched, watched_fsync
    try:
        code = runs.run(suite_of(n_cells), runs.Target("large", folder / "large"), quiet(), [], report=False)
    finally:
        appending.AppendedFile.append, os.fsync = append, fsync
    if code != runs.DONE:
        raise SystemExit(f"the run ended with code {code}")
    with open(folder / "large" / "rows.jsonl", "rb") as f:
        rows = [json.loads(line) for line in deque(f, maxlen=len(moments))]
    # from one row to the next, of cells in the middle of a fold whose model does nothing: no spawn, no features
    own = [
        b - a for a, b, row in zip(moments, moments[1:], rows[1:], strict=False) if row["model"] == MODELS[-1] and row["fold"]
    ]
    lag = max(min(end for begin, end in synced if begin >= moment) - moment for moment in moments)
    return {"overhead": 1000 * statistics.median(own), "sync": lag, "measured": len(own)}


def measure_report(folder: Path, n_cells: int) -> dict[str, float]:
    """Read all rows and write every table, page and figure."""
    from bench import report

    start = time.perf_counter()
    report.write_report(folder / "large")
    return {"report": time.perf_counter() - start, "report_bytes": (folder / "large" / "report.html").stat().st_size}


STEPS = {"plan": measure_plan, "run": measure_run, "report": measure_report}


def in_a_process(step: str, folder: Path, n_cells: int) -> dict[str, float]:
    """Return what a step measured, with the largest memory of its process and of what that had started meanwhile."""
    from bench.processes import tree_bytes

    command = [sys.executable, "-m", "bench.scale", "--step", step, "-o", str(folder), "--cells", str(n_cells)]
    largest = 0
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out, text=True)
        while process.poll() is None:
            largest = max(largest, tree_bytes(process.pid, more_than=0))
            time.sleep(0.25)
        out.seek(0)
        lines = out.read().splitlines()
    if process.returncode:
        raise SystemExit(f"step {step!r} ended with code {process.returncode}")
    found = json.loads(lines[-1])
    return {**found, "memory": max(found["memory"], largest / 1e6)}


def markdown(found: dict[str, Any]) -> str:
    """Return the results as a table."""
    what = {
        "plan": f"planning {found['cells']:,} cells: all of them, why some are skipped, the seconds they should take",
        "overhead": f"the harness's own time for a cell (median of {found['measured']:,} cells whose model does nothing)",
        "sync": "a finished row is on the disk after at most",
        "report": f"the report of {found['cells']:,} cells: tables, page, figures",
        "memory": "memory at most, of planning, running and reporting, with all processes that these start",
    }
    lines = [f"# {found['cells']:,} cells", "", "| what | must be below | measured | met |", "|---|--:|--:|---|"]
    for key, text in what.items():
        unit, bar = BARS[key]
        lines.append(f"| {text} | {bar:g} {unit} | {found[key]:.3g} {unit} | {'yes' if found[key] < bar else 'no'} |")
    memory = ", ".join(f"{step} {found['memories'][step]:.0f} MB" for step in STEPS)
    machine = found["machine"]
    return "\n".join(
        [
            *lines, "",
            f"Memory: {memory}. The rows take {found['rows_bytes'] / 1e6:.0f} MB on disk, report.html "
            f"{found['report_bytes'] / 1e6:.1f} MB.", "",
            f"Made by `{found['command']}` on {machine['cpu']}, {machine['cores']} cores.",
        ]
    ) + "\n"  # fmt: skip


def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for table.md and scale.json.")],
    cells: Annotated[int, typer.Option(min=1000, help="Cells of the plan.")] = 100_000,
    run: Annotated[int, typer.Option(min=100, help="How many of them are run in earnest; the others' rows are copies.")] = 2000,
    step: Annotated[str | None, typer.Option(help="One step alone, in the folder of --output; prints JSON.")] = None,
) -> None:
    """Measure planning, overhead, syncing, report and memory of a large run."""
    if step is not None:
        found = STEPS[step](output, cells)
        print(json.dumps({**found, "memory": memory_mb()}))
        return
    from bench.environment import machine

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fill(folder, cells, run)
        results = {name: in_a_process(name, folder, cells) for name in STEPS}
        rows_bytes = (folder / "large" / "rows.jsonl").stat().st_size
    memories = {name: result.pop("memory") for name, result in results.items()}
    found = {key: value for result in results.values() for key, value in result.items()}
    found |= {
        "command": " ".join(["python -m bench.scale", *sys.argv[1:]]),
        "machine": machine(),
        "memory": max(memories.values()),
        "memories": memories,
        "rows_bytes": rows_bytes,
    }
    output.mkdir(parents=True, exist_ok=True)
    (output / "scale.json").write_text(json.dumps(found, indent=1) + "\n")
    (output / "table.md").write_text(markdown(found), encoding="utf-8")
    typer.echo(markdown(found))


if __name__ == "__main__":
    typer.run(main)
