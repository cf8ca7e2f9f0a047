"""Which ceiling binds a kernel call, and how near to it the call came.

The roofline model (Williams, Waterman & Patterson, CACM 52, 2009): a call that does F FLOPs on Q bytes needs at least
max(F / peak, Q / bandwidth) seconds, so its arithmetic intensity F / Q says which of the two binds. Bandwidth is that
of the fastest level of the memory that holds all the arrays of the call: what a call with warm caches could reach. In
a training step other kernels have used the caches since, so a small call can stay far below it and be a good kernel.

FLOPs and bytes are those of ``kernels/spec.py``: what the mathematics needs, and what must move at least once. A kernel
that finds a cheaper way can pass 100 %; so can one that mostly reads, for the bandwidth is that of a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.profiling.ceilings import Ceilings


@dataclass(frozen=True)
class Roof:
    """The lowest ceiling over one call.

    Attributes
    ----------
    bound : str
        ``"FMA"``, or the level of the memory: ``"L1"``, ``"L2"``, ``"L3"`` or ``"DRAM"``.
    least_s : float
        The time that the machine needs at least.
    """

    bound: str
    least_s: float


def roof(ceilings: Ceilings, flops: float, n_bytes: float, resident_bytes: float | None = None) -> Roof:
    """Return the ceiling that binds `flops` of work on `n_bytes` of data.

    `resident_bytes` is what passes through the caches between two runs of the work, where that is more than its own data.

    Examples
    --------
    >>> from bench.profiling.ceilings import Ceilings, Level
    >>> machine = Ceilings("float32", 1, 100.0, "", (Level("DRAM", float("inf"), 10.0, ""),))
    >>> roof(machine, flops=2e9, n_bytes=1e8)  # 20 FLOPs a byte, above the ridge at 10
    Roof(bound='FMA', least_s=0.02)
    >>> roof(machine, flops=1e8, n_bytes=1e8).bound
    'DRAM'
    """
    level = ceilings.level_for(max(n_bytes, resident_bytes or 0))
    compute_s = flops / (ceilings.fma_gflops * 1e9)
    memory_s = n_bytes / (level.gb_per_s * 1e9)
    return Roof("FMA", compute_s) if compute_s >= memory_s else Roof(level.name, memory_s)


@dataclass(frozen=True)
class Rate:
    """What became of some work: FLOPs and bytes, the time it took, and the time it needs at least.

    Several calls add up (`least_s` too), so a table of calls has the same columns as its total.
    """

    seconds: float
    flops: float
    n_bytes: float
    least_s: float
    bound: str

    @property
    def gflops(self) -> float:
        return self.flops / self.seconds / 1e9 if self.seconds > 0 else 0.0

    @property
    def gb_per_s(self) -> float:
        return self.n_bytes / self.seconds / 1e9 if self.seconds > 0 else 0.0

    @property
    def intensity(self) -> float:
        """FLOPs a byte."""
        return self.flops / self.n_bytes if self.n_bytes else 0.0

    @property
    def of_ceiling(self) -> float:
        """The part of the binding ceiling that was reached, 0..1 (more: see the module)."""
        return self.least_s / self.seconds if self.seconds > 0 else 0.0


def rate(ceilings: Ceilings, seconds: float, flops: float, n_bytes: float, resident_bytes: float | None = None) -> Rate:
    """Return the :class:`Rate` of one call; see :func:`roof` for `resident_bytes`."""
    top = roof(ceilings, flops, n_bytes, resident_bytes)
    return Rate(seconds, flops, n_bytes, top.least_s, top.bound)


def total(rates: list[Rate]) -> Rate:
    """Return the sum of several; its bound is that under which most of the least time falls.

    Examples
    --------
    >>> total([Rate(1.0, 4.0, 2.0, 0.5, "FMA"), Rate(1.0, 0.0, 2.0, 0.1, "L1")])
    Rate(seconds=2.0, flops=4.0, n_bytes=4.0, least_s=0.6, bound='FMA')
    """
    by_bound: dict[str, float] = {}
    for one in rates:
        by_bound[one.bound] = by_bound.get(one.bound, 0.0) + one.least_s
    bound = max(by_bound, key=by_bound.__getitem__) if by_bound else "-"
    return Rate(
        sum(r.seconds for r in rates), sum(r.flops for r in rates), sum(r.n_bytes for r in rates),
        sum(r.least_s for r in rates), bound,
    )  # fmt: skip
