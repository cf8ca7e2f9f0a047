# Matrix products around the register tile, and the driver that convolutions share with them.
#
#   C[i, j] = act(alpha * sum_k A[i, k] * B[k, j] + beta * C[i, j] + bias[j])
#
# Five loops (BLIS): columns by BLOCK_COLUMNS, depth by BLOCK_DEPTH -> pack B; rows by BLOCK_ROWS -> pack A; then tiles.
# A and B are `Operand`s: strided matrices, or the patches of images, which exist only while they are being packed.
# Threads divide the rows (or the depth, where there are few rows) and each packs for itself: no waiting, and the same
# sums in the same order at every run with the same number of threads.
#
# Legend: i rows 0..m, j columns 0..n, k depth.

cdef enum:
    BLOCK_ROWS = 240       # a multiple of every TILE_ROWS: 240 * 400 floats = 384 KB, in the second-level cache
    BLOCK_COLUMNS = 2048
    SLOT_A = 0
    SLOT_B = 1
    SLOT_PARTIAL = 2
    STRIDED = 0
    PATCHES = 1
    PATCHES_TRANSPOSED = 2
    BY_ROWS = 0
    BY_COLUMNS = 1

cdef enum:
    ACT_NONE = 0
    ACT_RELU = 1
    ACT_SIGMOID = 2
    ACT_TANH = 3

# Where the pixel under a kernel position lies:  source = (out * step + tap * tap_step + offset) / divisor, where that divides.
# Forward: step = stride, tap_step = dilation, offset = -padding, divisor = 1. Gradient for the input: the roles of the
# images are exchanged, step = 1, tap_step = -dilation, offset = padding, divisor = stride.
cdef struct Patches:
    const real* image       # (batch, height, width, channels_total), shifted to the first channel of the group
    Py_ssize_t height, width, channels_total, channels
    Py_ssize_t kernel_h, kernel_w, out_h, out_w
    Py_ssize_t step_h, step_w, tap_h, tap_w, offset_h, offset_w, divisor_h, divisor_w

cdef struct Operand:
    int kind
    const real* data
    Py_ssize_t row_stride, column_stride   # in elements
    Patches patches

cdef struct Product:
    Operand a, b
    real* c
    Py_ssize_t m, n, k, c_stride
    real alpha, beta
    const real* bias
    int activation


cdef int activation_code(str name):
    return ACT_NONE if name is None else ACT_RELU if name == "relu" else ACT_SIGMOID if name == "sigmoid" else ACT_TANH


cdef inline void copy_run(real* target, const real* source, Py_ssize_t n) noexcept nogil:
    # Runs are a few elements long (channels, or a row of a kernel): a call of memcpy would cost more than the copy.
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        vector_store(target + i, vector_load(source + i))
        i += LANES
    while i < n:
        target[i] = source[i]
        i += 1


