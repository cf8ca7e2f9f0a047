# First layers with few filters as well: a vector of filters would be mostly empty, so a vector holds neighbouring positions.
#
# The padded image is taken apart into planes, one for each channel, and positions run along its lines as in direct.pxi: those in
# the padding to the right of a row are worked out too, and not used.
#
# Legend: position = oh * padded width + ow; tap = (kh, kw, c); filters f in groups that the registers hold.

cdef enum:
    PLANAR_VECTORS = SKINNY_VECTORS     # of positions in a tile: 4 where there are 32 registers, else 2
    PLANAR_FILTERS = 6                  # of a tile


cdef bint prefers_planar(const Sizes* s, int n_threads) noexcept nogil:
    return 2 * s.out_c <= LANES and prefers_direct(s, n_threads)


cdef inline int filters_together(Py_ssize_t n) noexcept nogil:
    return 6 if n >= 6 else 4 if n >= 4 else 2 if n >= 2 else 1


cdef Py_ssize_t plane_size(const Line* line) noexcept nogil:
    return line.height * line.width + (PLANAR_VECTORS + 1) * LANES


cdef void take_apart(const Sizes* s, const Line* line, const real* x, real* padded, real* planes) noexcept nogil:
    # planes[c, h * width + w]; what lies behind the last pixel stays as it is: zeros
    cdef Py_ssize_t i, c, n = line.height * line.width, size = plane_size(line)
    if s.in_c == 1:
        pad_image(s, line, x, planes)
        return
    pad_image(s, line, x, padded)
    for i in range(n):
        for c in range(s.in_c):
            planes[c * size + i] = padded[i * s.in_c + c]


cdef real* planes_of(const Sizes* s, const Line* line) noexcept nogil:
    # Memory for the planes, and behind them for one padded image.
    cdef Py_ssize_t size = plane_size(line) * s.in_c
    cdef real* planes = <real*>workspace(SLOT_A, (size + line.elements) * sizeof(real))
    if planes != NULL:
        clear_run(planes, size)
    return planes


# -- forward -----------------------------------------------------------------------------------------------------------


cdef inline void planar_tile(int filters, const Sizes* s, const Line* line, const real* planes, const real* w,
                             const real* bias, int activation, real* tile) noexcept nogil:
    # tile[f, position] of PLANAR_VECTORS vectors of positions
    cdef vector acc[PLANAR_FILTERS * PLANAR_VECTORS]
    cdef vector x[PLANAR_VECTORS]
    cdef vector value
    cdef const real* source
    cdef Py_ssize_t kh, kw, c, f, v, size = plane_size(line)
    for f in range(filters):
        value = vector_zero() + (bias[f] if bias != NULL else <real>0)
        for v in range(PLANAR_VECTORS):
            acc[f * PLANAR_VECTORS + v] = value
    for kh in range(s.kernel_h):
        for kw in range(s.kernel_w):
            source = planes + kh * s.dilation_h * line.width + kw
            for c in range(s.in_c):
                for v in range(PLANAR_VECTORS):
                    x[v] = vector_load(source + c * size + v * LANES)
                for f in range(filters):
                    for v in range(PLANAR_VECTORS):
                        acc[f * PLANAR_VECTORS + v] = acc[f * PLANAR_VECTORS + v] + w[f] * x[v]
                w += s.out_c
    for f in range(filters):
        for v in range(PLANAR_VECTORS):
            value = acc[f * PLANAR_VECTORS + v]
            if activation == ACT_RELU:
                value = vector_relu(value)
            vector_store(tile + (f * PLANAR_VECTORS + v) * LANES, value)


cdef inline void put_together(int filters, const real* tile, Py_ssize_t n, Py_ssize_t out_c, real* y) noexcept nogil:
    # y[i, f] = tile[f, i]
    cdef Py_ssize_t i, f
    for i in range(n):
        for f in range(filters):
            y[i * out_c + f] = tile[f * PLANAR_VECTORS * LANES + i]


