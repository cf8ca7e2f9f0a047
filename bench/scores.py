"""Scores of a test fold, after the predictions have been looked at: count, shape, finiteness, then values.

For classes there is more than a number: which class was taken for which (`confusion`), whether probabilities mean what they
say (``bench/calibration.py``), and what was predicted for each sample (``bench/predictions.py``). All are small, and none of
them is timed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench import calibration, predictions
from bench.datasets import CLASSIFICATION, Data

#: With more classes than this a row keeps no confusion matrix: it has as many numbers as classes squared.
MOST_CONFUSED_CLASSES = 50


class DivergedError(ArithmeticError):
    """A model whose predictions are not finite numbers."""


def score(
    model: Any, data: Data, X_test: np.ndarray, y_test: np.ndarray, y_pred: Any, classes: np.ndarray
) -> dict[str, Any]:
    """Return the scores of predictions `y_pred`, and log-loss and calibration where the model gives probabilities.

    Raises
    ------
    ValueError
        The predictions have another shape than the targets.
    DivergedError
        Predictions or probabilities are NaN or infinite.
    """
    y_pred = checked(y_pred, y_test)
    if data.task == CLASSIFICATION:
        scores = _classification(model, X_test, y_test, y_pred, classes)
        return scores | _by_class(y_test, y_pred, len(data.classes))
    return _regression(y_test, y_pred)


def checked(y_pred: Any, y_test: np.ndarray) -> np.ndarray:
    """Return predictions as an array, of the right count and shape and finite.

    Raises
    ------
    ValueError
        The predictions have another shape than the targets.
    DivergedError
        They are NaN or infinite.
    """
    y_pred = np.asarray(y_pred)
    if y_pred.shape != y_test.shape:
        raise ValueError(f"predict returned shape {y_pred.shape} for targets of shape {y_test.shape}")
    if y_pred.dtype.kind == "f" and not np.isfinite(y_pred).all():
        raise DivergedError("predict returned NaN or infinite values")
    return y_pred


def quick_score(model: Any, X_test: np.ndarray, y_test: np.ndarray, task: str) -> float:
    """Return accuracy, or R^2, of a model as it stands, in the middle of its training.

    Raises
    ------
    ValueError, DivergedError
        As `checked`; a single target has no R^2.
    """
    y_pred = checked(model.predict(X_test), y_test)
    if task == CLASSIFICATION:
        return float(np.mean(y_pred == y_test))
    if len(y_test) < 2:
        raise ValueError("R^2 is not defined for one sample")
    spread = y_test - y_test.mean()
    residual = y_test - y_pred
    return 1.0 - float(residual @ residual) / (float(spread @ spread) or 1.0)


def _classification(model: Any, X_test: np.ndarray, y_test: np.ndarray, y_pred: np.ndarray, classes: np.ndarray):
    # scikit-learn's functions for these two check their inputs for ten times as long as a small cell takes; here both have
    # been checked. tests/bench/test_scores.py holds the values against scikit-learn's.
    hit = y_pred == y_test
    present, position = np.unique(y_test, return_inverse=True)
    recalls = np.bincount(position, weights=hit) / np.bincount(position)
    scores: dict[str, Any] = {"accuracy": float(np.mean(hit)), "balanced_accuracy": float(np.mean(recalls))}
    if hasattr(model, "predict_proba"):
        probabilities = np.asarray(model.predict_proba(X_test), np.float64)
        if probabilities.shape != (len(y_test), len(classes)):
            expected = (len(y_test), len(classes))
            raise ValueError(f"predict_proba returned shape {probabilities.shape}, expected {expected}")
        if not np.isfinite(probabilities).all():
            raise DivergedError("predict_proba returned NaN or infinite values")
        if np.isin(present, classes).all():  # a class never trained on has no probability
            probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)  # float32: 1 only to about 1e-7
            least = np.finfo(np.float64).eps  # a class that was given no chance at all costs log(1 / eps), not infinity
            given = probabilities[np.arange(len(y_test)), np.searchsorted(classes, y_test)]
            scores["log_loss"] = float(-np.mean(np.log(np.clip(given, least, 1.0 - least))))
        scores["calibration"] = calibration.measure(probabilities, classes, y_test)
    return scores


def _by_class(y_test: np.ndarray, y_pred: np.ndarray, n_classes: int) -> dict[str, Any]:
    """Return confusion matrix and packed predictions; nothing where a model predicts what is no class number."""
    predicted = y_pred.astype(np.int64, casting="unsafe") if y_pred.dtype.kind in "iufb" else None
    if predicted is None or not ((predicted == y_pred) & (predicted >= 0) & (predicted < n_classes)).all():
        return {}
    found: dict[str, Any] = {}
    if n_classes <= MOST_CONFUSED_CLASSES:
        found["confusion"] = confusion(y_test, predicted, n_classes)
    if (packed := predictions.pack(predicted, y_test, n_classes)) is not None:
        found |= {"predictions": packed, "n_classes": n_classes}
    return found


def confusion(y_test: np.ndarray, y_pred: np.ndarray, n_classes: int) -> list[list[int]]:
    """Return how many samples of each class (row) were taken for each class (column).

    Examples
    --------
    >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    [[1, 1], [0, 1]]
    """
    flat = np.bincount(y_test * n_classes + y_pred, minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes).tolist()


def _regression(y_test: np.ndarray, y_pred: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    scores = {
        "rmse": float(root_mean_squared_error(y_test, y_pred)),
        "mae": float(mean_absolute_error(y_test, y_pred)),
    }
    if len(y_test) > 1:  # R^2 is not defined for one sample
        scores["r2"] = float(r2_score(y_test, y_pred))
    return scores
