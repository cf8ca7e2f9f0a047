"""Processes and what they started, as the kernel knows them: cheap enough to be asked many times a second.

psutil reads every process of the machine to find the children of one. Linux also keeps the list itself
(/proc/PID/task/TID/children), which costs some microseconds; where it does not, psutil is asked.

A process that detaches itself (double fork, a session of its own) leaves the tree: once its parent has ended it is a
child of init. Two things find it all the same. A worker is a *subreaper* (prctl(2), PR_SET_CHILD_SUBREAPER), so that
what is orphaned below it becomes its own child; and its environment holds a mark that children inherit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

PROC = Path("/proc")
ON_LINUX = sys.platform.startswith("linux")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

#: The variable that marks a worker and all it starts.
MARK = "DEPTHBENCH_WORKER"

#: How long to go on looking for processes that are started faster than they are killed.
KILL_FOR_S = 1.0


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process; does nothing where there is no such call."""
    if ON_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that are not yet reaped; none of one that is gone.

    Examples
    --------
    >>> children(os.getpid() + 10_000_000)
    []
    """
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
        for task in tasks:
            with contextlib.suppress(ProcessLookupError), open(f"/proc/{pid}/task/{task}/children", "rb") as f:
                found += map(int, f.read().split())
    except OSError:
        if (PROC / "self/task" / str(os.getpid()) / "children").exists():
            return []  # it is gone
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children()]
    return found


def descendants(pid: int) -> list[int]:
    """Return all that a process has started, and what those have."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        new = [child for child in children(waiting.pop()) if child not in found]
        found += new
        waiting += new
    return found


def rss_bytes(pid: int) -> int:
    """Return the resident size of one process, 0 of one that is gone.

    Examples
    --------
    >>> rss_bytes(os.getpid()) > 1 << 20
    True
    """
    try:
        with open(f"/proc/{pid}/statm", "rb") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        if ON_LINUX:
            return 0
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).memory_info().rss
    return 0


def shared_out_bytes(pid: int) -> int:
    """Return the proportional size: memory that forked processes share counts once, divided among them."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as f:
            for line in f:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return rss_bytes(pid)


def tree_bytes(pid: int, more_than: int | None = None) -> int:
    """Return the memory of a process and of all it started.

    Adding up resident sizes counts what forked processes share several times over. So where the sum is above
    `more_than`, and there are several, the slower but exact sizes are added up instead.
    """
    pids = [pid, *descendants(pid)]
    total = sum(map(rss_bytes, pids))
    if more_than is not None and total > more_than and len(pids) > 1:
        return sum(map(shared_out_bytes, pids))
    return total


def machine_bytes() -> int:
    """Return the memory that there is: of the machine, or of the container where that has less.

    Examples
    --------
    >>> machine_bytes() > 1 << 26
    True
    """
    total = psutil.virtual_memory().total
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError), open(path) as f:  # "max" where there is no limit
            total = min(total, int(f.read()))
    return total


def oom_kills() -> int:
    """Return how many processes the system has killed so far because memory ran out; 0 where it does not tell."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", "rb") as f:
        for line in f:
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


def cpu_seconds_of_living(pids: Iterable[int]) -> float:
    """Return the processor time of processes, with that of the children they have reaped."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            total += sum(psutil.Process(pid).cpu_times()[:4])
    return total


def kill_tree(pid: int) -> None:
    """End a process and what it started, as far as it is still below it; `kill_marked` ends the rest.

    Its process group goes in one call, from which no fork escapes. Whatever left the group is stopped before it is
    killed, so that it starts nothing meanwhile.

    Parameters
    ----------
    pid : int
        The leader of a process group, not yet waited for: afterwards its number may be somebody else's.
    """
    outside = set(descendants(pid))
    _signal(outside, signal.SIGSTOP)
    outside |= set(descendants(pid))  # started between the list and the stop
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    _signal(outside, signal.SIGKILL)


def kill_marked(mark: str) -> None:
    """End what has this mark in its environment, wherever it has detached itself to, until nothing has it."""
    end = time.monotonic() + KILL_FOR_S
    found = True
    while found and time.monotonic() < end:
        found = False
        for process in marked(mark):  # killed as it is found: one that goes on forking is gone a moment later
            _signal([process], signal.SIGSTOP)
            _signal([process], signal.SIGKILL)
            found = True


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def marked(mark: str) -> Iterator[int]:
    """Yield the living processes whose environment says that they belong to this worker, the latest first."""
    entry = f"{MARK}={mark}".encode()
    for process in sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True) if ON_LINUX else ():
        with contextlib.suppress(OSError), open(f"/proc/{process}/environ", "rb") as f:
            if entry in f.read().split(b"\0"):
                yield process
