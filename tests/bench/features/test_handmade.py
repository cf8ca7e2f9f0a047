"""Measures of strokes, colours and tables: against scikit-image where it has them, else against drawings whose answer is
plain to see."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from bench import datasets, features
from bench.features import colours, strokes, tables
from bench.features.builders import Fold

DIGITS = datasets.load("digits").X[:150].reshape(-1, 8, 8)
BLOBS = np.random.default_rng(3).random((60, 14, 11)) > 0.55


def drawing(text: str) -> np.ndarray:
    """An image (1, H, W) of lines in which # is inked."""
    return np.array([[c == "#" for c in line] for line in text.split()])[None]


EIGHT = drawing("....... ..###.. ..#.#.. ..###.. ..#.#.. ..###.. .......")
FOUR = drawing("....... ..#.... ..#.#.. ..####. ....#.. ....#.. .......")
C_CURVE = drawing("....... ..####. ..#.... ..#.... ..#.... ..####. .......")
DOTS = drawing("#...... ....... ...#... ....... ....... ....... ......#")
BLANK = np.zeros((1, 7, 7), bool)


@pytest.mark.parametrize(
    ("image", "pieces", "holes", "loose_ends"),
    [(EIGHT, 1, 2, 0), (FOUR, 1, 0, None), (C_CURVE, 1, 0, 2), (DOTS, 3, 0, 0), (BLANK, 0, 0, 0), (~BLANK, 1, 0, None)],
    ids=["8", "4", "C", "dots", "blank", "full"],
)
def test_what_is_plain_to_see(image, pieces, holes, loose_ends):
    found = strokes.topology(image)[0]
    assert (found[0], found[1]) == (pieces, holes)
    if loose_ends is not None:
        assert strokes.ends(image)[0][1] == loose_ends


def test_where_the_hole_is_tells_six_from_nine():
    six = drawing("..#.. ..#.. ..### ..#.# ..###")
    nine = six[:, ::-1, ::-1]
    assert strokes.topology(six)[0, 3] > 0.5 > strokes.topology(nine)[0, 3]
    assert strokes.topology(six)[0, 4] > 0.5 > strokes.topology(nine)[0, 4]


@pytest.mark.parametrize("images", [DIGITS > 7, BLOBS], ids=["digits", "blobs"])
def test_pieces_and_holes_are_the_euler_number(images):
    from skimage.measure import euler_number, label

    pieces, holes, area, *_ = strokes.topology(images).T
    assert np.array_equal(pieces - holes, [euler_number(image, connectivity=2) for image in images])
    assert np.array_equal(pieces, [label(image, connectivity=2).max() for image in images])
    assert ((area > 0) == (holes > 0)).all()


@pytest.mark.parametrize("images", [DIGITS > 7, BLOBS], ids=["digits", "blobs"])
def test_skeletons_are_those_of_each_image(images):
    from skimage.morphology import skeletonize

    assert np.array_equal(strokes.skeletons(images), [skeletonize(image) for image in images])


@pytest.mark.parametrize("images", [DIGITS, BLOBS.astype(float)], ids=["digits", "blobs"])
def test_moments_are_scikit_images(images):
    from skimage.measure import moments_central, moments_hu, moments_normalized

    found = strokes.moments(images)
    expected = np.array([moments_hu(moments_normalized(moments_central(image))) for image in images])
    logarithms = np.sign(expected) * np.log1p(np.abs(expected) / strokes.SMALLEST_MOMENT)
    assert np.allclose(found[:, 5:], logarithms, atol=1e-5)
    rows = (images.sum(axis=2) @ np.arange(images.shape[1])) / images.sum(axis=(1, 2))
    assert np.allclose(found[:, 0], (rows + 0.5) / images.shape[1])


def test_hu_moments_do_not_turn_with_the_image():
    turned = np.rot90(DIGITS, axes=(1, 2))
    assert np.allclose(strokes.moments(DIGITS)[:, 5:11], strokes.moments(turned)[:, 5:11], atol=1e-5)
    assert not np.allclose(strokes.moments(DIGITS)[:, 2:4], strokes.moments(turned)[:, 2:4], atol=1e-2)


def test_scan_lines_count_strokes():
    across, down = np.split(strokes.crossings(EIGHT)[0], 2)
    assert across[:8].tolist() == [0, 1, 2, 1, 1, 2, 1, 0]  # rows 0, 1, 2, 3, 3, 4, 5, 6
    assert across[9] == 2
    assert down[9] == 3, "its middle column meets three bars"


