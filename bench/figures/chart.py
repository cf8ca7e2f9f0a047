"""What a chart is, and the axes that several share.

Accuracies crowd below 100 %, so axes and colours show them by the logarithm of the error: from 90 to 99 % is as far as from
99 to 99.9 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.metrics import METRICS

if TYPE_CHECKING:
    import altair

#: A share of errors is drawn no smaller than one half of one of so many samples, where their number is not stored.
ASSUMED_SAMPLES = 10_000


@dataclass(frozen=True)
class Chart:
    """A chart and its numbers: who cannot see the one reads the other.

    Attributes
    ----------
    name : str
        Part of the file's name.
    chart : altair.Chart or altair.LayerChart
    header, rows
        The numbers as a table, words in the cells.
    about : str
        How to read it.
    file_width
        Width in a file, in pixels or an ``altair.Step``; in a page a chart is as wide as there is room ...
    min_width : int
        ... but never narrower than this; the page scrolls it.
    wide : bool
        Whether it takes the whole width of the page.
    """

    name: str
    title: str
    chart: altair.Chart
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    about: str = ""
    file_width: Any = 640
    min_width: int = 0
    wide: bool = False

    def spec(self) -> dict[str, Any]:
        """Return the Vega-Lite specification. Altair's checks of it are for tests; here they would take most of the time."""
        return self.chart.to_dict(validate=False)


def height(metric: str, mean: float, n_samples: int) -> float:
    """Return where a score stands on the y axis: what a share lacks, in percent, never zero, as the axis is a log.

    Examples
    --------
    >>> height("accuracy", 0.98, 100), height("accuracy", 1.0, 100), height("r2", 0.5, 100)
    (2.0, 0.5, 0.5)
    """
    if not METRICS[metric].is_share:
        return mean
    return round(100.0 * max(1.0 - mean, 0.5 / (n_samples or ASSUMED_SAMPLES)), 9)


def score_axis(metric: str, title: str = "") -> altair.Y:
    """Return the y axis for values of `height`."""
    import altair as alt

    if not METRICS[metric].is_share:
        return alt.Y("y:Q", title=title or METRICS[metric].title, scale=alt.Scale(zero=False, padding=14))
    label = "format(100 - datum.value, datum.value < 1 ? '.1f' : '.0f') + ' %'"
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 90]
    scale = alt.Scale(type="log", reverse=True, nice=False, padding=14)
    axis = alt.Axis(values=ticks, labelExpr=label)
    return alt.Y("y:Q", title=title or f"{METRICS[metric].words} (log of the error)", scale=scale, axis=axis)


def seconds_axis(field: str, times: Sequence[float], title: str) -> altair.X:
    """Return a log axis with a tick at 1 and 3 of each power of ten."""
    import altair as alt

    decades = range(math.floor(math.log10(min(times))), math.ceil(math.log10(max(times))) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 3)]
    axis = alt.Axis(values=ticks, format="~g", labelOverlap=True)
    return alt.X(f"{field}:Q", title=title, scale=alt.Scale(type="log", nice=False, padding=24), axis=axis)


def tooltips(titles: dict[str, str]) -> list[altair.Tooltip]:
    """Return what is shown at the pointer: field -> its title."""
    import altair as alt

    return [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]


def layer(values: Sequence[dict[str, Any]], **encoding: Any) -> altair.Chart:
    """Return a chart of plain values, for marks."""
    import altair as alt

    return alt.Chart(alt.Data(values=list(values))).encode(**encoding)


def sized(chart: altair.Chart, pixels: int) -> altair.Chart:
    """Return a chart as wide as there is room, and so many pixels high."""
    import altair as alt

    return chart.properties(width="container", height=pixels, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
