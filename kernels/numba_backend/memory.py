"""Raw memory for Numba: typed pointers, vectors of the widest kind the CPU has, and exp, each a few LLVM instructions.

A pointer is Numba's ``CPointer(float32 | float64 | int32 ...)``; functions that take one are generic in its type, and
so written once for both dtypes. Nothing here checks a bound: callers have (``kernels/arguments.py``,
``kernels/shapes.py``).
"""

from __future__ import annotations

import math

import llvmlite.binding
import llvmlite.ir as ir
from numba import config, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

if config.DISABLE_JIT:
    raise ImportError("the Numba kernels are LLVM instructions and cannot run as Python: unset NUMBA_DISABLE_JIT")

#: CPU feature -> bytes of a vector, rows of the product's tile. The widest that the CPU has is taken.
_WIDTHS = (("avx512f", 64, 12), ("avx", 32, 6))


def _choose() -> tuple[int, int]:
    features = llvmlite.binding.get_host_cpu_features()
    for feature, vector_bytes, rows in _WIDTHS:
        if features.get(feature):
            return vector_bytes, rows
    return 16, 4


VECTOR_BYTES, TILE_ROWS = _choose()


def kernel(function):
    """Compile without the interpreter's lock, and without Python's check of every divisor."""
    return njit(nogil=True, error_model="numpy")(function)


def inlined(function):
    """As `kernel`, and a part of whatever calls it: for what is too large for LLVM to make it one."""
    return njit(nogil=True, error_model="numpy", inline="always")(function)


#: A product and a sum may become one fused multiply-add; nothing else of fast-math.
CONTRACT = ("contract",)


def lanes_of_type(real: types.Type) -> int:
    """Return how many elements of a type fit one vector."""
    return VECTOR_BYTES // (real.bitwidth // 8)


def _element_bytes(pointer: types.CPointer) -> int:
    return pointer.dtype.bitwidth // 8


@intrinsic
def pointer_like(typingctx, number, address):
    """Return `address` (an integer) as a pointer to numbers of the type of `number`."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[1], context.get_value_type(signature.return_type))

    return types.CPointer(number)(number, address), codegen


@intrinsic
def int32_pointer(typingctx, address):
    """Return `address` as a pointer to int32."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int32)(address), codegen


@intrinsic
def int64_pointer(typingctx, address):
    """Return `address` as a pointer to int64."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int64)(address), codegen


@intrinsic
def float64_pointer(typingctx, address):
    """Return `address` as a pointer to float64."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float64)(address), codegen


@intrinsic
def element_bytes(typingctx, number):
    """Return the size of numbers of this type, a constant."""
    size = number.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        return context.get_constant(types.intp, size)

    return types.intp(number), codegen


@intrinsic
def offset(typingctx, pointer, n):
    """Return pointer + n elements."""

    def codegen(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.intp), codegen


@intrinsic
def elements_between(typingctx, pointer, end):
    """Return end - pointer in elements."""
    size = _element_bytes(pointer)

    def codegen(context, builder, signature, arguments):
        word = context.get_value_type(types.intp)
        begin, stop = (builder.ptrtoint(a, word) for a in arguments)
        return builder.sdiv(builder.sub(stop, begin), word(size))

    return types.intp(pointer, pointer), codegen


@intrinsic
def load(typingctx, pointer, i):
    """Return pointer[i]."""

    def codegen(context, builder, signature, arguments):
        return builder.load(builder.gep(arguments[0], [arguments[1]]))

    return pointer.dtype(pointer, types.intp), codegen


@intrinsic
def store(typingctx, pointer, i, value):
    """Set pointer[i] = value."""

    def codegen(context, builder, signature, arguments):
        builder.store(arguments[2], builder.gep(arguments[0], [arguments[1]]))
        return context.get_dummy_value()

    return types.void(pointer, types.intp, pointer.dtype), codegen


