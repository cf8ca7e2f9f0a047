"""Networks as data: a list of tokens, and the lines that turn tokens into layers.

======================================  ============================================================
token                                   layer
======================================  ============================================================
``c6k5``                                convolution, 6 filters of 5x5; options ``s`` stride, ``p``
                                        padding, ``d`` dilation, ``g`` groups: ``c16k3s2p1``
``m2``                                  max pooling over 2x2; options ``s`` stride (2 here), ``p``
``a2``                                  average pooling, likewise
``gap``                                 mean of each channel over the whole image
``120``                                 dense layer of 120 units (flattens images first)
``bn``, ``ln``                          batch or layer normalization, of what stands before it
``relu leaky_relu gelu sigmoid tanh``   this activation, in the place of the network's own; ``linear``
                                        for none
``drop25``                              dropout of 25 % of the values
``(`` ... ``)``                         residual block: what stands between, plus its own input; in a
                                        list also a list of its own: ``["c16k3p1", "bn"]``
``out``                                 dense layer with one unit per class; stands last, and once
======================================  ============================================================

The activation follows every convolution and dense layer but ``out``, behind its normalization where it has one. In a
residual block, that of the last layer follows the sum.

>>> parse("c6k5p2 m2 120 out")
('c6k5p2', 'm2', '120', 'out')
>>> [layer.output_shape for layer in build(["c6k5p2", "m2", "120", "out"], (28, 28, 1), 10)]
[(28, 28, 6), (14, 14, 6), (1176,), (120,), (10,)]
>>> [type(layer).__name__ for layer in build("c8k3p1 bn ( c8k3p1 bn c8k3p1 bn ) gap out", (8, 8, 1), 10)]
['Conv2D', 'BatchNorm', 'Residual', 'GlobalAvgPool2D', 'Dense']
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence

from models.blocks import Residual
from models.layers import ACTIVATIONS, AvgPool2D, Conv2D, Dense, Flatten, GlobalAvgPool2D, Layer, MaxPool2D, Shape
from models.named import BY_NAME, PATTERNS, find
from models.normalization import BatchNorm, LayerNorm
from models.pointwise import OWN_PASS, Activation, Draws, Dropout

GRAMMAR = (
    "c<filters>k<size> with s<stride>, p<padding>, d<dilation>, g<groups> (convolution), "
    "m<size> or a<size> with s<stride>, p<padding> (max and average pooling), gap (mean of each channel), <units> (dense), "
    "bn, ln (normalization), relu, leaky_relu, gelu, sigmoid, tanh, linear (activation), drop<percent> (dropout), "
    "( ... ) (residual block), out (last)"
)

#: Sizes above this are typing errors, and would overflow arithmetic further on.
_LARGEST = 2**24

_CONVOLUTION = re.compile(r"c(?P<filters>\d+)k(?P<kernel>\d+)(?P<options>(?:[spdg]\d+)*)", re.ASCII)
_POOLING = re.compile(r"(?P<kind>[ma])(?P<size>\d+)(?P<options>(?:[sp]\d+)*)", re.ASCII)
_DENSE = re.compile(r"\d+", re.ASCII)
_DROPOUT = re.compile(r"drop(?P<percent>\d{1,2})", re.ASCII)
_NORMALIZATIONS = {"bn": BatchNorm, "ln": LayerNorm}
#: Token -> activation.
_ACTIVATIONS = {name: name for name in (*(a for a in ACTIVATIONS if a), *OWN_PASS)} | {"linear": None}
_WORDS = (*_NORMALIZATIONS, *_ACTIVATIONS, "gap", "(", ")", "out")
_OPTIONS = {"s": "stride", "p": "padding", "d": "dilation", "g": "groups"}


def parse(architecture: str | Sequence[str | int]) -> tuple[str, ...]:
    """Return the tokens of a named network, a string of tokens or a list of them, each checked by itself.

    Raises
    ------
    ValueError
        Naming the token that does not fit, and what may stand there.
    TypeError
        Where a list holds something other than tokens and lists of them.

    Examples
    --------
    >>> parse("conv16_32")
    ('c16k3p1', 'm2', 'c32k3p1', 'm2', 'out')
    >>> parse([32, "out"])
    ('32', 'out')
    """
    if isinstance(architecture, str):
        if named := find(architecture):
            return named
        tokens = tuple(architecture.split())
        if len(tokens) == 1 and not _is_token(tokens[0]):
            raise ValueError(_unknown_name(architecture))
    else:
        tokens = tuple(_flat(_as_sequence(architecture)))
    if not tokens:
        raise ValueError(f"architecture is empty; it needs at least the token 'out'. Tokens: {GRAMMAR}")
    for token in tokens:
        if not _is_token(token):
            raise ValueError(f"architecture: unknown token {token!r}. Tokens: {GRAMMAR}")
    if tokens[-1] != "out":
        raise ValueError(f"architecture must end with the token 'out', got {tokens[-1]!r}")
    if "out" in tokens[:-1]:
        raise ValueError("architecture: the token 'out' stands last, and once")
    _check_blocks(tokens)
    return tokens


def _check_blocks(tokens: tuple[str, ...]) -> None:
    inside = False
    for before, token in zip(("", *tokens), tokens, strict=False):
        if token in ("(", ")") and inside == (token == "("):
            raise ValueError(f"architecture: {token!r} {'within a block' if inside else 'without its (' }; blocks do not nest")
        if token == ")" and before == "(":
            raise ValueError("architecture: a residual block '( )' with nothing in it")
        inside = token == "(" or (inside and token != ")")
    if inside:
        raise ValueError("architecture: a block '(' without its ')'")


def build(
    architecture: str | Sequence[str | int], input_shape: Shape, n_outputs: int, *, activation: str | None = "relu"
) -> list[Layer]:
    """Return the layers of an architecture for inputs of `input_shape`: (H, W, C), or (D,) where all layers are dense.

    Raises
    ------
    ValueError
        Where a layer does not fit the shape that reaches it.

    Examples
    --------
    >>> build("lenet5", (28, 28, 1), 10)[-1]
    Dense('out', (84,) -> (10,))
    >>> build(["c6k5", "out"], (3, 3, 1), 10)
    Traceback (most recent call last):
    ValueError: architecture: 'c6k5' (layer 1) does not fit: the shape here is 3x3: kernel 5 does not fit
    """
    return _Builder(parse(architecture), n_outputs, activation).layers(tuple(input_shape))


def n_weighted_layers(architecture: str | Sequence[str | int]) -> int:
    """Return how deep a network is: its convolutions and dense layers, as He et al. count them; normalizations are none.

    Examples
    --------
    >>> n_weighted_layers("lenet5"), n_weighted_layers("resnet20"), n_weighted_layers("c8k3 bn m2 out")
    (5, 20, 2)
    """
    kinds = (_CONVOLUTION, _DENSE)
    return sum(token == "out" or any(kind.fullmatch(token) for kind in kinds) for token in parse(architecture))


class _Builder:
    """Takes tokens one by one, from the front."""

    def __init__(self, tokens: tuple[str, ...], n_outputs: int, activation: str | None):
        self._tokens, self._position = tokens, 0
        self._n_outputs, self._activation = n_outputs, activation
        self._draws = Draws()  # one for all dropouts of the network

    def _next(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _take(self) -> str:
        self._position += 1
        return self._tokens[self._position - 1]

    def layers(self, shape: Shape) -> list[Layer]:
        """Return the layers up to the end, or to the end of the block."""
        layers: list[Layer] = []
        while self._next() not in ("", ")"):
            token = self._take()
            start = self._position - 1
            try:
                new = self._of_token(token, shape)
            except ValueError as error:
                if str(error).startswith("architecture:"):
                    raise
                raise ValueError(f"architecture: {token!r} (layer {self._position}) does not fit: {error}") from None
            for layer in new:
                behind = isinstance(layer, (BatchNorm, LayerNorm)) and token not in _NORMALIZATIONS
                layer.position = start + behind
            layers += new
            shape = layers[-1].output_shape
        return layers

    def _of_token(self, token: str, shape: Shape) -> list[Layer]:
        if token == "(":
            return self._residual(shape)
        if token == "gap":
            return [GlobalAvgPool2D(token, _image(shape))]
        if match := _DROPOUT.fullmatch(token):
            return [Dropout(token, shape, int(match["percent"]) / 100.0, self._draws)]
        if match := _POOLING.fullmatch(token):
            return [_pooling(token, _image(shape), match)]
        if token in _NORMALIZATIONS:  # of what comes in
            activation = self._chosen_activation(None)
            return _with_activation(lambda a: _NORMALIZATIONS[token](token, shape, a), activation)
        if token in _ACTIVATIONS:
            if token not in OWN_PASS:
                raise ValueError("it must follow a convolution, a dense layer or a normalization")
            return [Activation(token, shape)]
        return self._weighted(token, shape)

    def _weighted(self, token: str, shape: Shape) -> list[Layer]:
        """A convolution or dense layer, its normalization and its activation."""
        layers: list[Layer] = []
        if len(shape) == 3 and not _CONVOLUTION.fullmatch(token):
            layers.append(Flatten("flatten", shape))
            shape = layers[-1].output_shape
        if token == "out":
            return [*layers, Dense(token, shape[0], self._n_outputs)]
        normalization = self._take() if self._next() in _NORMALIZATIONS else None
        activation = self._chosen_activation(None if self._next() == ")" else self._activation)

        def make(own: str | None) -> Layer:
            bias = normalization is None
            if match := _CONVOLUTION.fullmatch(token):
                return _convolution(token, _image(shape), match, own, bias)
            return Dense(token, shape[0], _size("units", token), own, bias=bias)

        if normalization is None:
            return [*layers, *_with_activation(make, activation)]
        first = make(None)
        first.feeds = activation
        kind = _NORMALIZATIONS[normalization]
        return [*layers, first, *_with_activation(lambda a: kind(normalization, first.output_shape, a), activation)]

    def _chosen_activation(self, otherwise: str | None) -> str | None:
        return _ACTIVATIONS[self._take()] if self._next() in _ACTIVATIONS else otherwise

    def _residual(self, shape: Shape) -> list[Layer]:
        start = self._position
        body = self.layers(shape)
        self._take()  # the closing one
        activation = self._chosen_activation(self._activation)
        name = " ".join(("(", *self._tokens[start : self._position]))
        return _with_activation(lambda a: Residual(name, body, a), activation)


def _with_activation(make: Callable[[str | None], Layer], activation: str | None) -> list[Layer]:
    """Return the layer that `make` gives for an activation; one that no kernel adds becomes a layer of its own."""
    if activation not in OWN_PASS:
        return [make(activation)]
    layer = make(None)
    layer.feeds = activation
    return [layer, Activation(activation, layer.output_shape)]


def _image(shape: Shape) -> Shape:
    if len(shape) != 3:
        raise ValueError(f"it needs an image, but the shape here is {shape[0]} values (a dense layer stands before it)")
    return shape


def _convolution(token: str, shape: Shape, match: re.Match, activation: str | None, bias: bool) -> Conv2D:
    kernel, filters = _size("kernel", match["kernel"]), _size("filters", match["filters"])
    options = _options(match["options"])
    groups = options.get("groups", 1)
    if shape[2] % groups or filters % groups:
        sizes = f"the channels here ({shape[2]}) and the filters ({filters})"
        raise ValueError(f"groups must divide {sizes}, got {groups}")
    _check_extent(shape, options.get("dilation", 1) * (kernel - 1) + 1, options.get("padding", 0), "kernel", kernel)
    return Conv2D(token, shape, filters, kernel, activation=activation, bias=bias, **options)


def _pooling(token: str, shape: Shape, match: re.Match) -> Layer:
    size, options = _size("window", match["size"]), _options(match["options"])
    if options.get("padding", 0) >= size:
        raise ValueError(f"padding must be smaller than the window ({size}), got {options['padding']}")
    _check_extent(shape, size, options.get("padding", 0), "window", size)
    return (MaxPool2D if match["kind"] == "m" else AvgPool2D)(token, shape, size, **options)


def _check_extent(shape: Shape, extent: int, padding: int, what: str, size: int) -> None:
    if min(shape[:2]) + 2 * padding < extent:
        padded = f" (padded by {padding})" if padding else ""
        raise ValueError(f"the shape here is {shape[0]}x{shape[1]}{padded}: {what} {size} does not fit")


def _size(what: str, digits: str) -> int:
    number = int(digits) if len(digits) < 20 else _LARGEST + 1
    if not 1 <= number <= _LARGEST:
        raise ValueError(f"{what} must lie in 1..{_LARGEST}, got {digits[:20]}")
    return number


def _options(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for letter, digits in re.findall(r"([spdg])(\d+)", text):
        name = _OPTIONS[letter]
        if name in found:
            raise ValueError(f"{letter} ({name}) stands twice")
        found[name] = 0 if name == "padding" and not digits.strip("0") else _size(name, digits)
    return found


def _is_token(token: str) -> bool:
    return token in _WORDS or any(pattern.fullmatch(token) for pattern in (_CONVOLUTION, _POOLING, _DENSE, _DROPOUT))


def _flat(tokens: Sequence) -> Iterator[str]:
    """Yield tokens as text; a list within is a residual block."""
    for token in tokens:
        if isinstance(token, (list, tuple)):
            yield from ("(", *_flat(token), ")")
        else:
            yield _token_text(token)


def _token_text(token: object) -> str:
    if isinstance(token, bool) or not (isinstance(token, str) or hasattr(token, "__index__")):
        raise TypeError(f"architecture: tokens are strings or numbers of units, got {type(token).__name__} {token!r}")
    return token if isinstance(token, str) else str(token.__index__())


def _as_sequence(architecture: object) -> Sequence:
    if not isinstance(architecture, (list, tuple)):
        kind = type(architecture).__name__
        raise TypeError(f"architecture must be the name of a network, a string of tokens or a list of them, got {kind}")
    return architecture


def _unknown_name(name: str) -> str:
    near = difflib.get_close_matches(name, BY_NAME, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    names = ", ".join((*BY_NAME, *PATTERNS))
    return f"architecture: {name!r} is neither a network ({names}) nor a token{hint}. Tokens: {GRAMMAR}"
