"""The report on a terminal: verdict first, then scores, then times, in blocks that fit the width there is."""

from __future__ import annotations

import statistics as stdlib_statistics
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bench.report import each
from bench.report.blocks import Block
from bench.report.content import (
    BEST,
    INDISTINGUISHABLE,
    NOTHING,
    TUNING_HEADER,
    Report,
    Section,
    score_text,
    tuning_cells,
)
from bench.report.published import HEADER as PUBLISHED_HEADER
from bench.report.published import Published
from bench.tables import Summary
from bench.verdict import seconds

#: for terminals that are not UTF-8
_ASCII = str.maketrans(
    {"±": "+", "≈": "~", "\N{EN DASH}": "-", "\N{MINUS SIGN}": "-", "²": "2", "…": ".", "·": "-"}
    | dict(zip(each.BARS, "_.:-=+*#", strict=True))
)
_NARROWEST_NAME = 14
MOST_NAME = 28  # before a table is set in parts rather than shorten its names


def show(report: Report, console: Console) -> None:
    """Print the whole report to a console, at its width."""
    _say(console, report.summary, "dim")
    for note in report.notes:
        _say(console, f"Note: {note}", "yellow")
    for section in report.sections:
        _show_section(section, console)
    for block in report.blocks:
        show_block(block, console)


def _show_section(section: Section, console: Console) -> None:
    table, verdict = section.table, section.verdict
    console.print()
    _say(console, section.dataset, "bold underline")
    _say(console, verdict.headline, "bold red" if table.mismatch else "bold")
    for sentence in verdict.sentences.values():
        _say(console, sentence, indent=2)
    console.print()
    if table.mismatch is not None:
        _say(console, f"NOT RANKED: {table.mismatch.what} stand in this table.", "bold red")
    _blocks(section, console, [lambda s: _score(section, s, " ±"), lambda s: _score(section, s, "±")])
    _say(console, f"{section.legend}; *: best; ≈: not distinguishable from it", "dim")
    console.print()
    unit, scale = _time_unit(section)
    _blocks(section, console, [lambda s: _time(s, scale)])
    _say(console, f"{unit} to fit / to predict the test fold (median over folds); {table.threads_note}", "dim")
    _show_each(section, console)
    for note in table.footnotes:
        _say(console, f"[{note.number}] {note.text}", "dim")
    for warning in table.warnings:
        _say(console, f"Note: {warning}", "yellow")
    if section.published:
        _show_published(section.published, console)
    for block in section.blocks:
        if block.on_terminal or section.analysis.against_best:  # large ones where statistics were asked for
            show_block(block, console)
    if section.tuning:
        _show_tuning(section, console)


def show_block(block: Block, console: Console) -> None:
    """Print a block of statistics: its heading, sentences, and the table, in parts where its columns do not fit beside."""
    console.print()
    _say(console, block.title, "bold")
    for sentence in block.sentences:
        _say(console, sentence, indent=2)
    if not block.lines:
        return
    # no cell is broken, and of headings no word
    words = [max(map(len, name.split()), default=0) for name in block.header]
    widths = [max(words[i], *(len(line[i]) for line in block.lines)) for i in range(len(block.header))]
    for columns in _beside(widths, console.width):
        grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        room = max(8, console.width - sum(widths[i] + 1 for i in columns) - 1)
        grid.add_column(_fit(Text(block.header[0]), console), no_wrap=True, overflow="ellipsis", max_width=room)
        for i in columns:
            grid.add_column(_fit(Text(block.header[i]), console), justify="right", min_width=widths[i])
        for line in block.lines:
            grid.add_row(*(_fit(Text(line[i]), console) for i in (0, *columns)))
        console.print(grid)


def _beside(widths: Sequence[int], width: int) -> list[list[int]]:
    """Return which columns stand beside the first one, part by part.

    Examples
    --------
    >>> _beside([20, 6, 6, 6, 6], 80), _beside([20, 6, 6, 6, 6], 40)
    ([[1, 2, 3, 4]], [[1, 2], [3, 4]])
    """
    parts: list[list[int]] = [[]]
    for i in range(1, len(widths)):
        if parts[-1] and min(widths[0], MOST_NAME) + 1 + sum(widths[j] + 1 for j in (*parts[-1], i)) > width:
            parts.append([])
        parts[-1].append(i)
    return parts


def _show_each(section: Section, console: Console) -> None:
    """Print each model at its best, with sparklines; columns that nothing was measured for are left out."""
    lines = each.lines(section)
    if not lines:
        return
    console.print()
    shown = [i for i in range(len(each.HEADER)) if any(line[i] for line in lines)]
    _grid([each.HEADER[i] for i in shown], [[line[i] for i in shown] for line in lines], console)
    _say(console, each.LEGEND, "dim")


#: Published scores that a terminal shows, the best; the other formats show all.
MOST_PUBLISHED = 8


def _show_published(found: Published, console: Console) -> None:
    console.print()
    theirs = [s for s in found.scores if not s.is_ours][:MOST_PUBLISHED]
    shown = [s for s in found.scores if s.is_ours or s in theirs]
    _grid(PUBLISHED_HEADER, [found.words(score) for score in shown], console)
    more = sum(not s.is_ours for s in found.scores) - len(theirs)
    _say(console, found.legend + (f" {more} lower published scores are in the other formats." if more else ""), "dim")
    for i, source in enumerate(found.sources, start=1):
        if any(s.source == source for s in theirs):
            _say(console, f"[{i}] {source}", "dim")


