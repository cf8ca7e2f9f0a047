"""After how many calls a just-in-time compiler has paid for itself, from what rows hold.

Compiling costs once per process; each call gains what it is faster by. The two meet at compile time over gain per call.
Numba's kernels stand against the others of the same model: the reference, which is what they compile away, and Cython,
which was compiled beforehand. Kernels that several models share are compiled for the first that needs them; so the cost
is that of the model's costliest first use in the run.

Reads rows only; kernels and models are not imported.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.cell import Row
from bench.noise import is_noise


@dataclass(frozen=True)
class Payback:
    """One compiled contestant against the same model on another backend."""

    dataset: str
    feature_set: str
    model: str
    threads: int
    backend: str
    other: str
    time_jit_s: float
    fit_s: float
    other_fit_s: float
    n_fits: int | None  # None: never
    n_predictions: int | None  # of the whole test fold

    @property
    def sentence(self) -> str:
        """Say it in words.

        Examples
        --------
        >>> print(Payback("d", "raw", "mlp", 1, "numba", "cython", 9.0, 0.2, 0.1, None, 90_000).sentence)
        numba's compilation for mlp on raw (9 s) pays against cython: never in fits, after 90,000 predictions of a test fold.
        """
        fits = "never in fits" if self.n_fits is None else f"after {_counted(self.n_fits, 'fit')}"
        more = "never in predictions"
        if self.n_predictions is not None:
            more = f"after {_counted(self.n_predictions, 'prediction')} of a test fold"
        return (
            f"{self.backend}'s compilation for {self.model} on {self.feature_set} ({self.time_jit_s:.2g} s) pays against "
            f"{self.other}: {fits}, {more}."
        )


def calls_until(once_s: float, per_call_s: float, other_s: float, floor: float | None = None) -> int | None:
    """Return after how many calls `once_s` is made up for by calls that take `per_call_s` instead of `other_s`.

    Parameters
    ----------
    once_s, per_call_s, other_s : float
    floor : float, optional
        The noise floor (`bench.noise.floor_of`): what is not faster by more than that is not faster.

    Returns
    -------
    int or None
        None: never.

    Examples
    --------
    >>> calls_until(9.0, 0.1, 0.4), calls_until(9.0, 0.4, 0.1), calls_until(9.0, 0.1, 0.101, floor=1.05)
    (30, None, None)
    """
    gain = other_s - per_call_s
    if gain <= 0 or is_noise(other_s, per_call_s, floor):
        return None
    return math.ceil(once_s / gain - 1e-9)


def paybacks(rows: Iterable[Row], floor: float | None = None) -> list[Payback]:
    """Return every compiled contestant against each other backend of the same model, in the order of the rows."""
    by_contestant: dict[tuple, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    jit: dict[tuple, float] = {}
    for row in rows:
        if row.status != "ok":
            continue
        by_contestant[row.dataset, row.feature_set, row.model, row.threads][row.backend].append(row)
        if row.time_jit_s:
            key = row.dataset, row.model, row.backend
            jit[key] = max(jit.get(key, 0.0), row.time_jit_s)
    found = []
    for (dataset, feature_set, model, threads), backends in by_contestant.items():
        for backend, compiled in backends.items():
            once_s = jit.get((dataset, model, backend))
            for other, others in backends.items() if once_s else ():
                fit = _medians(compiled, others, "time_fit_s")
                if other == backend or fit is None:
                    continue
                predict = _medians(compiled, others, "time_predict_s")
                n_predictions = None if predict is None else calls_until(once_s, *predict, floor)
                n_fits = calls_until(once_s, *fit, floor)
                place = (dataset, feature_set, model, threads, backend, other)
                found.append(Payback(*place, once_s, *fit, n_fits, n_predictions))
    return found


def sentences(rows: Sequence[Row], floor: float | None = None) -> list[str]:
    """Return the words for a table: of each model, the first feature set that has them.

    Examples
    --------
    >>> sentences([])
    []
    """
    said: dict[tuple, str] = {}
    for payback in paybacks(rows, floor):
        said.setdefault((payback.model, payback.threads, payback.backend, payback.other), payback.sentence)
    return list(said.values())


def _medians(first: Iterable[Row], second: Iterable[Row], name: str) -> tuple[float, float] | None:
    values = [[v for row in rows if (v := getattr(row, name)) is not None] for rows in (first, second)]
    return (statistics.median(values[0]), statistics.median(values[1])) if all(values) else None


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
