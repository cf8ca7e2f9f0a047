"""ConvNetClassifier: forms of images, stopping rules, layers' activations, state, bad input."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import kernels
import models
from models import ConvNetClassifier, DivergenceError

BACKEND = kernels.backends()[0]
IMAGES, Y = load_digits(return_X_y=True)
IMAGES = IMAGES.reshape(-1, 8, 8)[:400]
Y = Y[:400]
FLAT = IMAGES.reshape(400, 64)
SMALL = ["c4k3", "m2", 12, "out"]


def _net(architecture=SMALL, **parameters) -> ConvNetClassifier:
    parameters = {"max_iter": 3, "random_state": 0, "backend": BACKEND, **parameters}
    return ConvNetClassifier(architecture, **parameters)


def _fitted(**parameters) -> ConvNetClassifier:
    return _net(**parameters).fit(IMAGES, Y)


def _same_parameters(one, two) -> bool:
    pairs = zip(one.coefs_ + one.intercepts_, two.coefs_ + two.intercepts_, strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("x", "image_shape"),
    [
        (IMAGES, None),
        (IMAGES[..., None], None),
        (FLAT, (8, 8)),
        (FLAT, (8, 8, 1)),
        (FLAT, np.array([8, 8])),
        (IMAGES, (8, 8)),
        (IMAGES.astype(np.uint8), None),
        (np.asfortranarray(IMAGES), None),
        (FLAT.tolist(), [8, 8]),
        (IMAGES.tolist(), None),
    ],
    ids=["nhw", "nhwc", "flat", "flat_hwc", "array_shape", "both", "uint8", "fortran", "list", "nested_list"],
)
def test_all_forms_of_images_are_one(x, image_shape):
    expected, actual = _fitted(), _net(image_shape=image_shape).fit(x, Y)
    assert actual.image_shape_ == (8, 8, 1)
    assert actual.n_features_in_ == 64
    assert _same_parameters(expected, actual)
    for form in (IMAGES, IMAGES[..., None], FLAT):
        np.testing.assert_array_equal(actual.predict_proba(form), expected.predict_proba(IMAGES))


def test_flat_rows_without_a_shape_are_one_row_of_pixels():
    model = _net(["c4k1", "out"]).fit(FLAT, Y)
    assert model.image_shape_ == (1, 64, 1)
    assert [c.shape for c in model.coefs_] == [(1, 1, 1, 4), (256, 10)]


def test_colour_images():
    rng = np.random.RandomState(0)
    y = np.arange(60) % 3
    x = rng.normal(size=(60, 6, 7, 3))
    x[np.arange(60), :, :, y] += 2.0  # the class is a channel's brightness
    model = _net(["c6k3p1", "a2", "out"], max_iter=30).fit(x, y)
    assert model.image_shape_ == (6, 7, 3)
    assert model.score(x, y) > 0.95


def test_a_matrix_of_the_networks_dtype_is_not_copied(monkeypatch):
    seen = []
    x = np.ascontiguousarray(FLAT, dtype=np.float32)
    original = models.convnet.Batches

    def spy(X, *args, **kwargs):
        seen.append(X)
        return original(X, *args, **kwargs)

    monkeypatch.setattr(models.convnet, "Batches", spy)
    before = x.copy()
    _net(image_shape=(8, 8)).fit(x, Y)
    assert np.shares_memory(seen[0], x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_of_the_network(dtype):
    model = _fitted(dtype=dtype)
    assert {a.dtype for a in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}
    assert model.predict_proba(IMAGES).dtype == dtype
    assert model.transform(IMAGES).dtype == dtype


@pytest.mark.parametrize("scale", [1.0, 1 / 16, 1000.0])
def test_units_of_pixels_do_not_matter(scale):
    expected = _fitted(dtype="float64").predict_proba(IMAGES)
    actual = _net(dtype="float64").fit(IMAGES * scale + 5.0, Y).predict_proba(IMAGES * scale + 5.0)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-9)


def test_standardize_can_be_left_out():
    model = _fitted(standardize=False)
    assert (model.pixel_mean_, model.pixel_scale_) == (0.0, 1.0)
    model = _fitted()
    assert model.pixel_mean_ == pytest.approx(FLAT.mean(), rel=1e-6)
    assert model.pixel_scale_ == pytest.approx(FLAT.std(), rel=1e-6)


def test_constant_pixels():
    model = _net().fit(np.full((20, 8, 8), 3.0), np.arange(20) % 2)
    assert model.pixel_scale_ == 1.0
    assert np.isfinite(model.predict_proba(IMAGES)).all()


# -- training ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_one_seed_gives_the_same_bits(solver, n_jobs):
    one, two = _fitted(solver=solver, n_jobs=n_jobs), _fitted(solver=solver, n_jobs=n_jobs)
    assert _same_parameters(one, two)
    assert one.loss_curve_ == two.loss_curve_
    assert not _same_parameters(one, _fitted(solver=solver, random_state=1))


@pytest.mark.parametrize("backend", kernels.backends())
def test_every_backend_trains_the_same_network(backend):
    reference, other = (
        _net(["c4k3", "m2", "out"], backend=name, dtype="float64", max_iter=2).fit(IMAGES[:100], Y[:100])
        for name in ("reference", backend)
    )
    np.testing.assert_allclose(other.predict_proba(IMAGES), reference.predict_proba(IMAGES), rtol=1e-7)


@pytest.mark.parametrize("epochs", [1, 4])
def test_max_iter_is_the_number_of_epochs(epochs):
    model = _fitted(max_iter=epochs)
    assert model.n_iter_ == len(model.loss_curve_) == epochs
    assert model.t_ == epochs * 400


def test_a_stopping_rule_ends_training():
    model = _fitted(max_iter=500, tol=1e-2, n_iter_no_change=3)
    assert model.n_iter_ < 500
    assert min(model.loss_curve_) == model.best_loss_


def test_early_stopping_puts_the_best_weights_back():
    model = _fitted(early_stopping=True, max_iter=25, n_iter_no_change=25, learning_rate_init=0.05)
    best = int(np.argmax(model.validation_scores_)) + 1
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert best < 25, "the case is made so that the best epoch is not the last one"
    assert _same_parameters(model, _fitted(early_stopping=True, max_iter=best, learning_rate_init=0.05))
    assert not hasattr(model, "best_loss_") or model.best_loss_ is None


def test_batch_size_is_at_most_the_number_of_samples():
    assert _same_parameters(_fitted(batch_size=10_000), _fitted(batch_size=400))


def test_samples_in_order():
    assert not _same_parameters(_fitted(shuffle=False), _fitted())
    order = np.random.RandomState(0).permutation(400)
    assert not _same_parameters(_fitted(shuffle=False), _net(shuffle=False).fit(IMAGES[order], Y[order]))


def test_partial_fit_is_one_epoch():
    expected = _fitted(max_iter=3, shuffle=False)
    actual = _net(shuffle=False)
    for _ in range(3):
        actual.partial_fit(IMAGES, Y, classes=np.arange(10))
    assert _same_parameters(expected, actual)
    assert len(actual.loss_curve_) == 3


def test_partial_fit_keeps_its_buffers():
    model = _net().partial_fit(IMAGES, Y, classes=np.arange(10))
    network = model._trainer[0]
    model.partial_fit(IMAGES[:50], Y[:50])
    assert model._trainer[0] is network


def test_partial_fit_with_classes_unknown_so_far():
    model = _net().partial_fit(IMAGES[:20], Y[:20] % 3, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"y has classes \[7\] that are not among"):
        model.partial_fit(IMAGES[:1], [7])


def test_warm_start_goes_on():
    model = _net(warm_start=True, max_iter=2).fit(IMAGES, Y)
    loss = model.loss_
    model.fit(IMAGES, Y)
    assert model.loss_ < loss
    assert len(model.loss_curve_) == 4
    fresh = _net(max_iter=2).fit(IMAGES, Y)
    assert _same_parameters(fresh, fresh.fit(IMAGES, Y))


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_activations_and_alpha(activation):
    model = _fitted(activation=activation, max_iter=10)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    small = _fitted(activation=activation, max_iter=10, alpha=30.0)
    assert sum(np.square(c).sum() for c in small.coefs_) < sum(np.square(c).sum() for c in model.coefs_)


def test_digits():
    """Two small convolutions on 8x8 digits; the repeated five-fold mean of this setting is .983."""
    images, y = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    model = ConvNetClassifier("conv16_32", batch_size=32, max_iter=15, random_state=0, backend=BACKEND)
    assert model.fit(images[::2], y[::2]).score(images[1::2], y[1::2]) > 0.965


# -- what can be read off -----------------------------------------------------------------------------------------


def test_probabilities_and_labels():
    labels = np.array(list("abcdefghij"))[Y]
    model = _net(max_iter=40).fit(IMAGES, labels)
    probability = model.predict_proba(IMAGES)
    assert probability.shape == (400, 10)
    np.testing.assert_allclose(probability.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(model.classes_[probability.argmax(axis=1)], model.predict(IMAGES))
    np.testing.assert_allclose(np.exp(model.predict_log_proba(IMAGES)), probability, rtol=1e-5)
    assert model.score(IMAGES, labels) > 0.9


@pytest.mark.parametrize(
    ("layer", "values"),
    [(None, 12), (0, 144), ("c4k3", 144), (1, 36), ("m2", 36), (2, 12), ("12", 12), (3, 10), (-1, 10), ("out", 10)],
)
def test_transform(layer, values):
    model = _fitted()
    activations = model.transform(IMAGES, layer=layer)
    assert activations.shape == (400, values)
    assert activations.dtype == np.float32
    if values == 10:
        np.testing.assert_array_equal(activations.argmax(axis=1), model.predict(IMAGES))
    else:
        assert (activations >= 0).all()  # after relu


def test_what_the_last_layer_sees_explains_its_output():
    model = _fitted(dtype="float64")
    logits = model.transform(IMAGES) @ model.coefs_[-1] + model.intercepts_[-1]
    np.testing.assert_allclose(logits, model.transform(IMAGES, layer="out"), rtol=1e-9, atol=1e-12)


def test_transform_without_layers_before():
    model = _net(["out"]).fit(IMAGES, Y)
    expected = (FLAT - model.pixel_mean_) / model.pixel_scale_
    np.testing.assert_allclose(model.transform(IMAGES), expected, rtol=1e-5, atol=1e-6)


def test_as_a_step_of_a_pipeline():
    pipeline = make_pipeline(_net(max_iter=40, image_shape=(8, 8)), LogisticRegression(max_iter=5000))
    pipeline.fit(FLAT, Y)
    assert pipeline.score(FLAT, Y) > 0.9
    assert len(pipeline[0].get_feature_names_out()) == 12


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))], ids=["deepcopy", "pickle"])
def test_copies(copied):
    model = _fitted()
    twin = copied(model)
    np.testing.assert_array_equal(twin.predict_proba(IMAGES), model.predict_proba(IMAGES))
    model.partial_fit(IMAGES, Y)
    twin.partial_fit(IMAGES, Y)
    assert _same_parameters(model, twin)
    assert not hasattr(clone(model), "coefs_")


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "x", "error", "message"),
    [
        ({"architecture": "lenet"}, IMAGES, ValueError, "did you mean 'lenet5'"),
        ({"architecture": ["c4k9", "out"]}, IMAGES, ValueError, "the shape here is 8x8: kernel 9 does not fit"),
        ({"architecture": ["c4k3", "out"]}, FLAT, ValueError, "one row of 64 pixels; pass image_shape="),
        ({"architecture": 3}, IMAGES, ValueError, "'architecture' parameter"),
        ({"image_shape": (8, 9)}, FLAT, ValueError, r"image_shape \(8, 9\) has 72 values, the samples of X have 64"),
        ({"image_shape": (4, 16)}, IMAGES, ValueError, r"images of shape \(8, 8, 1\), but image_shape is \(4, 16\)"),
        ({"image_shape": (8, -8)}, FLAT, ValueError, "image_shape must be"),
        ({"image_shape": (8.0, 8.0)}, FLAT, ValueError, "image_shape must be"),
        ({"image_shape": (64,)}, FLAT, ValueError, "image_shape must be"),
        ({"image_shape": "ab"}, FLAT, ValueError, "'image_shape' parameter"),
        ({"backend": "fortran"}, IMAGES, ValueError, "unknown backend 'fortran'.*reference"),
        ({"n_jobs": 0}, IMAGES, ValueError, "n_jobs == 0"),
        ({"dtype": "float16"}, IMAGES, ValueError, "'dtype' parameter"),
        ({"solver": "lbfgs"}, IMAGES, ValueError, "'solver' parameter"),
        ({"batch_size": 0}, IMAGES, ValueError, "'batch_size' parameter"),
        ({"early_stopping": True, "validation_fraction": 0.001}, IMAGES, ValueError, "test_size|validation set"),
    ],
)
def test_bad_parameters(parameters, x, error, message):
    with pytest.raises(error, match=message):
        _net(**{"architecture": SMALL, **parameters}).fit(x, Y)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "contains NaN"), (np.inf, "contains infinity"), (1e300, "too large for")]
)
def test_pixels_that_are_not_finite(value, message):
    x = IMAGES.copy()
    x[1, 2, 3] = value
    with pytest.raises(ValueError, match=message):
        _net().fit(x, Y)
    with pytest.raises(ValueError, match=message):
        _fitted().predict(x)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (IMAGES.reshape(-1, 4, 16), r"X has images of shape \(4, 16, 1\), but this network was fitted on \(8, 8, 1\)"),
        (FLAT[:, :60], "X has 60 features, but ConvNetClassifier is expecting 64 features"),
        (IMAGES[:0], "Found array with 0 sample"),
        (IMAGES[None, None], "dim"),
    ],
)
def test_images_that_do_not_fit_the_network(x, message):
    with pytest.raises(ValueError, match=message):
        _fitted().predict(x)


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        ("c9k9", ValueError, "layer 'c9k9' stands not in the architecture"),
        (4, ValueError, r"layer must lie in 0..3, got 4"),
        (-5, ValueError, r"layer must lie in 0..3, got -5"),
        (1.0, TypeError, "layer must be an integer, a token or None, got float"),
    ],
)
def test_layers_there_are_not(layer, error, message):
    with pytest.raises(error, match=message):
        _fitted().transform(IMAGES, layer=layer)


def test_a_token_that_stands_twice():
    model = _net(["c2k1", "c2k1", "out"]).fit(IMAGES, Y)
    with pytest.raises(ValueError, match="'c2k1' stands 2 times"):
        model.transform(IMAGES, layer="c2k1")


def test_targets_that_are_no_classes():
    with pytest.raises(ValueError, match="Unknown label type"):
        _net().fit(IMAGES, Y + 0.5)


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}])
def test_divergence_says_what_to_change(options):
    message = r"the loss became (nan|inf) in epoch \d+.*learning_rate_init \(now 1e\+06"
    with pytest.raises(DivergenceError, match=message):
        _fitted(learning_rate_init=1e6, max_iter=50, n_iter_no_change=50, **options)
    assert issubclass(DivergenceError, ArithmeticError)


def test_ctrl_c_is_not_swallowed(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ConvNetClassifier, "_count_no_improvement", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _fitted()
