"""A preset is a fixed, stratified part, and says so in the name."""

import numpy as np
import pytest

from bench import datasets
from bench.datasets import presets
from bench.datasets.entry import CLASSIFICATION, REGRESSION, Data
from bench.errors import InputError


def samples(counts, *, test_from=None, task=CLASSIFICATION):
    y = np.repeat(np.arange(len(counts)), counts)
    n = len(y)
    X = np.arange(n, dtype=np.float32)[:, None]
    is_test = None if test_from is None else np.arange(n) % 7 >= test_from
    classes = tuple(map(str, range(len(counts)))) if task == CLASSIFICATION else ()
    y = y if task == CLASSIFICATION else y.astype(np.float64)
    return Data("d", X, y, task, classes, is_test=is_test, groups={"person": np.arange(n) // 2})


def test_the_parts_are_drawn_each_by_itself_and_stay_in_proportion():
    data = samples([20_000, 10_000, 5_000], test_from=5)
    part = presets.subsample(data, "S")
    for is_test in (False, True):
        counts = np.bincount(part.y[part.is_test == is_test])
        assert counts.sum() == 1000
        assert np.abs(counts / 1000 - np.array([4, 2, 1]) / 7).max() < 0.001
    assert data.is_test[part.X[:, 0].astype(int)].tolist() == part.is_test.tolist()
    assert part.groups["person"].tolist() == (part.X[:, 0] // 2).tolist()
    assert part.facts["preset"]["n_samples"] == {"train": 1000, "test": 1000}


@pytest.mark.parametrize("counts", [[20_000, 30], [20_000, 3], [900, 900, 900], [12] * 90])
def test_rare_classes_stay(counts):
    part = presets.subsample(samples(counts), "S")
    found = np.bincount(part.y)
    assert (found >= np.minimum(counts, presets.FEWEST)).all()
    assert len(part.y) == 1000


def test_it_is_the_same_part_each_time_and_small_lies_within_middle():
    data = samples([40_000, 8_000, 50])
    small, again, middle = (set(presets.subsample(data, p).X[:, 0]) for p in ("S", "S", "M"))
    assert small == again
    assert len(middle) == 10_000
    assert small < middle


@pytest.mark.parametrize("preset", ["M", "L"])
def test_a_small_set_stays_whole(preset):
    data = samples([300, 300])
    part = presets.subsample(data, preset)
    assert part.X is data.X
    assert part.facts["preset"]["name"] == preset


def test_numbers_to_predict():
    assert len(presets.subsample(samples([4000], task=REGRESSION), "S").y) == 1000


def test_the_preset_stands_in_the_name():
    data = datasets.load("digits@S")
    assert data.name == "digits@S"
    assert len(data.y) == 1000
    assert data.facts["preset"]["seed"] == presets.SEED


def test_unknown_preset():
    with pytest.raises(InputError, match="unknown preset 'XL'; allowed: S, M, L"):
        datasets.load("digits@XL")
