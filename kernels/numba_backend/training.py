"""Loss, bias gradient, optimizers: one pass over memory each. Twin of cython_backend/{loss,optimizer}.pxi."""

from __future__ import annotations

import math

from kernels.numba_backend.memory import exp_of_negative, int64_pointer, kernel, like, load, offset, pointer_like, store

#: Rows that are added in the elements' own precision before they go to the double sum.
BIAS_ROWS = 64


@kernel
def cross_entropy(start, end, number, logits_address, labels_address, dlogits_address, n_classes, n):
    """Rows start..end of n: dlogits = (softmax - one_hot) / n; returns the sum of their losses."""
    logits, dlogits = pointer_like(number, logits_address), pointer_like(number, dlogits_address)
    labels = int64_pointer(labels_address)
    count, one = like(number, n), like(number, 1.0)
    loss = 0.0
    for i in range(start, end):
        row, slope = offset(logits, i * n_classes), offset(dlogits, i * n_classes)
        label = load(labels, i)
        largest = load(row, 0)
        for j in range(1, n_classes):
            v = load(row, j)
            largest = v if (v > largest) | (v != v) else largest
        total = like(number, 0.0)
        for j in range(n_classes):
            e = exp_of_negative(load(row, j) - largest)
            store(slope, j, e)
            total += e
        loss += math.log(float(total)) - (float(load(row, label)) - float(largest))
        for j in range(n_classes):
            store(slope, j, load(slope, j) / total / count)
        store(slope, label, load(slope, label) - one / count)
    return loss


@kernel
def bias(start, end, number, dy_address, db_address, part_address, total_address, n_rows, channels):
    """db of channels start..end. `part` and `total` (doubles) are working memory for `channels` elements."""
    dy, db = pointer_like(number, dy_address), pointer_like(number, db_address)
    part = pointer_like(number, part_address)
    total = pointer_like(0.0, total_address)
    for c in range(start, end):
        store(total, c, 0.0)
    row = 0
    while row < n_rows:
        stop = min(row + BIAS_ROWS, n_rows)
        for c in range(start, end):
            store(part, c, like(number, 0.0))
        while row + 4 <= stop:  # four rows a pass: a quarter of the passes over `part`
            a = offset(dy, row * channels)
            b, d, e = offset(a, channels), offset(a, 2 * channels), offset(a, 3 * channels)
            for c in range(start, end):
                store(part, c, load(part, c) + ((load(a, c) + load(b, c)) + (load(d, c) + load(e, c))))
            row += 4
        while row < stop:
            a = offset(dy, row * channels)
            for c in range(start, end):
                store(part, c, load(part, c) + load(a, c))
            row += 1
        for c in range(start, end):
            store(total, c, load(total, c) + float(load(part, c)))
    for c in range(start, end):
        store(db, c, like(number, load(total, c)))


@kernel
def sgd(start, end, w_address, dw_address, velocity_address, rate, momentum, nesterov, decay):
    """Elements start..end; formula in kernels/api/training.py."""
    w, dw = pointer_like(rate, w_address), pointer_like(rate, dw_address)
    velocity = pointer_like(rate, velocity_address)
    for i in range(start, end):
        g = load(dw, i) + decay * load(w, i)
        v = momentum * load(velocity, i) + g
        store(velocity, i, v)
        store(w, i, load(w, i) - rate * (g + momentum * v if nesterov else v))


@kernel
def adam(
    start, end, w_address, dw_address, m_address, v_address, rate, beta_1, rest_1, beta_2, rest_2, correction_2,
    epsilon, decay,
):  # fmt: skip
    """Elements start..end; `rate` holds learning_rate / (1 - beta_1**step), `rest_1` 1 - beta_1, taken in double."""
    w, dw = pointer_like(rate, w_address), pointer_like(rate, dw_address)
    m, v = pointer_like(rate, m_address), pointer_like(rate, v_address)
    for i in range(start, end):
        g = load(dw, i) + decay * load(w, i)
        mean = beta_1 * load(m, i) + rest_1 * g
        square = beta_2 * load(v, i) + rest_2 * g * g
        store(m, i, mean)
        store(v, i, square)
        store(w, i, load(w, i) - rate * mean / (like(rate, math.sqrt(square * correction_2)) + epsilon))
