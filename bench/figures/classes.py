"""Which class is taken for which, and whether probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.calibration import Calibration
from bench.figures.chart import Chart, layer, sized, tooltips
from bench.figures.theme import GREY
from bench.simplicity import is_deep

if TYPE_CHECKING:
    import numpy as np

    from bench.report.content import Section
    from bench.tables import Summary

#: A matrix of more classes has no room for its numbers, only for its shades.
MOST_NUMBERED = 15
#: Lines of the reliability diagram.
MOST_LINES = 5


def confusion(summary: Summary) -> list[list[int]] | None:
    """Return the confusion matrix over all folds, rows the true classes; None where the rows keep none.

    Matrices that are none (a file that was edited) are passed over.
    """
    total: np.ndarray | None = None
    for row in summary.scored_rows:
        matrix = _square(row.confusion)  # asked for once: a row keeps it as text
        if matrix is None or (total is not None and total.shape != matrix.shape):
            continue
        total = matrix if total is None else total + matrix
    return None if total is None else total.tolist()


def _square(value: Any) -> np.ndarray | None:
    """Return a square of counts as an array, None for anything else."""
    import numpy as np

    if not isinstance(value, list):
        return None
    try:
        array = np.array(value)
    except ValueError:  # lines of different lengths
        return None
    fine = array.ndim == 2 and array.dtype.kind == "i" and 0 < len(array) == array.shape[1] and array.min() >= 0
    return array if fine else None


def confused(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> list[tuple[str, str, int, float]]:
    """Return true class, what it was taken for, how often, and which share of the true class that is; most often first.

    Examples
    --------
    >>> confused([[9, 1], [4, 6]], ["cat", "dog"])
    [('dog', 'cat', 4, 0.4), ('cat', 'dog', 1, 0.1)]
    """
    found = [
        (names[i], names[j], n, n / sum(line)) for i, line in enumerate(matrix) for j, n in enumerate(line) if n and i != j
    ]
    return sorted(found, key=lambda c: -c[2])


def class_names(section: Section, n: int) -> list[str]:
    """Return the names of the classes, each different, or their numbers."""
    names = [str(name)[:40] for name in section.classes]
    return names if len(names) == n and len(set(names)) == n else [str(i) for i in range(n)]


def confusion_charts(section: Section) -> list[Chart]:
    """Return the confusion matrices of the best deep and the best classical contestant."""
    found = []
    for name, deep in (("confusion_deep", True), ("confusion_classical", False)):
        scored = [s for s in section.table.cells.values() if s.n and is_deep(s) == deep]
        best = max(scored, key=lambda s: (s.complete, s.mean), default=None)
        matrix = None if best is None else confusion(best)
        if matrix is not None:
            found.append(_confusion_chart(section, best, matrix, name, "deep" if deep else "classical"))
    return found


def _confusion_chart(section: Section, summary: Summary, matrix: list[list[int]], name: str, kind: str) -> Chart:
    import altair as alt

    names = class_names(section, len(matrix))
    numbered = len(matrix) <= MOST_NUMBERED
    values = [
        {"true": names[i], "taken": names[j], "n": n, "share": n / max(sum(line), 1), "right": i == j,
         "words": f"{100 * n / max(sum(line), 1):.1f} % of {names[i]}", "label": str(n) if n else "",
         "ink": GREY if i == j else "#14202e"}
        for i, line in enumerate(matrix) for j, n in enumerate(line) if n
    ]  # fmt: skip
    worst = max((v["share"] for v in values if not v["right"]), default=0.0) or 1.0
    bare = {"domain": False, "ticks": False, "labelLimit": 120}
    base = layer(
        values,
        x=alt.X(
            "taken:N",
            scale=alt.Scale(domain=names),
            title="taken for",
            axis=alt.Axis(labelAngle=-45 if len(matrix) > 6 else 0, **bare),
        ),
        y=alt.Y("true:N", scale=alt.Scale(domain=names), title="true class", axis=alt.Axis(**bare)),
        tooltip=tooltips({"true": "true class", "taken": "taken for", "n": "samples", "words": "share"}),
    )
    shades = alt.Color("share:Q", scale=alt.Scale(scheme="oranges", type="sqrt", domain=[0, worst]), legend=None)
    tiles = base.mark_rect(cornerRadius=2).encode(color=alt.condition("datum.right", alt.value("#8883"), shades))
    picture = tiles
    if numbered:
        words = base.mark_text(fontSize=10).encode(text="label:N", color=alt.Color("ink:N", scale=None))
        picture = (tiles + words).resolve_scale(color="independent")
    rows = [(t, p, str(n), f"{100 * share:.1f} %") for t, p, n, share in confused(matrix, names)][:100]
    cell = 30 if numbered else max(8, 420 // len(matrix))
    return Chart(
        name,
        f"Confusions of the best {kind} contestant: {section.table.name(summary)}",
        sized(picture, cell * len(matrix)),
        ("true class", "taken for", "samples", "of the true class"),
        tuple(rows),
        about="Samples of all test folds; shaded is what went wrong, by its share of the true class.",
        file_width=alt.Step(34 if numbered else cell),
        min_width=360,
    )


def calibrations(section: Section) -> list[tuple[Summary, Calibration]]:
    """Return each model's best contestant that gives probabilities, with its bins over all folds; best scores first."""
    found = []
    for line in section.table.lines:
        scored = [s for s in section.cells(line) if s is not None and s.n]
        pooled = ((s, s.calibration) for s in sorted(scored, key=lambda s: -s.mean))
        found += [next(((s, p) for s, p in pooled if p is not None), None)]
    return sorted((pair for pair in found if pair is not None), key=lambda pair: -pair[0].mean)


