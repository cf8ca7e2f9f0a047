"""Scores that others published, beside ours: marked as theirs, with their source, and never without what keeps them apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.simplicity import is_deep
from bench.tables import DatasetTable, Summary

#: data set here -> the one whose published scores are of interest beside it, and why they do not simply compare
RELATED = {
    "cifar10_jpeg": ("cifar10", "Theirs are of the original CIFAR-10; the images here were re-encoded as JPEG, with losses"),
}
HEADER = ("whose", "model", "score", "source")
LEGEND = (
    "Published scores are figures of others, read in the sources named and not measured here; splits, preparation and tuning "
    "may differ from this run's. Ours are the best deep and the best classical contestant of this table."
)
_HIGHER_IS_BETTER = {"accuracy": True, "r2": True, "rmse": False}
_UNITS = {"accuracy": "%", "r2": "R²", "rmse": "RMSE"}


@dataclass(frozen=True)
class Score:
    """One line of the comparison; ``source`` is empty for ours."""

    is_ours: bool
    model: str
    value: float
    metric: str
    source: str = ""


@dataclass(frozen=True)
class Published:
    """Scores of others with two of ours among them, the best first, and what keeps them apart."""

    scores: tuple[Score, ...]
    caveat: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the scores stand; a line names them by their number, from 1."""
        return tuple(dict.fromkeys(s.source for s in self.scores if not s.is_ours))

    def words(self, score: Score) -> tuple[str, str, str, str]:
        """Return a line as `HEADER` names it."""
        value = f"{100 * score.value:.1f} %" if score.metric == "accuracy" else f"{_UNITS[score.metric]} {score.value:.3f}"
        if score.is_ours:
            return "measured here", score.model, value, "this run"
        return "published", score.model, value, f"[{self.sources.index(score.source) + 1}]"

    @property
    def legend(self) -> str:
        return f"{self.caveat}. {LEGEND}" if self.caveat else LEGEND


def beside(table: DatasetTable, about: str = "") -> Published | None:
    """Return what others published for a data set, with ours; None where nothing is known or nothing was measured.

    Parameters
    ----------
    table : DatasetTable
    about : str
        What the samples here are not, or which part of them was drawn.
    """
    from bench.datasets.references import REFERENCES

    name, caveat = RELATED.get(table.dataset, (table.dataset, ""))
    theirs = [Score(False, r.model, r.value, r.metric, r.source) for r in REFERENCES.get(name, ()) if r.metric in _UNITS]
    if not theirs:
        return None
    metrics = list(dict.fromkeys(s.metric for s in theirs))
    ours = [score for metric in metrics for score in _ours(table, metric)]
    if not ours:
        return None
    caveat = caveat or (f"Theirs are of the data set as published; here: {about}" if about else "")
    ranked = sorted(
        (*ours, *theirs), key=lambda s: (metrics.index(s.metric), -s.value if _HIGHER_IS_BETTER[s.metric] else s.value)
    )
    return Published(tuple(ranked), caveat)


def _ours(table: DatasetTable, metric: str) -> Iterable[Score]:
    sign = 1 if _HIGHER_IS_BETTER[metric] else -1

    def value(summary: Summary) -> float:
        return summary.means[metric]

    for deep in (True, False):
        scored = [s for s in table.cells.values() if s.complete and metric in s.means and is_deep(s) == deep]
        if scored:
            best = max(scored, key=lambda s: sign * value(s))
            yield Score(True, f"{table.name(best)} ({'deep' if deep else 'classical'})", value(best), metric)
