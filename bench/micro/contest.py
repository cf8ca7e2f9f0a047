"""Contestants of one benchmark, measured side by side: warmed up, checked, interleaved.

The words are pyperf's: after the *warm-up* come *rounds* of several *loops* each; a *value* is the time of a round
divided by its loops.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from bench.micro.peers import Peer, Race
from bench.micro.peers import child as children
from bench.micro.peers.child import Child
from bench.profiling.recorder import OUTPUTS, describe_shapes, flops_of
from kernels import Kernels, load
from kernels.cases import SQUARE, Case
from kernels.spec import BY_NAME, KernelSpec
from kernels.validation import allowances, compare, outputs

#: A round lasts at least this long, so that reading the clock (about 50 ns) weighs nothing.
ROUND_S = 0.5e-3
MIN_ROUNDS, MAX_ROUNDS = 5, 50
#: So often the arrays are made anew. Where they lie decides which of them fall into the same sets of a cache, which can cost
#: half of a kernel's speed (Mytkowicz et al., "Producing wrong data without doing anything obviously wrong!", ASPLOS 2009): one
#: place is one draw, the same for all rounds. The median is over all places.
PLACES, MIN_ROUNDS_AT_A_PLACE = 3, 3
#: From so many calls in a row on, most of them find their data where the one before has left them.
WARM_LOOPS = 4
#: Threads spin after their work in case there is more: OpenMP's for about a millisecond (PyTorch brings an OpenMP of its own),
#: ONNX Runtime's and OpenBLAS's for 50 ms and more. One contestant's spinning must not cost the next one a core: a contest
#: waits until less than a tenth of such a time was spent computing.
REST_S, LONGEST_REST_S = 5e-3, 1.0
#: How long a contestant's threads run before the clock does: until then, those that had slept may share a core.
WAKE_S = 10e-3
MOST_RESTS = 12
#: The second contestant of the fastest backend.
AGAIN = "again"
#: Nothing but multiply-adds, as many as a square product takes: what the machine can do at that moment, on the same clock.
FMA_LOOP = "FMA loop"


@dataclass
class Timing:
    """What was measured of one contestant."""

    loops: int
    values_s: list[float] = field(default_factory=list)

    @property
    def median_s(self) -> float:
        return float(np.median(self.values_s))


# -- one kernel on one case --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """A kernel with inputs of its own and outputs to write into, ready to be called again and again."""

    spec: KernelSpec
    run: Callable[[], Any]
    arguments: tuple
    options: dict[str, Any]

    def __call__(self) -> Any:
        return self.run()

    @property
    def flops(self) -> int:
        return flops_of(self.spec, self.arguments, self.options)

    @property
    def n_bytes(self) -> int:
        written = tuple(v for k, v in self.options.items() if k in OUTPUTS)
        return self.spec.bytes_moved(self.arguments, self.options, written)

    @property
    def shapes(self) -> str:
        return describe_shapes(self.arguments, self.options)


def prepare(kernels: Kernels, case: Case, dtype: str, n_threads: int, expected: tuple, seed: int = 0) -> Prepared:
    """Make a case's inputs once more, with output arrays like the `expected` ones, as training calls the kernels."""
    spec = BY_NAME[case.kernel]
    arguments, options = case.make(dtype, seed)
    options = {**options, "n_threads": n_threads}
    if not spec.in_place:
        arrays = [np.zeros_like(array) for array in expected if isinstance(array, np.ndarray)]
        options = {**dict(zip(spec.outs, arrays[-len(spec.outs) :], strict=True)), **options}
    if hasattr(kernels, "bind"):  # as networks call them: checked once
        run = kernels.bind(spec.name, *arguments, **options).run
    else:
        run = partial(getattr(kernels, spec.name), *arguments, **options)
    return Prepared(spec, run, arguments, options)


@dataclass(frozen=True)
class Check:
    """What the first call of a contestant gave: how long it took, and what is wrong with its answer (None: nothing)."""

    first_call_s: float
    wrong: str | None


def check(
    contestant: Kernels, case: Case, dtype: str, n_threads: int, expected: tuple, seed: int = 0, allowed: list | None = None
) -> Check:
    """Call a kernel for the first time and hold all that it gives against the reference."""
    arguments, options = case.make(dtype, seed)
    start = time.perf_counter()
    try:
        actual = outputs(contestant, case.kernel, arguments, {**options, "n_threads": n_threads})
    except Exception as error:  # whatever a kernel raises is an answer, and a wrong one; the others go on
        return Check(time.perf_counter() - start, f"{type(error).__name__}: {error}")
    first_call_s = time.perf_counter() - start
    return Check(first_call_s, compare(BY_NAME[case.kernel], actual, expected, *case.make(dtype, seed), allowed))


# -- several side by side ----------------------------------------------------------------------------------------------


def _rounds(call_s: float, budget_s: float, least: int) -> tuple[int, int]:
    """Return (loops, rounds) for a call of this length and a budget."""
    loops = max(1, round(ROUND_S / max(call_s, 1e-9)))
    return loops, int(min(max(budget_s / (loops * call_s + 1e-9), least), MAX_ROUNDS))


