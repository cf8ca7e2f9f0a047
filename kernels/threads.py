"""The one place that sets and verifies how many threads OpenBLAS, OpenMP and Numba may use.

Our own kernels take ``n_threads`` with each call and ask OpenMP or Numba for just that many. The pools of the libraries
around them (NumPy's OpenBLAS, scikit-learn's OpenMP) size themselves when they are first loaded, so a worker process
gets `environment(n)` before it imports anything, calls `set_threads(n)` after, and reports `effective_threads()`.

To find the pools, threadpoolctl reads through every library of the process: milliseconds, for each cell of a run. The
libraries found are kept, and looked for again only after the system's loader has loaded another one.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

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
    _pools().limit(limits=n_threads)
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.set_num_threads(min(n_threads, numba.config.NUMBA_NUM_THREADS))


def effective_threads() -> dict[str, int]:
    """Return what each loaded pool says of itself: ``{"openblas": 1, "openmp": 1, "numba": 1}``.

    A library loaded twice (NumPy's and SciPy's OpenBLAS) counts with the larger number.
    """
    found: dict[str, int] = {}
    for pool in _pools().lib_controllers:
        name = pool.internal_api if pool.user_api == "blas" else pool.user_api
        found[name] = max(found.get(name, 0), pool.num_threads)
    numba = sys.modules.get("numba")
    if numba is not None:
        found["numba"] = numba.get_num_threads()
    return found


_found: tuple[int, ThreadpoolController] | None = None


def _pools() -> ThreadpoolController:
    """Return the pools of this process, looked for again where a library has been loaded since."""
    global _found
    from threadpoolctl import ThreadpoolController

    n_loaded = libraries_loaded()
    if _found is None or n_loaded is None or _found[0] != n_loaded:
        _found = (libraries_loaded() or 0, ThreadpoolController())
    return _found[1]


class _LoadedObject(ctypes.Structure):
    """``struct dl_phdr_info`` of dl_iterate_phdr(3), as far as its counters."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.c_void_p),
        ("n_headers", ctypes.c_uint16),
        ("n_added", ctypes.c_ulonglong),
        ("n_removed", ctypes.c_ulonglong),
    )


_VISIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_LoadedObject), ctypes.c_size_t, ctypes.c_void_p)
_counters: list[int] = []


@_VISIT
def _read_counters(loaded, size: int, _: object) -> int:
    if size >= ctypes.sizeof(_LoadedObject):
        _counters[:] = [loaded.contents.n_added, loaded.contents.n_removed]
    return 1  # the counters are the same in all; one is enough


@cache
def _iterate():
    try:
        iterate = ctypes.CDLL(None).dl_iterate_phdr
    except (AttributeError, OSError, TypeError):  # not an ELF system
        return None
    iterate.argtypes = (_VISIT, ctypes.c_void_p)
    return iterate


def libraries_loaded() -> int | None:
    """Return a number that grows whenever the process loads or unloads a library; None where the system has none.

    Examples
    --------
    >>> import sys
    >>> before = libraries_loaded()
    >>> before is None if not sys.platform.startswith("linux") else before > 0
    True
    """
    iterate = _iterate()
    if iterate is None:
        return None
    _counters.clear()
    iterate(_read_counters, None)
    return sum(_counters) if _counters else None
