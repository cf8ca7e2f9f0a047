"""TextClassifier: words as vectors that are learned, the mean of a text's vectors, and a multi-layer perceptron on it.

A word is a number; the table of the network's first layer has a row for each. A text is the mean of its words' rows: their
order is lost, their meaning is not, as rows of words that are used alike come to lie close to each other. With no hidden layer
this is fastText's classifier (Joulin, Grave, Bojanowski & Mikolov, EACL 2017), with some a deep averaging network (Iyyer,
Manjunatha, Boyd-Graber & Daumé, ACL 2015), whose *word dropout* it has too: in training, each word is left out of a text with
some probability, so that no text can be learned by a single word of it.

0 is no word: padding, or a word that is not in the vocabulary. Rows of X may hold it anywhere.
"""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from models.estimator import KERNEL_ACTIVATIONS
from models.inference import Inference, load_kernels, resolve_threads
from models.layers import Dense, Layer, Parameter
from models.losses import SoftmaxCrossEntropy, softmax
from models.network import Network
from models.optimizers import Adam
from models.training import Batches, StochasticTraining, stratification

#: Word numbers are below this.
MOST_WORDS = 2**31


def packed(X: np.ndarray) -> np.ndarray:
    """Return rows of word numbers with their words in front, in their order, and all zeros behind.

    Examples
    --------
    >>> packed(np.array([[0, 3, 0, 1], [2, 0, 0, 0]]))
    array([[3, 1, 0, 0],
           [2, 0, 0, 0]])
    """
    order = np.argsort(X == 0, axis=1, kind="stable")
    return np.take_along_axis(X, order, axis=1)


class EmbeddingMean(Layer):
    """y = mean of the rows of W that a text's words point to. x (N, T) packed word numbers, W (V, D), y (N, D)."""

    traceable = False  # its input are integers, and as long as the longest text of a batch
    input_dtype = np.dtype(np.int64)

    def __init__(self, name: str, n_words: int, size: int):
        super().__init__(name, (1,), (size,))
        # one word in, `size` values out
        self.parameters = (Parameter((n_words, size), 1, size, is_weight=True),)

    @property
    def flops(self):
        return self.output_shape[0]

    def bind_parameters(self, arrays):
        super().bind_parameters(arrays)
        (self.weight,) = arrays

    def bind_gradients(self, arrays):
        (self.weight_gradient,) = arrays

    def forward(self, x):
        self._x, self._lengths = x, np.count_nonzero(x, axis=1)
        return self.k.embedding_mean(self.weight, x, self._lengths, out=self._y(len(x)), n_threads=self.n_threads)

    def backward(self, dy):
        self.k.embedding_mean_backward(
            dy, self._x, self._lengths, len(self.weight), out=self.weight_gradient, n_threads=self.n_threads
        )


