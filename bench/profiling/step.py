"""One training step, or prediction, under the recorder: which kernels it calls, what each costs, what is left unexplained.

The same step runs in turn without the recorder and with it. Its wall time is the median of the runs *without*, the time
of each call the median of the runs *with*; the sum of the calls is then held against the wall time. What remains is
Python between the kernels, and error. The ratio of the two kinds of runs is what recording costs.

The step is the one that the estimators take (``models.training.training_step``), on batches gathered as theirs are.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bench.profiling import counters, roofline
from bench.profiling.ceilings import Ceilings
from bench.profiling.recorder import IDLE, Call, Recorder
from bench.profiling.targets import Target
from kernels import Kernels
from models.architectures import build
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.optimizers import SGD, Adam
from models.training import Batches, training_step

#: How long the timed steps may take together, where the caller does not say how many.
BUDGET_S = 4.0
LEAST_STEPS, MOST_STEPS = 5, 300
#: Steps under each hardware counter.
COUNTED_STEPS = 5
#: Batches of data that the step walks through, so that it does not always find its input in the cache.
N_BATCHES = 8
#: Strength of the L2 term: the estimators' default.
ALPHA = 1e-4


class TrainingStep:
    """A network in training, made to be run a step at a time on kernels that can be exchanged.

    Parameters
    ----------
    target : Target
        A network.
    kernels : Kernels
    batch : int
    dtype : {"float32", "float64"}
    n_threads : int
    solver : {"sgd", "adam"}
    seed : int
    samples : (ndarray (n, \\*input_shape), ndarray (n,)), optional
        What it trains on, n at least `batch`, and their classes; random numbers where not given.

    Examples
    --------
    >>> import kernels
    >>> from bench.profiling.targets import find
    >>> step = TrainingStep(find("conv16_32"), kernels.load("reference"), batch=2)
    >>> step() > 0  # the loss
    True
    """

    def __init__(
        self, target: Target, kernels: Kernels, batch: int = 128, dtype: str = "float32", n_threads: int = 1,
        solver: str = "sgd", seed: int = 0, samples: tuple[np.ndarray, np.ndarray] | None = None,
    ):  # fmt: skip
        rng = np.random.RandomState(seed)
        layers = build(target.architecture, target.input_shape, target.n_classes)
        self.network = Network(layers, kernels=kernels, dtype=dtype, max_batch=batch, n_threads=n_threads)
        self.network.initialize(rng)
        self.batch = batch
        self.kernels = kernels
        self.loss = SoftmaxCrossEntropy(kernels, dtype, batch, target.n_classes, n_threads)
        optimizer = {"sgd": partial(SGD, learning_rate_init=1e-3), "adam": Adam}[solver]
        self.optimizer = optimizer(self.network.vector, self.network.n_weights)
        if samples is None:
            x = rng.standard_normal((N_BATCHES * batch, *target.input_shape)).astype(dtype)
            y = rng.randint(0, target.n_classes, len(x))
        else:
            x, y = samples
        self._batches = Batches(x, y, None, batch)
        self._batch_bytes = 2 * batch * (x.nbytes + y.nbytes) // len(x)
        n_batches = len(x) // batch
        self._order = rng.permutation(len(x))[: n_batches * batch].reshape(n_batches, batch)
        self._turn = 0
        self.use(kernels)

    def use(self, kernels: Kernels | Recorder) -> None:
        """Exchange the kernels; with a `Recorder`, also say which layer is at work."""
        self.kernels = self.loss.k = kernels
        self.network.use_kernels(kernels)
        recorder = kernels if isinstance(kernels, Recorder) else None
        _labelled(self.optimizer, "update", recorder, "update/")
        self._loss = self.loss if recorder is None else recorder.labelled("loss/", self.loss)
        gather = partial(recorder.other, "gather batch", n_bytes=self._batch_bytes) if recorder else None
        self._gather = self._take if gather is None else lambda: gather(self._take)

    def _take(self) -> tuple:
        rows = self._order[self._turn % len(self._order)]
        self._turn += 1
        return self._batches.take(rows)

    def __call__(self) -> float:
        """Run one step and return the loss of its batch."""
        x, y, _ = self._gather()
        return training_step(self.network, self._loss, self.optimizer, x, y, alpha=ALPHA)


class Prediction:
    """A forward pass of a network that is not in training, made to be run again and again like a `TrainingStep`.

    Parameters
    ----------
    target : Target
        A network.
    batch : int
        Samples that are predicted at once.

    Examples
    --------
    >>> import kernels
    >>> from bench.profiling.targets import find
    >>> Prediction(find("conv16_32"), kernels.load("reference"), batch=2)().shape
    (2, 10)
    """

    def __init__(
        self, target: Target, kernels: Kernels, batch: int = 128, dtype: str = "float32", n_threads: int = 1, seed: int = 0,
        samples: tuple[np.ndarray, np.ndarray] | None = None,
    ):  # fmt: skip
        rng = np.random.RandomState(seed)
        layers = build(target.architecture, target.input_shape, target.n_classes)
        self.network = Network(
            layers, kernels=kernels, dtype=dtype, max_batch=batch, n_threads=n_threads, training=False
        )
        self.network.initialize(rng)
        self.batch, self.kernels = batch, kernels
        x = rng.standard_normal((batch, *target.input_shape)).astype(dtype) if samples is None else samples[0]
        self._x = x[:batch]

    def use(self, kernels: Kernels | Recorder) -> None:
        """Exchange the kernels."""
        self.kernels = kernels
        self.network.use_kernels(kernels)

    def __call__(self) -> np.ndarray:
        """Run one pass and return the last layer's values."""
        return self.network.forward(self._x)


