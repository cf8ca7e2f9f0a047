"""Classifiers written by hand: rules as one would program them, and weights as one would set them.

They were written from what the columns mean and from pictures in textbooks, before they were scored, and were not changed
afterwards. Where a number stands in them, a person chose it; nothing here is estimated, and `fit` only looks at the shape.

Columns are those of scikit-learn's embedded data sets, in their order; digits are 8x8 pixels of 0 (paper) to 16 (ink).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

MALIGNANT, BENIGN = 0, 1
SETOSA, VERSICOLOR, VIRGINICA = 0, 1, 2


def iris_rules(x: np.ndarray) -> int:
    """Setosa has small petals; virginica large ones."""
    _, _, petal_length, petal_width = x
    if petal_length < 2.5:
        return SETOSA
    if petal_width > 1.7 or petal_length > 5.0:
        return VIRGINICA
    return VERSICOLOR


def wine_rules(x: np.ndarray) -> int:
    """Three growers: a heavy wine of much proline, a light one of pale colour, and one of few flavanoids."""
    alcohol, flavanoids, colour, proline = x[0], x[6], x[9], x[12]
    if flavanoids < 1.4 and colour > 3.8:
        return 2
    if proline > 750 and alcohol > 12.7:
        return 0
    return 1


def breast_cancer_rules(x: np.ndarray) -> int:
    """A tumour is suspicious if its largest nuclei are large, or their outlines have deep dents."""
    worst_radius, worst_texture, worst_dents = x[20], x[21], x[27]
    if worst_radius > 17:
        return MALIGNANT
    if worst_dents > 0.16:
        return MALIGNANT
    if worst_radius > 15 and worst_texture > 28:
        return MALIGNANT
    return BENIGN


def digit_rules(x: np.ndarray) -> int:
    """Count the holes and see where they are; else ask where the ink is."""
    from scipy.ndimage import label

    ink = x.reshape(8, 8) > 7
    paper, n_regions = label(~np.pad(ink, 1))
    holes = [paper == region for region in range(2, n_regions + 1)]  # region 1 is the paper around
    if len(holes) >= 2:
        return 8
    rows, columns = np.nonzero(ink)
    if len(rows) == 0:
        return 1
    if len(holes) == 1:
        height = (np.nonzero(holes[0])[0].mean() - 1 - rows.min()) / max(rows.max() - rows.min(), 1)
        if holes[0].sum() >= 5:
            return 0
        return 9 if height < 0.42 else 6 if height > 0.6 else 4
    top, bottom = ink[:2].sum(), ink[6:].sum()
    left_above, right_above = ink[2:4, :4].sum(), ink[2:4, 4:].sum()
    left_below, right_below = ink[4:6, :4].sum(), ink[4:6, 4:].sum()
    if columns.max() - columns.min() <= 3:
        return 1
    if top >= 5 and left_above >= right_above:
        return 5
    if top >= 5 and bottom <= 4:
        return 7
    if bottom >= 6 and left_below > right_below:
        return 2
    if top >= 4 and bottom >= 4:
        return 3
    return 4 if left_above > 0 else 1


def iris_weights(x: np.ndarray) -> int:
    """One sum decides, against two thresholds: the size of the petals."""
    size = 1.0 * x[2] + 2.0 * x[3]
    return SETOSA if size < 3.5 else VERSICOLOR if size < 8.3 else VIRGINICA


def wine_weights(x: np.ndarray) -> int:
    """A score for each grower, in units of what one would call a lot."""
    alcohol, flavanoids, colour, hue, proline = x[0], x[6], x[9], x[10], x[12]
    scores = (
        (alcohol - 13.0) + (proline - 750.0) / 300.0 + (flavanoids - 2.0),
        (13.0 - alcohol) + (4.0 - colour) / 2.0 + (hue - 1.0),
        (1.5 - flavanoids) + (colour - 5.0) / 2.0 + (0.9 - hue) * 3.0,
    )
    return int(np.argmax(scores))


def breast_cancer_weights(x: np.ndarray) -> int:
    """Points for size, texture and dents; malignant where they add up to one or more."""
    points = (x[20] - 14.0) / 6.0 + (x[21] - 25.0) / 20.0 + (x[27] - 0.10) / 0.12
    return MALIGNANT if points > 1.0 else BENIGN


#: Digits as one writes them: # speaks for, . against.
DRAWN = """
..####.. ...##... ..###... ..####.. ....##.. .######. ...##... .######. ..####.. ..####..
.##..##. ..###... .##.##.. .##..##. ...##... .##..... ..##.... .....##. .##..##. .##..##.
.##..##. ...##... ....##.. .....##. ..##.... .##..... .##..... ....##.. .##..##. .##..##.
.##..##. ...##... ....##.. ...###.. .##.##.. .#####.. .####... ...##... ..####.. ..#####.
.##..##. ...##... ...##... .....##. .##.##.. .....##. .##.##.. ..####.. .##..##. .....##.
.##..##. ...##... ..##.... .....##. .######. .....##. .##..##. ...##... .##..##. .....##.
.##..##. ...##... .##..... .##..##. ....##.. .##..##. .##..##. ..##.... .##..##. ....##..
..####.. ..####.. .######. ..####.. ....##.. ..####.. ..####.. ..##.... ..####.. ..###...
"""


def drawn_digits() -> np.ndarray:
    """Return the drawings as weights (10, 64), each of mean 0 and length 1.

    Examples
    --------
    >>> drawn_digits().shape
    (10, 64)
    """
    lines = [line.split() for line in DRAWN.strip().splitlines()]
    pictures = np.array([[[c == "#" for c in lines[row][digit]] for row in range(8)] for digit in range(10)], float)
    weights = pictures.reshape(10, 64)
    weights -= weights.mean(axis=1, keepdims=True)
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)


def digit_weights(x: np.ndarray) -> int:
    """The drawing that the ink lies on best."""
    return int(np.argmax(drawn_digits() @ x))


#: columns of the data set -> what was written for it
RULES: dict[int, Callable[[np.ndarray], int]] = {4: iris_rules, 13: wine_rules, 30: breast_cancer_rules, 64: digit_rules}
WEIGHTS: dict[int, Callable[[np.ndarray], int]] = {
    4: iris_weights, 13: wine_weights, 30: breast_cancer_weights, 64: digit_weights,
}  # fmt: skip


class ByHand(ClassifierMixin, BaseEstimator):
    """What was written by hand for a data set, known by its number of columns.

    Parameters
    ----------
    kind : {"rules", "weights"}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> ByHand("rules").fit(X, y).score(X, y) > 0.9
    True
    """

    def __init__(self, kind: str = "rules"):
        self.kind = kind

    def fit(self, X, y):
        """Look how many columns there are."""
        written = {"rules": RULES, "weights": WEIGHTS}[self.kind]
        if X.shape[1] not in written:
            raise ValueError(f"nothing was written by hand for data of {X.shape[1]} columns; for {sorted(written)}")
        self.function_, self.classes_ = written[X.shape[1]], np.unique(y)
        return self

    def predict(self, X):
        """Return a class number for each sample."""
        return np.array([self.function_(x) for x in np.asarray(X, float)], dtype=np.int64)
