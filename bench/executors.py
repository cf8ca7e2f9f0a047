"""Runs cells in worker processes on this machine: deals them out, holds them to their limits, outlives their crashes.

One loop in one thread waits for what workers say, and `bench.dealing` says who gets which cell. A worker is used for one
thread setting, and replaced when it dies or is killed.

Each phase of a cell (features, warm-up, fit with prediction and scores) may take the time limit; a worker that exceeds it
or the memory limit is killed together with all it started. If a fold's features cannot be made, all its cells say so.
In a search each trial is a phase; one that ends its worker is written down as failed, and the cell goes on without it.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

from bench import pinning, processes
from bench.cell import Cell, Row
from bench.dealing import Dealer
from bench.errors import InputError
from bench.tuning.trials import TrialLog
from bench.workers import Death, Worker

START_LIMIT_S = 300.0
_TICK_S, _MEMORY_TICK_S = 0.25, 0.05
_MOST_OF_MEMORY = 0.9
_MAX_FAILED_STARTS = 3


class WorkerError(RuntimeError):
    """Workers do not start at all; nothing can be run."""


class Executor(Protocol):
    """What a run needs of whoever runs its cells."""

    jobs: int  # workers beside each other
    deadline: float | None  # of time.monotonic; no cell is begun after it

    def __enter__(self) -> Executor: ...

    def __exit__(self, *_: object) -> None: ...

    def check(self, threads: int) -> dict[str, Any]:
        """Have a worker load all data; return data sets, models and environment."""

    def run(self, cells: Sequence[Cell]) -> Iterator[Row]:
        """Yield the row of each cell as it ends."""


class LocalExecutor:
    """Workers on this machine; a context manager that leaves none behind.

    Parameters
    ----------
    context : dict
        The `bench.execution.Context` of the run, as plain values.
    logs : Path
        The folder for the workers' logs.
    jobs : int
        How many workers run beside each other.
    timeout_s, memory_bytes : float or None
        The limits of a cell; memory is the resident size of the worker and of what it starts, libraries included. Without
        a limit of memory, the workers together may have 90 % of the machine's: beyond, the machine would be the next to fail.
    pin : bool
        Give each worker processors of its own (bench/pinning.py).
    trials : TrialLog, optional
        Where the trials of searches are written, and found again by those that went on before.
    """

    def __init__(
        self,
        context: dict[str, Any],
        logs: Path,
        *,
        jobs: int = 1,
        timeout_s: float | None = None,
        memory_bytes: int | None = None,
        pin: bool = False,
        trials: TrialLog | None = None,
    ):
        self.context, self.logs, self.jobs = context, logs, jobs
        self.timeout_s, self.memory_bytes = timeout_s, memory_bytes
        self._memory_limit = memory_bytes or int(_MOST_OF_MEMORY * processes.machine_bytes() / jobs)
        self._cpus = pinning.best_first(pinning.allowed()) if pin else []
        self.trials = trials
        self.deadline: float | None = None  # of time.monotonic: when the budget of the run is used up
        self._workers: list[Worker] = []
        self._failed_starts = 0
        self._n_started = 0

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for worker in list(self._workers):
            if kind is None and worker.cell is None:
                worker.stop()
            else:
                worker.kill()
        self._workers.clear()

    # -- before the first cell

    def check(self, threads: int) -> dict[str, Any]:
        """Have a worker load all data and make all splits; return what it found.

        Raises
        ------
        InputError
            The suite cannot be run; the message says why.
        WorkerError
            The worker does not start.
        """
        worker = self._start(threads, "check")
        while True:
            for message in self._hear(worker, START_LIMIT_S):
                if message["is"] == "refused":
                    raise InputError(message["message"])
                if message["is"] == "checked":
                    worker.phase = "idle"
                    return message

    def _hear(self, worker: Worker, limit_s: float) -> list[dict[str, Any]]:
        with selectors.DefaultSelector() as selector:
            selector.register(worker, selectors.EVENT_READ)
            selector.select(timeout=_TICK_S)
        messages, ended = worker.receive()
        if ended or not worker.is_alive():
            if not messages:
                raise WorkerError(self._bury(worker).message)
        elif time.monotonic() - worker.since > limit_s:
            worker.kill()
            self._workers.remove(worker)
            raise WorkerError(f"a worker did not start within {limit_s:g} s")
        return messages

    def _start(self, threads: int, do: str) -> Worker:
        self._n_started += 1
        taken = [cpu for worker in self._workers for cpu in worker.cpus]
        cpus = pinning.choose(self._cpus, taken, threads)
        worker = Worker(threads, self.logs / f"worker-{self._n_started}.log", cpus)
        self._workers.append(worker)
        worker.send({"do": do, "context": self.context})
        return worker

    def _bury(self, worker: Worker) -> Death:
        self._workers.remove(worker)
        return worker.death()

    # -- cells

    def run(self, cells: Sequence[Cell]) -> Iterator[Row]:
        """Yield the row of each cell as it ends, in whatever order that is; none is begun after the `deadline`."""
        dealer = self.dealer = Dealer(cells)
        n_workers = min(self.jobs, len(cells))
        while dealer.n_left or any(w.cell for w in self._workers):
            if self.deadline is not None and time.monotonic() >= self.deadline:
                dealer.drop()
            yield from self._deal(dealer, n_workers)
            for worker in self._wait():
                yield from self._listen(worker, dealer)
            for worker in list(self._workers):
                yield from self._hold_to_limits(worker, dealer)

    def _deal(self, dealer: Dealer, n_workers: int) -> Iterator[Row]:
        """Give every idle worker a cell, and start or replace workers where cells need them."""
        yield from dealer.hopeless()
        for worker in [w for w in self._workers if w.cell is None]:
            cell = dealer.next(worker.pid, worker.threads)
            if cell is not None:
                self._give(worker, cell)
            elif dealer.n_left or len(self._workers) > n_workers:
                worker.stop()  # what is left needs another thread setting
                self._workers.remove(worker)
        while len(self._workers) < n_workers and dealer.n_left:
            threads = dealer.threads_needed()
            worker = self._start(threads, "set")
            self._give(worker, dealer.next(worker.pid, threads))

    def _give(self, worker: Worker, cell: Cell) -> None:
        worker.cell, worker.began = cell, None
        worker.phase = "features" if worker.is_ready else "start"
        worker.since = time.monotonic()
        known = self.trials.trials.get(cell.identity, []) if self.trials else []
        worker.send({"do": "run", "cell": asdict(cell), "trials": known})

    def _wait(self) -> list[Worker]:
        """Return the workers that have something to say, after waiting a little for it."""
        with selectors.DefaultSelector() as selector:
            for worker in self._workers:
                selector.register(worker, selectors.EVENT_READ)
            return [key.fileobj for key, _ in selector.select(timeout=_MEMORY_TICK_S)]

    def _listen(self, worker: Worker, dealer: Dealer) -> Iterator[Row]:
        messages, ended = worker.receive()
        for message in messages:
            kind = message["is"]
            if kind == "phase":
                worker.is_ready, self._failed_starts = True, 0
                worker.phase, worker.since = message["phase"], time.monotonic()
                worker.trial = message.get("trial")
                if worker.phase in ("tuning", "fit") and worker.began is None:
                    worker.began = worker.since
            elif kind == "trial":
                worker.trial, worker.since = None, time.monotonic()
                if self.trials is not None:
                    self.trials.append(worker.cell, message["trial"])
            elif kind in ("row", "no_features"):
                row = Row.from_dict(message["row"])
                if kind == "no_features":
                    dealer.give_up(worker.cell, row)
                if worker.began is not None:
                    row = replace(row, time_cell_s=time.monotonic() - worker.began)
                worker.cell, worker.phase = None, "idle"
                yield row
            elif kind == "refused":  # the data were there when they were checked, and are no longer
                raise InputError(message["message"])
        if ended or not worker.is_alive():
            yield from self._ended(worker, dealer, self._bury(worker))

    def _ended(self, worker: Worker, dealer: Dealer, death: Death) -> Iterator[Row]:
        """Turn a worker that is gone into the row of the cell it was at."""
        if not worker.is_ready:
            self._failed_starts += 1
            if self._failed_starts >= _MAX_FAILED_STARTS:
                raise WorkerError(f"{self._failed_starts} workers in a row did not start: {death.message}")
        cell = worker.cell
        if cell is None:
            return
        worker.cell = None
        if not worker.is_ready:  # not the cell's fault
            dealer.take_back(cell)
            return
        if self._lost_a_trial(worker, cell, death):
            dealer.take_back(cell)
            return
        row = Row(**asdict(cell), status=death.status, message=death.message)
        if worker.phase == "features":
            dealer.give_up(cell, row)
        yield row

    def _lost_a_trial(self, worker: Worker, cell: Cell, death: Death) -> bool:
        """Write down the trial that a worker died of; False where it died of something else, or of this one again."""
        if worker.trial is None or self.trials is None:
            return False
        place = ("configuration", "inner_fold")
        before = [[trial.get(name) for name in place] for trial in self.trials.trials.get(cell.identity, [])]
        if [worker.trial[name] for name in place] in before:
            return False
        seconds = time.monotonic() - worker.since
        lost = {"status": death.status, "message": death.message, "time_fit_s": seconds}
        self.trials.append(cell, {**worker.trial, **lost})
        return True

    def _hold_to_limits(self, worker: Worker, dealer: Dealer) -> Iterator[Row]:
        if worker.cell is None:
            return
        over = self._over_limit(worker)
        if over is None:
            return
        # what it said in the last moment counts
        yield from self._listen(worker, dealer)
        if worker.cell is None or worker not in self._workers or self._over_limit(worker) is None:
            return
        worker.kill()
        self._workers.remove(worker)
        yield from self._ended(worker, dealer, over)

    def _over_limit(self, worker: Worker) -> Death | None:
        seconds = time.monotonic() - worker.since
        limit = START_LIMIT_S if worker.phase == "start" else self.timeout_s
        if limit is not None and seconds > limit:
            return Death("timeout", f"killed in {worker.phase} after the limit of {limit:g} s")
        if worker.phase == "start":
            return None
        used = worker.memory_bytes(self._memory_limit)
        if used <= self._memory_limit:
            return None
        given = "" if self.memory_bytes else " (most of this machine's memory; --memory sets another)"
        return Death(
            "out_of_memory",
            f"killed in {worker.phase} with {used / 2**20:.0f} MiB in use, "
            f"the limit is {self._memory_limit / 2**20:.0f} MiB{given}",
        )
