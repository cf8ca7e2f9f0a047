"""Markdown and LaTeX: the verdict, the scores with seconds beside them, all times, the footnotes, how it was made."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
from bench.report.each import CALIBRATION_HEADER, CALIBRATION_LEGEND, calibration_lines
from bench.report.published import HEADER as PUBLISHED_HEADER
from bench.report.published import Published
from bench.tables import Summary
from bench.verdict import seconds

MARKS = "**bold**: best; ≈: not distinguishable from it"
BESIDE = "Seconds stand beside (median over folds: to fit, to predict the test fold), for the row's best cell."


def to_markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown that also reads well as plain text."""
    parts = [f"# {escape_markdown(report.title)}", escape_markdown(report.summary)]
    parts += [f"> {escape_markdown(note)}" for note in report.notes]
    for section in report.sections:
        parts += _markdown_section(section)
    for block in report.blocks:
        parts += markdown_block(block, level=2)
    if report.provenance:
        parts.append("## How this table was made")
        parts.append("\n".join(f"- {label}: {escape_markdown(text)}" for label, text in report.provenance))
        parts.append(
            "Made from `rows.jsonl` and `run.json` by `depthbench report`; docs/columns.md describes the columns."
        )
    return "\n\n".join(parts) + "\n"


def _markdown_section(section: Section) -> list[str]:
    table, verdict = section.table, section.verdict
    parts = [f"## {escape_markdown(section.dataset)}", f"**{escape_markdown(verdict.headline)}**"]
    if verdict.sentences:
        parts.append("\n".join(f"- {escape_markdown(text)}" for text in verdict.sentences.values()))
    if table.mismatch is not None:
        parts.append(f"> **Warning: these numbers are not ranked, because {table.mismatch.what} stand in this table.**")
    parts.append(f"{escape_markdown(section.legend)}; {MARKS}. {BESIDE} {escape_markdown(table.threads_note)}.")
    header = ["model", *table.feature_sets, "folds", "fit s", "predict s"]
    parts.append(_markdown_table(header, [_score_line(section, line) for line in table.lines]))
    parts.append("Seconds to fit / to predict the test fold, median over folds; making the features is not counted:")
    header = ["model", *table.feature_sets]
    parts.append(_markdown_table(header, [_time_line(section, line) for line in table.lines]))
    notes = [f"- [{note.number}] {escape_markdown(note.text)}" for note in table.footnotes]
    notes += [f"- {escape_markdown(text)}" for text in table.warnings]
    parts += ["\n".join(notes)] if notes else []
    parts += _markdown_calibration(section) + _markdown_published(section)
    for block in section.blocks:
        parts += markdown_block(block)
    return [*parts, *_markdown_tuning(section)] if section.tuning else parts


def _markdown_calibration(section: Section) -> list[str]:
    lines = calibration_lines(section)
    if not lines:
        return []
    cells = [[escape_markdown(text) for text in line] for line in lines]
    return ["### Calibration", CALIBRATION_LEGEND, _markdown_table(CALIBRATION_HEADER, cells)]


def _markdown_published(section: Section) -> list[str]:
    """Scores of others, marked as such, with ours among them."""
    found = section.published
    if found is None:
        return []
    cells = [[escape_markdown(text) for text in _last_first(found.words(score))] for score in found.scores]
    sources = [f"- [{i}] {escape_markdown(source)}" for i, source in enumerate(found.sources, start=1)]
    table = _markdown_table(_last_first(PUBLISHED_HEADER), cells)
    return ["### Beside published scores", escape_markdown(found.legend), table, "\n".join(sources)]


def _last_first(cells: Sequence[str]) -> list[str]:
    """The model first: Markdown's tables begin with what a line is about."""
    whose, model, *rest = cells
    return [model, whose, *rest]


def markdown_block(block: Block, level: int = 3) -> list[str]:
    """Return heading, sentences and table of a block."""
    parts = [f"{'#' * level} {escape_markdown(block.title)}", *(escape_markdown(text) for text in block.sentences)]
    if block.lines:
        parts.append(_markdown_table(block.header, [[escape_markdown(cell) for cell in line] for line in block.lines]))
    return parts


def _markdown_tuning(section: Section) -> list[str]:
    """Default and tuned side by side, and what was chosen in each fold."""
    cells = [[escape_markdown(text) for text in tuning_cells(line)] for line in section.tuning]
    chosen = []
    for line in section.tuning:
        chosen.append(f"- {escape_markdown(f'{line.label} on {line.feature_set}')}")
        chosen += [f"    - {escape_markdown(f'{fold}: {params}')}" for fold, params in line.chosen]
    return [
        "### Tuning",
        escape_markdown(section.tuning_legend),
        _markdown_table(TUNING_HEADER, cells),
        "What was chosen; tuning.jsonl holds all that was tried:",
        "\n".join(chosen),
    ]


def _score_line(section: Section, line: tuple) -> list[str]:
    cells = [_markdown_cell(section, s) for s in section.cells(line)]
    best = section.at_best(line)
    times = [seconds(best.times.get(name)) if best else "" for name in ("time_fit_s", "time_predict_s")]
    folds = f"{best.n}/{best.n_expected}" if best else "0"
    return [escape_markdown(section.table.labels[line]), *cells, folds, *times]


