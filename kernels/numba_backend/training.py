"""Loss, bias gradient, optimizers: one pass over memory each. Twin of cython_backend/{loss,optimizer}.pxi."""

from __future__ import annotations

import math

from kernels.numba_backend.memory import (
    exp_of_negative,
    int64_pointer,
    kernel,
    lanes_of,
    like,
    load,
    offset,
    pointer_like,
    store,
)
from kernels.numba_backend.vector import vector_lane, vector_load, vector_zero

#: Rows that are added in the elements' own precision before they go to the double sum.
BIAS_ROWS = 256
#: Elements of a row that few channels are folded to, at most.
BIAS_FOLDED = 512


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
def sum_rows(source, stride, n_rows, total):
    """total[:lanes] += the sum over the rows of one vector of columns, in four sums: no addition waits for the one before."""
    lanes = lanes_of(source)
    a = b = c = d = vector_zero(source)
    row = 0
    while row + 4 <= n_rows:
        at = offset(source, row * stride)
        a = a + vector_load(at)
        b = b + vector_load(offset(at, stride))
        c = c + vector_load(offset(at, 2 * stride))
        d = d + vector_load(offset(at, 3 * stride))
        row += 4
    while row < n_rows:
        a = a + vector_load(offset(source, row * stride))
        row += 1
    part = (a + b) + (c + d)
    for lane in range(lanes):
        store(total, lane, load(total, lane) + float(vector_lane(part, lane)))


@kernel
def sum_columns(source, stride, n_rows, width, total):
    """total[c] = the sum of column c, for c < width."""
    lanes = lanes_of(source)
    for c in range(width):
        store(total, c, 0.0)
    row = 0
    while row < n_rows:
        n = min(BIAS_ROWS, n_rows - row)
        block = offset(source, row * stride)
        c = 0
        while c + lanes <= width:
            sum_rows(offset(block, c), stride, n, offset(total, c))
            c += lanes
        while c < width:
            part = like(load(source, 0), 0.0)
            for i in range(n):
                part += load(block, i * stride + c)
            store(total, c, load(total, c) + float(part))
            c += 1
        row += n


@kernel
def bias(start, end, number, dy_address, db_address, total_address, n_rows, channels):
    """db of channels start..end. `total` (doubles) is working memory for the channels, or for `folded` of them."""
    dy, db = pointer_like(number, dy_address), pointer_like(number, db_address)
    total, lanes = pointer_like(0.0, total_address), lanes_of(dy)
    if start == 0 and end == channels and channels % lanes != 0 and channels * lanes <= BIAS_FOLDED and n_rows >= 2 * lanes:
        # few channels: as many rows as a vector has lanes are taken for one long row, so that vectors are full
        wide_rows = n_rows // lanes
        sum_columns(dy, channels * lanes, wide_rows, channels * lanes, total)
        for c in range(channels):
            db_c = 0.0
            for i in range(lanes):
                db_c += load(total, i * channels + c)
            for row in range(wide_rows * lanes, n_rows):
                db_c += float(load(dy, row * channels + c))
            store(db, c, like(number, db_c))
        return
    mine = offset(total, start)
    sum_columns(offset(dy, start), channels, n_rows, end - start, mine)
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
