"""From rows to tables: one summary per contestant, a refusal to rank what did not see the same data, and footnotes.

A **contestant** is a model on a feature set, with its backend and threads. Its folds are summed up in a `Summary`; the
summaries of one data set make a `DatasetTable`, models x feature sets. Three rules keep a table honest:

* Only rows whose hashes agree are ranked (bench/identity.py). Within a fold all models must have had the same matrices,
  and all feature sets the same samples; a model, and the kernels below it, must be the same in all folds.
* A contestant that did not finish every fold keeps its mean, with n/N beside it, and is not ranked with those that did:
  it may have been spared the hard fold.
* What has no score is a footnote with the reason, never a gap.

Classification is scored by accuracy or by what the suite names (bench/metrics.py), regression by R², and no two of them stand
in one table.
"""

from __future__ import annotations

import math
import re
import statistics as stdlib_statistics
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from bench import payback
from bench.calibration import Calibration, pool
from bench.cell import STATUSES, Row
from bench.identity import DATA_HASHES, HashMismatch, check_code, check_hashes, without_code
from bench.metrics import METRICS, OF_CLASSES, errors_by_class
from bench.names import is_tuned, untuned
from bench.noise import floor_of, warnings_of
from bench.origins import is_timed, notes, timed_on
from bench.statistics import Interval, mean_interval, test_train_ratio, wilson_interval
from bench.statistics.by_class import balanced_interval

FoldKey = tuple[int, int, int]  # (seed, repeat, fold)
LineKey = tuple[str, str, int]  # (model, backend, threads): one line of a table
ContestantKey = tuple[str, str, str, int]  # (feature_set, model, backend, threads): one cell of it

MEAN_SCORES = ("accuracy", "balanced_accuracy", "log_loss", "r2", "rmse", "mae")
MEDIAN_TIMES = (
    "time_import_s", "time_warmup_s", "time_features_s", "time_tune_s", "time_fit_s", "time_predict_s",
    "time_predict_one_s",
)  # fmt: skip


#: A footnote is cut there; the rows hold the whole message, and the page shows it.
MESSAGE_LENGTH = 300

#: Fits that wait for more of their time than this were disturbed.
_MOST_WAITING = 0.2


@dataclass(frozen=True)
class Summary:
    """What became of one contestant over all its folds; a value that was not measured is None."""

    dataset: str
    feature_set: str
    model: str
    family: str | None
    backend: str
    threads: int
    metric: str
    rows: tuple[Row, ...]
    scores: Mapping[FoldKey, float]
    interval: Interval | None  # over the folds that have a score
    n_expected: int  # folds of the data set in this run
    means: Mapping[str, float]
    times: Mapping[str, float]  # medians over the folds
    peak_memory_bytes: int | None  # the largest
    statuses: Mapping[str, int]
    footnotes: tuple[int, ...] = ()

    @property
    def key(self) -> ContestantKey:
        return self.feature_set, self.model, self.backend, self.threads

    @property
    def line(self) -> LineKey:
        return self.model, self.backend, self.threads

    @property
    def mean(self) -> float | None:
        return None if self.interval is None else self.interval.mean

    @property
    def n(self) -> int:
        """The number of folds with a score."""
        return len(self.scores)

    @property
    def complete(self) -> bool:
        return self.n == self.n_expected > 0

    @cached_property
    def test_train_ratio(self) -> float:
        return _ratio(self.scored_rows)

    @cached_property
    def test_size(self) -> float | None:
        """Samples of a test fold, on average, where scores are shares of them all; else None."""
        sizes = [row.n_test for row in self.scored_rows]
        return math.fsum(sizes) / len(sizes) if self.metric == "accuracy" and sizes and all(sizes) else None

    @cached_property
    def scored_rows(self) -> list[Row]:
        return [row for row in self.rows if _score(row, self.metric) is not None]

    @cached_property
    def calibration(self) -> Calibration | None:
        """The bins of the reliability diagram over all folds, where the model gives probabilities."""
        return pool(row.calibration for row in self.scored_rows)

    @property
    def time_train_s(self) -> float | None:
        """What it takes to get from raw samples to a fitted model: features, the search where it is tuned, and fit."""
        fit = self.times.get("time_fit_s")
        return None if fit is None else fit + self.times.get("time_features_s", 0.0) + self.times.get("time_tune_s", 0.0)


@dataclass(frozen=True)
class Footnote:
    """Why some contestants have no score, or not from all folds."""

    number: int
    text: str


