"""What a person would measure of a grey image that shows one thing on a dark ground: a digit, a letter, a garment.

How much ink, where, how it is balanced, how many strokes a straight line meets, how many holes there are and where, how
many loose ends. *Ink* is brightness between the image's own darkest and brightest pixel, 0..1; what lies above a half
is *inked*.

Legend: n images of H x W pixels; rows and columns are given as fractions of the image's extent.
"""

from __future__ import annotations

import numpy as np

from bench.features.colours import zones

#: Values in a profile, and scan lines across and down.
PROFILE, SCAN_LINES = 16, 8

#: Hu's moments are compared on a logarithmic scale down to here.
SMALLEST_MOMENT = 1e-7


def measure(images: np.ndarray) -> np.ndarray:
    """Return all measures below, side by side; (n, 106) for images of at least 16x16 pixels.

    Parameters
    ----------
    images : ndarray (n, H, W)

    Examples
    --------
    >>> measure(np.eye(28, dtype=np.float32)[None]).shape
    (1, 106)
    """
    ink = _ink(images)
    inked = ink > 0.5
    parts = (
        mass(images, inked),
        box(inked),
        moments(ink),
        symmetry(ink),
        profiles(ink),
        crossings(inked),
        topology(inked),
        zones(ink[..., None]),
        ends(inked),
    )
    return np.column_stack(parts)


def _ink(images: np.ndarray) -> np.ndarray:
    darkest = images.min(axis=(1, 2), keepdims=True)
    contrast = images.max(axis=(1, 2), keepdims=True) - darkest
    return (images - darkest) / np.where(contrast > 0, contrast, 1)


def mass(images: np.ndarray, inked: np.ndarray) -> np.ndarray:
    """Return mean and deviation of the pixels as they came, and the share that is inked; (n, 3)."""
    values = images.astype(np.float64)
    return np.column_stack([values.mean(axis=(1, 2)), values.std(axis=(1, 2)), inked.mean(axis=(1, 2))])


def box(inked: np.ndarray) -> np.ndarray:
    """Return the smallest box around what is inked: top, left, bottom, right, height, width, log aspect, share filled; (n, 8).

    All zero where nothing is inked.

    Examples
    --------
    >>> image = np.zeros((1, 4, 4), bool)
    >>> image[0, 1:3, :2] = True
    >>> box(image)[0].tolist()
    [0.25, 0.0, 0.75, 0.5, 0.5, 0.5, 0.0, 1.0]
    """
    sides = {}
    for axis, name in ((2, "rows"), (1, "columns")):
        used = inked.any(axis=axis)
        first, last = used.argmax(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1)
        sides[name] = first / used.shape[1], last / used.shape[1], last - first
    (top, bottom, height), (left, right, width) = sides["rows"], sides["columns"]
    shape = inked.shape
    filled = inked.sum(axis=(1, 2)) / (height * width)
    found = [top, left, bottom, right, height / shape[1], width / shape[2], np.log(height / width), filled]
    return np.column_stack(found) * inked.any(axis=(1, 2))[:, None]


def moments(ink: np.ndarray) -> np.ndarray:
    """Return the centre of mass, the slant and length of the ink, and Hu's seven invariants as logarithms; (n, 12).

    Slant and length are those of the ellipse with equal second moments: cosine and sine of twice its angle, each times how
    far it is from a circle, and its size.

    References
    ----------
    Hu, "Visual Pattern Recognition by Moment Invariants", IRE Transactions on Information Theory 8, 1962.
    """
    height, width = ink.shape[1:]
    ink = ink.astype(np.float64)
    total = ink.sum(axis=(1, 2))
    total = np.where(total > 0, total, 1.0)
    rows, columns = np.arange(height), np.arange(width)
    row, column = ink.sum(axis=2) @ rows / total, ink.sum(axis=1) @ columns / total
    powers = np.arange(4)
    up = (rows - row[:, None])[:, None, :] ** powers[:, None]  # (n, 4, H)
    along = (columns - column[:, None])[:, :, None] ** powers  # (n, W, 4)
    order = powers[:, None] + powers
    central = (up @ ink @ along) / total[:, None, None] ** (1 + order / 2)  # nu of Hu's eq. (2), (n, 4, 4)
    spread = central[:, 2, 0] + central[:, 0, 2]
    lengths = [
        (central[:, 2, 0] - central[:, 0, 2]) / np.where(spread > 0, spread, 1.0),
        2 * central[:, 1, 1] / np.where(spread > 0, spread, 1.0),
        np.sqrt(spread),
    ]
    invariants = hu(central)
    logarithms = np.sign(invariants) * np.log1p(np.abs(invariants) / SMALLEST_MOMENT)
    return np.column_stack([(row + 0.5) / height, (column + 0.5) / width, *lengths, logarithms])