cdef inline void clear_run(real* target, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        target[i] = 0


cdef void fill_taps(const Patches* p, Py_ssize_t pixel, Py_ssize_t tap0, Py_ssize_t count, real* target) noexcept nogil:
    # target[t] = the patch of output pixel `pixel` at (kernel_h, kernel_w, channel) number tap0 + t, for t < count
    cdef Py_ssize_t ow = pixel % p.out_w
    cdef Py_ssize_t oh = (pixel // p.out_w) % p.out_h
    cdef Py_ssize_t image = pixel // p.out_w // p.out_h
    cdef Py_ssize_t base_h = oh * p.step_h + p.offset_h, base_w = ow * p.step_w + p.offset_w
    cdef Py_ssize_t run = p.kernel_w * p.channels   # taps of one kernel row
    cdef Py_ssize_t kh = tap0 // run, at = tap0 - kh * run, done = 0, n, h, w, kw, c, left, lo, hi
    cdef const real* row
    cdef bint dense = p.channels == p.channels_total and p.tap_w == 1 and p.divisor_w == 1
    while done < count:
        n = min(run - at, count - done)
        h = base_h + kh * p.tap_h
        if h < 0 or h % p.divisor_h != 0 or h // p.divisor_h >= p.height:
            clear_run(target + done, n)
        else:
            row = p.image + (image * p.height + h // p.divisor_h) * p.width * p.channels_total
            if dense:
                # The whole kernel row lies in one piece: elements [left + at, left + at + n) of the image row, cut at its ends.
                left = base_w * p.channels + at
                lo = min(max(-left, 0), n)
                hi = min(max(p.width * p.channels - left, lo), n)
                clear_run(target + done, lo)
                copy_run(target + done + lo, row + left + lo, hi - lo)
                clear_run(target + done + hi, n - hi)
            else:
                lo = 0
                while lo < n:
                    kw = (at + lo) // p.channels
                    c = at + lo - kw * p.channels
                    hi = min(p.channels - c, n - lo)
                    w = base_w + kw * p.tap_w
                    if w < 0 or w % p.divisor_w != 0 or w // p.divisor_w >= p.width:
                        clear_run(target + done + lo, hi)
                    else:
                        copy_run(target + done + lo, row + (w // p.divisor_w) * p.channels_total + c, hi)
                    lo += hi
        done += n
        kh += 1
        at = 0


cdef int layout_of(const Operand* a) noexcept nogil:
    if a.kind == PATCHES_TRANSPOSED or (a.kind == STRIDED and a.row_stride == 1 and a.column_stride != 1):
        return BY_COLUMNS
    return BY_ROWS


cdef void pack_a(const Operand* a, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t k0, Py_ssize_t depth, real* panels,
                 real* scratch) noexcept nogil:
    # panels[i // TILE_ROWS] = that many rows of A in one of the two layouts; the last panel's missing rows are zeros.
    cdef Py_ssize_t i, k, r, n
    cdef Py_ssize_t n_panels = (rows + TILE_ROWS - 1) // TILE_ROWS
    cdef real* target
    cdef const real* source
    if layout_of(a) == BY_ROWS:
        for i in range(rows):
            target = panels + i * A_STRIDE
            if a.kind == PATCHES:
                fill_taps(&a.patches, i0 + i, k0, depth, target)
            else:
                source = a.data + (i0 + i) * a.row_stride + k0 * a.column_stride
                if a.column_stride == 1:
                    copy_run(target, source, depth)
                else:
                    for k in range(depth):
                        target[k] = source[k * a.column_stride]
        for i in range(rows, n_panels * TILE_ROWS):
            clear_run(panels + i * A_STRIDE, depth)
        return
    for k in range(depth):
        if a.kind == PATCHES_TRANSPOSED:
            fill_taps(&a.patches, k0 + k, i0, rows, scratch)
            source = scratch
        else:
            source = a.data + i0 + (k0 + k) * a.column_stride
        for i in range(n_panels):
            target = panels + i * TILE_ROWS * A_STRIDE + k * TILE_ROWS
            n = min(TILE_ROWS, rows - i * TILE_ROWS)
            if n == TILE_ROWS:
                for r in range(TILE_ROWS):
                    target[r] = source[i * TILE_ROWS + r]
            else:
                for r in range(n):
                    target[r] = source[i * TILE_ROWS + r]
                clear_run(target + n, TILE_ROWS - n)


cdef void pack_b(const Operand* b, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t k0, Py_ssize_t depth,
                 real* panels) noexcept nogil:
    # Panels of TILE_COLUMNS columns, k by k; a last one of LANES where that many hold the rest. Missing columns are zeros.
    cdef Py_ssize_t j = 0, k, r, n, width, block
    cdef real* target
    cdef const real* source
    while j < columns:
        width = TILE_COLUMNS if columns - j > LANES else LANES
        n = min(width, columns - j)
        target = panels + j * depth
        source = b.data + k0 * b.row_stride + (j0 + j) * b.column_stride
        if b.column_stride == 1 and n == TILE_COLUMNS:
            for k in range(depth):
                vector_store(target + k * TILE_COLUMNS, vector_load(source + k * b.row_stride))
                vector_store(target + k * TILE_COLUMNS + LANES, vector_load(source + k * b.row_stride + LANES))
        elif b.column_stride == 1:
            for k in range(depth):
                copy_run(target + k * width, source + k * b.row_stride, n)
                clear_run(target + k * width + n, width - n)
        else:
            # B is stored transposed: read along k, in blocks whose target stays in the first-level cache.
            block = 0
            while block < depth:
                for r in range(n):
                    for k in range(block, min(block + 64, depth)):
                        target[k * width + r] = source[k * b.row_stride + r * b.column_stride]
                block += 64
            if n < width:
                for k in range(depth):
                    clear_run(target + k * width + n, width - n)
        j += width


cdef void activate_row(int activation, real* row, Py_ssize_t n) noexcept nogil:
    if activation == ACT_RELU:
        relu_range(row, row, n)
    elif activation == ACT_SIGMOID:
        sigmoid_range(row, row, n)
    elif activation == ACT_TANH:
        tanh_range(row, row, n)


cdef inline void write_tile(const Product* p, const real* tile, Py_ssize_t width, Py_ssize_t i0, Py_ssize_t j0,
                            Py_ssize_t rows, Py_ssize_t columns, real beta, bint last) noexcept nogil:
    # C = alpha * tile + beta * C, and with the last block of the depth the bias and the activation. beta = 0 reads no C.
    cdef Py_ssize_t i, j
    cdef real alpha = p.alpha
    cdef real* c
    cdef const real* t
    for i in range(rows):
        c = p.c + (i0 + i) * p.c_stride + j0
        t = tile + i * width
        if beta == 0:
            for j in range(columns):
                c[j] = alpha * t[j]
        elif beta == 1:
            for j in range(columns):
                c[j] = c[j] + alpha * t[j]
        else:
            for j in range(columns):
                c[j] = beta * c[j] + alpha * t[j]
        if last:
            if p.bias != NULL:
                for j in range(columns):
                    c[j] = c[j] + p.bias[j0 + j]
            if p.activation != ACT_NONE:
                activate_row(p.activation, c, columns)


cdef void multiply_block(const Product* p, const real* a_panels, const real* b_panels, int layout, Py_ssize_t i0,
                         Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t depth, real beta,
                         bint last) noexcept nogil:
    cdef real tile[TILE_ROWS * TILE_COLUMNS]
    cdef Py_ssize_t i, j = 0, width
    cdef const real* a
    cdef const real* b
    while j < columns:
        width = TILE_COLUMNS if columns - j > LANES else LANES
        b = b_panels + j * depth
        i = 0
        while i < rows:
            a = a_panels + i * A_STRIDE
            if width == TILE_COLUMNS:
                if layout == BY_ROWS:
                    tile_by_rows_2(depth, a, b, tile)
                else:
                    tile_by_columns_2(depth, a, b, tile)
            elif layout == BY_ROWS:
                tile_by_rows_1(depth, a, b, tile)
            else:
                tile_by_columns_1(depth, a, b, tile)
            write_tile(p, tile, width, i0 + i, j0 + j, min(TILE_ROWS, rows - i), min(width, columns - j), beta, last)
            i += TILE_ROWS
        j += width


cdef int multiply(const Product* p, Py_ssize_t i_begin, Py_ssize_t i_end, Py_ssize_t k_begin,
                  Py_ssize_t k_end) noexcept nogil:
    # Rows i_begin..i_end of C, of depth k_begin..k_end, on this thread. Returns -1 where there is no memory for the panels.
    cdef Py_ssize_t columns_max = min(p.n, BLOCK_COLUMNS), depth_max = min(k_end - k_begin, BLOCK_DEPTH)
    cdef Py_ssize_t rows_max = min(i_end - i_begin + TILE_ROWS, BLOCK_ROWS + TILE_ROWS)
    cdef size_t a_count = rows_max * A_STRIDE, b_count = (columns_max + TILE_COLUMNS) * depth_max
    cdef real* a_panels = <real*>workspace(SLOT_A, (a_count + rows_max) * sizeof(real))
    cdef real* b_panels = <real*>workspace(SLOT_B, b_count * sizeof(real))
    cdef Py_ssize_t i, j = 0, k, rows, columns, depth
    cdef int layout = layout_of(&p.a)
    cdef bint last
    if a_panels == NULL or b_panels == NULL:
        return -1
    while j < p.n:
        columns = min(BLOCK_COLUMNS, p.n - j)
        k = k_begin
        while k < k_end:
            depth = min(BLOCK_DEPTH, k_end - k)
            last = k + depth == k_end
            pack_b(&p.b, j, columns, k, depth, b_panels)
            i = i_begin
            while i < i_end:
                rows = min(BLOCK_ROWS, i_end - i)
                pack_a(&p.a, i, rows, k, depth, a_panels, a_panels + a_count)
                multiply_block(p, a_panels, b_panels, layout, i, rows, j, columns, depth,
                               p.beta if k == k_begin else <real>1, last)
                i += BLOCK_ROWS
            k += BLOCK_DEPTH
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
    if p.m == 0 or p.n == 0:
        return 0
    if p.k == 0:
        scale_only(p)
        return 0
    if n_threads == 1 or <double>p.m * p.n * p.k < 1e5:
        return multiply(p, 0, p.m, 0, p.k)
    if p.m >= n_threads * 4 * TILE_ROWS or p.k < 4 * p.m:
        return multiply_by_rows(p, n_threads)
    return multiply_by_depth(p, n_threads)


cdef const real* data_or_null(x) except? NULL:
    if x is None:
        return NULL
    return <const real*>cnp.PyArray_DATA(<cnp.ndarray?>x)


cdef void describe_matrix(Operand* operand, cnp.ndarray x):
    operand.kind = STRIDED
    operand.data = <const real*>cnp.PyArray_DATA(x)
    operand.row_stride = cnp.PyArray_STRIDE(x, 0) // <Py_ssize_t>sizeof(real)
    operand.column_stride = cnp.PyArray_STRIDE(x, 1) // <Py_ssize_t>sizeof(real)


def gemm(cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, double alpha, double beta, bias, str activation, int n_threads):
    cdef Product p
    cdef int failed
    memset(&p, 0, sizeof(Product))
    describe_matrix(&p.a, a)
    describe_matrix(&p.b, b)
    p.c = <real*>cnp.PyArray_DATA(out)
    p.m, p.k, p.n = cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(b, 1)
    p.c_stride = p.n
    p.alpha, p.beta = <real>alpha, <real>beta
    p.bias = data_or_null(bias)
    p.activation = activation_code(activation)
    with nogil:
        failed = run_product(&p, n_threads)
    if failed:
        raise MemoryError("no memory for the packing buffers of gemm")
