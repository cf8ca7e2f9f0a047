"""Seeded inputs of every kernel, the same for tests, micro-benchmarks and the profiler.

Presets S, M and L hold the calls that training really makes: each layer of the named networks, forward and backward, at
a batch of 8 (S), 32 and 128 (M) or 256 (L), with the square matrix products that the field compares libraries on. They
are worked out from the networks below, as data; :func:`edge_cases` adds the small and odd ones that break kernels.

A case makes fresh arrays each time it is asked, from its own name and a seed: nothing depends on the order of calls.
Values are drawn in double precision and rounded to the dtype, so float32 and float64 see the same numbers.

Legend: N batch; H, W, C height, width, channels; KH, KW kernel; M, K, N of a matrix product.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from kernels.case_networks import CONV16_32, CONV32_64, LENET5, MLP, RESNET20, VGG_SMALL, Conv, Network, Pool
from kernels.spec import BY_NAME

PRESETS = ("S", "M", "L")

#: What a call takes: positional arguments and keyword arguments.
Call = tuple[tuple, dict[str, Any]]
Build = Callable[[np.random.Generator, np.dtype], Call]


@dataclass(frozen=True)
class Case:
    """One call of one kernel.

    Attributes
    ----------
    kernel : str
        A name of ``kernels.spec.BY_NAME``.
    name : str
        Unique among the cases of the kernel; says which layer or which oddity, and the batch: ``"lenet5_c2_b128"``.

    Examples
    --------
    >>> case = cases("conv2d", "S")[0]
    >>> arguments, options = case.make(np.float32, seed=0)
    >>> arguments[0].shape, options["padding"]
    ((8, 28, 28, 1), 2)
    """

    kernel: str
    name: str
    build: Build = field(repr=False, compare=False)

    def make(self, dtype: Any = np.float32, seed: int = 0) -> Call:
        """Return ``(arguments, options)`` in fresh memory; the same dtype and seed give the same values."""
        generator = np.random.default_rng([seed, zlib.crc32(f"{self.kernel}/{self.name}".encode())])
        return self.build(generator, np.dtype(dtype))

    def __str__(self) -> str:
        return f"{self.kernel}-{self.name}"


#: (network, batch) of each preset.
_PRESET_NETWORKS = {
    "S": ((LENET5, 8), (CONV16_32, 8), (MLP, 8)),
    "M": ((LENET5, 128), (CONV16_32, 128), (CONV32_64, 128), (VGG_SMALL, 128), (MLP, 128)),
    "L": ((CONV32_64, 256), (RESNET20, 128), (MLP, 512)),
}
#: Further batches of which only the products and convolutions are cases.
_PRESET_BATCHES = {"S": (), "M": (1, 32), "L": ()}
#: (name, M, K, N, transposes) of the products that convolutions are: patches of a few taps, and few filters.
_TALL = (
    ("tall_9x16", 25088, 9, 16, ""), ("tall_25x6", 100352, 25, 6, ""), ("tall_27x32", 32768, 27, 32, ""),
    ("tall_150x16", 12800, 150, 16, ""), ("tall_150x16_tb", 12800, 150, 16, "b"), ("tall_16x9_tb", 25088, 16, 9, "b"),
    ("flat_25x6_ta", 25, 100352, 6, "a"), ("flat_9x16_ta", 9, 25088, 16, "a"), ("flat_150x16_ta", 150, 12800, 16, "a"),
    ("skinny_10x84_ta_tb", 84, 128, 10, "ab"), ("wide_84x10_tb", 128, 10, 84, "b"), ("row_784x256", 1, 784, 256, ""),
    ("column_784x10", 784, 32, 10, ""),
)  # fmt: skip
#: (texts, words of the longest, words there are, length of a word's vector) of each preset.
_PRESET_TEXTS = {
    "S": ((32, 20, 500, 16), (64, 30, 2000, 50)),
    "M": ((64, 60, 20_000, 50), (128, 60, 20_000, 64), (128, 60, 20_000, 300)),
    "L": ((256, 250, 100_000, 100), (256, 250, 100_000, 300)),
}
#: What the names of square products begin with.
SQUARE = "square_"
#: Square matrix products of each preset.
_PRESET_SQUARES = {"S": (64, 128), "M": (256, 384, 512, 768, 1024, 1536, 2048), "L": (4096,)}


# -- builders: from sizes to a call -----------------------------------------------------------------------------------


def _normal(rng, dtype, *shape) -> np.ndarray:
    return np.asarray(rng.standard_normal(shape), dtype)


def _image(rng, dtype, shape, fill: str) -> np.ndarray:
    """An image filled with "normal" numbers; few different ones ("ties"); or with some special value mixed in."""
    x = rng.standard_normal(shape)
    if fill == "ties":
        x = rng.integers(-1, 2, shape).astype(np.float64)
    elif fill in ("nan", "-inf", "inf"):
        x[rng.random(shape) < 0.3] = float(fill)
    elif fill.startswith("all "):
        x[...] = float(fill.removeprefix("all "))
    return x.astype(dtype)


def gemm_build(m: int, k: int, n: int, *, bias=False, out: str | None = None, positive=False, **options) -> Build:
    """Build a matrix product; `out` is None, "normal" or "nan" (what an `out` is filled with)."""

    def build(rng, dtype):
        a = _normal(rng, dtype, *((k, m) if options.get("transpose_a") else (m, k)))
        b = _normal(rng, dtype, *((n, k) if options.get("transpose_b") else (k, n)))
        call = dict(options)
        if positive:  # every partial sum drifts: the worst case of summation
            a, b = np.abs(a), np.abs(b)
        if bias:
            call["bias"] = _normal(rng, dtype, n)
        if out is not None:
            call["out"] = np.full((m, n), np.nan, dtype) if out == "nan" else _normal(rng, dtype, m, n)
        return (a, b), call

    return build


def conv_builds(conv: Conv, batch: int) -> dict[str, Build]:
    """Build the three kernels of one convolution."""
    x_shape, w_shape, y_shape = conv.shapes(batch)

    def forward(rng, dtype):
        arguments = _normal(rng, dtype, *x_shape), _normal(rng, dtype, *w_shape)
        if conv.bias:
            arguments = (*arguments, _normal(rng, dtype, conv.channels))
        return arguments, {**conv.options, "activation": conv.activation}

    def backward_input(rng, dtype):
        return (_normal(rng, dtype, *y_shape), _normal(rng, dtype, *w_shape), x_shape), dict(conv.options)

    def backward_weight(rng, dtype):
        return (_normal(rng, dtype, *y_shape), _normal(rng, dtype, *x_shape), conv.kernel), dict(conv.options)

    return {
        "conv2d": forward, "conv2d_backward_input": backward_input, "conv2d_backward_weight": backward_weight,
    }  # fmt: skip


def _winners(rng, g) -> np.ndarray:
    """A pixel of each window, drawn at random: what max_pool2d could have answered, without asking it."""
    h = np.arange(g.out_h).reshape(1, -1, 1, 1) * g.stride_h - g.pad_top
    w = np.arange(g.out_w).reshape(1, 1, -1, 1) * g.stride_w - g.pad_left
    h = np.clip(h + rng.integers(0, g.kernel_h, g.output_shape), 0, g.in_h - 1)
    w = np.clip(w + rng.integers(0, g.kernel_w, g.output_shape), 0, g.in_w - 1)
    return (h * g.in_w + w).astype(np.int32)


def pool_builds(pool: Pool, batch: int) -> dict[str, Build]:
    """Build the four kernels of one pooling."""
    g = pool.geometry(batch)
    average = {**pool.options, "count_include_pad": pool.count_include_pad}
    return {
        "max_pool2d": lambda r, t: ((_image(r, t, g.input_shape, pool.fill), pool.size), dict(pool.options)),
        "max_pool2d_backward": lambda r, t: ((_normal(r, t, *g.output_shape), _winners(r, g), g.input_shape), {}),
        "avg_pool2d": lambda r, t: ((_image(r, t, g.input_shape, pool.fill), pool.size), dict(average)),
        "avg_pool2d_backward": lambda r, t: ((_normal(r, t, *g.output_shape), pool.size, g.input_shape), dict(average)),
    }


def elementwise_builds(shape: tuple[int, ...]) -> dict[str, Build]:
    """Build the activations and their gradients; y is what the activation could have given."""

    def forward(rng, dtype):
        return (np.asarray(3 * rng.standard_normal(shape), dtype),), {}

    def backward(squash):
        return lambda rng, dtype: (
            (_normal(rng, dtype, *shape), np.asarray(squash(3 * rng.standard_normal(shape)), dtype)), {}
        )  # fmt: skip

    def add(rng, dtype):
        return (_normal(rng, dtype, *shape), _normal(rng, dtype, *shape)), {"activation": "relu"}

    return {
        "relu": forward, "sigmoid": forward, "tanh": forward,
        "relu_backward": backward(lambda x: np.maximum(x, 0.0)),
        "sigmoid_backward": backward(lambda x: 1.0 / (1.0 + np.exp(-x))),
        "tanh_backward": backward(np.tanh),
        "leaky_relu": forward, "leaky_relu_backward": backward(lambda x: np.where(x < 0, 0.01 * x, x)),
        "gelu": forward, "gelu_backward": backward(lambda x: x), "add": add,
    }  # fmt: skip


def norm_builds(shape: tuple[int, ...], *, offset: float = 1.0, activation: str | None = "relu", **options) -> dict[str, Build]:
    """Build the six kernels of a normalization over the last axis; `offset` is what x lies from 0, in deviations."""

    def vectors(rng, dtype):
        """A mean and a variance that x could have, gamma and beta."""
        channels = shape[-1]
        gamma, beta = 1.0 + 0.3 * rng.standard_normal(channels), rng.standard_normal(channels)
        values = offset + 0.1 * rng.standard_normal(channels), 1.0 + 0.5 * rng.random(channels), gamma, beta
        return tuple(np.asarray(v, dtype) for v in values)

    def x_of(rng, dtype):
        return np.asarray(offset + rng.standard_normal(shape), dtype)

    def backward(rng, dtype):
        mean, variance, gamma, _ = vectors(rng, dtype)
        sums = (np.asarray(3.0 * rng.standard_normal(shape[-1]), dtype) for _ in range(2))
        return (_normal(rng, dtype, *shape), x_of(rng, dtype), mean, variance, gamma, *sums), dict(options)

    forward = {**options, "activation": activation}
    return {
        "batch_norm_statistics": lambda r, t: ((x_of(r, t),), {}),
        "batch_norm": lambda r, t: ((x_of(r, t), *vectors(r, t)), dict(forward)),
        "batch_norm_backward_sums": lambda r, t: ((_normal(r, t, *shape), x_of(r, t), vectors(r, t)[0]), {}),
        "batch_norm_backward": backward,
        "layer_norm": lambda r, t: ((x_of(r, t), *vectors(r, t)[2:]), dict(forward)),
        "layer_norm_backward": lambda r, t: ((_normal(r, t, *shape), x_of(r, t), vectors(r, t)[2]), dict(options)),
    }


def embedding_builds(n: int, steps: int, n_rows: int, width: int, *, least: int = 0) -> dict[str, Build]:
    """Build the two kernels of an embedding: `n` texts of `least` to `steps` words, a few of them frequent, as words are."""

    def texts(rng):
        """Indices that lie the denser the lower they are, padded with 0, and lengths."""
        lengths = rng.integers(least, steps + 1, n)
        indices = (rng.random((n, steps)) ** 3 * n_rows).astype(np.int64)
        indices[np.arange(steps) >= lengths[:, None]] = 0
        return indices, lengths.astype(np.int64)

    return {
        "embedding_mean": lambda r, t: ((_normal(r, t, n_rows, width), *texts(r)), {}),
        "embedding_mean_backward": lambda r, t: ((_normal(r, t, n, width), *texts(r), n_rows), {}),
    }


def softmax_build(n: int, classes: int, label_dtype: Any = np.int64) -> Build:
    """Build a cross-entropy of `n` rows."""
    return lambda rng, dtype: (
        ((3 * rng.standard_normal((n, classes))).astype(dtype), rng.integers(0, classes, n).astype(label_dtype)), {}
    )  # fmt: skip


def bias_build(*shape: int) -> Build:
    """Build a sum over all axes but the last."""
    return lambda rng, dtype: ((_normal(rng, dtype, *shape),), {})


def sgd_build(shape: tuple[int, ...], **options) -> Build:
    """Build a step of SGD in the middle of a training."""
    call = {"learning_rate": 0.05, "momentum": 0.9, **options}
    return lambda rng, dtype: (tuple(_normal(rng, dtype, *shape) for _ in range(3)), dict(call))


def adam_build(shape: tuple[int, ...], **options) -> Build:
    """Build a step of Adam in the middle of a training; v is a mean of squares."""
    call = {"step": 7, "learning_rate": 0.001, **options}

    def build(rng, dtype):
        w, dw, m = (_normal(rng, dtype, *shape) for _ in range(3))
        return (w, dw, m, np.asarray(rng.standard_normal(shape) ** 2, dtype)), dict(call)

    return build


# -- presets ----------------------------------------------------------------------------------------------------------


def _dense_cases(network: Network, batch: int):
    """The three products of each dense layer: forward with bias, gradient of the weights, gradient of the input."""
    for i, (fan_in, fan_out) in enumerate(zip(network.dense[:-1], network.dense[1:], strict=True), start=1):
        last = i == len(network.dense) - 1
        name = f"{network.name}_d{i}"
        yield f"{name}_forward_b{batch}", gemm_build(
            batch, fan_in, fan_out, bias=True, activation=None if last else "relu"
        )
        yield f"{name}_backward_weight_b{batch}", gemm_build(fan_in, batch, fan_out, transpose_a=True)
        yield f"{name}_backward_input_b{batch}", gemm_build(batch, fan_out, fan_in, transpose_b=True)


def _product_cases(network: Network, batch: int):
    """Yield (kernel, name, build) of the convolutions and the dense layers of a network."""
    for conv in network.convs:
        for kernel, build in conv_builds(conv, batch).items():
            yield kernel, f"{network.name}_{conv.name}_b{batch}", build
    yield from (("gemm", name, build) for name, build in _dense_cases(network, batch))


def _network_cases(network: Network, batch: int):
    """Yield (kernel, name, build) of every call in one training step of a network."""
    yield from _product_cases(network, batch)
    for conv in network.convs:
        name = f"{network.name}_{conv.name}"
        w_shape, y_shape = conv.shapes(batch)[1:]
        yield from ((kernel, f"{name}_b{batch}", build) for kernel, build in elementwise_builds(y_shape).items())
        yield "bias_backward", f"{name}_b{batch}", bias_build(*y_shape)
        for kernel, build in norm_builds(y_shape).items():
            if kernel.startswith("batch"):
                yield kernel, f"{name}_b{batch}", build
        yield from _optimizer_cases(name, w_shape)
    for pool in network.pools:
        for kernel, build in pool_builds(pool, batch).items():
            yield kernel, f"{network.name}_{pool.name}_b{batch}", build
    for i, (fan_in, fan_out) in enumerate(zip(network.dense[:-1], network.dense[1:], strict=True), start=1):
        name = f"{network.name}_d{i}"
        for kernel, build in elementwise_builds((batch, fan_out)).items():
            yield kernel, f"{name}_b{batch}", build
        yield "bias_backward", f"{name}_b{batch}", bias_build(batch, fan_out)
        yield from ((kernel, f"{name}_b{batch}", build) for kernel, build in norm_builds((batch, fan_out)).items())
        yield from _optimizer_cases(name, (fan_in, fan_out))
    yield "softmax_cross_entropy", f"{network.name}_b{batch}", softmax_build(batch, network.dense[-1])


def _optimizer_cases(name: str, shape: tuple[int, ...]):
    yield "sgd_update", name, sgd_build(shape)
    yield "adam_update", name, adam_build(shape)


@cache
def _preset(preset: str) -> dict[str, tuple[Case, ...]]:
    found: dict[tuple[str, str], Case] = {}
    for n in _PRESET_SQUARES[preset]:
        found["gemm", f"{SQUARE}{n}"] = Case("gemm", f"{SQUARE}{n}", gemm_build(n, n, n))
    if preset == "M":
        for name, m, k, n, transposed in _TALL:
            build = gemm_build(m, k, n, transpose_a="a" in transposed, transpose_b="b" in transposed)
            found["gemm", name] = Case("gemm", name, build)
    for sizes in _PRESET_TEXTS[preset]:
        for kernel, build in embedding_builds(*sizes, least=1).items():
            name = "{}x{}x{}x{}".format(*sizes)
            found[kernel, name] = Case(kernel, name, build)
    for network, batch in _PRESET_NETWORKS[preset]:
        for kernel, name, build in _network_cases(network, batch):
            found[kernel, name] = Case(kernel, name, build)  # an optimizer does not see the batch: once per network
        for more in _PRESET_BATCHES[preset]:
            for kernel, name, build in _product_cases(network, more):
                found[kernel, name] = Case(kernel, name, build)
    return {kernel: tuple(c for c in found.values() if c.kernel == kernel) for kernel in BY_NAME}


def _known(kernel: str) -> str:
    if kernel not in BY_NAME:
        raise ValueError(f"unknown kernel {kernel!r}; known: {', '.join(BY_NAME)}")
    return kernel


def cases(kernel: str, preset: str = "M") -> tuple[Case, ...]:
    """Return the calls of a kernel that training makes, in the order of the networks.

    Parameters
    ----------
    kernel : str
        A name of ``kernels.spec.BY_NAME``.
    preset : {"S", "M", "L"}

    Examples
    --------
    >>> [case.name for case in cases("max_pool2d", "S")]
    ['lenet5_m1_b8', 'lenet5_m2_b8', 'conv16_32_m1_b8', 'conv16_32_m2_b8']
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}; known: {', '.join(PRESETS)}")
    return _preset(preset)[_known(kernel)]


def find(kernel: str, name: str) -> Case:
    """Return the case of a name, whichever preset it is in.

    Examples
    --------
    >>> find("gemm", "square_512").name
    'square_512'
    """
    every = [case for preset in PRESETS for case in cases(kernel, preset)]
    for case in every:
        if case.name == name:
            return case
    raise ValueError(f"{kernel} has no case {name!r}; there are {', '.join(case.name for case in every)}")


def edge_cases(kernel: str) -> tuple[Case, ...]:
    """Return the small and odd calls of a kernel: prime sizes, empty axes, every option, special values.

    Examples
    --------
    >>> "no_rows" in [case.name for case in edge_cases("gemm")]
    True
    """
    from kernels.edge_cases import EDGE_CASES  # there and not here: one file that one can hold in mind each

    return EDGE_CASES[_known(kernel)]
