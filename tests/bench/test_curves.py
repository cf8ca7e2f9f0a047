"""Curves of trainings: what they hold, that recording changes nothing that is learned, and that its time is no part of it."""

import time
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from bench.curves import MOST_POINTS, Recorder, points
from bench.scores import quick_score
from models import ConvNetClassifier, MLPClassifier, MLPRegressor

X, Y = (a[:300].astype(np.float32) for a in load_digits(return_X_y=True))
MAKERS = {
    "mlp": lambda **k: MLPClassifier((16,), max_iter=14, random_state=0, backend="reference", **k),
    "regressor": lambda **k: MLPRegressor(hidden_layer_sizes=(16,), max_iter=14, random_state=0, backend="reference", **k),
    "convnet": lambda **k: ConvNetClassifier(
        ["c4k3p1", "bn", "m2", "drop25", "out"], image_shape=(8, 8, 1), max_iter=4, random_state=0, backend="reference", **k
    ),
}


def fit(model, recorded=True, score=None):
    task = "regression" if isinstance(model, MLPRegressor) else "classification"
    recorder = Recorder(model, score or (lambda: quick_score(model, X[200:], Y[200:], task)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        if not recorded:
            return model.fit(X[:200], Y[:200]), recorder
        with recorder:
            model.fit(X[:200], Y[:200])
    return model, recorder


@pytest.mark.parametrize("name", MAKERS)
def test_recording_changes_nothing_of_what_is_learned(name):
    recorded, recorder = fit(MAKERS[name]())
    plain, _ = fit(MAKERS[name](), recorded=False)
    for a, b in zip(recorded.coefs_ + recorded.intercepts_, plain.coefs_ + plain.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert recorded.loss_curve_ == plain.loss_curve_
    assert "on_epoch" not in vars(recorded)
    curve = recorder.facts()["curve"]
    assert curve["loss"] == pytest.approx([plain.loss_curve_[e - 1] for e in curve["epoch"]], rel=1e-5)
    assert all(a < b for a, b in zip(curve["time_s"], curve["time_s"][1:], strict=False))


@pytest.mark.parametrize("name", MAKERS)
def test_the_last_score_is_that_of_the_fitted_model(name):
    model = MAKERS[name]()
    fitted, recorder = fit(model)
    task = "regression" if name == "regressor" else "classification"
    curve = recorder.facts()["curve"]
    expected = quick_score(fitted, X[200:], Y[200:], task)
    if curve["epoch"][-1] == fitted.n_iter_:
        assert curve["score"][-1] == pytest.approx(expected, rel=1e-5)
    from sklearn.metrics import accuracy_score, r2_score

    truth = r2_score if name == "regressor" else accuracy_score
    assert expected == pytest.approx(truth(Y[200:], fitted.predict(X[200:])), rel=1e-5)


def test_the_time_of_scoring_is_no_part_of_the_training(tmp_path):
    def slow():
        time.sleep(0.05)
        return 0.5

    model, recorder = fit(MAKERS["convnet"](checkpoint=tmp_path / "state"), score=slow)
    assert recorder.spent_s >= 4 * 0.05
    assert recorder.facts()["curve"]["time_s"][-1] + recorder.spent_s == pytest.approx(
        time.perf_counter() - recorder._start, abs=5.0
    )
    assert model._outside_s == pytest.approx(recorder.spent_s, rel=0.2)
    from models import checkpoints

    stored = checkpoints.read(tmp_path / "state", model._checkpoint_key)[1]["elapsed_s"]
    assert stored < time.perf_counter() - model._started_s - 0.15  # what a resumed training takes up is its own time alone


def test_a_training_that_is_taken_up_goes_on_from_its_time(tmp_path):
    class Enough(Exception):
        pass

    def once():
        if model.n_iter_ == 2:
            raise Enough
        return 0.5

    model = MAKERS["convnet"](checkpoint=tmp_path / "state")
    with pytest.raises(Enough):
        fit(model, score=once)
    again, recorder = fit(MAKERS["convnet"](checkpoint=tmp_path / "state"))
    curve = recorder.facts()["curve"]
    assert curve["epoch"] == [3, 4] and curve["time_s"][0] > again.resumed_s_ > 0


def test_long_trainings_have_few_points():
    class Model:
        on_epoch, n_iter_ = None, 0

        def __init__(self):
            self.loss_curve_ = []

    model = Model()
    with Recorder(model, lambda: 0.5) as recorder:
        for model.n_iter_ in range(1, 20_000):
            model.loss_curve_.append(1.0)
            model.on_epoch()
    epochs = recorder.facts()["curve"]["epoch"]
    assert epochs[:10] == list(range(1, 11)) and 60 < len(epochs) <= MOST_POINTS and epochs[-1] > 17_000


def test_a_model_without_epochs_is_left_alone():
    class Model:
        def on_epoch(self):  # of its own, for something else
            raise AssertionError

    model = Model()
    with Recorder(model, lambda: 0.5) as recorder:
        pass
    assert recorder.facts() == {} and vars(model) == {}


def test_a_score_that_cannot_be_had_is_left_out():
    def diverged():
        raise ValueError("NaN")

    _, recorder = fit(MAKERS["mlp"](), score=diverged)
    curve = recorder.facts()["curve"]
    assert "score" not in curve and curve["loss"]


def test_early_stopping_shows_its_validation_scores():
    model, recorder = fit(MAKERS["mlp"](early_stopping=True))
    curve = recorder.facts()["curve"]
    assert curve["validation"] == pytest.approx([model.validation_scores_[e - 1] for e in curve["epoch"]], rel=1e-5)


@pytest.mark.parametrize(
    "curve",
    [
        None, 3, [], {}, {"epoch": 3}, {"epoch": [1], "time_s": [1, 2]}, {"epoch": ["1"], "time_s": [1.0]},
        {"epoch": [True], "time_s": [1.0]}, {"epoch": [1], "time_s": [None]}, {"epoch": [1], "time_s": [-1.0]},
        {"epoch": [1], "time_s": [float("nan")]}, {"epoch": [0], "time_s": [1.0]}, {"epoch": [1]},
    ],
)  # fmt: skip
def test_a_damaged_curve_has_no_points(curve):
    assert points(curve) == []
