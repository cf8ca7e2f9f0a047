"""One style for the charts and picture grids of all studies.

Charts are Altair's on plain lists. Each of these functions takes rows and the names of their columns and returns a chart that
is as wide as there is room; a study adds what it needs. Colours are Okabe and Ito's, which people with colour-blindness can
tell apart; where lines are told apart, their marks differ too.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.figures import vegalite_version, with_theme
from bench.studies.entry import Figure, Picture

if TYPE_CHECKING:
    import altair
    import numpy as np

HEIGHT, WIDTH = 300, 640
_PALETTE = {
    "light": ("#0072b2", "#d55e00", "#009e73", "#b4569a", "#8a6d00", "#3a9bd6", "#6b6b6b", "#7a3b12"),
    "dark": ("#56b4e9", "#e69f00", "#2fc79a", "#e39ac6", "#f0e442", "#7f9cf5", "#b8b8b8", "#ff9a76"),
}
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]
Rows = Sequence[Mapping[str, Any]]


def axis(
    field: str, title: str | None, *, log: bool = False, percent: bool = False, zero: bool = False,
    domain: Sequence | None = None, sort: Sequence[str] | None = None, kind: str = "Q", values: Sequence | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the options of an axis for ``alt.X(**axis(...))`` or ``alt.Y``.

    Parameters
    ----------
    field, title : str
    log, percent, zero : bool
        Logarithmic scale; shares shown in percent; the axis begins at zero.
    domain, sort, values : sequences, optional
        Range of the axis; order of a nominal one; where its ticks are.
    kind : {"Q", "N", "O"}
    """
    import altair as alt

    found: dict[str, Any] = {"shorthand": f"{field}:{kind}", "title": title}
    if kind != "Q":
        found["axis"] = alt.Axis(labelAngle=0, labelLimit=300)
        found["sort"] = list(sort) if sort is not None else None
        return found
    scale: dict[str, Any] = {"type": "log", "nice": False} if log else {"zero": zero, "nice": domain is None}
    if domain is not None:
        scale["domain"] = list(domain)
    found["scale"] = alt.Scale(**scale)
    style: dict[str, Any] = {"format": "~%"} if percent else {"format": "~g"} if log else {}
    if values is not None:
        style["values"] = list(values)
    found["axis"] = alt.Axis(labelOverlap=True, **style)
    return found


def lines(
    rows: Rows, x: Mapping[str, Any], y: Mapping[str, Any], colour: str, *, title: str | None = None, order: Sequence[str] = (),
    low: str | None = None, high: str | None = None, height: int = HEIGHT,
) -> altair.LayerChart:  # fmt: skip
    """Return one line with marks per value of `colour`, with bands from `low` to `high` where these columns are named.

    Parameters
    ----------
    x, y : from `axis`
    order : sequence of str
        Of the values of `colour`.
    """
    import altair as alt

    names = list(order) or list(dict.fromkeys(row[colour] for row in rows))
    base = alt.Chart(alt.Data(values=list(rows))).encode(x=alt.X(**x))
    legend = alt.Legend(orient="bottom", columns=2, symbolLimit=0, symbolOpacity=1, labelLimit=300) if len(names) > 1 else None
    encoded = {
        "color": alt.Color(f"{colour}:N", title=title, sort=names, scale=alt.Scale(domain=names), legend=legend),
        "shape": alt.Shape(f"{colour}:N", title=title, sort=names, scale=alt.Scale(domain=names, range=_SHAPES), legend=legend),
    }
    drawn = base.encode(y=alt.Y(**y), color=encoded["color"])
    layers = [drawn.mark_line(strokeWidth=2), drawn.encode(shape=encoded["shape"]).mark_point(filled=True, size=55, opacity=1)]
    if low and high:
        band = base.mark_area(opacity=0.18).encode(
            y=alt.Y(**{**y, "shorthand": f"{low}:Q"}), y2=f"{high}:Q", color=encoded["color"]
        )
        layers.insert(0, band)
    return _sized(alt.layer(*layers), height)


