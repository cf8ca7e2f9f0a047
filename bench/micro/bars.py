"""What the kernels are asked for, and whether a set of benchmarks meets it: one line per bar, a pure function.

A ratio is a peer's time over ours, the fastest peer of each case: above 1 we are faster. `mean` is geometric.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.micro.peers import FAMILIES, family_of
from kernels.cases import SQUARE

CONVOLUTIONS = ("conv2d", "conv2d_backward_input", "conv2d_backward_weight")
POOLS = ("max_pool2d", "max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward")
ACTIVATIONS = (
    "relu", "sigmoid", "tanh", "leaky_relu", "gelu", "relu_backward", "sigmoid_backward", "tanh_backward",
    "leaky_relu_backward", "gelu_backward", "add",
)  # fmt: skip
NORMALIZATIONS = (
    "batch_norm_statistics", "batch_norm", "batch_norm_backward_sums", "batch_norm_backward", "layer_norm",
    "layer_norm_backward",
)  # fmt: skip
EMBEDDINGS = ("embedding_mean", "embedding_mean_backward")
MEMORY_BOUND = (
    *POOLS, *ACTIVATIONS, *NORMALIZATIONS, *EMBEDDINGS, "softmax_cross_entropy", "bias_backward", "sgd_update", "adam_update",
)  # fmt: skip


@dataclass(frozen=True)
class Timed:
    """One case: the median of each contestant, in seconds."""

    kernel: str
    case: str
    dtype: str
    threads: int
    seconds: Mapping[str, float]
    of_ceiling: float | None  # of the Cython kernel, at the ceiling that binds it
    bound: str | None
    of_fma_loop: float | None = None  # of a square product: the time of multiply-adds alone, timed in turn, over the kernel's

    def ratio(self, ours: str, peers: Iterable[str]) -> float | None:
        """Return the fastest of `peers` over `ours`; None where either is missing."""
        times = [self.seconds[name] for name in peers if name in self.seconds]
        return min(times) / self.seconds[ours] if times and ours in self.seconds else None

    def peer_ratio(self) -> float | None:
        """Return the fastest peer of all over the Cython backend."""
        return self.ratio("cython", [name for name in self.seconds if family_of(name)])


@dataclass(frozen=True)
class Line:
    """A bar and what was measured: `met` is None where the bar has no limit of its own."""

    bar: str
    setting: str
    must: str
    measured: str
    met: bool | None


def timed(benchmarks: Iterable[dict[str, Any]], of_ceiling: Callable[[dict[str, Any]], tuple[float, str]]) -> list[Timed]:
    """Gather the contestants of each case."""
    groups: dict[tuple, dict[str, dict]] = defaultdict(dict)
    for benchmark in benchmarks:
        info = benchmark["extra_info"]
        key = info["kernel"], info["case"], info["dtype"], info["threads"]
        groups[key][info["backend"]] = benchmark
    found = []
    for key, contestants in groups.items():
        rate = of_ceiling(contestants["cython"]) if "cython" in contestants else (None, None)
        in_turn = contestants["cython"]["extra_info"].get("of_fma_loop") if "cython" in contestants else None
        seconds = {name: b["stats"]["median"] for name, b in contestants.items()}
        found.append(Timed(*key, seconds, *rate, in_turn))
    return found


def summarize(cases: list[Timed]) -> list[Line]:
    """Return every bar that the cases say something about.

    Examples
    --------
    >>> case = Timed("training", "lenet5_b32", "float32", 1, {"cython": 1.0, "torch-nhwc": 2.0}, None, None)
    >>> [(line.measured, line.met) for line in summarize([case])]
    [('mean 2.00x; least 2.00x (lenet5_b32)', True), ('least 2.00x (lenet5_b32)', True)]
    """
    lines = []
    for dtype, threads in sorted({(c.dtype, c.threads) for c in cases}):
        mine = [c for c in cases if (c.dtype, c.threads) == (dtype, threads)]
        setting = f"{dtype}, {threads} thread{'s' if threads > 1 else ''}"
        for make in (_squares, _shapes, _numba_gemm, _convolutions, _memory_bound, _training, _inference, _numba_training):
            lines += [Line(bar, setting, must, text, met) for bar, must, text, met in make(mine)]
    return lines + _scaling(cases)


Found = list[tuple[str, str, str, bool | None]]


def _ratios(cases: Iterable[Timed], ratio: Callable[[Timed], float | None]) -> dict[str, float]:
    return {f"{c.kernel} {c.case}" if c.kernel != "training" else c.case: r for c in cases if (r := ratio(c)) is not None}


def _mean(ratios: Mapping[str, float]) -> float:
    return math.exp(sum(map(math.log, ratios.values())) / len(ratios))


def _least(ratios: Mapping[str, float]) -> str:
    name = min(ratios, key=ratios.__getitem__)
    return f"least {ratios[name]:.2f}x ({name})"


def _both(ratios: Mapping[str, float]) -> str:
    return f"mean {_mean(ratios):.2f}x; {_least(ratios)}"


def _of(cases: list[Timed], *kernels: str) -> list[Timed]:
    return [c for c in cases if c.kernel in kernels]


def _squares(cases: list[Timed]) -> Found:
    squares = [c for c in _of(cases, "gemm") if c.case.startswith(SQUARE)]
    found: Found = []
    middle = [c for c in squares if 512 <= int(c.case[len(SQUARE) :]) <= 1024]
    for what, rates in (
        ("of the FMA ceiling, the machine's best", {c.case: c.of_ceiling for c in middle if c.of_ceiling}),
        ("of the FMA rate, timed in turn", {c.case: c.of_fma_loop for c in middle if c.of_fma_loop}),
    ):
        if rates:
            text = ", ".join(f"{100 * v:.0f} % ({k[len(SQUARE) :]})" for k, v in rates.items())
            found.append((f"GEMM, square: {what}", "90 % at 512..1024", text, min(rates.values()) >= 0.9))
    ratios = _ratios(squares, Timed.peer_ratio)
    if ratios:
        found.append(("GEMM, square: against the fastest peer", "1.0x at every n", _both(ratios), min(ratios.values()) >= 1.0))
    return found


def _shapes(cases: list[Timed]) -> Found:
    ratios = _ratios([c for c in _of(cases, "gemm") if not c.case.startswith(SQUARE)], Timed.peer_ratio)
    if not ratios:
        return []
    met = _mean(ratios) >= 1.2 and min(ratios.values()) >= 0.9
    return [("GEMM, shapes of training: against the fastest peer", "mean 1.2x, none below 0.9x", _both(ratios), met)]


def _numba_gemm(cases: list[Timed]) -> Found:
    ratios = _ratios(_of(cases, "gemm"), _numba_over_cython)
    return [("GEMM: Numba against Cython", "0.9x", _both(ratios), min(ratios.values()) >= 0.9)] if ratios else []


def _numba_over_cython(case: Timed) -> float | None:
    if not {"numba", "cython"} <= case.seconds.keys():
        return None
    return case.seconds["cython"] / case.seconds["numba"]


def _convolutions(cases: list[Timed]) -> Found:
    found: Found = []
    for kernel in CONVOLUTIONS:
        ratios = _ratios(_of(cases, kernel), Timed.peer_ratio)
        if ratios:
            met = _mean(ratios) >= 1.3 and min(ratios.values()) >= 0.8
            found.append((f"{kernel}: against PyTorch", "mean 1.3x, none below 0.8x", _both(ratios), met))
    return found


def _memory_bound(cases: list[Timed]) -> Found:
    found: Found = []
    for title, kernels in (
        ("pooling", POOLS), ("activations", ACTIVATIONS), ("normalization", NORMALIZATIONS),
        ("embeddings", EMBEDDINGS),
        ("softmax cross-entropy", ("softmax_cross_entropy",)), ("bias gradient", ("bias_backward",)),
        ("optimizers", ("sgd_update", "adam_update")),
    ):  # fmt: skip
        mine = _of(cases, *kernels)
        ratios = _ratios(mine, Timed.peer_ratio)
        if ratios:
            found.append((f"{title}: against PyTorch", "mean 1.5x", _both(ratios), _mean(ratios) >= 1.5))
        large = {f"{c.kernel} {c.case}": c.of_ceiling for c in mine if c.bound in ("L3", "DRAM") and c.of_ceiling}
        if large:
            mean, least = _mean(large), min(large, key=large.__getitem__)
            text = f"mean {100 * mean:.0f} %; least {100 * large[least]:.0f} % ({least})"
            bar = f"{title}: of the copy bandwidth, beyond the second-level cache"
            found.append((bar, "80 %", text, min(large.values()) >= 0.8))
    return found


def _training(cases: list[Timed]) -> Found:
    steps = _of(cases, "training")
    torch = _ratios(steps, lambda c: c.ratio("cython", FAMILIES["PyTorch"]))
    found: Found = []
    if torch:
        met = _mean(torch) >= 2.0
        found.append(("training step: against the best PyTorch", "mean 2x", _both(torch), met))
        limits = {name: 1.2 if name.startswith("vgg_small") else 1.5 for name in torch}
        each = all(torch[name] >= limit for name, limit in limits.items())
        found.append(("training step: against the best PyTorch, each", "1.5x, vgg_small 1.2x", _least(torch), each))
    sklearn = _ratios(steps, lambda c: c.ratio("cython", FAMILIES["scikit-learn"]))
    if sklearn:
        met = min(sklearn.values()) >= 2.0
        found.append(("training step of the MLP: against scikit-learn", "2x", _both(sklearn), met))
    return found


def _inference(cases: list[Timed]) -> Found:
    peers = (*FAMILIES["PyTorch"], *FAMILIES["ONNX Runtime"])
    ratios = _ratios(_of(cases, "inference"), lambda c: c.ratio("cython", peers))
    if not ratios:
        return []
    what = "inference: against the best of PyTorch and ONNX Runtime"
    return [(what, "1.0x at each", _both(ratios), min(ratios.values()) >= 1.0)]


def _numba_training(cases: list[Timed]) -> Found:
    ratios = _ratios(_of(cases, "training"), _numba_over_cython)
    return [("training step: Numba against Cython", "0.8x", _both(ratios), min(ratios.values()) >= 0.8)] if ratios else []


def _scaling(cases: list[Timed]) -> list[Line]:
    """Two threads against one, on batches of 128."""
    steps = {(c.case, c.threads): c.seconds["cython"] for c in _of(cases, "training") if "cython" in c.seconds}
    ratios = {
        case: seconds / steps[case, 2]
        for (case, threads), seconds in steps.items()
        if threads == 1 and case.endswith("_b128") and (case, 2) in steps
    }
    if not ratios:
        return []
    met = min(ratios.values()) >= 1.7
    return [Line("training step: two threads over one, batch 128", "float32", "1.7x", _both(ratios), met)]
