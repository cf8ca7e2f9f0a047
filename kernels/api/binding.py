"""Calls that are checked once and run many times, one by one or many in a row.

A network makes the same few dozen calls on the same arrays at every step. Checking them costs some microseconds each,
which is as much as a small kernel takes. So a call can be *bound*: checked now, run later, as often as one likes.
Bound calls in a row are a *program*; a backend may run a program without coming back to Python in between, and several
programs at the same time, each on a thread of its own.

A backend's module may define ``bind(name, arguments)``, ``program(callables)`` and ``run_together(programs)``; for one
that does not, the loops of this file do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

#: Kernel -> its numbers that change from step to step, and their places among the backend's arguments.
STEPPED = {"adam_update": {"step": 4, "learning_rate": 5, "epsilon": 8, "weight_decay": 9}}


class Binding:
    """A call of a kernel with all its arguments, checked; call it to run it.

    It points to the arrays it was given. Their values may change in between, their memory may not move.

    Attributes
    ----------
    kernel : str
    arguments, options
        As they were given.
    result
        What the kernel returns: the output arrays that were given (the value of a loss is returned by each run).
    label : str
        Free for whoever records calls.
    run : callable
        The backend's part.
    plain : (callable, tuple)
        The backend's function and the checked arguments, for :meth:`run_with`.
    """

    __slots__ = ("arguments", "kernel", "label", "options", "plain", "result", "run")

    def __init__(
        self, kernel: str, arguments: tuple, options: dict[str, Any], result: Any, run: Callable[[], Any],
        plain: tuple[Callable[..., Any], tuple],
    ):  # fmt: skip
        self.kernel = kernel
        self.arguments = arguments
        self.options = options
        self.result = result
        self.run = run
        self.plain = plain
        self.label = ""

    def __call__(self) -> Any:
        return self.run()

    def run_with(self, **numbers: float) -> Any:
        """Run the call once with other numbers: what changes from step to step, where the arrays stay.

        Parameters
        ----------
        numbers
            All of `STEPPED` for this kernel, by name. They are taken as they are: finite, and in their ranges.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> w, dw, m, v = np.array([1.0]), np.array([2.0]), np.zeros(1), np.zeros(1)
        >>> call = kernels.load("reference").bind("adam_update", w, dw, m, v, step=1, learning_rate=0.0)
        >>> call.run_with(step=1, learning_rate=0.5, epsilon=1e-8, weight_decay=0.0)
        >>> w.round(6)
        array([0.5])
        """
        function, checked = self.plain
        changed = list(checked)
        for name, place in STEPPED[self.kernel].items():
            changed[place] = numbers[name]
        return function(*changed)

    def __repr__(self) -> str:
        return f"<bound call of {self.kernel}>"


class _Catcher:
    """Stands in for a backend's module: keeps what the checked call would have been."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments: self._keep(name, arguments)

    def _keep(self, name: str, arguments: tuple):
        self.caught = name, arguments
        return 1.0  # as a loss it is a number, as an answer it is yes


class _Bound:
    """A call of a Python function with all its arguments."""

    __slots__ = ("arguments", "function")

    def __init__(self, function: Callable[..., Any], arguments: tuple):
        self.function, self.arguments = function, arguments

    def __call__(self) -> Any:
        return self.function(*self.arguments)


class _Loop:
    """A program of a backend that has none of its own."""

    def __init__(self, calls: Sequence[Callable[[], Any]]):
        self._calls = list(calls)
        self.times: np.ndarray | None = None

    def replace(self, i: int, call: Callable[[], Any]) -> None:
        self._calls[i] = call

    def __call__(self) -> None:
        if self.times is None:
            for call in self._calls:
                call()
            return
        for i, call in enumerate(self._calls):
            start = time.perf_counter_ns()
            call()
            self.times[i] = start, time.perf_counter_ns()


