"""What the harness must know of a model to build it: a name, an estimator, its parameters, what input it accepts.

An estimator is named ``"package.module:Class"`` and imported when it is built, so that listing models imports nothing.
A search space stands beside the defaults as plain values, too: `Choice`, `Uniform`, `LogUniform`, `IntUniform` and
`IntLogUniform` say what may be drawn, and ``bench/tuning`` draws it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CLASSICAL, DEEP = "classical", "deep"


@dataclass(frozen=True, init=False)
class Choice:
    """One of these, each as likely; one that is itself a distribution is drawn from.

    Examples
    --------
    >>> Choice(None, LogUniform(0.01, 10))
    Choice(values=(None, LogUniform(low=0.01, high=10)))
    """

    values: tuple

    def __init__(self, *values: Any):
        if not values:
            raise ValueError("a Choice needs at least one value")
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class _Range:
    low: float
    high: float

    def __post_init__(self):
        least = 0 if isinstance(self, LogUniform | IntLogUniform) else float("-inf")
        if not least < self.low < self.high:
            above = "0 < " if least == 0 else ""
            raise ValueError(f"{type(self).__name__} needs {above}low < high, not {self.low!r} and {self.high!r}")


@dataclass(frozen=True)
class Uniform(_Range):
    """A number from low to high, all as likely."""


@dataclass(frozen=True)
class LogUniform(_Range):
    """A number from low to high whose logarithm is uniform: 0.001 to 0.01 is as likely as 0.1 to 1."""


@dataclass(frozen=True)
class IntUniform(_Range):
    """A whole number from low to high, both included, all as likely."""


@dataclass(frozen=True)
class IntLogUniform(_Range):
    """A whole number from low to high, both included, whose logarithm is about uniform."""


#: Parameter name -> distribution; or several such mappings, of which each configuration takes one: for a parameter that
#: has a meaning, or its range, only beside a value of another.
Space = Mapping[str, Any] | tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Model:
    """An entry of the registry.

    Parameters
    ----------
    name, line : str
        What it is called in tables, and one line about it.
    family : {"classical", "deep"}
    classifier, regressor : str or None
        ``"package.module:Class"``, an estimator in scikit-learn's sense; None where there is none for that task.
    params : mapping
        Parameters that differ from the estimator's defaults.
    space : Space
        For tuning; the defaults lie in it. Empty where there is nothing to tune.
    classifier_space, regressor_space : mapping
        What only the classifier, or only the regressor, adds to it.
    takes : tuple of str
        Which of ``random_state``, ``n_jobs``, ``backend`` and ``image_shape`` the estimator wants to be given.
    accepts : {"flat", "image"}
        ``"image"`` needs rows that are still images, pixel by pixel.
    min_side : int
        Images must be at least this high and wide.
    """

    name: str
    line: str
    family: str
    classifier: str | None
    regressor: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    space: Space = field(default_factory=dict)
    classifier_space: Mapping[str, Any] = field(default_factory=dict)
    regressor_space: Mapping[str, Any] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    accepts: str = "flat"
    min_side: int = 1

    @property
    def depth(self) -> int | None:
        """How many layers with weights a network has; None for what is none.

        Examples
        --------
        >>> from models.catalog import get
        >>> [get(name).depth for name in ("mlp_100_100", "vgg_small_bn", "lda")]
        [3, 7, None]
        """
        if hidden := self.params.get("hidden_layer_sizes"):
            return len(hidden) + 1
        if (architecture := self.params.get("architecture")) is None:
            return None
        from models.architectures import n_weighted_layers

        return n_weighted_layers(architecture)

    def estimator(self, task: str) -> str | None:
        """Return ``"package.module:Class"`` for ``"classification"`` or ``"regression"``, or None."""
        return self.classifier if task == "classification" else self.regressor

    def search_space(self, task: str) -> tuple[Mapping[str, Any], ...]:
        """Return the search space for a task, as alternatives; none where there is nothing to tune.

        Examples
        --------
        >>> from models.catalog import get
        >>> get("logistic_regression").search_space("classification")
        ({'C': LogUniform(low=0.0001, high=10000.0)},)
        >>> get("dummy").search_space("classification")
        ()
        """
        more = self.classifier_space if task == "classification" else self.regressor_space
        alternatives = (self.space,) if isinstance(self.space, Mapping) else self.space
        return tuple(whole for part in alternatives if (whole := {**part, **more}))

    def build(self, task: str, *, seed: int, n_threads: int, backend: str, image_shape: tuple | None = None) -> Any:
        """Return an unfitted estimator.

        Raises
        ------
        ValueError
            There is none for this task.

        Examples
        --------
        >>> from models.catalog import get
        >>> get("svc_rbf").build("classification", seed=0, n_threads=1, backend="sklearn")
        GaussianSVC(C=10.0, cache_size=500)
        """
        path = self.estimator(task)
        if path is None:
            raise ValueError(f"model {self.name!r} does not do {task}")
        module, _, name = path.partition(":")
        given = {"random_state": seed, "n_jobs": n_threads, "backend": backend, "image_shape": image_shape}
        estimator = getattr(importlib.import_module(module), name)
        return estimator(**self.params, **{key: given[key] for key in self.takes})
