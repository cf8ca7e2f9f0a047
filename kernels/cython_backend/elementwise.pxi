# Activations: one pass over memory each. The loops are written so that the compiler vectorises them; exp is a polynomial
# for the same reason (a call to libm would not be vectorised). Constants are cast to the element's type: C would take a plain
# 1.0 for a double, and compute half as many elements at a time.
#
# exp(x) = 2**n * exp(r), n = round(x / ln 2), |r| <= ln(2) / 2, exp(r) by its Taylor polynomial, whose remainder lies below
# half a unit in the last place (degree 7 in float32, 13 in float64). Range reduction in two steps: Cody & Waite, "Software
# Manual for the Elementary Functions" (1980).

ctypedef void (*unary)(const real*, real*, Py_ssize_t) noexcept nogil
ctypedef void (*binary)(const real*, const real*, real*, Py_ssize_t) noexcept nogil

cdef enum:
    CHUNK = 16384  # elements per piece of work of a thread


cdef inline real fast_exp(real x) noexcept nogil:
    # x <= 0 is all the callers need; below the smallest normal number the result is 0. NaN stays NaN.
    cdef real n, r, p, clamped
    cdef bits_t shift
    if IS_FLOAT64:
        clamped = <real>-708.0 if x < <real>-708.0 else x
        n = (clamped * <real>1.4426950408889634 + <real>6755399441055744.0) - <real>6755399441055744.0
        r = (clamped - n * <real>6.93145751953125e-1) - n * <real>1.42860682030941723212e-6
        p = <real>(1.0 / 6227020800.0)
        p = p * r + <real>(1.0 / 479001600.0)
        p = p * r + <real>(1.0 / 39916800.0)
        p = p * r + <real>(1.0 / 3628800.0)
        p = p * r + <real>(1.0 / 362880.0)
        p = p * r + <real>(1.0 / 40320.0)
        p = p * r + <real>(1.0 / 5040.0)
        # the bits of (n + 1.5 * 2**52) hold n in their low end: an integer without a conversion instruction
        shift = (bits_from_real(n + <real>6755399441055744.0) + 1023) << MANTISSA_BITS
    else:
        clamped = <real>-87.0 if x < <real>-87.0 else x
        n = (clamped * <real>1.44269504 + <real>12582912.0) - <real>12582912.0
        r = (clamped - n * <real>0.693359375) - n * <real>-2.12194440e-4
        p = <real>(1.0 / 5040.0)
        shift = (bits_from_real(n + <real>12582912.0) + 127) << MANTISSA_BITS
    p = p * r + <real>(1.0 / 720.0)
    p = p * r + <real>(1.0 / 120.0)
    p = p * r + <real>(1.0 / 24.0)
    p = p * r + <real>(1.0 / 6.0)
    p = p * r + <real>0.5
    p = p * r + <real>1.0
    p = p * r + <real>1.0
    return p * real_from_bits(shift) if clamped == x else (x if x != x else <real>0)