@dataclass(frozen=True)
class DatasetTable:
    """Models x feature sets of one data set."""

    dataset: str
    metric: str
    lines: tuple[LineKey, ...]
    feature_sets: tuple[str, ...]
    cells: Mapping[ContestantKey, Summary]
    n_folds: int
    footnotes: tuple[Footnote, ...] = ()
    warnings: tuple[str, ...] = ()
    mismatch: HashMismatch | None = None
    labels: Mapping[LineKey, str] = field(default_factory=dict)
    noise_floor: float | None = None  # the ratio up to which two times are the same (bench/noise.py)

    def cell(self, line: LineKey, feature_set: str) -> Summary | None:
        """Return the contestant that stands there, or None where none was planned."""
        return self.cells.get((feature_set, *line))

    @property
    def ranked(self) -> list[Summary]:
        """The contestants that may be compared: every fold finished, and the same data seen; best first."""
        if self.mismatch is not None:
            return []
        complete = [s for s in self.cells.values() if s.complete]
        return sorted(complete, key=lambda s: -s.mean)

    def name(self, summary: Summary) -> str:
        """Return the words for a contestant: ``svc_rbf on hog``."""
        return f"{self.labels.get(summary.line, summary.model)} on {summary.feature_set}"

    @property
    def threads_note(self) -> str:
        """How many threads and workers the times were taken with, in words.

        Examples
        --------
        >>> rows = [Row("d", "raw", "lda", "sklearn", 1, 0, 0, 0, "ok", accuracy=1.0, n_workers=2)]
        >>> build_tables(rows)[0].threads_note
        '1 thread, 2 workers beside each other'
        """
        rows = [row for s in self.cells.values() for row in s.rows]
        threads = sorted({row.threads for row in rows})
        workers = sorted({row.n_workers for row in rows if row.n_workers})
        text = f"{_or(threads)} {'thread' if threads == [1] else 'threads'}"
        if workers:
            text += ", 1 worker" if workers == [1] else f", {_or(workers)} workers beside each other"
        return text


def build_tables(rows: Sequence[Row], manifest: Mapping[str, Any] | None = None) -> list[DatasetTable]:
    """Return one table per data set, in the order of the suite where run.json has it, else as they first appear.

    Parameters
    ----------
    rows : sequence of Row
    manifest : mapping, optional
        What run.json holds: the order of data sets, feature sets and models, and how the rows came about.

    Returns
    -------
    list of DatasetTable
        A table whose rows' hashes differ has its ``mismatch`` set, and ranks nothing.
    """
    by_dataset: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_dataset[row.dataset].append(row)
    suite = (manifest or {}).get("suite")
    suite = suite if isinstance(suite, Mapping) else {}
    order = _in_order(by_dataset, suite.get("datasets"))
    tables = [_build_table(name, by_dataset[name], suite) for name in order]
    floor = floor_of(manifest)
    noise = [f"When this run began: {text}." for text in warnings_of(manifest)]

    def warnings(table: DatasetTable) -> tuple[str, ...]:
        rows = by_dataset[table.dataset]
        return *table.warnings, *payback.sentences(rows, floor), *noise, *notes(rows, manifest)

    return [replace(t, noise_floor=floor, warnings=warnings(t)) for t in tables]


def _build_table(dataset: str, rows: list[Row], suite: Mapping[str, Any]) -> DatasetTable:
    metric = _metric(rows, suite.get("metric"))
    expected = {_fold_key(row) for row in rows}
    by_contestant: dict[ContestantKey, list[Row]] = defaultdict(list)
    for row in rows:
        by_contestant[row.feature_set, row.model, row.backend, row.threads].append(row)
    machine = timed_on(rows)
    summaries = {key: _summarize(found, metric, len(expected), machine) for key, found in by_contestant.items()}
    footnotes, numbers = _footnotes(summaries)
    summaries = {key: _with(s, footnotes=numbers.get(key, ())) for key, s in summaries.items()}
    lines = _in_order({s.line: None for s in summaries.values()}, None)
    lines.sort(key=lambda line: (_model_position(line[0], suite.get("models")), line[1:]))
    mismatch = None
    try:
        check_hashes(rows)
        check_code(rows)
    except HashMismatch as e:
        mismatch = e
    return DatasetTable(
        dataset=dataset,
        metric=metric,
        lines=tuple(lines),
        feature_sets=tuple(_in_order({s.feature_set: None for s in summaries.values()}, suite.get("features"))),
        cells=summaries,
        n_folds=len(expected),
        footnotes=tuple(footnotes),
        warnings=tuple(_warnings(rows)),
        mismatch=mismatch,
        labels=_labels(lines),
    )


