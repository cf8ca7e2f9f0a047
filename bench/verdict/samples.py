"""Whom contestants are compared with on a single split: the same idea as with folds, on tenths of the test samples.

With stored predictions, the reference takes for each tenth of the test samples (every tenth sample, so that an order in the
file has no part in it) the contestant that is best on the other nine; the trained models are fixed, so the samples are
independent, and each contestant is held against the reference by McNemar's exact test.

Without them only the accuracies are known; of balanced accuracies, how many of each class were right, as predictions are stored
without the classes. Then each is held against the highest by the weakest test that such accuracies
allow (`statistics.samples.bounded`). That the highest was picked is paid for by correcting for all pairs (Bonferroni), of
which those with the highest are a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.analysis.predictions import offsets, same_samples
from bench.metrics import errors_by_class
from bench.statistics import CONFIDENCE, Comparison
from bench.statistics.by_class import bounded_by_class
from bench.statistics.samples import bounded, compare_samples
from bench.tables import Summary

if TYPE_CHECKING:
    import numpy as np

PARTS = 10


class BySamples:
    """Comparisons of the contestants of one split, sample by sample.

    Parameters
    ----------
    ranked : sequence of Summary
        Best first.
    right : ndarray of bool, shape (contestants, samples)
        From `right_of`.
    """

    def __init__(self, ranked: Sequence[Summary], right: np.ndarray):
        self._place = {s.key: i for i, s in enumerate(ranked)}
        self._right = right
        self._reference = self._picked(range(len(ranked)))

    def _picked(self, places: Sequence[int]) -> np.ndarray:
        """Return where the reference among some contestants is right."""
        import numpy as np

        right = self._right[list(places)]
        found = np.empty(right.shape[1], bool)
        totals = right.sum(axis=1)
        for part in range(PARTS):
            here = right[:, part::PARTS]
            best = int((totals - here.sum(axis=1)).argmax())  # the first of equals: the better ranked
            found[part::PARTS] = here[best]
        return found

    def behind(self, contestant: Summary, confidence: float = CONFIDENCE) -> Comparison:
        """Return reference minus contestant."""
        return _compared(self._reference, self._right[self._place[contestant.key]], confidence)

    def between(self, first: Sequence[Summary], second: Sequence[Summary]) -> Comparison:
        """Return the best of some contestants minus the best of others, each picked on the other tenths."""
        sides = (self._picked([self._place[s.key] for s in side]) for side in (first, second))
        return _compared(*sides, CONFIDENCE)


class ByAccuracies:
    """The same from accuracies alone: intervals and p-values are corrected for all pairs, and at their widest."""

    def __init__(self, ranked: Sequence[Summary]):
        self._best = ranked[0]
        self._n_pairs = len(ranked) * (len(ranked) - 1) // 2

    def behind(self, contestant: Summary, confidence: float = CONFIDENCE) -> Comparison:
        """Return the highest minus contestant."""
        return self._compared(self._best, contestant, self._n_pairs, confidence)

    def between(self, first: Sequence[Summary], second: Sequence[Summary]) -> Comparison:
        """Return the highest of some contestants minus the highest of others."""
        return self._compared(first[0], second[0], max(1, len(first) * len(second)), CONFIDENCE)

    def _compared(self, first: Summary, second: Summary, n_pairs: int, confidence: float) -> Comparison:
        found = self._bounded(first, second, 1.0 - (1.0 - confidence) / n_pairs)
        return replace(found, p_value=min(1.0, n_pairs * found.p_value))

    def _bounded(self, first: Summary, second: Summary, confidence: float) -> Comparison:
        n = first.scored_rows[0].n_test
        errors = (round((1.0 - s.mean) * n) for s in (first, second))
        return bounded(*errors, n, confidence=confidence)


class ByClasses(ByAccuracies):
    """The same of balanced accuracies, from how many samples of each class were right."""

    def _bounded(self, first: Summary, second: Summary, confidence: float) -> Comparison:
        (errors, sizes), (others, _) = (errors_by_class(s.scored_rows[0].confusion) for s in (first, second))
        return bounded_by_class(errors, others, sizes, confidence=confidence)


def right_of(ranked: Sequence[Summary]) -> np.ndarray | None:
    """Return where each contestant's prediction is right, (contestants, samples); None where not all are stored."""
    import numpy as np

    rows = [s.scored_rows[0] for s in ranked]
    if not all(same_samples(rows[0], row) for row in rows):
        return None
    found = [offsets(row) for row in rows]
    if any(o is None for o in found) or len({len(o) for o in found}) != 1:
        return None
    return np.array([o == 0 for o in found])


def test_size(ranked: Sequence[Summary]) -> int | None:
    """Return the number of test samples; None where it is not known, differs, or scores are no shares of them."""
    sizes = {s.scored_rows[0].n_test for s in ranked}
    size = sizes.pop() if len(sizes) == 1 else None
    return size if size and all(s.metric == "accuracy" and 0.0 <= s.mean <= 1.0 for s in ranked) else None


def classes_of(ranked: Sequence[Summary]) -> list[int] | None:
    """Return the test samples of each class; None where they are not known, differ, or another score counts."""
    found = [errors_by_class(s.scored_rows[0].confusion) if s.metric == "balanced_accuracy" else None for s in ranked]
    same = None not in found and all(sizes == found[0][1] for _, sizes in found)
    return found[0][1] if same else None


def _compared(first: np.ndarray, second: np.ndarray, confidence: float) -> Comparison:
    return compare_samples(
        int((first & ~second).sum()), int((second & ~first).sum()), len(first), confidence=confidence
    )
