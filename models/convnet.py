"""ConvNetClassifier: convolutional networks as a scikit-learn estimator, on this project's kernels.

A network is named or given as a list of tokens (``models/architectures.py``). Images come as (n, H, W, C), (n, H, W) or
as flat rows; whatever they are, they are turned into one C-contiguous array of the network's dtype once, before the
first epoch.

Pixels are brought to mean 0 and variance 1 with two numbers for the whole training set (LeCun et al., "Efficient
BackProp", 1998, section 4.3), batch by batch, so that a learning rate means the same for pixels in 0..1 and in 0..255.
"""

from __future__ import annotations

import math
from numbers import Integral, Real

import numpy as np
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from models import architectures
from models.estimator import KERNEL_ACTIVATIONS, NetworkEstimator
from models.inference import load_kernels
from models.initializers import initial_parameters
from models.layers import Flatten
from models.losses import SoftmaxCrossEntropy
from models.optimizers import SGD, Adam
from models.training import Batches

#: learning_rate_init where none is given.
LEARNING_RATES = {"sgd": 0.02, "adam": 0.001}


class ConvNetClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, NetworkEstimator, auto_wrap_output_keys=None
):
    """Convolutional network, trained on the cross-entropy of its softmax.

    Parameters
    ----------
    architecture : str or list, default="lenet5"
        A named network ("lenet5", "conv16_32", "conv32_64", "vgg_small"), or tokens: ``["c16k3p1", "m2", 64, "out"]``.
    image_shape : (H, W) or (H, W, C), optional
        What a row of a flat X is. Without it, flat X is one row of pixels: (1, n_features, 1).
    activation : {"relu", "tanh", "logistic", "identity"}, default="relu"
        After every convolution and dense layer but the last.
    solver : {"sgd", "adam"}, default="sgd"
    alpha : float, default=0.05
        Strength of the L2 term on the weights, divided by the number of samples of a batch as in `MLPClassifier`. At
        the default batch size 0.05 is a weight decay of 4e-4, about that of Krizhevsky et al. 2012 (5e-4).
    batch_size : int, default=128
        At most the number of samples.
    learning_rate_init : float, optional
        0.02 for "sgd", 0.001 for "adam" where not given.
    momentum, nesterovs_momentum
        Of solver "sgd".
    beta_1, beta_2, epsilon
        Of solver "adam".
    max_iter : int, default=50
        Epochs. Training takes exactly as many, unless a stopping rule ends it.
    tol, n_iter_no_change
        Training ends after `n_iter_no_change` epochs without an improvement of the training loss, or with
        `early_stopping` of the validation accuracy, of at least `tol`.
    early_stopping : bool, default=False
        Judge by a part of the training data that is set aside, and put the best weights back at the end.
    validation_fraction : float, default=0.1
    standardize : bool, default=True
        Subtract the mean of all training pixels and divide by their standard deviation: two numbers, the same for every
        pixel.
    shuffle : bool, default=True
    random_state : int, RandomState instance or None
    verbose, warm_start : bool, default=False
    dtype : {"float32", "float64"}, default="float32"
    backend : str, default="cython"
        One of :func:`kernels.backends`.
    n_jobs : int or None
        Threads of the kernels; None is one, -1 all.

    Attributes
    ----------
    classes_ : ndarray
    architecture_ : tuple of str
    image_shape_ : (H, W, C)
    coefs_, intercepts_ : list of ndarray
        Filters (KH, KW, C_in // groups, C_out) or weight matrices, and biases, of each layer that has them.
    pixel_mean_, pixel_scale_ : float
    loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, n_iter_, t_
        As in `MLPClassifier`.
    n_features_in_ : int
        Values per image.

    Raises
    ------
    ValueError
        Parameters or data that cannot be used; an architecture that does not fit the images.
    DivergenceError
        The loss became infinite or NaN.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> digits = load_digits()
    >>> model = ConvNetClassifier(["c8k3", "m2", "out"], max_iter=15, random_state=0, backend="reference")
    >>> model.fit(digits.images[:500], digits.target[:500]).score(digits.images[500:700], digits.target[500:700]) > 0.8
    True
    >>> model.transform(digits.images[:2]).shape
    (2, 72)
    """

    _stops_when_diverging = True

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's protocol
        "architecture": [str, list, tuple],
        "image_shape": ["array-like", None],
        "activation": [StrOptions(set(KERNEL_ACTIVATIONS))],
        "solver": [StrOptions({"sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), None],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "standardize": ["boolean"],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "backend": [str],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        architecture="lenet5",
        image_shape=None,
        *,
        activation="relu",
        solver="sgd",
        alpha=0.05,
        batch_size=128,
        learning_rate_init=None,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        max_iter=50,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        standardize=True,
        shuffle=True,
        random_state=None,
        verbose=False,
        warm_start=False,
        dtype="float32",
        backend="cython",
        n_jobs=None,
    ):
        self.architecture = architecture
        self.image_shape = image_shape
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.standardize = standardize
        self.shuffle = shuffle
        self.random_state = random_state
        self.verbose = verbose
        self.warm_start = warm_start
        self.dtype = dtype
        self.backend = backend
        self.n_jobs = n_jobs

    # -- fitting -------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Train on images X (n, H, W, C), (n, H, W) or flat (n, H * W * C) with class labels y (n,)."""
        return self._fit(X, y, first_pass=not (self.warm_start and hasattr(self, "coefs_")), incremental=False)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None):
        """Train for one epoch; `classes`, needed in the first call, are all classes there will ever be."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first_pass = _check_partial_fit_first_call(self, classes) or not hasattr(self, "coefs_")
        return self._fit(X, y, first_pass=first_pass, incremental=True)

    def _fit(self, X, y, *, first_pass: bool, incremental: bool):
        kernels = load_kernels(self.backend)  # refused before a sample is looked at
        X, y, image = self._validated(X, y, reset=first_pass)
        check_classification_targets(y)
        if first_pass and not incremental:
            self.classes_ = np.unique(y)
        labels = self._labels(y)
        self._random_state = check_random_state(self.random_state)
        if first_pass:
            self._initialize(X, image)
        X = X.reshape(-1, *self.image_shape_)
        rows, score, n_samples = None, None, X.shape[0]
        if self.early_stopping:
            rows, validation = self._split_validation(n_samples, labels)
            score = self._validation_score(X, labels, validation)
            n_samples = len(rows)
        batch_size = min(self.batch_size, n_samples)
        network, loss = self._training_network(kernels, self.dtype, batch_size)
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._new_optimizer(network)
        batches = Batches(X, labels, None, batch_size, shift=self.pixel_mean_, scale=1.0 / self.pixel_scale_)
        try:
            with np.errstate(all="ignore"):  # a loss that is not finite raises DivergenceError
                self._run_epochs(
                    network, loss, batches, n_samples=n_samples, batch_size=batch_size, rows=rows, score=score,
                    incremental=incremental,
                )  # fmt: skip
        finally:
            if not incremental:
                self._drop_trainer()
        return self

    def _initialize(self, X: np.ndarray, image: tuple[int, ...] | None) -> None:
        self._reset_history()
        self.__dict__.pop("_optimizer", None)
        self.image_shape_ = self._resolve_image_shape(image, X.shape[1])
        self.architecture_ = architectures.parse(self.architecture)
        self.pixel_mean_, self.pixel_scale_ = _mean_and_deviation(X) if self.standardize else (0.0, 1.0)
        parameters = initial_parameters(self._layers(), self._random_state, np.dtype(self.dtype))
        self.coefs_, self.intercepts_ = parameters[0::2], parameters[1::2]
        self._n_features_out = math.prod(self._layers()[-1].input_shape)

    def _layers(self, *, sparse=False):
        activation = KERNEL_ACTIVATIONS[self.activation]
        try:
            return architectures.build(
                self.architecture_, self.image_shape_, len(self.classes_), activation=activation
            )
        except ValueError as error:
            if self.image_shape is None and self.image_shape_[0] == self.image_shape_[2] == 1:
                raise ValueError(
                    f"{error}. X is flat and image_shape is not given, so each sample was taken for one row of "
                    f"{self.image_shape_[1]} pixels; pass image_shape=(height, width) or (height, width, channels)"
                ) from None
            raise

    def _layers_key(self):
        return self.activation, self.architecture_, self.image_shape_, self.dtype

    def _loss(self, kernels, dtype, max_batch, n_threads):
        return SoftmaxCrossEntropy(kernels, dtype, max_batch, len(self.classes_), n_threads)

    def _new_optimizer(self, network) -> SGD | Adam:
        rate = LEARNING_RATES[self.solver] if self.learning_rate_init is None else self.learning_rate_init
        if self.solver == "sgd":
            return SGD(
                network.vector, network.n_weights, rate, momentum=self.momentum, nesterov=self.nesterovs_momentum
            )
        return Adam(
            network.vector, network.n_weights, rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon
        )

    def _labels(self, y: np.ndarray) -> np.ndarray:
        """Return the positions of y in ``classes_``."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has classes {unknown} that are not among the classes trained so far, {self.classes_}")
        return np.searchsorted(self.classes_, y).astype(np.int64, copy=False)

    def _validation_score(self, X, labels, rows):
        X, labels = X[rows], labels[rows]
        return lambda: float(accuracy_score(labels, self._run(X, _argmax, np.empty(len(rows), np.intp))))

    def _warn_not_converged(self):
        """A fixed number of epochs is the usual end of such a training; nothing to warn of."""

    def _interrupted(self):
        raise  # what is being handled: Ctrl-C ends the program, not just the training

    # -- images --------------------------------------------------------------------------------------------------

    def _validated(self, X, y=None, *, reset: bool):
        """Return X as rows of the network's dtype, y where there is one, and the image shape that X itself has."""
        if not hasattr(X, "ndim") and isinstance(X, (list, tuple)):
            X = np.asarray(X)
        image = None
        if getattr(X, "ndim", 0) in (3, 4) and isinstance(X, np.ndarray):
            image = (*X.shape[1:], 1) if X.ndim == 3 else X.shape[1:]
            if not reset and image != self.image_shape_:
                raise ValueError(f"X has images of shape {image}, but this network was fitted on {self.image_shape_}")
            X = X.reshape(X.shape[0], math.prod(image))
        options = {"dtype": np.dtype(self.dtype), "order": "C", "reset": reset}
        with np.errstate(over="ignore"):  # a value too large for the dtype becomes inf, and is refused as such
            if y is None:
                return validate_data(self, X, **options), None, image
            return *validate_data(self, X, y, **options), image

    def _resolve_image_shape(self, image: tuple[int, ...] | None, n_features: int) -> tuple[int, int, int]:
        if self.image_shape is None:
            return image or (1, n_features, 1)
        given = tuple(self.image_shape)
        whole = all(isinstance(extent, Integral) and extent > 0 for extent in given)
        if len(given) not in (2, 3) or not whole:
            raise ValueError(f"image_shape must be (H, W) or (H, W, C) of positive integers, got {self.image_shape!r}")
        shape = tuple(int(extent) for extent in given) + (1,) * (3 - len(given))
        if math.prod(shape) != n_features:
            raise ValueError(
                f"image_shape {self.image_shape!r} has {math.prod(shape)} values, the samples of X have {n_features}"
            )
        if image is not None and image != shape:
            raise ValueError(f"X has images of shape {image}, but image_shape is {self.image_shape!r}")
        return shape

    def _standardized(self, x: np.ndarray) -> np.ndarray:
        if self.pixel_mean_ == 0.0 and self.pixel_scale_ == 1.0:
            return x
        x = x - x.dtype.type(self.pixel_mean_)
        x *= 1.0 / self.pixel_scale_
        return x

    # -- prediction ----------------------------------------------------------------------------------------------

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
        return self.classes_[self._run(X, _argmax, np.empty(len(X), np.intp))]

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

    def _position(self, layers, layer) -> int:
        """Return where a layer stands among the network's, which count flattening too."""
        positions = [i for i, candidate in enumerate(layers) if not isinstance(candidate, Flatten)]
        if isinstance(layer, str):
            found = [i for i, token in enumerate(self.architecture_) if token == layer]
            if len(found) != 1:
                count = "not" if not found else f"{len(found)} times"
                raise ValueError(f"layer {layer!r} stands {count} in the architecture {self.architecture_}")
            layer = found[0]
        if isinstance(layer, bool) or not isinstance(layer, Integral):
            raise TypeError(f"layer must be an integer, a token or None, got {type(layer).__name__}")
        if not -len(positions) <= layer < len(positions):
            raise ValueError(f"layer must lie in 0..{len(positions) - 1}, got {layer}")
        return positions[layer]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


def _argmax(values: np.ndarray, out: np.ndarray) -> None:
    np.argmax(values, axis=1, out=out)


def _copy_flat(values: np.ndarray, out: np.ndarray) -> None:
    out[...] = values.reshape(out.shape)


def _mean_and_deviation(X: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of all values, in float64 and without a copy of X; a constant X counts as 1."""
    mean = float(X.mean(dtype=np.float64))
    block = max(1, 2**18 // X.shape[1])
    squares = sum(float(np.square(X[i : i + block] - mean, dtype=np.float64).sum()) for i in range(0, len(X), block))
    deviation = math.sqrt(squares / X.size)
    return mean, deviation if deviation > 0.0 and math.isfinite(deviation) else 1.0
