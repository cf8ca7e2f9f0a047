"""What a model predicted for each test sample, in a few bytes a row: for comparisons sample by sample, and never a pickle.

A row keeps, for each test sample in the order of the split, the **offset** of the predicted class from the true one,
``(predicted - true) mod K``: zero where the prediction is right. Most are zero, so they compress to little, and neither the
labels nor the data set are needed to compare two models of one fold: they agree on a sample where their offsets do, and are
right where these are zero.

The text is base64 of zlib of one unsigned byte a sample, two (little-endian) where there are more than 256 classes. It is
bounded: a row whose text would be longer than `MOST_BYTES` keeps none.
"""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: The longest text that a row keeps: test folds of some 100,000 samples, unless a model is wrong on most.
MOST_BYTES = 64 * 1024

#: With more classes than this, offsets take two bytes.
ONE_BYTE_CLASSES = 256
_MOST_CLASSES = 2**16


def pack(y_pred: np.ndarray, y_test: np.ndarray, n_classes: int) -> str | None:
    """Return the offsets of predicted from true classes as text; None where that would be too long.

    Parameters
    ----------
    y_pred, y_test : ndarray of int, shape (n,)
        Class numbers 0..n_classes - 1.
    n_classes : int

    Examples
    --------
    >>> import numpy as np
    >>> text = pack(np.array([0, 2, 1]), np.array([0, 2, 2]), 3)
    >>> unpack(text, 3, 3).tolist()
    [0, 0, 2]
    """
    import numpy as np

    if not 0 < n_classes <= _MOST_CLASSES:
        return None
    offsets = (np.asarray(y_pred, np.int64) - np.asarray(y_test, np.int64)) % n_classes
    content = zlib.compress(offsets.astype(_dtype(n_classes)).tobytes(), 9)
    text = base64.b64encode(content).decode("ascii")
    return text if len(text) <= MOST_BYTES else None


def unpack(text: str, n_samples: int, n_classes: int) -> np.ndarray:
    """Return the offsets that `pack` has packed.

    Parameters
    ----------
    text : str
    n_samples : int
        Of the test fold; never is more memory taken than they need.
    n_classes : int

    Returns
    -------
    ndarray of int64, shape (n_samples,)

    Raises
    ------
    ValueError
        The text is not of `pack`, or of another number of samples.
    """
    import numpy as np

    dtype = np.dtype(_dtype(n_classes))
    expected = n_samples * dtype.itemsize
    try:
        stream = zlib.decompressobj()
        content = stream.decompress(base64.b64decode(text, validate=True), expected + 1)
    except (ValueError, TypeError, zlib.error) as error:
        raise ValueError(f"stored predictions cannot be read: {error}") from None
    if len(content) != expected:
        raise ValueError(f"stored predictions are of another number of samples than {n_samples}")
    return np.frombuffer(content, dtype).astype(np.int64)


def _dtype(n_classes: int) -> str:
    return "u1" if n_classes <= ONE_BYTE_CLASSES else "<u2"
