"""All studies, in the order in which a newcomer reads them."""

from __future__ import annotations

import importlib

from bench.errors import InputError
from bench.names import unknown
from bench.studies.entry import Study

#: Modules or folders of this package, each with a ``STUDY``.
ORDER = (
    "rules",
    "estimated",
    "centroid",
    "price",
    "knobs",
    "starts",
    "compute",
    "depth",
    "receptive",
    "features",
    "layers",
    "memorise",
    "shortcut",
    "adversarial",
    "doubt",
    "stop_sign",
    "data",
    "revolution",
    "text",
)

STUDIES: tuple[Study, ...] = tuple(importlib.import_module(f"bench.studies.{name}").STUDY for name in ORDER)


def names() -> list[str]:
    """Return the names of all studies, in their order."""
    return [study.name for study in STUDIES]


def get(name: str) -> Study:
    """Return the study of that name.

    Raises
    ------
    InputError
        Unknown name; the message lists all studies with their questions.
    """
    for study in STUDIES:
        if study.name == name:
            return study
    width = max(map(len, names()))
    lines = "\n".join(f"  {study.name:<{width}}  {study.question}" for study in STUDIES)
    raise InputError(f"{unknown('study', name, [*names(), 'all'])}\n{lines}")
