"""Runs cells on a dask.distributed cluster: each dask worker is one slot, and rows come back to the one writer here.

Cells are dealt as they are on one machine (`bench/dealing.py`): a slot has one cell at a time and keeps to its fold. A
slot that is gone, whatever became of it, gives its cell back, which then runs elsewhere; a slot that joins is checked
and takes part. So a run survives the loss of all its workers but one, and waits where the last is gone. What happens on
the other side is in `bench/slot.py`.

dask pickles what it sends, so a scheduler must only be reachable for those who may run code on its workers; what is
sent from here is names of our functions and JSON texts.
"""

from __future__ import annotations

import json
import queue
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.cell import Cell, Row
from bench.dealing import Dealer
from bench.errors import InputError
from bench.executors import WorkerError
from bench.tuning.trials import TrialLog

CONNECT_S, FIRST_WORKER_S = 15.0, 300.0
_LOOK_EVERY_S, _FETCH_S = 0.5, 2.0
#: A cell that took so many workers with it is not tried again.
MOST_LOST = 3


@dataclass(eq=False)
class _Slot:
    """A dask worker, as seen from here."""

    address: str
    host: str = ""
    fingerprint: str | None = None
    threads: int = 0
    ready: bool = False
    cell: Cell | None = None
    future: Any = None


