# Loops whose work is known: what the machine can do at most in this instruction set and dtype.


cdef enum:
    CHAINS = 12


cdef inline void fma_block(Py_ssize_t n, real* sink) noexcept nogil:
    # Independent chains of dependent updates: more than latency times units (4 * 2), and few enough for 16 registers.
    cdef vector acc[CHAINS]
    cdef vector scale, shift
    cdef Py_ssize_t i, k
    for i in range(CHAINS):  # each from memory of its own, or the compiler would find that all are one
        acc[i] = vector_load(sink + i * LANES)
    scale = vector_load(sink) * <real>0.999
    shift = vector_load(sink) * <real>0.001
    for k in range(n):
        for i in range(CHAINS):
            acc[i] = acc[i] * scale + shift
    for i in range(CHAINS):
        vector_store(sink + i * LANES, acc[i])


def fma_loop(Py_ssize_t n_iterations, int n_threads):
    """Run `n_iterations` of 12 independent vector multiply-adds on each thread; return the FLOPs that were executed."""
    cdef Py_ssize_t t
    cdef real* sinks = <real*>malloc(n_threads * 64 * LANES * sizeof(real))
    if sinks == NULL:
        raise MemoryError("no memory for the probe")
    for t in range(n_threads * 64 * LANES):
        sinks[t] = 1
    with nogil:
        for t in prange(n_threads, num_threads=n_threads, schedule="static"):
            fma_block(n_iterations, sinks + t * 64 * LANES)
    free(sinks)
    return 2 * CHAINS * LANES * n_iterations * n_threads
