# C' = B' A' in place of C = A B, where A is stored transposed and C has few columns, as the gradient for the weights of a last dense
# layer has (one column for each class). Ten columns fill ten of sixteen lanes; as rows they fill ten of a tile's twelve. A is then
# the operand whose rows are read along, each element once. C' goes through working memory, from which it is transposed.
#
# Legend: i row of C, j column of C.


cdef Py_ssize_t rows_computed(Py_ssize_t rows) noexcept nogil:
    # By tiles of whole, two thirds and a third of TILE_ROWS.
    cdef Py_ssize_t rest = rows % TILE_ROWS
    return rows - rest + (0 if rest == 0 else THIRD_ROWS if rest <= THIRD_ROWS else TWO_THIRDS_ROWS if rest <= TWO_THIRDS_ROWS
                          else TILE_ROWS)


cdef Py_ssize_t columns_computed(Py_ssize_t columns) noexcept nogil:
    cdef Py_ssize_t rest = columns % TILE_COLUMNS
    # A vector and a half are counted as two: they are two panels, and turned is faster (0.90 against 0.70 of the fastest peer).
    return columns - rest + (TILE_COLUMNS if rest > LANES else tile_width(rest) if rest else 0)


cdef Py_ssize_t cost_of_turned(const Product* p) noexcept nogil:
    # A last panel that is not whole has to be packed, which costs about as much as a product with it.
    return rows_computed(p.n) * (columns_computed(p.m) + (TILE_COLUMNS if p.m % TILE_COLUMNS else 0))


cdef bint prefers_turned(const Product* p) noexcept nogil:
    if p.a.kind != STRIDED or p.a.row_stride != 1 or p.a.column_stride == 1 or p.n >= TILE_COLUMNS or p.m < TILE_COLUMNS:
        return False
    if p.beta != 0 or p.bias != NULL or p.activation != ACT_NONE:
        return False
    return 10 * cost_of_turned(p) < 9 * rows_computed(p.m) * columns_computed(p.n)


cdef int turned_product(const Product* p) noexcept nogil:
    cdef Product turned = p[0]
    cdef Py_ssize_t i = 0, j
    cdef real* c = <real*>workspace(SLOT_PARTIAL, p.m * p.n * sizeof(real))
    if c == NULL:
        return -1
    turned.a.kind, turned.a.data = STRIDED, p.b.data
    turned.a.row_stride, turned.a.column_stride = p.b.column_stride, p.b.row_stride
    turned.b.kind, turned.b.data, turned.b.end = STRIDED, p.a.data, p.a.data + (p.k - 1) * p.a.column_stride + p.m
    turned.b.row_stride, turned.b.column_stride = p.a.column_stride, 1
    turned.m, turned.n, turned.c, turned.c_stride = p.n, p.m, c, p.m
    if multiply(&turned, 0, turned.m, 0, turned.k):
        return -1
    while i < p.m:
        j = 0
        while j < p.n:
            transpose_block(c + j * p.m + i, p.m, min(LANES, p.n - j), min(LANES, p.m - i), p.c + i * p.c_stride + j, p.c_stride,
                            min(LANES, p.n - j))
            j += LANES
        i += LANES
    return 0
