"""The chain behind one row: data -> split -> features -> model -> kernels -> row, each with the hash that proves it.

A hash alone says little; so beside each stands who shares it: all models of a fold must have had the same matrices, and
all folds of a contestant the same code. What a row does not hold was not recorded, and is said to be so.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.cell import Row
from bench.names import untuned

WIDTH, LABEL = 80, 10
_ABSENT = "not recorded"


def explain(row: Row, rows: Sequence[Row], manifest: Mapping[str, Any] | None = None) -> str:
    """Return the chain of a row as text of at most 80 columns.

    Parameters
    ----------
    row : Row
        One of `rows`.
    rows : sequence of Row
        All rows of the run, in the order of the file.
    manifest : mapping, optional
        What run.json holds.

    Examples
    --------
    >>> row = Row("iris", "raw", "lda", "sklearn", 1, 0, 0, 0, "ok", accuracy=0.96, y_sha256="ab" * 32)
    >>> print(explain(row, [row]).splitlines()[0])
    cell      iris / raw / lda on sklearn, 1 thread, repeat 0, fold 0, seed 0
    """
    manifest = manifest or {}
    links = (
        _data(row, rows, manifest),
        _split(row, rows, manifest),
        _features(row, rows),
        _model(row, rows),
        _kernels(row, rows, manifest),
        _outcome(row),
    )
    lines = _cell(row, rows)
    for i, link in enumerate(links):
        lines += ["  |" if i else "", *link]
    for part in (_ledger(row), _conditions(row)):
        lines += ["", *part] if part else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


# -- the links


def _cell(row: Row, rows: Sequence[Row]) -> list[str]:
    threads = f"{row.threads} thread{'s' if row.threads != 1 else ''}"
    name = f"{row.dataset} / {row.feature_set} / {row.model} on {row.backend}, {threads}"
    lines = _said("cell", f"{name}, repeat {row.repeat}, fold {row.fold}, seed {row.seed}")
    others = sum(_contestant(r) == _contestant(row) for r in rows) - 1
    more = f"; {others} other fold{'s' if others != 1 else ''} of it (fold=N names one)" if others else ""
    return lines + _said("", f"line #{rows.index(row) + 1} of {len(rows)} in rows.jsonl{more}")


def _data(row: Row, rows: Sequence[Row], manifest: Mapping[str, Any]) -> list[str]:
    facts = manifest.get("datasets")
    facts = facts.get(row.dataset) if isinstance(facts, Mapping) else None
    text = row.dataset
    if isinstance(facts, Mapping) and "n_samples" in facts:
        text += f": {facts['n_samples']} samples of {facts.get('n_features', '?')} values"
    lines = _said("data", text) + _hash("y", row.y_sha256)
    return lines + _shared(row, rows, ("y_sha256",), _same_dataset, "cells of this data set")


def _split(row: Row, rows: Sequence[Row], manifest: Mapping[str, Any]) -> list[str]:
    suite = manifest.get("suite")
    suite = suite if isinstance(suite, Mapping) else {}
    text = f"fold {row.fold} of {suite['folds']}" if suite.get("split") == "kfold" else str(suite.get("split", ""))
    sizes = f"{row.n_train} samples to learn from, {row.n_test} to test on" if row.n_train and row.n_test else ""
    lines = _said("split", "; ".join(filter(None, (text, sizes))) or _ABSENT) + _hash("indices", row.split_sha256)
    return lines + _shared(row, rows, ("split_sha256",), _same_fold, "cells of this fold")


def _features(row: Row, rows: Sequence[Row]) -> list[str]:
    columns = f": {row.n_features} columns" if row.n_features else ""
    made = f", made in {_seconds(row.time_features_s)}" if row.time_features_s is not None else ""
    lines = _said("features", f"{row.feature_set}{columns}{made}, fitted on the training part alone")
    lines += _hash("recipe", row.features_digest)
    lines += _hash("X_train", row.x_train_sha256) + _hash("X_test", row.x_test_sha256)
    keys = ("x_train_sha256", "x_test_sha256")
    return lines + _shared(row, rows, keys, _same_matrix, f"cells on {row.feature_set} of this fold")


def _model(row: Row, rows: Sequence[Row]) -> list[str]:
    text = f"{row.model}{f', {row.family}' if row.family else ''}"
    if row.tuned_params is not None:
        chosen = ", ".join(f"{k}={v}" for k, v in row.tuned_params.items()) or "the default"
        text += f"; tuned from {untuned(row.model)}, chosen: {chosen}"
    lines = _said("model", text) + _hash("code", row.model_digest)
    return lines + _shared(row, rows, ("model_digest",), _contestant, "folds of this contestant")


def _kernels(row: Row, rows: Sequence[Row], manifest: Mapping[str, Any]) -> list[str]:
    environment = manifest.get("environment")
    environment = environment if isinstance(environment, Mapping) else {}
    if row.backend not in ("cython", "numba", "reference"):
        packages = environment.get("packages")
        version = packages.get("scikit-learn") if isinstance(packages, Mapping) else None
        library = f"scikit-learn {version}" if version and row.backend == "sklearn" else row.backend
        return _said("kernels", f"none of depthbench's: it runs on {library}")
    isa = f", instruction set {environment['isa']}" if row.backend == "cython" and environment.get("isa") else ""
    lines = _said("kernels", f"{row.backend}{isa}") + _hash("code", row.kernels_digest)
    return lines + _shared(row, rows, ("kernels_digest",), lambda r: r.backend, f"cells on {row.backend}")


def _outcome(row: Row) -> list[str]:
    scores = {
        "accuracy": row.accuracy, "balanced accuracy": row.balanced_accuracy, "log-loss": row.log_loss,
        "R²": row.r2, "RMSE": row.rmse, "MAE": row.mae,
    }  # fmt: skip
    known = [f"{name} {value:.4g}" for name, value in scores.items() if value is not None]
    lines = _said("row", f"{row.status}{': ' if known else ''}{', '.join(known)}")
    if row.converged is False:
        lines += _said("", "the optimizer stopped before it converged")
    if row.message:
        lines += _said("", row.message)
    if row.traceback:
        lines += ["", *(line[:WIDTH] for line in row.traceback.splitlines()[-8:])]
    return lines


def _ledger(row: Row) -> list[str]:
    """Every second that is known of, and what else it took."""
    cpu = {"time_fit_s": row.cpu_fit_s, "time_predict_s": row.cpu_predict_s}
    joules = {"time_fit_s": row.energy_fit_j, "time_predict_s": row.energy_predict_j}
    names = {
        "time_import_s": "imports", "time_warmup_s": "warm-up", "time_jit_s": "  of it compiling", "time_tune_s": "search",
        "time_fit_s": "fit", "time_fit_jit_s": "  of it compiling", "time_fit_resumed_s": "  of it in an earlier worker",
        "time_predict_s": "predicting the fold", "time_predict_one_s": "predicting one sample",
        "time_overhead_s": "the harness itself",
    }  # fmt: skip
    lines = []
    for name, words in names.items():
        value = getattr(row, name)
        if value is not None:
            extra = f"   {_seconds(cpu[name])} of processors" if cpu.get(name) is not None else ""
            extra += f"   {joules[name]:.3g} J" if joules.get(name) is not None else ""
            lines.append(f"{words:<28}{_seconds(value):>12}{extra}")
    if row.peak_memory_bytes is not None:
        lines.append(f"{'memory at its peak':<28}{f'{row.peak_memory_bytes / 2**20:,.0f} MiB':>12}")
        if row.peak_memory_above_data_bytes is not None:
            above = f"{row.peak_memory_above_data_bytes / 2**20:,.1f} MiB"
            lines.append(f"{'  above libraries and data':<28}{above:>12}")
    if row.predict_batches:
        lines += ["", f"{'samples a call':>14}{'calls':>8}{'first':>12}{'median':>12}{'99 %':>12}"]
        lines += [_batch(batch) for batch in row.predict_batches if isinstance(batch, Mapping)]
    return _labelled("ledger", lines)


def _batch(batch: Mapping[str, Any]) -> str:
    times = "".join(f"{_seconds(batch.get(name)):>12}" for name in ("first_s", "p50_s", "p99_s"))
    return f"{batch.get('batch', '?'):>14}{batch.get('n', '?'):>8}{times}"


def _conditions(row: Row) -> list[str]:
    """Under what it was measured."""
    lines = []
    for words, pools in (("before", row.threads_before), ("after", row.threads_after)):
        if pools:
            lines.append(f"threads {words}: {', '.join(f'{name} {n}' for name, n in sorted(pools.items()))}")
    if not lines and row.threads_effective is not None:
        lines.append(f"threads: {row.threads_effective}, as read in the worker")
    if row.cpus:
        lines.append(f"pinned to processor {', '.join(map(str, row.cpus))}")
    if row.n_workers:
        lines.append(f"{row.n_workers} worker{'s beside each other' if row.n_workers > 1 else ''}")
    place = "" if row.position is None else f", after {row.position} other rows"
    if row.utc:
        lines.append(f"ended {row.utc}{place}")
    return _labelled("measured", lines)


# -- who shares it


def _contestant(row: Row) -> tuple:
    return row.dataset, row.feature_set, row.model, row.backend, row.threads


def _same_dataset(row: Row) -> tuple:
    return (row.dataset,)


def _same_fold(row: Row) -> tuple:
    return row.dataset, row.seed, row.repeat, row.fold


def _same_matrix(row: Row) -> tuple:
    return *_same_fold(row), row.feature_set


def _shared(
    row: Row, rows: Iterable[Row], keys: Sequence[str], group: Callable[[Row], Any], who: str
) -> list[str]:
    """Say how many of those that must share a hash do."""
    if getattr(row, keys[0]) is None:
        return []
    mine = [r for r in rows if group(r) == group(row) and getattr(r, keys[0]) is not None]
    same = sum(all(getattr(r, key) == getattr(row, key) for key in keys) for r in mine)
    if same == len(mine):
        return _said("", f"the same in all {same} {who}" if same > 1 else "")
    return _said("", f"DIFFERENT in {len(mine) - same} of {len(mine)} {who}")


# -- setting


def _hash(label: str, value: str | None) -> list[str]:
    return [f"  {label:<{LABEL - 2}}{value or _ABSENT}"]


def _said(label: str, text: str) -> list[str]:
    """Wrap a sentence behind its label; nothing where there is nothing to say."""
    if not text:
        return []
    clean = "".join(c if c.isprintable() else " " for c in text)
    return _labelled(label, textwrap.wrap(clean, WIDTH - LABEL) or [""])


def _labelled(label: str, lines: Sequence[str]) -> list[str]:
    return [f"{label if i == 0 else '':<{LABEL}}{line}" for i, line in enumerate(lines)]


def _seconds(value: Any) -> str:
    """Return seconds in the unit that suits them.

    Examples
    --------
    >>> [_seconds(v) for v in (12.3, 0.0456, 0.00000789)]
    ['12.3 s', '45.6 ms', '7.89 µs']
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "\N{EN DASH}"
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if abs(value) * scale >= 1 or unit == "µs":
            return f"{value * scale:.3g} {unit}" if value * scale < 1000 else f"{value * scale:,.0f} {unit}"
    return ""