def curves(
    rows: Rows, x: Mapping[str, Any], y: Mapping[str, Any], colour: str, *, order: Sequence[str] = (), height: int = HEIGHT
) -> altair.Chart:
    """Return one line without marks per value of `colour`: functions; the first is drawn solid, the others dashed apart."""
    import altair as alt

    names = list(order) or list(dict.fromkeys(row[colour] for row in rows))
    legend = alt.Legend(orient="bottom", columns=2, symbolLimit=0, labelLimit=400)
    dashes = [[1, 0], [8, 3], [2, 2], [6, 2, 2, 2], [12, 4], [1, 3], [4, 4], [10, 2, 2, 2]]
    chart = alt.Chart(alt.Data(values=list(rows))).mark_line(strokeWidth=2.2).encode(
        x=alt.X(**x), y=alt.Y(**y),
        color=alt.Color(f"{colour}:N", title=None, sort=names, scale=alt.Scale(domain=names), legend=legend),
        strokeDash=alt.StrokeDash(f"{colour}:N", sort=names, scale=alt.Scale(domain=names, range=dashes), legend=legend),
    )  # fmt: skip
    return _sized(chart, height)


def over(*layers: Any, height: int = HEIGHT) -> altair.LayerChart:
    """Return charts laid over each other."""
    import altair as alt

    bare = [layer.copy(deep=False) for layer in layers]
    for layer in bare:
        for name in ("width", "height", "autosize"):
            setattr(layer, name, alt.Undefined)
    return _sized(alt.layer(*bare), height)


def intervals(
    rows: Rows, value: Mapping[str, Any], name: str, *, low: str = "low", high: str = "high", order: Sequence[str] = (),
    colour: str | None = None, height: int | None = None,
) -> altair.LayerChart:  # fmt: skip
    """Return one line per contestant: a dot for its mean and a bar from `low` to `high`.

    Parameters
    ----------
    value : from `axis`
    name : str
        The column with the contestants' names; they stand below each other.
    """
    import altair as alt

    names = list(order) or list(dict.fromkeys(row[name] for row in rows))
    y = alt.Y(**axis(name, None, kind="N", sort=names))
    base = alt.Chart(alt.Data(values=list(rows))).encode(y=y)
    if colour is not None:
        legend = alt.Legend(orient="bottom", columns=2, symbolLimit=0)
        groups = list(dict.fromkeys(row[colour] for row in rows))
        base = base.encode(
            color=alt.Color(f"{colour}:N", title=None, sort=groups, legend=legend),
            yOffset=alt.YOffset(f"{colour}:N", sort=groups),
        )
    else:
        base = base.encode(color=alt.value("#3a86c8"))
    field = value["shorthand"].partition(":")[0]
    bars = base.mark_rule(strokeWidth=3, opacity=0.6).encode(x=alt.X(**{**value, "shorthand": f"{low}:Q"}), x2=f"{high}:Q")
    dots = base.mark_point(filled=True, size=70, opacity=1).encode(x=alt.X(**{**value, "shorthand": f"{field}:Q"}))
    per_name = 26 * (1 if colour is None else max(1, len(groups) * 0.6))
    return _sized(alt.layer(bars, dots), height or round(per_name * len(names)) + 20)


def strips(
    rows: Rows, x: Mapping[str, Any], y: Mapping[str, Any], *, colour: str | None = None, height: int = HEIGHT
) -> altair.LayerChart:
    """Return every value as a small dot at its group, and the group's mean as a bar."""
    import altair as alt

    base = alt.Chart(alt.Data(values=list(rows))).encode(x=alt.X(**x))
    encoded = {} if colour is None else {"color": alt.Color(f"{colour}:N", title=None, legend=alt.Legend(orient="bottom"))}
    dots = base.mark_circle(size=28, opacity=0.45).encode(
        y=alt.Y(**y), xOffset=alt.XOffset("jitter:Q", scale=alt.Scale(domain=[-1.6, 1.6])), **encoded
    ).transform_calculate(jitter="random() * 2 - 1")  # fmt: skip
    field = y["shorthand"].partition(":")[0]
    means = base.mark_tick(thickness=3, color="#d55e00", size=34).encode(y=alt.Y(**{**y, "shorthand": f"mean({field}):Q"}))
    return _sized(alt.layer(dots, means), height)


