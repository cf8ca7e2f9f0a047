"""One matrix per fold, for all models, for all workers, for all runs.

A worker keeps the last few folds in memory. What took long to make it also leaves in a folder on disk, the same for all
runs of this user, under a key of everything it depends on (keys.py): so a worker beside it, one that replaces it after
a crash, and the next run get the identical matrix instead of making their own.

The folder is only ever a help. One process makes a matrix while others wait for it, but not for longer than `WAIT_S`;
a full disk, a folder that cannot be written, a lock that cannot be had cost the time to make it again, and a line on
standard error. A file carries hashes of what is in it: one that was cut short or altered is made again.

A file is a line of JSON with its own digest, then the values of both matrices as float32; never pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench.errors import InputError
from bench.features import sha256

if TYPE_CHECKING:
    import numpy as np

#: Where the folder is, and how large it may grow; the platform's user cache and 4 GiB where these are not set.
FOLDER_VARIABLE, LIMIT_VARIABLE = "DEPTHBENCH_CACHE", "DEPTHBENCH_CACHE_BYTES"
LIMIT_BYTES = 4 << 30

#: How long to wait for another process that makes the same matrix, before making it oneself.
WAIT_S = 30.0

#: Folds in memory, and the bytes that they may take together; the last one always stays.
_IN_MEMORY, _IN_MEMORY_BYTES = 3, 1 << 29

#: After this long, what a killed process left half-written is nobody's.
_ABANDONED_S = 3600.0
_ENTRY, _PART, _LOCK = ".features", ".part", ".lock"


def default_folder() -> Path:
    """Return the folder that all runs share: of `DEPTHBENCH_CACHE`, else below the platform's user cache."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given).expanduser().absolute() / "features"
    from platformdirs import user_cache_path

    return user_cache_path("depthbench", appauthor=False) / "features"


def default_limit() -> int:
    """Return the bytes that the folder may take: of `DEPTHBENCH_CACHE_BYTES` (``2GB``, say; 0: nothing is stored), else 4 GiB.

    Raises
    ------
    InputError
        The variable holds something else than a size.
    """
    given = os.environ.get(LIMIT_VARIABLE)
    if not given:
        return LIMIT_BYTES
    from bench.suite import parse_bytes

    try:
        return parse_bytes(given)
    except ValueError as error:
        raise InputError(f"environment variable {LIMIT_VARIABLE}: {error}") from None


@dataclass(frozen=True, eq=False)
class Matrices:
    """The features of one fold, read-only: no model can change what the next one sees."""

    X_train: np.ndarray  # (n_train, p) float32, C-contiguous
    X_test: np.ndarray  # (n_test, p) float32, C-contiguous
    x_train_sha256: str
    x_test_sha256: str
    time_features_s: float  # what it took to make them, once

    @property
    def n_bytes(self) -> int:
        return self.X_train.nbytes + self.X_test.nbytes


