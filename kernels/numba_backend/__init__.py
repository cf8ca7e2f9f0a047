"""Numba kernels: the same arithmetic, compiled when first called."""
