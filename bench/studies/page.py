"""index.html: all studies of a folder on one page that a newcomer can read from top to bottom.

It has the looks and the rules of a run's report (`bench/report/page.py`): one file, nothing asked of the network, everything
escaped, charts as data that Vega draws when they come into view, in light or dark. Pictures stand in the page as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report.library import digest_of, library
from bench.report.shell import embed, policy
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
    js, vega = (HERE / "page.js").read_text(encoding="utf-8"), library().replace("</script", "<\\/script") if specs else ""
    return environment.get_template("page.html").render(
        views=views,
        missing=missing,
        words=WORDS,
        counts=[(WORDS[o], sum(v["found"].verdict.outcome == o for v in views)) for o in OUTCOMES],
        css=Markup(css + (HERE / "page.css").read_text(encoding="utf-8")),
        policy=policy([digest_of(js), digest_of(vega)]),
        js=Markup(js),
        vega=Markup(vega),
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
