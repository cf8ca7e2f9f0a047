"""Charts of a run: scores as a heat map, and scores against what they cost with the Pareto front.

Both are Altair charts on plain lists, so they embed in the page as data and draw as SVG and PNG without a browser.
Accuracies crowd below 100 %, so both show them by the logarithm of the error: from 90 to 99 % is as far as from 99 to
99.9 %. Colours are from Okabe and Ito's palette, which people with colour-blindness can tell apart; shapes say the
same again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.report.content import Report, Section, number_text, score_text, state_text
from bench.simplicity import is_network, uses_learned_features
from bench.tables import Summary
from bench.verdict import seconds

if TYPE_CHECKING:
    import altair

KINDS = ("classical", "deep", "any on learned features")
_COLOURS = {"light": ("#0072b2", "#d55e00", "#009e73"), "dark": ("#56b4e9", "#e69f00", "#2fc79a")}
_INK = {"light": ("#1c2430", "#5b6675", "#dfe3e8"), "dark": ("#e8ecf2", "#a3adba", "#343c47")}
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', 'Liberation Sans', sans-serif"


def draw(report: Report) -> dict[str, bytes]:
    """Return the content of each figure file: ``<data set>-<chart>.svg`` and ``.png``."""
    import vl_convert

    files: dict[str, bytes] = {}
    for slug, section in zip(slugs([s.dataset for s in report.sections]), report.sections, strict=True):
        for name, chart in charts(section).items():
            chart = chart.properties(title=_title(section, name), width=_width(section, name), autosize="pad")
            spec = with_theme(chart.to_dict(), "light")
            spec["background"] = "white"
            version = vegalite_version()
            svg = vl_convert.vegalite_to_svg(spec, vl_version=version, allowed_base_urls=[])
            files[f"{slug}-{name}.svg"] = svg.encode("utf-8")
            files[f"{slug}-{name}.png"] = vl_convert.vegalite_to_png(
                spec, vl_version=version, scale=2, allowed_base_urls=[]
            )
    return files


def charts(section: Section) -> dict[str, altair.Chart]:
    """Return the charts that a data set has numbers for, by name."""
    found = {}
    if any(s.n for s in section.table.cells.values()):
        found["heatmap"] = heat_map(section)
    if points(section):
        found["pareto"] = pareto_chart(section)
    return found


def slugs(names: Sequence[str]) -> list[str]:
    """Return one file name per name: letters and digits only, each different.

    Examples
    --------
    >>> slugs(["digits", "../x", ".x"])
    ['digits', 'x', 'x-2']
    """
    found: list[str] = []
    for name in names:
        base = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60] or "dataset"
        slug, n = base, 1
        while slug in found:
            n += 1
            slug = f"{base}-{n}"
        found.append(slug)
    return found


def vegalite_version() -> str:
    """Return the Vega-Lite version of the installed Altair as vl-convert names it: ``6.4``."""
    import altair

    return ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def with_theme(spec: dict[str, Any], theme: str) -> dict[str, Any]:
    """Return a Vega-Lite specification with the ink and the colours of a "light" or "dark" page."""
    ink, faint, line = _INK[theme]
    axis = {"labelColor": faint, "titleColor": ink, "gridColor": line, "domainColor": line, "tickColor": line}
    config = {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {**axis, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500, "labelLimit": 220},
        "legend": {
            "labelColor": ink,
            "titleColor": faint,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "symbolBaseFillColor": faint,
            "layout": {"bottom": {"anchor": "start", "direction": "vertical", "margin": 10}},
        },
        "title": {"color": ink, "fontSize": 14, "anchor": "start", "subtitleColor": faint},
        "text": {"font": _FONT, "fontSize": 11},
        "range": {"category": list(_COLOURS[theme])},
    }
    return {**spec, "config": config}


def heat_map(section: Section) -> altair.Chart:
    """Return models x feature sets, each cell with its score, darker for better."""
    import altair as alt

    table = section.table
    values = [_tile(section, s) for line in table.lines for s in section.cells(line) if s is not None]
    gap, bare = alt.Scale(padding=0.06), {"labelAngle": 0, "domain": False, "ticks": False}
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X(
            "feature_set:N", sort=list(table.feature_sets), title=None, scale=gap, axis=alt.Axis(orient="top", **bare)
        ),
        y=alt.Y(
            "model:N", sort=[table.labels[line] for line in table.lines], title=None, scale=gap, axis=alt.Axis(**bare)
        ),
        tooltip=_tooltips(section),
    )
    tiles = base.mark_rect(cornerRadius=3).encode(
        color=alt.condition(
            "isValid(datum.shade)",
            alt.Color("shade:Q", scale=alt.Scale(scheme="blues", domain=[-0.15, 1.0]), legend=None),
            alt.value("#8884"),
        )
    )
    ink = alt.Color("ink:N", scale=None)
    words = base.mark_text(fontSize=11).encode(text="short:N", color=ink)
    layers = (tiles + words).resolve_scale(color="independent")
    return layers.properties(width="container", height=23 * len(table.lines), autosize=alt.AutoSizeParams(type="fit-x"))


def pareto_chart(section: Section) -> altair.Chart:
    """Return scores against the seconds to train, with the contestants that none beats in both at once joined up."""
    import altair as alt

    values = points(section)
    front = [v for v in values if v["front"]]
    named = [v for i, v in enumerate(front) if v["model"] not in {before["model"] for before in front[:i]}]
    kinds = [name for name in KINDS if any(v["kind"] == name for v in values)]
    pick = alt.selection_point(fields=["kind"], bind="legend", name="kind")
    included = "features and tuning" if section.tuning else "features"
    place = {"x": _train_axis(values, included), "y": _score_axis(section)}
    colour = alt.Color(
        "kind:N",
        title="model",
        scale=alt.Scale(domain=list(KINDS)),
        legend=alt.Legend(values=kinds, orient="bottom"),
    )
    shape = alt.Shape(
        "feature_set:N",
        title="features",
        sort=list(section.table.feature_sets),
        legend=alt.Legend(orient="bottom", columns=4),
    )
    line = _layer(front, place).mark_line(interpolate="step-after", strokeDash=[5, 4], opacity=0.8, color="#888")
    dots = _layer(values, place).mark_point(filled=True, size=75).encode(
        color=colour,
        shape=shape,
        opacity=alt.condition(pick, alt.value(0.85), alt.value(0.12)),
        tooltip=_tooltips(section),
    )  # fmt: skip
    names = (
        _layer(named, place).mark_text(align="right", dx=-6, dy=-8, fontSize=11, color="#888").encode(text="model:N")
    )
    layers = line + dots.add_params(pick) + names
    return layers.properties(width="container", height=380, autosize=alt.AutoSizeParams(type="fit-x"))


def _layer(values: list[dict[str, Any]], place: dict[str, Any]) -> altair.Chart:
    import altair as alt

    return alt.Chart(alt.Data(values=values)).encode(**place)


def _train_axis(values: list[dict[str, Any]], included: str) -> altair.X:
    """Return a log axis with a tick at 1 and 3 of each power of ten."""
    import altair as alt

    times = [v["train_s"] for v in values]
    decades = range(math.floor(math.log10(min(times))), math.ceil(math.log10(max(times))) + 1)
    axis = alt.Axis(
        values=[digit * 10.0**decade for decade in decades for digit in (1, 3)], format="~g", labelOverlap=True
    )
    scale = alt.Scale(type="log", nice=False, padding=24)
    return alt.X("train_s:Q", title=f"seconds to train, {included} included (log)", scale=scale, axis=axis)


def points(section: Section) -> list[dict[str, Any]]:
    """Return the contestants with a full set of scores and a time, best first; ``front`` marks the Pareto front."""
    timed = [s for s in section.table.cells.values() if s.complete and (s.time_train_s or 0) > 0]
    timed.sort(key=lambda s: (-s.mean, s.time_train_s))
    found, fastest = [], float("inf")
    for summary in timed:
        on_front = section.table.mismatch is None and summary.time_train_s < fastest
        fastest = min(fastest, summary.time_train_s)
        found.append(
            {
                **_tile(section, summary),
                "train_s": summary.time_train_s,
                "y": _height(section, summary),
                "front": on_front,
            }
        )
    return found


def kind(summary: Summary) -> str:
    """Return which of `KINDS` a contestant is."""
    if uses_learned_features(summary):
        return KINDS[2]
    return KINDS[1] if is_network(summary) else KINDS[0]


def shade(summary: Summary) -> float | None:
    """Return how good a score is on a scale of 0 to 1, for colours: accuracies by the logarithm of the error.

    90 % of error is 0.0, and 0.3 % is 1.0; an R² of 0 is 0.0.
    """
    if summary.mean is None:
        return None
    if summary.metric != "accuracy":
        return min(1.0, max(0.0, summary.mean))
    error = min(0.9, max(0.003, 1.0 - summary.mean))
    return math.log(0.9 / error) / math.log(0.9 / 0.003)


def _tile(section: Section, summary: Summary) -> dict[str, Any]:
    scored, quality = summary.interval is not None, shade(summary)
    text = number_text(summary).split(" ")[0] if scored else state_text(summary)
    if scored and not summary.complete:
        text += f" ({summary.n}/{summary.n_expected})"
    values = {
        "model": section.table.labels[summary.line],
        "feature_set": summary.feature_set,
        "kind": kind(summary),
        "short": text,
        "score": score_text(summary),
        "fit": seconds(summary.times.get("time_fit_s")),
        "predict": seconds(summary.times.get("time_predict_s")),
        "folds": f"{summary.n} of {summary.n_expected}",
        "shade": quality,
        "ink": "#888888" if quality is None else "#ffffff" if quality > 0.55 else "#14202e",
    }
    return {name: value for name, value in values.items() if value is not None}


def _height(section: Section, summary: Summary) -> float:
    """Return where a score stands on the y axis: percent of errors for accuracies, never zero, as the axis is a log."""
    if section.table.metric != "accuracy":
        return summary.mean
    samples = sum(row.n_test or 0 for row in summary.scored_rows) or 10_000
    return 100.0 * max(1.0 - summary.mean, 0.5 / samples)


def _score_axis(section: Section) -> altair.Y:
    import altair as alt

    if section.table.metric != "accuracy":
        return alt.Y("y:Q", title="R²", scale=alt.Scale(zero=False, padding=14))
    label = "format(100 - datum.value, datum.value < 1 ? '.1f' : '.0f') + ' %'"
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 90]
    scale = alt.Scale(type="log", reverse=True, nice=False, padding=14)
    return alt.Y("y:Q", title="accuracy (log of the error)", scale=scale, axis=alt.Axis(values=ticks, labelExpr=label))


def _tooltips(section: Section) -> list[altair.Tooltip]:
    import altair as alt

    unit = "accuracy, %" if section.table.metric == "accuracy" else "R²"
    titles = {
        "model": "model", "feature_set": "features", "score": unit, "fit": "fit, s", "predict": "predict, s",
        "folds": "folds",
    }  # fmt: skip
    return [alt.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]


def _width(section: Section, name: str) -> Any:
    """Return the width of a figure file; in a page a chart is as wide as there is room."""
    import altair as alt

    return alt.Step(96) if name == "heatmap" else 640


def _title(section: Section, name: str) -> str:
    what = {
        "heatmap": "mean score by model and feature set",
        "pareto": "score against time to train, with the Pareto front",
    }
    return f"{section.dataset}: {what[name]}"
