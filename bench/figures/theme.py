"""Ink, colours and fonts of charts in a light and a dark page. Colours are from Okabe and Ito's palette, which people with
colour-blindness can tell apart."""

from __future__ import annotations

from typing import Any

KINDS = ("classical", "deep", "any on learned features")
COLOURS = {
    "light": ("#0072b2", "#d55e00", "#009e73", "#b5508f", "#8a6d1f", "#2a8fa8", "#6a5acd", "#6b7280"),
    "dark": ("#56b4e9", "#e69f00", "#2fc79a", "#e08fc0", "#d9c05a", "#7fd3e6", "#a99bf5", "#a3adba"),
}
#: More lines than this cannot be told apart.
MOST_LINES = len(COLOURS["light"])
_INK = {"light": ("#1c2430", "#5b6675", "#dfe3e8"), "dark": ("#e8ecf2", "#a3adba", "#343c47")}
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', 'Liberation Sans', sans-serif"
#: Readable on both papers.
GREY = "#808790"


def vegalite_version() -> str:
    """Return the Vega-Lite version of the installed Altair as vl-convert names it: ``6.4``."""
    import altair

    return ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])


def with_theme(spec: dict[str, Any], theme: str) -> dict[str, Any]:
    """Return a Vega-Lite specification with the ink and the colours of a "light" or "dark" page."""
    ink, faint, line = _INK[theme]
    axis = {"labelColor": faint, "titleColor": ink, "gridColor": line, "domainColor": line, "tickColor": line}
    config = {
        "background": "transparent",
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {**axis, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": 500, "labelLimit": 220},
        "legend": {
            "labelColor": ink,
            "titleColor": faint,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "symbolBaseFillColor": faint,
            "layout": {"bottom": {"anchor": "start", "direction": "vertical", "margin": 10}},
        },
        "title": {"color": ink, "fontSize": 14, "anchor": "start", "subtitleColor": faint},
        "text": {"font": _FONT, "fontSize": 11},
        "range": {"category": list(COLOURS[theme])},
    }
    return {**spec, "config": config}