cdef inline void planar_group(int filters, const Sizes* s, const Line* line, const real* planes, const real* w,
                              const real* bias, int activation, real* y) noexcept nogil:
    # One image, `filters` filters.
    cdef real tile[PLANAR_FILTERS * PLANAR_VECTORS * LANES]
    cdef Py_ssize_t position = 0, oh = 0, ow = 0, i, n, end = (s.out_h - 1) * line.width + s.out_w
    cdef Py_ssize_t together = PLANAR_VECTORS * LANES
    while position < end:
        planar_tile(filters, s, line, planes + position, w, bias, activation, tile)
        i = 0
        while i < together and oh < s.out_h:
            n = min(together - i, s.out_w - ow)
            if n > 0:
                put_together(filters, tile + i, n, s.out_c, y + (oh * s.out_w + ow) * s.out_c)
            n = min(together - i, line.width - ow)
            i += n
            ow += n
            if ow == line.width:
                ow = 0
                oh += 1
        position += together


cdef int planar_images(const Sizes* s, const real* x, const real* w, const real* bias, int activation, real* y,
                       Py_ssize_t n0, Py_ssize_t n1) noexcept nogil:
    # Images n0..n1, on this thread.
    cdef Line line = line_of(s)
    cdef Py_ssize_t n, f, pixels = s.out_h * s.out_w * s.out_c
    cdef real* planes = planes_of(s, &line)
    cdef const real* shift
    cdef int together
    if planes == NULL:
        return -1
    for n in range(n0, n1):
        take_apart(s, &line, x + n * s.in_h * s.in_w * s.in_c, planes + plane_size(&line) * s.in_c, planes)
        f = 0
        while f < s.out_c:
            together = filters_together(s.out_c - f)
            shift = bias + f if bias != NULL else NULL
            if together == 6:
                planar_group(6, s, &line, planes, w + f, shift, activation, y + n * pixels + f)
            elif together == 4:
                planar_group(4, s, &line, planes, w + f, shift, activation, y + n * pixels + f)
            elif together == 2:
                planar_group(2, s, &line, planes, w + f, shift, activation, y + n * pixels + f)
            else:
                planar_group(1, s, &line, planes, w + f, shift, activation, y + n * pixels + f)
            f += together
        if activation > ACT_RELU:
            activate_row(activation, y + n * pixels, pixels)
    return 0


cdef int planar_convolution(const Sizes* s, const real* x, const real* w, const real* bias, int activation, real* y,
                            int n_threads) noexcept nogil:
    cdef Py_ssize_t share = (s.batch + n_threads - 1) // n_threads, t
    cdef int failed = 0
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < s.batch:
            failed += planar_images(s, x, w, bias, activation, y, t * share, min(s.batch, (t + 1) * share))
    return failed


# -- gradient for the weights --------------------------------------------------------------------------------------------
#
# dw[tap, f] = sum over positions of plane[position + tap] * dy[f, position], dy taken apart into planes as well, with zeros at
# the positions that are no pixels. Zero times infinity is not zero: a result that is not finite is left to direct.pxi.


cdef inline void planar_products(int filters, int taps, const real* planes, const Py_ssize_t* offsets, const real* dy,
                                 Py_ssize_t dy_plane, Py_ssize_t n, real* total) noexcept nogil:
    # total[tap, f, lane] += ...; `n` positions, whole vectors
    cdef vector acc[PLANAR_FILTERS * PLANAR_VECTORS]
    cdef vector d[PLANAR_FILTERS]
    cdef vector x
    cdef Py_ssize_t f, t, i = 0
    for i in range(filters * taps):
        acc[i] = vector_load(total + i * LANES)
    i = 0
    while i < n:
        for f in range(filters):
            d[f] = vector_load(dy + f * dy_plane + i)
        for t in range(taps):
            x = vector_load(planes + offsets[t] + i)
            for f in range(filters):
                acc[t * filters + f] = acc[t * filters + f] + x * d[f]
        i += LANES
    for i in range(filters * taps):
        vector_store(total + i * LANES, acc[i])


