"""Names: look up one that a person typed, say which is nearest where it is unknown, and read the variant in one.

A variant of a model stands in its name: ``svc_rbf+tuned`` is ``svc_rbf`` with its parameters searched.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from bench.errors import InputError

_TUNED = "+tuned"


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


def tuned(model: str) -> str:
    """Return the name of the tuned variant of a model.

    Examples
    --------
    >>> tuned("svc_rbf")
    'svc_rbf+tuned'
    """
    return untuned(model) + _TUNED


def is_tuned(model: str) -> bool:
    """Whether a name is that of a tuned variant.

    Examples
    --------
    >>> is_tuned("svc_rbf+tuned"), is_tuned("svc_rbf")
    (True, False)
    """
    return model.endswith(_TUNED)


def untuned(model: str) -> str:
    """Return the name of a model without the variant that says it is tuned.

    Examples
    --------
    >>> untuned("my_package.models:make+tuned"), untuned("svc_rbf")
    ('my_package.models:make', 'svc_rbf')
    """
    return model.removesuffix(_TUNED)