def bars(
    rows: Rows, value: Mapping[str, Any], name: str, *, order: Sequence[str] = (), colour: str | None = None,
    height: int | None = None,
) -> altair.Chart:  # fmt: skip
    """Return one horizontal bar per name; with `colour`, one per name and group."""
    import altair as alt

    names = list(order) or list(dict.fromkeys(row[name] for row in rows))
    chart = alt.Chart(alt.Data(values=list(rows))).encode(y=alt.Y(**axis(name, None, kind="N", sort=names)), x=alt.X(**value))
    n_groups = 1
    if colour is not None:
        groups = list(dict.fromkeys(row[colour] for row in rows))
        n_groups = len(groups)
        legend = alt.Legend(orient="bottom", columns=2, symbolLimit=0)
        chart = chart.encode(
            color=alt.Color(f"{colour}:N", title=None, sort=groups, legend=legend),
            yOffset=alt.YOffset(f"{colour}:N", sort=groups),
        )
    return _sized(chart.mark_bar(cornerRadiusEnd=2), height or 24 * len(names) * max(1, round(n_groups * 0.7)) + 20)


def histogram(
    rows: Rows, field: str, title: str, *, colour: str | None = None, bins: int = 30, height: int = 220
) -> altair.Chart:
    """Return how often values fall into each of `bins` ranges."""
    import altair as alt

    x = alt.X(f"{field}:Q", bin=alt.Bin(maxbins=bins), title=title, axis=alt.Axis(labelOverlap=True))
    chart = alt.Chart(alt.Data(values=list(rows))).encode(x=x, y=alt.Y("count()", title="how many", stack=None))
    if colour is not None:
        chart = chart.encode(color=alt.Color(f"{colour}:N", title=None, legend=alt.Legend(orient="bottom")))
    return _sized(chart.mark_bar(opacity=0.65), height)


def heat(
    rows: Rows, x: str, y: str, value: str, *, text: str | None = None, x_title: str | None = None, y_title: str | None = None,
    x_order: Sequence | None = None, y_order: Sequence | None = None, scheme: str = "blues", domain: Sequence | None = None,
) -> altair.LayerChart:  # fmt: skip
    """Return a heat map; `text` names a column whose words stand in the tiles."""
    import altair as alt

    y_names = list(dict.fromkeys(row[y] for row in rows))
    base = alt.Chart(alt.Data(values=list(rows))).encode(
        x=alt.X(**axis(x, x_title, kind="O", sort=x_order)), y=alt.Y(**axis(y, y_title, kind="O", sort=y_order))
    )
    scale = alt.Scale(scheme=scheme, **({"domain": list(domain)} if domain else {}))
    layers = [base.mark_rect(cornerRadius=3).encode(color=alt.Color(f"{value}:Q", scale=scale, legend=None))]
    if text is not None:
        low, high = domain or (min(r[value] for r in rows), max(r[value] for r in rows))
        middle = low + 0.55 * (high - low)
        ink = alt.condition(f"datum['{value}'] > {middle}", alt.value("#ffffff"), alt.value("#14202e"))
        layers.append(base.mark_text(fontSize=11).encode(text=f"{text}:N", color=ink))
    return _sized(alt.layer(*layers), 26 * len(y_names) + 20)


def rule(chart: Any, at: float, *, vertical: bool = False) -> altair.LayerChart:
    """Return a chart with a dashed line at a value: zero, chance, a threshold."""
    import altair as alt

    place = {"x": alt.X("at:Q")} if vertical else {"y": alt.Y("at:Q")}
    line = alt.Chart(alt.Data(values=[{"at": at}])).mark_rule(strokeDash=[5, 4], color="#888").encode(**place)
    height = chart.height
    return over(chart, line, height=HEIGHT if height is alt.Undefined else height)


def _sized(chart: Any, height: Any) -> Any:
    import altair as alt

    return chart.properties(width="container", height=height, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))


# -- pictures


