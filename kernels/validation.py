"""Whether a kernel's answer is right, said in words; for tests, and for benchmarks before they time anything.

An answer is held against the reference in this order: how many outputs, their shape, their dtype, where they are not
finite, then their values, with the tolerance of ``kernels/spec.py``. So an answer of the wrong length is never zipped
away and a NaN never slips through a comparison.

>>> import kernels
>>> from kernels.cases import cases
>>> disagreement(kernels.load("reference"), cases("gemm", "S")[0], "float32") is None
True
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import kernels
from kernels.cases import Case, edge_cases
from kernels.spec import BY_NAME, KernelSpec


def outputs(backend: kernels.Kernels, kernel: str, arguments: tuple, options: dict[str, Any]) -> tuple:
    """Call a kernel and return everything it answers: what it returns and what it overwrites, as one tuple.

    Examples
    --------
    >>> w, dw, velocity = np.ones(1), np.ones(1), np.zeros(1)
    >>> outputs(kernels.load("reference"), "sgd_update", (w, dw, velocity), {"learning_rate": 0.5})
    (array([0.5]), array([1.]))
    """
    result = getattr(backend, kernel)(*arguments, **options)
    returned = () if result is None else result if isinstance(result, tuple) else (result,)
    return (*returned, *(arguments[i] for i in _written(BY_NAME[kernel])))


def _written(spec: KernelSpec) -> list[int]:
    """Positions of the arguments that are overwritten: all arrays but the gradient, the second."""
    return [0, *range(2, len(spec.in_place) + 1)] if spec.in_place else []


def disagreement(
    backend: kernels.Kernels, case: Case, dtype: Any, seed: int = 0, expected: tuple | None = None, **options
) -> str | None:
    """Return why a backend's answer to a case is wrong, in words, or None where it is right.

    Parameters
    ----------
    backend : Kernels
    case : Case
    dtype : dtype-like
    seed : int
    expected : tuple of ndarray, optional
        What the reference answers to this case, where it is known already.
    **options
        More options for the backend's call, ``n_threads=2`` say.
    """
    spec = BY_NAME[case.kernel]
    arguments, own = case.make(dtype, seed)
    actual = outputs(backend, case.kernel, arguments, {**own, **options})
    if expected is None:
        expected = outputs(kernels.load("reference"), case.kernel, *case.make(dtype, seed))
    return compare(spec, actual, expected, *case.make(dtype, seed))


def self_test(backend: kernels.Kernels) -> list[str]:
    """Return what a backend answers wrongly, in words: all edge cases of all kernels, both dtypes, one and two threads.

    Examples
    --------
    >>> self_test(kernels.load("reference"))
    []
    """
    every = itertools.product(BY_NAME, ("float32", "float64"), (1, 2))
    return [
        f"{case}, {dtype}, {n_threads} threads: {message}"
        for kernel, dtype, n_threads in every
        for case in edge_cases(kernel)
        if (message := disagreement(backend, case, dtype, n_threads=n_threads)) is not None
    ]


def compare(
    spec: KernelSpec, actual: Any, expected: Any, arguments: tuple, options: dict[str, Any],
    allowed: list[np.ndarray] | None = None,
) -> str | None:  # fmt: skip
    """Return how an answer differs from the expected one, in words, or None where it agrees.

    Parameters
    ----------
    spec : KernelSpec
    actual, expected : tuple of ndarray or float, or one of them
        As :func:`outputs` gives them; `expected` from the reference.
    arguments, options
        The call, as it was before an in-place kernel changed its arguments.
    allowed : list of ndarray, optional
        Largest errors, from :func:`allowances`, where several answers to one call are compared.

    Examples
    --------
    >>> x = np.array([1.0, -1.0])
    >>> compare(BY_NAME["relu"], np.array([1.0, 1.0]), np.array([1.0, 0.0]), (x,), {})
    'relu: output 0: 1 of 2 values are wrong, the worst at (1,): 1.0, expected 0.0, off by 1, allowed 0'
    """
    actual = actual if isinstance(actual, tuple) else (actual,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    if len(actual) != len(expected):
        return f"{spec.name}: {len(actual)} outputs, expected {len(expected)}"
    for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
        found = _different_kind(a, e) or _different_finiteness(a, e)
        if found:
            return f"{spec.name}: output {i}: {found}"
    for i, (a, e, tolerance) in enumerate(
        zip(actual, expected, allowed or allowances(spec, expected, arguments, options), strict=True)
    ):
        found = _different_values(a, e, tolerance)
        if found:
            return f"{spec.name}: output {i}: {found}"
    return None


def _different_kind(actual: Any, expected: Any) -> str | None:
    if type(actual) is not type(expected):
        return f"is a {type(actual).__name__}, expected a {type(expected).__name__}"
    if isinstance(expected, np.ndarray):
        if actual.shape != expected.shape:
            return f"has shape {actual.shape}, expected {expected.shape}"
        if actual.dtype != expected.dtype:
            return f"has dtype {actual.dtype}, expected {expected.dtype}"
    return None


def _different_finiteness(actual: Any, expected: Any) -> str | None:
    actual, expected = np.asarray(actual), np.asarray(expected)
    for what, is_so in (("NaN", np.isnan), ("inf", np.isposinf), ("-inf", np.isneginf)):
        wrong = is_so(actual) != is_so(expected)
        if wrong.any():
            at = _first(wrong)
            return f"{what} in other places: at {at} {actual[at]}, expected {expected[at]}"
    return None


def _different_values(actual: Any, expected: Any, allowed: np.ndarray) -> str | None:
    a, e = np.asarray(actual, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(np.isfinite(e), np.abs(a - e), 0.0)  # the others are equal already
    wrong = error > allowed
    if not wrong.any():
        return None
    with np.errstate(divide="ignore", over="ignore"):
        excess = np.where(wrong, error / np.where(wrong, allowed, 1.0), 0.0)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(excess)), excess.shape))
    values = f"{a[at].item()}, expected {e[at].item()}, off by {error[at]:.3g}, allowed {allowed[at]:.3g}"
    return f"{int(wrong.sum())} of {wrong.size} values are wrong, the worst at {at}: {values}"


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))


# -- how wrong an element may be ---------------------------------------------------------------------------------------


def allowances(spec: KernelSpec, expected: tuple, arguments: tuple, options: dict[str, Any]) -> list[np.ndarray]:
    """Return the largest error that each element of each output may have.

    Examples
    --------
    >>> allowances(BY_NAME["relu"], (np.array([1.0]),), (np.array([1.0]),), {})
    [array([0.])]
    """
    if spec.exact:
        return [np.zeros(np.shape(e)) for e in expected]
    dtype = arguments[0].dtype
    relative, per_unit_of_scale = spec.tolerance(dtype, *arguments, **options)
    smallest = float(np.finfo(dtype).tiny)  # below this, numbers lose digits or are flushed to zero
    allowed = []
    for e, scale in zip(expected, scales(spec, expected, arguments, options), strict=True):
        size = np.abs(np.nan_to_num(np.asarray(e, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0))
        scale = np.nan_to_num(scale, nan=0.0, posinf=0.0)
        allowed.append(relative * size + per_unit_of_scale * np.maximum(scale, size) + smallest)
    return allowed


def scales(spec: KernelSpec, expected: tuple, arguments: tuple, options: dict[str, Any]) -> tuple:
    """Return, per output, the sum of the absolute values of the terms behind each element, in float64.

    The linear kernels are their own oracle: the reference on absolute values.

    Examples
    --------
    >>> a = np.array([[1.0, -2.0]])
    >>> scales(BY_NAME["gemm"], (a @ a.T,), (a, -a), {"transpose_b": True})
    (array([[5.]]),)
    """
    with np.errstate(all="ignore"):
        if spec.name in _OWN_SCALES:
            return _OWN_SCALES[spec.name](arguments, options, expected)
        if spec.name in _LINEAR:
            dtype = arguments[0].dtype
            absolute = {k: _absolute(v, dtype) for k, v in options.items() if k != "activation"}
            result = getattr(kernels.load("reference"), spec.name)(*map(_absolute, arguments), **absolute)
            return (result,)
    return tuple(np.abs(e) for e in expected)


_LINEAR = (
    "gemm", "conv2d", "conv2d_backward_input", "conv2d_backward_weight", "max_pool2d_backward", "avg_pool2d",
    "avg_pool2d_backward", "bias_backward", "embedding_mean",
)  # fmt: skip


def _absolute(value: Any, dtype: Any = np.float64) -> Any:
    """Absolute value in double precision of arrays and (rounded) factors; sizes, flags and indices as they are."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return np.abs(value.astype(np.float64))
    return abs(float(np.asarray(value).astype(dtype))) if isinstance(value, float) else value


