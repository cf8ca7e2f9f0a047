"""A kernel's source and machine code, Cython beside Numba: ``depthbench profile KERNEL --source``.

::

    assembly.py       machine code as text -> functions, loops, and how wide their vectors are
    cython_source.py  Cython's annotated source of the functions that a kernel reaches, with their machine code
    numba_source.py   the functions that Numba compiled for a kernel: source, diagnostics, machine code
    page.py           the two side by side on one page
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.profiling.source.assembly import Code


@dataclass(frozen=True)
class Line:
    """A line of source as it stands on the page.

    Attributes
    ----------
    number : int
    html : str
        Escaped, with the spans that colour it.
    score : int
        Cython's count of how much Python a line needs; 0 is plain C.
    generated : str
        HTML of the C code that Cython wrote for it, "" where there is none.
    """

    number: int
    html: str
    score: int = 0
    generated: str = ""


@dataclass(frozen=True)
class SourceFunction:
    """A function of a kernel: its source and, where the compiler left it one of its own, its machine code."""

    name: str
    file: str
    lines: tuple[Line, ...]
    code: Code | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Side:
    """One backend's half of the page: its functions, the hottest loop first, and what could not be shown."""

    backend: str
    setting: str
    functions: tuple[SourceFunction, ...]
    notes: tuple[str, ...] = ()


def hottest_first(functions: list[SourceFunction]) -> tuple[SourceFunction, ...]:
    """Sort by what a function's densest loop computes; those without machine code keep their order, at the end."""
    return tuple(sorted(functions, key=lambda f: -f.code.density if f.code else 1))
