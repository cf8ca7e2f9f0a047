"""Random search with successive halving, on scores alone: nothing here fits a model.

All configurations are scored on the first inner fold, the better half on a second one too, the better half of these on
two more. A configuration is judged by its mean over the folds that all its rivals have seen as well. Number 0, the
default, goes first in each rung and through all of them: a search never ends with something that is worse than the
default on the inner folds because the default was not asked.

References
----------
Jamieson, K. and Talwalkar, A. (2016). Non-stochastic best arm identification and hyperparameter optimization. AISTATS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any

#: Which inner folds each rung adds.
RUNGS = ((0,), (1,), (2, 3))
N_INNER_FOLDS = 4


@dataclass(frozen=True)
class Budget:
    """What every model is given: so many configurations, so many seconds, or both, whichever ends first."""

    n_configurations: int | None = None
    seconds: float | None = None

    def is_spent(self, seconds: float, share: float) -> bool:
        """Whether so many seconds are the share of the budget that a rung ends at."""
        return self.seconds is not None and seconds >= share * self.seconds


@dataclass(frozen=True)
class Trial:
    """One configuration fitted and scored on one inner fold; without a score where that failed, with its reason."""

    configuration: int  # its number; 0 is the default
    rung: int
    inner_fold: int
    params: Mapping[str, Any]
    status: str  # as of a row: ok, failed, diverged, out_of_memory, timeout
    score: float | None = None
    time_fit_s: float | None = None
    time_predict_s: float | None = None
    message: str | None = None

    @property
    def cost_s(self) -> float:
        return (self.time_fit_s or 0.0) + (self.time_predict_s or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return what was measured."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Trial:
        """Build a trial from a line of tuning.jsonl; other keys are passed over."""
        known = {f.name for f in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(eq=False)
class Candidate:
    """A configuration and its trials so far, in the order of the inner folds."""

    number: int
    params: Mapping[str, Any]
    trials: list[Trial] = field(default_factory=list)

    @property
    def has_failed(self) -> bool:
        """Whether a fold brought no score: it counts as worst, and no more folds are spent on it."""
        return any(trial.score is None for trial in self.trials)

    def mean(self, n_folds: int | None = None) -> float:
        """Return the mean score over the first folds, or over all that it has seen; minus infinity if one failed."""
        seen = self.trials[:n_folds]
        return -math.inf if self.has_failed or not seen else math.fsum(t.score for t in seen) / len(seen)


@dataclass(frozen=True)
class Found:
    """What a search ended with."""

    chosen: Candidate
    candidates: tuple[Candidate, ...]

    @property
    def trials(self) -> list[Trial]:
        return [trial for candidate in self.candidates for trial in candidate.trials]

    @property
    def cost_s(self) -> float:
        """The seconds that all trials took, to fit and to predict."""
        return math.fsum(trial.cost_s for trial in self.trials)


def rungs(n_folds: int = N_INNER_FOLDS) -> list[tuple[int, ...]]:
    """Return the inner folds that each rung adds, where there are only so many.

    Examples
    --------
    >>> rungs(), rungs(3), rungs(2)
    ([(0,), (1,), (2, 3)], [(0,), (1,), (2,)], [(0,), (1,)])
    """
    present = [tuple(fold for fold in rung if fold < n_folds) for rung in RUNGS]
    return [rung for rung in present if rung]


def promote(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return who goes into the next rung: the better half and at least two, among them the default, which goes first.

    Of equal ones the lower number is better.

    Examples
    --------
    >>> pool = [Candidate(i, {}, [Trial(i, 0, 0, {}, "ok", s)]) for i, s in enumerate([0.5, 0.9, 0.7, 0.8])]
    >>> [c.number for c in promote(pool)]
    [0, 1]
    """
    keep = max(2, math.ceil(len(candidates) / 2))
    default = [c for c in candidates if c.number == 0]
    others = [c for c in candidates if c.number != 0 and not c.has_failed]
    others.sort(key=lambda c: (-c.mean(), c.number))
    return [*default, *others[: keep - len(default)]]


def choose(candidates: Sequence[Candidate]) -> Candidate:
    """Return the best: of those that have seen as many folds as at least one rival, by the mean over these.

    Where every one failed it is the first, the default.

    Examples
    --------
    >>> seen = lambda number, *scores: Candidate(number, {}, [Trial(number, 0, i, {}, "ok", s) for i, s in enumerate(scores)])
    >>> choose([seen(0, 0.8, 0.8, 0.8, 0.8), seen(1, 0.9, 0.7), seen(2, 0.9, 0.75), seen(3, 0.99)]).number
    2
    """
    sound = [c for c in candidates if c.trials and not c.has_failed]
    if not sound:
        return candidates[0]
    depths = sorted((len(c.trials) for c in sound), reverse=True)
    depth = depths[min(1, len(depths) - 1)]
    deep_enough = [c for c in sound if len(c.trials) >= depth]
    return min(deep_enough, key=lambda c: (-c.mean(depth), c.number))


def search(
    configurations: Iterable[Mapping[str, Any]],
    evaluate: Callable[[Candidate, int, int], Trial],
    budget: Budget,
    n_folds: int = N_INNER_FOLDS,
) -> Found:
    """Spend a budget on configurations and return the best.

    Parameters
    ----------
    configurations : iterable of mappings
        The default first.
    evaluate : callable
        Called with a candidate, a rung and an inner fold; returns the trial.
    budget : Budget
        Each rung ends at an equal share of the seconds, if there are any; a fit that has begun is finished. The first
        rung sees at least two configurations, as long as the default alone has not used up everything.
    n_folds : int
        How many inner folds there are.

    Examples
    --------
    >>> def evaluate(candidate, rung, fold):
    ...     return Trial(candidate.number, rung, fold, candidate.params, "ok", score=-abs(candidate.params["x"] - 3))
    >>> found = search([{"x": x} for x in range(8)], evaluate, Budget(n_configurations=8))
    >>> found.chosen.params, len(found.trials)
    ({'x': 3}, 16)
    """
    steps = rungs(n_folds)
    spent = 0.0

    def climb(candidate: Candidate, rung: int) -> None:
        nonlocal spent
        for fold in steps[rung]:
            if not candidate.has_failed:
                trial = evaluate(candidate, rung, fold)
                candidate.trials.append(trial)
                spent += trial.cost_s

    candidates: list[Candidate] = []
    for number, params in enumerate(islice(configurations, budget.n_configurations)):
        if number and budget.is_spent(spent, 1.0 if number == 1 else 1 / len(steps)):
            break
        candidates.append(Candidate(number, params))
        climb(candidates[-1], 0)
    pool = candidates
    for rung in range(1, len(steps)):
        promoted, pool = promote(pool), []
        if len(promoted) < 2:
            break
        for candidate in promoted:
            if budget.is_spent(spent, (rung + 1) / len(steps)):
                break
            climb(candidate, rung)
            pool.append(candidate)
    return Found(choose(candidates), tuple(candidates))
