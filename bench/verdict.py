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
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.noise import times_as_much
from bench.simplicity import is_deep, simplicity, uses_learned_features
from bench.statistics import CONFIDENCE, MIN_FOLDS, POWER, Comparison, adjust_in_order, compare_paired
from bench.tables import ContestantKey, DatasetTable, FoldKey, Summary

ALPHA = 1.0 - CONFIDENCE

#: The walk from the simplest contestant upwards has one half of the error rate, so its intervals are wider.
WALK_CONFIDENCE = 1.0 - ALPHA / 2


CAUTION = (
    "The highest mean is flattered, as it was picked on the folds that show it; so every comparison picks the best, "
    "for each fold, on the other folds only. Not distinguishable does not mean equal."
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
    order: tuple[ContestantKey, ...] = ()  # by simplicity

    def is_best(self, summary: Summary) -> bool:
        """Whether it has the highest mean; several may share it."""
        return self.best is not None and summary.complete and summary.mean == self.best.mean

    def is_indistinguishable(self, summary: Summary) -> bool:
        """Whether it was compared with the best, and not found worse."""
        return self.p_adjusted.get(summary.key, 0.0) >= ALPHA and not self.is_best(summary)


def judge(table: DatasetTable, manifest: Mapping[str, Any] | None = None) -> Verdict:
    """Return the verdict on a table; it never raises for want of data, but says what is wanting.

    Parameters
    ----------
    table : DatasetTable
    manifest : mapping, optional
        What run.json holds; ``models`` (name -> family, depth) refines the order of simplicity.
    """
    models = (manifest or {}).get("models")
    ranked = table.ranked
    if table.mismatch is not None:
        return _undecided(table, f"Not ranked: rows with different data stand in this table. {table.mismatch}.")
    if not ranked:
        return _undecided(table, _why_none(table))
    ranked.sort(key=lambda s: (-s.mean, simplicity(s, models)))
    best, n = ranked[0], ranked[0].n
    if len(ranked) == 1:
        return _undecided(table, f"Only {table.name(best)} finished every fold: there is nothing to compare it with.")
    in_order = sorted(ranked, key=lambda s: simplicity(s, models))
    order = tuple(s.key for s in in_order)
    if n < MIN_FOLDS:
        text = f"This run cannot tell: {_folds(n)} cannot show how far scores vary; {MIN_FOLDS} or more can."
        lead = (
            f"{table.name(best)} has the highest score, {score(best)}, on {'this fold' if n == 1 else 'these folds'}."
        )
        return Verdict(table.dataset, text, {"best": lead}, best=best, order=order)
    others = [s for s in in_order if s.key != best.key]
    reference = reference_scores(ranked)
    comparisons = {s.key: _compare(reference, s) for s in others}
    adjusted = adjust_in_order([_p_worse(comparisons[s.key]) for s in others])
    p_adjusted = {s.key: p for s, p in zip(others, adjusted, strict=True)}
    simplest = next(s for s in in_order if s.key == best.key or p_adjusted[s.key] >= ALPHA)
    deep = next((s for s in ranked if is_deep(s)), None)
    classical = next((s for s in ranked if not is_deep(s)), None)
    both = deep is not None and classical is not None
    partial = Verdict(
        table.dataset,
        "",
        {},
        best=best,
        simplest=simplest,
        best_deep=deep,
        best_classical=classical,
        gain=_gain(ranked) if both else None,
        comparisons=comparisons,
        p_adjusted=p_adjusted,
        order=order,
    )
    return _in_words(table, partial)


def score(summary: Summary, value: float | None = None) -> str:
    """Return a mean in the words of its metric: ``98.7 %``, ``R² 0.512``."""
    value = summary.mean if value is None else value
    return f"{100 * value:.1f} %" if summary.metric == "accuracy" else f"R² {value:.3f}"


def difference(comparison: Comparison, metric: str) -> str:
    """Return a difference with its interval in points (or R²).

    Examples
    --------
    >>> difference(Comparison(0.012, 0.004, 0.020, 0.01, 5), "accuracy")
    '+1.20 points (95 % interval +0.40 to +2.00)'
    """
    scale, unit, digits = (100, "points", 2) if metric == "accuracy" else (1, "R²", 3)
    text = f"{signed(scale * comparison.difference, digits)} {unit}"
    if comparison.low is None or comparison.high is None:
        return f"{text} (no interval)"
    low, high = (signed(scale * v, digits) for v in (comparison.low, comparison.high))
    return f"{text} ({100 * comparison.confidence:g} % interval {low} to {high})"


def seconds(value: float | None) -> str:
    """Return seconds to two significant digits, without an exponent as far as that can be read.

    Examples
    --------
    >>> [seconds(v) for v in (0.0, 0.00123, 0.0456, 1.26, 12.3, 1234.5, 2.5e-6, None)]
    ['0', '0.0012', '0.046', '1.3', '12', '1234', '2.5e-06', '']
    """
    if value is None:
        return ""
    if value == 0:
        return "0"
    if abs(value) < 1e-5:
        return f"{value:.1e}"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text


def _in_words(table: DatasetTable, v: Verdict) -> Verdict:
    from dataclasses import replace

    sentences = {"simplest": _simplest_sentence(table, v)}
    if v.gain is not None:
        sentences["gain"] = _gain_sentence(table, v)
        sentences["cost"] = _cost_sentence(v, table.noise_floor)
    else:
        kind = "deep" if v.best_deep is None else "classical"
        sentences["gain"] = f"No {kind} model finished every fold: what depth gains and costs was not measured."
    if peers := _peers_sentence(table, v):
        sentences["peers"] = peers
    sentences["caution"] = CAUTION
    return replace(v, headline=_headline(table, v), sentences=sentences)


def _headline(table: DatasetTable, v: Verdict) -> str:
    simplest = table.name(v.simplest)
    n_worse = sum(p < ALPHA for p in v.p_adjusted.values())
    if n_worse == 0:
        return f"This run cannot tell: none of the {len(v.order)} contestants is distinguishable from the best."
    if v.gain is None:
        return f"{simplest} is the simplest contestant not distinguishably worse than the best; depth was not tested."
    if is_deep(v.simplest):
        return f"Depth pays here: every classical contestant is distinguishably worse than {table.name(v.best)}."
    if v.gain.conclusive and v.gain.difference > 0:
        return f"Borderline: depth gains when tested alone, yet {simplest} withstands {n_comparisons(v)} comparisons."
    if v.gain.conclusive:
        return "Depth does not pay here: the best classical contestant beats the best deep one."
    return f"No case for depth here: {simplest} is not distinguishably worse than the best."


def n_comparisons(verdict: Verdict) -> int:
    """Return how many contestants were compared with the best."""
    return len(verdict.comparisons)


def _simplest_sentence(table: DatasetTable, v: Verdict) -> str:
    best, simplest = v.best, v.simplest
    if simplest.key == best.key:
        if all(p < ALPHA for p in v.p_adjusted.values()):
            return f"{table.name(best)} is best ({score(best)}); every other contestant is distinguishably worse."
        return f"{table.name(best)} is best ({score(best)}), and everything simpler is distinguishably worse."
    c = _compare(reference_scores(table.ranked), simplest, confidence=WALK_CONFIDENCE)
    lead = f"ahead by {difference(c, table.metric)}" if c.difference > 0 else "not ahead at all"
    return (
        f"{table.name(simplest)} ({score(simplest)}) is the simplest contestant that is not distinguishably worse than "
        f"the best; highest is {table.name(best)} ({score(best)}). The best, picked for each fold on the other folds, "
        f"is {lead}{_detectable(c, table.metric)}"
    )


def _detectable(c: Comparison, metric: str) -> str:
    if not c.detectable:
        return "."
    size = f"{100 * c.detectable:.1f} points" if metric == "accuracy" else f"{c.detectable:.3f} R²"
    return f"; {_folds(c.n)} detect only differences of {size} or more (with {POWER:.0%} power).".replace("%", " %")


def _gain_sentence(table: DatasetTable, v: Verdict) -> str:
    deep, classical, gain = v.best_deep, v.best_classical, v.gain
    size = difference(gain, table.metric)
    who = f"Highest deep: {table.name(deep)}, {score(deep)}; "
    who += f"highest classical: {table.name(classical)}, {score(classical)}."
    if gain.conclusive:
        return f"What depth gains: {size}. {who}"
    return f"Whether depth gains anything this run cannot tell: {size}{_detectable(gain, table.metric)} {who}"


def _cost_sentence(v: Verdict, floor: float | None) -> str:
    deep, classical = v.best_deep, v.best_classical
    parts = []
    train = deep.time_train_s, classical.time_train_s
    if None not in train:
        counted = {"time_features_s": "features", "time_tune_s": "tuning"}
        included = [word for name, word in counted.items() if any(name in s.times for s in (deep, classical))]
        parts.append(f"{_against(*train, floor)} to fit" + (f", {' and '.join(included)} included" if included else ""))
    predict = deep.times.get("time_predict_s"), classical.times.get("time_predict_s")
    if None not in predict:
        parts.append(f"{_against(*predict, floor)} to predict a test fold")
    if not parts:
        return "What depth costs was not measured."
    text = f"What depth costs: {'; '.join(parts)}."
    if uses_learned_features(deep):
        text += " The best deep contestant stands on learned features: a network was trained to make them."
    return text


def _against(deep: float, classical: float, floor: float | None) -> str:
    ratio = times_as_much(deep, classical, floor)
    return f"{seconds(deep)} s against {seconds(classical)} s{f' ({ratio})' if ratio else ''}"


def _peers_sentence(table: DatasetTable, v: Verdict) -> str | None:
    """Name the fastest of those that the best cannot be told from."""
    peers = [v.best] + [s for s in table.ranked if v.is_indistinguishable(s)]
    timed = [s for s in peers if s.time_train_s is not None and s.times.get("time_predict_s") is not None]
    if len(peers) < 2 or not timed:
        return None
    to_fit = min(timed, key=lambda s: s.time_train_s)
    to_predict = min(timed, key=lambda s: s.times["time_predict_s"])
    count = len(peers) - 1
    who = f"{count} other contestant{' is' if count == 1 else 's are'} not distinguishable from the best"
    fit = f"{table.name(to_fit)} ({score(to_fit)}, {seconds(to_fit.time_train_s)} s)"
    predict = f"{table.name(to_predict)} ({score(to_predict)}, {seconds(to_predict.times['time_predict_s'])} s)"
    return f"{who}; of them all, fastest to fit is {fit}, fastest to predict {predict}."


def reference_scores(contestants: Sequence[Summary]) -> dict[FoldKey, float]:
    """Return, for each fold, the score there of the contestant that is best on the other folds of the same repeat.

    Parameters
    ----------
    contestants : sequence of Summary
        All with the same folds, best first: it breaks ties.
    """
    repeats: dict[tuple[int, int], list[FoldKey]] = defaultdict(list)
    for key in contestants[0].scores:
        repeats[key[:2]].append(key)
    found: dict[FoldKey, float] = {}
    for keys in repeats.values():
        totals = [(math.fsum(s.scores[key] for key in keys), s.scores) for s in contestants]
        for held_out in keys:
            _, picked = max(totals, key=lambda total: total[0] - total[1][held_out])
            found[held_out] = picked[held_out]
    return found


def _gain(ranked: Sequence[Summary]) -> Comparison:
    deep = reference_scores([s for s in ranked if is_deep(s)])
    classical = reference_scores([s for s in ranked if not is_deep(s)])
    return compare_scores(deep, classical, ranked[0], CONFIDENCE)


def _compare(reference: Mapping[FoldKey, float], contestant: Summary, *, confidence: float = CONFIDENCE) -> Comparison:
    return compare_scores(reference, contestant.scores, contestant, confidence)


def compare_scores(
    first: Mapping[FoldKey, float],
    second: Mapping[FoldKey, float],
    sizes_of: Summary,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare the scores of the folds of `first`, first minus second; `sizes_of` tells how large the folds are."""
    return compare_paired(
        list(first.values()),
        [second[key] for key in first],
        sizes_of.test_train_ratio,
        n_test=_test_size(sizes_of),
        confidence=confidence,
    )


def _p_worse(comparison: Comparison) -> float:
    """Return the p-value of being worse than the reference: two-sided, and 1 for what is ahead or cannot be tested."""
    return 1.0 if comparison.p_value is None or comparison.difference <= 0.0 else comparison.p_value


def _test_size(summary: Summary) -> float | None:
    sizes = [row.n_test for row in summary.scored_rows]
    return sum(sizes) / len(sizes) if summary.metric == "accuracy" and sizes and all(sizes) else None


def _undecided(table: DatasetTable, text: str) -> Verdict:
    return Verdict(table.dataset, f"This run cannot tell. {text}", {})


def _why_none(table: DatasetTable) -> str:
    if any(s.n for s in table.cells.values()):
        return "No contestant finished every fold, so none can be ranked."
    return "No cell has a score; the footnotes say why."


def _folds(n: int) -> str:
    return f"{n} fold{'s' if n != 1 else ''}"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign, and none where it rounds to zero.

    Examples
    --------
    >>> signed(1.234, 1), signed(-0.001, 2)
    ('+1.2', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "\N{MINUS SIGN}")
