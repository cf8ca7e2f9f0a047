"""Seconds of ``fit`` for one epoch, as a user waits for it, beside the ceiling of the machine at that moment."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

MODEL = "lenet5"
REPEATS = 5


def measure(X: np.ndarray, y: np.ndarray, image_shape: tuple[int, ...], *, repeats: int = REPEATS) -> dict[str, Any]:
    """Fit the registry's lenet5 for one epoch, several times, on one thread.

    Parameters
    ----------
    X : ndarray (n, H * W * C), float32
    y : ndarray (n,)
    image_shape : (H, W, C)

    Returns
    -------
    dict
        ``fit_s`` of each fit, their median ``seconds``, and ``fma_gflops``: the largest ceiling seen before and after.
    """
    from bench.profiling import ceilings
    from kernels.threads import set_threads
    from models import catalog

    set_threads(1)
    before = ceilings.measure("float32", 1).fma_gflops
    fit_s = []
    for seed in range(repeats + 1):
        model = catalog.get(MODEL).build("classification", seed=seed, n_threads=1, backend="cython", image_shape=image_shape)
        model.set_params(max_iter=1)
        start = time.perf_counter()
        model.fit(X, y)
        fit_s.append(time.perf_counter() - start)
    fit_s = fit_s[1:]  # the first one warms up
    return {
        "model": MODEL, "batch_size": model.batch_size, "n_samples": len(X), "fit_s": fit_s,
        "seconds": statistics.median(fit_s), "fma_gflops": max(before, ceilings.measure("float32", 1).fma_gflops),
    }  # fmt: skip
