"""Who gets which cell next, on this machine or on many.

Cells come in groups that share a matrix (data set, feature set, repeat, fold); a worker keeps to its group, so the matrix is
made once, and takes from another's group only when no untouched one is left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import asdict, replace

from bench.cell import Cell, Row


class Dealer:
    """Who gets which cell next. A group is (threads, *fold): cells that share a matrix and a kind of worker.

    Examples
    --------
    >>> cells = [Cell("iris", "raw", m, "sklearn", 1, 0, fold, 0) for fold in (0, 1) for m in ("lda", "qda")]
    >>> dealer = Dealer(cells)
    >>> [dealer.next(worker, threads=1).fold for worker in ("one", "other", "one")], dealer.n_left
    ([0, 1, 0], 1)
    """

    def __init__(self, cells: Sequence[Cell]):
        self._groups: dict[tuple, deque[Cell]] = {}
        for cell in cells:
            self._groups.setdefault(_group(cell), deque()).append(cell)
        self._untouched = dict.fromkeys(self._groups)  # groups that no worker has begun, in order
        self._current: dict[Hashable, tuple] = {}  # worker -> its group
        self._lost: dict[tuple, Row] = {}  # fold -> why its features cannot be made, until its cells are taken out
        self.n_left = len(cells)
        self.gave_up = False  # whether the features of any fold could not be made

    def threads_needed(self) -> int:
        """Return the thread setting that the next cell wants."""
        return next(iter(self._groups))[0]

    def next(self, worker: Hashable, threads: int) -> Cell | None:
        """Return the next cell for a worker: of its own group, of an untouched one, or of the fullest of the others."""
        group = self._current.get(worker)
        if group not in self._groups:
            group = next((g for g in self._untouched if g[0] == threads), None)
        if group is None:
            begun = (g for g in self._groups if g[0] == threads)
            group = max(begun, key=lambda g: len(self._groups[g]), default=None)
        if group is None:
            return None
        self._untouched.pop(group, None)
        self._current[worker] = group
        cell = self._groups[group].popleft()
        self.n_left -= 1
        if not self._groups[group]:
            del self._groups[group]
        return cell

    def take_back(self, cell: Cell) -> None:
        """Put a cell that was never begun in front again."""
        self._groups.setdefault(_group(cell), deque()).appendleft(cell)
        self.n_left += 1

    def give_up(self, cell: Cell, row: Row) -> None:
        """Remember that the features of the cell's fold cannot be made."""
        self._lost[_fold(cell)] = row
        self.gave_up = True

    def hopeless(self) -> list[Row]:
        """Take out all cells whose features cannot be made; return their rows."""
        rows = []
        for group in [g for g in self._groups if g[1:] in self._lost] if self._lost else []:
            self._untouched.pop(group, None)
            cells = self._groups.pop(group)
            self.n_left -= len(cells)
            rows += [replace(self._lost[group[1:]], **asdict(cell)) for cell in cells]
        self._lost.clear()
        return rows

    def drop(self) -> None:
        """Deal no more: what is left stays without a row."""
        self._groups.clear()
        self._untouched.clear()
        self.n_left = 0


def _group(cell: Cell) -> tuple:
    return (cell.threads, *_fold(cell))


def _fold(cell: Cell) -> tuple:
    return (cell.dataset, cell.feature_set, cell.repeat, cell.fold, cell.seed)


