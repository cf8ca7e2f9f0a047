"""Agreement with PyTorch on the CPU: values, gradients by its autograd, and what it does with ties and NaN."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cases import edge_cases
from kernels.shapes import conv2d_geometry, pool2d_geometry

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e '.[peers]'")
functional = torch.nn.functional
pytestmark = pytest.mark.peers

DTYPES = ["float32", "float64"]
WINDOW = ("stride", "padding", "dilation", "groups")


def close(actual, expected, dtype: str) -> None:
    """Both sides round; at the sizes of the edge cases a few hundred units are more than enough."""
    expected = expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected
    assert actual.dtype == expected.dtype == np.dtype(dtype)
    scale = max(1.0, float(np.nanmax(np.abs(expected[np.isfinite(expected)]), initial=0.0)))
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def nchw(x: np.ndarray):
    """A tensor in PyTorch's order, with memory of its own."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def nhwc(t) -> np.ndarray:
    return np.moveaxis(t.detach().numpy(), 1, -1)


def filters(w: np.ndarray):
    """(KH, KW, C // groups, C_out) as PyTorch's (C_out, C // groups, KH, KW)."""
    return torch.from_numpy(np.ascontiguousarray(w.transpose(3, 2, 0, 1)))


def images(kernel: str, *left_out: str):
    return [c for c in edge_cases(kernel) if c.name not in left_out]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", images("gemm", "inf"), ids=lambda c: c.name)
