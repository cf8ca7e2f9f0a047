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


def sgd_update(cnp.ndarray w, cnp.ndarray dw, cnp.ndarray velocity, double learning_rate, double momentum, bint nesterov,
               double weight_decay, int n_threads):
    cdef real* weights = <real*>cnp.PyArray_DATA(w)
    cdef const real* slopes = <const real*>cnp.PyArray_DATA(dw)
    cdef real* speed = <real*>cnp.PyArray_DATA(velocity)
    cdef real rate = <real>learning_rate, keep = <real>momentum, decay = <real>weight_decay
    cdef Py_ssize_t n = cnp.PyArray_SIZE(w), t
    with nogil:
        if n_threads == 1 or n <= CHUNK:
            sgd_range(weights, slopes, speed, n, rate, keep, nesterov, decay)
        else:
            for t in prange((n + CHUNK - 1) // CHUNK, num_threads=n_threads, schedule="static"):
                sgd_range(weights + t * CHUNK, slopes + t * CHUNK, speed + t * CHUNK, min(CHUNK, n - t * CHUNK), rate,
                          keep, nesterov, decay)


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


def adam_update(cnp.ndarray w, cnp.ndarray dw, cnp.ndarray m, cnp.ndarray v, long long step, double learning_rate,
                double beta_1, double beta_2, double epsilon, double weight_decay, int n_threads):
    cdef real* weights = <real*>cnp.PyArray_DATA(w)
    cdef const real* slopes = <const real*>cnp.PyArray_DATA(dw)
    cdef real* mean = <real*>cnp.PyArray_DATA(m)
    cdef real* square = <real*>cnp.PyArray_DATA(v)
    cdef AdamRates a
    cdef Py_ssize_t n = cnp.PyArray_SIZE(w), t
    a.rate = <real>(learning_rate / (1.0 - beta_1**<double>step))
    a.correction_2 = <real>(1.0 / (1.0 - beta_2**<double>step))
    a.beta_1, a.beta_2, a.epsilon, a.decay = <real>beta_1, <real>beta_2, <real>epsilon, <real>weight_decay
    a.rest_1, a.rest_2 = <real>(1.0 - beta_1), <real>(1.0 - beta_2)
    with nogil:
        if n_threads == 1 or n <= CHUNK:
            adam_range(weights, slopes, mean, square, n, &a)
        else:
            for t in prange((n + CHUNK - 1) // CHUNK, num_threads=n_threads, schedule="static"):
                adam_range(weights + t * CHUNK, slopes + t * CHUNK, mean + t * CHUNK, square + t * CHUNK,
                           min(CHUNK, n - t * CHUNK), &a)
