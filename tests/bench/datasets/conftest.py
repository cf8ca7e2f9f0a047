"""What tests of data sets share: a cache folder of their own, the real files where there are some, a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.datasets import cache
from bench.datasets.entry import File

REAL = os.environ.get(cache.VARIABLE)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """No test reads or writes a person's own folders."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "data"))
    monkeypatch.setattr(cache, "_user_cache", lambda: tmp_path / "user")
    return tmp_path / "data"


@pytest.fixture(scope="session")
def decoded_once(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("user")


@pytest.fixture
def real(folder, monkeypatch, decoded_once) -> Callable[[str], Path]:
    """Return a function that gives the path of a real file, or skips the test where it is missing."""
    if REAL is None:
        pytest.skip(f"{cache.VARIABLE} is not set")
    monkeypatch.setenv(cache.VARIABLE, REAL)
    monkeypatch.setattr(cache, "_user_cache", lambda: decoded_once)

    def path(name: str) -> Path:
        if not (Path(REAL) / name).exists():
            pytest.skip(f"{cache.VARIABLE} has no {name}")
        return Path(REAL) / name

    return path


class Server:
    """Answers with what `answers` has for a path: bytes, or a function that is given the handler."""

    def __init__(self):
        self.answers: dict[str, bytes | Callable] = {}
        self.asked: list[str] = []
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                with outer.lock:
                    outer.asked.append(self.path)
                answer = outer.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif callable(answer):
                    answer(self)
                else:
                    self.send(answer)

            def send(self, content: bytes, n: int | None = None) -> None:
                """Promise all of `content`, and send its first `n` bytes."""
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:n])

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def file(self, content: bytes, path: str = "set/file.bin", **changes) -> File:
        """Serve `content`; return the entry of a file that is it."""
        self.answers[f"/{path}"] = content
        facts = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content), "urls": (self.address + path,)}
        return File(path, **{**facts, **changes})

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)  # retries need not wait for a server that is here
    server = Server()
    yield server
    server.close()
