"""CSV, JSON and Parquet for programs: one line per contestant, every number unrounded. docs/columns.md describes the columns.

What was not measured is empty in CSV and absent in JSON, never zero. Text that a spreadsheet would take for a formula
(it begins with = + - @, a tab or a line break) gets an apostrophe before it, as OWASP advises; numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from bench.cell import STATUSES
from bench.report import numbers
from bench.report.content import Report, Section
from bench.report.published import Published
from bench.statistics import Comparison
from bench.tables import Summary
from bench.tuning.summary import TuningLine

CLASSIFICATION = (
    "accuracy_mean", "accuracy_ci_low", "accuracy_ci_high", "balanced_accuracy_mean",
    "balanced_accuracy_ci_low", "balanced_accuracy_ci_high", "log_loss_mean", "calibration_error",
)  # fmt: skip
REGRESSION = ("r2_mean", "r2_ci_low", "r2_ci_high", "rmse_mean", "mae_mean")
TIMES = (
    "time_import_s", "time_warmup_s", "time_features_s", "time_tune_s", "time_fit_s", "time_predict_s",
    "time_predict_one_s",
)  # fmt: skip
COLUMNS = (
    "dataset", "feature_set", "model", "family", "backend", "n", "n_expected", *CLASSIFICATION, *REGRESSION, *TIMES,
    "peak_memory_bytes", "threads", "n_workers", "rank", "behind_best", "behind_best_ci_low", "behind_best_ci_high",
    "detectable_difference", "effect_size", "p_adjusted", "best", "distinguishable_from_best",
    *(f"n_{status}" for status in STATUSES), "footnotes",
)  # fmt: skip


def to_csv(report: Report) -> str:
    """Return the long table, one line per contestant."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records(report):
        writer.writerow([_csv_cell(record.get(column)) for column in COLUMNS])
    return out.getvalue()


def records(report: Report) -> list[dict[str, Any]]:
    """Return one dictionary per contestant, in the order of the tables; what was not measured is left out."""
    found = []
    for section in report.sections:
        ranks = {s.key: rank for rank, s in enumerate(section.table.ranked, start=1)}
        notes = {note.number: note.text for note in section.table.footnotes}
        for line in section.table.lines:
            for summary in section.cells(line):
                if summary is not None:
                    found.append(_record(section, summary, ranks.get(summary.key), notes))
    return found


def _record(section: Section, summary: Summary, rank: int | None, notes: dict[int, str]) -> dict[str, Any]:
    interval, metric, verdict = summary.interval, summary.metric, section.verdict
    values: dict[str, Any] = {
        "dataset": summary.dataset,
        "feature_set": summary.feature_set,
        "model": summary.model,
        "family": summary.family,
        "backend": summary.backend,
        "n": summary.n,
        "n_expected": summary.n_expected,
        **{f"{name}_mean": value for name, value in summary.means.items()},
        **summary.times,
        "peak_memory_bytes": summary.peak_memory_bytes,
        "threads": summary.threads,
        "n_workers": max((row.n_workers for row in summary.rows if row.n_workers), default=None),
        "rank": rank,
        "p_adjusted": verdict.p_adjusted.get(summary.key),
        **{f"n_{status}": summary.statuses.get(status, 0) for status in STATUSES},
        "footnotes": " ".join(f"[{n}] {notes[n]}" for n in summary.footnotes) or None,
    }
    if (calibration := summary.calibration) is not None:
        values["calibration_error"] = calibration.ece
    if interval is not None:
        values |= {f"{metric}_ci_low": interval.low, f"{metric}_ci_high": interval.high}
    if (behind := verdict.comparisons.get(summary.key)) is not None:
        values |= {
            "behind_best": behind.difference,
            "behind_best_ci_low": behind.low,
            "behind_best_ci_high": behind.high,
            "detectable_difference": behind.detectable,
            "effect_size": verdict.effect_sizes.get(summary.key),
        }
    if rank is not None and verdict.best is not None:
        values["best"] = verdict.is_best(summary)
        if summary.key in verdict.p_adjusted and not verdict.is_best(summary):
            values["distinguishable_from_best"] = not verdict.is_indistinguishable(summary)
    return {name: value for name, value in values.items() if value is not None}


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return neutralize(str(value))


