"""What studies are made of: attacks, marks, false labels, moved images and unshared weights do what they say."""

import doctest

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from bench.studies import adversarial, data, findings, layers, memorise, shortcut, variants
from bench.studies.features import inputs
from bench.studies.receptive import moving
from models import ConvNetClassifier

X, Y = load_digits(return_X_y=True)
X, Y = (X[:300] / 16).astype(np.float32), Y[:300]


@pytest.mark.parametrize("module", [adversarial, findings, inputs, layers, memorise, moving, shortcut, variants])
def test_examples_run(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


@pytest.mark.parametrize("classes", [2, 10])
def test_gradient_of_a_linear_model_against_central_differences(classes):
    few = classes > Y
    x, y = X[few].astype(np.float64), Y[few]
    model = LogisticRegression(C=0.1).fit(x, y)
    found = adversarial.gradient(model, x[:3], y[:3])
    for pixel in (10, 20, 36):
        step = np.zeros(64)
        step[pixel] = 1e-5
        for i in range(3):
            one = slice(i, i + 1)
            up, down = (log_loss(y[one], model.predict_proba(x[one] + s), labels=model.classes_) for s in (step, -step))
            assert found[i, pixel] == pytest.approx((up - down) / 2e-5, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("kind", adversarial.ATTACKS)
def test_an_attack_stays_within_its_bounds_and_in_the_image(kind):
    model, new, y = LogisticRegression(max_iter=200).fit(X[:150], Y[:150]), X[150:], Y[150:]
    changed = adversarial.attack(kind, model, new, y, 0.2, seed=0)
    assert changed.dtype == X.dtype and changed.min() >= 0.0 and changed.max() <= 1.0
    assert np.abs(changed - new).max() == pytest.approx(0.2, abs=1e-6)
    fooled = model.score(new, y) - model.score(changed, y)
    assert fooled > 0.5 if kind != adversarial.NOISE else fooled < 0.2


def test_false_labels_are_the_share_that_was_asked_for():
    y = np.repeat(np.arange(10), 1000)
    for share in (0.0, 0.4, 1.0):
        labels, false = memorise.with_false_labels(y, share, 10, seed=1)
        assert np.mean(false) == pytest.approx(0.9 * share, abs=0.02)
        assert np.array_equal(false, labels != y)


@pytest.mark.parametrize(("shape", "n_classes"), [((8, 8, 1), 10), ((28, 28, 1), 10), ((32, 32, 3), 43)])
def test_each_class_has_a_mark_of_its_own_at_the_edge(shape, n_classes):
    where, side = shortcut.places(n_classes, shape)
    empty = np.zeros((n_classes, np.prod(shape)), np.float32)
    marked = shortcut.mark(empty, np.arange(n_classes), shape, n_classes)
    assert len({row.tobytes() for row in marked}) == n_classes
    assert np.all(marked.sum(axis=1) == side * side * shape[2])
    assert all(0 in place or place[0] == shape[0] - side or place[1] == shape[1] - side for place in where)
    assert not empty.any(), "the images that were given are left alone"


def test_covering_what_a_model_looks_at_changes_its_answer():
    class Corner:
        def predict(self, x):
            return (x[:, 0] > 0.5).astype(int)

    changed = shortcut.changed_when_covered(Corner(), np.ones((4, 64), np.float32), np.zeros(64, np.float32), (8, 8, 1))
    assert changed[:, 0].all() and not changed[:, 1:].any()


def test_noise_columns_differ_between_what_is_learned_and_what_is_predicted():
    noise = inputs.NoiseColumns(50, random_state=3)
    train, test = noise.fit_transform(X), noise.transform(X)
    assert np.array_equal(train[:, :64], X) and np.array_equal(test, noise.transform(X))
    assert not np.allclose(train[:, 64:], test[:, 64:])
    assert train[:, 64:].mean() == pytest.approx(X.mean(), abs=0.02) and train[:, 64:].std() == pytest.approx(X.std(), rel=0.05)


@pytest.mark.parametrize(
    ("kind", "move", "same"),
    [(moving.SHIFT, (0, 0), True), (moving.ROTATION, (0, 0), True), (moving.SCALE, (1.0, 0), True),
     (moving.ROTATION, (90, 0), False)],
)  # fmt: skip
def test_moved_images(kind, move, same):
    found = moving.moved(X[:5], (8, 8, 1), kind, move).reshape(-1, 8, 8)
    images = X[:5].reshape(-1, 8, 8)
    turned = [np.rot90(images, k, axes=(1, 2)) for k in (1, 3)]
    assert np.allclose(found, images, atol=1e-6) if same else any(np.allclose(found, t, atol=1e-5) for t in turned)


def test_scaled_images_grow_and_shrink():
    images, shape = moving.framed(X[:50], (8, 8, 1), 4)
    ink = [moving.moved(images, shape, moving.SCALE, (amount, 0)).sum() for amount in (0.7, 1.0, 1.3)]
    assert ink[0] == pytest.approx(0.49 * ink[1], rel=0.1) and ink[2] == pytest.approx(1.69 * ink[1], rel=0.1)


def test_an_unshared_network_has_weights_of_its_own_at_each_pixel():
    """Its hidden layer is a product of each window with the weights of its pixel."""
    estimator = ConvNetClassifier(image_shape=(8, 8, 1), max_iter=2, random_state=0, standardize=False)
    pipeline = moving.unshared(estimator, size=3, filters=2).fit(X, Y)
    network = pipeline[-1]
    weights = network.coefs_[0].reshape(9, 64, 2)  # the groups' filters stand behind each other
    padded = np.pad(X[:4].reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    found = network.transform(pipeline[0].transform(X[:4]), 0).reshape(4, 64, 2)
    for pixel in (0, 9, 63):
        row, column = divmod(pixel, 8)
        window = padded[:, row : row + 3, column : column + 3].reshape(4, 9)
        expected = window @ weights[:, pixel] + network.intercepts_[0].reshape(64, 2)[pixel]
        assert np.allclose(found[:, pixel], np.maximum(expected, 0.0), atol=1e-5)


@pytest.mark.parametrize(
    ("tokens", "position", "expected"),
    [(["c6k5p2"], 0, (5, 1, -2)), (["c6k5p2", "m2"], 1, (6, 2, -2)), (["c6k5p2", "m2", "c16k5"], 2, (14, 2, -2)),
     (["c8k3s2p1", "bn", "c8k3p1"], 2, (7, 2, -3)), (["c8k3p1", "64"], 1, (28, 28, 0))],
)  # fmt: skip
def test_what_a_unit_sees(tokens, position, expected):
    """LeNet's second convolution sees 14 pixels (LeCun et al. 1998: 5 + 1 + 4 * 2)."""
    assert layers.window(tokens, position, 28) == expected


def test_a_model_that_fails_with_few_examples_stands_there_as_none():
    """NearestCentroid gives no probabilities where every class has one example; its other sizes count all the same."""
    m = data.examples()["supported"]
    rows = m["rows"] + [{**row, "model": "svc_rbf"} for row in m["rows"] if row["model"] == "nearest_centroid"]
    rows = [{**r, "accuracy": None} if (r["model"], r["n"]) == ("nearest_centroid", 10) else r for r in rows]
    m = {**m, "rows": rows}
    assert data.verdict(m).outcome == "supported"
    [curves, *_] = data.tables(m)
    assert next(row for row in curves.rows if row[0] == "averages")[1] == "-"
    assert data.figures(m)
