"""What every page of depthbench is set in: one file that asks the network for nothing and executes only its own scripts.

A page is a template that extends ``shell.html``. Three rules make it safe to open, whatever names and messages a run holds:

* The template is escaped throughout (Jinja's autoescape), and what scripts read stands in the page as data: JSON whose
  ``<`` is written ``\\u003c``, or compressed and in base64, so that no string can end its element.
* The Content-Security-Policy names the SHA-256 of each script of the page's own; no other runs, and none may turn text into
  code (Vega interprets the expressions of its charts instead of compiling them). It forbids every request.
* Scripts write names as text, never as markup.

What is large (chart library, charts, folds) is stored gzipped and taken out only when it is looked at: `Blocks`.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.report.library import digest_of, packed

HERE = Path(__file__).parent
LIBRARY = "vega"  # the block that holds the chart library

#: What a chart says where it cannot be drawn.
NO_CHART = "The folder figures/ holds this chart as a picture."


class Blocks:
    """The compressed parts of a page, by name; ``self.size`` is what they take there, in bytes.

    Examples
    --------
    >>> blocks = Blocks()
    >>> blocks.add("folds", ["</script>"] * 1000)
    >>> blocks.size < 100
    True
    """

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def add(self, name: str, value: Any) -> None:
        """Store a value as JSON."""
        self.texts[name] = pack(to_json(value))

    def add_packed(self, name: str, text: str) -> None:
        """Store what `pack` has made."""
        self.texts[name] = text

    @property
    def size(self) -> int:
        return sum(len(text) for text in self.texts.values())


def render(
    template: str, *, data: Any, blocks: Blocks, scripts: Sequence[str] = (), charts: bool = False, **context: Any
) -> str:
    """Return a page.

    Parameters
    ----------
    template : str
        A file of this folder that extends ``shell.html``.
    data : JSON value
        What the scripts read at once: ``page.data``.
    blocks : Blocks
        What they read when it is wanted: ``await page.block(name)``.
    scripts : sequence of str
        Files of this folder that run after ``shell.js``.
    charts : bool
        Whether the page needs the chart library. A chart is an element with ``data-block`` and ``data-chart``: the block
        holds, under that name, what `chart_block` returns.
    context
        What else the template names.
    """
    from markupsafe import Markup

    from bench.figures.theme import with_theme

    script = "\n".join(asset(name) for name in ("shell.js", *scripts))
    allowed = [digest_of(script)]
    if charts:
        blocks.add_packed(LIBRARY, packed().packed)
        allowed.append(packed().digest)
    shared = {"noChart": NO_CHART, "themes": {theme: with_theme({}, theme)["config"] for theme in ("light", "dark")}}
    return (
        _environment()
        .get_template(template)
        .render(
            css=Markup(asset("report.css")),
            policy=policy(allowed),
            script=Markup(script),
            data=Markup(embed({**shared, **data})),
            blocks=blocks.texts,
            no_chart=NO_CHART,
            **context,
        )
    )


def chart_block(chart: Any) -> dict[str, Any]:
    """Return a `bench.figures.Chart` as a page's script draws it, with its numbers as a table."""
    spec = {name: value for name, value in chart.spec().items() if name != "config"}
    return {"spec": spec, "caption": chart.title, "header": list(chart.header), "rows": [list(row) for row in chart.rows]}


def policy(digests: Sequence[str]) -> str:
    """Return the Content-Security-Policy that lets the scripts with these digests run, and nothing else."""
    hashes = " ".join(f"'{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def embed(value: Any) -> str:
    """Return JSON that may stand in a script element, whatever strings it holds.

    Examples
    --------
    >>> embed({"name": "</script><b>"})
    '{"name":"\\\\u003c/script\\\\u003e\\\\u003cb\\\\u003e"}'
    """
    text = to_json(value)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def to_json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def pack(text: str) -> str:
    """Return a text gzipped and in base64; the same text gives the same bytes.

    Text that is no Unicode (half of a surrogate pair, in a damaged file) is marked as such.
    """
    return base64.b64encode(gzip.compress(text.encode("utf-8", "backslashreplace"), 6, mtime=0)).decode("ascii")


def unpack(text: str) -> Any:
    """Return the value of a block.

    Examples
    --------
    >>> unpack(pack('{"a": 1}'))
    {'a': 1}
    """
    return json.loads(gzip.decompress(base64.b64decode(text)))


def block_of(page: str, name: str) -> Any:
    """Return the value of a page's block, as its script would.

    Examples
    --------
    >>> block_of(f'<script type="text/plain" id="block-cells-0">{pack("[1]")}</script>', "cells-0")
    [1]
    """
    return unpack(page.split(f'id="block-{name}">')[1].split("</script>")[0])


@lru_cache(maxsize=16)
def asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8").strip()


@lru_cache(maxsize=1)
def _environment():
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
