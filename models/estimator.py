"""What all estimators with a network share: one for training, one for prediction, both made from ``coefs_``.

``coefs_`` and ``intercepts_`` are the fitted state. While training goes on they are views of the network's one vector;
whoever replaces an entry, or loads a pickle, gets a network bound to the new arrays at the next call. Buffers and
kernels are made on demand and are no part of the state.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.base import BaseEstimator

from models.inference import Inference, load_kernels, resolve_threads
from models.layers import Layer
from models.losses import Loss
from models.network import Network
from models.sensitivity import Sensitivity
from models.stored import Stored
from models.training import StochasticTraining

#: scikit-learn's names of activations, and the kernels'.
KERNEL_ACTIVATIONS = {"identity": None, "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


class NetworkEstimator(StochasticTraining, Sensitivity, Stored, BaseEstimator):
    """Base of the estimators. Sub-classes say what layers and what loss; parameters are scikit-learn's."""

    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]

    def _layers(self, *, sparse: bool) -> list[Layer]:
        """Return the layers that ``coefs_`` belong to; with `sparse` the first one takes CSR matrices."""
        raise NotImplementedError

    def _loss(self, kernels, dtype, max_batch: int, n_threads: int) -> Loss:
        raise NotImplementedError

    def _layers_key(self) -> tuple:
        """What the layers depend on besides the parameter arrays."""
        return (self.activation,)

    #: What layers keep beside their parameters, in their order; running statistics of batch normalization.
    _states: Sequence[np.ndarray] = ()

    @property
    def _parameters(self) -> list[np.ndarray]:
        """The arrays of ``coefs_`` and ``intercepts_`` in the order of the layers."""
        weights, others = iter(self.coefs_), iter(self.intercepts_)
        return [next(weights if is_weight else others) for is_weight in self._parameter_kinds()]

    def _parameter_kinds(self) -> Sequence[bool]:
        """Whether each parameter is a weight; here weights and biases in turn."""
        return (True, False) * len(self.coefs_)

    def _training_network(self, kernels, dtype, max_batch: int, *, sparse: bool = False) -> tuple[Network, Loss]:
        """Return a network that holds the present parameters, with ``coefs_`` and ``intercepts_`` as views of it.

        The one of the last call where it still fits, so that `partial_fit` allocates nothing anew.
        """
        n_threads = resolve_threads(self.n_jobs)
        key = (kernels.name, np.dtype(dtype), sparse, n_threads, *self._layers_key())
        network, loss, key_before = getattr(self, "_trainer", (None, None, None))
        present = [*self._parameters, *self._states]
        own = [] if network is None else [*network.parameters, *network.states]
        if key != key_before or network.max_batch < max_batch or not _same(own, present):
            layers = self._layers(sparse=sparse)
            network = Network(layers, kernels=kernels, dtype=dtype, max_batch=max_batch, n_threads=n_threads)
            for array, value in zip((*network.parameters, *network.states), present, strict=True):
                array[...] = value
            loss = self._loss(kernels, dtype, max_batch, n_threads)
            self.coefs_, self.intercepts_ = network.weights, network.biases
            if network.states:
                self._states = network.states
        self._trainer = network, loss, key
        self.__dict__.setdefault("_inference", {})
        return network, loss

    def _drop_trainer(self) -> None:
        """Free the buffers that only training needs."""
        self.__dict__.pop("_trainer", None)

    def _inference_for(self, dtype, *, sparse: bool = False) -> tuple[Inference, Loss]:
        """Return what predicts with the present parameters in a dtype; kept until a parameter array is replaced."""
        n_threads = resolve_threads(self.n_jobs)
        key = (np.dtype(dtype), sparse, n_threads, self.backend, *self._layers_key())
        parameters = [*self._parameters, *self._states]
        # The box is there from the first fit on, so that predicting changes no attribute.
        box = self.__dict__.setdefault("_inference", {})
        kept = box.get("kept")
        if kept is None or not _same(kept["parameters"], parameters):
            kept = {"parameters": parameters}
        if key in kept:
            return kept[key]
        kernels = load_kernels(self.backend)
        arrays = [np.asarray(p, dtype=dtype) for p in parameters]
        layers, n = self._layers(sparse=sparse), len(parameters) - len(self._states)
        inference = Inference(
            layers, arrays[:n], states=arrays[n:], kernels=kernels, dtype=dtype, n_threads=n_threads
        )
        entry = inference, self._loss(kernels, dtype, 1, n_threads)
        if _same(arrays, parameters):  # copies in another dtype would not follow changes made in place
            kept[key] = entry
            box["kept"] = kept
        return entry

    # -- as an ONNX graph (``models/stored.py``) -------------------------------------------------------------------

    def _onnx_graph(self):
        """Return the graph from a row of X to the output."""
        from models.onnx_export import Graph

        graph = Graph()
        self._onnx_input(graph)
        graph.layers(self._layers(sparse=False), iter(self._parameters), iter(self._states))
        self._onnx_output(graph)
        return graph

    def _onnx_input(self, graph) -> None:
        """Add what comes before the first layer."""

    def _onnx_output(self, graph) -> None:
        """Add what the loss makes of the last layer's values; the result is called "output"."""
        raise NotImplementedError

    def _onnx_values(self) -> dict:
        """Return the inputs, the outputs and their type."""
        n_outputs = self.coefs_[-1].shape[1]
        shapes = {"x": [None, self.n_features_in_]}, {"output": [None, n_outputs]}
        return {"inputs": shapes[0], "outputs": shapes[1], "dtype": self.coefs_[0].dtype}

    def __getstate__(self):
        """Leave out what is made on demand."""
        state = super().__getstate__().copy()
        state.pop("_inference", None)
        state.pop("_trainer", None)
        return state


def _same(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> bool:
    """Whether two lists hold the very same arrays."""
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))
