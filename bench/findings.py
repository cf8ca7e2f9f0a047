"""What a model raised, as a row can say it: an exception of a model is a finding, not a fault of the worker."""

from __future__ import annotations

import traceback
from typing import Any

from bench.scores import DivergedError


def finding(error: BaseException) -> dict[str, Any]:
    """Return status, message and traceback for what a model raised.

    Examples
    --------
    >>> finding(MemoryError("Unable to allocate 1 TiB"))["status"]
    'out_of_memory'
    """
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    names = {c.__name__ for c in type(error).__mro__}
    if isinstance(error, MemoryError):
        status = "out_of_memory"
    elif isinstance(error, DivergedError) or "DivergenceError" in names or "non-finite parameter weights" in str(error):
        status = "diverged"  # scikit-learn's MLP has no class of its own for it, only that sentence
    else:
        status = "failed"
    trace = "".join(traceback.format_exception(error))
    return {"status": status, "message": text[:2000], "traceback": trace[-8000:]}
