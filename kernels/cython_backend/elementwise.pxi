# Activations: one pass over memory each. The loops are written so that the compiler vectorises them; exp is a polynomial
# for the same reason (a call to libm would not be vectorised). Constants are cast to the element's type: C would take a plain
# 1.0 for a double, and compute half as many elements at a time.
#
# exp(x) = 2**n * exp(r), n = round(x / ln 2), |r| <= ln(2) / 2. In float64 exp(r) is its Taylor polynomial of degree 13, whose
# remainder lies below half a unit in the last place; in float32 1 + r + r^2 q(r) with q of degree 4, relative error 3e-9, fitted
# by Lawson's algorithm. Range reduction in two steps: Cody & Waite, "Software Manual for the Elementary Functions" (1980).
#
# A division costs as much as ten multiply-adds and there is one unit for it: each function has one.

ctypedef void (*unary)(const real*, real*, Py_ssize_t) noexcept nogil
ctypedef void (*binary)(const real*, const real*, real*, Py_ssize_t) noexcept nogil

cdef enum:
    CHUNK = 16384  # elements per piece of work of a thread


cdef inline real exp_within(real x) noexcept nogil:
    # |x| below the logarithm of the largest number (87 and 708): all others must be caught. NaN stays NaN.
    cdef real n, r, p
    cdef bits_t shift
    if IS_FLOAT64:
        n = (x * <real>1.4426950408889634 + <real>6755399441055744.0) - <real>6755399441055744.0
        r = (x - n * <real>6.93145751953125e-1) - n * <real>1.42860682030941723212e-6
        p = <real>(1.0 / 6227020800.0)
        p = p * r + <real>(1.0 / 479001600.0)
        p = p * r + <real>(1.0 / 39916800.0)
        p = p * r + <real>(1.0 / 3628800.0)
        p = p * r + <real>(1.0 / 362880.0)
        p = p * r + <real>(1.0 / 40320.0)
        p = p * r + <real>(1.0 / 5040.0)
        p = p * r + <real>(1.0 / 720.0)
        p = p * r + <real>(1.0 / 120.0)
        p = p * r + <real>(1.0 / 24.0)
        p = p * r + <real>(1.0 / 6.0)
        p = p * r + <real>0.5
        # the bits of (n + 1.5 * 2**52) hold n in their low end: an integer without a conversion instruction
        shift = (bits_from_real(n + <real>6755399441055744.0) + 1023) << MANTISSA_BITS
    else:
        n = (x * <real>1.44269504 + <real>12582912.0) - <real>12582912.0
        r = (x - n * <real>0.693359375) - n * <real>-2.12194440e-4
        p = <real>0.00138146020
        p = p * r + <real>0.00836871529
        p = p * r + <real>0.0416683879
        p = p * r + <real>0.166665206
        p = p * r + <real>0.499999934
        shift = (bits_from_real(n + <real>12582912.0) + 127) << MANTISSA_BITS
    p = p * r + <real>1.0
    p = p * r + <real>1.0
    return p * real_from_bits(shift)


cdef inline real fast_exp(real x) noexcept nogil:
    # x <= 0 is all the callers need; where the result would be below the smallest normal number it is 0. NaN stays NaN.
    cdef real low = <real>-708.0 if IS_FLOAT64 else <real>-87.0
    return exp_within(low if x < low else x) if x >= low or x != x else <real>0


cdef inline real exp_clamped(real x) noexcept nogil:
    # exp(x) with x held where its exponential and that one's inverse are normal numbers. NaN stays NaN.
    cdef real low = <real>-708.0 if IS_FLOAT64 else <real>-87.0
    x = low if x < low else x
    return exp_within(-low if x > -low else x)


cdef inline real sigmoid_of(real x) noexcept nogil:
    # 1 / (1 + exp(-x)); 0 where it would be below the smallest normal number.
    return <real>0 if x < (<real>-708.0 if IS_FLOAT64 else <real>-87.0) else <real>1 / (<real>1 + exp_clamped(-x))


cdef inline real tanh_of(real x) noexcept nogil:
    # In float32 a quotient of polynomials, fitted on [-9, 9], where tanh has reached 1; its coefficients are those of Eigen's
    # `ptanh_float` (MathFunctionsImpl.h). In float64, for |x| >= 0.3, sign(x) * (1 - e) / (1 + e) with e = exp(-2 |x|); nearer to 0
    # that difference loses digits: there the continued fraction of Lambert (1761), x / (1 + x^2 / (3 + x^2 / (5 + ...))).
    cdef real e, a, s, top, bottom
    if IS_FLOAT64:
        a = -x if x < <real>0 else x
        e = fast_exp(<real>-2 * a)
        s = a * a if a < <real>0.5 else <real>0.25
        top = a * (<real>2027025 + s * (<real>270270 + s * (<real>6930 + s * <real>36)))
        bottom = <real>2027025 + s * (<real>945945 + s * (<real>51975 + s * (<real>630 + s)))
        top = <real>1 - e if a >= <real>0.3 else top
        bottom = <real>1 + e if a >= <real>0.3 else bottom
        a = top / bottom
        return -a if x < <real>0 else a
    a = <real>-9 if x < <real>-9 else x
    a = <real>9 if a > <real>9 else a
    s = a * a
    top = <real>1.394553628e-8
    top = top * s + <real>2.102733560e-5
    top = top * s + <real>3.520756727e-3
    top = top * s + <real>1.340216100e-1
    top = top * (s * a) + a
    bottom = <real>8.015776984e-7
    bottom = bottom * s + <real>3.326951409e-4
    bottom = bottom * s + <real>2.597254514e-2
    bottom = bottom * s + <real>4.673548340e-1
    bottom = bottom * s + <real>1
    a = top / bottom
    a = <real>-1 if a < <real>-1 else a
    return <real>1 if a > <real>1 else a


cdef void relu_range(const real* x, real* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = <real>0 if x[i] < <real>0 else x[i]  # NaN < 0 is false: NaN stays


cdef void sigmoid_range(const real* x, real* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = sigmoid_of(x[i])


cdef void tanh_range(const real* x, real* y, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        y[i] = tanh_of(x[i])


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
    cdef real v, near, u, gated
    for i in range(n):
        v = x[i]
        near = within_reach(v)
        u = <real>1.5957691216057308 * (near + <real>0.044715 * near * near * near)
        gated = (v if v > <real>0 else near) / (<real>1 + exp_clamped(-u))
        y[i] = <real>0 if u < (<real>-708.0 if IS_FLOAT64 else <real>-87.0) else gated


cdef void gelu_backward_range(const real* dy, const real* x, real* dx, Py_ssize_t n) noexcept nogil:
    # The gate's slope, gate (1 - gate), is gate (e gate) with e = exp(-2 u): that loses no digits where the gate is near 1.
    cdef Py_ssize_t i
    cdef real near, square, u, e, gate, slope
    for i in range(n):
        near = within_reach(x[i])
        square = near * near
        u = <real>1.5957691216057308 * (near + <real>0.044715 * near * square)
        slope = <real>1.5957691216057308 * (<real>1 + <real>0.134145 * square)
        e = exp_clamped(-u)
        gate = <real>1 / (<real>1 + e)
        dx[i] = dy[i] * (gate + near * slope * (e * gate * gate))


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
