"""The chooser: the best contestant within limits on latency, fit time, memory and accuracy.

``latency=1ms,memory=100MB`` reads: at most a millisecond to predict one sample, at most 100 MB of memory. Where a row does not
say what it took, the contestant cannot be shown to keep the limit, and is left out with a word. Several may keep the limits;
the one with the highest mean is named, and those that the verdict cannot tell from the best are marked, for among these a
reader is free to choose by anything else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.errors import InputError
from bench.names import unknown
from bench.tables import DatasetTable, Summary
from bench.verdict import Verdict

_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SHARES = {"%": 0.01, "": 1.0}


def memory_bytes(summary: Summary) -> float | None:
    """Return the largest memory that fit and prediction took above libraries and data; older rows have only the sum of all."""
    above = [row.peak_memory_above_data_bytes for row in summary.scored_rows]
    return max(above) if above and None not in above else summary.peak_memory_bytes


@dataclass(frozen=True)
class Quantity:
    """What can be limited: its value for a contestant (None: not measured), its units, and whether less is better."""

    name: str
    line: str
    value: Callable[[Summary], float | None]
    units: dict[str, float]
    at_most: bool = True


QUANTITIES = (
    Quantity("latency", "seconds to predict one sample (median)", lambda s: s.times.get("time_predict_one_s"), _SECONDS),
    Quantity("predict", "seconds to predict the test fold (median)", lambda s: s.times.get("time_predict_s"), _SECONDS),
    Quantity("fit", "seconds to features, search and fitted model (median)", lambda s: s.time_train_s, _SECONDS),
    Quantity("memory", "largest memory of fit and prediction above libraries and data; with both where a row tells no more",
             lambda s: memory_bytes(s), _BYTES),
    Quantity("accuracy", "mean accuracy, at least", lambda s: s.means.get("accuracy"), _SHARES, False),
    Quantity("balanced_accuracy", "mean balanced accuracy, at least", lambda s: s.means.get("balanced_accuracy"), _SHARES,
             False),
    Quantity("r2", "mean R², at least", lambda s: s.means.get("r2"), _SHARES, False),
)  # fmt: skip


@dataclass(frozen=True)
class Limit:
    quantity: Quantity
    bound: float
    text: str  # as it was given: "1ms"

    def kept_by(self, summary: Summary) -> bool | None:
        """Whether a contestant keeps the limit; None where that was not measured."""
        value = self.quantity.value(summary)
        if value is None:
            return None
        return value <= self.bound if self.quantity.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{self.quantity.name} {'at most' if self.quantity.at_most else 'at least'} {self.text}"


@dataclass(frozen=True)
class Choice:
    """Who keeps the limits, best first.

    Attributes
    ----------
    not_measured : tuple of Summary
        Ranked contestants of which some limit cannot be checked.
    best : Summary or None
        Of all, whether it keeps the limits or not.
    """

    limits: tuple[Limit, ...]
    within: tuple[Summary, ...]
    not_measured: tuple[Summary, ...]
    n_ranked: int
    best: Summary | None

    @property
    def chosen(self) -> Summary | None:
        return self.within[0] if self.within else None


def parse(text: str) -> tuple[Limit, ...]:
    """Read limits.

    Raises
    ------
    InputError
        Names the part, and what was expected.

    Examples
    --------
    >>> [str(limit) for limit in parse("latency=1ms, memory=100MB")]
    ['latency at most 1ms', 'memory at most 100MB']
    >>> parse("latency=fast")
    Traceback (most recent call last):
        ...
    bench.errors.InputError: limit 'latency=fast': expected a number with one of ns, us, µs, ms, s, min, h, as in latency=1ms
    """
    by_name = {q.name: q for q in QUANTITIES}
    found: dict[str, Limit] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        name, equals, value = (p.strip() for p in part.partition("="))
        if not equals:
            raise InputError(f"limit {part!r}: expected name=value, as in latency=1ms; names: {', '.join(by_name)}")
        if name not in by_name:
            raise unknown("limit", name, by_name)
        if name in found:
            raise InputError(f"limit {name} is given twice")
        found[name] = Limit(by_name[name], _bound(part, value, by_name[name]), value)
    if not found:
        raise InputError(f"no limit in {text!r}: expected name=value, as in latency=1ms,memory=100MB")
    return tuple(found.values())


def _bound(part: str, value: str, quantity: Quantity) -> float:
    number = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d{1,3}))?\s*(\D*)", value)
    units = {unit.lower(): scale for unit, scale in quantity.units.items()}
    if not number or number[3].lower() not in units:
        listed = ", ".join(unit for unit in quantity.units if unit)
        example = {"s": "1ms", "B": "100MB"}.get(next((u for u in ("s", "B") if u in quantity.units), ""), "95%")
        raise InputError(f"limit {part!r}: expected a number with one of {listed}, as in {quantity.name}={example}")
    return float(f"{number[1]}e{number[2] or 0}") * units[number[3].lower()]


def choose(table: DatasetTable, verdict: Verdict, limits: Sequence[Limit]) -> Choice:
    """Return who keeps all limits, of the contestants that may be ranked."""
    ranked = table.ranked
    kept = {s.key: [limit.kept_by(s) for limit in limits] for s in ranked}
    within = tuple(s for s in ranked if all(kept[s.key]))
    unknown_of = tuple(s for s in ranked if None in kept[s.key] and False not in kept[s.key])
    return Choice(tuple(limits), within, unknown_of, len(ranked), verdict.best or (ranked[0] if ranked else None))
