"""The libraries that our kernels and networks are measured against, each at its best.

A `Peer` knows which calls of ``kernels/spec.py`` it can make, and prepares one: inputs in the layout it likes best, memory
for its output where it takes that, so that only the work is inside the clock. `Race.result` gives its answer in our
layout, to be held against the reference before anything is timed, like those of our own backends.

A peer that is not installed, or that this CPU cannot run, says why (`missing`), and the others go on.

    openblas           NumPy's matmul and ufuncs, as shipped
    openblas-avx512    the same with OpenBLAS's AVX-512 kernels forced, in a process of its own (``child.py``)
    torch              PyTorch eager, where layouts play no role
    torch-nchw         PyTorch eager in its default layout
    torch-nhwc         PyTorch eager in channels_last
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol


@dataclass
class Race:
    """A call that is ready to be timed; `result` turns what it last gave into our layout, as a tuple of arrays."""

    call: Callable[[], Any]
    result: Callable[[Any], tuple]

    def __call__(self) -> Any:
        return self.call()


class Peer(Protocol):
    """A library that can make some of our calls."""

    name: str

    def missing(self) -> str | None:
        """Return why it cannot be used here, or None."""

    def supports(self, kernel: str) -> bool:
        """Whether it can make the calls that training makes of this kernel (``kernels.cases.cases``)."""

    def prepare(self, kernel: str, arguments: tuple, options: Mapping[str, Any], n_threads: int) -> Race:
        """Make everything ready but the call itself."""


@cache
def peers() -> dict[str, Peer]:
    """Return all peers by name, installed or not; importing them is left to when they are used."""
    from bench.micro.peers.openblas import OpenBlas, OpenBlasAvx512
    from bench.micro.peers.pytorch import PyTorch

    known = (OpenBlas(), OpenBlasAvx512(), PyTorch("torch"), PyTorch("torch-nchw"), PyTorch("torch-nhwc"))
    return {peer.name: peer for peer in known}


def usable_peers() -> dict[str, Peer]:
    """Return the peers that can be used here."""
    return {name: peer for name, peer in peers().items() if peer.missing() is None}


#: Which peers are one library, for the columns of a table: a ratio is to the fastest of them.
FAMILIES = {
    "OpenBLAS": ("openblas", "openblas-avx512"),
    "PyTorch": ("torch", "torch-nchw", "torch-nhwc", "torch-compiled-nchw", "torch-compiled-nhwc", "torch-compiled"),
    "ONNX Runtime": ("onnxruntime",),
    "scikit-learn": ("sklearn",),
}


def family_of(contestant: str) -> str | None:
    """Return the family of a peer, None for a backend of ours.

    Examples
    --------
    >>> family_of("torch-nhwc"), family_of("cython")
    ('PyTorch', None)
    """
    return next((family for family, names in FAMILIES.items() if contestant in names), None)
