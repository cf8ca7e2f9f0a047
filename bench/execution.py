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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench import features, own_models
from bench.cell import Cell, Row
from bench.code_version import kernels_digest, model_digest
from bench.curves import Recorder
from bench.datasets import CLASSIFICATION, Data
from bench.errors import InputError
from bench.features.builders import Fold
from bench.features.cache import LIMIT_BYTES, FeatureCache, Matrices
from bench.features.keys import key as feature_key
from bench.findings import finding
from bench.fitting import Measurement
from bench.metering import JitClock, Meter
from bench.names import is_tuned, untuned
from bench.plan import DatasetInfo, family
from bench.samples import Samples
from bench.scores import quick_score, score
from bench.splits import derived_seed
from bench.suite import OWN_MODEL
from bench.timing import timed
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
    tune_metric: str = "accuracy"
    predict_batches: bool = True
    cache_folder: str | None = None
    cache_limit_bytes: int = LIMIT_BYTES
    checkpoint_folder: str | None = None  # where trainings of several epochs leave their state
    time_import_s: float = 0.0  # of what every model needs; each adds its own
    features_read_backend: bool = False  # some of the run's feature sets are made by kernels
    noise_s: float = 0.0  # for the comparison of the machine with itself, before the first cell
    n_workers: int = 1


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
    time_jit_s: float | None = None  # of the warm-up; None where nothing was compiled


