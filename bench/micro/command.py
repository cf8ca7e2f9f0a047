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
    peers: Annotated[
        bool, typer.Option("--peers", help="Measure OpenBLAS, PyTorch, ONNX Runtime and scikit-learn too, where installed.")
    ] = False,
    isa: Annotated[
        str | None, typer.Option("--isa", help="Cython kernels in these instruction sets too, comma-separated: v2,v3.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show every case, however many there are.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Keep pytest-benchmark's JSON.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder that gets table.md and benchmarks.json.")
    ] = None,
) -> None:
    """Time every kernel on every backend, after holding its output against the reference."""
    from bench.errors import InputError

    try:
        if output is not None:
            json_file = _folder(output) / "benchmarks.json"
        plan = _plan(pattern, backends, isa, threads, dtype, preset, budget, json_file, peers)
        code = _run(plan, full, output)
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        code = 2
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        code = 130
    if code:
        raise typer.Exit(code)


def _plan(pattern, backends, isa, threads, dtype, preset, budget, json_file, with_peers) -> Plan:
    """Check what was asked for before anything runs."""
    import kernels
    from bench.errors import InputError
    from bench.micro.runner import Plan
    from bench.names import unknown
    from bench.profiling.ceilings import usable_cores

    def listed(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))

    usable = (*kernels.backends(), *kernels.variants())
    chosen = tuple(kernels.backends()) if backends is None else listed(backends)
    if isa is not None:
        sets = [name.removeprefix("cython-") for name in kernels.variants()]
        for name in listed(isa):
            if name not in sets:
                raise unknown("instruction set of this CPU", name, sets)
        chosen = tuple(dict.fromkeys((*chosen, *(f"cython-{name}" for name in listed(isa)))))
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
    return Plan(pattern, chosen, tuple(map(int, counts)), dtypes, preset, budget, json_file, with_peers)


def _folder(path: Path) -> Path:
    from bench.errors import InputError

    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror}") from None
    return path


def _run(plan: Plan, full: bool, output: Path | None) -> int:
    import sys

    from bench.micro import export, runner
    from bench.micro.tables import print_results

    if plan.with_peers:
        _say_what_is_missing()
    outcome = runner.run(plan)
    print_results(outcome, full=full)
    if output is not None and outcome.benchmarks:
        export.write(output, outcome, plan.json_file, ["depthbench", *sys.argv[1:]])
    return outcome.exit_code


def _say_what_is_missing() -> None:
    """A peer that is not here is no error: the others are measured."""
    import importlib.util

    from bench.micro.peers import peers

    reasons = [f"{peer.name}: {reason}" for peer in peers().values() if (reason := peer.missing()) is not None]
    for module, what in (("onnxruntime", "ONNX Runtime"), ("onnx", "ONNX")):
        if importlib.util.find_spec(module) is None:
            reasons.append(f"onnxruntime: {what} is not installed (pip install 'depthbench[peers]')")
    for reason in reasons:
        typer.echo(f"note: left out, {reason}", err=True)
