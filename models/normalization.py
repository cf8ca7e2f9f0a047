"""Batch and layer normalization as layers; the formulas are the kernels' (``kernels/api/normalization.py``).

Legend as in ``models/layers.py``.
"""

from __future__ import annotations

import math

import numpy as np

from models.layers import Layer, Parameter, Shape, State

EPSILON = 1e-5
#: How much of the running statistics each batch replaces; PyTorch's default.
MOMENTUM = 0.1


class _Normalization(Layer):
    """gamma and beta for each channel, the last axis."""

    def __init__(self, name: str, input_shape: Shape, activation: str | None = None):
        self.activation = activation
        super().__init__(name, input_shape, input_shape)
        channels = (input_shape[-1],)
        self.parameters = (
            Parameter(channels, *2 * channels, is_weight=False, initial=1.0),
            Parameter(channels, *2 * channels, is_weight=False),
        )

    @property
    def flops(self):
        return 3 * math.prod(self.output_shape)

    def bind_parameters(self, arrays):
        super().bind_parameters(arrays)
        self.gamma, self.beta = arrays

    def bind_gradients(self, arrays):
        self.gamma_gradient, self.beta_gradient = arrays


class BatchNorm(_Normalization):
    """Batch normalization (Ioffe & Szegedy 2015) over all axes but the last.

    In training each batch is normalized by its own mean and variance, those of the whole batch also where threads share
    it out, and running ones are kept, which prediction takes. The running variance is the unbiased one, as in PyTorch.
    """

    def __init__(self, name: str, input_shape: Shape, activation: str | None = None):
        super().__init__(name, input_shape, activation)
        self.states = (State((input_shape[-1],), 0.0), State((input_shape[-1],), 1.0))
        self._rows_of_sample = math.prod(input_shape[:-1])

    def bind_states(self, arrays):
        self.running_mean, self.running_variance = arrays

    def bind_output(self, dtype, max_batch):
        super().bind_output(dtype, max_batch)
        zeros = (np.zeros(self.input_shape[-1:], dtype) for _ in range(4))
        self._mean, self._variance, self._product, self._nothing = zeros

    def forward(self, x):
        statistics = self.running_mean, self.running_variance
        self._x = x
        if self.training:
            statistics = self.k.batch_norm_statistics(
                x, out=self._mean, variance_out=self._variance, n_threads=self.n_threads
            )
            self.meet(_share_statistics, (self, x.shape[0] * self._rows_of_sample))
        return self.k.batch_norm(
            x, *statistics, self.gamma, self.beta, epsilon=EPSILON, activation=self.activation, out=self._y(x.shape[0]),
            n_threads=self.n_threads,
        )  # fmt: skip

    def backward(self, dy):
        n, dz = dy.shape[0], self._through_activation(dy)
        if not self.training:
            return self._backward_of_prediction(dz)
        sums = self.k.batch_norm_backward_sums(
            dz, self._x, self._mean, out=self.beta_gradient, product_out=self._product, n_threads=self.n_threads
        )
        self.meet(_share_sums, (self, n * self._rows_of_sample))
        if self._dx is None:
            return None
        return self.k.batch_norm_backward(
            dz, self._x, self._mean, self._variance, self.gamma, *sums, epsilon=EPSILON, out=self._dx(n),
            n_threads=self.n_threads,
        )  # fmt: skip

    def _backward_of_prediction(self, dz):
        """dx = dz gamma / sqrt(variance + epsilon): the running statistics do not depend on x, so there is nothing to sum."""
        if self._dx is None:
            return None
        return self.k.batch_norm_backward(
            dz, self._x, self.running_mean, self.running_variance, self.gamma, self._nothing, self._nothing, epsilon=EPSILON,
            out=self._dx(dz.shape[0]), n_threads=self.n_threads,
        )  # fmt: skip


def _share_statistics(shares: list[tuple[BatchNorm, int]]) -> None:
    """Give each share the mean and the variance of all of them, and move the running ones."""
    first, _ = shares[0]
    total = sum(rows for _, rows in shares)
    mean, variance = first._mean, first._variance
    if len(shares) > 1:
        mean = sum(layer._mean * (rows / total) for layer, rows in shares)
        variance = sum((layer._variance + (layer._mean - mean) ** 2) * (rows / total) for layer, rows in shares)
        for layer, _ in shares:
            layer._mean[...], layer._variance[...] = mean, variance
    if total > 0:
        first.running_mean += MOMENTUM * (mean - first.running_mean)
        first.running_variance += MOMENTUM * (variance * (total / max(total - 1, 1)) - first.running_variance)


def _share_sums(shares: list[tuple[BatchNorm, int]]) -> None:
    """Give each share its part of the sums over all of them, and the gradient of gamma.

    Its part is as large as its number of rows: divided by that, it gives what the whole gives divided by all rows; and
    the gradients of the shares still add up to that of the batch.
    """
    if len(shares) > 1:
        total = sum(rows for _, rows in shares)
        sum_dy = sum(layer.beta_gradient for layer, _ in shares)
        product = sum(layer._product for layer, _ in shares)
        for layer, rows in shares:
            np.multiply(sum_dy, rows / total, out=layer.beta_gradient)
            np.multiply(product, rows / total, out=layer._product)
    for layer, _ in shares:
        np.divide(layer._product, np.sqrt(layer._variance + layer._variance.dtype.type(EPSILON)), out=layer.gamma_gradient)


class LayerNorm(_Normalization):
    """Layer normalization (Ba et al. 2016) over the last axis, of each sample and pixel by itself."""

    def scratch_shapes(self):
        shapes = super().scratch_shapes()  # the kernel writes dx whether it is wanted or not
        return shapes if self.wants_input_gradient else (*shapes, self.input_shape)

    def bind_scratch(self, rows):
        self._dz = rows[0] if self.derivative is not None else None
        self._dx = rows[-1]

    def forward(self, x):
        self._x = x
        return self.k.layer_norm(
            x, self.gamma, self.beta, epsilon=EPSILON, activation=self.activation, out=self._y(x.shape[0]),
            n_threads=self.n_threads,
        )  # fmt: skip

    def backward(self, dy):
        dz = self._through_activation(dy)
        dx, _, _ = self.k.layer_norm_backward(
            dz, self._x, self.gamma, epsilon=EPSILON, out=self._dx(dy.shape[0]), gamma_out=self.gamma_gradient,
            beta_out=self.beta_gradient, n_threads=self.n_threads,
        )  # fmt: skip
        return dx if self.wants_input_gradient else None
