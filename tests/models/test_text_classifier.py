"""TextClassifier: gradients by central differences, what it learns, what it does with unknown words, and what it refuses."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

import kernels
from models import TextClassifier
from models.layers import Dense
from models.losses import SoftmaxCrossEntropy
from models.network import Network
from models.text import EmbeddingMean, packed


def texts(n=240, seed=0):
    """Texts of 2 to 8 words in any order; words 1 to 5 speak for class 0, 6 to 10 for class 1, the rest for nothing."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    X = np.zeros((n, 10), int)
    for row, label in zip(X, y, strict=True):
        length = rng.integers(2, 9)
        row[:length] = rng.integers(11, 40, length)
        row[rng.integers(0, length)] = rng.integers(1, 6) + 5 * label
    return X, y


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_gradients_by_central_differences(backend, hidden):
    """The loss for every row of the table, every weight and every bias, in float64."""
    sizes = [3, *hidden]
    layers = [EmbeddingMean("embedding", 7, 3)]
    layers += [Dense(str(b), a, b, "tanh") for a, b in zip(sizes[:-1], hidden, strict=True)]
    network = Network([*layers, Dense("out", sizes[-1], 3)], kernels=backend, dtype=np.float64, max_batch=5)
    network.initialize(np.random.RandomState(0))
    x = packed(np.array([[1, 2, 0, 2], [6, 0, 0, 0], [3, 3, 3, 3], [0, 0, 0, 0], [5, 0, 1, 2]]))
    labels, step = np.array([0, 1, 2, 0, 1]), 1e-5
    loss = SoftmaxCrossEntropy(backend, np.float64, 5, 3)
    loss(network.forward(x), labels, None, network.delta(5))
    network.backward(network.delta(5))
    expected = np.empty_like(network.gradient)
    for i, value in enumerate(network.vector.copy()):
        sides = []
        for moved in (value + step, value - step):
            network.vector[i] = moved
            sides.append(loss(network.forward(x), labels, None, np.empty((5, 3))))
        network.vector[i] = value
        expected[i] = (sides[0] - sides[1]) / (2 * step)
    np.testing.assert_allclose(network.gradient, expected, rtol=1e-6, atol=1e-9)
    assert np.abs(network.gradient).max() > 1e-2


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_it_learns_which_words_decide(hidden):
    X, y = texts()
    other, truth = texts(200, seed=1)
    model = TextClassifier(8, hidden, learning_rate_init=0.02, max_iter=15, batch_size=16, random_state=0).fit(X, y)
    assert model.score(other, truth) > 0.9
    probability = model.predict_proba(other)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-5)
    near = [word for word, _ in model.nearest_words(1, 4, among=np.arange(1, 11))]
    assert sorted(near) == [2, 3, 4, 5], "words that speak for one class point one way"
    assert len(model.loss_curve_) == 15 and model.embedding_.shape == (40, 8)


def test_order_of_words_and_places_of_zeros_do_not_matter():
    X, y = texts()
    model = TextClassifier(4, max_iter=2, random_state=0, n_words=50).fit(X, y)
    moved = np.zeros((len(X), 30), int)
    moved[:, 29:9:-2] = X
    np.testing.assert_allclose(model.predict_proba(moved), model.predict_proba(X), rtol=1e-5)
    nothing = model.predict_proba(np.zeros((1, 3), int))
    assert np.isfinite(nothing).all()


def test_repeats_and_copies():
    X, y = texts()
    model = TextClassifier(6, random_state=3, max_iter=3)
    first, again = clone(model).fit(X, y), clone(model).fit(X, y)
    np.testing.assert_array_equal(first.embedding_, again.embedding_)
    threads = clone(model).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_allclose(threads.predict_proba(X), first.predict_proba(X), rtol=1e-3)
    copy = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(copy.predict_proba(X), first.predict_proba(X))
    floats = clone(model).fit(X.astype(np.float32), y)  # as a table of numbers comes
    np.testing.assert_array_equal(floats.embedding_, first.embedding_)


def test_backends_learn_the_same():
    X, y = texts(60)
    settings = {"random_state": 0, "max_iter": 3, "dtype": "float64", "batch_size": 16}
    found = [TextClassifier(5, backend=name, **settings).fit(X, y).embedding_ for name in kernels.backends()]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-8, atol=1e-10)


def test_word_dropout_leaves_words_out_and_no_text_empty():
    seen = []

    class Watched(TextClassifier):
        def _drop_words(self, x):
            super()._drop_words(x)
            seen.append(x.copy())

    X, y = texts(400)
    Watched(2, (), word_dropout=0.5, max_iter=1, batch_size=100, random_state=0, shuffle=False).fit(X, y)
    left = np.vstack(seen)
    assert len(left) == 400 and (np.count_nonzero(left, axis=1) >= 1).all()
    assert 0.45 < np.count_nonzero(left) / np.count_nonzero(X) < 0.65
    np.testing.assert_array_equal(packed(left), left)
    for kept, row in zip(left, X, strict=True):
        assert set(kept) <= {0, *row}


def test_early_stopping_keeps_the_best():
    X, y = texts()
    model = TextClassifier(4, early_stopping=True, max_iter=12, random_state=0, learning_rate_init=0.02).fit(X, y)
    assert model.best_validation_score_ == max(model.validation_scores_)


GOOD = np.array([[1, 2], [3, 0]]), np.array([0, 1])


@pytest.mark.parametrize(
    ("X", "y", "options", "says"),
    [
        ([1, 2], [0, 1], {}, r"X must be a matrix of word numbers, got shape \(2,\)"),
        ([["a"], ["b"]], [0, 1], {}, "X must be a matrix of word numbers"),
        ([[0.5], [1.0]], [0, 1], {}, "X must hold word numbers, which are integers"),
        ([[np.nan], [1.0]], [0, 1], {}, "X must hold word numbers, which are integers"),
        ([[-1], [1]], [0, 1], {}, r"X must hold word numbers in 0\.\.2147483647, got -1"),
        ([[9], [1]], [0, 1], {"n_words": 9}, r"X must hold word numbers in 0\.\.8, got 9"),
        (np.zeros((0, 3)), [], {}, "X must have at least one text"),
        (GOOD[0], [0, 1, 1], {}, r"y must have shape \(2,\)"),
        (GOOD[0], [1, 1], {}, "at least two classes"),
        (GOOD[0], [0.5, 1.5], {}, "Unknown label type"),
        (*GOOD, {"word_dropout": 1.0}, "word_dropout"),
        (*GOOD, {"embedding_size": 0}, "embedding_size"),
        (*GOOD, {"backend": "cyton"}, "unknown backend"),
    ],
)
def test_what_it_refuses(X, y, options, says):
    with pytest.raises(ValueError, match=says):
        TextClassifier(**{"embedding_size": 2, "batch_size": 2, **options}).fit(np.asarray(X), np.asarray(y))


def test_a_number_that_fit_did_not_see_is_refused_and_named():
    model = TextClassifier(2, (), batch_size=2, max_iter=1).fit(*GOOD)
    with pytest.raises(ValueError, match=r"word numbers in 0\.\.3, got 4"):
        model.predict([[4, 1]])
    with pytest.raises(ValueError, match=r"word must lie in 1\.\.3, got 0"):
        model.nearest_words(0)
