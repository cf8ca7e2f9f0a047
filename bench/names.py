"""Look up a name that a person typed; where it is unknown, say which one is nearest and which ones there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from bench.errors import InputError


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known name, or a full stop where none is near.

    Examples
    --------
    >>> "unknown set 'digist'" + suggestion("digist", ["digits", "iris"])
    "unknown set 'digist'; did you mean 'digits'?"
    >>> suggestion("zebra", ["digits", "iris"])
    '.'
    """
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else "."


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for an unknown name, for the caller to raise.

    Examples
    --------
    >>> print(unknown("model", "svm_rbf", ["svc_rbf", "lda"]))
    unknown model 'svm_rbf'; did you mean 'svc_rbf'? Known: svc_rbf, lda
    """
    known = list(known)
    return InputError(f"unknown {kind} {name!r}{suggestion(name, known)} Known: {', '.join(known)}")
