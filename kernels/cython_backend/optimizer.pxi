# Optimizers: one pass over weights, gradients and state, all updated in place. Formulas: kernels/api.py.


cdef void sgd_range(real* w, const real* dw, real* velocity, Py_ssize_t n, real rate, real momentum, bint nesterov,
                    real decay) noexcept nogil:
    cdef Py_ssize_t i
    cdef real g, v
    for i in range(n):
        g = dw[i] + decay * w[i]
        v = momentum * velocity[i] + g
        velocity[i] = v
        w[i] = w[i] - rate * (g + momentum * v if nesterov else v)


cdef struct AdamRates:
    real rate, beta_1, beta_2, rest_1, rest_2, epsilon, decay, correction_2


cdef void adam_range(real* w, const real* dw, real* m, real* v, Py_ssize_t n, const AdamRates* a) noexcept nogil:
    # rate holds learning_rate / (1 - beta_1**step), correction_2 holds 1 / (1 - beta_2**step), rest_1 holds 1 - beta_1: taken
    # in double, since 1 - 0.999 in float32 has lost four digits.
    cdef Py_ssize_t i
    cdef real g, mi, vi, root
    cdef real rate = a.rate, beta_1 = a.beta_1, beta_2 = a.beta_2, epsilon = a.epsilon, decay = a.decay
    cdef real rest_1 = a.rest_1, rest_2 = a.rest_2, correction_2 = a.correction_2
    for i in range(n):
        g = dw[i] + decay * w[i]
        mi = beta_1 * m[i] + rest_1 * g
        vi = beta_2 * v[i] + rest_2 * g * g
        m[i] = mi
        v[i] = vi
        root = square_root(vi * correction_2)
        w[i] = w[i] - rate * mi / (root + epsilon)


cdef inline real square_root(real x) noexcept nogil:
    return sqrt(x) if IS_FLOAT64 else sqrtf(<float>x)