def neutralize(text: str) -> str:
    """Return text that no spreadsheet takes for a formula, on one line.

    Examples
    --------
    >>> neutralize("=HYPERLINK(1)"), neutralize("lda")
    ("'=HYPERLINK(1)", 'lda')
    """
    line = text.replace("\r", " ").replace("\n", " ")
    return f"'{line}" if text[:1] in ("\t", "\r", "\n") or line.lstrip()[:1] in ("=", "+", "-", "@") else line


def to_parquet(report: Report) -> bytes:
    """Return the long table with types: text as it is, numbers as numbers, what was not measured as null."""
    import pyarrow
    from pyarrow import parquet

    found = records(report)
    fields = [pyarrow.field(name, _arrow_type(pyarrow, name)) for name in COLUMNS]
    table = pyarrow.table({f.name: pyarrow.array([r.get(f.name) for r in found], f.type) for f in fields})
    out = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata({"run_id": _plain_text(report.run.run_id)}), out)
    return out.getvalue()


def _arrow_type(pyarrow: Any, name: str) -> Any:
    if name in ("dataset", "feature_set", "model", "family", "backend", "footnotes"):
        return pyarrow.string()
    if name in ("best", "distinguishable_from_best"):
        return pyarrow.bool_()
    whole = name in ("n", "threads", "rank") or name.startswith("n_") or name.endswith("_bytes")
    return pyarrow.int64() if whole else pyarrow.float64()


def _plain_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def to_json(report: Report) -> str:
    """Return run, provenance, verdicts and contestants as JSON."""
    by_dataset: dict[str, list[dict[str, Any]]] = {}
    for record in records(report):
        by_dataset.setdefault(record["dataset"], []).append(record)
    content = {
        "run_id": report.run.run_id,
        "schema_version": report.run.manifest.get("schema_version"),
        "provenance": dict(report.provenance),
        "counts": report.counts,
        **({"notes": list(report.notes)} if report.notes else {}),
        "datasets": [
            {
                "dataset": section.dataset,
                **({"about": section.about} if section.about else {}),
                "metric": section.table.metric,
                "n_folds": section.table.n_folds,
                "verdict": _verdict(section),
                "contestants": by_dataset.get(section.dataset, []),
                **({"statistics": found} if (found := numbers.of_section(section)) else {}),
                **({"tuning": [_tuning(line) for line in section.tuning]} if section.tuning else {}),
                **({"published": _published(section.published)} if section.published else {}),
                "footnotes": {str(note.number): note.text for note in section.table.footnotes},
                "warnings": list(section.table.warnings),
            }
            for section in report.sections
        ],
        **({"statistics": found} if (found := numbers.of_run(report.overall)) else {}),
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _published(found: Published) -> dict[str, Any]:
    """Return the scores of others alone: ours stand among the contestants."""
    theirs = [s for s in found.scores if not s.is_ours]
    keys = ("model", "value", "metric", "source")
    return {"legend": found.legend, "scores": [{key: getattr(s, key) for key in keys} for s in theirs]}


def _verdict(section: Section) -> dict[str, Any]:
    v = section.verdict
    named = {"best": v.best, "simplest": v.simplest, "best_deep": v.best_deep, "best_classical": v.best_classical}
    return {
        "headline": v.headline,
        "sentences": dict(v.sentences),
        "ranked": section.table.mismatch is None,
        **{name: section.table.name(s) for name, s in named.items() if s is not None},
        **({} if v.gain is None else {"gain": _comparison(v.gain)}),
    }


def _tuning(line: TuningLine) -> dict[str, Any]:
    """Return what a search changed, and what was chosen in each fold, unrounded."""
    keys = ("seed", "repeat", "fold", "tuned_params", "n_configurations", "n_trials", "time_tune_s")
    values = {
        "model": line.tuned.model,
        "feature_set": line.feature_set,
        "backend": line.tuned.backend,
        "threads": line.tuned.threads,
        "default_mean": line.default.mean if line.default else None,
        "tuned_mean": line.tuned.mean,
        "tuned_minus_default": _comparison(line.comparison) if line.comparison else None,
        "time_tune_s": line.time_tune_s,
        "folds": [{k: row.to_dict()[k] for k in keys if k in row.to_dict()} for row in line.tuned.rows],
    }
    return {name: value for name, value in values.items() if value is not None}


def _comparison(c: Comparison) -> dict[str, Any]:
    import dataclasses

    return {name: value for name, value in dataclasses.asdict(c).items() if value is not None}
