"""The run folder: where finished cells are written so that nothing that happens next can lose them.

    results/runs/<run_id>/
        run.json      what was asked and on which machine; replaced atomically, never edited in place
        rows.jsonl    one finished cell a line, appended at once and whole, synced to disk within a second
        run.lock      held by the process that writes (the kernel lets go of it when that process dies)
        holder.json   who that is, for the message that a second one gets

A line counts when it parses. What a crash may leave behind the last good line is passed over by readers and cut off before
the next append, and so are lines that a power cut took out of the middle (zero bytes stand there); their cells are run
again. Anything else that is not a row is damage by some other hand, and said. Lines are JSON, never pickle: nothing that is
read here is executed. Neither kernels nor models are imported, so an old run can be read where nothing is compiled.
"""

from __future__ import annotations

import gc
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.appending import AppendedFile, is_lost, numbered_lines, sync_folder
from bench.cell import IDENTITY, SCHEMA_VERSION, Row, from_json
from bench.errors import InputError
from bench.names import suggestion

#: Where runs go when no folder is named, below the current folder.
RUNS = Path("results") / "runs"
MANIFEST, ROWS, LOCK, HOLDER = "run.json", "rows.jsonl", "run.lock", "holder.json"

_IDENTITY_TYPES = tuple(int if name in ("threads", "repeat", "fold", "seed") else str for name in IDENTITY)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class StoreError(InputError):
    """A run folder that cannot be read, written or taken, with a message for the person who named it."""


@dataclass(frozen=True)
class Run:
    """A run as it stands on disk; it may be unfinished."""

    run_id: str
    folder: Path
    manifest: dict[str, Any]  # run.json
    rows: list[Row]

    @property
    def finished(self) -> bool:
        """Whether every planned cell has its row."""
        return self.manifest.get("utc_end") is not None


def utc_now() -> str:
    """Return the present time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_run_id(suite_name: str) -> str:
    """Return an id that sorts by time and does not meet another: ``20260131-120000-digits-1f3a``."""
    slug = re.sub(r"[^A-Za-z0-9]+", "_", suite_name).strip("_")[:40] or "suite"
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{slug}-{os.urandom(2).hex()}"


def find_run(id_or_path: str | Path, root: str | Path | None = None) -> Path:
    """Return the folder of a run that is named by its id or by its path.

    Parameters
    ----------
    id_or_path : str or Path
        A path that exists goes before an id below `root`.
    root : str or Path, optional
        The folder of runs, :data:`RUNS` below the current folder by default.

    Raises
    ------
    StoreError
        No such run; the message names the nearest one.
    """
    root = Path(root) if root is not None else RUNS
    candidates = [Path(id_or_path), root / id_or_path]
    for folder in candidates:
        if (folder / MANIFEST).is_file():
            return folder
        if folder.name in (MANIFEST, ROWS) and (folder.parent / MANIFEST).is_file():
            return folder.parent
    for folder in candidates:
        if folder.is_dir():
            raise StoreError(f"{folder} is not a run folder: it has no {MANIFEST}")
    runs = sorted(p.parent.name for p in root.glob(f"*/{MANIFEST}")) if root.is_dir() else []
    seen = f" {len(runs)} runs are in {root}, the latest is {runs[-1]}." if runs else f" There are no runs in {root}."
    raise StoreError(f"no run {str(id_or_path)!r}{suggestion(str(id_or_path), runs)}{seen}")


def read_run(folder: str | Path) -> Run:
    """Read a run folder, finished or not, also while it is being written.

    Raises
    ------
    StoreError
        No readable run.json, a schema newer than this program, a line in the middle that is not a row, or a cell that
        stands twice.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    rows: list[Row] = []
    collects = gc.isenabled()
    gc.disable()  # rows have no cycles; to look for some among 100,000 of them, again and again, takes longer than reading
    try:
        _scan(folder / ROWS, rows.append)
    finally:
        if collects:
            gc.enable()
    return Run(str(manifest.get("run_id", folder.name)), folder, manifest, rows)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{folder} is not a run folder: it has no {MANIFEST}") from None
    except OSError as e:
        raise StoreError(f"cannot read {path}: {e.strerror}") from e
    except ValueError as e:
        raise StoreError(f"{path} is not JSON: {e}") from e
    if not isinstance(manifest, dict):
        raise StoreError(f"{path} does not hold an object")
    _check_schema(manifest.get("schema_version"), path)
    return manifest


