# Which way a convolution goes: the first that fits.
#
#              forward                      gradient for the input        gradient for the weights
#   planar     as direct, and few filters                                 as direct, and few filters
#   direct     1..8 channels, stride 1                                    1..8 channels, stride 1
#   scatter                                 few channels, or a stride
#   winograd   3x3, vectors of channels     3x3, vectors of channels      3x3, vectors of channels
#   packed     everything else, and what came out not finite


cdef int convolve(const Sizes* s, const real* x, const real* w, const real* bias, int activation, real* y,
                  int n_threads) noexcept nogil:
    cdef Product p
    cdef Winograd g
    cdef int code = NOT_FINITE
    memset(&p, 0, sizeof(Product))
    p.a.kind, p.b.kind = PATCHES, STRIDED
    p.m, p.n = s.batch * s.out_h * s.out_w, s.out_c // s.groups
    p.k = s.kernel_h * s.kernel_w * (s.in_c // s.groups)
    p.b.row_stride, p.b.column_stride, p.b.end = s.out_c, 1, w + p.k * s.out_c
    p.alpha, p.c_stride, p.activation = 1, s.out_c, activation
    if prefers_planar(s, n_threads):
        return NO_MEMORY if planar_convolution(s, x, w, bias, activation, y, n_threads) else SUCCESS
    if prefers_direct(s, n_threads):
        p.b.data, p.c, p.bias = w, y, bias
        return NO_MEMORY if direct_convolution(&p, s, x, n_threads) else SUCCESS
    if prefers_winograd(s):
        g = winograd_forward(s)
        code = winograd_convolution(&g, x, w, bias, activation, y, n_threads)
    if code == NOT_FINITE:
        code = NO_MEMORY if packed_convolution(&p, s, x, w, bias, y, n_threads) else SUCCESS
    return code


cdef int input_gradient(const Sizes* s, const real* dy, const real* w, real* dx, int n_threads) noexcept nogil:
    cdef Winograd g
    cdef int code = NOT_FINITE
    cdef real* transposed
    if prefers_scatter(s):
        return NO_MEMORY if scatter_input_gradient(s, dy, w, dx, n_threads) else SUCCESS
    transposed = <real*>workspace(SLOT_FILTERS, s.kernel_h * s.kernel_w * (s.in_c // s.groups) * s.out_c * sizeof(real))
    if transposed == NULL:
        return NO_MEMORY
    if prefers_winograd(s):
        g = winograd_backward(s)
        transpose_filters(s, w, 0, transposed)
        code = winograd_convolution(&g, dy, transposed, NULL, ACT_NONE, dx, n_threads)
    if code == NOT_FINITE:
        code = NO_MEMORY if gather_input_gradient(s, dy, w, dx, transposed, n_threads) else SUCCESS
    return code


cdef int weight_gradient(const Sizes* s, const real* x, const real* dy, real* dw, int n_threads) noexcept nogil:
    cdef Winograd g
    cdef int code = NOT_FINITE
    if prefers_planar(s, n_threads):
        code = planar_weight_gradient(s, x, dy, dw, n_threads)
        if code != NOT_FINITE:
            return code
    if prefers_direct(s, n_threads):
        return NO_MEMORY if direct_weight_gradient(s, x, dy, dw, n_threads) else SUCCESS
    if prefers_winograd(s):
        g = winograd_forward(s)
        code = winograd_weight_gradient(&g, x, dy, dw, n_threads)
    if code == NOT_FINITE:
        code = NO_MEMORY if packed_weight_gradient(s, x, dy, dw, n_threads) else SUCCESS
    return code
