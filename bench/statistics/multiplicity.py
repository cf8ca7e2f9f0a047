"""Many tests at once: p-values adjusted so that the 0.05 means what a reader takes it for.

References
----------
Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6, 65-70.
Benjamini, Y. and Hochberg, Y. (1995). Controlling the false discovery rate. J. Royal Statistical Society B 57, 289-300.
Maurer, W., Hothorn, L. and Lehmacher, W. (1995). Multiple comparisons in drug clinical trials and preclinical assays:
    a-priori ordered hypotheses. In: Biometrie in der chemisch-pharmazeutischen Industrie 6, 3-18.
"""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted by Holm's method: no false alarm at all in 95 of 100 families, whatever depends on what.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    _check_p_values(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def fixed_sequence(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for tests made one after another in an order fixed beforehand.

    Each hypothesis is tested at the full level as long as all before it were rejected; so the adjusted value is the
    largest so far (Maurer, Hothorn and Lehmacher 1995).

    Examples
    --------
    >>> fixed_sequence([0.001, 0.03, 0.2, 0.004])
    [0.001, 0.03, 0.2, 0.2]
    """
    _check_p_values(p_values)
    adjusted, running = [], 0.0
    for p in p_values:
        running = max(running, p)
        adjusted.append(running)
    return adjusted


def adjust_in_order(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of "worse than the best", given from the simplest contestant to the least simple.

    Two procedures share the error rate by Bonferroni:

    * the walk from the simplest upwards (`fixed_sequence`), which needs no correction as long as it is not stopped.
      What it passes over is all worse, but for 2.5 % of runs; so it says which is the simplest that is not.
    * Benjamini and Hochberg's, which also reaches the contestants behind the stop: of those that it calls worse, 2.5 %
      on average are not. Procedures that allow no error at all among some 90 comparisons would need differences of
      nine standard deviations with five folds, and call nothing worse.

    A value is ``2 min(walk, Benjamini-Hochberg)``, to be compared with 0.05. The second never rejects what stopped the
    walk, as its threshold is never above the walk's.

    Examples
    --------
    >>> [round(p, 3) for p in adjust_in_order([0.001, 0.02, 0.6, 0.001])]
    [0.002, 0.04, 1.0, 0.004]
    """
    if not p_values:
        return []
    from scipy.stats import false_discovery_control

    walk = fixed_sequence(p_values)
    discoveries = false_discovery_control(p_values, method="bh")
    return [min(1.0, 2.0 * min(w, float(d))) for w, d in zip(walk, discoveries, strict=True)]


def _check_p_values(p_values: Sequence[float]) -> None:
    for p in p_values:
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"a p-value lies in 0..1, got {p}")
