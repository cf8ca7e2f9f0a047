"""A network as an ONNX graph (https://onnx.ai), which other runtimes can run. Needs the package ``onnx`` (extra ``peers``).

ONNX has the channels first: images are transposed once, where they come in, and the rows of the first dense layer are
put in that order instead of the values in front of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from models.blocks import Residual, Subsample
from models.layers import AvgPool2D, Conv2D, Dense, Flatten, GlobalAvgPool2D, Layer, MaxPool2D
from models.normalization import EPSILON, BatchNorm, LayerNorm
from models.pointwise import Activation, Dropout

#: The version of ONNX's operators: the first one that has Gelu.
OPSET, IR_VERSION = 20, 9
_ACTIVATIONS = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh"}


class Graph:
    """Nodes, one after the other; each reads the value of the one before unless it is told otherwise."""

    def __init__(self, start: str = "x"):
        self.value = start
        self.nodes: list = []
        self.constants: list = []
        self._image: tuple[int, ...] | None = None  # what was flattened and no dense layer has read yet

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes) -> str:
        """Add a node; return the name of its value."""
        from onnx import helper

        self.value = output or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [self.value], **attributes))
        return self.value

    def constant(self, array: np.ndarray) -> str:
        """Add a constant; return its name."""
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), f"w{len(self.constants)}"))
        return self.constants[-1].name

    def layers(self, layers: Iterable[Layer], arrays: Iterator[np.ndarray], states: Iterator[np.ndarray]) -> None:
        """Add layers, whose parameters and states come next from `arrays` and `states`."""
        for layer in layers:
            own = [next(arrays) for _ in layer.parameters] if not isinstance(layer, Residual) else arrays
            kept = [next(states) for _ in layer.states] if not isinstance(layer, Residual) else states
            self._layer(layer, own, kept)

    def _layer(self, layer: Layer, arrays, states) -> None:
        if isinstance(layer, Dropout):
            return
        if isinstance(layer, Flatten):
            self._image = layer.input_shape
            self.add("Flatten", self.value)
            return
        if isinstance(layer, Activation):
            attributes = {"approximate": "tanh"} if layer.name == "gelu" else {"alpha": 0.01}
            self.add("Gelu" if layer.name == "gelu" else "LeakyRelu", self.value, **attributes)
            return
        adders = {
            Conv2D: self._convolution, Dense: self._dense, MaxPool2D: self._pool, AvgPool2D: self._pool,
            GlobalAvgPool2D: self._mean, BatchNorm: self._batch_norm, LayerNorm: self._layer_norm,
            Residual: self._residual, Subsample: self._subsample,
        }  # fmt: skip
        adders[type(layer)](layer, arrays, states)
        if layer.activation is not None:
            self.add(_ACTIVATIONS[layer.activation], self.value)

    def _convolution(self, layer, arrays, states) -> None:
        window, inputs = layer.window, [self.constant(arrays[0].transpose(3, 2, 0, 1)), *map(self.constant, arrays[1:])]
        self.add(
            "Conv", self.value, *inputs, strides=[window["stride"]] * 2, pads=[window["padding"]] * 4,
            dilations=[window["dilation"]] * 2, group=window["groups"],
        )  # fmt: skip

    def _subsample(self, layer, arrays, states) -> None:
        channels, filters = layer.input_shape[2], layer.output_shape[2]
        weight = np.eye(channels, filters, (filters - channels) // 2, dtype=np.float32)[None, None]
        self.add("Conv", self.value, self.constant(weight.transpose(3, 2, 0, 1)), strides=[layer.stride] * 2)

    def _dense(self, layer, arrays, states) -> None:
        weight, image = arrays[0], self._image
        if image is not None:
            weight = weight.reshape(*image, -1).transpose(2, 0, 1, 3).reshape(weight.shape)
            self._image = None
        self.add("Gemm", self.value, self.constant(weight), *map(self.constant, arrays[1:]))

    def _pool(self, layer, arrays, states) -> None:
        window = layer.window
        kind = "MaxPool" if isinstance(layer, MaxPool2D) else "AveragePool"
        options = {"kernel_shape": [layer.size] * 2, "strides": [window["stride"]] * 2, "pads": [window["padding"]] * 4}
        self.add(kind, self.value, **options)

    def _mean(self, layer, arrays, states) -> None:
        self.add("GlobalAveragePool", self.value)
        self.add("Flatten", self.value)

    def _batch_norm(self, layer, arrays, states) -> None:
        self.add("BatchNormalization", self.value, *map(self.constant, (*arrays, *states)), epsilon=EPSILON)

    def _layer_norm(self, layer, arrays, states) -> None:
        image = len(layer.input_shape) == 3
        if image:
            self.add("Transpose", self.value, perm=[0, 2, 3, 1])
        self.add("LayerNormalization", self.value, *map(self.constant, arrays), axis=-1, epsilon=EPSILON)
        if image:
            self.add("Transpose", self.value, perm=[0, 3, 1, 2])

    def _residual(self, layer, arrays, states) -> None:
        before = self.value
        self.layers(layer.body, arrays, states)
        left, self.value = self.value, before
        self.layers(layer.shortcut, arrays, states)
        self.add("Add", left, self.value)

    def model(self, name: str, inputs: dict[str, Sequence], outputs: dict[str, Sequence], dtype=np.float32, **metadata: str):
        """Return the checked model; shapes have None where any size goes."""
        from onnx import checker, helper

        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        infos = [
            [helper.make_tensor_value_info(value, kind, list(shape)) for value, shape in group.items()]
            for group in (inputs, outputs)
        ]
        graph = helper.make_graph(self.nodes, name, *infos, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, metadata)
        checker.check_model(model)
        return model


def image_input(graph: Graph, shape: Sequence[int]) -> None:
    """Turn flat rows (n, H * W * C) into images, channels first."""
    graph.add("Reshape", graph.value, graph.constant(np.array([-1, *shape], np.int64)))
    graph.add("Transpose", graph.value, perm=[0, 3, 1, 2])
