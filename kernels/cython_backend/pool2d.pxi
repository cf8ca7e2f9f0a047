# Pooling: one pass over the images. Channels lie beside each other, so every loop over them is a vector loop.
#
# Legend: n image, oh and ow output pixel, h and w input pixel, c channel.

cdef struct Window:
    Py_ssize_t batch, in_h, in_w, channels, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, out_h, out_w


cdef inline Py_ssize_t first_of(Py_ssize_t o, Py_ssize_t stride, Py_ssize_t pad) noexcept nogil:
    return max(o * stride - pad, 0)


cdef inline Py_ssize_t end_of(Py_ssize_t o, Py_ssize_t stride, Py_ssize_t pad, Py_ssize_t kernel,
                              Py_ssize_t size) noexcept nogil:
    return min(o * stride - pad + kernel, size)


cdef void max_pool_pixel(const Window* s, const real* image, Py_ssize_t h0, Py_ssize_t h1, Py_ssize_t w0, Py_ssize_t w1,
                         real* y, int32_t* argmax) noexcept nogil:
    # The first pixel of the window stands until a larger one, or a NaN, comes.
    cdef Py_ssize_t h, w, c
    cdef const real* source
    cdef int32_t index = <int32_t>(h0 * s.in_w + w0)
    source = image + index * s.channels
    for c in range(s.channels):
        y[c] = source[c]
        argmax[c] = index
    for h in range(h0, h1):
        for w in range(w0, w1):
            index = <int32_t>(h * s.in_w + w)
            source = image + index * s.channels
            for c in range(s.channels):
                if source[c] > y[c] or source[c] != source[c]:
                    y[c] = source[c]
                    argmax[c] = index


cdef inline void max_pool_vectors(const Window* s, const real* image, Py_ssize_t h0, Py_ssize_t rows, Py_ssize_t w0,
                                  Py_ssize_t columns, real* y, int32_t* argmax) noexcept nogil:
    # The same, LANES channels at a time and without branches; up to LANES - 1 channels too many are read and written.
    cdef Py_ssize_t h, w, c = 0
    cdef int32_t index, first = <int32_t>(h0 * s.in_w + w0)
    cdef vector best, v
    cdef lanes where, wins
    while c < s.channels:
        best = vector_load(image + first * s.channels + c)
        where = lanes_of(first)
        for h in range(rows):
            for w in range(1 if h == 0 else 0, columns):
                index = first + <int32_t>(h * s.in_w + w)
                v = vector_load(image + index * s.channels + c)
                wins = vector_wins(v, best)
                best = vector_select(wins, v, best)
                where = lanes_select(wins, index, where)
        vector_store(y + c, best)
        lanes_store(argmax + c, where)
        c += LANES


cdef inline void fetch_next_rows(const Window* s, const real* corner) noexcept nogil:
    # The pixels below a window of 2x2, which are next but a row later: with many channels a row is about a page, behind which the
    # hardware does not look ahead, and the pass over the images waits for memory most of the time.
    if s.channels >= LANES:
        prefetch_for_reading(corner, 2 * s.channels * sizeof(real))
        prefetch_for_reading(corner + s.in_w * s.channels, 2 * s.channels * sizeof(real))