def _check_schema(version: Any, where: Path | str) -> None:
    if not isinstance(version, int) or version < 1:
        raise StoreError(f"{where} has no valid schema_version")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{where} was written by a newer depthbench (schema {version}, this one knows {SCHEMA_VERSION}): update it"
        )


def _parse(line: bytes) -> Row | None:
    """Return the row of a line, or None where the line is not a whole row."""
    try:
        values = from_json(line)
        if not isinstance(values, dict):
            return None
        row = Row.from_dict(values)
    except (ValueError, TypeError, RecursionError):  # not JSON, not text, or keys of the identity missing
        return None
    plain = tuple(map(type, row.identity)) == _IDENTITY_TYPES and type(row.status) is str
    return row if plain else None


@dataclass(frozen=True)
class _Scanned:
    """What stands in a file of rows, the rows themselves apart."""

    identities: set[tuple]
    good_end: int = 0  # where the last good line ends
    n_lost: int = 0  # lines before that one that a power cut took


def _scan(path: Path, each: Callable[[Row], Any]) -> _Scanned:
    """Read a file of rows, which may be large, line by line; hand each row to `each`."""
    identities: set[tuple] = set()
    good_end = n_lost = n_waiting = 0
    bad_line = None
    try:
        with open(path, "rb") as f:
            for number, line, end in numbered_lines(f):
                row = None if is_lost(line) else _parse(line)
                if row is None:
                    n_waiting += 1
                    if not is_lost(line):
                        bad_line = bad_line or number
                    continue
                if bad_line:
                    raise StoreError(f"{path}, line {bad_line}, is not a row, but rows follow it: the file has been damaged")
                _check_schema(row.schema_version, f"{path}, line {number},")
                if row.identity in identities:
                    raise StoreError(f"{path}, line {number}: this cell stands there twice: {row.identity}")
                identities.add(row.identity)
                each(row)
                good_end, n_lost, n_waiting = end, n_lost + n_waiting, 0
    except FileNotFoundError:
        pass
    except OSError as e:
        raise StoreError(f"cannot read {path}: {e.strerror}") from e
    return _Scanned(identities, good_end, n_lost)


