"""Kernels and gradients at each run's start, in a process of its own: ``python -m bench.selftest.start THREADS BACKEND ...``

In about a second, before the first cell: every kernel of the run's backends on a fourth of its edge cases in float32, which is
what networks compute in, against the reference; and gradients of small networks against central differences. A backend that
compiles when it is called would compile all of it a second time for the gradients, which are float64: there the backward
kernels are held against the reference, and the reference's gradients against central differences.

A process of its own, so that the first cells of a worker still pay, and show, what is cold: compiling, buffers, threads.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.errors import InputError
from bench.selftest.checks import Finding, gradients_agree, kernels_agree, run

#: Backends that compile when they are called.
JIT = ("numba",)
LIMIT_S = 280.0


def look(backends: Sequence[str]) -> Iterator[Finding]:
    """Check some backends; yield as many findings as there is something to check.

    Examples
    --------
    >>> [finding.status for finding in look(["reference"])]
    ['ok']
    """
    seen = set()
    for backend in backends:
        if backend != "reference":
            yield from run(f"kernels {backend}", lambda backend=backend: [kernels_agree(backend, quick=True)])
        differentiated = "reference" if backend in JIT else backend
        if differentiated not in seen:
            seen.add(differentiated)
            yield from run(f"gradients {differentiated}", lambda backend=differentiated: [gradients_agree(backend)])


def in_a_process(backends: Sequence[str], threads: int) -> dict[str, str]:
    """Check some backends as another process; return what was found, by the name of the check, as run.json keeps it.

    Raises
    ------
    InputError
        A kernel or a gradient is wrong, or the process crashed: nothing that is computed here could be trusted.
    """
    ahead = sorted(backends, key=lambda backend: backend in JIT)  # what takes long comes last
    command = [sys.executable, "-m", "bench.selftest.start", str(threads), *ahead]
    root = Path(__file__).parents[2]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, timeout=LIMIT_S)
    except subprocess.TimeoutExpired as e:
        printed = e.stdout or b""  # bytes, also where text was asked for, in some versions of Python
        found = _read(printed if isinstance(printed, str) else printed.decode())
        _refuse_wrong(found, backends)
        last = [f"{'kernels' if backend in JIT else 'gradients'} {backend}" for backend in ahead]  # that each is asked
        unfinished = [backend for backend, name in zip(ahead, last, strict=True) if name not in found]
        if not set(unfinished) <= set(JIT):
            raise InputError(f"{_who(unfinished)}: their check took more than {LIMIT_S:g} s; {_what_to_do(backends)}") from None
        late = f"not compiled within {LIMIT_S:g} s, and so not checked"  # a slow or busy machine; nothing is known to be wrong
        return {**{name: text for name, (_, text) in found.items()}, **{f"kernels {backend}": late for backend in unfinished}}
    found = _read(done.stdout)
    _refuse_wrong(found, backends)
    if done.returncode or not found:
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise InputError(
            f"{_who(backends)}: their check crashed (exit code {done.returncode}: {said}); {_what_to_do(backends)}"
        )
    return {name: text for name, (_, text) in found.items()}


def _read(lines: str) -> dict[str, tuple[str, str]]:
    """Return what was printed, as name -> status and text; half a line is none."""
    found = {}
    for line in lines.splitlines():
        with contextlib.suppress(ValueError):
            name, status, text = json.loads(line)
            found[name] = status, text
    return found


def _refuse_wrong(found: Mapping[str, tuple[str, str]], backends: Sequence[str]) -> None:
    for name, (status, text) in found.items():
        if status == "wrong":
            raise InputError(f"{name}: {text}. No cell was run, as none could be trusted; {_what_to_do(backends)}")


def _who(backends: Sequence[str]) -> str:
    return f"kernels of {', '.join(backends)}"


def _what_to_do(backends: Sequence[str]) -> str:
    return f"`depthbench check -b {','.join(backends)}` tells more. Build them again, or take another backend with -b"


def main(arguments: Sequence[str]) -> None:
    """Print what is found as it is, a line of JSON each."""
    from kernels.threads import set_threads

    set_threads(int(arguments[0]))
    for f in look(arguments[1:]):
        print(json.dumps([f.name, f.status, f.text]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
