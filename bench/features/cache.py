"""One matrix per fold, for all models and for all workers.

A worker keeps the last few folds in memory. What it has made it also leaves in a folder on disk, so that a worker
beside it, or one that replaces it after a crash, gets the identical matrix instead of making its own. A file carries
the hash of what is in it; one that was cut short is made again. Files are plain .npy arrays, never pickle.
"""

from __future__ import annotations

import json
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.features import sha256

if TYPE_CHECKING:
    import numpy as np

_IN_MEMORY = 3


@dataclass(frozen=True, eq=False)
class Matrices:
    """The features of one fold, read-only: no model can change what the next one sees."""

    X_train: np.ndarray  # (n_train, p) float32, C-contiguous
    X_test: np.ndarray  # (n_test, p) float32, C-contiguous
    x_train_sha256: str
    x_test_sha256: str
    time_features_s: float  # what it took to make them, once


class FeatureCache:
    """Matrices by key; see the head of this module.

    Parameters
    ----------
    folder : Path or None
        Shared between workers; None keeps everything in memory.
    """

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._recent: OrderedDict[str, Matrices] = OrderedDict()

    def get(self, key: str, make: Callable[[], tuple[np.ndarray, np.ndarray]]) -> Matrices:
        """Return the matrices of `key` from memory, from disk, or by calling `make`."""
        found = self._recent.pop(key, None)
        if found is None:
            found = self._from_disk_or_made(key, make)
        self._recent[key] = found
        while len(self._recent) > _IN_MEMORY:
            self._recent.popitem(last=False)
        return found

    def _from_disk_or_made(self, key: str, make: Callable) -> Matrices:
        if self.folder is None:
            return _time(make)
        from filelock import FileLock

        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{key}.features"
        # one makes it, the others wait and read; the lock of a worker that dies is free again
        with FileLock(path.with_suffix(".lock")):
            found = _read(path)
            if found is None:
                found = _time(make)
                _write(path, found)
        return found


def _time(make: Callable) -> Matrices:
    import numpy as np

    start = time.perf_counter()
    X_train, X_test = make()
    elapsed = time.perf_counter() - start
    X_train, X_test = (np.array(X, np.float32, order="C") for X in (X_train, X_test))
    return _matrices(X_train, X_test, elapsed)


def _matrices(X_train: np.ndarray, X_test: np.ndarray, elapsed: float) -> Matrices:
    for X in (X_train, X_test):
        X.flags.writeable = False
    return Matrices(X_train, X_test, sha256(X_train), sha256(X_test), elapsed)


def _write(path: Path, matrices: Matrices) -> None:
    """Write beside, then rename: a reader sees the whole file or none."""
    import numpy as np

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    head = {k: getattr(matrices, k) for k in ("x_train_sha256", "x_test_sha256", "time_features_s")}
    try:
        with open(temporary, "wb") as f:
            f.write(json.dumps(head).encode() + b"\n")
            np.lib.format.write_array(f, matrices.X_train, allow_pickle=False)
            np.lib.format.write_array(f, matrices.X_test, allow_pickle=False)
        os.replace(temporary, path)
    except OSError:
        # A full disk costs the others the time to make it again; what they make is the same.
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> Matrices | None:
    import numpy as np

    try:
        with open(path, "rb") as f:
            head = json.loads(f.readline())
            X_train = np.lib.format.read_array(f, allow_pickle=False)
            X_test = np.lib.format.read_array(f, allow_pickle=False)
    except (OSError, ValueError, EOFError):  # not there, or cut short
        return None
    found = _matrices(X_train, X_test, head.get("time_features_s", 0.0))
    intact = (found.x_train_sha256, found.x_test_sha256) == (head.get("x_train_sha256"), head.get("x_test_sha256"))
    return found if intact else None
