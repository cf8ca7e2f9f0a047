"""Runs one study, or all, into a folder, and goes on where an earlier start was interrupted.

    DIR/<study>/     study.json, table.md, answer.md, figures/; while it runs also parts/, what is finished of it
    DIR/index.html   all studies of the folder, for reading from top to bottom
    DIR/all.json     while `all` runs: which studies it has finished, so that the next start passes over them
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.errors import InputError
from bench.report import write_atomically
from bench.studies import writing
from bench.studies.context import SEED, Context
from bench.studies.entry import PRESETS, Study

DONE, SOME_FAILED, INTERRUPTED = 0, 1, 130
PARTS, PROGRESS, PAGE = "parts", "all.json", "index.html"


class Teller:
    """Says on a terminal how far a study is, on one line that is written over; elsewhere nothing but whole lines."""

    def __init__(self, stream: Any = None):
        self.stream = sys.stderr if stream is None else stream
        self._is_terminal = self.stream.isatty()
        self._width = 0

    def so_far(self, text: str) -> None:
        if self._is_terminal:
            self.stream.write(f"\r{text[:78]:<{self._width}}")
            self._width = min(78, len(text))
            self.stream.flush()

    def line(self, text: str) -> None:
        if self._is_terminal and self._width:
            self.stream.write(f"\r{'':<{self._width}}\r")
            self._width = 0
        print(text, file=self.stream, flush=True)


def run_study(
    study: Study, preset: str, folder: Path, command: Sequence[str], teller: Teller, *, jobs: int = 1
) -> writing.Finished:
    """Measure a study and write it; parts of an earlier start in the same folder are kept and used.

    Raises
    ------
    InputError
        An unknown preset, data that are not at hand, a package that is missing, a folder that cannot be written.
    """
    from bench.environment import libraries, machine
    from bench.store import utc_now
    from kernels import threads

    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}; allowed: S, M, L")
    parts = folder / PARTS
    try:
        parts.mkdir(parents=True, exist_ok=True)
        ctx = Context(
            study.name, preset, study.presets[preset], parts, _code_of(study), jobs=jobs,
            say=lambda text: teller.so_far(f"{study.name}: {text}"),
        )  # fmt: skip
        threads.set_threads(1)
        begun, start = utc_now(), time.perf_counter()
        measurements = json.loads(json.dumps(writing.plain(study.measure(ctx)), allow_nan=False))
        manifest = {
            "command": list(command),
            "preset": preset,
            "settings": writing.plain(study.presets[preset]),
            "seed": SEED,
            "utc_start": begun,
            "seconds": round(time.perf_counter() - start, 3),
            "parts_kept": ctx.n_kept,  # of an earlier start: their seconds are not among those above
            "datasets": writing.plain(ctx.used),
            "environment": {**machine(), **libraries()},
        }
        found = writing.finished(study, measurements, manifest)
        writing.write(found, folder)
    except OSError as e:
        raise InputError(f"cannot write to {folder}: {e.strerror or e}") from e
    shutil.rmtree(parts, ignore_errors=True)
    return found


def _code_of(study: Study) -> bytes:
    """Return the source of a study's module, or of all modules of its folder."""
    module = sys.modules[study.measure.__module__]
    path = Path(module.__file__)
    package = path.parent
    files = [path] if package == Path(__file__).parent else sorted(package.rglob("*.py"))
    return b"\0".join(file.read_bytes() for file in files)


def run_all(
    studies: Sequence[Study], preset: str, folder: Path, command: Sequence[str], teller: Teller, *, jobs: int = 1
) -> dict[str, str]:
    """Run studies one after another and write the page; return what kept some of them from an answer, by name.

    A study whose data or packages are missing, or that fails, does not keep the others from running. What an interrupted
    start with the same preset and code had finished is not run again.
    """
    finished = _finished_before(folder, preset, studies)
    failed: dict[str, str] = {}
    for number, study in enumerate(studies, start=1):
        place = f"[{number}/{len(studies)}] {study.name}"
        if study.name in finished:
            teller.line(f"{place}: kept, an earlier start finished it")
            continue
        start = time.perf_counter()
        try:
            found = run_study(study, preset, folder / study.name, command, teller, jobs=jobs)
        except InputError as e:
            failed[study.name] = str(e)
            teller.line(f"{place}: not run: {e}")
            continue
        except Exception as e:  # one study that fails must not cost the answers of the others
            import traceback

            failed[study.name] = f"{type(e).__name__}: {e}"
            teller.line(f"{place}: failed\n{traceback.format_exc()}")
            continue
        finished.append(study.name)
        _note_progress(folder, preset, studies, finished)
        teller.line(f"{place}: {found.verdict.outcome}, {time.perf_counter() - start:.0f} s")
    (folder / PROGRESS).unlink(missing_ok=True)
    return failed


def _state(preset: str, studies: Sequence[Study]) -> dict[str, Any]:
    import hashlib

    code = {study.name: hashlib.sha256(_code_of(study)).hexdigest() for study in studies}
    return {"preset": preset, "code": code}


def _finished_before(folder: Path, preset: str, studies: Sequence[Study]) -> list[str]:
    """Return the studies that an interrupted `all` of this preset and code left finished."""
    try:
        noted = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        same = {k for k, v in _state(preset, studies)["code"].items() if noted["code"].get(k) == v}
        done = [n for n in noted["finished"] if n in same and (folder / n / writing.STUDY).exists()]
        return done if noted["preset"] == preset else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def _note_progress(folder: Path, preset: str, studies: Sequence[Study], finished: list[str]) -> None:
    text = json.dumps({**_state(preset, studies), "finished": finished}, indent=1)
    write_atomically(folder / PROGRESS, text.encode())


def redraw(studies: Sequence[Study], folder: Path) -> list[str]:
    """Write answers, tables and figures again from the stored measurements; return a line on each study that has some.

    Raises
    ------
    InputError
        None of the studies has a result in the folder, one cannot be read, or the folder cannot be written.
    """
    lines = []
    for study in studies:
        if (folder / study.name / writing.STUDY).exists():
            found = writing.read(folder / study.name, study)
            try:
                writing.write(found, folder / study.name)
            except OSError as e:
                raise InputError(f"cannot write to {folder}: {e.strerror or e}") from e
            lines.append(f"{study.name}: {found.verdict.outcome}, from stored measurements")
    if not lines:
        raise InputError(f"nothing to redraw: no study.json of {', '.join(study.name for study in studies)} in {folder}")
    return lines


def write_page(folder: Path, studies: Sequence[Study], failed: dict[str, str] | None = None) -> Path:
    """Write ``index.html`` from all studies that have a result in the folder; return its path."""
    from bench.studies.page import to_html

    there = [writing.read(folder / study.name, study) for study in studies if (folder / study.name / writing.STUDY).exists()]
    path = folder / PAGE
    try:
        write_atomically(path, to_html(there, failed or {}).encode())
    except OSError as e:
        raise InputError(f"cannot write to {folder}: {e.strerror or e}") from e
    return path
