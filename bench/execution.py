"""What a worker does with a cell: load, split, make features, warm up, fit, predict, score. No clock covers two of them.

`Bench` keeps what cells have in common (data, splits, matrices), so that the next cell of the fold begins with its fit.
An exception of a model is not an error here but a finding: a row with its status, message and traceback.
"""

from __future__ import annotations

import gc
import hashlib
import random
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import datasets, features, own_models
from bench.cell import Cell, Row
from bench.datasets import CLASSIFICATION, Data
from bench.errors import InputError
from bench.features.builders import Fold
from bench.features.cache import LIMIT_BYTES, FeatureCache, Matrices
from bench.features.keys import key as feature_key
from bench.findings import finding
from bench.names import is_tuned, untuned
from bench.plan import DatasetInfo, family
from bench.scores import score
from bench.splits import derived_seed, split
from bench.suite import OWN_MODEL
from bench.timing import PeakMemory, median_time, timed
from bench.tuning import inner
from bench.tuning.search import Budget
from bench.tuning.space import names as parameter_names
from bench.tuning.tuner import Tuner, facts_of
from kernels import threads as thread_pools
from models import catalog

#: How many samples of the training fold a warm-up sees: enough for five neighbours and for every class.
WARM_UP_SAMPLES = 60


@dataclass(frozen=True)
class Context:
    """What a worker is told once: the parts of the suite that a cell does not repeat."""

    dataset_files: dict[str, str | None]
    target: str | None
    models: tuple[str, ...]
    backends: tuple[str, ...]
    split: str
    folds: int
    repeats: int
    seed: int
    feature_backend: str  # of the networks behind learned features
    tune: int | None = None
    tune_s: float | None = None
    cache_folder: str | None = None
    cache_limit_bytes: int = LIMIT_BYTES
    checkpoint_folder: str | None = None  # where trainings of several epochs leave their state
    time_import_s: float = 0.0  # of what every model needs; each adds its own


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that a model of this fold is given, with the hashes that prove it."""

    data: Data
    matrices: Matrices
    train: np.ndarray
    test: np.ndarray
    hashes: dict[str, str]


@dataclass(eq=False)
class _Ready:
    """A model that this worker has imported and warmed up."""

    time_import_s: float
    time_warmup_s: float | None = None


@dataclass(eq=False)
class Bench:
    """The state of a worker between cells."""

    context: Context
    on_phase: Callable[..., None] = lambda phase, **more: None  # told what begins: "features", "warm-up", "tuning" or "fit"
    on_trial: Callable[[dict], None] = lambda trial: None  # told of each trial of a search when it has ended
    _data: dict[str, Data] = field(default_factory=dict)
    _splits: dict[tuple, list] = field(default_factory=dict)
    _ready: dict[tuple, _Ready] = field(default_factory=dict)

    def __post_init__(self):
        folder = self.context.cache_folder
        self._cache = FeatureCache(Path(folder) if folder else None, self.context.cache_limit_bytes)
        self._hashes: dict[tuple[str, str], str] = {}
        self._warm: set[str] = set()
        self._inner = inner.Cache()
        models = {untuned(m) for m in self.context.models}
        self.own_models = {m: own_models.load(m) for m in sorted(models) if OWN_MODEL.fullmatch(m)}

    # -- before the first cell

    def check(self) -> dict[str, DatasetInfo]:
        """Load all data, make all splits, load all backends; raise InputError where a run could not begin.

        Examples
        --------
        >>> context = Context({"iris": None}, None, ("lda",), ("reference",), "kfold", 5, 1, 0, "reference")
        >>> Bench(context).check()["iris"].n_samples
        150
        """
        self._check_backends()
        if self.context.tune is not None or self.context.tune_s is not None:
            for name in self.own_models:
                own_models.search_space(name)
        infos = {}
        for name in self.context.dataset_files:
            data = self._load(name)
            self._split(name, 0)
            infos[name] = DatasetInfo(data.task, *data.X.shape, data.image_shape, dict(data.facts), data.classes[:1000])
        return infos

    def _check_backends(self) -> None:
        import kernels

        deep = [m for m in self.context.models if family(m, self.own_models) == "deep" and untuned(m) not in self.own_models]
        wanted = set(self.context.backends) if deep or any(m.takes_backend for m in self.own_models.values()) else set()
        missing = sorted(wanted - set(kernels.backends()))
        if missing:
            raise InputError(
                f"backend {missing[0]!r} cannot be used here (not built, or not installed); "
                f"usable: {', '.join(kernels.backends())}"
            )

    # -- one cell

    def prepare(self, cell: Cell) -> Prepared:
        """Return the matrices of the cell's fold, made now if no cell before needed them."""
        self.on_phase("features")
        data = self._load(cell.dataset)
        train, test = self._split(cell.dataset, cell.repeat)[cell.fold]
        feature_set = features.get(cell.feature_set)
        seed = derived_seed(cell.seed, cell.repeat, cell.fold) % 2**31
        backend = self.context.feature_backend
        y_sha256, split_sha256 = self._sha256(cell.dataset, "y"), features.sha256(train, test)
        facts = {
            # the samples, and what becomes of them in each fold before any feature set
            "samples_sha256": f"{self._sha256(cell.dataset, 'X')} {data.preparation!r}",
            "split_sha256": split_sha256,
            "image_shape": data.image_shape,
            "y_train": y_sha256,
            "seed": seed,
            "backend": backend,
            "dataset": cell.dataset,
        }

        def warm_up() -> None:
            """Import and compile what a feature set needs before its clock starts, once in this worker."""
            if cell.feature_set not in self._warm:
                self._warm.add(cell.feature_set)
                with warnings.catch_warnings(), suppress(Exception):  # so few samples may rightly be refused
                    warnings.simplefilter("ignore")
                    self._make_features(cell, data, train[_few(data.y[train], data.task)], test[:2])

        matrices = self._cache.get(
            feature_key(feature_set, facts),
            lambda: self._make_features(cell, data, train, test),
            stored=feature_set.stored,
            warm_up=warm_up,
        )
        if not (np.isfinite(matrices.X_train).all() and np.isfinite(matrices.X_test).all()):
            raise ValueError(f"feature set {cell.feature_set!r} has NaN or infinite values on this fold")
        hashes = {
            "x_train_sha256": matrices.x_train_sha256,
            "x_test_sha256": matrices.x_test_sha256,
            "y_sha256": y_sha256,
            "split_sha256": split_sha256,
        }
        return Prepared(data, matrices, train, test, hashes)

    def _make_features(self, cell: Cell, data: Data, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what a feature set makes of some rows; what it estimates, it estimates on `train`."""
        seed = derived_seed(cell.seed, cell.repeat, cell.fold) % 2**31
        X_train, X_test = data.fold(train, test)
        backend = self.context.feature_backend
        fold = Fold(X_train, X_test, data.y[train], data.image_shape, seed, backend, cell.dataset)
        return features.get(cell.feature_set).build(fold)

    def execute(self, cell: Cell, prepared: Prepared, trials: Sequence[Mapping[str, Any]] = ()) -> Row:
        """Search where the model is tuned, fit, predict and score; return the row, whatever becomes of it.

        Parameters
        ----------
        cell : Cell
        prepared : Prepared
        trials : sequence of mappings
            Of the cell's search, what an earlier worker has tried.
        """
        facts: dict[str, Any] = {
            **prepared.hashes,
            "family": family(cell.model, self.own_models),
            "time_features_s": prepared.matrices.time_features_s,
            "n_train": len(prepared.train),
            "n_test": len(prepared.test),
            "n_features": prepared.matrices.X_train.shape[1],
        }
        try:
            params: dict[str, Any] = {}
            if is_tuned(cell.model):
                params, found = self._tune(cell, prepared, trials)
                facts |= found
            facts |= self._measure(cell, prepared, params)
        except BaseException as e:  # a model may raise anything, SystemExit too; a finding, not a fault of the worker
            if isinstance(e, KeyboardInterrupt):
                raise
            facts |= finding(e)
        return Row(**cell.__dict__, **facts)

    def _tune(
        self, cell: Cell, prepared: Prepared, trials: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Return the parameters that the search chose, and what the row says of it."""
        data, train, name = prepared.data, prepared.train, untuned(cell.model)
        own = name in self.own_models
        # without the model in it: models that share a space, as the two MLPs of 100 do, draw the same configurations
        seed = derived_seed(cell.seed, cell.repeat, cell.fold) % 2**31
        space = own_models.search_space(name) if own else catalog.get(name).search_space(data.task)
        self._warmed_up(cell, data, prepared.matrices.X_train, data.y[train], seed)
        self.on_phase("tuning")
        self._set_threads(cell.threads)
        plain_model, parameters = self._build(cell, data, seed), parameter_names(space)
        if own:
            default = own_models.defaults(name, plain_model, parameters)
        else:
            default = {k: plain_model.get_params()[k] for k in parameters}
        folds = inner.split(data.y[train], data.task, seed, inner.groups(data, self.context.split, train))

        def inner_fold(i: int) -> inner.InnerFold:
            at_train, at_test = (train[part] for part in folds[i])
            key = (cell.dataset, cell.feature_set, cell.repeat, cell.fold, cell.seed)
            X_train, X_test = self._inner.get(key, i, lambda: self._make_features(cell, data, at_train, at_test))
            return inner.InnerFold(X_train, X_test, data.y[at_train], data.y[at_test])

        tuner = Tuner(
            space=space,
            default=default,
            build=lambda params: self._build(cell, data, seed, params),
            inner_fold=inner_fold,
            n_folds=len(folds),
            metric=inner.METRICS[data.task],
            budget=Budget(self.context.tune, self.context.tune_s),
            seed=seed,
            on_begin=lambda trial: self.on_phase("tuning", trial=trial),
            on_end=self.on_trial,
            known=trials,
        )
        found = tuner.run()
        return found.chosen.params, facts_of(found, default)

    def _measure(self, cell: Cell, prepared: Prepared, params: Mapping[str, Any]) -> dict[str, Any]:
        data, X_train, X_test = prepared.data, prepared.matrices.X_train, prepared.matrices.X_test
        y_train, y_test = data.y[prepared.train], data.y[prepared.test]
        seed = derived_seed(cell.seed, cell.repeat, cell.fold) % 2**31
        ready = self._warmed_up(cell, data, X_train, y_train, seed)
        model = self._build(cell, data, seed, params)
        checkpoint = self._checkpoint(cell, model)
        self.on_phase("fit")
        self._set_threads(cell.threads)
        random.seed(seed)
        np.random.seed(seed)
        memory = PeakMemory()
        gc.collect()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            memory.restart()
            _, time_fit_s = timed(lambda: model.fit(X_train, y_train))
            y_pred, time_predict_s = timed(lambda: model.predict(X_test))
            one = X_test[:1].copy()
            time_predict_one_s = median_time(lambda: model.predict(one))
            peak = memory.peak()
            if checkpoint is not None:
                checkpoint.unlink(missing_ok=True)
            scores = score(model, data, X_test, y_test, y_pred, np.unique(y_train))
        pools = thread_pools.effective_threads()
        wrong = {name: n for name, n in pools.items() if n != cell.threads}
        if wrong:
            found = ", ".join(f"{name} ran {n}" for name, n in sorted(wrong.items()))
            return {
                "status": "invalid",
                "message": f"asked for {cell.threads} threads, but {found}: no time of this cell can be trusted",
                "threads_effective": max(pools.values()),
            }
        return {
            "status": "ok",
            **scores,
            "n_epochs": _n_epochs(model),
            "converged": not any(w.category.__name__ == "ConvergenceWarning" for w in caught),
            "time_import_s": ready.time_import_s,
            "time_warmup_s": ready.time_warmup_s,
            "time_fit_s": time_fit_s + (getattr(model, "resumed_s_", None) or 0.0),
            "time_fit_resumed_s": getattr(model, "resumed_s_", None),
            "time_predict_s": time_predict_s,
            "time_predict_one_s": time_predict_one_s,
            "peak_memory_bytes": peak,
            "threads_effective": cell.threads,
        }

    def _checkpoint(self, cell: Cell, model: Any) -> Path | None:
        """Let a network of ours leave its state after each epoch, so that `--resume` goes on inside a long cell."""
        if self.context.checkpoint_folder is None or not hasattr(model, "checkpoint") or cell.model in self.own_models:
            return None
        name = hashlib.sha256(repr(cell.identity).encode()).hexdigest()[:32]
        model.checkpoint = Path(self.context.checkpoint_folder) / f"{name}.safetensors"
        return model.checkpoint

    def _set_threads(self, n: int) -> None:
        """Set what is not as it should be: a pool loaded since, or left otherwise by the model before."""
        if set(thread_pools.effective_threads().values()) != {n}:
            thread_pools.set_threads(n)

    def _warmed_up(self, cell: Cell, data: Data, X: np.ndarray, y: np.ndarray, seed: int) -> _Ready:
        """Import and warm up a model, once per worker, backend and task; return what that took."""
        key = (untuned(cell.model), cell.backend, data.task)
        if key in self._ready:
            return self._ready[key]
        self.on_phase("warm-up")
        model, time_import_s = timed(lambda: self._build(cell, data, seed))
        ready = self._ready[key] = _Ready(self.context.time_import_s + time_import_s)
        some = _few(y, data.task)
        start = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(X[some], y[some]).predict(X[some[:2]])
        except MemoryError:
            raise
        except Exception:
            # so few samples may rightly be refused; whether the model works is for the real fit to say
            return ready
        ready.time_warmup_s = time.perf_counter() - start
        gc.collect()
        gc.freeze()  # what is loaded now stays: later collections need not look at it
        return ready

    def _build(self, cell: Cell, data: Data, seed: int, params: Mapping[str, Any] | None = None) -> Any:
        name, params = untuned(cell.model), params or {}
        options = {
            "seed": seed,
            "n_threads": cell.threads,
            "backend": cell.backend,
            "image_shape": data.image_shape if features.get(cell.feature_set).keeps_image else None,
        }
        if name in self.own_models:
            return own_models.build(name, options, params)
        return catalog.get(name).build(data.task, **options).set_params(**params)

    # -- what cells share

    def _load(self, name: str) -> Data:
        if name not in self._data:
            data = datasets.load(name, self.context.dataset_files[name], self.context.target)
            data.X.flags.writeable = False
            data.y.flags.writeable = False
            self._data[name] = data
        return self._data[name]

    def _split(self, name: str, repeat: int) -> list[tuple[np.ndarray, np.ndarray]]:
        key = (name, repeat)
        if key not in self._splits:
            self._splits = {k: v for k, v in self._splits.items() if k[0] != name}  # the last repeat only
            c = self.context
            self._splits[key] = split(self._load(name), c.split, c.folds, repeat, c.seed)
        return self._splits[key]

    def _sha256(self, name: str, part: str) -> str:
        """Return the hash of all samples (``"X"``) or labels (``"y"``) of a data set, made once."""
        if (name, part) not in self._hashes:
            self._hashes[name, part] = features.sha256(getattr(self._load(name), part))
        return self._hashes[name, part]


def _few(y: np.ndarray, task: str) -> np.ndarray:
    """Return the positions of a few samples to warm up on, five of each class where there are that many.

    Some models refuse fewer, or do other work.
    """
    some = np.linspace(0, len(y) - 1, min(len(y), WARM_UP_SAMPLES)).astype(int)
    if task == CLASSIFICATION:
        some = np.unique(np.concatenate([some, *(np.flatnonzero(y == c)[:5] for c in np.unique(y))]))
    return some


def _n_epochs(model: Any) -> int | None:
    """Return how many epochs a network ran; None for what has none."""
    n = getattr(model, "n_iter_", None)
    return int(n) if isinstance(n, int | np.integer) and hasattr(model, "loss_curve_") else None
