"""What every feature set promises, on every kind of data that it can be made of: fitted on the training fold alone, one
row per sample, finite float32, the same bits each time, and nothing read that it does not say it reads."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest

from bench import features
from bench.errors import InputError
from bench.features.builders import Fold
from bench.features.filters import random_filters
from bench.plan import DatasetInfo

#: Columns of each feature set on each kind of data; None: as many as the variance needs; absent: it cannot be made.
COLUMNS = {
    "raw": {"grey": 64, "colour": 432, "table": 30},
    "standardized": {"grey": 64, "colour": 432, "table": 30},
    "pca": {"grey": None, "colour": None, "table": None},
    "hog": {"grey": 324, "colour": 324},
    "lbp": {"grey": 236, "colour": 531},
    "handmade": {"grey": 90, "colour": 101, "table": 57},
    "random_conv": {"grey": 1024, "colour": 1024},
    "random_fourier": {"grey": 1024, "colour": 1024, "table": 1024},
    "poly2": {"table": 495},
    "learned": {"grey": 128, "colour": 288},
    "learned:mlp_100": {"grey": 100, "colour": 100, "table": 100},
    "learned:conv16_32@1": {"grey": 256, "colour": 576},
}
KINDS = ("grey", "colour", "table")
CASES = [(name, kind) for name, columns in COLUMNS.items() for kind in columns]


@pytest.fixture(params=CASES, ids="-".join)
def case(request):
    return request.param


def build(name: str, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    return features.get(name).build(fold)


def test_every_feature_set_is_tested_here():
    assert set(features.names()) <= set(COLUMNS)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_applies_where_it_says_so(make_info, name, kind):
    reason = features.get(name).reason_to_skip("mine" if kind != "table" else "breast_cancer", make_info(kind))
    assert (reason is None) == (kind in COLUMNS[name]), reason


def test_a_row_per_sample_finite_float32(make_fold, case):
    name, kind = case
    X_train, X_test = build(name, make_fold(kind))
    assert (len(X_train), len(X_test)) == (120, 30)
    assert X_train.shape[1] == X_test.shape[1] == (COLUMNS[name][kind] or X_train.shape[1])
    assert X_train.dtype == X_test.dtype == np.float32
    assert np.isfinite(X_train).all()
    assert np.isfinite(X_test).all()
    assert X_train.std(axis=0).max() > 0, "all samples look alike"


def test_nothing_of_the_test_part_is_seen_while_fitting(make_fold, case):
    name, kind = case
    whole = build(name, make_fold(kind))
    other = build(name, make_fold(kind, test=slice(200, 260)))
    assert np.array_equal(whole[0], other[0]), "X_train changed with the test part: something was fitted on it"
    shouted = make_fold(kind)
    shouted.X_test[1:] *= 7.0  # the neighbours of the first test sample
    beside = build(name, shouted)
    rounding = 1e-5 * max(1.0, np.abs(whole[0]).max())
    assert np.allclose(whole[1][:1], beside[1][:1], atol=rounding), "a test sample changed with the samples beside it"
    assert np.isfinite(beside[1]).all(), "values beyond the range of the training part"
    alone = build(name, make_fold(kind, test=slice(120, 121)))
    assert np.allclose(whole[1][:1], alone[1], atol=rounding)


@pytest.mark.parametrize(("name", "kind"), [c for c in CASES if c[0] not in ("raw", "hog", "lbp")])
def test_what_is_estimated_follows_the_training_part(make_fold, name, kind):
    one, other = build(name, make_fold(kind))[1], build(name, make_fold(kind, train=slice(160, 280)))[1]
    assert one.shape != other.shape or not np.allclose(one, other)


def test_the_same_fold_gives_the_same_bits(make_fold, case):
    name, kind = case
    one, again = build(name, make_fold(kind)), build(name, make_fold(kind))
    assert features.sha256(*one) == features.sha256(*again)


#: Another value of each thing that a feature set may say it reads.
OTHER = {
    "seed": lambda fold: 1,
    "backend": lambda fold: "cython",
    "dataset": lambda fold: "wine",
    "y_train": lambda fold: np.roll(fold.y_train, 7),
}


def test_what_is_not_declared_as_read_is_not_read(make_fold, case):
    """The key of a stored matrix has what is declared; anything else that changed it would be found stale."""
    name, kind = case
    fold, expected = make_fold(kind), build(name, make_fold(kind))
    for fact in set(OTHER) - set(features.get(name).reads):
        changed = dataclasses.replace(fold, **{fact: OTHER[fact](fold)})
        assert features.sha256(*build(name, changed)) == features.sha256(*expected), fact


@pytest.mark.parametrize("name", ["random_conv", "random_fourier", "learned", "learned:conv16_32", "learned:mlp_100"])
@pytest.mark.parametrize("fact", ["seed", "y_train"])
def test_what_is_declared_as_read_matters(make_fold, name, fact):
    if fact not in features.get(name).reads:
        pytest.skip("not declared")
    fold = make_fold("grey")
    changed = dataclasses.replace(fold, **{fact: OTHER[fact](fold)})
    assert not np.allclose(build(name, fold)[1], build(name, changed)[1])


def test_random_filters_agree_over_backends(make_fold, backend):
    fold = make_fold("grey")
    expected = build("random_conv", fold)[1]
    actual = build("random_conv", dataclasses.replace(fold, backend=backend.name))[1]
    assert np.allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [n for n in COLUMNS if not n.startswith("learned")])
@pytest.mark.parametrize(
    ("shape", "what"),
    [((4, 4, 1), "smallest"), ((5, 9, 1), "odd"), ((17, 30, 3), "odd, colour"), ((28, 28, 1), "blank")],
    ids=lambda v: v if isinstance(v, str) else "x".join(map(str, v)),
)
def test_images_of_any_shape(name, shape, what):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, int(np.prod(shape)))).astype(np.float32)
    if what == "blank":
        X[:] = 3.0
    feature_set = features.get(name)
    if feature_set.reason_to_skip("mine", DatasetInfo("classification", 40, X.shape[1], shape)):
        pytest.skip("made for tables")
    if what == "blank" and name == "pca":
        pytest.skip("without variance there are no principal components")
    for part in feature_set.build(Fold(X[:30], X[30:], np.arange(30) % 2, shape, 0, "reference", "mine")):
        assert np.isfinite(part).all()


def test_a_constant_column_becomes_zero():
    next_to = np.nextafter(np.float32(1e6), np.float32(2e6))  # as good as constant
    X = np.float32([[1, 1e6, 3], [2, 1e6, 3], [4, next_to, 3]])
    X_train, X_test = build("standardized", Fold(X, X + 1, np.arange(3)))
    assert np.allclose(X_train[:, 0], (X[:, 0] - X[:, 0].mean()) / X[:, 0].std())
    assert not X_train[:, 1:].any()
    assert not X_test[:, 1:].any()


def test_blocks_do_not_show(monkeypatch, make_fold):
    """Any number of rows at a time gives the same features."""
    whole = {case: build(case[0], make_fold(case[1])) for case in CASES if not case[0].startswith("learned")}
    monkeypatch.setattr("bench.features.builders.BLOCK_VALUES", 1000)
    for (name, kind), expected in whole.items():
        for one, other in zip(build(name, make_fold(kind)), expected, strict=True):
            assert np.allclose(one, other, atol=1e-4), name


def test_standardized_is_scikit_learns(make_fold):
    from sklearn.preprocessing import StandardScaler

    fold = make_fold("table")
    scaler = StandardScaler().fit(fold.X_train.astype(np.float64))
    for actual, X in zip(build("standardized", fold), (fold.X_train, fold.X_test), strict=True):
        assert np.allclose(actual, scaler.transform(X), atol=1e-5)


@pytest.mark.parametrize("train", [slice(0, 120), slice(0, 40)], ids=["by covariance", "by decomposition"])
def test_pca_keeps_its_share_of_the_variance(make_fold, train):
    fold = make_fold("grey", train=train)
    X_train, X_test = build("pca", fold)
    share = X_train.var(axis=0).sum() / fold.X_train.var(axis=0).sum()
    without_the_last = X_train[:, :-1].var(axis=0).sum() / fold.X_train.var(axis=0).sum()
    assert without_the_last < 0.95 <= share + 1e-4
    assert np.allclose(np.corrcoef(X_train.T), np.eye(X_train.shape[1]), atol=1e-3)
    # a rotation keeps lengths up to the part that was dropped
    assert (np.square(X_test - X_train.mean(axis=0)).sum(axis=1) <= 1.01 * np.square(
        fold.X_test - fold.X_train.mean(axis=0)).sum(axis=1)).all()  # fmt: skip


def test_poly2_has_squares_and_products():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 2)).astype(np.float32)
    [a, b] = ((X - X.mean(axis=0)) / X.std(axis=0)).T
    X_train, _ = build("poly2", Fold(X, X, np.zeros(200)))
    for column, expected in zip(X_train.T, (a, b, a * a, a * b, b * b), strict=True):
        assert np.allclose(column, (expected - expected.mean()) / expected.std(), atol=1e-4)


def test_random_fourier_approaches_the_kernel(make_fold):
    """Inner products are an RBF kernel with the median distance, to the 1 / sqrt(1024) of so many draws."""
    from sklearn.metrics.pairwise import euclidean_distances

    fold = make_fold("table")
    Z, _ = build("random_fourier", fold)
    distances = euclidean_distances(build("standardized", fold)[0])
    median = np.median(distances[np.triu_indices(len(distances), 1)])
    assert np.abs(Z @ Z.T - np.exp(-(distances**2) / (2 * median**2))).max() < 6 / np.sqrt(1024)


def test_random_fourier_draws_the_same_samples_for_its_bandwidth(make_fold, monkeypatch):
    monkeypatch.setattr("bench.features.builders.FOURIER_SAMPLES", 10)
    one, again = (features.sha256(*build("random_fourier", make_fold("table"))) for _ in range(2))
    assert one == again


@pytest.mark.parametrize(
    ("shape", "columns"),
    [
        ((28, 28, 1), {"hog": 324, "lbp": 944, "handmade": 106, "random_conv": 1024}),
        ((32, 32, 3), {"hog": 324, "lbp": 944, "handmade": 101, "random_conv": 1024}),
        ((64, 64, 1), {"hog": 1764, "lbp": 944, "handmade": 106, "random_conv": 1024}),
    ],
    ids=lambda v: "x".join(map(str, v)) if isinstance(v, tuple) else "",
)
def test_columns_do_not_grow_with_the_image(shape, columns):
    X = np.random.default_rng(0).random((6, int(np.prod(shape))), dtype=np.float32)
    fold = Fold(X[:4], X[4:], np.array([0, 1, 0, 1]), shape)
    assert {name: build(name, fold)[1].shape[1] for name in columns} == columns


def test_random_filters_have_mean_zero_and_length_one():
    filters = random_filters(np.random.default_rng(0), 5, 3)
    assert np.allclose(filters.mean(axis=(0, 1, 2)), 0, atol=1e-7)
    assert np.allclose(np.square(filters).sum(axis=(0, 1, 2)), 1, atol=1e-6)
    assert np.abs(np.corrcoef(filters.reshape(-1, 64).T) - np.eye(64)).max() < 0.6, "each is another"


def test_random_filters_are_blind_to_brightness(make_fold):
    fold = make_fold("grey")
    lighter = dataclasses.replace(fold, X_train=fold.X_train + 3, X_test=fold.X_test + 3)
    assert np.allclose(build("random_conv", fold)[1], build("random_conv", lighter)[1], atol=1e-4)
    louder = dataclasses.replace(fold, X_train=fold.X_train * 15, X_test=fold.X_test * 15)
    assert np.allclose(build("random_conv", fold)[1], build("random_conv", louder)[1], atol=1e-4)


@pytest.mark.parametrize(
    ("name", "info", "reason"),
    [
        ("hog", ("classification", 100, 4, None), "hog needs images, and mine has none"),
        ("hog", ("classification", 100, 9, (3, 3, 1)), "hog needs images of at least 4x4 pixels, not 3x3"),
        ("poly2", ("regression", 100, 64, (8, 8, 1)), "poly2 is made for tables, and mine has images"),
        ("poly2", ("regression", 100, 61, None), "poly2 takes at most 60 columns, and mine has 61"),
        ("poly2", ("regression", 100, 60, None), None),
        ("learned", ("regression", 100, 64, (8, 8, 1)), "learned is learned from classes, and mine has a number to predict"),
        ("learned", ("classification", 100, 9, (3, 3, 1)), "conv16_32 does not fit images of 3x3 pixels"),
        ("learned:lenet5", ("classification", 100, 64, (8, 8, 1)), "lenet5 does not fit images of 8x8 pixels"),
        ("learned:mlp_100", ("classification", 100, 4, None), None),
        ("handmade", ("classification", 100, 4, None), "known of images and of iris, wine"),
        ("handmade", ("classification", 100, 64, (4, 4, 4)), "images with 1 or 3 channels, not 4"),
    ],
)
def test_what_cannot_be_made_has_a_reason(name, info, reason):
    found = features.get(name).reason_to_skip("mine", DatasetInfo(*info))
    assert (found is None) if reason is None else (reason in found)


def test_a_table_of_ones_own_under_a_known_name():
    found = features.get("handmade").reason_to_skip("iris", DatasetInfo("classification", 100, 7))
    assert found == "handmade features of iris are made of its 4 columns, not of 7"


def test_labels_of_the_test_part_cannot_leak():
    assert "y_test" not in {f.name for f in dataclasses.fields(Fold)}


def test_the_hash_is_what_its_docstring_says():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert features.sha256(x) == hashlib.sha256(b"<f4(2, 3)" + x.tobytes()).hexdigest()
    assert features.sha256(x) != features.sha256(x.reshape(3, 2))
    assert features.sha256(x) != features.sha256(x.astype(np.float64))


def test_unknown_feature_set_suggests_the_nearest():
    with pytest.raises(InputError, match="did you mean 'pca'"):
        features.get("pac")
