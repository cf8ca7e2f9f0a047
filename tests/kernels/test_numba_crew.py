"""The threads that Numba's programs run on: all work is done, also after a rest, by several callers, in a forked child."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

crew = pytest.importorskip("kernels.numba_backend.crew")
from kernels import load  # noqa: E402

pytestmark = pytest.mark.skipif(not crew.AVAILABLE, reason="semaphores in memory of ours: Linux only")


def _programs(kernels, n: int):
    """Programs that square a number four times, and the arrays they write."""
    made = []
    for i in range(n):
        x = np.full((1, 1), 1.5 + i)
        y, z = np.empty_like(x), np.empty_like(x)
        calls = [kernels.bind("gemm", x, x, out=y), kernels.bind("gemm", y, y, out=z)]
        made.append((kernels.program(calls), z, (1.5 + i) ** 4))
    return made


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("rest_s", [0.0, 0.05], ids=["at_once", "after_a_rest"])
def test_all_programs_run_each_time(n, rest_s):
    kernels = load("numba")
    made = _programs(kernels, n)
    for _ in range(200 if rest_s == 0 else 4):
        for _, z, _ in made:
            z[...] = 0
        kernels.run_together([program for program, _, _ in made])
        assert [z[0, 0] for _, z, _ in made] == [expected for _, _, expected in made]
        time.sleep(rest_s)


def test_several_callers_at_once():
    kernels, wrong = load("numba"), []

    def caller():
        made = _programs(kernels, 2)
        for _ in range(100):
            made[0][1][...], made[1][1][...] = 0, 0
            kernels.run_together([program for program, _, _ in made])
            wrong.extend(z for _, z, expected in made if z[0, 0] != expected)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for thread in callers:
        thread.start()
    for thread in callers:
        thread.join()
    assert not wrong


def test_a_member_writes_the_times_of_its_calls():
    kernels = load("numba")
    made = _programs(kernels, 2)
    times = np.zeros((2, 2), np.int64)
    made[1][0].times = times
    kernels.run_together([program for program, _, _ in made])
    assert (times[:, 1] >= times[:, 0]).all() and times[0, 0] > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_crew_of_its_own():
    kernels = load("numba")
    made = _programs(kernels, 2)
    kernels.run_together([program for program, _, _ in made])
    child = os.fork()
    if child == 0:
        made[1][1][...] = 0
        kernels.run_together([program for program, _, _ in made])
        os._exit(0 if made[1][1][0, 0] == made[1][2] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
