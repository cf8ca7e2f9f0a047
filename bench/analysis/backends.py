"""Backends must not change the answer: same seed, other backend, and how many predictions differ.

Two backends add the same numbers in another order, and round otherwise; over thousands of steps of training that grows into
weights, and at last predictions, that are not the same. That is no fault as long as neither becomes better by it. So each
pair of backends of a model is held against each other on the same test samples: how many predictions differ, and McNemar's
exact test of those on which just one is right. A kernel that is wrong shows here; one that merely rounds does not.

Repeats see the same samples again, which a test must not count twice: the test goes by the first repeat, the counts by all.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.analysis.predictions import Counts, counts
from bench.statistics import holm
from bench.statistics.samples import mcnemar
from bench.tables import DatasetTable, Summary

ALPHA = 0.05


@dataclass(frozen=True)
class Agreement:
    """One model on one feature set, under two backends.

    Attributes
    ----------
    n_folds : int
        That both finished.
    same_scores : int
        Of these, on how many both have the very same score.
    largest : float
        The largest difference of their scores on any fold.
    counts : Counts or None
        Over all folds; None where predictions are not stored.
    p_value : float or None
        McNemar's, exact, of the first repeat; adjusted by Holm's method for all pairs of the table.
    """

    first: Summary
    second: Summary
    n_folds: int
    same_scores: int
    largest: float
    counts: Counts | None = None
    p_value: float | None = None

    @property
    def differs(self) -> bool:
        """Whether one of the two is better beyond chance: then a backend has changed the answer."""
        return self.p_value is not None and self.p_value < ALPHA


def agreements(table: DatasetTable) -> list[Agreement]:
    """Return how backends of the same model agree: each with the next, in the order of the table."""
    groups: dict[tuple, list[Summary]] = defaultdict(list)
    for line in table.lines:
        for feature_set in table.feature_sets:
            cell = table.cell(line, feature_set)
            if cell is not None and cell.n:
                groups[cell.feature_set, cell.model, cell.threads].append(cell)
    found = [
        agreement
        for cells in groups.values()
        for first, second in pairwise(cells)
        if (agreement := _compare(first, second)) is not None
    ]
    tested = [i for i, a in enumerate(found) if a.p_value is not None]
    for i, p in zip(tested, holm([found[i].p_value for i in tested]), strict=True):
        found[i] = replace(found[i], p_value=p)
    return found


def _compare(first: Summary, second: Summary) -> Agreement | None:
    folds = [fold for fold in first.scores if fold in second.scores]
    if not folds:
        return None
    differences = [abs(first.scores[fold] - second.scores[fold]) for fold in folds]
    rows = [{(r.seed, r.repeat, r.fold): r for r in s.scored_rows} for s in (first, second)]
    pairs = {fold: counts(rows[0][fold], rows[1][fold]) for fold in folds}
    total, p_value = None, None
    if all(c is not None for c in pairs.values()):
        total = sum(pairs.values(), Counts())
        begin = min(fold[:2] for fold in folds)
        of_first_repeat = sum((c for fold, c in pairs.items() if fold[:2] == begin), Counts())
        p_value = mcnemar(of_first_repeat.first_only, of_first_repeat.second_only)
    return Agreement(first, second, len(folds), sum(d == 0.0 for d in differences), max(differences), total, p_value)
