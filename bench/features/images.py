"""Descriptors of images, for many images at once: histograms of oriented gradients and local binary patterns.

The definitions are scikit-image's, which describes one image at a call; here a loop over images would take minutes for a
data set of 70,000. Tests hold the two together.

Legend: n images of H x W pixels and C channels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.features.builders import Fold, Matrices, in_blocks

#: Rec. 709 weights of red, green and blue in what the eye takes for brightness, as in scikit-image's rgb2gray.
LUMINANCE = np.float32([0.2125, 0.7154, 0.0721])


def describe(fold: Fold, function: Callable[[np.ndarray], np.ndarray]) -> Matrices:
    """Return ``function(images)`` for both parts; it takes (n, H, W, C) and returns (n, ...)."""

    def rows(X: np.ndarray) -> np.ndarray:
        return function(X.reshape(-1, *fold.image_shape)).reshape(len(X), -1)

    return tuple(in_blocks(rows, X) for X in (fold.X_train, fold.X_test))


def grey(images: np.ndarray) -> np.ndarray:
    """Return brightness (n, H, W) of images (n, H, W, C): luminance of three channels, else the mean of all.

    Examples
    --------
    >>> grey(np.ones((1, 2, 2, 1), np.float32)).shape
    (1, 2, 2)
    """
    channels = images.shape[-1]
    if channels == 1:
        return images[..., 0]
    return images @ LUMINANCE if channels == 3 else images.mean(axis=-1)


# -- histograms of oriented gradients


def hog(fold: Fold) -> Matrices:
    """Histograms of oriented gradients: 9 orientations, cells of a quarter of the image (8 pixels at most), 2x2 blocks.

    Nothing is estimated, so training and test part go the same way. On 8x8 images: cells of 2x2 pixels, 324 features.
    """
    height, width, _ = fold.image_shape
    cell = max(1, min(8, height // 4, width // 4))
    return describe(fold, lambda images: oriented_gradients(images, 9, (cell, cell), (2, 2)))


def oriented_gradients(
    images: np.ndarray,
    orientations: int = 9,
    pixels_per_cell: tuple[int, int] = (8, 8),
    cells_per_block: tuple[int, int] = (2, 2),
) -> np.ndarray:
    """Return scikit-image's `hog` of each image, with block normalization L2-Hys.

    Parameters
    ----------
    images : ndarray (n, H, W, C)
        Of several channels, each pixel takes the one with the largest gradient.
    orientations : int
        Bins over 180 degrees.
    pixels_per_cell, cells_per_block : (rows, columns)

    Returns
    -------
    ndarray (n, blocks down, blocks across, cells down, cells across, orientations) of float64

    Raises
    ------
    ValueError
        The images are smaller than one block.

    References
    ----------
    Dalal & Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.

    Examples
    --------
    >>> oriented_gradients(np.zeros((3, 28, 28, 1), np.float32), 9, (7, 7)).shape
    (3, 3, 3, 2, 2, 9)
    """
    from numpy.lib.stride_tricks import sliding_window_view

    down, across = _largest_gradient(images)
    histograms = _cell_histograms(down, across, orientations, *pixels_per_cell)
    if any(have < need for have, need in zip(histograms.shape[1:3], cells_per_block, strict=True)):
        least = "x".join(str(c * p) for c, p in zip(cells_per_block, pixels_per_cell, strict=True))
        raise ValueError(f"images must have at least {least} pixels for one block, not {images.shape[1]}x{images.shape[2]}")
    # the window's axes come last: (n, blocks down, blocks across, orientations, cells down, cells across)
    blocks = sliding_window_view(histograms, cells_per_block, axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    return _unit(np.minimum(_unit(blocks), 0.2))


def _largest_gradient(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return differences of the pixels below and above, right and left, 0 at the border; (n, H, W) each."""
    down, across = np.zeros_like(images), np.zeros_like(images)
    down[:, 1:-1] = images[:, 2:] - images[:, :-2]
    across[:, :, 1:-1] = images[:, :, 2:] - images[:, :, :-2]
    if images.shape[-1] == 1:
        return down[..., 0], across[..., 0]
    largest = np.hypot(down, across).argmax(axis=-1)[..., None]
    return tuple(np.take_along_axis(g, largest, axis=-1)[..., 0] for g in (down, across))


