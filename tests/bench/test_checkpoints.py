"""A cell that was cut off goes on inside its training."""

from __future__ import annotations

import pytest

from bench.cell import Cell
from bench.execution import Bench, Context
from models import ConvNetClassifier

CELL = Cell("digits", "raw", "conv16_32", "cython", 1, 0, 0, 0)


class Killed(KeyboardInterrupt):
    """Stands for what ends a worker: nothing of the cell is answered."""


def bench(folder) -> Bench:
    return Bench(
        Context({"digits": None}, None, (CELL.model,), ("cython",),
                "kfold", 5, 1, 0, "cython", checkpoint_folder=folder and str(folder))
    )  # fmt: skip


@pytest.fixture
def few_epochs(monkeypatch):
    from models.entry import Model

    build = Model.build
    monkeypatch.setattr(Model, "build", lambda self, *a, **o: build(self, *a, **o).set_params(max_iter=4))


def run(folder):
    worker = bench(folder)
    return worker.execute(CELL, worker.prepare(CELL))


def test_the_next_worker_takes_it_up(few_epochs, tmp_path, monkeypatch):
    whole = run(None)
    assert whole.status == "ok" and whole.time_fit_resumed_s is None
    done = ConvNetClassifier._epoch_done

    def killing(self, network, order):
        done(self, network, order)
        if self.n_iter_ == 2 and self.checkpoint is not None:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ConvNetClassifier, "_epoch_done", killing)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    resumed = run(tmp_path)
    assert (resumed.accuracy, resumed.log_loss, resumed.n_epochs) == (whole.accuracy, whole.log_loss, whole.n_epochs)
    assert 0 < resumed.time_fit_resumed_s < resumed.time_fit_s, "the seconds of the epochs before are in the ledger"
    assert list(tmp_path.iterdir()) == [], "a finished cell leaves no state behind"


def test_a_cell_that_ends_leaves_nothing(few_epochs, tmp_path):
    assert run(tmp_path).status == "ok"
    assert list(tmp_path.iterdir()) == []
