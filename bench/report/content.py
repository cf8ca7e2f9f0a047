"""What a report says, before any format sets it: the tables with their verdicts, and how they were made.

The words for a cell of a table are made here, once, so that all formats say the same: ``98.7 ±0.5``, ``97.1 ±0.6
(4/5)``, ``skipped``.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.analysis import whole
from bench.analysis.whole import Analysis, Overall
from bench.metrics import METRICS
from bench.report import blocks, profiles, published
from bench.report.blocks import Block
from bench.report.merging import Merged, merge
from bench.report.profiles import StoredProfile
from bench.report.published import Published
from bench.statistics import CONFIDENCE, Comparison
from bench.store import Run, read_run
from bench.tables import DatasetTable, Summary, build_tables
from bench.tuning import trials
from bench.tuning.summary import TuningLine, budget_words, range_words, tuning_lines, without_space
from bench.verdict import Verdict, judge, seconds, signed

BEST, INDISTINGUISHABLE = "best", "indistinguishable"
NOTHING = "\N{EN DASH}"  # stands where no cell was planned

#: what a reader sees -> where run.json may have it
_PROVENANCE = (
    ("Runs", ("merged_from",)),
    ("Command", ("command",)),
    ("Suite", ("suite.name", "suite")),
    ("Started", ("utc_start",)),
    ("Ended", ("utc_end",)),
    ("CPU", ("environment.cpu",)),
    ("Cores", ("environment.cores", "environment.cpu_count")),
    ("Memory", ("environment.memory_bytes",)),
    ("Instruction set", ("environment.isa",)),
    ("System", ("environment.platform",)),
    ("Python", ("environment.python",)),
    ("Commit", ("environment.git.commit", "environment.commit")),
    ("Versions", ("environment.packages",)),
    ("Checked at its start", ("kernels_checked",)),
)
_MAPPINGS = ("packages", "kernels_checked")
_DIRTY = ("environment.git.dirty",)


@dataclass(frozen=True)
class Section:
    """One data set: its table, the verdict on it, and what tuning changed."""

    table: DatasetTable
    verdict: Verdict
    tuning: tuple[TuningLine, ...] = ()
    budget: str = ""  # of each search, in words
    about: str = ""  # what must be known of the samples before a score is read, as run.json has it
    classes: tuple[str, ...] = ()  # their names, where run.json has them
    published: Published | None = None  # what others published, beside ours
    analysis: Analysis = field(default_factory=Analysis)  # features or classifier, pairs, backends ...

    @property
    def dataset(self) -> str:
        return self.table.dataset

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What statistics add to the table, to be set below it."""
        return blocks.of_table(self.table, self.verdict, self.analysis)

    @property
    def legend(self) -> str:
        """What the numbers of the score table are."""
        metric = METRICS[self.table.metric]
        unit = f"{metric.title} in percent" if metric.is_share else f"{metric.title} (1 is perfect, 0 the mean)"
        n = self.table.n_folds
        spread = f"mean of {n} folds ± half of the {CONFIDENCE:.0%} interval".replace("%", " %")
        if n == 1:
            spread = "one fold"
            if any(s.interval and s.interval.low is not None for s in self.table.cells.values()):
                how = "Wilson" if metric.name == "accuracy" else "Wilson, of each class"
                spread += f" ± the {CONFIDENCE:.0%} interval of its samples ({how})".replace("%", " %")
        return f"{self.about}. {unit}: {spread}" if self.about else f"{unit}: {spread}"

    @property
    def tuning_legend(self) -> str:
        """What the numbers of the tuning table are, and who is not in it."""
        metric = METRICS[self.table.metric]
        unit = "in percent" if metric.is_share else metric.title
        text = (
            f"{self.budget}: random search with successive halving, judged on inner folds of the training part alone. "
            f"Means over the folds {unit}; tuned minus default with its 95 % interval, each line by itself; tried: "
            "configurations of a search, and their fits on inner folds; seconds of a search: median over the folds."
        )
        without = without_space(self.table)
        return f"{text} No search space: {', '.join(without)}." if without else text

    def mark(self, summary: Summary) -> str:
        """Return how a cell stands to the best: `BEST`, `INDISTINGUISHABLE`, or nothing."""
        if self.verdict.is_best(summary):
            return BEST
        return INDISTINGUISHABLE if self.verdict.is_indistinguishable(summary) else ""

    def at_best(self, line: tuple) -> Summary | None:
        """Return the highest-scoring cell of a line; cells with every fold come before those without."""
        scored = [s for s in self.cells(line) if s is not None and s.n]
        return max(scored, key=lambda s: (s.complete, s.mean), default=None)

    def cells(self, line: tuple) -> list[Summary | None]:
        return [self.table.cell(line, feature_set) for feature_set in self.table.feature_sets]


