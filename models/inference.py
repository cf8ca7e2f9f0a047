"""Forward passes after training: any number of samples, from any number of threads at once.

Samples go through in blocks, so that activations stay in the cache and memory does not grow with the data. A network's
buffers serve one pass at a time; each pass borrows a set from a pool and hands it back, so estimators may be shared
between threads (joblib's threading backend does), and a prediction of one sample allocates nothing but its result.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral

import numpy as np
import scipy.sparse

import kernels
from models.layers import Layer
from models.network import Network

#: Most samples of a block, and the memory that the activations of one block should fit in.
BLOCK = 256
BLOCK_BYTES = 8 * 2**20


class Inference:
    """Layers with parameters, ready to predict.

    Parameters
    ----------
    layers : sequence of Layer
    parameters, states : sequence of arrays
        Of all layers, in their order; bound, not copied.
    """

    def __init__(
        self, layers: Sequence[Layer], parameters: Sequence[np.ndarray], *, kernels, dtype, n_threads: int,
        states: Sequence[np.ndarray] = (),
    ):  # fmt: skip
        self.layers = layers
        self.parameters = parameters
        self.states = states
        self.dtype = np.dtype(dtype)
        self.n_threads = n_threads
        self._kernels = kernels
        sample_bytes = sum(layer.activation_elements for layer in layers) * self.dtype.itemsize
        self.block = max(8, min(BLOCK, BLOCK_BYTES // max(sample_bytes, 1)))
        self._free: defaultdict[int, deque[Network]] = defaultdict(deque)

    @contextmanager
    def _borrow(self, n: int) -> Iterator[Network]:
        capacity = min(self.block, 1 << (n - 1).bit_length())
        free = self._free[capacity]
        try:
            network = free.pop()
        except IndexError:
            network = Network(
                self.layers, kernels=self._kernels, dtype=self.dtype, max_batch=capacity, n_threads=self.n_threads,
                parameters=self.parameters, states=self.states, training=False,
            )  # fmt: skip
        try:
            yield network
        finally:
            free.append(network)

    def run(
        self, X, finish: Callable[[np.ndarray, np.ndarray], object], out: np.ndarray, *, n_layers: int | None = None,
        prepare: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Call ``finish(values, out[rows])`` with the last layer's values of each block, and return `out`.

        Parameters
        ----------
        n_layers : int, optional
            Stop after that many layers.
        prepare : callable, optional
            What becomes of the samples of a block first.
        """
        n = X.shape[0]
        if n == 0:
            return out
        with self._borrow(n) as network:
            for start in range(0, n, self.block):
                x = X[start : start + self.block]
                if not scipy.sparse.issparse(x):
                    x = np.asarray(x if prepare is None else prepare(x), dtype=self.layers[0].input_dtype or self.dtype)
                finish(network.forward(x, n_layers=n_layers), out[start : start + self.block])
        return out


def resolve_threads(n_jobs: int | None) -> int:
    """Return the number of threads that `n_jobs` means: None one, -1 all of this process's CPUs, -2 all but one.

    Examples
    --------
    >>> resolve_threads(None), resolve_threads(3)
    (1, 3)
    """
    if n_jobs is None:
        return 1
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, Integral):
        raise TypeError(f"n_jobs must be an integer or None, got {type(n_jobs).__name__}")
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning; use None for one thread, -1 for all CPUs")
    if n_jobs > 0:
        return int(n_jobs)
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, n_cpus + 1 + int(n_jobs))


def load_kernels(backend: str) -> kernels.Kernels:
    """Return the kernels of a backend; an unknown name raises ValueError with those there are."""
    return kernels.load(backend)
