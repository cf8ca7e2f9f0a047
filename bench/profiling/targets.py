"""What can be profiled, by name: every kernel, every named network, and multi-layer perceptrons.

A perceptron is ``mlp`` (784-256-128-10, the network that the published comparisons use) or ``mlp_<units>_<units>...``:
``mlp_100`` has one hidden layer of 100 units.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.errors import InputError
from bench.names import suggestion

N_CLASSES = 10
_MLP = re.compile(r"mlp((?:_[1-9]\d{0,4})*)", re.ASCII)
_MLP_HIDDEN = ("256", "128")
_MLP_INPUT = (784,)


@dataclass(frozen=True)
class Target:
    """A kernel (`architecture` is None), or a network with the shape of its input."""

    name: str
    architecture: tuple[str, ...] | None = None
    input_shape: tuple[int, ...] | None = None

    @property
    def is_kernel(self) -> bool:
        return self.architecture is None


def names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the kernels and of the networks."""
    from kernels.spec import BY_NAME
    from models.architectures import ARCHITECTURES

    return tuple(BY_NAME), (*(a.name for a in ARCHITECTURES), "mlp", "mlp_<units>")


def find(name: str) -> Target:
    """Return the target of a name.

    Raises
    ------
    InputError
        Unknown; the message says what there is, the nearest first.

    Examples
    --------
    >>> find("mlp_64_32")
    Target(name='mlp_64_32', architecture=('64', '32', 'out'), input_shape=(784,))
    >>> find("conv2d").is_kernel
    True
    """
    from kernels.spec import BY_NAME
    from models.architectures import BY_NAME as ARCHITECTURES

    if name in BY_NAME:
        return Target(name)
    if name in ARCHITECTURES:
        network = ARCHITECTURES[name]
        return Target(name, tuple(network.tokens), tuple(network.made_for))
    if match := _MLP.fullmatch(name):
        hidden = tuple(match[1].split("_")[1:]) or _MLP_HIDDEN
        return Target(name, (*hidden, "out"), _MLP_INPUT)
    kernels, networks = names()
    raise InputError(
        f"unknown target {name!r}{suggestion(name, (*kernels, *networks))}\n"
        f"Kernels: {', '.join(kernels)}\nTraining steps: {', '.join(networks)}"
    )
