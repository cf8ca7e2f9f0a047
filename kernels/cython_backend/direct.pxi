# Convolutions of images with very few channels (a first layer), straight from a padded copy of one image: there are so few
# products for each element that packing patches would cost more than multiplying them.
#
# With stride 1, neighbouring output pixels read the same image, C elements further on. So the rows of a tile are TILE_ROWS
# neighbouring pixels of the padded image, taken as one line of height * width pixels; those that stand in the padding to the
# right of a row are worked out too, and not written.
#
# Legend: position = oh * padded width + ow; tap = (kh, t), t = kw * C + c, which lie in one piece.

cdef enum:
    DIRECT_CHANNELS = 8

cdef struct Line:
    Py_ssize_t height, width, channels  # of the padded image
    Py_ssize_t run                      # taps of one kernel row
    Py_ssize_t tap_rows                 # elements between the first taps of two kernel rows
    Py_ssize_t elements


cdef bint prefers_direct(const Sizes* s, int n_threads) noexcept nogil:
    return (s.groups == 1 and s.in_c <= DIRECT_CHANNELS and s.stride_h == 1 and s.stride_w == 1 and s.dilation_w == 1
            and s.batch >= n_threads and s.kernel_h * s.kernel_w * s.in_c <= BLOCK_DEPTH)


cdef Line line_of(const Sizes* s) noexcept nogil:
    cdef Line line
    line.height = s.out_h + (s.kernel_h - 1) * s.dilation_h
    line.width = s.out_w + s.kernel_w - 1
    line.channels = s.in_c
    line.run = s.kernel_w * s.in_c
    line.tap_rows = s.dilation_h * line.width * s.in_c
    line.elements = line.height * line.width * s.in_c
    return line


cdef void pad_image(const Sizes* s, const Line* line, const real* x, real* padded) noexcept nogil:
    # The part of the padded image that windows meet. What lies behind it is read by the last tile, and not used.
    cdef Py_ssize_t h, row = line.width * s.in_c
    cdef Py_ssize_t left = min(s.pad_left, line.width) * s.in_c
    cdef Py_ssize_t inside = min(s.in_w * s.in_c, row - left)
    for h in range(line.height):
        if h < s.pad_top or h - s.pad_top >= s.in_h:
            clear_run(padded + h * row, row)
        else:
            clear_run(padded + h * row, left)
            copy_run(padded + h * row + left, x + (h - s.pad_top) * s.in_w * s.in_c, inside)
            clear_run(padded + h * row + left + inside, row - left - inside)


# -- forward: acc[i, :] += padded[position + i, tap] * w[tap, :] -------------------------------------------------------------


cdef inline void direct_tile_2(const Line* line, Py_ssize_t kernel_h, Py_ssize_t channels, const real* a, const real* b,
                               real* c) noexcept nogil:
    cdef vector acc[TILE_ROWS * 2]
    cdef vector b0, b1
    cdef Py_ssize_t i, kh, t
    for i in range(TILE_ROWS * 2):
        acc[i] = vector_zero()
    for kh in range(kernel_h):
        for t in range(line.run):
            b0 = vector_load(b)
            b1 = vector_load(b + LANES)
            b += TILE_COLUMNS
            for i in range(TILE_ROWS):
                acc[2 * i] = acc[2 * i] + a[i * channels + t] * b0
                acc[2 * i + 1] = acc[2 * i + 1] + a[i * channels + t] * b1
        a += line.tap_rows
    for i in range(TILE_ROWS * 2):
        vector_store(c + i * LANES, acc[i])


cdef inline void direct_tile_1(const Line* line, Py_ssize_t kernel_h, Py_ssize_t channels, const real* a, const real* b,
                               real* c) noexcept nogil:
    cdef vector acc[TILE_ROWS]
    cdef vector b0
    cdef Py_ssize_t i, kh, t
    for i in range(TILE_ROWS):
        acc[i] = vector_zero()
    for kh in range(kernel_h):
        for t in range(line.run):
            b0 = vector_load(b)
            b += LANES
            for i in range(TILE_ROWS):
                acc[i] = acc[i] + a[i * channels + t] * b0
        a += line.tap_rows
    for i in range(TILE_ROWS):
        vector_store(c + i * LANES, acc[i])


cdef inline void direct_tile(const Line* line, Py_ssize_t kernel_h, Py_ssize_t width, const real* a, const real* b,
                             real* c) noexcept nogil:
    # 1 and 3 channels, grey and colour, are written out: with a constant distance all rows are addressed off one register.
    if width == TILE_COLUMNS:
        if line.channels == 1:
            direct_tile_2(line, kernel_h, 1, a, b, c)
        elif line.channels == 3:
            direct_tile_2(line, kernel_h, 3, a, b, c)
        else:
            direct_tile_2(line, kernel_h, line.channels, a, b, c)
    elif line.channels == 1:
        direct_tile_1(line, kernel_h, 1, a, b, c)
    elif line.channels == 3:
        direct_tile_1(line, kernel_h, 3, a, b, c)
    else:
        direct_tile_1(line, kernel_h, line.channels, a, b, c)


