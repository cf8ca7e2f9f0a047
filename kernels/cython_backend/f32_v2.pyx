# The float kernels for x86-64-v2 (SSE4.2: 16 registers of 16 bytes, no FMA).
# One of a family that differs in these lines alone: what an element is, how many fit a vector, how many rows a tile has.
cdef extern from *:
    """
    #define DEPTHBENCH_FLOAT64 0
    #define DEPTHBENCH_VECTOR_BYTES 16
    """
ctypedef float real
cdef enum:
    IS_FLOAT64 = 0
    LANES = 4
    TILE_ROWS = 4

include "kernels.pxi"