def _round(call: Callable[[], Any], loops: int) -> float:
    """Return the seconds of one call, measured over some; a contestant in another process has a clock of its own."""
    if hasattr(call, "round"):
        return call.round(loops)
    steps = range(loops)
    start = time.perf_counter()
    for _ in steps:
        call()
    return (time.perf_counter() - start) / loops


def rest() -> None:
    """Wait until no thread of this process computes."""
    end = time.perf_counter() + LONGEST_REST_S
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(REST_S)
        if time.process_time() - before < REST_S / 10:
            return


def _wake(call: Callable[[], Any]) -> None:
    end = time.perf_counter() + WAKE_S
    while time.perf_counter() < end:
        _round(call, 1)


def interleave(
    contestants: Mapping[str, Callable[[], Any]], *, budget_s: float = 0.1, few_rounds: Sequence[str] = (),
    threaded: bool = False, in_a_row: bool = False, least: int = MIN_ROUNDS, most_rests: int = MOST_RESTS,
) -> dict[str, Timing]:  # fmt: skip
    """Time the contestants in turn, a round of each, until each has used up its budget.

    Parameters
    ----------
    contestants : mapping of name -> function
    budget_s : float
        For each contestant, warm-up not counted.
    few_rounds : sequence of str
        Those of which 2 rounds are enough, however slow they are.
    threaded : bool
        Let the threads of one contestant come to rest before the next one runs, and wake its own outside the clock.
    in_a_row : bool
        Time calls as they come after one of their own: each round begins with one outside the clock. The steps of a training
        find in the caches what the step before has left there, not what another library has.

    least : int
        Rounds that are run however long they take.
    most_rests : int
        So many rounds at most where contestants have to come to rest.

    Examples
    --------
    >>> timings = interleave({"sum": lambda: sum(range(100))}, budget_s=0.01)
    >>> timings["sum"].median_s > 0
    True
    """
    timings, plans = {}, {}
    for name, call in contestants.items():
        _round(call, 1)  # warm-up: a call that may still compile or fault pages in
        call_s = min(_round(call, 1), _round(call, 1))
        loops, plans[name] = _rounds(call_s, budget_s, least=min(2, least) if name in few_rounds else least)
        timings[name] = Timing(loops)
    if threaded:
        plans = {name: min(rounds, most_rests) for name, rounds in plans.items()}
    names = list(contestants)
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(max(plans.values(), default=0)):
            first = turn % len(names)  # nobody always runs after the same neighbour
            for name in names[first:] + names[:first]:
                if turn < plans[name]:
                    if threaded:
                        rest()
                        _wake(contestants[name])
                    elif in_a_row:
                        _round(contestants[name], 1)
                    timings[name].values_s.append(_round(contestants[name], timings[name].loops))
    finally:
        if was_collecting:
            gc.enable()
    return timings


# -- a contest ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contest:
    """One kernel on one case, dtype and thread count: what backends are compared on."""

    case: Case
    dtype: str
    n_threads: int

    @property
    def title(self) -> str:
        return f"{self.case.kernel} {self.case.name} {self.dtype} {self.n_threads}t"


@dataclass(frozen=True)
class Result:
    """What became of one backend in a contest. Wrong ones have no timing.

    Attributes
    ----------
    of_fma_loop : float, optional
        Of square products: how long the machine's multiply-adds alone took, timed in turn, over this call's time.
    resident_bytes : int
        What passes through the caches between two timings: the call's own bytes, or those of all contestants.
    aa_ratio : float, optional
        Of a second, independent contestant of the same backend to the first: how much of a ratio is noise.
    """

    backend: str
    wrong: str | None
    first_call_s: float
    shapes: str = ""
    flops: int = 0
    n_bytes: int = 0
    timing: Timing | None = None
    aa_ratio: float | None = None
    resident_bytes: int = 0
    of_fma_loop: float | None = None