def _metric(rows: Sequence[Row], named: Any) -> str:
    if any(_number(row.r2) is not None for row in rows):
        return "r2"
    known = named in OF_CLASSES and any(_number(getattr(row, named)) is not None for row in rows)
    return named if known else OF_CLASSES[0]


def _summarize(rows: list[Row], metric: str, n_expected: int, machine: str | None) -> Summary:
    rows = sorted(rows, key=_fold_key)
    done = [row for row in rows if _score(row, metric) is not None]
    scored = {_fold_key(row): _score(row, metric) for row in done}
    first, counts = rows[0], Counter(row.status for row in rows)
    means = {name: stdlib_statistics.fmean(v) for name in MEAN_SCORES if (v := _numbers(done, name))}
    timed = [row for row in done if is_timed(row, machine)]
    times = {name: stdlib_statistics.median(v) for name in MEDIAN_TIMES if (v := _numbers(timed, name))}
    peaks = _numbers(done, "peak_memory_bytes")
    return Summary(
        dataset=first.dataset,
        feature_set=first.feature_set,
        model=first.model,
        family=next((row.family for row in rows if row.family), None),
        backend=first.backend,
        threads=first.threads,
        metric=metric,
        rows=tuple(rows),
        scores=scored,
        interval=_interval(done, list(scored.values()), metric),
        n_expected=n_expected,
        means=means,
        times=times,
        peak_memory_bytes=int(max(peaks)) if peaks else None,
        statuses={s: counts[s] for s in STATUSES if counts[s]},
    )


def _interval(rows: list[Row], scores: list[float], metric: str) -> Interval | None:
    if not scores:
        return None
    if len(scores) == 1 and metric == "accuracy" and rows[0].n_test and 0.0 <= scores[0] <= 1.0:
        return wilson_interval(scores[0], rows[0].n_test)
    if len(scores) == 1 and metric == "balanced_accuracy" and (classes := errors_by_class(rows[0].confusion)) is not None:
        return replace(balanced_interval(*classes), mean=scores[0])
    return mean_interval(scores, _ratio(rows), bounds=METRICS[metric].bounds)


def _ratio(rows: Sequence[Row]) -> float:
    return test_train_ratio([r.n_train for r in rows], [r.n_test for r in rows], len({r.fold for r in rows}))


def _score(row: Row, metric: str) -> float | None:
    return _number(getattr(row, metric)) if row.status == "ok" else None


def _number(value: Any) -> float | None:
    """Return a finite number or None: rows come from a file that anyone may have edited."""
    if type(value) is float:  # most are
        return value if math.isfinite(value) else None
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if usable else None


def _numbers(rows: Iterable[Row], name: str) -> list[float]:
    return [value for row in rows if (value := _number(getattr(row, name))) is not None]


def _fold_key(row: Row) -> FoldKey:
    return row.seed, row.repeat, row.fold


def _with(summary: Summary, **changes: Any) -> Summary:
    from dataclasses import replace

    return replace(summary, **changes)


def _labels(lines: Sequence[LineKey]) -> dict[LineKey, str]:
    """Name each line by its model, and by backend and threads only where the model stands there more than once."""
    backends, threads = defaultdict(set), defaultdict(set)
    for model, backend, n in lines:
        backends[model].add(backend)
        threads[model].add(n)
    labels = {}
    for model, backend, n in lines:
        extra = [backend] if len(backends[model]) > 1 else []
        extra += [f"{n} thread{'s' if n != 1 else ''}"] if len(threads[model]) > 1 else []
        labels[model, backend, n] = f"{model} ({', '.join(extra)})" if extra else model
    return labels


def _footnotes(
    summaries: Mapping[ContestantKey, Summary],
) -> tuple[list[Footnote], dict[ContestantKey, tuple[int, ...]]]:
    """Say each reason once, with all the contestants and folds that it hit.

    Reasons that differ only by the name of the feature set are one: the name becomes "...".
    """
    labels = _labels(list({s.line: None for s in summaries.values()}))
    hit: dict[tuple[str, str], dict[ContestantKey, tuple[str, int]]] = defaultdict(dict)
    for key, summary in summaries.items():
        for status, message, count in _troubles(summary):
            pattern = re.sub(rf"(?<!\w){re.escape(summary.feature_set)}(?!\w)", "...", message)
            hit[status, pattern][key] = (message, count)
    footnotes: list[Footnote] = []
    numbers: dict[ContestantKey, tuple[int, ...]] = defaultdict(tuple)
    for (status, pattern), contestants in hit.items():
        number = len(footnotes) + 1
        by_line: dict[str, list[str]] = defaultdict(list)
        for key, (_, count) in contestants.items():
            numbers[key] += (number,)
            n = summaries[key].n_expected
            by_line[labels[summaries[key].line]].append(key[0] if count == n else f"{key[0]} ({count} of {n} folds)")
        said = {message for message, _ in contestants.values()}
        who = "; ".join(f"{line} on {', '.join(sets)}" for line, sets in by_line.items())
        why = textwrap.shorten(said.pop() if len(said) == 1 else pattern, MESSAGE_LENGTH, placeholder=" ...")
        footnotes.append(Footnote(number, f"{status.replace('_', ' ')}: {who}: {why}"))
    return footnotes, dict(numbers)


