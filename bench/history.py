"""What cells took in earlier runs on this machine: one small file of medians in the user's cache folder.

A run leaves there, when it ends, the median seconds of each contestant, apart for the first fold (which measures
latencies too) and the others, under the fingerprint of the machine. The latest run of a contestant counts. It serves to
estimate, never to report: nothing in a table comes from here. A file that cannot be read or written is as good as none.
"""

from __future__ import annotations

import json
import statistics
from array import array
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cell import Cell, Row
from bench.names import is_tuned

if TYPE_CHECKING:
    from bench.suite import Suite

FILE = "history.json"
VERSION = 1
#: Contestants that are kept, the latest; a few hundred bytes each.
MOST = 5000
#: How much larger or smaller than this one's the training fold of an earlier run may be.
ALIKE = 1.3


def path() -> Path:
    """Return where the file is: in the folder of `DEPTHBENCH_CACHE`, or the platform's user cache."""
    from bench.features.cache import default_folder

    return default_folder().parent / FILE


class Observed:
    """The seconds of a run's cells, taken in row by row: of 100,000 of them, some megabytes."""

    def __init__(self, suite: Suite | None = None):
        self.suite = suite
        self.times: dict[str, dict[str, array]] = defaultdict(lambda: defaultdict(lambda: array("d")))
        self.n_train: dict[str, int] = {}

    def add(self, row: Row) -> None:
        """Take in what a row tells."""
        if row.status != "ok" or row.n_train is None:
            return
        if row.time_cell_s is not None:
            self._add(_key(row, self.suite), "first_s" if row.fold == 0 else "rest_s", row.time_cell_s, row.n_train)
        if row.time_features_s is not None:
            self._add(f"features {row.dataset} {row.feature_set}", "rest_s", row.time_features_s, row.n_train)

    def _add(self, key: str, name: str, seconds: float, n_train: int) -> None:
        self.times[key][name].append(seconds)
        self.n_train[key] = n_train


class History:
    """Medians of one machine.

    Examples
    --------
    >>> history, observed = History({}), Observed()
    >>> for fold, seconds in enumerate((2.0, 1.0, 1.2)):
    ...     observed.add(Row("iris", "raw", "lda", "sklearn", 1, 0, fold, 0, "ok", n_train=120, time_cell_s=seconds))
    >>> history.learn(observed)
    >>> [history.cell_s(Cell("iris", "raw", "lda", "sklearn", 1, 0, fold, 0), 120, None) for fold in (0, 3)]
    [2.0, 1.1]
    """

    def __init__(self, values: Mapping[str, Any]):
        self.values: dict[str, Any] = {k: v for k, v in values.items() if isinstance(v, dict)}

    @classmethod
    def of_this_machine(cls) -> History:
        """Return what is known here; nothing where there is no readable file."""
        from bench.environment import machine

        found = _read().get(machine()["fingerprint"], {})
        return cls(found if isinstance(found, dict) else {})

    def cell_s(self, cell: Cell, n_train: int, suite: Suite | None) -> float | None:
        """Return the median seconds of a cell like this one, features and warm-up apart; None where there was none."""
        found = self._alike(_key(cell, suite), n_train)
        first, rest = found.get("first_s"), found.get("rest_s")
        return first if cell.fold == 0 and first is not None else rest if rest is not None else first

    def features_s(self, dataset: str, feature_set: str, n_train: int) -> float | None:
        """Return the median seconds of a fold's features."""
        return self._alike(f"features {dataset} {feature_set}", n_train).get("rest_s")

    def start_s(self) -> float | None:
        """Return the seconds from the start of a run to its first cell."""
        found = self.values.get("start", {}).get("rest_s")
        return found if isinstance(found, float) else None

    def _alike(self, key: str, n_train: int) -> Mapping[str, Any]:
        found = self.values.get(key, {})
        n = found.get("n_train")
        return found if isinstance(n, int) and n_train / ALIKE <= n <= n_train * ALIKE else {}

    def learn(self, observed: Observed, start_s: float | None = None) -> None:
        """Take in what a run has seen, and how long it took to begin."""
        for key, found in observed.times.items():
            self.values.pop(key, None)  # the latest stand last
            medians = {name: round(statistics.median(seconds), 6) for name, seconds in found.items()}
            self.values[key] = {"n_train": observed.n_train[key], **medians}
        if start_s is not None:
            self.values["start"] = {"rest_s": float(round(start_s, 3))}

    def save(self, fingerprint: str) -> None:
        """Write it beside what other machines left there; says nothing where that cannot be."""
        from bench.report import write_atomically

        content = {**_read(), fingerprint: dict(list(self.values.items())[-MOST:]), "version": VERSION}
        with suppress(OSError):
            path().parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path(), json.dumps(content, indent=0).encode())


def _read() -> dict[str, Any]:
    try:
        content = json.loads(path().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and content.get("version") == VERSION else {}


def _key(cell: Cell | Row, suite: Suite | None) -> str:
    key = f"{cell.dataset} {cell.feature_set} {cell.model} {cell.backend} {cell.threads}"
    return f"{key} tune={suite.tune} tune_s={suite.tune_s}" if suite is not None and is_tuned(cell.model) else key
