"""What measured scores allow to be said, as pure functions of plain numbers.

    resampled      one data set, folds that share training samples: corrected t intervals and tests, and what goes unseen
    samples        one split, the same test samples: McNemar's test, with predictions or from two accuracies alone
    ranks          several data sets: Friedman, Nemenyi's critical difference, Wilcoxon-Holm
    bayes          how likely a difference of practical size is: correlated t, and signed ranks over data sets
    bootstrap      intervals of what has no formula
    effects        how large a difference is against its own spread
    factors        features or classifier: two-way tables taken apart
    multiplicity   many tests at once

Which of them a table uses, and why, is told in docs/method.md and decision 0026.
"""

from bench.statistics.multiplicity import adjust_in_order, fixed_sequence, holm
from bench.statistics.resampled import (
    CONFIDENCE,
    MIN_FOLDS,
    POWER,
    Comparison,
    Interval,
    compare_paired,
    corrected_variance,
    mean_interval,
    test_train_ratio,
    wilson_interval,
)

__all__ = [
    "CONFIDENCE",
    "MIN_FOLDS",
    "POWER",
    "Comparison",
    "Interval",
    "adjust_in_order",
    "compare_paired",
    "corrected_variance",
    "fixed_sequence",
    "holm",
    "mean_interval",
    "test_train_ratio",
    "wilson_interval",
]
