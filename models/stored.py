"""Fitted estimators in files: to come back as they were (`save`, `load`), and for other programs (`to_onnx`).

A saved estimator is one safetensors file: its arrays, and in the head of the file a JSON text with the rest. Reading it
executes nothing, whoever wrote it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

from models import checkpoints

FORMAT = "depthbench model 1"
#: Made on demand, or of use to a running training only.
_LEFT_OUT = (
    "_inference", "_trainer", "_optimizer", "_generator", "_rate_of", "_checkpoint_key", "_started_s",
    "_best_parameters", "_outside_s", "on_epoch",
)
_NUMBERS = (bool, int, float, str, type(None))


class Stored:
    """Mixed into the estimators of this package."""

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted estimator to a file, which :meth:`load` reads.

        Parameters
        ----------
        path : str or path
            ``model.safetensors``, say. What is there is replaced once the new file is whole.

        Raises
        ------
        sklearn.exceptions.NotFittedError
        TypeError
            A parameter or class label that is no number, text or array.
        OSError

        Examples
        --------
        >>> import tempfile, numpy as np
        >>> from models import MLPClassifier
        >>> X, y = np.eye(4), np.array(["a", "b", "a", "b"])
        >>> model = MLPClassifier((3,), solver="lbfgs", backend="reference", random_state=0).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.safetensors")
        ...     MLPClassifier.load(f"{folder}/model.safetensors").predict(X[:2])
        array(['a', 'b'], dtype='<U1')
        """
        check_is_fitted(self)
        arrays: dict[str, np.ndarray] = {}
        names = self._get_param_names()
        content = {
            "class": type(self).__name__,
            "parameters": {name: _packed(name, getattr(self, name), arrays) for name in names},
            "attributes": {
                name: _packed(name, value, arrays)
                for name, value in vars(self).items()
                if name not in names and name not in _LEFT_OUT
            },
        }
        checkpoints.write_file(Path(path), {"format": FORMAT, "content": json.dumps(content)}, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike):
        """Return the estimator that :meth:`save` wrote.

        Raises
        ------
        ValueError
            Not such a file, a damaged one, or one of another class; the message says which.
        OSError

        Notes
        -----
        An optimizer's state is not saved: `partial_fit` goes on from the weights with a fresh one.
        """
        arrays, metadata = checkpoints.read_file(Path(path))
        try:
            if metadata.get("format") != FORMAT:
                raise ValueError(f"{path} is no saved model of depthbench (its format is {metadata.get('format')!r})")
            content = json.loads(metadata["content"])
            if content["class"] != cls.__name__:
                raise ValueError(f"{path} holds a {content['class']}; load it with {content['class']}.load")
            parameters = {name: _unpacked(value, arrays) for name, value in content["parameters"].items()}
            unknown = set(parameters) - set(cls._get_param_names())
            if unknown:
                raise ValueError(f"{path} has parameters that this version does not know: {sorted(unknown)}")
            model = cls(**parameters)
            for name, value in content["attributes"].items():
                if not name.isidentifier() or name.startswith("__") or callable(getattr(cls, name, None)):
                    raise ValueError(f"{path} would set {name!r}, which no saved model does")
                setattr(model, name, _unpacked(value, arrays))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is damaged: {type(error).__name__}: {error}") from None
        model._inference = {}
        return model

    def to_onnx(self, path: str | os.PathLike) -> None:
        """Write the fitted network as an ONNX model; needs the package ``onnx``.

        The model takes ``x`` (n, n_features), rows of the values that :meth:`predict` takes, and gives ``output`` (n, k):
        probabilities as of `predict_proba`, or for a regressor its predictions. Its metadata have ``classes`` in JSON.

        Raises
        ------
        ImportError
            The package is not there.
        """
        check_is_fitted(self)
        try:
            import onnx
        except ImportError:
            raise ImportError("to_onnx needs the package onnx: pip install 'depthbench[peers]'") from None
        classes = [c.item() if isinstance(c, np.generic) else c for c in getattr(self, "classes_", ())]
        onnx.save(self._onnx_graph().model(type(self).__name__, **self._onnx_values(), classes=json.dumps(classes)), path)

    def summary(self) -> str:
        """Return the layers of the fitted network as a table: shapes, parameters, FLOPs and memory of one sample.

        Examples
        --------
        >>> import numpy as np
        >>> from models import ConvNetClassifier
        >>> X, y = np.zeros((4, 6, 6)), np.array([0, 1, 0, 1])
        >>> model = ConvNetClassifier("c4k3 bn m2 out", max_iter=1, backend="reference").fit(X, y)
        >>> print(model.summary())
        layer    kind       output  parameters  FLOPs  memory
        c4k3     Conv2D     4x4x4           36  1,152   256 B
        bn       BatchNorm  4x4x4            8    192   256 B
        m2       MaxPool2D  2x2x4            0     64    64 B
        flatten  Flatten    16               0      0     0 B
        out      Dense      2               34     66     8 B
        total                               78  1,474   584 B
        """
        check_is_fitted(self)
        itemsize = self.coefs_[0].dtype.itemsize
        lines = [("layer", "kind", "output", "parameters", "FLOPs", "memory")]
        layers = self._layers(sparse=False)
        for layer in layers:
            shape = "x".join(map(str, layer.output_shape))
            name = layer.name if len(layer.name) <= 32 else layer.name[:29] + "..."
            sizes = layer.n_parameters, layer.flops, layer.activation_elements * itemsize
            lines.append((name, type(layer).__name__, shape, f"{sizes[0]:,}", f"{sizes[1]:,}", _bytes(sizes[2])))
        totals = (sum(layer.n_parameters for layer in layers), sum(layer.flops for layer in layers))
        memory = _bytes(itemsize * sum(layer.activation_elements for layer in layers))
        lines.append(("total", "", "", *(f"{n:,}" for n in totals), memory))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(t.ljust(w) if i < 3 else t.rjust(w) for i, (t, w) in enumerate(zip(line, widths, strict=True)))
            for line in lines
        )


