# The kernels as Python calls them. Each function writes its arguments, which are checked already (kernels/api/), into a `Call`;
# below it stands what the call then does. With a `Bound` as last argument the call is kept there and not run.


cdef const real* data_or_null(x) except? NULL:
    if x is None:
        return NULL
    return <const real*>cnp.PyArray_DATA(<cnp.ndarray?>x)


cdef inline real* data_of(cnp.ndarray x) noexcept:
    return <real*>cnp.PyArray_DATA(x)


cdef inline Call* begin(Call* here, Bound into, int n_threads) noexcept:
    cdef Call* call = here if into is None else &into.call
    memset(call, 0, sizeof(Call))
    call.n_threads = n_threads
    return call


cdef int activation_code(str name):
    return ACT_NONE if name is None else ACT_RELU if name == "relu" else ACT_SIGMOID if name == "sigmoid" else ACT_TANH


# -- matrices ------------------------------------------------------------------------------------------------------------


cdef void describe_matrix(Operand* operand, cnp.ndarray x):
    operand.kind = STRIDED
    operand.data = <const real*>cnp.PyArray_DATA(x)
    operand.row_stride = cnp.PyArray_STRIDE(x, 0) // <Py_ssize_t>sizeof(real)
    operand.column_stride = cnp.PyArray_STRIDE(x, 1) // <Py_ssize_t>sizeof(real)


cdef int run_gemm(const Call* c, double* value) noexcept nogil:
    return NO_MEMORY if run_product(&c.product, c.n_threads) else SUCCESS


