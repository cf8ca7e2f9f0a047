"""PyTorch eager, kernel by kernel: the operators that its layers and optimizers call, without autograd around them.

Images are (N, C, H, W) there, in memory either in that order or channels last, which is our own order: then nothing is
converted. Filters are (C_out, C, KH, KW).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.micro.peers import Race
from kernels.shapes import conv2d_geometry, pool2d_geometry
from kernels.spec import BY_NAME

_LAYOUT_MATTERS = {
    "conv2d", "conv2d_backward_input", "conv2d_backward_weight", "max_pool2d", "max_pool2d_backward", "avg_pool2d",
    "avg_pool2d_backward", "batch_norm",
}  # fmt: skip
#: Not among them: gelu. PyTorch's 1 + tanh(u) loses the digits of large negative values, and is no right answer here.
_WITHOUT = {
    "gemm", "relu", "sigmoid", "tanh", "relu_backward", "sigmoid_backward", "tanh_backward", "softmax_cross_entropy",
    "leaky_relu", "leaky_relu_backward", "add", "layer_norm", "layer_norm_backward",
    "embedding_mean", "embedding_mean_backward", "bias_backward", "sgd_update", "adam_update",
}  # fmt: skip

#: The number of EmbeddingBag's mode "mean".
_MEAN = 1


class PyTorch:
    """PyTorch in one layout: "torch" where there is none, "torch-nchw", "torch-nhwc"."""

    def __init__(self, name: str):
        self.name = name
        self._layout = name.removeprefix("torch").removeprefix("-")

    def missing(self) -> str | None:
        return None if importlib.util.find_spec("torch") else "PyTorch is not installed (pip install 'depthbench[peers]')"

    def supports(self, kernel: str) -> bool:
        return kernel in (_LAYOUT_MATTERS if self._layout else _WITHOUT)

    def prepare(self, kernel: str, arguments: tuple, options: Mapping[str, Any], n_threads: int) -> Race:
        import torch

        torch.set_num_threads(n_threads)
        options = {k: v for k, v in options.items() if k not in (*BY_NAME[kernel].outs, "n_threads")}
        return getattr(self, f"_{kernel}")(torch, *arguments, **options)

    # -- layouts ----------------------------------------------------------------------------------------------------

    def _image(self, torch, x: np.ndarray):
        """Return an image (N, H, W, C) as torch's (N, C, H, W), in this peer's order in memory."""
        t = torch.from_numpy(x).permute(0, 3, 1, 2)
        return t.contiguous(memory_format=torch.channels_last if self._layout == "nhwc" else torch.contiguous_format)

    def _filters(self, torch, w: np.ndarray):
        t = torch.from_numpy(w).permute(3, 2, 0, 1)
        return t.contiguous(memory_format=torch.channels_last if self._layout == "nhwc" else torch.contiguous_format)

    @staticmethod
    def _ours(t) -> np.ndarray:
        return np.ascontiguousarray(t.permute(0, 2, 3, 1).numpy())

    # -- matrices ---------------------------------------------------------------------------------------------------

    def _gemm(self, torch, a, b, *, transpose_a=False, transpose_b=False, bias=None, activation=None, **_) -> Race:
        a, b = torch.from_numpy(a), torch.from_numpy(b)
        a = a.T if transpose_a else a
        b = b.T if transpose_b else b
        out = torch.empty((a.shape[0], b.shape[1]), dtype=a.dtype)
        bias = None if bias is None else torch.from_numpy(bias)
        finish = {None: None, "relu": torch.relu_, "sigmoid": torch.sigmoid_, "tanh": torch.tanh_}[activation]

        def call():
            if bias is None:
                torch.mm(a, b, out=out)
            else:
                torch.addmm(bias, a, b, out=out)
            if finish is not None:
                finish(out)
            return out

        return Race(call, lambda y: (y.numpy(),))

    def _bias_backward(self, torch, dy) -> Race:
        dy = torch.from_numpy(dy)
        axes, out = tuple(range(dy.ndim - 1)), torch.empty(dy.shape[-1], dtype=dy.dtype)
        return Race(lambda: torch.sum(dy, dim=axes, out=out), lambda y: (y.numpy(),))

    # -- convolution ------------------------------------------------------------------------------------------------

    @staticmethod
    def _padded(geometry, h: int, w: int) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
        """Return torch's symmetric padding, and what must be padded by hand first: (left, right, top, bottom)."""
        g = geometry
        bottom = (g.out_h - 1) * g.stride_h + (g.kernel_h - 1) * getattr(g, "dilation_h", 1) + 1 - h - g.pad_top
        right = (g.out_w - 1) * g.stride_w + (g.kernel_w - 1) * getattr(g, "dilation_w", 1) + 1 - w - g.pad_left
        if bottom <= g.pad_top and right <= g.pad_left:
            return (g.pad_top, g.pad_left), (0, 0, 0, 0)
        raise NotImplementedError("padding that is not the same on both sides")

    def _conv2d(self, torch, x, w, bias=None, *, activation=None, groups=1, **window) -> Race:
        g = conv2d_geometry(x.shape, w.shape, groups=groups, **window)
        padding, _ = self._padded(g, g.in_h, g.in_w)
        tx, tw = self._image(torch, x), self._filters(torch, w)
        tb = None if bias is None else torch.from_numpy(bias)
        stride, dilation = (g.stride_h, g.stride_w), (g.dilation_h, g.dilation_w)
        finish = {None: None, "relu": torch.relu_, "sigmoid": torch.sigmoid_, "tanh": torch.tanh_}[activation]
        conv = torch.nn.functional.conv2d

        def call():
            y = conv(tx, tw, tb, stride, padding, dilation, groups)
            return y if finish is None else finish(y)

        return Race(call, lambda y: (self._ours(y),))

    def _backward(self, torch, dy, x, w, g, mask) -> Any:
        padding, _ = self._padded(g, g.in_h, g.in_w)
        backward = torch.ops.aten.convolution_backward
        settings = (
            None, (g.stride_h, g.stride_w), padding, (g.dilation_h, g.dilation_w), False, (0, 0), g.groups, mask,
        )  # fmt: skip
        return lambda: backward(dy, x, w, *settings)

    def _conv2d_backward_input(self, torch, dy, w, input_shape, *, groups=1, **window) -> Race:
        g = conv2d_geometry(input_shape, w.shape, groups=groups, **window)
        x = self._image(torch, np.zeros(input_shape, dy.dtype))  # only its shape is read
        call = self._backward(torch, self._image(torch, dy), x, self._filters(torch, w), g, (True, False, False))
        return Race(call, lambda y: (self._ours(y[0]),))

    def _conv2d_backward_weight(self, torch, dy, x, kernel_size, *, groups=1, **window) -> Race:
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        w_shape = *kernel, x.shape[3] // groups, dy.shape[3]
        g = conv2d_geometry(x.shape, w_shape, groups=groups, **window)
        w = self._filters(torch, np.zeros(w_shape, dy.dtype))
        call = self._backward(torch, self._image(torch, dy), self._image(torch, x), w, g, (False, True, False))
        return Race(call, lambda y: (np.ascontiguousarray(y[1].permute(2, 3, 1, 0).numpy()),))

    # -- pooling ----------------------------------------------------------------------------------------------------

    def _pool(self, x_shape, size, stride, padding):
        g = pool2d_geometry(x_shape, size, stride=stride, padding=padding)
        padding, _ = self._padded(g, g.in_h, g.in_w)
        return (g.kernel_h, g.kernel_w), (g.stride_h, g.stride_w), padding

    def _max_pool2d(self, torch, x, size, *, stride=None, padding=0) -> Race:
        window = self._pool(x.shape, size, stride, padding)
        tx = self._image(torch, x)
        pool = torch.ops.aten.max_pool2d_with_indices
        return Race(lambda: pool(tx, *window), lambda y: (self._ours(y[0]), self._ours(y[1]).astype(np.int32)))

    def _max_pool2d_backward(self, torch, dy, argmax, input_shape) -> Race:
        size = input_shape[1] // dy.shape[1], input_shape[2] // dy.shape[2]  # of the networks' poolings
        tdy, x = self._image(torch, dy), self._image(torch, np.zeros(input_shape, dy.dtype))
        where = self._image(torch, argmax.astype(np.int64))
        backward = torch.ops.aten.max_pool2d_with_indices_backward
        return Race(
            lambda: backward(tdy, x, size, size, (0, 0), (1, 1), False, where), lambda y: (self._ours(y),)
        )

    def _avg_pool2d(self, torch, x, size, *, stride=None, padding=0, count_include_pad=False) -> Race:
        window = self._pool(x.shape, size, stride, padding)
        tx, pool = self._image(torch, x), torch.ops.aten.avg_pool2d
        return Race(lambda: pool(tx, *window, False, count_include_pad), lambda y: (self._ours(y),))

    def _avg_pool2d_backward(
        self, torch, dy, size, input_shape, *, stride=None, padding=0, count_include_pad=False
    ) -> Race:
        window = self._pool(input_shape, size, stride, padding)
        tdy, x = self._image(torch, dy), self._image(torch, np.zeros(input_shape, dy.dtype))
        backward = torch.ops.aten.avg_pool2d_backward
        return Race(lambda: backward(tdy, x, *window, False, count_include_pad, None), lambda y: (self._ours(y),))

    # -- activations, loss, optimizers ---------------------------------------------------------------------------------

    def _unary(self, torch, name, x) -> Race:
        x = torch.from_numpy(x)
        out, function = torch.empty_like(x), getattr(torch, name)
        if name == "relu":  # has no out=
            return Race(lambda: torch.clamp_min(x, 0.0, out=out), lambda y: (y.numpy(),))
        return Race(lambda: function(x, out=out), lambda y: (y.numpy(),))

    def _relu(self, torch, x) -> Race:
        return self._unary(torch, "relu", x)

    def _sigmoid(self, torch, x) -> Race:
        return self._unary(torch, "sigmoid", x)

    def _tanh(self, torch, x) -> Race:
        return self._unary(torch, "tanh", x)

    def _relu_backward(self, torch, dy, y) -> Race:
        dy, y = torch.from_numpy(dy), torch.from_numpy(y)
        return Race(lambda: torch.ops.aten.threshold_backward(dy, y, 0.0), lambda r: (r.numpy(),))

    def _sigmoid_backward(self, torch, dy, y) -> Race:
        dy, y = torch.from_numpy(dy), torch.from_numpy(y)
        return Race(lambda: torch.ops.aten.sigmoid_backward(dy, y), lambda r: (r.numpy(),))

    def _tanh_backward(self, torch, dy, y) -> Race:
        dy, y = torch.from_numpy(dy), torch.from_numpy(y)
        return Race(lambda: torch.ops.aten.tanh_backward(dy, y), lambda r: (r.numpy(),))

    def _leaky_relu(self, torch, x, *, slope=0.01) -> Race:
        x = torch.from_numpy(x)
        out = torch.empty_like(x)
        return Race(lambda: torch._C._nn.leaky_relu(x, slope, out=out), lambda y: (y.numpy(),))

    def _leaky_relu_backward(self, torch, dy, y, *, slope=0.01) -> Race:
        dy, y = torch.from_numpy(dy), torch.from_numpy(y)
        return Race(lambda: torch.ops.aten.leaky_relu_backward(dy, y, slope, True), lambda r: (r.numpy(),))

    def _add(self, torch, a, b, *, activation=None) -> Race:
        a, b = torch.from_numpy(a), torch.from_numpy(b)
        out, finish = torch.empty_like(a), getattr(torch, f"{activation}_") if activation else lambda y: y
        return Race(lambda: finish(torch.add(a, b, out=out)), lambda y: (y.numpy(),))

    def _normalized(self, torch, x):
        """An image in the peer's layout, or a matrix as it is."""
        return self._image(torch, x) if x.ndim == 4 else torch.from_numpy(x)

    def _back(self, y) -> np.ndarray:
        return self._ours(y) if y.ndim == 4 else y.numpy()

    def _batch_norm(self, torch, x, mean, variance, gamma, beta, *, epsilon=1e-5, activation=None) -> Race:
        tx, vectors = self._normalized(torch, x), [torch.from_numpy(v) for v in (gamma, beta, mean, variance)]
        finish = getattr(torch, f"{activation}_") if activation else lambda y: y

        def call():
            return finish(torch.batch_norm(tx, *vectors, False, 0.0, epsilon, False))

        return Race(call, lambda y: (self._back(y),))

    def _layer_norm(self, torch, x, gamma, beta, *, epsilon=1e-5, activation=None) -> Race:
        tx, vectors = torch.from_numpy(x), [torch.from_numpy(v) for v in (gamma, beta)]
        finish = getattr(torch, f"{activation}_") if activation else lambda y: y
        shape = x.shape[-1:]
        return Race(lambda: finish(torch.layer_norm(tx, shape, *vectors, epsilon)), lambda y: (y.numpy(),))

    def _layer_norm_backward(self, torch, dy, x, gamma, *, epsilon=1e-5) -> Race:
        tdy, tx, tg = (torch.from_numpy(v) for v in (dy, x, gamma))
        shape, aten = list(x.shape[-1:]), torch.ops.aten
        _, mean, inverse = aten.native_layer_norm(tx, shape, tg, tg, epsilon)

        def call():
            return aten.native_layer_norm_backward(tdy, tx, shape, mean, inverse, tg, tg, [True, True, True])

        return Race(call, lambda y: tuple(v.numpy() for v in y))

    def _bag(self, torch, weight, indices, lengths):
        """Return the words of all texts one after the other, and a call of EmbeddingBag on them."""
        words = torch.from_numpy(indices[np.arange(indices.shape[1]) < lengths[:, None]].astype(np.int64))
        begins = torch.from_numpy((np.cumsum(lengths) - lengths).astype(np.int64))
        return words, lambda: torch.embedding_bag(weight, words, begins, False, _MEAN)

    def _embedding_mean(self, torch, weight, indices, lengths) -> Race:
        return Race(self._bag(torch, torch.from_numpy(weight), indices, lengths)[1], lambda y: (y[0].numpy(),))

    def _embedding_mean_backward(self, torch, dy, indices, lengths, n_rows) -> Race:
        tdy = torch.from_numpy(dy)
        words, call = self._bag(torch, tdy.new_zeros((n_rows, dy.shape[1])), indices, lengths)
        _, bags, sizes, largest = call()
        backward = torch.ops.aten._embedding_bag_dense_backward
        arguments = tdy, words, bags, sizes, largest, n_rows, False, _MEAN, None
        return Race(lambda: backward(*arguments), lambda dw: (dw.numpy(),))

    def _softmax_cross_entropy(self, torch, logits, labels) -> Race:
        z, target = torch.from_numpy(logits), torch.from_numpy(labels.astype(np.int64))
        n, aten = len(labels), torch.ops.aten
        one = torch.ones((), dtype=z.dtype)

        def call():
            log_p = aten._log_softmax(z, 1, False)
            loss, weight = aten.nll_loss_forward(log_p, target, None, 1, -100)
            slope = aten.nll_loss_backward(one, log_p, target, None, 1, -100, weight)
            return loss, aten._log_softmax_backward_data(slope, log_p, 1, z.dtype)

        assert n == z.shape[0]
        return Race(call, lambda y: (float(y[0]), y[1].numpy()))

    def _sgd_update(
        self, torch, w, dw, velocity, *, learning_rate, momentum=0.0, nesterov=False, weight_decay=0.0
    ) -> Race:
        arrays = [[torch.from_numpy(v)] for v in (w, dw, velocity)]
        settings = {
            "weight_decay": weight_decay, "momentum": momentum, "lr": learning_rate, "dampening": 0.0, "nesterov": nesterov,
            "maximize": False, "is_first_step": False,
        }  # fmt: skip
        return Race(lambda: torch._fused_sgd_(*arrays, **settings), lambda _: (w, velocity))

    def _adam_update(
        self, torch, w, dw, m, v, *, step, learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0
    ) -> Race:
        arrays = [[torch.from_numpy(a)] for a in (w, dw, m, v)]
        steps = [torch.tensor(float(step))]
        settings = {
            "lr": learning_rate, "beta1": beta_1, "beta2": beta_2, "weight_decay": weight_decay, "eps": epsilon,
            "amsgrad": False, "maximize": False,
        }  # fmt: skip
        return Race(lambda: torch._fused_adam_(*arrays, [], steps, **settings), lambda _: (w, m, v))
