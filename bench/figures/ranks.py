"""The critical-difference diagram: mean ranks over data sets, and which of them are not told apart (Demsar 2006, figure 1).

It draws what `bench.analysis.ranking` has worked out: on complete cases, or with worst scores imputed where failures leave no
complete ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.figures.chart import Chart, layer, sized, tooltips
from bench.figures.theme import GREY

if TYPE_CHECKING:
    from bench.analysis.ranking import Policy, Ranking

#: Names that a diagram shows, those with the best ranks.
MOST_NAMES = 24
FEW = 5  # with fewer data sets ranks hardly show anything


def drawn_policy(found: Ranking | None) -> Policy | None:
    """Return the ranks that are drawn; None where no test could be made."""
    policies = () if found is None else (found.complete, found.imputed)
    return next((policy for policy in policies if policy.friedman is not None and policy.mean_ranks), None)


def sentence(policy: Policy) -> str:
    """Return what Friedman's test says, in words."""
    test, n = policy.friedman, len(policy.blocks)
    differ = "differ" if test.p_value < 0.05 else "are not shown to differ"
    text = (
        f"Mean ranks of {len(policy.mean_ranks)} contestants over {n} data sets ({policy.name}). They {differ} (Friedman's "
        f"test in Iman and Davenport's form, p = {test.p_value:.2g}); two are told apart if they are "
        f"{test.critical_difference:.2f} ranks apart or more (Nemenyi, 5 %)."
    )
    return text + (f" {n} data sets hardly show anything: {FEW} or more would." if n < FEW else "")


def critical_difference_chart(ranking: Ranking | None) -> Chart | None:
    """Return the diagram: a dot for each mean rank, and bars beside those that are not told apart."""
    import altair as alt

    found = drawn_policy(ranking)
    if found is None:
        return None
    keys = found.order
    all_names, means = [ranking.names[key] for key in keys], [found.mean_ranks[key] for key in keys]
    place = {key: i for i, key in enumerate(keys)}
    groups = [sorted(place[key] for key in group) for group in found.groups]
    names = all_names[:MOST_NAMES]
    width = max(1.0, means[len(names) - 1] - means[0])
    bars = _bars(groups, len(names))
    values = [{"model": name, "rank": round(mean, 4), "words": f"{mean:.2f}"} for name, mean in zip(names, means, strict=False)]
    right = means[len(names) - 1] + 0.1 * width + 0.05 * width * len(bars)
    scale = alt.Scale(domain=[min(1.0, means[0]), right], nice=False, padding=8)
    x = alt.X("rank:Q", title="mean rank (1 is best)", scale=scale, axis=alt.Axis(orient="top", grid=False))
    # the first line is for the critical difference itself
    y = alt.Y(
        "model:N", title=None, sort=["", *names], scale=alt.Scale(domain=["", *names]), axis=alt.Axis(domain=False, ticks=False)
    )
    difference = min(found.friedman.critical_difference, right - means[0])
    ruler = [
        {
            "model": "",
            "rank": means[0],
            "end": means[0] + difference,
            "words": f"critical difference {found.friedman.critical_difference:.2f}",
        }
    ]
    base = layer(values, x=x, y=y)
    drops = base.mark_rule(strokeDash=[2, 3], color=GREY, opacity=0.6).encode(x2=alt.value(0))
    dots = base.mark_circle(size=90, opacity=1).encode(tooltip=tooltips({"model": "model", "words": "mean rank"}))
    text = base.mark_text(align="left", dx=9, color=GREY).encode(text="words:N")
    ends = layer(ruler, x=x, y=y).mark_rule(strokeWidth=3, color=GREY).encode(x2="end:Q")
    label = layer(ruler, x=x, y=y).mark_text(align="left", dy=-9, color=GREY).encode(text="words:N")
    picture = drops + dots + text + ends + label
    if bars:
        places = [
            {"model": names[first], "last": names[last], "rank": right - 0.05 * width * (len(bars) - 1 - i)}
            for i, (first, last) in enumerate(bars)
        ]
        picture += layer(places, x=x, y=y).mark_rule(strokeWidth=5, strokeCap="round", color=GREY).encode(y2="last:N")
    rows = [
        (name, f"{mean:.2f}", ", ".join(all_names[j] for g in groups if i in g for j in g if j != i) or "nobody")
        for i, (name, mean) in enumerate(zip(all_names, means, strict=True))
    ]
    more = len(all_names) - len(names)
    return Chart(
        "ranks",
        "Mean ranks over the data sets, with the critical difference",
        sized(picture, 26 * (len(names) + 1)),
        ("contestant", "mean rank", "not told apart from"),
        tuple(rows[:200]),
        about=f"{sentence(found)} Bars at the right stand beside those that are not told apart."
        + (f" The {len(names)} best are drawn, {more} more ranked." if more > 0 else ""),
        min_width=420,
        wide=True,
    )


def _bars(groups: list[list[int]], n: int) -> list[tuple[int, int]]:
    """Return first and last position of each group, of those that are drawn."""
    clipped = ((group[0], min(group[-1], n - 1)) for group in groups)
    return list(dict.fromkeys(bar for bar in clipped if bar[0] < bar[1]))
