"""One search on real models, in this process: inner folds, what is fitted on what, findings, and what is known already."""

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.svm import SVC

from bench import own_models
from bench.cell import IDENTITY, Cell, Row
from bench.datasets import Data
from bench.errors import InputError
from bench.execution import Bench, Context
from bench.scores import DivergedError
from bench.tuning import inner
from bench.tuning.inner import Cache, InnerFold, TooFewError, judge, split
from bench.tuning.search import Budget
from bench.tuning.trials import FILE, TrialLog, read
from bench.tuning.tuner import Tuner, facts_of
from models.entry import Choice, LogUniform

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("y", "task", "groups", "n_folds"),
    [
        (np.arange(40) % 4, "classification", None, 4),
        (np.repeat([0, 1], [30, 3]), "classification", None, 3),
        (np.arange(40.0), "regression", None, 4),
        (np.arange(3.0), "regression", None, 3),
        (np.arange(60) % 2, "classification", np.repeat(np.arange(10), 6), 4),
        (np.arange(60) % 2, "classification", np.repeat(np.arange(3), 20), 3),
        (np.arange(60.0), "regression", np.repeat(np.arange(2), 30), 2),
        (np.arange(40) % 4 + 7, "classification", None, 4),  # classes need not begin at 0
    ],
)
def test_inner_folds_divide_the_training_part(y, task, groups, n_folds):
    folds = split(y, task, seed=3, groups=groups)
    assert len(folds) == n_folds
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(y)))
    for train, test in folds:
        assert not set(train) & set(test) and len(train) + len(test) == len(y)
        if groups is not None:
            assert not set(groups[train]) & set(groups[test])
        elif task == "classification":
            assert set(y[train]) == set(y[test]) == set(y)
    again = split(y, task, seed=3, groups=groups)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))


@pytest.mark.parametrize(
    ("rule", "columns", "expected"),
    [
        ("kfold", ("track",), None),
        ("official", ("track",), "track"),
        ("official", ("track", "day"), None),
        ("official", (), None),
        ("group:day", ("track", "day"), "day"),
    ],
)
def test_inner_folds_keep_together_what_the_outer_split_does(rule, columns, expected):
    by_column = {column: np.array([f"{column}{i}" for i in range(6)]) for column in columns}
    data = Data("d", np.zeros((6, 1)), np.arange(6.0), "regression", groups=by_column)
    found = inner.groups(data, rule, np.array([1, 4]))
    assert found is None if expected is None else list(found) == [f"{expected}1", f"{expected}4"]


@pytest.mark.parametrize(
    ("y", "task", "groups", "message"),
    [
        (np.array([0] * 10 + [1]), "classification", None, "1 samples of the rarest class"),
        (np.array([1.0]), "regression", None, "1 samples"),
        (np.arange(10.0), "regression", np.zeros(10), "1 groups"),
    ],
)
def test_a_part_too_small_to_divide_says_so(y, task, groups, message):
    with pytest.raises(TooFewError, match=message):
        split(y, task, 0, groups)


def test_the_judges_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score

    y, y_pred = RNG.integers(0, 3, 50), RNG.integers(0, 3, 50)
    assert judge("accuracy", y, y_pred) == pytest.approx(accuracy_score(y, y_pred))
    assert judge("balanced_accuracy", y, y_pred) == pytest.approx(balanced_accuracy_score(y, y_pred))
    assert judge("r2", y * 1.0, y_pred * 1.0) == pytest.approx(r2_score(y, y_pred))


@pytest.mark.parametrize(("y_pred", "error"), [([0.0], ValueError), ([0.0, np.nan], DivergedError)])
def test_predictions_are_looked_at_before_they_are_judged(y_pred, error):
    with pytest.raises(error):
        judge("r2", np.array([0.0, 1.0]), y_pred)


