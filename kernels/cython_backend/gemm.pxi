# Matrix products around the register tile, and the driver that convolutions share with them.
#
#   C[i, j] = act(alpha * sum_k A[i, k] * B[k, j] + beta * C[i, j] + bias[j])
#
# Five loops (BLIS): columns by BLOCK_COLUMNS, depth by BLOCK_DEPTH -> pack B; rows by BLOCK_ROWS -> pack A; then tiles.
# A and B are `Operand`s (pack.pxi): strided matrices, or the patches of images.
# Threads divide the rows or the columns (or the depth, where there are few of both) and each packs for itself: no waiting, and the same
# sums in the same order at every run with the same number of threads.
#
# Legend: i rows 0..m, j columns 0..n, k depth.

cdef enum:
    BLOCK_ROWS = 144       # a multiple of every TILE_ROWS: 144 * 528 floats = 297 KB, in the second-level cache
    BLOCK_COLUMNS = 1024
    SLOT_A = 0
    SLOT_B = 1
    SLOT_PARTIAL = 2
    SLOT_FILTERS = 3
    IN_PLACE_COLUMNS = 4 * TILE_COLUMNS
    IN_PLACE_TILES = 4
    IN_PLACE_STRIDE = 512  # bytes between two rows of B: where they are farther apart, its panels fall into few sets of the cache
    IN_PLACE_BYTES = 1 << 20
    PREFETCHED_DEPTH = 64
    LONG_DEPTH = 512
    SHARED_PRODUCT = 100000    # multiply-adds from which a second thread pays
    SMALL_PRODUCT = 16384

cdef enum:
    ACT_NONE = 0
    ACT_RELU = 1
    ACT_SIGMOID = 2
    ACT_TANH = 3

cdef struct Product:
    Operand a, b
    real* c
    Py_ssize_t m, n, k, c_stride
    real alpha, beta
    const real* bias
    int activation


cdef void activate_row(int activation, real* row, Py_ssize_t n) noexcept nogil:
    if activation == ACT_RELU:
        relu_range(row, row, n)
    elif activation == ACT_SIGMOID:
        sigmoid_range(row, row, n)
    elif activation == ACT_TANH:
        tanh_range(row, row, n)


# A block of A as the tile reads it.
cdef struct Rows:
    int form
    const real* data
    Py_ssize_t tile_step    # elements between the first elements of two tiles
    Py_ssize_t stride       # between two rows (the forms by rows) or two columns (the form by columns)

cdef enum:
    PACKED_ROWS = 0
    BY_COLUMNS_FORM = 1     # packed, or in place where A is stored transposed
    ROWS_IN_PLACE = 2


cdef Rows packed_rows(const real* panels, int layout) noexcept nogil:
    cdef Rows rows
    rows.form = PACKED_ROWS if layout == BY_ROWS else BY_COLUMNS_FORM
    rows.data, rows.tile_step, rows.stride = panels, TILE_ROWS * A_STRIDE, A_STRIDE if layout == BY_ROWS else TILE_ROWS
    return rows


cdef inline void run_tile(const Rows* a, Py_ssize_t i, Py_ssize_t width, Py_ssize_t depth, const real* b, Py_ssize_t b_k,
                          const Target* t) noexcept nogil:
    cdef const real* data = a.data + i // TILE_ROWS * a.tile_step
    if t.rows <= TWO_THIRDS_ROWS and width > HALF_LANES:
        if a.form == BY_COLUMNS_FORM:
            if width == TILE_COLUMNS:
                low_tile_columns_2(depth, data, a.stride, b, b_k, t)
            else:
                low_tile_columns_1(depth, data, a.stride, b, b_k, t)
        elif width == TILE_COLUMNS:
            low_tile_rows_2(depth, data, a.stride, b, b_k, t)
        else:
            low_tile_rows_1(depth, data, a.stride, b, b_k, t)
    elif width == TILE_COLUMNS:
        if a.form == PACKED_ROWS:
            tile_packed_rows_2(depth, data, b, b_k, t)
        elif a.form == BY_COLUMNS_FORM:
            tile_columns_2(depth, data, a.stride, b, b_k, t)
        else:
            tile_rows_2(depth, data, a.stride, b, b_k, t)
    elif width == HALF_LANES:
        if a.form == PACKED_ROWS:
            tile_packed_rows_half(depth, data, b, b_k, t)
        elif a.form == BY_COLUMNS_FORM:
            tile_columns_half(depth, data, a.stride, b, b_k, t)
        else:
            tile_rows_half(depth, data, a.stride, b, b_k, t)
    elif a.form == PACKED_ROWS:
        tile_packed_rows_1(depth, data, b, b_k, t)
    elif a.form == BY_COLUMNS_FORM:
        tile_columns_1(depth, data, a.stride, b, b_k, t)
    else:
        tile_rows_1(depth, data, a.stride, b, b_k, t)


