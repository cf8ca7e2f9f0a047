"""A kernel's call at sizes given by hand: ``--shape 128x28x28x1,5x5x1x6 --option padding=2``.

The shapes are those of the arrays that the forward kernel sees, so that a convolution and its two gradients take the
same line; for pooling the second one is the window. `TAKES` says it for each kernel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kernels import cases
from kernels.spec import BY_NAME

_CONV = "x, w: NxHxWxC,KHxKWxCxC_out"
_POOL = "x, window: NxHxWxC,KHxKW"
_TEXT = "weight, indices: VxD,NxT"
_ANY = "any shape: NxC, say"
_TAKES_BY_GROUP = {"convolution": _CONV, "pooling": _POOL, "embedding": _TEXT, "activation": _ANY, "optimizer": _ANY}
#: kernel -> what ``--shape`` is for it.
TAKES = {name: _TAKES_BY_GROUP.get(spec.group, _ANY) for name, spec in BY_NAME.items()} | {
    "gemm": "a, b: MxK,KxN",
    "softmax_cross_entropy": "logits: NxC",
}
_SHAPE = re.compile(r"[1-9]\d{0,9}(x[1-9]\d{0,9})*", re.ASCII)
_RANKS = {"convolution": (4, 4), "pooling": (4, 2), "embedding": (2, 2)}


def parse(text: str) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of ``"128x784,784x256"``.

    >>> parse("128x784, 784x256")
    ((128, 784), (784, 256))
    """
    parts = [part.strip() for part in text.lower().split(",")]
    wrong = [part for part in parts if not _SHAPE.fullmatch(part)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} in {text!r} is not a shape such as 128x784; several are separated by commas")
    return tuple(tuple(int(extent) for extent in part.split("x")) for part in parts)


def parse_options(texts: Sequence[str]) -> dict[str, Any]:
    """Return the options of ``["padding=2", "stride=1x2", "transpose_b=true"]``.

    >>> parse_options(["padding=same", "stride=2x1", "transpose_b=true", "alpha=0.5"])
    {'padding': 'same', 'stride': (2, 1), 'transpose_b': True, 'alpha': 0.5}
    """
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"option {text!r} must be NAME=VALUE, padding=2 say")
        options[name] = _value(value.strip())
    return options


def _value(text: str) -> Any:
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False, "none": None}[text.lower()]
    if re.fullmatch(r"\d+x\d+", text):
        return tuple(int(part) for part in text.split("x"))
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def case_at(kernel: str, text: str, options: dict[str, Any] | None = None) -> cases.Case:
    """Return the call of a kernel at the given shapes.

    Raises
    ------
    ValueError
        Naming what the kernel takes.

    Examples
    --------
    >>> case = case_at("conv2d_backward_weight", "8x28x28x1,5x5x1x6", {"padding": 2})
    >>> arguments, _ = case.make("float32")
    >>> arguments[0].shape, arguments[1].shape
    ((8, 28, 28, 6), (8, 28, 28, 1))
    """
    shapes = parse(text)
    group = BY_NAME[kernel].group
    ranks = (2, 2) if kernel == "gemm" else (2,) if group == "loss" else _RANKS.get(group)
    found = tuple(len(shape) for shape in shapes)
    if found != ranks and (ranks is not None or len(found) != 1):
        raise ValueError(f"shape {text!r} does not fit {kernel}, which takes {TAKES[kernel]}")
    return cases.Case(kernel, text.replace(" ", ""), _build(kernel, shapes, dict(options or {})))


def _build(kernel: str, shapes: tuple[tuple[int, ...], ...], options: dict[str, Any]) -> cases.Build:
    group = BY_NAME[kernel].group
    first = shapes[0]
    if group == "convolution":
        x, w = shapes
        activation = options.pop("activation", None)
        conv = cases.Conv("", x[1:], w[:2], w[3], options, activation)
        if conv.shapes(x[0])[1] != w:
            raise ValueError(f"w must have shape {conv.shapes(x[0])[1]} for x {x} and these options, got {w}")
        return cases.conv_builds(conv, x[0])[kernel]
    if group == "pooling":
        include = options.pop("count_include_pad", False)
        return cases.pool_builds(cases.Pool("", first[1:], shapes[1], options, include), first[0])[kernel]
    if group == "embedding" and not options:
        return cases.embedding_builds(*shapes[1], *first, least=1)[kernel]
    if kernel == "gemm":
        (m, k), (k_b, n) = shapes
        if k != k_b:
            raise ValueError(f"the inner sizes of {m}x{k} and {k_b}x{n} differ (give them as after transposing)")
        return cases.gemm_build(m, k, n, **options)
    build = {
        "softmax_cross_entropy": lambda: cases.softmax_build(*first),
        "bias_backward": lambda: cases.bias_build(*first),
        "sgd_update": lambda: cases.sgd_build(first, **options),
        "adam_update": lambda: cases.adam_build(first, **options),
        **{name: lambda: cases.norm_builds(first, **options)[kernel] for name in cases.norm_builds((1,))},
    }.get(kernel, lambda: cases.elementwise_builds(first)[kernel])
    if options and kernel not in ("sgd_update", "adam_update") and group != "normalization":
        raise ValueError(f"{kernel} takes no options, got {', '.join(options)}")
    return build()
