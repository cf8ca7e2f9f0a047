"""Models as a person might bring them, and as nobody should: imported by workers as ``own_models:<name>``."""

import os
import signal
import time

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


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
