"""NumPy kernels, obvious and slow: the oracle for the other backends."""
