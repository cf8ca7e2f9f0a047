"""Data sets as suites and runs name them: presets, collections, files and folders; what is inferred is printed and stored."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench import datasets
from bench.datasets import cache
from bench.datasets.entry import CLASSIFICATION, Data
from bench.errors import InputError
from bench.splits import split
from bench.suite import load, shipped, validated

GOOD = {"name": "t", "datasets": ["iris"], "features": ["raw"], "models": ["lda"]}
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("named", "preset", "found"),
    [
        (["iris"], None, {"iris": None}),
        (["iris@S", "iris"], None, {"iris@S": None, "iris": None}),
        (["iris@S", "wine"], "M", {"iris@S": None, "wine@M": None}),
        (["pmlb:letter", "openml:61"], "S", {"pmlb:letter@S": None, "openml:61@S": None}),
        (["a/my.csv@S", "b/your.NPZ"], None, {"my@S": "a/my.csv", "your": "b/your.NPZ"}),
        (["photos/", "a/b.c"], "L", {"photos@L": "photos/", "b.c@L": "a/b.c"}),
        (["all"], None, dict.fromkeys(["digits", "iris", "wine", "breast_cancer", "diabetes", "drawn_signs"])),
    ],
)
def test_names_as_they_stand_in_rows(named, preset, found):
    assert validated({**GOOD, "datasets": named, "preset": preset}, "my.toml").dataset_files == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"datasets": ["iris@XL"]}, "unknown preset 'XL'; allowed: S, M, L"),
        ({"datasets": ["irsi@S"]}, "did you mean 'iris'"),
        ({"datasets": ["pmlb:a b"]}, "expected pmlb:<name"),
        ({"preset": "XL"}, "preset"),
        ({"datasets": ["a/my.csv", "b/my.csv"]}, "the same name in the tables"),
    ],
)
def test_a_mistake_is_answered(change, message):
    with pytest.raises(InputError, match=message):
        validated({**GOOD, **change}, "my.toml")


@pytest.mark.parametrize(("name", "n"), [("fashion", 1), ("mnist", 1), ("cifar", 2), ("tables", 12)])
def test_shipped_suites_name_known_data(name, n):
    suite = load(name)
    assert name in shipped()
    assert len(suite.datasets) == n
    assert all(datasets.get(d).sources for d in suite.datasets), "hashes are known, so that a run can verify what it reads"
    assert suite.split == ("kfold" if name == "tables" else "official")


def make(**more):
    n = 24
    return Data("d", np.zeros((n, 1), np.float32), np.arange(n) % 2, CLASSIFICATION, ("a", "b"), **more)


def test_a_split_by_group_leaves_the_official_test_part_out():
    is_test = np.arange(24) >= 16
    data = make(is_test=is_test, groups={"track": np.where(is_test, -1, np.arange(24) // 4)})
    parts = split(data, "group:track", 2, 0, 0)
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(16))
    assert all(not is_test[np.concatenate(both)].any() for both in parts)


def test_an_official_split_has_one_fold_however_many_are_asked_for():
    assert len(split(make(is_test=np.arange(24) > 20), "official", 7, 0, 0)) == 1


# -- runs


def run(*arguments, cwd: Path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "XDG_CACHE_HOME": str(cwd / "cache")}
    command = [sys.executable, "-m", "bench", "run", *map(str, arguments), "-o", "runs"]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)


def manifest(cwd: Path) -> dict:
    [path] = (cwd / "runs").glob("*/run.json")
    return json.loads(path.read_text())


ONLY = ("-m", "lda", "-f", "raw", "-b", "reference", "--folds", "3", "-r", "1")


def test_what_was_inferred_is_printed_and_stored(tmp_path):
    table = pd.DataFrame({"size": [1.0, 2.0, None] * 8, "color": ["red", "blue"] * 12, "label": ["yes", "no", "no"] * 8})
    table.to_csv(tmp_path / "my.csv", index=False)
    done = run("--data", "my.csv", "--target", "label", *ONLY, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    for sentence in ("my: target 'label': 2 classes (no, yes)", "my: 1 of categories: color (2, one-hot)", "missing: size (8)"):
        assert sentence in done.stdout
    facts = manifest(tmp_path)["datasets"]["my"]["facts"]
    assert facts["inferred"][0] == "target 'label': 2 classes (no, yes)"
    assert facts["file"]["sha256"] == cache.sha256_of(tmp_path / "my.csv")


def test_a_preset_of_a_folder_of_images(tmp_path):
    for c, label in enumerate(("dark", "light")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(6):
            Image.new("L", (4, 4), 200 * c + i).save(tmp_path / "photos" / label / f"{i}.png")
    done = run("--data", "photos", "--preset", "S", *ONLY, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "photos@S: 12 images, 4x4, grey" in done.stdout
    stored = manifest(tmp_path)
    assert stored["datasets"]["photos@S"]["facts"]["preset"] == {"name": "S", "seed": 20260101, "n_samples": {"all": 12}}
    assert stored["suite"]["preset"] == "S"
    report = next((tmp_path / "runs").glob("*/table.md")).read_text()
    assert "photos@S" in report
    assert "preset S. Accuracy" in report


def test_a_file_that_is_missing_and_cannot_be_fetched_ends_with_what_to_do(tmp_path):
    done = run("cifar", "-d", "gtsrb_subset", *ONLY, cwd=tmp_path)
    assert done.returncode == 2
    assert "put it by hand at" in done.stderr
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
