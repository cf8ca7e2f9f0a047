"""Cython kernels: one included source, compiled per instruction set and dtype, picked at import by ``loader.py``."""
