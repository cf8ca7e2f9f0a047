"""Which cells of two runs changed: their scores, fold by fold, and their times.

Scores are compared on the folds that both runs have, by the corrected resampled t-test (``bench/statistics/``), the
p-values adjusted by Holm's method, since every model is asked. Times are medians over the same folds; a change counts
where it is larger than `LEAST_TIME` and the folds agree on it (t-test of the logarithms of the ratios, adjusted alike).

Reference: Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6, 65-70.
"""

from __future__ import annotations

import math
import statistics as stats
from collections.abc import Sequence
from dataclasses import dataclass

from bench.cell import Row
from bench.compare.times import FASTER, SAME, SLOWER, Change
from bench.statistics import CONFIDENCE, compare_paired, holm, test_train_ratio

BETTER, WORSE = "better", "worse"
ALPHA = 1.0 - CONFIDENCE
#: Fits last milliseconds and are timed once a fold: nothing below a quarter is taken for a change.
LEAST_TIME = 1.25


@dataclass(frozen=True)
class ScoreChange:
    """The score of one model on one feature set in both runs; `p_value` is adjusted."""

    name: str
    metric: str
    before: float
    after: float
    n_folds: int
    p_value: float | None
    verdict: str


def group(rows: Sequence[Row]) -> dict[str, dict[tuple, Row]]:
    """Return the finished rows by model and setting, and in there by fold."""
    found: dict[str, dict[tuple, Row]] = {}
    for row in rows:
        if row.status == "ok":
            name = f"{row.dataset} {row.feature_set} {row.model} {row.backend} {row.threads}t"
            found.setdefault(name, {})[row.repeat, row.fold, row.seed] = row
    return found


def score_changes(before: dict[str, dict[tuple, Row]], after: dict[str, dict[tuple, Row]]) -> list[ScoreChange]:
    """Compare the scores of what both runs have, the worst first."""
    drafts = []
    for name in sorted(before.keys() & after.keys()):
        folds = sorted(before[name].keys() & after[name].keys())
        a, b = ([runs[name][fold] for fold in folds] for runs in (before, after))
        metric = "accuracy" if folds and a[0].accuracy is not None else "r2"
        if not folds or any(getattr(row, metric) is None for row in (*a, *b)):
            continue
        ratio = test_train_ratio([row.n_train for row in a], [row.n_test for row in a], len(folds))
        n_test = a[0].n_test if metric == "accuracy" else None
        old, new = ([getattr(row, metric) for row in rows] for rows in (a, b))
        drafts.append((name, metric, old, new, compare_paired(new, old, ratio, n_test=n_test)))
    tested = [i for i, draft in enumerate(drafts) if draft[4].p_value is not None]
    adjusted = dict(zip(tested, holm([drafts[i][4].p_value for i in tested]), strict=True))
    found = []
    for i, (name, metric, old, new, comparison) in enumerate(drafts):
        p = adjusted.get(i)
        verdict = SAME if p is None or p >= ALPHA else WORSE if comparison.difference < 0 else BETTER
        found.append(ScoreChange(name, metric, stats.fmean(old), stats.fmean(new), len(old), p, verdict))
    return sorted(found, key=lambda c: (c.after - c.before, c.name))


def time_changes(before: dict[str, dict[tuple, Row]], after: dict[str, dict[tuple, Row]], threshold: float) -> list[Change]:
    """Compare how long fitting took, the worst first."""
    drafts = []
    for name in sorted(before.keys() & after.keys()):
        folds = sorted(before[name].keys() & after[name].keys())
        pairs = [(before[name][fold].time_fit_s, after[name][fold].time_fit_s) for fold in folds]
        pairs = [(a, b) for a, b in pairs if a and b]
        if not pairs:
            continue
        p = _p_value([math.log(b / a) for a, b in pairs])
        drafts.append((name, stats.median(a for a, _ in pairs), stats.median(b for _, b in pairs), p))
    least, found = max(LEAST_TIME, 1.0 + threshold), []
    for (name, a, b, _), p in zip(drafts, holm([d[3] for d in drafts]), strict=True):
        clear = p < ALPHA
        verdict = SLOWER if clear and b > least * a else FASTER if clear and a > least * b else SAME
        found.append(Change(f"{name} fit", a, b, b / a, verdict))
    return sorted(found, key=lambda c: (-c.ratio, c.name))


def _p_value(values: list[float]) -> float:
    """Return the two-sided p-value of a mean of zero; one fold can say nothing."""
    from scipy.stats import ttest_1samp

    if len(values) < 2:
        return 1.0
    if max(values) - min(values) < 1e-12:  # all alike: no variance to test with
        return 0.0 if abs(values[0]) > 1e-12 else 1.0
    return float(ttest_1samp(values, 0.0).pvalue)
