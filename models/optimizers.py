"""Stochastic gradient descent with momentum, Adam and AdamW, on a network's one parameter vector.

The first `n_weights` parameters are weights, to which the L2 term applies; the rest are biases, to which it does not.
So an update is two kernel calls, whatever the depth, or one where nothing decays.

The kernels keep the velocity as a sum of gradients (PyTorch), scikit-learn as a sum of steps, -learning_rate times as
much. Both give the same steps while the rate stands still; where it changes, scikit-learn's velocity keeps the old
steps. `SGD` has that meaning: it scales its velocity by old / new rate.

Sources: Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013; Kingma & Ba,
"Adam: a method for stochastic optimization", ICLR 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kernels import Kernels
from kernels.api import Binding

#: Below this the schedule "adaptive" stops.
SMALLEST_RATE = 1e-6


class Optimizer:
    """What SGD and Adam share: the two parts of the parameters, and the end of an epoch.

    Parameters
    ----------
    vector : ndarray (n_parameters,)
        Its size and dtype size the state; it is not kept.
    n_weights : int
        How many parameters, from the first on, decay.
    """

    def __init__(self, vector: np.ndarray, n_weights: int, learning_rate_init: float):
        self.learning_rate_init = learning_rate_init
        self.learning_rate = float(learning_rate_init)
        self._parts = (slice(0, n_weights), slice(n_weights, vector.size))
        self._whole = (slice(0, vector.size),)
        self._bound: dict[tuple, tuple] = {}  # (part, kernels) -> what the call depends on, and the call

    def __getstate__(self):  # a copy binds calls of its own
        return {**self.__dict__, "_bound": {}}

    def _call(self, kernels: Kernels, part: slice, settings: tuple, bind: Callable[[], Binding]) -> Binding:
        """Return the bound call for a part of the parameters, bound anew where what it depends on has changed."""
        bound, call = self._bound.get((part.start, kernels), ((None,) * len(settings), None))
        if any(a is not b and (isinstance(b, np.ndarray) or a != b) for a, b in zip(bound, settings, strict=True)):
            call = bind()
            self._bound[part.start, kernels] = settings, call
        return call

    def update(
        self, kernels: Kernels, vector: np.ndarray, gradient: np.ndarray, *, weight_decay: float = 0.0, n_threads=1
    ):
        """Move `vector` one step, in place; `weight_decay` times a weight is added to its gradient."""
        if weight_decay < 0.0:  # negative sample weights: no kernel takes that for a decay
            gradient[self._parts[0]] += weight_decay * vector[self._parts[0]]
            weight_decay = 0.0
        parts = self._whole if weight_decay == 0.0 else self._parts
        for part, decay in zip(parts, (weight_decay, 0.0), strict=False):
            if part.stop > part.start:
                self._update(kernels, part, vector, gradient, decay, n_threads)

    def _update(self, kernels, part, vector, gradient, weight_decay, n_threads):
        raise NotImplementedError

    def scale_rate(self, factor: float) -> None:
        """Take `factor` times the first learning rate from now on; what has been gathered of gradients stays."""
        self.learning_rate = float(self.learning_rate_init) * factor

    def state(self) -> tuple[dict[str, np.ndarray], dict]:
        """Return arrays and plain values that a training needs to go on."""
        raise NotImplementedError

    def restore(self, arrays: dict[str, np.ndarray], values: dict) -> None:
        """Set what :meth:`state` returned."""
        raise NotImplementedError

    def epoch_ends(self, n_samples_seen: int) -> None:
        """Follow the schedule of the learning rate."""

    def should_stop(self, message: str, verbose: bool) -> bool:
        """Whether training ends where nothing improves any more; the schedule "adaptive" lowers its rate first."""
        if verbose:
            print(message + " Stopping.")
        return True


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    schedule : {"constant", "invscaling", "adaptive"}
        As scikit-learn's ``learning_rate``: unchanged; learning_rate_init / (samples seen + 1)**power_t; divided by 5
        whenever training stands still.

    Examples
    --------
    >>> import kernels
    >>> w = np.array([1.0])
    >>> optimizer = SGD(w, 1, learning_rate_init=0.25, momentum=0.5, nesterov=False)
    >>> optimizer.update(kernels.load("reference"), w, np.array([2.0]))
    >>> w
    array([0.5])
    """

    def __init__(
        self, vector, n_weights, learning_rate_init=0.001, *, schedule="constant", momentum=0.9, nesterov=True,
        power_t=0.5,
    ):  # fmt: skip
        super().__init__(vector, n_weights, learning_rate_init)
        self.schedule = schedule
        self.momentum = momentum
        self.nesterov = bool(nesterov)
        self.power_t = power_t
        self.velocity = np.zeros_like(vector)

    def _update(self, kernels, part, vector, gradient, weight_decay, n_threads):
        self._call(
            kernels, part, (vector, gradient, weight_decay, n_threads, self.learning_rate),
            lambda: kernels.bind(
                "sgd_update", vector[part], gradient[part], self.velocity[part], learning_rate=self.learning_rate,
                momentum=self.momentum, nesterov=self.nesterov, weight_decay=weight_decay, n_threads=n_threads,
            ),
        )()  # fmt: skip

    def state(self):
        return {"velocity": self.velocity}, {"learning_rate": self.learning_rate}

    def restore(self, arrays, values):
        self.velocity[...] = arrays["velocity"]
        self.learning_rate = values["learning_rate"]

    def _change_rate(self, rate: float) -> None:
        if rate > 0.0:
            self.velocity *= self.learning_rate / rate
        self.learning_rate = rate

    def epoch_ends(self, n_samples_seen):
        if self.schedule == "invscaling":
            self._change_rate(float(self.learning_rate_init) / (n_samples_seen + 1) ** self.power_t)

    def should_stop(self, message, verbose):
        if self.schedule != "adaptive":
            return super().should_stop(message, verbose)
        if self.learning_rate <= SMALLEST_RATE:
            return super().should_stop(message + " Learning rate too small.", verbose)
        self._change_rate(self.learning_rate / 5.0)
        if verbose:
            print(f"{message} Setting learning rate to {self.learning_rate:f}")
        return False


