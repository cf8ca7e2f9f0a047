"""Models: scikit-learn estimators whose networks run on this project's own kernels. Imports nothing of bench.

::

    named.py           networks by name, as data            architectures.py  tokens -> layers
    layers.py          forward and backward of each layer   pointwise.py      activations of their own, dropout
    normalization.py   batch and layer normalization        blocks.py         residual blocks
    network.py         layers on one parameter vector       initializers.py   starting weights
    plan.py            passes as programs of bound calls    losses.py         link, loss and its gradient
    training.py        batches, steps, epochs, stopping     optimizers.py     SGD with momentum, Adam, AdamW
    schedules.py       learning rates over a training       augmentation.py   seeded changes of images
    inference.py       prediction, in blocks, from threads  estimator.py      what the estimators share
    mlp_base.py mlp.py MLPClassifier, MLPRegressor          convnet.py        ConvNetClassifier, with images.py
                                                            (what it takes) and prediction.py (what it answers)
    text.py            TextClassifier: words as vectors
    stored.py          save, load, to_onnx, summary         onnx_export.py    layers as ONNX nodes
    sensitivity.py     gradients for the input
    checkpoints.py     a training's state in a file         resuming.py       trainings that go on from there
    catalog.py         the deep models as data              classical.py      the classical ones

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
    from models.text import TextClassifier
    from models.training import DivergenceError

__all__ = ["ConvNetClassifier", "DivergenceError", "MLPClassifier", "MLPRegressor", "TextClassifier"]

_HOMES = {
    "ConvNetClassifier": "models.convnet",
    "DivergenceError": "models.training",
    "MLPClassifier": "models.mlp",
    "MLPRegressor": "models.mlp",
    "TextClassifier": "models.text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'models' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
