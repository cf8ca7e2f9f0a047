"""Networks as data: a list of tokens, and the few lines that turn tokens into layers.

======================================  ============================================================
token                                   layer
======================================  ============================================================
``c6k5``                                convolution, 6 filters of 5x5; options ``s`` stride, ``p``
                                        padding, ``d`` dilation, ``g`` groups: ``c16k3s2p1``
``m2``                                  max pooling over 2x2; options ``s`` stride (2 here), ``p``
``a2``                                  average pooling, likewise
``120``                                 dense layer of 120 units (flattens images first)
``out``                                 dense layer with one unit per class; stands last, and once
======================================  ============================================================

The activation follows every convolution and dense layer but ``out``.

>>> parse("c6k5p2 m2 120 out")
('c6k5p2', 'm2', '120', 'out')
>>> [layer.output_shape for layer in build(["c6k5p2", "m2", "120", "out"], (28, 28, 1), 10)]
[(28, 28, 6), (14, 14, 6), (1176,), (120,), (10,)]
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from models.layers import AvgPool2D, Conv2D, Dense, Flatten, Layer, MaxPool2D, Shape

GRAMMAR = (
    "c<filters>k<size> with s<stride>, p<padding>, d<dilation>, g<groups> (convolution), "
    "m<size> or a<size> with s<stride>, p<padding> (max and average pooling), <units> (dense), out (last)"
)

#: Sizes above this are typing errors, and would overflow arithmetic further on.
_LARGEST = 2**24

_CONVOLUTION = re.compile(r"c(?P<filters>\d+)k(?P<kernel>\d+)(?P<options>(?:[spdg]\d+)*)", re.ASCII)
_POOLING = re.compile(r"(?P<kind>[ma])(?P<size>\d+)(?P<options>(?:[sp]\d+)*)", re.ASCII)
_DENSE = re.compile(r"\d+", re.ASCII)
_OPTIONS = {"s": "stride", "p": "padding", "d": "dilation", "g": "groups"}


@dataclass(frozen=True)
class Architecture:
    """A named network.

    Attributes
    ----------
    made_for : (H, W, C)
        The images it was made for; others work where the shapes allow.
    """

    name: str
    tokens: tuple[str, ...]
    made_for: tuple[int, int, int]
    summary: str


ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture("lenet5", ("c6k5p2", "m2", "c16k5", "m2", "120", "84", "out"), (28, 28, 1),
                 "LeCun et al. 1998, with ReLU and max pooling"),
    Architecture("conv16_32", ("c16k3p1", "m2", "c32k3p1", "m2", "out"), (8, 8, 1),
                 "two small convolutions, for 8x8 digits"),
    Architecture("conv32_64", ("c32k3p1", "m2", "c64k3p1", "m2", "128", "out"), (28, 28, 1),
                 "two convolutions and a dense layer, for 28x28 images"),
    Architecture("vgg_small", ("c32k3p1", "c32k3p1", "m2", "c64k3p1", "c64k3p1", "m2", "c128k3p1", "m2", "256", "out"),
                 (32, 32, 3), "five 3x3 convolutions after Simonyan & Zisserman 2015, for 32x32 colour images"),
)  # fmt: skip

BY_NAME = {architecture.name: architecture for architecture in ARCHITECTURES}


def parse(architecture: str | Sequence[str | int]) -> tuple[str, ...]:
    """Return the tokens of a named network, a string of tokens or a list of them, each checked by itself.

    Raises
    ------
    ValueError
        Naming the token that does not fit, and what may stand there.
    TypeError
        Where a list holds something other than tokens.

    Examples
    --------
    >>> parse("conv16_32")
    ('c16k3p1', 'm2', 'c32k3p1', 'm2', 'out')
    >>> parse([32, "out"])
    ('32', 'out')
    """
    if isinstance(architecture, str):
        if architecture in BY_NAME:
            return BY_NAME[architecture].tokens
        tokens = tuple(architecture.split())
        if len(tokens) == 1 and not _is_token(tokens[0]):
            raise ValueError(_unknown_name(architecture))
    else:
        tokens = tuple(_token_text(token) for token in _as_sequence(architecture))
    if not tokens:
        raise ValueError(f"architecture is empty; it needs at least the token 'out'. Tokens: {GRAMMAR}")
    for token in tokens:
        if not _is_token(token):
            raise ValueError(f"architecture: unknown token {token!r}. Tokens: {GRAMMAR}")
    if tokens[-1] != "out":
        raise ValueError(f"architecture must end with the token 'out', got {tokens[-1]!r}")
    if "out" in tokens[:-1]:
        raise ValueError("architecture: the token 'out' stands last, and once")
    return tokens


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
    layers: list[Layer] = []
    shape = tuple(input_shape)
    for position, token in enumerate(parse(architecture), start=1):
        if len(shape) == 3 and (token == "out" or _DENSE.fullmatch(token)):
            layers.append(Flatten("flatten", shape))
            shape = layers[-1].output_shape
        try:
            layers.append(_layer(token, shape, n_outputs, activation))
        except ValueError as error:
            raise ValueError(f"architecture: {token!r} (layer {position}) does not fit: {error}") from None
        shape = layers[-1].output_shape
    return layers


def _layer(token: str, shape: Shape, n_outputs: int, activation: str | None) -> Layer:
    if token == "out":
        return Dense(token, shape[0], n_outputs)
    if _DENSE.fullmatch(token):
        return Dense(token, shape[0], _size("units", token), activation)
    if len(shape) != 3:
        raise ValueError(f"it needs an image, but the shape here is {shape[0]} values (a dense layer stands before it)")
    if match := _CONVOLUTION.fullmatch(token):
        return _convolution(token, shape, match, activation)
    return _pooling(token, shape, _POOLING.fullmatch(token))


def _convolution(token: str, shape: Shape, match: re.Match, activation: str | None) -> Conv2D:
    kernel, filters = _size("kernel", match["kernel"]), _size("filters", match["filters"])
    options = _options(match["options"])
    groups = options.get("groups", 1)
    if shape[2] % groups or filters % groups:
        sizes = f"the channels here ({shape[2]}) and the filters ({filters})"
        raise ValueError(f"groups must divide {sizes}, got {groups}")
    _check_extent(shape, options.get("dilation", 1) * (kernel - 1) + 1, options.get("padding", 0), "kernel", kernel)
    return Conv2D(token, shape, filters, kernel, activation=activation, **options)


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
    return token == "out" or any(pattern.fullmatch(token) for pattern in (_CONVOLUTION, _POOLING, _DENSE))


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
    return f"architecture: {name!r} is neither a network ({', '.join(BY_NAME)}) nor a token{hint}. Tokens: {GRAMMAR}"
