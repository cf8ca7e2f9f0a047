# Packing: from operands to the panels that the tile reads. An `Operand` is a strided matrix, or the patches of images.

cdef enum:
    STRIDED = 0
    PATCHES = 1
    PATCHES_TRANSPOSED = 2
    BY_ROWS = 0
    BY_COLUMNS = 1

cdef struct Operand:
    int kind
    const real* data
    const real* end                        # of B: behind the last element that may be read
    Py_ssize_t row_stride, column_stride   # in elements
    Patches patches


cdef int layout_of(const Operand* a) noexcept nogil:
    if a.kind == PATCHES_TRANSPOSED or (a.kind == STRIDED and a.row_stride == 1 and a.column_stride != 1):
        return BY_COLUMNS
    return BY_ROWS


cdef void pack_a(const Operand* a, Py_ssize_t i0, Py_ssize_t rows, Py_ssize_t k0, Py_ssize_t depth, real* panels,
                 real* scratch) noexcept nogil:
    # panels[i // TILE_ROWS] = that many rows of A in one of the two layouts; the last panel's missing rows are zeros.
    cdef Py_ssize_t i, k, r, n
    cdef Py_ssize_t n_panels = (rows + TILE_ROWS - 1) // TILE_ROWS
    cdef real* target
    cdef const real* source
    cdef Pixel pixel
    cdef bint dense = a.kind != STRIDED and is_dense(&a.patches)
    if a.kind != STRIDED:
        pixel = pixel_at(&a.patches, i0 if a.kind == PATCHES else k0)
    if layout_of(a) == BY_ROWS:
        for i in range(rows):
            target = panels + i * A_STRIDE
            if a.kind == PATCHES:
                if dense:
                    fill_dense(&a.patches, &pixel, k0, depth, target)
                else:
                    fill_sparse(&a.patches, &pixel, k0, depth, target)
                next_pixel(&a.patches, &pixel)
            else:
                source = a.data + (i0 + i) * a.row_stride + k0 * a.column_stride
                if a.column_stride == 1:
                    copy_run(target, source, depth)
                else:
                    for k in range(depth):
                        target[k] = source[k * a.column_stride]
        for i in range(rows, n_panels * TILE_ROWS):
            clear_run(panels + i * A_STRIDE, depth)
        return
    for i in range(rows, n_panels * TILE_ROWS + LANES):
        scratch[i] = 0
    for k in range(depth):
        source = scratch
        if a.kind == PATCHES_TRANSPOSED:
            if dense:
                fill_dense(&a.patches, &pixel, i0, rows, scratch)
            else:
                fill_sparse(&a.patches, &pixel, i0, rows, scratch)
            next_pixel(&a.patches, &pixel)
        elif rows % TILE_ROWS == 0:
            source = a.data + i0 + (k0 + k) * a.column_stride
        else:
            copy_run(scratch, a.data + i0 + (k0 + k) * a.column_stride, rows)
        # Whole vectors, ascending k: what one writes too many is overwritten by the next, or falls into the gap behind a panel.
        for i in range(n_panels):
            target = panels + i * TILE_ROWS * A_STRIDE + k * TILE_ROWS
            if TILE_ROWS <= LANES and source == scratch:
                vector_store(target, vector_load(source + i * TILE_ROWS))
            else:
                for r in range(TILE_ROWS):
                    target[r] = source[i * TILE_ROWS + r]


cdef enum:
    PANELS_TOGETHER = 4    # so that some hundred bytes of each row of B are read at once


cdef void pack_whole_panels(const Operand* b, Py_ssize_t j0, Py_ssize_t n_panels, Py_ssize_t k0, Py_ssize_t depth,
                            real* panels) noexcept nogil:
    # Panels of TILE_COLUMNS whole columns, from rows that lie along the memory.
    cdef Py_ssize_t first = 0, k, panel, n
    cdef const real* source
    cdef real* target
    while first < n_panels:
        n = min(PANELS_TOGETHER, n_panels - first)
        for k in range(depth):
            source = b.data + (k0 + k) * b.row_stride + j0 + first * TILE_COLUMNS
            target = panels + (first * depth + k) * TILE_COLUMNS
            for panel in range(n):
                vector_store(target, vector_load(source))
                vector_store(target + LANES, vector_load(source + LANES))
                source += TILE_COLUMNS
                target += depth * TILE_COLUMNS
        first += n


cdef void transpose_panel(const real* source, Py_ssize_t stride, Py_ssize_t columns, Py_ssize_t depth, real* target,
                          Py_ssize_t width) noexcept nogil:
    # A panel of B that is stored transposed, from blocks that are transposed in registers.
    cdef Py_ssize_t k = 0, r
    while k < depth:
        r = 0
        while r < width:
            transpose_block(source + r * stride + k, stride, max(0, min(LANES, columns - r)), min(LANES, depth - k),
                            target + k * width + r, width, LANES)
            r += LANES
        k += LANES


cdef void pack_b(const Operand* b, Py_ssize_t j0, Py_ssize_t columns, Py_ssize_t k0, Py_ssize_t depth,
                 bint halves, real* panels) noexcept nogil:
    # Panels of TILE_COLUMNS columns, k by k; a last one of LANES where that many hold the rest. With halves, two of LANES where
    # the tiles of a vector and of half a vector do: as multiply_block reads them.
    cdef Py_ssize_t j = 0, k, r, n, width, block
    cdef real* target
    cdef const real* source
    if b.column_stride == 1:
        pack_whole_panels(b, j0, columns // TILE_COLUMNS, k0, depth, panels)
        j = columns // TILE_COLUMNS * TILE_COLUMNS
    while j < columns:
        width = max(tile_width(columns - j), LANES) if halves else TILE_COLUMNS if columns - j > LANES else LANES
        n = min(width, columns - j)
        target = panels + j * depth
        source = b.data + k0 * b.row_stride + (j0 + j) * b.column_stride
        if b.column_stride == 1:
            for k in range(depth):
                if source + k * b.row_stride + width <= b.end:
                    # Columns beyond n are never written to C, so they may hold whatever follows.
                    vector_store(target + k * width, vector_load(source + k * b.row_stride))
                    if width == TILE_COLUMNS:
                        vector_store(target + k * width + LANES, vector_load(source + k * b.row_stride + LANES))
                else:
                    copy_run(target + k * width, source + k * b.row_stride, n)
                    clear_run(target + k * width + n, width - n)
        elif b.row_stride == 1:
            transpose_panel(source, b.column_stride, n, depth, target, width)
        else:
            # Neither rows nor columns lie along the memory; in blocks whose target stays in the first-level cache.
            block = 0
            while block < depth:
                for r in range(n):
                    for k in range(block, min(block + 192, depth)):
                        target[k * width + r] = source[k * b.row_stride + r * b.column_stride]
                block += 192
            if n < width:
                for k in range(depth):
                    clear_run(target + k * width + n, width - n)
        j += width
