"""Vectors as values: a Numba type that holds one register full of numbers, with arithmetic, for code that says itself what is
computed side by side. The twin of cython_backend/support.h.

A sum of products becomes a fused multiply-add ("contract"). Local vectors stay in registers as far as there are any.
"""

from __future__ import annotations

import operator

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, overload, register_model

from kernels.numba_backend.memory import CONTRACT, VECTOR_BYTES, lanes_of_type

#: With AVX-512 a mask costs nothing; before, writing by a mask takes as long as writing many numbers one by one.
HAS_MASKS = VECTOR_BYTES == 64


class Vector(types.Type):
    """As many numbers of one type as fit a register."""

    def __init__(self, dtype: types.Type):
        self.dtype = dtype
        self.lanes = lanes_of_type(dtype)
        super().__init__(name=f"vector({dtype}, {self.lanes})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        element = manager.lookup(fe_type.dtype).get_value_type()
        super().__init__(manager, fe_type, ir.VectorType(element, fe_type.lanes))


def llvm_vector(context, vector: Vector) -> ir.VectorType:
    """Return the LLVM type."""
    return context.get_value_type(vector)


@intrinsic
def vector_load(typingctx, pointer):
    """Return the vector that begins at `pointer`, which need not be aligned."""
    vector, align = Vector(pointer.dtype), pointer.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        place = builder.bitcast(arguments[0], llvm_vector(context, vector).as_pointer())
        return builder.load(place, align=align)

    return vector(pointer), codegen


@intrinsic
def vector_store(typingctx, pointer, value):
    """Write a vector from `pointer` on, which need not be aligned."""
    align = pointer.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        place = builder.bitcast(arguments[0], llvm_vector(context, value).as_pointer())
        builder.store(arguments[1], place, align=align)
        return context.get_dummy_value()

    return types.void(pointer, value), codegen


@intrinsic
def vector_load_head(typingctx, pointer, n):
    """Return the first n numbers from `pointer` on, with zeros behind them; what lies behind them in memory is not read."""
    vector, align = Vector(pointer.dtype), pointer.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        mask = head_mask(builder, arguments[1], vector.lanes)
        return masked_load(builder, llvm_vector(context, vector), arguments[0], mask, align)

    return vector(pointer, types.intp), codegen


@intrinsic
def vector_store_head(typingctx, pointer, value, n):
    """Write the first n numbers of a vector from `pointer` on, and nothing behind them."""
    align = pointer.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        masked_store(builder, arguments[1], arguments[0], head_mask(builder, arguments[2], value.lanes), align)
        return context.get_dummy_value()

    return types.void(pointer, value, types.intp), codegen


def broadcast(builder, vector: ir.VectorType, number):
    """Emit a vector of one number again and again."""
    nobody, lane = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    first = builder.insert_element(nobody, number, lane(0))
    return builder.shuffle_vector(first, nobody, ir.Constant(ir.VectorType(lane, vector.count), [0] * vector.count))


def head_mask(builder, count, lanes: int):
    """Emit the mask of the first `count` (an int64) of so many lanes."""
    number = ir.IntType(32)
    numbers = ir.VectorType(number, lanes)
    there = broadcast(builder, numbers, builder.trunc(count, number))
    return builder.icmp_signed("<", ir.Constant(numbers, list(range(lanes))), there)


def _masked(builder, operation: str, vector: ir.VectorType, result, kinds: list):
    real = "f32" if isinstance(vector.element, ir.FloatType) else "f64"
    name = f"llvm.masked.{operation}.v{vector.count}{real}.p0"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, kinds), name)


def masked_load(builder, vector: ir.VectorType, place, mask, align: int):
    """Emit the loading of a vector; where the mask is false, nothing is read and the lane is 0."""
    pointer, number = vector.as_pointer(), ir.IntType(32)
    function = _masked(builder, "load", vector, vector, [pointer, number, mask.type, vector])
    zero = ir.Constant(vector, [0.0] * vector.count)
    return builder.call(function, [builder.bitcast(place, pointer), number(align), mask, zero])


