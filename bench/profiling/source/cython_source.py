"""Cython's annotated source of the functions that a kernel reaches, each with its machine code.

Cython annotates whole files. Which functions of theirs belong to a kernel is read from the source: from its entry on, every
name of a function that stands in the body of one that is reached. Functions that the C compiler built into their callers have
no machine code of their own; it is in the callers'.
"""

from __future__ import annotations

import os
import re
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from bench.profiling.source import Line, Side, SourceFunction, assembly, hottest_first
from kernels.cython_backend import loader

FOLDER = Path(loader.__file__).parent
_DEFINITION = re.compile(r"^(?:cdef|cpdef|def)\b[^=\n]*?\b(?P<name>\w+)\(", re.MULTILINE)
_ANNOTATED = re.compile(
    r'<pre class="cython line score-(?P<score>\d+)"[^>]*>(?P<line>.*?)</pre>'
    r"(?:\s*<pre class='cython code score-\d+ '>(?P<code>.*?)</pre>)?", re.DOTALL
)  # fmt: skip
_NUMBER = re.compile(r'^.*?<span class="">(?P<number>\d+)</span>: ?')


def definitions(text: str) -> dict[str, tuple[int, int]]:
    """Return the functions of a source file: name -> first line and the one behind its last, counted from 1.

    Examples
    --------
    >>> definitions("cdef int f(int x):\\n    return x\\n\\n\\ncdef enum:\\n    N = 1\\n")
    {'f': (1, 3)}
    """
    lines = text.splitlines()
    found = {}
    for match in _DEFINITION.finditer(text):
        first = text.count("\n", 0, match.start()) + 1
        end = first + 1
        while end <= len(lines) and (not lines[end - 1].strip() or lines[end - 1][0] in " \t)"):
            end += 1
        while end > first + 1 and not lines[end - 2].strip():
            end -= 1
        found[match["name"]] = first, end
    return found


def reached(entry: str, bodies: dict[str, str]) -> list[str]:
    """Return the functions that `entry` reaches, itself first, in the order they are named (breadth first).

    Examples
    --------
    >>> reached("a", {"a": "b(x) + c", "b": "c()", "c": "1", "d": "a()"})
    ['a', 'b', 'c']
    """
    found, waiting = [entry], [entry]
    while waiting:
        body = bodies[waiting.pop(0)]
        for name in dict.fromkeys(re.findall(r"\b[A-Za-z_]\w*\b", body)):
            if name in bodies and name not in found:
                found.append(name)
                waiting.append(name)
    return found


def functions_of(kernel: str) -> dict[str, tuple[str, int, int]]:
    """Return what a kernel reaches: name -> file, first line, end."""
    places, bodies = {}, {}
    for path in sorted(FOLDER.glob("*.pxi")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for name, (first, end) in definitions(text).items():
            places[name] = path.name, first, end
            bodies[name] = "\n".join(line.split("#", 1)[0] for line in lines[first - 1 : end - 1])
    return {name: places[name] for name in reached(kernel, bodies)}


@cache
def annotate(module: str) -> dict[str, dict[int, Line]]:
    """Return Cython's annotation of a module and of all that it includes: file -> line number -> line.

    Raises
    ------
    ImportError
        Cython is not installed.
    """
    from Cython.Compiler.Main import CompilationOptions, compile

    with tempfile.TemporaryDirectory() as scratch:
        # a copy: the annotation is written beside the source, which may lie where nothing can be written
        for name in [*FOLDER.glob("*.pyx"), *FOLDER.glob("*.pxi"), *FOLDER.glob("*.h")]:
            (Path(scratch) / name.name).write_bytes(name.read_bytes())
        here = os.getcwd()
        directives = {"boundscheck": False, "wraparound": False, "cdivision": True, "initializedcheck": False}
        options = CompilationOptions(
            annotate=True, language_level=3, output_file=str(Path(scratch) / f"{module}.c"), compiler_directives=directives
        )
        try:
            os.chdir(scratch)
            compile(str(Path(scratch) / f"{module}.pyx"), options)
        finally:
            os.chdir(here)
        pages = {p.with_suffix(".pxi").name: p.read_text(encoding="utf-8") for p in Path(scratch).glob("*.html")}
    return {file: _lines_of(page) for file, page in pages.items()}


def _lines_of(page: str) -> dict[int, Line]:
    found = {}
    for match in _ANNOTATED.finditer(page):
        number = _NUMBER.match(match["line"])
        if number is not None:
            html = match["line"][number.end() :]
            found[int(number["number"])] = Line(int(number["number"]), html, int(match["score"]), match["code"] or "")
    return found


def side(kernel: str, dtype: str, isa: str | None = None) -> Side:
    """Return Cython's half of the page.

    Parameters
    ----------
    kernel : str
    dtype : {"float32", "float64"}
    isa : str, optional
        Instruction set; the one in use where not given.
    """
    isa = isa or loader.chosen()
    module = {"float32": "f32", "float64": "f64"}[np.dtype(dtype).name] + f"_{isa}"
    places = functions_of(kernel)
    notes = []
    try:
        annotated = annotate(module)
    except ImportError:
        annotated = {}
        notes.append("Cython is not installed: the source is shown without its annotation (pip install Cython)")
    machine = _machine_code(kernel, dtype, isa, places, notes)
    functions = []
    for name, (file, first, end) in places.items():
        known = annotated.get(file) or _plain(file)
        functions.append(SourceFunction(name, file, tuple(known[n] for n in range(first, end)), machine.get(name)))
    return Side("cython", f"{module}, x86-64-{isa}" if isa.startswith("v") else module, hottest_first(functions), tuple(notes))


def _plain(file: str) -> dict[int, Line]:
    import html

    text = (FOLDER / file).read_text(encoding="utf-8")
    return {n: Line(n, html.escape(line)) for n, line in enumerate(text.splitlines(), 1)}


def _machine_code(kernel: str, dtype: str, isa: str, places: dict, notes: list[str]) -> dict[str, assembly.Code]:
    """Return the machine code of each function that has one: the piece (GCC cuts some into several) with the densest loop."""
    path = Path(loader.module(dtype, isa).__file__)
    module = path.name.split(".")[0]
    names = "|".join(map(re.escape, places))
    pattern = re.compile(rf"__pyx_f_\w*{module}_(?P<name>{names})(?:\.\w+)*$")
    try:
        pieces = assembly.disassemble(path, pattern)
    except OSError as error:
        notes.append(f"no machine code: {error}")
        return {}
    found: dict[str, assembly.Code] = {}
    for symbol, instructions in pieces.items():
        name, piece = pattern.search(symbol)["name"], assembly.code(symbol, instructions)
        if name not in found or piece.density > found[name].density:
            found[name] = piece
    return found
