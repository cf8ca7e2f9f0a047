"""Training steps and forward passes of whole networks, ours and the peers', from the same weights on the same batch.

    ours                 a step as the estimators take it (models/training.py), `Network.forward`, and the estimator's `predict`
    torch-<layout>       PyTorch eager: modules, autograd, the fused optimizer
    torch-compiled-...   the same through torch.compile
    onnxruntime          forward only
    sklearn              MLPClassifier's own step on a prepared batch; MLPs only

Convolutional networks train by SGD with Nesterov momentum, MLPs by Adam: the defaults of the estimators. Weights are
drawn once by ours and copied; PyTorch's Flatten has the channels first, so the first dense layer's rows are permuted.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.profiling.targets import N_CLASSES, find
from kernels import load
from models.architectures import build
from models.layers import Conv2D, Flatten, MaxPool2D
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.onnx_export import Graph
from models.optimizers import SGD, Adam
from models.training import training_step

LEARNING_RATE = {"sgd": 0.01, "adam": 1e-3}
MOMENTUM = 0.9


@dataclass(frozen=True)
class Setting:
    """A network and a batch: what all contestants get."""

    network: str
    batch: int
    n_threads: int
    seed: int = 0  # of the starting weights

    @property
    def solver(self) -> str:
        return "adam" if self.network == "mlp" else "sgd"

    def layers(self):
        target = find(self.network)
        return build(target.architecture, target.input_shape, N_CLASSES)

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return a batch (N, H, W, C) or (N, D) and its labels."""
        rng = np.random.default_rng(self.batch)
        x = rng.standard_normal((self.batch, *find(self.network).input_shape)).astype(np.float32)
        return x, rng.integers(0, N_CLASSES, self.batch)

    def initial(self) -> list[np.ndarray]:
        """Return the starting weights, layer by layer, each followed by its bias."""
        network = Network(self.layers(), kernels=load("reference"), max_batch=1)
        network.initialize(np.random.RandomState(self.seed))
        return [array.copy() for array in network.parameters]


# -- ours --------------------------------------------------------------------------------------------------------------


def our_training(setting: Setting, backend: str) -> Callable[[], float]:
    """Return a training step on a backend of ours; it returns the loss."""
    kernels, n_threads = load(backend), setting.n_threads
    network = Network(setting.layers(), kernels=kernels, max_batch=setting.batch, n_threads=n_threads)
    for own, value in zip(network.parameters, setting.initial(), strict=True):
        own[...] = value
    loss = SoftmaxCrossEntropy(kernels, np.float32, setting.batch, N_CLASSES, n_threads)
    kind = {"sgd": SGD, "adam": Adam}[setting.solver]
    optimizer = kind(network.vector, network.n_weights, LEARNING_RATE[setting.solver])
    x, y = setting.data()
    return lambda: training_step(network, loss, optimizer, x, y)


def our_forward(setting: Setting, backend: str) -> Callable[[], np.ndarray]:
    """Return a forward pass on a backend of ours; it returns the logits."""
    network = Network(
        setting.layers(), kernels=load(backend), max_batch=setting.batch, n_threads=setting.n_threads, training=False
    )
    for own, value in zip(network.parameters, setting.initial(), strict=True):
        own[...] = value
    x, _ = setting.data()
    return lambda: network.forward(x)


