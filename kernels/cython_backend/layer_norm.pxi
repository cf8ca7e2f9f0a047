# Layer normalization: a row at a time, which stays in the nearest cache while it is looked at again. Sums along a row are sums of
# vectors, and of their lanes at the end; sums down the rows (gradients of gamma and beta) are kept in the element's own precision for
# LAYER_ROWS rows, then go to doubles.

cdef enum:
    LAYER_ROWS = 32


cdef inline double row_sum(const real* x, Py_ssize_t n) noexcept nogil:
    cdef vector even = vector_zero(), odd = vector_zero()
    cdef Py_ssize_t i = 0
    while i + 2 * LANES <= n:
        even = even + vector_load(x + i)
        odd = odd + vector_load(x + i + LANES)
        i += 2 * LANES
    if i + LANES <= n:
        even = even + vector_load(x + i)
        i += LANES
    if i < n:
        odd = odd + vector_load_head(x + i, n - i)
    return vector_sum(even + odd)


cdef inline double row_squares(const real* x, Py_ssize_t n, real mean) noexcept nogil:
    # The sum of squared deviations.
    cdef vector even = vector_zero(), odd = vector_zero(), middle = vector_zero() + mean, d
    cdef Py_ssize_t i = 0
    while i + 2 * LANES <= n:
        d = vector_load(x + i) - middle
        even = even + d * d
        d = vector_load(x + i + LANES) - middle
        odd = odd + d * d
        i += 2 * LANES
    if i + LANES <= n:
        d = vector_load(x + i) - middle
        even = even + d * d
        i += LANES
    if i < n:
        d = vector_head(vector_load_head(x + i, n - i) - middle, n - i)
        odd = odd + d * d
    return vector_sum(even + odd)


cdef void layer_norm_row(const Call* c, Py_ssize_t row) noexcept nogil:
    cdef const real* x = c.x + row * c.channels
    cdef const real* gamma = c.vectors[0]
    cdef const real* beta = c.vectors[1]
    cdef real* y = c.out + row * c.channels
    cdef real mean = <real>(row_sum(x, c.channels) / c.channels)
    cdef real inverse = <real>(1 / sqrt(row_squares(x, c.channels, mean) / c.channels + c.number[0]))
    cdef real v
    cdef Py_ssize_t i
    if c.activation == ACT_RELU:
        for i in range(c.channels):
            v = (x[i] - mean) * inverse * gamma[i] + beta[i]
            y[i] = <real>0 if v < <real>0 else v
        return
    for i in range(c.channels):
        y[i] = (x[i] - mean) * inverse * gamma[i] + beta[i]
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


cdef inline void slope_sums(vector x, vector dy, vector gamma, vector* squares, vector* slopes, vector* products) noexcept nogil:
    # x is centred
    cdef vector g = dy * gamma
    squares[0] = squares[0] + x * x
    slopes[0] = slopes[0] + g
    products[0] = products[0] + g * x


cdef void layer_norm_backward_row(const real* dy, const real* x, const real* gamma, real* dx, Py_ssize_t n, double epsilon,
                                  real* dgamma, real* dbeta) noexcept nogil:
    # With h = (x - mean) / deviation and g = dy gamma: dx = (g - mean(g) - h mean(g h)) / deviation; added to dgamma dy h, to dbeta dy.
    cdef double share = 1.0 / n
    cdef real mean = <real>(row_sum(x, n) * share), inverse, along, across
    cdef vector squares = vector_zero(), slopes = vector_zero(), products = vector_zero(), middle = vector_zero() + mean, h, g
    cdef vector squares_b = vector_zero(), slopes_b = vector_zero(), products_b = vector_zero()
    cdef Py_ssize_t i = 0, rest = n % LANES
    while i + 2 * LANES <= n:  # two sums of each in turn, so that no addition waits for the one before
        slope_sums(vector_load(x + i) - middle, vector_load(dy + i), vector_load(gamma + i), &squares, &slopes, &products)
        i += LANES
        slope_sums(vector_load(x + i) - middle, vector_load(dy + i), vector_load(gamma + i), &squares_b, &slopes_b,
                   &products_b)
        i += LANES
    if i + LANES <= n:
        slope_sums(vector_load(x + i) - middle, vector_load(dy + i), vector_load(gamma + i), &squares, &slopes, &products)
        i += LANES
    if rest:
        slope_sums(vector_head(vector_load_head(x + i, rest) - middle, rest), vector_load_head(dy + i, rest),
                   vector_load_head(gamma + i, rest), &squares_b, &slopes_b, &products_b)
    squares = squares + squares_b
    slopes = slopes + slopes_b
    products = products + products_b
    inverse = <real>(1 / sqrt(<double>vector_sum(squares) * share + epsilon))
    along = <real>(<double>vector_sum(slopes) * share)
    across = <real>(<double>vector_sum(products) * inverse * share)
    i = 0
    while i + LANES <= n:
        g = vector_load(dy + i)
        h = (vector_load(x + i) - middle) * inverse
        vector_store(dgamma + i, vector_load(dgamma + i) + g * h)
        vector_store(dbeta + i, vector_load(dbeta + i) + g)
        vector_store(dx + i, (g * vector_load(gamma + i) - along - h * across) * inverse)
        i += LANES
    if rest:
        g = vector_load_head(dy + i, rest)
        h = (vector_load_head(x + i, rest) - middle) * inverse
        vector_store_head(dgamma + i, vector_load_head(dgamma + i, rest) + g * h, rest)
        vector_store_head(dbeta + i, vector_load_head(dbeta + i, rest) + g, rest)
        vector_store_head(dx + i, (g * vector_load_head(gamma + i, rest) - along - h * across) * inverse, rest)


cdef void layer_norm_backward_rows(const Call* c, Py_ssize_t begin_row, Py_ssize_t end_row, double* dgamma, double* dbeta,
                                   real* parts) noexcept nogil:
    # parts: room for two rows of elements
    cdef Py_ssize_t row, i, at
    cdef real* part_beta = parts + c.channels
    for i in range(c.channels):
        dgamma[i], dbeta[i], parts[i], part_beta[i] = 0, 0, 0, 0
    for row in range(begin_row, end_row):
        at = row * c.channels
        layer_norm_backward_row(c.x + at, c.w + at, c.vectors[0], c.out + at, c.channels, c.number[0], parts, part_beta)
        if (row - begin_row) % LAYER_ROWS == LAYER_ROWS - 1 or row == end_row - 1:
            for i in range(c.channels):
                dgamma[i], dbeta[i] = dgamma[i] + parts[i], dbeta[i] + part_beta[i]
                parts[i], part_beta[i] = 0, 0


cdef int run_layer_norm_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t share = (c.n + c.n_threads - 1) // c.n_threads, t, i
    cdef double* dgamma
    cdef double* dbeta
    cdef real* parts
    if c.channels == 0:
        return SUCCESS
    dgamma = <double*>workspace(SLOT_PARTIAL, 2 * c.n_threads * c.channels * (sizeof(double) + sizeof(real)))
    if dgamma == NULL:
        return NO_MEMORY
    dbeta = dgamma + c.n_threads * c.channels
    parts = <real*>(dbeta + c.n_threads * c.channels)
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        layer_norm_backward_rows(c, min(c.n, t * share), min(c.n, (t + 1) * share), dgamma + t * c.channels,
                                 dbeta + t * c.channels, parts + 2 * t * c.channels)
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
