# The double kernels for x86-64-v4 (AVX-512: 32 registers of 64 bytes, 24 of them accumulators).
# One of a family that differs in these lines alone: what an element is, how many fit a vector, how many rows a tile has.
cdef extern from *:
    """
    #define DEPTHBENCH_FLOAT64 1
    #define DEPTHBENCH_VECTOR_BYTES 64
    """
ctypedef double real
cdef enum:
    IS_FLOAT64 = 1
    LANES = 8
    TILE_ROWS = 12

include "kernels.pxi"
