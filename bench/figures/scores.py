"""Scores as a heat map, and scores against what they cost, with the Pareto front."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from bench.figures.chart import Chart, height, layer, score_axis, seconds_axis, sized, tooltips
from bench.figures.theme import GREY, KINDS
from bench.metrics import METRICS
from bench.report.content import number_text, score_text, state_text
from bench.simplicity import is_network, uses_learned_features
from bench.verdict import seconds

if TYPE_CHECKING:
    from bench.report.content import Section
    from bench.tables import Summary

#: Contestants of a data set that a chart shows, the best; the table holds all.
MOST_POINTS = 500
MOST_TILES = 2000


def heat_map(section: Section) -> Chart | None:
    """Return models x feature sets, each cell with its score, darker for better; None without any score.

    Of a table with more than `MOST_TILES` cells the first lines are shown.
    """
    import altair as alt

    table = section.table
    if not any(s.n for s in table.cells.values()):
        return None
    lines = table.lines[: max(1, MOST_TILES // len(table.feature_sets))]
    values = [tile(section, s) for line in lines for s in section.cells(line) if s is not None]
    gap, bare = alt.Scale(padding=0.06), {"labelAngle": 0, "domain": False, "ticks": False}
    sets, names = list(table.feature_sets), [table.labels[line] for line in lines]
    base = layer(
        values,
        x=alt.X("feature_set:N", sort=sets, title=None, scale=gap, axis=alt.Axis(orient="top", **bare)),
        y=alt.Y("model:N", sort=names, title=None, scale=gap, axis=alt.Axis(**bare)),
        tooltip=tooltips(_about(section)),
    )
    shades = alt.Color("shade:Q", scale=alt.Scale(scheme="blues", domain=[-0.15, 1.0]), legend=None)
    tiles = base.mark_rect(cornerRadius=3).encode(color=alt.condition("isValid(datum.shade)", shades, alt.value("#8884")))
    words = base.mark_text(fontSize=11).encode(text="short:N", color=alt.Color("ink:N", scale=None))
    rows = [(n, *(score_text(s) for s in section.cells(line))) for n, line in zip(names, lines, strict=True)]
    return Chart(
        "heatmap",
        "Mean score by model and feature set",
        sized((tiles + words).resolve_scale(color="independent"), 23 * len(lines)),
        ("model", *sets),
        tuple(rows),
        file_width=alt.Step(96),
        min_width=110 + 78 * len(sets),
    )


def pareto_chart(section: Section) -> Chart | None:
    """Return scores against the seconds to train, with the contestants that none beats in both at once joined up."""
    import altair as alt

    values = points(section)[:MOST_POINTS]
    if not values:
        return None
    front = [v for v in values if v["front"]]
    named = [v for i, v in enumerate(front) if v["model"] not in {before["model"] for before in front[:i]}]
    kinds = [name for name in KINDS if any(v["kind"] == name for v in values)]
    pick = alt.selection_point(fields=["kind"], bind="legend", name="kind")
    included = "features and tuning" if section.tuning else "features"
    times = [v["train_s"] for v in values]
    place = {
        "x": seconds_axis("train_s", times, f"seconds to train, {included} included (log)"),
        "y": score_axis(section.table.metric),
    }
    legend = alt.Legend(values=kinds, orient="bottom")
    colour = alt.Color("kind:N", title="model", scale=alt.Scale(domain=list(KINDS)), legend=legend)
    legend = alt.Legend(orient="bottom", columns=4)
    shape = alt.Shape("feature_set:N", title="features", sort=list(section.table.feature_sets), legend=legend)
    line = layer(front, **place).mark_line(interpolate="step-after", strokeDash=[5, 4], opacity=0.8, color=GREY)
    dots = layer(values, **place).mark_point(filled=True, size=75).encode(
        color=colour,
        shape=shape,
        opacity=alt.condition(pick, alt.value(0.85), alt.value(0.12)),
        tooltip=tooltips({**_about(section), "train": "to train, s"}),
    )  # fmt: skip
    names = layer(named, **place).mark_text(align="right", dx=-6, dy=-8, fontSize=11, color=GREY).encode(text="model:N")
    keys = ("model", "feature_set", "score", "train", "predict")
    rows = tuple((*(str(v.get(key, "")) for key in keys), "yes" if v["front"] else "") for v in values)
    return Chart(
        "pareto",
        "Score against time to train, with the Pareto front",
        sized(line + dots.add_params(pick) + names, 380),
        ("model", "features", "score", "to train, s", "to predict the test fold, s", "on the front"),
        rows,
        about="Higher and further left is better; on the dashed line stand those that none beats in both at once.",
        min_width=400,
    )


def points(section: Section) -> list[dict[str, Any]]:
    """Return the contestants with a full set of scores and a time, best first; ``front`` marks the Pareto front."""
    timed = [s for s in section.table.cells.values() if s.complete and (s.time_train_s or 0) > 0]
    timed.sort(key=lambda s: (-s.mean, s.time_train_s))
    found, fastest = [], float("inf")
    for summary in timed:
        on_front = section.table.mismatch is None and summary.time_train_s < fastest
        fastest = min(fastest, summary.time_train_s)
        samples = sum(row.n_test or 0 for row in summary.scored_rows)
        place = {
            "train_s": summary.time_train_s,
            "train": seconds(summary.time_train_s),
            "y": height(section.table.metric, summary.mean, samples),
            "front": on_front,
        }
        found.append({**tile(section, summary), **place})
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
    if not METRICS[summary.metric].is_share:
        return min(1.0, max(0.0, summary.mean))
    error = min(0.9, max(0.003, 1.0 - summary.mean))
    return math.log(0.9 / error) / math.log(0.9 / 0.003)


def tile(section: Section, summary: Summary) -> dict[str, Any]:
    """Return what a chart shows of a contestant, in words where a person reads it."""
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
        "shade": None if quality is None else round(quality, 4),
        "ink": "#888888" if quality is None else "#ffffff" if quality > 0.55 else "#14202e",
    }
    return {name: value for name, value in values.items() if value is not None}


def _about(section: Section) -> dict[str, str]:
    metric = METRICS[section.table.metric]
    unit = f"{metric.words}, %" if metric.is_share else metric.title
    return {
        "model": "model", "feature_set": "features", "score": unit, "fit": "fit, s", "predict": "predict, s",
        "folds": "folds",
    }  # fmt: skip
