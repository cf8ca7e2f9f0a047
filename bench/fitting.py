"""One fit and its predictions, metered: the part of a cell that is measured, and nothing around it.

In this order: counters are read, the model is fitted, it predicts the test fold once, then single samples, and on the
first fold batches of several sizes, unless the suite says no. Thread pools are read before the fit and after the last
prediction, outside the clock. What was measured under other conditions than those asked for is `invalid`: its times can be
trusted as little as those of another machine.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np

from bench.curves import Recorder
from bench.metering import Cost, JitClock, Meter, latencies
from bench.timing import PeakMemory, median_time
from kernels import threads as thread_pools

#: Processor seconds per second and thread, above which a fit has run on more threads than it was given. What a fit of less
#: than `_SHORT_S` may have beyond: clocks of children tick in hundredths of a second.
_MOST_CPU, _SHORT_S = 1.25, 0.1


class Measurement:
    """A fit and its predictions.

    Parameters
    ----------
    meter : Meter
    jit : JitClock
    threads : int
        Asked for.
    recorder : Recorder, optional
        Of the fit's curve; what it takes is taken off.

    Attributes
    ----------
    y_pred : ndarray
        The predictions of the test fold.
    caught : list
        Warnings of the fit and of all predictions.
    """

    def __init__(self, meter: Meter, jit: JitClock, threads: int, recorder: Recorder | None = None):
        self._meter, self._jit, self._threads, self._recorder = meter, jit, threads, recorder
        self._memory = PeakMemory()
        self.y_pred: Any = None
        self.caught: list[warnings.WarningMessage] = []

    def run(self, model: Any, X_train: np.ndarray, y_train: np.ndarray, X_test: np.ndarray, *, in_batches: bool) -> None:
        """Fit and predict, with `in_batches` in batches of several sizes too; `facts` then says what it took."""
        self._before = thread_pools.effective_threads()
        gc.collect()
        with warnings.catch_warnings(record=True) as self.caught:
            warnings.simplefilter("always")
            compiled_s = self._jit.seconds()
            self._memory.restart()
            with self._recorder or nullcontext():
                _, cost = self._meter.measure(lambda: model.fit(X_train, y_train))
            self._fit = cost if self._recorder is None else without(cost, self._recorder.spent_s, self._recorder.spent_cpu_s)
            self._fit_jit_s = self._jit.seconds() - compiled_s
            self.y_pred, self._predict = self._meter.measure(lambda: model.predict(X_test))
            one = X_test[:1].copy()
            if in_batches and len(np.atleast_1d(self.y_pred)) == len(X_test):
                self._batches = latencies(model.predict, X_test, self._predict.time_s)
                self._one_s = self._batches[0]["p50_s"]
            else:
                self._batches = None
                self._one_s = median_time(lambda: model.predict(one))
        self._peak, self._above = self._memory.peak(), self._memory.above_start()
        self._after = thread_pools.effective_threads()
        self._resumed_s = getattr(model, "resumed_s_", None)

    def facts(self) -> dict[str, Any]:
        """Return what a row says of it: the ledger, or why it is invalid."""
        threads = {"threads_before": self._before, "threads_after": self._after}
        threads["threads_effective"] = self._threads
        wrong = wrong_threads(self._threads, self._before, self._after) or too_much_cpu(self._threads, self._fit)
        if wrong is not None:
            most = max([self._threads, *self._before.values(), *self._after.values()])
            return {
                "status": "invalid",
                "message": f"asked for {_counted(self._threads)}, but {wrong}: no time of this cell can be trusted",
                **threads,
                "threads_effective": most,
            }
        return {
            "status": "ok",
            "converged": not any(w.category.__name__ == "ConvergenceWarning" for w in self.caught),
            "time_fit_s": self._fit.time_s + (self._resumed_s or 0.0),
            "time_fit_resumed_s": self._resumed_s,
            "time_fit_jit_s": self._fit_jit_s or None,
            "time_predict_s": self._predict.time_s,
            "time_predict_one_s": self._one_s,
            "predict_batches": self._batches,
            "cpu_fit_s": self._fit.cpu_s,
            "cpu_predict_s": self._predict.cpu_s,
            "energy_fit_j": self._fit.energy_j,
            "energy_predict_j": self._predict.energy_j,
            "peak_memory_bytes": self._peak,
            "peak_memory_above_data_bytes": self._above,
            **threads,
            **(self._recorder.facts() if self._recorder else {}),
        }


def without(cost: Cost, time_s: float, cpu_s: float) -> Cost:
    """Return a cost without what was done beside; of the energy, which nobody divides, the share of the time is taken off.

    Examples
    --------
    >>> without(Cost(time_s=2.0, cpu_s=2.0, energy_j=10.0), 0.5, 0.25)
    Cost(time_s=1.5, cpu_s=1.75, energy_j=7.5)
    """
    left = max(0.0, cost.time_s - time_s)
    energy = None if cost.energy_j is None else cost.energy_j * (left / cost.time_s if cost.time_s > 0 else 1.0)
    return Cost(left, max(0.0, cost.cpu_s - cpu_s), energy)


def wrong_threads(asked: int, before: Mapping[str, int], after: Mapping[str, int]) -> str | None:
    """Return which pools had another size than asked for, in words; None where none had.

    Examples
    --------
    >>> wrong_threads(1, {"openblas": 1, "openmp": 1}, {"openblas": 1, "openmp": 2})
    'openmp ran 2 after the fit'
    """
    found = []
    for pools, when in ((before, "before the fit"), (after, "after the fit")):
        wrong = [f"{name} ran {n}" for name, n in sorted(pools.items()) if n != asked]
        found += [f"{', '.join(wrong)} {when}"] if wrong else []
    return " and ".join(found) or None


def too_much_cpu(asked: int, fit: Cost) -> str | None:
    """Return how many processors a fit kept busy where that is more than its threads can, in words.

    Threads that a model starts itself, and processes, stand in no pool; the seconds that they spend give them away.

    Examples
    --------
    >>> too_much_cpu(1, Cost(time_s=2.0, cpu_s=3.8))
    'the fit spent 3.8 processor seconds in 2.0 s'
    >>> too_much_cpu(2, Cost(time_s=2.0, cpu_s=3.8)) is None
    True
    """
    if fit.cpu_s <= _MOST_CPU * asked * fit.time_s + _SHORT_S:
        return None
    return f"the fit spent {fit.cpu_s:.2g} processor seconds in {fit.time_s:.2g} s"


def _counted(n: int) -> str:
    return f"{n} thread{'s' if n != 1 else ''}"