def test_gemm(backend, case, dtype):
    (a, b), options = case.make(dtype)
    ta = torch.from_numpy(a.T.copy() if options.get("transpose_a") else a)
    tb = torch.from_numpy(b.T.copy() if options.get("transpose_b") else b)
    expected = options.get("alpha", 1.0) * (ta @ tb)
    if options.get("beta"):
        expected = expected + options["beta"] * torch.from_numpy(options["out"].copy())
    if "bias" in options:
        expected = expected + torch.from_numpy(options["bias"])
    if options.get("activation"):
        expected = getattr(torch, options["activation"])(expected)
    close(backend.gemm(a, b, **options), expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", images("conv2d", "special_values"), ids=lambda c: c.name)
def test_convolution_and_its_gradients(backend, case, dtype):
    """Padding of any form is put around the image first, so that PyTorch need not know asymmetric ones."""
    (x, w, *bias), options = case.make(dtype)
    window = {k: v for k, v in options.items() if k in WINDOW}
    g = conv2d_geometry(x.shape, w.shape, **window)
    tx, tw = nchw(x).requires_grad_(), filters(w).requires_grad_()
    tb = torch.from_numpy(bias[0]).requires_grad_() if bias else None
    padded = functional.pad(tx, (g.pad_left, g.pad_right, g.pad_top, g.pad_bottom))
    stride, dilation = (g.stride_h, g.stride_w), (g.dilation_h, g.dilation_w)
    ty = functional.conv2d(padded, tw, tb, stride=stride, dilation=dilation, groups=g.groups)
    activation = options["activation"]
    expected = ty if activation is None else getattr(torch, activation)(ty)
    close(backend.conv2d(x, w, *bias, **options), nhwc(expected), dtype)

    dy = np.random.default_rng(1).standard_normal(g.output_shape).astype(dtype)
    ty.backward(nchw(dy))
    close(backend.conv2d_backward_input(dy, w, x.shape, **window), nhwc(tx.grad), dtype)
    expected = tw.grad.numpy().transpose(2, 3, 1, 0)
    close(backend.conv2d_backward_weight(dy, x, w.shape[:2], **window), expected, dtype)
    if bias:
        close(backend.bias_backward(dy), tb.grad, dtype)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("kernel", [(3, 3), (4, 2), (1, 5)])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_padding_by_name_is_pytorchs(backend, padding, kernel, rng):
    """With stride 1, where PyTorch has "same"; there the odd pixel is at the end, too."""
    x, w = rng.standard_normal((2, 7, 8, 3)), rng.standard_normal((*kernel, 3, 4))
    expected = nhwc(functional.conv2d(nchw(x), filters(w), padding=padding, dilation=2 if kernel == (3, 3) else 1))
    dilation = 2 if kernel == (3, 3) else 1
    close(backend.conv2d(x, w, padding=padding, dilation=dilation), expected, "float64")


def pool_arguments(case, dtype):
    (x, size), options = case.make(dtype)
    window = {k: v for k, v in options.items() if k in WINDOW}
    return x, size, options, pool2d_geometry(x.shape, size, **window)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", images("max_pool2d", "no_images"), ids=lambda c: c.name)
def test_max_pooling(backend, case, dtype):
    """Values, winners (of ties the first, of NaN the last) and gradient; PyTorch, too, pads with -inf."""
    x, size, options, g = pool_arguments(case, dtype)
    tx = nchw(x).requires_grad_()
    kernel, stride = (g.kernel_h, g.kernel_w), (g.stride_h, g.stride_w)
    symmetric = g.pad_top == g.pad_bottom and g.pad_left == g.pad_right
    fits = symmetric and 2 * g.pad_top <= g.kernel_h and 2 * g.pad_left <= g.kernel_w
    y, argmax = backend.max_pool2d(x, size, **options)
    if fits:  # PyTorch's own padding, which may be half a window at most
        ty, winner = functional.max_pool2d(tx, kernel, stride, (g.pad_top, g.pad_left), return_indices=True)
        winner = nhwc(winner)
    else:
        padded = functional.pad(tx, (g.pad_left, g.pad_right, g.pad_top, g.pad_bottom), value=-np.inf)
        ty, winner = functional.max_pool2d(padded, kernel, stride, return_indices=True)
        row, column = np.divmod(nhwc(winner), padded.shape[3])
        winner = (row - g.pad_top) * g.in_w + column - g.pad_left
    np.testing.assert_array_equal(y, nhwc(ty))
    if not fits and "inf" in case.name:
        return  # padding of our own making wins among -inf there
    np.testing.assert_array_equal(argmax, winner)
    dy = np.random.default_rng(1).standard_normal(g.output_shape).astype(dtype)
    ty.backward(nchw(dy))
    close(backend.max_pool2d_backward(dy, argmax, x.shape), nhwc(tx.grad), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", images("avg_pool2d", "no_images"), ids=lambda c: c.name)
def test_average_pooling(backend, case, dtype):
    x, size, options, g = pool_arguments(case, dtype)
    pads = (g.pad_left, g.pad_right, g.pad_top, g.pad_bottom)
    kernel, stride = (g.kernel_h, g.kernel_w), (g.stride_h, g.stride_w)
    tx = nchw(x).requires_grad_()
    total = functional.avg_pool2d(functional.pad(tx, pads), kernel, stride, divisor_override=1)
    inside = functional.avg_pool2d(functional.pad(torch.ones_like(tx), pads), kernel, stride, divisor_override=1)
    ty = total / (g.kernel_h * g.kernel_w) if options["count_include_pad"] else total / inside
    close(backend.avg_pool2d(x, size, **options), nhwc(ty), dtype)
    dy = np.random.default_rng(1).standard_normal(g.output_shape).astype(dtype)
    ty.backward(nchw(dy))
    close(backend.avg_pool2d_backward(dy, size, x.shape, **options), nhwc(tx.grad), dtype)


@pytest.mark.parametrize("count_include_pad", [False, True])
def test_average_pooling_with_pytorchs_own_padding(backend, count_include_pad, rng):
    x = rng.standard_normal((2, 7, 8, 3))
    ty = functional.avg_pool2d(nchw(x), 3, 2, 1, count_include_pad=count_include_pad)
    close(backend.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=count_include_pad), nhwc(ty), "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_activation(backend, activation, dtype):
    """Extremes, infinities and NaN included; the gradient at 0 of relu is 0."""
    for case in edge_cases(activation):
        (x,), _ = case.make(dtype)
        tx = torch.from_numpy(x.copy()).requires_grad_()
        ty = getattr(torch, activation)(tx)
        y = getattr(backend, activation)(x)
        finite = np.finfo(dtype)
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=16 * finite.eps, atol=finite.tiny)
        dy = np.random.default_rng(1).standard_normal(x.shape).astype(dtype)
        ty.backward(torch.from_numpy(np.asarray(dy)))
        actual = getattr(backend, f"{activation}_backward")(np.asarray(dy), y)
        np.testing.assert_allclose(actual, tx.grad.numpy(), rtol=1e-5, atol=16 * finite.eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["leaky_relu", "gelu"])
def test_activation_beyond_relu(backend, name, dtype, rng):
    x, dy = (rng.standard_normal((5, 131)).astype(dtype) * 3 for _ in range(2))
    tx = torch.from_numpy(x.copy()).requires_grad_()
    ty = functional.leaky_relu(tx, 0.1) if name == "leaky_relu" else functional.gelu(tx, approximate="tanh")
    ty.backward(torch.from_numpy(dy))
    options = {"slope": 0.1} if name == "leaky_relu" else {}
    y = getattr(backend, name)(x, **options)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-4, atol=64 * eps)
    actual = getattr(backend, f"{name}_backward")(dy, y if name == "leaky_relu" else x, **options)
    np.testing.assert_allclose(actual, tx.grad.numpy(), rtol=1e-4, atol=64 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5, 7, 6), (4, 8, 8, 32), (17, 67)])
