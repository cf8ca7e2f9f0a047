"""report.html: what a run says, as a page. How it is kept safe and small, `bench.report.shell` says.

The table stands in the page as it is read. What is behind it is compressed and opened when it is asked for: for each data
set a block of cells (other measures, drill-down), a block of charts, and chunks of folds (`bench.report.folds`).
"""

from __future__ import annotations

from typing import Any

from bench.figures import MOST_DATASETS, charts, left_out, run_charts, slugs
from bench.figures.chart import Chart
from bench.figures.classes import class_names
from bench.figures.scores import kind, shade
from bench.metrics import METRICS
from bench.report import folds, shell
from bench.report.content import TUNING_HEADER, Report, Section, number_text, score_text, tuning_cells
from bench.report.published import HEADER as PUBLISHED_HEADER
from bench.tables import Summary
from bench.tuning.summary import TuningLine
from bench.verdict import seconds

TOPICS = {
    "best": "Highest score",
    "simplest": "Simplest that holds",
    "gain": "What depth gains",
    "cost": "What depth costs",
    "more_depth": "What more depth gains",
    "caution": "Caution",
}
#: what the table can show: key -> (label, unit, scale, digits after the point, more is better); without digits, two
#: significant ones are shown
MEASURES = {
    "accuracy": ("accuracy", "%", 100, 1, True),
    "balanced_accuracy": ("balanced accuracy", "%", 100, 1, True),
    "log_loss": ("log loss", "", 1, 3, False),
    "ece": ("expected calibration error", "%", 100, 1, False),
    "r2": ("R²", "", 1, 3, True),
    "rmse": ("RMSE", "", 1, None, False),
    "mae": ("MAE", "", 1, None, False),
    "time_fit_s": ("fit time", "s", 1, None, False),
    "time_predict_s": ("predict time, test fold", "s", 1, None, False),
    "time_predict_one_s": ("predict time, one sample", "ms", 1000, None, False),
    "time_features_s": ("time to make the features", "s", 1, None, False),
    "time_tune_s": ("time to tune", "s", 1, None, False),
    "peak_memory_bytes": ("peak memory", "MB", 1e-6, 0, False),
}
#: Where a fold of a page of this many cells is looked for: rows.jsonl of the run.
FEW_CHARTS = "The last {n} data sets have the charts of their scores alone; the first {most} have all, with pictures."
IN_PART = (
    "Of contestants with more than {most} folds, a drill-down shows score, fate and times of each fold, and everything that "
    "was measured of {most}: those that did not end well, then the first; rows.jsonl holds all."
)
LEFT_OUT = "The folds of {n} contestants are left out, as the page keeps {limit:.0f} MB of them at most; rows.jsonl holds all."


def to_html(report: Report) -> str:
    """Return the whole page."""
    names = slugs([section.dataset for section in report.sections])
    blocks = shell.Blocks()
    views = [_view(section, slug, i, blocks) for i, (section, slug) in enumerate(zip(report.sections, names, strict=True))]
    n_left_out = _add_folds(report, views, blocks)
    overall = _chart_views("charts", run_charts(report), blocks)
    return shell.render(
        "report.html",
        title=report.title,
        data={"measures": _measures(), "sections": [view["data"] for view in views]},
        blocks=blocks,
        scripts=("report.js",),
        charts=bool(overall) or any(view["charts"] for view in views),
        report=report,
        views=views,
        overall=overall,
        published_header=PUBLISHED_HEADER,
        left_out=_left_out(report, n_left_out),
    )


def _left_out(report: Report, n_contestants: int) -> list[str]:
    """Return what a page does not hold, in sentences."""
    n_datasets = left_out(report)
    summaries = [summary for section in report.sections for summary in section.table.cells.values()]
    most = folds.in_full(len(summaries))
    found = [IN_PART.format(most=most)] if any(len(summary.rows) > most for summary in summaries) else []
    found += [LEFT_OUT.format(n=n_contestants, limit=folds.MOST_BYTES / 1e6)] if n_contestants else []
    return found + ([FEW_CHARTS.format(n=n_datasets, most=MOST_DATASETS)] if n_datasets else [])


def _add_folds(report: Report, views: list[dict[str, Any]], blocks: shell.Blocks) -> int:
    """Store the folds of as many cells as there is room for, from the first data set on; return how many were left out."""
    room, n_left_out = folds.MOST_BYTES, 0
    most = folds.in_full(sum(len(view["summaries"]) for view in views))
    for i, (section, view) in enumerate(zip(report.sections, views, strict=True)):
        cells = []
        for summary in view.pop("summaries"):
            n = next((len(row.confusion) for row in summary.rows if isinstance(row.confusion, list)), 0)
            cells.append((summary, class_names(section, n)))
        names, room = folds.add(blocks, f"folds-{i}", cells, room, most) if room >= 0 else ([], room)
        size = folds.chunk_size(cells)
        view["data"] |= {"chunks": names, "chunk": size}
        n_left_out += max(0, len(cells) - len(names) * size)
    return n_left_out


def _measures() -> dict[str, dict[str, Any]]:
    keys = ("label", "unit", "scale", "digits", "more")
    return {name: dict(zip(keys, values, strict=True)) for name, values in MEASURES.items()}


def _chart_views(block: str, found: dict[str, Chart], blocks: shell.Blocks) -> list[dict[str, Any]]:
    """Store charts in a block, and return what the template needs to know of them."""
    if found:
        blocks.add(block, {name: shell.chart_block(chart) for name, chart in found.items()})
    return [
        {"name": name, "block": block, "title": c.title, "about": c.about, "min_width": c.min_width, "wide": c.wide}
        for name, c in found.items()
    ]


