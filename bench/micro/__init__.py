"""Micro-benchmarks of the kernels: pytest-benchmark files, parametrised over ``kernels/spec.py``.

``pytest bench/micro --benchmark-only`` works alone (``pytest.ini`` here keeps them apart from the tests) and
``depthbench kernels`` runs the same files and shows them as one table.

How a time comes about (``contest.py``):

1. Each backend gets inputs of its own, equal to the last bit, and an output array, as in training.
2. Its output is held against the reference. A wrong one is reported as ``wrong`` and never timed.
3. It is warmed up explicitly, so that Numba's compilation is never inside a time. (pytest-benchmark's own calibration
   times the first call, which is the one that compiles.)
4. The backends of one case run interleaved, a round of each in turn, so that a slow minute of the machine hits all of
   them. pytest-benchmark knows only one function at a time; it gets the rounds afterwards, replayed through its timer.
5. The fastest backend runs a second time as a stranger to itself (A/A): the ratio of the two says how much of a
   difference is noise.
"""
