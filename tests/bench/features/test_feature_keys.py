"""The key of stored features changes with whatever they depend on, and with nothing else."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from bench import execution, features
from bench.cell import Cell
from bench.execution import Bench, Context
from bench.features import keys
from bench.features.entry import FeatureSet

FACTS = {
    "samples_sha256": "aa", "split_sha256": "bb", "image_shape": (8, 8, 1), "y_train": "cc", "seed": 0,
    "backend": "reference", "dataset": "digits",
}  # fmt: skip
OTHER = {
    "samples_sha256": "ab", "split_sha256": "bc", "image_shape": (4, 16, 1), "y_train": "cd", "seed": 1,
    "backend": "cython", "dataset": "wine",
}  # fmt: skip
NAMES = [*features.names(), "learned:lenet5", "learned:lenet5@1", "learned:lenet5@2", "learned:mlp_100"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fact", FACTS)
def test_facts_count_where_they_are_read(name, fact):
    feature_set = features.get(name)
    same = keys.key(feature_set, FACTS) == keys.key(feature_set, {**FACTS, fact: OTHER[fact]})
    assert same == (fact not in (*keys.ALWAYS, *feature_set.reads))


def test_no_two_feature_sets_share_a_key():
    assert len({keys.key(features.get(name), FACTS) for name in NAMES}) == len(NAMES)


def test_options_count():
    one, other = (FeatureSet("same", "same", "builders:raw", options={"layer": layer}) for layer in (1, 2))
    assert keys.key(one, FACTS) != keys.key(other, FACTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_fact_that_is_read_must_be_there(name):
    for fact in features.get(name).reads:
        with pytest.raises(KeyError, match=fact):
            keys.key(features.get(name), {k: v for k, v in FACTS.items() if k != fact})


#: The code that every matrix comes through: what prepares samples, and what makes features of them.
DATA = {"bench.features", "bench.datasets"}


@pytest.mark.parametrize(
    ("name", "packages"), [("pca", DATA), ("learned", DATA | {"kernels", "models"})]
)
def test_the_code_that_makes_them_counts(monkeypatch, name, packages):
    before, asked = keys.key(features.get(name), FACTS), set()
    monkeypatch.setattr(keys, "code_digest", lambda *names: asked.update(names) or "other")
    assert keys.key(features.get(name), FACTS) != before
    assert asked == packages


def test_versions_and_cpu_count(monkeypatch):
    made_on = keys._made_on()
    assert {"cpu", "machine", "numpy", "scipy", "scikit-learn", "scikit-image"} <= set(made_on)
    before = keys.key(features.get("pca"), FACTS)
    monkeypatch.setattr(keys, "_made_on", lambda: {**made_on, "numpy": "0.1"})
    assert keys.key(features.get("pca"), FACTS) != before


def test_the_instruction_set_counts_where_kernels_run(monkeypatch):
    before = {name: keys.key(features.get(name), FACTS) for name in ("pca", "random_conv")}
    monkeypatch.setattr(keys, "_isa", lambda: "another")
    assert keys.key(features.get("pca"), FACTS) == before["pca"]
    assert keys.key(features.get("random_conv"), FACTS) != before["random_conv"]


def test_sources(tmp_path):
    def write(path, text):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
        return keys.sources_digest(tmp_path)

    digests = [write("a.py", "1"), write("a.py", "2"), write("b.pyx", "1"), write("sub/c.pxi", ""), write("a.py", "3")]
    assert len(set(digests)) == len(digests)
    assert write("notes.txt", "1") == digests[-1]
    (tmp_path / "b.pyx").rename(tmp_path / "z.pyx")
    assert keys.sources_digest(tmp_path) != digests[-1], "names count too"


# -- the harness


def bench(folder, **changes) -> Bench:
    values = {
        "dataset_files": {"digits": None}, "target": None, "models": ("knn",), "backends": ("reference",), "split": "kfold",
        "folds": 2, "repeats": 1, "seed": 0, "feature_backend": "reference", "cache_folder": str(folder),
    }  # fmt: skip
    return Bench(Context(**{**values, **changes}))


def cell(feature_set: str, **changes) -> Cell:
    return Cell(**{**Cell("digits", feature_set, "knn", "sklearn", 1, 0, 0, 0).__dict__, **changes})


def refuse(self, fold):
    raise AssertionError("made a second time")


def test_the_next_run_finds_what_this_one_made(tmp_path, monkeypatch):
    one = bench(tmp_path).prepare(cell("pca"))
    bench(tmp_path).prepare(cell("raw"))
    with monkeypatch.context() as patch:
        patch.setattr(FeatureSet, "build", refuse)
        again = bench(tmp_path, models=("lda",)).prepare(cell("pca", model="lda"))
        assert again.hashes == one.hashes
        assert again.matrices.time_features_s == one.matrices.time_features_s
        for change in ({"folds": 3}, {"seed": 1}):
            with pytest.raises(AssertionError, match="second time"):
                bench(tmp_path, **change).prepare(cell("pca"))
        with pytest.raises(AssertionError, match="second time"):
            bench(tmp_path).prepare(cell("pca", fold=1))
        with pytest.raises(AssertionError, match="second time"):
            bench(tmp_path).prepare(cell("raw")), "too cheap to store"
    assert len(list(tmp_path.glob("*.features"))) == 1


def test_other_samples_under_the_same_name(tmp_path, monkeypatch):
    """A file of one's own that was changed is not served what was made of it before."""
    values = "a,b,label\n" + "".join(f"{i},{i * i % 7},{i % 2}\n" for i in range(40))
    (tmp_path / "mine.csv").write_text(values)
    context = {"dataset_files": {"mine": str(tmp_path / "mine.csv")}, "target": "label"}
    before = bench(tmp_path / "cache", **context).prepare(cell("pca", dataset="mine"))
    (tmp_path / "mine.csv").write_text(values.replace(",2,", ",5,"))
    after = bench(tmp_path / "cache", **context).prepare(cell("pca", dataset="mine"))
    assert before.hashes["x_train_sha256"] != after.hashes["x_train_sha256"]


def test_no_clock_runs_while_features_are_warmed_up(tmp_path, monkeypatch):
    """What a feature set imports and compiles at its first call is no time of features."""
    calls, clock = [], iter(range(100))
    watched = SimpleNamespace(time=time.time, perf_counter=lambda: (calls.append("clock"), next(clock))[1])
    monkeypatch.setattr("bench.features.cache.time", watched)
    built = FeatureSet.build
    monkeypatch.setattr(FeatureSet, "build", lambda self, fold: (calls.append(len(fold.X_train)), built(self, fold))[1])
    state = bench(tmp_path)
    for fold in (0, 1):
        state.prepare(cell("pca", fold=fold))
    few, *rest = calls
    assert few <= 110
    assert rest == ["clock", 898, "clock", "clock", 899, "clock"], "once in a worker"


def test_rows_hash_what_models_see(tmp_path):
    prepared = bench(tmp_path).prepare(cell("hog"))
    assert prepared.hashes["x_train_sha256"] == features.sha256(prepared.matrices.X_train)
    assert prepared.hashes["y_sha256"] == features.sha256(prepared.data.y)
    assert prepared.hashes["split_sha256"] == features.sha256(prepared.train, prepared.test)
    assert execution.Matrices is type(prepared.matrices)
