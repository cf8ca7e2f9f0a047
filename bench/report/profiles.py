"""Profiles that were stored in a run folder (``depthbench profile TARGET --run RUN``), as its report shows them.

A profile is JSON that holds its plots as SVG (``bench/profiling/output.py``). They stand in the page as pictures: an SVG in
an ``<img>`` runs no scripts and loads nothing, whatever is in it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "profiles"


@dataclass(frozen=True)
class StoredProfile:
    """What the page says of a profile.

    Attributes
    ----------
    plots : tuple of (str, str)
        Heading and data URI.
    rows : tuple of tuple of str
        A kernel each: name, calls, time, share of the whole, GFLOP/s, share of its ceiling.
    """

    title: str
    setting: str
    sentence: str
    plots: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]


def read(folder: Path) -> tuple[StoredProfile, ...]:
    """Return the profiles of a run folder, by file name; a file that holds none is passed over."""
    return tuple(_read(sorted((folder / FOLDER).glob("*.json"))))


def _read(paths: list[Path]) -> Iterator[StoredProfile]:
    for path in paths:
        try:
            yield _of(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # half a file, or not ours: the report of the run is whole without it


def _of(values: Mapping[str, Any]) -> StoredProfile:
    svgs = {name: svg for name, svg in values["plots"].items() if svg.lstrip().startswith("<svg")}
    return StoredProfile(
        title=str(values["title"]),
        setting=str(values["setting"]),
        sentence=str(values["sentence"]),
        plots=tuple((name, "data:image/svg+xml;base64," + _base64(svg)) for name, svg in svgs.items()),
        rows=tuple(_row(line) for line in values.get("kernels", values.get("cases", [])) if "time_s" in line),
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def _row(line: Mapping[str, Any]) -> tuple[str, ...]:
    share = f"{100 * line['share']:.1f} %" if "share" in line else ""
    return (
        str(line.get("case", line["kernel"])), str(line.get("calls", 1)), f"{1e6 * line['time_s']:,.1f}", share,
        f"{line['gflops']:.1f}", f"{100 * line['of_ceiling']:.0f} % {line['bound']}",
    )  # fmt: skip
