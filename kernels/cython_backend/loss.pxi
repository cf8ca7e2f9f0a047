# The loss, and the sums of gradients that go to a bias.


cdef double cross_entropy_rows(const real* logits, const int64_t* labels, real* dlogits, Py_ssize_t begin, Py_ssize_t end,
                               Py_ssize_t n_classes, Py_ssize_t n) noexcept nogil:
    # Row by row: z = logits - max; loss += log(sum exp z) - z[label]; dlogits = (exp z / sum - [j = label]) / n.
    cdef Py_ssize_t i, j
    cdef const real* row
    cdef real* slope
    cdef real largest, total
    cdef double loss = 0
    for i in range(begin, end):
        row = logits + i * n_classes
        slope = dlogits + i * n_classes
        largest = row[0]
        for j in range(1, n_classes):
            largest = row[j] if row[j] > largest or row[j] != row[j] else largest
        for j in range(n_classes):
            slope[j] = fast_exp(row[j] - largest)
        total = 0
        for j in range(n_classes):
            total = total + slope[j]
        loss += log(<double>total) - (<double>row[labels[i]] - <double>largest)
        for j in range(n_classes):
            slope[j] = slope[j] / total / n
        slope[labels[i]] = slope[labels[i]] - <real>1 / n
    return loss


cdef enum:
    BIAS_ROWS = 256     # rows added in the element's own precision, by four sums in turn, before they go to the double sum
    BIAS_CHANNELS = 64
    BIAS_FOLDED = 512
    BIAS_SUMS = 4


cdef inline void sum_rows(int vectors, const real* source, Py_ssize_t stride, Py_ssize_t n_rows, double* total) noexcept nogil:
    # total[c] += the sum over n_rows of `vectors` vectors of columns. Each column has BIAS_SUMS sums, so that no addition waits
    # for the one before.
    cdef vector acc[BIAS_SUMS * 4]
    cdef real part[LANES]
    cdef Py_ssize_t row = 0, v, s, lane
    for v in range(BIAS_SUMS * vectors):
        acc[v] = vector_zero()
    while row + BIAS_SUMS <= n_rows:
        for s in range(BIAS_SUMS):
            for v in range(vectors):
                acc[s * vectors + v] = acc[s * vectors + v] + vector_load(source + s * stride + v * LANES)
        source += BIAS_SUMS * stride
        row += BIAS_SUMS
    while row < n_rows:
        for v in range(vectors):
            acc[v] = acc[v] + vector_load(source + v * LANES)
        source += stride
        row += 1
    for v in range(vectors):
        vector_store(part, (acc[v] + acc[vectors + v]) + (acc[2 * vectors + v] + acc[3 * vectors + v]))
        for lane in range(LANES):
            total[v * LANES + lane] = total[v * LANES + lane] + part[lane]


cdef void sum_columns(const real* source, Py_ssize_t stride, Py_ssize_t n_rows, Py_ssize_t width, double* total) noexcept nogil:
    # total[c] = the sum of column c, for c < width: whole vectors of them, as many at once as make a line or two, then one by one.
    cdef Py_ssize_t c = 0, row, end, n
    cdef real part
    for c in range(width):
        total[c] = 0
    row = 0
    while row < n_rows:
        n = min(BIAS_ROWS, n_rows - row)
        c = 0
        while c + 2 * LANES <= width:
            sum_rows(2, source + row * stride + c, stride, n, total + c)
            c += 2 * LANES
        if c + LANES <= width:
            sum_rows(1, source + row * stride + c, stride, n, total + c)
            c += LANES
        while c < width:
            part = 0
            for end in range(row, row + n):
                part = part + source[end * stride + c]
            total[c] = total[c] + part
            c += 1
        row += n


cdef void bias_columns(const real* dy, real* db, Py_ssize_t n_rows, Py_ssize_t channels, Py_ssize_t c0,
                       Py_ssize_t width) noexcept nogil:
    cdef double total[BIAS_CHANNELS]
    cdef Py_ssize_t c
    sum_columns(dy + c0, channels, n_rows, width, total)
    for c in range(width):
        db[c0 + c] = <real>total[c]


cdef void bias_folded(const real* dy, real* db, Py_ssize_t n_rows, Py_ssize_t channels) noexcept nogil:
    # Few channels: LANES rows are taken for one row of LANES * channels, so that vectors are full; then that is folded.
    cdef double total[BIAS_FOLDED]
    cdef double db_c
    cdef Py_ssize_t width = channels * LANES, wide_rows = n_rows // LANES, row, i, c
    sum_columns(dy, width, wide_rows, width, total)
    for c in range(channels):
        db_c = 0
        for i in range(LANES):
            db_c = db_c + total[i * channels + c]
        for row in range(wide_rows * LANES, n_rows):
            db_c = db_c + dy[row * channels + c]
        db[c] = <real>db_c