def hu(central: np.ndarray) -> np.ndarray:
    """Return Hu's invariants (n, 7) of normalized central moments (n, 4, 4), rows first.

    Examples
    --------
    >>> hu(np.zeros((1, 4, 4))).shape
    (1, 7)
    """
    m = {(p, q): central[:, p, q] for p in range(4) for q in range(4)}
    difference, a, b = m[2, 0] - m[0, 2], m[3, 0] + m[1, 2], m[2, 1] + m[0, 3]
    c, d = m[3, 0] - 3 * m[1, 2], 3 * m[2, 1] - m[0, 3]
    a2, b2 = a**2, b**2
    return np.column_stack(
        [
            m[2, 0] + m[0, 2],
            difference**2 + 4 * m[1, 1] ** 2,
            c**2 + d**2,
            a2 + b2,
            c * a * (a2 - 3 * b2) + d * b * (3 * a2 - b2),
            difference * (a2 - b2) + 4 * m[1, 1] * a * b,
            d * a * (a2 - 3 * b2) - c * b * (3 * a2 - b2),
        ]
    )


def symmetry(ink: np.ndarray) -> np.ndarray:
    """Return how alike the image is to its mirror images and to itself turned by half, 0..1; (n, 3).

    Examples
    --------
    >>> image = np.float32([[[1, 0], [1, 0]]])
    >>> symmetry(image)[0].tolist()  # left and right, up and down, both
    [0.0, 1.0, 0.0]
    """
    total = 2 * ink.sum(axis=(1, 2), dtype=np.float64)
    flips = (ink[:, :, ::-1], ink[:, ::-1], ink[:, ::-1, ::-1])
    unlike = (np.abs(ink - flipped).sum(axis=(1, 2), dtype=np.float64) for flipped in flips)
    return np.column_stack([1 - value / np.where(total > 0, total, 1.0) for value in unlike])


def profiles(ink: np.ndarray) -> np.ndarray:
    """Return mean ink of rows, then of columns, each averaged to 16 values at most; (n, 32).

    Examples
    --------
    >>> profiles(np.float32([[[1, 0], [1, 0]]]))[0].tolist()
    [0.5, 0.5, 1.0, 0.0]
    """
    return np.hstack([ink.mean(axis=axis) @ _averaging(ink.shape[3 - axis]) for axis in (2, 1)])


def _averaging(extent: int) -> np.ndarray:
    """Return the matrix (extent, k) that averages pixels over k equal lengths; a pixel on a border counts in part."""
    k = min(PROFILE, extent)
    edges = np.linspace(0, extent, k + 1)
    pixel = np.arange(extent)[:, None]
    overlap = np.minimum(edges[1:], pixel + 1) - np.maximum(edges[:-1], pixel)
    return np.maximum(overlap, 0) * k / extent


def crossings(inked: np.ndarray) -> np.ndarray:
    """Return how many strokes straight lines meet: 8 across, 8 down, and the mean and most of all rows and columns; (n, 20).

    Examples
    --------
    >>> ring = np.ones((1, 5, 5), bool)
    >>> ring[0, 1:4, 1:4] = False
    >>> crossings(ring)[0, :8].tolist()  # the rows of a ring: one stroke above and below, two between
    [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]
    """
    parts = []
    for axis in (2, 1):
        before = np.zeros_like(inked)
        if axis == 2:
            before[:, :, 1:] = inked[:, :, :-1]
        else:
            before[:, 1:] = inked[:, :-1]
        strokes = (inked & ~before).sum(axis=axis)
        lines = ((np.arange(SCAN_LINES) + 0.5) * strokes.shape[1] / SCAN_LINES).astype(int)
        parts += [strokes[:, lines], strokes.mean(axis=1, keepdims=True), strokes.max(axis=1, keepdims=True)]
    return np.hstack(parts).astype(np.float64)


