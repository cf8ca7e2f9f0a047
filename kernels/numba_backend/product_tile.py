"""The register tile of products: sums that are finished and written to C out of the registers. The twin of
cython_backend/tile.pxi.

    C[i, j] = max(alpha * sum over k of a[i * a_row + k * a_k] * b[k * b_k + j] + beta * C[i, j] + bias[j], floor)

What lies beyond the edge of C is masked out: it is neither read nor written. A mask is a comparison of lane numbers with how
many lanes there are, one instruction with AVX-512. `tile.py` has the tiles whose sums go to memory as they are.

Legend: i row of the tile, v vector of columns, k depth.
"""

from __future__ import annotations

from typing import NamedTuple

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from kernels.numba_backend.memory import CONTRACT, TILE_ROWS, VECTOR_BYTES, lanes_of_type
from kernels.numba_backend.tile import Loop
from kernels.numba_backend.vector import broadcast, head_mask, masked_load, masked_store

#: How a tile is written: C = sums; all but beta, of a tile that lies within C; likewise where it may not; all of it.
STORE, FINISH, PART, ALL = range(4)
#: With AVX-512 half a vector has registers and masks of its own; rows of C that fill no more take half the arithmetic.
HAS_HALVES = VECTOR_BYTES == 64
THIRD_ROWS = TILE_ROWS // 3
TWO_THIRDS_ROWS = 2 * THIRD_ROWS


class Target(NamedTuple):
    """What becomes of a tile.

    `rows` of it are there (PART and ALL), and `head` lanes of its last vector. A `floor` of 0 is ReLU, of NaN nothing. Where
    there is no bias, `bias` points to something that may be read.
    """

    mode: int
    rows: int
    head: int
    alpha: float
    beta: float
    floor: float
    bias: int
    has_bias: bool


def _finish(builder, sums, places, target, *, n_vectors: int, align: int, modes: tuple) -> None:
    """Emit what becomes of the sums, one block of code for each mode."""
    mode, rows, head, alpha, beta, floor, bias, reads_bias = target
    vector, word = sums[0].type, ir.IntType(64)
    last = n_vectors - 1
    alphas, betas, floors = (broadcast(builder, vector, number) for number in (alpha, beta, floor))
    zero = ir.Constant(vector, [0.0] * vector.count)
    end = builder.append_basic_block("written")
    choice = builder.switch(mode, end)

    def biases():
        counts = [word(vector.count)] * last + [head]
        masks = [head_mask(builder, builder.select(reads_bias, count, word(0)), vector.count) for count in counts]
        at = [builder.gep(bias, [word(v * vector.count)]) for v in range(n_vectors)]
        return [masked_load(builder, vector, place, mask, align) for place, mask in zip(at, masks, strict=True)]

    def finished(i, v, added):
        return builder.fadd(builder.fmul(alphas, sums[i * n_vectors + v], flags=CONTRACT), added[v], flags=CONTRACT)

    def write(i, v, value, mask):
        value = builder.select(builder.fcmp_ordered("<", value, floors), zero, value)
        if mask is None:
            builder.store(value, builder.bitcast(places[i][v], vector.as_pointer()), align=align)
        else:
            masked_store(builder, value, places[i][v], mask, align)

    for one in modes:
        block = builder.append_basic_block(f"mode_{one}")
        choice.add_case(ir.Constant(mode.type, one), block)
        builder.position_at_end(block)
        if one == STORE:
            for i, row in enumerate(places):
                for v, place in enumerate(row):
                    value = sums[i * n_vectors + v]
                    builder.store(value, builder.bitcast(place, vector.as_pointer()), align=align)
            builder.branch(end)
            continue
        added = biases()
        mask = None if one == FINISH else head_mask(builder, head, vector.count)
        whole = ir.Constant(ir.VectorType(ir.IntType(1), vector.count), [1] * vector.count)
        for i, row in enumerate(places):
            if one != FINISH:
                there = builder.append_basic_block(f"row_{i}")
                builder.cbranch(builder.icmp_signed("<", word(i), rows), there, end)
                builder.position_at_end(there)
            for v, place in enumerate(row):
                value = finished(i, v, added)
                part = mask if v == last else None
                if one == ALL:
                    old = masked_load(builder, vector, place, whole if part is None else part, align)
                    value = builder.fadd(value, builder.fmul(betas, old, flags=CONTRACT), flags=CONTRACT)
                write(i, v, value, part)
        builder.branch(end)
    builder.position_at_end(end)


