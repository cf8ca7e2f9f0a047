# The double kernels for any CPU (16-byte vectors, as the compiler can).
# One of a family that differs in these lines alone: what an element is, how many fit a vector, how many rows a tile has.
cdef extern from *:
    """
    #define DEPTHBENCH_FLOAT64 1
    #define DEPTHBENCH_VECTOR_BYTES 16
    """
ctypedef double real
cdef enum:
    IS_FLOAT64 = 1
    LANES = 2
    TILE_ROWS = 4

include "kernels.pxi"
