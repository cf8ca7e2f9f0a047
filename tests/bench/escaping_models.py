"""Models that try to outlive their limits: imported by workers as ``escaping_models:<name>``. Pids go to a file."""

import itertools
import os
import time
from pathlib import Path

import numpy as np
from own_models import _variant

STEPS_OF_THE_CHAIN = 2000


def _tell():
    with open(Path(os.environ["PIDS"]), "a") as f:
        f.write(f"{os.getpid()}\n")


def _child(work):
    if os.fork() == 0:
        try:
            _tell()
            work()
        finally:
            os._exit(0)


def _spin_in_c():
    _tell()
    sum(itertools.repeat(0))  # never comes back, and never lets go of the interpreter's lock


def _forks():
    for _ in range(3):
        _child(lambda: time.sleep(3600))
    _child(lambda: sum(itertools.repeat(0)))
    _tell()
    time.sleep(3600)


def _detached():
    """A double fork with a session of its own, as daemons do it."""

    def daemon():
        os.setsid()
        _child(lambda: (os.setsid(), time.sleep(3600)))

    _child(daemon)
    _tell()
    time.sleep(3600)


def _chain():
    """A process that is another one each few milliseconds."""

    def run():
        os.setsid()
        for _ in range(STEPS_OF_THE_CHAIN):
            time.sleep(0.003)
            if os.fork():
                os._exit(0)
        _tell()  # it has got away

    _child(run)
    _tell()
    time.sleep(3600)


def _hoards_in_a_child():
    def hoard():
        kept = []
        while True:
            kept.append(np.ones(2**20))
            time.sleep(0.001)

    _child(hoard)
    _tell()
    time.sleep(3600)


def _shares():
    """Four children that only read what their parent holds: it is there once, not five times."""
    data = np.ones(30 << 20)
    for _ in range(4):
        _child(lambda: [data.sum() for _ in range(3)])
    for _ in range(4):
        os.wait()


def _leaves_one():
    _child(lambda: (os.setsid(), time.sleep(3600)))


def _moves():
    os.sched_setaffinity(0, range(os.cpu_count()))


spins_in_c = _variant(_spin_in_c)
forks = _variant(_forks)
detached = _variant(_detached)
chain = _variant(_chain)
hoards_in_a_child = _variant(_hoards_in_a_child)
shares = _variant(_shares)
leaves_one = _variant(_leaves_one)
moves = _variant(_moves)