def our_predict(setting: Setting, backend: str) -> Callable[[], np.ndarray]:
    """Return the estimator's `predict`, checks of its input and all, after one epoch on a few samples."""
    from models import ConvNetClassifier, MLPClassifier

    common = {"max_iter": 1, "backend": backend, "n_jobs": setting.n_threads, "random_state": 0}
    x, _ = setting.data()
    few = np.resize(x, (2 * N_CLASSES, *x.shape[1:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch does not converge, and need not
        if setting.network == "mlp":
            model = MLPClassifier(hidden_layer_sizes=(256, 128), **common)
        else:
            model = ConvNetClassifier(architecture=setting.network, **common)
        model.fit(few, np.arange(len(few)) % N_CLASSES)
    return lambda: model.predict(x)


# -- PyTorch -----------------------------------------------------------------------------------------------------------


def _channels_first(rows: np.ndarray, image: tuple[int, ...]) -> np.ndarray:
    """Reorder the rows of a dense layer from (H, W, C) to (C, H, W)."""
    h, w, c = image
    return rows.reshape(h, w, c, -1).transpose(2, 0, 1, 3).reshape(h * w * c, -1)


def torch_model(setting: Setting, layout: str):
    """Return our network as a torch Sequential, with our starting weights."""
    import torch
    from torch import nn

    class LastFlatten(nn.Module):  # channels last: a view, in our own order
        def forward(self, x):
            return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1)

    modules, arrays, image = [], iter(setting.initial()), None
    for layer in setting.layers():
        if isinstance(layer, Flatten):
            image = layer.input_shape if layout == "nchw" else None
            modules.append(nn.Flatten() if layout == "nchw" else LastFlatten())
        elif isinstance(layer, MaxPool2D):
            modules.append(nn.MaxPool2d(layer.size))
        else:
            weight, bias = next(arrays), next(arrays)
            if isinstance(layer, Conv2D):
                kh, _, c_in, c_out = weight.shape
                module = nn.Conv2d(c_in, c_out, kh, padding=layer.window["padding"])
                weight = weight.transpose(3, 2, 0, 1)
            else:
                weight = _channels_first(weight, image) if image and len(image) == 3 else weight
                image = None
                module, weight = nn.Linear(*weight.shape), weight.T
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
                module.bias.copy_(torch.from_numpy(bias))
            modules.append(module)
            if layer.activation == "relu":
                modules.append(nn.ReLU())
    model = nn.Sequential(*modules)
    return model.to(memory_format=torch.channels_last) if layout == "nhwc" else model


def _torch_batch(setting: Setting, layout: str):
    import torch

    x, y = setting.data()
    x = torch.from_numpy(x)
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2)
        x = x.contiguous(memory_format=torch.channels_last if layout == "nhwc" else torch.contiguous_format)
    return x, torch.from_numpy(y)


def torch_training(setting: Setting, layout: str, compiled: bool) -> Callable[[], float]:
    """Return a training step of PyTorch; it returns the loss."""
    import torch

    torch.set_num_threads(setting.n_threads)
    model, (x, y) = torch_model(setting, layout), _torch_batch(setting, layout)
    rate = LEARNING_RATE[setting.solver]
    if setting.solver == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), rate, momentum=MOMENTUM, nesterov=True, fused=True)
    else:
        optimizer = torch.optim.Adam(model.parameters(), rate, fused=True)
    entropy = torch.nn.functional.cross_entropy

    def loss_of(x, y):
        return entropy(model(x), y)

    loss_of = torch.compile(loss_of, dynamic=False) if compiled else loss_of

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_forward(setting: Setting, layout: str, compiled: bool) -> Callable[[], np.ndarray]:
    """Return a forward pass of PyTorch in inference mode; it returns the logits."""
    import torch

    torch.set_num_threads(setting.n_threads)
    model, (x, _) = torch_model(setting, layout).train(False), _torch_batch(setting, layout)
    run = torch.compile(model, dynamic=False) if compiled else model

    def forward():
        with torch.inference_mode():
            return run(x).numpy()

    return forward


# -- ONNX Runtime ------------------------------------------------------------------------------------------------------


def onnx_model(setting: Setting):
    """Return our network as an ONNX model (images as (N, C, H, W), as its convolutions want them)."""
    graph = Graph()
    graph.layers(setting.layers(), iter(setting.initial()), iter(()))
    shape = find(setting.network).input_shape
    shape = (shape[2], *shape[:2]) if len(shape) == 3 else shape
    return graph.model(setting.network, {"x": [None, *shape]}, {graph.value: [None, N_CLASSES]})


