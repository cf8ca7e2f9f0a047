"""Models: scikit-learn estimators whose networks run on this project's own kernels. Imports nothing of bench.

::

    architectures.py   networks as data: tokens -> layers
    layers.py          forward and backward of each layer       initializers.py  starting weights
    network.py         layers on one parameter vector           losses.py        link, loss and its gradient
    plan.py            passes as programs of bound calls
    training.py        batches, steps, epochs, stopping rules   optimizers.py    SGD with momentum, Adam
    inference.py       prediction, in blocks and from threads   estimator.py     what the estimators share
    mlp_base.py mlp.py MLPClassifier, MLPRegressor              convnet.py       ConvNetClassifier

The names below are imported on first use, so that listing models costs no import of scikit-learn.

>>> from models import MLPClassifier
>>> MLPClassifier((8,), backend="reference").backend
'reference'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models.convnet import ConvNetClassifier
    from models.mlp import MLPClassifier, MLPRegressor
    from models.training import DivergenceError

__all__ = ["ConvNetClassifier", "DivergenceError", "MLPClassifier", "MLPRegressor"]

_HOMES = {
    "ConvNetClassifier": "models.convnet",
    "DivergenceError": "models.training",
    "MLPClassifier": "models.mlp",
    "MLPRegressor": "models.mlp",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'models' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
