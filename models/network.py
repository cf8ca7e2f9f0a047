"""A network: layers in a row on one parameter vector, one gradient vector and two pieces of scratch memory.

All parameters of a network stand in one vector, weights of all layers first, then all biases; the layers hold views of
it. The gradients mirror it. So an optimizer needs one call for what decays (the weights) and one for the rest, and a
copy of a network's state is a copy of one array.

Backwards, each array is read by the next operation only. So two scratch buffers, written in turn, hold every gradient
that passes between layers, whatever the depth.

>>> import kernels, numpy as np
>>> from models.architectures import build
>>> net = Network(build("lenet5", (28, 28, 1), 10), kernels=kernels.load("reference"), max_batch=4)
>>> net.initialize(np.random.RandomState(0))
>>> net.forward(np.zeros((2, 28, 28, 1), np.float32)).shape
(2, 10)
>>> net.n_parameters
61706
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from kernels import Kernels
from models import initializers
from models.layers import Layer, Rows, Shape, defer_derivative
from models.plan import Inputs, Pass, Tracer, run_passes

#: Passes are kept for this many sizes of batches: whole ones, the last of an epoch, those of validation.
MOST_PASSES = 16
#: In inference, the activations of the samples that go through together take about this much: what stays in the cache.
CACHED_BYTES = 3 * 2**20
LEAST_TOGETHER = 8
#: Sharing a batch out costs each thread a pass over all parameters (to pack them, to add up their gradients), and saves it
#: the wait at the end of every kernel. It pays where each parameter has at least this many FLOPs to do for a sample: in
#: convolutions. In dense layers, with 2, the threads divide the kernels, in backends that do that cheaply.
SHARED_FLOPS = 8


@dataclass(frozen=True)
class LayerSummary:
    """One line of :meth:`Network.summary`; sizes and FLOPs are of one sample."""

    name: str
    kind: str
    output_shape: Shape
    n_parameters: int
    forward_flops: int
    activation_bytes: int


class Network:
    """Layers bound to kernels, parameters and buffers.

    Parameters
    ----------
    layers : sequence of Layer
        Made by :func:`models.architectures.build`; copied, so that several networks can be made of one list.
    kernels : Kernels
        From :func:`kernels.load`, or anything with its methods (a profiler's proxy).
    dtype : dtype
        float32 or float64.
    max_batch : int
        Most samples that one call may bring.
    n_threads : int
        Each takes a share of the samples through all layers, where the backend can do that; else it is handed to every
        kernel.
    parameters, states : sequence of arrays, optional
        Bind these instead of new ones: layer by layer, each in the order of ``layer.parameters``, ``layer.states``.
    training : bool
        Without it no gradients are kept and `backward` is refused.

    Attributes
    ----------
    vector, gradient : ndarray (n_parameters,)
        All parameters and their gradients; the first `n_weights` are weights. None where they were given from outside,
        or not in training.
    memory : ndarray
        `vector` and, behind it, all states: what a copy of the network has to copy.
    """

    def __init__(
        self, layers: Sequence[Layer], *, kernels: Kernels, dtype=np.float32, max_batch: int = 128, n_threads: int = 1,
        parameters: Sequence[np.ndarray] | None = None, states: Sequence[np.ndarray] = (), training: bool = True,
    ):  # fmt: skip
        self.layers = [layer.clone() for layer in layers]
        if max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {max_batch}")
        self.kernels = kernels
        self.dtype = np.dtype(dtype)
        self.max_batch = max_batch
        self.n_threads = n_threads
        self.training = training
        self.n_weights = sum(p.size for layer in self.layers for p in layer.parameters if p.is_weight)
        self.n_parameters = sum(layer.n_parameters for layer in self.layers)
        self.vector: np.ndarray | None = None
        self.memory: np.ndarray | None = None
        self.states = list(states)
        self.gradient: np.ndarray | None = None
        self._traceable = all(layer.traceable for layer in self.layers)
        self._inputs = Inputs(lambda n: self._input_rows(n))
        self._shards: list[Network] = []
        self._cut: tuple[np.ndarray, list[np.ndarray]] | None = None
        self._capacity = self._samples_together()
        self._outputs: dict[int, Rows] = {}
        #: For each kernels that were used: their tracer, and (samples, layers) -> forward and backward pass.
        self._traced: dict[Kernels, tuple[Tracer, OrderedDict[tuple[int, int], tuple[Pass, Pass | None]]]] = {}
        self._norms: dict[tuple, tuple] = {}  # (label, kernels) -> a bound sum of squares, and what it writes
        self._bind(parameters)

    @property
    def input_shape(self) -> Shape:
        return self.layers[0].input_shape

    @property
    def output_shape(self) -> Shape:
        return self.layers[-1].output_shape

    # -- binding -------------------------------------------------------------------------------------------------

    def _bind(self, parameters: Sequence[np.ndarray] | None) -> None:
        first_with_parameters = next((i for i, layer in enumerate(self.layers) if layer.parameters), 0)
        for before, after in pairwise(self.layers):
            defer_derivative(before, after)
        for i, layer in enumerate(self.layers):
            layer.wants_input_gradient = i > first_with_parameters
            layer.training = self.training
        if parameters is None:
            n_states = sum(state.size for layer in self.layers for state in layer.states)
            self.memory = np.zeros(self.n_parameters + n_states, self.dtype)
            self.vector = self.memory[: self.n_parameters]
            parameters = self._views(self.vector)
            self.states = self._views_of_states(self.memory[self.n_parameters :])
        self._each_layer(parameters, "parameters", "bind_parameters")
        self._each_layer(self.states, "states", "bind_states")
        if self._shares_batches():
            self._bind_shards()
        else:
            self._bind_buffers(first_with_parameters)
        self.use_kernels(self.kernels)

    def _shares_batches(self) -> bool:
        """Whether each thread takes a share of the samples through all layers, and not each kernel for itself."""
        if self.n_threads == 1 or not self._traceable or not self.kernels.runs_together:
            return False
        if not self.kernels.divides_calls:
            return True
        flops = sum(layer.flops for layer in self.layers)
        return flops >= SHARED_FLOPS * self.n_parameters

    def _samples_together(self) -> int:
        """Return how many samples go through at once: in training all, for the backward pass needs all activations."""
        if self.training or not self._traceable:
            return self.max_batch
        sample_bytes = sum(layer.activation_elements for layer in self.layers) * self.dtype.itemsize
        return min(self.max_batch, max(LEAST_TOGETHER, CACHED_BYTES // max(sample_bytes, 1)))

    def _bind_shards(self) -> None:
        self._shards = [
            Network(
                self.layers, kernels=self.kernels, dtype=self.dtype, max_batch=-(-self.max_batch // self.n_threads),
                parameters=self.parameters, states=self.states, training=self.training,
            )
            for _ in range(self.n_threads)
        ]  # fmt: skip
        self.gradient = self._shards[0].gradient
        self.delta = Rows(np.empty((self.max_batch, *self.output_shape), self.dtype))

    def _bind_buffers(self, first_with_parameters: int) -> None:
        for layer in self.layers:
            layer.bind_output(self.dtype, self._capacity)
        if self.training:
            self.gradient = np.zeros(self.n_parameters, self.dtype)
            self._each_layer(self._views(self.gradient), "parameters", "bind_gradients")
            for layer in self.layers:
                layer.bind_kernels(self.kernels, self.n_threads)
            self._bind_scratch(first_with_parameters)

    def _views(self, vector: np.ndarray) -> list[np.ndarray]:
        """Cut a vector into the parameter arrays, layer by layer: weights from its front, biases from its back part."""
        views, start = [], {True: 0, False: self.n_weights}
        for layer in self.layers:
            for p in layer.parameters:
                begin = start[p.is_weight]
                views.append(vector[begin : begin + p.size].reshape(p.shape))
                start[p.is_weight] += p.size
        return views

    def _views_of_states(self, vector: np.ndarray) -> list[np.ndarray]:
        views, start = [], 0
        for state in (state for layer in self.layers for state in layer.states):
            views.append(vector[start : start + state.size].reshape(state.shape))
            views[-1][...] = state.initial
            start += state.size
        return views

    def _each_layer(self, arrays: Sequence[np.ndarray], what: str, method: str) -> None:
        position = 0
        for layer in self.layers:
            count = len(getattr(layer, what))
            if count:
                getattr(layer, method)(arrays[position : position + count])
            position += count

    def _bind_scratch(self, first: int) -> None:
        """Lay the gradients that pass between layers into two buffers, written in turn.

        The loss writes the first one (`delta`). Layers before `first` have no parameters, and get none.
        """
        shapes = [self.output_shape]
        for layer in reversed(self.layers[first:]):
            shapes += layer.scratch_shapes()
        sizes = [max((math.prod(s) for s in shapes[slot::2]), default=0) for slot in (0, 1)]
        slots = [np.empty(self.max_batch * size, self.dtype) for size in sizes]
        rows = [
            Rows(slots[i % 2][: self.max_batch * math.prod(s)].reshape(self.max_batch, *s))
            for i, s in enumerate(shapes)
        ]
        self.delta = rows[0]
        position = 1
        for layer in reversed(self.layers[first:]):
            count = len(layer.scratch_shapes())
            layer.bind_scratch(rows[position : position + count])
            position += count
        inner = [layer.inner_sizes() for layer in self.layers]
        most = [max(sizes) for sizes in zip(*(sizes for sizes in inner if sizes), strict=True)]
        buffers = [np.empty(self.max_batch * size, self.dtype) for size in most]
        for layer, sizes in zip(self.layers, inner, strict=True):
            if sizes:
                layer.bind_inner(buffers, self.max_batch)

    def replica(self, max_batch: int) -> Network:
        """Return a network for inference that shares this one's parameters and has buffers of its own."""
        return Network(
            self.layers, kernels=self.kernels, dtype=self.dtype, max_batch=max_batch, n_threads=self.n_threads,
            parameters=self.parameters, states=self.states, training=False,
        )  # fmt: skip

    @property
    def parameters(self) -> list[np.ndarray]:
        """The parameter arrays, layer by layer."""
        return [array for layer in self.layers for array in layer.arrays]

    @property
    def weights(self) -> list[np.ndarray]:
        """Those that decay: filters and matrices."""
        return self._of_kind(is_weight=True)

    @property
    def biases(self) -> list[np.ndarray]:
        """Those that do not: biases, and gamma and beta of normalizations."""
        return self._of_kind(is_weight=False)

    def _of_kind(self, *, is_weight: bool) -> list[np.ndarray]:
        kinds = [p.is_weight for layer in self.layers for p in layer.parameters]
        return [array for array, kind in zip(self.parameters, kinds, strict=True) if kind == is_weight]

    # -- the passes ----------------------------------------------------------------------------------------------

    def initialize(self, rng: np.random.RandomState, scheme: str = "auto") -> None:
        """Draw starting weights; see :func:`models.initializers.initial_parameters`."""
        values = initializers.initial_parameters(self.layers, rng, self.dtype, scheme)
        for own, value in zip(self.parameters, values, strict=True):
            own[...] = value

    def use_kernels(self, kernels: Kernels) -> None:
        """Exchange the kernels, for those of another backend or a recorder; passes that were made with them are kept."""
        self.kernels = kernels
        if kernels not in self._traced:
            self._traced[kernels] = Tracer(kernels), OrderedDict()
        self._tracer, self._passes = self._traced[kernels]
        for layer in self.layers:
            layer.bind_kernels(self._tracer if self._traceable else kernels, self.n_threads)
        for shard in self._shards:
            shard.use_kernels(kernels)

    def squared_weights(self) -> float:
        """Return the sum of the squares of all weights (not of the biases), for the loss's L2 term."""
        return self._squares("loss/L2 term", self.vector[: self.n_weights])

    def squared_gradient(self) -> float:
        """Return the sum of the squares of the gradient."""
        return self._squares("update/norm of the gradient", self.gradient)

    def _squares(self, label: str, vector: np.ndarray) -> float:
        key = label, self.kernels
        if key not in self._norms:
            out = np.empty((1, 1), self.dtype)
            # a product of ours: BLAS would start threads of its own for long vectors
            call = self.kernels.bind("gemm", vector[None], vector[:, None], out=out, n_threads=1)
            call.label = label
            self._norms[key] = call, out
        call, out = self._norms[key]
        call()
        return float(out[0, 0])

    def forward(self, x: np.ndarray, *, n_layers: int | None = None) -> np.ndarray:
        """Return the output for x (N, \\*input_shape): a view of the network's buffer, valid until the next call.

        With `n_layers` stop after that many layers.
        """
        if x.shape[0] > self.max_batch:
            raise ValueError(f"x has {x.shape[0]} samples, the network has buffers for {self.max_batch}")
        n_layers = len(self.layers) if n_layers is None else n_layers
        if not self._traceable:
            return self._forward_layers(x, n_layers)
        if self._shards or x.shape[0] > self._capacity:
            return self._forward_pieces(x, n_layers)
        forward = self._prepare(x, n_layers)
        run_passes(self.kernels, [forward])
        return forward.result

    def _forward_layers(self, x: np.ndarray, n_layers: int) -> np.ndarray:
        for position, layer in enumerate(self.layers[:n_layers], start=1):
            self._tracer.label = f"forward/{position} {layer.name}"
            x = layer.forward(x)
        return x

    def backward(self, delta: np.ndarray) -> None:
        """Fill `gradient` from the gradient of the loss for the output of the last `forward`."""
        if not self._traceable:
            self._backward_layers(delta)
            return
        if self._shards:
            self._backward_shards(delta)
            return
        run_passes(self.kernels, [self._backward_pass(delta)])

    def _backward_pass(self, delta: np.ndarray) -> Pass:
        """Return the pass of as many samples, with the gradient of the loss in its place."""
        n = delta.shape[0]
        _, backward = self._passes.get((n, len(self.layers)), (None, None))
        if backward is None:
            raise RuntimeError(f"backward of {n} samples must follow forward of as many, on a network in training")
        own = self.delta(n)
        if delta is not own:
            own[...] = delta
        return backward

    def _backward_layers(self, delta: np.ndarray) -> np.ndarray | None:
        for position, layer in reversed(list(enumerate(self.layers, start=1))):
            if delta is None:
                return None
            self._tracer.label = f"backward/{position} {layer.name}"
            delta = layer.backward(delta)
        return delta

    def _prepare(self, x: np.ndarray, n_layers: int) -> Pass:
        """Return the forward pass for as many samples, ready to read these; in training make the backward pass too."""
        key = x.shape[0], n_layers
        if key not in self._passes:
            self._passes[key] = self._trace(self._inputs(x, None), n_layers)
            if len(self._passes) > MOST_PASSES:
                self._passes.popitem(last=False)
        self._passes.move_to_end(key)
        forward, backward = self._passes[key]
        batch = self._inputs(x, forward.batch)
        forward.read(batch)
        if backward is not None:
            backward.read(batch)
        return forward

    def _trace(self, batch: np.ndarray, n_layers: int) -> tuple[Pass, Pass | None]:
        self._tracer.take()  # what an earlier trace left where it failed
        result = self._forward_layers(batch, n_layers)
        forward = Pass(self.kernels, self._tracer.take(), batch, result)
        if not self.training or n_layers < len(self.layers):
            return forward, None
        self._backward_layers(self.delta(batch.shape[0]))
        return forward, Pass(self.kernels, self._tracer.take(), batch, self.gradient)

    # -- pieces: many threads each take a share of the samples through all layers, on a network of their own; and in
    #    inference no more samples go through together than fit in the cache --------------------------------------------

    def _shares(self, n: int) -> list[slice]:
        share = max(1, -(-n // len(self._shards)))
        return [slice(start, min(start + share, n)) for start in range(0, max(n, 1), share)]

    def _forward_pieces(self, x: np.ndarray, n_layers: int) -> np.ndarray:
        out = self._whole_output(n_layers)(x.shape[0])
        workers = self._shards or [self]
        together = self._capacity if not self._shards else sum(shard._capacity for shard in self._shards)
        for start in range(0, max(x.shape[0], 1), together):
            rows = slice(start, min(start + together, x.shape[0]))
            shares = self._shares(rows.stop - start) if self._shards else [slice(0, rows.stop - start)]
            views = self._views_of(x, rows, shares)
            passes = [w._prepare(view, n_layers) for w, view in zip(workers, views, strict=False)]
            run_passes(self.kernels, passes)
            for p, share in zip(passes, shares, strict=True):
                out[start + share.start : start + share.stop] = p.result
        return out

    def _views_of(self, x: np.ndarray, rows: slice, shares: list[slice]) -> list[np.ndarray]:
        """Cut x; a batch that is the same array as the last one gives the same views: nothing is bound anew."""
        if rows.stop - rows.start < x.shape[0]:
            return [x[rows][share] for share in shares]
        if self._cut is None or self._cut[0] is not x:
            self._cut = x, [x[share] for share in shares]
        return self._cut[1]

    def _backward_shards(self, delta: np.ndarray) -> None:
        shares = self._shares(delta.shape[0])
        passes = [s._backward_pass(delta[share]) for s, share in zip(self._shards, shares, strict=False)]
        run_passes(self.kernels, passes)
        for p in passes[1:]:  # in their order: the same sums at every run
            self.gradient += p.result

    def _whole_output(self, n_layers: int) -> Rows:
        if n_layers not in self._outputs:
            shape = self.layers[n_layers - 1].output_shape if n_layers else self.input_shape
            self._outputs[n_layers] = Rows(np.empty((self.max_batch, *shape), self.dtype))
        return self._outputs[n_layers]

    @cached_property
    def _input_rows(self) -> Rows:
        return Rows(np.empty((self._capacity, *self.input_shape), self.dtype))

    def summary(self) -> list[LayerSummary]:
        """Return one entry per layer.

        Examples
        --------
        >>> import kernels
        >>> from models.architectures import build
        >>> net = Network(build("lenet5", (28, 28, 1), 10), kernels=kernels.load("reference"), max_batch=1)
        >>> net.summary()[0]  # doctest: +NORMALIZE_WHITESPACE
        LayerSummary(name='c6k5p2', kind='Conv2D', output_shape=(28, 28, 6), n_parameters=156, forward_flops=239904,
                     activation_bytes=18816)
        """
        return [
            LayerSummary(
                name=layer.name,
                kind=type(layer).__name__,
                output_shape=layer.output_shape,
                n_parameters=layer.n_parameters,
                forward_flops=layer.flops,
                activation_bytes=layer.activation_elements * self.dtype.itemsize,
            )
            for layer in self.layers
        ]
