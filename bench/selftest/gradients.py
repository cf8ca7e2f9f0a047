"""Whether networks learn from right gradients here: backpropagation against central differences, in float64.

Small networks with every kind of layer, so that all backward kernels take part in a chain, as in training. A central
difference of the loss is off by O(h**2) of truncation and eps / h of rounding; the gradient must agree to more digits
than a wrong term, sign or index would leave it (Dennis & Schnabel, Numerical Methods, 1996, section 5.4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: name -> (tokens, shape of a sample, activation). Max pooling and ReLU have kinks: random values are never within a step.
NETWORKS = {
    "convolutions": (("c4k3p1", "m2", "c6k3g2", "12", "out"), (8, 8, 2), "relu"),
    "strides and means": (("c3k3s2p1", "a2", "c4k1", "out"), (8, 7, 1), "tanh"),
    "dense": (("9", "7", "out"), (6,), "sigmoid"),
    "normalizations": (("c4k3p1", "bn", "m3s2p1", "ln", "8", "bn", "out"), (6, 6, 1), "leaky_relu"),
    "residual": (("c4k3p1", "(", "c4k3p1", "bn", "c4k3p1", ")", "gap", "gelu", "out"), (5, 5, 2), "relu"),
}
CLASSES, BATCH, STEP = 3, 5, 1e-6
RELATIVE, ABSOLUTE = 1e-5, 1e-7

#: So many parameters are moved one by one, spread over all of them.
MOVED = 40


@dataclass(frozen=True)
class Gradient:
    """How far the gradient of a network was off, at worst, in units of what is allowed; above 1 it is wrong."""

    network: str
    n_parameters: int
    worst: float

    @property
    def ok(self) -> bool:
        return self.worst <= 1.0


def check(backend: str, name: str) -> Gradient:
    """Compare the gradient of one network with central differences of its loss.

    Parameters
    ----------
    backend : str
        A name of ``kernels.backends()``.
    name : str
        One of `NETWORKS`.

    Examples
    --------
    >>> check("reference", "dense").ok
    True
    """
    import kernels
    from models import losses
    from models.architectures import build
    from models.network import Network

    tokens, shape, activation = NETWORKS[name]
    rng = np.random.RandomState(0)
    layers = build(tokens, shape, CLASSES, activation=activation)
    network = Network(layers, kernels=kernels.load(backend), dtype=np.float64, max_batch=BATCH)
    network.initialize(rng)
    network.vector += 0.1 * rng.normal(size=network.vector.shape)  # no bias at exactly zero, where a sign would not show
    x, labels = rng.normal(size=(BATCH, *shape)), rng.randint(0, CLASSES, BATCH)
    loss = losses.SoftmaxCrossEntropy(network.kernels, np.float64, BATCH, CLASSES)
    delta = network.delta(BATCH)

    def at(i: int, value: float) -> float:
        network.vector[i] = value
        return loss(network.forward(x), labels, None, np.empty((BATCH, CLASSES)))

    loss(network.forward(x), labels, None, delta)
    network.backward(delta)
    gradient = network.gradient.copy()
    worst = 0.0 if np.count_nonzero(gradient) > len(gradient) // 4 else np.inf
    for i in np.unique(np.linspace(0, network.n_parameters - 1, MOVED).astype(int)):
        kept = network.vector[i]
        expected = (at(i, kept + STEP) - at(i, kept - STEP)) / (2 * STEP)
        network.vector[i] = kept
        worst = max(worst, abs(gradient[i] - expected) / (ABSOLUTE + RELATIVE * abs(expected)))
    return Gradient(name, network.n_parameters, float(worst))
