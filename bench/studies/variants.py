"""Models of a study as data: an estimator with parameters of its own, which the harness takes as ``module:name``.

A study that compares, say, six starts of one network declares six variants and lets cells name them::

    VARIANTS = {"tanh": Variant("models:MLPClassifier", {"activation": "tanh"}), ...}

    def __getattr__(name):          # the harness imports "bench.studies.mine:tanh"
        return variant(VARIANTS, name)

    ctx.cells("variants", datasets=["digits"], models=[f"{__name__}:{v}" for v in VARIANTS])
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier

#: estimators that take these from the harness; all others get a ``random_state`` where they have one
_OURS = {"models:MLPClassifier", "models:MLPRegressor", "models:ConvNetClassifier"}


@dataclass(frozen=True)
class Variant:
    """A factory for the harness.

    Parameters
    ----------
    estimator : str
        ``"package.module:Class"``, or the name of a model of the catalog ("lda", "mlp_100").
    params : mapping
        Parameters of the estimator; they go before the catalog's.
    n_samples : int, optional
        Learn from this many samples of the training fold only (`FirstSamples`).
    wrap : callable (estimator, seed) -> estimator, optional
        Makes another estimator of it: one that sees the samples, or the labels, otherwise than they are.
    flat : bool
        Rows are no images to a ConvNet either: one without convolutions then runs on any features.
    """

    estimator: str
    params: Mapping[str, Any] = field(default_factory=dict)
    n_samples: int | None = None
    wrap: Callable[[Any, int], Any] | None = None
    flat: bool = False

    @property
    def family(self) -> str:
        from models import catalog
        from models.entry import CLASSICAL, DEEP

        if ":" not in self.estimator:
            return catalog.get(self.estimator).family
        return DEEP if self.estimator in _OURS else CLASSICAL

    @property
    def _takes(self) -> tuple[str, ...]:
        """What the estimator wants to be given, in the harness's words."""
        if self.estimator in _OURS:
            image = ("image_shape",) if self.estimator.endswith("ConvNetClassifier") and not self.flat else ()
            return ("seed", "n_threads", "backend", *image)
        if ":" in self.estimator:
            module, _, name = self.estimator.partition(":")
            signature = inspect.signature(getattr(importlib.import_module(module), name))
            return ("seed",) if "random_state" in signature.parameters else ()
        from models import catalog

        words = {"random_state": "seed", "n_jobs": "n_threads", "backend": "backend", "image_shape": "image_shape"}
        return tuple(words[name] for name in catalog.get(self.estimator).takes)

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.KEYWORD_ONLY
        own = ("seed",) if self.wrap is not None or self.n_samples is not None else ()  # these draw random numbers too
        return inspect.Signature([inspect.Parameter(name, kind, default=None) for name in dict.fromkeys((*self._takes, *own))])

    def __call__(self, **given: Any) -> Any:
        """Return an unfitted estimator; the harness calls this with what the signature names."""
        words = {"seed": "random_state", "n_threads": "n_jobs", "backend": "backend", "image_shape": "image_shape"}
        options = {words[name]: given[name] for name in self._takes if name in given}
        if ":" in self.estimator:
            module, _, name = self.estimator.partition(":")
            model = getattr(importlib.import_module(module), name)(**{**options, **self.params})
        else:
            from models import catalog

            entry = catalog.get(self.estimator)
            module, _, name = entry.classifier.partition(":")
            model = getattr(importlib.import_module(module), name)(**{**entry.params, **options, **self.params})
        seed = given.get("seed") or 0
        if self.wrap is not None:
            model = self.wrap(model, seed)
        return model if self.n_samples is None else FirstSamples(model, self.n_samples, seed)


def variant(variants: Mapping[str, Variant], name: str) -> Variant:
    """Return a variant of that name; for the ``__getattr__`` of a study's module."""
    if name not in variants:
        raise AttributeError(name)
    return variants[name]


class FirstSamples(ClassifierMixin, BaseEstimator):
    """Another classifier, fitted on a few of the samples it is given: points of a learning curve are cells then.

    Every class keeps at least one sample while there is room; larger draws of one seed contain the smaller.

    Parameters
    ----------
    estimator : classifier
    n_samples : int
        All, where there are not as many.
    random_state : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neighbors import NearestCentroid
    >>> X, y = load_iris(return_X_y=True)
    >>> FirstSamples(NearestCentroid(), 9).fit(X, y).n_used_
    9
    """

    def __init__(self, estimator: Any, n_samples: int = 1, random_state: int = 0):
        self.estimator, self.n_samples, self.random_state = estimator, n_samples, random_state

    def fit(self, X, y):
        """Fit the estimator on the first `n_samples` of a shuffled, class-balanced order of the samples."""
        import numpy as np

        rows = balanced_order(y, self.random_state)[: self.n_samples]
        self.n_used_ = len(rows)
        found = np.unique(y[rows])
        # who has seen one class can only answer that one; many classifiers refuse to learn it
        estimator = clone(self.estimator) if len(found) > 1 else DummyClassifier(strategy="most_frequent")
        self.estimator_ = estimator.fit(X[rows], y[rows])
        self.classes_ = np.unique(y)
        self._columns = np.searchsorted(self.classes_, found)
        return self

    def predict(self, X):
        """Return the fitted estimator's predictions."""
        return self.estimator_.predict(X)

    def _expanded(self, X):
        """Return the fitted estimator's probabilities; a class that it has not seen has none."""
        import numpy as np

        found = self.estimator_.predict_proba(X)
        whole = np.zeros((len(found), len(self.classes_)), found.dtype)
        whole[:, self._columns] = found
        return whole

    def __getattr__(self, name: str):
        if name == "predict_proba" and hasattr(self.__dict__.get("estimator_"), "predict_proba"):
            return self._expanded
        raise AttributeError(name)


def balanced_order(y, seed: int):
    """Return all positions of `y` in random order, the classes taking turns as long as they last.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([0, 0, 0, 1, 1, 1])
    >>> sorted(y[balanced_order(y, 0)[:2]].tolist())
    [0, 1]
    """
    import numpy as np

    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(y))
    turn = np.empty(len(y))
    for c in np.unique(y):
        own = shuffled[y[shuffled] == c]
        turn[own] = np.arange(len(own)) + random.random()
    return np.argsort(turn, kind="stable")
