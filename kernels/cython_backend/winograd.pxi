# 3x3 convolutions of many channels in 4 / 9 of the multiplications: F(2x2, 3x3) of Lavin & Gray, "Fast algorithms for
# convolutional neural networks" (CVPR 2016), after Winograd, "Arithmetic complexity of computations" (1980).
#
#   forward             Y  = A' [ (G W G') * (B' X B) ] A       2x2 pixels of Y from 4x4 pixels of X, for each channel
#   backward, input     the same with dY for X, and the filters transposed and turned around
#   backward, weight    dW = G' [ sum (A dY A') * (B' X B) ] G   the adjoint of forward
#
# where * is, at each of the 16 positions of a transformed tile, a product of matrices over the channels:
#
#   V (position, tile, channel) @ U (position, channel, filter) = M (position, tile, filter)
#
# A block of BLOCK_TILES tiles is transformed, multiplied and transformed back while it is in the second-level cache. 2x2 is
# the largest tile whose errors stay inside the tolerance of the spec: 1.4 times the rounding errors of the plain sum, where
# F(4x4, 3x3) makes 10 times as large ones (docs/decisions/0012).
#
# Sums of infinities cancel to NaN in other places than in the plain sum. So where a result is not finite, the caller
# computes everything anew by packing (conv2d.pxi).

cdef enum:
    POSITIONS = 16
    BLOCK_TILES = 48                                   # a multiple of every TILE_ROWS
    GRADIENT_ROWS = TILE_ROWS // 3 * 2                 # channels of one tile of dU: a power of two, that divides them

# One convolution: images (batch, in_h, in_w, in_c) -> (batch, out_h, out_w, out_c).
cdef struct Winograd:
    Py_ssize_t batch, in_h, in_w, in_c, out_h, out_w, out_c, pad_top, pad_left, tiles_h, tiles_w, n_tiles


cdef bint prefers_winograd(const Sizes* s) noexcept nogil:
    # Whole vectors of channels, and enough tiles to pay for transforming the filters.
    return (s.kernel_h == 3 and s.kernel_w == 3 and s.stride_h == 1 and s.stride_w == 1 and s.dilation_h == 1
            and s.dilation_w == 1 and s.groups == 1 and 0 <= s.pad_top <= 2 and 0 <= s.pad_left <= 2
            and s.in_c % LANES == 0 and s.out_c % LANES == 0 and s.in_c % GRADIENT_ROWS == 0
            and s.in_c <= BLOCK_DEPTH and s.out_c <= BLOCK_DEPTH and s.batch * s.out_h * s.out_w >= 4 * BLOCK_TILES)


cdef Winograd winograd_forward(const Sizes* s) noexcept nogil:
    cdef Winograd g
    g.batch, g.in_h, g.in_w, g.in_c = s.batch, s.in_h, s.in_w, s.in_c
    g.out_h, g.out_w, g.out_c, g.pad_top, g.pad_left = s.out_h, s.out_w, s.out_c, s.pad_top, s.pad_left
    g.tiles_h, g.tiles_w = (g.out_h + 1) // 2, (g.out_w + 1) // 2
    g.n_tiles = g.batch * g.tiles_h * g.tiles_w
    return g


cdef Winograd winograd_backward(const Sizes* s) noexcept nogil:
    cdef Winograd g
    g.batch, g.in_h, g.in_w, g.in_c = s.batch, s.out_h, s.out_w, s.out_c
    g.out_h, g.out_w, g.out_c, g.pad_top, g.pad_left = s.in_h, s.in_w, s.in_c, 2 - s.pad_top, 2 - s.pad_left
    g.tiles_h, g.tiles_w = (g.out_h + 1) // 2, (g.out_w + 1) // 2
    g.n_tiles = g.batch * g.tiles_h * g.tiles_w
    return g


# -- transforms ----------------------------------------------------------------------------------------------------------


