"""What the cells of a worker have in common before any feature: the data, their splits, and the hashes of both parts.

Each data set is loaded once, and made read-only: no model can change what the next one sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench import datasets, features
from bench.datasets import Data
from bench.splits import split

if TYPE_CHECKING:
    from bench.execution import Context


class Samples:
    """Data sets by name, as the cells of a run need them."""

    def __init__(self, context: Context):
        self._context = context
        self._data: dict[str, Data] = {}
        self._splits: dict[tuple, list] = {}
        self._hashes: dict[tuple[str, str], str] = {}

    def load(self, name: str) -> Data:
        """Return a data set, loaded at the first call."""
        if name not in self._data:
            data = datasets.load(name, self._context.dataset_files[name], self._context.target)
            data.X.flags.writeable = False
            data.y.flags.writeable = False
            self._data[name] = data
        return self._data[name]

    def split(self, name: str, repeat: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the indices of training and test samples of each fold; the last repeat of a data set is kept."""
        key = (name, repeat)
        if key not in self._splits:
            self._splits = {k: v for k, v in self._splits.items() if k[0] != name}
            c = self._context
            self._splits[key] = split(self.load(name), c.split, c.folds, repeat, c.seed)
        return self._splits[key]

    def sha256(self, name: str, part: str) -> str:
        """Return the hash of all samples (``"X"``) or labels (``"y"``) of a data set, made once."""
        if (name, part) not in self._hashes:
            self._hashes[name, part] = features.sha256(getattr(self.load(name), part))
        return self._hashes[name, part]
