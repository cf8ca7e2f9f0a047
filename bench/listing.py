"""What `depthbench list` and `depthbench env` print: plain lines, one name and its line per row."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable

from bench.names import unknown

Rows = Iterable[tuple[str, str]]


def _datasets() -> Rows:
    from bench.datasets import DATASETS

    yield from ((d.name, d.line) for d in DATASETS)
    yield "pmlb:<name>", "any table of the Penn Machine Learning Benchmarks; `depthbench data` says more of data sets"
    yield "openml:<id>", "any data set of OpenML"


def _features() -> Rows:
    from bench.features import FEATURE_SETS
    from bench.features.networks import patterns

    yield from ((f.name, f"{f.line} [{f.citation}]" if f.citation else f.line) for f in FEATURE_SETS)
    yield from patterns()


def _models() -> Rows:
    from models.catalog import MODELS

    return ((m.name, f"{m.line} ({m.family})") for m in MODELS)


def _kernels() -> Rows:
    from kernels.spec import SPECS

    return ((s.name, s.summary) for s in SPECS)


def _backends() -> Rows:
    import kernels
    from bench.suite import BACKENDS

    usable = kernels.backends()
    return ((name, "usable here" if name in usable else "not built or not installed here") for name in BACKENDS)


def _suites() -> Rows:
    from bench.suite import SHIPPED, shipped

    for name in shipped():
        yield name, tomllib.loads((SHIPPED / f"{name}.toml").read_text(encoding="utf-8")).get("description", "")


def _architectures() -> Rows:
    from models.named import ARCHITECTURES, PATTERNS

    yield from ((a.name, a.summary) for a in ARCHITECTURES)
    yield from ((pattern, "hidden layers of 100 units, any number of them") for pattern in PATTERNS)


def _studies() -> Rows:
    from bench.studies.catalog import STUDIES

    return ((study.name, study.question) for study in STUDIES)


KINDS: dict[str, Callable[[], Rows]] = {
    "datasets": _datasets,
    "features": _features,
    "models": _models,
    "architectures": _architectures,
    "kernels": _kernels,
    "backends": _backends,
    "suites": _suites,
    "studies": _studies,
}


def render(what: str | None) -> str:
    """Return the list of one kind, or of all kinds with headings.

    Raises
    ------
    InputError
        Unknown kind; the message names the nearest.

    Examples
    --------
    >>> print(render("suites").split()[0])
    digits
    """
    if what is None:
        return "\n\n".join(f"{kind}:\n{render(kind)}" for kind in KINDS)
    if what not in KINDS:
        raise unknown("list", what, KINDS)
    rows = list(KINDS[what]())
    width = max((len(name) for name, _ in rows), default=0)
    return "\n".join(f"{name:<{width}}  {line}".rstrip() for name, line in rows)


def environment() -> str:
    """Return the machine, versions, instruction set and threads, one fact per row."""
    from bench.environment import libraries, machine

    import sklearn.linear_model  # noqa: F401, isort: skip (brings OpenMP and SciPy's OpenBLAS in, so that they are seen)

    found = machine()
    packages, git = found.pop("packages"), found.pop("git")
    libs = libraries()
    pools = libs.pop("thread_pools")
    rows = {**found, "memory_bytes": f"{found['memory_bytes']} ({found['memory_bytes'] / 2**30:.1f} GiB)"}
    rows["git"] = "no checkout" if git is None else f"{git['commit']}{' (with changes)' if git['dirty'] else ''}"
    rows["backends"] = ", ".join(libs["backends"])
    rows["isa"] = f"{libs['isa'] or 'Cython kernels are not built'} (built: {', '.join(libs['isa_built']) or 'none'})"
    for pool in pools:
        architecture = f", {pool['architecture']}" if "architecture" in pool else ""
        name = f"threads {pool['internal_api']}"
        rows[name] = f"{pool['num_threads']} (version {pool.get('version')}{architecture})"
    rows |= packages
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())