def _markdown_cell(section: Section, summary: Summary | None) -> str:
    text = escape_markdown(score_text(summary))
    if summary is None:
        return text
    mark = section.mark(summary)
    text = f"**{text}**" if mark == BEST else f"{text} ≈" if mark == INDISTINGUISHABLE else text
    return text + "".join(f" [{n}]" for n in summary.footnotes)


def _time_line(section: Section, line: tuple) -> list[str]:
    return [escape_markdown(section.table.labels[line]), *(_times(s) for s in section.cells(line))]


def _times(summary: Summary | None) -> str:
    if summary is None or "time_fit_s" not in summary.times:
        return NOTHING
    return f"{seconds(summary.times['time_fit_s'])} / {seconds(summary.times.get('time_predict_s')) or NOTHING}"


def _markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    header = [escape_markdown(name) for name in header]
    widths = [max(len(row[i]) for row in [header, *lines]) for i in range(len(header))]

    def set_line(cells: Sequence[str]) -> str:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *rest])} |"

    rule = "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])])
    return "\n".join([set_line(header), f"|{rule}|", *(set_line(line) for line in lines)])


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, no new cell or line.

    Examples
    --------
    >>> escape_markdown("a|b <i>*x*")
    'a\\\\|b &lt;i&gt;\\\\*x\\\\*'
    """
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*|\[\]~])", r"\\\1", text)
    # an underscore inside a word is no markup; at its edge it is
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "≈": r"$\approx$", "\N{MINUS SIGN}": r"$-$", "²": r"$^2$",
    "\N{EN DASH}": "--", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}",
}  # fmt: skip


def escape_latex(text: str) -> str:
    r"""Return text that LaTeX sets as it is.

    Examples
    --------
    >>> print(escape_latex("svc_rbf 98.7 ±0.5 %"))
    svc\_rbf 98.7 $\pm$0.5 \%
    """
    return "".join(_LATEX.get(character, character) for character in " ".join(str(text).split()))


def to_latex(report: Report) -> str:
    r"""Return one ``table`` per data set for ``\input``; it needs the package booktabs."""
    parts = ["% needs \\usepackage{booktabs}; made by depthbench report " + _comment(report.run.run_id)]
    for section in report.sections:
        parts.append(_latex_table(section))
        if section.tuning:
            parts.append(_latex_tuning(section))
        if section.published:
            parts.append(_latex_published(section.published, section.dataset))
    return "\n\n".join(parts) + "\n"


def _comment(text: str) -> str:
    return " ".join(str(text).split())


def _latex_table(section: Section) -> str:
    table = section.table
    header = ["model", *table.feature_sets, "fit (s)", "predict (s)"]
    body = []
    for line in table.lines:
        best = section.at_best(line)
        times = [seconds(best.times.get(name)) if best else "" for name in ("time_fit_s", "time_predict_s")]
        cells = [_latex_cell(section, s) for s in section.cells(line)]
        body.append(_latex_line([table.labels[line], *times], cells))
    notes = [f"[{note.number}] {note.text}" for note in table.footnotes] + list(table.warnings)
    caption = (
        f"{section.dataset}: {section.verdict.headline} {section.legend}; bold: best; ≈: not distinguishable from it."
    )
    return _latex_float(caption, "l" + "r" * (len(header) - 1), header, body, notes)


def _latex_tuning(section: Section) -> str:
    """Default and tuned side by side."""
    body = [_latex_line(cells[:1], [escape_latex(c) for c in cells[1:]]) for cells in map(tuning_cells, section.tuning)]
    caption = f"{section.dataset}: tuning. {section.tuning_legend}"
    return _latex_float(caption, "ll" + "r" * (len(TUNING_HEADER) - 2), TUNING_HEADER, body, ())


def _latex_published(found: Published, dataset: str) -> str:
    lines = [_last_first(found.words(score)) for score in found.scores]
    body = [_latex_line(cells[:1], [escape_latex(c) for c in cells[1:]]) for cells in lines]
    notes = [f"[{i}] {source}" for i, source in enumerate(found.sources, start=1)]
    caption = f"{dataset}: beside published scores. {found.legend}"
    return _latex_float(caption, "llrr", _last_first(PUBLISHED_HEADER), body, notes)


def _latex_float(caption: str, columns: str, header: Sequence[str], body: Sequence[str], notes: Sequence[str]) -> str:
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            " & ".join(escape_latex(name) for name in header) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            *(rf"\par\footnotesize {escape_latex(note)}" for note in notes),
            r"\end{table}",
        ]
    )


def _latex_line(label_and_times: Sequence[str], cells: Sequence[str]) -> str:
    label, *times = (escape_latex(text) for text in label_and_times)
    return " & ".join([label, *cells, *times]) + r" \\"


def _latex_cell(section: Section, summary: Summary | None) -> str:
    text = escape_latex(score_text(summary))
    if summary is None:
        return text
    mark = section.mark(summary)
    text = rf"\textbf{{{text}}}" if mark == BEST else rf"{text} $\approx$" if mark == INDISTINGUISHABLE else text
    return text + (rf"\textsuperscript{{{','.join(map(str, summary.footnotes))}}}" if summary.footnotes else "")
