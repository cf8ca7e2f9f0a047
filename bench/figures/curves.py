"""Scores on their way: against the seconds spent so far, epoch by epoch, with the one-shot fits beside; and by epoch.

A row of a network keeps its curve (`bench.curves`): after some epochs the seconds of training so far, the training loss, and
the score on the test fold, at which nothing but this chart looks. A curve here is the median time and the mean score over
the folds, at the epochs that all folds came to.
"""

from __future__ import annotations

import statistics as stdlib_statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import curves
from bench.figures.chart import Chart, height, layer, score_axis, seconds_axis, sized, tooltips
from bench.figures.scores import points
from bench.figures.theme import GREY, MOST_LINES
from bench.metrics import METRICS
from bench.verdict import score, seconds

if TYPE_CHECKING:
    import altair

    from bench.report.content import Section
    from bench.tables import Summary


#: Of the axis of epochs, where it is a log.
TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


@dataclass(frozen=True)
class Line:
    """The curve of one contestant over its folds."""

    name: str
    summary: Summary
    epochs: tuple[int, ...]
    times_s: tuple[float, ...]  # of the fit alone
    scores: tuple[float | None, ...]
    losses: tuple[float | None, ...]


def lines(section: Section) -> list[Line]:
    """Return the curves of each model's best contestant, the best first, `MOST_LINES` at most."""
    best: dict[tuple, Summary] = {}
    for summary in section.table.cells.values():
        if summary.mean is None or not any(row.curve and curves.points(row.curve) for row in summary.scored_rows):
            continue
        known = best.get(summary.line)
        if known is None or (summary.complete, summary.mean) > (known.complete, known.mean):
            best[summary.line] = summary
    ranked = sorted(best.values(), key=lambda s: -s.mean)[:MOST_LINES]
    return [line for line in (_line(section, summary) for summary in ranked) if len(line.epochs) > 1]


def curves_of(summary: Summary) -> list[list[curves.Point]]:
    """Return the curve of each fold; an empty one where the row keeps none."""
    return [curves.points(row.curve) for row in summary.scored_rows]


def _line(section: Section, summary: Summary) -> Line:
    by_fold = [{point[0]: point[1:] for point in curve} for curve in curves_of(summary) if curve]
    epochs = sorted(set.intersection(*(set(points) for points in by_fold)))
    times, scores, losses = ([_middle([f[e][i] for f in by_fold], i) for e in epochs] for i in range(3))
    return Line(section.table.name(summary), summary, tuple(epochs), tuple(times), tuple(scores), tuple(losses))


def _middle(values: Sequence[float | None], i: int) -> float | None:
    """Return the median of times (i = 0), the mean of scores and losses; None where a fold has none."""
    if any(value is None for value in values):
        return None
    return stdlib_statistics.median(values) if i == 0 else stdlib_statistics.fmean(values)


def time_to_score_chart(section: Section, found: list[Line]) -> Chart | None:
    """Return how scores rise with the seconds spent: networks epoch by epoch, everything else where its one fit ends."""

    values = [v for line in found for v in (*_steps(section, line), *_end(section, line)) if v["y"] is not None]
    if not values or _by_epoch_metric(section) != section.table.metric:
        return None
    drawn = {v["model"] for v in values}
    shots = _best_of_each([p for p in points(section) if f"{p['model']} on {p['feature_set']}" not in drawn], found)
    times = [v["train_s"] for v in (*values, *shots)]
    place = {
        "x": seconds_axis("train_s", times, "seconds so far, features included (log)"),
        "y": score_axis(section.table.metric),
    }
    about = {"model": "model", "epoch": "epoch", "score": "score", "train": "seconds so far"}
    colour = _colour(list(dict.fromkeys(v["model"] for v in values)))
    paths = layer(values, **place).mark_line(strokeWidth=2).encode(color=colour)
    dots = layer(values, **place).mark_circle(size=28).encode(color=colour, tooltip=tooltips(about))
    marks = layer(shots, **place).mark_point(shape="diamond", size=70, filled=True, color=GREY, opacity=0.85)
    front = layer([s for s in shots if s["front"]], **place)
    names = front.mark_text(align="right", dx=-7, dy=-7, fontSize=11, color=GREY).encode(text="model:N")
    about = {"model": "model", "feature_set": "features", "score": "score", "train": "to train, s"}
    picture = paths + dots + marks.encode(tooltip=tooltips(about)) + names
    rows = [(v["model"], str(v["epoch"]), v["train"], v["score"]) for v in values]
    rows += [(f"{s['model']} on {s['feature_set']}", "one fit", s["train"], s["score"]) for s in shots]
    return Chart(
        "time",
        "Score against time spent",
        sized(picture, 400),
        ("model", "epoch", "seconds so far", "score"),
        tuple(rows),
        about="Lines: networks, epoch by epoch, on the test folds. Diamonds: models that fit once, each on its best "
        "features; named are those that no other fit of theirs beats in both.",
        min_width=420,
        wide=True,
    )


