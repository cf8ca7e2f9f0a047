"""A worker: one process, one thread setting, many cells. Started by bench/executors.py as `python -m bench.worker`.

The variables that size thread pools are in its environment before Python starts. It reads one JSON object a line from
standard input and answers on the standard output it was born with; what models print goes to standard error, which is
its log. It never outlives the process that started it: Linux kills it (PR_SET_PDEATHSIG), and everywhere a thread ends
it when standard input closes. What it starts cannot leave it: it is a subreaper (bench/processes.py).

    -> {"do": "check", "context": ...}   <- {"is": "checked", "datasets": ..., "own_models": ..., "environment": ...,
                                             "noise": ..., "kernels": ...}
    -> {"do": "run", "cell": ..., "trials": [...]}   (the trials of earlier workers on this cell)
                                         <- {"is": "phase", "phase": "features" | "warm-up" | "fit"} ...
                                         <- {"is": "phase", "phase": "tuning", "trial": ...} {"is": "trial", "trial": ...} ...
                                         <- {"is": "row", "row": ...} or {"is": "no_features", "row": ...}
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from typing import IO, Any


def main() -> None:
    """Serve cells until standard input closes."""
    parent, n_threads, cpus = int(sys.argv[1]), int(sys.argv[2]), [int(cpu) for cpu in sys.argv[3].split(",") if cpu]
    _pin(cpus)  # before any library counts the processors
    _die_with_parent(parent)
    requests, answers = _private_streams()
    inbox: queue.SimpleQueue[dict] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, inbox), daemon=True).start()
    time_import_s = _import_everything(n_threads)
    _send(answers, {"is": "ready", "pid": os.getpid()})
    serve(inbox, answers, time_import_s, cpus)


def _pin(cpus: list[int]) -> None:
    """Hold this process, and what it starts, to some processors; done anew for each cell, since a model may change it."""
    if cpus:
        os.sched_setaffinity(0, cpus)


def _die_with_parent(parent: int) -> None:
    from bench import processes

    processes.prctl(processes.PR_SET_PDEATHSIG, signal.SIGKILL)
    processes.prctl(processes.PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _private_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Take standard input and output for ourselves; models get an empty one and the log instead."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, answers


def _read(requests: IO[bytes], inbox: queue.SimpleQueue) -> None:
    for line in requests:
        inbox.put(json.loads(line))
    os._exit(0)  # nobody is left to answer


def _import_everything(n_threads: int) -> float:
    """Import what every model needs and set its thread pools; return the seconds."""
    start = time.perf_counter()
    import sklearn.linear_model
    import sklearn.metrics
    import sklearn.model_selection  # noqa: F401  imported here so that no cell pays for it

    import bench.execution  # noqa: F401
    from kernels import threads

    threads.set_threads(n_threads)
    return time.perf_counter() - start


def _send(answers: IO[bytes], message: dict[str, Any]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")
    answers.flush()


def serve(inbox: queue.SimpleQueue, answers: IO[bytes], time_import_s: float, cpus: list[int]) -> None:
    """Answer requests for ever."""
    from bench.errors import InputError
    from bench.execution import Bench, Context

    state: Bench | None = None
    while True:
        request = inbox.get()
        if request["do"] == "run":
            _pin(cpus)
            _run(request["cell"], request["trials"], state, answers)
            continue
        try:
            context = Context(**request["context"], time_import_s=time_import_s)
            state = Bench(
                context,
                lambda phase, **more: _send(answers, {"is": "phase", "phase": phase, **more}),
                lambda trial: _send(answers, {"is": "trial", "trial": trial}),
            )
            answer = _checked(state) if request["do"] == "check" else {"is": "set"}
        except InputError as e:
            answer = {"is": "refused", "message": str(e)}
        _send(answers, answer)


def _checked(state: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from bench.environment import libraries

    return {
        "is": "checked",
        "datasets": {name: asdict(info) for name, info in state.check().items()},
        "own_models": {name: asdict(model) for name, model in state.own_models.items()},
        "environment": libraries(),
        "kernels": _kernels(state),
        "noise": _noise(state.context),
    }


def _kernels(state: Any) -> dict[str, str] | None:
    """Return what the check of the kernels found that this run computes with; InputError where one of them is wrong."""
    backends = state.backends_in_use()
    if not state.context.noise_s or not backends:
        return None
    from bench.selftest.start import in_a_process

    return in_a_process(backends, int(sys.argv[2]))


def _noise(context: Any) -> dict[str, Any] | None:
    """Return how far times can be trusted here, where the run wants to know."""
    if not context.noise_s:
        return None
    from bench.selftest.short import look

    return look(context.noise_s, int(sys.argv[2]), context.n_workers)


def _run(values: dict[str, Any], trials: list[dict[str, Any]], state: Any, answers: IO[bytes]) -> None:
    from bench.cell import Cell, Row
    from bench.findings import finding

    cell = Cell(**values)
    try:
        prepared = state.prepare(cell)
    except BaseException as e:  # whatever a feature set or data set raises becomes the row of every cell that needs it
        row = Row(**values, **finding(e))
        _send(answers, {"is": "no_features", "row": row.to_dict()})
        return
    row = state.execute(cell, prepared, trials).to_dict()
    if sys.argv[3]:
        row["cpus"] = sorted(os.sched_getaffinity(0))  # where it really was, in the end
    _send(answers, {"is": "row", "row": row})


if __name__ == "__main__":
    main()
