"""Which cells of two runs changed: what became of them, their scores, and their times.

Only cells that were tested on the same samples are compared: where the hashes of labels or split differ, a change of score
says nothing. Scores are compared on the folds that both runs have, by the corrected resampled t-test; on a single split by
McNemar's exact test of the stored predictions, or its weakest from accuracies alone (``bench/statistics/``). The p-values
are adjusted by Holm's method, since every contestant is asked. A contestant that fails where it did not got worse, whatever
its score.

Times are medians over the same folds; a change counts where it is larger than the noise floor that
either run measured of itself, and the folds agree on it (t-test of the logarithms of the ratios, adjusted alike).

Reference: Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6, 65-70.
"""

from __future__ import annotations

import math
import statistics as stats
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.predictions import Counts, counts
from bench.cell import Row
from bench.compare.times import FASTER, SAME, SLOWER, Change
from bench.names import unknown
from bench.statistics import CONFIDENCE, Comparison, compare_paired, holm, test_train_ratio
from bench.statistics.samples import bounded, compare_samples

BETTER, WORSE = "better", "worse"
ALPHA = 1.0 - CONFIDENCE
#: The noise floor of a run that has none stored: fits last milliseconds and are timed once a fold.
UNKNOWN_NOISE = 1.25


@dataclass(frozen=True)
class ScoreChange:
    """The score of one contestant in both runs; `p_value` is adjusted, the interval of after minus before its own.

    ``n_differ`` of ``n_predictions`` test samples are predicted otherwise; None where predictions are not stored.
    """

    name: str
    metric: str
    before: float
    after: float
    n_folds: int
    p_value: float | None
    verdict: str
    low: float | None = None
    high: float | None = None
    n_predictions: int | None = None
    n_differ: int | None = None


@dataclass(frozen=True)
class StatusChange:
    """A contestant that lost folds, or gained them: how many have a score in each run, and why others have none."""

    name: str
    before: int
    after: int
    verdict: str
    message: str = ""


def name_of(row: Row) -> str:
    """Return the words for the contestant of a row."""
    return f"{row.dataset} {row.feature_set} {row.model} {row.backend} {row.threads}t"


def group(rows: Sequence[Row]) -> dict[str, dict[tuple, Row]]:
    """Return the finished rows by contestant, and in there by fold."""
    found: dict[str, dict[tuple, Row]] = {}
    for row in rows:
        if row.status == "ok":
            found.setdefault(name_of(row), {})[_fold(row)] = row
    return found


def _fold(row: Row) -> tuple:
    return row.repeat, row.fold, row.seed


def status_changes(before: Sequence[Row], after: Sequence[Row]) -> list[StatusChange]:
    """Return whose folds failed in the one run and not in the other, of the cells that both ran; what got worse first."""
    then = {(name_of(row), _fold(row)): row for row in before}
    lost: dict[str, list[tuple[Row, Row]]] = {}
    for row in after:
        earlier = then.get((name_of(row), _fold(row)))
        if earlier is not None and "skipped" not in (earlier.status, row.status):
            lost.setdefault(name_of(row), []).append((earlier, row))
    found = []
    for name, pairs in lost.items():
        n_before, n_after = (sum(pair[i].status == "ok" for pair in pairs) for i in (0, 1))
        if n_before != n_after:
            broken = next((b for a, b in pairs if a.status == "ok" and b.status != "ok"), None)
            why = f"{broken.status}: {' '.join((broken.message or '').split())[:120]}" if broken else ""
            found.append(StatusChange(name, n_before, n_after, WORSE if n_after < n_before else BETTER, why))
    return sorted(found, key=lambda c: (c.after - c.before, c.name))


def on_same_samples(
    before: dict[str, dict[tuple, Row]], after: dict[str, dict[tuple, Row]]
) -> tuple[dict[str, list[tuple[Row, Row]]], list[str]]:
    """Return the pairs of rows of each contestant that may be compared, and the contestants whose samples differ.

    Rows without hashes (runs of old versions, edited files) are taken at their word.
    """
    pairs: dict[str, list[tuple[Row, Row]]] = {}
    other: list[str] = []
    for name in sorted(before.keys() & after.keys()):
        shared = [(before[name][fold], after[name][fold]) for fold in sorted(before[name].keys() & after[name].keys())]
        same = [(a, b) for a, b in shared if not any(_differ(a, b, proof) for proof in ("y_sha256", "split_sha256"))]
        if same:
            pairs[name] = same
        elif shared:
            other.append(name)
    return pairs, other


def _differ(a: Row, b: Row, proof: str) -> bool:
    return None not in (getattr(a, proof), getattr(b, proof)) and getattr(a, proof) != getattr(b, proof)