def gemm(cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, double alpha, double beta, bias, str activation, int n_threads,
         Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    cdef Product* p = &c.product
    c.run = run_gemm
    describe_matrix(&p.a, a)
    describe_matrix(&p.b, b)
    p.b.end = p.b.data + max(0, (cnp.PyArray_DIM(b, 0) - 1) * p.b.row_stride) + cnp.PyArray_DIM(b, 1)
    p.c = data_of(out)
    p.m, p.k, p.n = cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(b, 1)
    p.c_stride = p.n
    p.alpha, p.beta = <real>alpha, <real>beta
    p.bias = data_or_null(bias)
    p.activation = activation_code(activation)
    return finish(c, into, (a, b, out, bias))


cdef int run_bias_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t block
    if c.channels % LANES != 0 and c.channels * LANES <= BIAS_FOLDED and c.n >= 2 * LANES:
        bias_folded(c.x, c.out, c.n, c.channels)
        return SUCCESS
    for block in prange((c.channels + BIAS_CHANNELS - 1) // BIAS_CHANNELS, num_threads=c.n_threads, schedule="static"):
        bias_columns(c.x, c.out, c.n, c.channels, block * BIAS_CHANNELS,
                     min(BIAS_CHANNELS, c.channels - block * BIAS_CHANNELS))
    return SUCCESS


def bias_backward(cnp.ndarray dy, cnp.ndarray out, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run = run_bias_backward
    c.x, c.out = data_of(dy), data_of(out)
    c.n, c.channels = cnp.PyArray_DIM(dy, 0), cnp.PyArray_DIM(dy, 1)
    return finish(c, into, (dy, out))


# -- convolution ---------------------------------------------------------------------------------------------------------


cdef Sizes sizes_of(geometry):
    cdef Sizes s
    s.batch, s.in_h, s.in_w, s.in_c = geometry.batch, geometry.in_h, geometry.in_w, geometry.in_c
    s.kernel_h, s.kernel_w, s.out_c = geometry.kernel_h, geometry.kernel_w, geometry.out_c
    s.out_h, s.out_w, s.groups = geometry.out_h, geometry.out_w, geometry.groups
    s.stride_h, s.stride_w = geometry.stride_h, geometry.stride_w
    s.pad_top, s.pad_left = geometry.pad_top, geometry.pad_left
    s.dilation_h, s.dilation_w = geometry.dilation_h, geometry.dilation_w
    return s


cdef int run_conv2d(const Call* c, double* value) noexcept nogil:
    return convolve(&c.sizes, c.x, c.w, c.bias, c.activation, c.out, c.n_threads)


def conv2d(cnp.ndarray x, cnp.ndarray w, bias, cnp.ndarray out, geometry, str activation, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.sizes = run_conv2d, sizes_of(geometry)
    c.x, c.w, c.bias, c.out = data_of(x), data_of(w), data_or_null(bias), data_of(out)
    c.activation = activation_code(activation)
    return finish(c, into, (x, w, bias, out))


cdef int run_conv2d_backward_input(const Call* c, double* value) noexcept nogil:
    return input_gradient(&c.sizes, c.x, c.w, c.out, c.n_threads)


def conv2d_backward_input(cnp.ndarray dy, cnp.ndarray w, cnp.ndarray out, geometry, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.sizes = run_conv2d_backward_input, sizes_of(geometry)
    c.x, c.w, c.out = data_of(dy), data_of(w), data_of(out)
    return finish(c, into, (dy, w, out))


cdef int run_conv2d_backward_weight(const Call* c, double* value) noexcept nogil:
    return weight_gradient(&c.sizes, c.w, c.x, c.out, c.n_threads)


def conv2d_backward_weight(cnp.ndarray dy, cnp.ndarray x, cnp.ndarray out, geometry, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.sizes = run_conv2d_backward_weight, sizes_of(geometry)
    c.x, c.w, c.out = data_of(dy), data_of(x), data_of(out)
    return finish(c, into, (dy, x, out))


# -- pooling -------------------------------------------------------------------------------------------------------------


cdef Window window_of(geometry):
    cdef Window s
    s.batch, s.in_h, s.in_w, s.channels = geometry.batch, geometry.in_h, geometry.in_w, geometry.channels
    s.kernel_h, s.kernel_w = geometry.kernel_h, geometry.kernel_w
    s.stride_h, s.stride_w = geometry.stride_h, geometry.stride_w
    s.pad_top, s.pad_left = geometry.pad_top, geometry.pad_left
    s.out_h, s.out_w = geometry.out_h, geometry.out_w
    return s


cdef int run_max_pool2d(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t rows = c.window.batch * c.window.out_h, share = (rows + c.n_threads - 1) // c.n_threads, t
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        max_pool_rows(&c.window, min(rows, t * share), min(rows, (t + 1) * share), c.x, c.out, c.argmax)
    return SUCCESS


def max_pool2d(cnp.ndarray x, cnp.ndarray out, cnp.ndarray argmax, geometry, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.window = run_max_pool2d, window_of(geometry)
    c.x, c.out, c.argmax = data_of(x), data_of(out), <int32_t*>cnp.PyArray_DATA(argmax)
    return finish(c, into, (x, out, argmax))


cdef int max_pool_image(const Call* c, Py_ssize_t n) noexcept nogil:
    # Whether an index of image n points outside.
    cdef Py_ssize_t n_windows = c.window.out_h * c.window.out_w, n_pixels = c.window.in_h * c.window.in_w
    cdef Py_ssize_t windows = n * n_windows * c.channels, pixels = n * n_pixels * c.channels
    if in_pairs(&c.window) and max_pool_spread(&c.window, c.x + windows, c.argmax + windows, c.out + pixels):
        return False
    return max_pool_scatter(c.x + windows, c.argmax + windows, c.out + pixels, n_windows, n_pixels, c.channels)


cdef int run_max_pool2d_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t n
    cdef int outside = 0
    for n in prange(c.n, num_threads=c.n_threads, schedule="static"):
        outside += max_pool_image(c, n)
    return OUT_OF_RANGE if outside else SUCCESS


def max_pool2d_backward(cnp.ndarray dy, cnp.ndarray argmax, cnp.ndarray out, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run = run_max_pool2d_backward
    c.x, c.out, c.argmax = data_of(dy), data_of(out), <int32_t*>cnp.PyArray_DATA(argmax)
    c.n, c.channels = cnp.PyArray_DIM(dy, 0), cnp.PyArray_DIM(dy, 3)
    c.window.channels = c.channels
    c.window.out_h, c.window.out_w = cnp.PyArray_DIM(dy, 1), cnp.PyArray_DIM(dy, 2)
    c.window.in_h, c.window.in_w = cnp.PyArray_DIM(out, 1), cnp.PyArray_DIM(out, 2)
    return finish(c, into, (dy, argmax, out))


cdef int run_avg_pool2d(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t rows = c.window.batch * c.window.out_h, share = (rows + c.n_threads - 1) // c.n_threads, t
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        avg_pool_rows(&c.window, min(rows, t * share), min(rows, (t + 1) * share), c.x, c.out, c.flag)
    return SUCCESS


def avg_pool2d(cnp.ndarray x, cnp.ndarray out, geometry, bint count_include_pad, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.window = run_avg_pool2d, window_of(geometry)
    c.x, c.out, c.flag = data_of(x), data_of(out), count_include_pad
    return finish(c, into, (x, out))


cdef int run_avg_pool2d_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t n
    for n in prange(c.window.batch, num_threads=c.n_threads, schedule="static"):
        avg_pool_spread(&c.window, n, c.x, c.out, c.flag)
    return SUCCESS


def avg_pool2d_backward(cnp.ndarray dy, cnp.ndarray out, geometry, bint count_include_pad, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.window = run_avg_pool2d_backward, window_of(geometry)
    c.x, c.out, c.flag = data_of(dy), data_of(out), count_include_pad
    return finish(c, into, (dy, out))


# -- activations ---------------------------------------------------------------------------------------------------------


cdef int run_forward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t t
    if c.n_threads == 1 or c.n <= CHUNK:
        c.forward(c.x, c.out, c.n)
    else:
        for t in prange((c.n + CHUNK - 1) // CHUNK, num_threads=c.n_threads, schedule="static"):
            c.forward(c.x + t * CHUNK, c.out + t * CHUNK, min(CHUNK, c.n - t * CHUNK))
    return SUCCESS


cdef int run_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t t
    if c.n_threads == 1 or c.n <= CHUNK:
        c.backward(c.x, c.w, c.out, c.n)
    else:
        for t in prange((c.n + CHUNK - 1) // CHUNK, num_threads=c.n_threads, schedule="static"):
            c.backward(c.x + t * CHUNK, c.w + t * CHUNK, c.out + t * CHUNK, min(CHUNK, c.n - t * CHUNK))
    return SUCCESS


cdef object forward(unary function, cnp.ndarray x, cnp.ndarray out, int n_threads, Bound into):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.forward = run_forward, function
    c.x, c.out, c.n = data_of(x), data_of(out), cnp.PyArray_SIZE(x)
    return finish(c, into, (x, out))


cdef object backward(binary function, cnp.ndarray dy, cnp.ndarray y, cnp.ndarray out, int n_threads, Bound into):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.backward = run_backward, function
    c.x, c.w, c.out, c.n = data_of(dy), data_of(y), data_of(out), cnp.PyArray_SIZE(dy)
    return finish(c, into, (dy, y, out))


def relu(cnp.ndarray x, cnp.ndarray out, int n_threads, Bound into=None):
    return forward(relu_range, x, out, n_threads, into)


def sigmoid(cnp.ndarray x, cnp.ndarray out, int n_threads, Bound into=None):
    return forward(sigmoid_range, x, out, n_threads, into)


def tanh(cnp.ndarray x, cnp.ndarray out, int n_threads, Bound into=None):
    return forward(tanh_range, x, out, n_threads, into)


def relu_backward(cnp.ndarray dy, cnp.ndarray y, cnp.ndarray out, int n_threads, Bound into=None):
    return backward(relu_backward_range, dy, y, out, n_threads, into)


def sigmoid_backward(cnp.ndarray dy, cnp.ndarray y, cnp.ndarray out, int n_threads, Bound into=None):
    return backward(sigmoid_backward_range, dy, y, out, n_threads, into)


def tanh_backward(cnp.ndarray dy, cnp.ndarray y, cnp.ndarray out, int n_threads, Bound into=None):
    return backward(tanh_backward_range, dy, y, out, n_threads, into)


def gelu(cnp.ndarray x, cnp.ndarray out, int n_threads, Bound into=None):
    return forward(gelu_range, x, out, n_threads, into)


def gelu_backward(cnp.ndarray dy, cnp.ndarray x, cnp.ndarray out, int n_threads, Bound into=None):
    return backward(gelu_backward_range, dy, x, out, n_threads, into)


def add(cnp.ndarray a, cnp.ndarray b, cnp.ndarray out, str activation, int n_threads, Bound into=None):
    cdef int code = activation_code(activation)
    if code == ACT_RELU:
        return backward(add_relu_range, a, b, out, n_threads, into)
    if code == ACT_SIGMOID:
        return backward(add_sigmoid_range, a, b, out, n_threads, into)
    return backward(add_tanh_range if code == ACT_TANH else add_range, a, b, out, n_threads, into)


cdef int run_leaky_relu(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t t
    for t in prange((c.n + CHUNK - 1) // CHUNK, num_threads=c.n_threads, schedule="static"):
        leaky_relu_range(c.x + t * CHUNK, c.out + t * CHUNK, min(CHUNK, c.n - t * CHUNK), c.rate)
    return SUCCESS


def leaky_relu(cnp.ndarray x, cnp.ndarray out, double slope, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.rate = run_leaky_relu, <real>slope
    c.x, c.out, c.n = data_of(x), data_of(out), cnp.PyArray_SIZE(x)
    return finish(c, into, (x, out))


cdef int run_leaky_relu_backward(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t t
    for t in prange((c.n + CHUNK - 1) // CHUNK, num_threads=c.n_threads, schedule="static"):
        leaky_relu_backward_range(c.x + t * CHUNK, c.w + t * CHUNK, c.out + t * CHUNK, min(CHUNK, c.n - t * CHUNK), c.rate)
    return SUCCESS


def leaky_relu_backward(cnp.ndarray dy, cnp.ndarray y, cnp.ndarray out, double slope, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run, c.rate = run_leaky_relu_backward, <real>slope
    c.x, c.w, c.out, c.n = data_of(dy), data_of(y), data_of(out), cnp.PyArray_SIZE(dy)
    return finish(c, into, (dy, y, out))


# -- loss and optimizers -------------------------------------------------------------------------------------------------


cdef int run_softmax_cross_entropy(const Call* c, double* value) noexcept nogil:
    # The parts are added in the order of the threads: the same sum at every run.
    cdef Py_ssize_t share = (c.n + c.n_threads - 1) // c.n_threads, t
    cdef double* losses = <double*>workspace(SLOT_PARTIAL, c.n_threads * sizeof(double))
    cdef double loss = 0
    if losses == NULL:
        return NO_MEMORY
    for t in prange(c.n_threads, num_threads=c.n_threads, schedule="static"):
        losses[t] = cross_entropy_rows(c.x, c.labels, c.out, min(c.n, t * share), min(c.n, (t + 1) * share), c.channels,
                                       c.n)
    for t in range(c.n_threads):
        loss += losses[t]
    value[0] = loss / c.n
    return SUCCESS


def softmax_cross_entropy(cnp.ndarray logits, cnp.ndarray labels, cnp.ndarray out, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run = run_softmax_cross_entropy
    c.x, c.out, c.labels = data_of(logits), data_of(out), <const int64_t*>cnp.PyArray_DATA(labels)
    c.n, c.channels = cnp.PyArray_DIM(logits, 0), cnp.PyArray_DIM(logits, 1)
    return finish(c, into, (logits, labels, out), True)


cdef int run_sgd_update(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t t
    if c.n_threads == 1 or c.n <= CHUNK:
        sgd_range(c.out, c.x, c.state[0], c.n, c.rate, c.momentum, c.flag, c.decay)
    else:
        for t in prange((c.n + CHUNK - 1) // CHUNK, num_threads=c.n_threads, schedule="static"):
            sgd_range(c.out + t * CHUNK, c.x + t * CHUNK, c.state[0] + t * CHUNK, min(CHUNK, c.n - t * CHUNK), c.rate,
                      c.momentum, c.flag, c.decay)
    return SUCCESS


def sgd_update(cnp.ndarray w, cnp.ndarray dw, cnp.ndarray velocity, double learning_rate, double momentum, bint nesterov,
               double weight_decay, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    c.run = run_sgd_update
    c.out, c.x, c.state[0], c.n = data_of(w), data_of(dw), data_of(velocity), cnp.PyArray_SIZE(w)
    c.rate, c.momentum, c.decay, c.flag = <real>learning_rate, <real>momentum, <real>weight_decay, nesterov
    return finish(c, into, (w, dw, velocity))


cdef int run_adam_update(const Call* c, double* value) noexcept nogil:
    cdef Py_ssize_t t
    if c.n_threads == 1 or c.n <= CHUNK:
        adam_range(c.out, c.x, c.state[0], c.state[1], c.n, &c.adam)
    else:
        for t in prange((c.n + CHUNK - 1) // CHUNK, num_threads=c.n_threads, schedule="static"):
            adam_range(c.out + t * CHUNK, c.x + t * CHUNK, c.state[0] + t * CHUNK, c.state[1] + t * CHUNK,
                       min(CHUNK, c.n - t * CHUNK), &c.adam)
    return SUCCESS


def adam_update(cnp.ndarray w, cnp.ndarray dw, cnp.ndarray m, cnp.ndarray v, long long step, double learning_rate,
                double beta_1, double beta_2, double epsilon, double weight_decay, int n_threads, Bound into=None):
    cdef Call here
    cdef Call* c = begin(&here, into, n_threads)
    cdef AdamRates* a = &c.adam
    c.run = run_adam_update
    c.out, c.x, c.state[0], c.state[1], c.n = data_of(w), data_of(dw), data_of(m), data_of(v), cnp.PyArray_SIZE(w)
    a.rate = <real>(learning_rate / (1.0 - beta_1**<double>step))
    a.correction_2 = <real>(1.0 / (1.0 - beta_2**<double>step))
    a.beta_1, a.beta_2, a.epsilon, a.decay = <real>beta_1, <real>beta_2, <real>epsilon, <real>weight_decay
    a.rest_1, a.rest_2 = <real>(1.0 - beta_1), <real>(1.0 - beta_2)
    return finish(c, into, (w, dw, m, v))
