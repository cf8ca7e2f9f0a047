# The double kernels for x86-64-v3 (AVX2 and FMA: 16 registers of 32 bytes, 12 of them accumulators).
# One of a family that differs in these lines alone: what an element is, how many fit a vector, how many rows a tile has.
cdef extern from *:
    """
    #define DEPTHBENCH_FLOAT64 1
    #define DEPTHBENCH_VECTOR_BYTES 32
    """
ctypedef double real
cdef enum:
    IS_FLOAT64 = 1
    LANES = 4
    TILE_ROWS = 6

include "kernels.pxi"
