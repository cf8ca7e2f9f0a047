"""A network's passes as flat lists of bound kernel calls.

Layers say in ordinary code which kernels they call on which buffers (``models/layers.py``). That code runs once per size
of a batch, on a `Tracer` that stands in for the kernels: it binds each call and computes nothing. From then on a pass is
one program (``kernels/api/binding.py``), without Python between its calls.

Only the arrays that come from outside, the batch itself, may be others at each step: the calls that read them are
bound anew, or the values copied to where they were.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from kernels import Kernels
from kernels.api import IMPLEMENTATION, Binding

#: A batch of at most this many bytes is copied to where the last one was; for a larger one, calls are bound anew.
COPIED_BYTES = 2**18


class Tracer:
    """Has the methods of the kernels. A call of one binds it, and returns the arrays that it will write."""

    def __init__(self, kernels: Kernels):
        self._kernels = kernels
        self.label = ""
        self.bindings: list[Binding] = []
        for name in IMPLEMENTATION:
            setattr(self, name, partial(self._bind, name))

    def _bind(self, name: str, *arguments, **options):
        binding = self._kernels.bind(name, *arguments, **options)
        binding.label = self.label
        self.bindings.append(binding)
        return binding.result

    def take(self) -> list[Binding]:
        """Return what was bound since the last time."""
        taken, self.bindings = self.bindings, []
        return taken


class Pass:
    """A program, and which of its calls read the batch.

    Parameters
    ----------
    kernels : Kernels
    bindings : list of Binding
    batch : ndarray
        The batch that they were bound to.
    result : ndarray, optional
        What the last call writes.
    """

    def __init__(self, kernels: Kernels, bindings: list[Binding], batch: np.ndarray, result: np.ndarray | None = None):
        self.kernels = kernels
        self.program = kernels.program(bindings)
        self.result = result
        self.batch = batch
        self._readers = [i for i, binding in enumerate(bindings) if any(_reads(a, batch) for a in binding.arguments)]

    def read(self, batch: np.ndarray) -> None:
        """Let the calls that read the batch read this one."""
        if batch is self.batch:
            return
        for i in self._readers:
            old = self.program.bindings[i]
            arguments = tuple(batch.reshape(a.shape) if _reads(a, self.batch) else a for a in old.arguments)
            binding = self.kernels.bind(old.kernel, *arguments, **old.options)
            binding.label = old.label
            self.program.replace(i, binding)
        if self.result is not None and _reads(self.result, self.batch):  # no kernel wrote it: a view of the batch
            self.result = batch.reshape(self.result.shape)
        self.batch = batch


def _reads(argument, batch: np.ndarray) -> bool:
    return isinstance(argument, np.ndarray) and (argument is batch or np.may_share_memory(argument, batch))


class Inputs:
    """Where a network reads its batch: the caller's array itself, or a copy in a buffer of its own.

    Parameters
    ----------
    buffer : callable
        Returns an array for n samples.
    """

    def __init__(self, buffer: Callable[[int], np.ndarray]):
        self._buffer = buffer

    def __call__(self, x: np.ndarray, current: np.ndarray | None) -> np.ndarray:
        """Return the array to read; `current` is the one that a pass reads now."""
        if x is current:
            return x
        usable = type(x) is np.ndarray and x.flags.c_contiguous and x.flags.aligned
        if usable and x.nbytes > COPIED_BYTES:
            return x
        buffer = self._buffer(x.shape[0])
        if x.dtype != buffer.dtype or x.shape != buffer.shape:
            raise (TypeError if x.dtype != buffer.dtype else ValueError)(
                f"a batch must be {buffer.dtype} of shape {buffer.shape}, got {x.dtype} of shape {x.shape}"
            )
        buffer[...] = x
        return buffer
