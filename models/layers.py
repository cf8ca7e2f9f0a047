"""Layers: forward and backward passes written out, on buffers that are bound once.

A layer knows its shapes from the start. `bind_parameters` gives it its weights (views of the network's one vector, or
any arrays), `bind_output` the buffer it writes forwards, `bind_scratch` those it writes backwards. From then on a step
allocates nothing: each pass asks a `Rows` for its first n samples, and the views are made once per n.

`backward` takes the gradient of the loss for the layer's output and returns the one for its input (None in the first
layer of a network, where nobody asks for it). The activation belongs to the layer before it, because the kernels add
bias and activation in the last write of a product.

Legend: N batch; H, W, C height, width, channels; y output after the activation; dy its gradient; dz the gradient
before the activation; dx the gradient for the input.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kernels import Kernels
from kernels.shapes import conv2d_geometry, pool2d_geometry

Shape = tuple[int, ...]

ACTIVATIONS = (None, "relu", "sigmoid", "tanh")


@dataclass(frozen=True)
class Parameter:
    """Shape of one parameter array; weights decay and have fans, biases do not."""

    shape: Shape
    fan_in: int
    fan_out: int
    is_weight: bool
    initial: float = 0.0  # of what is no weight

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class State:
    """Shape and first value of what a layer keeps (running means, say)."""

    shape: Shape
    initial: float

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class Rows:
    """An array for up to ``max_batch`` samples; called with n it returns the view of the first n, made once."""

    __slots__ = ("_views", "array")

    def __init__(self, array: np.ndarray):
        self.array = array
        self._views = {array.shape[0]: array}

    def __call__(self, n: int) -> np.ndarray:
        view = self._views.get(n)
        if view is None:
            view = self._views[n] = self.array[:n]
        return view


class Layer:
    """What all layers share. Shapes are of one sample, without the batch axis."""

    parameters: tuple[Parameter, ...] = ()
    #: What a layer keeps from training for prediction, and no gradient moves.
    states: tuple[State, ...] = ()
    activation: str | None = None
    #: The activation that its weights feed, where that belongs to a layer behind it.
    feeds: str | None = None
    training = True
    #: Whether the passes are calls of kernels on bound buffers and nothing else (``models/plan.py``).
    traceable = True
    #: What a network's first layer takes where that is not its own dtype (word numbers).
    input_dtype: np.dtype | None = None

    def __init__(self, name: str, input_shape: Shape, output_shape: Shape):
        self.name = name
        self.input_shape = input_shape
        self.output_shape = output_shape
        self.wants_input_gradient = True
        self.arrays: Sequence[np.ndarray] = ()
        #: The activation whose derivative `backward` applies first; `defer_derivative` may move it to the next layer.
        self.derivative = self.activation

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.input_shape} -> {self.output_shape})"

    @property
    def n_parameters(self) -> int:
        return sum(p.size for p in self.parameters)

    @property
    def activation_elements(self) -> int:
        """Values of one sample that a forward pass writes."""
        return math.prod(self.output_shape)

    @property
    def flops(self) -> int:
        """FLOPs of the forward pass of one sample, a multiply and an add counted as two."""
        return 0

    def bind_kernels(self, kernels: Kernels, n_threads: int) -> None:
        self.k = kernels
        self.n_threads = n_threads
        if self.derivative is not None:
            self._activation_backward: Callable = getattr(kernels, f"{self.derivative}_backward")

    def clone(self) -> Layer:
        """Return a layer of the same kind for another network, not bound to anything."""
        return copy.copy(self)

    def meet(self, function: Callable[[list], None], member: object) -> None:
        """Call function([member]) at this place of the pass; of a batch that is shared out, once, with all members."""
        meet = getattr(self.k, "meet", None)
        if meet is None:
            function([member])
        else:
            meet(function, member)

    def bind_parameters(self, arrays: Sequence[np.ndarray]) -> None:
        """Take the arrays of `parameters`, in their order."""
        self.arrays = arrays

    def bind_states(self, arrays: Sequence[np.ndarray]) -> None:
        """Take the arrays of `states`, in their order."""

    def bind_gradients(self, arrays: Sequence[np.ndarray]) -> None:
        """Take the arrays that `backward` fills, in the order of `parameters`."""

    def bind_output(self, dtype: np.dtype, max_batch: int) -> None:
        self._y = Rows(np.empty((max_batch, *self.output_shape), dtype))

    def scratch_shapes(self) -> tuple[Shape, ...]:
        """Shapes (of one sample) that `backward` writes, in order; each is read by the next one only."""
        dz = (self.output_shape,) if self.derivative is not None else ()
        return (*dz, self.input_shape) if self.wants_input_gradient else dz

    def bind_scratch(self, rows: Sequence[Rows]) -> None:
        """Take the buffers for `scratch_shapes`."""
        self._dz = rows[0] if self.derivative is not None else None
        self._dx = rows[-1] if self.wants_input_gradient else None

    def inner_sizes(self) -> tuple[int, ...]:
        """Elements (of one sample) of the buffers that layers within this one pass gradients in; see `Residual`."""
        return ()

    def bind_inner(self, buffers: Sequence[np.ndarray], max_batch: int) -> None:
        """Take flat buffers for `inner_sizes`, shared with other layers of the network."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        raise NotImplementedError

    def _through_activation(self, dy: np.ndarray) -> np.ndarray:
        """dz = dy * activation'(z), worked out from y."""
        if self._dz is None:
            return dy
        n = dy.shape[0]
        return self._activation_backward(dy, self._y(n), out=self._dz(n), n_threads=self.n_threads)