class Adam(Optimizer):
    """Adam.

    `epsilon` is added to the square root of the uncorrected second moment ("epsilon hat" in section 2 of the paper),
    as scikit-learn does. The kernel adds its own to the corrected one, so it gets epsilon / sqrt(1 - beta_2**step),
    which is the same exactly.

    Examples
    --------
    >>> import kernels
    >>> w = np.array([1.0])
    >>> Adam(w, 1, learning_rate_init=0.5).update(kernels.load("reference"), w, np.array([2.0]))
    >>> w.round(6)
    array([0.5])
    """

    def __init__(self, vector, n_weights, learning_rate_init=0.001, *, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        super().__init__(vector, n_weights, learning_rate_init)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.step = 0
        self._factor = 1.0
        self.m = np.zeros_like(vector)
        self.v = np.zeros_like(vector)

    @property
    def _rate(self) -> float:
        return self.learning_rate_init * self._factor

    def scale_rate(self, factor):
        self._factor = float(factor)

    def state(self):
        return {"m": self.m, "v": self.v}, {"step": self.step, "factor": self._factor}

    def restore(self, arrays, values):
        self.m[...], self.v[...] = arrays["m"], arrays["v"]
        self.step, self._factor = values["step"], values["factor"]

    def update(self, kernels, vector, gradient, *, weight_decay=0.0, n_threads=1):
        self.step += 1
        correction = math.sqrt(1.0 - self.beta_2**self.step)
        self.learning_rate = self._rate * correction / (1.0 - self.beta_1**self.step)
        self._epsilon_of_step = self.epsilon / correction
        super().update(kernels, vector, gradient, weight_decay=weight_decay, n_threads=n_threads)

    def _update(self, kernels, part, vector, gradient, weight_decay, n_threads):
        numbers = {
            "step": self.step, "learning_rate": self._rate, "epsilon": self._epsilon_of_step, "weight_decay": weight_decay,
        }  # fmt: skip
        call = self._call(
            kernels, part, (vector, gradient, n_threads),
            lambda: kernels.bind(
                "adam_update", vector[part], gradient[part], self.m[part], self.v[part], beta_1=self.beta_1,
                beta_2=self.beta_2, n_threads=n_threads, **numbers,
            ),
        )  # fmt: skip
        call.run_with(**numbers)


class AdamW(Adam):
    """Adam whose weight decay is no part of the gradient: each step takes learning_rate * weight_decay of a weight away.

    Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2, as in PyTorch.

    Examples
    --------
    >>> import kernels
    >>> w = np.array([1.0])
    >>> AdamW(w, 1, learning_rate_init=0.5).update(kernels.load("reference"), w, np.array([0.0]), weight_decay=0.1)
    >>> w
    array([0.95])
    """

    def update(self, kernels, vector, gradient, *, weight_decay=0.0, n_threads=1):
        if weight_decay:
            vector[self._parts[0]] *= 1.0 - self._rate * weight_decay
        super().update(kernels, vector, gradient, n_threads=n_threads)
