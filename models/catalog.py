"""All models by name: the classical ones and the deep ones, in the order in which tables show them.

To add a model: one `Model` here or in classical.py, one line in its test. One's own needs no entry: the harness takes
``package.module:factory`` as a name too.
"""

from __future__ import annotations

from models.classical import CLASSICAL_MODELS, PUBLISHED_MODELS, mlp_space
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

#: How networks with batch normalization are trained here: Smith & Topin's one cycle with a decay of 5e-4.
_ONE_CYCLE = {"learning_rate": "one_cycle", "learning_rate_init": 0.1, "weight_decay": 5e-4, "n_iter_no_change": 10_000}
_ONE_CYCLE_SPACE = {
    "learning_rate_init": LogUniform(1e-2, 5e-1),
    "weight_decay": LogUniform(1e-5, 1e-2),
    "batch_size": Choice(64, 128, 256),
}


def _convnet(name: str, line: str, architecture: str, min_side: int, **params) -> Model:
    """A ConvNet trained by one cycle."""
    return Model(
        name, line, DEEP, classifier="models:ConvNetClassifier", params={"architecture": architecture, **_ONE_CYCLE, **params},
        space=_ONE_CYCLE_SPACE, takes=_CONV_TAKES, accepts="image", min_side=min_side,
    )  # fmt: skip


#: Changes of images that leave a class alone: any class; clothes and photographs, where left and right are alike.
_SHIFTED, _FLIPPED, _CROPPED = "shift2", "shift2 flip", "crop4 flip"

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
    _convnet("lenet5_shift", "lenet5 trained by one cycle on shifted images", "lenet5", 12, max_iter=20, augmentation="shift1",
             learning_rate_init=0.05),
    _convnet("conv48_96", "two convolutions with batch normalization, under 100,000 parameters, shifted images",
             "conv48_96", 4, max_iter=40, augmentation="shift1", weight_decay=3e-4),
    _convnet("conv48_96_flip", "conv48_96 on shifted and mirrored images", "conv48_96", 4, max_iter=40,
             augmentation="shift1 flip", weight_decay=3e-4),
    _convnet("vgg_tiny_bn", "four convolutions with batch normalization, 32 to 64 filters, for small images", "vgg_tiny_bn", 4,
             max_iter=20, batch_size=64),
    _convnet("vgg_narrow_bn", "six convolutions with batch normalization, 32 to 128 filters, on shifted images",
             "vgg_narrow_bn", 4, max_iter=15, augmentation=_SHIFTED),
    _convnet("vgg_narrow_bn_flip", "vgg_narrow_bn on shifted and mirrored images", "vgg_narrow_bn", 4, max_iter=15,
             augmentation=_FLIPPED),
    _convnet("vgg_mid_bn_flip", "six convolutions with batch normalization, 48 to 192 filters, on shifted and mirrored images",
             "vgg_mid_bn", 4, max_iter=20, augmentation="shift1 flip"),
    _convnet("vgg_small_bn", "five convolutions with batch normalization, on cropped and mirrored images", "vgg_small_bn", 8,
             max_iter=15, augmentation=_CROPPED),
    _convnet("vgg_wide_bn", "six convolutions with batch normalization, on shifted images", "vgg_wide_bn", 4, max_iter=20,
             augmentation=_SHIFTED),
    _convnet("vgg_wide_bn_flip", "six convolutions with batch normalization, on shifted and mirrored images", "vgg_wide_bn",
             4, max_iter=20, augmentation=_FLIPPED),
    _convnet("alexnet_small", "the shape of AlexNet for small images, cropped and mirrored", "alexnet_small", 8, max_iter=10,
             augmentation=_CROPPED, learning_rate_init=0.02),
    _convnet("resnet20", "residual network of 20 layers, on cropped and mirrored images", "resnet20", 4, max_iter=10,
             augmentation=_CROPPED),
)  # fmt: skip

MODELS = (*CLASSICAL_MODELS, *DEEP_MODELS, *PUBLISHED_MODELS)


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
