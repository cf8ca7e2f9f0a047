"""What a table must say of how its rows came about: on which machines, and what a budget of time left out.

Times of two machines are never put into one median: a table takes those of the machine that ran most of its cells, and says
so. Scores do not depend on the machine, and come from all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from bench.budget import duration, words
from bench.cell import Row


def timed_on(rows: Iterable[Row]) -> str | None:
    """Return the fingerprint of the machine whose times are shown; None where all rows are of one, or none says which.

    Examples
    --------
    >>> rows = [Row("d", "raw", "lda", "sklearn", 1, 0, f, 0, "ok", machine_fingerprint="aabb"[f]) for f in (0, 1, 2)]
    >>> timed_on(rows), timed_on(rows[:2])
    ('a', None)
    """
    counts = Counter(row.machine_fingerprint for row in rows if row.status == "ok")
    counts.pop(None, None)
    return counts.most_common(1)[0][0] if len(counts) > 1 else None


def is_timed(row: Row, machine: str | None) -> bool:
    """Whether a row's times may stand beside those of a machine (None: of all)."""
    return machine is None or row.machine_fingerprint == machine


def notes(rows: list[Row], manifest: Mapping[str, Any] | None) -> list[str]:
    """Return what a reader of the table of one data set must know."""
    return [note for note in (_about_machines(rows, manifest), _about_budget(rows, manifest)) if note]


def _about_machines(rows: list[Row], manifest: Mapping[str, Any] | None) -> str:
    machine = timed_on(rows)
    if machine is None:
        return ""
    counts = Counter(row.machine_fingerprint for row in rows if row.status == "ok")
    known = (manifest or {}).get("machines")
    name = (known.get(machine) or {}).get("cpu") if isinstance(known, Mapping) else None
    return (
        f"These cells ran on {len(counts)} kinds of machines, whose times do not compare: the times are those of the "
        f"{counts[machine]} of {sum(counts.values())} cells that ran on {name or machine}."
    )


def _about_budget(rows: list[Row], manifest: Mapping[str, Any] | None) -> str:
    budget = (manifest or {}).get("budget")
    left = budget.get("left_out") if isinstance(budget, Mapping) else None
    if not isinstance(left, Mapping) or not rows:
        return ""
    try:
        said = words(left, rows[0].dataset)
        given = duration(float(budget["budget_s"]))
    except (KeyError, TypeError, ValueError, AttributeError):  # run.json is a file that anyone may have edited
        return ""
    return f"Left out for want of time (budget {given}): {said}; --resume runs them." if said else ""
