"""Reports: what a run folder says, as a page, a Markdown table, CSV, LaTeX, JSON, or on the terminal.

Everything is made from ``rows.jsonl`` and ``run.json`` alone, so a report can be made again at any time, also of an
unfinished run, also where nothing is compiled. One `content.Report` is built, and each format only sets it.

    rows.jsonl, run.json -> tables (bench.tables) -> verdict (bench.verdict) -> content.Report
                                                          -> text      table.md, LaTeX
                                                          -> export    table.csv, JSON
                                                          -> terminal  rich
                                                          -> page      report.html with bench.figures
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("html", "md", "csv", "tex", "json")


def render(folder: str | Path, format: str = "md", *, statistics: bool = False) -> str:
    """Return the report of a run folder as text.

    Parameters
    ----------
    folder : str or Path
        A run folder; see `bench.store.find_run` for how to get it from an id.
    format : {"html", "md", "csv", "tex", "json"}
    statistics : bool
        With Wilcoxon-Holm, Bayesian tests and bootstrap, which take longer to compute and to read.

    Raises
    ------
    ValueError
        Unknown format.
    bench.store.StoreError
        The folder holds no readable run.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; there are {', '.join(FORMATS)}")
    from bench.report.content import load

    return _render(load(folder, statistics=statistics), format)


def write_report(folder: str | Path, *, statistics: bool = False) -> None:
    """Write ``table.md``, ``table.csv``, ``report.html`` and ``figures/*.svg, *.png`` into a run folder.

    Each file is replaced as a whole, so a reader never meets half of one; a failure leaves the old ones as they were.

    Raises
    ------
    bench.store.StoreError
        The folder holds no readable run.
    OSError
        The folder cannot be written.
    """
    from bench.figures import draw
    from bench.report.content import load

    folder = Path(folder)
    report = load(folder, statistics=statistics)
    for name, format in (("table.csv", "csv"), ("table.md", "md"), ("report.html", "html")):
        write_atomically(folder / name, _render(report, format).encode("utf-8"))
    figures = draw(report)
    if figures:
        (folder / "figures").mkdir(exist_ok=True)
    for name, content in figures.items():
        write_atomically(folder / "figures" / name, content)


def print_table(folder: str | Path, console: Console, *, statistics: bool = False) -> None:
    """Print the verdict and the tables of a run folder to a terminal."""
    from bench.report.content import load
    from bench.report.terminal import show

    show(load(folder, statistics=statistics), console)


def choose(folder: str | Path, under: str, console: Console | None = None) -> str:
    """Answer which contestant is the best within limits; print it where a console is given.

    Parameters
    ----------
    folder : str or Path
    under : str
        ``"latency=1ms,memory=100MB"``; see `bench.analysis.choose`.
    console : rich.console.Console, optional

    Returns
    -------
    str
        As Markdown.

    Raises
    ------
    bench.errors.InputError
        A limit that cannot be read, or no readable run.
    """
    from bench.analysis import choose as chooser
    from bench.report import blocks, terminal, text
    from bench.store import read_run
    from bench.tables import build_tables
    from bench.verdict import judge

    limits = chooser.parse(under)
    run = read_run(folder)
    parts: list[str] = []
    for table in build_tables(run.rows, run.manifest):
        verdict = judge(table, run.manifest)
        block = blocks.of_choice(table, verdict, chooser.choose(table, verdict, limits))
        if console is not None:
            terminal.show_block(block, console)
        parts += text.markdown_block(block, level=2)
    return "\n\n".join(parts) + "\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file by way of a temporary one beside it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """Return the process's umask; mkstemp makes files that nobody else can read."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _render(report, format: str) -> str:
    if format == "html":
        from bench.report.page import to_html

        return to_html(report)
    if format in ("csv", "json"):
        from bench.report.export import to_csv, to_json

        return {"csv": to_csv, "json": to_json}[format](report)
    from bench.report.text import to_latex, to_markdown

    return {"md": to_markdown, "tex": to_latex}[format](report)
