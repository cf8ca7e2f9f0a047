"""Several runs as one report: ``depthbench report RUN1 RUN2``.

Rows are put together, cell by cell; where a cell stands in several runs, that of the run named last counts, so that a new run
may mend what failed in an old one. What the rows prove still holds: a table whose hashes differ ranks nothing. Times compare
within one machine only, so those of runs on another machine than the first one's are left out, and the report says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from bench.cell import Row
from bench.noise import floor_of
from bench.store import Run

#: What depends on the machine.
_OF_THE_MACHINE = tuple(
    f.name
    for f in dataclasses.fields(Row)
    if f.name.startswith(("time_", "cpu_", "energy_")) or f.name in ("predict_batches", "curve")
)


@dataclasses.dataclass(frozen=True)
class Merged:
    """The runs as one, and what a reader must know of it."""

    run: Run
    notes: tuple[str, ...] = ()


def merge(runs: Sequence[Run]) -> Merged:
    """Return several runs as one.

    Parameters
    ----------
    runs : sequence of Run
        Not empty. The first one's machine is the one whose times are shown.
    """
    if len(runs) == 1:
        return Merged(runs[0])
    found: dict[tuple, Row] = {}
    notes: list[str] = []
    n_twice = 0
    for run in runs:
        foreign = fingerprint(run) != fingerprint(runs[0])
        if foreign:
            notes.append(
                f"Times of {run.run_id} are left out: it ran on another machine ({_machine(run)}) than {runs[0].run_id} "
                f"({_machine(runs[0])}); its scores are here."
            )
        for row in run.rows:
            n_twice += row.identity in found
            found.pop(row.identity, None)  # it takes the place of the last run, with its neighbours
            found[row.identity] = _without_times(row) if foreign else row
    if n_twice:
        cells = f"{n_twice} cell{'s stand' if n_twice > 1 else ' stands'}"
        notes.append(f"{cells} in more than one of these runs: the one named last counts.")
    name = " + ".join(run.run_id for run in runs)
    return Merged(Run(name, runs[0].folder, _manifest(runs), list(found.values())), tuple(notes))


def fingerprint(run: Run) -> Any:
    """Return what tells machines apart: the digest that run.json has, else CPU and cores."""
    environment = run.manifest.get("environment")
    environment = environment if isinstance(environment, Mapping) else {}
    return environment.get("fingerprint") or (environment.get("cpu"), environment.get("cores"))


def _machine(run: Run) -> str:
    environment = run.manifest.get("environment")
    environment = environment if isinstance(environment, Mapping) else {}
    return f"{environment.get('cpu', 'unknown CPU')}, {environment.get('cores', 'unknown')} cores"


def _without_times(row: Row) -> Row:
    return dataclasses.replace(row, **dict.fromkeys(_OF_THE_MACHINE))


def _manifest(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the first run's manifest with what the others add: data sets, models, features, how long it all took."""
    manifests = [run.manifest for run in runs]
    suites = [suite for m in manifests if isinstance(suite := m.get("suite"), Mapping)]
    suite = dict(suites[0]) if suites else {}
    for key in ("datasets", "features", "models"):
        lists = [value for s in suites if isinstance(value := s.get(key), (list, tuple))]
        if lists:
            suite[key] = list(dict.fromkeys(name for names in lists for name in names))
    names = [str(s.get("name")) for s in suites if s.get("name")]
    suite["name"] = " + ".join(dict.fromkeys(names)) or "merged"
    datasets = {k: v for m in manifests if isinstance(m.get("datasets"), Mapping) for k, v in m["datasets"].items()}
    models = {k: v for m in manifests if isinstance(m.get("models"), Mapping) for k, v in m["models"].items()}
    ends = [m.get("utc_end") for m in manifests]
    floors = [floor for m in manifests if (floor := floor_of(m)) is not None]
    return {
        **manifests[0],
        "run_id": " + ".join(run.run_id for run in runs),
        "suite": suite,
        "datasets": datasets,
        **({"models": models} if models else {}),
        "utc_start": min((str(m["utc_start"]) for m in manifests if m.get("utc_start")), default=None),
        "utc_end": None if None in ends else max(map(str, ends)),
        "merged_from": [run.run_id for run in runs],
        **({"noise": {"floor": max(floors)}} if floors else {}),
    }
