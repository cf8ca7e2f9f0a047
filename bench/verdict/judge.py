"""The decision: who is best, who is simplest of those not worse, and what depth gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.simplicity import depth_of, is_deep, is_network, simplicity
from bench.statistics import MIN_FOLDS, adjust_in_order
from bench.tables import DatasetTable, Summary
from bench.verdict.model import ACCURACIES, ALPHA, CLASSES, FOLDS, SAMPLES, WALK_CONFIDENCE, Verdict
from bench.verdict.reference import ByFolds, p_worse
from bench.verdict.samples import ByAccuracies, ByClasses, BySamples, classes_of, right_of, test_size
from bench.verdict.units import counted, score
from bench.verdict.words import in_words


def judge(table: DatasetTable, manifest: Mapping[str, Any] | None = None) -> Verdict:
    """Return the verdict on a table; it never raises for want of data, but says what is wanting.

    Parameters
    ----------
    table : DatasetTable
    manifest : mapping, optional
        What run.json holds; ``models`` (name -> family, depth) refines the order of simplicity.
    """
    models = (manifest or {}).get("models")
    ranked = table.ranked
    if table.mismatch is not None:
        return _undecided(table, f"Not ranked: {table.mismatch.what} stand in this table. {table.mismatch}.")
    if not ranked:
        return _undecided(table, _why_none(table))
    ranked.sort(key=lambda s: (-s.mean, simplicity(s, models)))
    best = ranked[0]
    if len(ranked) == 1:
        return _undecided(table, f"Only {table.name(best)} finished every fold: there is nothing to compare it with.")
    in_order = sorted(ranked, key=lambda s: simplicity(s, models))
    order = tuple(s.key for s in in_order)
    basis, compared = _means_of_comparison(ranked)
    if compared is None:
        n = best.n
        text = f"This run cannot tell: {counted(n, 'fold')} cannot show how far scores vary; {MIN_FOLDS} or more can."
        where = "this fold" if n == 1 else "these folds"
        lead = f"{table.name(best)} has the highest score, {score(best)}, on {where}."
        return Verdict(table.dataset, text, {"best": lead}, best=best, order=order)
    others = [s for s in in_order if s.key != best.key]
    comparisons = {s.key: compared.behind(s) for s in others}
    p_values = [p_worse(comparisons[s.key]) for s in others]
    adjusted = p_values if basis in _CORRECTED else adjust_in_order(p_values)
    p_adjusted = {s.key: p for s, p in zip(others, adjusted, strict=True)}
    sizes = {s.key: compared.effect_size(s) for s in others} if basis == FOLDS else {}
    simplest = next(s for s in in_order if s.key == best.key or p_adjusted[s.key] >= ALPHA)
    deep = [s for s in ranked if is_deep(s)]
    classical = [s for s in ranked if not is_deep(s)]
    deeper = [s for s in ranked if depth_of(s, models) > depth_of(simplest, models)] if is_network(simplest) else []
    partial = Verdict(
        table.dataset,
        "",
        {},
        best=best,
        simplest=simplest,
        best_deep=next(iter(deep), None),
        best_classical=next(iter(classical), None),
        gain=compared.between(deep, classical) if deep and classical else None,
        comparisons=comparisons,
        p_adjusted=p_adjusted,
        effect_sizes={key: size for key, size in sizes.items() if size is not None},
        order=order,
        basis=basis,
        ahead=None if simplest.key == best.key else compared.behind(simplest, confidence=_walk_confidence(basis)),
        deepest_gain=compared.between(deeper, [simplest]) if deeper else None,
        best_deeper=next(iter(deeper), None),
    )
    return in_words(table, partial)


#: Their comparisons are corrected for all pairs already.
_CORRECTED = (ACCURACIES, CLASSES)


def _means_of_comparison(ranked: Sequence[Summary]) -> tuple[str, ByFolds | BySamples | ByAccuracies | ByClasses | None]:
    n = ranked[0].n
    if n >= MIN_FOLDS:
        return FOLDS, ByFolds(ranked)
    if n == 1 and test_size(ranked):
        right = right_of(ranked)
        return (ACCURACIES, ByAccuracies(ranked)) if right is None else (SAMPLES, BySamples(ranked, right))
    if n == 1 and classes_of(ranked):
        return CLASSES, ByClasses(ranked)
    return FOLDS, None


def _walk_confidence(basis: str) -> float:
    return 1.0 - ALPHA if basis in _CORRECTED else WALK_CONFIDENCE


def _undecided(table: DatasetTable, text: str) -> Verdict:
    return Verdict(table.dataset, f"This run cannot tell. {text}", {})


def _why_none(table: DatasetTable) -> str:
    if any(s.n for s in table.cells.values()):
        return "No contestant finished every fold, so none can be ranked."
    return "No cell has a score; the footnotes say why."
