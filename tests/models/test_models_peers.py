"""One training step, and the loss curve of twenty, as PyTorch takes them."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from models.architectures import build
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.optimizers import SGD, Adam, AdamW
from models.training import training_step

torch = pytest.importorskip("torch", reason="PyTorch (extra `peers`) is not installed")
pytestmark = pytest.mark.peers

K = kernels.load(kernels.backends()[0])
BATCH = 24

NETWORKS = {
    "lenet5": ("lenet5", (28, 28, 1)),
    "conv16_32": ("conv16_32", (8, 8, 1)),
    "vgg_small_on_16x16": ("vgg_small", (16, 16, 3)),
    "mlp": (["256", "128", "out"], (784,)),
    "batch_norm": ("c8k3p1 bn m2 c16k3 bn tanh 20 bn out", (9, 8, 3)),
    "resnet": ("c8k3p1 bn ( c8k3p1 bn c8k3p1 bn ) ( c16k3s2p1 bn c16k3p1 bn ) gap out", (9, 8, 3)),
    "residual_mlp": ("30 ln gelu ( 30 ) ( 30 ln ) 20 leaky_relu out", (40,)),
}


def _torch_twin(layers) -> torch.nn.Sequential:
    """Build the same layers in PyTorch: images as NCHW, filters as (C_out, C_in, KH, KW), flattened as NHWC."""
    modules = []
    for layer in layers:
        modules.append(_torch_layer(layer))
        if layer.activation is not None:
            modules.append({"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[layer.activation]())
    return torch.nn.Sequential(*modules)


def _torch_layer(layer) -> torch.nn.Module:
    kind = type(layer).__name__
    arrays = [torch.from_numpy(array.copy()) for array in layer.arrays]
    if kind == "Residual":
        return _Residual(layer)
    if kind == "Conv2D":
        module = torch.nn.Conv2d(
            layer.input_shape[2], layer.output_shape[2], layer._kernel_size, bias=len(arrays) == 2, **layer.window
        )
        arrays[0] = arrays[0].permute(3, 2, 0, 1).contiguous()
    elif kind == "Dense":
        module = torch.nn.Linear(*layer.weight.shape, bias=len(arrays) == 2)
        arrays[0] = arrays[0].T.contiguous()
    elif kind == "BatchNorm":
        module = (torch.nn.BatchNorm2d if len(layer.input_shape) == 3 else torch.nn.BatchNorm1d)(layer.input_shape[-1])
    elif kind == "LayerNorm":
        module = torch.nn.LayerNorm(layer.input_shape[-1])
    elif kind == "Activation":
        return torch.nn.GELU(approximate="tanh") if layer.name == "gelu" else torch.nn.LeakyReLU(0.01)
    elif kind == "MaxPool2D":
        return torch.nn.MaxPool2d(layer.size, **layer.window)
    elif kind == "GlobalAvgPool2D":
        return _Mean()
    else:
        return _FlattenNHWC()
    module = module.to(arrays[0].dtype)
    for parameter, array in zip(module.parameters(), arrays, strict=True):
        parameter.data = array
    return module


class _Residual(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.body = _torch_twin(layer.body)
        self.stride = layer.shortcut[0].stride if layer.shortcut else 1

    def forward(self, x):
        left = self.body(x)
        if self.stride > 1:
            added = left.shape[1] - x.shape[1]
            x = x[:, :, :: self.stride, :: self.stride]
            x = torch.nn.functional.pad(x, (0, 0, 0, 0, added // 2, added - added // 2))
        return left + x


class _Mean(torch.nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3))


class _FlattenNHWC(torch.nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def _weights_of(twin: torch.nn.Module) -> list[np.ndarray]:
    """In the order and layout of ours."""
    arrays = [p.detach().numpy() for p in twin.parameters()]
    return [a.transpose(2, 3, 1, 0) if a.ndim == 4 else a.T for a in arrays]


def _setting(name: str, dtype):
    tokens, shape = NETWORKS[name]
    rng = np.random.RandomState(0)
    network = Network(build(tokens, shape, 10), kernels=K, dtype=dtype, max_batch=BATCH)
    network.initialize(rng)
    x = rng.normal(size=(20, BATCH, *shape)).astype(dtype)
    labels = rng.randint(0, 10, size=(20, BATCH))
    twin = _torch_twin(network.layers)
    loss = SoftmaxCrossEntropy(K, dtype, BATCH, 10)
    return network, loss, twin, x, labels


def _torch_step(twin, optimizer, x, labels) -> float:
    images = torch.from_numpy(x if x.ndim == 2 else np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(twin(images), torch.from_numpy(labels))
    loss.backward()
    optimizer.step()
    return loss.item()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_one_step(name, nesterov):
    network, loss, twin, x, labels = _setting(name, np.float64)
    ours = SGD(network.vector, network.n_weights, 0.1, momentum=0.9, nesterov=nesterov)
    theirs = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, nesterov=nesterov)
    actual = training_step(network, loss, ours, x[0], labels[0])
    assert actual == pytest.approx(_torch_step(twin, theirs, x[0], labels[0]), rel=1e-10)
    for a, b in zip(network.parameters, _weights_of(twin), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["batch_norm", "resnet"])
def test_running_statistics_and_prediction(name):
    network, _, twin, x, _ = _setting(name, np.float64)
    for batch in x[:3]:
        network.forward(batch)
        twin(torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2))))
    theirs = [b.numpy() for key, b in twin.named_buffers() if not key.endswith("num_batches_tracked")]
    for a, b in zip(network.states, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    images = torch.from_numpy(np.ascontiguousarray(x[3].transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(
        network.replica(BATCH).forward(x[3]), twin.train(False)(images).detach().numpy(), rtol=1e-9, atol=1e-12
    )


def test_decoupled_decay_and_smoothed_labels():
    smoothing = 0.1
    network, _, twin, x, labels = _setting("resnet", np.float64)
    ours = AdamW(network.vector, network.n_weights, 0.01)
    decays = [p for p in twin.parameters() if p.ndim > 1]
    rest = [p for p in twin.parameters() if p.ndim == 1]
    groups = [{"params": decays, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    theirs = torch.optim.AdamW(groups, lr=0.01, eps=1e-30)  # ours adds epsilon to the uncorrected moment
    ours.epsilon = 1e-30
    loss = SoftmaxCrossEntropy(K, np.float64, BATCH, 10, smoothing=smoothing)
    for batch, target in zip(x[:3], labels[:3], strict=True):
        actual = training_step(network, loss, ours, batch, target, weight_decay=0.1)
        images = torch.from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
        theirs.zero_grad()
        expected = torch.nn.functional.cross_entropy(twin(images), torch.from_numpy(target), label_smoothing=smoothing)
        expected.backward()
        theirs.step()
        assert actual == pytest.approx(expected.item(), rel=1e-9)
    for a, b in zip(network.parameters, _weights_of(twin), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-8), (np.float32, 5e-3)])
@pytest.mark.parametrize("name", ["lenet5", "mlp"])
def test_twenty_steps(name, dtype, tolerance, optimizer):
    network, loss, twin, x, labels = _setting(name, dtype)
    if optimizer == "sgd":
        ours = SGD(network.vector, network.n_weights, 0.02, momentum=0.9, nesterov=True)
        theirs = torch.optim.SGD(twin.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    else:
        # PyTorch adds epsilon to the corrected moment; with one this small both forms are the same
        ours = Adam(network.vector, network.n_weights, 1e-3, epsilon=1e-30)
        theirs = torch.optim.Adam(twin.parameters(), lr=1e-3, eps=1e-30)
    actual = [training_step(network, loss, ours, *batch) for batch in zip(x, labels, strict=True)]
    expected = [_torch_step(twin, theirs, *batch) for batch in zip(x, labels, strict=True)]
    np.testing.assert_allclose(actual, expected, rtol=tolerance)
