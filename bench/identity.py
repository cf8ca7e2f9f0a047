"""What rows must have in common to stand in one table: the data that they saw, and the code that made them.

Within a fold all models must have had the same matrices, and all feature sets the same samples. Over the folds a
contestant must have been one and the same model, and a backend one and the same kernels: else a mean would be that of
two programs. Hashes in the rows say so (bench/code_version.py, bench/features/keys.py); rows of older versions of
depthbench have none of code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from bench.cell import Row

DATA_HASHES = ("x_train_sha256", "x_test_sha256", "y_sha256", "split_sha256")
SAMPLE_HASHES = ("y_sha256", "split_sha256")  # these agree over the feature sets too
CODE_DIGESTS = ("model_digest", "kernels_digest")


class HashMismatch(ValueError):
    """Rows that should have seen the same data have different hashes, or some have none."""

    what = "rows with different data"


class CodeMismatch(HashMismatch):
    """Rows that should have been made by the same code were made by different code."""

    what = "rows made by different code"


def check_hashes(rows: Iterable[Row]) -> None:
    """Refuse rows with scores that did not see the same data.

    For one (dataset, feature_set, seed, repeat, fold) all four hashes must agree; those of y and of the split over all
    feature sets too. A row without a hash among rows with one does not agree: it proves nothing.

    Raises
    ------
    HashMismatch
        Names the fold, the hash, and which models saw what.

    Examples
    --------
    >>> seen = dict(status="ok", accuracy=0.9, y_sha256="aa")
    >>> one = Row("iris", "raw", "lda", "sklearn", 1, 0, 0, 0, **seen)
    >>> other = Row("iris", "raw", "qda", "sklearn", 1, 0, 0, 0, **{**seen, "y_sha256": "bb"})
    >>> check_hashes([one, other])
    Traceback (most recent call last):
        ...
    bench.identity.HashMismatch: iris on raw, repeat 0, fold 0: y_sha256 differs: aa (lda), bb (qda)
    """
    scored = [row for row in rows if row.status == "ok" and (row.accuracy is not None or row.r2 is not None)]
    _check_groups(
        scored, DATA_HASHES, lambda r: (r.dataset, r.seed, r.repeat, r.fold, r.feature_set), lambda r: r.model
    )
    _check_groups(
        scored,
        SAMPLE_HASHES,
        lambda r: (r.dataset, r.seed, r.repeat, r.fold),
        lambda r: f"{r.model} on {r.feature_set}",
    )


def _check_groups(rows: list[Row], hashes: Sequence[str], group: Callable[[Row], tuple], name: Callable) -> None:
    seen: dict[tuple, tuple] = {}
    hashes_of = attrgetter(*hashes)
    for row in rows:
        found, place = hashes_of(row), group(row)
        first = seen.setdefault(place, found)
        if first != found:
            raise HashMismatch(_difference([row for row in rows if group(row) == place], hashes, place, name))


def _difference(rows: list[Row], hashes: Sequence[str], place: tuple, name: Callable) -> str:
    """Say which hash of a fold differs, and which models saw what."""
    for key in hashes:
        by_hash: dict[str | None, list[Row]] = defaultdict(list)
        for row in rows:
            by_hash[getattr(row, key)].append(row)
        if len(by_hash) > 1:
            break
    dataset, _, repeat, fold, *feature_set = place
    where = f"{dataset}{' on ' + feature_set[0] if feature_set else ''}, repeat {repeat}, fold {fold}"
    parts = [f"{_short(h)} ({_few([name(r) for r in found])})" for h, found in by_hash.items()]
    return f"{where}: {key} differs: {', '.join(parts)}"


def check_code(rows: Iterable[Row]) -> None:
    """Refuse rows with scores where a contestant's folds, or those of a backend, were made by different code.

    Rows that do not say which code made them are passed over: they prove nothing and contradict nothing.

    Raises
    ------
    CodeMismatch
        Names the digest and how many rows have which.

    Examples
    --------
    >>> row = Row("iris", "raw", "lda", "sklearn", 1, 0, 0, 0, "ok", accuracy=0.9, model_digest="aa")
    >>> check_code([row, Row(**{**row.to_dict(), "fold": 1, "model_digest": "bb"})])
    Traceback (most recent call last):
        ...
    bench.identity.CodeMismatch: lda on raw: model_digest differs: aa (1 row), bb (1 row)
    """
    scored = [row for row in rows if row.status == "ok"]
    groups: dict[tuple, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in scored:
        if row.model_digest is not None:
            contestant = row.dataset, row.feature_set, row.backend, row.threads
            groups["model_digest", f"{row.model} on {row.feature_set}", contestant][row.model_digest] += 1
        if row.kernels_digest is not None:
            groups["kernels_digest", f"backend {row.backend}", None][row.kernels_digest] += 1
    for (key, who, _), counts in groups.items():
        if len(counts) > 1:
            parts = [f"{_short(digest)} ({n} row{'s' if n > 1 else ''})" for digest, n in counts.items()]
            raise CodeMismatch(f"{who}: {key} differs: {', '.join(parts)}")


def changed_code(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what code has changed since a run began, from the key ``environment`` of run.json then and now.

    Examples
    --------
    >>> changed_code({"code_digests": {"models": "aa", "kernels numba": "bb"}}, {"code_digests": {"models": "cc"}})
    ['models']
    """
    old, new = (e.get("code_digests") if isinstance(e.get("code_digests"), Mapping) else {} for e in (before, now))
    found = [name for name in new if name in old and old[name] != new[name]]
    versions = [e.get("packages") if isinstance(e.get("packages"), Mapping) else {} for e in (before, now)]
    return found + [name for name in ("scikit-learn", "numpy") if len({v[name] for v in versions if name in v}) > 1]


def without_code(rows: Sequence[Row]) -> list[Row]:
    """Return the rows that do not say which code made them, where others do."""
    silent = [row for row in rows if row.model_digest is None]
    return silent if len(silent) < len(rows) else []


def _short(value: str | None) -> str:
    return "none" if value is None else str(value)[:12]


def _few(names: Sequence[str], limit: int = 4) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:limit]) + (f" and {len(unique) - limit} more" if len(unique) > limit else "")
