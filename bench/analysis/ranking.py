"""Ranks over data sets under two policies for what failed, and where the two disagree.

A contestant that timed out on the largest data set has no score there. To leave the data set out spares it; to give it the
worst place may punish a limit that was set too low. Neither is right, so both are shown:

* **worst score imputed**: a fold without a score gets the lowest that any contestant has on that fold;
* **complete cases only**: data sets (or, of one data set, folds) on which all contestants have all their scores.

Where they put two contestants in opposite order, a reader must know that the failures decide it: `Ranking.disagreement` says
so. What cannot apply to a data set (``skipped``: a ConvNet on a table) is no failure; such a contestant takes no part over
data sets, and `Ranking.left_out` says why.

Over several data sets each is one block, and Friedman's test with Nemenyi's critical difference is asked. With a single
one there is nothing to rank over: its contestants are ranked by their means, and no test is made (``bench/analysis/pairs.py``
has the pairs).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.simplicity import base_name
from bench.statistics import ranks
from bench.statistics.ranks import Friedman
from bench.tables import ContestantKey, DatasetTable, FoldKey, Summary

IMPUTED, COMPLETE = "worst score imputed", "complete cases only"


@dataclass(frozen=True)
class Policy:
    """Mean ranks under one policy.

    Attributes
    ----------
    blocks : tuple of str
        The data sets (or the folds of one) that it goes by.
    mean_ranks : mapping
        By contestant, 1 for the best; empty where no block is left.
    scores : mapping
        By contestant, its score on each block.
    friedman : Friedman or None
        Over two data sets and three contestants at least.
    groups : tuple of tuples of ContestantKey
        Who is not told apart by Nemenyi's critical difference; each by rank.
    """

    name: str
    blocks: tuple[str, ...]
    mean_ranks: Mapping[ContestantKey, float]
    scores: Mapping[ContestantKey, tuple[float, ...]]
    friedman: Friedman | None = None
    groups: tuple[tuple[ContestantKey, ...], ...] = ()

    @property
    def order(self) -> list[ContestantKey]:
        """Contestants by mean rank, best first."""
        return sorted(self.mean_ranks, key=lambda key: self.mean_ranks[key])


@dataclass(frozen=True)
class Ranking:
    """Contestants over data sets, under both policies.

    Attributes
    ----------
    names : mapping
        Words for each contestant that takes part.
    failures : mapping
        By contestant, how many folds have no score.
    left_out : mapping
        Words of a contestant -> why it takes no part.
    """

    datasets: tuple[str, ...]
    names: Mapping[ContestantKey, str]
    imputed: Policy
    complete: Policy
    failures: Mapping[ContestantKey, int]
    left_out: Mapping[str, str]

    @property
    def reversed_pairs(self) -> list[tuple[ContestantKey, ContestantKey]]:
        """Pairs of which the first is ahead with worst scores imputed, the second on complete cases; the furthest first."""
        a, b = self.imputed.mean_ranks, self.complete.mean_ranks
        if not a or not b:
            return []
        keys = self.imputed.order
        found = [
            (better, worse)
            for i, better in enumerate(keys)
            for worse in keys[i + 1 :]
            if a[better] < a[worse] and b[better] > b[worse]
        ]
        return sorted(found, key=lambda pair: -min(a[pair[1]] - a[pair[0]], b[pair[0]] - b[pair[1]]))

    @property
    def disagreement(self) -> str | None:
        """What to say of where the policies disagree; None where nothing failed."""
        if not any(self.failures.values()):
            return None
        failed = [self.names[key] for key, n in self.failures.items() if n]
        who = _few(failed)
        if not self.complete.mean_ranks:
            return f"Failures ({who}) leave nothing on which all have scores: ranks have the worst score imputed."
        pairs = self.reversed_pairs
        if not pairs:
            return f"The two policies for failures ({who}) agree on the order of all contestants."
        better, worse = pairs[0]
        n = len(pairs)
        more = f"; so in {n - 1} other pair{'s' if n > 2 else ''}" if n > 1 else ""
        first = "" if self.imputed.order[0] == self.complete.order[0] else " Not even the first place is the same."
        return (
            f"The policies for failures ({who}) disagree: with the worst score imputed {self.names[better]} is ahead of "
            f"{self.names[worse]}, on complete cases behind it{more}.{first}"
        )


def rank(tables: Sequence[DatasetTable]) -> Ranking | None:
    """Rank contestants over data sets; None where fewer than two take part, or none of the tables may be ranked.

    Parameters
    ----------
    tables : sequence of DatasetTable
        Those whose rows did not see the same data are passed over.
    """
    tables = [t for t in tables if t.mismatch is None and any(s.n for s in t.cells.values())]
    if not tables:
        return None
    keys = list(dict.fromkeys(key for t in tables for key in t.cells))
    left_out = {key: why for key in keys if (why := _why_left_out(key, tables))}
    taking_part = [key for key in keys if key not in left_out]
    if len(taking_part) < 2:
        return None
    names = {key: _name(key, tables) for key in keys}
    failures = {key: sum(t.cells[key].n_expected - t.cells[key].n for t in tables) for key in taking_part}
    return Ranking(
        tuple(t.dataset for t in tables),
        {key: names[key] for key in taking_part},
        _imputed(taking_part, tables),
        _complete(taking_part, tables),
        failures,
        {names[key]: why for key, why in left_out.items()},
    )


def _why_left_out(key: ContestantKey, tables: Sequence[DatasetTable]) -> str:
    without = [t.dataset for t in tables if key not in t.cells]
    skipped = [t.dataset for t in tables if key in t.cells and t.cells[key].statuses.get("skipped")]
    if skipped:
        return f"cannot apply to {_few(skipped)}"
    if without:
        return f"not run on {_few(without)}"
    if base_name(key[1]) == "dummy":
        return "the score to beat, not a contestant"
    return "" if any(t.cells[key].n for t in tables) else "no score on any data set"


def _imputed(keys: Sequence[ContestantKey], tables: Sequence[DatasetTable]) -> Policy:
    blocks, columns = [], []
    for table in tables:
        summaries = [table.cells[key] for key in keys]
        worst = _worst_by_fold(summaries)
        if worst:
            blocks.append(table.dataset)
            columns.append([_mean(s.scores.get(fold, low) for fold, low in worst.items()) for s in summaries])
    return _policy(IMPUTED, blocks, columns, keys)


def _worst_by_fold(summaries: Sequence[Summary]) -> dict[FoldKey, float]:
    worst: dict[FoldKey, float] = {}
    for summary in summaries:
        for fold, score in summary.scores.items():
            worst[fold] = min(worst.get(fold, math.inf), score)
    return worst


def _complete(keys: Sequence[ContestantKey], tables: Sequence[DatasetTable]) -> Policy:
    if len(tables) == 1:
        return _complete_folds(keys, tables[0])
    whole = [t for t in tables if all(t.cells[key].complete for key in keys)]
    return _policy(COMPLETE, [t.dataset for t in whole], [[t.cells[key].mean for key in keys] for t in whole], keys)


def _complete_folds(keys: Sequence[ContestantKey], table: DatasetTable) -> Policy:
    """Of one data set: the means over the folds that all contestants have finished."""
    summaries = [table.cells[key] for key in keys]
    folds = [fold for fold in summaries[0].scores if all(fold in s.scores for s in summaries)]
    means = [[_mean(s.scores[fold] for fold in folds) for s in summaries]] if folds else []
    return _policy(COMPLETE, [table.dataset] if folds else [], means, keys)


def _policy(name: str, blocks: Sequence[str], scores: Sequence[Sequence[float]], keys: Sequence[ContestantKey]) -> Policy:
    """`scores` has a line per block, with a score per contestant."""
    if not blocks:
        return Policy(name, (), {}, {})
    means = ranks.mean_ranks(scores)
    friedman, groups = None, ()
    if len(blocks) >= 2 and len(keys) >= 3:
        friedman = ranks.friedman(scores)
        groups = tuple(tuple(keys[i] for i in group) for group in ranks.groups(means, friedman.critical_difference))
    by_contestant = {key: tuple(line[i] for line in scores) for i, key in enumerate(keys)}
    return Policy(name, tuple(blocks), dict(zip(keys, means, strict=True)), by_contestant, friedman, groups)


def _name(key: ContestantKey, tables: Sequence[DatasetTable]) -> str:
    """Return the longest of a contestant's names: a backend is told where any of the tables must tell it."""
    return max((t.name(t.cells[key]) for t in tables if key in t.cells), key=len)


def _mean(values) -> float:
    values = list(values)
    return math.fsum(values) / len(values)


def _few(names: Sequence[str], limit: int = 3) -> str:
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")
