"""The chart library that a page carries, made ready by a process of its own: ``python -m bench.report.library``.

vl-convert brings a JavaScript engine of some 130 MB to bundle Vega, and to press the bundle takes a second of one processor. A
report begins that when it begins to read (`start`) and asks for it when its page is set (`packed`): meanwhile the process has
ended, and its memory does not come on top of that of all rows. Within a process all pages share one bundle.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class Library:
    """Vega, Vega-Lite and Vega-Embed, gzipped and in base64, with what a Content-Security-Policy calls the script."""

    packed: str
    digest: str  # "sha256-..."


class _Making(threading.Thread):
    """Waits for the process and takes what it prints: a full pipe would hold it, and its memory, back."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.found: Library | None = None
        self.start()

    def run(self) -> None:
        try:
            command = [sys.executable, "-m", "bench.report.library"]
            done = subprocess.run(command, capture_output=True, check=True, cwd=Path(__file__).parents[2], timeout=120)
            self.found = Library(**json.loads(done.stdout))
        except (OSError, subprocess.SubprocessError, ValueError, TypeError):
            self.found = None  # made here, then


_started: list[_Making] = []


def start() -> None:
    """Begin to make the library ready, where it is not yet."""
    if not _started and not packed.cache_info().currsize:
        _started.append(_Making())


@lru_cache(maxsize=1)
def packed() -> Library:
    """Return the library; waits for what `start` began, and makes it here where nothing was begun or came of it."""
    if _started:
        making = _started.pop()
        making.join()
        if making.found is not None:
            return making.found
    return make()


def make() -> Library:
    """Bundle and press it in this process."""
    script = library()
    return Library(base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode("ascii"), digest_of(script))


def digest_of(script: str) -> str:
    """Return what a Content-Security-Policy calls a script.

    Examples
    --------
    >>> digest_of("")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


@lru_cache(maxsize=1)
def library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    from bench.figures.theme import vegalite_version

    return vl_convert.javascript_bundle(vl_version=vegalite_version())


if __name__ == "__main__":
    made = make()
    print(json.dumps({"packed": made.packed, "digest": made.digest}))
