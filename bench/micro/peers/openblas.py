"""NumPy on OpenBLAS: as shipped, and with its AVX-512 kernels forced.

On some CPUs OpenBLAS picks kernels of an older instruction set (Haswell's on Zen 5). ``OPENBLAS_CORETYPE`` makes it take
others, but is read once, when the library is loaded: so that contestant lives in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.micro.peers import Race


class OpenBlas:
    """NumPy's matmul, with bias and activation as a user of NumPy would write them."""

    name = "openblas"

    def missing(self) -> str | None:
        from threadpoolctl import threadpool_info

        found = {pool["internal_api"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        return None if "openblas" in found else f"NumPy does not use OpenBLAS here but {', '.join(found) or 'nothing known'}"

    def supports(self, kernel: str) -> bool:
        return kernel == "gemm"

    def prepare(self, kernel: str, arguments: tuple, options: Mapping[str, Any], n_threads: int) -> Race:
        a, b = arguments
        a = a.T if options.get("transpose_a") else a
        b = b.T if options.get("transpose_b") else b
        bias, relu = options.get("bias"), options.get("activation") == "relu"
        out = np.empty((a.shape[0], b.shape[1]), a.dtype)

        def call():
            np.matmul(a, b, out=out)
            if bias is not None:
                np.add(out, bias, out=out)
            if relu:
                np.maximum(out, 0, out=out)
            return out

        return Race(call, lambda y: (y,))


class OpenBlasAvx512(OpenBlas):
    """The same in a process whose OpenBLAS was told to use AVX-512; see ``child.py``, which runs it."""

    name = "openblas-avx512"

    def missing(self) -> str | None:
        from kernels.cython_backend import loader

        if "v4" not in loader.available():
            return "this CPU has no AVX-512"
        return super().missing()
