"""Texts with labels: the docstrings of Python's standard library, and sentences of film reviews.

Docstrings are read from the library's source with `ast`: nothing is imported and nothing runs. A text's label is the package it
stands in, whose own name is taken out of the text, since it would give the label away; what stands in two places counts once.
"""

from __future__ import annotations

import ast
import hashlib
import platform
import re
import sysconfig
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.datasets import cache
from bench.datasets.entry import File
from bench.errors import InputError

_BASE = (
    "https://github.com/dennybritz/cnn-text-classification-tf/raw/18762b459e21d9c70e5c242f8d43fc4e6db37a0d/data/rt-polaritydata/"
)
#: Pang & Lee, "Seeing stars", ACL 2005: 5,331 sentences against a film and as many for one.
RT_POLARITY = {
    "against": File("text/rt-polarity.neg", "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd", 612_506,
                    (f"{_BASE}rt-polarity.neg",)),
    "for": File("text/rt-polarity.pos", "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58", 626_395,
                (f"{_BASE}rt-polarity.pos",)),
}  # fmt: skip
LEAST_WORDS = 5
#: Packages of tests say what they test.
_NO_PACKAGES = ("test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__")
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|[!?]")


@dataclass(frozen=True)
class Corpus:
    """Texts as lists of words, and the number of each one's class."""

    name: str
    texts: list[list[str]]
    y: np.ndarray
    classes: tuple[str, ...]
    facts: dict[str, Any]


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters; "!" and "?" are words too.

    Examples
    --------
    >>> words_of("Don't panic: read_all(1)!")
    ["don't", 'panic', 'read', 'all', '!']
    """
    return _WORD.findall(text.lower())


def _packages(stdlib: Path) -> Iterator[Path]:
    """Yield the packages of the standard library in the order of their names."""
    for folder in sorted(stdlib.iterdir()):
        if folder.name not in _NO_PACKAGES and (folder / "__init__.py").is_file():
            yield folder


def _docstrings(package: Path) -> Iterator[str]:
    """Yield the docstrings of a package's modules, classes and functions, in the order of files and lines."""
    for path in sorted(package.rglob("*.py")):
        if any(part in _NO_PACKAGES for part in path.relative_to(package).parts):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):  # a file made to be wrong, or not readable
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found = ast.get_docstring(node)
                if found:
                    yield found


def docstrings(packages: int | Sequence[str], *, stdlib: Path | None = None) -> Corpus:
    """Return the docstrings of the standard library.

    Parameters
    ----------
    packages : int or sequence of str
        So many packages, those with the most texts; or these.

    Raises
    ------
    InputError
        The library's source is not there.
    """
    stdlib = Path(sysconfig.get_paths()["stdlib"]) if stdlib is None else stdlib
    found: dict[str, list[tuple[str, ...]]] = {}
    for package in _packages(stdlib) if stdlib.is_dir() else ():
        if isinstance(packages, int) or package.name in packages:
            texts = (words_of(text) for text in _docstrings(package))
            found[package.name] = [tuple(w for w in words if w != package.name) for words in texts]
    times = Counter(text for texts in found.values() for text in dict.fromkeys(texts))
    for name, texts in found.items():
        found[name] = [t for t in dict.fromkeys(texts) if len(t) >= LEAST_WORDS and times[t] == 1]
    if isinstance(packages, int):
        most = sorted(found, key=lambda name: (-len(found[name]), name))[:packages]
        packages = sorted(most)
    missing = [name for name in packages if not found.get(name)]
    if missing or len(packages) < 2:
        what = f"of {', '.join(missing)} " if missing else ""
        raise InputError(f"study 'text': the source {what}of the standard library is not in {stdlib}: install a Python with it")
    return _corpus("docstrings", {name: [list(t) for t in found[name]] for name in packages}, python=platform.python_version())


def rt_polarity() -> Corpus:
    """Return the sentences of film reviews.

    Raises
    ------
    InputError
        The files are not at hand and cannot be fetched; the message says where to put them.
    """
    found = {}
    for label, file in RT_POLARITY.items():
        lines = cache.locate(file).read_bytes().decode("utf-8", errors="replace").splitlines()
        found[label] = [words_of(line) for line in lines]
    return _corpus("rt_polarity", found)


def _corpus(name: str, by_class: dict[str, list[list[str]]], **facts: Any) -> Corpus:
    texts = [text for texts in by_class.values() for text in texts]
    y = np.repeat(np.arange(len(by_class)), [len(texts) for texts in by_class.values()])
    digest = hashlib.sha256("\n".join(" ".join(text) for text in texts).encode()).hexdigest()
    facts |= {"texts": {label: len(texts) for label, texts in by_class.items()}, "texts_sha256": digest}
    return Corpus(name, texts, y, tuple(by_class), facts)


def load(name: str, packages: int | Sequence[str] | None, most: int | None = None) -> Corpus:
    """Return a corpus; with `most`, of each class no more than so many texts, spread evenly."""
    corpus = rt_polarity() if name == "rt_polarity" else docstrings(packages)
    if most is None:
        return corpus
    rows = np.sort(np.concatenate([
        own[np.linspace(0, len(own) - 1, min(most, len(own))).astype(int)]
        for own in (np.flatnonzero(corpus.y == c) for c in range(len(corpus.classes)))
    ]))  # fmt: skip
    return Corpus(corpus.name, [corpus.texts[i] for i in rows], corpus.y[rows], corpus.classes, {**corpus.facts, "most": most})
