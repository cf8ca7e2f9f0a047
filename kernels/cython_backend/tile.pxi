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
    BLOCK_DEPTH = 512                  # k of one panel
    A_STRIDE = BLOCK_DEPTH + LANES     # not a power of two: the rows of a panel fall into different cache sets
    TILE_COLUMNS = 2 * LANES
    HALF_LANES = LANES // 2
    THIRD_ROWS = TILE_ROWS // 3
    TWO_THIRDS_ROWS = 2 * THIRD_ROWS


# What becomes of a tile: C = act(alpha * tile + beta * C + bias).
cdef struct Target:
    real* c                       # the tile's first element
    Py_ssize_t c_stride
    int mode
    real alpha, beta
    real floor                    # 0 for ReLU, NaN for none
    real bias[TILE_COLUMNS]
    Py_ssize_t rows, head         # PART: how many rows there are, and how many lanes of the last vector

cdef enum:
    STORE = 0                     # C = tile
    ADD = 1                       # C = tile + C
    FINISH = 2                    # all of it but beta
    PART = 3                      # all of it; of a tile that may hang over the edge of C


cdef inline void accumulate(int rows, int vectors, Py_ssize_t depth, const real* a, Py_ssize_t a_i, Py_ssize_t a_k, const real* b,
                            Py_ssize_t b_k, vector* acc) noexcept nogil:
    # acc[i, :] = sum over k of a[i * a_i + k * a_k] * b[k * b_k, :]; depth > 0. The loop ends at its end: if it could be left out,
    # the compiler would keep the accumulators in memory before and after it.
    cdef vector b0, b1
    cdef Py_ssize_t i
    for i in range(rows * vectors):
        acc[i] = vector_zero()
    while True:
        b0 = vector_load(b)
        if vectors == 2:
            b1 = vector_load(b + LANES)
            for i in range(rows):
                acc[2 * i] = acc[2 * i] + a[i * a_i] * b0
                acc[2 * i + 1] = acc[2 * i + 1] + a[i * a_i] * b1
        else:
            for i in range(rows):
                acc[i] = acc[i] + a[i * a_i] * b0
        a += a_k
        b += b_k
        depth -= 1
        if depth == 0:
            break


cdef inline void put(const vector* acc, int vectors, const Target* t) noexcept nogil:
    # A whole tile.
    cdef Py_ssize_t i, v
    cdef vector value
    cdef real* c = t.c
    if t.mode == STORE:
        for i in range(TILE_ROWS):
            for v in range(vectors):
                vector_store(c + v * LANES, acc[i * vectors + v])
            c += t.c_stride
    elif t.mode == ADD:
        for i in range(TILE_ROWS):
            for v in range(vectors):
                vector_store(c + v * LANES, acc[i * vectors + v] + vector_load(c + v * LANES))
            c += t.c_stride
    elif t.mode == FINISH:
        for i in range(TILE_ROWS):
            for v in range(vectors):
                value = t.alpha * acc[i * vectors + v] + vector_load(t.bias + v * LANES)
                vector_store(c + v * LANES, vector_clear_below(value, t.floor))
            c += t.c_stride
    else:
        put_part(TILE_ROWS, acc, vectors, t)


cdef inline void put_part(int rows, const vector* acc, int vectors, const Target* t) noexcept nogil:
    cdef Py_ssize_t i, v, head
    cdef vector value
    cdef real* c = t.c
    for i in range(rows):
        if i < t.rows:  # a condition, not the loop's end: the loop must vanish
            for v in range(vectors):
                head = t.head if v == vectors - 1 else LANES
                value = t.alpha * acc[i * vectors + v] + vector_load(t.bias + v * LANES)
                if t.beta != 0:
                    value = value + t.beta * vector_load_head(c + v * LANES, head)
                vector_store_head(c + v * LANES, vector_clear_below(value, t.floor), head)
            c += t.c_stride


cdef inline void tile(int vectors, Py_ssize_t depth, const real* a, Py_ssize_t a_i, Py_ssize_t a_k, const real* b, Py_ssize_t b_k,
                      const Target* t) noexcept nogil:
    cdef vector acc[TILE_ROWS * 2]
    accumulate(TILE_ROWS, vectors, depth, a, a_i, a_k, b, b_k, acc)
    put(acc, vectors, t)


cdef inline void low_tile(int vectors, Py_ssize_t depth, const real* a, Py_ssize_t a_i, Py_ssize_t a_k, const real* b,
                          Py_ssize_t b_k, const Target* t) noexcept nogil:
    # The last rows of C, where a tile of fewer rows holds them: batches of 32, 128 and 1,000 end with 8, 8 and 4 rows of 12.
    cdef vector acc[TWO_THIRDS_ROWS * 2]
    if t.rows <= THIRD_ROWS:
        accumulate(THIRD_ROWS, vectors, depth, a, a_i, a_k, b, b_k, acc)
        put_part(THIRD_ROWS, acc, vectors, t)
    else:
        accumulate(TWO_THIRDS_ROWS, vectors, depth, a, a_i, a_k, b, b_k, acc)
        put_part(TWO_THIRDS_ROWS, acc, vectors, t)


