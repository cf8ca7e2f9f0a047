"""What can be profiled, by name: every kernel, every named network, and multi-layer perceptrons.

A perceptron is ``mlp`` (784-256-128-10, the network that the published comparisons use) or ``mlp_<units>_<units>...``:
``mlp_100`` has one hidden layer of 100 units.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import InputError
from bench.names import suggestion

if TYPE_CHECKING:
    import numpy as np

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
    n_classes: int = N_CLASSES
    dataset: str | None = None

    @property
    def title(self) -> str:
        return self.name + (f" on {self.dataset}" if self.dataset else "")

    @property
    def is_kernel(self) -> bool:
        return self.architecture is None


def names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the kernels and of the networks."""
    from kernels.spec import BY_NAME
    from models.named import ARCHITECTURES

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
    from models.named import BY_NAME as ARCHITECTURES

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


def with_data(
    target: Target, name: str | None, path: Path | None, label: str | None, batch: int, dtype: str
) -> tuple[Target, tuple[np.ndarray, np.ndarray]]:
    """Return a network's target fitted to a data set, and the set's samples as the network takes them.

    They are brought to mean 0 and variance 1 with two numbers for all, as the estimators do.

    Raises
    ------
    InputError
        Unknown or unreadable data, numbers to predict instead of classes, a table for a network of images, fewer samples than
        the batch.
    """
    import numpy as np

    from bench.datasets import CLASSIFICATION, load

    if name is not None and path is not None:
        raise InputError(f"--dataset {name} and --data {path}: give one of them")
    data = load(name or path.stem, None if path is None else str(path), label)
    where = f"dataset {data.name!r}"
    if data.task != CLASSIFICATION:
        raise InputError(f"{where} has numbers to predict; a profiled network tells classes apart")
    if len(data.X) < batch:
        raise InputError(f"{where} has {len(data.X)} samples: --batch must be at most that, got {batch}")
    takes_images = len(target.input_shape) == 3
    if takes_images and data.image_shape is None:
        raise InputError(f"{where} is a table; {target.name} takes images (mlp takes tables)")
    shape = data.image_shape if takes_images else data.X.shape[1:]
    rows = np.arange(len(data.X))
    x = data.fold(rows, rows)[0].astype(np.float64)
    x = np.ascontiguousarray(((x - x.mean()) / (x.std() or 1.0)).reshape(-1, *shape), dtype)
    return replace(target, input_shape=tuple(shape), n_classes=len(data.classes), dataset=data.name), (x, data.y)
