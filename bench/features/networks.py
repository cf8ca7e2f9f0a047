"""What a network has learned, as features for any other model: the activations of one of its layers.

The network is trained on the training part, and both parts are shown to it. ``learned`` picks a network by the size of
the images; ``learned:<network>`` names one: a ConvNet or an MLP of the catalog, trained as the model of that name is, or
an architecture that is no model yet. ``learned:<network>@<layer>`` takes another layer than the last but one, by its
number or by its token where that stands once: a token wins over a number.

References
----------
Donahue et al., "DeCAF: A Deep Convolutional Activation Feature for Generic Visual Recognition", ICML 2014.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from bench.errors import InputError
from bench.features import PATTERNS
from bench.features.builders import Fold, Matrices, in_blocks, standardized
from bench.features.entry import FeatureSet
from bench.names import suggestion

if TYPE_CHECKING:
    import numpy as np

    from bench.plan import DatasetInfo

PREFIX = "learned:"

#: Of an architecture that the catalog has no model of, and of ``learned``.
BATCH_SIZE, EPOCHS = 32, 15

_CONVNET, _MLP = "models:ConvNetClassifier", "models:MLPClassifier"


def networks() -> dict[str, tuple[str, ...]]:
    """Return the networks there are, each with the tokens of its layers.

    Examples
    --------
    >>> networks()["lenet5"], networks()["mlp_100"]
    (('c6k5p2', 'm2', 'c16k5', 'm2', '120', '84', 'out'), ('100', 'out'))
    """
    from models import architectures, catalog, named

    found = {}
    for model in catalog.MODELS:
        if model.classifier == _CONVNET:
            found[model.name] = architectures.parse(model.params["architecture"])
        elif model.classifier == _MLP:
            found[model.name] = (*map(str, model.params["hidden_layer_sizes"]), "out")
    return found | {a.name: a.tokens for a in named.ARCHITECTURES if a.name not in found}


def patterns() -> list[tuple[str, str]]:
    """Return the names that have a part to choose, each with its line.

    Examples
    --------
    >>> [name for name, _ in patterns()]
    ['learned:<network>', 'learned:<network>@<layer>']
    """
    lines = (
        f"the same of a network of one's choice: {', '.join(networks())}",
        "of another of its layers, by number or token: learned:lenet5@2 or learned:lenet5@c16k5, learned:mlp_100@out",
    )
    return list(zip(PATTERNS, lines, strict=True))


def entry(name: str) -> FeatureSet:
    """Return the feature set of ``learned:<network>`` or ``learned:<network>@<layer>``.

    Raises
    ------
    InputError
        No such network or layer; the message lists those there are.

    Examples
    --------
    >>> entry("learned:lenet5@c16k5").line
    'activations of layer 2 (c16k5) of lenet5, trained on the training fold'
    """
    network, at, layer = name.removeprefix(PREFIX).partition("@")
    known = networks()
    if network not in known:
        raise InputError(
            f"feature set {name!r}: {network!r} is no network{suggestion(network, known)} Networks: {', '.join(known)}"
        )
    tokens = known[network]
    options: dict[str, Any] = {"network": network}
    where = "penultimate activations"
    if at:
        options["layer"] = _position(name, network, tokens, layer)
        where = f"activations of layer {options['layer']} ({tokens[options['layer']]})"
    return FeatureSet(
        name,
        f"{where} of {network}, trained on the training fold",
        "networks:learned_by",
        "Donahue et al. 2014",
        options=options,
        reads=("y_train", "seed", "backend"),
        needs_image=not _is_mlp(network),
        needs_classes=True,
        check="networks:reason_to_skip",
    )


def _position(name: str, network: str, tokens: tuple[str, ...], layer: str) -> int:
    layers = ", ".join(f"{i} {token}" for i, token in enumerate(tokens))
    positions = [i for i, token in enumerate(tokens) if token == layer]
    if len(positions) > 1:
        raise InputError(f"feature set {name!r}: {layer!r} stands {len(positions)} times in {network}; layers: {layers}")
    if not positions and re.fullmatch(r"\d{1,6}", layer, re.ASCII) and int(layer) < len(tokens):
        positions = [int(layer)]
    if not positions:
        raise InputError(f"feature set {name!r}: {network} has no layer {layer!r}; layers: {layers}")
    return positions[0]


def _model(network: str) -> Any:
    """Return the catalog's entry, or None of an architecture that has none."""
    from models import catalog

    return next((model for model in catalog.MODELS if model.name == network), None)


