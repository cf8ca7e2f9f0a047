"""``depthbench profile TARGET``: how far a kernel is from the machine, or where a training step spends its time.

Only typer is imported here; everything else inside the functions, so that ``depthbench --help`` answers at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bench.profiling.ceilings import Ceilings
    from bench.profiling.targets import Target
    from kernels import Kernels
    from kernels.cases import Case

SHAPE_HELP = (
    "Your own sizes. A kernel: its arrays' shapes, 128x28x28x1,5x5x1x6 for conv2d, 512x512,512x512 for gemm, "
    "128x28x28x6,2x2 (and the window) for pooling. A network: its input, 28x28x1."
)
SOURCE_HELP = (
    "A kernel's source and machine code as a page, Cython beside Numba, in KERNEL-source.html or where --html says; "
    "nothing is timed."
)


def profile(
    target: Annotated[str, typer.Argument(help="A kernel (conv2d), or a network whose training step it is (lenet5).")],
    backend: Annotated[str | None, typer.Option("--backend", "-b", help="Default: the fastest there is.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples in a training step.")] = 128,
    threads: Annotated[str, typer.Option(help="Threads; several, 1,2, show how the time scales with them.")] = "1",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float32",
    steps: Annotated[int | None, typer.Option(min=2, help="Timed steps; default: what fits into 4 s.")] = None,
    solver: Annotated[str, typer.Option(help="Of a training step: sgd or adam.")] = "sgd",
    preset: Annotated[str, typer.Option(help="Cases of a kernel: S, M or L.")] = "M",
    pattern: Annotated[str | None, typer.Option("-k", help="Only cases, layers, kernels with this in the name.")] = None,
    shape: Annotated[str | None, typer.Option(help=SHAPE_HELP)] = None,
    option: Annotated[list[str] | None, typer.Option(help="With --shape: a kernel's option, padding=2 say.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the profile as JSON.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Write one step as a Chrome trace (opens in Perfetto).")] = None,
    speedscope: Annotated[Path | None, typer.Option(help="Write one step for speedscope.app.")] = None,
    predict: Annotated[bool, typer.Option("--predict", help="Profile a network's prediction, not its training step.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write all plots as a page, or the roofline as SVG or PNG.")] = None,
    dataset: Annotated[str | None, typer.Option("--dataset", "-d", help="A network: train on this data set.")] = None,
    data: Annotated[Path | None, typer.Option(help="A network: train on your own file; --target names the labels.")] = None,
    label: Annotated[str | None, typer.Option("--target", help="With --data: the column of the labels.")] = None,
    run: Annotated[str | None, typer.Option(help="Store it in this run's folder; the run's report shows it.")] = None,
    source: Annotated[bool, typer.Option("--source", help=SOURCE_HELP)] = False,
) -> None:
    """Profile a kernel, or a model's training step, against the measured ceilings of this machine."""
    from bench.errors import InputError

    try:
        if source:
            _source(target, dtype, preset, pattern, shape, option or [], html)
            return
        _profile(
            target, backend, batch, threads, dtype, steps, solver, preset, pattern, shape, option or [],
            {"json": json_file, "trace": trace, "speedscope": speedscope, "html": html}, predict, (dataset, data, label), run,
        )  # fmt: skip
    except InputError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


