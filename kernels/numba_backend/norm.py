"""Batch and layer normalization. The twin of cython_backend/norm.pxi, where the ways are explained.

Legend: rows of `channels` elements; a line is `fold` rows taken for one, so that vectors are full.
"""

from __future__ import annotations

import math

from kernels.numba_backend.elementwise import activate, relu_of
from kernels.numba_backend.memory import float64_pointer, kernel, lanes_of, like, load, offset, pointer_like, store

NONE, RELU = 0, 1
#: Columns of a line; elements of a block of lines, which a second look finds in the cache.
WIDTH, BLOCK = 512, 8192
#: Working memory of one thread: two lines of doubles and three of elements.
WORK_BYTES = 5 * 8 * WIDTH


@kernel
def rows_folded(lanes, channels):
    """How many rows make a line."""
    fold = max(1, WIDTH // max(1, channels))
    return fold // lanes * lanes if channels % lanes != 0 and fold >= lanes else fold


@kernel
def merge_moments(n_a, mean, squares, at, n_b, mean_b, squares_b):
    """Add a set of samples to another: Chan, Golub & LeVeque (1983), eq. 2.1."""
    n = n_a + n_b
    difference = mean_b - load(mean, at)
    store(mean, at, load(mean, at) + difference * (n_b / n))
    store(squares, at, load(squares, at) + squares_b + difference * difference * (n_a * n_b / n))


@kernel
def add_line(total, line, n):
    for c in range(n):
        store(total, c, load(total, c) + load(line, c))


@kernel
def add_squares(total, line, middle, n):
    for c in range(n):
        d = load(line, c) - load(middle, c)
        store(total, c, load(total, c) + d * d)


@kernel
def column_moments(x, stride, n_rows, width, mean, squares, work):
    """Mean and sum of squared deviations of each of `width` columns."""
    zero = like(load(x, 0), 0.0)
    middle = pointer_like(zero, work)
    spread = offset(middle, WIDTH)
    for c in range(width):
        store(mean, c, 0.0)
        store(squares, c, 0.0)
    together, row = max(1, BLOCK // max(1, width)), 0
    while row < n_rows:
        n = min(together, n_rows - row)
        for c in range(width):
            store(middle, c, zero)
            store(spread, c, zero)
        for r in range(row, row + n):
            add_line(middle, offset(x, r * stride), width)
        for c in range(width):
            store(middle, c, load(middle, c) / like(zero, n))
        for r in range(row, row + n):
            add_squares(spread, offset(x, r * stride), middle, width)
        for c in range(width):
            merge_moments(float(row), mean, squares, c, float(n), float(load(middle, c)), float(load(spread, c)))
        row += n


@kernel
def row_moments(start, end, number, x_address, channels, mean_address, squares_address, work):
    """Mean and sum of squared deviations of each channel over rows start..end, of which there is at least one."""
    x = offset(pointer_like(number, x_address), start * channels)
    mean, squares, n_rows = float64_pointer(mean_address), float64_pointer(squares_address), end - start
    line_mean, elements = float64_pointer(work), work + 2 * 8 * WIDTH
    line_squares = offset(line_mean, WIDTH)
    fold = rows_folded(lanes_of(x), channels)
    if fold == 1:
        for c in range(0, channels, WIDTH):
            n = min(WIDTH, channels - c)
            column_moments(offset(x, c), channels, n_rows, n, offset(mean, c), offset(squares, c), elements)
        return
    lines, width = n_rows // fold, fold * channels
    rest = n_rows - lines * fold
    column_moments(offset(x, lines * width), channels, rest, channels, mean, squares, elements)
    if lines == 0:
        return
    column_moments(x, width, lines, width, line_mean, line_squares, elements)
    for c in range(channels):
        for i in range(fold):
            at = i * channels + c
            before = float(rest + i * lines)
            merge_moments(before, mean, squares, c, float(lines), load(line_mean, at), load(line_squares, at))


@kernel
def statistics(work, number, x, n_rows, channels, mean, variance, moments):
    """All rows on one thread; `moments` are two doubles for each channel."""
    means, variances = pointer_like(number, mean), pointer_like(number, variance)
    if n_rows == 0:
        for c in range(channels):
            store(means, c, like(number, math.nan))
            store(variances, c, like(number, math.nan))
        return 0
    squares = moments + 8 * channels
    row_moments(0, n_rows, number, x, channels, moments, squares, work)
    for c in range(channels):
        store(means, c, like(number, load(float64_pointer(moments), c)))
        store(variances, c, like(number, load(float64_pointer(squares), c) / n_rows))
    return 0


@kernel
def add_products(total, product, dy, x, mean, n):
    for c in range(n):
        store(total, c, load(total, c) + load(dy, c))
        store(product, c, load(product, c) + load(dy, c) * (load(x, c) - load(mean, c)))


@kernel
def column_sums(dy, x, mean, stride, n_rows, width, total, product, work):
    """Of each of `width` columns: sum of dy, and of dy * (x - mean)."""
    zero = like(load(mean, 0), 0.0)
    part = pointer_like(zero, work)
    part_product = offset(part, WIDTH)
    for c in range(width):
        store(total, c, 0.0)
        store(product, c, 0.0)
    together, row = max(1, BLOCK // max(1, width)), 0
    while row < n_rows:
        n = min(together, n_rows - row)
        for c in range(width):
            store(part, c, zero)
            store(part_product, c, zero)
        for r in range(row, row + n):
            add_products(part, part_product, offset(dy, r * stride), offset(x, r * stride), mean, width)
        for c in range(width):
            store(total, c, load(total, c) + float(load(part, c)))
            store(product, c, load(product, c) + float(load(part_product, c)))
        row += n


@kernel
def row_sums(start, end, number, dy_address, x_address, mean_address, channels, total_address, product_address, work):
    """The sums over rows start..end, as doubles."""
    dy, x = pointer_like(number, dy_address), pointer_like(number, x_address)
    dy, x, mean = offset(dy, start * channels), offset(x, start * channels), pointer_like(number, mean_address)
    total, product, n_rows = float64_pointer(total_address), float64_pointer(product_address), end - start
    line_total, elements = float64_pointer(work), work + 2 * 8 * WIDTH
    line_product = offset(line_total, WIDTH)
    fold = rows_folded(lanes_of(x), channels)
    if fold == 1:
        for c in range(0, channels, WIDTH):
            n, sums = min(WIDTH, channels - c), (offset(total, c), offset(product, c))
            column_sums(offset(dy, c), offset(x, c), offset(mean, c), channels, n_rows, n, sums[0], sums[1], elements)
        return
    lines, width = n_rows // fold, fold * channels
    rest, behind = n_rows - lines * fold, lines * width
    column_sums(offset(dy, behind), offset(x, behind), mean, channels, rest, channels, total, product, elements)
    line_mean = offset(pointer_like(number, elements), 2 * WIDTH)
    for i in range(fold):
        for c in range(channels):
            store(line_mean, i * channels + c, load(mean, c))
    column_sums(dy, x, line_mean, width, lines, width, line_total, line_product, elements)
    for i in range(fold):
        for c in range(channels):
            store(total, c, load(total, c) + load(line_total, i * channels + c))
            store(product, c, load(product, c) + load(line_product, i * channels + c))


@kernel
def backward_sums(work, number, dy, x, mean, n_rows, channels, total, product, sums):
    """All rows on one thread; `sums` are two doubles for each channel."""
    products = sums + 8 * channels
    row_sums(0, n_rows, number, dy, x, mean, channels, sums, products, work)
    for c in range(channels):
        store(pointer_like(number, total), c, like(number, load(float64_pointer(sums), c)))
        store(pointer_like(number, product), c, like(number, load(float64_pointer(products), c)))
    return 0


# -- what is written element by element; `constants` are lines of what belongs to a channel, repeated ---------------------


@kernel
def norm_line(x, y, mean, scale, shift, n, activation):
    if activation == RELU:
        for i in range(n):
            store(y, i, relu_of((load(x, i) - load(mean, i)) * load(scale, i) + load(shift, i)))
        return
    for i in range(n):
        store(y, i, (load(x, i) - load(mean, i)) * load(scale, i) + load(shift, i))
    activate(activation, y, y, n)


@kernel
def repeat(constants, channels, width, n_lines):
    for line in range(n_lines):
        at = offset(constants, line * width)
        for i in range(channels, width):
            store(at, i, load(at, i - channels))


@kernel
def forward_constants(number, channels, width, mean, variance, gamma, beta, epsilon, constants):
    k = pointer_like(number, constants)
    for c in range(min(channels, width)):
        spread = float(load(pointer_like(number, variance), c)) + epsilon
        store(k, c, load(pointer_like(number, mean), c))
        store(k, width + c, like(number, float(load(pointer_like(number, gamma), c)) / math.sqrt(spread)))
        store(k, 2 * width + c, load(pointer_like(number, beta), c))
    repeat(k, channels, width, 3)


@kernel
def norm(start, end, number, x_address, y_address, constants, width, activation):
    """Elements start..end, which begin at a line."""
    x, y, k = pointer_like(number, x_address), pointer_like(number, y_address), pointer_like(number, constants)
    for at in range(start, end, width):
        n = min(width, end - at)
        norm_line(offset(x, at), offset(y, at), k, offset(k, width), offset(k, 2 * width), n, activation)


@kernel
def norm_task(work, number, size, channels, width, x, mean, variance, gamma, beta, y, epsilon, activation):
    forward_constants(number, channels, width, mean, variance, gamma, beta, epsilon, work)
    norm(0, size, number, x, y, work, width, activation)
    return 0


@kernel
def backward_constants(number, channels, width, mean, variance, gamma, sum_dy, sum_dy_x, count, epsilon, constants):
    k = pointer_like(number, constants)
    for c in range(min(channels, width)):
        spread = float(load(pointer_like(number, variance), c)) + epsilon
        store(k, c, load(pointer_like(number, mean), c))
        store(k, width + c, like(number, float(load(pointer_like(number, gamma), c)) / math.sqrt(spread)))
        store(k, 2 * width + c, like(number, float(load(pointer_like(number, sum_dy), c)) / count))
        store(k, 3 * width + c, like(number, float(load(pointer_like(number, sum_dy_x), c)) / (count * spread)))
    repeat(k, channels, width, 4)


@kernel
def norm_backward_line(dy, x, dx, mean, scale, shift, slope, n):
    for i in range(n):
        centred = load(x, i) - load(mean, i)
        store(dx, i, load(scale, i) * (load(dy, i) - load(shift, i) - centred * load(slope, i)))


@kernel
def norm_backward(start, end, number, dy_address, x_address, dx_address, constants, width):
    """Elements start..end, which begin at a line."""
    dy, x, dx = pointer_like(number, dy_address), pointer_like(number, x_address), pointer_like(number, dx_address)
    k = pointer_like(number, constants)
    for at in range(start, end, width):
        n = min(width, end - at)
        scale, shift, slope = offset(k, width), offset(k, 2 * width), offset(k, 3 * width)
        norm_backward_line(offset(dy, at), offset(x, at), offset(dx, at), k, scale, shift, slope, n)


@kernel
def norm_backward_task(
    work, number, size, channels, width, dy, x, mean, variance, gamma, sum_dy, sum_dy_x, dx, count, epsilon
):
    backward_constants(number, channels, width, mean, variance, gamma, sum_dy, sum_dy_x, count, epsilon, work)
    norm_backward(0, size, number, dy, x, dx, work, width)
    return 0


# -- layer normalization: a row at a time ---------------------------------------------------------------------------------


@kernel
def row_standard(x, n, epsilon):
    """Mean of a row, and one over its deviation."""
    zero, total = like(load(x, 0), 0.0), 0.0
    for start in range(0, n, 64):  # in parts, each in the elements' own precision
        part = zero
        for i in range(start, min(start + 64, n)):
            part += load(x, i)
        total += float(part)
    mean = like(zero, total / n)
    total = 0.0
    for start in range(0, n, 64):
        part = zero
        for i in range(start, min(start + 64, n)):
            d = load(x, i) - mean
            part += d * d
        total += float(part)
    return mean, like(zero, 1.0 / math.sqrt(total / n + epsilon))


@kernel
def layer_norm_row(x, y, gamma, beta, n, mean, inverse):
    for i in range(n):
        store(y, i, (load(x, i) - mean) * inverse * load(gamma, i) + load(beta, i))


@kernel
def layer_norm(start, end, number, x_address, gamma, beta, y_address, channels, epsilon, activation):
    """Rows start..end."""
    gamma, beta = pointer_like(number, gamma), pointer_like(number, beta)
    for row in range(start, end):
        x = offset(pointer_like(number, x_address), row * channels)
        y = offset(pointer_like(number, y_address), row * channels)
        mean, inverse = row_standard(x, channels, epsilon)
        layer_norm_row(x, y, gamma, beta, channels, mean, inverse)
        activate(activation, y, y, channels)


@kernel
def layer_norm_task(work, number, n_rows, x, gamma, beta, y, channels, epsilon, activation):
    if channels > 0:
        layer_norm(0, n_rows, number, x, gamma, beta, y, channels, epsilon, activation)
    return 0


@kernel
def layer_norm_backward(start, end, number, dy_address, x_address, gamma, dx_address, channels, epsilon, dgamma, dbeta):
    """Rows start..end; `dgamma` and `dbeta` are doubles."""
    gamma, dgamma, dbeta = pointer_like(number, gamma), float64_pointer(dgamma), float64_pointer(dbeta)
    for i in range(channels):
        store(dgamma, i, 0.0)
        store(dbeta, i, 0.0)
    for row in range(start, end):
        dy = offset(pointer_like(number, dy_address), row * channels)
        x = offset(pointer_like(number, x_address), row * channels)
        dx = offset(pointer_like(number, dx_address), row * channels)
        mean, inverse = row_standard(x, channels, epsilon)
        sum_g, sum_gx = 0.0, 0.0
        for i in range(channels):
            h, g = (load(x, i) - mean) * inverse, load(dy, i) * load(gamma, i)
            store(dgamma, i, load(dgamma, i) + float(load(dy, i) * h))
            store(dbeta, i, load(dbeta, i) + float(load(dy, i)))
            sum_g += float(g)
            sum_gx += float(g * h)
        along, across = like(number, sum_g / channels), like(number, sum_gx / channels)
        for i in range(channels):
            h, g = (load(x, i) - mean) * inverse, load(dy, i) * load(gamma, i)
            store(dx, i, inverse * (g - along - h * across))


@kernel
def layer_norm_backward_task(work, number, n_rows, dy, x, gamma, dx, dgamma, dbeta, channels, epsilon):
    if channels > 0:
        products = work + 8 * channels
        layer_norm_backward(0, n_rows, number, dy, x, gamma, dx, channels, epsilon, work, products)
        for i in range(channels):
            store(pointer_like(number, dgamma), i, like(number, load(float64_pointer(work), i)))
            store(pointer_like(number, dbeta), i, like(number, load(float64_pointer(products), i)))
    return 0
