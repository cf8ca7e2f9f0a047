"""Images in files: a folder with one sub-folder per class, or with ``train`` and ``test`` that have them (the official split).

All images of one size up to 64x64 stay as they are; others are scaled to 32x32. Grey ones have one channel, unless one of
them is coloured. What was done is said in the facts. A file that looks like an image and is none is an error that names it.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from bench.datasets.entry import CLASSIFICATION, Data
from bench.datasets.table import enough_memory
from bench.errors import InputError

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")
LARGEST_SIDE, SCALED_SIDE = 64, 32

Files = Mapping[str, Callable[[], bytes]]


def read(path: Path, name: str) -> Data:
    """Read a folder of images; see the head of this module.

    Raises
    ------
    InputError
        No classes or no images in it, or a file that is no image; the message names it.
    """
    found = {p.relative_to(path).as_posix(): p.read_bytes for p in sorted(path.rglob("*")) if p.is_file()}
    return to_data(name, path, found)


def to_data(name: str, where: Path, files: Files, keep: Path | None = None) -> Data:
    """Return the images among `files`, names with functions that read them; decoded images are kept in the file `keep`."""
    import numpy as np

    samples = _samples(where, files)
    classes = tuple(sorted({s.label for s in samples}))
    X = _kept(keep, len(samples)) if keep is not None else None
    facts = {}
    if X is None:
        X, facts = _decode(where, samples, files)
        if keep is not None:
            _keep(keep, X)
    number = {label: i for i, label in enumerate(classes)}
    parts = {s.part for s in samples}
    return Data(
        name,
        X.reshape(len(X), -1),
        np.array([number[s.label] for s in samples], np.int64),
        CLASSIFICATION,
        classes=classes,
        image_shape=X.shape[1:],
        is_test=np.array([s.part == "test" for s in samples]) if parts == {"train", "test"} else None,
        facts=facts,
    )


@dataclass(frozen=True)
class _Sample:
    file: str
    label: str
    part: str | None


def _samples(where: Path, files: Files) -> list[_Sample]:
    """Tell class and part of each image from its path."""
    seen = [f for f in files if not any(part.startswith((".", "__MACOSX")) for part in f.split("/"))]
    images = [f for f in seen if f.lower().endswith(SUFFIXES)]
    if not images:
        raise InputError(f"{where} holds no images; expected one sub-folder per class, with {', '.join(SUFFIXES[:4])} ...")
    paths = {f: PurePosixPath(f).parts for f in images}
    while len({p[0] for p in paths.values()}) == 1 and min(map(len, paths.values())) > 2:
        paths = {f: p[1:] for f, p in paths.items()}  # one folder around all, as archives have it
    split = {p[0] for p in paths.values()} == {"train", "test"} and min(map(len, paths.values())) > 2
    depth = 1 if split else 0
    flat = [f for f, p in paths.items() if len(p) <= depth + 1]
    if flat:
        raise InputError(f"{where}: {flat[0]} lies in no sub-folder; expected one sub-folder per class")
    return [_Sample(f, p[depth], p[0] if split else None) for f, p in paths.items()]


def _decode(where: Path, samples: list[_Sample], files: Files) -> tuple[np.ndarray, dict]:
    """Return (n, H, W, C) uint8, and in words what was done."""
    import numpy as np
    from PIL import Image

    sizes, grey = set(), True
    for sample in samples:  # heads only: the sizes are known before the pixels take memory
        with _open(where, sample.file, files) as image:
            sizes.add(image.size)
            grey = grey and image.mode in ("1", "L", "I;16", "I", "F")
    fits = len(sizes) == 1 and max(next(iter(sizes))) <= LARGEST_SIDE
    width, height = next(iter(sizes)) if fits else (SCALED_SIDE, SCALED_SIDE)
    enough_memory(len(samples) * height * width * (1 if grey else 3), where)
    X = np.empty((len(samples), height, width, 1 if grey else 3), np.uint8)
    for i, sample in enumerate(samples):
        with _open(where, sample.file, files) as image:
            try:
                pixels = image.convert("L" if grey else "RGB")
            except (OSError, SyntaxError, ValueError) as e:
                raise InputError(f"{where}: {sample.file} is a damaged image: {e}") from e
            if not fits:
                pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
            X[i] = np.asarray(pixels).reshape(X.shape[1:])
    done = f"{len(X)} images, {height}x{width}, {'grey' if grey else 'colour'}"
    if not fits:
        smallest, largest = min(sizes), max(sizes)
        done += f", scaled from {smallest[1]}x{smallest[0]} ... {largest[1]}x{largest[0]} pixels"
    return X, {"inferred": [done]}


def _open(where: Path, name: str, files: Files):
    import warnings

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(files[name]()))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as e:
        raise InputError(f"{where}: {name} is not an image that can be read") from e
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as e:
        raise InputError(f"{where}: {name} is too large an image: {e}") from e


def _kept(path: Path, n_images: int) -> np.ndarray | None:
    """Return what was decoded before; None where it is not there, or not whole."""
    import numpy as np

    try:
        X = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return X if X.ndim == 4 and X.dtype == np.uint8 and len(X) == n_images else None


def _keep(path: Path, X: np.ndarray) -> None:
    """Write beside, then rename; where that cannot be, the next one decodes again."""
    import numpy as np

    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as f:
            np.save(f, X, allow_pickle=False)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
