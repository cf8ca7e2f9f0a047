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

from models.layers import Layer


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


def initial_parameters(layers: Sequence[Layer], rng: np.random.RandomState, dtype) -> list[np.ndarray]:
    """Draw the parameters of a network: He's normal weights where relu follows, Glorot's elsewhere; biases are zero.

    Returns
    -------
    list of ndarray
        Weight and bias of each layer that has them.
    """
    arrays = []
    for layer in layers:
        for p in layer.parameters:
            if not p.is_weight:
                arrays.append(np.zeros(p.shape, dtype))
                continue
            relu = layer.activation == "relu"
            deviation = he_deviation(p.fan_in) if relu else glorot_deviation(p.fan_in, p.fan_out)
            arrays.append(normal(rng, deviation, p.shape, dtype))
    return arrays
