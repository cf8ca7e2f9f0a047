"""A stand-in for `kernels.Kernels` that times every call.

It has the same methods, so whatever works on a `Kernels` works on a `Recorder`: a network, a test, a loop at the
prompt. While it records, a call costs two clock readings and an append more; names, FLOPs and bytes are worked out
afterwards, outside the clock (:meth:`Recorder.take`). Switched off, its methods *are* those of the kernels it wraps, so
that the same network runs at its own speed.

What is timed is the call as its caller sees it: checks of the arguments and the work.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from kernels import Kernels
from kernels.api import Binding, Program
from kernels.spec import BY_NAME, KernelSpec

#: What is recorded of a thread while it runs none of the calls of its program.
IDLE = "idle thread"
#: Options that hold what a kernel writes, in the order of what it returns.
OUTPUTS = tuple(dict.fromkeys(name for spec in BY_NAME.values() for name in spec.outs))


@dataclass(frozen=True)
class Call:
    """One call of a kernel.

    Attributes
    ----------
    kernel : str
        Name of its spec.
    label : str
        Whatever :meth:`Recorder.label` said at the time: the layer and its direction.
    shapes : str
        Shapes of the array arguments, ``"128x28x28x1, 5x5x1x6"``.
    start_s, seconds : float
        From the recorder's first call, and how long.
    flops, n_bytes : int
        By the formulas of the spec.
    thread : int
        Which of the programs that ran at the same time it belongs to.
    share : float
        How much of the wall time it stands for: 1 / n where n programs ran at the same time.
    """

    kernel: str
    label: str
    shapes: str
    start_s: float
    seconds: float
    flops: int
    n_bytes: int
    is_kernel: bool = True
    thread: int = 0
    share: float = 1.0


def describe_shapes(arguments: tuple, options: dict[str, Any]) -> str:
    """Return the shapes of the array arguments, as they are written on a command line.

    >>> describe_shapes((np.zeros((2, 3)), 5), {"out": np.zeros((2, 2)), "bias": np.zeros(4)})
    '2x3, 4'
    """
    arrays = [*arguments, *(v for k, v in options.items() if k not in OUTPUTS)]
    return ", ".join("x".join(map(str, v.shape)) or "()" for v in arrays if isinstance(v, np.ndarray))


@cache
def positional_parameters(name: str) -> tuple[str, ...]:
    """Return the names of a kernel's parameters that a caller must give.

    >>> positional_parameters("conv2d")
    ('x', 'w')
    """
    parameters = list(inspect.signature(getattr(Kernels, name)).parameters.values())[1:]  # without self
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty)


def by_position(name: str, arguments: tuple, options: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Move arguments that were given by name to their places, as the formulas of a spec take them.

    >>> by_position("relu_backward", ("dy",), {"y": "y", "n_threads": 1})
    (('dy', 'y'), {'n_threads': 1})
    """
    rest = dict(options)
    missing = positional_parameters(name)[len(arguments) :]
    return (*arguments, *(rest.pop(parameter) for parameter in missing)), rest


def flops_of(spec: KernelSpec, arguments: tuple, options: dict[str, Any]) -> int:
    """Return the FLOPs of a call by the formula of its spec."""
    sizes = {k: v for k, v in options.items() if k not in (*OUTPUTS, "n_threads")}
    return spec.flops(*arguments, **sizes)


class _RecordedBinding(Binding):
    """A bound call that records itself when it is run alone; in a program, the program does."""

    __slots__ = ("_recorder",)

    def __init__(self, bound: Binding, recorder: Recorder):
        super().__init__(bound.kernel, bound.arguments, bound.options, bound.result, bound.run, bound.plain)
        self._recorder = recorder

    def __call__(self) -> Any:
        return self._recorded(self.run)

    def run_with(self, **numbers: float) -> Any:
        return self._recorded(partial(super().run_with, **numbers))

    def _recorded(self, run: Callable[[], Any]) -> Any:
        recorder = self._recorder
        start = recorder._clock()
        result = run()
        end = recorder._clock()
        label = self.label or recorder._label
        recorder._raw.append((self.kernel, label, start, end, self.arguments, self.options, self.result))
        return result


class _RecordedProgram(Program):
    """A program that has its calls timed, and hands the times on after each run."""

    def __init__(self, program: Program, recorder: Recorder):
        super().__init__(program.bindings, program.native)
        self.times = np.zeros((len(self), 2), np.int64)
        self._recorder = recorder

    def __call__(self, thread: int = 0, share: float = 1.0) -> None:
        if self._recorder.one_by_one:
            clock = self._recorder._clock
            for i, binding in enumerate(self.bindings):
                start = clock()
                binding.run()
                self.times[i] = start, clock()
        else:
            self.native()
        self.keep(thread, share)

    def keep(self, thread: int, share: float, span: tuple[int, int] | None = None) -> None:
        """Record the calls of the last run; `span` is when all threads began and had ended."""
        self._recorder._raw.append((self, self.times.copy(), thread, share, span))

    def entries(self, times: np.ndarray, thread: int, share: float, span: tuple[int, int] | None) -> Iterator[tuple]:
        """Take apart what `keep` recorded; it is left for later because a step waits for that, and not for this."""
        for b, (start, end) in zip(self.bindings, times.tolist(), strict=True):
            yield b.kernel, b.label, start, end, b.arguments, b.options, b.result, thread, share
        if span is not None:  # waking up, and standing still until the slowest thread is done
            idle = max(0, span[1] - span[0] - int((times[:, 1] - times[:, 0]).sum()))
            yield IDLE, "threads", span[1] - idle, span[1], 0, None, None, thread, share


