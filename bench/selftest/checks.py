"""The checks behind ``depthbench check``, one function each: what was looked at, whether it is right, in one line.

A check that fails says first what is wrong. One that raises has failed too: the self-test itself never falls over.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: What a cell may cost beside what is measured in it.
OVERHEAD_LIMIT_S = 0.005
NOISE_S = 2.0
#: A floor above this makes most comparisons of fast models pointless.
LOUD = 1.15


@dataclass(frozen=True)
class Finding:
    """What one check found. ``status``: "ok", "wrong" (the exit code says so too), or "warning"."""

    name: str
    status: str
    text: str
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if v or k != "details"}


def every(backends: Sequence[str], threads: int, *, full: bool) -> Iterator[tuple[str, Callable[[], list[Finding]]]]:
    """Yield the name of each check, and the check."""
    for backend in backends:
        if backend != "reference":
            yield f"kernels {backend}", lambda backend=backend: [kernels_agree(backend, full=full)]
        yield f"gradients {backend}", lambda backend=backend: [gradients_agree(backend)]
    yield "threads", lambda: [threads_are_kept(threads)]
    yield "worker", lambda: [a_worker_runs_a_cell(threads)]
    yield "machine", lambda: noise_and_machine(threads)


def run(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Return what a check found, also where it raises.

    Examples
    --------
    >>> [finding] = run("sums", lambda: [1 / 0])
    >>> finding.status, finding.text
    ('wrong', 'could not be checked: ZeroDivisionError: division by zero')
    """
    try:
        return check()
    except Exception as e:
        return [Finding(name, "wrong", f"could not be checked: {type(e).__name__}: {e}")]


def kernels_agree(backend: str, *, full: bool = False, quick: bool = False) -> Finding:
    """Hold a backend's kernels against the reference: a fourth of the edge cases and a call of training for each, or all.

    `quick`: the fourth of the edge cases in float32 alone.
    """
    import kernels
    from kernels import validation
    from kernels.cases import cases, edge_cases
    from kernels.spec import SPECS

    name, k = f"kernels {backend}", kernels.load(backend)
    if full:
        wrong = validation.self_test(k)
        n = sum(len(edge_cases(spec.name)) for spec in SPECS) * 4
    else:
        chosen = [
            (case, dtype)
            for spec in SPECS
            for dtype in (("float32",) if quick else ("float32", "float64"))
            for case in (*edge_cases(spec.name)[::4], *(() if quick else cases(spec.name, "S")[:1]))
        ]
        n = len(chosen)
        found = ((case, dtype, validation.disagreement(k, case, dtype)) for case, dtype in chosen)
        wrong = [f"{case}, {dtype}: {message}" for case, dtype, message in found if message is not None]
    if wrong:
        return Finding(name, "wrong", f"{len(wrong)} of {n} calls disagree with the reference; the first: {wrong[0]}")
    return Finding(name, "ok", f"{n} calls of {len(SPECS)} kernels agree with the reference")


def gradients_agree(backend: str) -> Finding:
    """Hold the gradients of small networks against central differences."""
    from bench.selftest import gradients

    found = [gradients.check(backend, name) for name in gradients.NETWORKS]
    worst = max(found, key=lambda g: g.worst)
    name = f"gradients {backend}"
    if not worst.ok:
        wrong = [g.network for g in found if not g.ok]
        text = f"differ from central differences by {worst.worst:.3g} times what is allowed: {', '.join(wrong)}"
        return Finding(name, "wrong", text)
    return Finding(name, "ok", f"{len(found)} networks agree with central differences, to {worst.worst:.1%} of what is allowed")


def threads_are_kept(threads: int) -> Finding:
    """Set all thread pools, do some work, and read them again."""
    import numpy as np
    from sklearn.cluster import KMeans  # brings OpenMP and SciPy's OpenBLAS in

    from kernels.threads import effective_threads, set_threads

    set_threads(threads)
    x = np.random.default_rng(0).standard_normal((200, 8))
    KMeans(2, n_init=1, random_state=0).fit(x @ (x.T @ x))
    pools = effective_threads()
    said = ", ".join(f"{name} {n}" for name, n in sorted(pools.items()))
    if set(pools.values()) != {threads}:
        return Finding("threads", "wrong", f"asked for {threads}, and got {said}: rows would be invalid")
    return Finding("threads", "ok", f"asked for {threads}, and got {said}")


def a_worker_runs_a_cell(threads: int) -> Finding:
    """Start a worker as a run does, have it execute a cell, and see it end."""
    from bench import processes
    from bench.cell import Cell
    from bench.executors import LocalExecutor
    from bench.runs import suite_context
    from bench.suite import Suite

    suite = Suite(name="check", datasets=["iris"], models=["dummy"], folds=2, threads=[threads])
    cell = Cell("iris", "raw", "dummy", "sklearn", threads, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="depthbench-") as folder:
        with LocalExecutor({**suite_context(suite), "noise_s": 0.0}, Path(folder), timeout_s=60) as executor:
            [row] = list(executor.run([cell]))
            [worker] = executor._workers
        left = processes.descendants(worker.pid)
    if row.status != "ok":
        return Finding("worker", "wrong", f"its first cell is {row.status}: {row.message}")
    if worker.is_alive() or left:
        return Finding("worker", "wrong", "it does not end when it is asked to")
    return Finding("worker", "ok", "starts, executes a cell with the threads asked for, and ends")


def noise_and_machine(threads: int) -> list[Finding]:
    """Compare the machine with itself, measure the harness, and look who else is there."""
    from bench.selftest.short import look

    found = look(NOISE_S, threads)
    floor, overhead = found["floor"], found["overhead_s"]
    by_work = ", ".join(f"{name} x{ratio:.3f}" for name, ratio in found["floor_by_work"].items())
    text = f"x{floor:.3f}: less than that is no speed-up here ({by_work}; {found['n_pairs']} A/A pairs)"
    loud = f"{text}; wait until the machine is quiet, or compare what takes longer" if floor > LOUD else text
    harness = f"{1e3 * overhead:.1f} ms of its own for each cell"
    slow = f"{harness}; more than {1e3 * OVERHEAD_LIMIT_S:g} ms, which a busy or slow machine explains"
    return [
        Finding("noise floor", "warning" if floor > LOUD else "ok", loud, found),
        Finding("harness", *(("warning", slow) if overhead > OVERHEAD_LIMIT_S else ("ok", harness))),
        *(Finding("machine", "warning", warning) for warning in found["warnings"]),
        *([] if found["warnings"] else [Finding("machine", "ok", "nobody disturbs, nothing slows it down")]),
    ]
