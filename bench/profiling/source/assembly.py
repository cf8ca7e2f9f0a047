"""Machine code as text: functions, their loops, and how wide the vectors are that they compute with.

Both texts are in AT&T syntax: what ``objdump -d`` prints of a shared object, and what LLVM prints for a Numba function. A
loop is a jump backwards and what it jumps over; an innermost loop has no other inside. The *hot* loop is taken to be the
innermost one that computes most numbers for each of its instructions: a register tile is mostly multiply-adds on whole
vectors, a loop over a remainder has one on a single number.

x86-64 only: elsewhere the text is shown without its vectors being counted.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

#: Floating-point arithmetic, comparing included: operation, packed or scalar, single or double. ``vfnmadd231ps`` is a negated
#: multiply-add.
_ARITHMETIC = re.compile(
    r"^v?(?P<op>fn?m(?:add|sub)\d{3}|fmaddsub\d{3}|add|sub|mul|div|max|min|sqrt|addsub|hadd|dp|cmp\w*?|blend[mv])"
    r"(?P<form>[ps])(?P<real>[sd])$"
)
_WIDTHS = {"zmm": 64, "ymm": 32, "xmm": 16}
_REGISTER = re.compile(r"%([xyz]mm)\d")
_OBJDUMP_HEAD = re.compile(r"^[0-9a-f]+ <(?P<name>[^>]+)>:$")
_OBJDUMP_LINE = re.compile(r"^\s*(?P<address>[0-9a-f]+):\s+(?P<text>\S.*)$")
_OBJDUMP_TARGET = re.compile(r"^j\w+\s+(?P<address>[0-9a-f]+)\b|^loop\w*\s+(?P<loop>[0-9a-f]+)\b")
_GAS_LABEL = re.compile(r"^(?P<name>[.\w$]+):")
_GAS_JUMP = re.compile(r"^j\w+\s+(?P<name>\.L\w+)")


@dataclass(frozen=True)
class Instruction:
    """One instruction: its text, and the position in its function that it jumps to, if it does."""

    text: str
    target: int | None = None


@dataclass(frozen=True)
class Mix:
    """What a piece of code computes with.

    Attributes
    ----------
    packed : dict of int to int
        Width of the vectors in bytes -> number of packed floating-point instructions.
    scalar : int
        Floating-point instructions on one number.
    fma : int
        How many of all are multiply-adds.
    work : int
        Numbers computed in one pass, a multiply-add counted twice.
    """

    packed: dict[int, int] = field(default_factory=dict)
    scalar: int = 0
    fma: int = 0
    work: int = 0

    @property
    def vector_bytes(self) -> int:
        """The widest vectors that are computed with; 0 where there are none."""
        return max(self.packed, default=0)


@dataclass(frozen=True)
class Code:
    """A function's machine code, with its hot loop (positions, the end behind it) where it has one."""

    symbol: str
    instructions: tuple[Instruction, ...]
    hot: tuple[int, int] | None

    @property
    def hot_mix(self) -> Mix:
        return mix(self.instructions[slice(*self.hot)]) if self.hot else Mix()

    @property
    def density(self) -> float:
        """Numbers that the hot loop computes for each of its instructions."""
        return density(self.instructions[slice(*self.hot)]) if self.hot else 0.0


def density(instructions: Sequence[Instruction]) -> float:
    """Return the numbers computed for each instruction."""
    return mix(instructions).work / max(1, len(instructions))


def mix(instructions: Iterable[Instruction]) -> Mix:
    """Count floating-point arithmetic by the width of its vectors.

    Examples
    --------
    >>> lines = "vfmadd231ps %zmm1,%zmm2,%zmm3", "vaddss %xmm1,%xmm2,%xmm3", "mov %rax,%rbx"
    >>> m = mix(Instruction(line) for line in lines)
    >>> m.packed, m.scalar, m.fma, m.work, m.vector_bytes
    ({64: 1}, 1, 1, 33, 64)
    """
    packed: dict[int, int] = {}
    scalar = fma = work = 0
    for instruction in instructions:
        mnemonic, _, operands = instruction.text.partition(" ")
        found = _ARITHMETIC.match(mnemonic)
        if found is None:
            continue
        twice = 2 if found["op"].startswith("f") else 1
        fma += twice - 1
        if found["form"] == "s":
            scalar += 1
            work += twice
            continue
        width = max((_WIDTHS[r] for r in _REGISTER.findall(operands)), default=16)
        packed[width] = packed.get(width, 0) + 1
        work += twice * width // (4 if found["real"] == "s" else 8)
    return Mix(packed, scalar, fma, work)


