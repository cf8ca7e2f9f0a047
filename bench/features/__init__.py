"""Feature sets by name: what a model is given to learn from, fitted on the training fold only.

::

    __init__.py    the registry, and the hash that proves what a model saw
    entry.py       what the harness must know of a feature set
    builders.py    made of columns: raw, standardized, pca, poly2, random_fourier; blocks of rows
    images.py      hog, lbp                        filters.py    random_conv
    handmade.py    one way per kind of data: strokes.py (grey images), colours.py, tables.py
    networks.py    learned, learned:<network>, learned:<network>@<layer>
    keys.py        what a matrix depends on        cache.py      one matrix per fold, for all models and all runs

To add a feature set: one `FeatureSet` below and one function; the tests of all feature sets pick it up.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from bench.features.entry import FeatureSet
from bench.names import unknown

if TYPE_CHECKING:
    import numpy as np

#: Images below this have no room for cells.
_SIDE = 4

FEATURE_SETS = (
    FeatureSet("raw", "the values as they came", "builders:raw", keeps_image=True, stored=False),
    FeatureSet(
        "standardized",
        "each column with mean 0 and deviation 1",
        "builders:standardized",
        keeps_image=True,
        stored=False,
    ),
    FeatureSet("pca", "principal components that keep 95 % of the variance", "builders:pca", "Pearson 1901"),
    FeatureSet(
        "hog",
        "images: histograms of oriented gradients",
        "images:hog",
        "Dalal & Triggs 2005",
        needs_image=True,
        min_side=_SIDE,
    ),
    FeatureSet(
        "lbp",
        "images: histograms of uniform local binary patterns, per cell",
        "images:lbp",
        "Ojala et al. 2002, Ahonen et al. 2006",
        needs_image=True,
        min_side=_SIDE,
    ),
    FeatureSet(
        "handmade",
        "what a person would measure: strokes and shape, colours, ratios of a table's columns",
        "handmade:handmade",
        "Hu 1962, Stricker & Orengo 1995",
        reads=("dataset",),
        min_side=_SIDE,
        check="handmade:reason_to_skip",
    ),
    FeatureSet(
        "random_conv",
        "images: 64 untrained random filters, ReLU, averages over a 4x4 grid",
        "filters:random_conv",
        "Jarrett et al. 2009, Saxe et al. 2011",
        reads=("seed", "backend"),
        needs_image=True,
        min_side=_SIDE,
    ),
    FeatureSet(
        "random_fourier",
        "1,024 random cosines that approach an RBF kernel",
        "builders:random_fourier",
        "Rahimi & Recht 2007",
        reads=("seed",),
    ),
    FeatureSet(
        "poly2",
        "tables: columns, their squares and products, standardized",
        "builders:poly2",
        needs_table=True,
        max_columns=60,
    ),
    FeatureSet(
        "learned",
        "images: penultimate activations of a ConvNet trained on the training fold",
        "networks:learned",
        "Donahue et al. 2014",
        reads=("y_train", "seed", "backend"),
        needs_image=True,
        needs_classes=True,
        check="networks:reason_to_skip_default",
    ),
)

#: Names with a part that is chosen; bench/features/networks.py has a line about each.
PATTERNS = ("learned:<network>", "learned:<network>@<layer>")


def names() -> list[str]:
    """Return the names of the registry, in its order."""
    return [f.name for f in FEATURE_SETS]


@functools.lru_cache(maxsize=256)
def get(name: str) -> FeatureSet:
    """Return the entry of that name; ``learned:<network>`` and ``learned:<network>@<layer>`` are made as asked for.

    Raises
    ------
    InputError
        Unknown name, network or layer; the message names the nearest, or what there is.

    Examples
    --------
    >>> get("hog").needs_image
    True
    >>> get("learned:lenet5@c16k5").options
    {'network': 'lenet5', 'layer': 2}
    """
    for feature_set in FEATURE_SETS:
        if feature_set.name == name:
            return feature_set
    if name.startswith("learned:"):
        from bench.features import networks

        return networks.entry(name)
    raise unknown("feature set", name, [*names(), *PATTERNS])


def sha256(*arrays: np.ndarray) -> str:
    """Return the SHA-256 of arrays: of each, its dtype and shape as text, then its bytes in C order.

    The text keeps apart what has equal bytes and is not the same: ``<f4(2, 3)`` and ``<f4(3, 2)``.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros((2, 3), np.float32)
    >>> sha256(x) == sha256(np.asfortranarray(x)) != sha256(x.T)
    True
    """
    import hashlib

    import numpy as np

    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
