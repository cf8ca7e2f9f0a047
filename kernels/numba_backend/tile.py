"""The register tile: a TILE_ROWS x (1 or 2 vectors) block of C that never leaves the registers.

acc[i, :] += a[i, k] * b[k, :] for k = 0..depth-1, emitted as LLVM instructions, since a loop over a Python array of
accumulators would keep them in memory. Layouts as in ``cython_backend/tile.pxi``: b is packed k by k; a by rows (a
constant stride apart) or by columns.
"""

from __future__ import annotations

import llvmlite.ir as ir
from numba import types
from numba.extending import intrinsic

from kernels.numba_backend.memory import CONTRACT, TILE_ROWS, VECTOR_BYTES, lanes_of_type

BLOCK_DEPTH = 384
#: Elements between two rows of a panel packed by rows: not a power of two, so that they fall into different cache sets.
A_STRIDE = BLOCK_DEPTH + VECTOR_BYTES // 4


def _make(name: str, n_vectors: int, by_rows: bool):
    """Return the intrinsic tile(depth, a, b, c): c (TILE_ROWS, n_vectors * lanes) = a (TILE_ROWS, depth) @ b."""

    def tile(typingctx, depth, a, b, c):
        lanes, align = lanes_of_type(a.dtype), a.dtype.bitwidth // 8

        def codegen(context, builder, signature, arguments):
            n, a_start, b_start, c_start = arguments
            real, word = context.get_value_type(a.dtype), context.get_value_type(types.intp)
            vector = ir.VectorType(real, lanes)
            entry = builder.block
            loop, after = builder.append_basic_block("tile"), builder.append_basic_block("tile_done")
            builder.branch(loop)
            builder.position_at_end(loop)
            k = builder.phi(word)
            k.add_incoming(word(0), entry)
            acc = [builder.phi(vector) for _ in range(TILE_ROWS * n_vectors)]
            for x in acc:
                x.add_incoming(ir.Constant(vector, [0.0] * lanes), entry)
            row_of_b = builder.gep(b_start, [builder.mul(k, word(n_vectors * lanes))])
            columns = [
                builder.load(
                    builder.bitcast(builder.gep(row_of_b, [word(v * lanes)]), vector.as_pointer()), align=align
                )
                for v in range(n_vectors)
            ]
            nobody = ir.Constant(vector, ir.Undefined)
            everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            sums = []
            for i in range(TILE_ROWS):
                place = (
                    builder.add(k, word(i * A_STRIDE))
                    if by_rows
                    else builder.add(builder.mul(k, word(TILE_ROWS)), word(i))
                )
                element = builder.load(builder.gep(a_start, [place]))
                first = builder.insert_element(nobody, element, ir.IntType(32)(0))
                broadcast = builder.shuffle_vector(first, nobody, everywhere)
                for v in range(n_vectors):
                    product = builder.fmul(broadcast, columns[v], flags=CONTRACT)
                    sums.append(builder.fadd(acc[i * n_vectors + v], product, flags=CONTRACT))
            following = builder.add(k, word(1))
            k.add_incoming(following, loop)
            for x, total in zip(acc, sums, strict=True):
                x.add_incoming(total, loop)
            builder.cbranch(builder.icmp_signed("<", following, n), loop, after)
            builder.position_at_end(after)
            for j, total in enumerate(sums):
                target = builder.gep(c_start, [word(j * lanes)])
                builder.store(total, builder.bitcast(target, vector.as_pointer()), align=align)
            return context.get_dummy_value()

        return types.void(types.intp, a, b, c), codegen

    tile.__name__ = tile.__qualname__ = name
    return intrinsic(tile)


tile_by_rows_1 = _make("tile_by_rows_1", 1, True)
tile_by_rows_2 = _make("tile_by_rows_2", 2, True)
tile_by_columns_1 = _make("tile_by_columns_1", 1, False)
tile_by_columns_2 = _make("tile_by_columns_2", 2, False)