class _Affine(Layer):
    """Layers with one weight array and, unless a normalization follows that would take it away again, one bias."""

    def bind_parameters(self, arrays):
        super().bind_parameters(arrays)
        self.weight, self.bias = arrays if len(arrays) == 2 else (*arrays, None)

    def bind_gradients(self, arrays):
        self.weight_gradient, self.bias_gradient = arrays if len(arrays) == 2 else (*arrays, None)

    def _bias_backward(self, dz):
        if self.bias_gradient is not None:
            self.k.bias_backward(dz, out=self.bias_gradient, n_threads=self.n_threads)


class Dense(_Affine):
    """y = act(x W + b). x (N, D), W (D, U), b (U,), y (N, U)."""

    def __init__(self, name: str, n_inputs: int, n_units: int, activation: str | None = None, *, bias: bool = True):
        self.activation = activation
        super().__init__(name, (n_inputs,), (n_units,))
        self.parameters = (
            Parameter((n_inputs, n_units), n_inputs, n_units, is_weight=True),
            *([Parameter((n_units,), n_inputs, n_units, is_weight=False)] if bias else []),
        )

    @property
    def flops(self):
        return (2 * self.input_shape[0] + len(self.parameters) - 1) * self.output_shape[0]

    def forward(self, x):
        self._x = x
        return self.k.gemm(
            x, self.weight, bias=self.bias, activation=self.activation, out=self._y(x.shape[0]),
            n_threads=self.n_threads,
        )  # fmt: skip

    def backward(self, dy):
        dz = self._through_activation(dy)
        # dW = x^T dz, db = sum over the batch of dz, dx = dz W^T
        self._weight_backward(dz)
        self._bias_backward(dz)
        if self._dx is None:
            return None
        return self.k.gemm(dz, self.weight, transpose_b=True, out=self._dx(dz.shape[0]), n_threads=self.n_threads)

    def _weight_backward(self, dz):
        self.k.gemm(self._x, dz, transpose_a=True, out=self.weight_gradient, n_threads=self.n_threads)


class SparseDense(Dense):
    """A first `Dense` layer that takes a SciPy CSR matrix.

    The two products with x are SciPy's (which allocates their results); the rest is as in `Dense`.
    """

    traceable = False

    def forward(self, x):
        self._x = x
        y = self._y(x.shape[0])
        z = x @ self.weight
        if self.bias is None:
            z = np.asarray(z)
        elif self.activation is None:
            return np.add(z, self.bias, out=y)
        else:
            z += self.bias
        if self.activation is None:
            y[...] = z
            return y
        return getattr(self.k, self.activation)(z, out=y, n_threads=self.n_threads)

    def _weight_backward(self, dz):
        self.weight_gradient[...] = self._x.T @ dz