def test_profiles_average_what_they_join():
    image = np.arange(40.0)[None, :, None].repeat(3, axis=2)
    rows, columns = np.split(strokes.profiles(image)[0], [16])
    assert len(columns) == 3
    assert np.allclose(rows, np.arange(40).repeat(2).reshape(16, 5).mean(axis=1)), "two pixels and a half each"
    assert np.allclose(columns, 19.5)


def test_contrast_and_ground_do_not_matter_to_ink():
    same = strokes.measure(DIGITS)[:, 3:]
    assert np.allclose(same, strokes.measure(DIGITS * 15 + 3)[:, 3:], atol=1e-4)


def test_box_of_nothing_is_nothing():
    assert not strokes.box(BLANK).any()
    assert strokes.box(FOUR)[0, :4].tolist() == [1 / 7, 2 / 7, 6 / 7, 6 / 7]


# -- colours


def painted(red, green, blue):
    return np.broadcast_to(np.float32([red, green, blue]), (1, 8, 8, 3)).copy()


@pytest.mark.parametrize(
    ("colour", "hue"), [((1, 0, 0), 0), ((1, 1, 0), 2), ((0, 1, 0), 4), ((0, 1, 1), 6), ((0, 0, 1), 8), ((0.5, 0.5, 0.5), None)]
)
def test_hues_fall_into_their_bins(colour, hue):
    histogram = colours.histograms(painted(*colour))[0, :12]
    assert np.flatnonzero(histogram).tolist() == ([] if hue is None else [hue])


def test_zones_and_edges_are_where_they_are():
    images = painted(0, 0, 0)
    images[0, :2, 6:] = 1  # the zone at the top right
    found = colours.zones(images)[0].reshape(4, 4, 3)
    assert found[0, 3].tolist() == [1, 1, 1]
    assert found.sum() == 3
    edges = colours.zones(colours._edges(images)[..., None])[0].reshape(4, 4)
    assert (edges > 0).sum() == 3, "that zone, and those beside and below it"


def test_moments_of_colours():
    images = np.random.default_rng(0).random((3, 6, 5, 3))
    pixels = images.reshape(3, -1, 3)
    third = ((pixels - pixels.mean(axis=1, keepdims=True)) ** 3).mean(axis=1)
    expected = np.hstack([pixels.mean(axis=1), pixels.std(axis=1), np.sign(third) * np.abs(third) ** (1 / 3)])
    assert np.allclose(colours.moments(images), expected)


# -- tables


@pytest.mark.parametrize("name", tables.TABLES)
def test_tables_known_by_name_have_the_columns_they_think(name):
    data = datasets.load(name)
    table = tables.TABLES[name]
    assert data.X.shape[1] == table.n_columns
    new = np.column_stack(table.measure(data.X.T.astype(np.float64)))
    assert np.isfinite(new).all()
    everything = np.hstack([data.X, new])
    ranks = np.linalg.matrix_rank((everything - everything.mean(axis=0)) / everything.std(axis=0))
    assert ranks > np.linalg.matrix_rank(data.X), "nothing but sums of the columns was added"
    assert np.isfinite(np.column_stack(table.measure(np.zeros((table.n_columns, 3))))).all(), "zeros to divide by"


def test_an_outline_like_a_circle_has_ratio_one():
    columns = np.ones((30, 1))
    columns[2], columns[3] = 2 * np.pi * 4, np.pi * 16  # mean perimeter and area of a circle of radius 4
    assert tables.breast_cancer(columns)[20] == pytest.approx(1.0)


# -- are they worth anything


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_they_tell_classes_apart(name):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import train_test_split

    data = datasets.load(name)
    train, test = train_test_split(np.arange(len(data.y)), random_state=0, stratify=data.y)
    fold = Fold(data.X[train], data.X[test], data.y[train], data.image_shape, dataset=name)
    X_train, X_test = features.get("handmade").build(fold)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(X_train, data.y[train])
    assert model.score(X_test, data.y[test]) > 0.92


def test_they_tell_mnist_apart():
    folder = Path(os.environ.get("DEPTHBENCH_DATA", ""), "mnist")
    if not folder.is_dir():
        pytest.skip("no folder mnist in DEPTHBENCH_DATA")
    import gzip

    from sklearn.ensemble import ExtraTreesClassifier

    with gzip.open(folder / "t10k-images-idx3-ubyte.gz") as f:
        X = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 784).astype(np.float32)
    with gzip.open(folder / "t10k-labels-idx1-ubyte.gz") as f:
        y = np.frombuffer(f.read(), np.uint8, offset=8)
    fold = Fold(X[:2000], X[2000:3000], y[:2000], (28, 28, 1), dataset="mnist")
    X_train, X_test = features.get("handmade").build(fold)
    model = ExtraTreesClassifier(random_state=0).fit(X_train, y[:2000])
    assert model.score(X_test, y[2000:3000]) > 0.9
