"""A file that only grows, line by line, and that a crash cannot spoil: each line is in it whole, or not at all.

Three things can go wrong with an append, and each has its answer here:

* The process dies: a line goes to the system in one write, not into a buffer of ours, so what `append` has returned from
  survives the process.
* The disk is full, or a quota: the part of the line that still found room is cut off again, and the error is the caller's.
* The power fails: a thread of its own asks the system to put lines on the disk well within `SYNC_WITHIN_S` of their append,
  also when no other line follows for an hour, and without holding up whoever appends.

After a power cut a file may end in zero bytes, or have them in its middle, where the size reached the disk and the data did
not. Lines of text hold no zero bytes, so such a line is known as lost (`is_lost`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

#: A line is on the disk after at most so many seconds.
SYNC_WITHIN_S = 1.0
#: The thread collects lines for so long before it syncs; the rest of the second is for the disk.
_COLLECT_S = 0.5


class AppendedFile:
    """A file to which whole lines are appended; a context manager.

    Parameters
    ----------
    path : Path
        Made if it is not there.
    end : int
        What stands behind is cut off: half a line that a crash left. A last line without its newline gets it.

    Raises
    ------
    OSError
        The file cannot be opened or cut.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as tmp:
    ...     with AppendedFile(Path(tmp) / "lines", 0) as file:
    ...         file.append(b"one")
    ...     (Path(tmp) / "lines").read_bytes()
    b'one\\n'
    """

    def __init__(self, path: Path, end: int):
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        self._error: OSError | None = None
        self._dirty, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        try:
            if os.fstat(self._fd).st_size > end:
                os.ftruncate(self._fd, end)
            self._end = os.fstat(self._fd).st_size
            if self._end and not _ends_with_newline(path):
                self._write(b"\n")
            os.fsync(self._fd)
        except BaseException:
            os.close(self._fd)
            self._fd = None
            raise

    @property
    def closed(self) -> bool:
        return self._fd is None

    def append(self, line: bytes) -> None:
        """Add a line, without its newline; it outlives this process when this returns, and the power soon after.

        Raises
        ------
        OSError
            The disk is full or broken; nothing of the line stays in the file.
        """
        if self._error is not None:
            raise self._error
        self._write(line + b"\n")
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_synced, name="sync", daemon=True)
            self._thread.start()
        self._dirty.set()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except BaseException:
            with suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise
        self._end += len(data)

    def _keep_synced(self) -> None:
        while True:
            self._dirty.wait()
            if self._closing.wait(_COLLECT_S):
                return
            self._dirty.clear()
            try:
                os.fsync(self._fd)
            except OSError as error:  # said by the next append, or by close
                self._error = error
                return

    def close(self) -> None:
        """Put everything on the disk and let go of the file. Does nothing the second time.

        Raises
        ------
        OSError
            What stands in the file may not be on the disk.
        """
        if self._fd is None:
            return
        self._closing.set()
        self._dirty.set()
        if self._thread is not None:
            self._thread.join()
        fd, self._fd = self._fd, None
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        if self._error is not None:
            raise self._error

    def __enter__(self) -> AppendedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def numbered_lines(file: IO[bytes]) -> Iterator[tuple[int, bytes, int]]:
    """Yield number (from 1), content and end of each line of a binary file that is not blank; memory for one line.

    Examples
    --------
    >>> import io
    >>> list(numbered_lines(io.BytesIO(b"one\\n\\nthree")))
    [(1, b'one\\n', 4), (3, b'three', 10)]
    """
    end = 0
    for number, line in enumerate(file, start=1):
        end += len(line)
        if line.strip():
            yield number, line, end


def is_lost(line: bytes) -> bool:
    """Whether a line is what a power cut leaves: part of it, or all, never reached the disk.

    Examples
    --------
    >>> is_lost(bytes(9) + b'"ok"}'), is_lost(b'{"status": "ok"}')
    (True, False)
    """
    return b"\0" in line


def sync_folder(folder: Path) -> None:
    """Put the names of a folder's files on the disk, where the system can do that: a rename is lost otherwise."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as f:
        f.seek(-1, os.SEEK_END)
        return f.read(1) == b"\n"