def _view(section: Section, slug: str, i: int, blocks: shell.Blocks) -> dict[str, Any]:
    """Return what the template needs to know about a data set, ready to set."""
    table = section.table
    cells: list[dict[str, Any]] = []
    lines = [_line(section, line, cells) for line in table.lines]
    summaries = [summary for line in table.lines for summary in section.cells(line) if summary is not None]
    places = {summary.key: place for place, summary in enumerate(summaries)}
    for line in section.tuning:
        cells[places[line.tuned.key]]["tried"] = _tried(line)
    measured = [m for m in MEASURES if any(m in cell["values"] for cell in cells)]
    blocks.add(f"cells-{i}", cells)
    return {
        "slug": slug,
        "section": section,
        "topics": [_topic(topic, text) for topic, text in section.verdict.sentences.items()],
        "lines": lines,
        "kinds": list(dict.fromkeys(line["family"] for line in lines if line["family"])),
        "measures": [(m, MEASURES[m][0]) for m in measured],
        "tuning_header": TUNING_HEADER,
        "tuning": [(tuning_cells(line), line.chosen, places[line.tuned.key]) for line in section.tuning],
        "charts": _chart_views(f"charts-{i}", charts(section, few=i >= MOST_DATASETS), blocks),
        "summaries": summaries,
        "data": {
            "dataset": table.dataset,
            "metric": table.metric,
            "nFeatures": len(table.feature_sets),
            "cells": f"cells-{i}",
            "scored": any(table.metric in cell["values"] for cell in cells),
        },
    }


def _topic(topic: str, text: str) -> tuple[str, str]:
    """Return a heading and its sentence, which need not begin with the same words."""
    return TOPICS[topic], text.removeprefix(f"{TOPICS[topic]}: ")


def _line(section: Section, line: tuple, cells: list) -> dict[str, Any]:
    summaries = section.cells(line)
    best = section.at_best(line)
    return {
        "label": section.table.labels[line],
        "family": next((s.family for s in summaries if s and s.family), None),
        "cells": [None if s is None else _cell(section, s, cells) for s in summaries],
        "fit": seconds(best.times.get("time_fit_s")) if best else "",
        "predict": seconds(best.times.get("time_predict_s")) if best else "",
        "fit_s": best.times.get("time_fit_s", "") if best else "",
        "predict_s": best.times.get("time_predict_s", "") if best else "",
        "best_on": best.feature_set if best else "",
        "folds": f"{best.n}/{best.n_expected}" if best else "0",
    }


def _cell(section: Section, summary: Summary, cells: list) -> dict[str, Any]:
    """Return a table cell for the template, and put what is behind it among the cells that the page's script reads."""
    index = len(cells)
    values = {**summary.means, **summary.times}
    if (calibration := summary.calibration) is not None:
        values["ece"] = calibration.ece
    if summary.peak_memory_bytes is not None:
        values["peak_memory_bytes"] = summary.peak_memory_bytes
    quality = shade(summary)
    cells.append(
        {
            "name": section.table.name(summary),
            "kind": kind(summary),
            "about": _about(section, summary),
            "values": {name: float(f"{value:.6g}") for name, value in values.items()},
            "text": score_text(summary),
            "shade": None if quality is None else round(quality, 3),
            "notes": [note.text for note in section.table.footnotes if note.number in summary.footnotes],
        }
    )
    text = number_text(summary) if summary.interval is not None else score_text(summary)
    mean, _, spread = text.partition(" ±")
    return {
        "index": index,
        "mean": mean,
        "spread": spread,
        "partial": f"{summary.n}/{summary.n_expected}" if summary.interval is not None and not summary.complete else "",
        "value": "" if summary.mean is None else summary.mean,
        "mark": section.mark(summary),
        "shade": "" if quality is None else f"{quality:.3f}",
        "footnotes": summary.footnotes,
        "scored": summary.interval is not None,
    }


def _about(section: Section, summary: Summary) -> list[tuple[str, str]]:
    """Return what a drill-down says above its folds."""
    interval = summary.interval
    facts = [("Model", summary.model), ("Features", summary.feature_set), ("Backend", summary.backend)]
    facts += [("Family", summary.family)] if summary.family else []
    facts += [("Threads", str(summary.threads)), ("Folds", f"{summary.n} of {summary.n_expected}")]
    if interval is not None:
        metric = METRICS[summary.metric]
        facts.append((f"{metric.title}, %" if metric.is_share else metric.title, score_text(summary)))
        if interval.low is not None:
            scale, digits = metric.shown(2, 4)
            facts.append(("95 % interval", f"{scale * interval.low:.{digits}f} to {scale * interval.high:.{digits}f}"))
    adjusted = section.verdict.p_adjusted.get(summary.key)
    if adjusted is not None:
        worse = "worse than the best" if adjusted < 0.05 else "not distinguishable from the best"
        facts.append(("Against the best", f"{worse} (adjusted p {adjusted:.2g})"))
    return facts


def _tried(line: TuningLine) -> list[tuple[Any, ...]]:
    """Return what was tried, a configuration a row, as the page's script sets it."""
    scale, digits = METRICS[line.tuned.metric].shown(1)
    return [
        (
            tried.fold,
            f"{tried.number}{' (default)' if tried.number == 0 else ''}{' ★' if tried.is_chosen else ''}",
            tried.params,
            tried.n_inner_folds,
            tried.status.replace("_", " ") if tried.score is None else f"{scale * tried.score:.{digits}f}",
            seconds(tried.seconds),
            tried.message,
        )
        for tried in line.tried
    ]
