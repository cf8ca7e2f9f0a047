"""What the harness must know of a model to build it: a name, an estimator, its parameters, what input it accepts.

An estimator is named ``"package.module:Class"`` and imported when it is built, so that listing models imports nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CLASSICAL, DEEP = "classical", "deep"


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
    space : mapping
        For tuning: parameter name to the values to choose from.
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
    space: Mapping[str, tuple] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    accepts: str = "flat"
    min_side: int = 1

    def estimator(self, task: str) -> str | None:
        """Return ``"package.module:Class"`` for ``"classification"`` or ``"regression"``, or None."""
        return self.classifier if task == "classification" else self.regressor

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
        SVC(C=10.0, cache_size=500)
        """
        path = self.estimator(task)
        if path is None:
            raise ValueError(f"model {self.name!r} does not do {task}")
        module, _, name = path.partition(":")
        given = {"random_state": seed, "n_jobs": n_threads, "backend": backend, "image_shape": image_shape}
        estimator = getattr(importlib.import_module(module), name)
        return estimator(**self.params, **{key: given[key] for key in self.takes})
