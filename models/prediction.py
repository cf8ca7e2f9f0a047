"""What a fitted ConvNet answers: classes, probabilities, activations of a layer."""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_is_fitted


class Prediction:
    """The predicting half of `ConvNetClassifier`."""

    def _run(self, X, finish, out, n_layers=None):
        inference, _ = self._inference_for(np.dtype(self.dtype))
        with np.errstate(all="ignore"):
            return inference.run(X, finish, out, n_layers=n_layers, prepare=self._standardized)

    def _images(self, X) -> np.ndarray:
        check_is_fitted(self)
        return self._validated(X, reset=False)[0].reshape(-1, *self.image_shape_)

    def predict(self, X):
        """Return the most probable class of each image, (n,)."""
        X = self._images(X)
        return self.classes_[self._run(X, argmax, np.empty(len(X), np.intp))]

    def predict_proba(self, X):
        """Return the probability of each class, (n, n_classes), in the order of ``classes_``."""
        X = self._images(X)
        _, loss = self._inference_for(np.dtype(self.dtype))
        return self._run(X, loss.link, np.empty((len(X), len(self.classes_)), self.dtype))

    def predict_log_proba(self, X):
        """Return the logarithm of :meth:`predict_proba`."""
        probability = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probability, out=probability)

    def transform(self, X, layer=None):
        """Return the activations of a layer, (n, values), flattened.

        Parameters
        ----------
        X : images, as in :meth:`fit`
        layer : int or str, optional
            Position in ``architecture_``, or a token that stands there once. Default: what the last layer sees.
        """
        X = self._images(X)
        layers = self._layers()
        n_layers = len(layers) - 1 if layer is None else self._position(layers, layer) + 1
        shape = layers[n_layers - 1].output_shape if n_layers else self.image_shape_
        return self._run(X, _copy_flat, np.empty((len(X), math.prod(shape)), self.dtype), n_layers)

    def _differentiable(self, X):
        x = self._images(X)
        return self._standardized(x), 1.0 / self.pixel_scale_

    def _gradient_target(self, y, loss, dtype):
        return self._class_positions(y).astype(np.int64, copy=False)

    def _position(self, layers, layer) -> int:
        """Return which of the network's layers a token made; of several the last, its activation included."""
        tokens = self.architecture_
        if isinstance(layer, str):
            found = [i for i, token in enumerate(tokens) if token == layer]
            if len(found) != 1:
                count = "not" if not found else f"{len(found)} times"
                raise ValueError(f"layer {layer!r} stands {count} in the architecture {tokens}")
            layer = found[0]
        if isinstance(layer, bool) or not isinstance(layer, Integral):
            raise TypeError(f"layer must be an integer, a token or None, got {type(layer).__name__}")
        if not -len(tokens) <= layer < len(tokens):
            raise ValueError(f"layer must lie in 0..{len(tokens) - 1}, got {layer}")
        at = range(len(tokens))[layer]
        return max(i for i, candidate in enumerate(layers) if candidate.position <= at)


def argmax(values: np.ndarray, out: np.ndarray) -> None:
    np.argmax(values, axis=1, out=out)


def _copy_flat(values: np.ndarray, out: np.ndarray) -> None:
    out[...] = values.reshape(out.shape)
