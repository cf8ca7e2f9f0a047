"""Bad input of any kind is refused by a message that names the argument, before anything is written.

One valid call per kernel, and what may be wrong with each argument: first what any array, `out` or number of threads
may suffer, for all kernels at once, then the table of what is wrong with one argument of one kernel.
"""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

import kernels
from kernels.spec import BY_NAME, SPECS

KERNELS = [spec.name for spec in SPECS]
F8 = np.float64


def ones(*shape):
    return np.ones(shape)


def ints(*shape, dtype=np.int32):
    return np.zeros(shape, dtype)


#: kernel -> the arguments of a valid call, by name; every axis of another length.
VALID: dict[str, dict[str, Any]] = {
    "gemm": {"a": ones(2, 3), "b": ones(3, 5), "bias": ones(5), "out": ones(2, 5), "beta": 0.5},
    "conv2d": {"x": ones(2, 5, 6, 4), "w": ones(3, 2, 2, 8), "bias": ones(8), "groups": 2, "out": ones(2, 3, 5, 8)},
    "conv2d_backward_input": {
        "dy": ones(2, 3, 5, 8), "w": ones(3, 2, 2, 8), "input_shape": (2, 5, 6, 4), "groups": 2,
        "out": ones(2, 5, 6, 4),
    },
    "conv2d_backward_weight": {
        "dy": ones(2, 3, 5, 8), "x": ones(2, 5, 6, 4), "kernel_size": (3, 2), "groups": 2, "out": ones(3, 2, 2, 8),
    },
    "max_pool2d": {"x": ones(2, 4, 6, 3), "size": 2, "out": ones(2, 2, 3, 3), "argmax_out": ints(2, 2, 3, 3)},
    "max_pool2d_backward": {
        "dy": ones(2, 2, 3, 3), "argmax": ints(2, 2, 3, 3), "input_shape": (2, 4, 6, 3), "out": ones(2, 4, 6, 3),
    },
    "avg_pool2d": {"x": ones(2, 4, 6, 3), "size": 2, "out": ones(2, 2, 3, 3)},
    "avg_pool2d_backward": {
        "dy": ones(2, 2, 3, 3), "size": 2, "input_shape": (2, 4, 6, 3), "out": ones(2, 4, 6, 3),
    },
    **{k: {"x": ones(2, 3), "out": ones(2, 3)} for k in ("relu", "sigmoid", "tanh", "leaky_relu", "gelu")},
    "leaky_relu_backward": {"dy": ones(2, 3), "y": ones(2, 3), "out": ones(2, 3), "slope": 0.1},
    "gelu_backward": {"dy": ones(2, 3), "x": ones(2, 3), "out": ones(2, 3)},
    "add": {"a": ones(2, 3), "b": ones(2, 3), "out": ones(2, 3)},
    "batch_norm_statistics": {"x": ones(2, 4, 3), "out": ones(3), "variance_out": ones(3)},
    "batch_norm": {
        "x": ones(2, 4, 3), "mean": ones(3), "variance": ones(3), "gamma": ones(3), "beta": ones(3), "out": ones(2, 4, 3),
    },
    "batch_norm_backward_sums": {
        "dy": ones(2, 4, 3), "x": ones(2, 4, 3), "mean": ones(3), "out": ones(3), "product_out": ones(3),
    },
    "batch_norm_backward": {
        "dy": ones(2, 4, 3), "x": ones(2, 4, 3), "mean": ones(3), "variance": ones(3), "gamma": ones(3),
        "sum_dy": ones(3), "sum_dy_x": ones(3), "out": ones(2, 4, 3),
    },
    "layer_norm": {"x": ones(2, 4, 3), "gamma": ones(3), "beta": ones(3), "out": ones(2, 4, 3)},
    "layer_norm_backward": {
        "dy": ones(2, 4, 3), "x": ones(2, 4, 3), "gamma": ones(3), "out": ones(2, 4, 3), "gamma_out": ones(3),
        "beta_out": ones(3),
    },
    **{f"{k}_backward": {"dy": ones(2, 3), "y": ones(2, 3), "out": ones(2, 3)} for k in ("relu", "sigmoid", "tanh")},
    "embedding_mean": {"weight": ones(5, 3), "indices": ints(2, 4), "lengths": ints(2), "out": ones(2, 3)},
    "embedding_mean_backward": {
        "dy": ones(2, 3), "indices": ints(2, 4), "lengths": ints(2), "n_rows": 5, "out": ones(5, 3),
    },
    "softmax_cross_entropy": {"logits": ones(4, 3), "labels": ints(4), "out": ones(4, 3)},
    "bias_backward": {"dy": ones(2, 4, 3), "out": ones(3)},
    "sgd_update": {"w": ones(2, 3), "dw": ones(2, 3), "velocity": ones(2, 3), "learning_rate": 0.1},
    "adam_update": {
        "w": ones(2, 3), "dw": ones(2, 3), "m": ones(2, 3), "v": ones(2, 3), "step": 1, "learning_rate": 0.1,
    },
}  # fmt: skip


