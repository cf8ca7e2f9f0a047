"""The page: Cython on the left, Numba on the right; each function with its source, its hot loop, and how wide that computes.

One file without scripts; what opens and closes are ``<details>``.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from bench.profiling.source import Side, SourceFunction
from bench.profiling.source.assembly import Code, Mix

if TYPE_CHECKING:
    from kernels.cases import Case

#: A longer loop is cut: nobody reads on, and the page stays small.
MOST_INSTRUCTIONS = 400

_STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', sans-serif; color: #1c2430; background: #fff; margin: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; } h3 { font-size: .95rem; margin: 1rem 0 .3rem; }
.sides { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 2rem; align-items: start; }
@media (max-width: 60rem) { .sides { grid-template-columns: minmax(0, 1fr); } }
.faint { color: #5b6675; }
summary { cursor: pointer; }
section > details { border: 1px solid #dfe3e8; border-radius: 6px; margin: .5rem 0; padding: .3rem .7rem; }
section > details > summary { font-weight: 600; }
section > details > summary .faint { font-weight: 400; }
pre, code, .line { font: 12px/1.45 ui-monospace, 'SF Mono', Consolas, monospace; }
pre { overflow-x: auto; margin: .3rem 0; }
.asm { background: #f6f8fa; padding: .5rem; border-radius: 4px; max-height: 30rem; }
.note { white-space: pre-wrap; }
.source { overflow-x: auto; }
.line { white-space: pre; display: block; }
.line > i { display: inline-block; width: 4ch; color: #8a94a3; font-style: normal; text-align: right; margin-right: 1.5ch; }
.source details > summary { list-style: none; display: block; }
.source details > pre { background: #f6f8fa; padding: .4rem 5ch; }
.python { background: #fff4a8; } .more { background: #ffe14d; }
table { border-collapse: collapse; font-size: 13px; }
th, td { padding: .15rem 1.2rem .15rem 0; text-align: left; }
.k { color: #8250df; } .c, .sd { color: #5b6675; } .mf, .mi, .mb { color: #0550ae; }
.kt, .kr { color: #953800; } .s, .s1, .s2 { color: #0a3069; }
"""


def vectors(mix: Mix) -> str:
    """Say what a loop computes with.

    Examples
    --------
    >>> vectors(Mix({64: 24}, 0, 24, 768))
    'vectors of 64 bytes; 24 packed instructions a pass, 24 of them multiply-adds'
    >>> vectors(Mix())
    'no floating-point arithmetic'
    """
    packed = sum(mix.packed.values())
    if not packed and not mix.scalar:
        return "no floating-point arithmetic"
    if not packed:
        return f"not vectorised: {mix.scalar} instructions a pass on one number each"
    fma = f", {mix.fma} of them multiply-adds" if mix.fma else ""
    rest = f"; {mix.scalar} on one number" if mix.scalar else ""
    return f"vectors of {mix.vector_bytes} bytes; {packed} packed instructions a pass{fma}{rest}"


def page(kernel: str, dtype: str, sides: Sequence[Side], notes: Sequence[str] = ()) -> str:
    """Return the page of one kernel."""
    said = "".join(f'<p class="faint">{escape(note)}</p>' for note in notes)
    columns = "\n".join(_side(side) for side in sides)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(kernel)}: source and machine code</title><style>{_STYLE}</style></head>\n<body>\n"
        f"<h1>{escape(kernel)}: source and machine code</h1>\n"
        f'<p class="faint">{escape(dtype)}. The functions that the kernel reaches, the densest hot loop first. '
        "A hot loop is the innermost one that computes most numbers for each instruction; yellow lines of Cython call Python; "
        "a line opens on a click where Cython wrote C for it.</p>\n"
        f'{said}{_summary(sides)}<div class="sides">\n{columns}\n</div>\n</body></html>\n'
    )


def sides_of(case: Case, dtype: str) -> tuple[list[Side], list[str]]:
    """Return the sides there are on this machine for the kernel of a case, and a note for each that there is not."""
    import kernels
    from kernels.cython_backend import loader

    sides, notes = [], []
    if loader.available():
        from bench.profiling.source import cython_source

        sides.append(cython_source.side(case.kernel, dtype))
    else:
        notes.append("the Cython kernels are not built")
    if "numba" in kernels.backends():
        from bench.profiling.source import numba_source

        sides.append(numba_source.side(case, kernels.load("numba"), dtype))
    else:
        notes.append("Numba is not usable here")
    return sides, notes


def hottest(side: Side) -> SourceFunction | None:
    """Return the function with the densest hot loop, None where nothing is known of the machine code."""
    return next((f for f in side.functions if f.code and f.code.density), None)


def _summary(sides: Sequence[Side]) -> str:
    rows = []
    for side in sides:
        hot = hottest(side)
        said = f"<td>{escape(hot.name)}</td><td>{escape(vectors(hot.code.hot_mix))}</td>" if hot else "<td>-</td><td>-</td>"
        rows.append(f"<tr><td>{escape(side.backend)}</td>{said}</tr>")
    return f"<table><tr><th>backend</th><th>hottest function</th><th>its hot loop</th></tr>{''.join(rows)}</table>"


def _side(side: Side) -> str:
    notes = "".join(f'<p class="faint">{escape(note)}</p>' for note in side.notes)
    functions = "\n".join(_function(f, is_open=i == 0) for i, f in enumerate(side.functions))
    return f'<section><h2>{escape(side.backend)}</h2><p class="faint">{escape(side.setting)}</p>{notes}\n{functions}</section>'


def _function(function: SourceFunction, is_open: bool) -> str:
    code = function.code
    if code is None:
        what = "inside its callers" if function.file.endswith(".pxi") else ""
    else:
        what = vectors(code.hot_mix) if code.hot else "no loop"
    notes = "".join(f'<pre class="note">{escape(note)}</pre>' for note in function.notes if note)
    opened = " open" if is_open else ""
    where = escape(f"{function.file}:{function.lines[0].number} {what}")
    return (
        f'<details{opened}><summary>{escape(function.name)} <span class="faint">{where}</span></summary>'
        f"{notes}{_machine(code)}<h3>Source</h3>{_source(function)}</details>"
    )


def _source(function: SourceFunction) -> str:
    lines = []
    for line in function.lines:
        shade = "" if line.score == 0 else " python" if line.score < 20 else " more"
        text = f'<span class="line{shade}"><i>{line.number}</i>{line.html}</span>'
        lines.append(f"<details><summary>{text}</summary><pre>{line.generated}</pre></details>" if line.generated else text)
    return f'<div class="source">{"".join(lines)}</div>'


def _machine(code: Code | None) -> str:
    if code is None or code.hot is None:
        return ""
    start, end = code.hot
    shown = code.instructions[start : min(end, start + MOST_INSTRUCTIONS)]
    cut = f"\n... and {end - start - len(shown)} more" if end - start > len(shown) else ""
    listing = "\n".join(instruction.text for instruction in shown)
    packed = sorted(code.hot_mix.packed.items(), reverse=True)
    widths = ", ".join(f"{n} on {width} bytes" for width, n in packed) or "none packed"
    return (
        f"<h3>Hot loop: {end - start} of {len(code.instructions)} instructions "
        f'<span class="faint">({escape(widths)})</span></h3><pre class="asm">{escape(listing)}{cut}</pre>'
    )


def write(path: Path, kernel: str, dtype: str, sides: Sequence[Side], notes: Sequence[str] = ()) -> None:
    """Write the page."""
    path.write_text(page(kernel, dtype, sides, notes), encoding="utf-8")