def innermost_loops(instructions: tuple[Instruction, ...]) -> list[tuple[int, int]]:
    """Return the (start, end) of each loop that has no other inside.

    Jumps back to the same place (``continue``) are one loop.

    Examples
    --------
    >>> code = tuple(Instruction(t, j) for t, j in [("a", None), ("b", None), ("jne", 1), ("jmp", 0), ("ret", None)])
    >>> innermost_loops(code)
    [(1, 3)]
    """
    ends: dict[int, int] = {}
    for position, instruction in enumerate(instructions):
        if instruction.target is not None and instruction.target <= position:
            ends[instruction.target] = position + 1
    loops = sorted(ends.items())
    return [(a, b) for a, b in loops if not any((c, d) != (a, b) and a <= c and d <= b for c, d in loops)]


def code(symbol: str, instructions: tuple[Instruction, ...]) -> Code:
    """Return a function's code with its hot loop found."""
    loops = innermost_loops(instructions)
    best = max(loops, key=lambda loop: density(instructions[slice(*loop)]), default=None)
    if best is not None and density(instructions[slice(*best)]) == 0:  # it moves, and does not compute: the longest loop
        best = max(loops, key=lambda loop: loop[1] - loop[0])
    return Code(symbol, instructions, best)


def _linked(lines: list[tuple[str, str | None]], places: dict[str, int]) -> tuple[Instruction, ...]:
    return tuple(Instruction(text, places.get(target) if target else None) for text, target in lines)


def parse_objdump(text: str, wanted: re.Pattern | None = None) -> dict[str, tuple[Instruction, ...]]:
    """Return the functions in the output of ``objdump -d --no-show-raw-insn``, by symbol; only those that match `wanted`."""
    found: dict[str, tuple[Instruction, ...]] = {}
    symbol, lines, places = None, [], {}
    for line in text.splitlines():
        if head := _OBJDUMP_HEAD.match(line):
            if symbol is not None:
                found[symbol] = _linked(lines, places)
            symbol = head["name"] if wanted is None or wanted.search(head["name"]) else None
            lines, places = [], {}
        elif symbol is not None and (match := _OBJDUMP_LINE.match(line)):
            places[match["address"]] = len(lines)
            words = re.sub(r"<[^>]*(\+0x[0-9a-f]+)>", r"<\1>", re.sub(r"\s+", " ", match["text"])).strip()
            jump = _OBJDUMP_TARGET.match(words)
            lines.append((words, (jump["address"] or jump["loop"]) if jump else None))
    if symbol is not None:
        found[symbol] = _linked(lines, places)
    return found


def parse_gas(text: str) -> dict[str, tuple[Instruction, ...]]:
    """Return the functions in an assembler listing as LLVM writes it, by symbol."""
    found: dict[str, tuple[Instruction, ...]] = {}
    symbol, lines, places = None, [], {}
    for line in text.splitlines():
        words = re.sub(r"\s+", " ", line.split("#", 1)[0]).strip()
        if words.startswith(".type") and "@function" in words:
            symbol, lines, places = words.removeprefix(".type").split(",")[0].strip().strip('"'), [], {}
        elif symbol is None or not words:
            continue
        elif words.startswith(".size"):
            found[symbol] = _linked(lines, places)
            symbol = None
        elif label := _GAS_LABEL.match(words):
            places[label["name"]] = len(lines)
        elif not words.startswith("."):
            jump = _GAS_JUMP.match(words)
            lines.append((words, jump["name"] if jump else None))
    return found


def disassemble(path: Path, wanted: re.Pattern) -> dict[str, tuple[Instruction, ...]]:
    """Return the functions of a shared object whose symbols match.

    Raises
    ------
    OSError
        There is no ``objdump`` (GNU binutils), or it cannot read the file.
    """
    try:
        done = subprocess.run(
            ["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True, text=True, check=True, timeout=120
        )
    except FileNotFoundError:
        raise OSError("objdump (GNU binutils) is not installed") from None
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise OSError(f"objdump cannot read {path.name}: {error}") from None
    return parse_objdump(done.stdout, wanted)
