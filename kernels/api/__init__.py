"""The public face of the kernels: one class, the same for every backend.

A call is checked once (``kernels/arguments.py``), its sizes are worked out once (``kernels/shapes.py``), and then the
backend's own function of the same name does the work. So backends share every word of their contract and no word of
their arithmetic. A backend is a module with the functions named in `IMPLEMENTATION`; what it gets is checked,
C-contiguous (``gemm``'s a and b: any whole-element strides, transposes already applied), and never overlaps.

Legend: N batch; H, W, C input height, width, channels; OH, OW output; KH, KW kernel; M, K, N of a matrix product.
Images are (N, H, W, C), filters (KH, KW, C // groups, C_out).
"""

from __future__ import annotations

from types import ModuleType

from kernels.api.activations import Activations
from kernels.api.binding import Binder, Binding, Program
from kernels.api.convolution import Convolution
from kernels.api.embedding import Embedding
from kernels.api.matrix import Matrix
from kernels.api.normalization import Normalization
from kernels.api.pooling import Pooling
from kernels.api.training import Training
from kernels.arguments import ACTIVATIONS

__all__ = ["ACTIVATIONS", "IMPLEMENTATION", "Binding", "Kernels", "Program"]

#: What the module of a backend must define (positional arguments only; see any backend for their order).
IMPLEMENTATION = (
    "gemm", "conv2d", "conv2d_backward_input", "conv2d_backward_weight",
    "max_pool2d", "max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward",
    "relu", "relu_backward", "sigmoid", "sigmoid_backward", "tanh", "tanh_backward",
    "leaky_relu", "leaky_relu_backward", "gelu", "gelu_backward", "add",
    "batch_norm_statistics", "batch_norm", "batch_norm_backward_sums", "batch_norm_backward",
    "layer_norm", "layer_norm_backward", "embedding_mean", "embedding_mean_backward",
    "softmax_cross_entropy", "bias_backward", "sgd_update", "adam_update",
)  # fmt: skip


class Kernels(Matrix, Convolution, Pooling, Activations, Normalization, Embedding, Training, Binder):
    """The kernels of one backend. Made by :func:`kernels.load`.

    All of them take float32 or float64 arrays (never mixed, never cast), ``out=None`` where they return arrays, and
    ``n_threads=1``. Inputs may have any strides; one that is not C-contiguous is copied first, except the matrices of
    `gemm`. ``out`` must not overlap an input.

    Raises
    ------
    TypeError
        An argument of the wrong type or dtype.
    ValueError
        An argument of the wrong shape or value, or an ``out`` that overlaps an input.
    """

    _IMPLEMENTATION = IMPLEMENTATION

    def __init__(self, name: str, implementation: ModuleType):
        missing = [function for function in IMPLEMENTATION if not hasattr(implementation, function)]
        if missing:
            raise ImportError(f"backend {name!r} lacks the kernels {missing}")
        self.name = name
        self._impl = implementation

    def __repr__(self) -> str:
        return f"<kernels of backend {self.name!r}>"

    def __reduce__(self):
        from kernels import load

        return load, (self.name,)
