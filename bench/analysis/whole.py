"""All that is said of a table, and of several, in one place; `None` and empty where a table does not allow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.analysis import backends, extended, gains, pairs, ranking
from bench.simplicity import base_name
from bench.tables import DatasetTable
from bench.verdict import Verdict

#: So many contestants are compared in pairs, the highest of each model; more is read by nobody.
MOST_PAIRED = 20
FAILURES = ("failed", "timeout", "out_of_memory", "diverged", "invalid")


@dataclass(frozen=True)
class Analysis:
    """Of one table.

    Attributes
    ----------
    split : gains.FactorSplit or None
        Features or classifier.
    pairs : pairs.Pairs or None
        Each model on its best features against each other.
    agreements : tuple of backends.Agreement
        Same seed, other backend.
    policies : ranking.Ranking or None
        Places under two policies, where something failed.
    against_best : tuple of extended.AgainstBest
        With ``--statistics`` only.
    """

    split: gains.FactorSplit | None = None
    pairs: pairs.Pairs | None = None
    agreements: tuple[backends.Agreement, ...] = ()
    policies: ranking.Ranking | None = None
    against_best: tuple[extended.AgainstBest, ...] = ()


@dataclass(frozen=True)
class Overall:
    """Over the data sets of a run; empty with a single one."""

    ranking: ranking.Ranking | None = None
    over_datasets: tuple[extended.OverDatasets, ...] = ()


def of_table(
    table: DatasetTable, verdict: Verdict, models: Mapping[str, Any] | None = None, *, statistics: bool = False
) -> Analysis:
    """Analyse one table.

    Parameters
    ----------
    table : DatasetTable
    verdict : Verdict
    models : mapping, optional
        "models" of run.json, for the order of simplicity.
    statistics : bool
        With what ``--statistics`` adds.
    """
    if table.mismatch is not None:
        return Analysis()
    contestants = [s for s in pairs.highest_of_each_line(table) if base_name(s.model) != "dummy"]
    failed = any(s.statuses.get(status) for s in table.cells.values() for status in FAILURES)
    return Analysis(
        gains.split(table, models),
        pairs.compare_all(contestants[:MOST_PAIRED]),
        tuple(backends.agreements(table)),
        ranking.rank([table]) if failed else None,
        tuple(extended.against_the_best(table, verdict)) if statistics else (),
    )


def of_run(tables: Sequence[DatasetTable], *, statistics: bool = False) -> Overall:
    """Rank over the data sets of a run."""
    if len(tables) < 2 or (found := ranking.rank(tables)) is None or len(found.imputed.blocks) < 2:
        return Overall()
    return Overall(found, tuple(extended.over_datasets(found, tables)) if statistics else ())
