"""Hardware counters of the calling thread, read through Linux' perf_event_open, where the system allows them.

What a counter says about a call is the difference of two readings, so a counter stands in for a clock: `Recorder` takes
either. Each counter is opened on its own, counts user space only (that needs no privilege up to
``kernel.perf_event_paranoid = 2``) and the calling thread only; the calls of a step are run one after the other for it, also
where they would run on several threads. A virtual machine often has no hardware counters; what the kernel counts itself
(page faults, context switches) is there all the same.

Reference: perf_event_open(2), linux/perf_event.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from statistics import median

#: Number of the system call by machine (there is no wrapper in libc).
_SYSCALLS = {"x86_64": 298, "amd64": 298, "aarch64": 241, "arm64": 241}
_HARDWARE, _SOFTWARE, _HARDWARE_CACHE = 0, 1, 3
#: Bits of `perf_event_attr`: exclude_kernel, exclude_hv.
_EXCLUDE_KERNEL, _EXCLUDE_HYPERVISOR = 1 << 5, 1 << 6
_ATTRIBUTES_BYTES = 128
_L1_DATA_READ_MISS = 0 | 0 << 8 | 1 << 16


@dataclass(frozen=True)
class Event:
    """Something that is counted; `is_hardware` says by whom."""

    name: str
    line: str
    kind: int
    config: int

    @property
    def is_hardware(self) -> bool:
        return self.kind != _SOFTWARE


EVENTS = (
    Event("cycles", "clock cycles of the core", _HARDWARE, 0),
    Event("instructions", "instructions retired", _HARDWARE, 1),
    Event("l1d_misses", "reads that missed the first data cache", _HARDWARE_CACHE, _L1_DATA_READ_MISS),
    Event("cache_misses", "accesses that missed the last cache", _HARDWARE, 3),
    Event("branch_misses", "branches predicted wrongly", _HARDWARE, 5),
    Event("page_faults", "pages touched for the first time", _SOFTWARE, 2),
    Event("context_switches", "times the thread lost its core", _SOFTWARE, 3),
)


class Unavailable(Exception):
    """The system does not count this event for us; the message says why."""


class Counter:
    """A running counter of one event; `read` returns its value so far.

    Examples
    --------
    >>> import contextlib
    >>> with contextlib.suppress(Unavailable), counting(EVENTS[-2]) as counter:
    ...     before = counter.read()
    ...     assert counter.read() >= before
    """

    def __init__(self, event: Event):
        self.event = event
        self._file = _open(event)

    def read(self) -> int:
        return struct.unpack("q", os.read(self._file, 8))[0]

    def close(self) -> None:
        os.close(self._file)


def _open(event: Event) -> int:
    number = _SYSCALLS.get(platform.machine().lower())
    if sys.platform != "linux" or number is None:
        raise Unavailable("counters are read on Linux only, on x86-64 and ARM64")
    # perf_event_attr: type, size, config, sample_period, sample_type, read_format, flags; the rest stays 0
    attributes = struct.pack(
        "IIQQQQQ", event.kind, _ATTRIBUTES_BYTES, event.config, 0, 0, 0,
        (_EXCLUDE_KERNEL | _EXCLUDE_HYPERVISOR) if event.is_hardware else 0,
    ).ljust(_ATTRIBUTES_BYTES, b"\0")  # fmt: skip
    libc = ctypes.CDLL(None, use_errno=True)
    this_thread, any_core, no_group, close_on_exec = 0, -1, -1, 8
    file = libc.syscall(
        ctypes.c_long(number), ctypes.c_char_p(attributes), ctypes.c_int(this_thread), ctypes.c_int(any_core),
        ctypes.c_int(no_group), ctypes.c_ulong(close_on_exec),
    )  # fmt: skip
    if file < 0:
        raise Unavailable(f"{event.name}: {os.strerror(ctypes.get_errno())}")
    return file


@contextmanager
def counting(event: Event) -> Iterator[Counter]:
    """Count an event inside the block.

    Raises
    ------
    Unavailable
        Not here.
    """
    counter = Counter(event)
    try:
        yield counter
    finally:
        counter.close()


def count(call: Callable[[], object], rounds: int = 5) -> dict[str, int]:
    """Return what a call makes the machine count: event -> median of the rounds, after one that does not count."""
    found = {}
    for event in available()[0]:
        with counting(event) as counter:
            call()
            readings = [counter.read()]
            for _ in range(rounds):
                call()
                readings.append(counter.read())
        found[event.name] = round(median(after - before for before, after in pairwise(readings)))
    return found


def derived(counted: Mapping[str, int]) -> dict[str, float]:
    """Return the rates that counters give together.

    Examples
    --------
    >>> derived({"instructions": 300, "cycles": 100}), derived({"page_faults": 1})
    ({'instructions_per_cycle': 3.0}, {})
    """
    if not counted.get("cycles") or "instructions" not in counted:
        return {}
    return {"instructions_per_cycle": counted["instructions"] / counted["cycles"]}


@cache
def available() -> tuple[tuple[Event, ...], tuple[str, ...]]:
    """Return the events that can be counted here, and why others cannot."""
    usable, reasons = [], []
    for event in EVENTS:
        try:
            with counting(event) as counter:
                counter.read()
            usable.append(event)
        except (Unavailable, OSError) as error:
            reasons.append(str(error))
    return tuple(usable), tuple(reasons)