cdef void max_pool_rows(const Window* s, Py_ssize_t row0, Py_ssize_t row1, const real* x, real* y,
                        int32_t* argmax) noexcept nogil:
    # Rows row0..row1 of N * OH, on this thread.
    cdef Py_ssize_t row, n, oh, ow, h0, h1, w0, w1, at = row0 * s.out_w * s.channels
    cdef Py_ssize_t overshoot = (s.channels + LANES - 1) // LANES * LANES - s.channels
    cdef Py_ssize_t y_end = row1 * s.out_w * s.channels, x_end = s.batch * s.in_h * s.in_w * s.channels, image
    for row in range(row0, row1):
        n = row // s.out_h
        oh = row - n * s.out_h
        image = n * s.in_h * s.in_w * s.channels
        h0, h1 = first_of(oh, s.stride_h, s.pad_top), end_of(oh, s.stride_h, s.pad_top, s.kernel_h, s.in_h)
        for ow in range(s.out_w):
            w0, w1 = first_of(ow, s.stride_w, s.pad_left), end_of(ow, s.stride_w, s.pad_left, s.kernel_w, s.in_w)
            # Too many elements may be written where they are this thread's (and so overwritten next), and read inside x.
            if (at + s.channels + overshoot <= y_end
                    and image + ((h1 - 1) * s.in_w + w1) * s.channels + overshoot <= x_end):
                if h1 - h0 == 2 and w1 - w0 == 2:  # nearly every window there is: its loops vanish
                    fetch_next_rows(s, x + image + ((h0 + 2) * s.in_w + w0) * s.channels)
                    max_pool_vectors(s, x + image, h0, 2, w0, 2, y + at, argmax + at)
                else:
                    max_pool_vectors(s, x + image, h0, h1 - h0, w0, w1 - w0, y + at, argmax + at)
            else:
                max_pool_pixel(s, x + image, h0, h1, w0, w1, y + at, argmax + at)
            at += s.channels


cdef int max_pool_scatter(const real* dy, const int32_t* argmax, real* dx, Py_ssize_t n_windows, Py_ssize_t n_pixels,
                          Py_ssize_t channels) noexcept nogil:
    # dx[argmax] += dy for the windows of one image, in order. An index that points outside is not followed.
    cdef Py_ssize_t o, c
    cdef int32_t index
    cdef int outside = 0
    memset(dx, 0, n_pixels * channels * sizeof(real))
    for o in range(n_windows):
        for c in range(channels):
            index = argmax[o * channels + c]
            if 0 <= index < n_pixels:
                dx[index * channels + c] += dy[o * channels + c]
            else:
                outside = 1
    return outside


# -- gradients of windows of 2x2 that lie beside each other, channels in whole vectors: nearly all there are -----------------------
#
# Each pixel is written once, and not read.

cdef enum:
    FAR_ROW = 512  # elements of a row of pixels from which on the next rows are asked for (see fetch_next_rows)


cdef inline bint in_pairs(const Window* s) noexcept nogil:
    return s.out_h == s.in_h // 2 and s.out_w == s.in_w // 2 and s.channels % LANES == 0


cdef inline void fetch_rows_to_write(const Window* s, const real* corner, Py_ssize_t row) noexcept nogil:
    if row >= FAR_ROW:
        prefetch_lines(corner + 2 * row, 2 * s.channels * sizeof(real))
        prefetch_lines(corner + 3 * row, 2 * s.channels * sizeof(real))


cdef inline void clear_rest(const Window* s, real* image) noexcept nogil:
    # The last row and the last pixel of each, where there is an odd number of them: no window has them.
    cdef Py_ssize_t h, row = s.in_w * s.channels
    if s.in_w % 2:
        for h in range(s.in_h):
            memset(image + (h + 1) * row - s.channels, 0, s.channels * sizeof(real))
    if s.in_h % 2:
        memset(image + (s.in_h - 1) * row, 0, row * sizeof(real))


