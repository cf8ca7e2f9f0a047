# Products with very few rows, as in the prediction of one sample: nothing would be read often enough to pay for packing.
#
#   B as stored          rows of B are read along; each row of A has up to eight vectors of C in registers
#   one column of A      times one row of B: written as it is
#   B transposed         eight columns at a time are scalar products along the memory; of fewer, each has several sums
#
# Legend: i row, j column, k depth.

cdef enum:
    SKINNY_ROWS = 4
    SKINNY_VECTORS = TILE_ROWS // 12 * 2 + 2     # of C for two to four rows: 4 where there are 32 registers, else 2
    DOTS = 8


cdef bint prefers_skinny(const Product* p) noexcept nogil:
    if p.a.kind != STRIDED or p.m > SKINNY_ROWS or p.k == 0:
        return False
    return p.b.column_stride == 1 or (p.b.row_stride == 1 and p.a.column_stride == 1)


cdef inline void finish_run(const Product* p, real* c, Py_ssize_t j, vector sum) noexcept nogil:
    # One vector of C, but for the activation.
    cdef vector value = p.alpha * sum
    if p.beta != 0:
        value = value + p.beta * vector_load(c)
    if p.bias != NULL:
        value = value + vector_load(p.bias + j)
    vector_store(c, value)


cdef inline void finish_head(const Product* p, real* c, Py_ssize_t j, vector sum, Py_ssize_t columns) noexcept nogil:
    # The first `columns` of it.
    cdef vector value = p.alpha * sum
    if p.beta != 0:
        value = value + p.beta * vector_load_head(c, columns)
    if p.bias != NULL:
        value = value + vector_load_head(p.bias + j, columns)
    vector_store_head(c, value, columns)


cdef inline void skinny_tile(int rows, int vectors, const Product* p, const real* b, Py_ssize_t b_k, Py_ssize_t i0,
                             Py_ssize_t j, Py_ssize_t columns) noexcept nogil:
    # `rows` rows from i0, `vectors` vectors of columns from j; of the last one `columns` columns only are there.
    cdef vector acc[SKINNY_ROWS * DOTS]
    cdef vector b_v[DOTS]
    cdef const real* a = p.a.data + i0 * p.a.row_stride
    cdef real* c
    cdef Py_ssize_t i, v, k = p.k
    for i in range(rows * vectors):
        acc[i] = vector_zero()
    while True:  # p.k > 0; a loop that ends at its end, as in tile.pxi
        for v in range(vectors):
            b_v[v] = vector_load(b + v * LANES)
        for i in range(rows):
            for v in range(vectors):
                acc[i * vectors + v] = acc[i * vectors + v] + a[i * p.a.row_stride] * b_v[v]
        a += p.a.column_stride
        b += b_k
        k -= 1
        if k == 0:
            break
    for i in range(rows):
        c = p.c + (i0 + i) * p.c_stride + j
        if columns == LANES:
            for v in range(vectors):
                finish_run(p, c + v * LANES, j + v * LANES, acc[i * vectors + v])
        else:
            finish_head(p, c, j, acc[i * vectors], columns)


cdef inline void skinny_columns(int rows, int vectors, const Product* p, Py_ssize_t i0, const real* rest) noexcept nogil:
    # All columns of `rows` rows; those beyond the last whole vector are packed in `rest`.
    cdef Py_ssize_t j = 0
    while j + vectors * LANES <= p.n:
        skinny_tile(rows, vectors, p, p.b.data + j, p.b.row_stride, i0, j, LANES)
        j += vectors * LANES
    while j + LANES <= p.n:
        skinny_tile(rows, 1, p, p.b.data + j, p.b.row_stride, i0, j, LANES)
        j += LANES
    if j < p.n:
        skinny_tile(rows, 1, p, rest, LANES, i0, j, p.n - j)


