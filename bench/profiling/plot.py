"""Profiles as plots: the roofline, a step's timeline, thread scaling; alone as SVG or PNG, or together on one page.

The page is one file without scripts: the plots are SVG inside it, and hold in words, as titles of their marks, what each
mark stands for.

Reference: Williams, S., Waterman, A. and Patterson, D. (2009). Roofline: an insightful visual performance model for multicore
architectures. CACM 52, 65-76.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.profiling.printing import rate_cells, seconds
from bench.profiling.step import StepProfile

if TYPE_CHECKING:
    import altair

    from bench.profiling.kernel import KernelProfile
    from bench.profiling.recorder import Call

    Profile = StepProfile | KernelProfile

WIDTH = 720


# -- what is plotted, as plain values --------------------------------------------------------------------------------------


def points(profile: Profile) -> list[dict[str, Any]]:
    """Return a point per call that computes something: arithmetic intensity, rate, and its names."""
    if isinstance(profile, StepProfile):
        lines = [line for line in profile.lines if line.is_kernel]
        named = [(f"{line.phase} {line.layer} {line.kernel}", line.kernel, line.rate) for line in lines]
    else:
        named = [(case.case, case.kernel, case.rate) for case in profile.cases if case.rate is not None]
    return [
        {
            "name": name, "kernel": kernel, "intensity": r.intensity, "gflops": r.gflops, "time_s": r.seconds,
            "says": f"{name}: {seconds(r.seconds)}, {r.gflops:.1f} GFLOP/s, {100 * r.of_ceiling:.0f} % of {r.bound}",
        }
        for name, kernel, r in named
        if r.flops > 0 and r.n_bytes > 0
    ]  # fmt: skip


def roofs(profile: Profile, low: float, high: float) -> list[dict[str, Any]]:
    """Return the two ends of each ceiling's line between two arithmetic intensities."""
    ceilings, found = profile.ceilings, []
    for level in ceilings.levels:
        ridge = ceilings.fma_gflops / level.gb_per_s
        name = f"{level.name} {level.gb_per_s:.0f} GB/s"
        found += [
            {"ceiling": name, "intensity": x, "gflops": min(x * level.gb_per_s, ceilings.fma_gflops)}
            for x in (low, min(max(ridge, low), high), high)
        ]
    return found


def scaling(profiles: Sequence[Profile]) -> list[dict[str, Any]]:
    """Return a line per thread count: time, speed-up over the fewest threads, and how much of the threads that uses."""
    found = []
    for profile in profiles:
        if isinstance(profile, StepProfile):
            time_s = profile.wall_s
        else:
            time_s = sum(case.rate.seconds for case in profile.cases if case.rate is not None)
        found.append({"threads": profile.ceilings.n_threads, "time_s": time_s})
    first = found[0]
    for line in found:
        line["speedup"] = first["time_s"] / line["time_s"] if line["time_s"] else math.nan
        line["efficiency"] = line["speedup"] * first["threads"] / line["threads"]
    return found


# -- charts ----------------------------------------------------------------------------------------------------------------


def roofline_chart(profile: Profile) -> altair.Chart:
    """Return the rate of each call against its arithmetic intensity, under the machine's ceilings, both logarithmic."""
    import altair as alt

    data = points(profile)
    intensities = [p["intensity"] for p in data] or [1.0]
    low, high = 10 ** math.floor(math.log10(min(intensities))), 10 ** math.ceil(math.log10(max(*intensities, 100.0)))
    x = alt.X(
        "intensity:Q", scale=alt.Scale(type="log", domain=[low, high], nice=False), title="arithmetic intensity, FLOP per byte"
    )
    y = alt.Y("gflops:Q", scale=alt.Scale(type="log"), title="GFLOP/s")
    lines = (
        alt.Chart(alt.Data(values=roofs(profile, low, high)))
        .mark_line(strokeWidth=1.5)
        .encode(x=x, y=y, strokeDash=alt.StrokeDash("ceiling:N", sort=None, title="copy inside"), color=alt.value("#5b6675"))
    )
    marks = (
        alt.Chart(alt.Data(values=data))
        .mark_point(filled=True, opacity=0.8, tooltip=True)
        .encode(
            x=x, y=y, color=alt.Color("kernel:N", title="kernel", scale=alt.Scale(scheme="tableau10")),
            size=alt.Size("time_s:Q", legend=None, scale=alt.Scale(range=[30, 500])), description="says:N", tooltip="says:N",
        )
    )
    return (lines + marks).properties(width=WIDTH, height=380)


