"""The data sets inside scikit-learn's own package: small, well known, and there without a network."""

from __future__ import annotations

from bench.datasets.entry import CLASSIFICATION, REGRESSION, Data


def digits() -> Data:
    """Return 8x8 images of digits, grey values 0..16 (UCI, Alpaydin & Kaynak 1998, the test part)."""
    return _classification("digits", "load_digits", image_shape=(8, 8, 1))


def iris() -> Data:
    """Return Fisher's iris flowers (1936)."""
    return _classification("iris", "load_iris")


def wine() -> Data:
    """Return chemical measures of wines from three growers (UCI, Aeberhard & Forina 1991)."""
    return _classification("wine", "load_wine")


def breast_cancer() -> Data:
    """Return measures of cell nuclei, malignant or benign (UCI, Wolberg et al. 1993)."""
    return _classification("breast_cancer", "load_breast_cancer")


def diabetes() -> Data:
    """Return disease progression after a year (Efron et al. 2004), columns already centred and scaled."""
    import numpy as np
    from sklearn.datasets import load_diabetes

    bunch = load_diabetes()
    return Data("diabetes", np.ascontiguousarray(bunch.data, np.float32), bunch.target.astype(np.float64), REGRESSION)


def _classification(name: str, loader: str, image_shape: tuple[int, int, int] | None = None) -> Data:
    import numpy as np
    import sklearn.datasets

    bunch = getattr(sklearn.datasets, loader)()
    return Data(
        name,
        np.ascontiguousarray(bunch.data, np.float32),
        bunch.target.astype(np.int64),
        CLASSIFICATION,
        classes=tuple(str(c) for c in bunch.target_names),
        image_shape=image_shape,
    )