class Writer:
    """The only thing that writes a run folder; a context manager that holds its lock.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    manifest : dict
        Written to run.json for a new run; passed over where the folder already holds a run, which is then gone on with.

    Raises
    ------
    StoreError
        The folder cannot be written, or another process holds it.

    Examples
    --------
    >>> import tempfile
    >>> row = Row("iris", "raw", "lda", "sklearn", 1, 0, 0, 0, status="ok", accuracy=0.98)
    >>> with tempfile.TemporaryDirectory() as tmp:
    ...     with Writer(Path(tmp) / "run", {"run_id": "run"}) as writer:
    ...         writer.append(row)
    ...     read_run(Path(tmp) / "run").rows[0].accuracy
    0.98
    """

    def __init__(self, folder: str | Path, manifest: dict[str, Any]):
        self.folder = Path(folder)
        self._existed = self.folder.is_dir()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = self._take_lock()
        except OSError as e:
            raise StoreError(f"cannot write to the folder {self.folder}: {e.strerror or e}") from e
        try:
            self._open(manifest)
        except OSError as e:
            self._release()
            raise StoreError(f"cannot write to the folder {self.folder}: {e.strerror or e}") from e
        except BaseException:
            self._release()
            raise

    def _take_lock(self):
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StoreError(f"{self.folder} is being written by {self._holder()}; wait for it, or end it") from None
        return lock

    def _holder(self) -> str:
        try:
            holder = json.loads((self.folder / HOLDER).read_bytes())
            return f"process {holder['pid']} on {holder['host']} (since {holder['utc']})"
        except (OSError, ValueError, KeyError, TypeError):  # it holds the lock, but has not yet said who it is
            return "another process"

    def _open(self, manifest: dict[str, Any]) -> None:
        import platform

        self._replace(HOLDER, {"pid": os.getpid(), "host": platform.node(), "utc": utc_now()})
        self.is_new = not (self.folder / MANIFEST).exists()
        if self.is_new:
            # rows without a run.json belong to no run that could be named: start afresh
            (self.folder / ROWS).unlink(missing_ok=True)
            self.manifest = {"schema_version": SCHEMA_VERSION, **manifest}
            self._replace(MANIFEST, self.manifest)
        else:
            self.manifest = _read_manifest(self.folder)
        self.counts: Counter[str] = Counter()  # status -> rows that stand there
        scanned = _scan(self.folder / ROWS, lambda row: self.counts.update((row.status,)))
        self._done = scanned.identities
        if scanned.n_lost:
            scanned = self._without_lost_lines(scanned)
        self._file = AppendedFile(self.folder / ROWS, scanned.good_end)
        sync_folder(self.folder)

    def _without_lost_lines(self, scanned: _Scanned) -> _Scanned:
        """Write the good lines anew, so that a finished file is as plain as any other."""
        path, temporary = self.folder / ROWS, self.folder / f".{ROWS}.new"
        with open(path, "rb") as old, open(temporary, "wb") as new:
            for _, line, end in numbered_lines(old):
                if end <= scanned.good_end and not is_lost(line):
                    new.write(line)
            new.flush()
            os.fsync(new.fileno())
            good_end = new.tell()
        os.replace(temporary, path)
        return _Scanned(scanned.identities, good_end)

    def __contains__(self, identity: tuple) -> bool:
        return identity in self._done

    def __len__(self) -> int:
        return len(self._done)

    def append(self, row: Row) -> None:
        """Add a finished cell; it is in the file when this returns, and on the disk within a second.

        Raises
        ------
        ValueError
            The cell stands there already, or a number is not finite (absent means not measured; NaN means nothing).
        StoreError
            The disk is full, or the like. The file holds what it held before.
        """
        if row.identity in self._done:
            raise ValueError(f"this cell is already in {self.folder / ROWS}: {row.identity}")
        line = json.dumps(row.to_dict(), ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")
        try:
            self._file.append(line)
        except OSError as e:
            raise self._cannot_write(e) from e
        self._done.add(row.identity)
        self.counts[row.status] += 1

    def _cannot_write(self, error: OSError) -> StoreError:
        return StoreError(
            f"cannot write to {self.folder}: {error.strerror or error}. {len(self._done)} finished cells are in it; "
            f"when it can be written again, go on with: depthbench run --resume {self.folder}"
        )

    def update_manifest(self, **values: Any) -> None:
        """Set keys of run.json; the file is replaced as a whole."""
        self.manifest = {**self.manifest, **values}
        try:
            self._replace(MANIFEST, self.manifest)
        except OSError as e:
            raise self._cannot_write(e) from e

    def _replace(self, name: str, values: dict[str, Any]) -> None:
        path, temporary = self.folder / name, self.folder / f".{name}.new"
        try:
            with open(temporary, "w", encoding="utf-8") as f:
                json.dump(values, f, indent=2, ensure_ascii=False)
                f.write("\n")
                f.flush()
                os.fsync(f.fileno())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        sync_folder(self.folder)

    def close(self) -> None:
        """Sync and let go of the folder. Does nothing the second time.

        Raises
        ------
        StoreError
            The last rows may not be on the disk.
        """
        if self._file.closed:
            return
        try:
            self._file.close()
        except OSError as e:
            raise self._cannot_write(e) from e
        finally:
            self._release()

    def discard(self) -> None:
        """Take back a new run that has no row: its files go, and its folder if this writer made it."""
        if not self.is_new or self._done:
            raise ValueError(f"{self.folder} holds a run that is not ours to remove")
        self._file.close()
        for name in (MANIFEST, ROWS):
            (self.folder / name).unlink(missing_ok=True)
        self._release()
        if not self._existed:
            (self.folder / LOCK).unlink(missing_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()

    def _release(self) -> None:
        # run.lock itself stays: to remove it would let a process that has just opened it, and one that makes a new file
        # of that name, both believe that they hold it.
        (self.folder / HOLDER).unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None):
        self.close()


def is_valid_run_id(name: str) -> bool:
    """Whether a name can be a run id: one plain folder name, nothing that leaves its parent."""
    return _RUN_ID.fullmatch(name) is not None