# The tile for each way that A may lie, with constants where they are known: packed by rows, packed by columns, or where the
# caller has it. B is packed (b_k = its width) or lies where the caller has it.


cdef void tile_packed_rows_2(Py_ssize_t depth, const real* a, const real* b, Py_ssize_t b_k, const Target* t) noexcept nogil:
    tile(2, depth, a, A_STRIDE, 1, b, b_k, t)


cdef void tile_packed_rows_1(Py_ssize_t depth, const real* a, const real* b, Py_ssize_t b_k, const Target* t) noexcept nogil:
    tile(1, depth, a, A_STRIDE, 1, b, b_k, t)


cdef void tile_columns_2(Py_ssize_t depth, const real* a, Py_ssize_t a_k, const real* b, Py_ssize_t b_k,
                         const Target* t) noexcept nogil:
    tile(2, depth, a, 1, a_k, b, b_k, t)


cdef void tile_columns_1(Py_ssize_t depth, const real* a, Py_ssize_t a_k, const real* b, Py_ssize_t b_k,
                         const Target* t) noexcept nogil:
    tile(1, depth, a, 1, a_k, b, b_k, t)


cdef void tile_rows_2(Py_ssize_t depth, const real* a, Py_ssize_t a_i, const real* b, Py_ssize_t b_k,
                      const Target* t) noexcept nogil:
    tile(2, depth, a, a_i, 1, b, b_k, t)


cdef void tile_rows_1(Py_ssize_t depth, const real* a, Py_ssize_t a_i, const real* b, Py_ssize_t b_k,
                      const Target* t) noexcept nogil:
    tile(1, depth, a, a_i, 1, b, b_k, t)


cdef void low_tile_rows_2(Py_ssize_t depth, const real* a, Py_ssize_t a_i, const real* b, Py_ssize_t b_k,
                          const Target* t) noexcept nogil:
    low_tile(2, depth, a, a_i, 1, b, b_k, t)


cdef void low_tile_rows_1(Py_ssize_t depth, const real* a, Py_ssize_t a_i, const real* b, Py_ssize_t b_k,
                          const Target* t) noexcept nogil:
    low_tile(1, depth, a, a_i, 1, b, b_k, t)


cdef void low_tile_columns_2(Py_ssize_t depth, const real* a, Py_ssize_t a_k, const real* b, Py_ssize_t b_k,
                             const Target* t) noexcept nogil:
    low_tile(2, depth, a, 1, a_k, b, b_k, t)


cdef void low_tile_columns_1(Py_ssize_t depth, const real* a, Py_ssize_t a_k, const real* b, Py_ssize_t b_k,
                             const Target* t) noexcept nogil:
    low_tile(1, depth, a, 1, a_k, b, b_k, t)


# Half a vector of columns, for rows of C that fill no more. Such a tile takes half the time where a vector is carried out in two
# halves (Zen 4), and writes half as much over the ends of its rows everywhere.


cdef inline void tile_half(Py_ssize_t depth, const real* a, Py_ssize_t a_i, Py_ssize_t a_k, const real* b, Py_ssize_t b_k,
                           const Target* t) noexcept nogil:
    cdef half acc[TILE_ROWS]
    cdef half b0, value
    cdef Py_ssize_t i
    cdef real* c = t.c
    for i in range(TILE_ROWS):
        acc[i] = half_zero()
    while True:
        b0 = half_load(b)
        for i in range(TILE_ROWS):
            acc[i] = acc[i] + a[i * a_i] * b0
        a += a_k
        b += b_k
        depth -= 1
        if depth == 0:
            break
    if t.mode == STORE:
        for i in range(TILE_ROWS):
            half_store(c, acc[i])
            c += t.c_stride
        return
    for i in range(TILE_ROWS):
        if t.mode != PART or i < t.rows:
            value = t.alpha * acc[i] + half_load(t.bias)
            if t.beta != 0:
                value = value + t.beta * half_load_head(c, t.head)
            value = half_clear_below(value, t.floor)
            if t.mode == PART:
                half_store_head(c, value, t.head)
            else:
                half_store(c, value)
            c += t.c_stride


cdef void tile_packed_rows_half(Py_ssize_t depth, const real* a, const real* b, Py_ssize_t b_k, const Target* t) noexcept nogil:
    tile_half(depth, a, A_STRIDE, 1, b, b_k, t)


cdef void tile_columns_half(Py_ssize_t depth, const real* a, Py_ssize_t a_k, const real* b, Py_ssize_t b_k,
                            const Target* t) noexcept nogil:
    tile_half(depth, a, 1, a_k, b, b_k, t)


cdef void tile_rows_half(Py_ssize_t depth, const real* a, Py_ssize_t a_i, const real* b, Py_ssize_t b_k,
                         const Target* t) noexcept nogil:
    tile_half(depth, a, a_i, 1, b, b_k, t)
