"""Which cell is meant: ``digits/raw/svc_rbf``, ``svc raw fold=3``, ``mlp_100 numba``, ``#17``. Abbreviations will do.

A cell is named by what tells it from the others, in any order, with slashes or spaces between: names of data set,
feature set, model and backend, or the beginnings or other parts of them where these are not names themselves;
``fold=3``, ``repeat=1``, ``threads=2``, ``seed=0``; numbers alone are the fold, or repeat and fold, or threads, repeat
and fold. Without a fold it is the first one. ``#17`` is the 17th line of rows.jsonl.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.cell import Row
from bench.errors import InputError
from bench.names import suggestion

NAMES = ("dataset", "feature_set", "model", "backend")
NUMBERS = ("threads", "repeat", "fold", "seed")
_KEYS = {"features": "feature_set", "feature": "feature_set", "data": "dataset"}
_LINE = re.compile(r"#(\d+)")
_MOST_LISTED = 8

Contestant = tuple[str, str, str, str, int]


def find(rows: Sequence[Row], text: str) -> Row:
    """Return the row of the cell that is meant.

    Raises
    ------
    InputError
        Nothing of that name, or several contestants; the message names the nearest, or some of them.

    Examples
    --------
    >>> rows = [Row("iris", "raw", m, "sklearn", 1, 0, fold, 0, "ok") for m in ("lda", "svc_rbf") for fold in (0, 1)]
    >>> found = find(rows, "iris/svc fold=1")
    >>> found.model, found.fold
    ('svc_rbf', 1)
    """
    if not rows:
        raise InputError("this run has no cells yet")
    if line := _LINE.fullmatch(text.strip()):
        number = int(line[1])
        if not 1 <= number <= len(rows):
            raise InputError(f"{text}: the run has the lines #1 to #{len(rows)}")
        return rows[number - 1]
    words = [word.strip() for word in (text.split("/") if "/" in text else text.split()) if word.strip()]
    if not words:
        raise InputError(f"no cell is named; write for example {example(rows[0])!r}")
    left = list(rows)
    for word in _without_numbers(words):
        left = _matching(rows, left, word, text)
    for name, value in _numbers(words, text):
        known = sorted({getattr(row, name) for row in left})
        left = [row for row in left if getattr(row, name) == value]
        if not left:
            raise InputError(f"{text!r}: no {name} {value}; there are {', '.join(map(str, known))}")
    return _one(left, text)


def example(row: Row) -> str:
    """Return the name of a cell in full, as far as it is needed.

    Examples
    --------
    >>> example(Row("iris", "raw", "lda", "sklearn", 1, 0, 3, 0, "ok"))
    'iris/raw/lda/sklearn/fold=3'
    """
    return f"{row.dataset}/{row.feature_set}/{row.model}/{row.backend}/fold={row.fold}"


def _without_numbers(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.isdigit() and word.partition("=")[0] not in NUMBERS]


def _numbers(words: Sequence[str], text: str) -> list[tuple[str, int]]:
    found = []
    for word in words:
        name, sign, value = word.partition("=")
        if sign and name in NUMBERS:
            if not value.isdigit():
                raise InputError(f"{text!r}: {name} must be a number, not {value!r}")
            found.append((name, int(value)))
    bare = [int(word) for word in words if word.isdigit()]
    if len(bare) > 3:
        raise InputError(f"{text!r}: at most three numbers, for threads, repeat and fold; write fold=3 where in doubt")
    return [*found, *zip(("threads", "repeat", "fold")[3 - len(bare) :], bare, strict=True)]


def _matching(rows: Sequence[Row], left: Sequence[Row], word: str, text: str) -> list[Row]:
    """Return the rows of `left` that a word fits: as a whole name, else as its beginning, else as a part of it."""
    key, sign, value = word.partition("=")
    key = _KEYS.get(key, key)
    if sign and key not in NAMES:
        known = [*NAMES, *NUMBERS]
        raise InputError(f"{text!r}: unknown key {key!r}{suggestion(key, known)} There are {', '.join(known)}")
    fields, wanted = ((key,), value) if sign else (NAMES, word)
    fits = (str.__eq__, str.startswith, str.__contains__)
    for fit in fits:
        found = [row for row in left if any(fit(getattr(row, f).lower(), wanted.lower()) for f in fields)]
        if found:
            return found
    known = list(dict.fromkeys(getattr(row, f) for f in fields for row in rows))
    if any(fit(name.lower(), wanted.lower()) for fit in fits for name in known):
        raise InputError(f"{text!r}: no cell has {word!r} together with the rest of it")
    shown = ", ".join(known[:30]) + (" ..." if len(known) > 30 else "")
    raise InputError(f"{text!r}: nothing in this run is called {wanted!r}{suggestion(wanted, known)} There are {shown}")


def _one(rows: Sequence[Row], text: str) -> Row:
    contestants = list(dict.fromkeys((r.dataset, r.feature_set, r.model, r.backend, r.threads) for r in rows))
    if len(contestants) > 1:
        shown = ["/".join(map(str, c)) for c in contestants[:_MOST_LISTED]]
        more = f"\n  and {len(contestants) - _MOST_LISTED} more" if len(contestants) > _MOST_LISTED else ""
        lines = "\n  ".join(shown)
        raise InputError(f"{text!r} may be any of {len(contestants)} contestants; say more:\n  {lines}{more}")
    return min(rows, key=lambda row: (row.seed, row.repeat, row.fold))
