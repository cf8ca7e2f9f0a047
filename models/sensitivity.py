"""How the output of a fitted network changes with its input: the gradient for each sample, by one pass back.

Training asks for the gradient of the parameters and stops at the first layer that has any. Here the pass goes on to the input,
through the network as it predicts: batch normalizations take their running statistics, dropouts do nothing. So the gradient of
a sample does not depend on the others of its batch. Saliency maps (Simonyan, Vedaldi & Zisserman, "Deep inside convolutional
networks", ICLR workshop 2014) are gradients of a class's score, attacks (Goodfellow, Shlens & Szegedy, "Explaining and
harnessing adversarial examples", ICLR 2015) follow those of the loss.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from models.inference import load_kernels
from models.network import Network

#: Most samples that go through together.
BLOCK = 128
GRADIENTS_OF = ("loss", "score")


class PredictingNetwork(Network):
    """A network as it predicts, whose `backward` returns the gradient for its input, valid until the next call."""

    def _bind_buffers(self, first_with_parameters: int) -> None:
        self._input_gradients: dict[int, np.ndarray] = {}
        for layer in self.layers:
            layer.training, layer.wants_input_gradient = False, True
        super()._bind_buffers(0)

    def _backward_layers(self, delta: np.ndarray) -> np.ndarray:
        n = delta.shape[0]
        self._input_gradients[n] = super()._backward_layers(delta)
        return self._input_gradients[n]

    def backward(self, delta: np.ndarray) -> np.ndarray:
        super().backward(delta)
        return self._input_gradients[delta.shape[0]]


class Sensitivity:
    """The part of a network estimator that says how its output changes with its input."""

    def input_gradient(self, X, y=None, *, of: str = "loss"):
        """Return the gradient for each value of X, of the same shape as X.

        Parameters
        ----------
        X : array, as in :meth:`predict`, not sparse
        y : array (n,), optional
            With ``of="loss"`` the true classes (or numbers, in regression). With ``of="score"`` the classes whose scores
            are meant; default: those that are predicted.
        of : {"loss", "score"}
            Of each sample's own loss, without the L2 term; or of the value that the last layer gives a class, before
            softmax or sigmoid (in regression: the first output, before its link). For two classes with one output the first
            class's score is the negative of the second's.

        Returns
        -------
        ndarray
            In the dtype of the network.

        Raises
        ------
        ValueError
            Another `of`, classes that the network does not know, or no y for the loss.

        Examples
        --------
        >>> from models import MLPClassifier
        >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0]] * 20), np.array([0, 1] * 20)
        >>> model = MLPClassifier((), solver="lbfgs", alpha=0.1, backend="reference").fit(X, y)
        >>> np.allclose(model.input_gradient(X[:1], [1], of="score"), model.coefs_[0].T)
        True
        """
        if of not in GRADIENTS_OF:
            raise ValueError(f"of must be one of {', '.join(map(repr, GRADIENTS_OF))}, got {of!r}")
        if of == "loss" and y is None:
            raise ValueError('the gradient of the loss needs y; of="score" needs none')
        check_is_fitted(self)
        x, scale = self._differentiable(X)
        if y is not None and len(y) != len(x):
            raise ValueError(f"X has {len(x)} samples, y has {len(y)}")
        found = np.empty_like(x)
        if len(x):
            network, loss = self._predicting_network(x.dtype, min(BLOCK, len(x)))
            with np.errstate(all="ignore"):
                target = self._gradient_target(y, loss, x.dtype) if of == "loss" else self._directions(X, y, x.dtype)
                for start in range(0, len(x), BLOCK):
                    rows = slice(start, start + BLOCK)
                    z = network.forward(np.ascontiguousarray(x[rows]))
                    delta = np.empty_like(z) if of == "loss" else target[rows]
                    if of == "loss":
                        loss(z, target[rows], None, delta)
                        delta *= len(z)  # the loss is a mean over the samples
                    found[rows] = network.backward(delta)
        if scale != 1.0:
            found *= found.dtype.type(scale)
        return found.reshape(np.shape(X))

    def weight_gradient_norms(self, X, y):
        """Return the norm of the gradient of the mean loss for each entry of ``coefs_``, as a step of training sees it.

        Without the L2 term; batch normalizations take the statistics of X. Where a norm is many powers of ten below that of
        a layer further back, the layer hardly learns: the gradient vanishes (Glorot & Bengio 2010).

        Parameters
        ----------
        X : array, as in :meth:`fit`, not sparse
        y : array (n,)

        Returns
        -------
        ndarray (len(coefs_),) float64

        Examples
        --------
        >>> from models import MLPClassifier
        >>> X, y = np.array([[0.0, 1.0], [1.0, 0.0]] * 20), np.array([0, 1] * 20)
        >>> model = MLPClassifier((4,), solver="lbfgs", alpha=0, backend="reference", random_state=0).fit(X, y)
        >>> bool((model.weight_gradient_norms(X, y) < 1e-3).all())  # at a minimum
        True
        """
        check_is_fitted(self)
        x, _ = self._differentiable(X)
        twin = copy.copy(self)  # its network is trained on no step, but its running statistics move
        twin.__dict__.pop("_trainer", None)
        if len(self._states):
            twin._states = [np.array(s) for s in self._states]
        network, loss = twin._training_network(load_kernels(self.backend), x.dtype, len(x))
        with np.errstate(all="ignore"):
            loss(network.forward(np.ascontiguousarray(x)), self._gradient_target(y, loss, x.dtype), None, network.delta(len(x)))
            network.backward(network.delta(len(x)))
        kinds = [p.is_weight for layer in network.layers for p in layer.parameters]
        gradients = network._views(network.gradient)
        return np.array([np.linalg.norm(g.astype(np.float64)) for g, k in zip(gradients, kinds, strict=True) if k])

    def _predicting_network(self, dtype, max_batch: int) -> tuple[PredictingNetwork, Any]:
        kernels = load_kernels(self.backend)
        parameters = [np.asarray(p, dtype=dtype) for p in self._parameters]
        states = [np.asarray(s, dtype=dtype) for s in self._states]
        network = PredictingNetwork(
            self._layers(sparse=False), kernels=kernels, dtype=dtype, max_batch=max_batch, parameters=parameters,
            states=states,
        )  # fmt: skip
        return network, self._loss(kernels, dtype, max_batch, 1)

    def _differentiable(self, X) -> tuple[np.ndarray, float]:
        """Return the samples as the first layer takes them, and what its gradient is multiplied by to be that of X."""
        X = validate_data(self, X, reset=False)
        dtype = np.result_type(X.dtype, *(p.dtype for p in self._parameters))
        return X.astype(dtype if dtype in (np.float32, np.float64) else np.float64, copy=False), 1.0

    def _gradient_target(self, y, loss, dtype) -> np.ndarray:
        """Return y as the loss takes it."""
        if not hasattr(self, "classes_"):
            return self._target(np.asarray(y).reshape(len(y), -1), loss, dtype)
        self._class_positions(y)
        return self._target(self._label_binarizer.transform(y).astype(bool).reshape(len(y), -1), loss, dtype)

    def _class_positions(self, y) -> np.ndarray:
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has classes {unknown} that are not among the classes trained so far, {self.classes_}")
        return np.searchsorted(self.classes_, y)

    def _directions(self, X, y, dtype) -> np.ndarray:
        """Return the gradient of the chosen class's score for the outputs of the last layer."""
        n, n_outputs = len(X), math.prod(self._layers(sparse=False)[-1].output_shape)
        directions = np.zeros((n, n_outputs), dtype)
        if not hasattr(self, "classes_"):
            directions[:, 0] = 1.0
            return directions
        positions = self._class_positions(self.predict(X) if y is None else y)
        if n_outputs == 1:
            directions[:, 0] = 2.0 * positions - 1.0
        else:
            directions[np.arange(n), positions] = 1.0
        return directions
