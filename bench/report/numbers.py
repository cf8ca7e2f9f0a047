"""The statistics of a report for programs: plain dictionaries, every number unrounded, what was not computed left out."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from bench.analysis.gains import FactorSplit
from bench.analysis.pairs import Pairs
from bench.analysis.ranking import Policy, Ranking
from bench.analysis.whole import Overall
from bench.report.content import Section
from bench.tables import DatasetTable


def of_section(section: Section) -> dict[str, Any]:
    """Return the statistics of one data set, as docs/columns.md describes them."""
    found, table = section.analysis, section.table
    values: dict[str, Any] = {}
    if found.split is not None:
        values["factor_split"] = _split(table, found.split)
    if found.pairs is not None:
        values["pairs"] = _pairs(table, found.pairs)
    if found.agreements:
        values["backends"] = [
            plain({
                "model": a.first.model, "feature_set": a.first.feature_set, "first": a.first.backend,
                "second": a.second.backend, "n_folds": a.n_folds, "same_scores": a.same_scores,
                "largest_difference": a.largest, "predictions": a.counts, "p_value": a.p_value,
            })
            for a in found.agreements
        ]  # fmt: skip
    if found.policies is not None:
        values["ranks"] = _ranking(found.policies)
    if found.against_best:
        values["against_best"] = [
            {**plain({f.name: getattr(a, f.name) for f in dataclasses.fields(a)[1:]}), "contestant": table.name(a.contestant)}
            for a in found.against_best
        ]
    return values


def of_run(overall: Overall) -> dict[str, Any]:
    """Return the statistics over data sets; empty with a single one."""
    if overall.ranking is None:
        return {}
    names = overall.ranking.names
    values: dict[str, Any] = {"ranks": _ranking(overall.ranking)}
    if overall.over_datasets:
        values["over_datasets"] = [
            plain({**_fields(a), "first": names[a.first], "second": names[a.second]}) for a in overall.over_datasets
        ]
    return values


def _split(table: DatasetTable, split: FactorSplit) -> dict[str, Any]:
    return plain({
        "base": table.name(split.base),
        "picked": [{"contestant": table.name(s), "n_folds": n} for s, n in split.picked],
        "gain": split.gain,
        "shares": split.shares,
        "feature_effects": dict(split.feature_effects),
        "model_effects": {table.labels[line]: part for line, part in split.model_effects.items()},
        "left_out": list(split.left_out),
    })  # fmt: skip


def _pairs(table: DatasetTable, found: Pairs) -> dict[str, Any]:
    names = ("difference", "low", "high", "p_value", "p_adjusted", "effect_size", "detectable")
    k = len(found.contestants)
    return {
        "basis": found.basis,
        "n": found.n,
        "pairs": [
            plain({
                "first": table.name(found.contestants[i]), "second": table.name(found.contestants[j]),
                **{name: float(getattr(found, name)[i, j]) for name in names},
            })
            for i in range(k)
            for j in range(i + 1, k)
        ],
    }  # fmt: skip


def _ranking(found: Ranking) -> dict[str, Any]:
    return {
        "datasets": list(found.datasets),
        "disagreement": found.disagreement,
        "left_out": dict(found.left_out),
        "policies": [_policy(policy, found) for policy in (found.imputed, found.complete)],
    }


def _policy(policy: Policy, found: Ranking) -> dict[str, Any]:
    return plain({
        "name": policy.name,
        "blocks": list(policy.blocks),
        "mean_ranks": {found.names[key]: rank for key, rank in policy.mean_ranks.items()},
        "friedman": policy.friedman,
        "groups": [[found.names[key] for key in group] for group in policy.groups],
    })  # fmt: skip


def _fields(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}


def plain(value: Any) -> Any:
    """Return dataclasses as dictionaries, without what is None or no finite number.

    Examples
    --------
    >>> from bench.statistics.factors import Part
    >>> plain({"part": Part(0.1, 0.0, float("nan")), "n": None})
    {'part': {'value': 0.1, 'low': 0.0}}
    """
    if dataclasses.is_dataclass(value):
        value = _fields(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items() if v is not None and not _not_finite(v)}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def _not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
