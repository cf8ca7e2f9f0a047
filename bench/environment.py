"""On what a run was made: the machine, the versions, the commit. Times compare only where `fingerprint` is the same.

`machine` asks the operating system and imports nothing heavy, so that run.json stands within the first second;
`libraries` is asked of a worker, where the libraries are loaded anyway.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "depthbench", "numpy", "scipy", "scikit-learn", "scikit-image", "numba", "Cython", "pandas", "torch", "onnxruntime",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Return Python, system, CPU, cores, memory, versions and commit.

    Examples
    --------
    >>> here = machine()
    >>> here["cores"] >= 1, here["memory_bytes"] > 0
    (True, True)
    """
    import psutil

    found = {
        "host": platform.node(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "packages": versions(),
        "git": commit(Path(__file__).parent),
    }
    return {**found, "fingerprint": fingerprint(found)}


def cpu_model() -> str:
    """Return the CPU's name as the system knows it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Hardware", "cpu model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    return platform.processor() or platform.machine()


def fingerprint(found: dict[str, Any]) -> str:
    """Return a digest of CPU, cores and system; times of runs whose digests differ are not comparable."""
    parts = (found["cpu"], found["cores"], platform.system(), platform.machine())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """Return the versions of the packages that matter, without importing them."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit(folder: Path) -> dict[str, Any] | None:
    """Return the git commit of a checkout and whether files differ from it; None outside of one."""
    head = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    if not head:
        return None
    return {"commit": head, "dirty": bool(_output("git", "-C", str(folder), "status", "--porcelain", "-uno"))}


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):  # no git, not a checkout, no answer in time
        return ""
    return done.stdout.strip()


def libraries() -> dict[str, Any]:
    """Return backends, instruction set and thread pools of this process, with the libraries loaded."""
    from threadpoolctl import threadpool_info

    import kernels
    from kernels import threads

    pools = [
        {k: pool[k] for k in ("user_api", "internal_api", "version", "architecture", "num_threads") if k in pool}
        for pool in threadpool_info()
    ]
    return {
        "backends": kernels.backends(),
        "isa": isa(),
        "isa_built": list(_loader().built()),
        "code_digests": code_digests(),
        "thread_pools": pools,
        "threads_effective": threads.effective_threads(),
    }


def code_digests() -> dict[str, str | None]:
    """Return the hashes of the code that rows are made with: of models, feature sets, and the kernels of each backend."""
    import kernels
    from bench.code_version import kernels_digest
    from bench.features.keys import code_digest

    sources = {"models": code_digest("models"), "features": code_digest("bench.features", "bench.datasets")}
    return {**sources, **{f"kernels {name}": kernels_digest(name) for name in kernels.backends()}}


def isa() -> str | None:
    """Return the instruction set that the Cython kernels chose here; None where they are not built."""
    return _loader().chosen() if _loader().available() else None


def _loader() -> Any:
    from kernels.cython_backend import loader

    return loader
