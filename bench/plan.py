"""From a suite to its cells, in the order in which they run.

All models of a fold stand together: the worker makes their features once, and a machine that slows down slows all
contestants of a fold alike. Who comes first changes from fold to fold, so that nobody has the best place, or the worst,
each time: the contestants, and the feature sets, take turns as in a Latin square. Thread settings come one after the
other, since each needs a worker of its own. What cannot apply (a ConvNet on histograms) is known here already, with its
reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bench import features
from bench.cell import Cell
from bench.names import is_tuned, tuned, untuned
from bench.splits import n_splits
from bench.suite import Suite
from models import catalog
from models.entry import DEEP

CLASSICAL_BACKEND = "sklearn"

T = TypeVar("T")


@dataclass(frozen=True)
class DatasetInfo:
    """What planning needs to know of a data set, without its samples."""

    task: str
    n_samples: int
    n_features: int
    image_shape: tuple[int, int, int] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # what was inferred, drawn or re-encoded; for run.json
    classes: Sequence[str] = ()  # names of the classes, in the order of their numbers; none for regression


@dataclass(frozen=True)
class OwnModel:
    """What is known of ``package.module:factory`` once it has been imported."""

    family: str
    takes_backend: bool
    has_space: bool = False  # declares a search space


def plan(suite: Suite, own_models: Mapping[str, OwnModel]) -> list[Cell]:
    """Return all cells of a suite; the order is the same each time.

    Examples
    --------
    >>> suite = Suite(name="s", datasets=["iris"], features=["raw"], models=["lda", "mlp_100"], folds=2)
    >>> [(c.fold, c.model, c.backend) for c in plan(suite, {})]
    [(0, 'lda', 'sklearn'), (0, 'mlp_100', 'cython'), (1, 'mlp_100', 'cython'), (1, 'lda', 'sklearn')]
    """
    contestants = [(m, b) for m in with_tuned(suite, own_models) for b in _backends(m, suite, own_models)]
    return [
        Cell(dataset, feature_set, model, backend, threads, repeat, fold, suite.seed)
        for threads in suite.threads
        for dataset in suite.dataset_files
        for repeat in range(suite.repeats)
        for fold in range(n_splits(suite.split, suite.folds))
        for feature_set in _turned(suite.features, fold + repeat * suite.folds)
        for model, backend in _turned(contestants, fold + repeat * suite.folds)
    ]


def _turned(values: Sequence[T], n: int) -> list[T]:
    """Return values in their order, beginning with the n-th.

    Examples
    --------
    >>> _turned(["a", "b", "c"], 4)
    ['b', 'c', 'a']
    """
    n %= len(values) or 1
    return [*values[n:], *values[:n]]


def with_tuned(suite: Suite, own_models: Mapping[str, OwnModel]) -> list[str]:
    """Return the models of a suite, and where it tunes, behind each that has a search space its tuned variant.

    A suite that names tuned variants itself gets these and no others.

    Examples
    --------
    >>> with_tuned(Suite(name="s", datasets=["iris"], models=["dummy", "lda"], tune=8), {})
    ['dummy', 'lda', 'lda+tuned']
    """
    if not suite.tunes or any(is_tuned(model) for model in suite.models):
        return list(suite.models)
    pairs = ((m, tuned(m)) if has_space(m, own_models) else (m,) for m in suite.models)
    return [name for pair in pairs for name in pair]


def has_space(model: str, own_models: Mapping[str, OwnModel]) -> bool:
    """Whether a model, tuned or not, declares a search space."""
    name = untuned(model)
    return own_models[name].has_space if name in own_models else bool(catalog.get(name).space)


def _backends(model: str, suite: Suite, own_models: Mapping[str, OwnModel]) -> tuple[str, ...]:
    own = own_models.get(untuned(model))
    runs_on_kernels = own.takes_backend if own else catalog.get(untuned(model)).family == DEEP
    return suite.backends if runs_on_kernels else (CLASSICAL_BACKEND,)


def family(model: str, own_models: Mapping[str, OwnModel]) -> str:
    """Return "classical" or "deep"."""
    name = untuned(model)
    return own_models[name].family if name in own_models else catalog.get(name).family


def known_depths(models: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return how deep those networks are that the catalog has, as run.json keeps it: reports are made without the catalog.

    Examples
    --------
    >>> known_depths(["lda", "lenet5+tuned", "my.module:make"])
    {'lenet5': {'depth': 5}}
    """
    by_name = {m.name: m.depth for m in catalog.MODELS}
    return {name: {"depth": depth} for name in map(untuned, models) if (depth := by_name.get(name)) is not None}


def reason_to_skip(cell: Cell, info: DatasetInfo, own_models: Mapping[str, OwnModel]) -> str | None:
    """Return why a cell cannot apply, or None where it can.

    Examples
    --------
    >>> digits = DatasetInfo("classification", 1797, 64, (8, 8, 1))
    >>> cell = Cell("digits", "hog", "conv16_32", "cython", 1, 0, 0, 0)
    >>> reason_to_skip(cell, digits, {})
    'conv16_32 needs images, and hog does not keep the image'
    """
    feature_set = features.get(cell.feature_set)
    reason = feature_set.reason_to_skip(cell.dataset, info)
    if reason is not None:
        return reason
    name = untuned(cell.model)
    if is_tuned(cell.model) and not has_space(name, own_models):
        return f"{name} declares no search space: there is nothing to tune"
    if name in own_models:
        return None
    model = catalog.get(name)
    if model.estimator(info.task) is None:
        return f"{name} does not do {info.task}"
    if model.accepts != "image":
        return None
    if info.image_shape is None:
        return f"{name} needs images, and {cell.dataset} has none"
    if not feature_set.keeps_image:
        return f"{name} needs images, and {cell.feature_set} does not keep the image"
    height, width, _ = info.image_shape
    if min(height, width) < model.min_side:
        return f"{name} needs images of at least {model.min_side}x{model.min_side} pixels, not {height}x{width}"
    return None