cdef inline void planar_taps(int filters, const real* planes, const Py_ssize_t* offsets, Py_ssize_t n_taps, const real* dy,
                             Py_ssize_t dy_plane, Py_ssize_t n, real* total) noexcept nogil:
    cdef Py_ssize_t tap = 0
    while tap + PLANAR_VECTORS <= n_taps:
        planar_products(filters, PLANAR_VECTORS, planes, offsets + tap, dy, dy_plane, n, total + tap * filters * LANES)
        tap += PLANAR_VECTORS
    while tap < n_taps:
        planar_products(filters, 1, planes, offsets + tap, dy, dy_plane, n, total + tap * filters * LANES)
        tap += 1


cdef int planar_weight_images(const Sizes* s, const real* x, const real* dy, Py_ssize_t n0, Py_ssize_t n1,
                              real* total) noexcept nogil:
    # total (group of filters, tap, filter, lane) of images n0..n1, on this thread
    cdef Line line = line_of(s)
    cdef Py_ssize_t offsets[BLOCK_DEPTH]
    cdef Py_ssize_t n, f, c, oh, ow, tap, n_taps = s.kernel_h * s.kernel_w * s.in_c, size = plane_size(&line)
    cdef Py_ssize_t length = (s.out_h * line.width + LANES - 1) // LANES * LANES
    cdef real* planes = planes_of(s, &line)
    cdef real* slopes = <real*>workspace(SLOT_B, s.out_c * length * sizeof(real))
    cdef const real* source
    cdef int together
    if planes == NULL or slopes == NULL:
        return -1
    clear_run(slopes, s.out_c * length)
    for tap in range(n_taps):
        c = tap % s.in_c
        ow = tap // s.in_c % s.kernel_w
        oh = tap // s.in_c // s.kernel_w
        offsets[tap] = c * size + oh * s.dilation_h * line.width + ow
    for n in range(n0, n1):
        take_apart(s, &line, x + n * s.in_h * s.in_w * s.in_c, planes + size * s.in_c, planes)
        for oh in range(s.out_h):
            source = dy + (n * s.out_h + oh) * s.out_w * s.out_c
            for f in range(s.out_c):
                for ow in range(s.out_w):
                    slopes[f * length + oh * line.width + ow] = source[ow * s.out_c + f]
        f = 0
        while f < s.out_c:
            together = filters_together(s.out_c - f)
            if together == 6:
                planar_taps(6, planes, offsets, n_taps, slopes + f * length, length, length, total + f * n_taps * LANES)
            elif together == 4:
                planar_taps(4, planes, offsets, n_taps, slopes + f * length, length, length, total + f * n_taps * LANES)
            elif together == 2:
                planar_taps(2, planes, offsets, n_taps, slopes + f * length, length, length, total + f * n_taps * LANES)
            else:
                planar_taps(1, planes, offsets, n_taps, slopes + f * length, length, length, total + f * n_taps * LANES)
            f += together
    return 0


cdef int planar_weight_gradient(const Sizes* s, const real* x, const real* dy, real* dw, int n_threads) noexcept nogil:
    # Threads divide the images; their sums are added in the order of the threads.
    cdef Py_ssize_t share = (s.batch + n_threads - 1) // n_threads, t, f = 0, tap, i, lane
    cdef Py_ssize_t n_taps = s.kernel_h * s.kernel_w * s.in_c, size = n_taps * s.out_c * LANES
    cdef real* parts = <real*>workspace(SLOT_PARTIAL, n_threads * size * sizeof(real))
    cdef real sum, nothing = 0
    cdef int failed = 0, together
    if parts == NULL:
        return NO_MEMORY
    memset(parts, 0, n_threads * size * sizeof(real))
    for t in prange(n_threads, num_threads=n_threads, schedule="static"):
        if t * share < s.batch:
            failed += planar_weight_images(s, x, dy, t * share, min(s.batch, (t + 1) * share), parts + t * size)
    if failed:
        return NO_MEMORY
    while f < s.out_c:
        together = filters_together(s.out_c - f)
        for tap in range(n_taps):
            for i in range(together):
                sum = 0
                for t in range(n_threads):
                    for lane in range(LANES):
                        sum = sum + parts[t * size + f * n_taps * LANES + (tap * together + i) * LANES + lane]
                dw[tap * s.out_c + f + i] = sum
                nothing = nothing + (sum - sum)
        f += together
    return SUCCESS if nothing == 0 else NOT_FINITE
