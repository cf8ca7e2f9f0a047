# Convolutions as matrix products whose patch matrix is never stored: its rows are packed straight from the images
# ("implicit GEMM", Chetlur et al., "cuDNN: efficient primitives for deep learning", 2014).
#
#   forward             Y (pixels x C_out)       = patches of X (pixels x taps)      @ W (taps x C_out)
#   backward, input     dX (pixels x C)          = patches of dY, mirrored           @ W' (taps' x C), W' = W transposed
#                       (or, where that would waste most of its work, by scattering: scatter.pxi)
#   backward, weight    dW (taps x C_out)        = (patches of X)^T                  @ dY (pixels x C_out)
#
# Legend: pixels = N * OH * OW (of dX: N * H * W), taps = KH * KW * C // groups (taps': KH * KW * C_out // groups).

cdef struct Sizes:
    Py_ssize_t batch, in_h, in_w, in_c, kernel_h, kernel_w, out_c, out_h, out_w, groups
    Py_ssize_t stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w


cdef void patches_of_input(Patches* p, const Sizes* s, const real* x, Py_ssize_t group) noexcept nogil:
    p.channels_total, p.channels = s.in_c, s.in_c // s.groups
    p.image = x + group * p.channels
    p.image_end = x + s.batch * s.in_h * s.in_w * s.in_c
    p.height, p.width, p.out_h, p.out_w = s.in_h, s.in_w, s.out_h, s.out_w
    p.kernel_h, p.kernel_w = s.kernel_h, s.kernel_w
    p.step_h, p.step_w, p.tap_h, p.tap_w = s.stride_h, s.stride_w, s.dilation_h, s.dilation_w
    p.offset_h, p.offset_w = -s.pad_top, -s.pad_left
    p.divisor_h, p.divisor_w = 1, 1


cdef void patches_of_output(Patches* p, const Sizes* s, const real* dy, Py_ssize_t group) noexcept nogil:
    # x[h] met y[oh] at tap kh where h = oh * stride + kh * dilation - pad, so oh = (h + pad - kh * dilation) / stride. The taps
    # are counted from the last to the first, as are the filters (transpose_filters), so that they run along the memory.
    p.channels_total, p.channels = s.out_c, s.out_c // s.groups
    p.image = dy + group * p.channels
    p.image_end = dy + s.batch * s.out_h * s.out_w * s.out_c
    p.height, p.width, p.out_h, p.out_w = s.out_h, s.out_w, s.in_h, s.in_w
    p.kernel_h, p.kernel_w = s.kernel_h, s.kernel_w
    p.step_h, p.step_w, p.tap_h, p.tap_w = 1, 1, s.dilation_h, s.dilation_w
    p.offset_h = s.pad_top - (s.kernel_h - 1) * s.dilation_h
    p.offset_w = s.pad_left - (s.kernel_w - 1) * s.dilation_w
    p.divisor_h, p.divisor_w = s.stride_h, s.stride_w


cdef int packed_convolution(Product* p, const Sizes* s, const real* x, const real* w, const real* bias, real* y,
                            int n_threads) noexcept nogil:
    cdef Py_ssize_t g
    cdef int failed = 0
    for g in range(s.groups):
        patches_of_input(&p.a.patches, s, x, g)
        p.b.data, p.c = w + g * p.n, y + g * p.n
        if bias != NULL:
            p.bias = bias + g * p.n
        failed += run_product(p, n_threads)
    return failed


cdef void transpose_filters(const Sizes* s, const real* w, Py_ssize_t group, real* target) noexcept nogil:
    # target[(KH - 1 - kh, KW - 1 - kw, co), c] = w[kh, kw, c, co] of one group
    cdef Py_ssize_t n_c = s.in_c // s.groups, n_out = s.out_c // s.groups, taps = s.kernel_h * s.kernel_w, tap, c, co
    cdef const real* source
    for tap in range(taps):
        for c in range(n_c):
            source = w + (tap * n_c + c) * s.out_c + group * n_out
            for co in range(n_out):
                target[((taps - 1 - tap) * n_out + co) * n_c + c] = source[co]


cdef int gather_input_gradient(const Sizes* s, const real* dy, const real* w, real* dx, real* transposed,
                               int n_threads) noexcept nogil:
    cdef Product p
    cdef Py_ssize_t g
    cdef int failed = 0
    memset(&p, 0, sizeof(Product))
    p.a.kind, p.b.kind = PATCHES, STRIDED
    p.m, p.n = s.batch * s.in_h * s.in_w, s.in_c // s.groups
    p.k = s.kernel_h * s.kernel_w * (s.out_c // s.groups)
    p.b.row_stride, p.b.column_stride, p.c_stride = p.n, 1, s.in_c
    p.b.data, p.b.end = transposed, transposed + p.k * p.n
    p.alpha, p.beta = 1, 0
    for g in range(s.groups):
        transpose_filters(s, w, g, transposed)
        patches_of_output(&p.a.patches, s, dy, g)
        p.c = dx + g * p.n
        failed += run_product(&p, n_threads)
    return failed


cdef int packed_weight_gradient(const Sizes* s, const real* x, const real* dy, real* dw, int n_threads) noexcept nogil:
    cdef Product p
    cdef Py_ssize_t g
    cdef int failed = 0
    memset(&p, 0, sizeof(Product))
    p.a.kind, p.b.kind = PATCHES_TRANSPOSED, STRIDED
    p.m, p.n = s.kernel_h * s.kernel_w * (s.in_c // s.groups), s.out_c // s.groups
    p.k = s.batch * s.out_h * s.out_w
    p.b.row_stride, p.b.column_stride, p.b.end = s.out_c, 1, dy + p.k * s.out_c
    p.alpha, p.c_stride = 1, s.out_c
    for g in range(s.groups):
        patches_of_input(&p.a.patches, s, x, g)
        p.b.data, p.c = dy + g * p.n, dw + g * p.n
        failed += run_product(&p, n_threads)
    return failed
