"""What `depthbench run` and `depthbench report` do, between the options and the run itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from bench import store
from bench.errors import InputError
from bench.metrics import OF_CLASSES
from bench.names import unknown

EXECUTORS = ("local", "dask")
DEFAULT_SUITE = "digits"
FORMATS = ("html", "md", "csv", "tex", "json", "parquet")


def run(
    suite_name: str | None,
    overrides: dict[str, Any],
    output: Path | None,
    resume: str | None,
    *,
    budget: str | None = None,
    executor: str = "local",
    scheduler: str | None = None,
    statistics: bool = False,
    dry_run: bool = False,
    list_cells: bool = False,
) -> int:
    """Run or finish a suite, or with `dry_run` say what that would be; return the exit code.

    Raises
    ------
    InputError
        Anything that the caller can mend.
    """
    from rich.console import Console

    from bench import runs
    from bench.budget import parse_duration

    if executor not in EXECUTORS:
        raise unknown("executor", executor, EXECUTORS)
    if (executor == "dask") != (scheduler is not None):
        raise InputError("--executor dask and --scheduler ADDRESS go together: the address of a dask scheduler")
    how = runs.How(parse_duration(budget) if budget is not None else None, executor, scheduler, statistics)
    root = output if output is not None else store.RUNS
    folder = _folder_to_resume(resume, root, suite_name is not None and output is not None) if resume else None
    suite = _suite(suite_name, overrides, folder)
    console = Console(soft_wrap=False, width=None if sys.stdout.isatty() else 80)
    if dry_run:
        whole = list_cells or not sys.stdout.isatty()
        return runs.show_plan(suite, console, list_cells=whole, budget_s=how.budget_s, folder=folder)
    if folder is None:
        run_id = store.new_run_id(suite.name)
        folder = root / run_id
    target = runs.Target(_run_id(folder), folder)
    return runs.run(suite, target, console, ["depthbench", *sys.argv[1:]], how=how)


def _run_id(folder: Path) -> str:
    name = folder.absolute().name
    if not store.is_valid_run_id(name):
        raise InputError(f"{name!r} cannot be a run id; use letters, digits, '.', '_' and '-'")
    return name


def _folder_to_resume(resume: str, root: Path, may_be_new: bool) -> Path:
    """Return the folder of the run to finish; one without run.json (killed in its first moment) starts afresh.

    With a suite and an output folder given as well, even the folder need not be there yet: the same command line can
    then be repeated until the run is complete, whenever it was killed.
    """
    try:
        return store.find_run(resume, root)
    except store.StoreError:
        for folder in (Path(resume), root / resume):
            if folder.is_dir():
                return folder
        if may_be_new:
            return root / resume
        raise


def _suite(name: str | None, overrides: dict[str, Any], folder: Path | None):
    """Return the suite that was asked for: named, or that of the run to finish, or digits."""
    from bench import suite

    overrides = _absolute_files(overrides)
    if name is None and folder is not None and (folder / store.MANIFEST).exists():
        manifest = store.read_run(folder).manifest
        return suite.validated({**manifest.get("suite", {}), **overrides}, str(folder / store.MANIFEST))
    return suite.load(name or DEFAULT_SUITE, **overrides)


def _absolute_files(overrides: dict[str, Any]) -> dict[str, Any]:
    """Name a person's own files in full, so that the run can be resumed from elsewhere."""
    from bench.suite import is_file

    if "datasets" not in overrides:
        return overrides
    return {**overrides, "datasets": [str(Path(d).absolute()) if is_file(d) else d for d in overrides["datasets"]]}


def report(
    run_names: list[str], format: str | None, output: Path | None, into: Path | None = None, *,
    statistics: bool = False, under: str | None = None, metric: str | None = None,
) -> None:  # fmt: skip
    """Make the report of a run again, or one of several; print its tables, or the format asked for, or who keeps `under`.

    Classifiers are ranked by `metric`, or by what the suite names.

    The files of several runs are written only where `into` names a folder: none of theirs is the place for it.

    Raises
    ------
    InputError
        No such run, format or metric, or a folder that cannot be written.
    """
    from bench import report as reports

    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if metric is not None and metric not in OF_CLASSES:
        raise unknown("metric", metric, OF_CLASSES)
    from rich.console import Console

    folders = [store.find_run(name, output) for name in run_names]
    console = Console(width=None if sys.stdout.isatty() else 80)
    if under is not None:
        if format not in (None, "md"):
            raise InputError(f"--under is answered on the terminal, or with --format md, not as {format}")
        text = reports.choose(folders, under, None if format else console, metric=metric)
        _write_out(text if format else "", "md")
        return
    if format is not None:
        _write_out(reports.render(folders, format, statistics=statistics, metric=metric), format)
        return
    target = into or (folders[0] if len(folders) == 1 else None)
    if target is not None:
        try:
            reports.write_report(folders, target, statistics=statistics, metric=metric)
        except OSError as e:
            raise InputError(f"cannot write the report to {target}: {e.strerror or e}") from e
    reports.print_table(folders, console, statistics=statistics, metric=metric)


def explain(run_names: list[str], cell: str, output: Path | None) -> None:
    """Print what one cell of a run, or of several, saw, what made it, and what it cost.

    Raises
    ------
    InputError
        No such run or cell, or several cells of that name.
    """
    from bench.explain.chain import explain as explained
    from bench.explain.naming import find
    from bench.report.content import merged

    run = merged([store.find_run(name, output) for name in run_names]).run
    text = explained(find(run.rows, cell), run.rows, run.manifest)
    _write_out(text, "txt")


def _write_out(content: str | bytes, format: str) -> None:
    """Write a report to standard output."""
    if isinstance(content, str):
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(content.encode(encoding, "backslashreplace").decode(encoding))
        return
    if sys.stdout.isatty():
        raise InputError(f"{format} is no text for a terminal: send it to a file, --format {format} > table.{format}")
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