def test_features_of_inner_folds_are_made_once_and_let_go():
    cache, made = Cache(), []

    def make(key):
        return lambda: made.append(key) or (np.ones((2, 1)), np.zeros((1, 1)))

    for key, fold in (("a", 0), ("a", 1), ("a", 0), ("b", 0), ("a", 0)):
        X, _ = cache.get((key,), fold, make((key, fold)))
        assert X.dtype == np.float32 and not X.flags.writeable
    assert made == [("a", 0), ("a", 1), ("b", 0), ("a", 0)]
    with pytest.raises(ValueError, match="NaN or infinite values on inner fold 2"):
        cache.get(("a",), 2, lambda: (np.full((1, 1), np.nan), np.ones((1, 1))))


# -- one search


def inner_fold(i):
    rng = np.random.default_rng(i)
    y = np.arange(60) % 2
    X = (rng.standard_normal((60, 3)) + y[:, None]).astype(np.float32)
    return InnerFold(X[:40], X[40:], y[:40], y[40:])


def tuner(**changes):
    values = dict(
        space=({"C": LogUniform(1e-3, 1e3)},), default={"C": 1.0}, build=lambda params: SVC(**params), inner_fold=inner_fold,
        n_folds=4, metric="accuracy", budget=Budget(6), seed=0,
    )  # fmt: skip
    return Tuner(**{**values, **changes})


def test_a_search_scores_what_it_says():
    begun, ended = [], []
    found = tuner(on_begin=begun.append, on_end=ended.append).run()
    assert len(found.candidates) == 6 and len(begun) == len(ended) == len(found.trials) == 6 + 3 + 2 * 2
    assert [(t["configuration"], t["inner_fold"]) for t in begun] == [(t["configuration"], t["inner_fold"]) for t in ended]
    for trial in found.trials:
        part = inner_fold(trial.inner_fold)
        expected = SVC(**trial.params).fit(part.X_train, part.y_train).score(part.X_test, part.y_test)
        assert trial.score == pytest.approx(expected)
        assert trial.time_fit_s > 0 and trial.time_predict_s > 0
    json.dumps(ended, allow_nan=False)
    facts = facts_of(found, {"C": 1.0})
    assert facts["tuned_params"] == {"C": 1.0, **found.chosen.params}
    assert Row(**dict.fromkeys(IDENTITY, 0), status="ok", **facts).to_dict()["n_configurations"] == 6


def test_a_search_repeats_itself():
    one, again, other = tuner().run(), tuner().run(), tuner(seed=1).run()
    assert [t.params for t in one.trials] == [t.params for t in again.trials] != [t.params for t in other.trials]
    assert [t.score for t in one.trials] == [t.score for t in again.trials]


def test_what_is_known_is_not_fitted_again():
    whole, seen = [], []
    found = tuner(on_end=whole.append).run()
    again = tuner(on_end=seen.append, known=whole[:7]).run()
    assert len(seen) == len(whole) - 7
    assert again.chosen.params == found.chosen.params
    assert [t.score for t in again.trials] == [t.score for t in found.trials]
    # a space that has changed since: what is known of other parameters is of no use
    other = [{**trial, "params": {"C": 77.0}} for trial in whole]
    tuner(on_end=seen.append, known=other).run()
    assert len(seen) == 2 * len(whole) - 7


class Stubborn:
    def __init__(self, how):
        self.how = how

    def fit(self, X, y):
        warnings.warn("a warning of a model is no error", stacklevel=1)
        if isinstance(self.how, BaseException):
            raise self.how
        return self

    def predict(self, X):
        return {"nan": np.full(len(X), np.nan), "short": np.zeros(1)}.get(self.how, np.zeros(len(X)))


