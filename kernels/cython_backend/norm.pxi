# Batch normalization. All of it is memory traffic, so each kernel goes over its arrays once.
#
# Rows of few channels are *folded*: as many rows as fill whole vectors are taken for one row, a line. What belongs to a channel
# (mean, scale) is repeated to the width of such a line once per call. Sums stay in registers: a few vectors of columns are followed
# down the lines (`line_moments`, `line_sums`), in loops that end at their end (tile.pxi).

cdef enum:
    NORM_WIDTH = 512    # columns of a line, at most
    NORM_ROWS = 256     # lines added in the element's own precision before they go to the double sum
    NORM_VECTORS = 4    # vectors of columns followed at once


cdef Py_ssize_t rows_folded(Py_ssize_t channels) noexcept nogil:
    # How many rows make a line of what is written element by element.
    cdef Py_ssize_t fold = max(1, NORM_WIDTH // max(1, channels))
    return fold // LANES * LANES if channels % LANES != 0 and fold >= LANES else fold


cdef Py_ssize_t rows_summed(Py_ssize_t channels) noexcept nogil:
    # How many rows make a line of what is summed: no more than fill whole vectors, so that memory is read from end to end.
    cdef Py_ssize_t fold = 1
    while fold * channels % LANES != 0:
        fold *= 2
    if channels == 0 or fold * channels > NORM_WIDTH:
        return 1
    while 2 * fold * channels <= NORM_VECTORS * LANES:
        fold *= 2
    return fold


# -- statistics ----------------------------------------------------------------------------------------------------------


cdef inline void merge_moments(double n_a, double* mean, double* squares, double n_b, double mean_b,
                               double squares_b) noexcept nogil:
    # Of two sets of samples: Chan, Golub & LeVeque (1983), eq. 2.1.
    cdef double difference = mean_b - mean[0], n = n_a + n_b
    mean[0] = mean[0] + difference * (n_b / n)
    squares[0] = squares[0] + squares_b + difference * difference * (n_a * n_b / n)


cdef inline void line_moments(int vectors, const real* x, Py_ssize_t stride, Py_ssize_t n_rows, const real* pivot, real* sums,
                              real* squares) noexcept nogil:
    # Of `vectors` vectors of columns over n_rows > 0 rows: sums of x - pivot and of its square.
    cdef vector total[NORM_VECTORS]
    cdef vector square[NORM_VECTORS]
    cdef vector middle[NORM_VECTORS]
    cdef vector d
    cdef Py_ssize_t row = 0, v
    for v in range(vectors):
        total[v], square[v], middle[v] = vector_zero(), vector_zero(), vector_load(pivot + v * LANES)
    while True:
        for v in range(vectors):
            d = vector_load(x + v * LANES) - middle[v]
            total[v] = total[v] + d
            square[v] = square[v] + d * d
        x += stride
        row += 1
        if row == n_rows:
            break
    for v in range(vectors):
        vector_store(sums + v * LANES, total[v])
        vector_store(squares + v * LANES, square[v])


cdef void rest_moments(const real* x, Py_ssize_t stride, Py_ssize_t n_rows, Py_ssize_t width, const real* pivot, real* sums,
                       real* squares) noexcept nogil:
    # The same for width < LANES columns.
    cdef vector total = vector_zero(), square = vector_zero(), middle = vector_load_head(pivot, width), d
    cdef Py_ssize_t row
    for row in range(n_rows):
        d = vector_load_head(x + row * stride, width) - middle
        total = total + d
        square = square + d * d
    vector_store_head(sums, total, width)
    vector_store_head(squares, square, width)


cdef void lines_moments(const real* x, Py_ssize_t stride, Py_ssize_t n_rows, Py_ssize_t width, const real* pivot, real* sums,
                        real* squares) noexcept nogil:
    cdef Py_ssize_t c = 0
    while c + NORM_VECTORS * LANES <= width:
        line_moments(NORM_VECTORS, x + c, stride, n_rows, pivot + c, sums + c, squares + c)
        c += NORM_VECTORS * LANES
    while c + 2 * LANES <= width:
        line_moments(2, x + c, stride, n_rows, pivot + c, sums + c, squares + c)
        c += 2 * LANES
    while c + LANES <= width:
        line_moments(1, x + c, stride, n_rows, pivot + c, sums + c, squares + c)
        c += LANES
    if c < width:
        rest_moments(x + c, stride, n_rows, width - c, pivot + c, sums + c, squares + c)


cdef void column_moments(const real* x, Py_ssize_t stride, Py_ssize_t n_rows, Py_ssize_t width, double* mean,
                         double* squares) noexcept nogil:
    # Mean and sum of squared deviations of each of `width` <= NORM_WIDTH columns, in one pass: deviations are taken from a pivot, the
    # mean of the rows before (for the first rows their own, in a pass more). Where that is far from the mean of the next rows, digits
    # of their squares are lost, but then the distance between the two is itself part of the sum, and larger than what is lost.
    cdef real pivot[NORM_WIDTH]
    cdef real total[NORM_WIDTH]
    cdef real spread[NORM_WIDTH]
    cdef Py_ssize_t row = 0, n = min(NORM_ROWS, n_rows), c
    cdef double shift, around
    for c in range(width):
        mean[c], squares[c], pivot[c] = 0, 0, 0
    if n_rows > 0:
        lines_moments(x, stride, n, width, pivot, total, spread)
    for c in range(width):
        pivot[c] = total[c] / n if n_rows > 0 else <real>0
    while row < n_rows:
        n = min(NORM_ROWS, n_rows - row)
        for c in range(width):
            pivot[c] = pivot[c] if pivot[c] - pivot[c] == <real>0 else <real>0  # infinity would make NaN of everything
        lines_moments(x + row * stride, stride, n, width, pivot, total, spread)
        for c in range(width):
            shift = <double>total[c] / n
            around = <double>spread[c] - shift * shift * n
            around = 0 if around < 0 else around
            merge_moments(row, mean + c, squares + c, n, pivot[c] + shift, around)
            pivot[c] = <real>mean[c]
        row += n


cdef void row_moments(const real* x, Py_ssize_t n_rows, Py_ssize_t channels, double* mean, double* squares) noexcept nogil:
    # Mean and sum of squared deviations of each channel over n_rows > 0 rows.
    cdef double line_mean[NORM_WIDTH]
    cdef double line_squares[NORM_WIDTH]
    cdef Py_ssize_t fold = rows_summed(channels), lines = n_rows // fold, width = fold * channels, c, i, n
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


cdef inline void line_sums(int vectors, const real* dy, const real* x, const real* mean, Py_ssize_t stride,
                           Py_ssize_t n_rows, double* total, double* product) noexcept nogil:
    # Added to total and product: of `vectors` vectors of columns over n_rows > 0 rows, sums of dy and of dy * (x - mean).
    cdef vector sums[NORM_VECTORS]
    cdef vector products[NORM_VECTORS]
    cdef vector middle[NORM_VECTORS]
    cdef real part[LANES]
    cdef vector slope
    cdef Py_ssize_t row = 0, v, lane
    for v in range(vectors):
        sums[v], products[v], middle[v] = vector_zero(), vector_zero(), vector_load(mean + v * LANES)
    while True:
        for v in range(vectors):
            slope = vector_load(dy + v * LANES)
            sums[v] = sums[v] + slope
            products[v] = products[v] + slope * (vector_load(x + v * LANES) - middle[v])
        dy += stride
        x += stride
        row += 1
        if row == n_rows:
            break
    for v in range(vectors):
        vector_store(part, sums[v])
        for lane in range(LANES):
            total[v * LANES + lane] = total[v * LANES + lane] + part[lane]
        vector_store(part, products[v])
        for lane in range(LANES):
            product[v * LANES + lane] = product[v * LANES + lane] + part[lane]


cdef void column_sums(const real* dy, const real* x, const real* mean, Py_ssize_t stride, Py_ssize_t n_rows,
                      Py_ssize_t width, double* total, double* product) noexcept nogil:
    # Of each of `width` <= NORM_WIDTH columns: sum of dy, and of dy * (x - mean).
    cdef real part, part_product
    cdef Py_ssize_t row = 0, n, r, c, at
    for c in range(width):
        total[c], product[c] = 0, 0
    while row < n_rows:
        n, at, c = min(NORM_ROWS, n_rows - row), row * stride, 0
        while c + NORM_VECTORS * LANES <= width:
            line_sums(NORM_VECTORS, dy + at + c, x + at + c, mean + c, stride, n, total + c, product + c)
            c += NORM_VECTORS * LANES
        while c + 2 * LANES <= width:
            line_sums(2, dy + at + c, x + at + c, mean + c, stride, n, total + c, product + c)
            c += 2 * LANES
        while c + LANES <= width:
            line_sums(1, dy + at + c, x + at + c, mean + c, stride, n, total + c, product + c)
            c += LANES
        while c < width:
            part, part_product = 0, 0
            for r in range(n):
                part = part + dy[at + r * stride + c]
                part_product = part_product + dy[at + r * stride + c] * (x[at + r * stride + c] - mean[c])
            total[c], product[c] = total[c] + part, product[c] + part_product
            c += 1
        row += n


cdef void row_sums(const real* dy, const real* x, const real* mean, Py_ssize_t n_rows, Py_ssize_t channels, double* total,
                   double* product) noexcept nogil:
    cdef double line_total[NORM_WIDTH]
    cdef double line_product[NORM_WIDTH]
    cdef real line_mean[NORM_WIDTH]
    cdef Py_ssize_t fold = rows_summed(channels), lines = n_rows // fold, width = fold * channels, c, i, n
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
