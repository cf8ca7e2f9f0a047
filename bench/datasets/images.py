"""Images: the IDX files of MNIST and its like, CIFAR-10, traffic signs, and the views that ask one question of them.

Pixels stay uint8, 0..255, as they came; a fold is turned into float32 when its matrices are made.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets import cache, folders
from bench.datasets.archives import members
from bench.datasets.entry import CLASSIFICATION, Data, File
from bench.datasets.sources import CIFAR10, CIFAR10_JPEG, FASHION_MNIST, GTSRB_SUBSET, KMNIST, MNIST
from bench.errors import InputError

if TYPE_CHECKING:
    import numpy as np

#: Stands wherever results on these images are shown.
RE_ENCODED = "CIFAR-10, JPEG re-encoded"

_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_STOP_SIGN = 14


# -- IDX


def mnist() -> Data:
    """Return handwritten digits (LeCun et al. 1998), the official split."""
    return _idx("mnist", MNIST, _DIGITS)


def fashion_mnist() -> Data:
    """Return images of clothes (Xiao et al. 2017), the official split."""
    return _idx("fashion_mnist", FASHION_MNIST, _CLOTHES)


def kmnist() -> Data:
    """Return cursive Japanese characters (Clanuwat et al. 2018), the official split."""
    return _idx("kmnist", KMNIST, _KANA)


def _idx(name: str, files: tuple[File, ...], classes: tuple[str, ...]) -> Data:
    X_train, y_train, X_test, y_test = (read_idx(cache.locate(f)) for f in files)
    return _two_parts(name, (X_train[..., None], y_train), (X_test[..., None], y_test), classes)


def read_idx(path: Path) -> np.ndarray:
    """Return the array in a gzipped IDX file of unsigned bytes (two zeros, type 8, the rank, the shape, the values).

    Raises
    ------
    InputError
        Another kind of file, or one that is cut short.
    """
    import numpy as np

    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as e:
        raise InputError(f"cannot read {path}: {e}") from e
    if content[:3] != b"\x00\x00\x08" or len(content) < 4 + 4 * content[3]:
        raise InputError(f"{path} is not an IDX file of unsigned bytes: it begins with {content[:4].hex()}")
    rank = content[3]
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", rank, 4))
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * rank)
    if len(values) != np.prod(shape):
        raise InputError(f"{path}: its head says {shape}, but {len(values)} values follow")
    return values.reshape(shape)


def _two_parts(name: str, train: tuple, test: tuple, classes: tuple[str, ...], **more) -> Data:
    """Put (images (n, H, W, C), labels) of both parts one behind the other."""
    import numpy as np

    images = np.concatenate([train[0], test[0]])
    return Data(
        name,
        images.reshape(len(images), -1),
        np.concatenate([train[1], test[1]]).astype(np.int64),
        CLASSIFICATION,
        classes=classes,
        image_shape=images.shape[1:],
        is_test=np.arange(len(images)) >= len(train[0]),
        **more,
    )


# -- CIFAR-10


def cifar10() -> Data:
    """Return small colour photographs (Krizhevsky 2009), the official split."""
    parts: dict[bool, list] = {False: [], True: []}
    path = cache.locate(CIFAR10)
    with members(path) as found:
        for name, read in found.items():
            if name.endswith(".bin"):
                parts[name.endswith("test_batch.bin")].append(_cifar_records(path, name, read()))
    if not all(parts.values()):
        raise InputError(f"{path} lacks data_batch_*.bin or test_batch.bin")
    import numpy as np

    train, test = ([np.concatenate(arrays) for arrays in zip(*parts[is_test], strict=True)] for is_test in (False, True))
    return _two_parts("cifar10", tuple(train), tuple(test), _CIFAR10)


def _cifar_records(path: Path, name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 32, 32, 3) and labels; a record is the label, then the red, green and blue plane."""
    import numpy as np

    size = 1 + 3 * 32 * 32
    if not content or len(content) % size:
        raise InputError(f"{path}: {name} has {len(content)} bytes, not a multiple of {size}")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def cifar10_jpeg() -> Data:
    """Return CIFAR-10 as someone saved it in lossy JPEG: never to be set beside scores of the original."""
    path = cache.locate(CIFAR10_JPEG)
    with members(path) as found:
        data = folders.to_data("cifar10_jpeg", path, found, keep=cache.decoded() / f"{CIFAR10_JPEG.sha256[:16]}.npy")
    return replace(data, facts={"about": RE_ENCODED})


# -- traffic signs


def gtsrb_subset() -> Data:
    """Return traffic signs of 43 classes (Stallkamp et al. 2012), a part of them, scaled to 32x32; groups: track."""
    import numpy as np

    with np.load(cache.locate(GTSRB_SUBSET), allow_pickle=False) as archive:
        a = {name: archive[name] for name in archive.files}
    # a track of the test part is not known; splits by track leave that part out
    track = np.concatenate([a["track_train"].astype(np.int64), np.full(len(a["x_test"]), -1)])
    classes = tuple(str(c) for c in range(43))
    data = _two_parts("gtsrb_subset", (a["x_train"], a["y_train"]), (a["x_test"], a["y_test"]), classes)
    return replace(data, groups={"track": track}, facts={"about": "a subset of GTSRB, scaled to 32x32"})


# -- views


def cats_vs_dogs() -> Data:
    """Return the cats and the dogs of CIFAR-10; of the re-encoded one, where only that is at hand."""
    return view(_any_cifar10(), "cats_vs_dogs", {"cat": "cat", "dog": "dog"})


def dogs_vs_horses() -> Data:
    """Return the dogs and the horses of CIFAR-10; of the re-encoded one, where only that is at hand."""
    return view(_any_cifar10(), "dogs_vs_horses", {"dog": "dog", "horse": "horse"})


def _any_cifar10() -> Data:
    [file] = cache.choose(((CIFAR10,), (CIFAR10_JPEG,)))
    load: Callable[[], Data] = cifar10 if file is CIFAR10 else cifar10_jpeg
    return load()


def stop_sign() -> Data:
    """Return the traffic signs with one question: is it a stop sign?"""
    data = gtsrb_subset()
    answers = {c: "stop sign" if c == str(_STOP_SIGN) else "other" for c in data.classes}
    return view(data, "stop_sign", answers)


def view(data: Data, name: str, classes: dict[str, str]) -> Data:
    """Return the samples of the classes that are keys of `classes`, each under its new class; parts and groups stay.

    Examples
    --------
    >>> from bench.datasets import load
    >>> two = view(load("iris"), "two", {"setosa": "small", "virginica": "large"})
    >>> two.X.shape, two.classes, two.y[[0, -1]].tolist()
    ((100, 4), ('small', 'large'), [0, 1])
    """
    import numpy as np

    new = tuple(dict.fromkeys(classes.values()))
    number = np.array([new.index(classes[c]) if c in classes else -1 for c in data.classes])[data.y]
    keep = number >= 0
    return replace(
        data,
        name=name,
        X=np.ascontiguousarray(data.X[keep]),
        y=number[keep],
        classes=new,
        is_test=None if data.is_test is None else data.is_test[keep],
        groups={column: values[keep] for column, values in data.groups.items()},
    )
