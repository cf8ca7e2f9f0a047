"""What is written of a study, and read again: study.json, table.md, answer.md, figures/.

study.json holds the measurements and where they come from; all else is made of it. The page (`page.py`) is made of the
study.json files of a folder, so studies may have been run one by one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import InputError
from bench.report import write_atomically
from bench.studies import charts
from bench.studies.context import plain
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict

SCHEMA_VERSION = 1
STUDY, TABLE, ANSWER, FIGURES = "study.json", "table.md", "answer.md", "figures"


@dataclass(frozen=True)
class Finished:
    """A study that has been measured, with all that its functions make of the measurements."""

    study: Study
    measurements: Measurements
    manifest: dict[str, Any]
    verdict: Verdict
    tables: Sequence[Table]
    figures: Sequence[Figure]

    @property
    def sentence(self) -> str:
        return self.study.sentence(self.verdict, self.figures)

    @property
    def preset(self) -> str:
        return str(self.manifest["preset"])


def finished(study: Study, measurements: Measurements, manifest: dict[str, Any]) -> Finished:
    """Return a study with its verdict, tables and figures."""
    verdict = study.verdict(measurements)
    return Finished(study, measurements, manifest, verdict, study.tables(measurements), study.figures(measurements))


def write(found: Finished, folder: Path) -> None:
    """Write a finished study into its folder; each file is replaced as a whole, figures that are no more are removed.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    drawn = {name: content for figure in found.figures for name, content in charts.files(figure).items()}
    for old in (folder / FIGURES).iterdir():
        if old.suffix in (".svg", ".png") and old.name not in drawn:
            old.unlink()
    for name, content in drawn.items():
        write_atomically(folder / FIGURES / name, content)
    write_atomically(folder / TABLE, to_markdown(found).encode())
    write_atomically(folder / ANSWER, f"{found.sentence}\n".encode())
    study = found.study
    values = {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "question": study.question,
        "claim": study.claim,
        "source": study.source,
        "refuted_if": study.refuted_if,
        "outcome": found.verdict.outcome,
        "answer": found.sentence,
        "manifest": found.manifest,
        "measurements": plain(found.measurements),
    }
    text = json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / STUDY, f"{text}\n".encode())  # last: where it stands, the study is complete


def read(folder: Path, study: Study) -> Finished:
    """Read a study's folder.

    Raises
    ------
    InputError
        There is no study.json, or it cannot be read or was written by a newer version.
    """
    path = folder / STUDY
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version, measurements, manifest = values["schema_version"], values["measurements"], values["manifest"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(f"{path} is not the result of a study: {e}") from e
    if version > SCHEMA_VERSION:
        raise InputError(f"{path} was written by a newer depthbench (schema {version}, this one knows {SCHEMA_VERSION})")
    return finished(study, measurements, manifest)


def to_markdown(found: Finished) -> str:
    """Return question, answer, tables and origin as Markdown."""
    study, parts = found.study, [f"# {found.study.question}", f"**{found.sentence}**", found.study.method]
    parts.append(f"- Claim: {study.claim} ({study.source})\n- It would be refuted if: {study.refuted_if}")
    for table in found.tables:
        parts += [f"## {table.title}", markdown_table(table)]
    if study.limits:
        parts.append(f"What this does not say: {study.limits}")
    parts.append("## How this was made")
    parts.append("\n".join(f"- {label}: {text}" for label, text in provenance(found.manifest)))
    return "\n\n".join(parts) + "\n"


def markdown_table(table: Table) -> str:
    """Return a table as GitHub-flavoured Markdown that also reads well as plain text.

    Examples
    --------
    >>> print(markdown_table(Table("t", ["model", "%"], [["lda", "95.2"]])))
    | model |    % |
    |-------|-----:|
    | lda   | 95.2 |
    """
    lines = [[str(cell).replace("|", "\\|") for cell in row] for row in [table.header, *table.rows]]
    widths = [max(3, *(len(row[i]) for row in lines)) for i in range(len(table.header))]
    pad = [str.ljust if i < table.n_text else str.rjust for i in range(len(widths))]
    texts = [
        "| " + " | ".join(p(cell, w) for p, cell, w in zip(pad, row, widths, strict=True)) + " |" for row in lines
    ]
    marks = ["-" * (w + 2) if i < table.n_text else "-" * (w + 1) + ":" for i, w in enumerate(widths)]
    return "\n".join([texts[0], "|" + "|".join(marks) + "|", *texts[1:]])


def provenance(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return where a study's measurements come from, one fact per line."""
    environment = manifest.get("environment", {})
    git = environment.get("git") or {}
    packages = environment.get("packages", {})
    facts = [
        ("Command", " ".join(map(str, manifest.get("command", [])))),
        ("Preset", str(manifest.get("preset", ""))),
        ("Data", ", ".join(manifest.get("datasets", {}))),
        ("Seed", str(manifest.get("seed", ""))),
        ("Began", str(manifest.get("utc_start", ""))),
        ("Took", f"{manifest.get('seconds', 0):.0f} s"),
        ("Machine", f"{environment.get('cpu', '?')}, {environment.get('cores', '?')} cores"),
        ("Instruction set", str(environment.get("isa") or "")),
        ("Python", str(environment.get("python", ""))),
        ("Packages", ", ".join(f"{name} {version}" for name, version in packages.items())),
        ("Commit", f"{git.get('commit', '')}{' (with uncommitted changes)' if git.get('dirty') else ''}"),
    ]
    return [(label, text) for label, text in facts if text]
