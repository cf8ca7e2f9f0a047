"""Numbers in the words of a verdict: scores, differences, seconds."""

from __future__ import annotations

import math

from bench.metrics import METRICS
from bench.statistics import POWER, Comparison
from bench.tables import Summary


def score(summary: Summary, value: float | None = None) -> str:
    """Return a mean in the words of its metric: ``98.7 %``, ``R² 0.512``."""
    value = summary.mean if value is None else value
    return METRICS[summary.metric].text(value)


def difference(comparison: Comparison, metric: str) -> str:
    """Return a difference with its interval in points (or R²).

    Examples
    --------
    >>> difference(Comparison(0.012, 0.004, 0.020, 0.01, 5), "accuracy")
    '+1.20 points (95 % interval +0.40 to +2.00)'
    """
    scale, digits = METRICS[metric].shown(2)
    text = f"{signed(scale * comparison.difference, digits)} {METRICS[metric].unit}"
    if comparison.low is None or comparison.high is None:
        return f"{text} (no interval)"
    low, high = (signed(scale * v, digits) for v in (comparison.low, comparison.high))
    return f"{text} ({percent(comparison.confidence)} interval {low} to {high})"


def percent(share: float) -> str:
    """Return a share as a percentage, with as many digits as tell it from 100.

    Examples
    --------
    >>> percent(0.975), percent(0.95), percent(0.999583)
    ('97.5 %', '95 %', '99.96 %')
    """
    return f"{round(100 * share, 1 if share < 0.99 else 2):g} %"


def detectable(c: Comparison, metric: str, units: str) -> str:
    """Return how small a difference would go unseen, to end a sentence; `units` is ``"10 folds"``."""
    if not c.detectable:
        return "."
    scale, digits = METRICS[metric].shown(1)
    size = f"{scale * c.detectable:.{digits}f} {METRICS[metric].unit}"
    return f"; {units} detect only differences of {size} or more (with {POWER:.0%} power).".replace("%", " %")


def seconds(value: float | None) -> str:
    """Return seconds to two significant digits, without an exponent as far as that can be read.

    Examples
    --------
    >>> [seconds(v) for v in (0.0, 0.00123, 0.0456, 1.26, 12.3, 1234.5, 2.5e-6, None)]
    ['0', '0.0012', '0.046', '1.3', '12', '1234', '2.5e-06', '']
    """
    if value is None:
        return ""
    if value == 0:
        return "0"
    if abs(value) < 1e-5:
        return f"{value:.1e}"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "fold"), counted(10000, "test sample")
    ('1 fold', '10,000 test samples')
    """
    return f"{n:,} {noun}{'s' if n != 1 else ''}"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, and none where it rounds to zero.

    Examples
    --------
    >>> signed(1.234, 1), signed(-0.001, 2)
    ('+1.2', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