cdef void aim(const Product* p, Target* t, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t width, real beta,
              bint last) noexcept nogil:
    # What becomes of the tiles of one panel of columns.
    t.c_stride, t.alpha, t.beta = p.c_stride, p.alpha, beta
    t.floor = 0 if last and p.activation == ACT_RELU else <real>NAN
    if last and p.bias != NULL:
        copy_run(t.bias, p.bias + j0, columns)
        clear_run(t.bias + columns, width - columns)
    else:
        clear_run(t.bias, width)
    t.head = columns if columns <= LANES else columns - LANES


cdef int whole_mode(const Product* p, real beta, bint last) noexcept nogil:
    # How tiles that lie within C are written.
    if p.alpha == 1 and not (last and (p.bias != NULL or p.activation == ACT_RELU)):
        if beta == 0:
            return STORE
        if beta == 1:
            return ADD
    return FINISH if beta == 0 else PART


cdef inline Py_ssize_t tile_width(Py_ssize_t columns) noexcept nogil:
    # Of the tile for that many columns, or the first of them. Ten columns of double precision are a vector and half a vector.
    if columns > LANES + (HALF_LANES if HAS_HALVES else 0):
        return TILE_COLUMNS
    return HALF_LANES if HAS_HALVES and columns <= HALF_LANES else LANES


cdef void multiply_block(const Product* p, const Rows* a, const real* b_panels, Py_ssize_t i0, Py_ssize_t rows,
                         Py_ssize_t i_end, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t depth, real beta,
                         bint last) noexcept nogil:
    # Rows i0..i0 + rows, columns j0..j0 + columns of C, from panels of B that lie behind each other.
    cdef Py_ssize_t j = 0, panel, width
    while j < columns:
        width = tile_width(columns - j)
        panel = max(width, LANES)
        multiply_panel(p, a, b_panels + j * depth, panel, width, i0, rows, i_end, j0 + j, min(width, columns - j), depth, beta,
                       last)
        j += panel