def _by_epoch_metric(section: Section) -> str:
    """Return what is measured after each epoch: plain accuracy, also where a table ranks by another score."""
    return "accuracy" if METRICS[section.table.metric].is_share else section.table.metric


def _steps(section: Section, line: Line) -> list[dict[str, Any]]:
    features_s = line.summary.times.get("time_features_s", 0.0) + line.summary.times.get("time_tune_s", 0.0)
    samples = sum(row.n_test or 0 for row in line.summary.scored_rows)
    metric = _by_epoch_metric(section)
    return [
        {
            "model": line.name,
            "epoch": epoch,
            "train_s": time_s + features_s,
            "train": seconds(time_s + features_s),
            "y": None if value is None else height(metric, value, samples),
            "score": "" if value is None else METRICS[metric].text(value),
            "loss": loss,
        }
        for epoch, time_s, value, loss in zip(line.epochs, line.times_s, line.scores, line.losses, strict=True)
        if time_s + features_s > 0
    ]


def _end(section: Section, line: Line) -> list[dict[str, Any]]:
    """Return the end of the fits, where that is later than the last epoch that all folds came to."""
    s = line.summary
    if s.time_train_s is None or s.times["time_fit_s"] <= line.times_s[-1] or line.scores[-1] is None:
        return []
    place = {"train_s": s.time_train_s, "train": seconds(s.time_train_s), "score": score(s), "loss": None}
    y = height(section.table.metric, s.mean, sum(row.n_test or 0 for row in s.scored_rows))
    return [{"model": line.name, "epoch": "end", "y": y, **place}]


def _best_of_each(found: list[dict[str, Any]], drawn: list[Line]) -> list[dict[str, Any]]:
    """Return the best point of each model that is not drawn as a line; `found` is sorted, best first."""
    taken = {line.name.rpartition(" on ")[0] for line in drawn}
    best: dict[str, dict[str, Any]] = {}
    for point in found:
        if point["model"] not in taken:
            best.setdefault(point["model"], point)
    fastest, shots = float("inf"), []
    for point in best.values():
        shots.append({**point, "front": point["front"] or point["train_s"] < fastest})
        fastest = min(fastest, point["train_s"])
    return shots


def learning_chart(section: Section, found: list[Line]) -> Chart | None:
    """Return scores on the test folds by epoch."""
    values = [v for line in found for v in _steps(section, line) if v["y"] is not None]
    if not values:
        return None
    return _by_epoch(
        values, "learning", "Score by epoch", score_axis(_by_epoch_metric(section)), "score", "score",
        "On the test folds; neither stopping nor choosing looks at them.",
    )  # fmt: skip


def loss_chart(section: Section, found: list[Line]) -> Chart | None:
    """Return the training loss by epoch."""
    import altair as alt

    values = [v for line in found for v in _steps(section, line) if v["loss"] is not None]
    if not values:
        return None
    values = [{**v, "y": v["loss"], "words": f"{v['loss']:.4g}"} for v in values]
    kind = "log" if all(v["y"] > 0 for v in values) else "linear"
    axis = alt.Y("y:Q", title=f"training loss{' (log)' if kind == 'log' else ''}", scale=alt.Scale(type=kind, nice=False))
    return _by_epoch(values, "loss", "Training loss by epoch", axis, "words", "training loss", "Mean over the folds.")