class Program:
    """Bound calls, run one after the other.

    Attributes
    ----------
    bindings : list of Binding
        In their order; changed by :meth:`replace` only.
    times : ndarray (n_calls, 2) of int64, optional
        Where set, each run writes the start and the end of each call into it, in nanoseconds of `time.perf_counter_ns`.
    """

    def __init__(self, bindings: Sequence[Binding], native):
        self.bindings = list(bindings)
        self.native = native

    def __len__(self) -> int:
        return len(self.bindings)

    def __call__(self) -> None:
        self.native()

    def replace(self, i: int, binding: Binding) -> None:
        """Put another call in the place of call i."""
        self.native.replace(i, binding.run)
        self.bindings[i] = binding

    @property
    def times(self) -> np.ndarray | None:
        return self.native.times

    @times.setter
    def times(self, value: np.ndarray | None) -> None:
        self.native.times = value


class Binder:
    """Binding, mixed into the kernels."""

    def bind(self, name: str, *arguments, **options) -> Binding:
        """Check a call of kernel `name` now, to run it later.

        Everything that the kernel reads and writes must be given, as arrays that a backend can use as they are: plain,
        C-contiguous and aligned, ``out`` included.

        Raises
        ------
        TypeError, ValueError
            As the kernel itself; and for an array that would have to be copied first, or an output that is not given.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> x, y = np.array([-1.0, 2.0]), np.empty(2)
        >>> call = kernels.load("reference").bind("relu", x, out=y)
        >>> _ = call(); y
        array([0., 2.])
        >>> x[0] = 3.0
        >>> _ = call(); y
        array([3., 2.])
        """
        if name not in self._IMPLEMENTATION:
            raise ValueError(f"unknown kernel {name!r}; there are {', '.join(self._IMPLEMENTATION)}")
        catcher, twin = _Catcher(), object.__new__(type(self))
        twin.name, twin._impl = self.name, catcher
        result = getattr(twin, name)(*arguments, **options)
        function, checked = catcher.caught
        given = [v for v in (*arguments, *options.values()) if isinstance(v, np.ndarray)]
        for array in checked:
            if isinstance(array, np.ndarray) and array.size and not _is_one_of(array, given):
                raise ValueError(f"{name} cannot be bound: an array has no `out`, or is not C-contiguous and aligned")
        native = getattr(self._impl, "bind", None)
        plain = getattr(self._impl, function)
        run = _Bound(plain, checked) if native is None else native(function, checked)
        return Binding(name, arguments, options, result, run, (plain, checked))

    @property
    def runs_together(self) -> bool:
        """Whether programs run at the same time in :meth:`run_together`; where not, they run one after the other."""
        return hasattr(self._impl, "run_together")

    @property
    def divides_calls(self) -> bool:
        """Whether several threads make a single call faster: dividing it costs the backend less than a small call takes."""
        return getattr(self._impl, "DIVIDES_CALLS", True)

    def program(self, bindings: Sequence[Binding]) -> Program:
        """Return bound calls as one thing to run.

        Examples
        --------
        >>> import kernels, numpy as np
        >>> k, x, y = kernels.load("reference"), np.array([-1.0, 2.0]), np.empty(2)
        >>> program = k.program([k.bind("relu", x, out=y)])
        >>> program(); y
        array([0., 2.])
        """
        return Program(bindings, getattr(self._impl, "program", _Loop)([b.run for b in bindings]))

    def run_together(self, programs: Sequence[Program]) -> None:
        """Run programs that share nothing they write, at the same time where the backend can."""
        native = getattr(self._impl, "run_together", None)
        if native is None or len(programs) == 1:
            for program in programs:
                program()
        else:
            native([program.native for program in programs])


def _is_one_of(array: np.ndarray, given: list[np.ndarray]) -> bool:
    """Whether an array is one of the given ones, or another view that begins where one of them does."""
    if any(array is one for one in given):
        return True
    return _address(array) in map(_address, given)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]
