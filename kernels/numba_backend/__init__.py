"""Numba kernels: the same arithmetic as the Cython ones, compiled when first called.

::

    memory.py          typed pointers, and a few operations on them, as LLVM instructions
    vector.py          a register full of numbers as a value, with arithmetic
    tile.py            register tiles: sums of products that stay in registers
    pack.py            matrices and image patches -> panels
    product_tile.py    register tiles of products, that write C themselves
    product.py         blocking around them; skinny.py has products of few rows, turned.py of few columns
    direct.py  planar.py  scatter.py  winograd.py    the ways a convolution goes beside packing
    convolution.py     all ways of a convolution, each as one function on one thread
    pooling.py  elementwise.py  training.py          single passes over memory
    embedding.py       means of rows of a table
    separate.py        calls between compiled functions by address
    entrance.py        Python's way into a bound call
    calls.py           tasks: compiled functions with their arguments; bound, and as programs
    singles.py         each kernel on one thread, as a task
    parallel.py        threads: parts of the work on a pool of Python threads, without the interpreter's lock
    implementation.py  the backend: tasks on one thread, and the work divided among several

Kernels take addresses, not arrays: so a read-only array, a memory map and a plain array are one case, compiled once
per dtype. The dtype is that of the first argument, a pointer or a number. Nothing is cached on disk (a cache goes
stale when a module changes that the cached one imports, and fails where its folder is read-only). Compiling takes
little instead: the product and the larger ways of convolution some seconds per dtype, each other kernel a fraction of one.
docs/decisions/0008 and 0017 have the reasons and the figures.
"""
