"""Trainings that go on where they were cut off, mixed into estimators that have a parameter ``checkpoint``."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import numpy as np

from models import checkpoints
from models.network import Network

#: Parameters that change nothing of what is learned.
_BESIDE_THE_POINT = ("checkpoint", "verbose", "n_jobs", "backend")


class Resuming:
    """Reads and writes the checkpoint around the epochs of :class:`models.training.StochasticTraining`."""

    _checkpoint_key: str | None = None
    #: Seconds that the training had taken before it was taken up; None where it was not.
    resumed_s_: float | None = None

    def _begin(self, X: np.ndarray, labels: np.ndarray, weight: np.ndarray | None, incremental: bool) -> None:
        """Note what this training is: of what, by which parameters, from which start."""
        self._checkpoint_key, self.resumed_s_, self._started_s = None, None, time.perf_counter()
        if self.checkpoint is None or incremental:
            return
        settings = {k: v for k, v in self.get_params(deep=False).items() if k not in _BESIDE_THE_POINT}
        keys, rest = checkpoints.random_state(self._random_state)
        start = (*self.coefs_, *self.intercepts_, *self.statistics_)  # what a warm start begins from
        self._checkpoint_key = checkpoints.digest({**settings, "rest": rest}, X, labels, weight, keys, *start)

    def _resumed(self, network: Network, order: np.ndarray | None) -> np.ndarray | None:
        if self._checkpoint_key is None:
            return order
        found = checkpoints.read(Path(self.checkpoint), self._checkpoint_key)
        if found is None:
            return order
        arrays, values = found
        network.memory[...] = arrays["network"]
        self._optimizer.restore(arrays, values["optimizer"])
        checkpoints.restore_random_state(self._random_state, arrays["random_keys"], values["random_rest"])
        if values["generator"] is not None:
            self._generator.bit_generator.state = values["generator"]
        self.resumed_s_ = values["elapsed_s"]
        for name, value in values["history"].items():
            setattr(self, name, value)
        if "best" in arrays:
            self._best_parameters = arrays["best"].copy()
        return arrays["order"].copy() if order is not None else None

    def _epoch_done(self, network: Network, order: np.ndarray | None) -> None:
        if self._checkpoint_key is None:
            return
        arrays, optimizer = self._optimizer.state()
        keys, rest = checkpoints.random_state(self._random_state)
        arrays = {**arrays, "network": network.memory, "random_keys": keys}
        if order is not None:
            arrays["order"] = order
        if self._best_parameters is not None:
            arrays["best"] = self._best_parameters
        history = (
            "n_iter_", "t_", "loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_",
            "_no_improvement_count",
        )  # fmt: skip
        values = {
            "elapsed_s": (self.resumed_s_ or 0.0) + time.perf_counter() - self._started_s - self._outside_s,
            "optimizer": optimizer,
            "random_rest": rest,
            "history": {name: getattr(self, name) for name in history},
            "generator": None if self._generator is None else self._generator.bit_generator.state,
        }
        try:
            checkpoints.write(Path(self.checkpoint), self._checkpoint_key, arrays, values)
        except OSError as error:  # a full disk must not end a training
            warnings.warn(f"checkpoint {self.checkpoint} not written: {error.strerror or error}", stacklevel=2)
