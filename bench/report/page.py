"""report.html: one file that opens from file://, asks the network for nothing, and executes nothing that a run holds.

The template is escaped throughout (Jinja's autoescape); folds and charts are embedded as JSON whose ``<`` is written
``\\u003c``, so no name can end the script element; a Content-Security-Policy forbids every request. The Vega library
stands in the page once, and a chart is drawn when it scrolls into view.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.cell import Row
from bench.figures import charts, kind, shade, slugs, vegalite_version, with_theme
from bench.report.content import TUNING_HEADER, Report, Section, number_text, score_text, tuning_cells
from bench.tables import DATA_HASHES, Summary
from bench.tuning.summary import TuningLine, params_words
from bench.verdict import seconds

HERE = Path(__file__).parent

TOPICS = {
    "best": "Highest score",
    "simplest": "Simplest that holds",
    "gain": "What depth gains",
    "cost": "What depth costs",
    "peers": "Fastest of the best",
    "caution": "Caution",
}
CHART_TITLES = {
    "heatmap": "Mean score by model and feature set",
    "pareto": "Score against time to train, with the Pareto front",
}
#: what the table can show: key -> (label, unit, scale, digits after the point, more is better); without digits, two
#: significant ones are shown
MEASURES = {
    "accuracy": ("accuracy", "%", 100, 1, True),
    "balanced_accuracy": ("balanced accuracy", "%", 100, 1, True),
    "log_loss": ("log loss", "", 1, 3, False),
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
#: columns of the drill-down
FOLD_FIELDS = (
    "seed", "repeat", "fold", "status", "accuracy", "balanced_accuracy", "log_loss", "r2", "rmse", "mae",
    "n_train", "n_test", "n_features", "n_epochs", "converged", "time_import_s", "time_warmup_s", "time_features_s",
    "time_tune_s", "time_fit_s", "time_predict_s", "time_predict_one_s", "peak_memory_bytes", "threads_effective",
    "n_workers", "n_configurations", "n_trials", "tuned_params", "utc", "message", "traceback",
)  # fmt: skip


def to_html(report: Report) -> str:
    """Return the whole page."""
    from markupsafe import Markup

    names = slugs([section.dataset for section in report.sections])
    views = [_view(section, slug) for section, slug in zip(report.sections, names, strict=True)]
    has_charts = any(view["charts"] for view in views)
    return _template().render(
        report=report,
        views=views,
        css=Markup(_asset("report.css")),
        js=Markup(_asset("report.js")),
        vega=Markup(_vega()) if has_charts else "",
        data=Markup(
            embed({"measures": _measures(), "fields": FOLD_FIELDS, "sections": [view["data"] for view in views]})
        ),
    )


def embed(value: Any) -> str:
    """Return JSON that may stand in a script element, whatever strings it holds.

    Examples
    --------
    >>> embed({"name": "</script><b>"})
    '{"name": "\\\\u003c/script\\\\u003e\\\\u003cb\\\\u003e"}'
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _template():
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html")


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    return vl_convert.javascript_bundle(vl_version=vegalite_version()).replace("</script", "<\\/script")


def _measures() -> dict[str, dict[str, Any]]:
    keys = ("label", "unit", "scale", "digits", "more")
    return {name: dict(zip(keys, values, strict=True)) for name, values in MEASURES.items()}


def _view(section: Section, slug: str) -> dict[str, Any]:
    """Return what the template needs to know about a data set, ready to set."""
    table = section.table
    cells: list[dict[str, Any]] = []
    hashes: dict[str, int] = {}
    lines = [_line(section, line, cells, hashes) for line in table.lines]
    there = (summary for line in table.lines for summary in section.cells(line) if summary is not None)
    places = {summary.key: i for i, summary in enumerate(there)}
    for line in section.tuning:
        cells[places[line.tuned.key]]["tried"] = _tried(line)
    found = charts(section)
    measured = [m for m in MEASURES if any(m in cell["values"] for cell in cells)]
    return {
        "slug": slug,
        "section": section,
        "topics": [_topic(topic, text) for topic, text in section.verdict.sentences.items()],
        "lines": lines,
        "kinds": list(dict.fromkeys(line["family"] for line in lines if line["family"])),
        "measures": [(m, MEASURES[m][0]) for m in measured],
        "tuning_header": TUNING_HEADER,
        "tuning": [(tuning_cells(line), line.chosen, places[line.tuned.key]) for line in section.tuning],
        "charts": [(name, CHART_TITLES[name]) for name in found],
        "data": {
            "dataset": table.dataset,
            "metric": table.metric,
            "nFeatures": len(table.feature_sets),
            "cells": cells,
            "charts": {name: _themed(chart.to_dict()) for name, chart in found.items()},
            "hashes": list(hashes),
        },
    }


