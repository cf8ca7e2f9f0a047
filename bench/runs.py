"""One run from its suite to its report: open the folder, check, plan, run what is not there yet, write the tables.

The folder and run.json are written first, before anything heavy is imported or loaded: whatever happens then, there is a
run that can be named and resumed. All rows go through one writer in one process.
"""

from __future__ import annotations

import errno
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import features, noise, pinning, planning, store
from bench.budget import left_out
from bench.cell import Row
from bench.environment import machine
from bench.errors import InputError
from bench.executors import Executor, LocalExecutor, WorkerError
from bench.features.cache import default_folder, default_limit
from bench.history import History, Observed
from bench.identity import changed_code
from bench.names import is_tuned
from bench.plan import DatasetInfo, OwnModel, family, has_space, known_depths
from bench.planning import say
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


@dataclass(frozen=True)
class How:
    """How a run goes, which changes nothing in what its cells are.

    Parameters
    ----------
    budget_s : float, optional
        Run only what fits into this time.
    executor : {"local", "dask"}
    scheduler : str, optional
        Address of the dask scheduler.
    statistics : bool
        The report has what ``--statistics`` adds.
    """

    budget_s: float | None = None
    executor: str = "local"
    scheduler: str | None = None
    statistics: bool = False


def run(
    suite: Suite, target: Target, console: Console, command: list[str], *, report: bool = True, how: How | None = None
) -> int:
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
            return _run(suite, writer, console, command, report, how or How())
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


def _run(suite: Suite, writer: store.Writer, console: Console, command: list[str], report: bool, how: How) -> int:
    begin = time.monotonic()
    if not writer.is_new:
        resumed = [*writer.manifest.get("resumed", []), {"utc": store.utc_now(), "command": command}]
        writer.update_manifest(utc_end=None, resumed=resumed)
    if suite.pin:
        if how.executor != "local":
            raise InputError("--pin is for workers of this machine; a cluster's scheduler decides where its workers run")
        pinning.check(suite.jobs, max(suite.threads))
    if how.executor == "local":
        _fetch(suite)
    with closing(TrialLog(writer.folder)) as trials, _executor(suite, writer, trials, console, how) as executor:
        _plan_and_run(suite, writer, console, executor, how, begin)
    _remove_empty_logs(writer.folder / LOGS)
    shutil.rmtree(writer.folder / CHECKPOINTS, ignore_errors=True)
    writer.update_manifest(utc_end=store.utc_now())
    if report:
        _report(writer, console, statistics=how.statistics)
    return _exit_code(writer)


def _executor(suite: Suite, writer: store.Writer, trials: TrialLog, console: Console, how: How) -> Executor:
    limits = {"timeout_s": suite.timeout_s, "memory_bytes": suite.memory_bytes, "trials": trials}
    if how.executor == "dask":
        from bench.cluster import DaskExecutor

        return DaskExecutor(suite_context(suite), how.scheduler, say=lambda text: say(console, text), **limits)
    context = suite_context(suite, writer.folder / CHECKPOINTS)
    return LocalExecutor(context, writer.folder / LOGS, jobs=suite.jobs, pin=suite.pin, **limits)


def _plan_and_run(
    suite: Suite, writer: store.Writer, console: Console, executor: Executor, how: How, begin: float
) -> None:
    """Check, plan, and write the rows of all cells that have none yet."""
    if "numba" in suite.backends and noise.limit_s():
        say(console, "before the first cell the kernels are checked, for which numba compiles them all: about a minute")
    checked = executor.check(suite.threads[0])
    datasets = {k: DatasetInfo(**{**v, "image_shape": _shape(v)}) for k, v in checked["datasets"].items()}
    own_models = {k: OwnModel(**v) for k, v in checked["own_models"].items()}
    if how.budget_s is not None:
        executor.deadline = begin + how.budget_s
    planned = planning.make(
        suite, datasets, own_models, budget_s=how.budget_s, done=writer, n_workers=executor.jobs
    )
    found = noise.renewed(writer.manifest, checked.get("noise"))
    environment = {**(checked.get("machine") or machine()), **checked["environment"]}
    changed = changed_code(writer.manifest.get("environment", {}), environment)
    writer.update_manifest(
        environment=environment,
        n_cells=len(planned.cells),
        models=known_depths(suite.models),
        datasets={k: asdict(v) for k, v in datasets.items()},
        budget=planned.budget,
        **({"kernels_checked": checked["kernels"]} if checked.get("kernels") else {}),
        **found,
    )
    say(console, f"run {writer.manifest['run_id']} -> {writer.folder}")
    _say_what_was_inferred(datasets, console)
    if changed and len(writer):
        text = f"warning: since this run began the code has changed ({', '.join(changed)}): a table ranks no contestant"
        text += " whose folds were made by both; start a new run where that matters"
        say(console, text)
    for warning in noise.warnings_of({"noise": checked.get("noise")}):
        say(console, f"warning: {warning}")
    if suite.tunes and (fixed := [m for m in suite.models if not is_tuned(m) and not has_space(m, own_models)]):
        say(console, f"not tuned, for they declare no search space: {', '.join(fixed)}")
    if planned.left_out():
        say(console, planned.left_out())
    observed = Observed(suite)
    start_s = time.monotonic() - begin
    try:
        _run_cells(planned, executor, writer, console, own_models, observed)
    finally:
        if how.executor == "local" and observed.times:
            history = History.of_this_machine()
            history.learn(observed, start_s)
            history.save(machine()["fingerprint"])
    _say_what_was_left(planned, writer, console)


