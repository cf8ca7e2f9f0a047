"""hog and lbp, of many images at once, against scikit-image, of one at a time."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bench import datasets, features
from bench.features.images import grey, oriented_gradients, pattern_histograms, uniform_patterns

RNG = np.random.default_rng(0)
NOISE = {
    "grey levels": RNG.integers(0, 17, (8, 20, 17, 1)).astype(np.float32),
    "fractions": RNG.random((8, 20, 17, 1), dtype=np.float32),
    "colour": RNG.integers(0, 256, (8, 20, 17, 3)).astype(np.float32),
    "four channels": RNG.integers(0, 256, (8, 20, 17, 4)).astype(np.float32),
}


def skimage_hog(images, orientations, cell, block):
    from skimage.feature import hog

    options = {"orientations": orientations, "pixels_per_cell": cell, "cells_per_block": block, "block_norm": "L2-Hys"}
    one = images.shape[-1] == 1
    return np.stack(
        [
            hog(i[..., 0] if one else i, channel_axis=None if one else -1, feature_vector=False, **options)
            for i in images
        ]
    )


@pytest.mark.parametrize("images", NOISE.values(), ids=NOISE)
@pytest.mark.parametrize("orientations", [1, 4, 6, 7, 8, 9, 12])
@pytest.mark.parametrize("cell", [(2, 2), (3, 4), (5, 5), (8, 8)])
@pytest.mark.parametrize("block", [(1, 1), (2, 2), (2, 1)])
def test_hog_is_scikit_images(images, orientations, cell, block):
    expected = skimage_hog(images, orientations, cell, block)
    actual = oriented_gradients(images, orientations, cell, block)
    assert actual.shape == expected.shape
    assert np.allclose(actual, expected, atol=1e-5)


def test_hog_of_digits_is_what_it_always_was(make_fold):
    fold = make_fold("grey")
    for actual, X in zip(features.get("hog").build(fold), (fold.X_train, fold.X_test), strict=True):
        expected = skimage_hog(X.reshape(-1, 8, 8, 1), 9, (2, 2), (2, 2))
        assert np.allclose(actual, expected.reshape(len(X), -1), atol=1e-5)


def test_images_too_small_for_a_block():
    with pytest.raises(ValueError, match="at least 16x16 pixels for one block, not 12x20"):
        oriented_gradients(np.zeros((1, 12, 20, 1), np.float32))


def skimage_lbp(image):
    from skimage.feature import local_binary_pattern

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that of floating-point images
        return local_binary_pattern(image, 8, 1, "nri_uniform")


@pytest.mark.parametrize("images", NOISE.values(), ids=NOISE)
def test_patterns_are_scikit_images(images):
    brightness = grey(images) + 1e-3 * RNG.random(images.shape[:3], dtype=np.float32)  # no ties
    expected = np.stack([skimage_lbp(image) for image in brightness])
    assert np.array_equal(uniform_patterns(brightness), expected)
    assert len(np.unique(expected)) > 55, "nearly every pattern was seen"


def test_patterns_of_digits_are_scikit_images_but_for_ties():
    images = datasets.load("digits").X[:200].reshape(-1, 8, 8)
    expected = np.stack([skimage_lbp(image) for image in images])
    assert np.mean(uniform_patterns(images) == expected) > 0.99


@pytest.mark.parametrize("level", [0.1, 1 / 3, 7.0, 200.3])
def test_what_is_flat_is_flat_at_any_brightness(level):
    """scikit-image interpolates a neighbour that differs from the centre by a rounding error, or does not."""
    patterns = uniform_patterns(np.full((1, 9, 9), level, np.float32))
    assert (patterns[0, 1:-1, 1:-1] == 57).all()


@pytest.mark.parametrize("shape", [(8, 8), (28, 28), (9, 13), (4, 5)])
def test_every_cell_has_shares_that_sum_to_one(shape):
    patterns = RNG.integers(0, 59, (3, *shape)).astype(np.uint8)
    histograms = pattern_histograms(patterns, 4, 2)
    assert histograms.shape == (3, 8, 59)
    assert np.allclose(histograms.sum(axis=2), 1)
    left = patterns[0, : -(-shape[0] // 4), : -(-shape[1] // 2)]
    assert np.allclose(histograms[0, 0], np.bincount(left.ravel(), minlength=59) / left.size)


def test_brightness_is_scikit_images():
    from skimage.color import rgb2gray

    assert np.allclose(grey(NOISE["colour"]), rgb2gray(NOISE["colour"].astype(np.float64)), rtol=1e-5)
