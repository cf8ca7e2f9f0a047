"""The sentences of a verdict, in reading order: simplest, gain, cost, the best and its peers, caution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bench.noise import is_noise, times_as_much
from bench.simplicity import is_deep, uses_learned_features
from bench.tables import DatasetTable, Summary
from bench.verdict import model
from bench.verdict.model import ACCURACIES, ALPHA, CLASSES, FOLDS, SAMPLES, Verdict
from bench.verdict.units import counted, detectable, difference, score, seconds

#: Who predicts a single sample within this is named apart: what a service or a device can afford.
LATENCY_S = 1e-3
#: So many of the contestants that cannot be told from the best are named.
NAMED = 4

_CAUTIONS = {
    FOLDS: model.CAUTION, SAMPLES: model.CAUTION_SAMPLES, ACCURACIES: model.CAUTION_ACCURACIES, CLASSES: model.CAUTION_CLASSES,
}  # fmt: skip


def in_words(table: DatasetTable, v: Verdict) -> Verdict:
    """Return the verdict with its headline and sentences."""
    sentences = {"simplest": _simplest_sentence(table, v)}
    if v.gain is not None:
        sentences["gain"] = _gain_sentence(table, v)
        sentences["cost"] = _cost_sentence(v, table.noise_floor)
    else:
        kind = "deep" if v.best_deep is None else "classical"
        sentences["gain"] = f"No {kind} model finished every fold: what depth gains and costs was not measured."
    if v.deepest_gain is not None:
        sentences["more_depth"] = _more_depth_sentence(table, v)
    sentences["best"] = _best_sentence(table, v)
    sentences["caution"] = _CAUTIONS[v.basis]
    return replace(v, headline=_headline(table, v), sentences=sentences)


def _headline(table: DatasetTable, v: Verdict) -> str:
    text = _decision(table, v)
    return text if v.basis == FOLDS else f"On this one split: {text[0].lower() + text[1:] if text[1].islower() else text}"


def _decision(table: DatasetTable, v: Verdict) -> str:
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


def units(v: Verdict) -> str:
    """Return what the comparisons went by: ``"10 folds"``, ``"10,000 test samples"``."""
    n = next(iter(v.comparisons.values())).n
    return counted(n, "fold" if v.basis == FOLDS else "test sample")


def _simplest_sentence(table: DatasetTable, v: Verdict) -> str:
    best, simplest = v.best, v.simplest
    if v.ahead is None:
        if all(p < ALPHA for p in v.p_adjusted.values()):
            return f"{table.name(best)} is best ({score(best)}); every other contestant is distinguishably worse."
        return f"{table.name(best)} is best ({score(best)}), and everything simpler is distinguishably worse."
    c = v.ahead
    lead = f"ahead by {difference(c, table.metric)}" if c.difference > 0 else "not ahead at all"
    picked = {FOLDS: "The best, picked for each fold on the other folds,", ACCURACIES: "The highest", CLASSES: "The highest"}
    who = picked.get(v.basis, "The best, picked for each tenth of the samples on the others,")
    return (
        f"{table.name(simplest)} ({score(simplest)}) is the simplest contestant that is not distinguishably worse than "
        f"the best; highest is {table.name(best)} ({score(best)}). {who} is {lead}{detectable(c, table.metric, units(v))}"
    )


def _gain_sentence(table: DatasetTable, v: Verdict) -> str:
    deep, classical, gain = v.best_deep, v.best_classical, v.gain
    size = difference(gain, table.metric)
    who = f"Highest deep: {table.name(deep)}, {score(deep)}; "
    who += f"highest classical: {table.name(classical)}, {score(classical)}."
    if gain.conclusive:
        return f"What depth gains: {size}. {who}"
    missed = detectable(gain, table.metric, units(v))
    return f"Whether depth gains anything this run cannot tell: {size}{missed} {who}"


def _cost_sentence(v: Verdict, floor: float | None) -> str:
    text = _cost(v.best_deep, v.best_classical, floor)
    if text is None:
        return "What depth costs was not measured."
    if uses_learned_features(v.best_deep):
        text += " The best deep contestant stands on learned features: a network was trained to make them."
    return f"What depth costs: {text}"


def _cost(costly: Summary, cheap: Summary, floor: float | None) -> str | None:
    parts = []
    train = costly.time_train_s, cheap.time_train_s
    if None not in train:
        counted_in = {"time_features_s": "features", "time_tune_s": "tuning"}
        included = [word for name, word in counted_in.items() if any(name in s.times for s in (costly, cheap))]
        parts.append(f"{_against(*train, floor)} to fit" + (f", {' and '.join(included)} included" if included else ""))
    predict = costly.times.get("time_predict_s"), cheap.times.get("time_predict_s")
    if None not in predict:
        parts.append(f"{_against(*predict, floor)} to predict a test fold")
    return f"{'; '.join(parts)}." if parts else None


def _against(deep: float, classical: float, floor: float | None) -> str:
    ratio = times_as_much(deep, classical, floor)
    return f"{seconds(deep)} s against {seconds(classical)} s{f' ({ratio})' if ratio else ''}"


def _more_depth_sentence(table: DatasetTable, v: Verdict) -> str:
    """Where the simplest is a network itself: what still deeper ones gain over it, and cost."""
    gain, deeper = v.deepest_gain, v.best_deeper
    size = difference(gain, table.metric)
    cost = _cost(deeper, v.simplest, table.noise_floor)
    costs = f" It costs {cost}" if cost else ""
    who = f"Highest of those is {table.name(deeper)}, {score(deeper)}.{costs}"
    if gain.conclusive:
        return f"What more depth than {table.name(v.simplest)} gains: {size}. {who}"
    missed = detectable(gain, table.metric, units(v))
    return f"Whether more depth than {table.name(v.simplest)} gains anything this run cannot tell: {size}{missed} {who}"


def _best_sentence(table: DatasetTable, v: Verdict) -> str:
    """Best; indistinguishable from it; fastest of those; best within a millisecond a prediction."""
    peers = [s for s in table.ranked if v.is_indistinguishable(s)]
    parts = [f"Best: {table.name(v.best)} ({score(v.best)})", _peers(table, v, peers)]
    if peers and (fastest := _fastest(table, [v.best, *peers])):
        parts.append(f"fastest of those: {fastest}")
    if quick := _quick(table, v):
        parts.append(quick)
    return "; ".join(parts) + "."


def _peers(table: DatasetTable, v: Verdict, peers: Sequence[Summary]) -> str:
    where = f"on these {units(v)}"
    if not peers:
        return f"indistinguishable from it {where}: none"
    if len(peers) == len(v.comparisons):
        return f"no contestant is distinguishable from it {where}"
    named = ", ".join(table.name(s) for s in peers[:NAMED])
    more = f" and {len(peers) - NAMED} more of {len(v.comparisons)}" if len(peers) > NAMED else f" of {len(v.comparisons)}"
    return f"indistinguishable from it {where}: {named}{more}"


def _fastest(table: DatasetTable, contestants: Sequence[Summary]) -> str | None:
    timed = [s for s in contestants if s.time_train_s is not None and s.times.get("time_predict_s") is not None]
    if not timed:
        return None
    fit = _as_fast(table, timed, lambda s: s.time_train_s)
    predict = _as_fast(table, timed, lambda s: s.times["time_predict_s"])
    return f"to fit {fit}, to predict {predict}"


def _as_fast(table: DatasetTable, timed: Sequence[Summary], time_of: Callable[[Summary], float]) -> str:
    """Name the fastest, or all that are as fast: what is within the noise floor of it is no slower."""
    timed = sorted(timed, key=time_of)
    alike = [s for s in timed if s is timed[0] or is_noise(time_of(s), time_of(timed[0]), table.noise_floor)]
    named = [f"{table.name(s)} ({score(s)}, {seconds(time_of(s))} s)" for s in alike[:NAMED]]
    if len(named) == 1:
        return named[0]
    more = f" and {len(alike) - NAMED} more" if len(alike) > NAMED else ""
    return f"(as fast within the noise: {', '.join(named)}{more})"


def _quick(table: DatasetTable, v: Verdict) -> str | None:
    timed = [s for s in table.ranked if s.times.get("time_predict_one_s") is not None]
    if not timed:
        return None
    quick = [s for s in timed if s.times["time_predict_one_s"] <= LATENCY_S]
    if not quick:
        return "nothing predicts one sample within 1 ms"
    best = quick[0]
    features = ", making its features not counted" if best.feature_set != "raw" else ""
    one = seconds(1e3 * best.times["time_predict_one_s"])
    return f"best under 1 ms per prediction: {table.name(best)} ({score(best)}, {one} ms{features})"