def hold(
    contest: Contest, backends: Mapping[str, Kernels], *, peers: Mapping[str, Peer] | None = None, budget_s: float = 0.1,
    against_itself: bool = True, seed: int = 0,
) -> dict[str, Result]:  # fmt: skip
    """Check every backend, then time the right ones side by side.

    Parameters
    ----------
    backends : mapping of name -> Kernels
        The fastest first.
    peers : mapping of name -> Peer, optional
        Other libraries; those that cannot make this call must not be among them.
    against_itself : bool
        Whether the first one runs a second time, as a stranger (A/A).

    Examples
    --------
    >>> import kernels
    >>> from kernels.cases import cases
    >>> results = hold(Contest(cases("relu", "S")[0], "float32", 1), {"reference": kernels.load("reference")})
    >>> results["reference"].wrong is None and results["reference"].timing.median_s > 0
    True
    """
    case, dtype, n_threads = contest.case, contest.dtype, contest.n_threads
    expected = outputs(load("reference"), case.kernel, *case.make(dtype, seed))
    allowed = allowances(BY_NAME[case.kernel], expected, *case.make(dtype, seed))
    checks = {name: check(k, case, dtype, n_threads, expected, seed, allowed) for name, k in backends.items()}
    right = [name for name in backends if checks[name].wrong is None]

    kept, places = [], []  # what is kept keeps its memory, so that the next arrays lie elsewhere
    for _ in range(PLACES):
        prepared = {name: prepare(backends[name], case, dtype, n_threads, expected, seed) for name in right}
        racers: dict[str, Callable[[], Any]] = dict(prepared)
        if against_itself and right and right[0] != "reference":
            racers[AGAIN] = prepare(backends[right[0]], case, dtype, n_threads, expected, seed)
        for name, peer in (peers or {}).items():
            race, found = _enter(peer, contest, expected, allowed, seed)
            checks.setdefault(name, found)
            if race is not None:
                racers[name] = race
        if case.kernel == "gemm" and case.name.startswith(SQUARE) and prepared:
            racers |= _fma_loop(next(iter(prepared.values())).flops, dtype, n_threads)
        kept.append(racers)
        places.append(interleave(
            racers, budget_s=budget_s / PLACES, few_rounds=("reference",), threaded=n_threads > 1, least=MIN_ROUNDS_AT_A_PLACE,
            most_rests=MOST_RESTS // PLACES,
        ))  # fmt: skip
    timings = {
        name: Timing(places[0][name].loops, [v for place in places for v in place[name].values_s])
        for name in set.intersection(*map(set, places))
    }
    work = next(iter(prepared.values()), None)  # every contestant does the same work
    results = {}
    for name, found in checks.items():
        results[name] = Result(name, found.wrong, found.first_call_s)
        if name in timings and work is not None:
            again = AGAIN in racers and name == right[0]
            aa_ratio = timings[AGAIN].median_s / timings[name].median_s if again else None
            warm = timings[name].loops >= WARM_LOOPS
            of_fma_loop = timings[FMA_LOOP].median_s / timings[name].median_s if FMA_LOOP in racers else None
            results[name] = Result(
                name, None, found.first_call_s, work.shapes, work.flops, work.n_bytes, timings[name], aa_ratio,
                work.n_bytes * (1 if warm else len(racers)), of_fma_loop,
            )  # fmt: skip
    return results


def _fma_loop(flops: int, dtype: str, n_threads: int) -> dict[str, Callable[[], Any]]:
    """Return a contestant that makes about so many FLOPs and touches no memory; none where nothing was compiled."""
    from kernels.cython_backend import loader

    if not loader.available():
        return {}
    isa = loader.available()[0]  # the machine's best, whatever DEPTHBENCH_ISA makes the kernels use
    steps = 100
    steps = max(1, round(steps * flops / loader.fma_loop(dtype, steps, n_threads, isa)))
    return {FMA_LOOP: partial(loader.fma_loop, dtype, steps, n_threads, isa)}


# -- peers -------------------------------------------------------------------------------------------------------------


class _Remote:
    """A contestant in a process of its own (``peers/child.py``)."""

    def __init__(self, child: Child):
        self._child = child

    def round(self, loops: int) -> float:
        return self._child.ask(loops=loops)["seconds"] / loops

    def __call__(self) -> None:
        self.round(1)


def check_race(
    peer: Peer, case: Case, dtype: str, n_threads: int, expected: tuple | None = None, seed: int = 0,
    allowed: list | None = None,
) -> tuple[Race | None, float, str | None]:
    """Prepare a peer's call and make it once: return the call, how long the first one took, and what was wrong with it."""
    if expected is None:
        expected = outputs(load("reference"), case.kernel, *case.make(dtype, seed))
    arguments, options = case.make(dtype, seed)
    start = time.perf_counter()
    try:
        race = peer.prepare(case.kernel, arguments, options, n_threads)
        start = time.perf_counter()
        actual = race.result(race())
    except Exception as error:  # as with our own: whatever is raised is an answer, and a wrong one
        return None, time.perf_counter() - start, f"{type(error).__name__}: {error}"
    first_call_s = time.perf_counter() - start
    wrong = compare(BY_NAME[case.kernel], actual, expected, *case.make(dtype, seed), allowed)
    return (race if wrong is None else None), first_call_s, wrong


def _enter(
    peer: Peer, contest: Contest, expected: tuple, allowed: list, seed: int
) -> tuple[Callable[[], Any] | None, Check]:
    case = contest.case
    if peer.name not in children.IN_CHILD:
        race, first_call_s, wrong = check_race(peer, case, contest.dtype, contest.n_threads, expected, seed, allowed)
        return race, Check(first_call_s, wrong)
    child = children.child(peer.name)
    order = {"kernel": case.kernel, "case": case.name, "dtype": contest.dtype, "n_threads": contest.n_threads}
    answer = child.ask(**order)
    race = _Remote(child) if answer["wrong"] is None else None
    return race, Check(answer["first_call_s"], answer["wrong"])
