# Image patches, as rows of a matrix that is never stored: element (pixel, tap) is the pixel of the image that lies under kernel
# position (kernel_h, kernel_w, channel) number `tap` when the kernel stands at output pixel `pixel`. They are copied in runs:
# channels, or whole rows of the kernel, lie in one piece of memory.


cdef inline void copy_run(real* target, const real* source, Py_ssize_t n) noexcept nogil:
    # Runs are a few elements long (channels, or a row of a kernel): a call of memcpy would cost more than the copy.
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        vector_store(target + i, vector_load(source + i))
        i += LANES
    if i < n:
        vector_store_head(target + i, vector_load_head(source + i, n - i), n - i)


cdef inline void copy_over(real* target, const real* source, Py_ssize_t n, const real* end) noexcept nogil:
    # As copy_run, in whole vectors: up to LANES - 1 elements too many are read and written. The next run overwrites them, or
    # they fall into the gap between two rows of a panel. Nothing at or behind `end` is read.
    cdef Py_ssize_t i = 0
    if source + n + LANES > end:
        copy_run(target, source, n)
        return
    while i < n:
        vector_store(target + i, vector_load(source + i))
        i += LANES


cdef inline void clear_run(real* target, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0
    while i + LANES <= n:
        vector_store(target + i, vector_zero())
        i += LANES
    if i < n:
        vector_store_head(target + i, vector_zero(), n - i)


# Where the pixel under a kernel position lies:  source = (out * step + tap * tap_step + offset) / divisor, where that divides.
# Forward: step = stride, tap_step = dilation, offset = -padding, divisor = 1. Gradient for the input: the images exchange their
# roles and the taps are counted backwards; step = 1, offset = padding - (kernel - 1) * dilation, divisor = stride.
cdef struct Patches:
    const real* image       # (batch, height, width, channels_total), shifted to the first channel of the group
    const real* image_end   # behind its last element
    Py_ssize_t height, width, channels_total, channels
    Py_ssize_t kernel_h, kernel_w, out_h, out_w
    Py_ssize_t step_h, step_w, tap_h, tap_w, offset_h, offset_w, divisor_h, divisor_w


# An output pixel, counted up without divisions.
cdef struct Pixel:
    Py_ssize_t image, oh, ow


cdef inline Pixel pixel_at(const Patches* p, Py_ssize_t index) noexcept nogil:
    cdef Pixel at
    at.ow = index % p.out_w
    at.oh = (index // p.out_w) % p.out_h
    at.image = index // p.out_w // p.out_h
    return at


cdef inline void next_pixel(const Patches* p, Pixel* at) noexcept nogil:
    at.ow += 1
    if at.ow == p.out_w:
        at.ow = 0
        at.oh += 1
        if at.oh == p.out_h:
            at.oh = 0
            at.image += 1


cdef inline bint is_dense(const Patches* p) noexcept nogil:
    # A row of the kernel meets one piece of memory.
    return p.channels == p.channels_total and p.tap_w == 1 and p.divisor_w == 1 and p.divisor_h == 1


cdef inline void fill_dense(const Patches* p, const Pixel* pixel, Py_ssize_t tap0, Py_ssize_t count,
                            real* target) noexcept nogil:
    # target[t] = the patch of `pixel` at (kernel_h, kernel_w, channel) number tap0 + t, for t < count; may write LANES too many.
    cdef Py_ssize_t h = pixel.oh * p.step_h + p.offset_h, left, row_length = p.width * p.channels
    cdef Py_ssize_t run = p.kernel_w * p.channels, at = tap0, done = 0, n, lo, hi
    cdef const real* image = p.image + pixel.image * p.height * row_length
    left = (pixel.ow * p.step_w + p.offset_w) * p.channels
    while at >= run:
        at -= run
        h += p.tap_h
    left += at
    while done < count:
        n = min(run - at, count - done)
        if h < 0 or h >= p.height:
            clear_run(target + done, n)
        elif left >= 0 and left + n <= row_length:
            copy_over(target + done, image + h * row_length + left, n, p.image_end)
        else:
            lo = min(max(-left, 0), n)
            hi = min(max(row_length - left, lo), n)
            clear_run(target + done, lo)
            copy_run(target + done + lo, image + h * row_length + left + lo, hi - lo)
            clear_run(target + done + hi, n - hi)
        done += n
        h += p.tap_h
        left -= at
        at = 0


cdef void fill_sparse(const Patches* p, const Pixel* pixel, Py_ssize_t tap0, Py_ssize_t count, real* target) noexcept nogil:
    # As fill_dense, where the taps of a kernel row lie apart (groups, dilation) or between pixels (divisor > 1).
    cdef Py_ssize_t base_h = pixel.oh * p.step_h + p.offset_h, base_w = pixel.ow * p.step_w + p.offset_w
    cdef Py_ssize_t tap = tap0 // p.channels, c = tap0 - tap * p.channels
    cdef Py_ssize_t kh = tap // p.kernel_w, kw = tap - kh * p.kernel_w, done = 0, n, h, w
    while done < count:
        n = min(p.channels - c, count - done)
        h = base_h + kh * p.tap_h
        w = base_w + kw * p.tap_w
        if (h < 0 or w < 0 or (p.divisor_h > 1 and h % p.divisor_h != 0) or (p.divisor_w > 1 and w % p.divisor_w != 0)
                or h >= p.height * p.divisor_h or w >= p.width * p.divisor_w):
            clear_run(target + done, n)
        else:
            if p.divisor_h > 1:
                h = h // p.divisor_h
            if p.divisor_w > 1:
                w = w // p.divisor_w
            copy_run(target + done, p.image + ((pixel.image * p.height + h) * p.width + w) * p.channels_total + c, n)
        done += n
        c = 0
        kw += 1
        if kw == p.kernel_w:
            kw = 0
            kh += 1
