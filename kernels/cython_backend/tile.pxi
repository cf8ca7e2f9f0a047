# The register tile: a block of C of TILE_ROWS rows and one or two vectors of columns that never leaves the registers while
# a panel of A and a panel of B run past it:  acc[i, :] += a[i, k] * b[k, :]  for k = 0..depth-1  (`depth` rank-1 updates).
#
# B panels are packed k by k: width = LANES or 2 * LANES columns beside each other. A panels come in two layouts, because
# the tile only ever broadcasts single elements of A and so does not care how they lie:
#   by rows      a[i * A_STRIDE + k]    a row of A (or an image patch) is copied as it is; the stride is a constant, so all
#                                       rows are addressed off one register
#   by columns   a[k * TILE_ROWS + i]   where A itself is stored transposed
# So neither needs a transposition. Blocking: Goto & van de Geijn, ACM TOMS 34 (2008); Van Zee & van de Geijn (BLIS),
# ACM TOMS 41 (2015).
#
# Legend: i row of the tile, k depth, j column.
cdef enum:
    BLOCK_DEPTH = 384                  # k of one panel
    A_STRIDE = BLOCK_DEPTH + LANES     # not a power of two: the rows of a panel fall into different cache sets
    TILE_COLUMNS = 2 * LANES


cdef inline void tile_by_rows_2(Py_ssize_t depth, const real* a, const real* b, real* c) noexcept nogil:
    cdef vector acc[TILE_ROWS * 2]
    cdef vector b0, b1
    cdef Py_ssize_t i, k
    for i in range(TILE_ROWS * 2):
        acc[i] = vector_zero()
    for k in range(depth):
        b0 = vector_load(b + k * TILE_COLUMNS)
        b1 = vector_load(b + k * TILE_COLUMNS + LANES)
        for i in range(TILE_ROWS):
            acc[2 * i] = acc[2 * i] + a[i * A_STRIDE + k] * b0
            acc[2 * i + 1] = acc[2 * i + 1] + a[i * A_STRIDE + k] * b1
    for i in range(TILE_ROWS * 2):
        vector_store(c + i * LANES, acc[i])


cdef inline void tile_by_columns_2(Py_ssize_t depth, const real* a, const real* b, real* c) noexcept nogil:
    cdef vector acc[TILE_ROWS * 2]
    cdef vector b0, b1
    cdef Py_ssize_t i, k
    for i in range(TILE_ROWS * 2):
        acc[i] = vector_zero()
    for k in range(depth):
        b0 = vector_load(b + k * TILE_COLUMNS)
        b1 = vector_load(b + k * TILE_COLUMNS + LANES)
        for i in range(TILE_ROWS):
            acc[2 * i] = acc[2 * i] + a[k * TILE_ROWS + i] * b0
            acc[2 * i + 1] = acc[2 * i + 1] + a[k * TILE_ROWS + i] * b1
    for i in range(TILE_ROWS * 2):
        vector_store(c + i * LANES, acc[i])


cdef inline void tile_by_rows_1(Py_ssize_t depth, const real* a, const real* b, real* c) noexcept nogil:
    cdef vector acc[TILE_ROWS]
    cdef vector b0
    cdef Py_ssize_t i, k
    for i in range(TILE_ROWS):
        acc[i] = vector_zero()
    for k in range(depth):
        b0 = vector_load(b + k * LANES)
        for i in range(TILE_ROWS):
            acc[i] = acc[i] + a[i * A_STRIDE + k] * b0
    for i in range(TILE_ROWS):
        vector_store(c + i * LANES, acc[i])


cdef inline void tile_by_columns_1(Py_ssize_t depth, const real* a, const real* b, real* c) noexcept nogil:
    cdef vector acc[TILE_ROWS]
    cdef vector b0
    cdef Py_ssize_t i, k
    for i in range(TILE_ROWS):
        acc[i] = vector_zero()
    for k in range(depth):
        b0 = vector_load(b + k * LANES)
        for i in range(TILE_ROWS):
            acc[i] = acc[i] + a[k * TILE_ROWS + i] * b0
    for i in range(TILE_ROWS):
        vector_store(c + i * LANES, acc[i])