def test_batch_norm(backend, shape, dtype, rng):
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma, beta = (rng.standard_normal(shape[-1]).astype(dtype) for _ in range(2))
    tx, tg, tb = (torch.from_numpy(v.copy()).requires_grad_() for v in (x, gamma, beta))
    running = torch.zeros(shape[-1], dtype=tx.dtype), torch.ones(shape[-1], dtype=tx.dtype)
    axes = (0, 3, 1, 2) if len(shape) == 4 else (0, 1)
    ty = functional.relu(functional.batch_norm(tx.permute(axes), *running, tg, tb, training=True, momentum=1.0))
    ty.backward(torch.from_numpy(dy).permute(axes))
    mean, variance = backend.batch_norm_statistics(x)
    rows = x.size // shape[-1]
    close(mean, running[0].numpy(), dtype)
    close(variance * dtype_of(dtype)(rows / (rows - 1)), running[1].numpy(), dtype)  # PyTorch's running one is unbiased
    y = backend.batch_norm(x, mean, variance, gamma, beta, activation="relu")
    close(y, ty.detach().numpy().transpose((0, 2, 3, 1) if len(shape) == 4 else (0, 1)), dtype)
    dz = backend.relu_backward(dy, y)
    sums = backend.batch_norm_backward_sums(dz, x, mean)
    close(backend.batch_norm_backward(dz, x, mean, variance, gamma, *sums), tx.grad.numpy(), dtype)
    close(sums[1] / np.sqrt(variance + dtype_of(dtype)(1e-5)), tg.grad.numpy(), dtype)
    close(sums[0], tb.grad.numpy(), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 6), (2, 5, 64), (17, 131)])
def test_layer_norm(backend, shape, dtype, rng):
    x, dy = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    gamma, beta = (rng.standard_normal(shape[-1]).astype(dtype) for _ in range(2))
    tx, tg, tb = (torch.from_numpy(v.copy()).requires_grad_() for v in (x, gamma, beta))
    ty = functional.layer_norm(tx, shape[-1:], tg, tb)
    ty.backward(torch.from_numpy(dy))
    close(backend.layer_norm(x, gamma, beta), ty.detach().numpy(), dtype)
    for actual, t in zip(backend.layer_norm_backward(dy, x, gamma), (tx, tg, tb), strict=True):
        close(actual, t.grad.numpy(), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["7x9x31x16", "13x6x97x64", "11x17x64x150", "no_words", "repeated"])
