"""From a table with categories and gaps to numbers: fitted on the training fold, applied to both.

A median, and which categories there are, are estimates: taken from the whole table they would carry the test part into the
training of every model. So `Data.X` keeps NaN and codes, and each fold is prepared by itself, before any feature set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: Categories up to which a column becomes one 0/1 column for each; beyond, one column of codes.
ONE_HOT_MAX = 50

#: Codes of a category that the training fold does not have, and of a missing one, in a column of codes.
UNSEEN, MISSING = -1, -2


@dataclass(frozen=True)
class Preparation:
    """Which columns are treated how, by their numbers.

    Examples
    --------
    >>> import numpy as np
    >>> color = np.array([[0], [1], [np.nan]], np.float32)
    >>> Preparation(one_hot=(0,)).fit_transform(color, np.array([[2]], np.float32))[0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    kept: tuple[int, ...] = ()  # numbers without gaps
    filled: tuple[int, ...] = ()  # numbers with gaps: the median
    one_hot: tuple[int, ...] = ()  # a missing value is a category of its own
    ordinal: tuple[int, ...] = ()  # the rank of the category among those of the training fold

    def fit_transform(self, X_train: np.ndarray, X_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return both parts as float32, C-contiguous, in the order kept, filled, one_hot, ordinal."""
        import numpy as np
        from sklearn.compose import ColumnTransformer
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

        steps = [
            ("kept", "passthrough", list(self.kept)),
            # a column that is empty in this fold stays, as zeros: all folds have it
            ("filled", SimpleImputer(strategy="median", keep_empty_features=True), list(self.filled)),
            ("one_hot", OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32), list(self.one_hot)),
            (
                "ordinal",
                OrdinalEncoder(
                    handle_unknown="use_encoded_value", unknown_value=UNSEEN, encoded_missing_value=MISSING, dtype=np.float32
                ),
                list(self.ordinal),
            ),
        ]
        transformer = ColumnTransformer([step for step in steps if step[2]])
        transformer.fit(X_train)
        return tuple(np.ascontiguousarray(transformer.transform(X), np.float32) for X in (X_train, X_test))
