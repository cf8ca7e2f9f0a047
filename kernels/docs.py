"""Writes docs/kernels.md from the list of kernels, so that the page cannot say anything else than the code.

Run ``python -m kernels.docs > docs/kernels.md`` after a change of ``spec.py`` or of a docstring; a test holds the two
together.
"""

from __future__ import annotations

import inspect

from kernels.api import Kernels
from kernels.spec import SAFETY, SPECS, KernelSpec

_HEAD = f"""# The kernels

Made by `python -m kernels.docs` from `kernels/spec.py` and the docstrings; edit those.

`kernels.load(name)` gives the same methods for each backend (`cython`, `numba`, `reference`). Arrays are float32 or
float64, never mixed and never cast; any strides; `out` must not overlap an input.

Legend: N batch; H, W, C input height, width and channels; OH, OW output; KH, KW kernel; M, K, N of a matrix product.
Images are (N, H, W, C), filters (KH, KW, C // groups, C_out).

An output y is right where |y - expected| <= t (sqrt(n) |expected| + scale), with t = {SAFETY:g} eps of the dtype, n the
length of the longest sum behind an element, and scale the sum of its terms' absolute values; *exact* means equal. FLOPs
and bytes are what the mathematics needs, not what an implementation does. Sources: the docstring of `kernels/spec.py`.
"""


def page() -> str:
    """Return docs/kernels.md.

    Examples
    --------
    >>> page().startswith("# The kernels")
    True
    """
    table = ["| kernel | group | what it does |", "|---|---|---|"]
    table += [f"| [`{spec.name}`](#{spec.name}) | {spec.group} | {spec.summary} |" for spec in SPECS]
    return "\n".join([_HEAD, *table, "", *(_section(spec) for spec in SPECS)])


def _section(spec: KernelSpec) -> str:
    method = getattr(Kernels, spec.name)
    parameters = [p for p in inspect.signature(method).parameters.values() if p.name != "self"]
    signature = f"k.{spec.name}{inspect.Signature(parameters)}"
    text = inspect.cleandoc(method.__doc__)
    judged = "exact" if spec.exact else "rounded"
    return f"## {spec.name}\n\n```python\n{signature}\n```\n\n{spec.shapes} ({judged})\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    print(page(), end="")
