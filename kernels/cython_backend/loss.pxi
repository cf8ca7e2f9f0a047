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
    BIAS_ROWS = 64      # rows added in the element's own precision before they go to the double sum
    BIAS_CHANNELS = 64
    BIAS_FOLDED = 512


cdef void bias_columns(const real* dy, real* db, Py_ssize_t n_rows, Py_ssize_t channels, Py_ssize_t c0,
                       Py_ssize_t width) noexcept nogil:
    cdef double total[BIAS_CHANNELS]
    cdef real part[BIAS_CHANNELS]
    cdef Py_ssize_t row = 0, end, c
    cdef const real* source
    for c in range(width):
        total[c] = 0
    while row < n_rows:
        end = min(row + BIAS_ROWS, n_rows)
        for c in range(width):
            part[c] = 0
        while row < end:
            source = dy + row * channels + c0
            for c in range(width):
                part[c] = part[c] + source[c]
            row += 1
        for c in range(width):
            total[c] = total[c] + part[c]
    for c in range(width):
        db[c0 + c] = <real>total[c]


cdef void bias_folded(const real* dy, real* db, Py_ssize_t n_rows, Py_ssize_t channels) noexcept nogil:
    # Few channels: LANES rows are taken for one row of LANES * channels, so that vectors are full; then that is folded.
    cdef double total[BIAS_FOLDED]
    cdef real part[BIAS_FOLDED]
    cdef double db_c
    cdef Py_ssize_t width = channels * LANES, wide_rows = n_rows // LANES, row = 0, end, i, c
    cdef const real* source
    for i in range(width):
        total[i] = 0
    while row < wide_rows:
        end = min(row + BIAS_ROWS, wide_rows)
        for i in range(width):
            part[i] = 0
        while row < end:
            source = dy + row * width
            for i in range(width):
                part[i] = part[i] + source[i]
            row += 1
        for i in range(width):
            total[i] = total[i] + part[i]
    for c in range(channels):
        db_c = 0
        for i in range(LANES):
            db_c = db_c + total[i * channels + c]
        for row in range(wide_rows * LANES, n_rows):
            db_c = db_c + dy[row * channels + c]
        db[c] = <real>db_c
