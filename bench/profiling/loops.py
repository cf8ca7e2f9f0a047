"""The loops that the ceilings are measured with, in Numba: real machine code, no compiler needed, no root.

They stand in for the compiled ones where the Cython kernels are not built, and hold the bandwidth loop for all. Each
releases the interpreter's lock, so plain Python threads run them side by side.

The FMA loop keeps `CHAINS` independent accumulators x <- x * b + c. A fused multiply-add takes about 4 cycles and a
core starts at most 2 each cycle, so 8 chains fill the pipes; 12 leave a margin and still fit the 16 registers of AVX2.
LLVM's auto-vectoriser does not promise full-width code for such a loop, so the vectors are written as LLVM IR.
"""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import binding, ir
from numba.core import cgutils, types
from numba.extending import intrinsic

CHAINS = 12


def _host() -> tuple[int, bool]:
    """Return the CPU's vector width in bytes and whether it has a fused multiply-add."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64, True
    if features.get("avx"):
        return 32, bool(features.get("fma"))
    is_arm = any(features.get(name) for name in ("neon", "fp-armv8"))  # AArch64 has FMA in its base set
    return 16, is_arm or bool(features.get("fma"))


VECTOR_BYTES, FUSED = _host()


@intrinsic
def _fma_chains(typingctx, iterations, factor, addend):
    """Run `iterations` rounds of one multiply-add per chain; return the sum of all lanes."""

    def codegen(context, builder, signature, arguments):
        n, b, c = arguments
        scalar = context.get_value_type(signature.args[1])
        lanes = VECTOR_BYTES // (4 if signature.args[1] == types.float32 else 8)
        vector = ir.VectorType(scalar, lanes)

        def spread(value):
            first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask)

        factors, addends = spread(b), spread(c)
        # Different starts: equal chains would be merged into one by the optimiser.
        chains = []
        for i in range(CHAINS):
            start = builder.fadd(addends, ir.Constant(vector, [float(i)] * lanes))
            chains.append(cgutils.alloca_once_value(builder, start))
        name = f"llvm.fma.v{lanes}f{8 * VECTOR_BYTES // lanes}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        with cgutils.for_range(builder, n):
            for chain in chains:
                x = builder.load(chain)
                if FUSED:
                    x = builder.call(fma, [x, factors, addends])
                else:
                    x = builder.fadd(builder.fmul(x, factors), addends)
                builder.store(x, chain)
        total = ir.Constant(vector, [0.0] * lanes)
        for chain in chains:
            total = builder.fadd(total, builder.load(chain))
        result = ir.Constant(scalar, 0.0)
        for lane in range(lanes):
            result = builder.fadd(result, builder.extract_element(total, ir.Constant(ir.IntType(32), lane)))
        return result

    return factor(types.int64, factor, factor), codegen


@numba.njit(nogil=True)
def _fma(iterations, factor, addend):
    return _fma_chains(iterations, factor, addend)


def fma_loop(dtype, n_iterations: int) -> int:
    """Run the FMA loop on the calling thread; return the FLOPs executed (a multiply-add is two)."""
    kind = np.dtype(dtype).type
    _fma(np.int64(n_iterations), kind(0.5), kind(0.25))  # converges to 0.5: no overflow, no denormals
    return n_iterations * CHAINS * 2 * (VECTOR_BYTES // np.dtype(dtype).itemsize)


@numba.njit(nogil=True)
def copy_loop(target, source, repeats):
    """Copy `source` to `target` `repeats` times; a store of another value each time keeps every round alive."""
    for repeat in range(repeats):
        for i in range(target.size):
            target[i] = source[i]
        source[repeat % source.size] += 1.0
