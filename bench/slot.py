"""On a worker of a dask cluster: the place where cells of a run are executed, one after the other.

dask carries messages and says who is there. What it does not do is size thread pools before they are imported, hold
limits on time and memory, and outlive a crash in C. So a dask worker runs no cell in its own process: it keeps a
`LocalExecutor` with one worker of ours, exactly as a run on one machine does, and hands it one cell at a time. If the
dask worker dies, the system kills ours with it.

The functions below are what the coordinator (`bench/cluster.py`) calls. Requests and answers are JSON texts.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.cell import Cell
from bench.errors import InputError
from bench.executors import LocalExecutor, WorkerError
from bench.features.keys import code_digest

#: A slot that nobody has asked for anything for so long is closed: the run is over, or its coordinator is gone.
IDLE_S = 120.0

_slots: dict[str, _Slot] = {}
_closed: set[str] = set()  # a task of theirs may still be on its way
_lock = threading.Lock()


class _Trials:
    """Stands for `bench.tuning.trials.TrialLog` where there is no run folder: keeps what a cell has tried."""

    def __init__(self):
        self.trials: dict[tuple, list[dict[str, Any]]] = {}
        self.new: list[dict[str, Any]] = []

    def append(self, cell: Cell, trial: dict[str, Any]) -> None:
        self.trials.setdefault(cell.identity, []).append(dict(trial))
        self.new.append(dict(trial))


class _Slot:
    """A local executor of one run, in a thread of its own that lives as long as it does.

    The thread matters: Linux kills a worker when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG).
    """

    def __init__(self, setup: dict[str, Any]):
        from bench.features.cache import default_folder, default_limit

        here = {"cache_folder": str(default_folder()), "cache_limit_bytes": default_limit()}
        self._logs = Path(tempfile.mkdtemp(prefix="depthbench-"))
        self.trials = _Trials()
        self.executor = LocalExecutor(
            {**setup["context"], **here},
            self._logs,
            timeout_s=setup["timeout_s"],
            memory_bytes=setup["memory_bytes"],
            trials=self.trials,
        )
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slot")
        self._timer: threading.Timer | None = None

    def do(self, function, *arguments) -> Any:
        """Call a function in the slot's thread; return what it returns."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            return self._thread.submit(function, *arguments).result()
        finally:
            self._timer = threading.Timer(IDLE_S, self.close)
            self._timer.daemon = True
            self._timer.start()

    def check(self, threads: int) -> dict[str, Any]:
        """Bring the data, load them in a worker, and say what was found and on which machine."""
        from bench import datasets
        from bench.environment import machine

        try:
            for name, file in self.executor.context["dataset_files"].items():
                if file is None:
                    datasets.fetch(name)
                elif not Path(file).exists():
                    raise InputError(f"{file} is not there; put it on a file system that all machines share")
            return {**self.executor.check(threads), "machine": machine(), "code": code()}
        except (InputError, WorkerError) as e:
            return {"refused": str(e)}

    def run(self, cell: Cell, known: list[dict[str, Any]]) -> dict[str, Any]:
        """Execute a cell within its limits."""
        self.trials.trials, self.trials.new = {cell.identity: list(known)}, []
        try:
            [row] = self.executor.run([cell])
        except (InputError, WorkerError) as e:
            return {"refused": str(e)}
        return {"row": row.to_dict(), "trials": self.trials.new, "no_features": self.executor.dealer.gave_up}

    def close(self) -> None:
        """End the worker, also one that is at a cell."""
        for worker in list(self.executor._workers):
            with suppress(Exception):
                worker.kill()
        with suppress(RuntimeError):
            self._thread.submit(self.executor.__exit__, None)
        self._thread.shutdown(wait=False)
        shutil.rmtree(self._logs, ignore_errors=True)


def code() -> str:
    """Return the hash of the program: all machines of a run must have the same."""
    return code_digest("bench", "models", "kernels")


def _slot(key: str, setup: str) -> _Slot:
    with _lock:
        if key in _closed:
            raise RuntimeError("this run is over")
        if key not in _slots:
            _slots[key] = _Slot(json.loads(setup))
        return _slots[key]


def check(key: str, setup: str, threads: int) -> str:
    """Answer for `bench.cluster`: data sets, models, environment and machine; or why not."""
    slot = _slot(key, setup)
    return json.dumps(slot.do(slot.check, threads))


def run(key: str, setup: str, request: str) -> str:
    """Answer for `bench.cluster`: the row of a cell, with the trials of its search."""
    slot, values = _slot(key, setup), json.loads(request)
    return json.dumps(slot.do(slot.run, Cell(**values["cell"]), values["trials"]))


def close(key: str) -> None:
    """End what a run has here; returns at once."""
    with _lock:
        slot = _slots.pop(key, None)
        _closed.add(key)
    if slot is not None:
        threading.Thread(target=slot.close, daemon=True).start()


def request(cell: Cell, trials: list[dict[str, Any]]) -> str:
    """Return what `run` is asked."""
    return json.dumps({"cell": asdict(cell), "trials": trials})
