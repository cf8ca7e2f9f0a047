"""Default and tuned side by side, and what was tried: from rows and tuning.jsonl alone, for the reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cell import Row
from bench.names import is_tuned, untuned
from bench.statistics import Comparison
from bench.tables import DatasetTable, Summary
from bench.tuning.trials import Trials
from bench.verdict import compare_scores

DEFAULT = "the default"


@dataclass(frozen=True)
class Tried:
    """A configuration of one search, and how far it came."""

    fold: str
    number: int  # 0 is the default
    params: str
    n_inner_folds: int
    score: float | None  # mean over these; None where one failed
    seconds: float
    status: str
    message: str
    is_chosen: bool


@dataclass(frozen=True)
class TuningLine:
    """A model on a feature set, as it comes and tuned.

    Attributes
    ----------
    label : str
        The model, without the variant.
    default, tuned : Summary or None
        None where that one was not planned.
    comparison : Comparison or None
        Tuned minus default, over the folds that both finished.
    n_configurations, n_trials : (int, int) or None
        Least and most over the folds. A trial is a configuration fitted on one inner fold.
    time_tune_s : float or None
        Median over the folds.
    chosen : tuple of (str, str)
        Each fold, and the parameters that were chosen there.
    tried : tuple of Tried
        Empty where tuning.jsonl is not there.
    """

    label: str
    feature_set: str
    default: Summary | None
    tuned: Summary
    comparison: Comparison | None
    n_configurations: tuple[int, int] | None
    n_trials: tuple[int, int] | None
    time_tune_s: float | None
    chosen: tuple[tuple[str, str], ...]
    tried: tuple[Tried, ...] = ()


def tuning_lines(table: DatasetTable, trials: Trials | None = None) -> tuple[TuningLine, ...]:
    """Return one line per tuned contestant that was not skipped, in the order of the table.

    Examples
    --------
    >>> from bench.tables import build_tables
    >>> of = lambda model, i, **more: Row("d", "raw", model, "sklearn", 1, 0, i, 0, "ok", **more)
    >>> rows = [of("lda", i, accuracy=0.8 + i / 100) for i in range(3)]
    >>> rows += [of("lda+tuned", i, accuracy=0.9, tuned_params={"shrinkage": 0.123456}) for i in range(3)]
    >>> [line] = tuning_lines(build_tables(rows)[0])
    >>> f"{line.comparison.difference:.2f}", line.chosen[0]
    ('0.09', ('fold 0', 'shrinkage=0.123'))
    """
    found = []
    for line in table.lines:
        for feature_set in table.feature_sets if is_tuned(line[0]) else ():
            tuned = table.cell(line, feature_set)
            if tuned is not None and set(tuned.statuses) != {"skipped"}:
                default = table.cell((untuned(line[0]), *line[1:]), feature_set)
                found.append(_line(table, default, tuned, trials or {}))
    return tuple(found)


def without_space(table: DatasetTable) -> list[str]:
    """Return the models that stand beside tuned ones and were not tuned: they declare no search space."""
    models = list(dict.fromkeys(line[0] for line in table.lines))
    searched = {untuned(model) for model in models if is_tuned(model)}
    return [model for model in models if searched and not is_tuned(model) and model not in searched]


def budget_words(suite: Mapping[str, Any]) -> str:
    """Return what each search was given, in words.

    Examples
    --------
    >>> budget_words({"tune": 16})
    'Each search was given 16 configurations'
    >>> budget_words({"tune": 16, "tune_s": 30.0})
    'Each search was given 16 configurations or 30 s, whichever ended first'
    >>> budget_words({"tune_s": 5.0, "tune_metric": "balanced_accuracy"})
    'Each search was given 5 s, and judged classifiers by balanced accuracy'
    """
    n, seconds = suite.get("tune"), suite.get("tune_s")
    given = [f"{n} configurations"] if n else []
    given += [f"{seconds:g} s"] if isinstance(seconds, int | float) else []
    budget = f"{' or '.join(given)}{', whichever ended first' if len(given) > 1 else ''}" if given else "the same budget"
    judge = ", and judged classifiers by balanced accuracy" if suite.get("tune_metric") == "balanced_accuracy" else ""
    return f"Each search was given {budget}{judge}"


def params_words(params: Any) -> str:
    """Return parameters in words, numbers to three digits.

    Examples
    --------
    >>> params_words({"C": 123.456, "solver": "sgd", "hidden_layer_sizes": [100, 100]})
    'C=123, solver=sgd, hidden_layer_sizes=(100, 100)'
    """
    values = params if isinstance(params, Mapping) else {}
    return ", ".join(f"{name}={_word(value)}" for name, value in values.items())


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_word, value))})"
    return str(value)


def _line(table: DatasetTable, default: Summary | None, tuned: Summary, trials: Trials) -> TuningLine:
    label = table.labels.get(tuned.line, tuned.model)
    return TuningLine(
        label=label.replace(tuned.model, untuned(tuned.model), 1),
        feature_set=tuned.feature_set,
        default=default,
        tuned=tuned,
        comparison=_compare(default, tuned),
        n_configurations=_range([row.n_configurations for row in tuned.rows]),
        n_trials=_range([row.n_trials for row in tuned.rows]),
        time_tune_s=tuned.times.get("time_tune_s"),
        chosen=tuple((fold_words(row), _chosen_words(row, trials)) for row in tuned.rows if row.tuned_params),
        tried=tuple(t for row in tuned.rows for t in _tried(row, trials.get(row.identity, []))),
    )


def _chosen_words(row: Row, trials: Trials) -> str:
    defaults = (trial.get("params") for trial in trials.get(row.identity, []) if trial.get("configuration") == 0)
    words = params_words(row.tuned_params)
    return f"{words} ({DEFAULT})" if row.tuned_params in defaults else words


def fold_words(row: Row) -> str:
    """Return which fold a row is of: ``fold 3``, or ``repeat 1, fold 3``."""
    return f"repeat {row.repeat}, fold {row.fold}" if row.repeat else f"fold {row.fold}"


def _compare(default: Summary | None, tuned: Summary) -> Comparison | None:
    if default is None:
        return None
    both = [key for key in tuned.scores if key in default.scores]
    return compare_scores({key: tuned.scores[key] for key in both}, default.scores, tuned) if both else None


def _finite(values: Iterable[Any]) -> list[float]:
    """Return the numbers among values: rows come from a file that anyone may have edited."""
    return [v for v in values if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]


def _range(values: Sequence[int | None]) -> tuple[int, int] | None:
    known = [int(value) for value in _finite(values)]
    return (min(known), max(known)) if known else None


def range_words(values: tuple[int, int] | None) -> str:
    """Return a number, or the least and the most of several.

    Examples
    --------
    >>> range_words((8, 8)), range_words((6, 8)), range_words(None)
    ('8', '6 to 8', '')
    """
    if values is None:
        return ""
    return str(values[0]) if values[0] == values[1] else f"{values[0]} to {values[1]}"


def _tried(row: Row, trials: Sequence[Mapping[str, Any]]) -> list[Tried]:
    by_number: dict[int, list[Mapping[str, Any]]] = {}
    for trial in trials:
        if isinstance(trial.get("configuration"), int):
            by_number.setdefault(trial["configuration"], []).append(trial)
    found = []
    for number, seen in sorted(by_number.items()):
        scores = _finite(trial.get("score") for trial in seen)
        failed = next((trial for trial in seen if not _finite([trial.get("score")])), None)
        params = seen[0].get("params")
        found.append(
            Tried(
                fold=fold_words(row),
                number=number,
                params=params_words(params),
                n_inner_folds=len(seen),
                score=None if failed else math.fsum(scores) / len(scores),
                seconds=math.fsum(_finite(trial.get(name) for trial in seen for name in ("time_fit_s", "time_predict_s"))),
                status=str(failed.get("status")) if failed else "ok",
                message=str(failed.get("message", "")) if failed else "",
                is_chosen=bool(params) and params == row.tuned_params,
            )
        )
    return found
