"""What a row keeps of predictions: against scikit-learn, a brute-force count, and files that were tampered with."""

import base64
import zlib

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, log_loss

from bench import calibration, predictions
from bench.cell import Cell, Row
from bench.datasets.entry import Data
from bench.execution import Bench, Context
from bench.scores import score


def labels(n, n_classes, seed=0, share_right=0.9):
    rng = np.random.default_rng(seed)
    y_test = rng.integers(0, n_classes, n)
    wrong = rng.random(n) > share_right
    return y_test, np.where(wrong, rng.integers(0, n_classes, n), y_test)


@pytest.mark.parametrize(("n", "n_classes"), [(1, 1), (180, 10), (10_000, 10), (500, 256), (500, 257), (300, 1000)])
def test_packed_predictions_come_back(n, n_classes):
    y_test, y_pred = labels(n, n_classes)
    offsets = predictions.unpack(predictions.pack(y_pred, y_test, n_classes), n, n_classes)
    assert np.array_equal((y_test + offsets) % n_classes, y_pred)
    assert np.array_equal(offsets == 0, y_pred == y_test)


def test_ten_thousand_predictions_take_a_few_thousand_characters():
    y_test, y_pred = labels(10_000, 10)
    assert len(predictions.pack(y_pred, y_test, 10)) < 5000


def test_predictions_without_bound_are_not_kept():
    y_test, y_pred = labels(200_000, 10, share_right=0.0)
    assert predictions.pack(y_pred, y_test, 10) is None


class Sure:
    """Gives the probabilities that it is told to give."""

    def __init__(self, probabilities):
        self.probabilities = probabilities

    def predict_proba(self, X):
        return self.probabilities


@pytest.mark.parametrize("missing", [None, 2], ids=["all classes", "a class that the test fold lacks"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_scikit_learns(dtype, missing):
    y_test, y_pred = labels(300, 5)
    keep = y_test != missing
    y_test, y_pred = y_test[keep], y_pred[keep]
    probabilities = np.random.default_rng(1).dirichlet(np.ones(5), len(y_test)).astype(dtype)
    probabilities[:5] = np.eye(5)  # some classes are given no chance at all
    data = Data("d", np.zeros((1, 1), np.float32), y_test, "classification", tuple("abcde"))
    found = score(Sure(probabilities), data, np.zeros((len(y_test), 1)), y_test, y_pred, np.arange(5))
    exact = probabilities.astype(np.float64) / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    assert found["log_loss"] == pytest.approx(log_loss(y_test, exact, labels=np.arange(5)), rel=1e-12)
    if missing is None:
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y_test, y_pred), rel=1e-12)
    else:  # scikit-learn warns of a class that was only predicted, and leaves it out as we do
        with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
            assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y_test, y_pred), rel=1e-12)


BOMB = base64.b64encode(zlib.compress(bytes(10**7))).decode()


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(b"no zlib").decode(), BOMB, None, 7])
def test_predictions_that_were_tampered_with_are_refused(text):
    with pytest.raises(ValueError, match="stored predictions"):
        predictions.unpack(text, 180, 10)


def expected_ece(probabilities, y_true, n_bins):
    """Guo et al. 2017, equation 3, one prediction at a time."""
    total = 0.0
    for b in range(n_bins):
        members = [i for i, p in enumerate(probabilities) if b / n_bins < p.max() <= (b + 1) / n_bins]
        if members:
            confidence = np.mean([probabilities[i].max() for i in members])
            right = np.mean([probabilities[i].argmax() == y_true[i] for i in members])
            total += len(members) / len(probabilities) * abs(right - confidence)
    return total


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 20.0])
def test_calibration_is_that_of_the_definition(sharpness):
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(4, 1.0 / sharpness), 300)
    y_true = rng.integers(0, 4, 300)
    found = calibration.measure(probabilities, np.arange(4), y_true)
    assert found["ece"] == pytest.approx(expected_ece(probabilities, y_true, 15), abs=1e-5)
    assert sum(n for _, n, _, _ in found["bins"]) == 300
    assert all(b.low - 1e-6 < b.confidence <= b.high + 1e-6 for b in calibration.pool([found]).bins)


def test_folds_pooled_are_one_large_fold():
    rng = np.random.default_rng(2)
    probabilities, y_true = rng.dirichlet(np.ones(3), 400), rng.integers(0, 3, 400)
    folds = [calibration.measure(probabilities[part], np.arange(3), y_true[part]) for part in np.split(np.arange(400), 4)]
    assert calibration.pool(folds).ece == pytest.approx(expected_ece(probabilities, y_true, 15), abs=1e-5)


@pytest.mark.parametrize("entry", [None, {}, {"n_bins": 15}, "text", {"n_bins": 15, "bins": [[99, 1, 0.5, 0.5]]}])
def test_calibration_that_is_none_is_passed_over(entry):
    assert calibration.pool([entry]) is None


class Model:
    def __init__(self, probabilities=None):
        if probabilities is not None:
            self.predict_proba = lambda X: probabilities


def data_of(n_classes):
    classes = tuple(map(str, range(n_classes)))
    return Data("d", np.zeros((1, 1), np.float32), np.zeros(1, np.int64), "classification", classes)


KEPT = [([0, 1, 2.0], True), ([0, 1, 9], False), ([0, 1, -1], False)]


@pytest.mark.parametrize(("y_pred", "kept"), KEPT)
def test_what_is_no_class_number_is_scored_but_not_kept(y_pred, kept):
    y_test = np.array([0, 1, 2])
    found = score(Model(), data_of(3), None, y_test, np.array(y_pred), np.arange(3))
    assert 0 <= found["accuracy"] <= 1
    assert ("confusion" in found, "predictions" in found) == (kept, kept)


def test_many_classes_keep_predictions_but_no_matrix():
    y_test, y_pred = labels(300, 60)
    found = score(Model(), data_of(60), None, y_test, y_pred, np.arange(60))
    assert "confusion" not in found
    assert found["predictions"]


@pytest.mark.parametrize(("model", "calibrated"), [("lda", True), ("linear_svc", False)])
def test_a_worker_keeps_them_and_rows_carry_them(model, calibrated):
    context = Context({"iris": None}, None, (model,), ("cython",), "kfold", 5, 1, 0, "cython")
    bench, cell = Bench(context), Cell("iris", "raw", model, "sklearn", 1, 0, 0, 0)
    prepared = bench.prepare(cell)
    row = Row.from_dict(bench.execute(cell, prepared).to_dict())
    y_test = prepared.data.y[prepared.test]
    y_pred = (y_test + predictions.unpack(row.predictions, row.n_test, row.n_classes)) % row.n_classes
    assert row.confusion == confusion_matrix(y_test, y_pred).tolist()
    assert row.accuracy == np.mean(y_test == y_pred)
    assert (row.calibration is not None) == calibrated
    assert bench.check()["iris"].classes == prepared.data.classes
