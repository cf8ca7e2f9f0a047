"""What is to be run, before any of it is: which cells, how long they should take, and which fit into a budget.

`Planned` holds the answer for a run and for `--dry-run`. On a terminal a plan is one line for each data set and model; the
cells themselves, one a line, are for a pipe, or where they are asked for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.budget import Choice, choose, duration, facts, words
from bench.cell import Cell
from bench.estimates import GUESSED, MEASURED, MODELLED, Estimates, PlanTime
from bench.plan import DatasetInfo, OwnModel, plan, reason_to_skip

if TYPE_CHECKING:
    from rich.console import Console

    from bench.suite import Suite

_ABOUT_SOURCES = {
    MEASURED: "earlier runs on this machine",
    MODELLED: "the cost model (rough: often off by a factor of two)",
    GUESSED: "a guess (the median of the models that are known)",
}


@dataclass(frozen=True)
class Planned:
    """The cells of a suite and what is known of each before it runs."""

    cells: list[Cell]  # all of them
    reasons: Mapping[Cell, str]  # why some are skipped
    time: PlanTime  # of those that are to be run
    budget: dict[str, Any] | None  # for run.json
    choice: Choice  # of those to be run

    def sources(self) -> str:
        """Say what the seconds rest on."""
        parts = [f"{self.time.sources[s]} of {_ABOUT_SOURCES[s]}" for s in _ABOUT_SOURCES if self.time.sources[s]]
        return f"cells' times: {'; '.join(parts)}" if parts else "no times"

    def left_out(self) -> str:
        """Say what does not fit into the budget; nothing where there is none or all fits."""
        if not self.budget or not self.budget["n_left_out"]:
            return ""
        out = self.budget["left_out"]
        return f"left out for want of time: {', '.join(words(out, dataset) for dataset in out)}"


def make(
    suite: Suite,
    datasets: Mapping[str, DatasetInfo],
    own_models: Mapping[str, OwnModel],
    *,
    budget_s: float | None = None,
    done: Collection[tuple] = (),
    n_workers: int | None = None,
) -> Planned:
    """Plan a suite.

    Parameters
    ----------
    suite : Suite
    datasets, own_models : mapping
        What a worker found.
    budget_s : float, optional
        Take the cells that fit.
    done : collection of identities
        What has its row already.
    n_workers : int, optional
        That run beside each other, if not as many as the suite says.
    """
    cells = plan(suite, own_models)
    left = [c for c in cells if c.identity not in done]
    reasons = {c: reason for c in left if (reason := reason_to_skip(c, datasets[c.dataset], own_models)) is not None}
    applicable = [c for c in left if c not in reasons]
    estimates = Estimates.here(suite, datasets)
    time = estimates.of_plan(applicable, n_workers)
    if budget_s is None:
        return Planned(cells, reasons, time, None, Choice(applicable, []))
    choice = choose(applicable, time.with_shares(), budget_s - time.start_s)
    if choice.left_out:
        time = estimates.of_plan(choice.taken, n_workers)
    return Planned(cells, reasons, time, facts(budget_s, choice, time.seconds), choice)


def show(planned: Planned, suite: Suite, console: Console, *, list_cells: bool) -> None:
    """Print a plan: its cells one by one, or a line for each data set and model; then how many and how long."""
    if list_cells:
        _show_cells(planned, console)
    else:
        _show_models(planned, console)
    for reason, n in Counter(planned.reasons.values()).items():
        if not list_cells:
            say(console, f"skipped: {n} {'cell' if n == 1 else 'cells'}: {reason}")
    n_done = len(planned.cells) - len(planned.reasons) - len(planned.choice.taken) - len(planned.choice.left_out)
    limit = f"{suite.timeout_s:g} s at most for each{', and for each trial of a search' if suite.tunes else ''}"
    parts = [
        f"{len(planned.choice.taken)} to run in about {duration(planned.time.seconds)} ({limit})",
        f"{len(planned.reasons)} skipped",
        *([f"{len(planned.choice.left_out)} left out"] if planned.choice.left_out else []),
        *([f"{n_done} done"] if n_done else []),
    ]
    say(console, f"{len(planned.cells)} cells: {', '.join(parts)}")
    for text in (planned.left_out(), planned.sources()):
        if text:
            say(console, text)


def _show_cells(planned: Planned, console: Console) -> None:
    out = set(planned.choice.left_out)
    done = set(planned.cells) - set(planned.reasons) - set(planned.choice.taken) - out
    for c in planned.cells:
        if c in planned.reasons:
            what = f"skipped: {planned.reasons[c]}"
        else:
            what = "done" if c in done else "left out" if c in out else f"{planned.time.by_cell[c]:.3g} s"
        where = f"{c.dataset} {c.feature_set} {c.model} {c.backend} threads={c.threads} repeat={c.repeat} fold={c.fold}"
        say(console, f"{where}  {what}")


def _show_models(planned: Planned, console: Console) -> None:
    from rich.table import Table

    n: dict[tuple, Counter] = defaultdict(Counter)
    taken = set(planned.choice.taken)
    for c in planned.cells:
        line = n[c.dataset, c.model]
        line["cells"] += 1
        if c in taken:
            line["run"] += 1
            line["s"] += planned.time.by_cell[c]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("data set", "model"):
        table.add_column(name, overflow="fold")
    for name in ("cells", "to run", "time"):
        table.add_column(name, justify="right", no_wrap=True)
    for (dataset, model), line in n.items():
        time = duration(line["s"]) if line["run"] else ""
        table.add_row(dataset, model, str(line["cells"]), str(line["run"]), time)
    if planned.time.shared_s >= 1:
        table.add_row("", "features, imports, start", "", "", duration(planned.time.shared_s))
    console.print(table)


def say(console: Console, text: str) -> None:
    """Print a sentence as it is, however long."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
