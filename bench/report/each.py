"""Each model at its best, in one line: its folds and its training as sparklines, its calibration, the time of a prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench import curves
from bench.calibration import Calibration
from bench.metrics import METRICS
from bench.report.content import Section, number_text
from bench.tables import Summary
from bench.verdict import seconds

BARS = "\N{LOWER ONE EIGHTH BLOCK}\N{LOWER ONE QUARTER BLOCK}\N{LOWER THREE EIGHTHS BLOCK}\N{LOWER HALF BLOCK}"
BARS += "\N{LOWER FIVE EIGHTHS BLOCK}\N{LOWER THREE QUARTERS BLOCK}\N{LOWER SEVEN EIGHTHS BLOCK}\N{FULL BLOCK}"
MOST_BARS = 10

HEADER = ("model", "at its best on", "score", "folds", "epochs", "ECE %", "ms")
LEGEND = (
    "Each model on its best features. Folds: the score of each, from the lowest of this table's lines to the highest; "
    "epochs: score on the test fold while it trains, from its lowest to its highest; ECE: expected calibration error, where "
    "there are probabilities; ms: to predict one sample."
)
CALIBRATION_HEADER = ("model", "features", "ECE, %", "mean confidence, %", "accuracy, %", "predictions")
CALIBRATION_LEGEND = (
    "Expected calibration error (ECE): how far the probability of the predicted class is from the share that is right, mean "
    "over 15 bins of confidence, all folds together; each model that gives probabilities, on its best features."
)


def lines(section: Section) -> list[tuple[str, ...]]:
    """Return a line for each model with a score, as `HEADER` names it."""
    best = [s for line in section.table.lines if (s := section.at_best(line)) is not None]
    scores = [value for s in best for value in s.scores.values()]
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    if scores and METRICS[section.table.metric].is_share:  # a constant model would flatten all others
        low = max(low, high - 0.3)
    return [_line(section, s, low, high) for s in best]


def _line(section: Section, s: Summary, low: float, high: float) -> tuple[str, ...]:
    calibration = s.calibration
    one = s.times.get("time_predict_one_s")
    return (
        section.table.labels[s.line],
        s.feature_set,
        number_text(s).split(" ")[0],
        sparkline(list(s.scores.values()), low, high),
        sparkline(_curve(s)),
        "" if calibration is None else f"{100 * calibration.ece:.1f}",
        seconds(None if one is None else 1000 * one),
    )


def _curve(s: Summary) -> list[float]:
    """Return the scores of the first fold's training that has any."""
    found = ([score for _, _, score, _ in curves.points(row.curve) if score is not None] for row in s.scored_rows)
    return next((scores for scores in found if len(scores) > 1), [])


def sparkline(values: Sequence[float], low: float | None = None, high: float | None = None) -> str:
    """Return bars for numbers, `MOST_BARS` at most, of which each is the mean of its neighbours.

    Examples
    --------
    >>> sparkline([0.0, 0.5, 1.0])
    '▁▄█'
    >>> sparkline([]), sparkline([2.0, 2.0])
    ('', '▅▅')
    """
    usable = [v for v in values if math.isfinite(v)]
    if not usable:
        return ""
    n = min(MOST_BARS, len(usable))
    groups = [usable[i * len(usable) // n : (i + 1) * len(usable) // n] for i in range(n)]
    means = [math.fsum(group) / len(group) for group in groups]
    low, high = min(means) if low is None else low, max(means) if high is None else high
    if high <= low:
        return BARS[4] * n
    return "".join(BARS[min(7, max(0, round(7.999 * (m - low) / (high - low) - 0.5)))] for m in means)


def calibration_lines(section: Section) -> list[tuple[str, ...]]:
    """Return a line for each model that gives probabilities, as `CALIBRATION_HEADER` names it."""
    found = []
    for line in section.table.lines:
        best = section.at_best(line)
        pooled = None if best is None else best.calibration
        if pooled is not None:
            confidence, accuracy = _means(pooled)
            numbers = (f"{100 * v:.1f}" for v in (pooled.ece, confidence, accuracy))
            found.append((section.table.labels[line], best.feature_set, *numbers, f"{pooled.n}"))
    return found


def _means(c: Calibration) -> tuple[float, float]:
    return (
        math.fsum(b.n * b.confidence for b in c.bins) / c.n,
        math.fsum(b.n * b.accuracy for b in c.bins) / c.n,
    )