def _is_mlp(network: str) -> bool:
    model = _model(network)
    return model is not None and model.classifier == _MLP


def default_network(image_shape: tuple[int, int, int]) -> str:
    """Return the network behind ``learned``: conv16_32 up to 16x16 pixels (128 features at 8x8), lenet5 above (84).

    Examples
    --------
    >>> default_network((8, 8, 1)), default_network((28, 28, 1))
    ('conv16_32', 'lenet5')
    """
    height, width, _ = image_shape
    return "conv16_32" if max(height, width) <= 16 else "lenet5"


def reason_to_skip(dataset: str, info: DatasetInfo, network: str, layer: int | None = None) -> str | None:
    """Return why a network cannot take the images of a data set, or None.

    Examples
    --------
    >>> from bench.plan import DatasetInfo
    >>> reason_to_skip("digits", DatasetInfo("classification", 1797, 64, (8, 8, 1)), "lenet5")
    "lenet5 does not fit images of 8x8 pixels: 'c16k5' (layer 3) does not fit: the shape here is 4x4: kernel 5 does not fit"
    """
    if _is_mlp(network):
        return None
    from models import architectures

    try:
        architectures.build(networks()[network], info.image_shape, 2)
    except ValueError as error:
        height, width, _ = info.image_shape
        return f"{network} does not fit images of {height}x{width} pixels: {str(error).removeprefix('architecture: ')}"
    return None


def reason_to_skip_default(dataset: str, info: DatasetInfo) -> str | None:
    """Return why ``learned`` cannot be made of a data set, or None."""
    return reason_to_skip(dataset, info, default_network(info.image_shape))


def learned(fold: Fold) -> Matrices:
    """The activations that feed the last layer of a ConvNet, trained on the training part for 15 epochs.

    One thread and one seed, so that the matrix can be made again bit for bit.
    """
    return _shown(_convnet(default_network(fold.image_shape), fold), fold, None)


def learned_by(fold: Fold, network: str, layer: int | None = None) -> Matrices:
    """The activations of a layer of a named network; without one, those that feed its last layer."""
    if _is_mlp(network):
        return _hidden_units(fold, network, layer)
    model = _model(network)
    if model is None:
        estimator = _convnet(network, fold)
    else:
        estimator = model.build(
            "classification", seed=fold.seed, n_threads=1, backend=fold.backend, image_shape=fold.image_shape
        )
    return _shown(estimator, fold, layer)


def _convnet(architecture: str, fold: Fold) -> Any:
    from models import ConvNetClassifier

    return ConvNetClassifier(
        architecture=architecture,
        image_shape=fold.image_shape,
        batch_size=BATCH_SIZE,
        max_iter=EPOCHS,
        random_state=fold.seed,
        backend=fold.backend,
        n_jobs=1,
    )


def _shown(estimator: Any, fold: Fold, layer: int | None) -> Matrices:
    estimator.fit(fold.X_train, fold.y_train)
    return estimator.transform(fold.X_train, layer), estimator.transform(fold.X_test, layer)


def _hidden_units(fold: Fold, network: str, layer: int | None) -> Matrices:
    """Train an MLP of the catalog on standardized columns, and return the units of a layer.

    Standardized, because columns in units of their own would keep it from learning at all, and a ConvNet does as much.
    """
    from sklearn.exceptions import ConvergenceWarning

    X_train, X_test = standardized(fold)
    estimator = _model(network).build("classification", seed=fold.seed, n_threads=1, backend=fold.backend)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs is what was asked for
        estimator.fit(X_train, fold.y_train)
    n_layers = len(estimator.coefs_) - 1 if layer is None else layer + 1
    return tuple(in_blocks(lambda rows: _forward(estimator, rows, n_layers), X) for X in (X_train, X_test))


def _forward(estimator: Any, X: np.ndarray, n_layers: int) -> np.ndarray:
    """Return the units after a number of layers; those of the last one are its sums, which no activation follows."""
    import kernels

    k = kernels.load(estimator.backend)
    activation = {"relu": k.relu, "logistic": k.sigmoid, "tanh": k.tanh, "identity": lambda sums: sums}[estimator.activation]
    for position in range(n_layers):
        sums = k.gemm(X, estimator.coefs_[position]) + estimator.intercepts_[position]
        X = sums if position == len(estimator.coefs_) - 1 else activation(sums)
    return X