def fresh(kernel: str) -> dict[str, Any]:
    return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in VALID[kernel].items()}


def refused(backend, kernel: str, changes: dict[str, Any], error, match: str) -> None:
    """Assert that the call raises, naming the argument, and that no array was touched."""
    call = {**fresh(kernel), **changes}
    before = {k: v.tobytes() for k, v in call.items() if isinstance(v, np.ndarray) and v.size < 1000}
    with pytest.raises(error, match=match):
        getattr(backend, kernel)(**call)
    assert before == {k: v.tobytes() for k, v in call.items() if k in before}, "an array was written"


def arrays(kernel: str, *, floating: bool = True) -> list[str]:
    """Names of a kernel's input arrays."""
    found = [k for k, v in VALID[kernel].items() if isinstance(v, np.ndarray) and "out" not in k]
    return [k for k in found if (VALID[kernel][k].dtype.kind == "f") is floating]


def test_every_kernel_has_a_valid_call(backend):
    assert list(VALID) and set(VALID) == set(KERNELS)
    for kernel in KERNELS:
        getattr(backend, kernel)(**fresh(kernel))


# -- what any array may suffer -----------------------------------------------------------------------------------------

NOT_FLOAT_ARRAYS = {
    "list": lambda x: x.tolist(),
    "scalar": lambda x: 1.0,
    "numpy_scalar": lambda x: F8(1.0),
    "string": lambda x: "x",
    "bytes": lambda x: x.tobytes(),
    "memoryview": lambda x: memoryview(x),
    "masked": lambda x: np.ma.masked_array(x, mask=x > 0),
    "object": lambda x: x.astype(object),
    "complex": lambda x: x.astype(complex),
    "int": lambda x: x.astype(int),
    "bool": lambda x: x.astype(bool),
    "float16": lambda x: x.astype(np.float16),
    "longdouble": lambda x: x.astype(np.longdouble) if np.longdouble(1).itemsize > 8 else x.astype(np.float16),
    "byte_swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "text": lambda x: x.astype("U3"),
    "structured": lambda x: np.zeros(x.shape, [("value", F8)]),
    "datetime": lambda x: x.astype("datetime64[s]"),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_input_that_is_no_float_array(backend, kernel):
    for name, spoil in itertools.product(arrays(kernel), NOT_FLOAT_ARRAYS.values()):
        wrong = spoil(fresh(kernel)[name])
        refused(backend, kernel, {name: wrong}, TypeError, rf"\b{name}\b (must|is a masked)")


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_input_that_is_missing(backend, kernel):
    for name in arrays(kernel):
        if name != "bias":
            refused(backend, kernel, {name: None}, TypeError, rf"\b{name}\b must be a numpy.ndarray")


@pytest.mark.parametrize("kernel", KERNELS)
def test_inputs_of_two_dtypes(backend, kernel):
    """Never a silent cast: each array in turn is single where the others are double."""
    names = arrays(kernel)
    for name in names[1:]:
        wrong = fresh(kernel)[name].astype(np.float32)
        refused(backend, kernel, {name: wrong}, TypeError, rf"\b{name}\b must have the dtype of the other arrays")
    if "out" in VALID[kernel]:
        every = {name: fresh(kernel)[name].astype(np.float32) for name in names}
        refused(backend, kernel, every, TypeError, r"\bout\b must have dtype float32, got float64")


@pytest.mark.parametrize("kernel", KERNELS)
def test_inputs_of_wrong_rank_and_shape(backend, kernel):
    any_rank = {k for k, spec in BY_NAME.items() if spec.group not in ("convolution", "pooling", "loss")} - {"gemm"}
    for position, name in enumerate(arrays(kernel)):
        x = fresh(kernel)[name]
        if kernel in any_rank and position == 0:
            continue
        for wrong in (x[None], np.array(x[0]), x[..., :-1] if position else x[None]):
            names = rf"\b({'|'.join(VALID[kernel])})\b"
            refused(backend, kernel, {name: wrong}, ValueError, names)


# -- what any output may suffer ----------------------------------------------------------------------------------------


def read_only(x):
    x.flags.writeable = False
    return x


WRONG_OUTS = {
    "list": (lambda x: x.tolist(), TypeError, "must be a numpy.ndarray or None, got list"),
    "number": (lambda x: 0, TypeError, "must be a numpy.ndarray or None, got int"),
    "wrong_dtype": (lambda x: x.astype(np.float16), TypeError, "must have dtype"),
    "byte_swapped": (lambda x: x.astype(x.dtype.newbyteorder()), TypeError, "must have dtype"),
    "object": (lambda x: x.astype(object), TypeError, "must have dtype"),
    "wrong_rank": (lambda x: x[None], ValueError, "must have shape"),
    "too_small": (lambda x: x[:-1].copy(), ValueError, "must have shape"),
    "transposed": (lambda x: x.T.copy() if x.ndim > 1 else x[:-1].copy(), ValueError, "must have shape"),
    "read_only": (read_only, ValueError, "is read-only"),
    "broadcast": (
        lambda x: np.lib.stride_tricks.as_strided(x, strides=(0,) * x.ndim), ValueError, "elements that share memory",
    ),
    "sliding": (
        lambda x: np.lib.stride_tricks.as_strided(x, strides=(8,) * x.ndim) if x.ndim > 1 and x.itemsize == 8
        else np.lib.stride_tricks.as_strided(x, strides=(x.itemsize // 2,) * x.ndim),
        ValueError, "elements that share memory",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_wrong_out(backend, kernel):
    names = [k for k in VALID[kernel] if k in BY_NAME[kernel].outs]
    for name, (spoil, error, message) in itertools.product(names, WRONG_OUTS.values()):
        refused(backend, kernel, {name: spoil(fresh(kernel)[name])}, error, rf"\b{name} (has )?{message}")


@pytest.mark.parametrize("kind", ["read_only", "broadcast", "sliding"])
@pytest.mark.parametrize("kernel", ["sgd_update", "adam_update"])
def test_weights_and_state_that_cannot_be_written(backend, kernel, kind):
    spoil, error, message = WRONG_OUTS[kind]
    for name in BY_NAME[kernel].in_place:
        refused(backend, kernel, {name: spoil(fresh(kernel)[name])}, error, rf"\b{name}\b.* {message}")


# -- threads -----------------------------------------------------------------------------------------------------------


NO_THREADS = {
    ValueError: (0, -1, 1025, 2**31, 2**64, 10**400),
    TypeError: (True, np.True_, "2", 1.5, 2.0, F8(1), None, (1,), np.array([1, 2]), math.nan, Decimal(1)),
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_wrong_number_of_threads(backend, kernel):
    for error, values in NO_THREADS.items():
        for wrong in values:
            refused(backend, kernel, {"n_threads": wrong}, error, r"\bn_threads\b")


@pytest.mark.parametrize("n_threads", [np.int8(2), np.uint64(1), np.array(2)])
def test_an_integer_of_numpy_is_a_number_of_threads(backend, n_threads):
    assert backend.relu(np.ones(3), n_threads=n_threads).sum() == 3.0


# -- options -----------------------------------------------------------------------------------------------------------

NO_SIZES = (
    "x", b"1", {}, 1j, 1.0, F8(2), True, np.True_, slice(1), np.array([1, 2]),
    (), (1,), (1, 2, 3), (1, 1.0), (1, None), (1, "1"), ((1, 2), 3), (((1,),),),
    -1, (1, -1), 2**31, 2**63, -(2**63) - 1, 10**400, (2**64, 1),
)  # fmt: skip

CONVOLUTIONS = ("conv2d", "conv2d_backward_input", "conv2d_backward_weight")
POOLINGS = ("max_pool2d", "avg_pool2d", "avg_pool2d_backward")
SIZES = [
    *itertools.product(CONVOLUTIONS, ("stride", "padding", "dilation", "groups")),
    ("conv2d_backward_weight", "kernel_size"),
    *itertools.product(POOLINGS, ("size", "stride", "padding")),
]


@pytest.mark.parametrize(("kernel", "option"), SIZES)
def test_sizes_that_are_none(backend, kernel, option):
    """Strides, paddings, dilations, groups and windows of every wrong type and value."""
    for wrong in NO_SIZES:
        refused(backend, kernel, {option: wrong}, (TypeError, ValueError), rf"\b{option}(\[\d\])* must be ")
    if option not in ("padding", "stride"):
        refused(backend, kernel, {option: None}, TypeError, rf"\b{option}\b must be an integer")
    if option != "padding":
        refused(backend, kernel, {option: 0}, ValueError, rf"\b{option}\b must be between 1")


@pytest.mark.parametrize(
    ("kernel", "changes", "error", "match"),
    [
        ("gemm", {"a": ones(2, 4)}, ValueError, "inner sizes differ"),
        ("gemm", {"transpose_a": True}, ValueError, "inner sizes differ"),
        ("gemm", {"transpose_b": True}, ValueError, "inner sizes differ"),
        ("gemm", {"transpose_a": 1}, TypeError, "transpose_a must be True or False, got int"),
        ("gemm", {"transpose_b": "T"}, TypeError, "transpose_b must be True or False, got str"),
        ("gemm", {"transpose_a": None}, TypeError, "transpose_a must be True or False, got NoneType"),
        ("gemm", {"alpha": "1"}, TypeError, "alpha must be a real number, got str"),
        ("gemm", {"alpha": 1j}, TypeError, "alpha must be a real number, got complex"),
        ("gemm", {"alpha": None}, TypeError, "alpha must be a real number, got NoneType"),
        ("gemm", {"alpha": ones(1)}, TypeError, "alpha must be a real number, got ndarray"),
        ("gemm", {"alpha": Decimal(1)}, TypeError, "alpha must be a real number, got Decimal"),
        ("gemm", {"alpha": 10**400}, ValueError, "alpha must fit in a float"),
        ("gemm", {"beta": True}, TypeError, "beta must be a real number, got bool"),
        ("gemm", {"beta": "0"}, TypeError, "beta must be a real number, got str"),
        ("gemm", {"out": None}, ValueError, "beta is 0.5, but there is no out"),
        ("gemm", {"bias": ones(2)}, ValueError, r"bias must have shape \(5,\), got \(2,\)"),
        ("gemm", {"activation": "gelu"}, ValueError, "activation must be one of.*'gelu'"),
        ("gemm", {"activation": len}, TypeError, "activation must be one of"),
        ("gemm", {"activation": ["relu"]}, TypeError, "activation must be one of"),
        ("conv2d", {"activation": "RELU"}, ValueError, "activation must be one of"),
        ("conv2d", {"bias": ones(4)}, ValueError, r"bias must have shape \(8,\)"),
        ("conv2d", {"groups": 3}, ValueError, "groups must divide"),
        ("conv2d", {"groups": 1}, ValueError, r"w must have shape \(KH, KW, C_in // groups, C_out\)"),
        ("conv2d", {"w": ones(6, 2, 2, 8)}, ValueError, "kernel spans 6 in height, more than the padded"),
        ("conv2d", {"w": ones(3, 7, 2, 8)}, ValueError, "kernel spans 7 in width, more than the padded"),
        ("conv2d", {"dilation": 3}, ValueError, "kernel spans 7 in height"),
        ("conv2d", {"dilation": 2**31 - 1}, ValueError, "kernel spans"),
        ("conv2d", {"w": ones(0, 2, 2, 8)}, ValueError, "w: kernel height and width"),
        ("conv2d", {"w": ones(3, 2, 2, 0)}, ValueError, "channels must be at least 1"),
        ("conv2d", {"x": ones(2, 5, 6, 0)}, ValueError, "channels must be at least 1"),
        ("conv2d", {"x": ones(2, 0, 6, 4)}, ValueError, "x: height must be at least 1"),
        ("conv2d", {"x": ones(2, 5, 0, 4)}, ValueError, "x: width must be at least 1"),
        ("conv2d", {"padding": "full"}, ValueError, "padding must be 'same', 'valid'.*'full'"),
        ("conv2d", {"padding": 2**31 - 1}, ValueError, "elements"),
        ("conv2d", {"padding": ((1, 2, 3), (0, 0))}, ValueError, "padding"),
        ("conv2d", {"padding": ((0, 0), (0, -1))}, ValueError, r"padding\[1\]\[1\]"),
        ("conv2d_backward_input", {"dy": ones(2, 3, 4, 8)}, ValueError, r"dy must have shape \(2, 3, 5, 8\)"),
        ("conv2d_backward_input", {"input_shape": (2, 5, 6)}, ValueError, r"input_shape must be \(N, H, W, C\)"),
        ("conv2d_backward_input", {"input_shape": 5}, ValueError, r"input_shape must be \(N, H, W, C\)"),
        ("conv2d_backward_input", {"input_shape": None}, ValueError, r"input_shape must be \(N, H, W, C\)"),
        ("conv2d_backward_input", {"input_shape": (2, 5, 6, 4.0)}, TypeError, r"input_shape\[3\] must be an integer"),
        ("conv2d_backward_input", {"input_shape": (True, 5, 6, 4)}, TypeError, r"input_shape\[0\] must be an integer"),
        ("conv2d_backward_input", {"input_shape": (-2, 5, 6, 4)}, ValueError, r"input_shape\[0\] must not be negative"),
        ("conv2d_backward_input", {"input_shape": (2**62, 5, 6, 4)}, ValueError, "input_shape.*elements"),
        ("conv2d_backward_weight", {"dy": ones(2, 3, 4, 8)}, ValueError, r"dy must have shape \(2, 3, 5, 8\)"),
        ("conv2d_backward_weight", {"groups": 3}, ValueError, "groups must divide"),
        ("conv2d_backward_weight", {"kernel_size": 7}, ValueError, "kernel spans 7"),
        ("conv2d_backward_weight", {"kernel_size": "3"}, TypeError, "kernel_size must be an integer"),
        ("max_pool2d", {"size": 7}, ValueError, "kernel spans 7"),
        ("max_pool2d", {"padding": 2}, ValueError, "padding in height must be smaller than the window"),
        ("max_pool2d", {"padding": ((0, 0), (0, 2))}, ValueError, "padding in width must be smaller than the window"),
        ("max_pool2d", {"x": ones(2, 4, 6, 0)}, ValueError, "channels must be at least 1"),
        ("max_pool2d", {"x": ones(2, 0, 6, 3)}, ValueError, "x: height must be at least 1"),
        ("max_pool2d", {"argmax_out": ints(2, 2, 3, 3, dtype=np.int64)}, TypeError, "argmax_out must have dtype int32"),
        ("max_pool2d_backward", {"argmax": ones(2, 2, 3, 3)}, TypeError, "argmax must be a numpy.ndarray of integers"),
        ("max_pool2d_backward", {"argmax": [0]}, TypeError, "argmax must be a numpy.ndarray of integers, got .*list"),
        ("max_pool2d_backward", {"argmax": ints(2, 2, 3, 2)}, ValueError, "argmax must have dy's shape"),
        ("max_pool2d_backward", {"argmax": np.ma.zeros((2, 2, 3, 3), int)}, TypeError, "argmax is a masked array"),
        ("max_pool2d_backward", {"input_shape": (1, 4, 6, 3)}, ValueError, "input_shape must have dy's batch"),
        ("max_pool2d_backward", {"input_shape": (2, 2**16, 2**15, 3)}, ValueError, r"height \* width"),
        ("avg_pool2d", {"count_include_pad": 1}, TypeError, "count_include_pad must be True or False"),
        ("avg_pool2d_backward", {"dy": ones(2, 2, 2, 3)}, ValueError, r"dy must have shape \(2, 2, 3, 3\)"),
        ("avg_pool2d_backward", {"input_shape": (2, 4, 6, 2)}, ValueError, r"dy must have shape \(2, 2, 3, 2\)"),
        ("relu_backward", {"y": ones(3, 2)}, ValueError, r"y must have shape \(2, 3\)"),
        ("softmax_cross_entropy", {"labels": ints(3)}, ValueError, r"labels must have shape \(4,\)"),
        ("softmax_cross_entropy", {"labels": ints(4, 1)}, ValueError, r"labels must have shape \(4,\)"),
        ("softmax_cross_entropy", {"labels": ones(4)}, TypeError, "labels must have an integer dtype, got float64"),
        ("softmax_cross_entropy", {"labels": ones(4) > 0}, TypeError, "labels must have an integer dtype, got bool"),
        ("softmax_cross_entropy", {"labels": [0, 0, 0, 0]}, TypeError, "labels must be a numpy.ndarray"),
        ("softmax_cross_entropy", {"labels": np.array([0, 1, 2, 3])}, ValueError, r"labels must lie in 0\.\.2"),
        ("softmax_cross_entropy", {"labels": np.array([0, -1, 2, 1])}, ValueError, r"labels must lie in 0\.\.2"),
        ("softmax_cross_entropy", {"labels": np.array([0, 2**63, 2, 1], np.uint64)}, ValueError, "labels must lie in"),
        ("softmax_cross_entropy", {"labels": np.ma.array([0, 1, 2, 1], mask=True)}, TypeError, "labels is a masked"),
        ("softmax_cross_entropy", {"logits": ones(4, 0)}, ValueError, "logits must have at least one column"),
        ("bias_backward", {"dy": np.array(1.0)}, ValueError, "dy must have at least one axis"),
        ("sgd_update", {"velocity": ones(3, 2)}, ValueError, r"velocity must have shape \(2, 3\)"),
        ("sgd_update", {"learning_rate": -0.1}, ValueError, "learning_rate must be a finite number"),
        ("sgd_update", {"learning_rate": math.nan}, ValueError, "learning_rate must be a finite number"),
        ("sgd_update", {"learning_rate": math.inf}, ValueError, "learning_rate must be a finite number"),
        ("sgd_update", {"learning_rate": "0.1"}, TypeError, "learning_rate must be a real number"),
        ("sgd_update", {"momentum": -1}, ValueError, "momentum must be a finite number"),
        ("sgd_update", {"nesterov": 1}, TypeError, "nesterov must be True or False"),
        ("sgd_update", {"weight_decay": math.inf}, ValueError, "weight_decay must be a finite number"),
        ("adam_update", {"step": 0}, ValueError, "step must be between 1"),
        ("adam_update", {"step": 1.0}, TypeError, "step must be an integer"),
        ("adam_update", {"beta_1": 1.0}, ValueError, "beta_1 must .* of float64 with 0.0 <= beta_1 < 1.0"),
        ("adam_update", {"beta_2": -0.1}, ValueError, "beta_2 must be a finite number"),
        ("adam_update", {"epsilon": -1e-8}, ValueError, "epsilon must be a finite number"),
        ("adam_update", {"v": ones(2, 2)}, ValueError, r"v must have shape \(2, 3\)"),
    ],
)  # fmt: skip
def test_one_wrong_argument(backend, kernel, changes, error, match):
    refused(backend, kernel, changes, error, match)


@pytest.mark.parametrize("argmax", [-1, 24, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_argmax_outside_the_image(backend, argmax, dtype):
    """An index from elsewhere must not be written to, at the start, at the end, or on a second thread."""
    for place in ((0, 0, 0, 0), (1, 1, 2, 2)):
        wrong = ints(2, 2, 3, 3, dtype=dtype)
        wrong[place] = argmax
        with pytest.raises(ValueError, match=r"argmax must lie in 0\.\.23"):
            backend.max_pool2d_backward(ones(2, 2, 3, 3), wrong, (2, 4, 6, 3), n_threads=2)


# -- sizes that overflow -----------------------------------------------------------------------------------------------


def huge(*shape: int) -> np.ndarray:
    """An array of any shape in 8 bytes of memory."""
    return np.broadcast_to(F8(1.0), shape)


@pytest.mark.parametrize(
    ("kernel", "call"),
    [
        ("gemm", (huge(2**31, 1), huge(1, 2**31))),
        ("gemm", (huge(2**40, 2), huge(2, 2**20))),
        ("conv2d", (huge(1, 2**20, 2**20, 1), ones(1, 1, 1, 1))),
        ("conv2d", (ones(1, 1, 1, 1), huge(1, 1, 1, 2**50))),
        ("conv2d_backward_input", (huge(2**20, 2**12, 2**12, 1), ones(1, 1, 1, 1), (2**20, 2**12, 2**12, 1))),
        ("conv2d_backward_weight", (huge(1, 2**20, 2**20, 1), huge(1, 2**20, 2**20, 1), 1)),
        ("max_pool2d", (huge(2**30, 2, 2, 2**18), 2)),
        ("max_pool2d", (huge(1, 2**20, 2**20, 1), 2**10)),
        ("avg_pool2d", (huge(2**30, 2, 2, 2**18), 2)),
        ("max_pool2d_backward", (ones(1, 1, 1, 1), ints(1, 1, 1, 1), (1, 2**31, 2**31, 1))),
        ("avg_pool2d_backward", (ones(1, 1, 1, 1), 2, (1, 2**31, 2**31, 1))),
        ("relu", (huge(2**30, 2**20),)),
        ("tanh_backward", (huge(2**50), huge(2**50))),
        ("softmax_cross_entropy", (huge(2, 2**50), ints(2))),
        ("bias_backward", (huge(2**25, 2**25),)),
    ],
)
def test_sizes_beyond_the_machine(backend, kernel, call):
    """Views of one number that claim petabytes: refused for their size, not tried."""
    with pytest.raises(ValueError, match=r"elements|bytes|shape|spans|height"):
        getattr(backend, kernel)(*call)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -0.0, F8(2), np.float32(2), np.int64(3), 5])
def test_any_real_alpha_and_beta_are_taken(backend, value):
    out = ones(2, 5)
    backend.gemm(ones(2, 3), ones(3, 5), alpha=value, beta=value, out=out)
    expected = 3.0 * float(value) + (float(value) if value else 0.0)
    np.testing.assert_array_equal(out, np.full((2, 5), expected))


def test_factors_are_rounded_to_the_dtype(backend):
    """What is 0 or infinite in float32 acts so, whatever a backend computes in between."""
    a, b, out = (np.full(s, v, np.float32) for s, v in (((1, 1), np.inf), ((1, 1), 1.0), ((1, 1), np.nan)))
    assert np.isnan(backend.gemm(a, b, alpha=1e-60)).all()
    assert np.isposinf(backend.gemm(b, b, alpha=1e60)).all()
    assert (backend.gemm(b, b, beta=1e-60, out=out) == 1.0).all()


def test_rates_that_float32_cannot_hold_are_refused(backend):
    w, dw, velocity = (np.ones(3, np.float32) for _ in range(3))
    with pytest.raises(ValueError, match=r"learning_rate must be a finite number of float32 .*, got 1e\+39"):
        backend.sgd_update(w, dw, velocity, learning_rate=1e39)
    assert (w == 1).all()
    # One that only the correction of Adam's first steps carries beyond float32 is taken, without a warning.
    backend.adam_update(w, dw, velocity, np.ones(3, np.float32), step=1, learning_rate=3e38)
    assert (w < -1e37).all()


def test_too_many_or_unknown_arguments(backend):
    for kernel in KERNELS:
        with pytest.raises(TypeError, match="unexpected keyword argument 'strides'"):
            getattr(backend, kernel)(**fresh(kernel), strides=1)
        with pytest.raises(TypeError, match="missing"):
            getattr(backend, kernel)()


def test_messages_say_what_was_given_and_what_was_expected():
    k = kernels.load("reference")
    with pytest.raises(ValueError, match=r"^x must have 4 axes, got 2 \(shape \(2, 3\)\)$"):
        k.max_pool2d(ones(2, 3), 2)
    with pytest.raises(TypeError, match=r"^x must have dtype float32 or float64 in native byte order, got <i4$"):
        k.relu(ints(3))
