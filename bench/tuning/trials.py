"""tuning.jsonl in a run folder: what was tried, one fit of one configuration on one inner fold a line.

A line is the identity of its cell and the trial. Lines are written as trials end, also those of a cell that is killed
later; a resumed run hands them back to the cell, which does not fit them again. Read without kernels and models.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.appending import AppendedFile
from bench.cell import IDENTITY, Cell
from bench.errors import InputError

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
        self.trials, self._good_end = _scan(self._path)
        self._file: AppendedFile | None = None
        if self._path.exists():
            self._open()

    def append(self, cell: Cell, trial: Mapping[str, Any]) -> None:
        """Add a trial; it is in the file when this returns.

        Raises
        ------
        InputError
            The disk is full, or the like.
        """
        values = {name: getattr(cell, name) for name in IDENTITY} | dict(trial)
        line = json.dumps(values, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
        if self._file is None:
            self._open()
        try:
            self._file.append(line)
        except OSError as e:
            raise InputError(f"cannot write to {self._path}: {e.strerror or e}") from e
        self.trials.setdefault(cell.identity, []).append(dict(trial))

    def _open(self) -> None:
        try:
            self._file = AppendedFile(self._path, self._good_end)
        except OSError as e:
            raise InputError(f"cannot write to {self._path}: {e.strerror or e}") from e

    def close(self) -> None:
        """Put the trials on the disk."""
        if self._file is not None:
            with suppress(OSError):  # a trial that is lost is tried again
                self._file.close()


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