class TextClassifier(ClassifierMixin, StochasticTraining, BaseEstimator):
    """A classifier of texts, given as rows of word numbers.

    Parameters
    ----------
    embedding_size : int
        D, the length of a word's vector.
    hidden_layer_sizes : sequence of int
        Units of the layers between the mean and the classes; none makes the classifier linear in the mean.
    activation : {"identity", "logistic", "tanh", "relu"}
    n_words : int, optional
        Rows of the table: word numbers are below it. One more than the largest in `fit`'s X where None.
    word_dropout : float
        Probability with which a word is left out of a text in a step of training.
    alpha : float
        Strength of the L2 term on weights and table, divided by the size of the batch.
    batch_size, learning_rate_init, max_iter, shuffle, tol, n_iter_no_change, early_stopping, validation_fraction, verbose
        As of ``MLPClassifier`` with Adam. A fixed number of epochs is the usual end, of which nothing warns.
    random_state : int, RandomState or None
    dtype : {"float32", "float64"}
    backend : str
        Of the kernels; see :func:`kernels.backends`.
    n_jobs : int or None
        Threads.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    embedding_ : ndarray (n_words, D)
        The table; row 0 belongs to no word.
    coefs_, intercepts_ : lists of ndarray
        Of the layers behind it.
    loss_curve_ : list of float
        Mean loss of each epoch.

    Examples
    --------
    >>> X = np.array([[1, 2, 0], [1, 3, 3], [4, 2, 0], [4, 3, 3]] * 8)  # word 1 or word 4 decides
    >>> y = np.array(["tea", "tea", "car", "car"] * 8)
    >>> model = TextClassifier(4, (), word_dropout=0.0, learning_rate_init=0.05, random_state=0, backend="reference")
    >>> model.fit(X, y).predict([[2, 3, 1], [4, 0, 0]])
    array(['tea', 'car'], dtype='<U3')
    """

    _parameter_constraints: dict = {  # noqa: RUF012 - scikit-learn's protocol
        "embedding_size": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(KERNEL_ACTIVATIONS))],
        "n_words": [Interval(Integral, 1, None, closed="left"), None],
        "word_dropout": [Interval(Real, 0, 1, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "tol": [Real],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
        "dtype": [StrOptions({"float32", "float64"})],
        "backend": [str],
        "n_jobs": [Integral, None],
    }

    _stops_when_diverging = True

    def __init__(
        self, embedding_size=50, hidden_layer_sizes=(50,), activation="relu", *, n_words=None, word_dropout=0.3, alpha=1e-4,
        batch_size=64, learning_rate_init=0.005, max_iter=20, shuffle=True, tol=1e-4, n_iter_no_change=10,
        early_stopping=False, validation_fraction=0.1, verbose=False, random_state=None, dtype="float32", backend="cython",
        n_jobs=None,
    ):  # fmt: skip
        self.embedding_size = embedding_size
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_words = n_words
        self.word_dropout = word_dropout
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.verbose = verbose
        self.random_state = random_state
        self.dtype = dtype
        self.backend = backend
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        """Learn table and layers from texts and their classes.

        Parameters
        ----------
        X : integer array-like (n, T), 0 where there is no word
        y : array-like (n,)

        Returns
        -------
        self

        Raises
        ------
        ValueError
            X is no matrix of integers of at least 0 (below `n_words`, where that is given), y is no vector of as many classes.
        DivergenceError
            The loss became infinite or NaN.
        """
        kernels = load_kernels(self.backend)
        X = self._words(X, self.n_words)
        y = np.asarray(y)
        if y.ndim != 1 or len(y) != len(X):
            raise ValueError(f"y must have shape ({len(X)},), one class for each text, got {y.shape}")
        check_classification_targets(y)
        self.classes_, target = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must have at least two classes, got {self.classes_}")
        self.n_words_ = int(X.max(initial=0)) + 1 if self.n_words is None else int(self.n_words)
        self._random_state = check_random_state(self.random_state)
        batch_size = min(200 if self.batch_size == "auto" else self.batch_size, len(X))
        n_threads = resolve_threads(self.n_jobs)
        network = Network(self._layers(), kernels=kernels, dtype=self.dtype, max_batch=batch_size, n_threads=n_threads)
        network.initialize(self._random_state)
        loss = SoftmaxCrossEntropy(kernels, network.dtype, batch_size, len(self.classes_), n_threads)
        self._reset_history()
        self._optimizer = Adam(network.vector, network.n_weights, self.learning_rate_init)
        self.embedding_, *self.coefs_ = network.weights
        self.intercepts_ = network.biases
        rows, score = None, None
        if self.early_stopping:
            rows, validation = self._split_validation(len(X), stratification(self, target))
            score = lambda: float(np.mean(self.predict(X[validation]) == y[validation]))  # noqa: E731
        batches = Batches(X, target, None, batch_size, change=self._drop_words if self.word_dropout else None)
        n_samples = len(X) if rows is None else len(rows)
        self._run_epochs(network, loss, batches, n_samples=n_samples, batch_size=batch_size, rows=rows, score=score)
        del self._optimizer, self._best_parameters
        return self

    def _layers(self) -> list[Layer]:
        """Return the table and the dense layers behind it."""
        sizes = [self.embedding_size, *self.hidden_layer_sizes]
        kind = KERNEL_ACTIVATIONS[self.activation]
        hidden = [Dense(str(n), before, n, kind) for before, n in pairwise(sizes)]
        table = EmbeddingMean("embedding", self.n_words_, self.embedding_size)
        return [table, *hidden, Dense("out", sizes[-1], len(self.classes_))]

    def _drop_words(self, x: np.ndarray) -> None:
        """Leave words of a batch out, in place; a text of which none were left keeps them all."""
        kept = np.where(self._random_state.random_sample(x.shape) < self.word_dropout, 0, x)
        some = kept.any(axis=1)
        x[some] = packed(kept[some])

    def _words(self, X, n_words: int | None) -> np.ndarray:
        """Return X checked and packed, without the columns in which no text has a word."""
        X = np.asarray(X)
        if X.ndim != 2 or X.dtype.kind not in "iuf":
            raise ValueError(f"X must be a matrix of word numbers, got shape {X.shape} of {X.dtype}")
        if X.dtype.kind == "f" and (np.isinf(X) | (np.floor(X) != X)).any():
            raise ValueError("X must hold word numbers, which are integers; a vectorizer's output is for other classifiers")
        if X.size == 0:
            raise ValueError(f"X must have at least one text and one column, got shape {X.shape}")
        X = X.astype(np.int64)
        most = MOST_WORDS if n_words is None else n_words
        wrong = X[(X < 0) | (most <= X)]
        if len(wrong):
            raise ValueError(f"X must hold word numbers in 0..{most - 1}, got {wrong[0]}")
        X = packed(X)
        longest = int(np.count_nonzero(X, axis=1).max())
        return np.ascontiguousarray(X[:, : max(1, longest)])

    def predict_proba(self, X):
        """Return the probability of each class, (n, n_classes), in the order of ``classes_``.

        A text without words gets what the layers make of a mean of zeros.
        """
        check_is_fitted(self)
        X = self._words(X, self.n_words_)
        parameters = [self.embedding_, *(p for pair in zip(self.coefs_, self.intercepts_, strict=True) for p in pair)]
        inference = Inference(
            self._layers(), parameters, kernels=load_kernels(self.backend), dtype=self.embedding_.dtype,
            n_threads=resolve_threads(self.n_jobs),
        )  # fmt: skip
        out = np.empty((len(X), len(self.classes_)), self.embedding_.dtype)
        return inference.run(X, softmax, out)

    def predict(self, X):
        """Return the most probable class of each text, (n,)."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def nearest_words(self, word: int, n: int = 10, *, among: np.ndarray | None = None) -> list[tuple[int, float]]:
        """Return the words whose vectors point most nearly where a word's does, with the cosines of the angles between.

        Parameters
        ----------
        word : int
        n : int
            How many.
        among : array of int, optional
            Only of these; default: all but 0.

        Examples
        --------
        >>> model = TextClassifier()
        >>> model.embedding_, model.n_words_ = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 3.0]]), 4
        >>> [(w, round(c, 3)) for w, c in model.nearest_words(1, 2)]
        [(3, 0.707), (2, 0.0)]
        """
        check_is_fitted(self, "embedding_")
        if not 0 < word < self.n_words_:
            raise ValueError(f"word must lie in 1..{self.n_words_ - 1}, got {word}")
        among = np.arange(1, self.n_words_) if among is None else np.asarray(among)
        among = among[among != word]
        lengths = np.linalg.norm(self.embedding_, axis=1)
        cosines = self.embedding_[among] @ self.embedding_[word] / np.maximum(lengths[among] * lengths[word], 1e-30)
        best = np.argsort(-cosines, kind="stable")[:n]
        return [(int(among[i]), float(cosines[i])) for i in best]

    def _warn_not_converged(self):
        """A fixed number of epochs is the usual end of such a training; nothing to warn of."""

    def _interrupted(self):
        raise  # what is being handled: Ctrl-C ends the program, not just the training

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.positive_only, tags.input_tags.categorical = True, True, True
        return tags
