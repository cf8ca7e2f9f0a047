"""Contestants of one benchmark, measured side by side: warmed up, checked, interleaved.

The words are pyperf's: a contestant's *warm-up* is its first call; then come *rounds* of several *loops* each; a
*value* is the time of a round divided by its loops.
"""

from __future__ import annotations

import gc
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels import Kernels
from kernels.cases import Case, compare
from kernels.spec import KernelSpec

#: A round lasts at least this long, so that reading the clock (about 50 ns) weighs nothing.
ROUND_S = 0.5e-3
MIN_ROUNDS, MAX_ROUNDS = 5, 50


@dataclass
class Timing:
    """What was measured of one contestant."""

    warmup_s: float  # the first call: compilation, page faults, cold caches
    loops: int = 1
    values_s: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        return float(np.median(self.values_s))


# -- one kernel on one case --------------------------------------------------------------------------------------------


def copied(value: Any) -> Any:
    """Return arrays copied (strides kept where they are those of a C or Fortran array), anything else as it is."""
    return value.copy(order="K") if isinstance(value, np.ndarray) else value


@dataclass(frozen=True)
class Prepared:
    """A kernel with inputs of its own and outputs to write into, ready to be called again and again."""

    spec: KernelSpec
    method: Callable[..., Any]
    arguments: tuple
    options: dict[str, Any]

    def __call__(self) -> Any:
        return self.method(*self.arguments, **self.options)

    @property
    def flops(self) -> int:
        sizes = {k: v for k, v in self.options.items() if k not in ("out", "argmax_out", "n_threads")}
        return self.spec.flops(*self.arguments, **sizes)

    def n_bytes(self, result: Any) -> int:
        return self.spec.bytes_moved(self.arguments, self.options, result)


def prepare(kernels: Kernels, spec: KernelSpec, arguments: tuple, options: Mapping[str, Any], n_threads: int) -> Prepared:
    """Copy the inputs, and call the kernel once to learn what its outputs look like."""
    method = getattr(kernels, spec.name)
    own = tuple(copied(value) for value in arguments)
    settings = {name: copied(value) for name, value in options.items()} | {"n_threads": n_threads}
    parameters = inspect.signature(getattr(Kernels, spec.name)).parameters
    if "out" in parameters and "out" not in settings:
        result = method(*(copied(value) for value in arguments), **settings)
        arrays = [r for r in (result if isinstance(result, tuple) else (result,)) if isinstance(r, np.ndarray)]
        settings |= dict(zip(("out", "argmax_out"), arrays, strict=False))
    return Prepared(spec, method, own, settings)


def answer(prepared: Prepared) -> tuple:
    """Call a kernel once and return all that it gives, arrays that it changed in place included."""
    result = prepared()
    results = result if isinstance(result, tuple) else () if result is None else (result,)
    if prepared.spec.in_place:
        results += tuple(v for i, v in enumerate(prepared.arguments) if i != 1 and isinstance(v, np.ndarray))
    return tuple(copied(value) for value in results)


# -- several side by side ----------------------------------------------------------------------------------------------


def _rounds(call_s: float, budget_s: float, least: int) -> tuple[int, int]:
    """Return (loops, rounds) for a call of this length and a budget."""
    loops = max(1, round(ROUND_S / max(call_s, 1e-9)))
    return loops, int(min(max(budget_s / (loops * call_s + 1e-9), least), MAX_ROUNDS))


def _round(call: Callable[[], Any], loops: int) -> float:
    steps = range(loops)
    start = time.perf_counter()
    for _ in steps:
        call()
    return (time.perf_counter() - start) / loops


def interleave(
    contestants: Mapping[str, Callable[[], Any]], *, budget_s: float = 0.1, few_rounds: Sequence[str] = ()
) -> dict[str, Timing]:
    """Time the contestants in turn, a round of each, until each has used up its budget.

    Parameters
    ----------
    contestants : mapping of name -> function
    budget_s : float
        For each contestant, warm-up not counted. At least `MIN_ROUNDS` are run all the same.
    few_rounds : sequence of str
        Those of which 2 rounds are enough, however slow they are.

    Examples
    --------
    >>> timings = interleave({"sum": lambda: sum(range(100))}, budget_s=0.01)
    >>> timings["sum"].median_s > 0
    True
    """
    timings, plans = {}, {}
    for name, call in contestants.items():
        timings[name] = Timing(warmup_s=_round(call, 1))
        call_s = min(_round(call, 1), _round(call, 1))
        timings[name].loops, rounds = _rounds(call_s, budget_s, least=2 if name in few_rounds else MIN_ROUNDS)
        plans[name] = rounds
    names = list(contestants)
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(max(plans.values(), default=0)):
            first = turn % len(names)  # nobody always runs after the same neighbour
            for name in names[first:] + names[:first]:
                if turn < plans[name]:
                    timings[name].values_s.append(_round(contestants[name], timings[name].loops))
    finally:
        if was_collecting:
            gc.enable()
    return timings
