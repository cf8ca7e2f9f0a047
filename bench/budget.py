"""Which cells of a plan fit into a given time: whole folds first, because a table ranks only what finished the same folds.

A *fold* here is a fold of one data set with all its feature sets and models. Folds are taken in the order 0, 1, 2 ... of
each repeat, of all data sets in turn, as long as they fit as a whole; one that does not is passed over for a smaller one of
another data set. Of a data set of which not even one fold fits, the cells of its first fold are taken from the shortest on.
What is left out is said, stands in run.json, and is run by `--resume` with more time.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.cell import Cell
from bench.errors import InputError

_UNITS_S = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|d)\b", re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Return the seconds of ``"30min"``, ``"1h 30m"``, ``"90s"`` or ``"90"``.

    Raises
    ------
    InputError
        It is not a time, or none.

    Examples
    --------
    >>> parse_duration("30min"), parse_duration("1.5h"), parse_duration("1h 30m"), parse_duration("90")
    (1800.0, 5400.0, 5400.0, 90.0)
    """
    rest = re.sub(r"(?<=[a-z])(?=\d)", " ", text.strip(), flags=re.IGNORECASE)
    if re.fullmatch(r"\d+(\.\d+)?", rest):
        seconds = float(rest)
    else:
        parts = _PART.findall(rest)
        if not parts or _PART.sub("", rest).strip():
            raise InputError(f"budget {text!r} is not a time; write like 90s, 30min, 1.5h or 1h30m")
        seconds = sum(float(number) * _UNITS_S[unit.lower()] for number, unit in parts)
    if not seconds > 0:
        raise InputError(f"budget {text!r} is no time at all; write like 90s, 30min, 1.5h or 1h30m")
    return seconds


def duration(seconds: float) -> str:
    """Put seconds into words that one can plan by: two digits, the unit that fits.

    Examples
    --------
    >>> duration(0.04), duration(7.2), duration(95), duration(4000), duration(200_000)
    ('< 1 s', '7 s', '1.6 min', '1.1 h', '2.3 d')
    """
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size or (unit == "h" and seconds >= size):
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"


@dataclass(frozen=True)
class Choice:
    """Cells that fit, and those that do not, both in the order of the plan."""

    taken: list[Cell]
    left_out: list[Cell]


def choose(cells: Sequence[Cell], seconds: Mapping[Cell, float], budget_s: float) -> Choice:
    """Take whole folds while they fit into the budget.

    Parameters
    ----------
    cells : sequence of Cell
    seconds : mapping
        How long each should take, with its share of what cells have in common.
    budget_s : float

    Examples
    --------
    >>> cells = [Cell("iris", "raw", m, "sklearn", 1, 0, fold, 0) for fold in range(3) for m in ("lda", "qda")]
    >>> choice = choose(cells, dict.fromkeys(cells, 10.0), 45.0)
    >>> [(c.fold, c.model) for c in choice.taken]
    [(0, 'lda'), (0, 'qda'), (1, 'lda'), (1, 'qda')]
    """
    folds: dict[tuple, list[Cell]] = defaultdict(list)
    for cell in cells:
        folds[cell.repeat, cell.fold, cell.dataset].append(cell)
    datasets = {name: i for i, name in enumerate(dict.fromkeys(cell.dataset for cell in cells))}
    left = budget_s
    taken: set[Cell] = set()
    begun: set[str] = set()
    order = sorted(folds, key=lambda key: (key[0], key[1], datasets[key[2]]))
    for key in order:
        cost = sum(seconds[c] for c in folds[key])
        if cost <= left:
            taken.update(folds[key])
            begun.add(key[2])
            left -= cost
    for key in order:
        if key[2] in begun:
            continue
        begun.add(key[2])  # its first fold only
        for cell in sorted(folds[key], key=lambda c: seconds[c]):
            if seconds[cell] <= left:
                taken.add(cell)
                left -= seconds[cell]
    return Choice([c for c in cells if c in taken], [c for c in cells if c not in taken])


def facts(budget_s: float, choice: Choice, estimated_s: float) -> dict[str, Any]:
    """Return what run.json says of a budget."""
    return {
        "budget_s": budget_s,
        "estimated_s": round(estimated_s, 1),
        "n_left_out": len(choice.left_out),
        "left_out": left_out(choice.taken, choice.left_out),
    }


def left_out(taken: Sequence[Cell], out: Sequence[Cell]) -> dict[str, dict[str, int]]:
    """Count, for each data set, the cells that have been left out, the folds of which none is run, and those run in part."""
    has = {(c.dataset, c.repeat, c.fold) for c in taken}
    whole: dict[str, set] = defaultdict(set)
    part: dict[str, set] = defaultdict(set)
    for c in out:
        (part if (c.dataset, c.repeat, c.fold) in has else whole)[c.dataset].add((c.repeat, c.fold))
    counts = Counter(c.dataset for c in out)
    return {d: {"cells": n, "folds": len(whole[d]), "folds_in_part": len(part[d])} for d, n in counts.items()}


def words(left: Mapping[str, Mapping[str, int]], dataset: str) -> str:
    """Say what has been left out of a data set; nothing where nothing has.

    Examples
    --------
    >>> words({"iris": {"cells": 20, "folds": 2, "folds_in_part": 0}}, "iris")
    '2 folds (20 cells) of iris'
    """
    found = left.get(dataset) or {}
    folds = [
        f"{n} {'fold' if n == 1 else 'folds'}{how}"
        for n, how in ((found.get("folds", 0), ""), (found.get("folds_in_part", 0), " in part"))
        if n
    ]
    return f"{' and '.join(folds)} ({found['cells']} cells) of {dataset}" if folds else ""