def _cell_histograms(down: np.ndarray, across: np.ndarray, orientations: int, rows: int, columns: int) -> np.ndarray:
    """Return mean gradient magnitudes (n, cells down, cells across, orientations); pixels beyond the last cell are left out."""
    n, n_down, n_across = len(down), down.shape[1] // rows, down.shape[2] // columns
    down, across = (
        g[:, : n_down * rows, : n_across * columns].astype(np.float64, copy=False) for g in (down, across)
    )
    degrees = np.rad2deg(np.arctan2(down, across)) % 180
    bins = np.minimum(degrees / (180 / orientations), orientations - 1).astype(np.intp)
    cell = (np.arange(n_down * rows) // rows)[:, None] * n_across + np.arange(n_across * columns) // columns
    index = (np.arange(n)[:, None, None] * (n_down * n_across) + cell) * orientations + bins
    shape = (n, n_down, n_across, orientations)
    sums = np.bincount(index.ravel(), weights=np.hypot(down, across).ravel(), minlength=int(np.prod(shape)))
    return sums.reshape(shape) / (rows * columns)


def _unit(blocks: np.ndarray, epsilon: float = 1e-5) -> np.ndarray:
    return blocks / np.sqrt(np.square(blocks).sum(axis=(3, 4, 5), keepdims=True) + epsilon**2)


# -- local binary patterns

#: Patterns of eight bits: 58 in which the bits change at most twice around the circle, and one for all others.
PATTERNS = 59

#: Positions of the eight neighbours (row, column), counterclockwise from the right, as in scikit-image.
_NEIGHBOURS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))

#: How far a neighbour on the circle's diagonal is from the centre, in rows and in columns: cos 45 degrees.
_DIAGONAL = np.float32(0.70711)


def lbp(fold: Fold) -> Matrices:
    """Histograms of uniform local binary patterns in cells of a quarter of the image (4 pixels at least).

    28x28 images have 4x4 cells of 7x7 pixels, 944 features; 8x8 images 2x2 cells, 236. Colour counts by its brightness.
    """
    height, width, _ = fold.image_shape
    cells = tuple(max(1, min(4, extent // 4)) for extent in (height, width))
    return describe(fold, lambda images: pattern_histograms(uniform_patterns(grey(images)), *cells))


def uniform_patterns(images: np.ndarray) -> np.ndarray:
    """Return scikit-image's ``local_binary_pattern(image, 8, 1, "nri_uniform")`` of each image.

    A bit says whether a neighbour on a circle of radius 1 is at least as bright as the centre; beyond the border it is
    dark. Neighbours on the diagonals are interpolated from four pixels. Differences to the centre are what is
    interpolated here, not brightness: so a neighbour that is exactly as bright counts as such, where scikit-image leaves
    it to rounding.

    Parameters
    ----------
    images : ndarray (n, H, W) of float32

    Returns
    -------
    ndarray (n, H, W) of uint8, 0..58

    References
    ----------
    Ojala, Pietikäinen & Mäenpää, "Multiresolution Gray-Scale and Rotation Invariant Texture Classification with Local
    Binary Patterns", PAMI 24(7), 2002.

    Examples
    --------
    >>> uniform_patterns(np.ones((1, 3, 3), np.float32))[0].tolist()  # only the middle has light all round
    [[19, 37, 21], [35, 57, 39], [17, 33, 23]]
    """
    height, width = images.shape[1:]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))

    def difference(row: int, column: int) -> np.ndarray:
        return padded[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width] - images

    code = np.zeros(images.shape, np.uint8)
    for bit, (row, column) in enumerate(_NEIGHBOURS):
        brighter = difference(row, column)
        if row and column:
            # bilinear weights t t, t (1 - t) twice, and (1 - t)(1 - t) of the centre, all divided by t: the sign is the same
            brighter *= _DIAGONAL
            brighter += (1 - _DIAGONAL) * (difference(row, 0) + difference(0, column))
        code |= (brighter >= 0).astype(np.uint8) << np.uint8(bit)
    return _pattern_numbers()[code]


def _pattern_numbers() -> np.ndarray:
    """Return the number of each of the 256 codes: by how many bits are set, then by where the run of set bits begins."""
    numbers = np.full(256, PATTERNS - 1, np.uint8)
    numbers[0], numbers[255] = 0, PATTERNS - 2
    for ones in range(1, 8):
        for shift in range(8):
            run = [(position - shift) % 8 < ones for position in range(8)]  # set bits from position `shift` on
            numbers[sum(1 << i for i, is_set in enumerate(run) if is_set)] = 1 + (ones - 1) * 8 + -shift % 8
    return numbers


def pattern_histograms(patterns: np.ndarray, n_down: int, n_across: int) -> np.ndarray:
    """Return the share of each pattern in each cell of a grid (n, cells, 59); cells differ by a pixel where they must.

    Examples
    --------
    >>> pattern_histograms(np.zeros((2, 8, 8), np.uint8), 2, 2).shape
    (2, 4, 59)
    """
    n, height, width = patterns.shape
    cell = (np.arange(height) * n_down // height)[:, None] * n_across + np.arange(width) * n_across // width
    n_cells = n_down * n_across
    index = (np.arange(n)[:, None, None] * n_cells + cell) * PATTERNS + patterns
    counts = np.bincount(index.ravel(), minlength=n * n_cells * PATTERNS).reshape(n, n_cells, PATTERNS)
    return counts / np.bincount(cell.ravel(), minlength=n_cells)[:, None]
