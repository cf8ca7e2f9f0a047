"""Layers that work on each value by itself: activations that no kernel adds in its last write, and dropout.

Legend as in ``models/layers.py``.
"""

from __future__ import annotations

import math

import numpy as np

from models.layers import Layer, Rows, Shape

#: Activations with a kernel of their own, beyond those that a product or a normalization adds (``layers.ACTIVATIONS``).
OWN_PASS = ("leaky_relu", "gelu")


class Activation(Layer):
    """y = leaky_relu(x) or gelu(x), in a pass of its own."""

    def __init__(self, name: str, input_shape: Shape):
        super().__init__(name, input_shape, input_shape)

    @property
    def flops(self):
        return math.prod(self.output_shape)

    def forward(self, x):
        self._x = x
        return getattr(self.k, self.name)(x, out=self._y(x.shape[0]), n_threads=self.n_threads)

    def backward(self, dy):
        if self._dx is None:
            return None
        n = dy.shape[0]
        known = self._x if self.name == "gelu" else self._y(n)
        return getattr(self.k, f"{self.name}_backward")(dy, known, out=self._dx(n), n_threads=self.n_threads)


class Draws:
    """Where the dropouts of a network get their random numbers from; networks that are copies of each other share it.

    Attributes
    ----------
    generator : numpy.random.Generator
        Set anew by whoever trains; its state belongs to that of the training.
    """

    def __init__(self):
        self.generator = np.random.default_rng(0)


class Dropout(Layer):
    """Set each value to 0 with probability `rate` and scale the others by 1 / (1 - rate); in prediction, nothing.

    Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR 2014, in the form that
    leaves prediction alone. The numbers are drawn sample by sample in the order of the batch, so that they do not depend
    on how many threads share it. Plain NumPy: under 5 % of the step of any network with convolutions.
    """

    def __init__(self, name: str, input_shape: Shape, rate: float, draws: Draws):
        super().__init__(name, input_shape, input_shape)
        self.rate = rate
        self.draws = draws

    def bind_output(self, dtype, max_batch):
        if self.training:
            super().bind_output(dtype, max_batch)
            self._mask = Rows(np.empty((max_batch, *self.output_shape), dtype))

    def forward(self, x):
        if not self.training:
            return x
        n = x.shape[0]
        self.meet(_drop, (self, x, self._y(n), self._mask(n)))
        return self._y(n)

    def backward(self, dy):
        if self._dx is None:
            return None
        n = dy.shape[0]
        if not self.training:
            self.meet(_pass_on, (dy, self._dx(n)))
            return self._dx(n)
        self.meet(_drop_gradient, (dy, self._mask(n), self._dx(n)))
        return self._dx(n)


def _drop(shares: list) -> None:
    for layer, x, y, mask in shares:
        layer.draws.generator.random(out=mask, dtype=mask.dtype)
        np.greater_equal(mask, layer.rate, out=mask)
        mask *= 1.0 / (1.0 - layer.rate)
        np.multiply(x, mask, out=y)


def _drop_gradient(shares: list) -> None:
    for dy, mask, dx in shares:
        np.multiply(dy, mask, out=dx)


def _pass_on(shares: list) -> None:
    """Copy: the next layer back may write where dy stands."""
    for dy, dx in shares:
        dx[...] = dy
