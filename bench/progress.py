"""How far a run is: a bar with cells done, cells failed and the time left; plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections import Counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.cell import Row

PLAIN_EVERY_S = 5.0
_NOT_FAILURES = ("ok", "skipped")


class RunProgress:
    """Shows each row as it ends; a context manager.

    Parameters
    ----------
    console : Console
        Where to; a terminal gets the bar.
    n_cells, n_done, n_failed : int
        What is planned, and what stood there before this process began.
    """

    def __init__(self, console: Console, n_cells: int, n_done: int = 0, n_failed: int = 0):
        self._console, self.n_cells, self.n_done, self.n_failed = console, n_cells, n_done, n_failed
        self._n_before, self._begin, self._said = n_done, time.monotonic(), 0.0
        self._bar = None
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("{task.description:<28.28}"), BarColumn(bar_width=None), MofNCompleteColumn(),
                TextColumn("{task.fields[failed]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
                console=console, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task("starting", total=n_cells, completed=n_done, failed=self._failed())

    def __enter__(self) -> RunProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def add(self, row: Row) -> None:
        """Count a row; a failure is also said in a line of its own."""
        self.n_done += 1
        if row.status not in _NOT_FAILURES:
            self.n_failed += 1
            first = (row.message or "").splitlines()[0] if row.message else ""
            where = f"{row.dataset}/{row.feature_set}/{row.model} fold {row.fold}"
            self._console.print(f"{row.status}: {where}: {first[:200]}", markup=False, highlight=False, soft_wrap=True)
        if self._bar:
            name = f"{row.feature_set} {row.model}"
            self._bar.update(self._task, completed=self.n_done, description=name, failed=self._failed())
        elif time.monotonic() - self._said >= PLAIN_EVERY_S or self.n_done == self.n_cells:
            self._said = time.monotonic()
            self._console.print(self._line(), highlight=False)

    def _failed(self) -> str:
        return f"{self.n_failed} failed"

    def _line(self) -> str:
        elapsed = time.monotonic() - self._begin
        made = self.n_done - self._n_before
        left = elapsed / made * (self.n_cells - self.n_done) if made else 0.0
        return (
            f"{self.n_done}/{self.n_cells} cells done, {self.n_failed} failed, "
            f"{elapsed:.0f} s elapsed, about {left:.0f} s left"
        )


def summary(counts: Counter[str]) -> str:
    """Put the count of each status into words.

    Examples
    --------
    >>> summary(Counter(ok=12, skipped=2))
    '12 ok, 2 skipped'
    """
    return ", ".join(f"{n} {status}" for status, n in counts.most_common()) or "no cells"
