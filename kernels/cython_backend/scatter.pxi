# The gradient for the input, the other way round: dY (pixels x C_out) @ W^T (C_out x taps) gives what each output pixel sends
# to each of its taps, and that is added into dX ("col2im"). Only a block of it exists at a time.
#
# Gathering (conv2d.pxi) reads each patch of dY for C columns: with fewer channels than lanes most of a vector is idle, and with
# stride s only one tap in s * s is not a zero. Scattering wastes neither, and pays with one addition per tap and pixel.

cdef bint prefers_scatter(const Sizes* s) noexcept nogil:
    cdef Py_ssize_t channels = s.in_c // s.groups
    if s.out_c // s.groups > BLOCK_DEPTH or s.kernel_h * s.kernel_w * channels > BLOCK_COLUMNS:
        return False  # one block of depth and columns is all this loop nest has
    return s.stride_h * s.stride_w > 1 or 2 * channels <= LANES


cdef inline void add_run(real* target, const real* source, Py_ssize_t n, const real* end) noexcept nogil:
    # target += source; in whole vectors, where adding zeros to what follows stays before `end`
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        vector_store(target + i, vector_load(target + i) + vector_load(source + i))
        i += LANES
    if i < n and target + i + LANES <= end:
        vector_store(target + i, vector_load(target + i) + vector_head(vector_load(source + i), n - i))
        return
    while i < n:
        target[i] = target[i] + source[i]
        i += 1


cdef void scatter_pixel(const Sizes* s, const Pixel* pixel, const real* taps, real* dx, Py_ssize_t group,
                        const real* end) noexcept nogil:
    # dx[pixel.image, oh * stride + kh * dilation - pad, ...] += taps[kh, kw, c]
    cdef Py_ssize_t channels = s.in_c // s.groups, run = s.kernel_w * channels, kh, kw, lo, hi, h, w
    cdef Py_ssize_t left = (pixel.ow * s.stride_w - s.pad_left) * channels
    cdef real* row
    for kh in range(s.kernel_h):
        h = pixel.oh * s.stride_h + kh * s.dilation_h - s.pad_top
        if h < 0 or h >= s.in_h:
            continue
        row = dx + (pixel.image * s.in_h + h) * s.in_w * s.in_c + group * channels
        if s.groups == 1 and s.dilation_w == 1:
            lo = min(max(-left, 0), run)
            hi = min(max(s.in_w * channels - left, lo), run)
            add_run(row + left + lo, taps + kh * run + lo, hi - lo, end)
        else:
            for kw in range(s.kernel_w):
                w = pixel.ow * s.stride_w + kw * s.dilation_w - s.pad_left
                if 0 <= w < s.in_w:
                    add_run(row + w * s.in_c, taps + kh * run + kw * channels, channels, end)


cdef int scatter_images(const Sizes* s, const real* dy, const real* w, real* dx, Py_ssize_t group, Py_ssize_t n0,
                        Py_ssize_t n1) noexcept nogil:
    # Images n0..n1 of one group, on this thread.
    cdef Product p
    cdef Rows packed
    cdef Patches pixels
    cdef Pixel pixel
    cdef Py_ssize_t n_out = s.out_c // s.groups, channels = s.in_c // s.groups, i, r, rows
    cdef Py_ssize_t n_taps = s.kernel_h * s.kernel_w * channels, i_end = n1 * s.out_h * s.out_w
    cdef real* a_panels = <real*>workspace(SLOT_A, (BLOCK_ROWS * A_STRIDE + BLOCK_ROWS + 4 * LANES) * sizeof(real))
    cdef real* b_panels = <real*>workspace(SLOT_B, (n_taps + TILE_COLUMNS) * n_out * sizeof(real))
    cdef Py_ssize_t columns = (n_taps + LANES - 1) // LANES * LANES  # whole vectors: what is too many is never read
    cdef real* taps = <real*>workspace(SLOT_PARTIAL, (BLOCK_ROWS * columns + LANES) * sizeof(real))
    cdef const real* end = dx + n1 * s.in_h * s.in_w * s.in_c
    if a_panels == NULL or b_panels == NULL or taps == NULL:
        return -1
    memset(&p, 0, sizeof(Product))
    p.a.kind, p.b.kind = STRIDED, STRIDED
    p.a.data, p.a.row_stride, p.a.column_stride = dy + group * n_out, s.out_c, 1
    p.b.data, p.b.row_stride, p.b.column_stride = w + group * n_out, 1, s.out_c
    p.b.end = w + n_taps * s.out_c
    p.n, p.k, p.c, p.c_stride = columns, n_out, taps, columns
    p.alpha = 1
    pixels.out_h, pixels.out_w = s.out_h, s.out_w
    packed = packed_rows(a_panels, layout_of(&p.a))
    pack_b(&p.b, 0, n_taps, 0, n_out, False, b_panels)
    i = n0 * s.out_h * s.out_w
    pixel = pixel_at(&pixels, i)
    while i < i_end:
        rows = min(BLOCK_ROWS, i_end - i)
        pack_a(&p.a, i, rows, 0, n_out, a_panels, a_panels + BLOCK_ROWS * A_STRIDE)
        multiply_block(&p, &packed, b_panels, 0, rows, rows, 0, columns, n_out, 0, True)
        for r in range(rows):
            scatter_pixel(s, &pixel, taps + r * columns, dx, group, end)
            next_pixel(&pixels, &pixel)
        i += rows
    return 0


cdef int scatter_input_gradient(const Sizes* s, const real* dy, const real* w, real* dx, int n_threads) noexcept nogil:
    # Threads divide the images: no two of them add to the same pixel.
    cdef Py_ssize_t share = (s.batch + n_threads - 1) // n_threads, t, g
    cdef int failed = 0
    memset(dx, 0, s.batch * s.in_h * s.in_w * s.in_c * sizeof(real))
    for g in range(s.groups):
        for t in prange(n_threads, num_threads=n_threads, schedule="static"):
            if t * share < s.batch:
                failed += scatter_images(s, dy, w, dx, g, t * share, min(s.batch, (t + 1) * share))
    return failed
