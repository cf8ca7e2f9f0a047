"""The register tile: ROWS x (1 or 2 vectors) sums of products that never leave the registers while they grow.

    acc[i, :] += a[row i, r, k] * b[r, k, :]     for r = 0..outer-1, k = 0..depth-1

emitted as LLVM instructions, since a loop over a Python array of accumulators would keep them in memory. Where the elements of
`a` lie is said by strides; those that are constants where the tile is called become parts of the instructions:

    packed by rows        a_row = A_STRIDE  a_k = 1           (products)
    packed by columns     a_row = 1         a_k = TILE_ROWS   (products of a transposed matrix)
    neighbouring pixels   a_row = channels  a_k = 1           (direct convolution; outer: rows of the kernel)
    taps of an image      offsets[i]        a_k = channels    (its gradient for the weights; outer: rows of the image)
    transformed tiles     a_row = 1         a_k = channels    (Winograd's gradient for the weights)
    few filters           a_row = 1         a_k = filters     (b: neighbouring pixels)
"""

from __future__ import annotations

import llvmlite.ir as ir
from numba import types
from numba.extending import intrinsic

from kernels.numba_backend.memory import CONTRACT, TILE_ROWS, VECTOR_BYTES, lanes_of_type
from kernels.numba_backend.vector import broadcast

BLOCK_DEPTH = 384
#: Elements between two rows of a panel packed by rows: not a power of two, so that they fall into different cache sets.
A_STRIDE = BLOCK_DEPTH + VECTOR_BYTES // 4
#: Rows of the tile of Winograd's gradient for the weights: a power of two, that divides the channels.
GRADIENT_ROWS = TILE_ROWS // 3 * 2


class Loop:
    """A counted loop with values that it carries from pass to pass; it makes one pass at least."""

    def __init__(self, builder, name: str, carried: list):
        self._builder, self._entry = builder, builder.block
        self._begin, self._end = builder.append_basic_block(name), builder.append_basic_block(f"{name}_done")
        builder.branch(self._begin)
        builder.position_at_end(self._begin)
        word = ir.IntType(64)
        self.index = builder.phi(word)
        self.index.add_incoming(word(0), self._entry)
        self.values = [builder.phi(value.type) for value in carried]
        for phi, value in zip(self.values, carried, strict=True):
            phi.add_incoming(value, self._entry)

    def close(self, values: list, count) -> None:
        """End a pass with these values; go on behind the loop after `count` of them."""
        builder, last = self._builder, self._builder.block
        following = builder.add(self.index, ir.IntType(64)(1))
        self.index.add_incoming(following, last)
        for phi, value in zip(self.values, values, strict=True):
            phi.add_incoming(value, last)
        builder.cbranch(builder.icmp_signed("<", following, count), self._begin, self._end)
        builder.position_at_end(self._end)


def _make(name: str, n_vectors: int, *, rows: int = TILE_ROWS, by_offsets: bool = False, accumulates: bool = False):
    """Return the intrinsic tile(outer, depth, a, a_row, a_k, a_outer, b, b_k, b_outer, c, c_row).

    With `by_offsets`, `a_row` is a pointer to the int64 offsets of the rows; with `accumulates` the sums begin with what c
    holds.
    """

    def tile(typingctx, outer, depth, a, a_row, a_k, a_outer, b, b_k, b_outer, c, c_row):
        lanes, align = lanes_of_type(a.dtype), a.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            n_outer, n, a_at, row_step, k_step, a_step, b_at, b_step, b_outer_step, c_at, c_step = arguments
            real = context.get_value_type(a.dtype)
            vector = ir.VectorType(real, lanes)
            word = ir.IntType(64)

            def place_of_sum(i: int, v: int):
                at = builder.gep(c_at, [builder.add(builder.mul(c_step, word(i)), word(v * lanes))])
                return builder.bitcast(at, vector.as_pointer())

            places = [place_of_sum(i, v) for i in range(rows) for v in range(n_vectors)]
            zero = ir.Constant(vector, [0.0] * lanes)
            starts = [builder.load(at, align=align) if accumulates else zero for at in places]
            if by_offsets:
                offsets = [builder.load(builder.gep(row_step, [word(i)])) for i in range(rows)]
            else:
                offsets = [builder.mul(row_step, word(i)) for i in range(rows)]
            over = Loop(builder, "outer", starts)
            a_line = builder.gep(a_at, [builder.mul(over.index, a_step)])
            b_line = builder.gep(b_at, [builder.mul(over.index, b_outer_step)])
            a_rows = [builder.gep(a_line, [offset]) for offset in offsets]
            inner = Loop(builder, "inner", over.values)
            b_row = builder.gep(b_line, [builder.mul(inner.index, b_step)])
            columns = [
                builder.load(builder.bitcast(builder.gep(b_row, [word(v * lanes)]), vector.as_pointer()), align=align)
                for v in range(n_vectors)
            ]
            at_k = builder.mul(inner.index, k_step)
            sums = []
            for i in range(rows):
                element = broadcast(builder, vector, builder.load(builder.gep(a_rows[i], [at_k])))
                for v in range(n_vectors):
                    product = builder.fmul(element, columns[v], flags=CONTRACT)
                    sums.append(builder.fadd(inner.values[i * n_vectors + v], product, flags=CONTRACT))
            inner.close(sums, n)
            over.close(sums, n_outer)
            for at, total in zip(places, sums, strict=True):
                builder.store(total, at, align=align)
            return context.get_dummy_value()

        word = types.intp
        row = a_row if by_offsets else word
        return types.void(word, word, a, row, word, word, b, word, word, c, word), codegen

    tile.__name__ = tile.__qualname__ = name
    return intrinsic(tile)


