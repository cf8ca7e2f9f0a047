"""Reports: what a run folder, or several, say, as a page, a Markdown table, CSV, LaTeX, JSON, Parquet, or on the terminal.

Everything is made from ``rows.jsonl`` and ``run.json`` alone, so a report can be made again at any time, also of an
unfinished run, also where nothing is compiled. One `content.Report` is built, and each format only sets it.

    rows.jsonl, run.json -> merging -> tables (bench.tables) -> verdict (bench.verdict) -> content.Report
                                                          -> text      table.md, LaTeX
                                                          -> export    table.csv, JSON, Parquet
                                                          -> terminal  rich
                                                          -> page      report.html with bench.figures
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

FORMATS = ("html", "md", "csv", "tex", "json", "parquet")

#: A run folder, or several whose runs are merged.
Folders = str | Path | Sequence[str | Path]


def render(folder: Folders, format: str = "md", *, statistics: bool = False, metric: str | None = None) -> str | bytes:
    """Return the report of a run folder, or of several, as text; Parquet as bytes.

    Parameters
    ----------
    folder : str or Path, or several
        Run folders; see `bench.store.find_run` for how to get one from an id, `bench.report.merging` for what merging does.
    format : {"html", "md", "csv", "tex", "json", "parquet"}
    statistics : bool
        With Wilcoxon-Holm, Bayesian tests and bootstrap, which take longer to compute and to read.
    metric : {"accuracy", "balanced_accuracy"}, optional
        What classifiers are ranked by; else what the suite names.

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

    return _render(load(folder, statistics=statistics, metric=metric), format)


def write_report(
    folder: Folders, into: str | Path | None = None, *, statistics: bool = False, metric: str | None = None
) -> None:
    """Write ``table.md``, ``table.csv``, ``report.html`` and ``figures/*.svg, *.png`` into a run folder, or into another.

    Each file is replaced as a whole, so a reader never meets half of one; a failure leaves the old ones as they were.
    Pictures of an earlier report that this one does not have are removed.

    Raises
    ------
    bench.store.StoreError
        The folder holds no readable run.
    OSError
        The folder cannot be written.
    """
    from bench.figures import drawn, pictures
    from bench.report import library
    from bench.report.content import load
    from bench.timing import trim_heap

    library.start()
    report = load(folder, statistics=statistics, metric=metric)
    folder = Path(folder if into is None else into)
    folder.mkdir(parents=True, exist_ok=True)
    for name, format in (("table.csv", "csv"), ("table.md", "md"), ("report.html", "html")):
        write_atomically(folder / name, _render(report, format).encode("utf-8", "backslashreplace"))
    to_draw = pictures(report)
    del report  # what draws takes half as much memory as 100,000 rows, and need not come on top of them
    trim_heap()
    figures = {name: content for stem, text in to_draw for name, content in drawn(stem, text).items()}
    if (folder / "figures").is_symlink():
        from bench.store import StoreError

        raise StoreError(f"{folder / 'figures'} is a link, so pictures would be written elsewhere: remove it")
    if figures:
        (folder / "figures").mkdir(exist_ok=True)
    for name, content in figures.items():
        write_atomically(folder / "figures" / name, content)
    for old in _pictures(folder / "figures") - set(figures):
        (folder / "figures" / old).unlink(missing_ok=True)


def _pictures(folder: Path) -> set[str]:
    """Return the names of those files of a folder that a report may have made."""
    from bench.figures import is_ours

    return {path.name for path in folder.iterdir() if is_ours(path.name)} if folder.is_dir() else set()


def print_table(folder: Folders, console: Console, *, statistics: bool = False, metric: str | None = None) -> None:
    """Print the verdict and the tables of a run folder, or of several, to a terminal."""
    from bench.report.content import load
    from bench.report.terminal import show

    show(load(folder, statistics=statistics, metric=metric), console)


def choose(folder: Folders, under: str, console: Console | None = None, *, metric: str | None = None) -> str:
    """Answer which contestant is the best within limits; print it where a console is given.

    Parameters
    ----------
    folder : str or Path, or several
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
    from bench.report.content import merged
    from bench.tables import build_tables
    from bench.verdict import judge

    limits = chooser.parse(under)
    run = merged(folder, metric).run
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


def _render(report, format: str) -> str | bytes:
    if format == "html":
        from bench.report.page import to_html

        return to_html(report)
    if format in ("csv", "json", "parquet"):
        from bench.report.export import to_csv, to_json, to_parquet

        return {"csv": to_csv, "json": to_json, "parquet": to_parquet}[format](report)
    from bench.report.text import to_latex, to_markdown

    return {"md": to_markdown, "tex": to_latex}[format](report)