def _bytes(n: int) -> str:
    for unit, size in (("MiB", 2**20), ("KiB", 2**10)):
        if n >= size:
            return f"{n / size:.1f} {unit}"
    return f"{n} B"


# -- values as JSON, their arrays apart ------------------------------------------------------------------------------------


def _packed(name: str, value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return a value as JSON takes it; arrays of numbers go to `arrays`."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        key = str(len(arrays))
        arrays[key] = np.ascontiguousarray(value)
        return {"array": key}
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
        return {"texts": [_packed(name, v, arrays) for v in value.tolist()], "dtype": value.dtype.str}
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return {"number": value.item(), "dtype": value.dtype.str}
    if type(value) in _NUMBERS:
        return value
    if isinstance(value, np.str_):
        return str(value)
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_packed(name, v, arrays) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[_packed(name, k, arrays), _packed(name, v, arrays)] for k, v in value.items()]}
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.random.RandomState):
        keys, rest = checkpoints.random_state(value)
        return {"random_state": [_packed(name, keys, arrays), rest]}
    if isinstance(value, LabelBinarizer):
        return {"labels": [[k, _packed(name, v, arrays)] for k, v in vars(value).items()]}
    raise TypeError(f"{name} cannot be saved: it is a {type(value).__name__}, neither numbers nor text")


def _unpacked(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Return what :func:`_packed` was given."""
    if not isinstance(value, dict):
        return value
    [kind, content], *_ = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "texts":
        return np.array([_unpacked(v, arrays) for v in content], dtype=np.dtype(value["dtype"]))
    if kind == "number":
        return np.dtype(value["dtype"]).type(content)
    if kind in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[kind](_unpacked(v, arrays) for v in content)
    if kind == "dict":
        return {_unpacked(k, arrays): _unpacked(v, arrays) for k, v in content}
    if kind == "random_state":
        state = np.random.RandomState()
        checkpoints.restore_random_state(state, _unpacked(content[0], arrays), content[1])
        return state
    if kind == "labels":
        labels = LabelBinarizer()
        for name, v in content:
            setattr(labels, name, _unpacked(v, arrays))
        return labels
    raise TypeError(f"a value of unknown kind {kind!r}")
