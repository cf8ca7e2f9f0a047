"""How much of a gain is owed to the features, and how much to the classifier.

From the table of models x feature sets the largest part is taken in which every cell has all its folds; constant models
(`dummy`) are left out, for they would make the models' share as large as one likes, and of a model that ran on several
backends the first one stands for all. The **gain** runs from a base, the
simplest model on the first feature set of the table, to the best cell; like the verdict's best, it is picked for each fold
on the other folds only, so luck on a fold has no part in it. ``bench/statistics/factors.py`` says how it is split.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.simplicity import base_name, simplicity
from bench.statistics import MIN_FOLDS, factors
from bench.statistics.factors import Gain, Part, Shares
from bench.tables import DatasetTable, FoldKey, LineKey, Summary


@dataclass(frozen=True)
class FactorSplit:
    """A balanced part of a table, taken apart.

    Attributes
    ----------
    feature_sets, lines : tuple
        Of the part.
    base : Summary
        Where the gain begins.
    gain : Gain
        From `base` to the best cell, picked on the other folds.
    picked : tuple of (Summary, int)
        The cells that were picked, with the number of folds, the most frequent first.
    shares : Shares or None
        Of the scatter of the part's means; None where all means are alike.
    feature_effects, model_effects : mapping
        By how much each lies above the mean of the part.
    left_out : tuple of str
        Models and feature sets that are in no balanced part.
    """

    feature_sets: tuple[str, ...]
    lines: tuple[LineKey, ...]
    base: Summary
    gain: Gain
    picked: tuple[tuple[Summary, int], ...]
    shares: Shares | None
    feature_effects: Mapping[str, Part]
    model_effects: Mapping[LineKey, Part]
    left_out: tuple[str, ...]


def split(table: DatasetTable, models: Mapping[str, Any] | None = None) -> FactorSplit | None:
    """Take a table apart; None where no two models stand on the same two feature sets in three folds at least.

    Parameters
    ----------
    table : DatasetTable
    models : mapping, optional
        "models" of run.json, for the order of simplicity.
    """
    import numpy as np

    if table.mismatch is not None:
        return None
    lines, feature_sets, left_out = _balanced(table)
    if len(lines) < 2 or len(feature_sets) < 2:
        return None
    cells = {(f, line): table.cell(line, f) for f in feature_sets for line in lines}
    one = cells[feature_sets[0], lines[0]]
    folds, ratio = list(one.scores), one.test_train_ratio
    if len(folds) < MIN_FOLDS:
        return None
    scores = np.array([[[cells[f, line].scores[fold] for fold in folds] for line in lines] for f in feature_sets])
    at_base = min(range(len(lines)), key=lambda i: simplicity(cells[feature_sets[0], lines[i]], models))
    picked = _picked(scores, folds)
    i = range(len(folds))
    gain = factors.split_gain(
        [scores[0, at_base, k] for k in i],
        [scores[picked[k][0], at_base, k] for k in i],
        [scores[0, picked[k][1], k] for k in i],
        [scores[*picked[k], k] for k in i],
        ratio,
        n_test=one.test_size,
    )
    often = Counter(picked).most_common()
    return FactorSplit(
        tuple(feature_sets),
        tuple(lines),
        cells[feature_sets[0], lines[at_base]],
        gain,
        tuple((cells[feature_sets[f], lines[m]], n) for (f, m), n in often),
        factors.shares(scores, ratio),
        dict(zip(feature_sets, factors.effects(scores, ratio), strict=True)),
        dict(zip(lines, factors.effects(scores, ratio, of="models"), strict=True)),
        tuple(left_out),
    )


def _balanced(table: DatasetTable) -> tuple[list[LineKey], list[str], list[str]]:
    """Return lines and feature sets of which every cell is complete: what has the most gaps is taken out, one by one."""
    lines = [line for line in table.lines if base_name(line[0]) != "dummy" and line == _first_of(table, line)]
    feature_sets = list(table.feature_sets)
    out: list[str] = []

    def gaps(line: LineKey, feature_set: str) -> bool:
        cell = table.cell(line, feature_set)
        return cell is None or not cell.complete

    while lines and feature_sets:
        of_line = [sum(gaps(line, f) for f in feature_sets) / len(feature_sets) for line in lines]
        of_set = [sum(gaps(line, f) for line in lines) / len(lines) for f in feature_sets]
        if not any(of_line):
            break
        if max(of_line) >= max(of_set):
            out.append(table.labels.get(line := lines.pop(of_line.index(max(of_line))), line[0]))
        else:
            out.append(feature_sets.pop(of_set.index(max(of_set))))
    return lines, feature_sets, out


def _first_of(table: DatasetTable, line: LineKey) -> LineKey:
    """Return the first line of the same model: on another backend, or with other threads, it is no other classifier."""
    return next(other for other in table.lines if other[0] == line[0])


def _picked(scores: Any, folds: Sequence[FoldKey]) -> list[tuple[int, int]]:
    """Return, for each fold, the cell that is best on the other folds of the same repeat (or on all others, of one fold)."""
    import numpy as np

    repeats: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, fold in enumerate(folds):
        repeats[fold[:2]].append(k)
    found: list[tuple[int, int]] = [(0, 0)] * len(folds)
    for members in repeats.values():
        for k in members:
            others = [m for m in members if m != k] or [m for m in range(len(folds)) if m != k]
            means = scores[:, :, others].mean(axis=2)
            f, m = np.unravel_index(int(means.argmax()), means.shape)
            found[k] = int(f), int(m)
    return found