@dataclass(frozen=True)
class Report:
    run: Run
    sections: tuple[Section, ...]
    provenance: tuple[tuple[str, str], ...]
    profiles: tuple[StoredProfile, ...] = ()
    notes: tuple[str, ...] = ()  # of merged runs: what a reader must know
    overall: Overall = field(default_factory=Overall)  # over the data sets

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What is said over all data sets."""
        return blocks.of_run(self.overall)

    @property
    def title(self) -> str:
        return f"depthbench: {_get(self.run.manifest, ('suite.name',)) or self.run.run_id}"

    @property
    def counts(self) -> dict[str, int]:
        """How many cells there are of each status."""
        found: dict[str, int] = {}
        for row in self.run.rows:
            found[row.status] = found.get(row.status, 0) + 1
        return found

    @property
    def summary(self) -> str:
        """One line on what was run."""
        if not self.run.rows:
            return "No cell has finished yet: there is nothing to show."
        parts = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in self.counts.items())
        unfinished = "" if self.run.finished else "; the run has not ended, or was interrupted"
        return f"{len(self.run.rows)} cells: {parts}{unfinished}."


def load(folder: str | Path | Sequence[str | Path], *, statistics: bool = False, metric: str | None = None) -> Report:
    """Read a run folder, or several as one, and work out everything a report says; `metric`: rank by it, not the suite's."""
    folders, found = _folders(folder), merged(folder, metric)
    stored = tuple(profile for f in folders for profile in profiles.read(f))
    tried = {identity: trial for f in folders for identity, trial in trials.read(f).items()}
    return make(found.run, stored, tried, found.notes, statistics=statistics)


def merged(folder: str | Path | Sequence[str | Path], metric: str | None = None) -> Merged:
    """Read a run folder, or several as one, to be ranked by `metric` or by what their suite names."""
    found = merge([read_run(f) for f in _folders(folder)])
    if metric is None:
        return found
    manifest = found.run.manifest
    suite = manifest.get("suite")
    suite = {**(suite if isinstance(suite, Mapping) else {}), "metric": metric}
    return replace(found, run=replace(found.run, manifest={**manifest, "suite": suite}))


def _folders(folder: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(f) for f in ([folder] if isinstance(folder, (str, Path)) else folder)]


def make(
    run: Run,
    stored_profiles: tuple[StoredProfile, ...] = (),
    tried: trials.Trials | None = None,
    notes: tuple[str, ...] = (),
    *,
    statistics: bool = False,
) -> Report:
    """Work out everything a report says of a run; `statistics`: with what ``--statistics`` adds."""
    suite = run.manifest.get("suite")
    budget = budget_words(suite if isinstance(suite, Mapping) else {})
    sections = tuple(_section(table, run.manifest, tried, budget) for table in build_tables(run.rows, run.manifest))
    models = run.manifest.get("models")
    sections = tuple(
        replace(s, analysis=whole.of_table(s.table, s.verdict, models, statistics=statistics)) for s in sections
    )
    overall = whole.of_run([s.table for s in sections], statistics=statistics)
    return Report(run, sections, tuple(_provenance(run.manifest)), stored_profiles, notes, overall)


def _section(table: DatasetTable, manifest: Mapping[str, Any], tried: trials.Trials | None, budget: str) -> Section:
    about = _about(manifest, table.dataset)
    return Section(
        table=table,
        verdict=judge(table, manifest),
        tuning=tuning_lines(table, tried),
        budget=budget,
        about=about,
        classes=_classes(manifest, table.dataset),
        published=published.beside(table, about),
    )


def _about(manifest: Mapping[str, Any], dataset: str) -> str:
    """Return what the samples are not, or which part of them was drawn; runs of older versions do not say."""
    facts = _of_dataset(manifest, dataset, "facts")
    facts = facts if isinstance(facts, Mapping) else {}
    preset = facts.get("preset") if isinstance(facts.get("preset"), Mapping) else {}
    parts = [facts.get("about"), f"preset {preset['name']}" if preset.get("name") in ("S", "M") else None]
    return "; ".join(str(part) for part in parts if part)


