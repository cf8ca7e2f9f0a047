"""Kernels and gradients at each run's start, in a process of its own: ``python -m bench.selftest.start THREADS BACKEND ...``

In about a second, before the first cell: every kernel of the run's backends on a fourth of its edge cases in float32, which is
what networks compute in, against the reference; and gradients of small networks against central differences. A backend that
compiles when it is called would compile all of it a second time for the gradients, which are float64: there the backward
kernels are held against the reference, and the reference's gradients against central differences.

A process of its own, so that the first cells of a worker still pay, and show, what is cold: compiling, buffers, threads.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import InputError
from bench.selftest.checks import Finding, gradients_agree, kernels_agree, run

#: Backends that compile when they are called.
JIT = ("numba",)
LIMIT_S = 280.0


def look(backends: Sequence[str]) -> list[Finding]:
    """Check some backends; as many findings as there is something to check.

    Examples
    --------
    >>> [finding.status for finding in look(["reference"])]
    ['ok']
    """
    found: dict[str, list[Finding]] = {}
    for backend in backends:
        differentiated = "reference" if backend in JIT else backend
        if backend != "reference":
            name = f"kernels {backend}"
            found[name] = run(name, lambda backend=backend: [kernels_agree(backend, quick=True)])
        name = f"gradients {differentiated}"
        if name not in found:
            found[name] = run(name, lambda backend=differentiated: [gradients_agree(backend)])
    return [finding for findings in found.values() for finding in findings]


def in_a_process(backends: Sequence[str], threads: int) -> dict[str, str]:
    """Check some backends as another process; return what was found, by the name of the check, as run.json keeps it.

    Raises
    ------
    InputError
        A kernel or a gradient is wrong, or the process crashed: nothing that is computed here could be trusted.
    """
    command = [sys.executable, "-m", "bench.selftest.start", str(threads), *backends]
    try:
        root = Path(__file__).parents[2]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=LIMIT_S)
        found = {name: (status, text) for name, status, text in json.loads(done.stdout.splitlines()[-1])}
    except subprocess.TimeoutExpired:
        raise InputError(f"{_who(backends)}: their check took more than {LIMIT_S:g} s; {_what_to_do(backends)}") from None
    except (ValueError, IndexError):
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise InputError(
            f"{_who(backends)}: their check crashed (exit code {done.returncode}: {said}); {_what_to_do(backends)}"
        ) from None
    for name, (status, text) in found.items():
        if status == "wrong":
            raise InputError(f"{name}: {text}. No cell was run, as none could be trusted; {_what_to_do(backends)}")
    return {name: text for name, (_, text) in found.items()}


def _who(backends: Sequence[str]) -> str:
    return f"kernels of {', '.join(backends)}"


def _what_to_do(backends: Sequence[str]) -> str:
    return f"`depthbench check -b {','.join(backends)}` tells more. Build them again, or take another backend with -b"


def main(arguments: Sequence[str]) -> None:
    """Print what was found, as JSON in one line."""
    from kernels.threads import set_threads

    set_threads(int(arguments[0]))
    print(json.dumps([(f.name, f.status, f.text) for f in look(arguments[1:])]))


if __name__ == "__main__":
    main(sys.argv[1:])
