"""The parent's side of a worker: start it, talk to it, and end it whatever it is doing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import processes
from bench.cell import Cell


@dataclass(frozen=True)
class Death:
    """How a worker ended without being asked to."""

    status: str
    message: str


class Worker:
    """A running ``python -m bench.worker``.

    Parameters
    ----------
    threads : int
        The size of its thread pools, fixed for its life.
    log : Path
        Where its standard error goes, and what models print.
    cpus : sequence of int
        The processors that it is pinned to; none: wherever the system puts it.
    """

    def __init__(self, threads: int, log: Path, cpus: Sequence[int] = ()):
        from kernels.threads import environment

        self.threads = threads
        self.log = log
        self.cpus = tuple(cpus)
        self.cell: Cell | None = None  # what it works on
        self.phase = "start"
        self.trial: dict[str, Any] | None = None  # of a search, the one that it is at
        self.since = time.monotonic()  # when the phase began
        self.began: float | None = None  # when the cell's search or fit began
        self.is_ready = False
        self._mark = uuid.uuid4().hex  # in the environment of all that it starts: bench/processes.py
        self._oom_kills = processes.oom_kills()
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as errors:
            # A session of its own: Ctrl-C in the terminal reaches the parent alone, and a kill reaches what it started.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.worker", str(os.getpid()), str(threads), ",".join(map(str, cpus))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **environment(threads), processes.MARK: self._mark, "PYTHONPATH": _import_path()},
                start_new_session=True,
            )
        self.pid = self._process.pid
        os.set_blocking(self._process.stdout.fileno(), False)
        self._partial = b""

    def fileno(self) -> int:
        return self._process.stdout.fileno()

    def send(self, message: dict[str, Any]) -> None:
        """Hand it a request; that it may have died is found out when its answers are read."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def receive(self) -> tuple[list[dict[str, Any]], bool]:
        """Return what it has said since, without waiting, and whether it has closed its end."""
        ended = False
        while True:
            try:
                data = os.read(self.fileno(), 1 << 16)
            except BlockingIOError:
                break
            if not data:
                ended = True
                break
            self._partial += data
        *lines, self._partial = self._partial.split(b"\n")
        return [json.loads(line) for line in lines], ended

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def memory_bytes(self, more_than: int) -> int:
        """Return the size of the worker and of what it started; exact where it is `more_than`."""
        return processes.tree_bytes(self.pid, more_than)

    def kill(self) -> None:
        """End it and all it started, at once."""
        if self._process.returncode is None:
            processes.kill_tree(self.pid)
            self._process.wait()
        processes.kill_marked(self._mark)
        self._close()

    def stop(self) -> None:
        """Let an idle worker end by itself; kill it if it does not."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2)
        self.kill()  # and what a model may have left behind

    def _close(self) -> None:
        self._process.stdout.close()
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def death(self) -> Death:
        """Say how it died, after it did."""
        self.kill()
        code = self._process.returncode
        if code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = f"signal {-code}"
            if -code == signal.SIGKILL and processes.oom_kills() > self._oom_kills:
                return Death("out_of_memory", f"the system killed it during {self.phase}, for want of memory")
            hint = " (by somebody, or by the system for want of memory)" if -code == signal.SIGKILL else ""
            message = f"the worker was killed by {name}{hint} during {self.phase}"
        else:
            message = f"the worker ended with code {code} during {self.phase}"
        tail = self.log_tail()
        return Death("failed", f"{message}. Its last words: {tail}" if tail else message)

    def log_tail(self, n_bytes: int = 600) -> str:
        """Return the end of its log."""
        try:
            with open(self.log, "rb") as f:
                f.seek(max(0, os.path.getsize(self.log) - n_bytes))
                return f.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""


def _import_path() -> str:
    """The folders where this process finds modules, so that a worker finds the same ones and the person's own."""
    own = [str(Path(__file__).resolve().parent.parent), os.getcwd()]
    return os.pathsep.join(dict.fromkeys([*own, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
