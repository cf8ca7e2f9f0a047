"""The summary of bars: on constructed benchmarks, each bar met and not met."""

from __future__ import annotations

import pytest

from bench.micro.bars import Timed, summarize


def case(kernel, name, threads=1, of_ceiling=None, bound=None, in_turn=None, **seconds):
    seconds = {k.replace("__", "-"): v for k, v in seconds.items()}
    return Timed(kernel, name, "float32", threads, seconds, of_ceiling, bound, in_turn)


TRAINING = "training step: against the best PyTorch"


@pytest.mark.parametrize(
    ("cases", "bar", "met", "says"),
    [
        ([case("gemm", "square_512", of_ceiling=0.91, cython=1.0)], "GEMM, square: of the FMA ceiling", True, "91 % (512)"),
        ([case("gemm", "square_512", of_ceiling=0.89, cython=1.0)], "GEMM, square: of the FMA ceiling", False, "89 %"),
        ([case("gemm", "square_512", in_turn=0.92, cython=1.0)], "GEMM, square: of the FMA rate", True, "92 % (512)"),
        ([case("gemm", "square_512", in_turn=0.88, cython=1.0)], "GEMM, square: of the FMA rate", False, "88 %"),
        ([case("gemm", "square_512", cython=1.0, openblas=0.9)], "GEMM, square: against", False, "least 0.90x"),
        ([case("gemm", "square_512", cython=1.0, openblas=3.0, openblas__avx512=1.1)], "GEMM, square: against", True, "1.10x"),
        (
            [case("gemm", "a", cython=1.0, torch=4.0), case("gemm", "b", cython=1.0, torch=1.0)],
            "GEMM, shapes", True, "mean 2.00x; least 1.00x (gemm b)",
        ),
        (
            [case("gemm", "a", cython=1.0, torch=8.0), case("gemm", "b", cython=1.0, torch=0.5)],
            "GEMM, shapes", False, "mean 2.00x; least 0.50x",
        ),
        ([case("gemm", "a", cython=0.95, numba=1.0)], "GEMM: Numba", True, "0.95x"),
        ([case("conv2d", "a", cython=1.0, torch__nchw=2.0, torch__nhwc=1.2)], "conv2d: against", False, "mean 1.20x"),
        ([case("relu", "a", cython=1.0, torch=1.6)], "activations: against", True, "1.60x"),
        ([case("relu", "a", of_ceiling=0.7, bound="DRAM", cython=1.0)], "activations: of the copy", False, "70 %"),
        ([case("relu", "a", of_ceiling=0.1, bound="L1", cython=1.0)], "activations: of the copy", None, ""),
        ([case("training", "lenet5_b32", cython=1.0, torch__nhwc=1.4)], f"{TRAINING}, each", False, "1.40x"),
        ([case("training", "vgg_small_b32", cython=1.0, torch__nhwc=1.4)], f"{TRAINING}, each", True, "1.40x"),
        ([case("training", "mlp_b32", cython=1.0, sklearn=1.9)], "training step of the MLP", False, "1.90x"),
        ([case("inference", "mlp_b1", cython=1.0, onnxruntime=1.0, torch=9.0)], "inference", True, "1.00x"),
        (
            [case("training", "mlp_b128", cython=1.8), case("training", "mlp_b128", threads=2, cython=1.0)],
            "training step: two threads", True, "1.80x",
        ),
        ([case("training", "mlp_b32", cython=0.5, numba=1.0)], "training step: Numba", False, "0.50x"),
    ],
)  # fmt: skip
def test_bars(cases, bar, met, says):
    lines = [line for line in summarize(cases) if line.bar.startswith(bar)]
    if met is None:
        assert not lines
    else:
        assert [line.met for line in lines] == [met]
        assert says in lines[0].measured
