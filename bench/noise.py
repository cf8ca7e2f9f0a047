"""How much two measurements of the same thing differ here, and what may therefore be said of two that are not the same.

Each run begins with an A/A comparison: the same work, timed as if it were two contestants (`bench/selftest/same.py`). The
largest ratio that it shows is the run's noise floor, kept in run.json under ``noise``. A ratio of times that is not
above it is no speed-up, and none is printed.

Reads run.json only; kernels and models are not imported.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from bench.errors import InputError

#: Seconds for the A/A comparison; 0 leaves the whole check at a run's start out, that of the kernels too, and the run
#: without a noise floor.
VARIABLE = "DEPTHBENCH_NOISE_S"
LIMIT_S = 0.6


def limit_s() -> float:
    """Return how long the comparison may take, as the environment says, else 0.6 s.

    Raises
    ------
    InputError
        The variable holds something else than seconds.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return LIMIT_S
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise InputError(f"environment variable {VARIABLE}: expected seconds, 0 to 3600, not {given!r}")
    return seconds


def floor_of(manifest: Mapping[str, Any] | None) -> float | None:
    """Return the noise floor of a run as a ratio above 1; None where none was measured.

    Examples
    --------
    >>> floor_of({"noise": {"floor": 1.04}}), floor_of({}), floor_of({"noise": {"floor": "much"}})
    (1.04, None, None)
    """
    noise = (manifest or {}).get("noise")
    floor = noise.get("floor") if isinstance(noise, Mapping) else None
    usable = isinstance(floor, int | float) and not isinstance(floor, bool) and math.isfinite(floor) and floor >= 1.0
    return float(floor) if usable else None


def warnings_of(manifest: Mapping[str, Any] | None) -> list[str]:
    """Return what spoke against the times of a run when it began, each with what to do.

    Examples
    --------
    >>> warnings_of({"noise": {"warnings": ["on battery: plug it in"]}})
    ['on battery: plug it in']
    """
    noise = (manifest or {}).get("noise")
    warnings = noise.get("warnings") if isinstance(noise, Mapping) else None
    return [str(text) for text in warnings] if isinstance(warnings, list) else []


def is_noise(a: float, b: float, floor: float | None) -> bool:
    """Whether two times differ by no more than the same work differs from itself.

    Examples
    --------
    >>> is_noise(1.0, 1.03, 1.04), is_noise(1.0, 0.9, 1.04), is_noise(1.0, 1.03, None)
    (True, False, False)
    """
    return floor is not None and a > 0 and b > 0 and max(a / b, b / a) <= floor


def times_as_much(a: float, b: float, floor: float | None = None) -> str:
    """Return how many times `b` goes into `a`, in words; within the noise floor that there is no difference to speak of.

    Parameters
    ----------
    a, b : float
        Two times, or anything else that is measured.
    floor : float, optional
        From `floor_of`.

    Examples
    --------
    >>> times_as_much(3.0, 2.0, 1.1), times_as_much(250.0, 2.0), times_as_much(1.03, 1.0, 1.04), times_as_much(1.0, 0.0)
    ('1.5 times', '125 times', 'a difference within the noise of this run', '')
    """
    if not (a > 0 and b > 0):
        return ""
    if is_noise(a, b, floor):
        return "a difference within the noise of this run"
    return f"{a / b:,.0f} times" if a / b >= 100 else f"{a / b:.2g} times"


def renewed(manifest: Mapping[str, Any], now: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the key ``noise`` as run.json is to keep it, after a run has begun, or has been taken up again.

    The rows of both parts stand in one table, so the larger floor and all warnings count.

    Examples
    --------
    >>> renewed({"noise": {"floor": 1.2, "warnings": ["a: b"]}}, {"floor": 1.1, "warnings": ["a: b", "c: d"]})
    {'noise': {'floor': 1.2, 'warnings': ['a: b', 'c: d']}}
    >>> renewed({}, None)
    {}
    """
    if now is None:
        return {}
    floors = [floor for floor in (floor_of(manifest), floor_of({"noise": now})) if floor is not None]
    warnings = list(dict.fromkeys([*warnings_of(manifest), *warnings_of({"noise": now})]))
    return {"noise": {**now, "floor": max(floors, default=None), "warnings": warnings}}
