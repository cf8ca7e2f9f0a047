"""Runs the pytest-benchmark files in a process of their own and reads what they found.

A process of its own because thread pools size themselves when they are first loaded (``kernels/threads.py``).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.errors import InputError
from kernels.threads import environment

FOLDER = Path(__file__).parent
_COLLECTED = re.compile(r"^collected (\d+) items?(?: / (\d+) deselected)?", re.MULTILINE)


@dataclass(frozen=True)
class Plan:
    """What to run."""

    pattern: str | None
    backends: tuple[str, ...]
    threads: tuple[int, ...]
    dtypes: tuple[str, ...]
    preset: str
    budget_s: float
    json_file: Path | None = None
    with_peers: bool = False

    def command(self, outcomes: Path, json_file: Path) -> list[str]:
        """Return the command line."""
        options = {
            "--kernel-backends": ",".join(self.backends),
            "--kernel-threads": ",".join(map(str, self.threads)),
            "--kernel-dtypes": ",".join(self.dtypes),
            "--kernel-preset": self.preset,
            "--kernel-budget": str(self.budget_s),
            "--kernel-outcomes": str(outcomes),
            "--benchmark-json": str(json_file),
        }
        listed = [f"{name}={value}" for name, value in options.items()]
        listed += ["--kernel-peers"] if self.with_peers else []
        selection = ["-k", self.pattern] if self.pattern else []
        pytest = [sys.executable, "-m", "pytest", str(FOLDER), "-c", str(FOLDER / "pytest.ini")]
        return [*pytest, "--rootdir", str(FOLDER), "--benchmark-only", "--benchmark-quiet", "--tb=short", *listed, *selection]


@dataclass(frozen=True)
class Outcome:
    """What came of a run: pytest-benchmark's JSON, and what got no time."""

    benchmarks: list[dict[str, Any]] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    not_timed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0: all timed; 1: some are wrong or failed; 3: nothing was timed."""
        if not self.benchmarks:
            return 3
        return 1 if self.not_timed else 0


def run(plan: Plan) -> Outcome:
    """Run the benchmarks, with a progress bar on stderr.

    Raises
    ------
    InputError
        The pattern matches nothing or is none of pytest's.
    """
    with tempfile.TemporaryDirectory(prefix="depthbench-") as folder:
        outcomes, log = Path(folder, "outcomes.jsonl"), Path(folder, "log.txt")
        json_file = (plan.json_file or Path(folder, "benchmarks.json")).absolute()
        json_file.unlink(missing_ok=True)  # a file of an earlier run is not this one's result
        outcomes.touch()
        _follow(plan.command(outcomes, json_file), environment(max(plan.threads)), outcomes, log)
        lines = [json.loads(line) for line in outcomes.read_text(encoding="utf-8").splitlines()]
        if not lines:
            raise InputError(_why_nothing_ran(plan, log.read_text(encoding="utf-8", errors="replace")))
        found = json.loads(json_file.read_text(encoding="utf-8")) if json_file.exists() else {}
    return Outcome(
        benchmarks=found.get("benchmarks", []),
        machine=found.get("depthbench", {}),
        not_timed=[line for line in lines if line["outcome"] != "passed"],
    )


def _why_nothing_ran(plan: Plan, log: str) -> str:
    if plan.pattern and (_COLLECTED.search(log) or "-k" in log):
        from kernels.spec import SPECS

        names = ", ".join(spec.name for spec in SPECS)
        return f"-k {plan.pattern!r} matches no benchmark of preset {plan.preset}. Kernels: {names}"
    return "no benchmark ran. What pytest said:\n" + log[-2000:]


def _follow(command: list[str], variables: dict[str, str], outcomes: Path, log: Path) -> None:
    """Run a command to its end while its outcomes move a progress bar."""
    path = os.pathsep.join([str(FOLDER.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = {**os.environ, **variables, "PYTHONPATH": path}
    with log.open("w", encoding="utf-8") as file, _bar() as move:
        process = subprocess.Popen(command, env=settings, stdout=file, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                move(outcomes, log)
                time.sleep(0.1)
        finally:  # also on Ctrl-C, which the process gets as well
            if process.poll() is None:
                process.terminate()
            process.wait()


def title_of(line: dict[str, Any]) -> str:
    """Return what a line of outcomes is about: a kernel and its case, or a network."""
    if "kernel" in line:
        return f"{line['kernel']} {line['case']}"
    return f"{line['task']} {line['network']} batch {line['batch']}"


class _bar:
    """A progress bar whose length is what pytest collected and whose state is the number of outcomes."""

    def __enter__(self) -> Callable[[Path, Path], None]:
        columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self._progress.start()
        self._task = self._progress.add_task("collecting", total=None)
        return self._move

    def __exit__(self, *_) -> None:
        self._progress.stop()

    def _move(self, outcomes: Path, log: Path) -> None:
        # A line that is being written at this moment does not end with a line feed yet.
        done = outcomes.read_text(encoding="utf-8").split("\n")[:-1]
        task = self._progress.tasks[0]
        if task.total is None and (match := _COLLECTED.search(log.read_text(encoding="utf-8", errors="replace"))):
            self._progress.update(self._task, total=int(match[1]) - int(match[2] or 0))
        if done:
            last = json.loads(done[-1])
            self._progress.update(self._task, completed=len(done), description=title_of(last))
