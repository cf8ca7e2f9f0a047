"""ConvNetClassifier: convolutional networks as a scikit-learn estimator, on this project's kernels.

A network is named or given as a list of tokens (``models/architectures.py``). Images come as (n, H, W, C), (n, H, W) or
as flat rows; whatever they are, they are turned into one C-contiguous array of the network's dtype once, before the
first epoch (``models/images.py``).
"""

from __future__ import annotations

import math
from functools import partial
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import _check_partial_fit_first_call, check_classification_targets
from sklearn.utils.validation import _check_sample_weight

from models import architectures, augmentation
from models.estimator import KERNEL_ACTIVATIONS, NetworkEstimator
from models.images import ImageInput, mean_and_deviation
from models.inference import load_kernels
from models.initializers import SCHEMES, initial_parameters
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.optimizers import SGD, Adam, AdamW
from models.pointwise import OWN_PASS, Dropout
from models.prediction import Prediction, argmax
from models.resuming import Resuming
from models.schedules import RULES, schedule
from models.training import Batches

#: learning_rate_init where none is given.
LEARNING_RATES = {"sgd": 0.02, "adam": 0.001, "adamw": 0.001}
#: scikit-learn's names of activations and our further ones, and what layers call them.
ACTIVATIONS = {**KERNEL_ACTIVATIONS, **{name: name for name in OWN_PASS}}


class ConvNetClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, ImageInput, Prediction, Resuming,
    NetworkEstimator,
    auto_wrap_output_keys=None,
):  # fmt: skip
    """Convolutional network, trained on the cross-entropy of its softmax.

    Parameters
    ----------
    architecture : str or list, default="lenet5"
        A named network ("lenet5", "resnet20", "mlp_residual_8" ...; ``depthbench list architectures``), or tokens:
        ``["c16k3p1", "bn", "m2", 64, "out"]``; see ``models/architectures.py``.
    image_shape : (H, W) or (H, W, C), optional
        What a row of a flat X is. Without it, flat X is one row of pixels: (1, n_features, 1).
    activation : {"relu", "leaky_relu", "gelu", "tanh", "logistic", "identity"}, default="relu"
        After every convolution and dense layer but the last, where the architecture does not name another.
    solver : {"sgd", "adam", "adamw"}, default="sgd"
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
        Of solvers "adam" and "adamw".
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
    initializer : {"auto", "glorot", "he", "lecun", "orthogonal", "uniform"}, default="auto"
        Starting weights (``models/initializers.py``).
    learning_rate : {"constant", "step", "cosine", "one_cycle"}, default="constant"
        How the learning rate goes from `learning_rate_init` over the `max_iter` epochs (``models/schedules.py``).
    warmup_epochs : float, default=0
        Over so many epochs it rises to what the schedule says.
    weight_decay : float, optional
        In the place of `alpha`: what is taken for the decay of the weights whatever the batch size is, as in PyTorch; with
        "adamw" not by way of the gradient.
    label_smoothing : float, default=0
    max_grad_norm : float, optional
        A gradient of larger norm is scaled down to it.
    augmentation : str or list of str, optional
        Random changes of the training images: ``"crop4 flip cutout8"`` (``models/augmentation.py``).
    class_weight : dict, "balanced" or None
        As in scikit-learn; multiplies sample weights.
    checkpoint : str or path, optional
        A file that keeps the training's state after each epoch. A `fit` that finds one of its own there, of the same
        parameters and data, goes on behind it; when it has ended the file stays, and a third `fit` returns at once.

    Attributes
    ----------
    classes_ : ndarray
    architecture_ : tuple of str
    image_shape_ : (H, W, C)
    coefs_, intercepts_ : list of ndarray
        Filters (KH, KW, C_in // groups, C_out) or weight matrices of each layer that has them; and biases, and gamma and
        beta of normalizations.
    statistics_ : list of ndarray
        Running means and variances of batch normalizations.
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
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"sgd", "adam", "adamw"})],
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
        "initializer": [StrOptions(set(SCHEMES))],
        "learning_rate": [StrOptions(set(RULES))],
        "warmup_epochs": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left"), None],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "augmentation": [str, list, tuple, None],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "checkpoint": [str, Path, None],
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
        initializer="auto",
        learning_rate="constant",
        warmup_epochs=0,
        weight_decay=None,
        label_smoothing=0.0,
        max_grad_norm=None,
        augmentation=None,
        class_weight=None,
        checkpoint=None,
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
        self.initializer = initializer
        self.learning_rate = learning_rate
        self.warmup_epochs = warmup_epochs
        self.weight_decay = weight_decay
        self.label_smoothing = label_smoothing
        self.max_grad_norm = max_grad_norm
        self.augmentation = augmentation
        self.class_weight = class_weight
        self.checkpoint = checkpoint

    # -- fitting -------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Train on images X (n, H, W, C), (n, H, W) or flat (n, H * W * C) with class labels y (n,)."""
        first_pass = not (self.warm_start and hasattr(self, "coefs_"))
        return self._fit(X, y, sample_weight, first_pass=first_pass, incremental=False)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch; `classes`, needed in the first call, are all classes there will ever be."""
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        if self.class_weight == "balanced":
            raise ValueError("partial_fit cannot know how often classes occur; give class_weight as a dict")
        first_pass = _check_partial_fit_first_call(self, classes) or not hasattr(self, "coefs_")
        return self._fit(X, y, sample_weight, first_pass=first_pass, incremental=True)

    def _fit(self, X, y, sample_weight, *, first_pass: bool, incremental: bool):
        kernels = load_kernels(self.backend)  # refused before a sample is looked at
        changes = augmentation.parse(self.augmentation)
        X, y, image = self._validated(X, y, reset=first_pass)
        check_classification_targets(y)
        if first_pass and not incremental:
            self.classes_ = np.unique(y)
        labels = self._labels(y)
        weight = self._weights_of_samples(X, y, labels, sample_weight)
        self._random_state = check_random_state(self.random_state)
        if first_pass:
            self._initialize(X, image, weight)
        self._begin(X, labels, weight, incremental)
        X = X.reshape(-1, *self.image_shape_)
        rows, score, n_samples = None, None, X.shape[0]
        if self.early_stopping:
            rows, validation = self._split_validation(n_samples, labels)
            score = self._validation_score(X, labels, weight, validation)
            n_samples = len(rows)
        batch_size = min(self.batch_size, n_samples)
        network, loss = self._training_network(kernels, self.dtype, batch_size)
        self._share_generator(network, needed=bool(changes))
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._new_optimizer(network)
        batches = Batches(
            X, labels, weight, batch_size, shift=self.pixel_mean_, scale=1.0 / self.pixel_scale_,
            change=partial(self._augmented, changes) if changes else None,
        )  # fmt: skip
        try:
            with np.errstate(all="ignore"):  # a loss that is not finite raises DivergenceError
                self._run_epochs(
                    network, loss, batches, n_samples=n_samples, batch_size=batch_size, rows=rows, score=score,
                    incremental=incremental, schedule=None if incremental else self._schedule(n_samples, batch_size),
                )  # fmt: skip
        finally:
            self._rate_of = None
            if not incremental:
                self._drop_trainer()
        return self

    def _weights_of_samples(self, X, y, labels: np.ndarray, sample_weight) -> np.ndarray | None:
        if sample_weight is None and self.class_weight is None:
            return None
        weight = _check_sample_weight(sample_weight, X, dtype=np.dtype(self.dtype), copy=True, ensure_non_negative=True)
        if self.class_weight is not None:
            weight *= compute_class_weight(self.class_weight, classes=self.classes_, y=y)[labels].astype(weight.dtype)
        return weight

    def _share_generator(self, network: Network, *, needed: bool) -> None:
        """Let dropouts and augmentation draw from one generator of this fit; where there are none, none is drawn."""
        dropouts = [layer for layer in network.layers if isinstance(layer, Dropout)]
        if not (dropouts or needed):
            self._generator = None
            return
        if getattr(self, "_generator", None) is None:
            self._generator = np.random.default_rng(self._random_state.randint(2**31))
        for layer in dropouts:
            layer.draws.generator = self._generator

    def _augmented(self, changes, x: np.ndarray) -> None:
        fill = 0.0 if self.standardize else float(x.mean())
        for change in changes:
            change(x, self._generator, fill)

    def _schedule(self, n_samples: int, batch_size: int):
        if self.learning_rate == "constant" and not self.warmup_epochs:
            return None
        n_batches = -(-n_samples // batch_size)
        return schedule(self.learning_rate, self.max_iter * n_batches, round(self.warmup_epochs * n_batches))

    def _step_options(self):
        if self.weight_decay is None:
            return {"alpha": self.alpha, "max_norm": self.max_grad_norm}
        return {"weight_decay": self.weight_decay, "max_norm": self.max_grad_norm}

    def _initialize(self, X: np.ndarray, image: tuple[int, ...] | None, weight: np.ndarray | None) -> None:
        self._reset_history()
        for name in ("_optimizer", "_generator"):
            self.__dict__.pop(name, None)
        self.image_shape_ = self._resolve_image_shape(image, X.shape[1])
        self.architecture_ = architectures.parse(self.architecture)
        self.pixel_mean_, self.pixel_scale_ = mean_and_deviation(X, weight) if self.standardize else (0.0, 1.0)
        layers, dtype = self._layers(), np.dtype(self.dtype)
        parameters = initial_parameters(layers, self._random_state, dtype, self.initializer)
        self._kinds = tuple(p.is_weight for layer in layers for p in layer.parameters)
        self.coefs_ = [array for array, is_weight in zip(parameters, self._kinds, strict=True) if is_weight]
        self.intercepts_ = [array for array, is_weight in zip(parameters, self._kinds, strict=True) if not is_weight]
        self.statistics_ = [np.full(s.shape, s.initial, dtype) for layer in layers for s in layer.states]
        self._n_features_out = math.prod(layers[-1].input_shape)

    def _parameter_kinds(self):
        return self._kinds

    @property
    def _states(self):
        return self.statistics_

    @_states.setter
    def _states(self, arrays):
        self.statistics_ = arrays

    def _layers(self, *, sparse=False):
        activation = ACTIVATIONS[self.activation]
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
        return self.activation, self.architecture_, self.image_shape_, self.dtype, self.label_smoothing

    def _loss(self, kernels, dtype, max_batch, n_threads):
        n_classes = len(self.classes_)
        return SoftmaxCrossEntropy(kernels, dtype, max_batch, n_classes, n_threads, smoothing=self.label_smoothing)

    def _new_optimizer(self, network) -> SGD | Adam:
        rate = LEARNING_RATES[self.solver] if self.learning_rate_init is None else self.learning_rate_init
        if self.solver == "sgd":
            return SGD(
                network.vector, network.n_weights, rate, momentum=self.momentum, nesterov=self.nesterovs_momentum
            )
        return (AdamW if self.solver == "adamw" else Adam)(
            network.vector, network.n_weights, rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon
        )

    def _labels(self, y: np.ndarray) -> np.ndarray:
        """Return the positions of y in ``classes_``."""
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has classes {unknown} that are not among the classes trained so far, {self.classes_}")
        return np.searchsorted(self.classes_, y).astype(np.int64, copy=False)

    def _validation_score(self, X, labels, weight, rows):
        X, labels = X[rows], labels[rows]
        weight = None if weight is None else weight[rows]

        def score() -> float:
            predicted = self._run(X, argmax, np.empty(len(rows), np.intp))
            return float(accuracy_score(labels, predicted, sample_weight=weight))

        return score

    def _warn_not_converged(self):
        """A fixed number of epochs is the usual end of such a training; nothing to warn of."""

    def _interrupted(self):
        raise  # what is being handled: Ctrl-C ends the program, not just the training

    def _onnx_input(self, graph):
        from models.onnx_export import image_input

        if self.pixel_mean_ != 0.0 or self.pixel_scale_ != 1.0:
            dtype = np.dtype(self.dtype).type
            graph.add("Sub", graph.value, graph.constant(np.array(self.pixel_mean_, dtype)))
            graph.add("Mul", graph.value, graph.constant(np.array(1.0 / self.pixel_scale_, dtype)))
        image_input(graph, self.image_shape_)

    def _onnx_output(self, graph):
        graph.add("Softmax", graph.value, output="output", axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