def _profile(
    target, backend, batch, threads, dtype, steps, solver, preset, pattern, shape, options, files, predict, data, run
) -> None:
    from bench.errors import InputError
    from bench.profiling import ceilings, output, targets
    from kernels.threads import set_threads

    found = targets.find(target)
    kernels = _load(backend)
    counts = _thread_counts(threads)
    _check(dtype, solver, preset, files)
    of_networks = {
        "--steps": steps, "--trace": files["trace"], "--speedscope": files["speedscope"], "--predict": predict or None,
        "--dataset": data[0], "--data": data[1],
    }  # fmt: skip
    given = [name for name, value in of_networks.items() if value is not None]
    if found.is_kernel and given:
        raise InputError(f"{target} is a kernel: {', '.join(given)} is for networks")
    if not found.is_kernel and options:
        raise InputError(f"{target} is a network: --option is for kernels")
    folder = None if run is None else _run_folder(run)
    samples = None
    if any(data[:2]):
        if shape is not None:
            raise InputError("--shape is for random samples: those of a data set have a shape")
        found, samples = targets.with_data(found, *data, batch, dtype)
    results = []
    for n_threads in counts:
        set_threads(n_threads)
        measured = ceilings.measure(dtype, n_threads)
        if found.is_kernel:
            results.append(_kernel(found, kernels, measured, preset, pattern, shape, options))
        else:
            results.append(_step(found, kernels, measured, batch, steps, solver, pattern, shape, predict, samples))
    if len(results) > 1:
        _print_scaling(results)
    for kind, path in files.items():
        if path is not None:
            output.WRITERS[kind](path, results, kernels.name)
            typer.echo(f"wrote {path}", err=True)
    if folder is not None:
        typer.echo(f"wrote {output.store(folder, results, kernels.name)} and {folder / 'report.html'}", err=True)


def _run_folder(run: str) -> Path:
    from bench.errors import InputError
    from bench.store import StoreError, find_run

    try:
        return find_run(run)
    except StoreError as error:
        raise InputError(str(error)) from None


def _source(name: str, dtype: str, preset: str, pattern, shape, options: list[str], html: Path | None) -> None:
    """Write a kernel's page of source and machine code."""
    from bench.errors import InputError
    from bench.profiling import targets
    from bench.profiling.source import page

    page_file = html or Path(f"{name}-source.html")
    if not targets.find(name).is_kernel:
        raise InputError(f"{name} is a network: --source shows a kernel, one of {', '.join(targets.names()[0])}")
    _check(dtype, "sgd", preset, {"html": page_file})
    if page_file.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--html {page_file}: with --source the suffix must be .html")
    case = _chosen_cases(name, preset, pattern, shape, options, dtype)[0]
    with _progress_console().status(f"reading {name} ..."):
        sides, notes = page.sides_of(case, dtype)
    page.write(page_file, name, dtype, sides, notes)
    for side in sides:
        hot = page.hottest(side)
        what = f"{hot.name}: {page.vectors(hot.code.hot_mix)}" if hot else "no loop that computes"
        typer.echo(f"{side.backend:<7} {what}")
    for note in notes:
        typer.echo(f"note: {note}")
    typer.echo(f"wrote {page_file}", err=True)


def _load(backend: str | None) -> Kernels:
    import kernels
    from bench.errors import InputError

    try:
        return kernels.load(backend or kernels.backends()[0])
    except (ValueError, ImportError) as error:
        raise InputError(str(error)) from None


def _thread_counts(text: str) -> list[int]:
    """Return the thread counts asked for, the fewest first."""
    from bench.errors import InputError
    from bench.profiling.ceilings import usable_cores

    allowed = {str(n): n for n in range(1, usable_cores() + 1)}
    asked = [part.strip() for part in text.split(",") if part.strip()]
    if not asked or not set(asked) <= set(allowed):
        raise InputError(f"--threads must be numbers in 1..{len(allowed)} (the cores here), got {text!r}")
    return sorted({allowed[part] for part in asked})


def _print_scaling(results: list) -> None:
    from bench.profiling import printing
    from bench.profiling.plot import scaling

    made = printing.table(
        *((name, "right") for name in ("threads", "time", "speed-up", "efficiency")), ("", "left"), title="\nThreads"
    )
    for line in scaling(results):
        bar = "#" * round(20 * line["speedup"])
        cells = (str(line["threads"]), printing.seconds(line["time_s"]), f"{line['speedup']:.2f}x")
        made.add_row(*cells, f"{100 * line['efficiency']:.0f}%", bar)
    printing.wide_enough().print(made)


