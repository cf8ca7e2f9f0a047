"""A network's passes as flat lists of bound kernel calls, and between them what plain Python does.

Layers say in ordinary code which kernels they call on which buffers (``models/layers.py``). That code runs once per size
of a batch, on a `Tracer` that stands in for the kernels: it binds each call and computes nothing. From then on a pass is
one program (``kernels/api/binding.py``), without Python between its calls.

A layer may also ask for a `Meeting`: a Python function at a place of the pass. Where a batch is shared out among threads,
all of them come to it, and the function is called once for all: a batch normalization puts its statistics together there.

Only the arrays that come from outside, the batch itself, may be others at each step: the calls that read them are
bound anew, or the values copied to where they were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np

from kernels import Kernels
from kernels.api import IMPLEMENTATION, Binding, Program

#: A batch of at most this many bytes is copied to where the last one was; for a larger one, calls are bound anew.
COPIED_BYTES = 2**18


@dataclass(frozen=True)
class Meeting:
    """A function that is called with the members of all shares of a batch."""

    function: Callable[[list], None]
    member: object
    label: str


class Tracer:
    """Has the methods of the kernels. A call of one binds it, and returns the arrays that it will write."""

    def __init__(self, kernels: Kernels):
        self._kernels = kernels
        self.label = ""
        self.calls: list[Binding | Meeting] = []
        for name in IMPLEMENTATION:
            setattr(self, name, partial(self._bind, name))

    def _bind(self, name: str, *arguments, **options):
        binding = self._kernels.bind(name, *arguments, **options)
        binding.label = self.label
        self.calls.append(binding)
        return binding.result

    def meet(self, function: Callable[[list], None], member: object) -> None:
        """Have function([member, and those of the other shares]) called at this place."""
        self.calls.append(Meeting(function, member, self.label))

    def take(self) -> list[Binding | Meeting]:
        """Return what was bound since the last time."""
        taken, self.calls = self.calls, []
        return taken


class Pass:
    """Programs and meetings in turn, and which calls read the batch.

    Parameters
    ----------
    kernels : Kernels
    calls : list of Binding or Meeting
    batch : ndarray
        The batch that they were bound to.
    result : ndarray, optional
        What the last call writes.
    """

    def __init__(
        self, kernels: Kernels, calls: list[Binding | Meeting], batch: np.ndarray, result: np.ndarray | None = None
    ):
        self.kernels = kernels
        self.parts: list[Program | Meeting] = []
        self._readers: list[tuple[Program, int]] = []
        for meets, group in groupby(calls, key=lambda call: isinstance(call, Meeting)):
            if meets:
                self.parts += group
                continue
            bindings = list(group)
            program = kernels.program(bindings)
            self.parts.append(program)
            self._readers += [
                (program, i) for i, b in enumerate(bindings) if any(_reads(a, batch) for a in b.arguments)
            ]
        self.result = result
        self.batch = batch
        self._bound_to_batch = any(
            isinstance(part, Meeting) and isinstance(part.member, tuple) and any(_reads(a, batch) for a in part.member)
            for part in self.parts
        )

    def read(self, batch: np.ndarray) -> None:
        """Let the calls that read the batch read this one."""
        if batch is self.batch:
            return
        for program, i in self._readers:
            old = program.bindings[i]
            arguments = tuple(batch.reshape(a.shape) if _reads(a, self.batch) else a for a in old.arguments)
            binding = self.kernels.bind(old.kernel, *arguments, **old.options)
            binding.label = old.label
            program.replace(i, binding)
        for i, part in enumerate(self.parts if self._bound_to_batch else ()):
            if isinstance(part, Meeting) and isinstance(part.member, tuple):
                member = tuple(batch.reshape(a.shape) if _reads(a, self.batch) else a for a in part.member)
                self.parts[i] = replace(part, member=member)
        if self.result is not None and _reads(self.result, self.batch):  # no kernel wrote it: a view of the batch
            self.result = batch.reshape(self.result.shape)
        self.batch = batch


def run_passes(kernels: Kernels, passes: Sequence[Pass]) -> None:
    """Run the passes of the shares of one batch: their programs at the same time, their meetings once for all."""
    for parts in zip(*(p.parts for p in passes), strict=True):
        if not isinstance(parts[0], Meeting):
            kernels.run_together(parts)
            continue
        other = getattr(kernels, "other", None)  # a recorder wants to know of it
        members = [part.member for part in parts]
        if other is None:
            parts[0].function(members)
        else:
            other("shares meet", partial(parts[0].function, members), 0)


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
