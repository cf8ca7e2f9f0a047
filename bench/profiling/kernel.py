"""One kernel over its cases: checked against the reference, warmed up, timed, and held against the ceilings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from bench.micro.contest import Contest, hold
from bench.profiling import counters, roofline
from bench.profiling.ceilings import Ceilings
from kernels import Kernels
from kernels.cases import Case

#: Seconds of timing for each case.
BUDGET_S = 0.25


@dataclass(frozen=True)
class CaseProfile:
    """What became of one case: its rate, or what is wrong with the answer (then there is no time)."""

    kernel: str
    case: str
    shapes: str
    first_call_s: float
    rate: roofline.Rate | None
    wrong: str | None
    counters: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class KernelProfile:
    """A kernel's cases, in their order."""

    kernel: str
    ceilings: Ceilings
    cases: tuple[CaseProfile, ...]


def profile_kernel(
    kernel: str, backend: Kernels, cases: Sequence[Case], ceilings: Ceilings, *, budget_s: float = BUDGET_S,
    progress: Callable[[str], None] = lambda name: None,
) -> KernelProfile:  # fmt: skip
    """Profile a kernel; `progress` hears the name of each case as it begins.

    Examples
    --------
    >>> import kernels
    >>> from bench.profiling.ceilings import measure
    >>> from kernels.cases import cases
    >>> p = profile_kernel("relu", kernels.load("reference"), cases("relu", "S")[:1], measure(), budget_s=0.01)
    >>> p.cases[0].rate.seconds > 0
    True
    """
    return KernelProfile(
        kernel, ceilings, tuple(_case_profile(case, backend, ceilings, budget_s, progress) for case in cases)
    )


def _case_profile(case: Case, backend: Kernels, ceilings: Ceilings, budget_s: float, progress) -> CaseProfile:
    progress(case.name)
    contest = Contest(case, ceilings.dtype, ceilings.n_threads)
    result = hold(contest, {backend.name: backend}, budget_s=budget_s, against_itself=False)[backend.name]
    rate, counted = None, {}
    if result.timing is not None:
        rate = roofline.rate(ceilings, result.timing.median_s, result.flops, result.n_bytes)
        arguments, options = case.make(ceilings.dtype)
        method = partial(getattr(backend, case.kernel), *arguments, **options, n_threads=ceilings.n_threads)
        counted = counters.count(method)
    return CaseProfile(case.kernel, case.name, result.shapes, result.first_call_s, rate, result.wrong, counted)
