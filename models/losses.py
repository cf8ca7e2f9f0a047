"""What the last layer's values mean, how wrong they are, and the gradient of that.

A loss comes with its canonical link (softmax, logistic function, identity, exponential), so that the gradient for the
last layer's values z is simply prediction - target, divided by the number (or the weights) of the samples.

Values follow scikit-learn's multi-layer perceptrons to the letter, their clipping of probabilities to
[eps, 1 - eps] included. Two things there look odd and are kept: the squared error is averaged over outputs, but its
gradient is not; the L2 term is divided by the size of the batch.

Legend: N batch, K outputs; z (N, K) values of the last layer; delta (N, K) gradient of the mean loss for z.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import xlogy

from kernels import Kernels
from models.layers import Rows


class Loss:
    """A loss on buffers for up to `max_batch` samples."""

    #: Class labels (N,) in the place of a matrix of targets (N, K).
    takes_labels = False

    def __init__(self, kernels: Kernels, dtype, max_batch: int, n_outputs: int, n_threads: int = 1):
        self.k = kernels
        self.n_threads = n_threads
        self.eps = float(np.finfo(dtype).eps)
        self._prediction = Rows(np.empty((max_batch, n_outputs), dtype))
        self._work = Rows(np.empty((max_batch, n_outputs), dtype))
        self._row = Rows(np.empty(max_batch, dtype))

    def link(self, z: np.ndarray, out: np.ndarray) -> None:
        """Write the prediction for z into `out`."""
        raise NotImplementedError

    def __call__(self, z: np.ndarray, target: np.ndarray, weight: np.ndarray | None, delta: np.ndarray) -> float:
        """Return the mean loss, weighted where there are weights, and write its gradient for z into `delta`."""
        raise NotImplementedError

    def _mean(self, losses: np.ndarray, weight: np.ndarray | None) -> float:
        """Mean of one loss per sample."""
        if weight is None:
            return float(losses.sum()) / losses.shape[0]
        return float(np.dot(losses, weight)) / weight_sum(weight, losses.shape[0])

    def _difference(self, prediction, target, weight, delta) -> None:
        """delta = (prediction - target) * weight / sum of weights."""
        np.subtract(prediction, target, out=delta)
        if weight is None:
            delta /= delta.shape[0]
        else:
            delta *= weight[:, None]
            delta /= weight_sum(weight, delta.shape[0])


def weight_sum(weight: np.ndarray | None, n: int) -> float:
    """Return the sum of the sample weights, or n where there are none.

    Examples
    --------
    >>> weight_sum(None, 3)
    3.0
    """
    if weight is None:
        return float(n)
    total = float(weight.sum())
    if total == 0.0:
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    return total


class SoftmaxCrossEntropy(Loss):
    """-log of the softmax probability of the label.

    With `clip`, that probability is never taken for less than eps, as in scikit-learn. With `smoothing` s, the target of
    each sample is its label with probability 1 - s and any class, the label's too, with s / K (Szegedy et al.,
    "Rethinking the Inception architecture", CVPR 2016, section 7).
    """

    takes_labels = True

    def __init__(self, kernels, dtype, max_batch, n_outputs, n_threads=1, *, clip: bool = False, smoothing: float = 0.0):
        super().__init__(kernels, dtype, max_batch, n_outputs, n_threads)
        self.clip = clip
        self.smoothing = smoothing
        self._bound: dict[tuple, tuple] = {}  # (samples, kernels) -> their last call, and its arrays
        self._starts = Rows(np.arange(max_batch) * n_outputs)
        self._index = Rows(np.empty(max_batch, np.intp))

    def link(self, z, out):
        softmax(z, out)

    def __call__(self, z, target, weight, delta):
        n = z.shape[0]
        loss = self._cross_entropy(z, target, delta)
        if self.smoothing:
            return self._smoothed(z, target, weight, delta)
        if weight is not None:
            factor = np.multiply(weight, n / weight_sum(weight, n), out=self._row(n))
            delta *= factor[:, None]
            return self._mean(self._losses(z, target), weight)
        # No single loss exceeds -log(eps) while their sum does not, so there is nothing to clip (NaN goes on).
        if not self.clip or loss * n < -math.log(self.eps):
            return loss
        return self._mean(self._losses(z, target), None)

    def _smoothed(self, z, labels, weight, delta) -> float:
        """From p - label in `delta` to p - smoothed target: sum_k t_k (log sum exp z - z_k) is linear in the target."""
        n, n_classes = z.shape
        index = np.add(self._starts(n), labels, out=self._index(n))
        delta -= self.smoothing / (n_classes * n)
        delta.reshape(-1)[index] += self.smoothing / n
        losses = self._losses(z, labels)
        losses += self.smoothing * (z.reshape(-1)[index] - z.mean(axis=1))
        if weight is not None:
            delta *= (weight * (n / weight_sum(weight, n)))[:, None]
        return self._mean(losses, weight)

    def _cross_entropy(self, z, labels, delta) -> float:
        key, arrays = (len(labels), self.k), (z, labels, delta)
        call, largest, *bound = self._bound.get(key, (None, None))
        if len(bound) == len(arrays) and all(a is b for a, b in zip(arrays, bound, strict=True)) and largest() < z.shape[1]:
            return float(call())
        loss, _ = self.k.softmax_cross_entropy(z, labels, out=delta, n_threads=self.n_threads)
        if len(labels) and labels.dtype == np.int64 and labels.flags.c_contiguous:
            call = self.k.bind("softmax_cross_entropy", z, labels, out=delta, n_threads=self.n_threads)
            self._bound[key] = call, labels.view(np.uint64).max, *arrays  # as unsigned, a negative label is a huge one
        return loss

    def _losses(self, z, labels):
        """One loss per sample, by way of the probabilities."""
        n = z.shape[0]
        probability = self._work(n)
        softmax(z, probability, self._row(n))
        index = np.add(self._starts(n), labels, out=self._index(n))
        losses = np.take(probability.reshape(-1), index, out=self._row(n), mode="clip")
        np.clip(losses, self.eps if self.clip else 0.0, 1.0 - self.eps if self.clip else 1.0, out=losses)
        np.log(losses, out=losses)
        return np.negative(losses, out=losses)


class LogisticCrossEntropy(Loss):
    """Binary cross-entropy, summed over outputs: one output for two classes, one per label for several labels."""

    def link(self, z, out):
        self.k.sigmoid(z, out=out, n_threads=self.n_threads)

    def __call__(self, z, target, weight, delta):
        n = z.shape[0]
        prediction, work = self._prediction(n), self._work(n)
        self.link(z, prediction)
        self._difference(prediction, target, weight, delta)
        np.clip(prediction, self.eps, 1.0 - self.eps, out=prediction)
        # The probability of what is the case: p where the target is 1, 1 - p where it is 0; |1 - target - p| is both.
        np.subtract(1.0, target, out=work)
        work -= prediction
        np.abs(work, out=work)
        np.log(work, out=work)
        return -self._mean(work.sum(axis=1, out=self._row(n)), weight)


class SquaredError(Loss):
    """Half the squared error, averaged over outputs."""

    def link(self, z, out):
        out[...] = z

    def __call__(self, z, target, weight, delta):
        n = z.shape[0]
        work = np.subtract(z, target, out=self._work(n))
        np.multiply(work, work, out=work)
        self._difference(z, target, weight, delta)
        return 0.5 * self._mean(work.mean(axis=1, out=self._row(n)), weight)


class PoissonDeviance(Loss):
    """Half the Poisson deviance, summed over outputs; the link is the exponential."""

    def link(self, z, out):
        np.exp(z, out=out)

    def __call__(self, z, target, weight, delta):
        n = z.shape[0]
        prediction, work = self._prediction(n), self._work(n)
        self.link(z, prediction)
        np.divide(target, prediction, out=work)
        xlogy(target, work, out=work)
        work -= target
        work += prediction
        self._difference(prediction, target, weight, delta)
        return self._mean(work.sum(axis=1, out=self._row(n)), weight)


def softmax(z: np.ndarray, out: np.ndarray, row: np.ndarray | None = None) -> None:
    """Write exp(z) / sum(exp(z)) of each row into `out`, shifted so that nothing overflows; `row` (N,) is scratch.

    Examples
    --------
    >>> out = np.empty((1, 2))
    >>> softmax(np.array([[1000.0, 1000.0]]), out)
    >>> out
    array([[0.5, 0.5]])
    """
    np.subtract(z, z.max(axis=1, out=row)[:, None], out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=1, out=row)[:, None]