cdef void transform_filters(const Winograd* g, const real* w, real* u) noexcept nogil:
    # u[position] = panels of G W G', as the tile reads them: width columns beside each other, channel by channel.
    cdef Py_ssize_t c, j = 0, lane, width, position, r, q
    cdef Py_ssize_t size = g.in_c * g.out_c
    cdef vector t[4 * 3]
    cdef vector f[3 * 3]
    cdef vector out[4]
    cdef real* target
    cdef real half = <real>0.5
    while j < g.out_c:
        width = TILE_COLUMNS if g.out_c - j > LANES else LANES
        for c in range(g.in_c):
            lane = 0
            while lane < width:
                for r in range(9):
                    f[r] = vector_load(w + (r * g.in_c + c) * g.out_c + j + lane)
                for q in range(3):
                    t[q] = f[q]
                    t[3 + q] = half * (f[q] + f[6 + q] + f[3 + q])
                    t[6 + q] = half * (f[q] + f[6 + q] - f[3 + q])
                    t[9 + q] = f[6 + q]
                target = u + j * g.in_c + c * width + lane
                for r in range(4):
                    out[0] = t[3 * r]
                    out[1] = half * (t[3 * r] + t[3 * r + 2] + t[3 * r + 1])
                    out[2] = half * (t[3 * r] + t[3 * r + 2] - t[3 * r + 1])
                    out[3] = t[3 * r + 2]
                    for q in range(4):
                        vector_store(target + (4 * r + q) * size, out[q])
                lane += LANES
        j += width


cdef inline void tile_pixels(const Winograd* g, const real* x, const real* zeros, Py_ssize_t image, Py_ssize_t th,
                             Py_ssize_t tw, const real** pixels) noexcept nogil:
    # Where the 4x4 pixels under a tile lie; those in the padding are zeros.
    cdef Py_ssize_t r, q, h = 2 * th - g.pad_top, w = 2 * tw - g.pad_left
    for r in range(4):
        for q in range(4):
            if 0 <= h + r < g.in_h and 0 <= w + q < g.in_w:
                pixels[4 * r + q] = x + ((image * g.in_h + h + r) * g.in_w + w + q) * g.in_c
            else:
                pixels[4 * r + q] = zeros


cdef inline void transform_input(const real** pixels, Py_ssize_t channels, real* v, Py_ssize_t position) noexcept nogil:
    # v[position, channel] = B' X B
    cdef vector d[16]
    cdef vector t[16]
    cdef Py_ssize_t c = 0, i
    while c < channels:
        for i in range(16):
            d[i] = vector_load(pixels[i] + c)
        for i in range(4):
            t[i] = d[i] - d[8 + i]
            t[4 + i] = d[4 + i] + d[8 + i]
            t[8 + i] = d[8 + i] - d[4 + i]
            t[12 + i] = d[4 + i] - d[12 + i]
        for i in range(4):
            vector_store(v + (4 * i) * position + c, t[4 * i] - t[4 * i + 2])
            vector_store(v + (4 * i + 1) * position + c, t[4 * i + 1] + t[4 * i + 2])
            vector_store(v + (4 * i + 2) * position + c, t[4 * i + 2] - t[4 * i + 1])
            vector_store(v + (4 * i + 3) * position + c, t[4 * i + 1] - t[4 * i + 3])
        c += LANES


cdef void transform_images(const Winograd* g, const real* x, const real* zeros, Py_ssize_t t0, Py_ssize_t count,
                           Py_ssize_t row, real* v) noexcept nogil:
    # v[position, tile, channel] of `count` tiles; a row of v is `row` elements long.
    cdef const real* pixels[16]
    cdef Py_ssize_t i, image = t0 // (g.tiles_h * g.tiles_w), th = t0 // g.tiles_w % g.tiles_h, tw = t0 % g.tiles_w
    for i in range(count):
        tile_pixels(g, x, zeros, image, th, tw, pixels)
        transform_input(pixels, g.in_c, v + i * row, BLOCK_TILES * row)
        tw += 1
        if tw == g.tiles_w:
            tw = 0
            th += 1
            if th == g.tiles_h:
                th = 0
                image += 1


cdef inline void transform_back(const real* m, Py_ssize_t position, vector* y) noexcept nogil:
    # y (2x2) = A' M A
    cdef vector t[8]
    cdef vector d[16]
    cdef Py_ssize_t i
    for i in range(16):
        d[i] = vector_load(m + i * position)
    for i in range(4):
        t[i] = d[i] + d[4 + i] + d[8 + i]
        t[4 + i] = d[4 + i] - d[8 + i] - d[12 + i]
    for i in range(2):
        y[2 * i] = t[4 * i] + t[4 * i + 1] + t[4 * i + 2]
        y[2 * i + 1] = t[4 * i + 1] - t[4 * i + 2] - t[4 * i + 3]


