"""One run from its suite to its report: open the folder, check, plan, run what is not there yet, write the tables.

The folder and run.json are written first, before anything heavy is imported or loaded: whatever happens then, there is a
run that can be named and resumed. All rows go through one writer in one process.
"""

from __future__ import annotations

import errno
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import noise, store
from bench.cell import Cell, Row
from bench.environment import machine
from bench.errors import InputError
from bench.executors import LocalExecutor, WorkerError
from bench.features.cache import default_folder, default_limit
from bench.names import is_tuned
from bench.plan import DatasetInfo, OwnModel, family, has_space, plan, reason_to_skip
from bench.progress import RunProgress, summary
from bench.suite import HOW, Suite
from bench.tuning.trials import TrialLog

DONE, SOME_FAILED, BAD_INPUT, NOTHING_RAN, INTERRUPTED = 0, 1, 2, 3, 130

#: Of a disk that is full or broken, whoever writes to it: the run stops, keeps what it has, and says so.
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)

#: Below the run folder, while it runs: what workers print.
LOGS = "logs"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Target:
    """Which folder a run goes to."""

    run_id: str
    folder: Path


def run(suite: Suite, target: Target, console: Console, command: list[str], *, report: bool = True) -> int:
    """Run, or finish, a suite in a folder; return the exit code.

    Rows that are there already are kept, whatever their status: to try failed cells again, start a new run. Without `report`
    no tables are made of them.

    Raises
    ------
    InputError
        The suite cannot be run, or the folder cannot be used.
    """
    manifest = {
        "run_id": target.run_id,
        "utc_start": store.utc_now(),
        "utc_end": None,
        "command": command,
        "suite": suite.model_dump(mode="json"),
        "environment": machine(),
    }
    with signals_interrupt(), store.Writer(target.folder, manifest) as writer:
        try:
            _check_same(suite, writer)
            return _run(suite, writer, console, command, report)
        except KeyboardInterrupt:
            console.print(f"interrupted: {_how_to_go_on(writer)}", markup=False, highlight=False, soft_wrap=True)
            return INTERRUPTED
        except WorkerError as e:
            what = f"the run stopped: {e}. {_how_to_go_on(writer)}" if len(writer) else f"nothing could be run: {e}"
            console.print(what, markup=False, highlight=False, soft_wrap=True)
            return INTERRUPTED if len(writer) else NOTHING_RAN
        except store.StoreError:  # a full disk, say: the run is to be gone on with
            raise
        except OSError as e:
            if e.errno not in _DISK_ERRORS:
                raise
            raise store.StoreError(f"cannot write: {e.strerror}. {_how_to_go_on(writer)}") from e
        except InputError:
            if writer.is_new and not len(writer):
                shutil.rmtree(writer.folder / LOGS, ignore_errors=True)
                writer.discard()
            raise


def _how_to_go_on(writer: store.Writer) -> str:
    n_cells = writer.manifest.get("n_cells", "?")
    return (
        f"{len(writer)} of {n_cells} cells are in {writer.folder}. Go on with:\n  depthbench run --resume {writer.folder}"
    )