cdef void relu_range(const real* x, real* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = <real>0 if x[i] < <real>0 else x[i]  # NaN < 0 is false: NaN stays


cdef void sigmoid_range(const real* x, real* y, Py_ssize_t n) noexcept nogil:
    # e = exp(-|x|) cannot overflow: 1 / (1 + e) for x >= 0, e / (1 + e) for x < 0
    cdef Py_ssize_t i
    cdef real e, v
    for i in range(n):
        v = x[i]
        e = fast_exp(v if v < <real>0 else -v)
        y[i] = (e if v < <real>0 else <real>1) / (<real>1 + e)


cdef void tanh_range(const real* x, real* y, Py_ssize_t n) noexcept nogil:
    # For |x| >= 0.3: sign(x) * (1 - e) / (1 + e) with e = exp(-2 |x|). Nearer to 0 that difference loses digits: there the
    # continued fraction of Lambert (1761), x / (1 + x^2 / (3 + x^2 / (5 + x^2 / (7 + ...)))), written as one quotient.
    cdef Py_ssize_t i
    cdef real e, v, a, s, far, near
    for i in range(n):
        v = x[i]
        a = -v if v < <real>0 else v
        e = fast_exp(<real>-2 * a)
        far = (<real>1 - e) / (<real>1 + e)
        s = a * a if a < <real>0.5 else <real>0.25
        near = (
            a * (<real>2027025 + s * (<real>270270 + s * (<real>6930 + s * <real>36)))
            / (<real>2027025 + s * (<real>945945 + s * (<real>51975 + s * (<real>630 + s))))
        )
        far = far if a >= <real>0.3 else near
        far = -far if v < <real>0 else far
        y[i] = far if v == v else v


cdef void relu_backward_range(const real* dy, const real* y, real* dx, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        dx[i] = <real>0 if y[i] <= <real>0 else dy[i]


cdef void sigmoid_backward_range(const real* dy, const real* y, real* dx, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        dx[i] = dy[i] * y[i] * (<real>1 - y[i])


cdef void tanh_backward_range(const real* dy, const real* y, real* dx, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        dx[i] = dy[i] * (<real>1 - y[i] * y[i])


cdef void leaky_relu_range(const real* x, real* y, Py_ssize_t n, real slope) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = slope * x[i] if x[i] < <real>0 else x[i]


cdef void leaky_relu_backward_range(const real* dy, const real* y, real* dx, Py_ssize_t n, real slope) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        dx[i] = slope * dy[i] if y[i] <= <real>0 else dy[i]


cdef inline real within_reach(real x) noexcept nogil:
    # Beyond 30 deviations gelu's gate is 0 or 1, and the cube of more could overflow. NaN stays.
    return <real>30 if x > <real>30 else <real>-30 if x < <real>-30 else x


cdef void gelu_range(const real* x, real* y, Py_ssize_t n) noexcept nogil:
    # x * sigmoid(2 u), 2 u = 2 sqrt(2 / pi) (x + 0.044715 x^3)
    cdef Py_ssize_t i
    cdef real v, near, u, e
    for i in range(n):
        v = x[i]
        near = within_reach(v)
        u = <real>1.5957691216057308 * (near + <real>0.044715 * near * near * near)
        e = fast_exp(u if u < <real>0 else -u)
        y[i] = (v if v > <real>0 else near) * ((e if u < <real>0 else <real>1) / (<real>1 + e))


cdef void gelu_backward_range(const real* dy, const real* x, real* dx, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real near, square, u, e, gate, slope
    for i in range(n):
        near = within_reach(x[i])
        square = near * near
        u = <real>1.5957691216057308 * (near + <real>0.044715 * near * square)
        slope = <real>1.5957691216057308 * (<real>1 + <real>0.134145 * square)
        e = fast_exp(u if u < <real>0 else -u)
        gate = (e if u < <real>0 else <real>1) / (<real>1 + e)
        dx[i] = dy[i] * (gate + near * slope * (e / ((<real>1 + e) * (<real>1 + e))))


cdef void add_range(const real* a, const real* b, real* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = a[i] + b[i]


cdef void add_relu_range(const real* a, const real* b, real* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef real v
    for i in range(n):
        v = a[i] + b[i]
        y[i] = <real>0 if v < <real>0 else v


cdef void add_sigmoid_range(const real* a, const real* b, real* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0, part
    while i < n:  # as much as the cache holds at once
        part = min(CHUNK, n - i)
        add_range(a + i, b + i, y + i, part)
        sigmoid_range(y + i, y + i, part)
        i += part


cdef void add_tanh_range(const real* a, const real* b, real* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i = 0, part
    while i < n:
        part = min(CHUNK, n - i)
        add_range(a + i, b + i, y + i, part)
        tanh_range(y + i, y + i, part)
        i += part
