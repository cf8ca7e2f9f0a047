"""A training's state after an epoch, in one file, so that a training that was cut off goes on where it was.

The file is safetensors: arrays, and a text that says in JSON what else there is. It is written beside and renamed, so
that there is always a whole one. It carries a digest of what is trained on what; another training does not go on from
it but begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = "depthbench checkpoint 1"


def digest(settings: dict[str, Any], *arrays: np.ndarray | None) -> str:
    """Return a SHA-256 of settings and arrays."""
    sha = hashlib.sha256(json.dumps(settings, sort_keys=True, default=repr).encode())
    for array in arrays:
        sha.update(b"none" if array is None else f"{array.dtype.str}{array.shape}".encode())
        if array is not None:
            sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def write(path: Path, what: str, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> None:
    """Write a checkpoint; `what` is the digest of the training.

    Raises
    ------
    OSError
        It cannot be written; an older one is left as it is.
    """
    write_file(path, {"format": FORMAT, "training": what, "values": json.dumps(values)}, arrays)


def write_file(path: Path, metadata: dict[str, str], arrays: dict[str, np.ndarray]) -> None:
    """Write arrays and texts to a safetensors file: beside it first, then in its place."""
    from safetensors.numpy import save

    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read_file(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays and the texts of a safetensors file.

    Raises
    ------
    ValueError
        It is none, or damaged.
    OSError
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file, or a damaged one: {error}") from None


def read(path: Path, what: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return arrays and values of a checkpoint; None where there is none, of another training, or a damaged one."""
    try:
        arrays, metadata = read_file(path)
        if metadata.get("format") != FORMAT or metadata.get("training") != what:
            return None
        return arrays, json.loads(metadata["values"])
    except (OSError, ValueError, KeyError):
        return None


def random_state(state: np.random.RandomState) -> tuple[np.ndarray, list]:
    """Return the state of a RandomState as an array and plain values."""
    _, keys, position, has_gauss, cached = state.get_state()
    return keys, [int(position), int(has_gauss), float(cached)]


def restore_random_state(state: np.random.RandomState, keys: np.ndarray, rest: list) -> None:
    """Set what :func:`random_state` returned."""
    state.set_state(("MT19937", keys, *rest))
