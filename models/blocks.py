"""Residual blocks: layers in a row, beside them a shortcut, and the sum of both.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016. Where a block halves the image and has
more filters than channels, its shortcut takes every second pixel and fills the new channels with zeros (their option
A): no parameters.

Legend as in ``models/layers.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from models.layers import Layer, Rows, Shape, defer_derivative


class Subsample(Layer):
    """Every `stride`-th pixel; channels that there were not are 0, half of them in front (option A).

    It is a convolution of 1x1 with ones and zeros, which every backend has and which is exact: x * 1 + 0.
    """

    def __init__(self, name: str, input_shape: Shape, output_shape: Shape, stride: int):
        super().__init__(name, input_shape, output_shape)
        self.stride = stride

    def bind_output(self, dtype, max_batch):
        super().bind_output(dtype, max_batch)
        channels, filters = self.input_shape[2], self.output_shape[2]
        self.filters = np.eye(channels, filters, (filters - channels) // 2, dtype=dtype)[None, None]

    def forward(self, x):
        y = self._y(x.shape[0])
        return self.k.conv2d(x, self.filters, stride=self.stride, out=y, n_threads=self.n_threads)

    def backward(self, dy):
        if self._dx is None:
            return None
        dx = self._dx(dy.shape[0])
        return self.k.conv2d_backward_input(
            dy, self.filters, dx.shape, stride=self.stride, out=dx, n_threads=self.n_threads
        )


def shortcut(input_shape: Shape, output_shape: Shape) -> list[Layer]:
    """Return the layers of a shortcut: none where the shapes agree.

    Raises
    ------
    ValueError
        Where the block changes the shape in a way that no shortcut without parameters follows.
    """
    if input_shape == output_shape:
        return []
    if len(input_shape) == len(output_shape) == 3 and output_shape[2] >= input_shape[2]:
        for stride in range(1, input_shape[0] + 1):
            if tuple(-(-extent // stride) for extent in input_shape[:2]) == output_shape[:2]:
                return [Subsample("shortcut", input_shape, output_shape, stride)]
    raise ValueError(
        f"a residual block adds its input {input_shape} to its output {output_shape}; the shapes must agree, or the "
        "image be divided by a stride and channels added"
    )


class Residual(Layer):
    """y = activation(body(x) + shortcut(x))."""

    def __init__(self, name: str, body: Sequence[Layer], activation: str | None):
        self.activation = activation
        super().__init__(name, body[0].input_shape, body[-1].output_shape)
        self.body = list(body)
        self.shortcut = shortcut(self.input_shape, self.output_shape)
        self.parameters = tuple(p for layer in self.layers for p in layer.parameters)
        self.states = tuple(s for layer in self.layers for s in layer.states)

    @property
    def layers(self) -> list[Layer]:
        return [*self.body, *self.shortcut]

    @property
    def flops(self):
        return sum(layer.flops for layer in self.layers) + math.prod(self.output_shape)

    @property
    def activation_elements(self):
        return super().activation_elements + sum(layer.activation_elements for layer in self.layers)

    @property
    def traceable(self):
        return all(layer.traceable for layer in self.layers)

    def clone(self):
        twin = super().clone()
        twin.body = [layer.clone() for layer in self.body]
        twin.shortcut = [layer.clone() for layer in self.shortcut]
        for before, after in pairwise(twin.body):
            defer_derivative(before, after)
        return twin

    # -- binding: each layer inside gets its part

    def _share(self, arrays: Sequence, count: str, method: str) -> None:
        position = 0
        for layer in self.layers:
            n = len(getattr(layer, count))
            if n:
                getattr(layer, method)(arrays[position : position + n])
            position += n

    def bind_kernels(self, kernels, n_threads):
        super().bind_kernels(kernels, n_threads)
        for layer in self.layers:
            layer.bind_kernels(kernels, n_threads)

    def bind_parameters(self, arrays):
        super().bind_parameters(arrays)
        self._share(arrays, "parameters", "bind_parameters")

    def bind_gradients(self, arrays):
        self._share(arrays, "parameters", "bind_gradients")

    def bind_states(self, arrays):
        self._share(arrays, "states", "bind_states")

    def bind_output(self, dtype, max_batch):
        super().bind_output(dtype, max_batch)
        for layer in self.layers:
            layer.training = self.training
            layer.bind_output(dtype, max_batch)

    def _chains(self) -> list[list[Layer]]:
        for chain in (self.body, self.shortcut):
            for layer in chain:
                layer.wants_input_gradient = self.wants_input_gradient or layer is not chain[0]
        return [list(reversed(chain)) for chain in (self.body, self.shortcut)]

    def inner_sizes(self):
        """Two buffers that the body's gradients pass through in turn, and two for the shortcut's."""
        sizes = []
        for chain in self._chains():
            shapes = [shape for layer in chain for shape in layer.scratch_shapes()]
            sizes += [max((math.prod(s) for s in shapes[slot::2]), default=0) for slot in (0, 1)]
        return tuple(sizes)

    def bind_inner(self, buffers, max_batch):
        for chain, pair in zip(self._chains(), (buffers[:2], buffers[2:]), strict=True):
            position = 0
            for layer in chain:
                rows = []
                for shape in layer.scratch_shapes():
                    size = max_batch * math.prod(shape)
                    rows.append(Rows(pair[position % 2][:size].reshape(max_batch, *shape)))
                    position += 1
                layer.bind_scratch(rows)

    # -- the passes

    def _within(self, layer: Layer, label: str) -> None:
        """Let what is recorded bear the name of the layer inside."""
        if hasattr(self.k, "label"):
            self.k.label = f"{label} {layer.name}"

    def forward(self, x):
        label, left, right = getattr(self.k, "label", ""), x, x
        for layer in self.body:
            self._within(layer, label)
            left = layer.forward(left)
        for layer in self.shortcut:
            self._within(layer, label)
            right = layer.forward(right)
        self._within(self, label)
        y = self._y(x.shape[0])
        return self.k.add(left, right, activation=self.activation, out=y, n_threads=self.n_threads)

    def backward(self, dy):
        label = getattr(self.k, "label", "")
        dz = self._through_activation(dy)  # stays where it is until both ways have read it
        left, right = dz, dz
        for layer in reversed(self.body):
            self._within(layer, label)
            left = layer.backward(left)
        for layer in reversed(self.shortcut):
            self._within(layer, label)
            right = layer.backward(right)
        if self._dx is None:
            return None
        self._within(self, label)
        return self.k.add(left, right, out=self._dx(dy.shape[0]), n_threads=self.n_threads)
