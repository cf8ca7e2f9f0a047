"""tuning.jsonl in a run folder: what was tried, one fit of one configuration on one inner fold a line.

A line is the identity of its cell and the trial. Lines are written as trials end, also those of a cell that is killed
later; a resumed run hands them back to the cell, which does not fit them again. Read without kernels and models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.cell import IDENTITY, Cell

FILE = "tuning.jsonl"

Trials = dict[tuple, list[dict[str, Any]]]  # identity of a cell -> its trials, in the order in which they ended


class TrialLog:
    """Appends trials to a run folder; the file is made with the first.

    Whoever writes here holds the lock of the run (`bench.store.Writer`).

    Parameters
    ----------
    folder : Path
        What half a line was left there by a crash is cut off.

    Examples
    --------
    >>> import tempfile
    >>> cell = Cell("iris", "raw", "lda+tuned", "sklearn", 1, 0, 0, 0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     TrialLog(Path(folder)).append(cell, {"configuration": 0, "score": 0.9})
    ...     read(Path(folder))[cell.identity]
    [{'configuration': 0, 'score': 0.9}]
    """

    def __init__(self, folder: Path):
        self._path = folder / FILE
        self.trials, good_end = _scan(self._path)
        if self._path.exists():
            with open(self._path, "r+b") as f:
                f.truncate(good_end)

    def append(self, cell: Cell, trial: Mapping[str, Any]) -> None:
        """Add a trial; it is in the file when this returns."""
        values = {name: getattr(cell, name) for name in IDENTITY} | dict(trial)
        line = json.dumps(values, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
        with open(self._path, "ab") as f:
            f.write(line + b"\n")
        self.trials.setdefault(cell.identity, []).append(dict(trial))


def read(folder: Path) -> Trials:
    """Return the trials of a run folder by cell; none where nothing was tuned."""
    return _scan(folder / FILE)[0]


def _scan(path: Path) -> tuple[Trials, int]:
    """Read all whole lines; return them with the number of bytes up to the end of the last."""
    found: Trials = {}
    end = 0
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return found, 0
    for line in content.splitlines(keepends=True):
        values = _parse(line)
        if values is None:
            break
        identity = tuple(values.pop(name) for name in IDENTITY)
        found.setdefault(identity, []).append(values)
        end += len(line)
    return found, end


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:  # half a line, or not text
        return None
    whole = isinstance(values, dict) and all(isinstance(values.get(name), str | int) for name in IDENTITY)
    return values if whole else None
