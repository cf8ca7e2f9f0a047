"""Who reaches an accuracy first: the same network, weights, batches and optimizer, here and in PyTorch.

An epoch is a permutation that both get, cut into the same batches. The clock runs while a contestant trains, gathering its
batches included, and stands still while its accuracy on the test part is looked at after each epoch. The rate falls along
half a cosine: at a constant one both stay just below the target for as long as anybody waits. Contestants train their
epochs in turn, so that a machine that slows down slows all of them. PyTorch enters with whichever of its ways (memory
layouts, eager or compiled) takes such a step fastest here.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.errors import InputError
from bench.micro.contest import interleave
from bench.micro.peers import networks
from bench.micro.peers.networks import MOMENTUM, Setting
from kernels import load
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.optimizers import SGD
from models.training import Batches, training_step

#: What the registry's lenet5 trains with, but for the rate and its schedule. The L2 term is its alpha over the batch.
NETWORK, BATCH, LEARNING_RATE, WEIGHT_DECAY = "lenet5", 64, 0.05, 0.05 / 64
TARGET, MOST_EPOCHS = 0.90, 12
#: A first step's losses may differ by so much of themselves: sums in another order, in float32.
RELATIVE = 1e-4
CHOICE_S = 2.0


@dataclass(frozen=True, eq=False)
class Images:
    """Both parts, pixels with mean 0 and deviation 1 over the training part: (n, H, W, C) float32 and labels (n,)."""

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


class Ours:
    """A network of ours, trained step by step as the estimators train it."""

    def __init__(self, setting: Setting, images: Images, backend: str):
        self._k, self._setting, self._images = load(backend), setting, images
        n_classes = int(images.y_train.max()) + 1
        make = {"kernels": self._k, "max_batch": setting.batch, "n_threads": setting.n_threads}
        self._network = Network(setting.layers(), **make)
        self._eval = Network(setting.layers(), **make, training=False)
        self._loss = SoftmaxCrossEntropy(self._k, np.float32, setting.batch, n_classes, setting.n_threads)
        self._batches = Batches(images.X_train, images.y_train, None, setting.batch)
        self.restart()

    def restart(self) -> None:
        """Go back to the starting weights, with an optimizer that has seen nothing."""
        for own, value in zip(self._network.parameters, self._setting.initial(), strict=True):
            own[...] = value
        self._optimizer = SGD(self._network.vector, self._network.n_weights, LEARNING_RATE, momentum=MOMENTUM)

    def scale_rate(self, factor: float) -> None:
        """Take that part of the first rate from now on."""
        self._optimizer.scale_rate(factor)

    def step(self, rows: np.ndarray) -> float:
        """Train on these samples; return their loss."""
        x, y, _ = self._batches.take(rows)
        return training_step(self._network, self._loss, self._optimizer, x, y, weight_decay=WEIGHT_DECAY)

    def accuracy(self) -> float:
        """Return the accuracy on the test part."""
        self._eval.vector[...] = self._network.vector
        X, size = self._images.X_test, self._setting.batch
        found = [self._eval.forward(X[at : at + size]).argmax(axis=1) for at in range(0, len(X), size)]
        return float((np.concatenate(found) == self._images.y_test).mean())


class Torch:
    """The same network in PyTorch, as its own examples train."""

    def __init__(self, setting: Setting, images: Images, name: str):
        import torch

        torch.set_num_threads(setting.n_threads)
        self._layout = name.rpartition("-")[2]
        format = torch.channels_last if self._layout == "nhwc" else torch.contiguous_format
        self._X, self._X_test = (
            torch.from_numpy(X).permute(0, 3, 1, 2).contiguous(memory_format=format) for X in (images.X_train, images.X_test)
        )
        self._y, self._y_test = torch.from_numpy(images.y_train), images.y_test
        self._model = networks.torch_model(setting, self._layout)
        self._start = {key: value.clone() for key, value in self._model.state_dict().items()}
        entropy = torch.nn.functional.cross_entropy

        def loss_of(x, y):
            return entropy(self._model(x), y)

        self._loss_of = torch.compile(loss_of, dynamic=False) if "compiled" in name else loss_of
        self.restart()

    def restart(self) -> None:
        """Go back to the starting weights, with an optimizer that has seen nothing."""
        import torch

        self._model.load_state_dict(self._start)
        parameters = list(self._model.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.SGD(groups, LEARNING_RATE, momentum=MOMENTUM, nesterov=True, fused=True)

    def scale_rate(self, factor: float) -> None:
        """Take that part of the first rate from now on."""
        for group in self._optimizer.param_groups:
            group["lr"] = LEARNING_RATE * factor

    def step(self, rows: np.ndarray) -> float:
        """Train on these samples; return their loss."""
        import torch

        at = torch.from_numpy(rows)
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss_of(self._X.index_select(0, at), self._y.index_select(0, at))
        loss.backward()
        self._optimizer.step()
        return loss.item()

    def accuracy(self) -> float:
        """Return the accuracy on the test part."""
        import torch

        with torch.inference_mode():
            found = self._model(self._X_test).argmax(dim=1).numpy()
        return float((found == self._y_test).mean())


@dataclass
class Record:
    """What one contestant did: the seconds of each epoch, and the accuracy on the test part after it."""

    epoch_s: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def seconds_to(self, target: float) -> float | None:
        """Return the seconds of training until the accuracy was first reached, or None.

        Examples
        --------
        >>> record = Record([2.0, 2.0, 3.0], [0.8, 0.91, 0.89])
        >>> record.seconds_to(0.9), record.seconds_to(0.95)
        (4.0, None)
        """
        first = next((i for i, accuracy in enumerate(self.accuracy) if accuracy >= target), None)
        return None if first is None else sum(self.epoch_s[: first + 1])


def fastest_torch(setting: Setting, budget_s: float = CHOICE_S) -> tuple[str, dict[str, float]]:
    """Return the fastest of PyTorch's ways of taking such a step on this machine, and the seconds of each.

    Raises
    ------
    InputError
        PyTorch is not installed.
    """
    names = [n for n in networks.contestants("training", setting.network, (), with_peers=True) if n.startswith("torch")]
    if not names:
        raise InputError("the race needs PyTorch: pip install depthbench[peers]")
    calls = {}
    for name in names:
        try:
            calls[name] = networks.prepare("training", setting, name)
            calls[name]()
        except Exception:  # no compiler for torch.compile, say: then that way cannot enter
            calls.pop(name, None)
    step_s = {name: timing.median_s for name, timing in interleave(calls, budget_s=budget_s).items()}
    return min(step_s, key=step_s.get), step_s


def batches(n: int, size: int, rng: np.random.RandomState) -> list[np.ndarray]:
    """Return the samples of each batch of an epoch, drawn anew; the last batch has what is left."""
    order = rng.permutation(n)
    return [order[at : at + size] for at in range(0, n, size)]


def check(contestants: dict[str, Any], epoch: list[np.ndarray]) -> None:
    """Warm all up on the first and the last batch, hold their first losses together, and set them back.

    Raises
    ------
    InputError
        They do not compute the same thing; nothing was timed.
    """
    first = {name: contestant.step(epoch[0]) for name, contestant in contestants.items()}
    for contestant in contestants.values():
        contestant.step(epoch[-1])
        contestant.restart()
    low, high = min(first.values()), max(first.values())
    if not high - low <= RELATIVE * abs(high):
        raise InputError(f"the contestants' first losses differ, {first}: this would be no race of equals")


def race(
    contestants: dict[str, Any], n_train: int, batch: int, seed: int, *, target: float = TARGET, epochs: int = MOST_EPOCHS
) -> dict[str, Record]:
    """Train all, an epoch each in turn, until each has reached the target or had its epochs."""
    rng = np.random.RandomState(seed)
    records = {name: Record() for name in contestants}
    for number in range(epochs):
        epoch = batches(n_train, batch, rng)
        if number == 0:
            check(contestants, epoch)
        running = [name for name in contestants if records[name].seconds_to(target) is None]
        for name in running if number % 2 == 0 else reversed(running):
            step = contestants[name].step
            contestants[name].scale_rate((1 + math.cos(math.pi * number / epochs)) / 2)
            start = time.perf_counter()
            for rows in epoch:
                step(rows)
            records[name].epoch_s.append(time.perf_counter() - start)
            records[name].accuracy.append(contestants[name].accuracy())
    return records


def measure(images: Images, seed: int, *, target: float = TARGET, epochs: int = MOST_EPOCHS) -> dict[str, Any]:
    """Return what a race of ours and PyTorch's fastest way gave, from the weights and batches of one seed."""
    from kernels.threads import set_threads

    set_threads(1)
    setting = Setting(NETWORK, BATCH, 1, seed)
    peer, step_s = fastest_torch(setting)
    contestants = {"cython": Ours(setting, images, "cython"), peer: Torch(setting, images, peer)}
    records = race(contestants, len(images.X_train), BATCH, seed, target=target, epochs=epochs)
    return {
        "seed": seed, "network": NETWORK, "batch": BATCH, "learning_rate": LEARNING_RATE, "momentum": MOMENTUM,
        "weight_decay": WEIGHT_DECAY, "target": target, "most_epochs": epochs, "torch": peer, "torch_step_s": step_s,
        "records": {
            name: {"epoch_s": r.epoch_s, "accuracy": r.accuracy, "seconds": r.seconds_to(target)}
            for name, r in records.items()
        },
    }  # fmt: skip
