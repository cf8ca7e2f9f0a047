"""The command `depthbench`. What is imported here is what every `--help` waits for, so heavy things come inside.

Exit codes: 0 all cells done or skipped; 1 some cells failed (the run is complete and readable); 2 bad usage or input;
3 nothing ran; 130 interrupted.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from bench.compare.command import compare
from bench.datasets.command import app as data_app
from bench.errors import InputError
from bench.micro.command import kernels
from bench.profiling.command import profile
from bench.selftest.command import check
from bench.studies.command import study

app = typer.Typer(
    name="depthbench",
    help="How deep does a model need to be? Classical and deep models on identical features, scored and timed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

BAD_INPUT, INTERRUPTED = 2, 130


def main() -> None:
    """Entry point of the command."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def answers_bad_input(command: Callable) -> Callable:
    """Turn an `InputError` into its message and exit code 2."""

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except InputError as e:
            print(f"error: {e}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from None
        except BrokenPipeError:  # whoever reads our output has seen enough
            sys.stderr.close()
            raise typer.Exit(0) from None

    return wrapped


def _listed(values: list[str] | None) -> list[str]:
    """Take ``-m lda -m knn`` and ``-m lda,knn`` alike."""
    return [part.strip() for value in values or [] for part in value.split(",") if part.strip()]


@app.command()
@answers_bad_input
def run(
    suite: Annotated[str | None, typer.Argument(help="A shipped suite, or the path of a .toml file. [digits]")] = None,
    dataset: Annotated[list[str] | None, typer.Option("-d", "--dataset", help="Only these data sets.")] = None,
    features: Annotated[list[str] | None, typer.Option("-f", "--features", help="Only these feature sets.")] = None,
    model: Annotated[
        list[str] | None, typer.Option("-m", "--model", help="Only these models; package.module:factory for your own.")
    ] = None,
    backend: Annotated[list[str] | None, typer.Option("-b", "--backend", help="Backends of the deep models.")] = None,
    repeats: Annotated[int | None, typer.Option("-r", "--repeats", help="How often the folds are drawn anew.")] = None,
    folds: Annotated[int | None, typer.Option("--folds", help="Folds of the cross-validation.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="What all random numbers derive from.")] = None,
    threads: Annotated[str | None, typer.Option("--threads", help="Threads per worker, or several: 1,2.")] = None,
    tune: Annotated[
        int | None, typer.Option("--tune", help="Tune every model too: so many configurations for each.")
    ] = None,
    tune_seconds: Annotated[
        float | None, typer.Option("--tune-seconds", help="Tune every model too: so many seconds for each.")
    ] = None,
    timeout: Annotated[float | None, typer.Option("--timeout", help="Seconds before a cell is killed.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="Kill a worker that grows beyond, e.g. 2GB.")] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Rank classifiers by accuracy or balanced_accuracy (rare classes).")
    ] = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", help="Workers beside each other; they share caches.")] = None,
    pin: Annotated[
        bool | None, typer.Option("--pin/--no-pin", help="Give each worker processors of its own.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Your own data: .csv, .parquet, .arff, .npz, or a folder of images.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help="The column of --data to predict.")] = None,
    preset: Annotated[
        str | None, typer.Option("--preset", help="A fixed part of each data set: S 1,000 samples, M 10,000, L all.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder for runs. [results/runs]")] = None,
    resume: Annotated[str | None, typer.Option("--resume", help="Finish this run: its id, or its folder.")] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", help="Run what fits into this time, whole folds first: 30min, 1.5h.")
    ] = None,
    executor: Annotated[str, typer.Option("--executor", help="local, or dask: on the workers of a cluster.")] = "local",
    scheduler: Annotated[str | None, typer.Option("--scheduler", help="Address of the dask scheduler.")] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Report with Wilcoxon-Holm, Bayesian tests and bootstrap.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and how long it takes; run nothing.")] = False,
    cells: Annotated[bool, typer.Option("--cells", help="With --dry-run: every cell, as when the output is piped.")] = False,
) -> None:
    """Run a suite; options narrow it down or override it. Ends with the table; the run folder keeps everything."""
    from bench import commands

    overrides = {
        "datasets": [*_listed(dataset), *([str(data.absolute())] if data else [])],
        "features": _listed(features),
        "models": _listed(model),
        "backends": _listed(backend),
        "repeats": repeats,
        "folds": folds,
        "seed": seed,
        "threads": _listed([threads]) if threads is not None else None,
        "tune": tune,
        "tune_s": tune_seconds,
        "metric": metric,
        "timeout_s": timeout,
        "memory_bytes": memory,
        "jobs": jobs,
        "pin": pin,
        "target": target,
        "preset": preset,
    }
    given = {k: v for k, v in overrides.items() if v is not None and v != []}
    code = commands.run(
        suite, given, output, resume,
        budget=budget, executor=executor, scheduler=scheduler, statistics=statistics, dry_run=dry_run, list_cells=cells,
    )  # fmt: skip
    raise typer.Exit(code)


@app.command(name="list")
@answers_bad_input
def list_(
    what: Annotated[
        str | None,
        typer.Argument(help="datasets, features, models, architectures, kernels, backends, suites or studies; all if left out"),
    ] = None,
) -> None:
    """List what there is: one name and its line per row."""
    from bench import listing

    print(listing.render(what))


@app.command()
@answers_bad_input
def report(
    run: Annotated[list[str], typer.Argument(help="A run id, or the path of a run folder; several are merged.")],
    format: Annotated[
        str | None, typer.Option("--format", help="html, md, csv, tex, json or parquet, to standard output.")
    ] = None,
    into: Annotated[Path | None, typer.Option("--into", help="Write the report's files into this folder.")] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="With Wilcoxon-Holm, Bayesian tests and bootstrap.")
    ] = False,
    under: Annotated[
        str | None, typer.Option("--under", help="Only the best within limits: latency=1ms,fit=10s,memory=100MB,accuracy=95%.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Rank classifiers by accuracy or balanced_accuracy. [what the suite names]")
    ] = None,
    explain: Annotated[
        str | None, typer.Option("--explain", help="What one cell saw and cost: digits/raw/svc_rbf, svc raw fold=3, #17.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of runs. [results/runs]")] = None,
) -> None:
    """Make the tables and the report of a run again, from its rows alone; of several runs of one machine, one report."""
    from bench import commands

    if explain is not None:
        commands.explain(run, explain, output)
        return
    commands.report(run, format, output, into, statistics=statistics, under=under, metric=metric)


app.command(name="profile")(answers_bad_input(profile))
app.command(name="kernels")(answers_bad_input(kernels))
app.command(name="compare")(answers_bad_input(compare))
app.command(name="check")(answers_bad_input(check))
app.command(name="study")(answers_bad_input(study))
app.add_typer(data_app, name="data")


@app.command()
@answers_bad_input
def env() -> None:
    """Show the machine, versions, instruction set and threads."""
    from bench import listing

    print(listing.environment())


if __name__ == "__main__":
    main()
