"""What a row proves and what it cost: code versions, processor seconds, energy, memory, latencies, threads, compilation."""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import kernels
from bench import code_version, metering
from bench.cell import Cell
from bench.code_version import kernels_digest, model_digest
from bench.execution import Bench, Context
from bench.fitting import too_much_cpu, wrong_threads
from bench.metering import BATCH_LIMIT_S, Cost, Meter, energy_domains, latencies
from models import catalog

# -- code


def built(name, **options):
    given = {"seed": 0, "n_threads": 1, "backend": "reference", "image_shape": (8, 8, 1), **options}
    return catalog.get(name).build("classification", **given)


@pytest.mark.parametrize("name", ["lda", "svc_rbf", "random_forest", "mlp_100", "conv16_32"])
def test_a_model_is_the_same_for_every_seed_thread_backend_and_image(name):
    other = built(name, seed=7, n_threads=2, backend="cython", image_shape=(28, 28, 1))
    assert model_digest(built(name)) == model_digest(other)


DIFFERENT = [
    SVC(),
    SVC(C=2.0),
    SVC(gamma=0.5),
    make_pipeline(SVC()),
    make_pipeline(SVC(C=2.0)),
    make_pipeline(StandardScaler(), SVC()),
    make_pipeline(StandardScaler(with_mean=False), SVC()),
    SVC(class_weight={0: 1.0, 1: 2.0}),
]


def test_whatever_makes_another_model_makes_another_digest():
    digests = [model_digest(model) for model in DIFFERENT] + [model_digest(SVC(), space={"C": [1, 2]})]
    assert len(set(digests)) == len(digests)


def test_arrays_functions_and_objects_do_not_bring_in_addresses():
    class Odd(BaseEstimator):
        def __init__(self, weights=None, function=None, thing=None):
            self.weights, self.function, self.thing = weights, function, thing

    one, two = (model_digest(Odd(np.arange(3.0), np.tanh, object())) for _ in range(2))
    assert one == two != model_digest(Odd(np.arange(4.0), np.tanh, object()))


def test_a_library_counts_by_its_version(monkeypatch):
    before = model_digest(SVC())
    monkeypatch.setattr("sklearn.__version__", "99")
    code_version._version.cache_clear()
    try:
        assert model_digest(SVC()) != before
    finally:
        code_version._version.cache_clear()


FACTORY = "from sklearn.svm import SVC\n\ndef make():\n    return SVC()  # {}\n"


def test_a_persons_factory_counts_by_its_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "their_models.py"
    digests = []
    for text in ("one", "two", "one"):
        path.write_text(FACTORY.format(text))
        sys.modules.pop("their_models", None)
        importlib.invalidate_caches()
        make = importlib.import_module("their_models").make
        digests.append(model_digest(make(), factory=make))
    assert digests[0] == digests[2] != digests[1]


def test_kernels_are_the_compiled_modules_too(tmp_path, monkeypatch):
    home = Path(kernels.__file__).parent
    compiled = home / "cython_backend" / "made_up.so"
    content = {compiled: b"one"}
    monkeypatch.setattr(code_version, "_compiled", lambda: [compiled])
    monkeypatch.setattr(Path, "read_bytes", lambda path: content.get(path, b""))
    digests = []
    for content[compiled] in (b"one", b"two", b"one"):
        kernels_digest.cache_clear()
        digests.append(kernels_digest("cython"))
    kernels_digest.cache_clear()
    assert digests[0] == digests[2] != digests[1]


def test_every_backend_has_a_digest_of_its_own():
    assert len({kernels_digest(name) for name in ("cython", "numba", "reference")}) == 3


# -- processor seconds and energy


