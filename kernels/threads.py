"""The one place that sets and verifies how many threads OpenBLAS, OpenMP and Numba may use.

Our own kernels take ``n_threads`` with each call and ask OpenMP or Numba for just that many. The pools of the libraries
around them (NumPy's OpenBLAS, scikit-learn's OpenMP) size themselves when they are first loaded, so a worker process
gets `environment(n)` before it imports anything, calls `set_threads(n)` after, and reports `effective_threads()`.
"""

from __future__ import annotations

import sys

#: Variables that the thread pools read when they are loaded.
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def environment(n_threads: int) -> dict[str, str]:
    """Return the variables to set for a process before it imports anything.

    Examples
    --------
    >>> environment(2)["OPENBLAS_NUM_THREADS"]
    '2'
    """
    return dict.fromkeys(VARIABLES, str(n_threads))


def set_threads(n_threads: int) -> None:
    """Limit the pools that are loaded already; for those loaded later, `environment` speaks."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=n_threads)
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))


def effective_threads() -> dict[str, int]:
    """Return what each loaded pool says of itself: ``{"openblas": 1, "openmp": 1, "numba": 1}``.

    A library loaded twice (NumPy's and SciPy's OpenBLAS) counts with the larger number.
    """
    from threadpoolctl import threadpool_info

    found: dict[str, int] = {}
    for pool in threadpool_info():
        name = pool["internal_api"] if pool["user_api"] == "blas" else pool["user_api"]
        found[name] = max(found.get(name, 0), pool["num_threads"])
    numba = sys.modules.get("numba")
    if numba is not None:
        found["numba"] = numba.get_num_threads()
    return found
