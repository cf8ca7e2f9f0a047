"""The Cython kernels built in other ways, in a copy of the sources: sanitized, without OpenMP, without SIMD levels.

The sanitized build runs the tests of this folder under AddressSanitizer (reads and writes beyond an array, use after
free) and UndefinedBehaviorSanitizer (overflow, misaligned access), which the walls of NaN in the other tests cannot all
see.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

#: As setup.py sees a machine that is no x86-64.
ELSEWHERE = "import platform, runpy, sys; platform.machine = lambda: 'elsewhere'; runpy.run_path('setup.py')"

SELF_TEST = """
import sys, kernels
from kernels.cython_backend import loader
from kernels.validation import self_test
print("ISA", *loader.available(), "OPENMP", loader.has_openmp())
wrong = self_test(kernels.load("cython"))
print(*wrong, sep="\\n")
sys.exit(bool(wrong))
"""


def build(folder: Path, code: str | None = None, **environment: str) -> Path:
    """Copy the sources, without anything built, and build them there."""
    pytest.importorskip("Cython", reason="Cython is not installed: pip install -e '.[dev]'")
    if shutil.which(os.environ.get("CC", "cc")) is None:
        pytest.skip("no C compiler")
    built = shutil.ignore_patterns("*.so", "*.pyd", "*.c", "__pycache__", "*.html")
    for name in ("kernels", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=built)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    (folder / "models").mkdir(), (folder / "bench").mkdir()
    run_setup = ["-c", code] if code else ["setup.py"]
    done = run([*run_setup, "build_ext", "--inplace"], folder, **environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def run(arguments: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run Python in a folder, with its packages and not ours."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("DEPTHBENCH_", "PYTHON"))}
    clean |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


def library(name: str) -> str:
    """Path of one of the compiler's run-time libraries."""
    compiler = os.environ.get("CC", "cc")
    done = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=False)
    path = done.stdout.strip()
    if done.returncode != 0 or not Path(path).is_absolute():
        pytest.skip(f"{compiler} has no {name}")
    return path


def test_without_openmp(tmp_path):
    folder = build(tmp_path, DEPTHBENCH_NO_OPENMP="1")
    done = run(["-c", SELF_TEST], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "OPENMP False" in done.stdout


def test_on_a_machine_without_levels(tmp_path):
    folder = build(tmp_path, ELSEWHERE)
    done = run(["-c", SELF_TEST], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ISA plain " in done.stdout


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory) -> Path:
    library("libasan.so")
    return build(tmp_path_factory.mktemp("sanitized"), DEPTHBENCH_SANITIZE="1")


def sanitizers() -> dict[str, str]:
    """Variables under which an ordinary Python loads sanitized modules; CPython's own leaks are not ours to find."""
    return {
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:abort_on_error=0:exitcode=99",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }


def test_the_sanitizer_sees_what_it_should(sanitized):
    """Else silence would say nothing: a view one element too long is read beyond its memory."""
    code = (
        "import numpy as np\n"
        "from kernels.cython_backend import implementation as k\n"
        "x = np.lib.stride_tricks.as_strided(np.ones(4096), shape=(4096 + 64,))\n"
        "k.relu(x, np.empty(4096 + 64), 1)\n"
    )
    done = run(["-c", code], sanitized, **sanitizers())
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr


def test_sanitized_on_every_instruction_set(sanitized):
    code = "from kernels.cython_backend import loader; print(*loader.available())"
    usable = run(["-c", code], sanitized, **sanitizers())
    assert usable.stdout.split(), usable.stderr[-3000:]
    for isa in usable.stdout.split():
        done = run(["-c", SELF_TEST], sanitized, DEPTHBENCH_ISA=isa, **sanitizers())
        assert done.returncode == 0, isa + done.stdout[-3000:] + done.stderr[-6000:]


def test_sanitized_under_the_other_tests(sanitized):
    """Layouts, overlaps, threads, training sizes, bad input and fuzzing on the sanitized build."""
    files = ["test_against_reference.py", "test_bad_input.py", "test_fuzz.py", "test_gradients.py"]
    arguments = ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", "-k", "cython"]
    done = run([*arguments, *(f"tests/kernels/{name}" for name in files)], sanitized, **sanitizers())
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    assert " passed" in done.stdout
