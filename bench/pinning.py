"""Which processors a worker may run on, where a run asks for it: never moved, and never on one that another worker has.

Left alone, the system moves a busy process from core to core, and two workers may meet on one. Pinned, a worker has as
many processors as threads. Cores come before their hyper-threads, fast cores before slow ones, and the last before the
first, which serves interrupts and the run's own process.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.errors import InputError

CPUS = Path("/sys/devices/system/cpu")


def allowed() -> list[int]:
    """Return the processors that this process may use.

    Raises
    ------
    InputError
        The system has no way to pin a process.
    """
    if not hasattr(os, "sched_getaffinity"):
        raise InputError("--pin needs a system that can pin a process to processors (Linux)")
    return sorted(os.sched_getaffinity(0))


def check(n_workers: int, threads: int) -> None:
    """Refuse more threads than there are processors to pin them to.

    Raises
    ------
    InputError
        Says how many there are.
    """
    n = len(allowed())
    if n_workers * threads > n:
        raise InputError(
            f"--pin: {n_workers} worker{'s' if n_workers > 1 else ''} of {threads} thread{'s' if threads > 1 else ''} need "
            f"{n_workers * threads} processors, and this process may use {n}; take fewer --jobs or --threads"
        )


def best_first(cpus: Iterable[int], folder: Path = CPUS) -> list[int]:
    """Return processors in the order in which they are given out.

    Parameters
    ----------
    cpus : iterable of int
    folder : Path
        Where the system describes them; what it does not say is taken to be alike.
    """
    cpus = sorted(cpus, reverse=True)
    seen: Counter[tuple[int, int]] = Counter()
    ranks = {}
    for cpu in cpus:
        topology = folder / f"cpu{cpu}" / "topology"
        core = (_number(topology / "physical_package_id", 0), _number(topology / "core_id", cpu))
        ranks[cpu] = (seen[core], -_number(folder / f"cpu{cpu}" / "cpufreq" / "cpuinfo_max_freq", 0))
        seen[core] += 1
    return sorted(cpus, key=ranks.__getitem__)


def choose(order: Sequence[int], taken: Iterable[int], n: int) -> list[int]:
    """Return `n` processors for a new worker: those that the fewest others have, in this order.

    Examples
    --------
    >>> choose([3, 2, 1, 0], taken=[3], n=2), choose([1, 0], taken=[1, 0], n=1)
    ([1, 2], [1])
    """
    counts = Counter(taken)
    return sorted(sorted(order, key=lambda cpu: counts[cpu])[:n])


def _number(path: Path, otherwise: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return otherwise