def reliability_chart(section: Section) -> Chart | None:
    """Return the share that is right against the confidence claimed, for the best models that give probabilities."""
    import altair as alt

    found = calibrations(section)
    chosen = found[:MOST_LINES]
    for deep in (True, False):  # the best of each kind is among them
        if not any(is_deep(s) == deep for s, _ in chosen):
            chosen += [pair for pair in found if is_deep(pair[0]) == deep][:1]
    if not chosen:
        return None
    names = [section.table.name(s) for s, _ in chosen]
    values = [
        {"model": name, "confidence": b.confidence, "right": b.accuracy, "n": b.n,
         "words": f"claimed {100 * b.confidence:.1f} %, right {100 * b.accuracy:.1f} %"}
        for name, (_, c) in zip(names, chosen, strict=True) for b in c.bins
    ]  # fmt: skip
    percent = alt.Axis(format="%")
    legend = alt.Legend(orient="bottom", columns=2, labelLimit=260, symbolType="stroke", symbolStrokeWidth=3, symbolSize=200)
    base = layer(
        values,
        x=alt.X("confidence:Q", title="confidence claimed", scale=alt.Scale(domain=[0, 1]), axis=percent),
        y=alt.Y("right:Q", title="share that is right", scale=alt.Scale(domain=[0, 1]), axis=percent),
        color=alt.Color("model:N", title=None, scale=alt.Scale(domain=names), legend=legend),
    )
    about = {"model": "model", "words": "in this bin", "n": "predictions"}
    dots = base.mark_circle().encode(
        size=alt.Size("n:Q", scale=alt.Scale(type="sqrt", range=[12, 260]), legend=None), tooltip=tooltips(about)
    )
    diagonal = layer([{"confidence": 0, "right": 0}, {"confidence": 1, "right": 1}], x="confidence:Q", y="right:Q")
    picture = diagonal.mark_line(strokeDash=[5, 4], color=GREY) + base.mark_line(strokeWidth=1.5, opacity=0.7) + dots
    rows = [
        (name, f"{100 * c.ece:.2f} %", f"{b.low:.2f} to {b.high:.2f}", str(b.n), f"{100 * b.confidence:.1f} %",
         f"{100 * b.accuracy:.1f} %")
        for name, (_, c) in zip(names, chosen, strict=True)
        for b in c.bins
    ]  # fmt: skip
    errors = ", ".join(f"{name} {100 * c.ece:.1f}" for name, (_, c) in zip(names, chosen, strict=True))
    return Chart(
        "reliability",
        "Reliability: confidence against the share that is right",
        sized(picture, 380),
        ("model", "expected calibration error", "confidence", "predictions", "mean confidence", "right"),
        tuple(rows),
        about=f"On the dashed line probabilities mean what they say; below it a model is too sure. Expected calibration error, "
        f"in percent: {errors}. Larger dots hold more predictions.",
        min_width=340,
    )
