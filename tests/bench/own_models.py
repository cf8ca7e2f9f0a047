"""Models as a person might bring them, and as nobody should: imported by workers as ``own_models:<name>``."""

import os
import signal
import time

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models.entry import LogUniform


class _Model(ClassifierMixin, BaseEstimator):
    """Predicts the most frequent class."""

    def fit(self, X, y):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.most_ = self.classes_[counts.argmax()]
        if len(X) > 100:  # the warm-up sees fewer
            self.misbehave()
        return self

    def predict(self, X):
        return np.full(len(X), self.most_)

    def misbehave(self):
        pass


def fine():
    return _Model()


def _variant(misbehave):
    def make():
        return type("Model", (_Model,), {"misbehave": lambda self: misbehave()})()

    return make


def _raise(error):
    raise error


def _spin():
    while True:  # one call that never comes back to the interpreter, for all that matters
        sum(range(10**9))


def _hoard():
    kept = []
    while True:
        kept.append(np.ones(2**22))
        time.sleep(0.002)


def _many_threads():
    from threadpoolctl import threadpool_limits

    threadpool_limits(2)


raises = _variant(lambda: _raise(ValueError("a <b>bad</b> model")))
exits = _variant(lambda: _raise(SystemExit(3)))
diverges = _variant(lambda: _raise(ValueError("Solver produced non-finite parameter weights. The input data ...")))
no_memory = _variant(lambda: _raise(MemoryError("Unable to allocate 1 TiB")))
dies = _variant(lambda: os._exit(7))
killed = _variant(lambda: os.kill(os.getpid(), signal.SIGKILL))
spins = _variant(_spin)
sleeps = _variant(lambda: time.sleep(3600))
hoards = _variant(_hoard)
many_threads = _variant(_many_threads)
slow = _variant(lambda: time.sleep(0.15))


class _Nan(_Model):
    def predict(self, X):
        return np.full(len(X), np.nan)


class _Short(_Model):
    def predict(self, X):
        return np.full(max(len(X) - 1, 0), self.most_)


def nan_predictions():
    return _Nan()


def too_few_predictions():
    return _Short()


# -- with something to tune


class Choosy(_Model):
    """Its parameter says what becomes of it; "good" is better than the default."""

    def __init__(self, how="fine"):
        self.how = how

    def fit(self, X, y):
        self.naive_bayes_ = GaussianNB().fit(X, y) if self.how == "good" else None
        return super().fit(X, y)

    def predict(self, X):
        return self.naive_bayes_.predict(X) if self.naive_bayes_ else super().predict(X)

    def misbehave(self):
        {"raises": lambda: _raise(ValueError("not so")), "spins": _spin, "dies": lambda: os._exit(7)}.get(self.how, int)()


def choosy():
    return Choosy()


choosy.space = {"how": ["fine", "raises", "spins", "dies", "good"]}


def hopeless():
    return Choosy("raises")


hopeless.space = {"how": ["raises", "dies"]}


def scaled_svc():
    return make_pipeline(StandardScaler(), SVC())


scaled_svc.space = {"svc__C": LogUniform(1e-2, 1e3), "svc__kernel": ("rbf", "linear")}


class _Bare:
    """Has fit and predict, and nothing else that scikit-learn knows."""

    def __init__(self, k):
        self.k = k

    def fit(self, X, y):
        self.values = np.unique(y)

    def predict(self, X):
        return [self.values[self.k % len(self.values)]] * len(X)


def bare(k=0, seed=None):
    return _Bare(k)


bare.space = {"k": [0, 1, 2]}


def misspelt():
    return scaled_svc()


misspelt.space = {"svc__gama": [1.0, 2.0]}


def no_space():
    return fine()


no_space.space = {"C": 3.0}


def slow_to_tune():
    return _Slow()


class _Slow(Choosy):
    def misbehave(self):
        time.sleep(0.15)


slow_to_tune.space = {"how": [str(i) for i in range(20)]}
