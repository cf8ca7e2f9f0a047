# Embeddings: means of rows of a table, and the gradient for the table. Both are memory traffic at places that the data name, so
# nothing is read twice: sums of a text stay in registers while its words are gone through.
#
# Indices were checked when the call was made. A bound call may find others: a text with one that points outside is passed over.

cdef enum:
    BAG_VECTORS = 4    # of a row, in hand at once


cdef inline bint bag_is_inside(const int64_t* bag, int64_t length, Py_ssize_t steps, Py_ssize_t rows) noexcept nogil:
    cdef int64_t t
    if not 0 <= length <= steps:
        return False
    for t in range(length):
        if not 0 <= bag[t] < rows:
            return False
    return True


cdef inline void bag_mean(const real* table, const int64_t* bag, int64_t length, Py_ssize_t channels, real* y) noexcept nogil:
    # y[c] = sum over t of table[bag[t], c], divided by the length
    cdef Py_ssize_t c = 0, n, v
    cdef int64_t t
    cdef vector total[BAG_VECTORS]
    cdef const real* row
    while c + BAG_VECTORS * LANES <= channels:
        for v in range(BAG_VECTORS):
            total[v] = vector_zero()
        for t in range(length):
            row = table + bag[t] * channels + c
            for v in range(BAG_VECTORS):
                total[v] = total[v] + vector_load(row + v * LANES)
        for v in range(BAG_VECTORS):
            vector_store(y + c + v * LANES, vector_divide(total[v], <real>length))
        c += BAG_VECTORS * LANES
    while c < channels:
        n = min(LANES, channels - c)
        total[0] = vector_zero()
        for t in range(length):
            total[0] = total[0] + vector_load_head(table + bag[t] * channels + c, n)
        vector_store_head(y + c, vector_divide(total[0], <real>length), n)
        c += n


cdef int bag_means(const Call* call, Py_ssize_t row0, Py_ssize_t row1) noexcept nogil:
    # Texts row0..row1; returns whether an index points outside.
    cdef Py_ssize_t row
    cdef int64_t length
    cdef int outside = 0
    for row in range(row0, row1):
        length = call.lengths[row]
        if not bag_is_inside(call.labels + row * call.steps, length, call.steps, call.rows):
            outside = 1
        elif length == 0:
            memset(call.out + row * call.channels, 0, call.channels * sizeof(real))
        else:
            bag_mean(call.x, call.labels + row * call.steps, length, call.channels, call.out + row * call.channels)
    return outside


cdef int run_embedding_mean(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t share = (c.n + c.n_threads - 1) // c.n_threads, t
    cdef int outside = 0
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        outside += bag_means(c, min(c.n, t * share), min(c.n, (t + 1) * share))
    return OUT_OF_RANGE if outside else SUCCESS


def embedding_mean(cnp.ndarray weight, cnp.ndarray indices, cnp.ndarray lengths, cnp.ndarray out, int n_threads,
                   Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.x, c.out = run_embedding_mean, data_of(weight), data_of(out)
    c.labels, c.lengths = <const int64_t*>cnp.PyArray_DATA(indices), <const int64_t*>cnp.PyArray_DATA(lengths)
    c.n, c.steps = cnp.PyArray_DIM(indices, 0), cnp.PyArray_DIM(indices, 1)
    c.rows, c.channels = cnp.PyArray_DIM(weight, 0), cnp.PyArray_DIM(weight, 1)
    return finish(c, into, (weight, indices, lengths, out))


cdef int bag_gradient(const Call* call, Py_ssize_t column, Py_ssize_t end) noexcept nogil:
    # Columns column..end of the table's gradient; all words in their order, so that sums do not depend on how columns are divided.
    cdef Py_ssize_t row, c, n
    cdef int64_t length, t
    cdef const int64_t* bag
    cdef const real* slope
    cdef real* target
    cdef vector part
    cdef int outside = 0
    if column == 0 and end == call.channels:
        memset(call.out, 0, call.rows * call.channels * sizeof(real))
    else:
        for row in range(call.rows):
            memset(call.out + row * call.channels + column, 0, (end - column) * sizeof(real))
    for row in range(call.n):
        bag, length, slope = call.labels + row * call.steps, call.lengths[row], call.x + row * call.channels
        if not bag_is_inside(bag, length, call.steps, call.rows):
            outside = 1
            continue
        if length == 0:
            continue
        c = column
        while c < end:
            n = min(LANES, end - c)
            if n == LANES:
                part = vector_divide(vector_load(slope + c), <real>length)
                for t in range(length):
                    target = call.out + bag[t] * call.channels + c
                    vector_store(target, vector_load(target) + part)
            else:
                part = vector_divide(vector_load_head(slope + c, n), <real>length)
                for t in range(length):
                    target = call.out + bag[t] * call.channels + c
                    vector_store_head(target, vector_load_head(target, n) + part, n)
            c += n
    return outside


cdef int run_embedding_mean_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t vectors = (c.channels + LANES - 1) // LANES, share, t
    cdef int outside = 0
    share = (vectors + c.n_threads - 1) // c.n_threads * LANES
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        if t * share < c.channels:
            outside += bag_gradient(c, t * share, min(c.channels, (t + 1) * share))
    return OUT_OF_RANGE if outside else SUCCESS


def embedding_mean_backward(cnp.ndarray dy, cnp.ndarray indices, cnp.ndarray lengths, cnp.ndarray out, int n_threads,
                            Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.x, c.out = run_embedding_mean_backward, data_of(dy), data_of(out)
    c.labels, c.lengths = <const int64_t*>cnp.PyArray_DATA(indices), <const int64_t*>cnp.PyArray_DATA(lengths)
    c.n, c.steps = cnp.PyArray_DIM(indices, 0), cnp.PyArray_DIM(indices, 1)
    c.rows, c.channels = cnp.PyArray_DIM(out, 0), cnp.PyArray_DIM(out, 1)
    return finish(c, into, (dy, indices, lengths, out))
