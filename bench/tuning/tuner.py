"""One search in a worker: builds configurations, fits and scores them on inner folds, and tells of each trial.

A trial that raises or diverges is a finding like a score. One that hangs or takes the worker with it is written down by
the parent process, which gives the cell to the next worker together with all trials so far; these are not fitted again.
"""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.findings import finding
from bench.tuning.inner import InnerFold, judge
from bench.tuning.search import Budget, Candidate, Found, Trial, search
from bench.tuning.space import configurations, plain


@dataclass(frozen=True, eq=False)
class Tuner:
    """Searches a space for one cell.

    Parameters
    ----------
    space : sequence of mappings
        See ``bench/tuning/space.py``.
    default : mapping
        The values that the parameters have in the untuned model.
    build : callable
        From parameters to an unfitted model.
    inner_fold : callable
        From its number to an `InnerFold`.
    n_folds : int
        How many inner folds there are.
    metric : str
        See `bench.tuning.inner.judge`.
    budget : Budget
    seed : int
        Of the draws, and of Python's and NumPy's random numbers before each fit.
    on_begin, on_end : callable
        Told, as plain values, of each trial when it begins and when it has ended.
    known : iterable of mappings
        Trials of an earlier worker on this cell.
    """

    space: Sequence[Mapping[str, Any]]
    default: Mapping[str, Any]
    build: Callable[[Mapping[str, Any]], Any]
    inner_fold: Callable[[int], InnerFold]
    n_folds: int
    metric: str
    budget: Budget
    seed: int
    on_begin: Callable[[dict], None] = lambda trial: None
    on_end: Callable[[dict], None] = lambda trial: None
    known: Iterable[Mapping[str, Any]] = field(default=())

    def run(self) -> Found:
        """Spend the budget; return what was found."""
        known = {(t.configuration, t.inner_fold): t for t in map(Trial.from_dict, self.known)}

        def evaluate(candidate: Candidate, rung: int, fold: int) -> Trial:
            params = {name: plain(value) for name, value in {**self.default, **candidate.params}.items()}
            before = known.get((candidate.number, fold))
            if before is not None and before.params == params:
                return before
            return self._try(candidate, Trial(candidate.number, rung, fold, params, "ok"))

        return search(configurations(self.space, self.default, self.seed), evaluate, self.budget, self.n_folds)

    def _try(self, candidate: Candidate, trial: Trial) -> Trial:
        inner = self.inner_fold(trial.inner_fold)  # made before the trial begins: what all configurations share costs none
        facts = trial.to_dict()
        self.on_begin(facts)
        random.seed(self.seed)
        np.random.seed(self.seed)
        began = time.perf_counter()
        try:
            facts |= self._fit_and_score(candidate.params, inner)
        except BaseException as e:  # a model may raise anything
            if isinstance(e, KeyboardInterrupt):
                raise
            found = finding(e)
            facts |= {"status": found["status"], "message": found["message"], "time_fit_s": time.perf_counter() - began}
        facts["metric"] = self.metric
        self.on_end(facts)
        return Trial.from_dict(facts)

    def _fit_and_score(self, params: Mapping[str, Any], inner: InnerFold) -> dict[str, float]:
        model = self.build(params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            model.fit(inner.X_train, inner.y_train)
            fitted = time.perf_counter()
            y_pred = model.predict(inner.X_test)
            end = time.perf_counter()
            score = judge(self.metric, inner.y_test, y_pred)
        if not np.isfinite(score):  # R² of a single sample
            raise ValueError(f"{self.metric} of this inner fold is {score}")
        return {"score": score, "time_fit_s": fitted - start, "time_predict_s": end - fitted}


def facts_of(found: Found, default: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row says of a search: the parameters that were chosen, and what it took.

    Examples
    --------
    >>> candidate = Candidate(0, {}, [Trial(0, 0, 0, {}, "ok", 0.9, 1.5, 0.5)])
    >>> facts_of(Found(candidate, (candidate,)), {"C": 1.0})
    {'tuned_params': {'C': 1.0}, 'time_tune_s': 2.0, 'n_trials': 1, 'n_configurations': 1}
    """
    chosen = {**default, **found.chosen.params}
    return {
        "tuned_params": {name: plain(value) for name, value in chosen.items()},
        "time_tune_s": found.cost_s,
        "n_trials": len(found.trials),
        "n_configurations": len(found.candidates),
    }
