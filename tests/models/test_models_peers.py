"""One training step, and the loss curve of twenty, as PyTorch takes them."""

from __future__ import annotations

import numpy as np
import pytest

import kernels
from models.architectures import build
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.optimizers import SGD, Adam
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
}


def _torch_twin(network: Network) -> torch.nn.Sequential:
    """Build the same network in PyTorch: images as NCHW, filters as (C_out, C_in, KH, KW), flattened as NHWC."""
    modules = []
    for layer in network.layers:
        kind = type(layer).__name__
        if kind == "Conv2D":
            module = torch.nn.Conv2d(layer.input_shape[2], layer.output_shape[2], layer._kernel_size, **layer.window)
            weight = torch.from_numpy(layer.weight.transpose(3, 2, 0, 1).copy())
        elif kind == "Dense":
            module = torch.nn.Linear(*layer.weight.shape)
            weight = torch.from_numpy(layer.weight.T.copy())
        elif kind == "MaxPool2D":
            modules.append(torch.nn.MaxPool2d(layer.size, **layer.window))
            continue
        else:
            modules.append(_FlattenNHWC())
            continue
        module = module.to(weight.dtype)
        module.weight.data = weight
        module.bias.data = torch.from_numpy(layer.bias.copy())
        modules.append(module)
        if layer.activation == "relu":
            modules.append(torch.nn.ReLU())
    return torch.nn.Sequential(*modules)


class _FlattenNHWC(torch.nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def _weights_of(twin: torch.nn.Sequential) -> list[np.ndarray]:
    found = []
    for module in twin:
        if hasattr(module, "weight"):
            w = module.weight.detach().numpy()
            found += [w.transpose(2, 3, 1, 0) if w.ndim == 4 else w.T, module.bias.detach().numpy()]
    return found


def _setting(name: str, dtype):
    tokens, shape = NETWORKS[name]
    rng = np.random.RandomState(0)
    network = Network(build(tokens, shape, 10), kernels=K, dtype=dtype, max_batch=BATCH)
    network.initialize(rng)
    x = rng.normal(size=(20, BATCH, *shape)).astype(dtype)
    labels = rng.randint(0, 10, size=(20, BATCH))
    twin = _torch_twin(network)
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
