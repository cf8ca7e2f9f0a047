"""The verdict that opens each table: does depth pay here, what does it gain, what does it cost, or can no one tell.

How it is reached, for one data set:

1. The **best** contestant (model on feature set, all folds finished) is the one with the highest mean. But among many
   contestants the highest is also the luckiest on these very folds. So nothing is compared with its own scores: the
   **reference** takes, for each fold, the score there of the contestant that is best on the *other* folds. That is
   what one gets by picking from such a table, and luck on a fold has no part in the choice.
2. Every contestant is compared with the reference, fold by fold, by the corrected resampled t-test
   (`statistics.compare_paired`). The p-values are adjusted in the order of simplicity (`statistics.adjust_in_order`);
   those below 0.05 are *worse*.
3. The **simplest** contestant that is not worse is the answer. That is not proof that it is as good: with few folds
   much goes unseen, so the smallest difference that could have been seen stands beside it.
4. What **depth gains** is the paired difference of two references: the best deep and the best classical contestant,
   each picked on the other folds.

A single split has no folds. Then the test samples take their place (`samples`), and the verdict says that it speaks of these
trained models only.

    units       numbers in words
    reference   whom contestants are compared with, and how
    samples     the same for a single split
    judge       the decision
    words       its sentences
"""

from bench.verdict.judge import judge
from bench.verdict.model import ALPHA, CAUTION, FOLDS, SAMPLES, WALK_CONFIDENCE, Verdict
from bench.verdict.reference import compare_scores, p_worse, reference_scores
from bench.verdict.units import difference, score, seconds, signed
from bench.verdict.words import n_comparisons

__all__ = [
    "ALPHA",
    "CAUTION",
    "FOLDS",
    "SAMPLES",
    "WALK_CONFIDENCE",
    "Verdict",
    "compare_scores",
    "difference",
    "judge",
    "n_comparisons",
    "p_worse",
    "reference_scores",
    "score",
    "seconds",
    "signed",
]