def onnx_forward(setting: Setting) -> Callable[[], np.ndarray]:
    """Return a forward pass of ONNX Runtime; it returns the logits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = setting.n_threads, 1
    options.log_severity_level = 3
    model = onnx_model(setting).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x, _ = setting.data()
    batch = {"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2)) if x.ndim == 4 else x}
    return lambda: session.run(None, batch)[0]


# -- scikit-learn ------------------------------------------------------------------------------------------------------


def sklearn_training(setting: Setting) -> Callable[[], float]:
    """Return the step of scikit-learn's MLPClassifier: its own back-propagation and its own Adam, without its epoch loop."""
    from sklearn.neural_network import MLPClassifier

    x, y = setting.data()
    model = MLPClassifier((256, 128), alpha=0.0, batch_size=setting.batch, learning_rate_init=LEARNING_RATE["adam"])
    model.partial_fit(x, y, classes=np.arange(N_CLASSES))
    arrays = setting.initial()
    model.coefs_, model.intercepts_ = arrays[0::2], arrays[1::2]
    targets = model._label_binarizer.transform(y).astype(np.float32)
    sizes = [w.shape[1] for w in model.coefs_]
    activations = [x, *(np.empty((setting.batch, n), np.float32) for n in sizes)]
    deltas = [np.empty_like(a) for a in activations[1:]]
    gradients = [np.empty_like(w) for w in model.coefs_], [np.empty_like(b) for b in model.intercepts_]
    parameters = model.coefs_ + model.intercepts_
    optimizer = type(model._optimizer)(parameters, LEARNING_RATE["adam"])

    def step():
        loss, coefs, intercepts = model._backprop(x, targets, None, activations, deltas, *gradients)
        optimizer.update_params(parameters, coefs + intercepts)
        return float(loss)

    return step


def sklearn_forward(setting: Setting) -> Callable[[], np.ndarray]:
    """Return scikit-learn's forward pass; it returns probabilities, so it is held against `softmax` of the logits."""
    from sklearn.neural_network import MLPClassifier

    x, _ = setting.data()
    model = MLPClassifier((256, 128), max_iter=1)
    few = np.resize(x, (2 * N_CLASSES, *x.shape[1:]))
    model.partial_fit(few, np.arange(len(few)) % N_CLASSES, classes=np.arange(N_CLASSES))
    arrays = setting.initial()
    model.coefs_, model.intercepts_ = arrays[0::2], arrays[1::2]
    return lambda: model._forward_pass_fast(x, check_input=False)


# -- who can do what -----------------------------------------------------------------------------------------------------


def contestants(task: str, network: str, backends: tuple[str, ...], with_peers: bool) -> list[str]:
    """Return the names of all that can take part, the backends first; peers that are not installed are left out.

    Examples
    --------
    >>> contestants("training", "lenet5", ("cython",), with_peers=False)
    ['cython']
    """
    names = list(backends)
    if task == "inference":
        names += [f"{backend} predict" for backend in backends if backend != "reference"]
    if not with_peers:
        return names
    if importlib.util.find_spec("torch"):
        layouts = ("",) if network == "mlp" else ("-nchw", "-nhwc")
        names += [f"torch{layout}" for layout in layouts] + [f"torch-compiled{layout}" for layout in layouts[-1:]]
    if task == "inference" and importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        names.append("onnxruntime")
    if network == "mlp":
        names.append("sklearn")
    return names


def prepare(task: str, setting: Setting, name: str) -> Callable[[], object]:
    """Return what is to be timed: a step that returns its loss, or a pass that returns its logits."""
    if name == "onnxruntime":
        return onnx_forward(setting)
    if name == "sklearn":
        return {"training": sklearn_training, "inference": sklearn_forward}[task](setting)
    if name.startswith("torch"):
        compiled, layout = "compiled" in name, name.rpartition("-")[2] if name.endswith(("nchw", "nhwc")) else "nhwc"
        return {"training": torch_training, "inference": torch_forward}[task](setting, layout, compiled)
    if name.endswith(" predict"):
        return our_predict(setting, name.removesuffix(" predict"))
    return {"training": our_training, "inference": our_forward}[task](setting, name)