@dataclass(eq=False)
class Bench:
    """The state of a worker between cells."""

    context: Context
    on_phase: Callable[..., None] = lambda phase, **more: None  # told what begins: "features", "warm-up", "tuning" or "fit"
    on_trial: Callable[[dict], None] = lambda trial: None  # told of each trial of a search when it has ended
    _ready: dict[tuple, _Ready] = field(default_factory=dict)

    def __post_init__(self):
        folder = self.context.cache_folder
        self._cache = FeatureCache(Path(folder) if folder else None, self.context.cache_limit_bytes)
        self._samples = Samples(self.context)
        self._warm: set[str] = set()
        self._inner = inner.Cache()
        self._meter, self._jit = Meter(), JitClock()
        self._digest: dict[tuple, dict[str, Any]] = {}
        self._accounted_s = 0.0
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
            data = self._samples.load(name)
            self._samples.split(name, 0)
            infos[name] = DatasetInfo(data.task, *data.X.shape, data.image_shape, dict(data.facts), data.classes[:1000])
        return infos

    def backends_in_use(self) -> list[str]:
        """Return the backends that models or features of this run compute with."""
        deep = [m for m in self.context.models if family(m, self.own_models) == "deep" and untuned(m) not in self.own_models]
        if deep or any(m.takes_backend for m in self.own_models.values()):
            return sorted(set(self.context.backends))
        return [self.context.feature_backend] if self.context.features_read_backend else []

    def _check_backends(self) -> None:
        import kernels

        missing = sorted(set(self.backends_in_use()) - set(kernels.backends()))
        if missing:
            raise InputError(
                f"backend {missing[0]!r} cannot be used here (not built, or not installed); "
                f"usable: {', '.join(kernels.backends())}"
            )

    # -- one cell

    def prepare(self, cell: Cell) -> Prepared:
        """Return the matrices of the cell's fold, made now if no cell before needed them."""
        self.on_phase("features")
        data = self._samples.load(cell.dataset)
        train, test = self._samples.split(cell.dataset, cell.repeat)[cell.fold]
        feature_set = features.get(cell.feature_set)
        seed = derived_seed(cell.seed, cell.repeat, cell.fold) % 2**31
        backend = self.context.feature_backend
        y_sha256, split_sha256 = self._samples.sha256(cell.dataset, "y"), features.sha256(train, test)
        facts = {
            # the samples, and what becomes of them in each fold before any feature set
            "samples_sha256": f"{self._samples.sha256(cell.dataset, 'X')} {data.preparation!r}",
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

        digest = feature_key(feature_set, facts)
        matrices = self._cache.get(
            digest,
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
            "features_digest": digest,
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
        start, self._accounted_s = time.perf_counter(), 0.0
        try:
            facts |= self._digests(cell, prepared.data)
            params: dict[str, Any] = {}
            if is_tuned(cell.model):
                with self._accounted():
                    params, found = self._tune(cell, prepared, trials)
                facts |= found
            facts |= self._measure(cell, prepared, params)
            facts["time_overhead_s"] = time.perf_counter() - start - self._accounted_s
        except BaseException as e:  # a model may raise anything, SystemExit too; a finding, not a fault of the worker
            if isinstance(e, KeyboardInterrupt):
                raise
            facts |= finding(e)
        return Row(**cell.__dict__, **facts)

    def _digests(self, cell: Cell, data: Data) -> dict[str, Any]:
        """Return the hashes of the code of model and kernels, made once per model in a worker."""
        key = (cell.model, cell.backend, data.task)
        if key not in self._digest:
            name = untuned(cell.model)
            factory = own_models.get_factory(name) if name in self.own_models else None
            # seed 0 for all folds: what a factory makes of its seed says nothing of the code
            plain_model = self._build(cell, data, 0)
            space = self._space(name, data.task) if is_tuned(cell.model) else None
            self._digest[key] = {
                "model_digest": model_digest(plain_model, factory, space),
                "kernels_digest": kernels_digest(cell.backend),
            }
        return self._digest[key]

    def _space(self, name: str, task: str) -> Any:
        return own_models.search_space(name) if name in self.own_models else catalog.get(name).search_space(task)

    def _tune(
        self, cell: Cell, prepared: Prepared, trials: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Return the parameters that the search chose, and what the row says of it."""
        data, train, name = prepared.data, prepared.train, untuned(cell.model)
        own = name in self.own_models
        # without the model in it: models that share a space, as the two MLPs of 100 do, draw the same configurations
        seed = derived_seed(cell.seed, cell.repeat, cell.fold) % 2**31
        space = self._space(name, data.task)
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
            metric=inner.metric(data.task, self.context.tune_metric),
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
        recorder = Recorder(model, lambda: quick_score(model, X_test, y_test, data.task))
        measurement = Measurement(self._meter, self._jit, cell.threads, recorder)
        with self._accounted():
            in_batches = self.context.predict_batches and cell.repeat == cell.fold == 0
            measurement.run(model, X_train, y_train, X_test, in_batches=in_batches)
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = score(model, data, X_test, y_test, measurement.y_pred, np.unique(y_train))
        facts = measurement.facts()
        if facts["status"] != "ok":
            return facts
        return {
            **facts,
            **scores,
            "n_epochs": _n_epochs(model),
            "time_import_s": ready.time_import_s,
            "time_warmup_s": ready.time_warmup_s,
            "time_jit_s": ready.time_jit_s,
        }

    @contextmanager
    def _accounted(self) -> Iterator[None]:
        """Count what happens as time that the row tells of; the rest of a cell is the harness's own."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._accounted_s += time.perf_counter() - start

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
        with self._accounted():
            model, time_import_s = timed(lambda: self._imported(cell, data, seed))
        ready = self._ready[key] = _Ready(self.context.time_import_s + time_import_s)
        some = _few(y, data.task)
        compiled_s = self._jit.seconds()
        start = time.perf_counter()
        try:
            with self._accounted(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(X[some], y[some]).predict(X[some[:2]])
        except MemoryError:
            raise
        except Exception:
            # so few samples may rightly be refused; whether the model works is for the real fit to say
            return ready
        ready.time_warmup_s = time.perf_counter() - start
        ready.time_jit_s = self._jit.seconds() - compiled_s or None
        gc.collect()
        gc.freeze()  # what is loaded now stays: later collections need not look at it
        return ready

    def _imported(self, cell: Cell, data: Data, seed: int) -> Any:
        """Build a model with all that it imports when it is first built; Numba before its first compilation is counted."""
        if cell.backend == "numba":
            import numba  # noqa: F401
        return self._build(cell, data, seed)

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