tile_1, tile_2 = _make("tile_1", 1), _make("tile_2", 2)
tap_tile_1 = _make("tap_tile_1", 1, by_offsets=True, accumulates=True)
tap_tile_2 = _make("tap_tile_2", 2, by_offsets=True, accumulates=True)
gradient_tile_1 = _make("gradient_tile_1", 1, rows=GRADIENT_ROWS, accumulates=True)
gradient_tile_2 = _make("gradient_tile_2", 2, rows=GRADIENT_ROWS, accumulates=True)
#: Vectors of positions in a tile of few filters: 24 accumulators where there are 32 registers, else 12.
PLANAR_VECTORS = 4 if TILE_ROWS == 12 else 2
planar_tile_1 = _make("planar_tile_1", PLANAR_VECTORS, rows=1, accumulates=True)
planar_tile_2 = _make("planar_tile_2", PLANAR_VECTORS, rows=2, accumulates=True)
planar_tile_4 = _make("planar_tile_4", PLANAR_VECTORS, rows=4, accumulates=True)
planar_tile_6 = _make("planar_tile_6", PLANAR_VECTORS, rows=6, accumulates=True)


def _make_lane_products(name: str, taps: int, filters: int):
    """Return the intrinsic products(n, x, offsets, d, d_plane, total), for n numbers in whole vectors:

    total[t, f, lane] += sum over the vectors of x[offsets[t] + i + lane] * d[f * d_plane + i + lane]
    """

    def products(typingctx, n, x, offsets, d, d_plane, total):
        lanes, align = lanes_of_type(x.dtype), x.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            count, x_at, offsets_at, d_at, plane, total_at = arguments
            word = ir.IntType(64)
            vector = ir.VectorType(context.get_value_type(x.dtype), lanes)

            def vector_at(pointer, distance):
                return builder.bitcast(builder.gep(pointer, [distance]), vector.as_pointer())

            places = [vector_at(total_at, word(i * lanes)) for i in range(taps * filters)]
            rows = [builder.gep(x_at, [builder.load(builder.gep(offsets_at, [word(t)]))]) for t in range(taps)]
            columns = [builder.gep(d_at, [builder.mul(plane, word(f))]) for f in range(filters)]
            loop = Loop(builder, "positions", [builder.load(at, align=align) for at in places])
            at = builder.mul(loop.index, word(lanes))
            slopes = [builder.load(vector_at(column, at), align=align) for column in columns]
            sums = []
            for t, row in enumerate(rows):
                values = builder.load(vector_at(row, at), align=align)
                for f, slope in enumerate(slopes):
                    product = builder.fmul(values, slope, flags=CONTRACT)
                    sums.append(builder.fadd(loop.values[t * filters + f], product, flags=CONTRACT))
            loop.close(sums, builder.sdiv(count, word(lanes)))
            for place, value in zip(places, sums, strict=True):
                builder.store(value, place, align=align)
            return context.get_dummy_value()

        return types.void(types.intp, x, offsets, d, types.intp, total), codegen

    products.__name__ = products.__qualname__ = name
    return intrinsic(products)


lane_products_1x1, lane_products_nx1, lane_products_1x2, lane_products_nx2, *_rest = (
    _make_lane_products(f"lane_products_{taps}x{filters}", taps, filters)
    for filters in (1, 2, 4, 6)
    for taps in (1, PLANAR_VECTORS)
)
lane_products_1x4, lane_products_nx4, lane_products_1x6, lane_products_nx6 = _rest