class Recorder:
    """Times the calls of a `Kernels` object.

    Parameters
    ----------
    kernels : Kernels
    clock : callable, optional
        Returns nanoseconds, or what else a number of calls is to be measured in (``counters.py``).
    one_by_one : bool
        Read the clock around each call of a program here, instead of inside of it, and run programs one after the other
        that would run at the same time. It costs more, and works with any clock.

    Examples
    --------
    >>> import kernels
    >>> recorder = Recorder(kernels.load("reference"))
    >>> with recorder.label("conv1 forward"):
    ...     product = recorder.gemm(np.ones((2, 3)), np.ones((3, 4)))
    >>> [call] = recorder.take()
    >>> call.kernel, call.label, call.flops, call.shapes
    ('gemm', 'conv1 forward', 48, '2x3, 3x4')
    """

    def __init__(self, kernels: Kernels, clock: Callable[[], int] = time.perf_counter_ns, one_by_one: bool = False):
        self._kernels = kernels
        self._clock = clock
        self.one_by_one = one_by_one
        self._label = ""
        self._raw: list[tuple] = []
        self._ends: list[int] = []
        self._epoch_ns = clock()
        self._timed = {name: self._timing(name, getattr(kernels, name)) for name in BY_NAME}
        self.enabled = True

    def __getattr__(self, name: str) -> Any:  # all that is not a kernel
        if name.startswith("__"):  # a half-made copy has no kernels yet to ask
            raise AttributeError(name)
        return getattr(self.__dict__["_kernels"], name)

    def __repr__(self) -> str:
        return f"<recorder of {self._kernels!r}>"

    @property
    def enabled(self) -> bool:
        """Whether calls are timed; where not, the methods are those of the kernels themselves."""
        return self._enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._enabled = bool(value)
        for name, timed in self._timed.items():
            self.__dict__[name] = timed if value else getattr(self._kernels, name)

    def _timing(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        clock, raw = self._clock, self._raw

        def timed(*arguments, **options):
            start = clock()
            result = method(*arguments, **options)
            end = clock()
            raw.append((name, self._label, start, end, arguments, options, result))
            return result

        timed.__name__ = name
        return timed

    # -- bound calls and programs (kernels/api/binding.py): their clock is the backend's own --------------------------

    def bind(self, name: str, *arguments, **options) -> Binding:
        """Bind a call whose runs are recorded."""
        bound = self._kernels.bind(name, *arguments, **options)
        return _RecordedBinding(bound, self) if self._enabled else bound

    def program(self, bindings: Sequence[Binding]) -> Program:
        """Return a program whose calls are recorded."""
        program = self._kernels.program(bindings)
        if self._enabled:
            program = _RecordedProgram(program, self)
        return program

    def run_together(self, programs: Sequence[Program]) -> None:
        """Run programs at the same time; each call stands for its share of the wall time."""
        if len(programs) == 1:
            programs[0]()
            return
        if self.one_by_one:
            for thread, program in enumerate(programs):
                program(thread, 1.0 / len(programs))
            return
        start = self._clock()
        self._kernels.run_together(programs)
        end = self._clock()
        share = 1.0 / len(programs)
        for thread, program in enumerate(programs):
            if isinstance(program, _RecordedProgram):
                program.keep(thread, share, (start, end))

    @contextmanager
    def label(self, text: str) -> Iterator[None]:
        """Give the calls inside the block a label."""
        before, self._label = self._label, text
        try:
            yield
        finally:
            self._label = before

    def labelled(self, text: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return `function` so wrapped that the calls inside it bear a label."""

        def with_label(*arguments, **options):
            before, self._label = self._label, text
            try:
                return function(*arguments, **options)
            finally:
                self._label = before

        return with_label

    def other(self, name: str, function: Callable[[], Any], n_bytes: int) -> Any:
        """Call a function that is no kernel, and record it under `name` as moving `n_bytes`."""
        start = self._clock()
        result = function()
        self._raw.append((name, self._label, start, self._clock(), n_bytes, None, None))
        return result

    def mark(self) -> None:
        """End a stretch of calls, a step say; see :meth:`take_stretches`."""
        self._ends.append(len(self._raw))

    def take(self) -> list[Call]:
        """Return the calls since the last time, in order, and forget them (and the arrays they were given)."""
        calls = list(self._calls(self._raw))
        self._raw.clear()
        self._ends.clear()
        return calls

    def take_stretches(self) -> list[list[Call]]:
        """Return the calls since the last time as :meth:`mark` has divided them, and forget them."""
        begins = [0, *self._ends]
        stretches = [list(self._calls(self._raw[a:b])) for a, b in zip(begins, self._ends, strict=False)]
        self.take()
        return stretches

    def _calls(self, raw: Sequence[tuple]) -> Iterator[Call]:
        for entry in raw:
            if isinstance(entry[0], _RecordedProgram):
                yield from (self._described(*call) for call in entry[0].entries(*entry[1:]))
            else:
                yield self._described(*entry)

    def _described(self, name, label, start, end, arguments, options, result, thread=0, share=1.0) -> Call:
        times = {"thread": thread, "share": share, "start_s": (start - self._epoch_ns) / 1e9, "seconds": (end - start) / 1e9}
        if name not in BY_NAME:
            return Call(name, label, "", **times, flops=0, n_bytes=arguments, is_kernel=False)
        spec = BY_NAME[name]
        arguments, options = by_position(name, arguments, options)
        return Call(
            kernel=name,
            label=label,
            shapes=describe_shapes(arguments, options),
            **times,
            flops=flops_of(spec, arguments, options),
            n_bytes=spec.bytes_moved(arguments, options, result),
        )
