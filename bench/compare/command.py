"""The command ``depthbench compare``. Exit code 0: nothing got worse; 1: something did; 2: they cannot be compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.compare.measurements import Measurements
    from bench.compare.show import Answer

FORMATS = ("table", "md", "json")
#: The backend whose code nobody tunes: what its times differ by between two results is the machine's doing.
CONTROL = "reference"


def compare(
    a: Annotated[str, typer.Argument(help="The earlier result: a folder or .json of kernels or profile, or a run.")],
    b: Annotated[str, typer.Argument(help="The later one, of the same kind.")],
    relative_to: Annotated[
        str | None, typer.Option("--relative-to", help="Take times relative to this benchmark's, or model's: for two machines.")
    ] = None,
    threshold: Annotated[float, typer.Option(min=0.0, help="Smallest change of a time that counts: 0.05 is 5 %.")] = 0.05,
    format: Annotated[str, typer.Option("--format", help="table, md or json.")] = "table",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of runs. [results/runs]")] = None,
) -> None:
    """Say what got worse from A to B, beyond noise. Exit code: 0 nothing, 1 something, 2 not comparable."""
    import sys

    from rich.console import Console

    from bench.compare import show
    from bench.compare.measurements import read
    from bench.names import unknown

    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    answer = _answer(read(a, output), read(b, output), relative_to, threshold)
    if format == "json":
        print(show.to_json(answer))
    elif format == "md":
        print(show.markdown(answer))
    else:
        show.show(answer, Console(width=None if sys.stdout.isatty() else 80))
    raise typer.Exit(answer.exit_code)


def _answer(a: Measurements, b: Measurements, relative_to: str | None, threshold: float) -> Answer:
    from bench.compare.measurements import RUN, differing
    from bench.errors import InputError

    if a.kind != b.kind:
        raise InputError(f"{a.source} is of kind {a.kind}, {b.source} of kind {b.kind}: only like can be compared with like")
    machines = differing(a, b)
    if a.kind == RUN:
        return _of_runs(a, b, machines, relative_to, threshold)
    if machines and relative_to is None:
        raise InputError(
            f"the results are of different machines ({'; '.join(machines)}), so their times cannot be compared. Name a "
            "benchmark that both have with --relative-to: all times are then taken relative to its time"
        )
    return _of_timings(a, b, relative_to, threshold, machines)


def _of_timings(a: Measurements, b: Measurements, relative_to: str | None, threshold: float, machines: list[str]) -> Answer:
    from bench.compare.measurements import KERNELS
    from bench.compare.show import Answer
    from bench.compare.times import changes, drift, gate
    from bench.errors import InputError

    scale = _scale(a, b, relative_to)
    between = drift(a.timings, b.timings, CONTROL, scale)
    least = gate((a.noise, b.noise, *(() if between is None else (between,))), threshold)
    notes = _missing(a.timings, b.timings)
    if between is not None and between == least:
        notes.append(f"unchanged code (backend {CONTROL}) differs by up to {100 * (between - 1):.0f} % between the two")
    if machines:
        notes.append(f"different machines ({'; '.join(machines)}): times are relative to {relative_to}")
    if None in (a.noise, b.noise) and a.kind == KERNELS:
        notes.append("no A/A pairs in one of the results (its fastest backend ran alone?): a noise of 10 % is assumed")
    found = changes(a.timings, b.timings, least, scale)
    if not found:
        raise InputError(f"{a.source} and {b.source} have no benchmark in common")
    return Answer(a.kind, times=found, least=least, notes=notes)


def _scale(a: Measurements, b: Measurements, relative_to: str | None) -> float:
    from bench.names import unknown

    if relative_to is None:
        return 1.0
    common = [name for name in a.timings if name in b.timings]
    control = next((name for name in common if name == relative_to or name.startswith(f"{relative_to} ")), None)
    if control is None:
        raise unknown("benchmark of both results", relative_to, common)
    return a.timings[control].median_s / b.timings[control].median_s


def _of_runs(a: Measurements, b: Measurements, machines: list[str], relative_to: str | None, threshold: float) -> Answer:
    from bench.compare import scores
    from bench.compare.show import Answer
    from bench.errors import InputError
    from bench.noise import floor_of

    before, after = scores.group(a.run.rows), scores.group(b.run.rows)
    notes = _missing(before, after)
    pairs, other = scores.on_same_samples(before, after)
    changed = scores.score_changes(pairs)
    broken = scores.status_changes(a.run.rows, b.run.rows)
    if other:
        more = f" and {len(other) - 3} more" if len(other) > 3 else ""
        notes.append(f"not compared, as the two runs tested on other samples: {', '.join(other[:3])}{more}")
    if not changed and not broken:
        why = "they were tested on other samples" if other else "no finished cell in common"
        raise InputError(f"{a.source} and {b.source} cannot be compared: {why}")
    times, scale, least = [], 1.0, None
    if relative_to is not None and pairs:
        scale = scores.control_scale(pairs, relative_to)
        notes.append(f"times of B are multiplied by {scale:.3g}, which makes {relative_to} take as long as in A")
    if machines and relative_to is None:
        notes.append(
            f"times are not compared: the runs are of different machines ({'; '.join(machines)}). --relative-to MODEL takes "
            "them relative to a model whose code did not change"
        )
    else:
        floors = (floor_of(a.run.manifest), floor_of(b.run.manifest))
        times = scores.time_changes(pairs, threshold, scale=scale, floors=floors)
        least = scores.least_change(threshold, floors) if times else None
        if machines:
            notes.append(f"different machines ({'; '.join(machines)}): times are relative to {relative_to}")
    return Answer(a.kind, times=times, least=least, scores=changed, statuses=broken, notes=notes)


def _missing(a: dict, b: dict) -> list[str]:
    notes = []
    for here, there, name in ((a, b, "A"), (b, a, "B")):
        only = [key for key in here if key not in there]
        if only:
            more = f" and {len(only) - 3} more" if len(only) > 3 else ""
            notes.append(f"only in {name}: {', '.join(only[:3])}{more}")
    return notes
