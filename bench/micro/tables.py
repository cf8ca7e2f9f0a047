"""Benchmarks as a table: by kernel, or case by case where there are few.

A ratio compares with the reference on the same case, or with the fastest variant of a peer: 12x is twelve times as fast.
It is marked with ~ where it lies inside the noise floor, which the A/A contestants measured: two runs of the same code
differ by that much too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.markup import escape

from bench.micro.peers import FAMILIES, family_of
from bench.micro.runner import Outcome, title_of
from bench.profiling import roofline
from bench.profiling.ceilings import Ceilings
from bench.profiling.printing import rate_cells, seconds, significant, table, wide_enough

#: Above this many benchmarks the table is by kernel.
MANY = 60


@dataclass(frozen=True)
class Measured:
    """One backend on one case."""

    kernel: str
    case: str
    dtype: str
    threads: int
    backend: str
    rate: roofline.Rate
    ratio: float | None  # of the reference's time to this one
    peers: dict[str, float] = field(default_factory=dict)  # of the fastest peer of each family, likewise

    @property
    def setting(self) -> tuple[str, int]:
        return self.dtype, self.threads


def measured(outcome: Outcome) -> list[Measured]:
    """Return what was timed, in its order."""
    ceilings = {(c["dtype"], c["n_threads"]): Ceilings.from_dict(c) for c in outcome.machine["ceilings"]}
    references = [b for b in outcome.benchmarks if b["extra_info"]["backend"] == "reference"]
    contests = {_contest(b): b["stats"]["median"] for b in references}
    fastest: dict[tuple, dict[str, float]] = {}
    for benchmark in outcome.benchmarks:
        family = family_of(benchmark["extra_info"]["backend"])
        if family is not None:
            times = fastest.setdefault(_contest(benchmark), {})
            times[family] = min(benchmark["stats"]["median"], times.get(family, math.inf))
    found = []
    for benchmark in outcome.benchmarks:
        info, median_s = benchmark["extra_info"], benchmark["stats"]["median"]
        machine, work = ceilings[info["dtype"], info["threads"]], (info["flops"], info["bytes"], info.get("resident_bytes"))
        rate = roofline.rate(machine, median_s, *work)
        reference_s = contests.get(_contest(benchmark))
        ratio = None if reference_s is None else reference_s / median_s
        peers = {family: time / median_s for family, time in fastest.get(_contest(benchmark), {}).items()}
        found.append(Measured(*_contest(benchmark), info["backend"], rate, ratio, peers))
    return found


def _contest(benchmark: dict) -> tuple[str, str, str, int]:
    info = benchmark["extra_info"]
    return info["kernel"], info["case"], info["dtype"], info["threads"]


def noise_floor(benchmarks: Iterable[dict]) -> float | None:
    """Return the ratio that 95 % of the A/A pairs stay within, 1.03 say; None where there were none.

    With fewer than 20 pairs it is the largest of them.

    >>> noise_floor([{"extra_info": {"aa_ratio": 0.8}}, {"extra_info": {"aa_ratio": 1.1}}, {"extra_info": {}}])
    1.25
    """
    ratios = [b["extra_info"]["aa_ratio"] for b in benchmarks if "aa_ratio" in b["extra_info"]]
    if not ratios:
        return None
    return float(np.exp(np.quantile(np.abs(np.log(ratios)), 0.95, method="higher")))


def by_kernel(rows: Iterable[Measured]) -> list[Measured]:
    """Add up the cases of each kernel and backend; the ratio is the geometric mean."""
    groups: dict[tuple, list[Measured]] = {}
    for row in rows:
        groups.setdefault((row.kernel, *row.setting, row.backend), []).append(row)
    summed = []
    for (kernel, dtype, threads, backend), members in groups.items():
        logs = [math.log(m.ratio) for m in members if m.ratio is not None]
        ratio = math.exp(sum(logs) / len(logs)) if logs else None
        rate = roofline.total([m.rate for m in members])
        families = dict.fromkeys(family for m in members for family in m.peers)
        peers = {f: _mean([m.peers[f] for m in members if f in m.peers]) for f in families}
        summed.append(Measured(kernel, f"{len(members)} cases", dtype, threads, backend, rate, ratio, peers))
    return summed


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def ratio_cell(row: Measured, floor: float | None) -> str:
    """Return the ratio to the reference, marked where it is inside the noise floor."""
    return "-" if row.backend == "reference" else ratio_text(row.ratio, floor)


def ratio_text(ratio: float | None, floor: float | None) -> str:
    """Return a ratio as text; no figure where it is inside the noise floor.

    Examples
    --------
    >>> ratio_text(1.02, 1.05), ratio_text(2.0, 1.05), ratio_text(None, None)
    ('~1x', '2.00x', '-')
    """
    if ratio is None:
        return "-"
    inside = floor is not None and abs(math.log(ratio)) <= math.log(floor)
    return "~1x" if inside else f"{significant(ratio)}x"


def print_results(outcome: Outcome, *, full: bool = False, width: int | None = None) -> None:
    """Print the table, the noise floor, and what got no time and why."""
    console = wide_enough(width)
    rows = measured(outcome) if outcome.benchmarks else []
    many = len(rows) > MANY and not full
    for setting in dict.fromkeys(row.setting for row in rows):
        mine = [row for row in rows if row.setting == setting]
        same = [b for b in outcome.benchmarks if (b["extra_info"]["dtype"], b["extra_info"]["threads"]) == setting]
        shown = by_kernel(mine) if many else mine
        _print_table(console, shown, setting, noise_floor(same), outcome.machine.get("isa"))
    if many:
        console.print("[dim]times of cases added up, ratios as geometric mean; -k PATTERN or --full for each case[/]")
    _print_not_timed(console, outcome)
    if not rows:
        console.print("Nothing was timed.")


def _print_not_timed(console: Console, outcome: Outcome) -> None:
    """Say what got no time and why; the same reason once."""
    reasons: dict[str, list[str]] = {}
    for line in outcome.not_timed:
        name = f"{title_of(line)} {line['threads']}t {line['backend']}"
        reasons.setdefault(line["message"] or line["outcome"], []).append(name)
    for message, names in reasons.items():
        text = message.removeprefix("Failed: ")
        is_wrong = text.startswith("wrong: ")
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        verdict = "[red]wrong[/]" if is_wrong else "[red]failed[/]"
        console.print(f"{verdict} {names[0]}{more}: {escape(text.removeprefix('wrong: '))}", soft_wrap=True)


def _print_table(console: Console, rows: Sequence[Measured], setting, floor: float | None, isa: str | None) -> None:
    dtype, threads = setting
    title = f"\n{dtype}, {threads} thread{'s' if threads > 1 else ''}" + (f", cython on {isa}" if isa else "")
    families = [f for f in FAMILIES if any(f in row.peers for row in rows)]
    # 80 columns hold the rates or the peers; the files of --output have both.
    columns = ("GFLOP/s", "ceiling", *families) if families else ("GFLOP/s", "GB/s", "ceiling", "reference")
    made = table(
        ("kernel, case", "left"), ("backend", "left"), ("time", "right"), *((c, "right") for c in columns), title=title
    )
    kernel, case = "", ""
    for row in rows:
        if families and family_of(row.backend) is not None:
            continue  # the peers stand in the columns
        if row.kernel != kernel:
            made.add_row(f"[bold]{row.kernel}[/]")
            kernel, case = row.kernel, ""
        gflops, gb_per_s, _, of_ceiling = rate_cells(row.rate)
        name = "  " + row.case if row.case != case else ""
        case = row.case
        if families:
            cells = (gflops, of_ceiling, *(ratio_text(row.peers.get(family), floor) for family in families))
        else:
            cells = (gflops, gb_per_s, of_ceiling, ratio_cell(row, floor))
        made.add_row(name, row.backend, seconds(row.rate.seconds), *cells)
    console.print(made)
    if floor is not None:
        console.print(f"Noise floor, the same code against itself (A/A): a difference of {100 * (floor - 1):.1f}%")
