"""Threads for Numba kernels: the work is cut into parts, which run on Python threads without the interpreter's lock.

Numba's own threading layers cannot be entered by two threads at once (the one that is always there, "workqueue", ends
the process then), and their size is global. Here a call asks for its number of threads and gets the same parts in the
same order each time, so that a result repeats bit for bit.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}


def _forget() -> None:
    """Start anew in a forked child: it has none of its parent's threads, and may have got a lock that nobody opens."""
    global _lock, _pools
    _lock, _pools = threading.Lock(), {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _pool(n_threads: int) -> ThreadPoolExecutor:
    """The pool of this process with that many threads."""
    with _lock:
        if n_threads not in _pools:
            _pools[n_threads] = ThreadPoolExecutor(n_threads, thread_name_prefix="depthbench-numba")
        return _pools[n_threads]


def parts(n: int, n_threads: int, multiple: int = 1) -> list[tuple[int, int]]:
    """Cut 0..n into at most `n_threads` ranges whose lengths are multiples of `multiple`, the last one's excepted.

    Examples
    --------
    >>> parts(10, 2), parts(10, 3, multiple=4), parts(0, 2)
    ([(0, 5), (5, 10)], [(0, 4), (4, 8), (8, 10)], [])
    """
    share = -(-n // n_threads)
    share = -(-share // multiple) * multiple
    return [(start, min(start + share, n)) for start in range(0, n, share)] if n else []


def run(function: Callable, ranges: list[tuple[int, int]], *arguments: Any) -> list:
    """Return function(start, end, *arguments) of each range, the first on the caller's own thread.

    Whatever is raised (Ctrl-C too) is raised once all parts have ended: they know addresses only, and the arrays behind
    those may be gone when the caller's frame is.
    """
    if not ranges:
        return []
    others = [_pool(len(ranges) - 1).submit(function, *r, *arguments) for r in ranges[1:]]
    try:
        return [function(*ranges[0], *arguments), *(other.result() for other in others)]
    finally:
        _wait_for(others)


def _wait_for(futures: list[Future]) -> None:
    """Return when all have ended; an interrupt meanwhile is raised after that."""
    interrupt = None
    while not all(future.done() for future in futures):
        try:
            wait(futures)
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt is not None:
        raise interrupt