cdef bint write_images(const Winograd* g, const real* m, const real* bias, int activation, Py_ssize_t t0,
                       Py_ssize_t count, real* y) noexcept nogil:
    # The pixels of `count` tiles, with bias and activation; whether all of them are finite.
    cdef Py_ssize_t i, j, width, r, h, w, image = t0 // (g.tiles_h * g.tiles_w)
    cdef Py_ssize_t th = t0 // g.tiles_w % g.tiles_h, tw = t0 % g.tiles_w
    cdef vector pixels[4]
    cdef vector shift, v, nothing = vector_zero()
    cdef real flags[LANES]
    cdef real total = 0
    cdef real* target
    for i in range(count):
        j = 0
        while j < g.out_c:
            width = TILE_COLUMNS if g.out_c - j // TILE_COLUMNS * TILE_COLUMNS > LANES else LANES
            # m[position, panel, tile, column]
            transform_back(m + j // TILE_COLUMNS * TILE_COLUMNS * BLOCK_TILES + i * width + j % TILE_COLUMNS,
                           BLOCK_TILES * g.out_c, pixels)
            shift = vector_load(bias + j) if bias != NULL else vector_zero()
            for r in range(4):
                h, w = 2 * th + r // 2, 2 * tw + r % 2
                if h < g.out_h and w < g.out_w:
                    v = pixels[r] + shift
                    nothing = nothing + (v - v)  # NaN where v is not finite
                    target = y + ((image * g.out_h + h) * g.out_w + w) * g.out_c + j
                    if activation == ACT_RELU:
                        v = vector_relu(v)
                    vector_store(target, v)
                    if activation > ACT_RELU:
                        activate_row(activation, target, LANES)
            j += LANES
        tw += 1
        if tw == g.tiles_w:
            tw = 0
            th += 1
            if th == g.tiles_h:
                th = 0
                image += 1
    vector_store(flags, nothing)
    for i in range(LANES):
        total = total + flags[i]
    return total == 0


# -- forward, and the gradient for the input -----------------------------------------------------------------------------


cdef int winograd_tiles(const Winograd* g, const real* x, const real* u, const real* bias, int activation, real* y,
                        Py_ssize_t t0, Py_ssize_t t1) noexcept nogil:
    # Tiles t0..t1, on this thread.
    cdef Py_ssize_t stride = g.in_c + LANES, v_count = POSITIONS * BLOCK_TILES * stride
    cdef real* v = <real*>workspace(SLOT_A, (v_count + g.in_c) * sizeof(real))
    cdef real* m = <real*>workspace(SLOT_B, POSITIONS * BLOCK_TILES * g.out_c * sizeof(real))
    cdef Py_ssize_t position, i, j, width, count
    cdef const real* panel
    cdef const real* rows
    cdef Target target
    cdef bint finite = True
    if v == NULL or m == NULL:
        return NO_MEMORY
    target.mode = STORE
    clear_run(v + v_count, g.in_c)
    while t0 < t1:
        count = min(BLOCK_TILES, t1 - t0)
        transform_images(g, x, v + v_count, t0, count, stride, v)
        for position in range(POSITIONS):
            j = 0
            while j < g.out_c:
                width = TILE_COLUMNS if g.out_c - j > LANES else LANES
                panel = u + (position * g.out_c + j) * g.in_c
                target.c, target.c_stride = m + (position * g.out_c + j) * BLOCK_TILES, width
                i = 0
                while i < count:
                    rows = v + (position * BLOCK_TILES + i) * stride
                    if width == TILE_COLUMNS:
                        tile_rows_2(g.in_c, rows, stride, panel, width, &target)
                    else:
                        tile_rows_1(g.in_c, rows, stride, panel, width, &target)
                    target.c += TILE_ROWS * width
                    i += TILE_ROWS
                j += width
        finite = write_images(g, m, bias, activation, t0, count, y) and finite
        t0 += count
    return SUCCESS if finite else NOT_FINITE


