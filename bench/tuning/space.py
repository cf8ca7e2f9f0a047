"""From a search space to configurations.

A space is what a model's entry holds (``models/entry.py``): parameter name -> distribution, or several such mappings of
which each configuration takes one. A person's own may also hold lists of values, and SciPy's frozen distributions.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.errors import InputError
from models.entry import Choice, IntLogUniform, IntUniform, LogUniform, Uniform

_DECLARED = (Choice, Uniform, LogUniform, IntUniform, IntLogUniform)
_EXPECTED = "a list of values, one of models.entry's distributions, or anything with SciPy's rvs"

#: So many draws in a row that bring nothing new end the search: the space has been seen.
_ENOUGH_REPEATS = 200


def alternatives(space: Any, model: str) -> tuple[Mapping[str, Any], ...]:
    """Return a space as a tuple of mappings, checked.

    Raises
    ------
    InputError
        Not a space; the message names the model, the parameter and what was expected.

    Examples
    --------
    >>> alternatives({"C": [0.1, 1.0, 10.0]}, "mine")
    ({'C': [0.1, 1.0, 10.0]},)
    """
    parts = (space,) if isinstance(space, Mapping) else space
    if not isinstance(parts, Sequence) or isinstance(parts, str) or not all(isinstance(p, Mapping) for p in parts):
        raise InputError(
            f"the search space of model {model!r} is {space!r}; expected a mapping of parameter names to what may be "
            "drawn, or a list of such mappings"
        )
    for part in parts:
        for name, distribution in part.items():
            if not isinstance(name, str):
                raise InputError(f"the search space of model {model!r} has {name!r} for a parameter name; expected text")
            _check(distribution, f"the search space of model {model!r}, parameter {name!r}")
    return tuple(part for part in parts if part)


def _check(distribution: Any, where: str) -> None:
    if isinstance(distribution, _DECLARED) or callable(getattr(distribution, "rvs", None)):
        return
    listed = isinstance(distribution, Sequence) and not isinstance(distribution, str)
    if not listed or not len(distribution):
        raise InputError(f"{where}: {distribution!r}; expected {_EXPECTED}")


def names(space: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return all parameters that a space names, each once."""
    return list(dict.fromkeys(name for part in space for name in part))


def draw(distribution: Any, rng: Any) -> Any:
    """Return a value of a distribution.

    Parameters
    ----------
    distribution : object
        See the head of this module.
    rng : numpy.random.RandomState

    Examples
    --------
    >>> import numpy as np
    >>> draw(IntLogUniform(1, 100), np.random.RandomState(0)), draw(["a"], np.random.RandomState(0))
    (12, 'a')
    """
    match distribution:
        case Choice(values=values):
            value = values[rng.randint(len(values))]
            return draw(value, rng) if isinstance(value, _DECLARED) else value
        case Uniform(low=low, high=high):
            return float(rng.uniform(low, high))
        case LogUniform(low=low, high=high):
            return min(max(math.exp(rng.uniform(math.log(low), math.log(high))), low), high)
        case IntUniform(low=low, high=high):
            return int(rng.randint(low, high + 1))
        case IntLogUniform(low=low, high=high):
            return min(int(math.exp(rng.uniform(math.log(low), math.log(high + 1)))), high)
    if callable(getattr(distribution, "rvs", None)):
        return distribution.rvs(random_state=rng)
    return distribution[rng.randint(len(distribution))]


def contains(distribution: Any, value: Any) -> bool:
    """Whether a declared distribution can give a value.

    Examples
    --------
    >>> contains(Choice(None, LogUniform(0.01, 10)), 1.0), contains(IntUniform(1, 20), 0.5)
    (True, False)
    """
    if isinstance(distribution, Choice):
        return any(contains(v, value) if isinstance(v, _DECLARED) else _same(v, value) for v in distribution.values)
    whole = isinstance(distribution, IntUniform | IntLogUniform)
    number = isinstance(value, numbers.Integral if whole else numbers.Real) and not isinstance(value, bool)
    return number and distribution.low <= value <= distribution.high


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other


class _Drawn:
    """What scikit-learn's ParameterSampler wants of a distribution."""

    def __init__(self, distribution: Any):
        self._distribution = distribution

    def rvs(self, random_state: Any) -> Any:
        return draw(self._distribution, random_state)


def configurations(
    space: Sequence[Mapping[str, Any]], default: Mapping[str, Any], seed: int
) -> Iterator[dict[str, Any]]:
    """Yield configurations without end, or until the space has been seen: first the default, then draws.

    Parameters
    ----------
    space : sequence of mappings
        See `alternatives`.
    default : mapping
        The values that the parameters have when nothing is set. The default is the configuration that sets nothing.
    seed : int

    Examples
    --------
    >>> list(configurations([{"p": Choice(1, 2)}], {"p": 2}, seed=0))
    [{}, {'p': 1}]
    """
    from sklearn.model_selection import ParameterSampler

    yield {}
    if not space:
        return
    wrapped = [{name: _Drawn(d) for name, d in part.items()} for part in space]
    seen, repeats = {_key(default, {})}, 0
    for drawn in ParameterSampler(wrapped, n_iter=2**31, random_state=seed):
        key = _key(default, drawn)
        repeats = repeats + 1 if key in seen else 0
        if repeats > _ENOUGH_REPEATS:
            return
        if not repeats:
            seen.add(key)
            yield drawn


def _key(default: Mapping[str, Any], drawn: Mapping[str, Any]) -> str:
    whole = {**default, **drawn}
    return repr(sorted((name, plain(value)) for name, value in whole.items()))


def plain(value: Any) -> Any:
    """Return a parameter's value as JSON can hold it; what JSON has no word for becomes text.

    Examples
    --------
    >>> plain((100, 100)), plain(float("inf")), plain(len)
    ([100, 100], 'inf', 'len')
    """
    if isinstance(value, Mapping):
        return {str(name): plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of NumPy's
        value = value.item()
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = getattr(value, "__name__", None) or " ".join(str(value).split())
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)  # the same in each process
