"""No kernel touches a byte outside its arrays: each array ends where a page begins that may not be read or written.

This does for every backend, jitted code included, what AddressSanitizer does for compiled sources; a wrong access ends
the process, so it runs in one of its own that says beforehand what it is about to call.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kernels

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pages are protected by Linux's mprotect")

GUARDED = """
import ctypes, faulthandler, mmap, sys
import numpy as np
import kernels
from kernels.cases import edge_cases
from kernels.spec import BY_NAME
from kernels.validation import compare, outputs

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
faulthandler.enable()


def protect(address):
    if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 0):
        raise OSError(ctypes.get_errno(), "mprotect")


def guarded(x, after):
    # The array lies against a page that nobody may touch: behind its end, or before its beginning.
    pages = -(-max(x.nbytes, 1) // PAGE)
    room = np.frombuffer(mmap.mmap(-1, (pages + 2) * PAGE), np.uint8)
    protect(room.ctypes.data)
    protect(room.ctypes.data + (pages + 1) * PAGE)
    begin = (pages + 1) * PAGE - x.nbytes if after else PAGE
    view = room[begin : begin + x.nbytes].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def all_guarded(call, after):
    return {k: guarded(v, after) if isinstance(v, np.ndarray) else v for k, v in call.items()}


backend, reference = kernels.load(sys.argv[1]), kernels.load("reference")
if len(sys.argv) > 2:  # show that the guard holds
    x = guarded(np.ones(8), True)
    np.lib.stride_tricks.as_strided(x, (9,)).sum()
for kernel, spec in BY_NAME.items():
    for case in edge_cases(kernel):
        print(case, flush=True)
        for dtype in ("float32", "float64"):
            expected = outputs(reference, kernel, *case.make(dtype))
            for after in (True, False):
                arguments, options = case.make(dtype)
                if not spec.in_place and "out" not in options:
                    last = expected[-len(spec.outs) :]
                    options |= {name: np.zeros_like(e) for name, e in zip(spec.outs, last, strict=True)}
                inputs = tuple(all_guarded(dict(enumerate(arguments)), after).values())
                actual = outputs(backend, kernel, inputs, {**all_guarded(options, after), "n_threads": 2})
                message = compare(spec, actual, expected, *case.make(dtype))
                assert message is None, message
print("all")
"""


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", GUARDED, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


# Numba compiles each kernel for each kind of argument here, a minute of work.
BACKENDS = [pytest.param(name, marks=pytest.mark.slow if name == "numba" else ()) for name in kernels.backends()]


@pytest.mark.parametrize("name", BACKENDS)
def test_nothing_outside_an_array_is_touched(name):
    done = run(name)
    last = done.stdout.strip().splitlines()[-1:]
    assert done.returncode == 0, f"{last}\n{done.stderr[-3000:]}"
    assert last == ["all"]


def test_the_guard_holds():
    """Reading one element too many ends the process; else silence would say nothing."""
    assert run("reference", "touch").returncode < 0