cdef inline void skinny_dots(int columns, const Product* p, const real* a, const real* b, real* sums) noexcept nogil:
    # sums[j] = sum over k of a[k] * b[j * column_stride + k]; there are DOTS sums, so that no addition waits for the last one
    cdef vector acc[DOTS]
    cdef vector a_v
    cdef Py_ssize_t k = 0, j, u
    for j in range(DOTS):
        acc[j] = vector_zero()
    while k + DOTS // columns * LANES <= p.k:
        for u in range(DOTS // columns):
            a_v = vector_load(a + k)
            for j in range(columns):
                acc[u * columns + j] = acc[u * columns + j] + a_v * vector_load(b + j * p.b.column_stride + k)
            k += LANES
    while k + LANES <= p.k:
        for j in range(columns):
            acc[j] = acc[j] + vector_load(a + k) * vector_load(b + j * p.b.column_stride + k)
        k += LANES
    for j in range(columns):
        for u in range(1, DOTS // columns):
            acc[j] = acc[j] + acc[u * columns + j]
        sums[j] = vector_sum(acc[j])
    while k < p.k:
        for j in range(columns):
            sums[j] = sums[j] + a[k] * b[j * p.b.column_stride + k]
        k += 1


cdef int skinny_product(const Product* p) noexcept nogil:
    cdef Py_ssize_t i = 0, j, k, whole = p.n // LANES * LANES, columns
    cdef real* rest
    cdef real sums[DOTS]
    cdef const real* a
    cdef const real* b
    cdef real* c
    if p.b.column_stride == 1 and not (p.n == 1 and p.b.row_stride == 1 and p.a.column_stride == 1):
        rest = <real*>workspace(SLOT_B, (p.k * LANES + LANES) * sizeof(real))
        if rest == NULL:
            return -1
        if whole < p.n:
            for k in range(p.k):
                copy_run(rest + k * LANES, p.b.data + k * p.b.row_stride + whole, p.n - whole)
                clear_run(rest + k * LANES + p.n - whole, LANES - (p.n - whole))
        if p.m == 1:
            skinny_columns(1, DOTS, p, 0, rest)
        elif p.m == 2:
            skinny_columns(2, SKINNY_VECTORS, p, 0, rest)
        elif p.m == 3:
            skinny_columns(3, SKINNY_VECTORS, p, 0, rest)
        else:
            skinny_columns(4, SKINNY_VECTORS, p, 0, rest)
    else:
        for i in range(p.m):
            c = p.c + i * p.c_stride
            j = 0
            while j < p.n:
                a, b = p.a.data + i * p.a.row_stride, p.b.data + j * p.b.column_stride
                if p.n - j >= 8:
                    columns = 8
                    skinny_dots(8, p, a, b, sums)
                elif p.n - j >= 4:
                    columns = 4
                    skinny_dots(4, p, a, b, sums)
                elif p.n - j >= 2:
                    columns = 2
                    skinny_dots(2, p, a, b, sums)
                else:
                    columns = 1
                    skinny_dots(1, p, a, b, sums)
                for k in range(columns):
                    c[j + k] = (p.alpha * sums[k] + (p.beta * c[j + k] if p.beta != 0 else 0)
                                + (p.bias[j + k] if p.bias != NULL else 0))
                j += columns
    if p.activation != ACT_NONE:
        for i in range(p.m):
            activate_row(p.activation, p.c + i * p.c_stride, p.n)
    return 0


cdef bint prefers_outer(const Product* p, int n_threads) noexcept nogil:
    return p.k == 1 and p.a.kind == STRIDED and p.b.column_stride == 1 and n_threads == 1


cdef int outer_product(const Product* p) noexcept nogil:
    # One column times one row: each element is written once, and nothing is added up.
    cdef Py_ssize_t i, j
    cdef real* c
    cdef real a
    for i in range(p.m):
        a = p.a.data[i * p.a.row_stride]
        c = p.c + i * p.c_stride
        j = 0
        while j + LANES <= p.n:
            finish_run(p, c + j, j, a * vector_load(p.b.data + j))
            j += LANES
        if j < p.n:
            finish_head(p, c + j, j, a * vector_load_head(p.b.data + j, p.n - j), p.n - j)
        if p.activation != ACT_NONE:
            activate_row(p.activation, c, p.n)
    return 0
