"""Profiles as text for a terminal, 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from bench.profiling import counters
from bench.profiling.ceilings import Ceilings
from bench.profiling.kernel import KernelProfile
from bench.profiling.roofline import Rate
from bench.profiling.step import Line, StepProfile

_WHAT = {"step": "Training step", "prediction": "Prediction"}
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def seconds(value: float) -> str:
    """Return a time with three digits and its unit.

    >>> seconds(0.00123), seconds(12.0), seconds(0.0)
    ('1.23 ms', '12.0 s', '0 s')
    """
    for unit, name in _UNITS:
        if value >= unit:
            return f"{significant(value / unit)} {name}"
    return "0 s"


def significant(value: float) -> str:
    """Return a number with three digits.

    >>> significant(1.234), significant(12.34), significant(123.4), significant(12345.0)
    ('1.23', '12.3', '123', '12345')
    """
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def table(*columns: tuple[str, str], title: str | None = None) -> Table:
    """Return an empty table of (heading, justification)."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading, justify in columns:
        made.add_column(heading, justify=justify, no_wrap=justify == "right", overflow="fold")
    return made


def wide_enough(width: int | None = None) -> Console:
    """Return the console that tables go to: the terminal's width, 80 at least where there is none."""
    console = Console(highlight=False)
    if width or not console.is_terminal:
        console = Console(highlight=False, width=width or max(console.width, 80))
    return console


_RATE_COLUMNS = (("GFLOP/s", "right"), ("GB/s", "right"), ("FLOP/B", "right"), ("ceiling", "right"))


def rate_cells(rate: Rate) -> tuple[str, ...]:
    """Return GFLOP/s, GB/s, arithmetic intensity, and the part of the ceiling that binds, with its name."""
    return (
        significant(rate.gflops), significant(rate.gb_per_s), significant(rate.intensity),
        f"{100 * rate.of_ceiling:.0f}% {rate.bound}",
    )  # fmt: skip


def print_ceilings(console: Console, ceilings: Ceilings) -> None:
    """Say what the machine can do, and how that was measured."""
    threads = "1 thread" if ceilings.n_threads == 1 else f"{ceilings.n_threads} threads"
    console.print(f"[bold]Ceilings of this machine[/], {ceilings.dtype}, {threads}")
    console.print(f"  FMA  {ceilings.fma_gflops:6.1f} GFLOP/s  {ceilings.fma_method}")
    for level in ceilings.levels:
        console.print(f"  {level.name:<4} {level.gb_per_s:6.1f} GB/s     copy, {level.method}")


def print_kernel(console: Console, profile: KernelProfile, backend: str) -> None:
    """Print one line per case."""
    print_ceilings(console, profile.ceilings)
    made = table(("case", "left"), ("time", "right"), *_RATE_COLUMNS, title=f"\n{profile.kernel}, backend {backend}")
    notes = []
    for case in profile.cases:
        if case.rate is None:
            made.add_row(case.case, "[red]wrong[/]", *["-"] * 4)
            notes.append(f"[red]wrong[/] {case.case}: {case.wrong}")
        else:
            made.add_row(case.case, seconds(case.rate.seconds), *rate_cells(case.rate))
    console.print(made)
    for note in notes:
        console.print(note)
    _print_counters(console, [(case.case, case.counters) for case in profile.cases if case.rate is not None], "call")
    _explain(console)


