"""The machine and the software under a profile, as plain values for JSON: what a figure cannot be read without."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import kernels
from bench.profiling import ceilings
from kernels.cython_backend import loader


def cpu_name() -> str:
    """Return the CPU's name as the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def instruction_set() -> str | None:
    """Return the instruction set of the Cython kernels in use, None where they are not built."""
    return loader.chosen() if loader.available() else None


def machine(dtypes: Sequence[str] = ("float32",), threads: Sequence[int] = (1,)) -> dict[str, Any]:
    """Return a description of the machine, with its ceilings for each dtype and thread count.

    Examples
    --------
    >>> sorted(machine())[:2]
    ['backends', 'ceilings']
    """
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for package in ("depthbench", "numba", "cython", "torch", "onnxruntime", "scikit-learn"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # a checkout on the path, or an extra that is not there
            continue
    return {
        "cpu": cpu_name(),
        "system": sys.platform,
        "cores": os.cpu_count(),
        "isa": instruction_set(),
        "backends": kernels.backends(),
        "versions": versions,
        "ceilings": [ceilings.measure(dtype, n).to_dict() for dtype in dtypes for n in threads],
    }
