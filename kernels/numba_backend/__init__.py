"""Numba kernels: the same arithmetic as the Cython ones, compiled when first called.

::

    memory.py          pointers, vectors and a few operations on them, as LLVM instructions
    tile.py            the register tile of the matrix product
    pack.py            matrices and image patches -> panels
    product.py         blocking around the tile
    convolution.py     convolutions as products with implicit matrices
    pooling.py  elementwise.py  training.py      single passes over memory
    parallel.py        threads: parts of the work on a pool of Python threads, without the interpreter's lock
    implementation.py  the backend: addresses and sizes of arrays -> the functions above

Kernels take addresses, not arrays: so a read-only array, a memory map and a plain array are one case, compiled once
per dtype. The dtype is that of the first argument, a pointer or a number. Nothing is cached on disk (a cache goes
stale when a module changes that the cached one imports, and fails where its folder is read-only). Compiling takes
little instead: the product that gemm and all convolutions share some seconds per dtype, each other kernel a fraction of
one.
"""