def print_step(console: Console, profile: StepProfile, backend: str, isa: str | None, lines: Sequence[Line]) -> None:
    """Print the step by call and by kernel, and the reconciliation; `lines` are those to show."""
    print_ceilings(console, profile.ceilings)
    wall = profile.wall_s
    by_call = table(
        ("layer", "left"), ("kernel", "left"), ("time", "right"), ("share", "right"), *_RATE_COLUMNS,
        title=f"\n{_WHAT[profile.kind]} of {profile.target.title}, batch {profile.batch}, backend {backend}"
        + (f" ({isa})" if isa and backend == "cython" else ""),
    )  # fmt: skip
    phase = ""
    for line in lines:
        if line.phase != phase:
            phase = line.phase
            by_call.add_row(f"[dim]{phase}[/]")
        by_call.add_row(line.layer, line.kernel, *_line_cells(line, wall))
    console.print(by_call)
    summed = table(("kernel", "left"), ("calls", "right"), ("time", "right"), ("share", "right"), *_RATE_COLUMNS,
                   title="\nBy kernel")  # fmt: skip
    for line in profile.by_kernel():
        if any(shown.kernel == line.kernel for shown in lines):
            summed.add_row(line.kernel, str(line.calls), *_line_cells(line, wall))
    console.print(summed)
    _print_reconciliation(console, profile)
    _print_counters(console, _counted_by_kernel(profile), profile.kind)
    _explain(console)


def _print_counters(console: Console, rows: Sequence[tuple[str, Mapping[str, int]]], each: str) -> None:
    """Print what the machine counted, a row per name, and which counters there are none of and why."""
    usable, reasons = counters.available()
    counted = [event for event in usable if any(values.get(event.name) for _, values in rows)]
    if counted:
        rated = any(counters.derived(values) for _, values in rows)
        heads = [(event.name, "right") for event in counted] + ([("per cycle", "right")] if rated else [])
        made = table(("", "left"), *heads, title=f"\nCounters, one {each}")
        for name, values in rows:
            rates = [f"{rate:.2f}" for rate in counters.derived(values).values()] if rated else []
            made.add_row(name, *(f"{values.get(event.name, 0):,}" for event in counted), *rates)
        console.print(made)
    if not any(event.is_hardware for event in usable):
        console.print(f"[dim]no hardware counters here ({reasons[0] if reasons else 'none'})[/]")


def _counted_by_kernel(profile: StepProfile) -> list[tuple[str, dict[str, int]]]:
    sums: dict[str, dict[str, int]] = {}
    for name, values in profile.counters.items():
        for line, value in zip(profile.lines, values, strict=True):
            of_kernel = sums.setdefault(line.kernel, {})
            of_kernel[name] = of_kernel.get(name, 0) + value
    return [(line.kernel, sums[line.kernel]) for line in profile.by_kernel() if line.kernel in sums]


def _line_cells(line: Line, wall_s: float) -> tuple[str, ...]:
    cells = rate_cells(line.rate)
    if not line.is_kernel:  # it moves bytes, and calculates nothing
        cells = ("-", cells[1], "-", cells[3])
    return (seconds(line.rate.seconds), f"{100 * line.rate.seconds / wall_s:.1f}%", *cells)


def _print_reconciliation(console: Console, profile: StepProfile) -> None:
    kernels_s = sum(line.rate.seconds for line in profile.lines if line.is_kernel)
    others = [line for line in profile.by_kernel() if not line.is_kernel]
    rows = [("kernels", kernels_s), *((line.kernel, line.rate.seconds) for line in others)]
    rows.append(("unexplained", profile.wall_s - profile.explained_s))
    made = table(("", "left"), ("time", "right"), ("share", "right"), title=f"\nReconciliation, one {profile.kind}")
    for name, value in rows:
        sign = "-" if value < 0 else ""
        made.add_row(name, sign + seconds(abs(value)), f"{100 * value / profile.wall_s:.1f}%")
    made.add_row("wall time, not recorded", seconds(profile.wall_s), "100.0%")
    console.print(made)
    console.print(
        f"{profile.batch / profile.wall_s:,.0f} samples/s; recording costs {100 * profile.overhead:+.1f}% of the "
        f"{profile.kind}; medians of {profile.n_steps} of them, plain and recorded in turn, "
        f"after one of {seconds(profile.warmup_s)}"
    )


def _explain(console: Console) -> None:
    console.print(
        "[dim]ceiling: the least time the machine needs (FLOPs at the FMA rate, or bytes at the copy rate of the "
        "fastest memory that holds the call), over the time taken; with the name of the ceiling that binds[/]"
    )
