"""Learning rates over a training, as factors of the first one.

========== =======================================================================================================
constant   1 throughout
step       a tenth after half of the steps and a hundredth after three quarters (He et al. 2016, section 4.2)
cosine     half a period of a cosine, from 1 to 0 (Loshchilov & Hutter, "SGDR", ICLR 2017, without restarts)
one_cycle  up from 1/25 over the first 30 % of the steps, down to 1/250,000, both along a cosine (Smith & Topin,
           "Super-convergence", 2018; the numbers are those of fast.ai and PyTorch)
========== =======================================================================================================

Any of them can begin with a warm-up: its factor times (step + 1) / warm-up steps (Goyal et al., "Accurate, large
minibatch SGD", 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def _constant(progress: float) -> float:
    return 1.0


def _step(progress: float) -> float:
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


def _cosine(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def _one_cycle(progress: float) -> float:
    lowest, least, peak = 1.0 / 25.0, 1.0 / 250_000.0, 0.3
    if progress < peak:
        return 1.0 - (1.0 - lowest) * _cosine(progress / peak)
    return least + (1.0 - least) * _cosine((progress - peak) / (1.0 - peak))


RULES: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "step": _step,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
}


def schedule(name: str, total_steps: int, warmup_steps: int = 0) -> Schedule:
    """Return step (from 0) -> factor of the learning rate.

    Parameters
    ----------
    name : {"constant", "step", "cosine", "one_cycle"}
    total_steps : int
        Of the whole training; the last one has the last factor of the rule.
    warmup_steps : int

    Examples
    --------
    >>> rate = schedule("cosine", 101)
    >>> rate(0), round(rate(50), 3), rate(100)
    (1.0, 0.5, 0.0)
    >>> schedule("constant", 10, warmup_steps=4)(0)
    0.25
    """
    rule = RULES[name]
    last = max(total_steps - 1, 1)

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        return warm * rule(min(step / last, 1.0))

    return factor