class FeatureCache:
    """Matrices by key; see the head of this module.

    Parameters
    ----------
    folder : Path or None
        Shared between workers and runs; None keeps everything in memory.
    limit_bytes : int
        Of the folder; what was used longest ago makes room.
    wait_s : float
        For another process that makes the same matrix.

    Examples
    --------
    >>> import numpy as np
    >>> cache = FeatureCache(None)
    >>> cache.get("key", lambda: (np.zeros((3, 2)), np.zeros((1, 2)))).X_train.dtype
    dtype('float32')
    """

    def __init__(self, folder: Path | None, limit_bytes: int = LIMIT_BYTES, wait_s: float = WAIT_S):
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.wait_s = wait_s
        self._recent: OrderedDict[str, Matrices] = OrderedDict()
        self._noted: set[str] = set()

    def get(
        self,
        key: str,
        make: Callable[[], tuple[np.ndarray, np.ndarray]],
        *,
        stored: bool = True,
        warm_up: Callable[[], None] = lambda: None,
    ) -> Matrices:
        """Return the matrices of `key` from memory, from disk, or by calling `make`.

        Parameters
        ----------
        key : str
        make : callable
            Timed; returns (X_train, X_test).
        stored : bool
            Whether they may come from disk, and go there.
        warm_up : callable
            Called before `make` and not timed.
        """
        found = self._recent.pop(key, None)
        if found is None:
            on_disk = stored and self.folder is not None and self.limit_bytes > 0
            found = self._from_disk_or_made(key, make, warm_up) if on_disk else _made(make, warm_up)
        self._recent[key] = found
        while len(self._recent) > 1 and (
            len(self._recent) > _IN_MEMORY or sum(m.n_bytes for m in self._recent.values()) > _IN_MEMORY_BYTES
        ):
            self._recent.popitem(last=False)
        return found

    def _from_disk_or_made(self, key: str, make: Callable, warm_up: Callable) -> Matrices:
        path = self.folder / f"{key}{_ENTRY}"
        found = read(path)
        if found is not None:
            return found
        # one makes it, the others wait and read; the lock of a process that dies is free again
        with self._lock(path.with_suffix(_LOCK)) as locked:
            found = read(path)
            if found is None:
                found = _made(make, warm_up)
                if locked:
                    self._store(path, found)
        return found

    @contextmanager
    def _lock(self, path: Path) -> Iterator[bool]:
        """Hold the lock, or say that it cannot be had."""
        from filelock import FileLock, Timeout

        lock = FileLock(path)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=self.wait_s)
        except Timeout:
            self._note(f"another process has been making the same features for {self.wait_s:g} s; they are made here too")
        except (OSError, NotImplementedError) as error:
            self._note(f"features are not stored: {error}")
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def _store(self, path: Path, matrices: Matrices) -> None:
        """Write beside, then rename: a reader sees the whole file or none."""
        head = _head(matrices)
        n_bytes = len(head) + matrices.n_bytes
        if n_bytes > self.limit_bytes:
            self._note(f"features are not stored: {n_bytes} bytes, and {LIMIT_VARIABLE} allows {self.limit_bytes}")
            return
        part = path.with_name(f"{path.stem}.{uuid.uuid4().hex}{_PART}")
        try:
            self._make_room(n_bytes)
            with open(part, "xb") as f:
                _write(f, head, matrices)
            os.replace(part, path)
        except OSError as error:  # a full disk costs the others the time to make it again; what they make is the same
            self._note(f"features are not stored: {error}")
            with suppress(OSError):
                part.unlink()

    def _make_room(self, n_bytes: int) -> None:
        """Remove what was used longest ago until there is room for more, and what killed processes left behind."""
        found = []
        for path in self.folder.iterdir():
            with suppress(OSError):  # gone meanwhile
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
        names = {path.name for _, _, path in found}
        before, total = time.time() - _ABANDONED_S, n_bytes
        for used, size, path in sorted(found, reverse=True):  # latest first
            if path.suffix == _ENTRY:
                total += size
                remove = total > self.limit_bytes
            else:
                left = path.suffix == _PART or (path.suffix == _LOCK and path.with_suffix(_ENTRY).name not in names)
                remove = left and used < before
            if remove:
                with suppress(OSError):
                    path.unlink()

    def _note(self, text: str) -> None:
        """Say it on standard error, once."""
        kind = text.partition(":")[0]
        if kind not in self._noted:
            self._noted.add(kind)
            print(f"depthbench: {text} (folder {self.folder})", file=sys.stderr, flush=True)


def _made(make: Callable, warm_up: Callable) -> Matrices:
    import numpy as np

    warm_up()
    start = time.perf_counter()
    X_train, X_test = make()
    elapsed = time.perf_counter() - start
    return _matrices(*(np.ascontiguousarray(X, np.float32) for X in (X_train, X_test)), elapsed)


def _matrices(X_train: np.ndarray, X_test: np.ndarray, elapsed: float) -> Matrices:
    for X in (X_train, X_test):
        X.flags.writeable = False
    return Matrices(X_train, X_test, sha256(X_train), sha256(X_test), elapsed)


# -- the file


def _head(matrices: Matrices) -> bytes:
    facts = {
        "shapes": [matrices.X_train.shape, matrices.X_test.shape],
        "x_train_sha256": matrices.x_train_sha256,
        "x_test_sha256": matrices.x_test_sha256,
        "time_features_s": matrices.time_features_s,
    }
    text = json.dumps(facts).encode()
    return text + b" " + hashlib.sha256(text).hexdigest().encode() + b"\n"


def _facts(head: bytes) -> dict[str, Any] | None:
    text, _, digest = head.rstrip(b"\n").rpartition(b" ")
    return json.loads(text) if hashlib.sha256(text).hexdigest().encode() == digest else None


def _write(file: IO[bytes], head: bytes, matrices: Matrices) -> None:
    file.write(head)
    for X in (matrices.X_train, matrices.X_test):
        file.write(X.data.cast("B") if X.size else b"")


def read(path: Path) -> Matrices | None:
    """Return what a file holds, and mark it as used; None where it is not there, or not as it was written."""
    import numpy as np

    try:
        with open(path, "rb") as f:
            facts = _facts(f.readline(4096))
            if facts is None:
                return None
            parts = [np.fromfile(f, np.float32, rows * columns) for rows, columns in facts["shapes"]]
            if f.read(1) or [p.size for p in parts] != [rows * columns for rows, columns in facts["shapes"]]:
                return None
    except OSError:
        return None
    found = _matrices(*(p.reshape(s) for p, s in zip(parts, facts["shapes"], strict=True)), facts["time_features_s"])
    if (found.x_train_sha256, found.x_test_sha256) != (facts["x_train_sha256"], facts["x_test_sha256"]):
        return None
    with suppress(OSError):
        os.utime(path)
    return found