cdef int max_pool_spread(const Window* s, const real* dy, const int32_t* argmax, real* image) noexcept nogil:
    # One image, if its windows are such. Answers whether they were: of one whose indices point elsewhere nothing is worth anything.
    cdef Py_ssize_t oh, ow, c, row = s.in_w * s.channels
    cdef int32_t first, below = <int32_t>s.in_w
    cdef real* corner
    cdef lanes at, upper_left, upper_right, lower_left, lower_right, found
    cdef vector v
    for oh in range(s.out_h):
        found = lanes_equal(lanes_of(0), 0)
        for ow in range(s.out_w):
            first = <int32_t>(2 * oh * s.in_w + 2 * ow)
            corner = image + first * s.channels
            fetch_rows_to_write(s, corner, row)
            c = 0
            while c < s.channels:
                at, v = lanes_load(argmax + c), vector_load(dy + c)
                upper_left, upper_right = lanes_equal(at, first), lanes_equal(at, first + 1)
                lower_left, lower_right = lanes_equal(at, first + below), lanes_equal(at, first + below + 1)
                vector_store(corner + c, vector_where(upper_left, v))
                vector_store(corner + s.channels + c, vector_where(upper_right, v))
                vector_store(corner + row + c, vector_where(lower_left, v))
                vector_store(corner + row + s.channels + c, vector_where(lower_right, v))
                found = lanes_and(found, lanes_or(lanes_or(upper_left, upper_right), lanes_or(lower_left, lower_right)))
                c += LANES
            dy += s.channels
            argmax += s.channels
        if not lanes_all(found):
            return False
    clear_rest(s, image)
    return True


cdef void avg_pool_spread_pairs(const Window* s, const real* dy, real* image) noexcept nogil:
    # One image of such windows.
    cdef Py_ssize_t oh, ow, c, row = s.in_w * s.channels
    cdef real* corner
    cdef vector v
    for oh in range(s.out_h):
        for ow in range(s.out_w):
            corner = image + 2 * oh * row + 2 * ow * s.channels
            fetch_rows_to_write(s, corner, row)
            c = 0
            while c < s.channels:
                v = vector_load(dy + c) * <real>0.25
                vector_store(corner + c, v)
                vector_store(corner + s.channels + c, v)
                vector_store(corner + row + c, v)
                vector_store(corner + row + s.channels + c, v)
                c += LANES
            dy += s.channels
    clear_rest(s, image)


# -- mean -------------------------------------------------------------------------------------------------------------------------


cdef inline real divisor_of(const Window* s, bint include_pad, Py_ssize_t n_pixels) noexcept nogil:
    return <real>(s.kernel_h * s.kernel_w if include_pad else n_pixels)


cdef inline void avg_pool_window(const Window* s, const real* corner, Py_ssize_t rows, Py_ssize_t columns, real divisor,
                                 Py_ssize_t channels, real* y) noexcept nogil:
    # The mean of a window, LANES channels at a time: where `channels` is more than there are, too many are read and written.
    cdef Py_ssize_t c = 0, h, w
    cdef vector total
    cdef real rest
    while c + LANES <= channels:
        total = vector_zero()
        for h in range(rows):
            for w in range(columns):
                total = total + vector_load(corner + (h * s.in_w + w) * s.channels + c)
        vector_store(y + c, vector_divide(total, divisor))
        c += LANES
    while c < channels:
        rest = 0
        for h in range(rows):
            for w in range(columns):
                rest = rest + corner[(h * s.in_w + w) * s.channels + c]
        y[c] = rest / divisor
        c += 1


cdef void avg_pool_rows(const Window* s, Py_ssize_t row0, Py_ssize_t row1, const real* x, real* y,
                        bint include_pad) noexcept nogil:
    # Rows row0..row1 of N * OH, on this thread.
    cdef Py_ssize_t row, n, oh, ow, h0, h1, w0, w1, first, channels, at = row0 * s.out_w * s.channels
    cdef Py_ssize_t whole = (s.channels + LANES - 1) // LANES * LANES
    cdef Py_ssize_t y_end = row1 * s.out_w * s.channels, x_end = s.batch * s.in_h * s.in_w * s.channels
    cdef real divisor
    for row in range(row0, row1):
        n = row // s.out_h
        oh = row - n * s.out_h
        h0, h1 = first_of(oh, s.stride_h, s.pad_top), end_of(oh, s.stride_h, s.pad_top, s.kernel_h, s.in_h)
        for ow in range(s.out_w):
            w0, w1 = first_of(ow, s.stride_w, s.pad_left), end_of(ow, s.stride_w, s.pad_left, s.kernel_w, s.in_w)
            first = ((n * s.in_h + h0) * s.in_w + w0) * s.channels
            channels = whole
            if at + whole > y_end or first + ((h1 - h0 - 1) * s.in_w + w1 - w0 - 1) * s.channels + whole > x_end:
                channels = s.channels
            divisor = divisor_of(s, include_pad, (h1 - h0) * (w1 - w0))
            if h1 - h0 == 2 and w1 - w0 == 2:
                fetch_next_rows(s, x + first + 2 * s.in_w * s.channels)
                avg_pool_window(s, x + first, 2, 2, divisor, channels, y + at)
            else:
                avg_pool_window(s, x + first, h1 - h0, w1 - w0, divisor, channels, y + at)
            at += s.channels


