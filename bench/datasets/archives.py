"""Members of a .zip or .tar archive, read in memory: nothing is unpacked, and a name that leads outside is refused."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from bench.errors import InputError


@contextmanager
def members(path: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    """Open an archive; give the names of its files, sorted, each with a function that reads it.

    Raises
    ------
    InputError
        Not an archive, cut short, or with a name like ``../x`` that leads out of it.
    """
    try:
        with _tar(path) if tarfile.is_tarfile(path) else _zip(path) as found:
            for name in found:
                parts = PurePosixPath(name.replace("\\", "/")).parts
                if ".." in parts or PurePosixPath(name).is_absolute():
                    raise InputError(f"{path}: its member {name!r} leads out of the archive; it is not read")
            yield dict(sorted(found.items()))
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as e:
        raise InputError(f"{path} is not a readable archive: {e}") from e


@contextmanager
def _zip(path: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    with zipfile.ZipFile(path) as archive:
        yield {i.filename: lambda i=i: archive.read(i) for i in archive.infolist() if not i.is_dir()}


@contextmanager
def _tar(path: Path) -> Iterator[dict[str, Callable[[], bytes]]]:
    with tarfile.open(path) as archive:
        yield {m.name: lambda m=m: archive.extractfile(m).read() for m in archive if m.isfile()}