def test_embedding_mean(backend, name, dtype):
    """EmbeddingBag of mode "mean": texts one after the other without padding, and where each begins."""
    case = next(c for c in edge_cases("embedding_mean") if c.name == name)
    (weight, indices, lengths), _ = case.make(dtype)
    bag = torch.nn.EmbeddingBag.from_pretrained(torch.from_numpy(weight.copy()), freeze=False, mode="mean")
    words = torch.from_numpy(indices[np.arange(indices.shape[1]) < lengths[:, None]])
    ty = bag(words, torch.from_numpy(np.cumsum(lengths) - lengths))
    dy = np.random.default_rng(0).standard_normal(ty.shape).astype(dtype)
    ty.backward(torch.from_numpy(dy))
    close(backend.embedding_mean(weight, indices, lengths), ty.detach().numpy(), dtype)
    close(backend.embedding_mean_backward(dy, indices, lengths, len(weight)), bag.weight.grad.numpy(), dtype)


def dtype_of(name: str):
    return np.dtype(name).type


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", images("softmax_cross_entropy"), ids=lambda c: c.name)
def test_cross_entropy(backend, case, dtype):
    (logits, labels), _ = case.make(dtype)
    t = torch.from_numpy(logits.copy()).requires_grad_()
    expected = functional.cross_entropy(t, torch.from_numpy(labels.astype(np.int64)))
    expected.backward()
    loss, gradient = backend.softmax_cross_entropy(logits, labels)
    np.testing.assert_allclose(loss, expected.item(), rtol=100 * np.finfo(dtype).eps)
    np.testing.assert_allclose(gradient, t.grad.numpy(), rtol=1e-4, atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options",
    [
        {}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"weight_decay": 0.1},
        {"momentum": 0.5, "nesterov": True, "weight_decay": 0.01}, {"momentum": 0.9, "weight_decay": 0.01},
    ],
    ids=str,
)  # fmt: skip
def test_sgd_over_several_steps(backend, options, dtype, rng):
    w = rng.standard_normal((37, 3)).astype(dtype)
    parameter = torch.nn.Parameter(torch.from_numpy(w.copy()))
    optimizer = torch.optim.SGD([parameter], lr=0.05, **options)
    velocity = np.zeros_like(w)
    for _ in range(10):
        dw = rng.standard_normal(w.shape).astype(dtype)
        parameter.grad = torch.from_numpy(dw.copy())
        optimizer.step()
        backend.sgd_update(w, dw, velocity, learning_rate=0.05, **options)
        close(w, parameter, dtype)
    if options.get("momentum"):
        close(velocity, optimizer.state[parameter]["momentum_buffer"], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options", [{}, {"weight_decay": 0.1}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-4}], ids=str
)
def test_adam_over_several_steps(backend, options, dtype, rng):
    w = rng.standard_normal((37, 3)).astype(dtype)
    parameter = torch.nn.Parameter(torch.from_numpy(w.copy()))
    optimizer = torch.optim.Adam(
        [parameter], lr=0.01, betas=(options.get("beta_1", 0.9), options.get("beta_2", 0.999)),
        eps=options.get("epsilon", 1e-8), weight_decay=options.get("weight_decay", 0.0),
    )  # fmt: skip
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step in range(1, 11):
        dw = rng.standard_normal(w.shape).astype(dtype)
        parameter.grad = torch.from_numpy(dw.copy())
        optimizer.step()
        backend.adam_update(w, dw, m, v, step=step, learning_rate=0.01, **options)
        close(w, parameter, dtype)
    close(m, optimizer.state[parameter]["exp_avg"], dtype)
    close(v, optimizer.state[parameter]["exp_avg_sq"], dtype)
