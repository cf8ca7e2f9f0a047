"""Gradients for the input, against finite differences in float64, for every kind of layer and each estimator."""

import numpy as np
import pytest

import kernels
from models import ConvNetClassifier, MLPClassifier, MLPRegressor

ARCHITECTURES = {
    "plain": ["c4k3p1", "m2", "8", "out"],
    "bn": ["c4k3p1", "bn", "m2", "c4k3", "bn", "out"],
    "first_is_no_weight": ["m2", "c4k3p1", "out"],
    "dropout": ["c4k3p1", "drop30", "m2", "drop50", "8", "out"],
    "residual": ["c4k3p1", "bn", "(", "c4k3p1", "bn", "c4k3p1", "bn", ")", "gap", "out"],
    "layer_norm_gelu": ["c4k3p1", "ln", "gelu", "8", "leaky_relu", "out"],
    "dense": ["8", "drop20", "out"],
}


def images(n=12, shape=(6, 6, 2), seed=0):
    random = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return random.normal(size=(n, *shape)) * 3 + 1 + 0.3 * y[:, None, None, None], y


def numeric(f, X, positions, step=1e-6):
    """Central differences of f(X) (n,), one value of each sample moved at a time."""
    found = []
    for p in positions:
        moved = [X.copy(), X.copy()]
        for sign, m in zip((1, -1), moved, strict=True):
            m.reshape(len(X), -1)[:, p] += sign * step
        found.append((f(moved[0]) - f(moved[1])) / (2 * step))
    return np.array(found).T


@pytest.mark.parametrize(
    ("name", "backend"),
    [*((name, "reference") for name in ARCHITECTURES), *(("bn", b) for b in kernels.backends() if b == "cython")],
)
def test_loss_of_a_convnet_against_differences(name, backend):
    X, y = images()
    model = ConvNetClassifier(
        ARCHITECTURES[name], max_iter=3, dtype="float64", random_state=1, backend=backend, batch_size=6, activation="tanh"
    )
    model.fit(X, y)

    def losses(x):
        return -np.log(model.predict_proba(x)[np.arange(len(y)), y])

    positions = [0, 17, 35, 71]
    actual = model.input_gradient(X, y)
    assert actual.shape == X.shape and actual.dtype == np.float64
    np.testing.assert_allclose(actual.reshape(len(X), -1)[:, positions], numeric(losses, X, positions), rtol=2e-5, atol=1e-8)
    flat = model.input_gradient(X.reshape(len(X), -1), y)
    np.testing.assert_array_equal(flat, actual.reshape(len(X), -1))


def test_a_sample_does_not_depend_on_its_batch():
    X, y = images(200)
    model = ConvNetClassifier(ARCHITECTURES["bn"], max_iter=2, random_state=0, backend="reference").fit(X, y)
    whole = model.input_gradient(X, y)
    np.testing.assert_allclose(model.input_gradient(X[150:153], y[150:153]), whole[150:153], rtol=1e-4, atol=1e-7)


def test_fitted_state_is_left_alone():
    X, y = images(60)
    model = ConvNetClassifier(ARCHITECTURES["residual"], max_iter=2, random_state=0, backend="reference").fit(X, y)
    before = [a.copy() for a in (*model.coefs_, *model.intercepts_, *model.statistics_)]
    model.input_gradient(X, y)
    for a, b in zip((*model.coefs_, *model.intercepts_, *model.statistics_), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_of_an_mlp_without_hidden_layer_are_its_weights(n_classes):
    X, y = images(60)
    X, y = X.reshape(60, -1), y % n_classes
    model = MLPClassifier((), solver="lbfgs", max_iter=20, random_state=0, backend="reference", tol=1e9).fit(X, y)
    for c in range(n_classes):
        expected = model.coefs_[0][:, 0] * (2 * c - 1) if n_classes == 2 else model.coefs_[0][:, c]
        np.testing.assert_allclose(model.input_gradient(X[:2], [c, c], of="score"), [expected, expected], rtol=1e-12)
    predicted = model.predict(X)
    np.testing.assert_array_equal(model.input_gradient(X, of="score"), model.input_gradient(X, predicted, of="score"))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_loss_of_an_mlp_against_differences(n_classes):
    X, y = images(30)
    X, y = X.reshape(30, -1), np.array(["a", "b", "c"])[y % n_classes]
    model = MLPClassifier((7,), activation="tanh", max_iter=3, random_state=0, backend="reference").fit(X, y)

    def losses(x):
        return -np.log(model.predict_proba(x)[np.arange(30), np.searchsorted(model.classes_, y)])

    actual = model.input_gradient(X, y)[:, [0, 40]]
    np.testing.assert_allclose(actual, numeric(losses, X, [0, 40]), rtol=1e-5, atol=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_regression():
    X, y = images(30)
    X = X.reshape(30, -1)
    model = MLPRegressor(hidden_layer_sizes=(7,), activation="tanh", max_iter=3, random_state=0, backend="reference")
    model.fit(X, y.astype(float))
    slope = numeric(model.predict, X, [3])
    np.testing.assert_allclose(model.input_gradient(X, of="score")[:, [3]], slope, rtol=1e-5, atol=1e-8)
    expected = (model.predict(X) - y)[:, None] * slope
    np.testing.assert_allclose(model.input_gradient(X, y)[:, [3]], expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        (None, {}, "needs y"), ([0], {}, "12 samples, y has 1"), ([7] * 12, {}, "that are not among"),
        ([0] * 12, {"of": "logits"}, "one of 'loss', 'score'"),
    ],
)  # fmt: skip
def test_bad_input(y, options, words):
    X, labels = images()
    model = ConvNetClassifier(["out"], max_iter=1, backend="reference").fit(X, labels)
    with pytest.raises(ValueError, match=words):
        model.input_gradient(X, y, **options)


def test_norms_leave_running_statistics_alone():
    X, y = images()
    model = ConvNetClassifier(ARCHITECTURES["residual"], max_iter=1, random_state=1, backend="reference").fit(X, y)
    before = [s.copy() for s in model.statistics_]
    assert len(model.weight_gradient_norms(X, y)) == len(model.coefs_)
    assert all(np.array_equal(*pair) for pair in zip(before, model.statistics_, strict=True))


@pytest.mark.parametrize("name", ["plain", "layer_norm_gelu"])
def test_norms_of_the_weights_gradients_are_those_of_differences(name):
    X, y = images()
    model = ConvNetClassifier(
        ARCHITECTURES[name], max_iter=1, dtype="float64", random_state=1, backend="reference", batch_size=12, activation="tanh",
        learning_rate_init=1e-30, standardize=False, shuffle=False,
    ).fit(X, y)  # fmt: skip
    last, hidden = model.coefs_[-1], model.transform(X)

    def loss(position, step):
        moved = last.copy()
        moved.reshape(-1)[position] += step
        z = hidden @ moved + model.intercepts_[-1]
        z -= z.max(axis=1, keepdims=True)
        return np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y])

    gradient = [(loss(p, 1e-6) - loss(p, -1e-6)) / 2e-6 for p in range(last.size)]
    np.testing.assert_allclose(model.weight_gradient_norms(X, y)[-1], np.linalg.norm(gradient), rtol=1e-6)
