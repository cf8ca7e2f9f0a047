"""What a page keeps of each fold, for who looks into a cell: compressed, in chunks that are opened one by one, and bounded.

All measured fields of a row are there, whatever they are called, but for those that stand elsewhere in the page; a field that
holds several numbers (a ledger of latencies, say) becomes several, named ``field.key``. Numbers have six digits.

Nobody reads the ledger of 10,000 folds. Of a contestant with more folds than `in_full` says, the page holds score, fate and
times of each fold, as columns, and everything of some: those that did not end well, then the first.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.cell import Row
from bench.figures.classes import confused, confusion
from bench.report.shell import Blocks, pack, to_json
from bench.tables import DATA_HASHES, Summary
from bench.tuning.summary import params_words

#: Contestants that are stored together, and their folds.
CHUNK, CHUNK_FOLDS = 100, 20_000
#: Folds of a contestant that are kept in full, and of a whole page.
MOST_FOLDS, MOST_ROWS = 200, 20_000
#: What is kept of each fold beside its score, where not all are kept in full.
OF_EACH = ("repeat", "fold", "status", "time_fit_s", "time_predict_s")
#: What the folds of a whole page may take, compressed. A row takes some 80 to 150 bytes.
MOST_BYTES = 3_000_000
#: Not among the fields of a fold: said once for the cell, or drawn as a chart.
ELSEWHERE = {
    "dataset", "feature_set", "model", "backend", "threads", "family", "schema_version", "run_id", "curve", "confusion",
    "calibration", "predictions", "features_digest", "model_digest", "kernels_digest", *DATA_HASHES,
}  # fmt: skip
FIELDS = tuple(f.name for f in dataclasses.fields(Row) if f.name not in ELSEWHERE)
MOST_TEXT = 8000
MOST_CONFUSIONS = 20


Cells = Sequence[tuple[Summary, Sequence[str]]]  # contestants, each with the names of its classes


def in_full(n_contestants: int) -> int:
    """Return of how many folds of a contestant everything is kept, in a page of so many contestants.

    Examples
    --------
    >>> in_full(10), in_full(1000), in_full(100_000)
    (200, 20, 3)
    """
    return max(3, min(MOST_FOLDS, MOST_ROWS // max(1, n_contestants)))


def chunk_size(cells: Cells) -> int:
    """Return how many contestants are stored together: fewer where they have many folds, as a block is opened as a whole."""
    return max(1, min(CHUNK, CHUNK_FOLDS // max((len(summary.rows) for summary, _ in cells), default=1)))


def add(blocks: Blocks, prefix: str, cells: Cells, room: int, most: int = MOST_FOLDS) -> tuple[list[str], int]:
    """Store the folds of some cells in blocks ``<prefix>-<n>``, `chunk_size` cells each, as long as there is room.

    Parameters
    ----------
    cells : sequence of (Summary, names of the classes)
    room : int
        Bytes that are left.
    most : int
        Folds of a cell that are kept in full: `in_full`.

    Returns
    -------
    names : list of str
        Of the blocks, in order.
    room : int
        Bytes that are left now; negative where some cells were left out.
    """
    names = []
    size = chunk_size(cells)
    for start in range(0, len(cells), size):
        text = pack(to_json(_chunk(cells[start : start + size], most)))
        room -= len(text)
        if room < 0:
            break
        names.append(f"{prefix}-{len(names)}")
        blocks.add_packed(names[-1], text)
    return names, room


def _chunk(cells: Cells, most: int) -> dict[str, Any]:
    hashes: dict[str, int] = {}
    fields: dict[str, int] = {}
    found = []
    for summary, names in cells:
        rows = chosen(summary.rows, most)
        cell = {
            "folds": [_sparse(row, fields) for row in rows],
            "hashes": [[_intern(getattr(row, name), hashes) for name in DATA_HASHES] for row in rows],
            **_confusions(summary, names),
        }
        if len(rows) < len(summary.rows):
            cell["all"] = _columns(summary)
        found.append(cell)
    return {"fields": list(fields), "cells": found, "hashes": list(hashes)}


def chosen(rows: Sequence[Row], most: int) -> list[Row]:
    """Return `most` of the rows, in their order: those that did not end well, then the first.

    Examples
    --------
    >>> rows = [Row("d", "raw", "lda", "sklearn", 1, 0, i, 0, "timeout" if i == 7 else "ok") for i in range(9)]
    >>> [row.fold for row in chosen(rows, 3)]
    [0, 1, 7]
    """
    if len(rows) <= most:
        return list(rows)
    kept = sorted(range(len(rows)), key=lambda i: (rows[i].status == "ok", i))[:most]
    return [rows[i] for i in sorted(kept)]


def _columns(summary: Summary) -> dict[str, list[Any]]:
    """Return what is kept of each fold of a contestant with many, a list for each field."""
    columns = {name: [getattr(row, name) for row in summary.rows] for name in (*OF_EACH, summary.metric)}
    return {
        name: [_short(v) if type(v) is float else v for v in values]
        for name, values in columns.items()
        if any(v is not None for v in values)
    }


def _sparse(row: Row, fields: dict[str, int]) -> list[Any]:
    """Return a row's values at the places of their fields; `fields` learns new ones."""
    values: list[Any] = []
    for name, value in measured(row):
        place = fields.setdefault(name, len(fields))
        values.extend([None] * (place + 1 - len(values)))
        values[place] = value
    return values


