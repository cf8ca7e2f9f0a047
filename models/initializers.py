"""Starting weights.

A layer's weights must neither shrink nor blow up what passes through, forwards and backwards. Glorot & Bengio
("Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010, eq. 16) balance both by a
variance of 2 / (fan_in + fan_out); He et al. ("Delving deep into rectifiers", ICCV 2015, eq. 10) take 2 / fan_in, since
a rectifier lets half of the variance through.

All draw in float64 from a ``numpy.random.RandomState`` and round afterwards, so float32 and float64 networks of one
seed start from the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from models.blocks import Residual
from models.layers import Layer, Parameter


def uniform(rng: np.random.RandomState, bound: float, shape: tuple[int, ...], dtype) -> np.ndarray:
    """Draw from the uniform distribution over [-bound, bound)."""
    return rng.uniform(-bound, bound, shape).astype(dtype, copy=False)


def normal(rng: np.random.RandomState, deviation: float, shape: tuple[int, ...], dtype) -> np.ndarray:
    """Draw from the normal distribution with mean 0."""
    return (deviation * rng.standard_normal(shape)).astype(dtype, copy=False)


def glorot_bound(fan_in: int, fan_out: int, *, logistic: bool = False) -> float:
    """Return the bound of Glorot's uniform distribution, as scikit-learn's MLPs take it.

    The variance of a uniform distribution over [-b, b] is b**2 / 3, hence sqrt(6 / (fan_in + fan_out)). scikit-learn
    takes 2 in the place of 6 for logistic units.

    Examples
    --------
    >>> glorot_bound(3, 3)
    1.0
    """
    return math.sqrt((2.0 if logistic else 6.0) / (fan_in + fan_out))


def he_deviation(fan_in: int) -> float:
    """Return the standard deviation of He's normal distribution.

    Examples
    --------
    >>> he_deviation(8)
    0.5
    """
    return math.sqrt(2.0 / fan_in)


def glorot_deviation(fan_in: int, fan_out: int) -> float:
    """Return the standard deviation of Glorot's normal distribution.

    Examples
    --------
    >>> glorot_deviation(4, 4)
    0.5
    """
    return math.sqrt(2.0 / (fan_in + fan_out))


def lecun_deviation(fan_in: int) -> float:
    """Return the standard deviation of LeCun's normal distribution: what comes in with variance 1 goes out with it.

    LeCun et al., "Efficient BackProp", 1998, eq. 16.

    Examples
    --------
    >>> lecun_deviation(4)
    0.5
    """
    return math.sqrt(1.0 / fan_in)


def orthogonal(rng: np.random.RandomState, shape: tuple[int, ...], dtype) -> np.ndarray:
    """Draw a matrix with orthonormal columns, or rows where there are fewer of them; filters (..., F) as (taps, F).

    Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural networks",
    ICLR 2014.

    Examples
    --------
    >>> w = orthogonal(np.random.RandomState(0), (5, 3), np.float64)
    >>> np.allclose(w.T @ w, np.eye(3))
    True
    """
    rows, columns = math.prod(shape[:-1]), shape[-1]
    draw = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(draw)
    q *= np.sign(np.diag(r))  # else the distribution is not uniform
    return (q if rows >= columns else q.T).reshape(shape).astype(dtype, copy=False)


def uniform_deviation(fan_in: int) -> float:
    """Return the standard deviation of the uniform distribution over ±1 / sqrt(fan_in): what was usual before Glorot & Bengio.

    Their eq. 1; with each layer it lets a third of the variance through.

    Examples
    --------
    >>> round(uniform_deviation(3), 3)
    0.333
    """
    return math.sqrt(1.0 / (3.0 * fan_in))


#: Rules for starting weights, by the name that estimators take.
SCHEMES = ("auto", "glorot", "he", "lecun", "orthogonal", "uniform")
#: Activations that let about half of the variance through.
_RECTIFIERS = ("relu", "leaky_relu", "gelu")


def initial_parameters(
    layers: Sequence[Layer], rng: np.random.RandomState, dtype, scheme: str = "auto"
) -> list[np.ndarray]:
    """Draw the parameters of a network; biases and beta are 0, gamma 1.

    Parameters
    ----------
    scheme : {"auto", "glorot", "he", "lecun", "orthogonal", "uniform"}
        The distribution of weights; "auto" is He's normal where a rectifier follows, Glorot's elsewhere.

    Returns
    -------
    list of ndarray
        Layer by layer, in the order of ``layer.parameters``.
    """
    return [
        _weights(rng, p, feeds, dtype, scheme) if p.is_weight else np.full(p.shape, p.initial, dtype)
        for layer in layers
        for p, feeds in parameters_and_activations(layer)
    ]


def parameters_and_activations(layer: Layer) -> list[tuple[Parameter, str | None]]:
    """Return the parameters of a layer, each with the activation that it feeds; those of layers within it too."""
    if isinstance(layer, Residual):
        return [pair for inner in layer.layers for pair in parameters_and_activations(inner)]
    return [(p, layer.activation or layer.feeds) for p in layer.parameters]


def _weights(rng, p: Parameter, feeds: str | None, dtype, scheme: str) -> np.ndarray:
    if scheme == "auto":
        scheme = "he" if feeds in _RECTIFIERS else "glorot"
    if scheme == "orthogonal":
        weights = orthogonal(rng, p.shape, dtype)
        return weights * weights.dtype.type(math.sqrt(2.0)) if feeds in _RECTIFIERS else weights
    if scheme == "uniform":
        return uniform(rng, math.sqrt(3.0) * uniform_deviation(p.fan_in), p.shape, dtype)
    deviation = {
        "he": lambda: he_deviation(p.fan_in),
        "glorot": lambda: glorot_deviation(p.fan_in, p.fan_out),
        "lecun": lambda: lecun_deviation(p.fan_in),
    }[scheme]()
    return normal(rng, deviation, p.shape, dtype)
