"""Contests between whole networks: a training step, or a forward pass, checked and then timed side by side."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.micro.contest import AGAIN, Result, interleave
from bench.micro.peers import networks
from bench.micro.peers.networks import Setting

#: What is asked of a first step's loss and of logits, relative to the largest of them: sums of some hundred products in
#: float32, in another order through up to seven layers.
RELATIVE = 1e-4

TASKS = ("training", "inference")

#: (network, batch) of each preset, by task.
PRESETS = {
    "S": {"training": (("lenet5", 32), ("mlp", 32)), "inference": (("lenet5", 1), ("mlp", 1))},
    "M": {
        "training": tuple((n, b) for n in ("lenet5", "conv16_32", "conv32_64", "vgg_small", "mlp") for b in (32, 128)),
        "inference": tuple(
            (n, b) for n in ("lenet5", "conv16_32", "conv32_64", "vgg_small", "mlp") for b in (1, 32, 1000)
        ),
    },
    "L": {"training": (("vgg_small", 256), ("mlp", 512)), "inference": (("vgg_small", 4000),)},
}


@dataclass(frozen=True)
class NetworkContest:
    """One network on one batch, in training or not."""

    task: str
    setting: Setting

    @property
    def case(self) -> str:
        return f"{self.setting.network}_b{self.setting.batch}"

    @property
    def title(self) -> str:
        return f"{self.task} {self.case} float32 {self.setting.n_threads}t"

    @property
    def flops(self) -> int:
        """FLOPs of a pass, or of a step: as many again for each of the two gradients, but for the first layer's input."""
        layers = self.setting.layers()
        forward = sum(layer.flops for layer in layers)
        first = next(layer.flops for layer in layers if layer.parameters)
        return self.setting.batch * (forward if self.task == "inference" else 3 * forward - first)


def hold_networks(contest: NetworkContest, names: list[str], *, budget_s: float) -> dict[str, Result]:
    """Check every contestant's first answer against the reference backend's, then time the right ones side by side."""
    expected = _first_answer(networks.prepare(contest.task, contest.setting, "reference"))
    calls, results = {}, {}
    for name in names:
        start = time.perf_counter()
        try:
            call = networks.prepare(contest.task, contest.setting, name)
            wrong = _difference(name, expected, _first_answer(call))
        except Exception as error:  # whatever a peer raises (no compiler, a version it does not like) is its answer
            wrong = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        seconds = time.perf_counter() - start
        results[name] = Result(name, wrong, seconds, flops=contest.flops)
        if wrong is None:
            calls[name] = call
    if not calls:
        return results
    first = next(iter(calls))
    racers: dict[str, Any] = dict(calls)
    if first != "reference":
        racers[AGAIN] = networks.prepare(contest.task, contest.setting, first)
    threaded = contest.setting.n_threads > 1
    timings = interleave(racers, budget_s=budget_s, few_rounds=("reference",), threaded=threaded, in_a_row=True)
    shapes = "x".join(map(str, contest.setting.data()[0].shape))
    for name in calls:
        aa_ratio = timings[AGAIN].median_s / timings[name].median_s if AGAIN in racers and name == first else None
        results[name] = Result(
            name, None, results[name].first_call_s, shapes, contest.flops, 0, timings[name], aa_ratio
        )
    return results


def _first_answer(call) -> np.ndarray:
    return np.array(call(), dtype=np.float64)  # a copy: the buffer is written again


def _difference(name: str, expected: np.ndarray, actual: np.ndarray) -> str | None:
    if name.endswith(" predict"):  # labels of a model of its own
        return None if actual.shape == expected.shape[:1] else f"labels of shape {actual.shape}"
    if name == "sklearn" and expected.ndim:  # probabilities
        e = np.exp(expected - expected.max(axis=1, keepdims=True))
        expected = e / e.sum(axis=1, keepdims=True)
    if actual.shape != expected.shape:
        return f"shape {actual.shape}, expected {expected.shape}"
    if not np.isfinite(actual).all():
        return "not finite"
    worst, allowed = float(np.abs(actual - expected).max(initial=0.0)), RELATIVE * float(np.abs(expected).max(initial=0.0))
    return None if worst <= allowed else f"off by {worst:.3g}, allowed {allowed:.3g}"