@contextmanager
def signals_interrupt() -> Iterator[None]:
    """Let Ctrl-C and a polite kill end the run in order, also where a shell started it with Ctrl-C ignored."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_same(suite: Suite, writer: store.Writer) -> None:
    """Refuse to mix two suites in one run."""
    if writer.is_new:
        return
    stored, asked = writer.manifest.get("suite", {}), suite.model_dump(mode="json")
    changed = [k for k in asked if k not in HOW and asked[k] != stored.get(k, asked[k])]
    if changed:
        differences = "; ".join(f"{k} = {stored.get(k)!r} there, {asked[k]!r} now" for k in changed)
        raise InputError(f"{writer.folder} holds a run of another suite ({differences}); start a new run for this one")


def _run(suite: Suite, writer: store.Writer, console: Console, command: list[str], report: bool) -> int:
    if not writer.is_new:
        resumed = [*writer.manifest.get("resumed", []), {"utc": store.utc_now(), "command": command}]
        writer.update_manifest(utc_end=None, resumed=resumed)
    _fetch(suite)
    with closing(TrialLog(writer.folder)) as trials, _executor(suite, writer, trials) as executor:
        _plan_and_run(suite, writer, console, executor)
    _remove_empty_logs(writer.folder / LOGS)
    shutil.rmtree(writer.folder / CHECKPOINTS, ignore_errors=True)
    writer.update_manifest(utc_end=store.utc_now())
    if report:
        _report(writer, console)
    return _exit_code(writer)


def _executor(suite: Suite, writer: store.Writer, trials: TrialLog) -> LocalExecutor:
    return LocalExecutor(
        suite_context(suite, writer.folder / CHECKPOINTS),
        writer.folder / LOGS,
        jobs=suite.jobs,
        timeout_s=suite.timeout_s,
        memory_bytes=suite.memory_bytes,
        trials=trials,
    )


def _plan_and_run(suite: Suite, writer: store.Writer, console: Console, executor: LocalExecutor) -> None:
    checked = executor.check(suite.threads[0])
    datasets = {k: DatasetInfo(**{**v, "image_shape": _shape(v)}) for k, v in checked["datasets"].items()}
    own_models = {k: OwnModel(**v) for k, v in checked["own_models"].items()}
    cells = plan(suite, own_models)
    environment = {**machine(), **checked["environment"]}
    facts = {k: asdict(v) for k, v in datasets.items()}
    found = noise.renewed(writer.manifest, checked.get("noise"))
    writer.update_manifest(environment=environment, n_cells=len(cells), datasets=facts, **found)
    console.print(f"run {writer.manifest['run_id']} -> {writer.folder}", markup=False, highlight=False, soft_wrap=True)
    _say_what_was_inferred(datasets, console)
    for warning in noise.warnings_of({"noise": checked.get("noise")}):
        console.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    if suite.tunes and (fixed := [m for m in suite.models if not is_tuned(m) and not has_space(m, own_models)]):
        text = f"not tuned, for they declare no search space: {', '.join(fixed)}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    _run_cells(cells, executor, writer, console, datasets, own_models)


def _fetch(suite: Suite) -> None:
    """Bring what is not at hand before a worker asks for it: here a progress bar can be seen, and one process loads it."""
    from bench import datasets

    for name, file in suite.dataset_files.items():
        if file is None:
            datasets.fetch(name)


def _say_what_was_inferred(datasets: dict[str, DatasetInfo], console: Console) -> None:
    from bench.datasets.show import sentences

    for name, info in datasets.items():
        for sentence in sentences(info.facts):
            console.print(f"{name}: {sentence}", markup=False, highlight=False, soft_wrap=True)


def _shape(info: dict[str, Any]) -> tuple | None:
    return tuple(info["image_shape"]) if info["image_shape"] else None


def suite_context(suite: Suite, checkpoints: Path | None = None) -> dict[str, Any]:
    """Return what workers are told of a suite: the `bench.execution.Context` as plain values."""
    return {
        "dataset_files": suite.dataset_files,
        "target": suite.target,
        "models": suite.models,
        "backends": suite.backends,
        "split": suite.split,
        "folds": suite.folds,
        "repeats": suite.repeats,
        "seed": suite.seed,
        "tune": suite.tune,
        "tune_s": suite.tune_s,
        "feature_backend": suite.backends[0],
        "cache_folder": str(default_folder()),
        "cache_limit_bytes": default_limit(),
        "checkpoint_folder": None if checkpoints is None else str(checkpoints.absolute()),
        "noise_s": noise.limit_s(),
        "n_workers": suite.jobs,
    }


def _run_cells(
    cells: list[Cell],
    executor: LocalExecutor,
    writer: store.Writer,
    console: Console,
    datasets: dict[str, DatasetInfo],
    own_models: dict[str, OwnModel],
) -> None:
    """Write the rows of all cells that have none yet."""
    left = [c for c in cells if c.identity not in writer]
    reasons = {c: reason_to_skip(c, datasets[c.dataset], own_models) for c in left}
    applicable = [c for c in left if reasons[c] is None]
    facts = {"run_id": writer.manifest["run_id"], "n_workers": min(executor.jobs, max(1, len(applicable)))}
    n_failed = len(writer) - writer.counts["ok"] - writer.counts["skipped"]

    def finish(row: Row) -> None:
        row = replace(row, utc=store.utc_now(), family=row.family or family(row.model, own_models), **facts)
        writer.append(row)
        progress.add(row)

    with RunProgress(console, len(cells), len(cells) - len(left), n_failed) as progress:
        for cell in left:
            if reasons[cell] is not None:
                finish(Row(**asdict(cell), status="skipped", message=reasons[cell]))
        for row in executor.run(applicable):
            finish(row)


def show_plan(suite: Suite, console: Console) -> int:
    """Print which cells a suite has, without running any; return the exit code."""
    from bench.execution import Bench, Context

    _fetch(suite)
    bench = Bench(Context(**suite_context(suite)))
    datasets, own_models = bench.check(), bench.own_models
    _say_what_was_inferred(datasets, console)
    cells = plan(suite, own_models)
    reasons = {c: reason_to_skip(c, datasets[c.dataset], own_models) for c in cells}
    for c in cells:
        where = f"{c.dataset} {c.feature_set} {c.model} {c.backend} threads={c.threads} repeat={c.repeat} fold={c.fold}"
        console.print(f"{where}{f'  skipped: {reasons[c]}' if reasons[c] else ''}", soft_wrap=True, highlight=False)
    n_skipped = sum(reason is not None for reason in reasons.values())
    limit = f"{suite.timeout_s:g} s at most for each{', and for each trial of a search' if suite.tunes else ''}"
    console.print(f"{len(cells)} cells: {len(cells) - n_skipped} to run ({limit}), {n_skipped} skipped", highlight=False)
    return DONE if n_skipped < len(cells) else NOTHING_RAN


def _remove_empty_logs(folder: Path) -> None:
    """Keep the logs in which something stands."""
    for log in folder.glob("*.log"):
        if log.stat().st_size == 0:
            log.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _report(writer: store.Writer, console: Console) -> None:
    """Write and print the tables."""
    from bench import report

    report.write_report(writer.folder)
    report.print_table(writer.folder, console)
    console.print(f"{summary(writer.counts)}. {writer.folder}", markup=False, highlight=False, soft_wrap=True)


def _exit_code(writer: store.Writer) -> int:
    """Return the exit code that the rows call for."""
    statuses = set(writer.counts)
    if statuses <= {"skipped"}:
        return NOTHING_RAN
    return DONE if statuses <= {"ok", "skipped"} else SOME_FAILED
