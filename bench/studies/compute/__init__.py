"""What made it possible: one and the same training, from loops in plain Python to compiled vector code.

Every implementation takes the same steps: a network with one hidden layer, the same starting weights, the same batches in the
same order, stochastic gradient descent without momentum; each is timed until the network gets the target accuracy on samples
set aside. So they need the same number of passes, and what differs is seconds alone. Each runs in a process of its own
(`child.py`), started with its instruction set and threads; plain Python is in `loops.py`.

Where plain Python would take too long (all presets but that of the tests), its seconds per pass are measured on the first
passes, and multiplied by the passes that the others needed; the table says so.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.statistics import compare_paired
from bench.studies import charts, findings
from bench.studies.context import Context
from bench.studies.entry import Figure, Measurements, Study, Table, Verdict

SLOWEST = "loops"
#: The claim is of this many times.
CLAIMED = 100.0
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def implementations(which: str) -> list[dict[str, Any]]:
    """Return what is timed here, the slowest first: name, words, kind, threads and instruction set.

    Parameters
    ----------
    which : {"few", "all"}
    """
    import kernels
    from kernels.cython_backend import loader

    found = [
        {"name": SLOWEST, "words": "loops in plain Python", "kind": "loops", "threads": 1, "isa": None},
        {"name": "reference", "words": "NumPy, as one writes it: our reference", "kind": "reference", "threads": 1,
         "isa": None},
    ]  # fmt: skip
    usable = kernels.backends()
    if "numba" in usable and which == "all":
        found.append({"name": "numba", "words": "our Numba kernels", "kind": "numba", "threads": 1, "isa": None})
    if "cython" in usable:
        best = loader.chosen()
        for isa in _instruction_sets(best) if which == "all" else (best,):
            name = "cython" if isa == best else f"cython_{isa}"
            found.append({"name": name, "words": f"our Cython kernels, {isa}", "kind": "cython", "threads": 1, "isa": isa})
        if which == "all" and (os.cpu_count() or 1) > 1:
            words = f"our Cython kernels, {best}, 2 threads"
            found.append({"name": "cython_2_threads", "words": words, "kind": "cython", "threads": 2, "isa": best})
    if which == "all" and importlib.util.find_spec("torch") is not None:
        found.append({"name": "torch", "words": "PyTorch", "kind": "torch", "threads": 1, "isa": None})
    return found


def _instruction_sets(best: str) -> list[str]:
    """Return the instruction sets that are built and that this machine has, the oldest first."""
    from kernels.cython_backend import loader

    built = list(loader.built())
    order = [isa for isa in ("plain", "v2", "v3", "v4") if isa in built]
    return order[: order.index(best) + 1]


def measure(ctx: Context) -> Measurements:
    """Time each implementation from each start."""
    s = ctx.settings
    fold = ctx.folds(s["dataset"], folds=2)[0]
    random = np.random.default_rng(ctx.seed)
    chosen = random.permutation(len(fold.y_train))[: s["samples"]]
    scale = float(fold.X_train.max())
    data = {
        "X_train": fold.X_train[chosen] / scale, "y_train": fold.y_train[chosen].astype(np.int64),
        "X_test": fold.X_test[: s["tested"]] / scale, "y_test": fold.y_test[: s["tested"]].astype(np.int64),
    }  # fmt: skip
    todo = implementations(s["implementations"])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(path, **data)
        results = ctx.map("implementation", lambda what: _run(what, s, str(path)), todo)
    return {
        "dataset": s["dataset"], "target": s["target"], "samples": len(chosen), "hidden": s["hidden"],
        "rows": [row for rows in results for row in rows],
    }  # fmt: skip


def _run(what: dict[str, Any], settings: Any, data: str) -> list[dict[str, Any]]:
    """Return one row per start of an implementation."""
    few = settings["loops_epochs"] if what["kind"] == "loops" else None
    jobs = [
        {"kind": what["kind"], "threads": what["threads"], "seed": seed, "data": data, "epochs": few,
         "target": 2.0 if few else settings["target"], **{k: settings[k] for k in ("hidden", "batch", "rate")}}
        for seed in range(settings["starts"])
    ]  # fmt: skip
    environment = {**os.environ, **{name: str(what["threads"]) for name in VARIABLES}}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[3]), environment.get("PYTHONPATH")]))
    environment.pop("DEPTHBENCH_ISA", None)
    if what["isa"] is not None:
        environment["DEPTHBENCH_ISA"] = what["isa"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.studies.compute.child"], input=json.dumps(jobs), env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode < 0:
        raise KeyboardInterrupt  # whoever ended the child wants the study to end
    if done.returncode != 0:
        raise RuntimeError(f"{what['words']} failed:\n{done.stderr[-2000:]}")
    return [
        {"name": what["name"], "words": what["words"], "start": job["seed"], "epochs": len(r["seconds"]),
         "epoch_s": float(np.median(r["seconds"])), "train_s": float(sum(r["seconds"])), "accuracy": r["accuracy"][-1],
         "is_estimate": bool(few)}
        for job, r in zip(jobs, json.loads(done.stdout), strict=True)
    ]  # fmt: skip


# -- what follows is made of the measurements alone


def seconds_to_target(m: Measurements, name: str) -> list[float]:
    """Return the seconds to the target, start by start; where only some passes were timed, times the passes others needed."""
    found = []
    for row in findings.only(m["rows"], name=name):
        if row["is_estimate"]:
            others = [r["epochs"] for r in m["rows"] if r["start"] == row["start"] and not r["is_estimate"]]
            found.append(row["epoch_s"] * float(np.median(others)))
        else:
            found.append(row["train_s"])
    return found


def fastest(m: Measurements) -> str:
    """Return the implementation of ours that is compared: Cython on one thread where it is built, else the reference."""
    names = findings.values(m["rows"], "name")
    return "cython" if "cython" in names else "reference"


def verdict(m: Measurements) -> Verdict:
    """Is compiled vector code a hundred times as fast as loops?"""
    best = fastest(m)
    logs = [math.log10(a / b) for a, b in zip(seconds_to_target(m, SLOWEST), seconds_to_target(m, best), strict=True)]
    found = compare_paired(logs, [0.0] * len(logs), 0.0)
    ratio = 10**found.difference
    claimed = math.log10(CLAIMED)
    words = findings.only(m["rows"], name=best)[0]["words"]
    epochs = float(np.median([r["epochs"] for r in findings.only(m["rows"], name=best)]))
    answer = (
        f"The same training to {findings.percent(m['target'], 0)} accuracy, in about {epochs:.0f} passes over {m['samples']} "
        f"samples, takes {findings.number(float(np.median(seconds_to_target(m, SLOWEST))))} s with loops in plain Python and "
        f"{findings.number(float(np.median(seconds_to_target(m, best))))} s with {words}: {findings.number(ratio)} times as "
        f"fast."
    )
    if found.low is None:
        interval = f"no interval: {found.n} starts are too few for one"
        return Verdict("undecided", answer, interval, "times")
    interval = (
        f"95 % interval {findings.number(10**found.low)} to {findings.number(10**found.high)} times, {found.n} starts; "
        f"claimed: more than {CLAIMED:.0f}"
    )
    return Verdict(findings.outcome(found.low, found.high, claimed), answer, interval, "times")


def tables(m: Measurements) -> list[Table]:
    """Return seconds and passes of each implementation."""
    base = seconds_to_target(m, SLOWEST)
    rows = []
    for name in findings.values(m["rows"], "name"):
        mine = findings.only(m["rows"], name=name)
        times = seconds_to_target(m, name)
        ratio = 10 ** float(np.mean([math.log10(a / b) for a, b in zip(base, times, strict=True)]))
        estimated = mine[0]["is_estimate"]
        rows.append(
            [mine[0]["words"], f"{findings.number(float(np.median(times)))}{' (estimated)' if estimated else ''}",
             findings.number(float(np.median([r["epoch_s"] for r in mine])) * 1000),
             "" if estimated else f"{np.median([r['epochs'] for r in mine]):.0f}", findings.number(ratio)]
        )  # fmt: skip
    header = ["implementation", f"s to {findings.percent(m['target'], 0)}", "ms a pass", "passes", "times as fast as loops"]
    return [Table(f"Training on {m['samples']} samples of {m['dataset']}, {m['hidden']} hidden units", header, rows)]


def figures(m: Measurements) -> list[Figure]:
    """Return seconds to the target, on a logarithmic axis."""
    rows = []
    for name in findings.values(m["rows"], "name"):
        times = seconds_to_target(m, name)
        mine = findings.only(m["rows"], name=name)[0]
        rows.append({"what": mine["words"], "seconds": float(np.median(times)), "low": min(times), "high": max(times)})
    axis = charts.axis("seconds", "seconds to the target (log)", log=True)
    return [
        Figure("times", "The same training, from one end to the other",
               "Seconds until the network reaches the target accuracy: median of the starts, with a bar from the fastest to "
               "the slowest. Each step to the left is ten times as fast. All take the same steps and end at the same network.",
               charts.intervals(rows, axis, "what"))
    ]  # fmt: skip


def examples() -> dict[str, Measurements]:
    """Return constructed measurements for each outcome."""

    def made(ratios: list[float]) -> Measurements:
        rows = [
            {"name": name, "words": name, "start": i, "epochs": 10, "epoch_s": s / 10, "train_s": s, "accuracy": 0.91,
             "is_estimate": False}
            for i, ratio in enumerate(ratios) for name, s in ((SLOWEST, ratio), ("reference", 5.0), ("cython", 1.0))
        ]  # fmt: skip
        return {"dataset": "digits", "target": 0.9, "samples": 500, "hidden": 32, "rows": rows}

    return {
        "supported": made([900.0, 1000.0, 1100.0]),
        "refuted": made([9.0, 10.0, 11.0]),
        "undecided": made([20.0, 100.0, 400.0]),
    }


STUDY = Study(
    name="compute",
    question="The formulas are from 1986. What made it possible at last?",
    claim="Faster arithmetic: the same training that takes compiled vector code a second takes loops, written as the formulas "
    "stand in the book, more than a hundred times as long.",
    source="Raina, Madhavan and Ng, Large-Scale Deep Unsupervised Learning Using Graphics Processors, ICML 2009; Krizhevsky, "
    "Sutskever and Hinton, ImageNet Classification with Deep Convolutional Neural Networks, NeurIPS 2012",
    refuted_if="Loops in plain Python are less than a hundred times as slow as our compiled kernels on one thread.",
    method="One small network is trained again and again until it gets nine of ten samples right, by different programs that "
    "take exactly the same steps from the same starting weights: loops in plain Python; NumPy as one writes it; our kernels "
    "compiled by Numba and by Cython, for processors of 2003 (plain, v2), 2013 (v3) and 2017 (v4); on two threads; and "
    "PyTorch, where it is installed. Loading and compiling are not counted.",
    presets={
        "XS": {"dataset": "digits@S", "samples": 96, "tested": 100, "target": 0.5, "hidden": 8, "batch": 32, "rate": 0.2,
               "starts": 3, "loops_epochs": None, "implementations": "few"},
        "S": {"dataset": "digits", "samples": 800, "tested": 800, "target": 0.9, "hidden": 128, "batch": 64, "rate": 0.2,
              "starts": 3, "loops_epochs": 1, "implementations": "all"},
        "M": {"dataset": "fashion_mnist@S", "samples": 1000, "tested": 1000, "target": 0.75, "hidden": 100, "batch": 50,
              "rate": 0.1, "starts": 5, "loops_epochs": 1, "implementations": "all"},
        "L": {"dataset": "fashion_mnist@M", "samples": 10_000, "tested": 5000, "target": 0.83, "hidden": 100, "batch": 100,
              "rate": 0.1, "starts": 5, "loops_epochs": 1, "implementations": "all"},
    },
    measure=measure,
    verdict=verdict,
    tables=tables,
    figures=figures,
    examples=examples,
    slow=True,  # each implementation starts a process of its own
    limits="Seconds hold for one machine that did nothing else; other programs beside it change them. How much is gained "
    "depends on the network's size: on a small one the calls cost more than the arithmetic. Graphics processors, which "
    "decided the matter in 2012, are not measured here.",
)  # fmt: skip