@intrinsic
def prefetch(typingctx, pointer, n):
    """Ask for the lines of n elements, which will be written soon, to be brought into the second-level cache."""
    size = _element_bytes(pointer)

    def codegen(context, builder, signature, arguments):
        word, number = ir.IntType(64), ir.IntType(32)
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        begin, lines = builder.bitcast(arguments[0], byte), builder.mul(arguments[1], word(size))
        with cgutils.for_range_slice(builder, word(0), lines, word(64), word) as (at, _):
            builder.call(function, [builder.gep(begin, [at]), number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(pointer, types.intp), codegen


@intrinsic
def copy_vector(typingctx, target, source):
    """Copy one vector."""
    lanes, align = lanes_of_type(source.dtype), _element_bytes(source)

    def codegen(context, builder, signature, arguments):
        vector = ir.VectorType(context.get_value_type(source.dtype), lanes).as_pointer()
        value = builder.load(builder.bitcast(arguments[1], vector), align=align)
        builder.store(value, builder.bitcast(arguments[0], vector), align=align)
        return context.get_dummy_value()

    return types.void(target, source), codegen


@intrinsic
def lanes_of(typingctx, pointer):
    """Return how many elements fit one vector, a constant."""
    lanes = lanes_of_type(pointer.dtype)

    def codegen(context, builder, signature, arguments):
        return context.get_constant(types.intp, lanes)

    return types.intp(pointer), codegen


@intrinsic
def like(typingctx, number, value):
    """Return `value` in the type of `number`; Numba would make float32 + 1.0 a float64."""

    def codegen(context, builder, signature, arguments):
        return context.cast(builder, arguments[1], value, number)

    return number(number, value), codegen


# exp(x) = 2**n * exp(r), |r| <= ln(2) / 2: Cody & Waite (1980). exp(r) is its Taylor polynomial of degree 13 in float64, and
# 1 + r + r^2 q(r) with q of degree 4 in float32, as in cython_backend/elementwise.pxi. Below `low`, the logarithm of the
# smallest normal number, the result is 0. Coefficients from the highest power down.
_EXP = {
    32: {"low": -87.33654, "magic": 12582912.0, "bias": 127, "mantissa": 23, "hi": 0.693359375, "lo": -2.12194440e-4,
         "powers": (0.00138146020, 0.00836871529, 0.0416683879, 0.166665206, 0.499999934, 1.0, 1.0)},
    64: {"low": -708.3964, "magic": 6755399441055744.0, "bias": 1023, "mantissa": 52, "hi": 6.93145751953125e-1,
         "lo": 1.42860682030941723212e-6, "powers": tuple(1.0 / math.factorial(i) for i in range(13, -1, -1))},
}  # fmt: skip


def _emit_exp(builder, real, value, c):
    """Emit exp(value) for values whose exponential is a normal number."""
    word = ir.IntType(64 if c["mantissa"] == 52 else 32)
    # adding 1.5 * 2**mantissa rounds to an integer, which then stands in the low bits
    shifted = builder.fadd(builder.fmul(value, real(1.4426950408889634), flags=CONTRACT), real(c["magic"]), flags=CONTRACT)
    n = builder.fsub(shifted, real(c["magic"]))
    r = builder.fsub(value, builder.fmul(n, real(c["hi"]), flags=CONTRACT), flags=CONTRACT)
    r = builder.fsub(r, builder.fmul(n, real(c["lo"]), flags=CONTRACT), flags=CONTRACT)
    p = real(c["powers"][0])
    for coefficient in c["powers"][1:]:
        p = builder.fadd(builder.fmul(p, r, flags=CONTRACT), real(coefficient), flags=CONTRACT)
    bits = builder.add(builder.bitcast(shifted, word), word(c["bias"]))
    return builder.fmul(p, builder.bitcast(builder.shl(bits, word(c["mantissa"])), real))


@intrinsic
def lowest_exponent(typingctx, x):
    """Return the logarithm of the smallest normal number, rounded up; its negative is within reach as well."""

    def codegen(context, builder, signature, arguments):
        return context.get_value_type(x)(-87.0 if x.bitwidth == 32 else -708.0)

    return x(x), codegen


@intrinsic
def exp_within(typingctx, x):
    """Return exp(x) for |x| <= -lowest_exponent, with no branch in it; NaN stays NaN."""

    def codegen(context, builder, signature, arguments):
        return _emit_exp(builder, context.get_value_type(x), arguments[0], _EXP[x.bitwidth])

    return x(x), codegen


@intrinsic
def exp_of_negative(typingctx, x):
    """Return exp(x) for x <= 0, with no branch in it, so that loops over it are vectorised; NaN stays NaN."""
    c = _EXP[x.bitwidth]

    def codegen(context, builder, signature, arguments):
        real = context.get_value_type(x)
        (value,) = arguments
        low = builder.fcmp_ordered("<", value, real(c["low"]))
        result = _emit_exp(builder, real, builder.select(low, real(c["low"]), value), c)
        return builder.select(low, real(0.0), result)

    return x(x), codegen