def masked_store(builder, value, place, mask, align: int) -> None:
    """Emit the writing of a vector where the mask is true."""
    pointer, number = value.type.as_pointer(), ir.IntType(32)
    function = _masked(builder, "store", value.type, ir.VoidType(), [value.type, pointer, number, mask.type])
    builder.call(function, [value, builder.bitcast(place, pointer), number(align), mask])


@intrinsic
def vector_of(typingctx, number):
    """Return a vector of one number again and again."""
    vector = Vector(number)

    def codegen(context, builder, signature, arguments):
        return broadcast(builder, llvm_vector(context, vector), arguments[0])

    return vector(number), codegen


@intrinsic
def vector_zero(typingctx, pointer):
    """Return zeros, as many as a vector of what is at `pointer` has."""
    vector = Vector(pointer.dtype)

    def codegen(context, builder, signature, arguments):
        return ir.Constant(llvm_vector(context, vector), [0.0] * vector.lanes)

    return vector(pointer), codegen


@intrinsic
def vector_relu(typingctx, value):
    """Return max(value, 0) of each number; NaN < 0 is false, so NaN stays."""

    def codegen(context, builder, signature, arguments):
        zero = ir.Constant(llvm_vector(context, value), [0.0] * value.lanes)
        return builder.select(builder.fcmp_ordered("<", arguments[0], zero), zero, arguments[0])

    return value(value), codegen


@intrinsic
def vector_sum(typingctx, value):
    """Return the sum of a vector's numbers, halves added to halves."""

    def codegen(context, builder, signature, arguments):
        (total,) = arguments
        count = value.lanes
        while count > 1:
            count //= 2
            lane = ir.IntType(32)
            low = ir.Constant(ir.VectorType(lane, count), list(range(count)))
            high = ir.Constant(ir.VectorType(lane, count), list(range(count, 2 * count)))
            nobody = ir.Constant(total.type, ir.Undefined)
            total = builder.fadd(builder.shuffle_vector(total, nobody, low), builder.shuffle_vector(total, nobody, high))
        return builder.extract_element(total, ir.IntType(32)(0))

    return value.dtype(value), codegen


@intrinsic
def vector_lane(typingctx, value, lane):
    """Return one number of a vector."""

    def codegen(context, builder, signature, arguments):
        return builder.extract_element(arguments[0], builder.trunc(arguments[1], ir.IntType(32)))

    return value.dtype(value, types.intp), codegen


@intrinsic
def larger_and_where(typingctx, best, where, value, index):
    """Return (best, where) with `value` and `index` in the lanes where value > best or value is NaN."""
    lanes = best.lanes

    def codegen(context, builder, signature, arguments):
        top, places, v, at = arguments
        wins = builder.or_(builder.fcmp_ordered(">", v, top), builder.fcmp_unordered("uno", v, v))
        indices = ir.VectorType(ir.IntType(32), lanes)
        at = broadcast(builder, indices, builder.trunc(at, ir.IntType(32)))
        pair = builder.select(wins, v, top), builder.select(wins, at, places)
        return context.make_tuple(builder, signature.return_type, pair)

    return types.Tuple((best, where))(best, where, value, types.intp), codegen


class Indices(types.Type):
    """As many int32 as a vector of `dtype` has numbers."""

    def __init__(self, dtype: types.Type):
        self.lanes = lanes_of_type(dtype)
        super().__init__(name=f"indices({self.lanes})")


@register_model(Indices)
class _IndicesModel(models.PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, ir.VectorType(ir.IntType(32), fe_type.lanes))


@intrinsic
def indices_of(typingctx, pointer, index):
    """Return one index again and again, as many times as a vector of what is at `pointer` has numbers."""
    indices = Indices(pointer.dtype)

    def codegen(context, builder, signature, arguments):
        return broadcast(builder, context.get_value_type(indices), builder.trunc(arguments[1], ir.IntType(32)))

    return indices(pointer, types.intp), codegen


