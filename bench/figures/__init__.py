"""Charts of a run: Altair charts on plain lists, which embed in the page as data and draw as SVG and PNG without a browser.

scores.py    heat map; scores against time to train, with the Pareto front
curves.py    scores against time, epoch by epoch, with one-shot fits beside; learning curves
classes.py   confusion matrices; reliability diagram
ranks.py     critical-difference diagram, over data sets
theme.py     ink and colours     chart.py   what a chart is, shared axes
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.figures.chart import Chart
from bench.figures.theme import vegalite_version, with_theme

if TYPE_CHECKING:
    from bench.report.content import Report, Section

__all__ = ["Chart", "charts", "draw", "drawn", "left_out", "pictures", "run_charts", "slugs", "specified"]

#: So many data sets, the first, have all their charts, and pictures of them; the others those of their scores, in the page.
MOST_DATASETS = 12
#: Charts of all data sets together begin with this; no data set's slug does, as it has no dot.
ALL = "all"


def charts(section: Section, *, few: bool = False) -> dict[str, Chart]:
    """Return the charts that a data set has numbers for, by name; `few`: of the scores alone, for runs of many data sets."""
    from bench.figures.classes import confusion_charts, reliability_chart
    from bench.figures.curves import learning_chart, lines, loss_chart, time_to_score_chart
    from bench.figures.scores import heat_map, pareto_chart

    found = [heat_map(section), pareto_chart(section)]
    if not few:
        curves = lines(section)
        found += [
            time_to_score_chart(section, curves), learning_chart(section, curves), loss_chart(section, curves),
            *confusion_charts(section), reliability_chart(section),
        ]  # fmt: skip
    return {chart.name: chart for chart in found if chart is not None}


def run_charts(report: Report) -> dict[str, Chart]:
    """Return the charts over several data sets, by name."""
    from bench.figures.curves import samples_charts
    from bench.figures.ranks import critical_difference_chart

    found = [critical_difference_chart(report.overall.ranking), *samples_charts(report.sections)]
    return {chart.name: chart for chart in found if chart is not None}


def pictures(report: Report) -> list[tuple[str, str]]:
    """Return the figures as they are to be drawn, as ``(<data set>-<chart>, Vega-Lite specification)``: they need no rows."""
    names = slugs([s.dataset for s in report.sections])
    found = [specified(f"{ALL}-{name}", chart, "All data sets") for name, chart in run_charts(report).items()]
    for slug, section in list(zip(names, report.sections, strict=True))[:MOST_DATASETS]:
        found += [specified(f"{slug}-{name}", chart, section.dataset) for name, chart in charts(section).items()]
    return found


def draw(report: Report) -> dict[str, bytes]:
    """Return the content of each figure file: ``<data set>-<chart>.svg`` and ``.png``."""
    files: dict[str, bytes] = {}
    for stem, text in pictures(report):
        files |= drawn(stem, text)
    return files


#: ``<data set>-<chart>.svg``: what `draw` names its files.
_NAMES = ("heatmap", "pareto", "time", "learning", "loss", "confusion_deep", "confusion_classical", "reliability", "ranks")
_OURS = re.compile(rf"[A-Za-z0-9_-]+-({'|'.join(_NAMES)}|samples-[A-Za-z0-9_-]+)\.(svg|png)")


def is_ours(name: str) -> bool:
    """Whether a file's name is one that `draw` gives.

    Examples
    --------
    >>> is_ours("digits-heatmap.svg"), is_ours("mine.svg")
    (True, False)
    """
    return _OURS.fullmatch(name) is not None


def left_out(report: Report) -> int:
    """Return how many data sets have no pictures."""
    return max(0, len(report.sections) - MOST_DATASETS)


def specified(stem: str, chart: Chart, of: str) -> tuple[str, str]:
    """Return the name of a chart's files, and its Vega-Lite specification on white."""
    picture = chart.chart.properties(title=f"{of}: {chart.title[:1].lower()}{chart.title[1:]}", width=chart.file_width)
    spec = with_theme(picture.properties(autosize="pad").to_dict(validate=False), "light")
    spec["background"] = "white"
    text = json.dumps(spec, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")  # half a character is none
    return stem, text


def drawn(stem: str, text: str) -> dict[str, bytes]:
    """Return a chart that was `specified` as the files ``<stem>.svg`` and ``<stem>.png``; nothing is fetched for them."""
    import vl_convert

    svg = vl_convert.vegalite_to_svg(text, vl_version=vegalite_version(), allowed_base_urls=[])
    return {f"{stem}.svg": svg.encode("utf-8"), f"{stem}.png": _smaller(vl_convert.svg_to_png(svg, scale=2))}


def _smaller(png: bytes) -> bytes:
    """Return a picture in 256 colours: a fifth of the bytes, and charts have no more."""
    import io

    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def slugs(names: Sequence[str]) -> list[str]:
    """Return one file name per name: letters and digits only, each different.

    Examples
    --------
    >>> slugs(["digits", "../x", ".x", "all"])
    ['digits', 'x', 'x-2', 'all-2']
    """
    found: list[str] = []
    for name in names:
        base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60] or "dataset"
        found.append(next(slug for slug in _numbered(base) if slug not in (ALL, *found)))
    return found


def _numbered(base: str) -> Iterator[str]:
    yield base
    n = 2
    while True:
        yield f"{base}-{n}"
        n += 1