def topology(inked: np.ndarray) -> np.ndarray:
    """Return how many pieces and holes, the holes' share of the image, and the row and column of their centre; (n, 5).

    Pixels of a piece touch at sides or corners, those of a hole at sides. Pieces less holes are the Euler number. Without
    a hole the centre is the middle of the image.

    Examples
    --------
    >>> ring = np.ones((1, 5, 5), bool)
    >>> ring[0, 1:4, 1:4] = False
    >>> topology(ring)[0].tolist()
    [1.0, 1.0, 0.36, 0.5, 0.5]
    """
    from scipy.ndimage import label

    n, height, width = inked.shape
    # all images are labelled at once: neighbours in a structure stand in its middle plane only, so that none meets the next
    corners, sides = np.zeros((2, 3, 3, 3), bool)
    corners[1], sides[1, 1], sides[1, :, 1] = True, True, True
    image = np.broadcast_to(np.arange(n)[:, None, None], inked.shape)
    pieces = _per_image(label(inked, corners)[0], image, n)
    ground = label(np.pad(~inked, ((0, 0), (1, 1), (1, 1)), constant_values=True), sides)[0]
    outside = ground[:, :1, :1]  # the margin joins all ground that is no hole
    inner = ground[:, 1:-1, 1:-1]
    hole = (inner != outside) & (inner > 0)
    holes = _per_image(np.where(hole, inner, 0), image, n)
    area = hole.sum(axis=(1, 2))
    row, column = (
        np.where(area > 0, (hole.sum(axis=axis) @ (np.arange(extent) + 0.5)) / np.maximum(area, 1) / extent, 0.5)
        for axis, extent in ((2, height), (1, width))
    )
    return np.column_stack([pieces, holes, area / (height * width), row, column])


def _per_image(labels: np.ndarray, image: np.ndarray, n: int) -> np.ndarray:
    """Return how many labels above 0 each image has; no label stands in two images."""
    owner = np.full(labels.max() + 1, -1)
    owner[labels.ravel()] = image.ravel()
    owner[0] = -1
    return np.bincount(owner[owner >= 0], minlength=n)


def ends(inked: np.ndarray) -> np.ndarray:
    """Return the length of the strokes, loose ends, junctions, and the loose ends of each quarter of the image; (n, 7).

    Counted on the skeleton: a loose end has one neighbour of eight, a junction three or more.

    Examples
    --------
    >>> line = np.zeros((1, 8, 8), bool)
    >>> line[0, 4, 1:7] = True
    >>> ends(line)[0].tolist()  # both ends lie in the lower half
    [0.75, 2.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    """
    skeleton = skeletons(inked)
    height, width = skeleton.shape[1:]
    padded = np.pad(skeleton, ((0, 0), (1, 1), (1, 1))).astype(np.uint8)
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    neighbours = rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:] - skeleton
    loose = skeleton & (neighbours == 1)
    halves = [(slice(extent // 2), slice(extent // 2, None)) for extent in (height, width)]
    quarters = [loose[:, rows, columns].sum(axis=(1, 2)) for rows in halves[0] for columns in halves[1]]
    length = skeleton.sum(axis=(1, 2)) / max(height, width)
    return np.column_stack([length, loose.sum(axis=(1, 2)), (skeleton & (neighbours > 2)).sum(axis=(1, 2)), *quarters])


def skeletons(inked: np.ndarray) -> np.ndarray:
    """Return the strokes thinned to a line of one pixel (n, H, W), by scikit-image's method of Zhang & Suen 1984.

    All images are thinned in one, below each other with a margin between: thinning looks no further than a neighbour.
    """
    from skimage.morphology import skeletonize

    n, height, width = inked.shape
    column = np.pad(inked, ((0, 0), (1, 1), (1, 1))).reshape(n * (height + 2), width + 2)
    return skeletonize(column, method="zhang").reshape(n, height + 2, width + 2)[:, 1:-1, 1:-1]