def _troubles(summary: Summary) -> list[tuple[str, str, int]]:
    """Return (status, message, folds) for what keeps a contestant from a full set of scores."""
    messages: dict[str, list[str]] = defaultdict(list)
    for row in summary.rows:
        if _score(row, summary.metric) is None:
            status = row.status if row.status != "ok" else "invalid"
            messages[status].append(" ".join(str(row.message or "no reason stored").split()))
    found = []
    for status, said in messages.items():
        different = len(set(said)) - 1
        more = f" (and {different} other message{'s' if different > 1 else ''})" if different else ""
        found.append((status, said[0] + more, len(said)))
    if missing := summary.n_expected - len(summary.rows):
        found.append(("not run", "the run ended before these folds", missing))
    return found


def _warnings(rows: Sequence[Row]) -> list[str]:
    warnings = []
    scored = [row for row in rows if row.status == "ok"]
    if scored and not any(getattr(row, name) for row in scored for name in DATA_HASHES):
        warnings.append("No hashes are stored with these rows: that all models saw the same data is not proven.")
    if old := without_code(scored):
        warnings.append(f"Of {len(old)} rows it is not known which code made them; the others say so.")
    stopped = Counter(row.model for row in scored if row.converged is False)
    if stopped:
        who = ", ".join(f"{model} ({n} fold{'s' if n > 1 else ''})" for model, n in stopped.items())
        warnings.append(f"The optimizer stopped before it converged: {who}.")
    waited = waiting_share(scored)
    if waited > _MOST_WAITING:
        warnings.append(
            f"Fits waited for {waited:.0%} of their time instead of computing: something else had the processors (or the "
            "disk). Their seconds are too long by that."
        )
    wrong = [r for r in scored if r.threads_effective is not None and r.threads_effective != r.threads]
    if wrong:
        models = ", ".join(sorted({row.model for row in wrong}))
        warnings.append(f"Times of {models} were not taken with the threads asked for.")
    return warnings


def waiting_share(rows: Iterable[Row]) -> float:
    """Return the share of all fits' time in which not even one processor computed; 0 where rows do not say.

    Fits below 10 ms are left out: their clocks tick too coarsely.

    Examples
    --------
    >>> row = Row("d", "raw", "lda", "sklearn", 1, 0, 0, 0, "ok", time_fit_s=2.0, cpu_fit_s=0.5)
    >>> waiting_share([row]), waiting_share([])
    (0.75, 0.0)
    """
    names = ("time_fit_s", "time_fit_resumed_s", "cpu_fit_s")
    known = ([_number(getattr(row, name)) for name in names] for row in rows)
    fits = [(all_s - (resumed_s or 0.0), cpu_s) for all_s, resumed_s, cpu_s in known if None not in (all_s, cpu_s)]
    fits = [(wall, cpu) for wall, cpu in fits if wall >= 0.01]
    total = math.fsum(wall for wall, _ in fits)
    return math.fsum(max(0.0, wall - cpu) for wall, cpu in fits) / total if total > 0 else 0.0


def _in_order(names: Iterable[Any], order: Any) -> list[Any]:
    """Return ``names`` in the given order; those it does not have follow as they first appear."""
    return sorted(names, key=lambda name: _position(name, order))


def _position(name: str | None, order: Any) -> int:
    order = list(order) if isinstance(order, (list, tuple)) else []
    return order.index(name) if name in order else len(order)


def _model_position(model: str, order: Any) -> tuple[int, bool]:
    """A tuned model that the suite does not name stands behind the one that it is tuned from."""
    position = _position(model, order)
    if is_tuned(model) and position == _position(None, order):
        position = _position(untuned(model), order)
    return position, is_tuned(model)


def _or(numbers: Sequence[int]) -> str:
    return " or ".join(str(n) for n in numbers)
