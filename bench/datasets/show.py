"""What is said of data sets: on the terminal, in reports, and by `depthbench data list`. It reads no samples."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from bench.datasets import cache, openml
from bench.datasets.entry import CHECKED, Dataset, File

WIDTH = 100


def sentences(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what must be said of samples before their scores are read: what they are not, what was drawn, what was inferred.

    Examples
    --------
    >>> list(sentences({"preset": {"name": "S", "seed": 1, "n_samples": {"train": 1000, "test": 900}}}))
    ['preset S: 1000 train and 900 test samples, drawn with seed 1']
    """
    if facts.get("about"):
        yield facts["about"]
    if facts.get("preset"):
        preset = facts["preset"]
        drawn = " and ".join(f"{n} {part}" for part, n in preset["n_samples"].items())
        yield f"preset {preset['name']}: {drawn} samples, drawn with seed {preset['seed']}"
    yield from facts.get("inferred", ())


def where(dataset: Dataset) -> str:
    """Return in a few words whether the files of a data set are at hand."""
    if dataset.name.startswith(openml.PREFIX):
        return "at hand" if openml.is_here(dataset.name.removeprefix(openml.PREFIX)) else "to be fetched"
    if not dataset.sources:
        return "embedded" if dataset.fetch is None else "to be fetched"
    files = cache.choose(dataset.sources)
    if cache.is_here(files):
        return "at hand"
    if not all(f.urls for f in files):
        return "to be put by hand"
    size = sum(f.size_bytes or 0 for f in files)
    return f"to be fetched, {max(1, round(size / 1e6))} MB" if size else "to be fetched"


def overview(entries: tuple[Dataset, ...]) -> str:
    """Return one line for each data set: name, whether it is at hand, what it is, its licence, its best published score."""
    rows = [(d.name, where(d), f"{d.line}; licence: {d.licence}{_best(d)}") for d in entries]
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    return "\n".join(f"{name:<{widths[0]}}  {state:<{widths[1]}}  {text}" for name, state, text in rows)


def _best(dataset: Dataset) -> str:
    if not dataset.references:
        return ""
    is_error = dataset.references[0].metric == "rmse"
    best = (min if is_error else max)(dataset.references, key=lambda r: r.value)
    return f"; published: {'RMSE down' if is_error else 'up'} to {best.value:g} ({best.model})"


def details(dataset: Dataset) -> str:
    """Return all that the entry of a data set says."""
    parts = [f"{dataset.name}: {dataset.line}"]
    parts += [_paragraph("Note: ", dataset.note)] if dataset.note else []
    parts += [_paragraph("Licence: ", dataset.licence), _paragraph("Citation: ", dataset.citation), f"State: {where(dataset)}"]
    for i, files in enumerate(dataset.sources):
        parts.append(f"{'Or from' if i else 'Files, below'} {cache.folder()}:")
        parts += [line for file in files for line in _of_file(file)]
    if dataset.references:
        for source, references in itertools.groupby(dataset.references, key=lambda r: (r.metric, r.source)):
            parts.append(_paragraph(f"Published {source[0]}, not measured here: ", source[1]))
            parts += [f"  {r.value:<6g}  {r.model}" for r in references]
    else:
        parts.append("Published scores: none known for this set and protocol")
    return "\n".join(parts)


def _of_file(file: File) -> Iterator[str]:
    size = "size not known" if file.size_bytes is None else f"{file.size_bytes} bytes"
    yield f"  {file.path}  {size}  {'at hand' if cache.is_here((file,)) else 'not at hand'}"
    yield f"    SHA-256 {file.sha256}"
    if file.hash_from != CHECKED:
        yield f"    {file.hash_from}; not checked against the file here"
    for url in file.urls:
        yield f"    {url}"


def _paragraph(head: str, text: str, indent: str = "  ") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False)