cdef inline void write_pixels(const Product* p, const real* tile, Py_ssize_t width, Py_ssize_t pixel, Py_ssize_t n,
                              Py_ssize_t j, const real* bias, Py_ssize_t n_pixels) noexcept nogil:
    # `n` neighbouring output pixels from `pixel` on, columns j.. of them, with bias and activation. Where the columns are all
    # there are, whole vectors are written: what is too many falls on the next pixels, which are written next.
    cdef Py_ssize_t i, v, columns = min(width, p.n - j)
    cdef bint over = columns == width or (columns == p.n and (n_pixels - pixel - n + 1) * columns >= width)
    cdef vector value
    cdef real* c = p.c + pixel * p.c_stride + j
    for i in range(n):
        if over:
            v = 0
            while v < width:
                value = vector_load(tile + v) + vector_load(bias + v)
                if p.activation == ACT_RELU:
                    value = vector_relu(value)
                vector_store(c + v, value)
                v += LANES
        else:
            v = 0
            while v < columns:
                value = vector_load(tile + v) + vector_load(bias + v)
                if p.activation == ACT_RELU:
                    value = vector_relu(value)
                vector_store_head(c + v, value, min(LANES, columns - v))
                v += LANES
        if p.activation > ACT_RELU:
            activate_row(p.activation, c, columns)
        tile += width
        c += p.c_stride


cdef int direct_images(const Product* p, const Sizes* s, const real* x, Py_ssize_t n0, Py_ssize_t n1) noexcept nogil:
    # Images n0..n1, on this thread; p holds the filters, the bias and the output.
    cdef Line line = line_of(s)
    cdef Py_ssize_t n, j, i, width, position, oh, ow, count, end = (s.out_h - 1) * line.width + s.out_w
    cdef Py_ssize_t pixels = s.out_h * s.out_w
    cdef real tile[TILE_ROWS * TILE_COLUMNS]
    cdef real bias[TILE_COLUMNS]
    cdef real* padded = <real*>workspace(SLOT_A, (line.elements + (TILE_ROWS + 1) * line.channels) * sizeof(real))
    cdef real* panels = <real*>workspace(SLOT_B, (p.n + TILE_COLUMNS) * p.k * sizeof(real))
    if padded == NULL or panels == NULL:
        return -1
    clear_run(padded + line.elements, (TILE_ROWS + 1) * line.channels)
    pack_b(&p.b, 0, p.n, 0, p.k, False, panels)
    for n in range(n0, n1):
        pad_image(s, &line, x + n * s.in_h * s.in_w * s.in_c, padded)
        j = 0
        while j < p.n:
            width = TILE_COLUMNS if p.n - j > LANES else LANES
            for i in range(width):
                bias[i] = p.bias[j + i] if p.bias != NULL and j + i < p.n else <real>0
            position = oh = ow = 0
            while position < end:
                direct_tile(&line, s.kernel_h, width, padded + position * line.channels, panels + j * p.k, tile)
                i = 0
                while i < TILE_ROWS and oh < s.out_h:  # those of the tile's rows that are output pixels
                    count = min(TILE_ROWS - i, s.out_w - ow)
                    if count > 0:
                        write_pixels(p, tile + i * width, width, n * pixels + oh * s.out_w + ow, count, j, bias, n1 * pixels)
                    count = min(TILE_ROWS - i, line.width - ow)
                    i += count
                    ow += count
                    if ow == line.width:
                        ow = 0
                        oh += 1
                position += TILE_ROWS
            j += width
    return 0


cdef int direct_convolution(const Product* p, const Sizes* s, const real* x, int n_threads) noexcept nogil:
    cdef Py_ssize_t share = (s.batch + n_threads - 1) // n_threads, t
    cdef int failed = 0
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < s.batch:
            failed += direct_images(p, s, x, t * share, min(s.batch, (t + 1) * share))
    return failed


# -- gradient for the weights: acc[tap, :] += padded[position, tap] * dy[position, :] -----------------------------------------


