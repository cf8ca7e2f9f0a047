# A call of a kernel as data: what to run and on what, worked out once. A kernel called from Python fills one on the stack and
# runs it; `Bound` keeps one, to be run again and again without a look at its arguments; `Program` runs many of them without
# coming back to Python in between.

cdef struct Call:
    int (*run)(const Call* call, double* value) noexcept nogil     # returns one of the codes below
    int n_threads, activation, flag
    const real* x         # what is read: images, gradients, logits
    const real* w         # a second array that is read: filters, values of an activation
    const real* bias
    real* out
    real* state[2]        # of an optimizer
    const real* vectors[5]    # one value per channel each: mean, variance, gamma ...
    real* outs[2]         # likewise, written
    double number[2]
    int32_t* argmax
    const int64_t* labels     # or indices
    const int64_t* lengths
    Py_ssize_t n, channels, steps, rows
    Product product
    Sizes sizes
    Window window
    unary forward
    binary backward
    real rate, momentum, decay
    AdamRates adam

cdef enum:
    OUT_OF_RANGE = 2      # an index that points outside

cdef extern from "support.h" nogil:
    int64_t nanoseconds()


cdef object answer(int code, double value, bint wants_value):
    # What a kernel's function returns to Python.
    if code == NO_MEMORY:
        raise MemoryError("no memory for the working buffers of a kernel")
    if wants_value:
        return value
    return code != OUT_OF_RANGE


cdef object finish(Call* call, Bound into, tuple arrays, bint wants_value=False):
    # Run the call now, or keep it, and the arrays it points to, in `into`.
    cdef double value = 0
    cdef int code
    if into is not None:
        into.arrays, into.wants_value = arrays, wants_value
        return into
    with nogil:
        code = call.run(call, &value)
    return answer(code, value, wants_value)


cdef class Bound:
    """A call of a kernel with all its arguments; filled by the kernel's function, which takes it as its last argument."""

    cdef Call call
    cdef object arrays
    cdef bint wants_value

    def __call__(self):
        cdef double value = 0
        cdef int code
        if self.call.run == NULL:
            raise ValueError("nothing is bound")
        with nogil:
            code = self.call.run(&self.call, &value)
        return answer(code, value, self.wants_value)


cdef int run_calls(Call** calls, Py_ssize_t n, int64_t* times) noexcept nogil:
    # In their order, until one fails; times[i, :] = start and end of call i in nanoseconds, where there is room for that.
    cdef Py_ssize_t i
    cdef int code
    cdef double value = 0
    for i in range(n):
        if times != NULL:
            times[2 * i] = nanoseconds()
        code = calls[i].run(calls[i], &value)
        if times != NULL:
            times[2 * i + 1] = nanoseconds()
        if code != SUCCESS and code != NOT_FINITE:
            return code
    return SUCCESS


cdef class Program:
    """Bound calls, run one after the other without coming back to Python.

    Where `times` is an int64 array (n_calls, 2), each run writes the start and the end of each call into it, in nanoseconds.
    """

    cdef Call** calls
    cdef Py_ssize_t n
    cdef list bounds
    cdef int64_t* clock
    cdef object _times

    def __cinit__(self, bounds):
        self.bounds = list(bounds)
        self.n = len(self.bounds)
        self.calls = <Call**>malloc(max(self.n, 1) * sizeof(Call*))
        if self.calls == NULL:
            raise MemoryError("no memory for a program")
        for i in range(self.n):
            self.put(i, self.bounds[i])

    def __dealloc__(self):
        free(self.calls)

    def __len__(self):
        return self.n

    cdef put(self, Py_ssize_t i, Bound bound):
        if bound.call.run == NULL:
            raise ValueError(f"call {i} is not bound")
        self.bounds[i] = bound
        self.calls[i] = &bound.call

    def replace(self, Py_ssize_t i, Bound bound not None):
        """Put another call in the place of call i."""
        if not 0 <= i < self.n:
            raise IndexError(f"there are {self.n} calls, got {i}")
        self.put(i, bound)

    @property
    def times(self):
        return self._times

    @times.setter
    def times(self, cnp.ndarray value):
        if value is not None:
            if (cnp.PyArray_NDIM(value) != 2 or cnp.PyArray_DIM(value, 0) != self.n or cnp.PyArray_DIM(value, 1) != 2
                    or value.dtype != "int64" or not value.flags.c_contiguous or not value.flags.writeable):
                raise ValueError(f"times must be a C-contiguous int64 array ({self.n}, 2)")
        self._times = value
        self.clock = NULL if value is None else <int64_t*>cnp.PyArray_DATA(value)

    def __call__(self):
        cdef int code
        with nogil:
            code = run_calls(self.calls, self.n, self.clock)
        answer(code, 0, False)


def run_together(list programs):
    """Run programs at the same time, each on a thread of its own."""
    cdef Py_ssize_t n = len(programs), i
    cdef Call*** calls = <Call***>malloc(max(n, 1) * sizeof(Call**))
    cdef Py_ssize_t* counts = <Py_ssize_t*>malloc(max(n, 1) * sizeof(Py_ssize_t))
    cdef int64_t** clocks = <int64_t**>malloc(max(n, 1) * sizeof(int64_t*))
    cdef Program program
    cdef int failed = 0, code
    try:
        if calls == NULL or counts == NULL or clocks == NULL:
            raise MemoryError("no memory for a program")
        for i in range(n):
            program = programs[i]
            calls[i], counts[i], clocks[i] = program.calls, program.n, program.clock
        with nogil:
            for i in prange(n, num_threads=<int>max(n, 1), schedule="static", chunksize=1):
                code = run_calls(calls[i], counts[i], clocks[i])
                failed += code != SUCCESS
    finally:
        free(calls)
        free(counts)
        free(clocks)
    if failed:
        raise MemoryError("no memory for the working buffers of a kernel")
