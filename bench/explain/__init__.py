"""One cell of a run, explained: what it saw, what made it, and what it cost (``depthbench report RUN --explain CELL``).

::

    naming.py   which cell is meant by what a person typed
    chain.py    data -> split -> features -> model -> kernels -> row, with the hash of each and who shares it
"""
