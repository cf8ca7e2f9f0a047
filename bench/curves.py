"""A training on its way: after some epochs, the seconds so far, the training loss, and the score on the test fold.

Only reports look at these scores: neither stopping nor choosing does. What it takes to score between two epochs is no part of
the fit: `Recorder` counts those seconds, and the harness takes them off. A network is scored after each of its first ten
epochs and then each time their number has grown by a tenth, so that long trainings cost little and no curve has more than
`MOST_POINTS` points. An estimator takes part by an attribute ``on_epoch``, called after each epoch, beside scikit-learn's
``n_iter_`` and ``loss_curve_``.

A row keeps columns of equal length: ``epoch``, ``time_s``, ``loss``, ``score``, and ``validation`` where the estimator holds
back a part of the training fold for stopping early. Of a training that was taken up from its checkpoint, the epochs before
are missing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

MOST_POINTS = 100
FIRST, GROWTH = 10, 1.1

Point = tuple[int, float, float | None, float | None]  # epoch, seconds so far, score, loss


class Recorder:
    """Records the curve of one fit.

    Parameters
    ----------
    model : estimator
        One without ``on_epoch`` is left alone.
    score : callable
        Returns the score of `model` as it stands.

    Attributes
    ----------
    spent_s, spent_cpu_s : float
        What recording took within the fit, by the wall clock and of the processor: no part of the training.

    Examples
    --------
    >>> class Model:
    ...     on_epoch, n_iter_, loss_curve_ = None, 0, []
    ...     def fit(self):
    ...         for self.n_iter_ in (1, 2):
    ...             self.loss_curve_ = [*self.loss_curve_, 1 / self.n_iter_]
    ...             self.on_epoch()
    >>> model = Model()
    >>> with Recorder(model, lambda: 0.75) as recorder:
    ...     model.fit()
    >>> curve = recorder.facts()["curve"]
    >>> curve["epoch"], curve["loss"], curve["score"]
    ([1, 2], [1.0, 0.5], [0.75, 0.75])
    """

    def __init__(self, model: Any, score: Callable[[], float]):
        self._model, self._score, self._points = model, score, []
        self._next = 1
        self.spent_s = self.spent_cpu_s = 0.0

    def __enter__(self) -> Recorder:
        if getattr(self._model, "on_epoch", "") is None:
            self._model.on_epoch = self._epoch
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self._model.__dict__.pop("on_epoch", None)

    def _epoch(self) -> None:
        begin, cpu = time.perf_counter(), time.process_time()
        n = self._model.n_iter_
        if n >= self._next and len(self._points) < MOST_POINTS:
            so_far = begin - self._start - self.spent_s + (getattr(self._model, "resumed_s_", None) or 0.0)
            self._points.append((n, so_far, self._scored(), _last(self._model, "validation_scores_")))
            self._next = n + 1 if n < FIRST else max(n + 1, math.ceil(n * GROWTH))
        self.spent_s += time.perf_counter() - begin
        self.spent_cpu_s += time.process_time() - cpu

    def _scored(self) -> float | None:
        try:
            return _finite(self._score())
        except (ValueError, ArithmeticError):  # it diverges, say: the fit itself tells what becomes of it
            return None

    def facts(self) -> dict[str, Any]:
        """Return what the row keeps; nothing for a model without epochs."""
        if not self._points:
            return {}
        losses = list(self._model.loss_curve_)
        epochs, times, scores, validation = zip(*self._points, strict=True)
        columns: dict[str, list] = {
            "epoch": list(epochs),
            "time_s": [round(t, 6) for t in times],
            "loss": [_rounded(losses[n - 1]) if n <= len(losses) else None for n in epochs],
            "score": [_rounded(s) for s in scores],
            "validation": [_rounded(v) for v in validation],
        }
        return {"curve": {name: values for name, values in columns.items() if any(v is not None for v in values)}}


def points(curve: Any) -> list[Point]:
    """Return the points of a curve as a row keeps it; none where it is damaged, as rows come from a file.

    Examples
    --------
    >>> points({"epoch": [1, 2], "time_s": [0.5, 1.0], "score": [0.8, None]})
    [(1, 0.5, 0.8, None), (2, 1.0, None, None)]
    >>> points({"epoch": [1, 2], "time_s": "x"}), points(None)
    ([], [])
    """
    if not isinstance(curve, Mapping):
        return []
    columns = [curve.get(name) for name in ("epoch", "time_s", "score", "loss")]
    epochs = columns[0]
    if not isinstance(epochs, list):
        return []
    if any(column is not None and (not isinstance(column, list) or len(column) != len(epochs)) for column in columns):
        return []
    rows = zip(*(column or [None] * len(epochs) for column in columns), strict=True)
    found = [(e, *(_finite(v) for v in rest)) for e, *rest in rows if isinstance(e, int) and not isinstance(e, bool)]
    return [point for point in found if point[0] >= 1 and point[1] is not None and point[1] >= 0.0]


def _last(model: Any, name: str) -> float | None:
    values = getattr(model, name, None)
    return _finite(values[-1]) if values else None


def _finite(value: Any) -> float | None:
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None


def _rounded(value: Any) -> float | None:
    value = _finite(value)
    return None if value is None else float(f"{value:.6g}")
