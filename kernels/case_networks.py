"""The networks whose layers are the cases of ``kernels/cases.py``, as data.

Legend: N batch; H, W, C height, width, channels; KH, KW kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kernels.shapes import conv2d_geometry, pool2d_geometry


@dataclass(frozen=True)
class Conv:
    """A convolution: input (H, W, C), kernel (KH, KW), output channels, and the options it is called with."""

    name: str
    image: tuple[int, int, int]
    kernel: tuple[int, int]
    channels: int
    options: dict[str, Any] = field(default_factory=dict)
    activation: str | None = "relu"
    bias: bool = True

    def shapes(self, batch: int):
        """Return the shapes of x, w and y."""
        x = (batch, *self.image)
        w = (*self.kernel, self.image[2] // self.options.get("groups", 1), self.channels)
        return x, w, conv2d_geometry(x, w, **self.options).output_shape


@dataclass(frozen=True)
class Pool:
    """A pooling: input (H, W, C), window, and the options it is called with (count_include_pad is avg_pool2d's)."""

    name: str
    image: tuple[int, int, int]
    size: Any
    options: dict[str, Any] = field(default_factory=dict)
    count_include_pad: bool = False
    fill: str = "normal"  # see `_image`

    def geometry(self, batch: int):
        return pool2d_geometry((batch, *self.image), self.size, **self.options)


@dataclass(frozen=True)
class Network:
    """The layers of a network: convolutions, poolings, and the widths of its dense part, input first."""

    name: str
    convs: tuple[Conv, ...]
    pools: tuple[Pool, ...]
    dense: tuple[int, ...]


def _conv(name: str, h: int, c: int, k: int, channels: int, padding: int, stride: int = 1) -> Conv:
    return Conv(name, (h, h, c), (k, k), channels, {"padding": padding, "stride": stride})


LENET5 = Network(
    "lenet5",
    (_conv("c1", 28, 1, 5, 6, 2), _conv("c2", 14, 6, 5, 16, 0)),
    (Pool("m1", (28, 28, 6), 2), Pool("m2", (10, 10, 16), 2)),
    (400, 120, 84, 10),
)
CONV16_32 = Network(
    "conv16_32",
    (_conv("c1", 8, 1, 3, 16, 1), _conv("c2", 4, 16, 3, 32, 1)),
    (Pool("m1", (8, 8, 16), 2), Pool("m2", (4, 4, 32), 2)),
    (128, 10),
)
CONV32_64 = Network(
    "conv32_64",
    (_conv("c1", 28, 1, 3, 32, 1), _conv("c2", 14, 32, 3, 64, 1)),
    (Pool("m1", (28, 28, 32), 2), Pool("m2", (14, 14, 64), 2)),
    (3136, 128, 10),
)
VGG_SMALL = Network(
    "vgg_small",
    (
        _conv("c1", 32, 3, 3, 32, 1), _conv("c2", 32, 32, 3, 32, 1), _conv("c3", 16, 32, 3, 64, 1),
        _conv("c4", 16, 64, 3, 64, 1), _conv("c5", 8, 64, 3, 128, 1),
    ),
    (Pool("m1", (32, 32, 32), 2), Pool("m2", (16, 16, 64), 2), Pool("m3", (8, 8, 128), 2)),
    (2048, 256, 10),
)  # fmt: skip
RESNET20 = Network(
    "resnet20",
    (_conv("c1", 32, 16, 3, 16, 1), _conv("c2", 32, 16, 3, 32, 1, 2), _conv("c3", 8, 64, 3, 64, 1)),
    (),
    (64, 10),
)
MLP = Network("mlp", (), (), (784, 256, 128, 10))