def _say_what_was_left(planned: planning.Planned, writer: store.Writer, console: Console) -> None:
    """Put right what run.json says of the budget: it may have been used up before the end of the plan."""
    if planned.budget is None:
        return
    out = [c for c in planned.cells if c.identity not in writer]
    taken = [c for c in planned.choice.taken if c.identity in writer]
    budget = {**planned.budget, "n_left_out": len(out), "left_out": left_out(taken, out)}
    writer.update_manifest(budget=budget)
    if len(out) > len(planned.choice.left_out):
        say(console, f"the budget was used up before {len(out) - len(planned.choice.left_out)} of the cells planned")
    if out:
        say(console, f"run what was left out, with more time: depthbench run --resume {writer.folder}")


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
        "tune_metric": suite.tune_metric,
        "predict_batches": suite.predict_batches,
        "feature_backend": suite.backends[0],
        "features_read_backend": any("backend" in features.get(name).reads for name in suite.features),
        "cache_folder": str(default_folder()),
        "cache_limit_bytes": default_limit(),
        "checkpoint_folder": None if checkpoints is None else str(checkpoints.absolute()),
        "noise_s": noise.limit_s(),
        "n_workers": suite.jobs,
    }


def _run_cells(
    planned: planning.Planned,
    executor: Executor,
    writer: store.Writer,
    console: Console,
    own_models: dict[str, OwnModel],
    observed: Observed,
) -> None:
    here = writer.manifest["environment"]
    facts = {
        "run_id": writer.manifest["run_id"],
        "n_workers": min(executor.jobs, max(1, len(planned.choice.taken))),
        "host": here.get("host"),
        "machine_fingerprint": here.get("fingerprint"),
    }
    n_failed = len(writer) - writer.counts["ok"] - writer.counts["skipped"]

    def finish(row: Row) -> None:
        said = {name: value for name, value in facts.items() if getattr(row, name) is None}
        row = replace(row, utc=store.utc_now(), family=row.family or family(row.model, own_models), **said)
        if row.status != "skipped":
            row = replace(row, position=len(writer))
        writer.append(row)
        observed.add(row)
        progress.add(row)

    n_cells = len(planned.cells) - len(planned.choice.left_out)
    with RunProgress(console, n_cells, len(writer), n_failed) as progress:
        for cell, reason in planned.reasons.items():
            finish(Row(**asdict(cell), status="skipped", message=reason))
        for row in executor.run(planned.choice.taken):
            finish(row)
    if machines := getattr(executor, "machines", None):
        writer.update_manifest(machines={**writer.manifest.get("machines", {}), **machines})


def show_plan(
    suite: Suite, console: Console, *, list_cells: bool, budget_s: float | None = None, folder: Path | None = None
) -> int:
    """Print which cells a suite has and how long they should take, without running any; return the exit code.

    Cells that have their row in the run of `folder` are said to be done.
    """
    from bench.execution import Bench, Context

    _fetch(suite)
    bench = Bench(Context(**suite_context(suite)))
    datasets, own_models = bench.check(), bench.own_models
    _say_what_was_inferred(datasets, console)
    stands = folder is not None and (folder / store.MANIFEST).exists()
    done = {row.identity for row in store.read_run(folder).rows} if stands else ()
    planned = planning.make(suite, datasets, own_models, budget_s=budget_s, done=done)
    planning.show(planned, suite, console, list_cells=list_cells)
    return DONE if planned.choice.taken or done else NOTHING_RAN


def _remove_empty_logs(folder: Path) -> None:
    """Keep the logs in which something stands."""
    for log in folder.glob("*.log"):
        if log.stat().st_size == 0:
            log.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _report(writer: store.Writer, console: Console, *, statistics: bool) -> None:
    """Write and print the tables."""
    from bench import report

    report.write_report(writer.folder, statistics=statistics)
    report.print_table(writer.folder, console, statistics=statistics)
    console.print(f"{summary(writer.counts)}. {writer.folder}", markup=False, highlight=False, soft_wrap=True)


def _exit_code(writer: store.Writer) -> int:
    """Return the exit code that the rows call for."""
    statuses = set(writer.counts)
    if statuses <= {"skipped"}:
        return NOTHING_RAN
    return DONE if statuses <= {"ok", "skipped"} else SOME_FAILED
