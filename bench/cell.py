"""The two things that cross a process: a cell, which says what to do, and a row, which says what became of it.

The data's way is ``suite -> plan (cells) -> executor -> worker(cell) -> row -> store -> tables / figures / report``.
Both are frozen dataclasses of plain values, so they pickle, print and compare without help. A field of a row that is
None was not measured, and is left out of rows.jsonl: absent means not measured, never zero.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pydantic_core

SCHEMA_VERSION = 1

#: What may become of a cell. ``skipped`` (the model cannot take the feature set) is not a failure.
STATUSES = ("ok", "failed", "timeout", "out_of_memory", "diverged", "skipped", "invalid")

#: The identity of a cell; it stands in rows.jsonl exactly once.
IDENTITY = ("dataset", "feature_set", "model", "backend", "threads", "repeat", "fold", "seed")


@dataclass(frozen=True)
class Cell:
    """One fit and one score: dataset x feature set x model x backend x threads x repeat x fold x seed.

    ``backend`` is ``"sklearn"`` for classical models and a name of ``kernels.backends()`` for deep ones. ``seed`` is
    the suite's; what a model draws its random numbers from is derived from it together with repeat and fold.
    """

    dataset: str
    feature_set: str
    model: str
    backend: str
    threads: int
    repeat: int
    fold: int
    seed: int

    @property
    def identity(self) -> tuple:
        return tuple(getattr(self, name) for name in IDENTITY)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a cell. Scores are fractions (0..1), times wall-clock seconds, memory bytes.

    Runs of 100,000 cells are read as a whole: without slots a row of so many fields takes three times the memory.
    """

    dataset: str
    feature_set: str
    model: str
    backend: str
    threads: int
    repeat: int
    fold: int
    seed: int
    status: str
    schema_version: int = SCHEMA_VERSION
    run_id: str | None = None
    utc: str | None = None  # when the cell ended, ISO 8601
    family: str | None = None  # "classical" or "deep"
    message: str | None = None  # why there is no score, in words
    traceback: str | None = None
    # scores of the test fold: classification ...
    accuracy: float | None = None
    balanced_accuracy: float | None = None
    log_loss: float | None = None
    # ... or regression
    r2: float | None = None
    rmse: float | None = None
    mae: float | None = None
    # ... and of classes, what stands behind them
    n_classes: int | None = None
    confusion: list[list[int]] | None = None  # samples of each class (row) that were taken for each class (column)
    calibration: dict[str, Any] | None = None  # n_bins, ece, bins: bench/calibration.py
    predictions: str | None = None  # of each test sample, packed: bench/predictions.py
    n_train: int | None = None
    n_test: int | None = None
    n_features: int | None = None
    n_epochs: int | None = None
    curve: dict[str, list[float | None]] | None = None  # of a network, after some epochs: bench/curves.py
    converged: bool | None = None
    # what the cell saw; of data alone, so that all models of a fold agree
    x_train_sha256: str | None = None
    x_test_sha256: str | None = None
    y_sha256: str | None = None
    split_sha256: str | None = None
    # what made it: hashes of code and configuration (bench/code_version.py)
    features_digest: str | None = None  # the recipe of the feature set, and all that it was fitted on
    model_digest: str | None = None
    kernels_digest: str | None = None  # of the backend; absent where a model runs on none of ours
    # the time ledger
    time_import_s: float | None = None
    time_warmup_s: float | None = None
    time_jit_s: float | None = None  # what of the warm-up went into compiling
    time_features_s: float | None = None
    time_fit_s: float | None = None
    time_fit_resumed_s: float | None = None  # what of it an earlier worker spent, whose training was taken up
    time_predict_s: float | None = None  # the whole test fold, once
    time_fit_jit_s: float | None = None  # what of the fit went into compiling after all
    time_predict_one_s: float | None = None  # one sample, median of repeats
    predict_batches: list[dict[str, Any]] | None = None  # on the first fold: bench/metering.py, Latency
    time_overhead_s: float | None = None  # the harness's own, with scoring: what no other time of the cell covers
    cpu_fit_s: float | None = None  # of all threads and children
    cpu_predict_s: float | None = None
    energy_fit_j: float | None = None  # of the whole processor, where the system says so
    energy_predict_j: float | None = None
    time_tune_s: float | None = None  # of a tuned model: all fits and predictions of the search
    n_trials: int | None = None  # how many fits that were, a configuration on an inner fold each
    n_configurations: int | None = None
    tuned_params: dict[str, Any] | None = None  # what was chosen
    peak_memory_bytes: int | None = None
    peak_memory_above_data_bytes: int | None = None  # what the fit and the predictions added to libraries and data
    threads_effective: int | None = None
    threads_before: dict[str, int] | None = None  # of each pool, read before the fit and after the last prediction
    threads_after: dict[str, int] | None = None
    cpus: list[int] | None = None  # that the worker was pinned to
    position: int | None = None  # how many rows the run had when it ended: its place in time
    n_workers: int | None = None  # how many workers ran beside each other, on one machine
    time_cell_s: float | None = None  # all that the cell took but features and warm-up, as who waited for it saw it
    host: str | None = None  # name of the machine
    machine_fingerprint: str | None = None  # times compare only where it is the same

    @property
    def identity(self) -> tuple:
        return (  # in the order of IDENTITY, and at once: it is asked for of each row that is read or written
            self.dataset, self.feature_set, self.model, self.backend, self.threads, self.repeat, self.fold, self.seed,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the measured fields, in the order of the class."""
        return {name: v for name in ROW_FIELDS if (v := getattr(self, name)) is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Row:
        """Build a row from parsed JSON; keys this version does not know are passed over."""
        row, get, intern = object.__new__(cls), values.get, sys.intern
        for name, put in _PUT:  # past __init__, which takes four times as long for so many fields
            put(row, get(name))
        for name, put in _PUT_REPEATED:  # one object for equal texts: names, hashes and moments stand in many rows
            if type(value := get(name)) is str:
                put(row, intern(value))
        for name, put in _PUT_PACKED:
            if type(value := get(name)) in (list, dict):
                put(row, _packed(value))
        for name in _REQUIRED:
            if name not in values:
                raise TypeError(f"a row without {name!r}")
        if "schema_version" not in values:
            _PUT_VERSION(row, SCHEMA_VERSION)
        return row


#: The names of a row's fields, in their order.
ROW_FIELDS = tuple(f.name for f in dataclasses.fields(Row))
_SHORT = 64
_REPEATED = tuple(
    name for name in ROW_FIELDS if name.endswith(("_sha256", "_digest", "_fingerprint"))
    or name in ("dataset", "feature_set", "model", "backend", "status", "run_id", "utc", "family", "message", "host")
)  # fmt: skip


def from_json(text: bytes) -> Any:
    """Return the value of a JSON text: pydantic's parser takes a third of the time, the standard library's takes any text.

    Examples
    --------
    >>> from_json(b'{"a": [1, 2.5]}'), from_json(b'"half of a pair: \\\\ud800"')
    ({'a': [1, 2.5]}, 'half of a pair: \\ud800')
    """
    try:
        return pydantic_core.from_json(text)
    except ValueError:
        return json.loads(text)


class _Unpacked:
    """A field of `Row` whose value is kept as JSON text until it is asked for.

    Lists and mappings of numbers take up to ten times their text in memory: as they are, 100,000 rows of ten classes would take
    400 MB more. Whoever reads the field gets a list or mapping of its own.
    """

    def __init__(self, slot: Any):
        self._slot = slot

    def __get__(self, row: Row | None, owner: type) -> Any:
        if row is None:
            return self
        value = self._slot.__get__(row, owner)
        return from_json(value) if type(value) is bytes else value

    def __set__(self, row: Row, value: Any) -> None:
        self._slot.__set__(row, value)


_PACKED = ("confusion", "calibration", "predict_batches", "threads_before", "threads_after")
_PUT = tuple((name, Row.__dict__[name].__set__) for name in ROW_FIELDS)
_PUT_REPEATED, _PUT_PACKED = (tuple(p for p in _PUT if p[0] in names) for names in (_REPEATED, _PACKED))
_PUT_VERSION = dict(_PUT)["schema_version"]
_REQUIRED = (*IDENTITY, "status")
for _name in _PACKED:
    setattr(Row, _name, _Unpacked(Row.__dict__[_name]))


@functools.lru_cache(maxsize=1000)
def _one_of(text: bytes) -> bytes:
    """Return the first of the equal texts seen of late."""
    return text


def _packed(value: Any) -> bytes:
    """Return the JSON text of a value; one object for equal short ones."""
    try:
        text = pydantic_core.to_json(value, inf_nan_mode="constants")
    except (pydantic_core.PydanticSerializationError, ValueError):  # a text that is no Unicode, a number beyond 64 bits
        text = json.dumps(value, separators=(",", ":")).encode()
    return text if len(text) > _SHORT else _one_of(text)