def _make(
    name: str, n_vectors: int, *, rows: int = TILE_ROWS, divisor: int = 1, masked: bool = False, modes: tuple | None = None
):
    """Return the intrinsic tile(depth, a, a_row, a_k, b, b_k, c, c_row, target).

    Vectors are as wide as the CPU's over `divisor`. Of a `masked` tile `head` lanes of the last vector of b are read.
    """
    modes = modes or ((STORE, FINISH, PART, ALL) if rows == TILE_ROWS else (PART, ALL))

    def tile(typingctx, depth, a, a_row, a_k, b, b_k, c, c_row, target):
        lanes, align = lanes_of_type(a.dtype) // divisor, a.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            n, a_at, row_step, k_step, b_at, b_step, c_at, c_step, settings = arguments
            fields = [builder.extract_value(settings, i) for i in range(len(Target._fields))]
            vector, word = ir.VectorType(context.get_value_type(a.dtype), lanes), ir.IntType(64)
            reads = head_mask(builder, fields[2], lanes) if masked else None
            a_rows = [builder.gep(a_at, [builder.mul(row_step, word(i))]) for i in range(rows)]
            loop = Loop(builder, "depth", [ir.Constant(vector, [0.0] * lanes)] * (rows * n_vectors))
            b_row = builder.gep(b_at, [builder.mul(loop.index, b_step)])
            columns = []
            for v in range(n_vectors):
                place = builder.gep(b_row, [word(v * lanes)])
                if masked and v == n_vectors - 1:
                    columns.append(masked_load(builder, vector, place, reads, align))
                else:
                    columns.append(builder.load(builder.bitcast(place, vector.as_pointer()), align=align))
            at_k = builder.mul(loop.index, k_step)
            sums = []
            for i in range(rows):
                element = broadcast(builder, vector, builder.load(builder.gep(a_rows[i], [at_k])))
                for v in range(n_vectors):
                    product = builder.fmul(element, columns[v], flags=CONTRACT)
                    sums.append(builder.fadd(loop.values[i * n_vectors + v], product, flags=CONTRACT))
            loop.close(sums, n)
            c_rows = [builder.gep(c_at, [builder.mul(c_step, word(i))]) for i in range(rows)]
            places = [[builder.gep(row, [word(v * lanes)]) for v in range(n_vectors)] for row in c_rows]
            _finish(builder, sums, places, fields, n_vectors=n_vectors, align=align, modes=modes)
            return context.get_dummy_value()

        word = types.intp
        return types.void(word, a, word, word, b, word, c, word, target), codegen

    tile.__name__ = tile.__qualname__ = name
    return intrinsic(tile)


product_tile_1, product_tile_2 = _make("product_tile_1", 1), _make("product_tile_2", 2)
product_tile_half = _make("product_tile_half", 1, divisor=2 if HAS_HALVES else 1)
# The last rows of C, where a tile of fewer rows holds them: batches of 32, 128 and 1,000 end with 8, 8 and 4 rows of 12.
third_tile_1, third_tile_2 = _make("third_tile_1", 1, rows=THIRD_ROWS), _make("third_tile_2", 2, rows=THIRD_ROWS)
two_thirds_tile_1 = _make("two_thirds_tile_1", 1, rows=TWO_THIRDS_ROWS)
two_thirds_tile_2 = _make("two_thirds_tile_2", 2, rows=TWO_THIRDS_ROWS)
# Very few rows, with both operands as they are stored: the more sums, the less each addition waits for the one before.
row_tile_1, row_tile_2, row_tile_4, row_tile_8 = (
    _make(f"row_tile_{v}", v, rows=1, masked=True) for v in (1, 2, 4, 8)
)
rows_tile_1, rows_tile_4, rows_tile_8 = (_make(f"rows_tile_{v}", v, rows=2, masked=True) for v in (1, 4, 8))


#: Columns that are read along at once.
DOTS = 8


def _sums(builder, vectors: list):
    """Emit one vector of the sums of as many vectors as it has lanes: neighbours are added, halves put side by side."""
    lanes, lane = len(vectors), ir.IntType(32)
    even, odd = (ir.Constant(ir.VectorType(lane, lanes), list(range(i, 2 * lanes, 2))) for i in (0, 1))
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd)) for a, b in pairs]
    return vectors[0]


@intrinsic
def dots(typingctx, depth, a, b, b_column, c, target):
    """The scalar products of `a` with `head` columns of b, each of which lies along the memory, `b_column` elements apart."""
    lanes, align = lanes_of_type(a.dtype), a.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        n, a_at, b_at, step, c_at, settings = arguments
        fields = [builder.extract_value(settings, i) for i in range(len(Target._fields))]
        vector, word = ir.VectorType(context.get_value_type(a.dtype), lanes), ir.IntType(64)
        columns = [b_at]  # those that are not there are read from the last one that is
        for j in range(1, lanes):
            there = builder.icmp_signed("<", word(j), fields[2])
            columns.append(builder.gep(columns[-1], [builder.select(there, step, word(0))]))
        sums = [cgutils.alloca_once_value(builder, ir.Constant(vector, [0.0] * lanes)) for _ in columns]

        def add(k, mask, some):
            def read(place):
                place = builder.gep(place, [k])
                if mask is not None:
                    return masked_load(builder, vector, place, mask, align)
                return builder.load(builder.bitcast(place, vector.as_pointer()), align=align)

            values = read(a_at)
            for column, total in some:
                product = builder.fmul(values, read(column), flags=CONTRACT)
                builder.store(builder.fadd(builder.load(total), product, flags=CONTRACT), total)

        rest = builder.and_(n, word(lanes - 1))
        whole, left = builder.sub(n, rest), head_mask(builder, rest, lanes)
        pairs = list(zip(columns, sums, strict=True))
        for some in (pairs[:DOTS], pairs[DOTS:]):
            with cgutils.for_range_slice(builder, word(0), whole, word(lanes), word) as (k, _):
                add(k, None, some)
            with builder.if_then(builder.icmp_signed("!=", rest, word(0))):
                add(whole, left, some)
        total = _sums(builder, [builder.load(place) for place in sums])
        _finish(builder, [total], [[c_at]], fields, n_vectors=1, align=align, modes=(PART, ALL))
        return context.get_dummy_value()

    return types.void(types.intp, a, b, types.intp, c, target), codegen