def _sigmoid_backward(arguments, options, expected):
    dy, y = map(_absolute, arguments)
    return (dy * y * (1.0 + y),)


def _tanh_backward(arguments, options, expected):
    dy, y = map(_absolute, arguments)
    return (dy * (1.0 + y * y),)


def _softmax_cross_entropy(arguments, options, expected):
    """exp(x) is off by |x| u where its argument is off by u, relative to the largest logit."""
    logits, labels = arguments
    if len(labels) == 0:
        return np.zeros(()), np.zeros(logits.shape)
    shift = np.abs(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    probability = np.exp(-shift) / np.exp(-shift).sum(axis=1, keepdims=True)
    gradient = np.where(probability > 0.0, probability * (1.0 + shift), 0.0)
    rows = np.arange(len(labels))
    gradient[rows, labels] += 1.0
    return (1.0 + shift[rows, labels] + np.log(logits.shape[1])).mean(), gradient / len(labels)


def _embedding_mean_backward(arguments, options, expected):
    """A share that a text adds to a row r times is rounded the same way each time: r errors, no random walk of them."""
    dy, indices, lengths, n_rows = arguments
    sums = kernels.load("reference").embedding_mean_backward(_absolute(dy), indices, lengths, n_rows)
    most = max((int(np.bincount(bag[:n]).max(initial=0)) for bag, n in zip(indices, lengths, strict=True)), default=0)
    return (sums * np.sqrt(max(most, 1)),)


def _sgd_update(arguments, options, expected):
    w, dw, velocity = map(_absolute, arguments)
    rate, momentum = options["learning_rate"], options.get("momentum", 0.0)
    g = dw + options.get("weight_decay", 0.0) * w
    v = momentum * velocity + g
    return w + rate * (g + momentum * v), v


def _adam_update(arguments, options, expected):
    w, dw, m, v = map(_absolute, arguments)
    beta_1, beta_2, step = options.get("beta_1", 0.9), options.get("beta_2", 0.999), options["step"]
    g = dw + options.get("weight_decay", 0.0) * w
    m = beta_1 * m + (1.0 - beta_1) * g
    v = beta_2 * v + (1.0 - beta_2) * g * g
    v_hat = expected[2].astype(np.float64) / (1.0 - beta_2**step)
    change = options["learning_rate"] * m / (1.0 - beta_1**step) / (np.sqrt(v_hat) + options.get("epsilon", 1e-8))
    # What v_hat lost to cancellation in g, the quotient loses too.
    return w + change * np.maximum(1.0, np.nan_to_num(v / expected[2], nan=1.0, posinf=1.0)), m, v


def _gelu(arguments, options, expected):
    """The gate is off by |2 u| u where its argument is off by u; below the smallest exponential it is 0."""
    x = arguments[0]
    size, least = _gelu_argument(x), float(np.finfo(x.dtype).tiny / np.finfo(x.dtype).eps)
    return (np.abs(expected[0].astype(np.float64)) * (1.0 + size) + _absolute(x) * least,)


def _gelu_argument(x) -> np.ndarray:
    near = np.minimum(_absolute(x), 30.0)
    return 2.0 * np.sqrt(2.0 / np.pi) * (near + 0.044715 * near**3)


def _gelu_backward(arguments, options, expected):
    dy, x = arguments
    size, least = _gelu_argument(x), float(np.finfo(x.dtype).tiny / np.finfo(x.dtype).eps)
    gate = 1.0 / (1.0 + np.exp(np.where(x > 0, -size, size)))
    slope = 1.6 * (1.0 + 0.134145 * np.minimum(_absolute(x), 30.0) ** 2)
    inner = np.minimum(_absolute(x), 30.0) * slope * gate * (1.0 - gate)
    return (_absolute(dy) * (gate * (1.0 + size) + inner * (3.0 + 2.0 * size) + (1.0 + size) * slope * least),)


def _add(arguments, options, expected):
    return (_absolute(arguments[0]) + _absolute(arguments[1]),)


def _flat(x) -> np.ndarray:
    return _absolute(x).reshape(-1, x.shape[-1]) if x.size else np.zeros((0, x.shape[-1]))


def _batch_norm_statistics(arguments, options, expected):
    """Deviations from the mean lose what x and the mean have in common."""
    [x] = arguments
    if not x.size:
        return tuple(np.zeros(x.shape[-1]) for _ in range(2))
    wide = x.reshape(-1, x.shape[-1]).astype(np.float64)
    mean = wide.mean(axis=0)
    size = np.abs(wide) + np.abs(mean)
    # the mean about which deviations are taken is itself off, by sqrt(rows) eps of its size: squared, that is a variance
    off = np.finfo(x.dtype).eps * len(wide) * (size**2).mean(axis=0)
    return np.abs(wide).mean(axis=0), (np.abs(wide - mean) * size).mean(axis=0) + off


def _batch_norm(arguments, options, expected):
    x, mean, variance, gamma, beta = map(_absolute, arguments)
    return ((x + mean) * gamma / np.sqrt(variance + options.get("epsilon", 1e-5)) + beta,)


def _batch_norm_backward_sums(arguments, options, expected):
    dy, x, mean = arguments
    dy, x = _flat(dy), _flat(x)
    return dy.sum(axis=0), (dy * (x + _absolute(mean))).sum(axis=0)


def _batch_norm_backward(arguments, options, expected):
    dy, x, mean, variance, gamma, sum_dy, sum_dy_x = map(_absolute, arguments)
    count = options.get("count") or max(dy.size // max(dy.shape[-1], 1), 1)
    spread = variance + options.get("epsilon", 1e-5)
    return (gamma / np.sqrt(spread) * (dy + sum_dy / count + (x + mean) * sum_dy_x / (count * spread)),)


def _standardized(x, epsilon):
    """Bounds of |x - mean| / deviation with what cancels in it, one over the deviation, and how far that may be off."""
    wide = x.astype(np.float64)
    mean = wide.mean(axis=-1, keepdims=True)
    centred, size = np.abs(wide - mean), np.abs(wide) + np.abs(wide).mean(axis=-1, keepdims=True)
    spread = (centred**2).mean(axis=-1, keepdims=True) + epsilon
    return size / np.sqrt(spread), 1.0 / np.sqrt(spread), 1.0 + (centred * size).mean(axis=-1, keepdims=True) / spread


def _layer_norm(arguments, options, expected):
    x, gamma, beta = arguments
    if not x.size:
        return (np.zeros(x.shape),)
    standardized, _, loss = _standardized(x, options.get("epsilon", 1e-5))
    return (standardized * loss * _absolute(gamma) + _absolute(beta),)


def _layer_norm_backward(arguments, options, expected):
    dy, x, gamma = arguments
    if not x.size:
        return tuple(np.zeros(e.shape) for e in expected)
    standardized, inverse, loss = _standardized(x, options.get("epsilon", 1e-5))
    g = _absolute(dy) * _absolute(gamma)
    across = g.mean(axis=-1, keepdims=True) + standardized * (g * standardized).mean(axis=-1, keepdims=True)
    product = (_absolute(dy) * standardized * loss).reshape(-1, x.shape[-1])
    return inverse * loss**2 * (g + across), product.sum(axis=0), _flat(dy).sum(axis=0)


_OWN_SCALES = {
    "gelu": _gelu,
    "gelu_backward": _gelu_backward,
    "add": _add,
    "batch_norm_statistics": _batch_norm_statistics,
    "batch_norm": _batch_norm,
    "batch_norm_backward_sums": _batch_norm_backward_sums,
    "batch_norm_backward": _batch_norm_backward,
    "layer_norm": _layer_norm,
    "layer_norm_backward": _layer_norm_backward,
    "sigmoid_backward": _sigmoid_backward,
    "tanh_backward": _tanh_backward,
    "embedding_mean_backward": _embedding_mean_backward,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "sgd_update": _sgd_update,
    "adam_update": _adam_update,
}
