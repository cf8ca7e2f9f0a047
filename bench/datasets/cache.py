"""The files of data sets: where they lie, whether they are right, and how they are brought.

The folder is ``DEPTHBENCH_DATA``, else the platform's user cache. A file that lies there with the right hash is used as it is,
also where the folder is read-only; one that is missing or wrong is downloaded by pooch beside its place and moved there once
its hash is right, so that nobody ever reads half a file. What is decoded from a file is kept in the user cache alone.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from pathlib import Path

from bench.datasets.entry import File
from bench.errors import InputError

VARIABLE = "DEPTHBENCH_DATA"

#: Seconds without an answer, or without a byte; how often a broken download is started anew.
TIMEOUT_S, RETRIES = 30, 2

_CHUNK_BYTES = 1 << 18


def folder() -> Path:
    """Return the folder below which the files of data sets lie; it need not be there yet."""
    return Path(os.environ[VARIABLE]).expanduser() if os.environ.get(VARIABLE) else _user_cache()


def decoded() -> Path:
    """Return the folder for what is decoded from files: never the data folder, which may be another's."""
    return _user_cache() / "decoded"


def _user_cache() -> Path:
    import pooch

    return Path(pooch.os_cache("depthbench"))


def path_of(file: File) -> Path:
    """Return where a file lies, or would lie."""
    return folder() / file.path


def is_here(files: Iterable[File]) -> bool:
    """Whether all files lie there with the right size; their hashes are looked at when they are used."""
    return all(path_of(f).is_file() and f.size_bytes in (None, path_of(f).stat().st_size) for f in files)


def choose(sources: tuple[tuple[File, ...], ...]) -> tuple[File, ...]:
    """Return the first source that is here, else the first that can be downloaded, else the first."""
    can_come = (s for s in sources if all(f.urls for f in s))
    return next((s for s in sources if is_here(s)), next(can_come, sources[0]))


@functools.cache
def _sha256(path: Path, size_bytes: int, modified_ns: int) -> str:
    import hashlib

    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; it is read once as long as its size and time stay as they are."""
    stat = path.stat()
    return _sha256(path, stat.st_size, stat.st_mtime_ns)


def state(file: File) -> str:
    """Return "ok", "missing" or "wrong", after reading the whole file."""
    path = path_of(file)
    try:
        if not path.is_file():
            return "missing"
        return "ok" if sha256_of(path) == file.sha256 else "wrong"
    except OSError as e:
        raise InputError(f"cannot read {path}: {e.strerror or e}") from e


def locate(file: File) -> Path:
    """Return the path of a file whose hash has been checked; download it where it is missing or wrong.

    Processes that want the same file wait for each other: one downloads it, the others find it.

    Raises
    ------
    InputError
        It cannot be downloaded, or what came is not the file; the message says where to put it by hand.
    """
    path = path_of(file)
    before = state(file)
    if before == "ok":
        return path
    if not file.urls:
        problem = "is not there" if before == "missing" else "is another file (its SHA-256 differs)"
        raise InputError(f"{path} {problem}, and there is no address to download it from; {_by_hand(file)}")
    from filelock import FileLock

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if state(file) != "ok":
                _download(file)
    except OSError as e:
        raise InputError(f"cannot write {path}: {e.strerror or e}; {_by_hand(file)}") from e
    return path


def _download(file: File) -> None:
    """Try each address in turn."""
    import pooch
    import requests
    import tqdm

    pooch.get_logger().setLevel("WARNING")  # what happened is said here, once
    path = path_of(file)
    problems = []
    for url in file.urls:
        bar = tqdm.tqdm(desc=path.name, total=file.size_bytes, unit="B", unit_scale=True, disable=None)  # none in a log
        downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK_BYTES, timeout=TIMEOUT_S)

        def download(*arguments, bar=bar, downloader=downloader):
            bar.reset()  # one that is started anew begins at nothing
            downloader(*arguments)

        source = pooch.create(path.parent, base_url="", registry={path.name: file.sha256}, urls={path.name: url})
        source.retry_if_failed = RETRIES
        try:
            source.fetch(path.name, downloader=download)
            return
        except requests.RequestException as e:  # an OSError too, but of the network
            problems.append(f"{url}: {_reason(e)}")
        except ValueError:
            problems.append(f"{url}: what came has another SHA-256")
        finally:
            bar.close()
    raise InputError(f"cannot download {path.name} ({'; '.join(problems)}); {_by_hand(file)}")


def _reason(error: Exception) -> str:
    """Put an error of requests into a few words; its own text holds addresses of objects."""
    import requests

    response = getattr(error, "response", None)
    if response is not None:
        return f"{response.status_code} {response.reason}"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT_S} s"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    return "no connection"


def _by_hand(file: File) -> str:
    where = f"put it by hand at {path_of(file)} (SHA-256 {file.sha256})"
    return f"{where}, or set {VARIABLE} to a folder that can be written or has it as {file.path}"


def read_text(url: str) -> str:
    """Return a small text from the network.

    Raises
    ------
    InputError
        No connection, or an answer that is not the text.
    """
    import requests

    adapter = requests.adapters.HTTPAdapter(max_retries=RETRIES)
    with requests.Session() as session:
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        try:
            answer = session.get(url, timeout=TIMEOUT_S)
            answer.raise_for_status()
        except requests.RequestException as e:
            raise InputError(f"cannot read {url}: {_reason(e)}") from e
        return answer.text
