"""Which code made a row, as two hashes: of the model, and of the kernels that it ran on.

A model is its class, its parameters, and the code behind both: for ours the sources, for a library's its version, for a
person's own factory the file that it stands in. Seeds, threads, the shape of images and the backend are left out, for they
stand in the row or differ from fold to fold; what a search has chosen is left out too, its search space is not.

Kernels are what runs: the compiled modules of the instruction set in use, the Python around them, and the versions of
NumPy and Numba. A binary that was built elsewhere from the same sources may differ in its bytes; then it counts as other
code, since nothing proves that it is the same.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from bench.features.keys import code_digest

#: Parameters that say how or on what a model runs, not what it is.
_CIRCUMSTANCES = frozenset("random_state seed n_jobs n_threads image_shape backend checkpoint verbose".split())
_OURS = ("kernels", "models", "bench")
_BACKENDS = {"cython": "cython_backend", "numba": "numba_backend", "reference": "reference"}


def model_digest(model: Any, factory: Any = None, space: Any = None) -> str:
    """Return the hash of a model that was built and not yet fitted.

    Parameters
    ----------
    model : object
        An estimator, or whatever a person's factory returns.
    factory : callable, optional
        The person's own factory, whose file counts too.
    space : optional
        The search space where the model is tuned.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> a, b, c = (model_digest(SVC(C=C, random_state=seed)) for C, seed in ((1, 0), (1, 7), (2, 0)))
    >>> a == b, a == c
    (True, False)
    """
    parts = [_plain(model), *sorted(_code_of(model))]
    if factory is not None:
        parts.append(_file_digest(getattr(factory, "__module__", None)))
    if space is not None:
        parts.append(_plain(space))
    return _digest(parts)


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it, the same in every process: no address and no order of a set in it."""
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, np.generic):
        return repr(value.item())
    if isinstance(value, np.ndarray):
        content = repr(value.tolist()) if value.dtype.hasobject else value.tobytes()
        content = content.encode() if isinstance(content, str) else content
        return [value.dtype.str, list(value.shape), hashlib.sha256(content).hexdigest()]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items() if k not in _CIRCUMSTANCES}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(json.dumps(_plain(v), sort_keys=True) for v in value)
    if inspect.isroutine(value) or inspect.isclass(value):
        return _name(value)
    return [_name(type(value)), _parameters(value)]


def _parameters(value: Any) -> Any:
    """Return the parameters of an estimator, or the fields of a small object of data; of anything else its type must do."""
    if hasattr(value, "get_params"):
        try:
            return _plain(value.get_params(deep=False))
        except Exception:  # a person's own class that is no estimator after all
            return None
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None:
        return _plain({name: getattr(value, name, None) for name in fields})
    return None


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _code_of(model: Any) -> set[str]:
    """Return the versions of all code that a model's class, and the estimators inside it, are made of."""
    found: set[str] = set()
    waiting, seen = [model], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        found |= {_version(c.__module__) for c in type(one).__mro__ if c.__module__ != "builtins"}
        if hasattr(one, "get_params"):
            try:
                values = list(one.get_params(deep=True).values())
            except Exception:  # as above
                values = []
            waiting += [v for v in values if hasattr(v, "get_params") and not inspect.isclass(v)]
    return found


@cache
def _version(module: str) -> str:
    """Return what names the code of a module: our sources, a package's version, else the file itself."""
    top = module.partition(".")[0]
    if top in _OURS:
        return f"{top} {code_digest(top)}"
    version = getattr(sys.modules.get(top), "__version__", None)
    return f"{top} {version}" if isinstance(version, str) else f"{module} {_file_digest(module)}"


def _file_digest(module: str | None) -> str | None:
    try:
        return hashlib.sha256(Path(inspect.getsourcefile(importlib.import_module(module))).read_bytes()).hexdigest()
    except (ImportError, TypeError, OSError, AttributeError, ValueError):  # built in, or made on the fly
        return None


@cache
def kernels_digest(backend: str) -> str | None:
    """Return the hash of the kernels of a backend, as they would run in this process; None for what is none of ours.

    Examples
    --------
    >>> kernels_digest("reference") == kernels_digest("reference"), kernels_digest("sklearn")
    (True, None)
    """
    name = backend.partition("-")[0]
    if name not in _BACKENDS:
        return None
    parts: list[Any] = [backend, f"numpy {np.__version__}"]
    home = Path(importlib.util.find_spec("kernels").origin).parent
    shared = [p for folder in (home, home / "api") for p in folder.glob("*.py")]
    parts += _files(home, [*shared, *(home / _BACKENDS[name]).rglob("*.py")])
    if name == "cython":
        parts += _files(home, _compiled())
    if name == "numba":
        parts += [f"{package} {metadata.version(package)}" for package in ("numba", "llvmlite")]
    return _digest(parts)


def _compiled() -> list[Path]:
    from kernels.cython_backend import loader

    modules = (f"{short}_{loader.chosen()}" for short in ("f32", "f64")) if loader.available() else ()
    return [Path(importlib.util.find_spec(f"kernels.cython_backend.{name}").origin) for name in modules]


def _files(home: Path, paths: Iterable[Path]) -> list[list[str]]:
    return [[p.relative_to(home).as_posix(), hashlib.sha256(p.read_bytes()).hexdigest()] for p in sorted(set(paths))]
