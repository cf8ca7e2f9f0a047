"""What a verdict is: who is best, who is simplest of those not worse, what depth gains, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.statistics import CONFIDENCE, Comparison
from bench.tables import ContestantKey, Summary

ALPHA = 1.0 - CONFIDENCE

#: The walk from the simplest contestant upwards has one half of the error rate, so its intervals are wider.
WALK_CONFIDENCE = 1.0 - ALPHA / 2

#: What the comparisons go by: folds; test samples of a single split; or these with no more known than accuracies, or than how
#: many of each class were right.
FOLDS, SAMPLES, ACCURACIES, CLASSES = "folds", "samples", "accuracies", "classes"

CAUTION = (
    "The highest mean is flattered, as it was picked on the folds that show it; so every comparison picks the best, "
    "for each fold, on the other folds only. Not distinguishable does not mean equal."
)
CAUTION_SAMPLES = (
    "One split, one training of each: this speaks of these trained models on samples like these, not of what another "
    "training would give. So that the highest score is not flattered, every comparison picks the best, for each tenth of "
    "the test samples, on the other nine. Not distinguishable does not mean equal."
)
CAUTION_ACCURACIES = (
    "One split, one training of each: this speaks of these trained models on samples like these, not of what another "
    "training would give. Predictions are not stored with this run; McNemar's test is made at its weakest, as if no two "
    "models erred on the same sample, and corrected for all pairs. Not distinguishable does not mean equal."
)
CAUTION_CLASSES = (
    "One split, one training of each: this speaks of these trained models on samples like these, not of what another "
    "training would give. Each class counts the same, however few its samples. McNemar's test has a weight for each class and "
    "is made at its weakest, as if no two models erred on the same sample, and corrected for all pairs. Not distinguishable "
    "does not mean equal."
)


@dataclass(frozen=True)
class Verdict:
    """What one table allows to be said. ``sentences`` maps a topic to its sentence, in reading order."""

    dataset: str
    headline: str
    sentences: Mapping[str, str]
    best: Summary | None = None
    simplest: Summary | None = None
    best_deep: Summary | None = None
    best_classical: Summary | None = None
    gain: Comparison | None = None
    comparisons: Mapping[ContestantKey, Comparison] = field(default_factory=dict)  # reference minus contestant
    p_adjusted: Mapping[ContestantKey, float] = field(default_factory=dict)
    effect_sizes: Mapping[ContestantKey, float] = field(default_factory=dict)  # Hedges' g of the same; folds only
    order: tuple[ContestantKey, ...] = ()  # by simplicity
    basis: str = FOLDS
    ahead: Comparison | None = None  # reference minus simplest, at the confidence that the simplest was found with
    deepest_gain: Comparison | None = None  # the best of what is deeper than the simplest, minus the simplest
    best_deeper: Summary | None = None

    def is_best(self, summary: Summary) -> bool:
        """Whether it has the highest mean; several may share it."""
        return self.best is not None and summary.complete and summary.mean == self.best.mean

    def is_indistinguishable(self, summary: Summary) -> bool:
        """Whether it was compared with the best, and not found worse."""
        return self.p_adjusted.get(summary.key, 0.0) >= ALPHA and not self.is_best(summary)