def measured(row: Row) -> Iterator[tuple[str, Any]]:
    """Yield the measured fields of a row, flat.

    Examples
    --------
    >>> row = Row("d", "raw", "lda", "sklearn", 1, 0, 3, 0, "ok", accuracy=0.98, tuned_params={"C": 1.0})
    >>> dict(measured(row))
    {'repeat': 0, 'fold': 3, 'seed': 0, 'status': 'ok', 'accuracy': 0.98, 'tuned_params': 'C=1'}
    """
    for name in FIELDS:
        value = getattr(row, name)
        if value is None:
            continue
        kind = type(value)
        if kind is float:
            yield name, _short(value)
        elif (kind is int and -(2**53) < value < 2**53) or (kind is str and len(value) <= MOST_TEXT):
            yield name, value
        elif name == "tuned_params":
            yield name, params_words(value)
        else:
            yield from _flat(name, value)


def _flat(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if type(value) is float or type(value) is int:  # most are: the other questions cost more
        yield name, _short(value)
    elif isinstance(value, Mapping) and depth < 3:
        for key, part in value.items():
            yield from _flat(f"{name}.{key}", part, depth + 1)
    elif isinstance(value, bool) or value is None:
        yield name, value
    elif isinstance(value, (int, float)):
        yield name, _short(value)
    elif isinstance(value, list) and depth < 3 and value and all(isinstance(part, Mapping) for part in value):
        for i, part in enumerate(value):  # latencies by batch size, say: named by what comes first
            yield from _flat(f"{name}.{next(iter(part.values()), i)}", dict(list(part.items())[1:]), depth + 1)
    elif isinstance(value, list):
        yield name, " ".join(str(_short(v)) if isinstance(v, (int, float)) else str(v) for v in value)[:MOST_TEXT]
    else:
        yield name, str(value)[:MOST_TEXT]


def _short(value: float) -> Any:
    if isinstance(value, int):
        return value if abs(value) < 2**53 else float(value) if abs(value) < 1e300 else str(value)[:30]
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def _confusions(summary: Summary, names: Sequence[str]) -> dict[str, Any]:
    matrix = confusion(summary)
    if matrix is None:
        return {}
    names = names if len(names) == len(matrix) else [str(i) for i in range(len(matrix))]
    found = confused(matrix, names)[:MOST_CONFUSIONS]
    return {"confused": [[true, taken, n, f"{100 * share:.1f} %"] for true, taken, n, share in found]}


def _intern(value: str | None, hashes: dict[str, int]) -> int | None:
    """Return the number of a hash: each stands in a chunk once, though many rows share it."""
    return None if value is None else hashes.setdefault(str(value), len(hashes))
