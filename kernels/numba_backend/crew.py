"""Threads that wait in machine code: what `run_together` gives its programs to.

A pool of Python threads is woken by the system, each time: some 50 µs, and for the first milliseconds the woken thread often
stands on the core of the one that woke it, which is as long as a training step takes. So the members of a crew look at a box
in memory for about a millisecond after their work (as OpenMP's threads do) before they go to sleep on a semaphore. Between
the passes of a training they do not sleep.

A box is a number that counts up with each piece of work, the work (arguments of `run_calls`), and a number that follows when it
is done. Whoever goes to sleep says so first and looks once more; whoever posts work counts up first and looks then: one of the
two sees the other.
"""

from __future__ import annotations

import os
import sys
import threading

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.numba_backend.memory import int64_pointer, kernel, load, store

#: Where unnamed semaphores work and a thread may wait on one in memory of ours.
AVAILABLE = sys.platform.startswith("linux")
#: How often a member looks into its box before it goes to sleep, and how often anyone looks before letting others have the core
#: now and then.
LOOKS, PATIENCE = 100_000, 2_000
#: Places in a box, in int64: the caller's cache line, the member's, the semaphore.
COUNT, CALLS, N_CALLS, WORK, TIMES, DONE, CODE, ASLEEP, SEMAPHORE, BOX = 0, 1, 2, 3, 4, 8, 9, 10, 16, 24


def _libc(name: str, n_arguments: int):
    """Return the intrinsic that calls a function of the C library with addresses and ints."""

    def call(typingctx, address):
        def codegen(context, builder, signature, arguments):
            pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
            kind = ir.FunctionType(number, [pointer] * n_arguments)
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [builder.inttoptr(arguments[0], pointer)] * n_arguments)
            return context.get_dummy_value()

        return types.void(types.intp), codegen

    call.__name__ = call.__qualname__ = name
    return intrinsic(call)


_sem_wait, _sem_post, _sched_yield = _libc("sem_wait", 1), _libc("sem_post", 1), _libc("sched_yield", 0)


@intrinsic
def _look(typingctx, pointer, i):
    """Return pointer[i] as it is now."""

    def codegen(context, builder, signature, arguments):
        return builder.load_atomic(builder.gep(arguments[0], [arguments[1]]), "seq_cst", 8)

    return types.int64(pointer, types.intp), codegen


@intrinsic
def _publish(typingctx, pointer, i, value):
    """Set pointer[i], after all that was written before."""

    def codegen(context, builder, signature, arguments):
        builder.store_atomic(arguments[2], builder.gep(arguments[0], [arguments[1]]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(pointer, types.intp, types.int64), codegen


@kernel
def serve(box_address, run_calls):
    """Do what is put into a box, for ever."""
    box, semaphore, seen = int64_pointer(box_address), box_address + 8 * SEMAPHORE, 0
    while True:
        looks = 0
        while _look(box, COUNT) == seen:
            looks += 1
            if looks > PATIENCE and looks % 16 == 0:
                _sched_yield(0)
            if looks > LOOKS:
                _publish(box, ASLEEP, 1)
                if _look(box, COUNT) == seen:
                    _sem_wait(semaphore)
                _publish(box, ASLEEP, 0)
                looks = 0
        seen += 1
        store(box, CODE, run_calls(load(box, CALLS), load(box, N_CALLS), load(box, WORK), load(box, TIMES)))
        _publish(box, DONE, seen)


@kernel
def together(boxes_address, n_boxes, work_address, run_calls, calls, n_calls, work, times):
    """Hand `work` (4 numbers a box) to the members of a crew, do one's own part, and wait for theirs."""
    jobs = int64_pointer(work_address)
    for i in range(n_boxes):
        address = boxes_address + 8 * BOX * i
        box = int64_pointer(address)
        for j in range(4):
            store(box, CALLS + j, load(jobs, 4 * i + j))
        _publish(box, COUNT, load(box, COUNT) + 1)
        if _look(box, ASLEEP) == 1:
            _sem_post(address + 8 * SEMAPHORE)
    code = run_calls(calls, n_calls, work, times)
    for i in range(n_boxes):
        box = int64_pointer(boxes_address + 8 * BOX * i)
        looks = 0
        while _look(box, DONE) != load(box, COUNT):
            looks += 1
            if looks > PATIENCE and looks % 16 == 0:
                _sched_yield(0)
        code = max(code, load(box, CODE))
    return code


class Crew:
    """Threads of a fixed number. One caller at a time: `free` is held meanwhile."""

    def __init__(self, n_members: int, run_calls):
        self.free = threading.Lock()
        self._run_calls = run_calls
        room = np.zeros(n_members * BOX + 8, np.int64)
        start = -(room.__array_interface__["data"][0] // 8) % 8  # at a cache line
        self._boxes = room[start : start + n_members * BOX]
        self._keeps = room
        self._rooms = [np.empty(0, np.uint8) for _ in range(n_members)]
        self._address = self._boxes.__array_interface__["data"][0]
        for i in range(n_members):
            box = self._address + 8 * BOX * i
            # zeros are a semaphore at 0 (sem_init has nothing else to say); a daemon, for it never ends
            threading.Thread(target=serve, args=(box, run_calls), name=f"depthbench-crew-{i}", daemon=True).start()

    def work_address(self, i: int, n_bytes: int) -> int:
        """Return the address of member i's working memory, grown and kept."""
        if self._rooms[i].size < n_bytes + 64:
            self._rooms[i] = np.empty(n_bytes + 64, np.uint8)
        return -(-self._rooms[i].__array_interface__["data"][0] // 64) * 64

    def run(self, jobs: np.ndarray, own: tuple[int, int, int, int]) -> int:
        """Run `jobs`, an int64 array (n_members, 4), and `own`; return the largest code."""
        place = jobs.__array_interface__["data"][0]
        return together(self._address, len(jobs), place, self._run_calls, *own)


_lock = threading.Lock()
_crews: dict[int, Crew] = {}


def _forget() -> None:
    """Start anew in a forked child, which has none of its parent's threads."""
    global _lock, _crews
    _lock, _crews = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def crew(n_members: int, run_calls) -> Crew:
    """Return the crew of this process with that many members."""
    with _lock:
        if n_members not in _crews:
            _crews[n_members] = Crew(n_members, run_calls)
        return _crews[n_members]