@pytest.mark.parametrize(
    ("how", "status", "message"),
    [
        (ValueError("singular"), "failed", "ValueError: singular"),
        (SystemExit(3), "failed", "SystemExit"),
        (MemoryError("1 TiB"), "out_of_memory", "1 TiB"),
        (ValueError("Solver produced non-finite parameter weights"), "diverged", "non-finite"),
        ("nan", "diverged", "NaN"),
        ("short", "failed", "shape"),
    ],
    ids=str,
)
def test_whatever_a_trial_does_is_a_finding(how, status, message):
    ended = []
    space = ({"how": Choice("well", how)},)
    build = lambda params: Stubborn(params.get("how", "well"))  # noqa: E731
    found = tuner(space=space, default={"how": "well"}, build=build, on_end=ended.append).run()
    trial = next(t for t in found.trials if t.configuration == 1)
    assert (trial.status, trial.score) == (status, None) and message in trial.message
    assert trial.time_fit_s >= 0
    assert found.chosen.number == 0
    json.dumps(ended, allow_nan=False)


def test_ctrl_c_is_no_finding():
    with pytest.raises(KeyboardInterrupt):
        tuner(build=lambda params: Stubborn(KeyboardInterrupt())).run()


def test_random_numbers_begin_alike_for_each_configuration():
    drawn = []

    class Random(Stubborn):
        def fit(self, X, y):
            drawn.append(np.random.rand())

    tuner(build=lambda params: Random("well")).run()
    assert len(set(drawn)) == 1 and len(drawn) > 5


# -- in a worker's state


def bench(**changes):
    values = dict(
        dataset_files={"iris": None}, target=None, models=("lda+tuned",), backends=("reference",), split="kfold", folds=3,
        repeats=1, seed=0, feature_backend="reference", tune=4,
    )  # fmt: skip
    return Bench(Context(**{**values, **changes}))


def test_nothing_of_the_test_fold_reaches_the_search(monkeypatch):
    """Not even through features: those of inner folds are estimated on inner training parts."""
    from bench.features import FeatureSet

    seen, build = [], FeatureSet.build

    def spy(self, fold):
        seen.append((fold.X_train.copy(), fold.X_test.copy()))
        return build(self, fold)

    monkeypatch.setattr(FeatureSet, "build", spy)
    worker = bench()
    cell = Cell("iris", "pca", "lda+tuned", "sklearn", 1, 0, 0, 0)
    prepared = worker.prepare(cell)
    row = worker.execute(cell, prepared)
    assert row.status == "ok" and row.n_configurations == 4
    _warm_up, outer, *parts = seen
    assert len(parts) == 4
    train = {x.tobytes() for x in outer[0]}
    for X_train, X_test in parts:
        assert {x.tobytes() for x in X_train} | {x.tobytes() for x in X_test} <= train
        assert len(X_train) + len(X_test) == len(outer[0])


def test_the_last_fit_has_the_chosen_parameters(monkeypatch):
    from models.entry import Model

    built = []
    build = Model.build

    def spy(self, *arguments, **options):
        built.append(build(self, *arguments, **options))
        return built[-1]

    monkeypatch.setattr(Model, "build", spy)
    worker = bench(dataset_files={"wine": None}, models=("svc_rbf+tuned",), tune=8)
    cell = Cell("wine", "raw", "svc_rbf+tuned", "sklearn", 1, 0, 1, 0)
    prepared = worker.prepare(cell)
    row = worker.execute(cell, prepared)
    fitted = built[-1]
    assert row.tuned_params == {name: fitted.get_params()[name] for name in ("C", "gamma_factor")}
    assert row.tuned_params != {"C": 10.0, "gamma_factor": 1.0}, "the default would prove nothing"
    assert fitted.shape_fit_ == prepared.matrices.X_train.shape, "on the whole training fold"
    assert row.accuracy == fitted.score(prepared.matrices.X_test, prepared.data.y[prepared.test])


