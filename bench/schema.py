"""The JSON Schema of a row, made from its dataclass: ``python -m bench.schema > docs/row.schema.json``.

For programs that read ``rows.jsonl``. Types come from `bench.cell.Row`, descriptions from docs/columns.md; keys that are not
in it are allowed, as a later version may add some.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

from bench.cell import IDENTITY, SCHEMA_VERSION, STATUSES, Row

COLUMNS = Path(__file__).parents[1] / "docs" / "columns.md"
#: What a type does not say.
_NARROWER: dict[str, dict[str, Any]] = {
    "schema_version": {"minimum": 1, "maximum": SCHEMA_VERSION},
    "status": {"enum": list(STATUSES)},
    "utc": {"pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d"},
    **{name: {"minimum": 0, "maximum": 1} for name in ("accuracy", "balanced_accuracy")},
    "log_loss": {"minimum": 0},
    "r2": {"maximum": 1},
    "family": {"enum": ["classical", "deep"]},
}
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def row_schema() -> dict[str, Any]:
    """Return the schema.

    Examples
    --------
    >>> found = row_schema()
    >>> found["properties"]["accuracy"]["type"], found["required"][:3]
    ('number', ['dataset', 'feature_set', 'model'])
    """
    hints, about = typing.get_type_hints(Row), descriptions()
    properties = {f.name: _property(f.name, hints[f.name], about.get(f.name)) for f in dataclasses.fields(Row)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A row of depthbench's rows.jsonl",
        "description": "What became of one cell. What was not measured is absent, never null or zero.",
        "type": "object",
        "properties": properties,
        "required": [*IDENTITY, "status"],
        "additionalProperties": True,
    }


def descriptions() -> dict[str, str]:
    """Return what docs/columns.md says of each key of a row."""
    if not COLUMNS.is_file():
        return {}
    text = COLUMNS.read_text(encoding="utf-8").partition("## rows.jsonl")[2].partition("\n## ")[0]
    return {name: about.replace("`", "") for name, about in re.findall(r"^\| `(\w+)` \| (.+?) \|$", text, re.M)}


def _property(name: str, hint: Any, about: str | None) -> dict[str, Any]:
    found = {**_of_type(hint), **_NARROWER.get(name, {})}
    if name.endswith("_sha256"):
        found["pattern"] = "^[0-9a-f]{64}$"
    elif name.endswith(("_s", "_bytes", "_j")) or name.startswith("n_"):
        found["minimum"] = 0
    return {**found, **({"description": about} if about else {})}


def _of_type(hint: Any) -> dict[str, Any]:
    """Return the schema of a type. None beside it says that a key may be absent; within a container, that it may be null."""
    if hint in _SCALARS:
        return {"type": _SCALARS[hint]}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        (kept,) = [a for a in arguments if a is not type(None)]
        return _of_type(kept)
    if origin is list:
        return {"type": "array", "items": _inner(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _inner(arguments[1])}
    return {}


def _inner(hint: Any) -> dict[str, Any]:
    found = _of_type(hint)
    if type(None) in typing.get_args(hint) and "type" in found:
        return {**found, "type": [found["type"], "null"]}
    return found


def to_text() -> str:
    """Return the file docs/row.schema.json."""
    return json.dumps(row_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(to_text(), end="")
