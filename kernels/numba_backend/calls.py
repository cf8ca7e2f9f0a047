"""Calls as data: a compiled function and a block of memory with its arguments, worked out once and run many times.

A call from Python turns each argument from an object into a number, some microseconds in all: as long as a small kernel
takes. So a `Task` can be *bound*: its arguments are written into a block, and one compiled entry, made per function and
types, reads them from there. All entries look alike to their caller, entry(block, work) -> code, so that a compiled loop runs
a whole list of them, without Python in between; the twin of cython_backend/call.pxi.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import cfunc, typeof, types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.numba_backend import crew as crews
from kernels.numba_backend.entrance import Entrances
from kernels.numba_backend.memory import int64_pointer, kernel, load, store
from kernels.numba_backend.parallel import run
from kernels.numba_backend.separate import call_by_address, compiled

#: A bound call that needs no more working memory than this has its own, so that nothing has to be looked up when it is called.
#: What is not touched of it costs nothing, and programs bring theirs.
OWN_BYTES = 2**18
#: What a compiled function returns: all is well, or an index points outside.
SUCCESS, OUT_OF_RANGE = 0, 2


def address_of(array: np.ndarray | None) -> int:
    return 0 if array is None else array.__array_interface__["data"][0]


def end_of(array: np.ndarray) -> int:
    """The address behind a C-contiguous array."""
    return address_of(array) + array.nbytes


class Memory(threading.local):
    """Working memory of the calling thread, grown and kept: new memory costs a page fault for each 4 KiB."""

    def __init__(self):
        self._bytes = np.empty(0, np.uint8)
        self._start = 0

    def address(self, n_bytes: int) -> int:
        """Return the address of that many bytes, 64-byte aligned; whatever was in them before is lost."""
        if self._bytes.size < n_bytes + 64:
            self._bytes = np.empty(n_bytes + 64, np.uint8)
            self._start = -(-address_of(self._bytes) // 64) * 64
        return self._start

    def addresses(self, n_parts: int, elements: int, itemsize: int) -> list[int]:
        """Return one address for each part."""
        stride = -(-elements * itemsize // 64) * 64
        start = self.address(n_parts * stride)
        return [start + i * stride for i in range(n_parts)]


memory = Memory()


@dataclass(frozen=True)
class Task:
    """A compiled function(work, *arguments) -> code.

    Attributes
    ----------
    function : dispatcher
    arguments : tuple
        Numbers, and named tuples of integers.
    work_bytes : int
        How much working memory it needs.
    keeps : tuple
        Whatever must live as long as the task: the arrays whose addresses are among the arguments.
    """

    function: Any
    arguments: tuple
    work_bytes: int = 0
    keeps: tuple = ()

    def __call__(self) -> int:
        return self.function(memory.address(self.work_bytes), *self.arguments)


# -- the entry ------------------------------------------------------------------------------------------------------------


def _flat(arguments: tuple) -> list:
    """Return the numbers of arguments and of the named tuples among them, in their order."""
    return [x for a in arguments for x in (_flat(a) if isinstance(a, tuple) else (a,))]


def _block(arguments: tuple) -> np.ndarray:
    """Return 8 bytes for each number: an integer, or a real as it is (a float32 in the first four)."""
    numbers = _flat(arguments)
    block = np.zeros(len(numbers), np.int64)
    for i, number in enumerate(numbers):
        if isinstance(number, np.floating):
            block[i : i + 1].view(number.dtype)[0] = number
        elif isinstance(number, float):
            raise TypeError(f"a number of unknown width: {number}; make it a numpy.float32 or numpy.float64")
        else:
            block[i] = number
    return block


def read_arguments(context, builder, block, kinds: tuple) -> list:
    """Emit the reading of arguments of these types from a block."""
    word = ir.IntType(64)
    slots = builder.inttoptr(block, word.as_pointer())
    used = 0

    def read(kind):
        nonlocal used
        if isinstance(kind, types.BaseTuple):
            return context.make_tuple(builder, kind, [read(t) for t in kind.types])
        slot = builder.gep(slots, [word(used)])
        used += 1
        if isinstance(kind, types.Boolean):
            return builder.icmp_signed("!=", builder.load(slot), word(0))
        return builder.load(builder.bitcast(slot, context.get_value_type(kind).as_pointer()))

    return [read(kind) for kind in kinds]


@cache
def _entry(function: Any, kinds: tuple):
    """Return entry(block, work) of a function and the types of its arguments; keep it as long as its address is used."""
    result = compiled(function, (types.intp, *kinds))

    @intrinsic
    def call(typingctx, block, work):
        def codegen(context, builder, signature, arguments):
            given = read_arguments(context, builder, arguments[0], kinds)
            return call_by_address(context, builder, result, [arguments[1], *given])

        return types.int64(types.intp, types.intp), codegen

    @cfunc(types.int64(types.intp, types.intp), error_model="numpy")
    def entry(block, work):
        return call(block, work)

    return entry


@intrinsic
def invoke(typingctx, entry, block, work):
    """Call the entry at an address."""

    def codegen(context, builder, signature, arguments):
        word = ir.IntType(64)
        function = builder.inttoptr(arguments[0], ir.FunctionType(word, [word, word]).as_pointer())
        return builder.call(function, arguments[1:])

    return types.int64(types.intp, types.intp, types.intp), codegen


@intrinsic
def nanoseconds(typingctx):
    """Return the clock of time.perf_counter_ns."""

    def codegen(context, builder, signature, arguments):
        word, number = ir.IntType(64), ir.IntType(32)
        spec = ir.LiteralStructType([word, word])
        place = cgutils.alloca_once(builder, spec)
        kind = ir.FunctionType(number, [number, spec.as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(function, [number(time.CLOCK_MONOTONIC), place])
        reading = builder.load(place)
        seconds = builder.mul(builder.extract_value(reading, 0), word(10**9))
        return builder.add(seconds, builder.extract_value(reading, 1))

    return types.int64(), codegen


@kernel
def run_one(entry, block, work):
    """Run one call; returns False where an index points outside."""
    return invoke(entry, block, work) != OUT_OF_RANGE


@kernel
def run_calls(calls_address, n, work, times_address):
    """Run calls (entry, block) in their order, until one fails; write the start and the end of each where there is room."""
    calls, times = int64_pointer(calls_address), int64_pointer(times_address)
    for i in range(n):
        if times_address != 0:
            store(times, 2 * i, nanoseconds())
        code = invoke(load(calls, 2 * i), load(calls, 2 * i + 1), work)
        if times_address != 0:
            store(times, 2 * i + 1, nanoseconds())
        if code != 0:
            return code
    return 0


# -- bound calls, and programs of them ------------------------------------------------------------------------------------


@cache
def _entrances() -> Entrances:
    return Entrances(OUT_OF_RANGE)


class Bound(partial):
    """A task with its arguments in a block, to be called without any; returns False where an index points outside.

    Attributes
    ----------
    entry, place : int
        Addresses of the compiled entry and of the block.
    work_bytes : int
        Working memory that whoever runs the entry has to bring along. A little is its own.
    """

    def __new__(cls, task: Task):
        entry = _entry(task.function, tuple(typeof(a) for a in task.arguments))
        block, own = _block(task.arguments), np.empty(min(task.work_bytes, OWN_BYTES) + 64, np.uint8)
        if task.work_bytes <= OWN_BYTES:
            self = super().__new__(cls, _entrances().make(entry.address, address_of(block), -(-address_of(own) // 64) * 64))
        else:
            self = super().__new__(cls, _run_with_memory, entry.address, address_of(block), task.work_bytes)
        self.entry, self.place, self.work_bytes = entry.address, address_of(block), task.work_bytes
        self._keeps = entry, block, own, task.keeps
        return self


def _run_with_memory(entry: int, place: int, work_bytes: int) -> bool:
    return run_one(entry, place, memory.address(work_bytes))


class BoundLoss:
    """A bound call that returns what it leaves in `loss`."""

    def __init__(self, bound: Bound, loss: np.ndarray):
        self._bound, self._loss = bound, loss
        self.entry, self.place, self.work_bytes = bound.entry, bound.place, bound.work_bytes

    def __call__(self) -> float:
        self._bound()
        return float(self._loss[0])


class Program:
    """Calls that run one after the other, in one piece where all of them are bound to compiled functions.

    Where `times` is an int64 array (n_calls, 2), each run writes the start and the end of each call into it.
    """

    def __init__(self, calls: Sequence[Callable[[], Any]]):
        self._calls = list(calls)
        self._times: np.ndarray | None = None
        self._table = np.zeros((len(self._calls), 2), np.int64)
        for i, call in enumerate(self._calls):
            self.replace(i, call)

    def replace(self, i: int, call: Callable[[], Any]) -> None:
        """Put another call in the place of call i."""
        self._calls[i] = call
        self._whole = all(isinstance(c, Bound | BoundLoss) for c in self._calls)
        if isinstance(call, Bound | BoundLoss):
            self._table[i] = call.entry, call.place
        self._work_bytes = max((c.work_bytes for c in self._calls if isinstance(c, Bound | BoundLoss)), default=0)

    @property
    def times(self) -> np.ndarray | None:
        return self._times

    @times.setter
    def times(self, value: np.ndarray | None) -> None:
        if value is not None and (
            value.shape != self._table.shape or value.dtype != np.int64 or not value.flags.c_contiguous
        ):
            raise ValueError(f"times must be a C-contiguous int64 array {self._table.shape}")
        self._times = value

    def job(self, work: int) -> tuple[int, int, int, int]:
        """Return the arguments of `run_calls`, where all calls are bound."""
        return address_of(self._table), len(self._calls), work, address_of(self._times)

    def __call__(self) -> None:
        if self._whole:
            run_calls(*self.job(memory.address(self._work_bytes)))
            return
        for i, call in enumerate(self._calls):
            start = time.perf_counter_ns()
            call()
            if self._times is not None:
                self._times[i] = start, time.perf_counter_ns()


def run_together(programs: Sequence[Program]) -> None:
    """Run programs at the same time, each on a thread of its own."""
    if crews.AVAILABLE and len(programs) > 1 and all(p._whole for p in programs):
        crew = crews.crew(len(programs) - 1, run_calls)
        if crew.free.acquire(blocking=False):  # else another thread has it
            try:
                _run_by(crew, programs)
            finally:
                crew.free.release()
            return
    run(lambda i, _: programs[i](), [(i, i + 1) for i in range(len(programs))])


def _run_by(crew: crews.Crew, programs: Sequence[Program]) -> None:
    first, others = programs[0], programs[1:]
    jobs = np.array([p.job(crew.work_address(i, p._work_bytes)) for i, p in enumerate(others)], np.int64)
    crew.run(jobs, first.job(memory.address(first._work_bytes)))
