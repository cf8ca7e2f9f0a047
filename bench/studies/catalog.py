"""All studies, in the order in which a newcomer reads them."""

from __future__ import annotations

from bench.errors import InputError
from bench.names import unknown
from bench.studies import (
    centroid,
    data,
    features,
    memorise,
    price,
    revolution,
    starts,
    stop_sign,
)
from bench.studies.entry import Study

STUDIES: tuple[Study, ...] = (
    centroid.STUDY,
    starts.STUDY,
    features.STUDY,
    memorise.STUDY,
    data.STUDY,
    revolution.STUDY,
    stop_sign.STUDY,
    price.STUDY,
)


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