def score_changes(pairs: dict[str, list[tuple[Row, Row]]]) -> list[ScoreChange]:
    """Compare the scores of what both runs have, the worst first."""
    drafts = []
    for name, rows in pairs.items():
        metric = "accuracy" if rows[0][0].accuracy is not None else "r2"
        if any(getattr(row, metric) is None for pair in rows for row in pair):
            continue
        compared = [counts(a, b) for a, b in rows]
        total = None if None in compared else sum(compared, Counts())
        drafts.append((name, metric, rows, total, _compared(metric, rows, total)))
    tested = [i for i, draft in enumerate(drafts) if draft[4].p_value is not None]
    adjusted = dict(zip(tested, holm([drafts[i][4].p_value for i in tested]), strict=True))
    found = []
    for i, (name, metric, rows, total, c) in enumerate(drafts):
        p = adjusted.get(i)
        verdict = SAME if p is None or p >= ALPHA else WORSE if c.difference < 0 else BETTER
        old, new = ([getattr(pair[side], metric) for pair in rows] for side in (0, 1))
        found.append(
            ScoreChange(
                name, metric, stats.fmean(old), stats.fmean(new), len(old), p, verdict, c.low, c.high,
                None if total is None else total.n, None if total is None else total.differ,
            )
        )  # fmt: skip
    return sorted(found, key=lambda c: (c.after - c.before, c.name))


def _compared(metric: str, rows: Sequence[tuple[Row, Row]], total: Counts | None) -> Comparison:
    """Return after minus before: over folds, or of a single split over its samples."""
    old, new = ([getattr(pair[side], metric) for pair in rows] for side in (0, 1))
    n_test = rows[0][0].n_test
    if len(rows) == 1 and metric == "accuracy" and n_test:
        if total is not None:
            return compare_samples(total.second_only, total.first_only, total.n)
        if old == new:  # as well as can be known: the same
            return Comparison(0.0, 0.0, 0.0, 1.0, 1)
        return bounded(*(round((1.0 - value) * n_test) for value in (new[0], old[0])), n_test)
    ratio = test_train_ratio([a.n_train for a, _ in rows], [a.n_test for a, _ in rows], len(rows))
    return compare_paired(new, old, ratio, n_test=n_test if metric == "accuracy" else None)


def control_scale(pairs: dict[str, list[tuple[Row, Row]]], control: str) -> float:
    """Return the fit time of a contestant before over after: what times of the second run are multiplied by.

    Parameters
    ----------
    control : str
        A model, or the words of a contestant (or their beginning).

    Raises
    ------
    InputError
        Both runs have no such contestant.
    """
    named = [name for name in pairs if name == control or name.startswith(f"{control} ") or name.split()[2] == control]
    ratios = [
        a.time_fit_s / b.time_fit_s for name in named for a, b in pairs[name] if a.time_fit_s and b.time_fit_s
    ]
    if not ratios:
        raise unknown("contestant of both runs", control, sorted({name.split()[2] for name in pairs}))
    return math.exp(stats.fmean(math.log(ratio) for ratio in ratios))


def time_changes(
    pairs: dict[str, list[tuple[Row, Row]]], threshold: float, *, scale: float = 1.0, floors: Sequence[float | None] = ()
) -> list[Change]:
    """Compare how long fitting and predicting took, the worst first.

    Parameters
    ----------
    pairs : dict
        From `on_same_samples`.
    threshold : float
        Smallest change of interest.
    scale : float
        What times of the second run are multiplied by, from `control_scale`.
    floors : sequence of float or None
        Noise floors of the runs.
    """
    drafts = []
    for name, rows in pairs.items():
        for what, key in (("fit", "time_fit_s"), ("predict", "time_predict_s")):
            times = [(getattr(a, key), scale * (getattr(b, key) or 0.0)) for a, b in rows]
            times = [(a, b) for a, b in times if a and b]
            if times:
                p = _p_value([math.log(b / a) for a, b in times])
                drafts.append((f"{name} {what}", stats.median(a for a, _ in times), stats.median(b for _, b in times), p))
    least, found = least_change(threshold, floors), []
    for (name, a, b, _), p in zip(drafts, holm([d[3] for d in drafts]), strict=True):
        clear = p < ALPHA
        verdict = SLOWER if clear and b > least * a else FASTER if clear and a > least * b else SAME
        found.append(Change(name, a, b, b / a, verdict))
    return sorted(found, key=lambda c: (-c.ratio, c.name))


def least_change(threshold: float, floors: Sequence[float | None] = ()) -> float:
    """Return the ratio that a change of a time must exceed: both runs' noise floors, and `threshold`.

    Examples
    --------
    >>> least_change(0.05, (1.08, 1.02)), least_change(0.05, (1.08, None)), least_change(0.5)
    (1.08, 1.25, 1.5)
    """
    return max(1.0 + threshold, *(UNKNOWN_NOISE if floor is None else floor for floor in floors or (None,)))


def _p_value(values: list[float]) -> float:
    """Return the two-sided p-value of a mean of zero; one fold can say nothing."""
    from scipy.stats import ttest_1samp

    if len(values) < 2:
        return 1.0
    if max(values) - min(values) < 1e-12:  # all alike: no variance to test with
        return 0.0 if abs(values[0]) > 1e-12 else 1.0
    return float(ttest_1samp(values, 0.0).pvalue)
