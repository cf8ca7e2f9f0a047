"""What a matrix of features depends on, as one hash: the key that it is stored under, for every run that needs it.

Content, not names: the bytes of the samples, the indices of the split, the name of the feature set with its options, the
source of what makes it, the versions of the libraries and the CPU that it is made on; of labels, seed, backend and data
set, what the feature set reads. Whatever changes one of them changes the key, so that nothing stale is ever found.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.features.entry import FeatureSet

#: What every key has, of what the caller knows; what the feature set reads comes to it.
ALWAYS = ("samples_sha256", "split_sha256", "image_shape")

_LIBRARIES = ("numpy", "scipy", "scikit-learn", "scikit-image", "numba")
_SOURCES = (".py", ".pyx", ".pxi", ".h")


def key(feature_set: FeatureSet, facts: Mapping[str, Any]) -> str:
    """Return the key of a feature set's matrices.

    Parameters
    ----------
    feature_set : FeatureSet
    facts : mapping
        `ALWAYS` and, where the feature set reads them, ``y_train`` (a hash), ``seed``, ``backend``, ``dataset``; others
        are passed over.

    Raises
    ------
    KeyError
        A fact that the feature set reads is missing.

    Examples
    --------
    >>> from bench.features import get
    >>> facts = {"samples_sha256": "aa", "split_sha256": "bb", "image_shape": (8, 8, 1), "seed": 0, "backend": "cython"}
    >>> key(get("pca"), facts) == key(get("pca"), {**facts, "seed": 1})  # pca draws nothing
    True
    >>> key(get("random_conv"), facts) == key(get("random_conv"), {**facts, "seed": 1})
    False
    """
    runs_on_kernels = "backend" in feature_set.reads
    parts = {
        **{name: facts[name] for name in (*ALWAYS, *feature_set.reads)},
        "feature_set": feature_set.name,
        "options": dict(feature_set.options),
        "code_digest": code_digest("bench.features", "bench.datasets", *(("kernels", "models") if runs_on_kernels else ())),
        "made_on": _made_on(),
        "isa": _isa() if runs_on_kernels else None,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@functools.cache
def code_digest(*packages: str) -> str:
    """Return the SHA-256 of all source files of some packages, in the order of their names.

    Examples
    --------
    >>> len(code_digest("bench.features"))
    64
    """
    digest = hashlib.sha256()
    for package in packages:
        for folder in importlib.util.find_spec(package).submodule_search_locations:
            digest.update(sources_digest(Path(folder)).encode())
    return digest.hexdigest()


def sources_digest(folder: Path) -> str:
    """Return the SHA-256 of the source files below a folder, of their names and their bytes."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in _SOURCES):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@functools.cache
def _made_on() -> dict[str, str]:
    from bench.environment import cpu_model

    found = {"cpu": cpu_model(), "machine": platform.machine()}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _isa() -> str | None:
    from bench.environment import isa

    return isa()
