"""What a person would add to the columns of a table that is known by name: areas, ratios, logarithms, products.

A function takes the columns, each (n,) float64, and returns new ones; the columns themselves are kept beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np


@dataclass(frozen=True)
class Table:
    """The handmade features of one table."""

    n_columns: int
    measure: Callable[[np.ndarray], list[np.ndarray]]


def by_name(dataset: str) -> Table | None:
    """Return the table of a data set's name, also where a preset follows it (``iris@S``).

    Examples
    --------
    >>> by_name("iris@S").n_columns, by_name("mine")
    (4, None)
    """
    return TABLES.get(dataset.partition("@")[0])


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return above / below, and 0 where there is nothing to divide by.

    Examples
    --------
    >>> ratio(np.array([1.0, 2.0]), np.array([4.0, 0.0])).tolist()
    [0.25, 0.0]
    """
    return np.divide(above, below, out=np.zeros_like(above), where=below != 0)


def log(values: np.ndarray) -> np.ndarray:
    """Return log(1 + value): sizes and concentrations differ by factors. What is below 0 counts as 0."""
    return np.log1p(np.maximum(values, 0.0))


def iris(columns: np.ndarray) -> list[np.ndarray]:
    """Areas of the leaves, how slender they are, and petals against sepals."""
    sepal_length, sepal_width, petal_length, petal_width = columns
    return [
        sepal_length * sepal_width,
        petal_length * petal_width,
        ratio(sepal_length, sepal_width),
        ratio(petal_length, petal_width),
        ratio(petal_length, sepal_length),
        ratio(petal_width, sepal_width),
    ]


def wine(columns: np.ndarray) -> list[np.ndarray]:
    """Shares of the phenols, colour against hue, and logarithms of what varies by factors."""
    alcohol, malic_acid, ash, alcalinity, magnesium, phenols, flavanoids, nonflavanoids, _, colour, hue, dilution, proline = (
        columns
    )
    return [
        ratio(flavanoids, phenols),
        ratio(nonflavanoids, flavanoids),
        ratio(colour, hue),
        ratio(colour, flavanoids),
        ratio(alcalinity, ash),
        flavanoids * dilution,
        alcohol * log(proline),
        *map(log, (malic_acid, magnesium, colour, proline)),
    ]


def breast_cancer(columns: np.ndarray) -> list[np.ndarray]:
    """How much worse the three worst nuclei are than the mean, how nuclei vary, how far outlines are from a circle.

    Ten measures (radius, texture, perimeter, area, smoothness, compactness, concavity, concave points, symmetry, fractal
    dimension), of which come first the means, then the standard errors, then the worst.
    """
    mean, error, worst = np.split(columns, 3)
    radius, perimeter, area, concavity, points = 0, 2, 3, 6, 7
    return [
        *map(ratio, worst, mean),
        *map(ratio, error, mean),
        *(ratio(nuclei[perimeter] ** 2, 4 * pi * nuclei[area]) for nuclei in (mean, worst)),  # 1 for a circle
        *(log(worst[measure]) for measure in (radius, area, concavity, points)),
        worst[radius] * worst[points],
    ]


def diabetes(columns: np.ndarray) -> list[np.ndarray]:
    """Products of what acts together: body mass, blood pressure, fats and sugar in the blood, with sex and age.

    The columns come centred and scaled, so there is nothing to divide by and no logarithm to take; products and squares
    are what Efron et al., "Least Angle Regression", 2004, add to them too.
    """
    age, sex, mass, pressure, _, ldl, hdl, _, triglycerides, glucose = columns
    return [
        mass * pressure,
        mass * triglycerides,
        mass * glucose,
        pressure * triglycerides,
        sex * age,
        sex * pressure,
        ldl - hdl,
        *map(np.square, (mass, pressure, triglycerides, glucose, age)),
    ]


TABLES = {
    "iris": Table(4, iris),
    "wine": Table(13, wine),
    "breast_cancer": Table(30, breast_cancer),
    "diabetes": Table(10, diabetes),
}
