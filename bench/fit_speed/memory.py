"""What ``fit`` adds to the resident memory of a process that holds the data already.

A process for each network: it loads the data, trains other, tiny networks, so that code and libraries are there, notes its
resident memory once what it has freed is given back to the system, and fits for one epoch. The peak above the note is what
training takes: parameters, gradients, the optimizer's state, activations of a batch, buffers, and whatever the estimator copies
of the data.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import subprocess
import sys
from typing import Any

from bench.micro.memory import forget_peak, peak_bytes, resident_bytes

#: Named models, and networks that no model of the registry trains, at the estimator's defaults.
NETWORKS = ("mlp_100", "mlp_100_100", "lenet5", "conv32_64", "conv48_96", "vgg_narrow_bn")
DATASET = "fashion_mnist"


def build(network: str, image_shape: tuple[int, ...]) -> Any:
    """Return an unfitted estimator for one epoch.

    Examples
    --------
    >>> build("conv32_64", (28, 28, 1)).architecture
    'conv32_64'
    """
    from models import ConvNetClassifier, catalog

    if network in catalog.names():
        model = catalog.get(network).build(
            "classification", seed=0, n_threads=1, backend="cython", image_shape=image_shape
        )
    else:
        model = ConvNetClassifier(network, image_shape=image_shape, random_state=0)
    return model.set_params(max_iter=1)


def measure(network: str, dataset: str = DATASET) -> dict[str, int | None]:
    """Fit in this process; return the bytes of the data and the peak above what was resident before."""
    import warnings

    from bench.fit_speed.data import training_part

    X, y, image_shape = training_part(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge, and need not
        for other in ("mlp_100", "lenet5"):
            few = slice(0, 64)
            build(other, image_shape).fit(X[few], y[few])
        gc.collect()
        _give_back()
        before = resident_bytes()
        forget_peak()
        model = build(network, image_shape).fit(X, y)
    peak = peak_bytes()
    return {
        "n_samples": len(X), "data_bytes": X.nbytes, "batch_size": min(200, len(X)) if model.batch_size == "auto"
        else model.batch_size, "added_bytes": None if peak is None else peak - before,
    }  # fmt: skip


def _give_back() -> None:
    """Let the allocator return what is free (glibc), or a fit would take it and seem to need nothing."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def in_process(network: str, dataset: str = DATASET) -> dict[str, Any]:
    """Return what :func:`measure` finds in a process of its own."""
    code = "import json, sys; from bench.fit_speed.memory import measure; print(json.dumps(measure(*sys.argv[1:])))"
    done = subprocess.run([sys.executable, "-c", code, network, dataset], capture_output=True, text=True, check=True)
    return {"network": network, **json.loads(done.stdout.splitlines()[-1])}
