"""Models with the parameters of a published table, to be set beside its figures; they are not tuned.

Xiao, Rasul & Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms",
arXiv:1708.07747, version 1, table 3: the best row of each classifier, on standardized pixels (the authors' runner fits a
StandardScaler on the training images). What they left at scikit-learn's defaults of 2017 and has changed since is set to
what it was.
"""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier


def one_vs_rest_logistic_regression(**params) -> OneVsRestClassifier:
    """Return one logistic regression per class against all others, as LogisticRegression's "ovr" was."""
    return OneVsRestClassifier(LogisticRegression(**params))