def _by_epoch(values: list[dict[str, Any]], name: str, title: str, y: altair.Y, shown: str, heading: str, about: str) -> Chart:
    import altair as alt

    kind = "log" if max(v["epoch"] for v in values) > 20 else "linear"
    x = alt.X(
        "epoch:Q",
        title=f"epoch{' (log)' if kind == 'log' else ''}",
        scale=alt.Scale(type=kind, nice=False),
        axis=alt.Axis(format="d", tickMinStep=1, **({"values": TICKS} if kind == "log" else {})),
    )
    base = layer(values, x=x, y=y, color=_colour(list(dict.fromkeys(v["model"] for v in values))))
    dots = base.mark_circle(size=28).encode(tooltip=tooltips({"model": "model", "epoch": "epoch", shown: heading}))
    return Chart(
        name,
        title,
        sized(base.mark_line(strokeWidth=2) + dots, 300),
        ("model", "epoch", heading),
        tuple((v["model"], str(v["epoch"]), v[shown]) for v in values),
        about=about,
        min_width=340,
    )


def _colour(names: list[str]) -> altair.Color:
    import altair as alt

    legend = alt.Legend(orient="bottom", columns=2, labelLimit=260, symbolType="stroke", symbolStrokeWidth=3, symbolSize=200)
    return alt.Color("model:N", title=None, sort=names, scale=alt.Scale(domain=names), legend=legend)


def samples_charts(sections: Sequence[Section]) -> list[Chart]:
    """Return, for each data set that stands in the run in several sizes (``mnist@S``, ``mnist@M``), scores by size."""
    families: dict[str, list[Section]] = {}
    for section in sections:
        families.setdefault(section.dataset.partition("@")[0], []).append(section)
    found = []
    for base, members in families.items():
        if len(members) > 1 and (chart := _samples_chart(base, members)) is not None:
            found.append(chart)
    return found


def _samples_chart(base: str, sections: Sequence[Section]) -> Chart | None:
    import altair as alt

    from bench.figures import slugs

    metric = sections[0].table.metric
    values = []
    for section in sections:
        if section.table.metric != metric:
            continue
        for line in section.table.lines:
            best = section.at_best(line)
            sizes = {row.n_train for row in best.scored_rows if row.n_train} if best else set()
            if sizes:
                n, samples = max(sizes), sum(row.n_test or 0 for row in best.scored_rows)
                name = section.table.labels[line]
                values.append(
                    {"model": name, "n": n, "y": height(metric, best.mean, samples), "score": score(best),
                     "mean": best.mean, "feature_set": best.feature_set}
                )  # fmt: skip
    largest = max((v["n"] for v in values), default=0)
    best_first = sorted((v for v in values if v["n"] == largest), key=lambda v: -v["mean"])
    names = [v["model"] for v in best_first][:MOST_LINES]
    shown = sorted((v for v in values if v["model"] in names), key=lambda v: (names.index(v["model"]), v["n"]))
    if len({v["n"] for v in shown}) < 2:
        return None
    axis = alt.Axis(format="~s", values=sorted({v["n"] for v in shown}))
    x = alt.X("n:Q", title="samples to learn from (log)", scale=alt.Scale(type="log", nice=False, padding=20), axis=axis)
    base_layer = layer(shown, x=x, y=score_axis(metric), color=_colour(names))
    about = {"model": "model", "feature_set": "features", "n": "samples", "score": "score"}
    dots = base_layer.mark_circle(size=60).encode(tooltip=tooltips(about))
    more = len({v["model"] for v in values}) - len(names)
    return Chart(
        f"samples-{slugs([base])[0]}",
        f"{base}: score against samples to learn from",
        sized(base_layer.mark_line(strokeWidth=2) + dots, 360),
        ("model", "samples", "features", "score"),
        tuple((v["model"], str(v["n"]), v["feature_set"], v["score"]) for v in shown),
        about="Each model on its best features for that size"
        + (f"; the {len(names)} best at the largest size, {more} more in the tables." if more > 0 else "."),
        wide=True,
    )
