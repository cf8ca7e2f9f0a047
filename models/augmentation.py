"""Changes of images that leave their class alone, drawn anew in each epoch, batch by batch.

=========== ======================================================================================================
``shift2``  move by up to 2 pixels along each axis; what comes in is the mean pixel
``crop4``   pad by 4 pixels and cut a piece of the old size out (the same distribution as ``shift4``; the usual name
            for CIFAR-10, Krizhevsky et al. 2012, He et al. 2016)
``flip``    mirror left and right, with probability 1/2
``cutout8`` set a square of 8x8 pixels around a random pixel to the mean (DeVries & Taylor, arXiv:1708.04552)
=========== ======================================================================================================

>>> [type(change).__name__ for change in parse("crop4 flip")]
['Shift', 'Flip']
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

GRAMMAR = "shift<pixels>, crop<pixels>, flip, cutout<side>"
_LARGEST = 4096


@dataclass(frozen=True)
class Shift:
    """Move each image by a whole number of pixels, up to `most` along each axis."""

    most: int

    def __call__(self, x: np.ndarray, generator: np.random.Generator, fill: float) -> None:
        n, height, width, _ = x.shape
        by = generator.integers(-self.most, self.most + 1, (n, 2))
        moved = np.full_like(x, fill)
        for i, (down, right) in enumerate(by.tolist()):
            to_y, to_x = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
            from_y, from_x = slice(max(-down, 0), height - max(down, 0)), slice(max(-right, 0), width - max(right, 0))
            if to_y.start < to_y.stop and to_x.start < to_x.stop:
                moved[i, to_y, to_x] = x[i, from_y, from_x]
        x[...] = moved


@dataclass(frozen=True)
class Flip:
    """Mirror half of the images left and right."""

    def __call__(self, x: np.ndarray, generator: np.random.Generator, fill: float) -> None:
        chosen = np.flatnonzero(generator.random(len(x)) < 0.5)
        x[chosen] = x[chosen, :, ::-1]


@dataclass(frozen=True)
class Cutout:
    """Blank a square around a random pixel; at the border, what of it lies inside."""

    side: int

    def __call__(self, x: np.ndarray, generator: np.random.Generator, fill: float) -> None:
        n, height, width, _ = x.shape
        tops = generator.integers(0, height, n) - self.side // 2
        lefts = generator.integers(0, width, n) - self.side // 2
        for i, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
            x[i, max(top, 0) : max(top + self.side, 0), max(left, 0) : max(left + self.side, 0)] = fill


Change = Shift | Flip | Cutout


def parse(given: str | Sequence[str] | None) -> tuple[Change, ...]:
    """Return the changes that tokens name.

    Raises
    ------
    ValueError
        Naming the token that does not fit, and what may stand there.
    TypeError
        Neither text nor a list of it.
    """
    if given is None:
        return ()
    if not isinstance(given, (str, list, tuple)) or not all(isinstance(token, str) for token in given):
        raise TypeError(f"augmentation must be text or a list of it ({GRAMMAR}), got {given!r}")
    return tuple(_change(token) for token in (given.split() if isinstance(given, str) else given))


def _change(token: str) -> Change:
    match = re.fullmatch(r"(?:(shift|crop|cutout)(\d{1,5})|(flip))", token, re.ASCII)
    if match is None or (match[2] and not 1 <= int(match[2]) <= _LARGEST):
        raise ValueError(f"augmentation: unknown token {token!r}. Tokens: {GRAMMAR}, 1 to {_LARGEST} pixels")
    if match[3]:
        return Flip()
    return Cutout(int(match[2])) if match[1] == "cutout" else Shift(int(match[2]))
