"""Four ways to read a text: words counted, words weighed, words weighed by class, and words as vectors that are learned.

All are made of the training fold alone, its vocabulary too: the words that stand in at least two of its texts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from models import TextClassifier

Texts = Sequence[Sequence[str]]
#: A word that stands in fewer texts of the training fold is passed over.
LEAST_TEXTS = 2


def one_by_one(words: Sequence[str]) -> list[str]:
    """Return the words themselves: what is counted."""
    return list(words)


def with_pairs(words: Sequence[str]) -> list[str]:
    """Return words and pairs of neighbours.

    Examples
    --------
    >>> with_pairs(["not", "bad"])
    ['not', 'bad', 'not bad']
    """
    return [*words, *(f"{a} {b}" for a, b in pairwise(words))]


class NBSVM(ClassifierMixin, BaseEstimator):
    """A linear support vector machine on words weighed by how much more often they stand in a class than in the others.

    Wang & Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012; one class against the
    others where there are more than two.

    Parameters
    ----------
    beta : float
        How much of the machine's own weights is mixed with their mean size (section 2.3 of the paper; 1/4 there).
    """

    def __init__(self, beta: float = 0.25):
        self.beta = beta

    def fit(self, X, y):
        """Learn from counts of words (n, V), sparse; how often a word stands in one text does not matter."""
        X = (X > 0).astype(np.float64)
        self.classes_ = np.unique(y)
        columns, constants = [], []
        for c in self.classes_ if len(self.classes_) > 2 else self.classes_[1:]:
            inside = 1.0 + np.asarray(X[y == c].sum(axis=0)).ravel()
            outside = 1.0 + np.asarray(X[y != c].sum(axis=0)).ravel()
            ratio = np.log(inside / inside.sum()) - np.log(outside / outside.sum())
            machine = LinearSVC(random_state=0).fit(X.multiply(ratio).tocsr(), y == c)
            weights = machine.coef_.ravel()
            columns.append(ratio * ((1.0 - self.beta) * np.abs(weights).mean() + self.beta * weights))
            constants.append(machine.intercept_[0])
        self.coef_, self.intercept_ = np.array(columns), np.array(constants)
        return self

    def predict(self, X):
        """Return the class whose machine says yes most clearly."""
        found = (X > 0).astype(np.float64) @ self.coef_.T + self.intercept_
        return self.classes_[(found[:, 0] > 0).astype(int) if found.shape[1] == 1 else found.argmax(axis=1)]


class WordVectors(ClassifierMixin, BaseEstimator):
    """`TextClassifier` on lists of words: numbers the words of the training texts, frequent ones first.

    Parameters
    ----------
    settings : mapping
        Of `TextClassifier`.

    Attributes
    ----------
    words_ : list of str
        ``words_[i]`` is the word of number i; 0 is none.
    model_ : TextClassifier
    """

    def __init__(self, settings: dict[str, Any] | None = None):
        self.settings = settings

    def fit(self, X: Texts, y):
        """Learn vectors and network."""
        times = Counter(word for words in X for word in dict.fromkeys(words))
        kept = [word for word, n in times.items() if n >= LEAST_TEXTS]
        self.words_ = ["", *sorted(kept, key=lambda word: (-times[word], word))]
        self.times_ = [0, *(times[word] for word in self.words_[1:])]
        self._number = {word: i for i, word in enumerate(self.words_)}
        settings = {**(self.settings or {}), "n_words": len(self.words_)}
        self.model_ = TextClassifier(**settings).fit(self._numbers(X), y)
        return self

    def _numbers(self, X: Texts) -> np.ndarray:
        rows = [[n for word in words if (n := self._number.get(word, 0))] for words in X]
        found = np.zeros((len(rows), max(1, *map(len, rows))), np.int64)
        for row, numbers in zip(found, rows, strict=True):
            row[: len(numbers)] = numbers
        return found

    def predict(self, X: Texts):
        """Return the classes."""
        return self.model_.predict(self._numbers(X))


def make(name: str, settings: dict[str, Any], seed: int) -> Any:
    """Return a reader, not fitted yet."""
    if name == "counted":
        return make_pipeline(CountVectorizer(analyzer=one_by_one, min_df=LEAST_TEXTS), LogisticRegression(max_iter=300))
    if name == "weighed":
        weigh = TfidfVectorizer(analyzer=with_pairs, min_df=LEAST_TEXTS, sublinear_tf=True)
        return make_pipeline(weigh, LinearSVC(random_state=seed))
    if name == "nb_svm":
        return make_pipeline(CountVectorizer(analyzer=with_pairs, min_df=1), NBSVM())
    return WordVectors({**settings, "random_state": seed})