def timeline_chart(profile: StepProfile) -> altair.Chart:
    """Return the calls of one step as bars over time, a row per layer, forwards and backwards."""
    import altair as alt

    start_s = profile.timeline[0].start_s
    values = [
        {
            "row": _row_of(call), "kernel": call.kernel,
            "begin": (call.start_s - start_s) * 1e3, "end": (call.start_s - start_s + call.seconds) * 1e3,
            "says": f"{call.label} {call.kernel} {call.shapes}: {seconds(call.seconds)}",
        }
        for call in profile.timeline
    ]  # fmt: skip
    rows = list(dict.fromkeys(v["row"] for v in values))
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(height=12, tooltip=True)
        .encode(
            x=alt.X("begin:Q", title="ms since the step began"), x2="end:Q", y=alt.Y("row:N", sort=rows, title=None),
            color=alt.Color("kernel:N", title="kernel", scale=alt.Scale(scheme="tableau10")),
            description="says:N", tooltip="says:N",
        )
        .properties(width=WIDTH, height=18 * len(rows))
    )  # fmt: skip


def _row_of(call: Call) -> str:
    phase, _, layer = call.label.partition("/")
    return (layer or phase or call.kernel) + (f", thread {call.thread}" if call.thread else "")


def scaling_chart(profiles: Sequence[Profile]) -> altair.Chart:
    """Return the speed-up over the number of threads, beside what all threads busy all the time would give."""
    import altair as alt

    lines = scaling(profiles)
    ideal = [{"threads": line["threads"], "speedup": line["threads"] / lines[0]["threads"], "what": "ideal"} for line in lines]
    values = [{**line, "what": "measured"} for line in lines] + ideal
    return (
        alt.Chart(alt.Data(values=values))
        .mark_line(point=True)
        .encode(
            x=alt.X("threads:O", title="threads", axis=alt.Axis(labelAngle=0)), y=alt.Y("speedup:Q", title="speed-up"),
            strokeDash=alt.StrokeDash("what:N", sort=["measured", "ideal"], title=None),
            color=alt.Color("what:N", sort=["measured", "ideal"], title=None),
        )
        .properties(width=320, height=240)
    )  # fmt: skip


# -- files -----------------------------------------------------------------------------------------------------------------


def _spec(chart: altair.Chart) -> dict[str, Any]:
    from bench.figures import with_theme

    return {**with_theme(chart.to_dict(), "light"), "background": "white"}


def svg(chart: altair.Chart) -> str:
    """Return a chart as SVG."""
    import vl_convert

    from bench.figures import vegalite_version

    return vl_convert.vegalite_to_svg(_spec(chart), vl_version=vegalite_version(), allowed_base_urls=[])


def save(path: Path, profiles: Sequence[Profile], backend: str) -> None:
    """Write a page (.html), or the roofline of the last profile alone (.svg, .png, or .json as Vega-Lite)."""
    import json

    import vl_convert

    from bench.errors import InputError
    from bench.figures import vegalite_version

    suffix = path.suffix.lower()
    if suffix in (".html", ".htm"):
        path.write_text(page(profiles, backend), encoding="utf-8")
        return
    chart = roofline_chart(profiles[-1])
    if suffix == ".svg":
        path.write_text(svg(chart), encoding="utf-8")
    elif suffix == ".png":
        png = vl_convert.vegalite_to_png(_spec(chart), vl_version=vegalite_version(), scale=2, allowed_base_urls=[])
        path.write_bytes(png)
    elif suffix == ".json":
        path.write_text(json.dumps(_spec(chart), indent=1), encoding="utf-8")
    else:
        raise InputError(f"cannot write {path}: its suffix must be .html, .svg, .png or .json")


_STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', sans-serif; color: #1c2430; max-width: 1180px; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
figure { margin: 0; overflow-x: auto; } svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #dfe3e8; white-space: nowrap; }
th:nth-child(-n+3), td:nth-child(-n+3) { text-align: left; }
.faint { color: #5b6675; }
"""


def plots(profiles: Sequence[Profile]) -> dict[str, str]:
    """Return the plots of profiles of several thread counts by their headings, as SVG."""
    found = {"Roofline": svg(roofline_chart(profiles[-1]))}
    if isinstance(profiles[-1], StepProfile):
        found["Timeline"] = svg(timeline_chart(profiles[-1]))
    if len(profiles) > 1:
        found["Threads"] = svg(scaling_chart(profiles))
    return found


def about(profile: Profile, backend: str) -> tuple[str, str, str]:
    """Return a title, the setting, and the answer in words."""
    ceilings = profile.ceilings
    if isinstance(profile, StepProfile):
        what = {"step": "training step", "prediction": "prediction"}[profile.kind]
        title = f"{profile.target.title}: one {what}, batch {profile.batch}"
    else:
        title = f"{profile.kernel}: its cases"
    setting = f"backend {backend}, {ceilings.dtype}, {ceilings.n_threads} thread{'s' if ceilings.n_threads > 1 else ''}"
    return title, setting, _sentence(profile)


def page(profiles: Sequence[Profile], backend: str) -> str:
    """Return one self-contained page: the answer in words, the plots, and the table of calls of the last profile."""
    profile = profiles[-1]
    title, setting, said = (html.escape(text) for text in about(profile, backend))
    parts = [f"<h1>{title}</h1>", f'<p class="faint">{setting}</p>', f"<p>{said}</p>"]
    for name, drawn in plots(profiles).items():
        parts += [f"<h2>{name}</h2>", f"<figure>{drawn}</figure>"]
        if name == "Roofline":
            parts.append('<p class="faint">Each mark is a call, its size its time; the lines are what the machine can do.</p>')
    if len(profiles) > 1:
        parts.append(_scaling_table(profiles))
    parts += ["<h2>Calls</h2>", _calls(profile)]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _sentence(profile: Profile) -> str:
    if not isinstance(profile, StepProfile):
        return "Each case was checked against the reference before it was timed."
    first = profile.by_kernel()[0]
    share = first.rate.seconds / profile.wall_s
    return (
        f"It takes {seconds(profile.wall_s)}, {profile.batch / profile.wall_s:,.0f} samples/s. "
        f"{100 * (1 - profile.unexplained):.1f} % of that is explained by its calls; {first.kernel} takes most, "
        f"{100 * share:.0f} %: were it free, the {profile.kind} would run {1 / max(1 - share, 1e-9):.2f} times as fast. "
        f"Recording cost {100 * profile.overhead:+.1f} %."
    )


def _scaling_table(profiles: Sequence[Profile]) -> str:
    rows = [
        (str(s["threads"]), seconds(s["time_s"]), f"{s['speedup']:.2f}x", f"{100 * s['efficiency']:.0f} %")
        for s in scaling(profiles)
    ]
    return _table(("threads", "time", "speed-up", "efficiency"), rows)


def _calls(profile: Profile) -> str:
    rates = ("GFLOP/s", "GB/s", "FLOP/B", "of ceiling")
    if isinstance(profile, StepProfile):
        wall = profile.wall_s
        rows = [
            (
                line.phase, line.layer, line.kernel, line.shapes, seconds(line.rate.seconds),
                f"{100 * line.rate.seconds / wall:.1f} %", f"{1 / max(1 - line.rate.seconds / wall, 1e-9):.2f}x",
                *rate_cells(line.rate),
            )
            for line in profile.lines
        ]  # fmt: skip
        return _table(("phase", "layer", "kernel", "shapes", "time", "share", "if free", *rates), rows)
    cases = [case for case in profile.cases if case.rate is not None]
    rows = [(c.kernel, c.case, c.shapes, seconds(c.rate.seconds), *rate_cells(c.rate)) for c in cases]
    return _table(("kernel", "case", "shapes", "time", *rates), rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{html.escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<figure><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></figure>"
