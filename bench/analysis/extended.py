"""What ``--statistics`` adds: probabilities instead of p-values, effect sizes, bootstrap, and Wilcoxon over data sets.

Within a data set each contestant is held against the one with the highest mean, as it is: unlike the verdict's reference it
is flattered, but it is a single model that one can ask about. Over data sets the first by mean rank is held against each,
on data sets whose score is the accuracy, with failures imputed as in ``bench/analysis/ranking.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from bench.analysis.ranking import Ranking
from bench.metrics import METRICS
from bench.statistics import MIN_FOLDS, bayes, bootstrap, effects, holm
from bench.statistics.bayes import Posterior
from bench.statistics.ranks import wilcoxon
from bench.tables import ContestantKey, DatasetTable, Summary
from bench.verdict import Verdict

#: With more contestants, all pairs of Wilcoxon's test would take minutes and, adjusted for, find nothing.
MOST_PAIRED = 100


@dataclass(frozen=True)
class AgainstBest:
    """Best minus contestant: mean difference, bootstrap interval, Hedges' g, probabilities, folds won, level and lost."""

    contestant: Summary
    difference: float
    low: float
    high: float
    effect_size: float | None
    posterior: Posterior
    wins: tuple[int, int, int]


@dataclass(frozen=True)
class OverDatasets:
    """First by mean rank minus another, over data sets; `p_adjusted` is of Wilcoxon's test, for all pairs (Holm)."""

    first: ContestantKey
    second: ContestantKey
    n: int
    difference: float
    low: float
    high: float
    p_adjusted: float
    posterior: Posterior


def against_the_best(table: DatasetTable, verdict: Verdict) -> list[AgainstBest]:
    """Hold each ranked contestant against the highest, by folds; the nearest first. Nothing with fewer than three folds."""
    import numpy as np

    best = verdict.best
    if best is None or best.n < MIN_FOLDS:
        return []
    others = [s for s in table.ranked if s.key != best.key]
    if not others:
        return []
    folds = list(best.scores)
    ours = np.array([best.scores[fold] for fold in folds])
    gaps = np.array([ours - np.array([s.scores[fold] for fold in folds]) for s in others])  # (contestants, folds)
    ratio = best.test_train_ratio
    mean, low, high = bootstrap.over_folds(lambda weights: weights @ gaps.T, len(folds), ratio)
    return [
        AgainstBest(
            s,
            float(mean[i]),
            float(low[i]),
            float(high[i]),
            effects.hedges_g(gaps[i].tolist()),
            bayes.correlated_t(gaps[i].tolist(), ratio),
            effects.wins(gaps[i].tolist()),
        )
        for i, s in enumerate(others)
    ]


def over_datasets(found: Ranking, tables: Sequence[DatasetTable]) -> list[OverDatasets]:
    """Hold the first by mean rank against each other contestant, on the data sets whose scores are shares."""
    policy = found.imputed
    shares = {t.dataset for t in tables if METRICS[t.metric].is_share}
    places = [i for i, block in enumerate(policy.blocks) if block in shares]
    keys = policy.order[:MOST_PAIRED]
    if len(places) < 2 or len(keys) < 2:
        return []
    scores = {key: [policy.scores[key][i] for i in places] for key in keys}
    pairs = list(combinations(keys, 2))  # the first by rank stands first in its pairs
    adjusted = dict(zip(pairs, holm([wilcoxon(scores[a], scores[b]) for a, b in pairs]), strict=True))
    first, *others = keys
    lines = []
    for key in others:
        gaps = [a - b for a, b in zip(scores[first], scores[key], strict=True)]
        mean, low, high = bootstrap.over_datasets(gaps)
        posterior = bayes.signed_rank(gaps)
        lines.append(OverDatasets(first, key, len(places), mean, low, high, adjusted[first, key], posterior))
    return lines