cdef void multiply_panel(const Product* p, const Rows* a, const real* b, Py_ssize_t b_k, Py_ssize_t width, Py_ssize_t i0,
                         Py_ssize_t rows, Py_ssize_t i_end, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t depth, real beta,
                         bint last) noexcept nogil:
    cdef Target t
    cdef Py_ssize_t i = 0, r, whole_to
    cdef int mode = whole_mode(p, beta, last)
    # Up to which row tiles are written in whole vectors. Where C is one panel wide and nothing of it is read, also those that are
    # wider than C: what is too many falls into the next rows, which are written next.
    if columns == width:
        whole_to = rows - TILE_ROWS
    elif columns == p.n and p.c_stride == p.n and beta == 0:
        whole_to = min(rows - TILE_ROWS, i_end - i0 - TILE_ROWS - (width - columns + columns - 1) // columns)
    else:
        whole_to = -1
    aim(p, &t, j0, columns, width, beta, last)
    while i < rows:
        t.c = p.c + (i0 + i) * p.c_stride + j0
        t.rows = min(TILE_ROWS, rows - i)
        t.mode = mode if i <= whole_to else PART
        if depth > PREFETCHED_DEPTH:
            for r in range(t.rows):
                prefetch_lines(t.c + r * p.c_stride, columns * sizeof(real))
        run_tile(a, i, width, depth, b, b_k, &t)
        if last and p.activation > ACT_RELU:
            for r in range(t.rows):
                activate_row(p.activation, t.c + r * p.c_stride, columns)
        i += TILE_ROWS


cdef void multiply_rows(const Product* p, const Rows* a, const real* b_panels, Py_ssize_t packed_from, Py_ssize_t i0,
                        Py_ssize_t rows, Py_ssize_t i_end, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t k0, Py_ssize_t depth,
                        real beta, bint last) noexcept nogil:
    # As multiply_block, where B's columns lie where the caller has them, up to those that are packed.
    cdef Py_ssize_t j = 0, width
    while j < packed_from:
        width = tile_width(packed_from - j)
        multiply_panel(p, a, p.b.data + k0 * p.b.row_stride + j0 + j, p.b.row_stride, width, i0, rows, i_end, j0 + j,
                       min(width, packed_from - j), depth, beta, last)
        j += width
    multiply_block(p, a, b_panels, i0, rows, i_end, j0 + packed_from, columns - packed_from, depth, beta, last)


cdef bint reads_a_in_place(const Product* p) noexcept nogil:
    # Packing A costs about what multiplying it with one panel of B does. Rows that are a multiple of a page apart would all fall
    # into one set of the cache.
    if p.a.kind != STRIDED or p.n > 2 * IN_PLACE_COLUMNS:
        return False
    if p.a.column_stride == 1:
        return p.n <= IN_PLACE_COLUMNS and p.a.row_stride * sizeof(real) % 4096 != 0
    return p.a.row_stride == 1 and (p.n <= IN_PLACE_COLUMNS or p.a.column_stride * sizeof(real) % 4096 != 0)


cdef bint reads_b_in_place(const Product* p, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t stride = p.b.row_stride * sizeof(real)
    if p.b.kind != STRIDED or p.b.column_stride != 1:
        return False
    if rows <= 11 * TILE_ROWS:  # a batch of 128
        # Twice as far apart is no loss where all of B stays in the second-level cache.
        if stride <= IN_PLACE_STRIDE or (stride <= 2 * IN_PLACE_STRIDE and p.k * stride <= IN_PLACE_BYTES):
            return True
    return rows <= IN_PLACE_TILES * TILE_ROWS or p.b.row_stride <= TILE_COLUMNS


cdef Py_ssize_t readable_depth(const Product* p) noexcept nogil:
    # Up to which depth a tile that hangs over the edge of A or B, stored depth by depth, still reads inside of them: what it
    # reads too much is the beginning of the next row. Long sums into a small C are cut there; other products are not.
    cdef Py_ssize_t beyond = 0
    if p.a.kind != STRIDED or p.k < LONG_DEPTH or p.m * p.n > SMALL_PRODUCT:
        return 0
    if p.a.row_stride != 1 or p.b.column_stride != 1 or p.a.column_stride < p.m or p.b.row_stride < p.n:
        return 0
    beyond = max((TILE_ROWS - 1) // p.a.column_stride, (TILE_COLUMNS - 1) // p.b.row_stride) + 1
    return max(0, p.k - beyond)


cdef int multiply(const Product* p, Py_ssize_t i_begin, Py_ssize_t i_end, Py_ssize_t k_begin,
                  Py_ssize_t k_end) noexcept nogil:
    # Rows i_begin..i_end of C, of depth k_begin..k_end, on this thread. Returns -1 where there is no memory for the panels.
    # Depth and rows are cut into equal parts, so that no short one at the end pays for a whole pass over C or B.
    cdef Py_ssize_t parts = (k_end - k_begin + BLOCK_DEPTH - 1) // BLOCK_DEPTH
    cdef Py_ssize_t depth_max = (k_end - k_begin + parts - 1) // parts, columns_max = min(p.n, BLOCK_COLUMNS)
    cdef Py_ssize_t blocks = max(1, (i_end - i_begin + BLOCK_ROWS - 1) // BLOCK_ROWS)
    cdef Py_ssize_t block_rows = ((i_end - i_begin + blocks - 1) // blocks + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
    cdef Py_ssize_t rows_max = block_rows + TILE_ROWS
    cdef size_t a_count = rows_max * A_STRIDE, b_count = (columns_max + TILE_COLUMNS) * depth_max
    cdef real* a_panels = <real*>workspace(SLOT_A, (a_count + rows_max + 4 * LANES) * sizeof(real))
    cdef real* b_panels = <real*>workspace(SLOT_B, b_count * sizeof(real))
    cdef Py_ssize_t i, j = 0, k, rows, columns, depth, whole, packed_from
    cdef int layout = layout_of(&p.a)
    cdef bint last, over, a_in_place = reads_a_in_place(p), b_in_place = reads_b_in_place(p, i_end - i_begin)
    cdef Py_ssize_t readable = readable_depth(p) if a_in_place and b_in_place else 0
    cdef real beta
    cdef Rows here, packed
    if a_panels == NULL or b_panels == NULL:
        return -1
    packed = packed_rows(a_panels, layout)
    while j < p.n:
        columns = min(BLOCK_COLUMNS, p.n - j)
        k = k_begin
        while k < k_end:
            depth = min(depth_max, k_end - k)
            if k < readable < k + depth:
                depth = readable - k
            over = k + depth <= readable
            packed_from = columns if over else columns // TILE_COLUMNS * TILE_COLUMNS if b_in_place else 0
            last, beta = k + depth == k_end, p.beta if k == k_begin else <real>1
            pack_b(&p.b, j + packed_from, columns - packed_from, k, depth, True, b_panels)
            i = i_begin
            while i < i_end:
                rows = min(block_rows, i_end - i)
                whole = 0
                if a_in_place:
                    whole = rows if over else rows // TILE_ROWS * TILE_ROWS
                    here.data = p.a.data + i * p.a.row_stride + k * p.a.column_stride
                    here.form = ROWS_IN_PLACE if p.a.column_stride == 1 else BY_COLUMNS_FORM
                    here.stride = p.a.row_stride if here.form == ROWS_IN_PLACE else p.a.column_stride
                    here.tile_step = TILE_ROWS * p.a.row_stride
                    multiply_rows(p, &here, b_panels, packed_from, i, whole, i_end, j, columns, k, depth, beta, last)
                if whole < rows:
                    pack_a(&p.a, i + whole, rows - whole, k, depth, a_panels, a_panels + a_count)
                    multiply_rows(p, &packed, b_panels, packed_from, i + whole, rows - whole, i_end, j, columns, k, depth, beta,
                                  last)
                i += block_rows
            k += depth
        j += BLOCK_COLUMNS
    return 0


cdef void scale_only(const Product* p) noexcept nogil:
    # An empty sum: C = act(beta * C + bias).
    cdef Py_ssize_t i, j
    cdef real* c
    for i in range(p.m):
        c = p.c + i * p.c_stride
        for j in range(p.n):
            c[j] = (p.beta * c[j] if p.beta != 0 else 0) + (p.bias[j] if p.bias != NULL else 0)
        activate_row(p.activation, c, p.n)


cdef int multiply_by_rows(const Product* p, int n_threads) noexcept nogil:
    # Whole tiles to each thread.
    cdef Py_ssize_t share = ((p.m + n_threads - 1) // n_threads + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
    cdef Py_ssize_t t
    cdef int failed = 0
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < p.m:
            failed += multiply(p, t * share, min(p.m, (t + 1) * share), 0, p.k)
    return failed


cdef int multiply_by_columns(const Product* p, int n_threads) noexcept nogil:
    # Whole panels of B to each thread.
    cdef Py_ssize_t share = ((p.n + n_threads - 1) // n_threads + TILE_COLUMNS - 1) // TILE_COLUMNS * TILE_COLUMNS
    cdef Py_ssize_t t
    cdef int failed = 0
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < p.n:
            failed += multiply_columns(p, t * share, min(p.n, (t + 1) * share))
    return failed


cdef int multiply_columns(const Product* p, Py_ssize_t j_begin, Py_ssize_t j_end) noexcept nogil:
    cdef Product part = p[0]
    part.b.data = p.b.data + j_begin * p.b.column_stride
    part.c = p.c + j_begin
    part.n = j_end - j_begin
    if p.bias != NULL:
        part.bias = p.bias + j_begin
    return skinny_product(&part) if prefers_skinny(&part) else multiply(&part, 0, p.m, 0, p.k)


cdef int multiply_by_depth(const Product* p, int n_threads) noexcept nogil:
    # Few rows, a long sum: each thread adds up a part of the depth into memory of its own; then the parts are added in order.
    cdef Py_ssize_t share = (p.k + n_threads - 1) // n_threads
    cdef Py_ssize_t t, i, j
    cdef int failed = 0
    cdef real* partial = <real*>workspace(SLOT_PARTIAL, n_threads * p.m * p.n * sizeof(real))
    cdef Product* parts = <Product*>malloc(n_threads * sizeof(Product))
    cdef real total
    if partial == NULL or parts == NULL:
        free(parts)
        return -1
    memset(partial, 0, n_threads * p.m * p.n * sizeof(real))
    for t in range(n_threads):
        parts[t] = p[0]
        parts[t].c = partial + t * p.m * p.n
        parts[t].c_stride = p.n
        parts[t].beta = 0
        parts[t].bias = NULL
        parts[t].activation = ACT_NONE
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < p.k:
            failed += multiply(&parts[t], 0, p.m, t * share, min(p.k, (t + 1) * share))
    free(parts)
    if failed:
        return failed
    for i in range(p.m):
        for j in range(p.n):
            total = p.beta * p.c[i * p.c_stride + j] if p.beta != 0 else 0
            for t in range(n_threads):
                total = total + partial[(t * p.m + i) * p.n + j]
            p.c[i * p.c_stride + j] = total + (p.bias[j] if p.bias != NULL else 0)
        activate_row(p.activation, p.c + i * p.c_stride, p.n)
    return 0


cdef int run_product(const Product* p, int n_threads) noexcept nogil:
    cdef Product turned
    if p.m == 0 or p.n == 0:
        return 0
    if p.k == 0:
        scale_only(p)
        return 0
    if prefers_skinny(p):
        # One sample through a dense layer reads the weights once: two threads read twice as fast from a far cache.
        if n_threads > 1 and p.n >= 2 * n_threads * LANES and <double>p.m * p.n * p.k >= SHARED_PRODUCT:
            return multiply_by_columns(p, n_threads)
        return skinny_product(p)
    if prefers_outer(p, n_threads):
        return outer_product(p)
    if p.n == 1 and n_threads == 1 and p.c_stride == 1 and p.bias == NULL and p.a.kind == STRIDED:
        turned = p[0]  # A b = (b' A')', a product of one row
        turned.a, turned.b = p.b, p.a
        turned.a.row_stride, turned.a.column_stride = p.b.column_stride, p.b.row_stride
        turned.b.row_stride, turned.b.column_stride = p.a.column_stride, p.a.row_stride
        turned.m, turned.n, turned.c_stride = 1, p.m, p.m
        if prefers_skinny(&turned):
            return skinny_product(&turned)
    if n_threads == 1 or <double>p.m * p.n * p.k < SHARED_PRODUCT:
        if prefers_turned(p):
            return turned_product(p)
        return multiply(p, 0, p.m, 0, p.k)
    # The longer side of C is divided: each thread packs all of the other operand.
    if p.a.kind == STRIDED and p.n > p.m and p.n >= n_threads * TILE_COLUMNS:
        return multiply_by_columns(p, n_threads)
    if p.m >= n_threads * 4 * TILE_ROWS or p.k < 4 * p.m:
        return multiply_by_rows(p, n_threads)
    return multiply_by_depth(p, n_threads)
