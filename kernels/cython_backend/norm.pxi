# Batch and layer normalization. All of it is memory traffic, so each kernel goes over its arrays once.
#
# Rows of few channels are *folded*: as many rows as make a line of up to NORM_WIDTH elements are taken for one row, so that
# vectors are full and each column's sum has many others between two additions to it. What belongs to a channel (mean, scale)
# is repeated to the width of such a line once per call.

cdef enum:
    NORM_WIDTH = 512    # columns of a line
    NORM_BLOCK = 8192   # elements of a block of lines, which a second look finds in the cache


cdef Py_ssize_t rows_folded(Py_ssize_t channels) noexcept nogil:
    # How many rows make a line.
    cdef Py_ssize_t fold = max(1, NORM_WIDTH // max(1, channels))
    return fold // LANES * LANES if channels % LANES != 0 and fold >= LANES else fold


# -- statistics ----------------------------------------------------------------------------------------------------------


cdef void merge_moments(double n_a, double* mean, double* squares, double n_b, double mean_b, double squares_b) noexcept nogil:
    # Of two sets of samples: Chan, Golub & LeVeque (1983), eq. 2.1.
    cdef double difference = mean_b - mean[0], n = n_a + n_b
    mean[0] = mean[0] + difference * (n_b / n)
    squares[0] = squares[0] + squares_b + difference * difference * (n_a * n_b / n)


cdef void column_moments(const real* x, Py_ssize_t stride, Py_ssize_t n_rows, Py_ssize_t width, double* mean,
                         double* squares) noexcept nogil:
    # Mean and sum of squared deviations of each of `width` <= NORM_WIDTH columns.
    cdef real middle[NORM_WIDTH]
    cdef real spread[NORM_WIDTH]
    cdef const real* line
    cdef Py_ssize_t row = 0, together = max(1, NORM_BLOCK // max(1, width)), n, r, c
    cdef real d
    for c in range(width):
        mean[c], squares[c] = 0, 0
    while row < n_rows:
        n = min(together, n_rows - row)
        for c in range(width):
            middle[c], spread[c] = 0, 0
        for r in range(row, row + n):
            line = x + r * stride
            for c in range(width):
                middle[c] = middle[c] + line[c]
        for c in range(width):
            middle[c] = middle[c] / n
        for r in range(row, row + n):
            line = x + r * stride
            for c in range(width):
                d = line[c] - middle[c]
                spread[c] = spread[c] + d * d
        for c in range(width):
            merge_moments(row, mean + c, squares + c, n, middle[c], spread[c])
        row += n


cdef void row_moments(const real* x, Py_ssize_t n_rows, Py_ssize_t channels, double* mean, double* squares) noexcept nogil:
    # Mean and sum of squared deviations of each channel over n_rows > 0 rows.
    cdef double line_mean[NORM_WIDTH]
    cdef double line_squares[NORM_WIDTH]
    cdef Py_ssize_t fold = rows_folded(channels), lines = n_rows // fold, width = fold * channels, c, i, n
    if fold == 1:
        c = 0
        while c < channels:
            n = min(NORM_WIDTH, channels - c)
            column_moments(x + c, channels, n_rows, n, mean + c, squares + c)
            c += n
        return
    column_moments(x + lines * width, channels, n_rows - lines * fold, channels, mean, squares)
    if lines == 0:
        return
    column_moments(x, width, lines, width, line_mean, line_squares)
    for c in range(channels):
        for i in range(fold):
            merge_moments(n_rows - lines * fold + i * lines, mean + c, squares + c, lines, line_mean[i * channels + c],
                          line_squares[i * channels + c])


cdef int run_batch_norm_statistics(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t share = (c.n + c.n_threads - 1) // c.n_threads, t, i, n_rows
    cdef double* mean
    cdef double* squares
    if c.n == 0:
        for i in range(c.channels):
            c.outs[0][i], c.outs[1][i] = <real>NAN, <real>NAN
        return SUCCESS
    mean = <double*>workspace(SLOT_PARTIAL, 2 * c.n_threads * c.channels * sizeof(double) + 1)
    if mean == NULL:
        return NO_MEMORY
    squares = mean + c.n_threads * c.channels
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        row_moments(c.x + min(c.n, t * share) * c.channels, max(0, min(share, c.n - t * share)), c.channels,
                    mean + t * c.channels, squares + t * c.channels)
    for t in range(1, c.n_threads):  # in their order: the same sums at every run
        n_rows = max(0, min(share, c.n - t * share))
        if n_rows:
            for i in range(c.channels):
                merge_moments(t * share, mean + i, squares + i, n_rows, mean[t * c.channels + i],
                              squares[t * c.channels + i])
    for i in range(c.channels):
        c.outs[0][i], c.outs[1][i] = <real>mean[i], <real>(squares[i] / c.n)
    return SUCCESS


def batch_norm_statistics(cnp.ndarray x, cnp.ndarray mean, cnp.ndarray variance, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.x = run_batch_norm_statistics, data_of(x)
    c.outs[0], c.outs[1] = data_of(mean), data_of(variance)
    c.n, c.channels = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    return finish(c, into, (x, mean, variance))


cdef void column_sums(const real* dy, const real* x, const real* mean, Py_ssize_t stride, Py_ssize_t n_rows,
                      Py_ssize_t width, double* total, double* product) noexcept nogil:
    # Of each of `width` <= NORM_WIDTH columns: sum of dy, and of dy * (x - mean).
    cdef real part[NORM_WIDTH]
    cdef real part_product[NORM_WIDTH]
    cdef const real* dy_line
    cdef const real* x_line
    cdef Py_ssize_t row = 0, together = max(1, NORM_BLOCK // max(1, width)), n, r, c
    for c in range(width):
        total[c], product[c] = 0, 0
    while row < n_rows:
        n = min(together, n_rows - row)
        for c in range(width):
            part[c], part_product[c] = 0, 0
        for r in range(row, row + n):
            dy_line, x_line = dy + r * stride, x + r * stride
            for c in range(width):
                part[c] = part[c] + dy_line[c]
                part_product[c] = part_product[c] + dy_line[c] * (x_line[c] - mean[c])
        for c in range(width):
            total[c], product[c] = total[c] + part[c], product[c] + part_product[c]
        row += n


cdef void row_sums(const real* dy, const real* x, const real* mean, Py_ssize_t n_rows, Py_ssize_t channels, double* total,
                   double* product) noexcept nogil:
    cdef double line_total[NORM_WIDTH]
    cdef double line_product[NORM_WIDTH]
    cdef real line_mean[NORM_WIDTH]
    cdef Py_ssize_t fold = rows_folded(channels), lines = n_rows // fold, width = fold * channels, c, i, n
    if fold == 1:
        c = 0
        while c < channels:
            n = min(NORM_WIDTH, channels - c)
            column_sums(dy + c, x + c, mean + c, channels, n_rows, n, total + c, product + c)
            c += n
        return
    column_sums(dy + lines * width, x + lines * width, mean, channels, n_rows - lines * fold, channels, total, product)
    for i in range(fold):
        for c in range(channels):
            line_mean[i * channels + c] = mean[c]
    column_sums(dy, x, line_mean, width, lines, width, line_total, line_product)
    for i in range(fold):
        for c in range(channels):
            total[c] = total[c] + line_total[i * channels + c]
            product[c] = product[c] + line_product[i * channels + c]


cdef int run_batch_norm_backward_sums(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t share = (c.n + c.n_threads - 1) // c.n_threads, t, i
    cdef double* total = <double*>workspace(SLOT_PARTIAL, 2 * c.n_threads * c.channels * sizeof(double) + 1)
    cdef double* product
    if total == NULL:
        return NO_MEMORY
    product = total + c.n_threads * c.channels
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        row_sums(c.x + min(c.n, t * share) * c.channels, c.w + min(c.n, t * share) * c.channels, c.vectors[0],
                 max(0, min(share, c.n - t * share)), c.channels, total + t * c.channels, product + t * c.channels)
    for t in range(1, c.n_threads):
        for i in range(c.channels):
            total[i] = total[i] + total[t * c.channels + i]
            product[i] = product[i] + product[t * c.channels + i]
    for i in range(c.channels):
        c.outs[0][i], c.outs[1][i] = <real>total[i], <real>product[i]
    return SUCCESS


def batch_norm_backward_sums(cnp.ndarray dy, cnp.ndarray x, cnp.ndarray mean, cnp.ndarray total, cnp.ndarray product,
                             int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.x, c.w, c.vectors[0] = run_batch_norm_backward_sums, data_of(dy), data_of(x), data_of(mean)
    c.outs[0], c.outs[1] = data_of(total), data_of(product)
    c.n, c.channels = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    return finish(c, into, (dy, x, mean, total, product))


# -- what is written element by element ------------------------------------------------------------------------------------


cdef void norm_line(const real* x, real* y, const real* mean, const real* scale, const real* shift, Py_ssize_t n,
                    int activation) noexcept nogil:
    cdef Py_ssize_t i
    cdef real v
    if activation == ACT_RELU:
        for i in range(n):
            v = (x[i] - mean[i]) * scale[i] + shift[i]
            y[i] = <real>0 if v < <real>0 else v
        return
    for i in range(n):
        y[i] = (x[i] - mean[i]) * scale[i] + shift[i]
    if activation == ACT_SIGMOID:
        sigmoid_range(y, y, n)
    elif activation == ACT_TANH:
        tanh_range(y, y, n)


cdef void norm_backward_line(const real* dy, const real* x, real* dx, const real* mean, const real* scale, const real* shift,
                             const real* slope, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        dx[i] = scale[i] * (dy[i] - shift[i] - (x[i] - mean[i]) * slope[i])


cdef real* line_constants(const Call* c, Py_ssize_t width, bint backward) noexcept nogil:
    # Per channel, repeated to `width` elements: mean, scale and shift; backward mean, scale, shift and slope.
    cdef real* lines = <real*>workspace(SLOT_FILTERS, 4 * width * sizeof(real) + 1)
    cdef Py_ssize_t i
    cdef double spread
    if lines == NULL:
        return NULL
    for i in range(min(width, c.channels)):
        spread = <double>c.vectors[1][i] + c.number[0]
        lines[i] = c.vectors[0][i]
        lines[width + i] = <real>(c.vectors[2][i] / sqrt(spread))
        if backward:
            lines[2 * width + i] = <real>(c.vectors[3][i] / c.number[1])
            lines[3 * width + i] = <real>(c.vectors[4][i] / (c.number[1] * spread))
        else:
            lines[2 * width + i] = c.vectors[3][i]
    for i in range(c.channels, width):
        lines[i], lines[width + i] = lines[i - c.channels], lines[width + i - c.channels]
        lines[2 * width + i] = lines[2 * width + i - c.channels]
        if backward:
            lines[3 * width + i] = lines[3 * width + i - c.channels]
    return lines


cdef int run_batch_norm(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t width = rows_folded(c.channels) * c.channels, size = c.n * c.channels, lines, t
    cdef real* k
    if size == 0:
        return SUCCESS
    k = line_constants(c, width, False)
    if k == NULL:
        return NO_MEMORY
    lines = (size + width - 1) // width
    for t in prange(lines, num_threads=c.n_threads, schedule="static"):
        norm_line(c.x + t * width, c.out + t * width, k, k + width, k + 2 * width, min(width, size - t * width),
                  c.activation)
    return SUCCESS


def batch_norm(cnp.ndarray x, cnp.ndarray mean, cnp.ndarray variance, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray out,
               double epsilon, str activation, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.x, c.out = run_batch_norm, data_of(x), data_of(out)
    c.vectors[0], c.vectors[1] = data_of(mean), data_of(variance)
    c.vectors[2], c.vectors[3] = data_of(gamma), data_of(beta)
    c.n, c.channels, c.number[0] = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), epsilon
    c.activation = activation_code(activation)
    return finish(c, into, (x, mean, variance, gamma, beta, out))


cdef int run_batch_norm_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t width = rows_folded(c.channels) * c.channels, size = c.n * c.channels, lines, t
    cdef real* k
    if size == 0:
        return SUCCESS
    k = line_constants(c, width, True)
    if k == NULL:
        return NO_MEMORY
    lines = (size + width - 1) // width
    for t in prange(lines, num_threads=c.n_threads, schedule="static"):
        norm_backward_line(c.x + t * width, c.w + t * width, c.out + t * width, k, k + width, k + 2 * width, k + 3 * width,
                           min(width, size - t * width))
    return SUCCESS


def batch_norm_backward(cnp.ndarray dy, cnp.ndarray x, cnp.ndarray mean, cnp.ndarray variance, cnp.ndarray gamma,
                        cnp.ndarray sum_dy, cnp.ndarray sum_dy_x, cnp.ndarray out, double count, double epsilon,
                        int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.x, c.w, c.out = run_batch_norm_backward, data_of(dy), data_of(x), data_of(out)
    c.vectors[0], c.vectors[1], c.vectors[2] = data_of(mean), data_of(variance), data_of(gamma)
    c.vectors[3], c.vectors[4] = data_of(sum_dy), data_of(sum_dy_x)
    c.n, c.channels = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1)
    c.number[0], c.number[1] = epsilon, count
    return finish(c, into, (dy, x, mean, variance, gamma, sum_dy, sum_dy_x, out))


# -- layer normalization: a row at a time ------------------------------------------------------------------------------------


cdef inline void row_standard(const real* x, Py_ssize_t n, double epsilon, real* mean, real* inverse) noexcept nogil:
    # Mean of a row, and one over its deviation: LANES sums beside each other, so that vectors are full.
    cdef real part[LANES]
    cdef double total = 0
    cdef Py_ssize_t i, lane, whole = n // LANES * LANES
    cdef real d
    for lane in range(LANES):
        part[lane] = 0
    i = 0
    while i < whole:
        for lane in range(LANES):
            part[lane] = part[lane] + x[i + lane]
        i += LANES
    for lane in range(LANES):
        total += part[lane]
    for i in range(whole, n):
        total += x[i]
    mean[0] = <real>(total / n)
    for lane in range(LANES):
        part[lane] = 0
    total = 0
    i = 0
    while i < whole:
        for lane in range(LANES):
            d = x[i + lane] - mean[0]
            part[lane] = part[lane] + d * d
        i += LANES
    for lane in range(LANES):
        total += part[lane]
    for i in range(whole, n):
        d = x[i] - mean[0]
        total += d * d
    inverse[0] = <real>(1 / sqrt(total / n + epsilon))


cdef void layer_norm_row(const Call* c, Py_ssize_t row) noexcept nogil:
    cdef const real* x = c.x + row * c.channels
    cdef real* y = c.out + row * c.channels
    cdef real mean, inverse, v
    cdef Py_ssize_t i
    row_standard(x, c.channels, c.number[0], &mean, &inverse)
    for i in range(c.channels):
        v = (x[i] - mean) * inverse * c.vectors[0][i] + c.vectors[1][i]
        y[i] = <real>0 if c.activation == ACT_RELU and v < <real>0 else v
    if c.activation == ACT_SIGMOID:
        sigmoid_range(y, y, c.channels)
    elif c.activation == ACT_TANH:
        tanh_range(y, y, c.channels)


cdef int run_layer_norm(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t row
    if c.channels == 0:
        return SUCCESS
    for row in prange(c.n, num_threads=c.n_threads, schedule="static"):
        layer_norm_row(c, row)
    return SUCCESS


def layer_norm(cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray beta, cnp.ndarray out, double epsilon, str activation,
               int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.x, c.out, c.vectors[0], c.vectors[1] = run_layer_norm, data_of(x), data_of(out), data_of(gamma), data_of(beta)
    c.n, c.channels, c.number[0] = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), epsilon
    c.activation = activation_code(activation)
    return finish(c, into, (x, gamma, beta, out))


cdef void layer_norm_backward_rows(const Call* c, Py_ssize_t begin_row, Py_ssize_t end_row, double* dgamma,
                                   double* dbeta) noexcept nogil:
    cdef const real* dy
    cdef const real* x
    cdef real* dx
    cdef real mean, inverse, g, h, along, across
    cdef double sum_g, sum_gx
    cdef Py_ssize_t row, i
    for i in range(c.channels):
        dgamma[i], dbeta[i] = 0, 0
    for row in range(begin_row, end_row):
        dy, x, dx = c.x + row * c.channels, c.w + row * c.channels, c.out + row * c.channels
        row_standard(x, c.channels, c.number[0], &mean, &inverse)
        sum_g, sum_gx = 0, 0
        for i in range(c.channels):
            h = (x[i] - mean) * inverse
            g = dy[i] * c.vectors[0][i]
            dgamma[i] = dgamma[i] + <double>(dy[i] * h)
            dbeta[i] = dbeta[i] + dy[i]
            sum_g += g
            sum_gx += g * h
        along, across = <real>(sum_g / c.channels), <real>(sum_gx / c.channels)
        for i in range(c.channels):
            dx[i] = inverse * (dy[i] * c.vectors[0][i] - along - (x[i] - mean) * inverse * across)


cdef int run_layer_norm_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t share = (c.n + c.n_threads - 1) // c.n_threads, t, i
    cdef double* dgamma
    cdef double* dbeta
    if c.channels == 0:
        return SUCCESS
    dgamma = <double*>workspace(SLOT_PARTIAL, 2 * c.n_threads * c.channels * sizeof(double))
    if dgamma == NULL:
        return NO_MEMORY
    dbeta = dgamma + c.n_threads * c.channels
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        layer_norm_backward_rows(c, min(c.n, t * share), min(c.n, (t + 1) * share), dgamma + t * c.channels,
                                 dbeta + t * c.channels)
    for i in range(c.channels):
        for t in range(1, c.n_threads):
            dgamma[i] = dgamma[i] + dgamma[t * c.channels + i]
            dbeta[i] = dbeta[i] + dbeta[t * c.channels + i]
        c.outs[0][i], c.outs[1][i] = <real>dgamma[i], <real>dbeta[i]
    return SUCCESS


def layer_norm_backward(cnp.ndarray dy, cnp.ndarray x, cnp.ndarray gamma, cnp.ndarray out, cnp.ndarray dgamma,
                        cnp.ndarray dbeta, double epsilon, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.x, c.w, c.out = run_layer_norm_backward, data_of(dy), data_of(x), data_of(out)
    c.vectors[0], c.outs[0], c.outs[1] = data_of(gamma), data_of(dgamma), data_of(dbeta)
    c.n, c.channels, c.number[0] = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), epsilon
    return finish(c, into, (dy, x, gamma, out, dgamma, dbeta))
