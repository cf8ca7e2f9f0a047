"""Every entry says what it is, under which terms, and who published what; data are checked before a model sees them."""

import dataclasses
import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench import datasets
from bench.cli import app
from bench.datasets import cache, pmlb
from bench.datasets.entry import CHECKED, CLASSIFICATION, Data
from bench.errors import InputError
from bench.listing import render

ALL = (*datasets.DATASETS, pmlb.entry("letter"))
ids = {"ids": lambda d: d.name}


@pytest.mark.parametrize("dataset", [d for d in datasets.DATASETS if not d.sources], **ids)
def test_embedded_sets_are_what_they_say(dataset):
    data = datasets.load(dataset.name)
    assert data.X.dtype == (np.uint8 if dataset.name == "drawn_signs" else np.float32)  # pixels stay bytes
    assert data.X.flags.c_contiguous
    assert len(data.X) == len(data.y)
    assert str(len(data.X)) in dataset.line
    if data.image_shape:
        assert np.prod(data.image_shape) == data.X.shape[1]
    if data.classes:
        assert data.y.max() + 1 == len(data.classes)


@pytest.mark.parametrize("module", sorted(p.stem for p in Path(datasets.__file__).parent.glob("*.py")))
def test_examples_in_docstrings_run(module):
    name = "bench.datasets" if module == "__init__" else f"bench.datasets.{module}"
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("dataset", ALL, **ids)
def test_an_entry_is_complete(dataset):
    assert dataset.licence
    assert re.search(r"\b(19|20)\d\d\b", dataset.citation), "a citation has a year"
    for reference in dataset.references:
        assert reference.metric in ("accuracy", "rmse")
        assert 0 < reference.value <= 1
        assert len(reference.source) > 20
    for file in (f for files in dataset.sources for f in files):
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.hash_from == CHECKED or file.hash_from.startswith("published: ")
        assert ".." not in file.path


def test_every_pmlb_table_known_here_has_a_hash_and_a_shape():
    for name, (n_samples, n_columns, n_classes, n_bytes, sha256) in pmlb.KNOWN.items():
        assert pmlb.entry(name).sources[0][0].sha256 == sha256
        assert min(n_samples, n_columns, n_bytes) > 3
        assert n_classes != 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digist", "did you mean 'digits'"),
        ("pmlb:../../etc/passwd", "expected pmlb:<name"),
        ("pmlb:", "expected pmlb:<name"),
        ("openml:adult", "expected openml:<number"),
        ("openml:0", "expected openml:<number"),
    ],
)
def test_unknown_names(name, message):
    with pytest.raises(InputError, match=re.escape(message)):
        datasets.get(name)


GOOD = Data("d", np.ones((4, 2), np.float32), np.array([0, 1, 0, 1]), CLASSIFICATION, ("a", "b"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(3)}, "for 3 values of y"),
        ({"X": np.ones((0, 2), np.float32), "y": np.zeros(0)}, "is empty"),
        ({"X": np.array([[1, 2], [3, np.nan]] * 2, np.float32)}, "sample 1, column 1"),
        ({"X": np.array([[1, 2], [3, np.inf]] * 2, np.float32)}, "infinite"),
        ({"y": np.zeros(4, int)}, "one class only"),
        ({"y": np.array([0, 1, np.nan, 1])}, "the target holds NaN"),
        ({"is_test": np.zeros(4, bool)}, "training or the test part empty"),
    ],
)
def test_data_no_model_can_learn_from(change, message):
    assert datasets.check(GOOD) is GOOD
    with pytest.raises(InputError, match=message):
        datasets.check(dataclasses.replace(GOOD, **change))


# -- depthbench data


def run(*arguments, code=0):
    done = CliRunner().invoke(app, ["data", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def test_list_has_a_line_for_each_and_needs_no_file():
    lines = run("list").splitlines()
    assert [line.split()[0] for line in lines[: len(datasets.DATASETS)]] == datasets.names()
    assert "pmlb:<name>" in lines[-2]
    assert all(name in render("datasets") for name in datasets.names())
    assert "CIFAR-10, JPEG re-encoded" in next(line for line in lines if line.startswith("cats_vs_dogs"))


def test_list_says_all_of_one():
    text = run("list", "fashion_mnist", "kmnist", "cats_vs_dogs")
    for expected in ("MIT", "CC BY-SA 4.0", "arXiv:1708.07747", "0.897   SVC", "SHA-256 3aede38d", "Or from"):
        assert expected in text
    assert text.count("published: TensorFlow Datasets, url_checksums/kmnist.txt; not checked") == 4


def test_fetch_and_verify(server, monkeypatch, folder):
    file = server.file(b"a table")
    entry = dataclasses.replace(datasets.get("iris"), name="mine", sources=((file,),))
    monkeypatch.setattr(datasets, "DATASETS", (entry,))
    assert "no file to verify" in run("verify")
    assert "missing" in run("verify", "mine", code=1)
    assert str(folder / file.path) in run("fetch", "mine")
    assert len(server.asked) == 1
    assert run("verify").startswith("ok ")
    cache.path_of(file).write_bytes(b"another table")
    assert run("verify", code=1).startswith("wrong ")
    assert run("fetch", "mine")
    assert run("verify", "mine").endswith("1 right, 0 not\n")


def test_a_typo_costs_no_download(server, monkeypatch):
    entry = dataclasses.replace(datasets.get("iris"), name="mine", sources=((server.file(b"a table"),),))
    monkeypatch.setattr(datasets, "DATASETS", (entry,))
    assert "did you mean 'mine'" in run("fetch", "mine", "mien", code=2)
    assert server.asked == []


def test_what_is_embedded_needs_no_fetch():
    assert "embedded" in run("fetch", "digits")