def png(image: np.ndarray, *, low: float | None = None, high: float | None = None, signed: bool = False) -> str:
    """Return an array as a small PNG in base64.

    Parameters
    ----------
    image : ndarray (H, W), (H, W, 1) or (H, W, 3)
    low, high : float, optional
        What becomes black and white; default: least and greatest value.
    signed : bool
        Zero is white, negative blue and positive red: weights (H, W).

    Examples
    --------
    >>> import numpy as np
    >>> png(np.eye(2))[:12]
    'iVBORw0KGgoA'
    """
    import numpy as np
    from PIL import Image

    image = np.asarray(image, dtype=np.float64)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    if signed:
        top = high if high is not None else max(np.abs(image).max(), 1e-12)
        share = np.clip(image / top, -1, 1)[..., None]
        red, blue = np.array([0.70, 0.09, 0.17]), np.array([0.13, 0.40, 0.67])
        image = np.where(share > 0, 1 - share * (1 - red), 1 + share * (1 - blue))
        low, high = 0.0, 1.0
    low = image.min() if low is None else low
    high = image.max() if high is None else high
    levels = np.clip((image - low) / max(high - low, 1e-12), 0, 1)
    out = io.BytesIO()
    Image.fromarray(np.round(levels * 255).astype(np.uint8)).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode("ascii")


def picture_rows(pictures: Sequence[Sequence[Mapping[str, str]]]) -> list[list[Picture]]:
    """Return `Figure.pictures` of what measurements keep: rows of ``{"png": ..., "label": ...}``."""
    return [[Picture(p["png"], p["label"]) for p in row] for row in pictures]


def _grid_svg(figure: Figure, side: int = 72, gap: int = 10, line: int = 16) -> str:
    """Return a picture grid as SVG; pixels stay square and sharp."""
    per_row = max(len(row) for row in figure.pictures)
    side = max(side, 16 + 6 * max(max((len(p.label) for p in row), default=0) for row in figure.pictures))
    width = max(per_row * (side + gap), 9 * len(figure.title)) + gap  # one narrow column must not cut the title
    height = len(figure.pictures) * (side + line + gap) + gap + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{html.escape(figure.title)}</title><desc>{html.escape(figure.alt)}</desc>",
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{gap}" y="20" font-family="sans-serif" font-size="14" font-weight="bold">{html.escape(figure.title)}</text>',
    ]
    for i, row in enumerate(figure.pictures):
        for j, picture in enumerate(row):
            x, y = gap + j * (side + gap), 30 + gap + i * (side + line + gap)
            parts.append(
                f'<image x="{x}" y="{y}" width="{side}" height="{side}" style="image-rendering:pixelated" '
                f'image-rendering="optimizeSpeed" href="data:image/png;base64,{picture.png}"/>'
                f'<text x="{x + side / 2}" y="{y + side + 13}" font-family="sans-serif" font-size="11" text-anchor="middle">'
                f"{html.escape(picture.label)}</text>"
            )
    return "\n".join([*parts, "</svg>"])


# -- files and pages


def themed(chart: altair.TopLevelMixin, theme: str) -> dict[str, Any]:
    """Return a chart's Vega-Lite specification with the ink and the colours of a "light" or "dark" page."""
    spec = with_theme(chart.to_dict(), theme)
    spec["config"]["range"] = {"category": list(_PALETTE[theme])}
    spec["config"]["legend"]["labelLimit"] = 400
    return spec


def files(figure: Figure) -> dict[str, bytes]:
    """Return the content of ``<name>.svg`` and ``<name>.png``."""
    import vl_convert

    if figure.chart is None:
        svg = _grid_svg(figure)
        return {f"{figure.name}.svg": svg.encode(), f"{figure.name}.png": vl_convert.svg_to_png(svg, scale=2)}
    spec = themed(figure.chart, "light")
    spec |= {"background": "white", "width": WIDTH, "autosize": "pad", "title": figure.title, "description": figure.alt}
    version, nothing = vegalite_version(), {"allowed_base_urls": []}
    svg = vl_convert.vegalite_to_svg(spec, vl_version=version, **nothing)
    found = vl_convert.vegalite_to_png(spec, vl_version=version, scale=2, **nothing)
    return {f"{figure.name}.svg": svg.encode(), f"{figure.name}.png": found}