cdef inline void avg_pool_add(const Window* s, const real* slope, Py_ssize_t rows, Py_ssize_t columns, real divisor,
                              bint alone, real* corner) noexcept nogil:
    # slope / divisor added to each pixel of a window, or written where no other window meets it
    cdef Py_ssize_t c = 0, h, w
    cdef vector share
    cdef real rest
    cdef real* target
    while c + LANES <= s.channels:
        share = vector_divide(vector_load(slope + c), divisor)
        for h in range(rows):
            for w in range(columns):
                target = corner + (h * s.in_w + w) * s.channels + c
                if alone:
                    vector_store(target, share)
                else:
                    vector_store(target, vector_load(target) + share)
        c += LANES
    while c < s.channels:
        rest = slope[c] / divisor
        for h in range(rows):
            for w in range(columns):
                target = corner + (h * s.in_w + w) * s.channels + c
                target[0] = rest if alone else target[0] + rest
        c += 1


cdef void avg_pool_spread(const Window* s, Py_ssize_t n, const real* dy, real* dx, bint include_pad) noexcept nogil:
    # Windows may overlap: one thread has a whole image.
    cdef Py_ssize_t oh, ow, h0, h1, w0, w1
    cdef real* image = dx + n * s.in_h * s.in_w * s.channels
    cdef real* corner
    cdef const real* slope
    cdef real divisor
    cdef bint alone = s.stride_h >= s.kernel_h and s.stride_w >= s.kernel_w
    if in_pairs(s) and s.kernel_h == 2 and s.kernel_w == 2 and s.stride_h == 2 and s.stride_w == 2 and not (s.pad_top or s.pad_left):
        avg_pool_spread_pairs(s, dy + n * s.out_h * s.out_w * s.channels, image)
        return
    # where windows lie beside each other without a gap, every pixel is written
    if not (alone and s.stride_h == s.kernel_h and s.stride_w == s.kernel_w
            and s.out_h * s.stride_h - s.pad_top >= s.in_h and s.out_w * s.stride_w - s.pad_left >= s.in_w):
        memset(image, 0, s.in_h * s.in_w * s.channels * sizeof(real))
    for oh in range(s.out_h):
        h0, h1 = first_of(oh, s.stride_h, s.pad_top), end_of(oh, s.stride_h, s.pad_top, s.kernel_h, s.in_h)
        for ow in range(s.out_w):
            w0, w1 = first_of(ow, s.stride_w, s.pad_left), end_of(ow, s.stride_w, s.pad_left, s.kernel_w, s.in_w)
            slope = dy + ((n * s.out_h + oh) * s.out_w + ow) * s.channels
            corner = image + (h0 * s.in_w + w0) * s.channels
            divisor = divisor_of(s, include_pad, (h1 - h0) * (w1 - w0))
            if alone and h1 - h0 == 2 and w1 - w0 == 2:
                avg_pool_add(s, slope, 2, 2, divisor, True, corner)
            else:
                avg_pool_add(s, slope, h1 - h0, w1 - w0, divisor, alone, corner)