def test_a_search_is_a_phase_of_its_own():
    """In the phase "features" a death would take the whole fold with it."""
    phases = []
    worker = bench()
    worker.on_phase = lambda phase, **more: phases.append((phase, "trial" in more))
    cell = Cell("iris", "raw", "lda+tuned", "sklearn", 1, 0, 0, 0)
    for _ in range(2):  # the second time without a warm-up
        worker.execute(cell, worker.prepare(cell))
    trials = [("tuning", True)] * (4 + 2 + 4)
    once = [("features", False), ("tuning", False), *trials, ("fit", False)]
    assert phases == [once[0], ("warm-up", False), *once[1:], *once]


def test_a_regression_is_judged_by_r2():
    ended = []
    worker = bench(dataset_files={"diabetes": None}, models=("ridge+tuned",))
    worker.on_trial = ended.append
    cell = Cell("diabetes", "standardized", "ridge+tuned", "sklearn", 1, 0, 0, 0)
    row = worker.execute(cell, worker.prepare(cell))
    assert row.status == "ok" and {t["metric"] for t in ended} == {"r2"}
    assert set(row.tuned_params) == {"alpha"}


# -- a person's own models


@pytest.fixture(autouse=True)
def _own_models_are_found(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1])


def test_own_models_are_described():
    assert own_models.load("own_models:scaled_svc").has_space
    assert not own_models.load("own_models:fine").has_space
    assert own_models.load("sklearn.svm:SVC").family == "classical"


@pytest.mark.parametrize(
    ("name", "params", "expected"),
    [
        ("own_models:bare", {"k": 2}, {"k": 2}),
        ("own_models:choosy", {"how": "good"}, {"how": "good"}),
        ("sklearn.svm:SVC", {"C": 3.0}, {"C": 3.0}),
    ],
)
def test_parameters_reach_the_factory_or_the_model(name, params, expected):
    model = own_models.build(name, {"seed": 1, "n_threads": 1}, params)
    assert {k: getattr(model, k) for k in expected} == expected


def test_a_pipelines_parameters_reach_its_steps():
    model = own_models.build("own_models:scaled_svc", {}, {"svc__C": 5.0})
    assert model.named_steps["svc"].C == 5.0
    assert own_models.defaults("own_models:scaled_svc", own_models.build("own_models:scaled_svc", {}, {}), ["svc__C"]) == {
        "svc__C": 1.0
    }


def test_a_parameter_that_nobody_takes_is_bad_input():
    with pytest.raises(InputError, match=r"'own_models:bare' names parameter 'j'.*they take k, seed"):
        own_models.build("own_models:bare", {}, {"j": 1})
    with pytest.raises(InputError, match="names parameter 'j'"):
        own_models.defaults("own_models:bare", own_models.build("own_models:bare", {}, {}), ["j"])


# -- tuning.jsonl

CELL = Cell("iris", "raw", "lda+tuned", "sklearn", 1, 0, 2, 0)


@pytest.mark.parametrize("torn", [b"", b'{"dataset": "ir', b"\x00\x00\x00", b'{"dataset": "iris"}\n', b"[1]\n", b"null\n"])
def test_half_a_line_is_cut_off_before_the_next(tmp_path, torn):
    log = TrialLog(tmp_path)
    log.append(CELL, {"configuration": 0, "score": 0.5})
    log.append(CELL, {"configuration": 1, "message": "ü\nb \ud800"})
    with open(tmp_path / FILE, "ab") as f:
        f.write(torn)
    again = TrialLog(tmp_path)
    assert again.trials == read(tmp_path) and len(again.trials[CELL.identity]) == 2
    again.append(dataclasses.replace(CELL, fold=3), {"configuration": 0})
    assert {key[6]: len(found) for key, found in read(tmp_path).items()} == {2: 2, 3: 1}


def test_a_folder_without_trials_has_none(tmp_path):
    assert read(tmp_path) == TrialLog(tmp_path).trials == {}
    assert not (tmp_path / FILE).exists()


def test_a_number_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        TrialLog(tmp_path).append(CELL, {"score": float("nan")})