class Conv2D(_Affine):
    """y = act(conv2d(x, W) + b). x (N, H, W, C), W (KH, KW, C // groups, F), b (F,), y (N, OH, OW, F)."""

    def __init__(
        self, name: str, input_shape: Shape, filters: int, kernel: int, *,
        stride=1, padding=0, dilation=1, groups=1, activation: str | None = None, bias: bool = True,
    ):  # fmt: skip
        weight_shape = (kernel, kernel, input_shape[2] // groups, filters)
        self.window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        geometry = conv2d_geometry((1, *input_shape), weight_shape, **self.window)
        self.activation = activation
        super().__init__(name, input_shape, geometry.output_shape[1:])
        self._kernel_size = (kernel, kernel)
        taps = math.prod(weight_shape[:3])
        fan_out = kernel * kernel * filters // groups
        self.parameters = (
            Parameter(weight_shape, taps, fan_out, is_weight=True),
            *([Parameter((filters,), taps, fan_out, is_weight=False)] if bias else []),
        )

    @property
    def flops(self):
        return (2 * self.parameters[0].fan_in + len(self.parameters) - 1) * math.prod(self.output_shape)

    def bind_kernels(self, kernels, n_threads):
        super().bind_kernels(kernels, n_threads)
        self._options = {**self.window, "n_threads": n_threads}

    def forward(self, x):
        self._x = x
        y = self._y(x.shape[0])
        return self.k.conv2d(x, self.weight, self.bias, activation=self.activation, out=y, **self._options)

    def backward(self, dy):
        dz = self._through_activation(dy)
        self.k.conv2d_backward_weight(dz, self._x, self._kernel_size, out=self.weight_gradient, **self._options)
        self._bias_backward(dz)
        if self._dx is None:
            return None
        dx = self._dx(dz.shape[0])
        return self.k.conv2d_backward_input(dz, self.weight, dx.shape, out=dx, **self._options)


class _Pool2D(Layer):
    """Pooling over windows of size x size."""

    def __init__(self, name: str, input_shape: Shape, size: int, *, stride: int | None = None, padding=0):
        self.size = size
        self.window = {"stride": size if stride is None else stride, "padding": padding}
        geometry = pool2d_geometry((1, *input_shape), size, **self.window)
        super().__init__(name, input_shape, geometry.output_shape[1:])

    @property
    def flops(self):
        return self.size**2 * math.prod(self.output_shape)


class MaxPool2D(_Pool2D):
    """Largest value of each window."""

    def bind_output(self, dtype, max_batch):
        super().bind_output(dtype, max_batch)
        self._argmax = Rows(np.empty((max_batch, *self.output_shape), np.int32))

    def forward(self, x):
        n = x.shape[0]
        y, _ = self.k.max_pool2d(
            x, self.size, out=self._y(n), argmax_out=self._argmax(n), n_threads=self.n_threads, **self.window
        )
        return y

    def backward(self, dy):
        if self._dx is None:
            return None
        n = dy.shape[0]
        dz, dx = self._through_activation(dy), self._dx(n)
        return self.k.max_pool2d_backward(dz, self._argmax(n), dx.shape, out=dx, n_threads=self.n_threads)


def defer_derivative(before: Layer, after: Layer) -> None:
    """Leave the derivative of an activation to the max pooling that follows.

    Pooling passes a gradient on to the largest value of a window only, and that value is its own output. So the
    derivative there can be worked out from the pooled values, which are a quarter as many or fewer.
    """
    if before.derivative is not None and isinstance(after, MaxPool2D):
        before.derivative, after.derivative = None, before.derivative


class AvgPool2D(_Pool2D):
    """Mean of each window; padding does not count."""

    def forward(self, x):
        return self.k.avg_pool2d(x, self.size, out=self._y(x.shape[0]), n_threads=self.n_threads, **self.window)

    def backward(self, dy):
        if self._dx is None:
            return None
        dx = self._dx(dy.shape[0])
        return self.k.avg_pool2d_backward(
            dy, self.size, dx.shape, out=dx, n_threads=self.n_threads, **self.window
        )


class GlobalAvgPool2D(AvgPool2D):
    """Mean of each channel: (N, H, W, C) -> (N, C)."""

    def __init__(self, name: str, input_shape: Shape):
        Layer.__init__(self, name, input_shape, (input_shape[2],))
        self.size, self.window = input_shape[:2], {}

    @property
    def flops(self):
        return math.prod(self.input_shape)

    def bind_output(self, dtype, max_batch):
        self._y = Rows(np.empty((max_batch, 1, 1, self.input_shape[2]), dtype))

    def forward(self, x):
        return super().forward(x).reshape(x.shape[0], *self.output_shape)

    def backward(self, dy):
        return super().backward(dy.reshape(dy.shape[0], 1, 1, self.output_shape[0]))


class Flatten(Layer):
    """(N, H, W, C) -> (N, H * W * C): another view of the same memory, both ways."""

    def __init__(self, name: str, input_shape: Shape):
        super().__init__(name, input_shape, (math.prod(input_shape),))

    @property
    def activation_elements(self):
        return 0

    def bind_output(self, dtype, max_batch):
        pass

    def scratch_shapes(self):
        return ()

    def bind_scratch(self, rows):
        pass

    def forward(self, x):
        return x.reshape(x.shape[0], *self.output_shape)

    def backward(self, dy):
        return dy.reshape(dy.shape[0], *self.input_shape) if self.wants_input_gradient else None
