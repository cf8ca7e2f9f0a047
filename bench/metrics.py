"""What a table may rank by, and how it is written: accuracy, balanced accuracy, R².

A suite names it for its classifications (``metric = "balanced_accuracy"``, or ``depthbench report --metric``): where one class
is rare, whoever always answers with the other is right nearly always, and only the mean over the classes shows it. Regressions
are ranked by R². The two never stand in one table.

To add one: an entry here, a column of `bench.cell.Row`, and what a single split says of it in `bench.statistics.by_class`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A score of which more is better.

    Attributes
    ----------
    name : str
        The field of a row that holds it.
    title : str
    is_share : bool
        Between 0 and 1, written in percent; differences are points.
    """

    name: str
    title: str
    is_share: bool

    @property
    def bounds(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.is_share else (-math.inf, 1.0)

    @property
    def words(self) -> str:
        """The title within a sentence."""
        return self.title.lower() if self.is_share else self.title

    @property
    def unit(self) -> str:
        """What differences are measured in."""
        return "points" if self.is_share else "R²"

    def shown(self, share_digits: int, digits: int = 3) -> tuple[int, int]:
        """Return by what a value is multiplied to be written, and the digits after its point.

        Examples
        --------
        >>> METRICS["accuracy"].shown(1), METRICS["r2"].shown(1)
        ((100, 1), (1, 3))
        """
        return (100, share_digits) if self.is_share else (1, digits)

    def text(self, value: float) -> str:
        """Return a score in the words of its metric.

        Examples
        --------
        >>> METRICS["balanced_accuracy"].text(0.987), METRICS["r2"].text(0.5123)
        ('98.7 %', 'R² 0.512')
        """
        return f"{100 * value:.1f} %" if self.is_share else f"{self.title} {value:.3f}"


METRICS = {
    m.name: m
    for m in (
        Metric("accuracy", "Accuracy", is_share=True),
        Metric("balanced_accuracy", "Balanced accuracy", is_share=True),
        Metric("r2", "R²", is_share=False),
    )
}
#: Those that a suite may name for its classifications.
OF_CLASSES = tuple(name for name, metric in METRICS.items() if metric.is_share)


def errors_by_class(confusion: Any) -> tuple[list[int], list[int]] | None:
    """Return the errors of each class, and its samples, from a row's confusion matrix; None where that is none.

    Examples
    --------
    >>> errors_by_class([[8, 2], [1, 39]]), errors_by_class(None)
    (([2, 1], [10, 40]), None)
    """
    try:
        sizes = [sum(map(int, line)) for line in confusion]
        errors = [n - int(line[i]) for i, (n, line) in enumerate(zip(sizes, confusion, strict=True))]
        if any(len(line) != len(sizes) for line in confusion):
            return None
    except (TypeError, ValueError, IndexError):  # rows come from a file that anyone may have edited
        return None
    return (errors, sizes) if any(sizes) and all(0 <= e <= n for e, n in zip(errors, sizes, strict=True)) else None
