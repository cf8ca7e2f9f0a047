"""Networks by name, as data; the tokens are those of ``models/architectures.py``.

To add a network: one `Architecture` here, and a line in ``models/catalog.py`` for suites to train it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


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


def _resnet(blocks: int) -> tuple[str, ...]:
    """The network for 32x32 images of He et al. 2016, section 4.2, with three times `blocks` blocks of two layers."""
    tokens = ["c16k3p1", "bn"]
    for filters in (16, 32, 64):
        for i in range(blocks):
            stride = "s2" if filters > 16 and i == 0 else ""
            tokens += ["(", f"c{filters}k3{stride}p1", "bn", f"c{filters}k3p1", "bn", ")"]
    return (*tokens, "gap", "out")


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture("lenet5", _tokens("c6k5p2 m2 c16k5 m2 120 84 out"), (28, 28, 1),
                 "LeCun et al. 1998, with ReLU and max pooling"),
    Architecture("conv16_32", _tokens("c16k3p1 m2 c32k3p1 m2 out"), (8, 8, 1), "two small convolutions, for 8x8 digits"),
    Architecture("conv32_64", _tokens("c32k3p1 m2 c64k3p1 m2 128 out"), (28, 28, 1),
                 "two convolutions and a dense layer, for 28x28 images"),
    Architecture("conv48_96", _tokens("c48k3p1 bn m2 c96k3p1 bn m2 drop25 out"), (28, 28, 1),
                 "two convolutions with batch normalization, under 100,000 parameters"),
    Architecture("vgg_small", _tokens("c32k3p1 c32k3p1 m2 c64k3p1 c64k3p1 m2 c128k3p1 m2 256 out"), (32, 32, 3),
                 "five 3x3 convolutions after Simonyan & Zisserman 2015, for 32x32 colour images"),
    Architecture("vgg_small_bn",
                 _tokens("c32k3p1 bn c32k3p1 bn m2 c64k3p1 bn c64k3p1 bn m2 c128k3p1 bn m2 drop25 256 bn drop50 out"),
                 (32, 32, 3), "vgg_small with batch normalization (Ioffe & Szegedy 2015) and dropout"),
    Architecture("vgg_tiny_bn",
                 _tokens("c32k3p1 bn c32k3p1 bn m2 drop10 c64k3p1 bn c64k3p1 bn gap drop30 out"),
                 (8, 8, 1), "four 3x3 convolutions with batch normalization, for 8x8 digits"),
    Architecture("vgg_narrow_bn",
                 _tokens("c32k3p1 bn c32k3p1 bn m2 drop10 c64k3p1 bn c64k3p1 bn m2 drop20 "
                         "c128k3p1 bn c128k3p1 bn gap drop30 out"),
                 (28, 28, 1), "six 3x3 convolutions with batch normalization, half as wide, for 28x28 images"),
    Architecture("vgg_mid_bn",
                 _tokens("c48k3p1 bn c48k3p1 bn m2 drop10 c96k3p1 bn c96k3p1 bn m2 drop20 "
                         "c192k3p1 bn c192k3p1 bn gap drop30 out"),
                 (28, 28, 1), "six 3x3 convolutions with batch normalization, between narrow and wide, for 28x28 images"),
    Architecture("vgg_wide_bn",
                 _tokens("c64k3p1 bn c64k3p1 bn m2 drop20 c128k3p1 bn c128k3p1 bn m2 drop30 "
                         "c256k3p1 bn c256k3p1 bn gap drop40 out"),
                 (28, 28, 1), "six 3x3 convolutions with batch normalization, for 28x28 images"),
    Architecture("alexnet_small",
                 _tokens("c64k5p2 m3s2p1 c96k5p2 m3s2p1 c128k3p1 c128k3p1 c96k3p1 m3s2p1 256 drop50 256 drop50 out"),
                 (32, 32, 3), "the shape of Krizhevsky et al. 2012, five convolutions and three dense layers, for 32x32"),
    Architecture("resnet20", _resnet(3), (32, 32, 3), "He et al. 2016 for CIFAR-10, 0.27 million parameters"),
    Architecture("resnet56", _resnet(9), (32, 32, 3), "He et al. 2016 for CIFAR-10, 0.85 million parameters"),
    Architecture("resnet110", _resnet(18), (32, 32, 3), "He et al. 2016 for CIFAR-10, 1.7 million parameters"),
)  # fmt: skip

BY_NAME = {architecture.name: architecture for architecture in ARCHITECTURES}

#: Networks of any depth: name with <depth> -> its tokens. All hidden layers have 100 units.
PATTERNS: dict[str, Callable[[int], tuple[str, ...]]] = {
    "mlp_relu_<depth>": lambda depth: ("100",) * depth + ("out",),
    "mlp_sigmoid_<depth>": lambda depth: ("100", "sigmoid") * depth + ("out",),
    "mlp_residual_<depth>": lambda depth: ("100", *("(", "100", ")") * (depth - 1), "out"),
}
#: Deeper ones are typing errors.
_DEEPEST = 1000


def find(name: str) -> tuple[str, ...] | None:
    """Return the tokens of a network by name, or None where there is none of that name.

    Raises
    ------
    ValueError
        A depth that no network has.

    Examples
    --------
    >>> find("mlp_residual_3")
    ('100', '(', '100', ')', '(', '100', ')', 'out')
    >>> find("nothing") is None
    True
    """
    if name in BY_NAME:
        return BY_NAME[name].tokens
    for pattern, tokens in PATTERNS.items():
        match = re.fullmatch(pattern.replace("<depth>", r"(\d{1,9})"), name, re.ASCII)
        if match:
            depth = int(match[1])
            if not 1 <= depth <= _DEEPEST:
                raise ValueError(f"architecture {name!r}: the depth must lie in 1..{_DEEPEST}, got {depth}")
            return tokens(depth)
    return None
