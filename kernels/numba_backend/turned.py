"""C' = B' A' in place of C = A B, where A is stored transposed and C has few columns, as the gradient for the weights of a last
dense layer has: ten columns fill ten of sixteen lanes; as rows they fill ten of a tile's twelve. The twin of
cython_backend/turned.pxi.
"""

from __future__ import annotations

from kernels.numba_backend.memory import TILE_ROWS, VECTOR_BYTES, element_bytes, kernel, lanes_of, like, offset, pointer_like
from kernels.numba_backend.product import STRIDED, call_product, working_elements
from kernels.numba_backend.product_tile import HAS_HALVES, THIRD_ROWS, TWO_THIRDS_ROWS
from kernels.numba_backend.vector import transpose


def rows_computed(rows: int) -> int:
    """Return how many rows tiles of whole, two thirds and a third of TILE_ROWS compute for so many."""
    whole, rest = rows // TILE_ROWS * TILE_ROWS, rows % TILE_ROWS
    return whole + min(n for n in (0, THIRD_ROWS, TWO_THIRDS_ROWS, TILE_ROWS) if rest <= n)


def columns_computed(columns: int, lanes: int) -> int:
    """Return how many columns panels of two, one and half a vector have for so many."""
    whole, rest = columns // (2 * lanes) * 2 * lanes, columns % (2 * lanes)
    return whole + min(n for n in (0, lanes // 2 if HAS_HALVES else lanes, lanes, 2 * lanes) if rest <= n)


def prefers_turned(m: int, n: int, a_row_stride: int, a_column_stride: int, size: int) -> bool:
    """Whether a plain product goes this way: where it computes at least a tenth less. A last panel that is not whole has to
    be packed, which costs about as much as a product with it.
    """
    lanes = VECTOR_BYTES // size
    panel = 2 * lanes
    if a_row_stride != 1 or a_column_stride == 1 or n >= panel or m < panel:
        return False
    cost = rows_computed(n) * (columns_computed(m, lanes) + (panel if m % panel else 0))
    return 10 * cost < 9 * rows_computed(m) * columns_computed(n, lanes)


def turned_elements(m: int, n: int, k: int) -> int:
    """Return how many elements of working memory `turned_product` needs."""
    return m * n + VECTOR_BYTES + working_elements(n, m, k)


@kernel
def turned_product(
    work_address, m, n, k, c_address, c_stride, alpha, a_address, a_column_stride, b_address, b_row_stride, b_column_stride, p
):
    """C = alpha A B; the columns of A lie along the memory."""
    size, lanes = element_bytes(alpha), lanes_of(pointer_like(alpha, c_address))
    product_address = work_address + (m * n + lanes) // lanes * lanes * size
    a_end_address = a_address + ((k - 1) * a_column_stride + m) * size
    call_product(
        0, n, 0, k, product_address, work_address, m, alpha, like(alpha, 0.0), 0, 0,
        STRIDED, b_address, 0, b_column_stride, b_row_stride, a_address, a_end_address, a_column_stride, 1, m, p,
    )  # fmt: skip
    turned, c = pointer_like(alpha, work_address), pointer_like(alpha, c_address)
    j = 0
    while j < n:
        transpose(offset(turned, j * m), m, min(lanes, n - j), m, offset(c, j), c_stride)
        j += lanes
    return 0
