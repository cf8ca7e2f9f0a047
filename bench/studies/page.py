"""index.html: all studies of a folder on one page that a newcomer can read from top to bottom.

It has the looks and the rules of a run's report (`bench/report/page.py`): one file, nothing asked of the network, everything
escaped, charts as data that Vega draws when they come into view, in light or dark. Pictures stand in the page as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.figures import vegalite_version
from bench.report.page import embed
from bench.studies import charts
from bench.studies.entry import OUTCOMES, Figure
from bench.studies.writing import Finished, provenance

HERE = Path(__file__).parent
WORDS = {"supported": "supported", "refuted": "refuted", "undecided": "not decided"}


def to_html(studies: Sequence[Finished], missing: Mapping[str, str]) -> str:
    """Return the page.

    Parameters
    ----------
    studies : sequence of Finished
        In reading order.
    missing : mapping
        Studies that could not be run, with the reason.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    views = [_view(found) for found in studies]
    specs = {key: spec for view in views for key, spec in view["specs"].items()}
    css = (HERE.parent / "report" / "report.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        views=views,
        missing=missing,
        words=WORDS,
        counts=[(WORDS[o], sum(v["found"].verdict.outcome == o for v in views)) for o in OUTCOMES],
        css=Markup(css + (HERE / "page.css").read_text(encoding="utf-8")),
        js=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        vega=Markup(_vega()) if specs else "",
        data=Markup(embed(specs)),
    )


def _view(found: Finished) -> dict[str, Any]:
    name = found.study.name
    charted = [figure for figure in found.figures if figure.chart is not None]
    return {
        "found": found,
        "study": found.study,
        "name": name,
        "specs": {f"{name}-{figure.name}": _spec(figure) for figure in charted},
        "facts": provenance(found.manifest),
    }


def _spec(figure: Figure) -> dict[str, Any]:
    """Return a chart with the configurations of both themes beside it; the page's script takes one."""
    spec = {key: value for key, value in figure.chart.to_dict().items() if key != "config"}
    return {"spec": spec, "config": {theme: charts.themed(figure.chart, theme)["config"] for theme in ("light", "dark")}}


@lru_cache(maxsize=1)
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    return vl_convert.javascript_bundle(vl_version=vegalite_version()).replace("</script", "<\\/script")