def test_processor_seconds_of_threads_and_of_processes_are_counted():
    def burn():
        end = time.thread_time() + 0.15
        while time.thread_time() < end:
            hashlib.sha256(bytes(1 << 20)).digest()  # without the interpreter's lock

    def threads():
        running = [threading.Thread(target=burn) for _ in range(2)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    code = "import time\nwhile time.process_time() < 0.3: pass"

    def ended():
        subprocess.run([sys.executable, "-c", code], check=True)

    started = []

    def living():
        started.append(subprocess.Popen([sys.executable, "-c", f"{code}\nprint(1, flush=True)\ntime.sleep(60)"], stdout=-1))
        started[0].stdout.readline()

    try:
        for call in (threads, ended, living):
            _, cost = Meter().measure(call)
            assert cost.cpu_s >= 0.28, call.__name__
        _, cost = Meter().measure(lambda: time.sleep(0.05))
        assert cost.cpu_s < 0.05 <= cost.time_s
    finally:
        started[0].kill()
        started[0].communicate()


def powercap(folder: Path, **domains) -> Path:
    for name, (energy, whole) in domains.items():
        domain = folder / name.replace("__", ":").replace("_", "-")
        domain.mkdir(parents=True)
        (domain / "energy_uj").write_text(f"{energy}\n")
        (domain / "max_energy_range_uj").write_text(f"{whole}\n")
    return folder


def test_energy_is_that_of_whole_packages_and_counts_on_after_the_end_of_its_range(tmp_path):
    folder = powercap(
        tmp_path, intel_rapl__0=(900, 1000), intel_rapl__1=(5, 1000), intel_rapl__0__0=(1, 1000), intel_rapl_mmio__0=(1, 1000)
    )
    assert [d.path.parent.name for d in energy_domains(folder)] == ["intel-rapl:0", "intel-rapl:1"]

    def work():
        (folder / "intel-rapl:0" / "energy_uj").write_text("100")  # from 900 over 1000 to 100
        (folder / "intel-rapl:1" / "energy_uj").write_text("55")
        (folder / "intel-rapl:0:0" / "energy_uj").write_text("999")

    _, cost = Meter(folder).measure(work)
    assert cost.energy_j == pytest.approx((200 + 50) / 1e6)


def test_without_a_readable_counter_energy_is_absent(tmp_path):
    folder = powercap(tmp_path, intel_rapl__0=("", 1000))
    for place in (folder, tmp_path / "nothing"):
        _, cost = Meter(place).measure(int)
        assert cost.energy_j is None


# -- predictions


def test_batches_have_the_sizes_asked_for_and_cold_stands_apart_from_warm():
    sizes, first = [], set()

    def predict(X):
        sizes.append(len(X))
        if len(X) not in first:
            first.add(len(X))
            time.sleep(0.01)
        return X[:, 0]

    X = np.arange(350 * 2, dtype=np.float32).reshape(350, 2)
    found = {line["batch"]: line for line in latencies(predict, X, time_all_s=1e-4)}
    assert list(found) == [1, 10, 100, 1000, 350]
    assert sizes == [n for n, line in found.items() for _ in range(line["n"])]
    for line in found.values():
        assert line["first_s"] >= 0.01 > line["p50_s"]
        assert line["p50_s"] <= line["p99_s"]
        assert 2 <= line["n"] <= metering.MAX_CALLS
        assert line["samples_s"][0] > 0


def test_every_sample_of_a_batch_is_one_of_the_fold():
    seen = []
    latencies(lambda X: seen.append(X), np.arange(14, dtype=np.float32).reshape(7, 2), time_all_s=1e-6)
    assert all({tuple(row) for row in X.tolist()} <= {(2.0 * i, 2.0 * i + 1) for i in range(7)} for X in seen)


def test_what_takes_longer_than_its_limit_is_not_measured(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def predict(X):
        now[0] += 0.003 * len(X)

    found = {line["batch"]: line for line in latencies(predict, np.zeros((500, 2)), time_all_s=1.5)}
    assert list(found) == [1, 10]  # 100 would take 0.3 s
    assert all(line["n"] * line["p50_s"] <= BATCH_LIMIT_S + 1e-9 for line in found.values())
    slow = latencies(lambda X: now.__setitem__(0, now[0] + 5.0), np.zeros((500, 2)), time_all_s=5.0)
    assert [(line["batch"], line["n"]) for line in slow] == [(1, 1)], "a single sample is always measured, once"


# -- threads


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ({"openblas": 2}, {"openblas": 1}, "openblas ran 2 before"),
        ({"openblas": 1}, {"openblas": 1, "openmp": 4}, "openmp ran 4 after"),
        ({"numba": 3}, {"numba": 3}, "numba ran 3 before the fit and numba ran 3 after"),
    ],
)
def test_a_pool_of_another_size_is_found_before_and_after(before, after, word):
    assert word in wrong_threads(1, before, after)


def test_threads_that_stand_in_no_pool_are_given_away_by_their_seconds():
    assert too_much_cpu(1, Cost(1.0, 1.05)) is None
    assert too_much_cpu(1, Cost(0.01, 0.08)) is None, "too short to say"
    assert "1.9 processor seconds" in too_much_cpu(1, Cost(1.0, 1.9))