def _classes(manifest: Mapping[str, Any], dataset: str) -> tuple[str, ...]:
    names = _of_dataset(manifest, dataset, "classes")
    return tuple(str(name) for name in names) if isinstance(names, (list, tuple)) else ()


def _of_dataset(manifest: Mapping[str, Any], dataset: str, name: str) -> Any:
    """Return what run.json says of a data set, or None."""
    found: Any = manifest
    for key in ("datasets", dataset, name):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def score_text(summary: Summary | None, *, footnotes: bool = False) -> str:
    """Return the words for a cell: its score and interval, or why there is none; a dash if it was not planned.

    Examples
    --------
    >>> from bench.cell import Row
    >>> rows = [Row("d", "raw", "lda", "sklearn", 1, 0, i, 0, "ok", accuracy=0.9 + i / 100) for i in range(5)]
    >>> score_text(build_tables(rows)[0].ranked[0])
    '92.0 ±2.9'
    """
    if summary is None:
        return NOTHING
    text = state_text(summary) if summary.interval is None else number_text(summary)
    if summary.interval is not None and not summary.complete:
        text += f" ({summary.n}/{summary.n_expected})"
    if footnotes and summary.footnotes:
        text += " " + ",".join(f"[{n}]" for n in summary.footnotes)
    return text


TUNING_HEADER = ("model", "features", "default", "tuned", "tuned \N{MINUS SIGN} default", "tried", "fits", "s")


def tuning_cells(line: TuningLine) -> tuple[str, ...]:
    """Return the words for a line of the tuning table, as `TUNING_HEADER` names them."""
    metric = line.tuned.metric
    return (
        line.label,
        line.feature_set,
        _mean_text(line.default),
        _mean_text(line.tuned),
        _difference_text(line.comparison, metric),
        range_words(line.n_configurations),
        range_words(line.n_trials),
        seconds(line.time_tune_s),
    )


def _mean_text(summary: Summary | None) -> str:
    if summary is None or summary.interval is None:
        return NOTHING if summary is None else state_text(summary)
    text = number_text(summary).split(" ±")[0]
    return text if summary.complete else f"{text} ({summary.n}/{summary.n_expected})"


def _difference_text(comparison: Comparison | None, metric: str) -> str:
    """Return a difference with its interval in brackets: ``+0.28 (+0.04 to +0.52)``."""
    if comparison is None:
        return NOTHING
    scale, digits = METRICS[metric].shown(2)
    text = signed(scale * comparison.difference, digits)
    if comparison.low is None or comparison.high is None:
        return text
    return f"{text} ({signed(scale * comparison.low, digits)} to {signed(scale * comparison.high, digits)})"


def number_text(summary: Summary) -> str:
    """Return the mean and the half-width of its interval, without a unit."""
    interval = summary.interval
    scale, digits = METRICS[summary.metric].shown(1)
    text = f"{scale * interval.mean:.{digits}f}"
    half = interval.half_width
    if half is None and interval.low is not None:  # Wilson's is not symmetric: the longer side
        half = max(interval.mean - interval.low, interval.high - interval.mean)
    return text if half is None else f"{text} ±{scale * half:.{digits}f}"


def state_text(summary: Summary) -> str:
    """Return what became of a contestant that has no score: the most frequent status."""
    if not summary.statuses:
        return NOTHING
    return max(summary.statuses, key=lambda status: summary.statuses[status]).replace("_", " ")


def _provenance(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for label, places in _PROVENANCE:
        value = _get(manifest, places)
        if value in (None, "", [], {}):
            continue
        if label == "Commit" and _get(manifest, _DIRTY):
            value = f"{value} (with uncommitted changes)"
        if label == "Checked at its start" and isinstance(value, Mapping):
            value = "; ".join(f"{name}: {text}" for name, text in value.items())
        if label == "Runs" and isinstance(value, (list, tuple)):
            value = ", ".join(map(str, value))
        if label == "Memory" and isinstance(value, (int, float)):
            value = f"{value / 2**30:.1f} GiB"
        yield label, _plain(value)


def _get(manifest: Mapping[str, Any], places: tuple[str, ...]) -> Any:
    """Return the first value of dotted places that is there; only `_MAPPINGS` may be mappings."""
    for place in places:
        value: Any = manifest
        for key in place.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None and (not isinstance(value, Mapping) or place.endswith(_MAPPINGS)):
            return value
    return None


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        first, *rest = (str(v) for v in value)
        return shlex.join([Path(first).name, *rest])  # where the program lies is of no use to a reader
    return str(value)
