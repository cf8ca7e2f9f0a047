"""Whom contestants are compared with, where there are folds: for each, the one that is best on the others."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from bench.statistics import CONFIDENCE, Comparison, compare_paired
from bench.statistics.effects import hedges_g
from bench.tables import FoldKey, Summary


def reference_scores(contestants: Sequence[Summary]) -> dict[FoldKey, float]:
    """Return, for each fold, the score there of the contestant that is best on the other folds of the same repeat.

    Parameters
    ----------
    contestants : sequence of Summary
        All with the same folds, best first: it breaks ties.
    """
    repeats: dict[tuple[int, int], list[FoldKey]] = defaultdict(list)
    for key in contestants[0].scores:
        repeats[key[:2]].append(key)
    found: dict[FoldKey, float] = {}
    for keys in repeats.values():
        totals = [(math.fsum(s.scores[key] for key in keys), s.scores) for s in contestants]
        for held_out in keys:
            _, picked = max(totals, key=lambda total: total[0] - total[1][held_out])
            found[held_out] = picked[held_out]
    return found


def compare_scores(
    first: Mapping[FoldKey, float],
    second: Mapping[FoldKey, float],
    sizes_of: Summary,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare the scores of the folds of `first`, first minus second; `sizes_of` tells how large the folds are."""
    return compare_paired(
        list(first.values()),
        [second[key] for key in first],
        sizes_of.test_train_ratio,
        n_test=sizes_of.test_size,
        confidence=confidence,
    )


class ByFolds:
    """Comparisons of the contestants of one table, fold by fold.

    Parameters
    ----------
    ranked : sequence of Summary
        Best first.
    """

    def __init__(self, ranked: Sequence[Summary]):
        self._all = ranked[0]
        self._reference = reference_scores(ranked)

    def behind(self, contestant: Summary, confidence: float = CONFIDENCE) -> Comparison:
        """Return reference minus contestant."""
        return compare_scores(self._reference, contestant.scores, contestant, confidence)

    def effect_size(self, contestant: Summary) -> float | None:
        """Return Hedges' g of the folds' differences, reference minus contestant."""
        return hedges_g([score - contestant.scores[key] for key, score in self._reference.items()])

    def between(self, first: Sequence[Summary], second: Sequence[Summary]) -> Comparison:
        """Return the best of some contestants minus the best of others, each picked on the other folds."""
        return compare_scores(reference_scores(first), reference_scores(second), self._all)


def p_worse(comparison: Comparison) -> float:
    """Return the p-value of being worse than the reference: two-sided, and 1 for what is ahead or cannot be tested."""
    return 1.0 if comparison.p_value is None or comparison.difference <= 0.0 else comparison.p_value
