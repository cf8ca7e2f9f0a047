"""What MLPClassifier and MLPRegressor share: parameters, fitting, prediction.

The estimators are scikit-learn's in every name, default, check, message and random number, and none of its arithmetic:
layers, losses and optimizers are this package's, on the kernels. Of scikit-learn only helpers for estimators are used,
those that other packages build on too; none of its neural network classes.
"""

from __future__ import annotations

import copy
import warnings
from itertools import pairwise
from numbers import Integral, Real

import numpy as np
import scipy.optimize
import scipy.sparse
from sklearn.base import _fit_context, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from models import initializers, losses
from models.estimator import KERNEL_ACTIVATIONS, NetworkEstimator
from models.inference import load_kernels
from models.layers import Dense, Layer, SparseDense
from models.losses import weight_sum
from models.network import Network
from models.optimizers import SGD, Adam
from models.training import Batches, stratification

STOCHASTIC_SOLVERS = ("sgd", "adam")

_LOSSES = {
    "softmax": losses.SoftmaxCrossEntropy,
    "logistic": losses.LogisticCrossEntropy,
    "identity": losses.SquaredError,
    "exp": losses.PoissonDeviance,
}


class BaseMLP(NetworkEstimator):
    """Base of the multi-layer perceptrons. Not for direct use."""

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's protocol
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(KERNEL_ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "backend": [str],
        "n_jobs": [Integral, None],
    }

    # -- fitting -------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the network to data matrix X and target(s) y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 data gives float32 weights, anything else float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or real numbers.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight=sample_weight, incremental=False)

    def _fit(self, X, y, sample_weight=None, incremental=False):
        hidden = self._hidden_layer_sizes()
        first_pass = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        kernels = load_kernels(self.backend)  # refused before a sample is looked at
        X, y = self._validate_input(X, y, incremental, reset=first_pass)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        if y.ndim == 1:
            y = y.reshape(-1, 1)
        self.n_outputs_ = y.shape[1]
        self._random_state = check_random_state(self.random_state)
        if first_pass:
            self._initialize([X.shape[1], *hidden, self.n_outputs_], X.dtype)
        elif self.coefs_[-1].shape[1] != self.n_outputs_:
            raise ValueError(f"y has {self.n_outputs_} outputs, the fitted network {self.coefs_[-1].shape[1]}")
        if scipy.sparse.issparse(X):
            X = X.tocsr()
        with np.errstate(all="ignore"):  # a diverging loss is reported by what it leads to, as in scikit-learn
            if self.solver in STOCHASTIC_SOLVERS:
                self._fit_stochastic(kernels, X, y, sample_weight, incremental)
            else:
                self._fit_lbfgs(kernels, X, y, sample_weight)
        if not all(np.isfinite(parameter).all() for parameter in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may"
                " contain large values and need to be preprocessed."
            )
        return self

    def _hidden_layer_sizes(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        sizes = list(sizes) if hasattr(sizes, "__iter__") else [sizes]
        if np.any(np.array(sizes) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
        return sizes

    def _initialize(self, units: list[int], dtype) -> None:
        self._reset_history()
        if self.solver not in STOCHASTIC_SOLVERS:  # it has no curve
            del self.loss_curve_, self.best_loss_, self.validation_scores_, self.best_validation_score_
        self.n_layers_ = len(units)
        self.out_activation_ = self._choose_out_activation()
        self.coefs_, self.intercepts_ = [], []
        for fan_in, fan_out in pairwise(units):
            bound = initializers.glorot_bound(fan_in, fan_out, logistic=self.activation == "logistic")
            self.coefs_.append(initializers.uniform(self._random_state, bound, (fan_in, fan_out), dtype))
            self.intercepts_.append(initializers.uniform(self._random_state, bound, (fan_out,), dtype))

    def _choose_out_activation(self) -> str:
        raise NotImplementedError

    def _layers(self, *, sparse: bool) -> list[Layer]:
        activation = KERNEL_ACTIVATIONS[self.activation]
        last = len(self.coefs_) - 1
        layers = [
            Dense(f"dense_{i + 1}", *coef.shape, None if i == last else activation)
            for i, coef in enumerate(self.coefs_)
        ]
        if sparse:
            layers[0] = SparseDense("dense_1", *self.coefs_[0].shape, layers[0].activation)
        return layers

    def _layers_key(self):
        return self.activation, self.out_activation_

    def _loss(self, kernels, dtype, max_batch: int, n_threads: int) -> losses.Loss:
        clip = {"clip": True} if self.out_activation_ == "softmax" else {}
        return _LOSSES[self.out_activation_](kernels, dtype, max_batch, self.n_outputs_, n_threads, **clip)

    def _fit_stochastic(self, kernels, X, y, sample_weight, incremental: bool) -> None:
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        rows, score, n_samples = None, None, X.shape[0]
        if self.early_stopping:
            rows, validation = self._split_validation(n_samples, stratification(self, y))
            score = self._validation_score(X, y, sample_weight, validation)
            n_samples = len(rows)
        batch_size = self._resolve_batch_size(n_samples)
        dtype = self.coefs_[0].dtype if self.coefs_[0].dtype in (np.float32, np.float64) else np.float64
        network, loss = self._training_network(kernels, dtype, batch_size, sparse=scipy.sparse.issparse(X))
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._new_optimizer(network)
        weight = None if sample_weight is None else sample_weight.astype(dtype, copy=False)
        batches = Batches(X.astype(dtype, copy=False), self._target(y, loss, dtype), weight, batch_size)
        try:
            self._run_epochs(
                network, loss, batches, n_samples=n_samples, batch_size=batch_size, rows=rows, score=score,
                incremental=incremental,
            )  # fmt: skip
        finally:
            if not incremental:
                self._drop_trainer()

    def _new_optimizer(self, network: Network) -> SGD | Adam:
        if self.solver == "sgd":
            return SGD(
                network.vector, network.n_weights, self.learning_rate_init, schedule=self.learning_rate,
                momentum=self.momentum, nesterov=self.nesterovs_momentum, power_t=self.power_t,
            )  # fmt: skip
        return Adam(
            network.vector, network.n_weights, self.learning_rate_init, beta_1=self.beta_1, beta_2=self.beta_2,
            epsilon=self.epsilon,
        )  # fmt: skip

    @staticmethod
    def _target(y: np.ndarray, loss: losses.Loss, dtype) -> np.ndarray:
        """Return the targets as the loss takes them: labels from columns of 0 and 1, or a matrix of numbers."""
        if loss.takes_labels:
            return np.argmax(y, axis=1).astype(np.int64, copy=False)
        return np.ascontiguousarray(y, dtype=dtype)

    def _validation_score(self, X, y, sample_weight, rows):
        X, y = X[rows], y[rows]
        weight = None if sample_weight is None else sample_weight[rows]
        if is_classifier(self):
            y = self._label_binarizer.inverse_transform(y)

        def score() -> float:
            prediction = self._predict(X, check_input=False)
            if np.issubdtype(prediction.dtype, np.floating) and not np.isfinite(prediction).all():
                return np.nan
            return self._score_function(y, prediction, sample_weight=weight)

        return score

    # -- L-BFGS --------------------------------------------------------------------------------------------------

    def _fit_lbfgs(self, kernels, X, y, sample_weight) -> None:
        """Minimise the loss of all samples at once. The optimizer works in float64, whatever X is, as SciPy's does."""
        network, loss = self._training_network(kernels, np.float64, X.shape[0], sparse=scipy.sparse.issparse(X))
        weight = None if sample_weight is None else sample_weight.astype(np.float64, copy=False)
        arguments = (network, loss, X.astype(np.float64, copy=False), self._target(y, loss, np.float64), weight)
        try:
            result = scipy.optimize.minimize(
                self._full_batch, network.vector.copy(), args=arguments, method="L-BFGS-B", jac=True,
                options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
            )  # fmt: skip
        finally:
            self._drop_trainer()
        self.n_iter_ = min(result.nit, self.max_iter)
        if result.status != 0:
            self._warn_lbfgs(result)
        self.loss_ = result.fun
        network.vector[...] = result.x

    def _full_batch(self, packed, network: Network, loss: losses.Loss, X, target, weight):
        """Return loss and gradient at the parameters `packed`."""
        network.vector[...] = packed
        delta = network.delta(X.shape[0])
        value = loss(network.forward(X), target, weight, delta)
        network.backward(delta)
        coefs = network.vector[: network.n_weights]
        decay = self.alpha / weight_sum(weight, X.shape[0])
        network.gradient[: network.n_weights] += decay * coefs
        return value + 0.5 * decay * float(coefs @ coefs), network.gradient.copy()

    def _loss_grad_lbfgs(self, packed, X, y, sample_weight=None, *_):
        """Loss and gradient under the name, and with the arguments, that scikit-learn's own tests use."""
        estimator = copy.copy(self)
        network, loss = estimator._training_network(load_kernels(self.backend), np.float64, X.shape[0], sparse=False)
        return self._full_batch(packed, network, loss, X, self._target(y, loss, np.float64), sample_weight)

    def _warn_lbfgs(self, result) -> None:
        message = f"lbfgs failed to converge after {self.n_iter_} iteration(s) (status={result.status}):\n"
        message += f"{result.message}\n"
        if self.n_iter_ == self.max_iter:
            message += f"\nIncrease the number of iterations to improve the convergence (max_iter={self.max_iter})."
        message += "\nYou might also want to scale the data as shown in:\n"
        message += "    https://scikit-learn.org/stable/modules/preprocessing.html"
        warnings.warn(message, ConvergenceWarning, stacklevel=2)

    # -- prediction ----------------------------------------------------------------------------------------------

    def _forward(self, X, check_input: bool = True) -> np.ndarray:
        """Return the outputs (n_samples, n_outputs), after the link of the loss."""
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        sparse = scipy.sparse.issparse(X)
        dtype = np.result_type(X.dtype, *(p.dtype for p in self.coefs_))
        dtype = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
        if sparse:
            X = X.tocsr().astype(dtype, copy=False)
        inference, loss = self._inference_for(dtype, sparse=sparse)
        out = np.empty((X.shape[0], self.coefs_[-1].shape[1]), dtype)
        with np.errstate(all="ignore"):
            return inference.run(X, loss.link, out)

    def _onnx_output(self, graph):
        if self.out_activation_ == "softmax":
            graph.add("Softmax", graph.value, output="output", axis=1)
        else:
            graph.add({"logistic": "Sigmoid", "identity": "Identity", "exp": "Exp"}[self.out_activation_], graph.value,
                      output="output")  # fmt: skip

    def predict(self, X):
        """Predict class labels, or numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        check_is_fitted(self)
        return self._predict(X)

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC_SOLVERS:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