cdef inline void direct_taps(const Line* line, const Sizes* s, const real* padded, const Py_ssize_t* offsets,
                             const real* dy, Py_ssize_t dy_stride, Py_ssize_t vectors, real* c) noexcept nogil:
    # One image, TILE_ROWS taps, one or two vectors of filters: c (TILE_ROWS, vectors * LANES) += ...
    cdef vector acc[TILE_ROWS * 2]
    cdef vector b0, b1
    cdef const real* a[TILE_ROWS]
    cdef Py_ssize_t i, oh, ow
    for i in range(TILE_ROWS * vectors):
        acc[i] = vector_load(c + i * LANES)
    for oh in range(s.out_h):
        for i in range(TILE_ROWS):
            a[i] = padded + offsets[i] + oh * line.width * line.channels
        for ow in range(s.out_w):
            b0 = vector_load(dy)
            if vectors == 2:
                b1 = vector_load(dy + LANES)
                for i in range(TILE_ROWS):
                    acc[2 * i] = acc[2 * i] + a[i][ow * line.channels] * b0
                    acc[2 * i + 1] = acc[2 * i + 1] + a[i][ow * line.channels] * b1
            else:
                for i in range(TILE_ROWS):
                    acc[i] = acc[i] + a[i][ow * line.channels] * b0
            dy += dy_stride
    for i in range(TILE_ROWS * vectors):
        vector_store(c + i * LANES, acc[i])


cdef int direct_weight_images(const Sizes* s, const real* x, const real* dy, Py_ssize_t n0, Py_ssize_t n1,
                              real* total) noexcept nogil:
    # total (panel of filters, tap, TILE_COLUMNS or LANES) of images n0..n1, on this thread. Rows and columns beyond the filters
    # hold sums of whatever was read there.
    cdef Line line = line_of(s)
    cdef Py_ssize_t n, j, tap, i, n_taps = s.kernel_h * line.run, pixels = s.out_h * s.out_w
    cdef Py_ssize_t padded_taps = (n_taps + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
    cdef Py_ssize_t offsets[BLOCK_DEPTH + TILE_ROWS]
    cdef real* padded = <real*>workspace(SLOT_A, line.elements * sizeof(real))
    cdef real* slopes = <real*>workspace(SLOT_B, (pixels * s.out_c + TILE_COLUMNS) * sizeof(real))
    cdef const real* dy_image
    cdef real* c
    if padded == NULL or slopes == NULL:
        return -1
    for tap in range(padded_taps):
        i = min(tap, n_taps - 1)
        offsets[tap] = (i // line.run) * line.tap_rows + i % line.run
    for n in range(n0, n1):
        pad_image(s, &line, x + n * s.in_h * s.in_w * s.in_c, padded)
        dy_image = dy + n * pixels * s.out_c
        if (s.batch - 1 - n) * pixels * s.out_c < TILE_COLUMNS:  # whole vectors are read; behind the last image is nothing
            memcpy(slopes, dy_image, pixels * s.out_c * sizeof(real))
            clear_run(slopes + pixels * s.out_c, TILE_COLUMNS)
            dy_image = slopes
        j = 0
        while j < s.out_c:
            tap = 0
            while tap < padded_taps:
                if s.out_c - j > LANES:
                    c = total + j * padded_taps + tap * TILE_COLUMNS
                    direct_taps(&line, s, padded, offsets + tap, dy_image + j, s.out_c, 2, c)
                else:
                    c = total + j * padded_taps + tap * LANES
                    direct_taps(&line, s, padded, offsets + tap, dy_image + j, s.out_c, 1, c)
                tap += TILE_ROWS
            j += TILE_COLUMNS if s.out_c - j > LANES else LANES
    return 0


cdef int direct_weight_gradient(const Sizes* s, const real* x, const real* dy, real* dw, int n_threads) noexcept nogil:
    # Threads divide the images and add up for themselves; the parts are added in the order of the threads.
    cdef Py_ssize_t share = (s.batch + n_threads - 1) // n_threads, t, j, tap, column, width
    cdef Py_ssize_t n_taps = s.kernel_h * s.kernel_w * s.in_c
    cdef Py_ssize_t padded_taps = (n_taps + TILE_ROWS - 1) // TILE_ROWS * TILE_ROWS
    cdef Py_ssize_t size = padded_taps * (s.out_c + TILE_COLUMNS)
    cdef real* parts = <real*>workspace(SLOT_PARTIAL, n_threads * size * sizeof(real))
    cdef real total
    cdef int failed = 0
    if parts == NULL:
        return -1
    memset(parts, 0, n_threads * size * sizeof(real))
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < s.batch:
            failed += direct_weight_images(s, x, dy, t * share, min(s.batch, (t + 1) * share), parts + t * size)
    j = 0
    while j < s.out_c:
        width = TILE_COLUMNS if s.out_c - j > LANES else LANES
        for tap in range(n_taps):
            for column in range(min(width, s.out_c - j)):
                total = 0
                for t in range(n_threads):
                    total = total + parts[t * size + j * padded_taps + tap * width + column]
                dw[tap * s.out_c + j + column] = total
        j += width
    return failed
