"""What the coordinator of a cluster writes down: who has which cell, who is lost, who may take part. Its other side is made up.

A run on a real scheduler is in test_cluster.py; there all workers are on one machine and of one version, so what
differs between machines, and what happens once in a while, is asked here. Each test was seen red with its line of
bench/cluster.py broken: a lost cell not dealt again, a late answer taken, lost or new workers not seen, a cell that
kills workers tried for ever, an answer waited for that was lost with its worker, another version let in, host and
machine not in the row, trials dropped, checkpoints sent, slots left open.
"""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from bench.cell import Cell, Row
from bench.cluster import MOST_LOST, DaskExecutor, _Slot
from bench.dealing import Dealer
from bench.errors import InputError

CELL = Cell("iris", "raw", "lda", "sklearn", 1, 0, 0, 0)
MACHINE = {"host": "far", "fingerprint": "ff", "cpu": "X"}


def answer(**values):
    return SimpleNamespace(result=lambda timeout: json.dumps(values))


def lost(timeout):
    raise RuntimeError("the worker is gone")


def never(timeout):
    """A task that had ended, and whose worker was lost before what it returned was fetched."""
    raise TimeoutError


@pytest.fixture
def executor():
    said, there, sent = [], {"a"}, []
    log = SimpleNamespace(trials={}, kept=[])
    log.append = lambda cell, trial: log.kept.append((cell, trial))
    found = DaskExecutor({"checkpoint_folder": "/here"}, "tcp://x", say=said.append, trials=log)
    found._workers = lambda: there
    found._submit = lambda slot, function, argument: sent.append((slot.address, function.__name__))
    found._code, found._looked = "v1", -math.inf
    found._slots["a"] = _Slot("a", "far", "ff", 1, ready=True, cell=CELL)
    found.said, found.there, found.sent = said, there, sent
    return found


def test_a_row_says_where_it_was_made_and_trials_come_back(executor):
    row = Row(*CELL.identity, status="ok", accuracy=0.9)
    reply = answer(row=row.to_dict(), trials=[{"n": 1}], no_features=False)
    [found] = executor._answered(executor._slots["a"], reply, Dealer([]))
    assert (found.host, found.machine_fingerprint, found.n_workers, found.accuracy) == ("far", "ff", 1, 0.9)
    assert executor.trials.kept == [(CELL, {"n": 1})]
    assert executor._slots["a"].cell is None


@pytest.mark.parametrize("how", ["its task fails", "it never says how its task ended", "it is not there any more"])
def test_the_cell_of_a_lost_worker_is_dealt_again_but_not_for_ever(executor, how):
    dealer, slot = Dealer([CELL]), executor._slots["a"]
    for n_lost in range(1, MOST_LOST + 1):
        slot.cell = dealer.next("a", 1)
        assert slot.cell == CELL and dealer.n_left == 0
        if how != "it is not there any more":
            if how == "it never says how its task ended":
                executor.there.clear()
            result = lost if how == "its task fails" else never
            rows = list(executor._answered(slot, SimpleNamespace(result=result), dealer))
        else:
            executor._slots, executor._looked = {"a": slot}, -math.inf
            executor.there.clear()
            rows = list(executor._forget_the_lost(dealer))
            assert not executor._slots and "is gone" in executor.said[-1]
        assert dealer.n_left == (n_lost < MOST_LOST)
        assert [(r.status, r.message) for r in rows] == [("failed", "3 workers of the cluster were lost with this cell")] * (
            n_lost == MOST_LOST
        )


def test_an_answer_that_takes_long_is_waited_for(executor):
    replies = iter([never, never, answer(row=Row(*CELL.identity, status="ok").to_dict(), trials=[], no_features=False).result])
    future = SimpleNamespace(result=lambda timeout: next(replies)(timeout))
    assert [row.status for row in executor._answered(executor._slots["a"], future, Dealer([]))] == ["ok"]


def test_an_answer_of_a_task_that_was_given_up_is_passed_over(executor):
    def row(accuracy):
        made = Row(*CELL.identity, status="ok", accuracy=accuracy).to_dict()
        return answer(row=made, trials=[], no_features=False)

    slot, stale = executor._slots["a"], row(0.1)
    slot.future = row(0.9)
    executor._answers.put((slot, stale))
    executor._answers.put((slot, slot.future))
    assert [found.accuracy for found in executor.run([])] == [0.9]


def test_who_joins_is_asked_first_and_only_once(executor):
    executor.there.add("b")
    for _ in range(2):
        executor._looked = -math.inf
        list(executor._forget_the_lost(Dealer([CELL])))
    assert executor.sent == [("b", "check")] and not executor._slots["b"].ready
    executor._deal(Dealer([CELL]))
    assert executor.sent == [("b", "check")], "nothing to do for one that is not ready, or busy"
    assert executor._checked(executor._slots["b"], answer(code="v1", machine=MACHINE), strict=False)
    executor._deal(Dealer([CELL]))
    assert executor.sent[1:] == [("b", "run")] and executor._slots["b"].cell == CELL
    assert executor.machines["ff"]["hosts"] == ["far"]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ({"code": "v2", "machine": MACHINE}, "another version of depthbench"),
        ({"refused": "my.csv is not there"}, "dask worker a: my.csv is not there"),
    ],
)
def test_who_cannot_take_part_is_left_out_and_named(executor, reply, says):
    with pytest.raises(InputError, match=says):
        executor._checked(executor._slots["a"], answer(**reply), strict=True)
    assert executor._checked(executor._slots["a"], answer(**reply), strict=False) is None
    assert not executor._slots and says in executor.said[-1]
    executor._join({"a"})
    assert not executor.sent, "it is not asked again"


def test_a_refusal_in_the_middle_gives_the_cell_back(executor):
    dealer = Dealer([])
    assert not list(executor._answered(executor._slots["a"], answer(refused="disk full"), dealer))
    assert dealer.n_left == 1 and not executor._slots and "disk full" in executor.said[-1]


def test_nothing_of_this_machine_is_sent_and_nothing_left_there(executor):
    assert json.loads(executor._setup)["context"] == {"checkpoint_folder": None}
    called = []
    executor._client = SimpleNamespace(run=lambda f, key, **o: called.append((f.__name__, key)), close=lambda timeout: None)
    executor.__exit__()
    assert called == [("close", executor._key)]