def test_a_pool_that_is_loaded_later_is_found():
    code = (
        "import numpy\nfrom kernels.threads import effective_threads\n"
        "assert set(effective_threads()) == {'openblas'}, effective_threads()\n"
        "import sklearn.ensemble\nassert 'openmp' in effective_threads()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


# -- compilation


def test_seconds_of_compiling_are_those_of_numba():
    import numba

    clock = metering.JitClock()
    before = clock.seconds()

    @numba.njit
    def inner(x):
        return x + 1

    @numba.njit
    def outer(x):
        return inner(x) * 2

    start = time.perf_counter()
    outer(1)
    wall, compiled = time.perf_counter() - start, clock.seconds() - before
    assert 0 < compiled <= wall, "what is compiled inside another compilation counts once"
    before = clock.seconds()
    outer(2)
    assert clock.seconds() == before


# -- a whole cell


class Hungry(ClassifierMixin, BaseEstimator):
    """Takes memory while it fits and gives it back."""

    def __init__(self, mib=0):
        self.mib = mib

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        np.ones(self.mib << 17).sum()
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.fixture
def rows(monkeypatch):
    """Rows of cells that were executed in this process, whose thread pools are what they are."""
    monkeypatch.setattr("bench.fitting.thread_pools.effective_threads", lambda: {"openblas": 1, "openmp": 1})
    monkeypatch.setattr("bench.fitting.too_much_cpu", lambda threads, fit: None)  # a pool's threads spin on after a product
    bench = Bench(Context({"digits": None}, None, ("lda", "mlp_100"), ("reference",), "kfold", 3, 1, 0, "reference"))

    def execute(model, fold, backend="sklearn", estimator=None):
        cell = Cell("digits", "raw", model, backend, 1, 0, fold, 0)
        if estimator is not None:
            monkeypatch.setattr(bench, "_build", lambda *_: estimator)
            bench._ready.clear()
        return bench.execute(cell, bench.prepare(cell))

    return execute


def test_a_suite_may_do_without_predictions_in_batches(monkeypatch):
    monkeypatch.setattr("bench.fitting.too_much_cpu", lambda threads, fit: None)
    told = Context({"digits": None}, None, ("lda",), ("reference",), "kfold", 3, 1, 0, "reference", predict_batches=False)
    bench, cell = Bench(told), Cell("digits", "raw", "lda", "sklearn", 1, 0, 0, 0)
    row = bench.execute(cell, bench.prepare(cell))
    assert row.predict_batches is None and row.time_predict_one_s > 0


def test_a_row_has_its_identity_and_its_ledger(rows):
    first, second = rows("lda", 0), rows("lda", 1)
    assert first.status == second.status == "ok", first.message
    for key in ("model_digest", "features_digest", "x_train_sha256", "cpu_fit_s", "cpu_predict_s", "time_overhead_s"):
        assert getattr(first, key) is not None, key
    assert first.model_digest == second.model_digest
    assert first.features_digest != second.features_digest, "fitted on another fold"
    assert first.kernels_digest is None
    assert [line["batch"] for line in first.predict_batches][:3] == [1, 10, 100]
    assert second.predict_batches is None, "on the first fold only"
    assert first.time_predict_one_s == first.predict_batches[0]["p50_s"]
    assert first.threads_before == first.threads_after == {"openblas": 1, "openmp": 1}
    deep = rows("mlp_100", 1, "reference")
    assert deep.kernels_digest == kernels_digest("reference")
    assert deep.model_digest != first.model_digest
    assert deep.converged is False, "an optimizer that was stopped says so"


def test_no_time_is_hidden_between_the_times_of_a_row(rows):
    rows("lda", 1)
    start = time.perf_counter()
    row = rows("lda", 2)
    whole = time.perf_counter() - start
    assert 0 < row.time_overhead_s < whole - row.time_fit_s - row.time_predict_s


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lets a process reset its peak of memory")
def test_memory_above_the_data_is_what_the_fit_took(rows):
    small, large, after = (rows("lda", 1, estimator=Hungry(mib)) for mib in (0, 256, 0))
    if large.peak_memory_bytes is None:
        pytest.skip("the system forbids /proc/self/clear_refs")
    assert 250 << 20 < large.peak_memory_above_data_bytes < 300 << 20
    for row in (small, after):
        assert row.peak_memory_above_data_bytes < 32 << 20 < row.peak_memory_bytes


def test_processes_that_are_gone_have_no_children_and_no_memory():
    from bench import processes

    child = subprocess.Popen([sys.executable, "-c", "pass"])
    assert child.pid in processes.children(os.getpid())
    child.wait()
    assert child.pid not in processes.children(os.getpid())
    assert processes.rss_bytes(child.pid) == 0
    assert processes.descendants(child.pid) == []
