"""All models by name: the classical ones and the deep ones, in the order in which tables show them.

To add a model: one `Model` here or in classical.py, one line in its test. One's own needs no entry: the harness takes
``package.module:factory`` as a name too.
"""

from __future__ import annotations

from models.classical import CLASSICAL_MODELS, mlp_space
from models.entry import DEEP, Choice, LogUniform, Model

_MLP = {"classifier": "models:MLPClassifier", "regressor": "models:MLPRegressor"}
_MLP_TAKES = ("random_state", "n_jobs", "backend")
_CONV_TAKES = (*_MLP_TAKES, "image_shape")
#: ours, about the defaults: steps within two powers of ten, weight decay of none to twenty times the usual
_CONV_SPACE = {
    "learning_rate_init": LogUniform(2e-3, 2e-1),
    "alpha": Choice(0.0, LogUniform(1e-4, 1.0)),
    "batch_size": Choice(16, 32, 64, 128),
}

DEEP_MODELS = (
    Model(
        "mlp_100",
        "one hidden layer of 100, ReLU",
        DEEP,
        **_MLP,
        params={"hidden_layer_sizes": (100,), "max_iter": 50},
        space=mlp_space(1),
        takes=_MLP_TAKES,
    ),
    Model(
        "mlp_100_100",
        "two hidden layers of 100, ReLU",
        DEEP,
        **_MLP,
        params={"hidden_layer_sizes": (100, 100), "max_iter": 50},
        space=mlp_space(2),
        takes=_MLP_TAKES,
    ),
    Model(
        "mlp_sigmoid_4",
        "four hidden layers of 100, sigmoid: deep as it was before ReLU",
        DEEP,
        **_MLP,
        params={"hidden_layer_sizes": (100,) * 4, "activation": "logistic", "max_iter": 50},
        space=mlp_space(4),
        takes=_MLP_TAKES,
    ),
    Model(
        "conv16_32",
        "two convolutions, 16 and 32 filters of 3x3",
        DEEP,
        classifier="models:ConvNetClassifier",
        params={"architecture": "conv16_32", "learning_rate_init": 0.02, "batch_size": 32, "max_iter": 30},
        space=_CONV_SPACE,
        takes=_CONV_TAKES,
        accepts="image",
        min_side=4,
    ),
    Model(
        "lenet5",
        "LeCun's network of 1998 with ReLU and max pooling",
        DEEP,
        classifier="models:ConvNetClassifier",
        params={"architecture": "lenet5", "learning_rate_init": 0.02, "batch_size": 64, "max_iter": 20},
        space=_CONV_SPACE,
        takes=_CONV_TAKES,
        accepts="image",
        min_side=12,  # the second 5x5 convolution has no padding and is pooled once more
    ),
)  # fmt: skip

MODELS = (*CLASSICAL_MODELS, *DEEP_MODELS)


def names() -> list[str]:
    """Return the names of the registry, in its order."""
    return [m.name for m in MODELS]


def get(name: str) -> Model:
    """Return the entry of that name.

    Raises
    ------
    KeyError
        Unknown name.

    Examples
    --------
    >>> get("lda").family
    'classical'
    """
    for model in MODELS:
        if model.name == name:
            return model
    raise KeyError(name)