def _check(dtype: str, solver: str, preset: str, files: dict[str, Path | None]) -> None:
    """Refuse what is out of range before anything is measured."""
    from bench.errors import InputError
    from bench.names import unknown

    choices = {"dtype": ("float32", "float64"), "solver": ("sgd", "adam"), "preset": ("S", "M", "L")}
    for (kind, known), value in zip(choices.items(), (dtype, solver, preset), strict=True):
        if value not in known:
            raise unknown(kind, value, known)
    page = files["html"]
    if page is not None and page.suffix.lower() not in (".html", ".htm", ".svg", ".png", ".json"):
        raise InputError(f"--html {page}: the suffix must be .html, .svg, .png or .json")
    for path in files.values():
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"cannot write {path}: there is no folder {path.absolute().parent}")


def _kernel(found: Target, kernels: Kernels, measured: Ceilings, preset, pattern, shape, options) -> Any:
    from rich.progress import Progress

    from bench.profiling import printing
    from bench.profiling.kernel import profile_kernel

    chosen = _chosen_cases(found.name, preset, pattern, shape, options, measured.dtype)
    console = printing.wide_enough()
    with Progress(console=_progress_console(), transient=True) as progress:
        task = progress.add_task(found.name, total=len(chosen))

        def begins(name: str) -> None:
            progress.update(task, description=name, advance=1)

        result = profile_kernel(found.name, kernels, chosen, measured, progress=begins)
    printing.print_kernel(console, result, kernels.name)
    if any(case.wrong for case in result.cases):
        raise typer.Exit(1)
    return result


def _chosen_cases(kernel: str, preset: str, pattern, shape, options, dtype: str) -> tuple[Case, ...]:
    """Return the cases to profile: those of the preset that match, or the one at the sizes given."""
    from bench.errors import InputError
    from bench.profiling import shapes
    from kernels.cases import cases

    if shape is None:
        if options:
            raise InputError("--option belongs to --shape; the cases of a preset have their own")
        every = cases(kernel, preset)
        chosen = tuple(case for case in every if pattern is None or pattern in case.name)
        if not chosen:
            names = ", ".join(case.name for case in every)
            raise InputError(f"no case of {kernel} has {pattern!r} in its name: {names}")
        return chosen
    try:
        case = shapes.case_at(kernel, shape, shapes.parse_options(options))
        case.make(dtype)
    except (ValueError, TypeError) as error:
        raise InputError(f"--shape: {error}") from None
    return (case,)


def _step(found: Target, kernels: Kernels, measured: Ceilings, batch, steps, solver, pattern, shape, predict, samples) -> Any:
    import dataclasses

    from bench.errors import InputError
    from bench.profiling import printing, shapes
    from bench.profiling.machine import instruction_set
    from bench.profiling.step import Prediction, TrainingStep, profile_step

    try:
        if shape is not None:
            (image,) = shapes.parse(shape)
            found = dataclasses.replace(found, input_shape=image)
        if predict:
            step = Prediction(found, kernels, batch, measured.dtype, measured.n_threads, samples=samples)
        else:
            step = TrainingStep(found, kernels, batch, measured.dtype, measured.n_threads, solver, samples=samples)
    except ValueError as error:
        raise InputError(f"{found.name} on {'x'.join(map(str, found.input_shape))}: {error}") from None
    console = printing.wide_enough()
    with _progress_console().status("profiling ..."):
        result = profile_step(step, found, measured, steps)
    lines = [line for line in result.lines if pattern is None or pattern in f"{line.phase} {line.layer} {line.kernel}"]
    if not lines:
        raise InputError(f"no layer or kernel of {found.name} has {pattern!r} in its name")
    printing.print_step(console, result, kernels.name, instruction_set(), lines)
    return result


def _progress_console() -> Any:
    from rich.console import Console

    return Console(stderr=True)
