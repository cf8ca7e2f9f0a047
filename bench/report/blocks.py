"""What statistics add to a table, as blocks that any format can set: a heading, sentences, a small table.

`of_table` has the blocks of one data set, `of_run` those over several, `of_choice` the answer of the chooser; each begins with
a sentence that can be read alone. Those that are not ``on_terminal`` are too wide for one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.analysis import extended, ranking
from bench.analysis.backends import Agreement
from bench.analysis.choose import Choice, memory_bytes
from bench.analysis.gains import FactorSplit
from bench.analysis.pairs import CLASSES, FOLDS, SAMPLES, Pairs
from bench.analysis.ranking import Policy, Ranking
from bench.analysis.whole import Analysis, Overall
from bench.metrics import METRICS
from bench.statistics import Comparison
from bench.statistics.factors import Part
from bench.tables import DatasetTable, Summary
from bench.verdict import Verdict, difference, score, seconds, signed
from bench.verdict.units import counted

#: So many lines of a ranking, and of what `--statistics` adds, are shown; JSON has all.
MOST_LINES = 25
SAME = "≈"
NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Block:
    """A heading, sentences, and a table, whose first column is text and the others are numbers or marks."""

    key: str
    title: str
    sentences: tuple[str, ...]
    header: tuple[str, ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()
    on_terminal: bool = True  # without --statistics


def of_table(table: DatasetTable, verdict: Verdict, found: Analysis) -> tuple[Block, ...]:
    """Return the blocks of one data set."""
    blocks = []
    if found.split is not None:
        blocks.append(_gain_block(table, found.split))
    if found.pairs is not None:
        blocks.append(_pairs_block(table, found.pairs))
    if found.agreements:
        blocks.append(_backends_block(found.agreements))
    if found.policies is not None:
        blocks.append(_policies_block(found.policies))
    if found.against_best:
        blocks.append(_extended_block(table, verdict, found.against_best))
    return tuple(blocks)


def of_run(found: Overall) -> tuple[Block, ...]:
    """Return the blocks over several data sets."""
    blocks = [] if found.ranking is None else [_ranking_block(found.ranking)]
    if found.over_datasets:
        blocks.append(_over_datasets_block(found.ranking, found.over_datasets))
    return tuple(blocks)


def of_choice(table: DatasetTable, verdict: Verdict, choice: Choice) -> Block:
    """Return the answer of the chooser for one data set."""
    limits = ", ".join(map(str, choice.limits))
    if choice.chosen is None:
        sentences = [f"None of {counted(choice.n_ranked, 'contestant')} keeps {limits}."]
    else:
        chosen = choice.chosen
        sentences = [
            f"Within {limits}: {table.name(chosen)} ({score(chosen)}), the best of {len(choice.within)} that keep"
            f"{'s' if len(choice.within) == 1 else ''} them, of {counted(choice.n_ranked, 'contestant')}."
        ]
        best = choice.best
        if verdict.is_best(chosen):
            sentences.append("It is the best of all: the limits cost nothing.")
        elif best is not None:
            scale, digits = METRICS[table.metric].shown(1)
            cost = f"{scale * (best.mean - chosen.mean):.{digits}f} {METRICS[table.metric].unit}"
            told = "which this run cannot tell from nothing" if verdict.is_indistinguishable(chosen) else "beyond chance"
            known = "" if not verdict.p_adjusted else f", {told}"
            sentences.append(f"The limits cost {cost} against the best, {table.name(best)} ({score(best)}){known}.")
    if choice.not_measured:
        names = ", ".join(table.name(s) for s in choice.not_measured[:4])
        more = f" and {len(choice.not_measured) - 4} more" if len(choice.not_measured) > 4 else ""
        sentences.append(f"Left out, as not all of it was measured: {names}{more}.")
    sentences.append(f"{SAME}: not distinguishable from the best. Latency: without making the features; fit: with it.")
    lines = tuple(_choice_line(table, verdict, s) for s in choice.within[:MOST_LINES])
    header = ("contestant", "score", "latency ms", "fit s", "memory MB")
    return Block("choice", table.dataset, tuple(sentences), header, lines)


def _choice_line(table: DatasetTable, verdict: Verdict, s: Summary) -> tuple[str, ...]:
    mark = " *" if verdict.is_best(s) else f" {SAME}" if verdict.is_indistinguishable(s) else ""
    one, memory = s.times.get("time_predict_one_s"), memory_bytes(s)
    return (
        table.name(s), score(s) + mark, seconds(None if one is None else 1e3 * one), seconds(s.time_train_s),
        "" if memory is None else f"{memory / 1e6:,.0f}",
    )  # fmt: skip


# -- features or classifier


def _gain_block(table: DatasetTable, split: FactorSplit) -> Block:
    gain, metric = split.gain, table.metric
    best, n_best = split.picked[0]
    often = "" if len(split.picked) == 1 else f" (so on {n_best} of {gain.total.n} folds; else another)"
    sentences = [
        f"From {table.name(split.base)} to {table.name(best)}{often}: {difference(gain.total, metric)}; of these the "
        f"features brought {_within(gain.features, metric)}, the classifier {_within(gain.models, metric)}; together they "
        f"bring {_within(gain.interaction, metric)} beyond the sum of each alone, which is shared evenly between the two."
    ]
    if split.shares is not None:
        of = split.shares
        sentences.append(
            f"Of the scatter of this table's means the features explain {_share(of.features)}, the models "
            f"{_share(of.models)}, and what only goes together {_share(of.interaction)}."
        )
    out = f"; left out, as they have gaps: {', '.join(split.left_out)}" if split.left_out else ""
    sentences.append(
        f"{len(split.lines)} models on {len(split.feature_sets)} feature sets that all finished, constant models not "
        f"among them{out}. Intervals of 95 % (gain: corrected resampled t, the best picked for each fold on the others; the "
        "rest: bootstrap over folds, stretched by the same correction)."
    )
    lines = tuple((name, _part(part, metric)) for name, part in split.feature_effects.items())
    return Block("gain", "Features or classifier?", tuple(sentences), ("feature set", "above the mean of its models"), lines)


def _within(c: Comparison, metric: str) -> str:
    return difference(c, metric).replace("95 % interval ", "")


def _share(part: Part) -> str:
    return f"{100 * part.value:.0f} % ({100 * part.low:.0f} to {100 * part.high:.0f})"


def _part(part: Part, metric: str) -> str:
    scale, digits = METRICS[metric].shown(2)
    value, low, high = (signed(scale * v, digits) for v in (part.value, part.low, part.high))
    return f"{value} ({low} to {high})"


# -- pairs


def _pairs_block(table: DatasetTable, found: Pairs) -> Block:
    k = len(found.contestants)
    scale, digits = METRICS[table.metric].shown(1)
    n_pairs = k * (k - 1) // 2
    apart = sum(found.distinguishable(i, j) for i in range(k) for j in range(i))
    unit = METRICS[table.metric].unit
    units = counted(found.n, "fold" if found.basis == FOLDS else "test sample")
    test = _PAIR_TESTS[found.basis]
    smallest = _median_detectable(found)
    seen = f" A pair, tested alone, shows differences from about {scale * smallest:.{digits}f} {unit} on." if smallest else ""
    sentences = (
        f"{apart} of {n_pairs} pairs are told apart on {units}: {test} of each pair, adjusted for all of them (Holm), each "
        f"model on the features where it scores highest.{seen}",
        f"Row minus column in {unit}; {SAME}: not told apart.",
    )
    header = ("", *(str(i + 1) for i in range(k)))
    lines = tuple(
        (f"{i + 1} {table.name(s)}", *(_pair_cell(found, i, j, scale, digits) for j in range(k)))
        for i, s in enumerate(found.contestants)
    )
    return Block("pairs", "Pairs", sentences, header, lines, on_terminal=False)


_PAIR_TESTS = {
    FOLDS: "Nadeau and Bengio's corrected resampled t-test",
    SAMPLES: "McNemar's exact test",
    CLASSES: "McNemar's test with a weight for each class, as if no two models erred on the same sample,",
}


def _pair_cell(found: Pairs, i: int, j: int, scale: float, digits: int) -> str:
    if i >= j:
        return NONE if i == j else ""
    return signed(scale * float(found.difference[i, j]), digits) if found.distinguishable(i, j) else SAME


def _median_detectable(found: Pairs) -> float | None:
    import numpy as np

    values = found.detectable[np.triu_indices(len(found.contestants), 1)]
    values = values[np.isfinite(values) & (values > 0)]
    return float(np.median(values)) if len(values) else None


# -- backends


def _backends_block(found: Sequence[Agreement]) -> Block:
    changed = [a for a in found if a.differs]
    stored = [a for a in found if a.counts is not None]
    if changed:
        names = ", ".join(f"{a.first.model} on {a.first.feature_set} ({a.first.backend}, {a.second.backend})" for a in changed)
        lead = f"A backend changes the answer: {names}. One of its kernels is wrong, or its training is unstable."
    elif stored:
        lead = (
            "Backends do not change the answer: of no pair is one better beyond chance (McNemar's exact test, adjusted for "
            "all pairs by Holm's method)."
        )
    else:
        lead = "Predictions are not stored with this run: only scores can be compared between backends."
    lines = tuple(_backends_line(a) for a in found)
    header = ("model", "backends", "predictions", "differ", "first right", "second right", "p", "largest gap")
    return Block("backends", "Same seed, other backend", (lead,), header, lines)


def _backends_line(a: Agreement) -> tuple[str, ...]:
    scale, digits = METRICS[a.first.metric].shown(2, 4)
    head = (f"{a.first.model} on {a.first.feature_set}", f"{a.first.backend}, {a.second.backend}")
    gap = f"{scale * a.largest:.{digits}f}"
    if a.counts is None:
        return (*head, NONE, NONE, NONE, NONE, NONE, gap)
    c = a.counts
    return (*head, f"{c.n:,}", f"{c.differ:,}", f"{c.first_only:,}", f"{c.second_only:,}", p_text(a.p_value), gap)


def p_text(p: float | None) -> str:
    """Return a p-value to two digits.

    Examples
    --------
    >>> p_text(0.0312), p_text(0.00001), p_text(0.9996)
    ('0.031', '<0.001', '1.00')
    """
    if p is None or math.isnan(p):
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _equals(p: float) -> str:
    text = p_text(p)
    return f"{text[0]} {text[1:]}" if text.startswith("<") else f"= {text}"


# -- ranks


def _policies_block(found: Ranking) -> Block:
    """One data set of which something failed: places under both policies."""
    lines = []
    for key in found.imputed.order:
        n = found.failures[key]
        other = found.complete.mean_ranks.get(key)
        lines.append((
            found.names[key], f"{found.imputed.mean_ranks[key]:g}", NONE if other is None else f"{other:g}", str(n or ""),
        ))  # fmt: skip
    shown = [line for line in lines[:MOST_LINES] if line[3] or line[1] != line[2]] or lines[:MOST_LINES]
    sentences = (
        found.disagreement or "",
        "Place by mean score, 1 is best, with the lowest score of each fold given to what failed there, and on the "
        "folds that all have finished; those whose place changes, or that failed.",
    )
    header = ("contestant", *_POLICIES, "failed folds")
    return Block("policies", "What failures do to the order", sentences, header, tuple(shown))


_POLICIES = (f"place, {ranking.IMPUTED}", f"place, {ranking.COMPLETE}")


def _ranking_block(found: Ranking) -> Block:
    policy = found.imputed
    sentences = [_friedman_sentence(policy, found)]
    if found.disagreement:
        sentences.append(found.disagreement)
    if len(policy.blocks) < 5:
        sentences.append(f"{counted(len(policy.blocks), 'data set')} are too few for ranks to show much; five is the least.")
    if found.left_out:
        names = list(found.left_out)
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        sentences.append("Take no part: " + ", ".join(f"{n} ({found.left_out[n]})" for n in names[:4]) + more + ".")
    letters = _letters(policy)
    lines = []
    for key in policy.order[:MOST_LINES]:
        other = found.complete.mean_ranks.get(key)
        lines.append((
            found.names[key], f"{policy.mean_ranks[key]:.2f}", NONE if other is None else f"{other:.2f}",
            letters.get(key, ""), str(found.failures[key] or ""),
        ))  # fmt: skip
    if len(policy.order) > MOST_LINES:
        sentences.append(f"The first {MOST_LINES} of {len(policy.order)}; JSON has all.")
    header = (
        "contestant", f"mean rank, {policy.name}", f"mean rank, {found.complete.name} ({len(found.complete.blocks)} sets)",
        "group", "failed folds",
    )  # fmt: skip
    return Block("ranking", f"Over {len(policy.blocks)} data sets", tuple(sentences), header, tuple(lines))


def _friedman_sentence(policy: Policy, found: Ranking) -> str:
    if policy.friedman is None:
        return f"Mean ranks over {counted(len(policy.blocks), 'data set')}; too few contestants for a test."
    f = policy.friedman
    alike = "could all be alike" if f.p_value >= 0.05 else "are not all alike"
    first = found.names[policy.order[0]]
    text = (
        f"The {f.k} contestants {alike} (Friedman, Iman-Davenport's F, p {_equals(f.p_value)}); mean ranks closer than "
        f"{f.critical_difference:.2f} are not told apart (Nemenyi), which those with a letter in common are."
    )
    if f.p_value < 0.05:
        group = next((g for g in policy.groups if policy.order[0] in g), ())
        peers = len(group) - 1
        text += f" First is {first}, " + ("told apart from all others." if peers < 1 else f"not told apart from {peers} more.")
    return text


def _letters(policy: Policy) -> dict[Any, str]:
    """Return the letters of a compact display: who shares one is not told apart."""
    found: dict[Any, str] = {}
    for i, group in enumerate(policy.groups[:26]):
        for key in group:
            found[key] = found.get(key, "") + "abcdefghijklmnopqrstuvwxyz"[i]
    return found


# -- what --statistics adds


def _extended_block(table: DatasetTable, verdict: Verdict, more: Sequence[extended.AgainstBest]) -> Block:
    scale, digits = METRICS[table.metric].shown(2)
    rope = f"{scale * more[0].posterior.rope:g} {METRICS[table.metric].unit.removesuffix('s')}"
    decided = [a for a in more if a.posterior.decided == "same"]
    sentences = (
        f"With 95 % probability within {rope} of {table.name(verdict.best)}: "
        + (", ".join(table.name(a.contestant) for a in decided[:4]) or "none")
        + (f" and {len(decided) - 4} more" if len(decided) > 4 else "")
        + " (correlated Bayesian t-test with a flat prior, Benavoli et al. 2017; it takes the highest as it is, flattered).",
        f"Best minus contestant; g: Hedges' g of the folds' differences; the probabilities that it is better by more than "
        f"{rope}, the same within that, or worse. Bootstrap: 95 % interval over folds, stretched as Nadeau and "
        "Bengio's variance is. Wins: folds on which the best was ahead, level, behind.",
    )
    lines = tuple(
        (
            table.name(a.contestant), signed(scale * a.difference, digits),
            f"{signed(scale * a.low, digits)} to {signed(scale * a.high, digits)}",
            NONE if a.effect_size is None else signed(a.effect_size, 1),
            f"{a.posterior.better:.2f}", f"{a.posterior.same:.2f}", f"{a.posterior.worse:.2f}", "/".join(map(str, a.wins)),
        )
        for a in more[:MOST_LINES]
    )  # fmt: skip
    header = ("contestant", "ahead", "bootstrap", "g", "better", "same", "worse", "wins")
    return Block("extended", f"Against {table.name(verdict.best)}, in probabilities", sentences, header, lines)


def _over_datasets_block(found: Ranking, more: Sequence[extended.OverDatasets]) -> Block:
    first = found.names[more[0].first]
    rope = 100 * more[0].posterior.rope
    sentences = (
        f"{first}, first by mean rank, against each: Wilcoxon's signed ranks over {more[0].n} data sets, adjusted for all "
        f"pairs (Holm); Bayesian signed ranks: probabilities that it is better by more than {rope:g} point, as good, worse "
        "(Benavoli et al. 2017); mean difference with its BCa bootstrap interval over data sets.",
    )
    lines = tuple(
        (
            found.names[a.second], signed(100 * a.difference, 2),
            f"{signed(100 * a.low, 2)} to {signed(100 * a.high, 2)}", p_text(a.p_adjusted),
            f"{a.posterior.better:.2f}", f"{a.posterior.same:.2f}", f"{a.posterior.worse:.2f}",
        )
        for a in more[:MOST_LINES]
    )  # fmt: skip
    header = ("contestant", "ahead", "bootstrap", "Wilcoxon-Holm p", "better", "same", "worse")
    return Block("over_datasets", f"{first} over data sets, in probabilities", sentences, header, lines)