def _topic(topic: str, text: str) -> tuple[str, str]:
    """Return a heading and its sentence, which need not begin with the same words."""
    return TOPICS[topic], text.removeprefix(f"{TOPICS[topic]}: ")


def _themed(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a chart with the configurations of both themes beside it; the page's script takes one."""
    config = {theme: with_theme({}, theme)["config"] for theme in ("light", "dark")}
    return {"spec": {name: value for name, value in spec.items() if name != "config"}, "config": config}


def _line(section: Section, line: tuple, cells: list, hashes: dict[str, int]) -> dict[str, Any]:
    summaries = section.cells(line)
    best = section.at_best(line)
    return {
        "label": section.table.labels[line],
        "family": next((s.family for s in summaries if s and s.family), None),
        "cells": [None if s is None else _cell(section, s, cells, hashes) for s in summaries],
        "fit": seconds(best.times.get("time_fit_s")) if best else "",
        "predict": seconds(best.times.get("time_predict_s")) if best else "",
        "fit_s": best.times.get("time_fit_s", "") if best else "",
        "predict_s": best.times.get("time_predict_s", "") if best else "",
        "best_on": best.feature_set if best else "",
        "folds": f"{best.n}/{best.n_expected}" if best else "0",
    }


def _cell(section: Section, summary: Summary, cells: list, hashes: dict[str, int]) -> dict[str, Any]:
    """Return a table cell for the template, and put its folds among those that the page's script reads."""
    index = len(cells)
    values = {**summary.means, **summary.times}
    if summary.peak_memory_bytes is not None:
        values["peak_memory_bytes"] = summary.peak_memory_bytes
    quality = shade(summary)
    cells.append(
        {
            "name": section.table.name(summary),
            "kind": kind(summary),
            "about": _about(section, summary),
            "values": values,
            "text": score_text(summary),
            "shade": quality,
            "notes": [note.text for note in section.table.footnotes if note.number in summary.footnotes],
            "folds": [_fold(row) for row in summary.rows],
            "hashes": [[_intern(getattr(row, name), hashes) for name in DATA_HASHES] for row in summary.rows],
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
        facts.append(("Accuracy, %" if summary.metric == "accuracy" else "R²", score_text(summary)))
        if interval.low is not None:
            digits, scale = (2, 100) if summary.metric == "accuracy" else (4, 1)
            facts.append(("95 % interval", f"{scale * interval.low:.{digits}f} to {scale * interval.high:.{digits}f}"))
    adjusted = section.verdict.p_adjusted.get(summary.key)
    if adjusted is not None:
        worse = "worse than the best" if adjusted < 0.05 else "not distinguishable from the best"
        facts.append(("Against the best", f"{worse} (adjusted p {adjusted:.2g})"))
    return facts


def _fold(row: Row) -> list[Any]:
    words = {"tuned_params": None if row.tuned_params is None else params_words(row.tuned_params)}
    return [words.get(name, getattr(row, name)) for name in FOLD_FIELDS]


def _tried(line: TuningLine) -> list[tuple[Any, ...]]:
    """Return what was tried, a configuration a row, as the page's script sets it."""
    digits, scale = (1, 100) if line.tuned.metric == "accuracy" else (3, 1)
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


def _intern(value: str | None, hashes: dict[str, int]) -> int | None:
    """Return the number of a hash: each stands in the page once, though many rows share it."""
    return None if value is None else hashes.setdefault(str(value), len(hashes))