cdef int winograd_convolution(const Winograd* g, const real* x, const real* w, const real* bias, int activation, real* y,
                              int n_threads) noexcept nogil:
    # Whole tiles of a product to each thread: of one small image there are few blocks, and they would be shared unevenly.
    cdef Py_ssize_t share = ((g.n_tiles + n_threads - 1) // n_threads + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS, t
    cdef real* u = <real*>workspace(SLOT_PARTIAL, POSITIONS * g.in_c * g.out_c * sizeof(real))
    cdef int outcome, no_memory = 0, not_finite = 0
    if u == NULL:
        return NO_MEMORY
    transform_filters(g, w, u)
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < g.n_tiles:
            outcome = winograd_tiles(g, x, u, bias, activation, y, t * share, min(g.n_tiles, (t + 1) * share))
            no_memory += outcome == NO_MEMORY
            not_finite += outcome == NOT_FINITE
    return NO_MEMORY if no_memory else NOT_FINITE if not_finite else SUCCESS


# -- gradient for the weights --------------------------------------------------------------------------------------------


cdef inline void transform_slopes(const Winograd* g, const real* dy, Py_ssize_t image, Py_ssize_t th, Py_ssize_t tw,
                                  real* z, Py_ssize_t position) noexcept nogil:
    # z[position, filter] = A dY A'
    cdef vector d[4]
    cdef vector t[8]
    cdef Py_ssize_t j = 0, i
    cdef bint right = 2 * tw + 1 < g.out_w, below = 2 * th + 1 < g.out_h
    cdef const real* pixel = dy + ((image * g.out_h + 2 * th) * g.out_w + 2 * tw) * g.out_c
    while j < g.out_c:
        d[0] = vector_load(pixel + j)
        d[1] = vector_load(pixel + g.out_c + j) if right else vector_zero()
        d[2] = vector_load(pixel + g.out_w * g.out_c + j) if below else vector_zero()
        d[3] = vector_load(pixel + (g.out_w + 1) * g.out_c + j) if right and below else vector_zero()
        for i in range(2):
            t[i] = d[i]
            t[2 + i] = d[i] + d[2 + i]
            t[4 + i] = d[i] - d[2 + i]
            t[6 + i] = -d[2 + i]
        for i in range(4):
            vector_store(z + (4 * i) * position + j, t[2 * i])
            vector_store(z + (4 * i + 1) * position + j, t[2 * i] + t[2 * i + 1])
            vector_store(z + (4 * i + 2) * position + j, t[2 * i] - t[2 * i + 1])
            vector_store(z + (4 * i + 3) * position + j, -t[2 * i + 1])
        j += LANES


cdef inline void gradient_tile(Py_ssize_t depth, const real* v, Py_ssize_t v_row, const real* z, Py_ssize_t z_row,
                               Py_ssize_t vectors, real* du, Py_ssize_t du_row) noexcept nogil:
    # du (GRADIENT_ROWS, vectors * LANES) += v' z, both stored tile by tile
    cdef vector acc[GRADIENT_ROWS * 2]
    cdef vector b0, b1
    cdef Py_ssize_t i, k
    for i in range(GRADIENT_ROWS):
        acc[2 * i] = vector_load(du + i * du_row)
        if vectors == 2:
            acc[2 * i + 1] = vector_load(du + i * du_row + LANES)
    for k in range(depth):
        b0 = vector_load(z)
        if vectors == 2:
            b1 = vector_load(z + LANES)
        for i in range(GRADIENT_ROWS):
            acc[2 * i] = acc[2 * i] + v[i] * b0
            if vectors == 2:
                acc[2 * i + 1] = acc[2 * i + 1] + v[i] * b1
        v += v_row
        z += z_row
    for i in range(GRADIENT_ROWS):
        vector_store(du + i * du_row, acc[2 * i])
        if vectors == 2:
            vector_store(du + i * du_row + LANES, acc[2 * i + 1])


cdef int winograd_gradient_tiles(const Winograd* g, const real* x, const real* dy, Py_ssize_t t0, Py_ssize_t t1,
                                 real* du) noexcept nogil:
    # du (position, channel, filter) += that of tiles t0..t1, on this thread
    cdef Py_ssize_t v_count = POSITIONS * BLOCK_TILES * g.in_c
    cdef real* v = <real*>workspace(SLOT_A, (v_count + g.in_c) * sizeof(real))
    cdef real* z = <real*>workspace(SLOT_B, POSITIONS * BLOCK_TILES * g.out_c * sizeof(real))
    cdef Py_ssize_t position, i, j, count, t
    cdef real* target
    if v == NULL or z == NULL:
        return NO_MEMORY
    clear_run(v + v_count, g.in_c)
    while t0 < t1:
        count = min(BLOCK_TILES, t1 - t0)
        transform_images(g, x, v + v_count, t0, count, g.in_c, v)
        for i in range(count):
            t = t0 + i
            transform_slopes(g, dy, t // (g.tiles_h * g.tiles_w), t // g.tiles_w % g.tiles_h, t % g.tiles_w,
                             z + i * g.out_c, BLOCK_TILES * g.out_c)
        for position in range(POSITIONS):
            j = 0
            while j < g.out_c:
                i = 0
                while i < g.in_c:
                    target = du + (position * g.in_c + i) * g.out_c + j
                    if g.out_c - j > LANES:
                        gradient_tile(count, v + position * BLOCK_TILES * g.in_c + i, g.in_c,
                                      z + position * BLOCK_TILES * g.out_c + j, g.out_c, 2, target, g.out_c)
                    else:
                        gradient_tile(count, v + position * BLOCK_TILES * g.in_c + i, g.in_c,
                                      z + position * BLOCK_TILES * g.out_c + j, g.out_c, 1, target, g.out_c)
                    i += GRADIENT_ROWS
                j += TILE_COLUMNS if g.out_c - j > LANES else LANES
        t0 += count
    return SUCCESS


cdef int write_filters(const Winograd* g, const real* du, int n_parts, real* dw) noexcept nogil:
    # dW = G' dU G, of the sum of the threads' parts, in their order
    cdef Py_ssize_t size = g.in_c * g.out_c, e = 0, i, q, part
    cdef vector d[16]
    cdef vector t[12]
    cdef vector v, nothing = vector_zero()
    cdef real flags[LANES]
    cdef real total = 0, half = <real>0.5
    while e < size:
        for i in range(16):
            d[i] = vector_load(du + i * size + e)
            for part in range(1, n_parts):
                d[i] = d[i] + vector_load(du + (part * POSITIONS + i) * size + e)
        for q in range(4):
            t[q] = d[q] + half * (d[4 + q] + d[8 + q])
            t[4 + q] = half * (d[4 + q] - d[8 + q])
            t[8 + q] = half * (d[4 + q] + d[8 + q]) + d[12 + q]
        for i in range(3):
            for q in range(3):
                if q == 0:
                    v = t[4 * i] + half * (t[4 * i + 1] + t[4 * i + 2])
                elif q == 1:
                    v = half * (t[4 * i + 1] - t[4 * i + 2])
                else:
                    v = half * (t[4 * i + 1] + t[4 * i + 2]) + t[4 * i + 3]
                nothing = nothing + (v - v)
                vector_store(dw + (3 * i + q) * size + e, v)
        e += LANES
    vector_store(flags, nothing)
    for i in range(LANES):
        total = total + flags[i]
    return SUCCESS if total == 0 else NOT_FINITE


cdef int winograd_weight_gradient(const Winograd* g, const real* x, const real* dy, real* dw,
                                  int n_threads) noexcept nogil:
    cdef Py_ssize_t share = (g.n_tiles + n_threads - 1) // n_threads, size = POSITIONS * g.in_c * g.out_c, t
    cdef real* du = <real*>workspace(SLOT_PARTIAL, n_threads * size * sizeof(real))
    cdef int failed = 0
    if du == NULL:
        return NO_MEMORY
    memset(du, 0, n_threads * size * sizeof(real))
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < g.n_tiles:
            failed += winograd_gradient_tiles(g, x, dy, t * share, min(g.n_tiles, (t + 1) * share), du + t * size)
    if failed:
        return NO_MEMORY
    return write_filters(g, du, n_threads, dw)