def _grid(header: Sequence[str], lines: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table whose first two columns are text, as wide as there is room."""
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    for i, name in enumerate(header):
        left = {"no_wrap": True, "overflow": "ellipsis", "min_width": 8}
        right = {"justify": "left" if name in ("folds", "epochs") else "right", "no_wrap": True}
        grid.add_column(_fit(Text(name), console), **(left if i < 2 else right))
    for line in lines:
        grid.add_row(*(_fit(Text(text), console) for text in line))
    console.print(grid)


def _show_tuning(section: Section, console: Console) -> None:
    """Print default and tuned side by side; the page and table.md tell the parameters."""
    console.print()
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    fits = TUNING_HEADER.index("fits")  # the narrowest terminal has no room for it
    for i, name in enumerate(TUNING_HEADER):
        if i != fits:
            left = {"no_wrap": True, "overflow": "ellipsis", "min_width": 8} if i < 2 else {"justify": "right"}
            grid.add_column(_fit(Text(name), console), **left)
    for line in section.tuning:
        cells = [_fit(Text(text), console) for i, text in enumerate(tuning_cells(line)) if i != fits]
        grid.add_row(*cells)
    console.print(grid)
    _say(console, section.tuning_legend, "dim")


def _say(console: Console, text: str, style: str = "", indent: int = 0) -> None:
    console.print(Padding(_fit(Text(text, style=style), console), (0, 0, 0, indent), expand=False))


def _score(section: Section, summary: Summary | None, plus_minus: str) -> Text:
    if summary is None:
        return Text(f"{NOTHING} ", style="dim")
    words = score_text(summary).replace(" ±", plus_minus)
    if summary.n and not summary.complete:  # the interval of fewer folds is not worth the width
        words = f"{words.split(plus_minus)[0].split(' ')[0]} {summary.n}/{summary.n_expected}"
    text = Text(words, style="" if summary.n else "dim")
    mark = section.mark(summary)
    if summary.footnotes:
        text.append("".join(f"[{n}]" for n in summary.footnotes), style="dim")
    else:
        text.append({BEST: "*", INDISTINGUISHABLE: "≈"}.get(mark, " "))
    if mark == BEST:
        text.stylize("bold green")
    return text


def _time_unit(section: Section) -> tuple[str, float]:
    """Milliseconds where most cells fit within a second: fewer characters, the same information."""
    fits = [s.times["time_fit_s"] for s in section.table.cells.values() if "time_fit_s" in s.times]
    return ("Milliseconds", 1000.0) if fits and stdlib_statistics.median(fits) < 1.0 else ("Seconds", 1.0)


def _time(summary: Summary | None, scale: float) -> Text:
    if summary is None or "time_fit_s" not in summary.times:
        return Text(NOTHING, style="dim")
    predict = summary.times.get("time_predict_s")
    predict_text = NOTHING if predict is None else seconds(scale * predict)
    return Text(f"{seconds(scale * summary.times['time_fit_s'])}/{predict_text}")


def _blocks(section: Section, console: Console, cells: Sequence[Callable[[Summary | None], Text]]) -> None:
    """Print models x feature sets: in the first wording that fits the width, else the last one in several blocks."""
    table = section.table
    names = [_fit(Text(table.labels[line]), console) for line in table.lines]
    longest = max((name.cell_len for name in names), default=5)
    for cell in cells:
        columns = [
            [
                _fit(t, console)
                for t in (Text(feature_set, "bold"), *(cell(table.cell(line, feature_set)) for line in table.lines))
            ]
            for feature_set in table.feature_sets
        ]
        widths = [max(text.cell_len for text in column) + 1 for column in columns]
        room_for_name = console.width - sum(widths)
        if room_for_name >= longest:
            break
    name_width = min(longest, max(room_for_name, _NARROWEST_NAME))
    block: list[list[Text]] = []
    used = 0
    for column, width in zip(columns, widths, strict=True):
        if block and used + width > console.width - name_width:
            _print_block(console, names, block, name_width)
            console.print()
            block, used = [], 0
        block.append(column)
        used += width
    if block:
        _print_block(console, names, block, name_width)


def _print_block(console: Console, names: Sequence[Text], block: Sequence[Sequence[Text]], name_width: int) -> None:
    grid = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    grid.add_column("model", min_width=5, max_width=name_width, no_wrap=True, overflow="ellipsis")
    for column in block:
        grid.add_column(column[0], justify="right", no_wrap=True)
    for i, name in enumerate(names):
        grid.add_row(name, *(column[i + 1] for column in block))
    console.print(grid)


def _fit(text: Text, console: Console) -> Text:
    """Return text that the console's encoding can show, without control characters that would move its cursor."""
    plain = "".join(c if c.isprintable() else "?" for c in text.plain)
    if console.options.ascii_only:
        plain = plain.translate(_ASCII).encode("ascii", "replace").decode("ascii")
    if plain == text.plain:
        return text
    copy = text.copy()
    copy.plain = plain
    return copy
