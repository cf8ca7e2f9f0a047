"""``python -m bench.fit_speed``: races of equals, memory in a process of its own, a page that says what was met."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

import kernels
from bench.datasets import cache, get
from bench.errors import InputError
from bench.fit_speed import epoch, memory, race, table

needs_cython = pytest.mark.skipif("cython" not in kernels.backends(), reason="the Cython kernels are not built")


@pytest.fixture(scope="module")
def images():
    """Ten kinds of bright squares on noise: learned within a few epochs."""
    rng = np.random.default_rng(0)
    y = np.arange(700) % 10
    X = rng.normal(0, 0.5, (700, 28, 28, 1)).astype(np.float32)
    for image, label in zip(X, y, strict=True):
        image[2 + 5 * (label // 5) : 7 + 5 * (label // 5), 2 + 5 * (label % 5) : 7 + 5 * (label % 5)] += 2.0
    return race.Images(X[:500], y[:500], X[500:], y[500:])


class Learner:
    """Stands in for a network: its accuracy after each epoch is given."""

    def __init__(self, *accuracies, loss=1.0):
        self.accuracies, self.loss, self.seen, self.restarts, self.rates = list(accuracies), loss, [], 0, []

    def restart(self):
        self.restarts, self.seen = self.restarts + 1, []

    def scale_rate(self, factor):
        self.rates.append(factor)

    def step(self, rows):
        self.seen.append(rows.tolist())
        return self.loss

    def accuracy(self):
        return self.accuracies.pop(0)


def test_all_get_the_same_batches_until_they_arrive():
    quick, slow = Learner(0.5, 0.91), Learner(0.5, 0.8, 0.95)
    records = race.race({"a": quick, "b": slow}, n_train=10, batch=4, seed=3, target=0.9, epochs=9)
    assert [len(records[name].epoch_s) for name in "ab"] == [2, 3]
    assert quick.seen == slow.seen[:6]
    assert sorted(row for batch in slow.seen[:3] for row in batch) == list(range(10)) and slow.seen[:3] != slow.seen[3:6]
    assert records["a"].seconds_to(0.9) == sum(records["a"].epoch_s)
    assert slow.rates == pytest.approx([1.0, 0.9698, 0.8830], abs=1e-3)
    assert quick.rates == slow.rates[:2]
    assert quick.restarts == slow.restarts == 1, "what warmed up has trained nothing"


def test_who_computes_something_else_is_not_timed():
    with pytest.raises(InputError, match="first losses differ"):
        race.race({"a": Learner(0.95), "b": Learner(0.95, loss=1.01)}, n_train=10, batch=4, seed=0)


@needs_cython
def test_ours_learns_and_starts_again_from_the_same_weights(images):
    ours = race.Ours(race.Setting("lenet5", 50, 1, seed=1), images, "cython")
    epoch_ = race.batches(500, 50, np.random.RandomState(0))
    first = [ours.step(rows) for rows in epoch_]
    for _ in range(5):
        last = [ours.step(rows) for rows in epoch_]
    assert ours.accuracy() > 0.9 and last[-1] < first[0]
    ours.restart()
    assert [ours.step(rows) for rows in epoch_] == first


@needs_cython
@pytest.mark.peers
@pytest.mark.parametrize("name", ["torch-nchw", "torch-nhwc"])
def test_pytorch_takes_the_same_steps(images, name):
    pytest.importorskip("torch")
    setting = race.Setting("lenet5", 50, 1, seed=2)
    ours, theirs = race.Ours(setting, images, "cython"), race.Torch(setting, images, name)
    epoch_ = race.batches(500, 50, np.random.RandomState(0))
    race.check({"ours": ours, "theirs": theirs}, epoch_)
    losses = np.array([[contestant.step(rows) for rows in epoch_[:5]] for contestant in (ours, theirs)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


@needs_cython
def test_an_epoch_is_a_whole_fit(images):
    found = epoch.measure(images.X_train.reshape(500, -1), images.y_train, (28, 28, 1), repeats=2)
    assert len(found["fit_s"]) == 2 and found["seconds"] > 0 and found["fma_gflops"] > 1


def fashion_mnist_is_at_hand() -> bool:
    return any(cache.is_here(files) for files in get("fashion_mnist").sources)


@needs_cython
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from Linux's proc")
@pytest.mark.skipif("not fashion_mnist_is_at_hand()", reason="the files of fashion_mnist are not at hand")
def test_memory_counts_what_a_fit_takes():
    activations = 128 * (28 * 28 * 32 + 14 * 14 * 32 + 14 * 14 * 64 + 7 * 7 * 64) * 4
    found = memory.in_process("conv32_64", "fashion_mnist@S")
    assert activations < found["added_bytes"] < 3 * activations
    assert found["data_bytes"] == 1000 * 784 * 4


def values(**changes):
    records = {"cython": {"epoch_s": [2.0, 2.0], "accuracy": [0.8, 0.9], "seconds": 4.0},
               "torch-nhwc": {"epoch_s": [4.0, 6.0], "accuracy": [0.8, 0.91], "seconds": 10.0}}  # fmt: skip
    one = {"seed": 0, "network": "lenet5", "batch": 64, "learning_rate": 0.02, "momentum": 0.9, "weight_decay": 0.00078,
           "most_epochs": 12, "target": 0.9,
           "torch": "torch-nhwc", "torch_step_s": {"torch-nhwc": 0.004}, "records": records}  # fmt: skip
    manifest = {"command": "python -m bench.fit_speed", "machine": {"cpu": "a CPU", "isa": "v4", "git": None}}
    return {
        "dataset": "fashion_mnist", "manifests": {"epoch": manifest, "race": manifest},
        "epoch": {"model": "lenet5", "batch_size": 64, "n_samples": 60000, "fit_s": [4.0], "seconds": 4.0, "fma_gflops": 135.0},
        "races": [one],
        "memory": [{"network": "lenet5", "batch_size": 64, "n_samples": 60000, "data_bytes": 188160000, "added_bytes": 7e6}],
    } | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "| 4.00 s at 135 GFLOP/s, which is 2.00 s at 270 | yes |"),
        ({}, "| median 2.50x, least 2.50x, of 1 seeds | yes |"),
        ({}, "| at most 7 MB (lenet5) | yes |"),
        ({"epoch": values()["epoch"] | {"seconds": 7.0}}, "which is 3.50 s at 270 | no |"),
        ({"memory": [values()["memory"][0] | {"added_bytes": 151e6}]}, "| at most 151 MB (lenet5) | no |"),
        ({"memory": None, "epoch": None}, "| 0 | cython | 2 | 4.0 | 2.00 | 0.9000 | 2.50x |"),
    ],
)
def test_the_page_says_what_was_met(changes, line):
    assert line in table.markdown(json.loads(json.dumps(values(**changes))))


def test_a_race_that_one_never_ends_has_no_ratio():
    lost = values()["races"][0]
    lost["records"]["cython"]["seconds"] = None
    page = table.markdown(values(races=[lost]))
    assert "no race of 1 in which both arrived | no |" in page


def test_parts_measured_one_by_one_stand_together(tmp_path, monkeypatch):
    """Each with the command it came from; what is measured again replaces what was there."""
    from bench.fit_speed import __main__ as command
    from bench.fit_speed import data

    monkeypatch.setattr(data, "training_part", lambda dataset: (None, None, None))
    monkeypatch.setattr(data, "images", lambda dataset: None)
    monkeypatch.setattr(epoch, "measure", lambda *a: values()["epoch"])
    monkeypatch.setattr(race, "measure", lambda images, seed: values()["races"][0] | {"seed": seed})
    monkeypatch.setattr(memory, "in_process", lambda network, dataset: values()["memory"][0] | {"network": network})
    run = {"output": tmp_path, "seeds": "0", "dataset": "fashion_mnist", "networks": None}
    command.main(**run | {"parts": "race", "seeds": "5,0"})
    command.main(**run | {"parts": "race", "seeds": "5"})
    command.main(**run | {"parts": "epoch,memory", "networks": "lenet5,mlp_100"})
    stored = json.loads((tmp_path / "fit_speed.json").read_text())
    assert [r["seed"] for r in stored["races"]] == [0, 5]
    assert [r["network"] for r in stored["memory"]] == ["mlp_100", "lenet5"]
    assert sorted(stored["manifests"]) == ["epoch", "memory lenet5", "memory mlp_100", "race 0", "race 5"]
    page = (tmp_path / "table.md").read_text()
    assert all(part in page for part in ("## One epoch", "## Race", "## Memory", "instruction set"))
    with pytest.raises(Exception, match="holds figures of 'fashion_mnist'"):
        command.main(**run | {"parts": "epoch", "dataset": "mnist"})
    with pytest.raises(Exception, match="'speed' is not a part"):
        command.main(**run | {"parts": "speed"})
