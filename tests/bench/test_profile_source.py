"""The page of a kernel's source and machine code: parsing against listings written by hand and against what compilers wrote."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

import kernels
from bench.profiling.source import assembly, cython_source, numba_source, page
from kernels.cases import cases
from kernels.cython_backend import loader
from kernels.spec import BY_NAME

OBJDUMP = """
0000000000001000 <outer>:
    1000:\tmov    $0x0,%eax
    1005:\tvmulss %xmm1,%xmm0,%xmm0
    1009:\tvfmadd231ps (%rdi,%rax,4),%zmm1,%zmm2
    1010:\tvaddps %ymm1,%ymm2,%ymm3
    1014:\tjne    1009 <outer+0x9>
    1016:\tjmp    1005 <outer+0x5>
    1018:\tret

0000000000002000 <other>:
    2000:\tret
"""

GAS = """
\t.type\tf,@function
f:
\tpushq\t%rbx
.LBB0_1:
\tvaddsd\t%xmm0, %xmm1, %xmm1   # a comment
\tincq\t%rax
\tjne\t.LBB0_1
\tretq
.Lfunc_end0:
\t.size\tf, .Lfunc_end0-f
"""


def test_objdump_listings():
    found = assembly.parse_objdump(OBJDUMP)
    assert list(found) == ["outer", "other"]
    code = assembly.code("outer", found["outer"])
    assert code.hot == (2, 5)  # the loop inside, not the one around it
    assert code.hot_mix == assembly.Mix({64: 1, 32: 1}, 0, 1, 2 * 16 + 8)
    assert code.density == pytest.approx(40 / 3)
    assert list(assembly.parse_objdump(OBJDUMP, re.compile("^oth"))) == ["other"]


def test_assembler_listings():
    found = assembly.parse_gas(GAS)
    code = assembly.code("f", found["f"])
    assert [i.text for i in code.instructions][:2] == ["pushq %rbx", "vaddsd %xmm0, %xmm1, %xmm1"]
    assert code.hot == (1, 4)
    assert code.hot_mix == assembly.Mix({}, 1, 0, 1)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("vfnmadd213pd %zmm0,%zmm1,%zmm2", ({64: 1}, 0, 1, 16)),
        ("mulps %xmm0,%xmm1", ({16: 1}, 0, 0, 4)),
        ("vcmpnltps %zmm0,%zmm1,%k1", ({64: 1}, 0, 0, 16)),
        ("vdivsd %xmm0,%xmm1,%xmm2", ({}, 1, 0, 1)),
        ("vmovups (%rax),%zmm1", ({}, 0, 0, 0)),
        ("vpaddd %zmm0,%zmm1,%zmm2", ({}, 0, 0, 0)),
        ("addq $64, %rax", ({}, 0, 0, 0)),
    ],
)
def test_what_counts_as_arithmetic(text, expected):
    assert assembly.mix([assembly.Instruction(text)]) == assembly.Mix(*expected)


def test_a_function_without_loops():
    assert assembly.code("f", (assembly.Instruction("ret"),)).hot is None


@pytest.mark.skipif(not loader.available(), reason="the Cython kernels are not built")
@pytest.mark.parametrize("kernel", BY_NAME)
def test_every_kernel_has_an_entry_and_reaches_work(kernel):
    found = cython_source.functions_of(kernel)
    assert next(iter(found)) == kernel
    assert any(name.startswith("run_") for name in found), "nothing that runs is reached"
    for name, (file, first, end) in found.items():
        text = (cython_source.FOLDER / file).read_text(encoding="utf-8").splitlines()[first - 1 : end - 1]
        assert re.search(rf"\b{name}\(", text[0])
        assert text[-1].strip()


@pytest.mark.skipif(not loader.available(), reason="the Cython kernels are not built")
def test_cython_half_of_the_page():
    pytest.importorskip("Cython", reason="annotation needs Cython")
    side = cython_source.side("gemm", "float32")
    by_name = {f.name: f for f in side.functions}
    assert {"gemm", "run_product", "multiply"} <= set(by_name)
    multiply = by_name["multiply"]
    assert "multiply" in re.sub("<[^>]*>", "", multiply.lines[0].html)
    assert any(line.generated for line in multiply.lines), "no C code beside the lines"
    assert any(line.score > 0 for line in by_name["gemm"].lines), "an entry talks to Python"
    assert all(line.score == 0 for line in multiply.lines), "an inner function does not"
    if shutil.which("objdump") and loader.chosen().startswith("v"):
        width = {"v4": 64, "v3": 32, "v2": 16}[loader.chosen()]
        assert page.hottest(side).code.hot_mix.vector_bytes == width


def test_numba_half_of_the_page():
    pytest.importorskip("numba")
    from kernels.numba_backend.memory import VECTOR_BYTES

    side = numba_source.side(cases("gemm", "S")[0], kernels.load("numba"), "float32")
    hot = page.hottest(side)
    assert hot.code.hot_mix.vector_bytes == VECTOR_BYTES
    assert hot.code.hot_mix.fma > 0
    assert any("parallel" in note for note in hot.notes)


def test_parallel_diagnostics_are_shown_where_there_are_any():
    numba = pytest.importorskip("numba")
    import numpy as np

    @numba.njit(parallel=True)
    def total(x):
        result = 0.0
        for i in numba.prange(x.size):
            result += x[i]
        return result

    total(np.ones(8))
    assert "Parallel loop listing" in numba_source._parallel_diagnostics(total, total.signatures[0])


def test_what_is_missing_becomes_a_note(monkeypatch):
    monkeypatch.setenv("PATH", "")
    notes = []
    if loader.available():
        assert cython_source._machine_code("relu", "float32", loader.chosen(), {"relu": ("entry.pxi", 1, 2)}, notes) == {}
        assert "objdump" in notes[0]
    monkeypatch.setattr(loader, "available", lambda: ())
    monkeypatch.setattr(kernels, "backends", lambda: ["reference"])
    sides, said = page.sides_of(cases("relu", "S")[0], "float32")
    assert (sides, said) == ([], ["the Cython kernels are not built", "Numba is not usable here"])


@pytest.mark.parametrize(
    "arguments, code, says",
    [
        (["relu", "--source"], 0, "relu-source.html"),
        (["relu", "--source", "--html", "p.svg"], 2, ".html"),
        (["lenet5", "--source"], 2, "is a network"),
        (["relu", "--source", "--html", "nowhere/p.html"], 2, "no folder"),
        (["relo", "--source"], 2, "relu"),
    ],
)
def test_the_command(tmp_path, arguments, code, says):
    done = subprocess.run(
        [sys.executable, "-m", "bench", "profile", *arguments, "--preset", "S"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    if code == 0:
        text = (tmp_path / "relu-source.html").read_text(encoding="utf-8")
        assert "<script" not in text
        assert ">relu_range " in text or not loader.available()
        assert "vectors of" in done.stdout
