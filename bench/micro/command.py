"""``depthbench kernels``: run the micro-benchmarks in a process of their own, and show them as one table.

Only typer is imported here; everything else inside the functions, so that ``depthbench --help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.micro.runner import Plan


def kernels(
    pattern: Annotated[
        str | None, typer.Option("-k", help="Only benchmarks that match, in pytest's words: 'conv2d and lenet5'.")
    ] = None,
    backends: Annotated[str | None, typer.Option("--backends", "-b", help="Comma-separated; default: all.")] = None,
    threads: Annotated[str, typer.Option(help="Thread counts, comma-separated: 1,2.")] = "1",
    dtype: Annotated[str, typer.Option(help="Comma-separated: float32,float64.")] = "float32",
    preset: Annotated[str, typer.Option(help="Size of the cases: S, M or L.")] = "S",
    budget: Annotated[float, typer.Option(min=0.001, max=60.0, help="Seconds of timing per backend and case.")] = 0.05,
    full: Annotated[bool, typer.Option("--full", help="Show every case, however many there are.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Keep pytest-benchmark's JSON.")] = None,
) -> None:
    """Time every kernel on every backend, after holding its output against the reference."""
    from bench.errors import InputError

    try:
        plan = _plan(pattern, backends, threads, dtype, preset, budget, json_file)
        code = _run(plan, full)
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        code = 2
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        code = 130
    if code:
        raise typer.Exit(code)


def _plan(pattern, backends, threads, dtype, preset, budget, json_file) -> Plan:
    """Check what was asked for before anything runs."""
    import kernels
    from bench.errors import InputError
    from bench.micro.runner import Plan
    from bench.names import unknown
    from bench.profiling.ceilings import usable_cores

    def listed(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))

    usable = kernels.backends()
    chosen = tuple(usable) if backends is None else listed(backends)
    dtypes = listed(dtype)
    for kind, values, known in (
        ("backend", chosen, usable), ("dtype", dtypes, ("float32", "float64")), ("preset", (preset,), ("S", "M", "L")),
    ):  # fmt: skip
        if not values:
            raise InputError(f"no {kind} named; known: {', '.join(known)}")
        for value in values:
            if value not in known:
                raise unknown(kind, value, known)
    counts = listed(threads)
    allowed = [str(n) for n in range(1, usable_cores() + 1)]
    if not counts or not set(counts) <= set(allowed):
        raise InputError(f"--threads must be numbers in 1..{len(allowed)} (the cores here), got {threads!r}")
    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise InputError(f"cannot write {json_file}: there is no folder {json_file.absolute().parent}")
    return Plan(pattern, chosen, tuple(map(int, counts)), dtypes, preset, budget, json_file)


def _run(plan: Plan, full: bool) -> int:
    from bench.micro import runner
    from bench.micro.tables import print_results

    outcome = runner.run(plan)
    print_results(outcome, full=full)
    return outcome.exit_code