class DaskExecutor:
    """Slots on a cluster; a context manager that leaves nothing running there.

    Parameters
    ----------
    context : dict
        The `bench.execution.Context` of the run, as plain values.
    scheduler : str
        ``"tcp://127.0.0.1:8786"``.
    timeout_s, memory_bytes : float or None
        The limits of a cell, held on its machine.
    trials : TrialLog, optional
        Where the trials of searches are written.
    say : callable, optional
        Takes what a person should know: workers lost and joined.
    """

    def __init__(
        self,
        context: dict[str, Any],
        scheduler: str,
        *,
        timeout_s: float | None = None,
        memory_bytes: int | None = None,
        trials: TrialLog | None = None,
        say: Callable[[str], None] = lambda text: None,
    ):
        self.scheduler, self.trials, self.say = scheduler, trials, say
        # a checkpoint is of use to the machine that wrote it only
        context = {**context, "checkpoint_folder": None}
        self._setup = json.dumps({"context": context, "timeout_s": timeout_s, "memory_bytes": memory_bytes})
        self._key = uuid.uuid4().hex
        self._slots: dict[str, _Slot] = {}
        self._refused: set[str] = set()
        self._answers: queue.SimpleQueue[tuple[_Slot, Any]] = queue.SimpleQueue()
        self._looked = 0.0
        self._lost: Counter[tuple] = Counter()  # identity of a cell -> workers that were lost with it
        self._threads = 1
        self.machines: dict[str, dict[str, Any]] = {}  # fingerprint -> what it is, and its hosts
        self.deadline: float | None = None

    @property
    def jobs(self) -> int:
        return max(1, len(self._slots))

    # -- there and back

    def __enter__(self) -> DaskExecutor:
        from bench import slot

        self._code = slot.code()
        try:
            import distributed
        except ImportError as e:
            raise InputError(f"--executor dask needs the extra 'cluster': pip install 'depthbench[cluster]' ({e})") from None
        import logging

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # lost workers are said here, in a line each
        try:
            self._client = distributed.Client(self.scheduler, timeout=CONNECT_S, set_as_default=False, name="depthbench")
        except (OSError, TimeoutError, ValueError, TypeError) as e:
            raise InputError(f"no dask scheduler answers at {self.scheduler!r}: {e}") from None
        return self

    def __exit__(self, *_: object) -> None:
        from bench import slot

        with suppress(Exception):  # some of them may be gone
            self._client.run(slot.close, self._key, on_error="ignore")
        with suppress(Exception):
            self._client.close(timeout=5)

    def _workers(self) -> set[str]:
        """Return the addresses of the workers that are there now."""
        try:
            return set(self._client.nthreads())
        except Exception as e:  # whatever dask raises when its scheduler is gone
            raise WorkerError(f"the dask scheduler at {self.scheduler} is gone: {type(e).__name__}") from e

    def _submit(self, slot: _Slot, function: Callable[..., str], argument: Any) -> None:
        slot.future = self._client.submit(
            function, self._key, self._setup, argument, workers=[slot.address], allow_other_workers=False, pure=False
        )
        slot.future.add_done_callback(lambda future: self._answers.put((slot, future)))

    # -- before the first cell

    def check(self, threads: int) -> dict[str, Any]:
        """Have each worker load all data; return what the first found.

        Raises
        ------
        InputError
            The suite cannot be run on one of them; the message says where and why.
        WorkerError
            There is no worker.
        """
        self._threads = threads
        end = time.monotonic() + FIRST_WORKER_S
        while not (there := self._workers()):
            if time.monotonic() > end:
                raise WorkerError(f"no worker has joined the scheduler at {self.scheduler} within {FIRST_WORKER_S:g} s")
            time.sleep(_LOOK_EVERY_S)
        self._join(there)
        first = None
        while waiting := [s for s in self._slots.values() if not s.ready]:
            for slot, future in self._heard():
                if slot in waiting and future is slot.future:
                    found = self._checked(slot, future, strict=True)
                    first = first or found
            self._forget_the_lost(None)
        if first is None:
            raise WorkerError(f"all workers at {self.scheduler} were lost while they loaded the data")
        return first

    def _join(self, addresses: set[str]) -> None:
        from bench import slot as remote

        for address in sorted(addresses - set(self._slots) - self._refused):
            self._slots[address] = slot = _Slot(address)
            self._submit(slot, remote.check, self._threads)

    def _checked(self, slot: _Slot, future: Any, *, strict: bool) -> dict[str, Any] | None:
        """Take in a slot that has loaded the data; leave it out, or raise, where it could not."""
        try:
            found = self._fetched(slot, future)
        except Exception as e:  # it died, or depthbench is not installed there
            found = {"refused": f"{type(e).__name__}: {e}"}
            if slot.address not in self._workers():
                self._slots.pop(slot.address, None)
                return None
        if found.get("code", self._code) != self._code:
            found = {"refused": "it has another version of depthbench than this machine"}
        if "refused" in found:
            text = f"dask worker {slot.address}: {found['refused']}"
            if strict:
                raise InputError(text)
            self.say(f"not used: {text}")
            self._refused.add(slot.address)
            self._slots.pop(slot.address, None)
            return None
        machine = found["machine"]
        slot.host, slot.fingerprint, slot.ready, slot.threads = machine["host"], machine["fingerprint"], True, self._threads
        known = self.machines.setdefault(slot.fingerprint, {**machine, "hosts": []})
        if slot.host not in known["hosts"]:
            known["hosts"].append(slot.host)
        return found

    def _fetched(self, slot: _Slot, future: Any) -> dict[str, Any]:
        """Return what an ended task says; dask would wait for ever where its worker, which still holds that, is lost now."""
        while True:
            try:
                return json.loads(future.result(timeout=_FETCH_S))
            except TimeoutError:
                if slot.address not in self._workers():
                    raise

    # -- cells

    def run(self, cells: Sequence[Cell]) -> Iterator[Row]:
        """Yield the row of each cell as it ends; none is begun after the `deadline`."""
        dealer = Dealer(cells)
        waits = False
        while dealer.n_left or any(s.cell for s in self._slots.values()):
            if self.deadline is not None and time.monotonic() >= self.deadline:
                dealer.drop()
            yield from dealer.hopeless()
            self._deal(dealer)
            for slot, future in self._heard():
                if future is not slot.future or self._slots.get(slot.address) is not slot:
                    continue  # of a slot that was given up
                if slot.cell is None:
                    self._checked(slot, future, strict=False)
                else:
                    yield from self._answered(slot, future, dealer)
            yield from self._forget_the_lost(dealer)
            if not self._slots and not waits:
                self.say(f"no worker is left; waiting for one to join {self.scheduler} (Ctrl-C ends the run, --resume goes on)")
            waits = not self._slots

    def _deal(self, dealer: Dealer) -> None:
        from bench import slot as remote

        for slot in self._slots.values():
            if not slot.ready or slot.cell is not None or not dealer.n_left:
                continue
            cell = dealer.next(slot.address, slot.threads)
            if cell is None:  # what is left needs another thread setting
                cell = dealer.next(slot.address, dealer.threads_needed())
            slot.cell, slot.threads = cell, cell.threads
            known = self.trials.trials.get(cell.identity, []) if self.trials else []
            self._submit(slot, remote.run, remote.request(cell, known))

    def _heard(self) -> list[tuple[_Slot, Any]]:
        """Return what has been answered, after waiting a little for it."""
        found = []
        with suppress(queue.Empty):
            found.append(self._answers.get(timeout=_LOOK_EVERY_S))
            while True:
                found.append(self._answers.get_nowait())
        return found

    def _answered(self, slot: _Slot, future: Any, dealer: Dealer) -> Iterator[Row]:
        cell, slot.cell, slot.future = slot.cell, None, None
        try:
            answer = self._fetched(slot, future)
        except Exception:  # the worker was lost, or dask took the task away from it
            yield from self._lost_with(cell, dealer)
            return
        if "refused" in answer:
            self.say(f"no longer used: dask worker {slot.address}: {answer['refused']}")
            self._refused.add(slot.address)
            del self._slots[slot.address]
            dealer.take_back(cell)
            return
        for trial in answer["trials"]:
            if self.trials is not None:
                self.trials.append(cell, trial)
        row = Row.from_dict(answer["row"])
        if answer["no_features"]:
            dealer.give_up(cell, row)
        beside = sum(s.host == slot.host for s in self._slots.values())
        yield replace(row, host=slot.host, machine_fingerprint=slot.fingerprint, n_workers=beside)

    def _forget_the_lost(self, dealer: Dealer | None) -> Iterator[Row]:
        """Take back the cells of slots that are gone; let in those that have come."""
        if time.monotonic() - self._looked < _LOOK_EVERY_S:
            return iter(())
        self._looked = time.monotonic()
        there = self._workers()
        rows: list[Row] = []
        for address in set(self._slots) - there:
            slot = self._slots.pop(address)
            self.say(f"dask worker {address} ({slot.host or 'not yet ready'}) is gone")
            if slot.future is not None:
                with suppress(Exception):
                    slot.future.cancel()
            if slot.cell is not None and dealer is not None:
                rows += self._lost_with(slot.cell, dealer)
        if dealer is not None:
            self._join(there)
        return iter(rows)

    def _lost_with(self, cell: Cell, dealer: Dealer) -> list[Row]:
        """Deal a cell again whose worker is gone; give up one that has taken too many with it."""
        self._lost[cell.identity] += 1
        if self._lost[cell.identity] < MOST_LOST:
            dealer.take_back(cell)
            return []
        return [Row(**asdict(cell), status="failed", message=f"{MOST_LOST} workers of the cluster were lost with this cell")]
