"""Training: batches, steps, epochs and stopping rules. One loop for all estimators.

The loop is that of scikit-learn's multi-layer perceptrons, down to the order in which random numbers are drawn, so that
one seed gives the same batches here and there. What differs is below it: a batch is gathered into buffers that are
made once, and a step is a forward pass, a loss, a backward pass and an update on memory that is there already.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches, shuffle

from models.layers import Rows
from models.losses import Loss, weight_sum
from models.network import Network
from models.optimizers import Optimizer
from models.schedules import Schedule


class DivergenceError(ArithmeticError):
    """The loss of a network became infinite or NaN during training."""


class Batches:
    """The samples of a training set, batch by batch, in buffers made once.

    Parameters
    ----------
    X : ndarray (n, \\*input_shape) or CSR matrix
    target : ndarray (n,) or (n, K)
    weight : ndarray (n,), optional
    max_batch : int
    shift, scale : float
        Each batch is (x - shift) * scale.
    change : callable, optional
        Called with each batch after that, which it may change in place (``models/augmentation.py``).
    """

    def __init__(
        self, X, target: np.ndarray, weight: np.ndarray | None, max_batch: int, *, shift=0.0, scale=1.0,
        change: Callable[[np.ndarray], None] | None = None,
    ):  # fmt: skip
        self._X, self._target, self._weight = X, target, weight
        self._change = change
        self._shift, self._scale = shift, scale
        self._sparse = scipy.sparse.issparse(X)
        self._x_rows = None if self._sparse else Rows(np.empty((max_batch, *X.shape[1:]), X.dtype))
        self._target_rows = Rows(np.empty((max_batch, *target.shape[1:]), target.dtype))
        self._weight_rows = None if weight is None else Rows(np.empty(max_batch, weight.dtype))

    def take(self, rows: np.ndarray | slice) -> tuple:
        """Return x, target and weight of some samples; valid until the next call."""
        if isinstance(rows, slice):
            weight = None if self._weight is None else self._weight[rows]
            x = self._X[rows]
            if self._change is not None:  # in a buffer: the data stay as they are
                x = self._x_rows(x.shape[0])
                x[...] = self._X[rows]
            return self._changed(self._scaled(x, in_place=self._change is not None)), self._target[rows], weight
        # mode="clip" writes straight into `out`; the default would go through a buffer of its own.
        n = len(rows)
        target = np.take(self._target, rows, axis=0, out=self._target_rows(n), mode="clip")
        weight = self._weight
        if weight is not None:
            weight = np.take(weight, rows, out=self._weight_rows(n), mode="clip")
        if self._sparse:
            return self._X[rows], target, weight
        x = np.take(self._X, rows, axis=0, out=self._x_rows(n), mode="clip")
        return self._changed(self._scaled(x, in_place=True)), target, weight

    def _changed(self, x):
        if self._change is not None:
            self._change(x)
        return x

    def _scaled(self, x, *, in_place: bool = False):
        if self._shift == 0.0 and self._scale == 1.0:
            return x
        out = x if in_place else self._x_rows(x.shape[0])
        np.subtract(x, self._shift, out=out)
        out *= self._scale
        return out


def training_step(
    network: Network, loss: Loss, optimizer: Optimizer, x, target: np.ndarray, weight: np.ndarray | None = None,
    *, alpha: float = 0.0, weight_decay: float = 0.0, max_norm: float | None = None,
) -> float:  # fmt: skip
    """Take one step on one batch and return its mean loss, with the L2 term of `alpha` in it.

    Parameters
    ----------
    x : ndarray (N, \\*input_shape)
    target : ndarray
        Labels (N,) for :class:`models.losses.SoftmaxCrossEntropy`, else a matrix (N, K).
    alpha : float
        Strength of the L2 term on the weights, which is divided by the size of the batch as in scikit-learn.
    weight_decay : float
        What the optimizer takes for its weight decay beside that; no part of the loss.
    max_norm : float, optional
        A gradient whose Euclidean norm is larger is scaled down to it (Pascanu et al., ICML 2013).

    Examples
    --------
    >>> import kernels
    >>> from models.architectures import build
    >>> from models.losses import SoftmaxCrossEntropy
    >>> from models.optimizers import SGD
    >>> k = kernels.load("reference")
    >>> network = Network(build(["4", "out"], (3,), 2), kernels=k, dtype=np.float64, max_batch=8)
    >>> network.initialize(np.random.RandomState(0))
    >>> loss = SoftmaxCrossEntropy(k, np.float64, 8, 2)
    >>> optimizer = SGD(network.vector, network.n_weights, 0.1)
    >>> x, labels = np.eye(3), np.array([0, 1, 1])
    >>> losses = [training_step(network, loss, optimizer, x, labels) for _ in range(20)]
    >>> losses[-1] < losses[0]
    True
    """
    n = x.shape[0]
    delta = network.delta(n)
    value = loss(network.forward(x), target, weight, delta)
    network.backward(delta)
    decay = 0.0
    if alpha:
        decay = alpha / weight_sum(weight, n)
        value += 0.5 * decay * network.squared_weights()
    if max_norm is not None:
        norm = math.sqrt(network.squared_gradient())
        if norm > max_norm:
            network.gradient *= max_norm / norm
    decay += weight_decay
    optimizer.update(
        network.kernels, network.vector, network.gradient, weight_decay=decay, n_threads=network.n_threads
    )
    return value


def batch_rows(
    n: int, batch_size: int, rows: np.ndarray | None, order: np.ndarray | None
) -> Iterator[np.ndarray | slice]:
    """Yield the samples of each batch of one epoch.

    `rows` are the training samples among those of the data (None: all n of them), `order` is a permutation of 0..n-1
    (None: as they stand).
    """
    if order is not None:
        rows = order if rows is None else rows[order]
    for batch in gen_batches(n, batch_size):
        yield batch if rows is None else rows[batch]


class StochasticTraining:
    """The epoch loop, mixed into estimators with scikit-learn's parameters for stochastic solvers.

    It reads ``max_iter shuffle tol n_iter_no_change early_stopping validation_fraction verbose batch_size alpha`` and
    ``_random_state``, and sets ``n_iter_ t_ loss_ loss_curve_ best_loss_ validation_scores_ best_validation_score_``.
    """

    #: Called after each epoch, where it is set; what it takes is no part of the training.
    on_epoch: Callable[[], None] | None = None
    _outside_s = 0.0  # spent there

    #: Whether a non-finite loss ends training with a DivergenceError (scikit-learn's estimators train on).
    _stops_when_diverging = False

    def _reset_history(self) -> None:
        self.n_iter_ = 0
        self.t_ = 0
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self._best_parameters = None
        self.best_loss_ = None if self.early_stopping else np.inf
        self.validation_scores_ = [] if self.early_stopping else None
        self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _resolve_batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_samples)
        if self.batch_size > n_samples:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=3
            )
        return int(np.clip(self.batch_size, 1, n_samples))

    def _split_validation(self, n_samples: int, stratify: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to train on and the rows to validate on."""
        train, validation = train_test_split(
            np.arange(n_samples), random_state=self._random_state, test_size=self.validation_fraction,
            stratify=stratify,
        )  # fmt: skip
        if len(validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        return train, validation

    def _run_epochs(
        self, network: Network, loss: Loss, batches: Batches, *, n_samples: int, batch_size: int,
        rows: np.ndarray | None = None, score: Callable[[], float] | None = None, incremental: bool = False,
        schedule: Schedule | None = None,
    ) -> None:  # fmt: skip
        """Train for `max_iter` epochs (one where `incremental`) or until a stopping rule ends it.

        Parameters
        ----------
        rows : ndarray, optional
            The samples to train on, `n_samples` of them; all where None.
        score : callable, optional
            The validation score; given, it decides about stopping, and the best parameters are put back at the end.
        schedule : callable, optional
            Step (from 0) -> factor of the learning rate.
        """
        if score is not None and self._best_parameters is None:
            self._best_parameters = network.memory.copy()
        order = np.arange(n_samples) if self.shuffle else None
        n_batches = -(-n_samples // batch_size)
        self._outside_s = 0.0
        try:
            self.n_iter_ = 0
            order = self._resumed(network, order)
            for _ in range(self.n_iter_, self.max_iter):
                if self.shuffle:  # each permutation permutes the one before, as in scikit-learn
                    order = shuffle(order, random_state=self._random_state)
                if schedule is not None:
                    first = self.n_iter_ * n_batches
                    self._rate_of = lambda i, first=first: schedule(first + i)
                self._one_epoch(network, loss, batches, batch_rows(n_samples, batch_size, rows, order), n_samples)
                self._count_no_improvement(network, score)
                self._optimizer.epoch_ends(self.t_)
                self._epoch_done(network, order)
                if self.on_epoch is not None:
                    self._tell_of_epoch()
                if self._no_improvement_count > self.n_iter_no_change:
                    if self._optimizer.should_stop(self._stopping_message(score is not None), self.verbose):
                        break
                    self._no_improvement_count = 0
                if incremental:
                    break
                if self.n_iter_ == self.max_iter:
                    self._warn_not_converged()
        except KeyboardInterrupt:
            self._interrupted()
        if score is not None:
            network.memory[...] = self._best_parameters

    def _tell_of_epoch(self) -> None:
        start = time.perf_counter()
        self.on_epoch()
        self._outside_s += time.perf_counter() - start

    def _resumed(self, network: Network, order: np.ndarray | None) -> np.ndarray | None:
        """Take up a training that was cut off, where there is one; return the order of its last epoch."""
        return order

    def _epoch_done(self, network: Network, order: np.ndarray | None) -> None:
        """Keep what a training needs to go on from here."""

    #: The factor of the learning rate in step i of an epoch, where there is a schedule.
    _rate_of: Schedule | None = None

    def _step_options(self) -> dict[str, float | None]:
        """Return the options of `training_step`."""
        return {"alpha": self.alpha}

    def _one_epoch(self, network, loss, batches, rows, n_samples) -> None:
        total, options = 0.0, self._step_options()
        for i, batch in enumerate(rows):
            x, target, weight = batches.take(batch)
            if self._rate_of is not None:
                self._optimizer.scale_rate(self._rate_of(i))
            value = training_step(network, loss, self._optimizer, x, target, weight, **options)
            if self._stops_when_diverging and not math.isfinite(value):
                raise DivergenceError(self._divergence_message(value))
            total += value * x.shape[0]
        self.n_iter_ += 1
        self.loss_ = total / n_samples
        self.t_ += n_samples
        self.loss_curve_.append(self.loss_)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")

    def _count_no_improvement(self, network: Network, score: Callable[[], float] | None) -> None:
        if score is None:
            value, best = -self.loss_curve_[-1], -self.best_loss_
        else:
            value, best = score(), self.best_validation_score_
            self.validation_scores_.append(value)
            if self.verbose:
                print(f"Validation score: {value:f}")
        self._no_improvement_count = self._no_improvement_count + 1 if value < best + self.tol else 0
        if value > best:
            if score is None:
                self.best_loss_ = -value
            else:
                self.best_validation_score_ = value
                self._best_parameters[...] = network.memory

    def _stopping_message(self, early_stopping: bool) -> str:
        what = "Validation score" if early_stopping else "Training loss"
        return f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."

    def _divergence_message(self, value: float) -> str:
        return (
            f"the loss became {value} in epoch {self.n_iter_ + 1}: training diverged. Lower learning_rate_init "
            f"(now {self._optimizer.learning_rate_init:g}) or scale the features"
        )

    def _warn_not_converged(self) -> None:
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
            "converged yet.",
            ConvergenceWarning,
            stacklevel=2,
        )

    def _interrupted(self) -> None:
        warnings.warn("Training interrupted by user.", stacklevel=2)


def stratification(estimator, target: np.ndarray) -> np.ndarray | None:
    """Return what a validation split is stratified by: the classes, where there is one column of them."""
    one_column = target.ndim == 1 or target.shape[1] == 1
    return target if is_classifier(estimator) and one_column else None
