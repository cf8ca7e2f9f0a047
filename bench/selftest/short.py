"""The short form of the check, in about a second, in the worker that looks at a run's data before its first cell."""

from __future__ import annotations

from typing import Any

from bench.selftest.machine import Watch
from bench.selftest.overhead import overhead_s
from bench.selftest.same import measure


def look(seconds: float, threads: int = 1, n_workers: int = 1) -> dict[str, Any]:
    """Return what run.json keeps under ``noise``: floor, overhead of a cell, what others did, warnings."""
    watch = Watch(threads, n_workers)
    noise = measure(seconds)
    overhead = overhead_s(threads)
    others, warnings = watch.others_cpus(), watch.warnings()
    found = {**noise.facts(), "overhead_s": round(overhead, 6), "warnings": warnings}
    return found if others is None else {**found, "others_cpus": round(others, 2)}