@intrinsic
def indices_store(typingctx, pointer, value):
    """Write indices from `pointer` (to int32) on."""

    def codegen(context, builder, signature, arguments):
        place = builder.bitcast(arguments[0], context.get_value_type(value).as_pointer())
        builder.store(arguments[1], place, align=4)
        return context.get_dummy_value()

    return types.void(pointer, value), codegen


def _binary(name: str):
    def operation(typingctx, a, b):
        def codegen(context, builder, signature, arguments):
            return getattr(builder, name)(*arguments, flags=CONTRACT)

        return a(a, b), codegen

    operation.__name__ = f"vector_{name}"
    return intrinsic(operation)


_OPERATIONS = {
    operator.add: _binary("fadd"),
    operator.sub: _binary("fsub"),
    operator.mul: _binary("fmul"),
    operator.truediv: _binary("fdiv"),
}


def _overload(operation, implementation) -> None:
    @overload(operation)
    def for_vectors(a, b):
        if isinstance(a, Vector) and a == b:
            return lambda a, b: implementation(a, b)
        return None


for _operation, _implementation in _OPERATIONS.items():
    _overload(_operation, _implementation)


# -- transposing ----------------------------------------------------------------------------------------------------------


def transposed(builder, rows: list) -> list:
    """Emit the transposition of as many vectors as a vector has lanes: rows i and i + half are interleaved, log2(lanes) times
    (the perfect shuffle).
    """
    lanes, lane = len(rows), ir.IntType(32)
    pairs = [number for i in range(lanes) for number in (i, lanes + i)]
    low, high = (ir.Constant(ir.VectorType(lane, lanes), half) for half in (pairs[:lanes], pairs[lanes:]))
    for _ in range(lanes.bit_length() - 1):
        halves = zip(rows[: lanes // 2], rows[lanes // 2 :], strict=True)
        rows = [builder.shuffle_vector(a, b, half) for a, b in halves for half in (low, high)]
    return rows


def _transposing(name: str, *, whole: bool):
    """Return the intrinsic transpose(source, stride, rows, count, target, target_stride): target[k, i] = source[i, k] for
    i < rows <= lanes, k < count, both at least 1.

    With `whole`, vectors are written whole, and as many of them as fill blocks; what is too many is undefined.
    """

    def transpose(typingctx, source, stride, rows, count, target, target_stride):
        lanes, align = lanes_of_type(source.dtype), source.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            source_at, step, n_rows, n, target_at, target_step = arguments
            word = ir.IntType(64)
            vector = ir.VectorType(context.get_value_type(source.dtype), lanes)
            # rows that are not there are read from the last one that is
            starts = [source_at]
            for i in range(1, lanes):
                there = builder.icmp_signed("<", word(i), n_rows)
                starts.append(builder.gep(starts[-1], [builder.select(there, step, word(0))]))
            columns = head_mask(builder, n_rows, lanes)
            with cgutils.for_range_slice(builder, word(0), n, word(lanes), word) as (k, _):
                left = builder.sub(n, k)
                mask = head_mask(builder, left, lanes)
                read = [masked_load(builder, vector, builder.gep(start, [k]), mask, align) for start in starts]
                place = builder.gep(target_at, [builder.mul(k, target_step)])
                end = builder.append_basic_block("transposed")
                for i, value in enumerate(transposed(builder, read)):
                    if whole:
                        builder.store(value, builder.bitcast(place, vector.as_pointer()), align=align)
                    else:
                        there = builder.append_basic_block(f"column_{i}")
                        builder.cbranch(builder.icmp_signed("<", word(i), left), there, end)
                        builder.position_at_end(there)
                        masked_store(builder, value, place, columns, align)
                    place = builder.gep(place, [target_step])
                builder.branch(end)
                builder.position_at_end(end)
            return context.get_dummy_value()

        word = types.intp
        return types.void(source, word, word, word, target, word), codegen

    transpose.__name__ = transpose.__qualname__ = name
    return intrinsic(transpose)


transpose, transpose_whole = _transposing("transpose", whole=False), _transposing("transpose_whole", whole=True)
