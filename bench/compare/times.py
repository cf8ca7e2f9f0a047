"""Which timings changed beyond noise. Pure functions of two sets of timings."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.compare.measurements import Timing

SLOWER, FASTER, SAME = "slower", "faster", "same"

#: Where a result has no A/A pairs (a profile), a change must be at least this large.
ASSUMED_NOISE = 1.10


@dataclass(frozen=True)
class Change:
    """One timing in both results; `ratio` is the second over the first: 1.2 is 20 % slower."""

    name: str
    before_s: float
    after_s: float
    ratio: float
    verdict: str


def drift(before: Mapping[str, Timing], after: Mapping[str, Timing], control: str, scale: float = 1.0) -> float | None:
    """Return the largest ratio, in either direction, that the timings of the backend `control` show: code that nobody tunes.

    Two runs of the same program differ by more than two halves of one run: the machine's clock, its neighbours, the layout
    of memory. None where the results have no such timing.

    Examples
    --------
    >>> a = {"relu s float32 reference 1t": Timing(1.0), "relu s float32 cython 1t": Timing(1.0)}
    >>> b = {"relu s float32 reference 1t": Timing(0.8), "relu s float32 cython 1t": Timing(0.5)}
    >>> drift(a, b, "reference")
    1.25
    """
    ratios = [
        scale * after[name].median_s / before[name].median_s
        for name in before.keys() & after.keys()
        if control in name.split()
    ]
    return max((max(ratio, 1.0 / ratio) for ratio in ratios), default=None)


def gate(noises: Sequence[float | None], threshold: float) -> float:
    """Return the ratio that a change must exceed.

    Parameters
    ----------
    noises : sequence of float or None
        The largest ratios that unchanged code showed.
    threshold : float
        The smallest change of interest: 0.05 is 5 %.

    Examples
    --------
    >>> gate((1.02, 1.3), 0.05), gate((None, 1.02), 0.05)
    (1.3, 1.1)
    """
    return max(1.0 + threshold, *(ASSUMED_NOISE if noise is None else noise for noise in noises))


def changes(before: Mapping[str, Timing], after: Mapping[str, Timing], least: float, scale: float = 1.0) -> list[Change]:
    """Compare what both have, the worst first.

    Parameters
    ----------
    least : float
        From :func:`gate`.
    scale : float
        What the times of `after` are multiplied by first: a control kernel's time before over after.

    Examples
    --------
    >>> found = changes({"a": Timing(1.0), "b": Timing(1.0)}, {"a": Timing(1.3), "b": Timing(1.01)}, least=1.1)
    >>> [(c.name, c.verdict) for c in found]
    [('a', 'slower'), ('b', 'same')]
    """
    found = []
    for name in before.keys() & after.keys():
        a, b = before[name], after[name]
        ratio = scale * b.median_s / a.median_s
        verdict = SAME
        if ratio > least and not _overlap(a, b, scale):
            verdict = SLOWER
        elif ratio < 1.0 / least and not _overlap(a, b, scale):
            verdict = FASTER
        found.append(Change(name, a.median_s, scale * b.median_s, ratio, verdict))
    return sorted(found, key=lambda c: (-c.ratio, c.name))


def _overlap(a: Timing, b: Timing, scale: float) -> bool:
    """Whether the middle halves of the two samples meet; unknown counts as no."""
    if None in (a.q1_s, a.q3_s, b.q1_s, b.q3_s):
        return False
    return a.q1_s <= scale * b.q3_s and scale * b.q1_s <= a.q3_s


def geometric_mean(found: list[Change]) -> float:
    """Return the geometric mean of the ratios: how much slower all of it got.

    Examples
    --------
    >>> geometric_mean([Change("a", 1, 2, 2.0, SLOWER), Change("b", 1, 0.5, 0.5, FASTER)])
    1.0
    """
    return math.exp(statistics.fmean(math.log(c.ratio) for c in found))
