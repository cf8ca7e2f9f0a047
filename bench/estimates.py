"""How long a cell should take, before it runs, and where that figure comes from.

In this order: what the same contestant took in earlier runs on this machine (`bench/history.py`), if the training fold
was about as large; else the cost model (`bench/costs.py`), times how fast this machine is in a short calibration; else, for
a person's own model, a guess: the median of the others. Each estimate says what it rests on.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench import costs
from bench.cell import Cell
from bench.history import History
from bench.names import is_tuned, untuned

if TYPE_CHECKING:
    from bench.plan import DatasetInfo
    from bench.suite import Suite

MEASURED, MODELLED, GUESSED = "earlier runs", "cost model", "guess"

#: How much longer than with our Cython kernels a network takes.
BACKENDS = {"numba": 1.1, "reference": 10.0}
#: Beside fit and prediction: latencies, scores, hashes; on the first fold latencies of several batch sizes too.
REST_S, FIRST_FOLD_REST_S = 0.03, 0.5
START_S, WARM_UP_S = 6.0, 0.2
#: Seconds of `calibrate` on the machine of results/digits.
CALIBRATION_S = 0.0123


@dataclass(frozen=True)
class Estimate:
    """Seconds, and what they rest on."""

    seconds: float
    source: str


@dataclass
class PlanTime:
    """The seconds of a plan."""

    by_cell: dict[Cell, float] = field(default_factory=dict)
    features: dict[tuple, float] = field(default_factory=dict)  # of each fold and feature set
    n_cells: Counter[tuple] = field(default_factory=Counter)  # that share these
    sources: Counter[str] = field(default_factory=Counter)  # of the cells' seconds
    start_s: float = 0.0  # of the first worker, and of what is imported and warmed up once
    n_workers: int = 1

    @property
    def seconds(self) -> float:
        """In all, on the clock."""
        return self.start_s + (sum(self.by_cell.values()) + sum(self.features.values())) / self.n_workers

    @property
    def shared_s(self) -> float:
        """What belongs to no single cell."""
        return self.start_s + sum(self.features.values())

    def with_shares(self) -> dict[Cell, float]:
        """Return each cell's seconds on the clock, with its share of the features that it has in common with others."""
        return {
            cell: (seconds + self.features[fold] / self.n_cells[fold]) / self.n_workers
            for cell, seconds in self.by_cell.items()
            for fold in (_fold(cell),)
        }


def calibrate() -> float:
    """Return how many times as long as on the reference machine a short mixed computation takes here."""
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)

    def once() -> float:
        start = time.perf_counter()
        for _ in range(4):
            matrix @ matrix
            np.sort(matrix, axis=None)
        sum(i * i for i in range(40_000))
        return time.perf_counter() - start

    return min(once() for _ in range(5)) / CALIBRATION_S


class Estimates:
    """Estimates for the cells of one suite.

    Parameters
    ----------
    suite : Suite
    datasets : mapping
        What is known of each data set.
    history : History
        Of this machine; an empty one knows nothing.
    speed : float, optional
        What `calibrate` returned; measured when it is first needed.

    Examples
    --------
    >>> from bench.plan import DatasetInfo
    >>> from bench.suite import Suite
    >>> suite = Suite(name="s", datasets=["digits"], models=["lda"])
    >>> digits = {"digits": DatasetInfo("classification", 1797, 64)}
    >>> estimates = Estimates(suite, digits, History({}), speed=1.0)
    >>> estimates.cell(Cell("digits", "raw", "lda", "sklearn", 1, 0, 1, 0))
    Estimate(seconds=0.0331, source='cost model')
    """

    def __init__(
        self, suite: Suite, datasets: Mapping[str, DatasetInfo], history: History, speed: float | None = None
    ):
        self.suite, self.datasets, self.history = suite, datasets, history
        self._speed = speed
        self._known: dict[tuple, Estimate] = {}

    @classmethod
    def here(cls, suite: Suite, datasets: Mapping[str, DatasetInfo]) -> Estimates:
        """Return estimates for this machine."""
        return cls(suite, datasets, History.of_this_machine())

    @property
    def speed(self) -> float:
        if self._speed is None:
            self._speed = calibrate()
        return self._speed

    def n_train(self, dataset: str) -> int:
        """Return about how many samples a training fold has."""
        n = self.datasets[dataset].n_samples
        return n if self.suite.split == "official" else round(n * (1 - 1 / self.suite.folds))

    def cell(self, cell: Cell) -> Estimate:
        """Return the seconds of a cell, its features and the model's warm-up apart."""
        key = (cell.dataset, cell.feature_set, cell.model, cell.backend, cell.threads, cell.fold == 0)
        if key not in self._known:
            self._known[key] = self._estimate(cell)
        return self._known[key]

    def _estimate(self, cell: Cell) -> Estimate:
        seconds = self.history.cell_s(cell, self.n_train(cell.dataset), self.suite)
        if seconds is not None:
            return Estimate(seconds, MEASURED)
        info, n_train = self.datasets[cell.dataset], self.n_train(cell.dataset)
        known = costs.seconds(untuned(cell.model), n_train, info.n_features, info.image_shape, len(info.classes))
        base = costs.guess(n_train, info.n_features) if known is None else known
        once = min(base * BACKENDS.get(cell.backend, 1.0) * self.speed, self.suite.timeout_s)
        fits = once
        if is_tuned(cell.model):  # about 2 N fits, or as many as fit into the time (decision 0023)
            searched = 2 * (self.suite.tune or math.inf) * 0.8 * once
            fits += min(searched, self.suite.tune_s or math.inf)
        rest = FIRST_FOLD_REST_S if cell.fold == 0 and self.suite.predict_batches else REST_S
        return Estimate(fits + rest * self.speed, GUESSED if known is None else MODELLED)

    def features_s(self, dataset: str, feature_set: str) -> float:
        """Return the seconds that it takes to make the features of one fold."""
        seconds = self.history.features_s(dataset, feature_set, self.n_train(dataset))
        if seconds is not None:
            return seconds
        base = costs.features(feature_set, self.n_train(dataset), self.datasets[dataset].n_features)
        return min(base * self.speed, self.suite.timeout_s)

    def of_plan(self, cells: Iterable[Cell], n_workers: int | None = None) -> PlanTime:
        """Return the seconds of some cells, with all that they share."""
        found = PlanTime()
        models = set()
        for cell in cells:
            estimate = self.cell(cell)
            found.by_cell[cell] = estimate.seconds
            found.sources[estimate.source] += 1
            fold = _fold(cell)
            found.n_cells[fold] += 1
            if fold not in found.features:
                found.features[fold] = self.features_s(cell.dataset, cell.feature_set)
            models.add((untuned(cell.model), cell.backend, cell.threads))
        found.n_workers = min(n_workers or self.suite.jobs, max(1, len(found.features)))
        if models:
            start = self.history.start_s()
            found.start_s = (START_S * self.speed if start is None else start) + WARM_UP_S * len(models)
        return found


def _fold(cell: Cell) -> tuple:
    return cell.threads, cell.dataset, cell.feature_set, cell.repeat, cell.fold
