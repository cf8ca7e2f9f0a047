# Everything a module is made of. Included as text, so that each module compiles it for its own instruction set and dtype:
# no branch on the dtype is written twice, and the compiler sees the tile's sizes as constants.
#
#   tile          a TILE_ROWS x (2, 1 or half a vector) block of C, held in registers
#   patches       rows of an implicit matrix, copied straight out of images
#   pack          operands (matrices, patches) -> panels
#   gemm          blocking around the tile: panels -> tiles -> C, and the division among threads
#   skinny        products with very few rows, without packing
#   turned        products with few columns as products with few rows
#   conv2d        convolutions as products with implicit matrices
#   scatter       the gradient for the input by adding into it, where channels are few or strides large
#   direct        first layers: one to eight channels, no packing
#   planar        first layers with few filters too
#   winograd      3x3 convolutions of many channels, in 4 / 9 of the multiplications
#   choice        which of these ways a convolution goes
#   pool2d, elementwise, loss, optimizer          single passes over memory
#   call          calls as data: bound once, run one by one or many in a row
#   entry         the functions that Python sees
#   norm, layer_norm                              batch and layer normalization, with their entries
#   embedding     means of rows of a table, with their entries
#   probe         loops whose rate is known: the machine's ceiling

cimport numpy as cnp
from cython.parallel cimport prange
from libc.math cimport NAN, log, sqrt, sqrtf
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef extern from "support.h" nogil:
    ctypedef real vector "depthbench_vector"
    enum: MANTISSA_BITS
    ctypedef int64_t bits_t "depthbench_bits"
    vector vector_load(const real* p)
    void vector_store(real* p, vector v)
    vector vector_zero()
    vector vector_relu(vector v)
    vector vector_clear_below(vector v, real floor)
    vector vector_divide(vector v, real divisor)
    ctypedef int64_t lanes "depthbench_lanes"
    lanes vector_wins(vector v, vector best)
    vector vector_select(lanes mask, vector yes, vector no)
    lanes lanes_of(int32_t index)
    lanes lanes_select(lanes mask, int32_t yes, lanes no)
    lanes lanes_load(const int32_t* p)
    lanes lanes_equal(lanes a, int32_t b)
    lanes lanes_or(lanes a, lanes b)
    lanes lanes_and(lanes a, lanes b)
    int lanes_all(lanes a)
    vector vector_where(lanes mask, vector v)
    vector vector_head(vector v, long n)
    vector vector_load_head(const real* p, long n)
    void vector_store_head(real* p, vector v, long n)
    ctypedef real half "depthbench_half"
    enum: HAS_HALVES
    half half_load(const real* p)
    half half_zero()
    half half_clear_below(half v, real floor)
    void half_store(real* p, half v)
    half half_load_head(const real* p, long n)
    void half_store_head(real* p, half v, long n)
    real vector_sum(vector v)
    void transpose_block(const real* source, long from_stride, long rows, long columns, real* to, long to_stride, long head)
    void lanes_store(int32_t* p, lanes v)
    real real_from_bits(bits_t bits)
    bits_t bits_from_real(real x)
    void prefetch_lines(const real* p, long bytes)
    void prefetch_for_reading(const real* p, long bytes)
    void* workspace(int slot, size_t bytes)

cnp.import_array()

cdef enum:  # what became of a call
    SUCCESS = 0
    NOT_FINITE = 1
    NO_MEMORY = -1

include "tile.pxi"
include "patches.pxi"
include "pack.pxi"
include "gemm.pxi"
include "skinny.pxi"
include "turned.pxi"
include "conv2d.pxi"
include "scatter.pxi"
include "direct.pxi"
include "planar.pxi"
include "winograd.pxi"
include "choice.pxi"
include "pool2d.pxi"
include "elementwise.pxi"
include "loss.pxi"
include "optimizer.pxi"
include "call.pxi"
include "entry.pxi"
include "norm.pxi"
include "layer_norm.pxi"
include "embedding.pxi"
include "probe.pxi"
