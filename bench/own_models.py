"""A person's own model: ``package.module:factory``, whose factory returns anything with scikit-learn's fit and predict.

The factory is called with those of ``seed``, ``n_threads``, ``backend`` and ``image_shape`` that it takes. It may have
two attributes: ``family = "deep"``, and ``space``, a search space for tuning. A parameter of the space goes to the
factory where it takes one of that name, else to the model's ``set_params``; so a pipeline's is named ``"svc__C"``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from bench.errors import InputError
from bench.plan import OwnModel


def load(name: str) -> OwnModel:
    """Import ``package.module:factory`` and say what it is; it is "classical" unless its attribute ``family`` says deep.

    Raises
    ------
    InputError
        It cannot be imported or called.

    Examples
    --------
    >>> load("sklearn.svm:SVC")
    OwnModel(family='classical', takes_backend=False, has_space=False)
    """
    try:
        factory = get_factory(name)
    except Exception as e:  # whatever the person's module raises while it is imported is what they must read
        raise InputError(f"model {name!r} cannot be imported: {type(e).__name__}: {e}") from e
    if not callable(factory):
        raise InputError(f"model {name!r} is not a factory: it cannot be called")
    deep = getattr(factory, "family", "classical") == "deep"
    return OwnModel("deep" if deep else "classical", "backend" in _parameters(factory), bool(getattr(factory, "space", None)))


def search_space(name: str) -> tuple[Mapping[str, Any], ...]:
    """Return the search space that the factory declares, as alternatives; none where it declares none.

    Raises
    ------
    InputError
        What it declares is not a search space.

    Examples
    --------
    >>> search_space("sklearn.svm:SVC")
    ()
    """
    from bench.tuning.space import alternatives

    return alternatives(getattr(get_factory(name), "space", {}), name)


def build(name: str, options: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    """Return the model, with the parameters of a search set.

    Raises
    ------
    InputError
        Neither the factory nor the model takes one of the parameters.

    Examples
    --------
    >>> build("sklearn.svm:SVC", {"seed": 0}, {"C": 3.0})
    SVC(C=3.0)
    """
    factory = get_factory(name)
    accepted = _parameters(factory)
    model = factory(**{k: v for k, v in {**options, **params}.items() if k in accepted})
    rest = {k: v for k, v in params.items() if k not in accepted}
    if rest and not hasattr(model, "set_params"):
        raise InputError(_nobody_takes(name, next(iter(rest)), sorted(accepted)))
    return model.set_params(**rest) if rest else model


def defaults(name: str, model: Any, parameters: Iterable[str]) -> dict[str, Any]:
    """Return the values that the parameters of a search space have in a model that was built without them.

    Raises
    ------
    InputError
        Neither the factory nor the model takes one of the parameters.

    Examples
    --------
    >>> defaults("sklearn.svm:SVC", get_factory("sklearn.svm:SVC")(), ["C"])
    {'C': 1.0}
    """
    of_factory = inspect.signature(get_factory(name)).parameters if _parameters(get_factory(name)) else {}
    of_model = model.get_params() if hasattr(model, "get_params") else {}
    found = {}
    for parameter in parameters:
        if parameter in of_factory:
            default = of_factory[parameter].default
            found[parameter] = None if default is inspect.Parameter.empty else default
        elif parameter in of_model:
            found[parameter] = of_model[parameter]
        elif of_model or not hasattr(model, "set_params"):
            raise InputError(_nobody_takes(name, parameter, [*of_factory, *of_model]))
    return found


def _nobody_takes(name: str, parameter: str, known: list[str]) -> str:
    return (
        f"the search space of model {name!r} names parameter {parameter!r}, which neither its factory nor the model "
        f"takes; they take {', '.join(known) or 'none'}"
    )


def get_factory(name: str) -> Any:
    """Return the factory that a name stands for.

    Examples
    --------
    >>> get_factory("sklearn.svm:SVC").__name__
    'SVC'
    """
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _parameters(factory: Any) -> set[str]:
    try:
        return set(inspect.signature(factory).parameters)
    except ValueError:  # some builtins have none
        return set()
