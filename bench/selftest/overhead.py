"""What the harness itself takes of a cell: cells of a model that does nothing, and the time that no clock of theirs covers."""

from __future__ import annotations

import statistics
import time

from bench.cell import Cell

N_CELLS = 6


def overhead_s(threads: int = 1) -> float:
    """Return the median seconds that a worker spends on a cell beside fitting and predicting, on a small data set.

    Examples
    --------
    >>> overhead_s() > 0
    True
    """
    from bench.execution import Bench, Context

    bench = Bench(Context({"iris": None}, None, ("dummy",), ("reference",), "kfold", N_CELLS, 1, 0, "reference"))
    found = []
    for fold in range(N_CELLS):
        cell = Cell("iris", "raw", "dummy", "sklearn", threads, 0, fold, 0)
        start = time.perf_counter()
        prepared = bench.prepare(cell)
        prepared_s = time.perf_counter() - start
        row = bench.execute(cell, prepared)
        row.to_dict()
        if row.time_overhead_s is not None:
            found.append(prepared_s + row.time_overhead_s)
    return statistics.median(found[1:] or found or [0.0])  # the first one loads the data and warms up