def _labelled(owner: object, method: str, recorder: Recorder | None, label: str) -> None:
    """Let the calls made inside a method of an object bear a label; without a recorder put the method back."""
    owner.__dict__.pop(method, None)  # the label of an earlier recorder: below it is the method of the class
    if recorder is not None:
        setattr(owner, method, recorder.labelled(label, getattr(owner, method)))


# -- the profile -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One call of a step (or several, added up): who called what, how often, and what became of it.

    `phase` is "forward", "loss", "backward", "update", or nothing; `layer` its position in the network and its name.
    """

    kernel: str
    phase: str
    layer: str
    shapes: str
    calls: int
    rate: roofline.Rate
    is_kernel: bool = True


@dataclass(frozen=True)
class StepProfile:
    """What the steps showed. Times are of one step.

    Attributes
    ----------
    lines : tuple of Line
        In the order of the calls.
    wall_s : float
        Median of the steps without the recorder.
    recorded_s : float
        Median of the steps with it.
    overhead : float
        Median over pairs of neighbours of recorded / plain - 1.
    kind : {"step", "prediction"}
    counters : dict of str to tuple of int
        Event -> what was counted in each of the lines; empty where the system counts nothing for us.
    """

    target: Target
    batch: int
    ceilings: Ceilings
    lines: tuple[Line, ...]
    timeline: tuple[Call, ...]
    n_steps: int
    warmup_s: float
    wall_s: float
    recorded_s: float
    overhead: float
    kind: str = "step"
    counters: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def explained_s(self) -> float:
        return sum(line.rate.seconds for line in self.lines)

    @property
    def unexplained(self) -> float:
        """Share of the wall time that no line stands for; noise can make it negative."""
        return 1.0 - self.explained_s / self.wall_s

    def by_kernel(self) -> tuple[Line, ...]:
        """Return the lines added up by kernel, the longest first."""
        return added_up(self.lines)


def added_up(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Return one line per kernel, the longest first."""
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.kernel, []).append(line)
    sums = []
    for kernel, members in groups.items():
        rate = roofline.total([line.rate for line in members])
        sums.append(Line(kernel, "", "", "", sum(line.calls for line in members), rate, members[0].is_kernel))
    return tuple(sorted(sums, key=lambda line: -line.rate.seconds))


def _lines(steps: list[list[Call]], ceilings: Ceilings) -> tuple[Line, ...]:
    """Merge the same call of all steps: its time is the median."""
    signatures = {tuple((c.kernel, c.label, c.shapes, c.thread) for c in calls) for calls in steps}
    if len(signatures) != 1:
        raise RuntimeError("the steps did not call the same kernels in the same order")
    lines = []
    for same in zip(*steps, strict=True):
        first = same[0]
        seconds = float(np.median([call.seconds * call.share for call in same]))
        rate = roofline.rate(ceilings, seconds, first.flops, first.n_bytes)
        phase, _, layer = first.label.partition("/")
        lines.append(Line(first.kernel, phase, layer, first.shapes, 1, rate, first.is_kernel))
    return tuple(lines)


def _timed(step: TrainingStep | Prediction) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def count(step: TrainingStep | Prediction) -> dict[str, tuple[int, ...]]:
    """Return what each call of a step makes the machine count: event -> medians, in the order of the calls."""
    plain = step.kernels
    found = {}
    for event in counters.available()[0]:
        with counters.counting(event) as counter:
            recorder = Recorder(plain, clock=counter.read, one_by_one=True)
            step.use(recorder)
            step()  # binds the calls
            recorder.take()
            for _ in range(COUNTED_STEPS):
                step()
                recorder.mark()
            step.use(plain)
        steps = recorder.take_stretches()
        found[event.name] = tuple(round(1e9 * np.median([c.seconds for c in same])) for same in zip(*steps, strict=True))
    return found


def _aligned(counted: dict[str, tuple[int, ...]], lines: tuple[Line, ...]) -> dict[str, tuple[int, ...]]:
    """Give the lines of standing threads a 0: one call after the other, no thread waits."""
    values = {name: iter(of_calls) for name, of_calls in counted.items()}
    return {name: tuple(0 if line.kernel == IDLE else next(v) for line in lines) for name, v in values.items()}


def profile_step(
    step: TrainingStep | Prediction, target: Target, ceilings: Ceilings, n_steps: int | None = None
) -> StepProfile:
    """Run a step many times, in turn without and with a recorder, and say where its time went.

    Parameters
    ----------
    n_steps : int, optional
        Of each kind; as many as fit into `BUDGET_S` where None.
    """
    plain, recorder = step.kernels, Recorder(step.kernels)
    warmup_s = _timed(step)
    once = min(_timed(step), _timed(step))
    if n_steps is None:
        n_steps = int(min(max(BUDGET_S / 2 / once, LEAST_STEPS), MOST_STEPS))
    plain_s, recorded_s = [], []
    for _ in range(n_steps):
        plain_s.append(_timed(step))
        step.use(recorder)
        recorded_s.append(_timed(step))
        recorder.mark()
        step.use(plain)
    steps = recorder.take_stretches()
    lines = _lines(steps, ceilings)
    return StepProfile(
        target=target, batch=step.batch, ceilings=ceilings, lines=lines, timeline=tuple(steps[-1]),
        n_steps=n_steps, warmup_s=warmup_s, wall_s=float(np.median(plain_s)), recorded_s=float(np.median(recorded_s)),
        overhead=float(np.median(np.array(recorded_s) / np.array(plain_s))) - 1.0,
        kind="step" if isinstance(step, TrainingStep) else "prediction", counters=_aligned(count(step), lines),
    )  # fmt: skip
