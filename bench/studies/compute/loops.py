"""Training a network with one hidden layer in plain Python: lists, loops, and nothing else.

As one writes it who has read the formulas and knows no library: each product is a loop over numbers. It takes the same steps
from the same weights over the same batches as the other implementations, so it ends at the same network.

Legend: d inputs, h hidden units, k classes; w1 [d][h], b1 [h], w2 [h][k], b2 [k].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Matrix = list[list[float]]
Weights = tuple[Matrix, list[float], Matrix, list[float]]


def scores(x: Sequence[float], weights: Weights) -> tuple[list[float], list[float]]:
    """Return the hidden values and the scores of one sample.

    Examples
    --------
    >>> scores([1.0], ([[2.0]], [0.0], [[1.0, -1.0]], [0.5, 0.0]))
    ([2.0], [2.5, -2.0])
    """
    w1, b1, w2, b2 = weights
    hidden = []
    for j in range(len(b1)):
        total = b1[j]
        for i in range(len(x)):
            total += x[i] * w1[i][j]
        hidden.append(total if total > 0.0 else 0.0)
    out = []
    for c in range(len(b2)):
        total = b2[c]
        for j in range(len(hidden)):
            total += hidden[j] * w2[j][c]
        out.append(total)
    return hidden, out


def step(xs: Sequence[Sequence[float]], ys: Sequence[int], weights: Weights, rate: float) -> None:
    """Change the weights by one step down the gradient of the mean cross-entropy of a batch."""
    w1, b1, w2, b2 = weights
    d, h, k, n = len(w1), len(b1), len(b2), len(xs)
    dw1, db1 = [[0.0] * h for _ in range(d)], [0.0] * h
    dw2, db2 = [[0.0] * k for _ in range(h)], [0.0] * k
    for x, y in zip(xs, ys, strict=True):
        hidden, out = scores(x, weights)
        largest = max(out)
        powers = [math.exp(v - largest) for v in out]
        total = sum(powers)
        delta = [p / total / n for p in powers]
        delta[y] -= 1.0 / n
        for c in range(k):
            db2[c] += delta[c]
        for j in range(h):
            back = 0.0
            for c in range(k):
                dw2[j][c] += hidden[j] * delta[c]
                back += w2[j][c] * delta[c]
            if hidden[j] > 0.0:
                db1[j] += back
                for i in range(d):
                    dw1[i][j] += x[i] * back
    for i in range(d):
        for j in range(h):
            w1[i][j] -= rate * dw1[i][j]
    for j in range(h):
        b1[j] -= rate * db1[j]
        for c in range(k):
            w2[j][c] -= rate * dw2[j][c]
    for c in range(k):
        b2[c] -= rate * db2[c]
