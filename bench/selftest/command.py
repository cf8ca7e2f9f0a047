"""The command ``depthbench check``. Exit code 0: nothing is wrong (there may be warnings); 1: something is."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

FORMATS = ("text", "json")
_LABEL = 21


def check(
    backend: Annotated[
        list[str] | None, typer.Option("-b", "--backend", help="Only these backends; numba compiles for long.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, max=1024, help="With so many threads.")] = 1,
    full: Annotated[bool, typer.Option("--full", help="All edge cases of all kernels: minutes.")] = False,
    format: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Self-test: kernels, gradients, threads, workers, noise floor, machine. Exit code 1 where something is wrong."""
    from bench.names import unknown

    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    import kernels
    from bench.selftest import checks
    from kernels.threads import set_threads

    asked = [part.strip() for value in backend or [] for part in value.split(",") if part.strip()]
    for name in asked:
        if name not in kernels.backends():
            raise unknown("backend", name, kernels.backends())
    set_threads(threads)
    found = []
    for name, call in checks.every(asked or kernels.backends(), threads, full=full):
        if format == "text" and sys.stderr.isatty():
            print(f"checking {name} ...", end="\r", file=sys.stderr, flush=True)
        for finding in checks.run(name, call):
            found.append(finding)
            if format == "text":
                print(line(finding), flush=True)
    wrong = [finding for finding in found if finding.status == "wrong"]
    warned = [finding for finding in found if finding.status == "warning"]
    if format == "json":
        print(json.dumps({"ok": not wrong, "findings": [finding.to_dict() for finding in found]}, indent=2))
    else:
        print(_sum(len(found), len(wrong), len(warned)))
    raise typer.Exit(1 if wrong else 0)


def line(finding) -> str:
    """Return a finding in lines of at most 80 columns.

    Examples
    --------
    >>> from bench.selftest.checks import Finding
    >>> print(line(Finding("threads", "ok", "asked for 1, and got openblas 1")))
    ok       threads              asked for 1, and got openblas 1
    """
    import textwrap

    label = f"{finding.status.upper() if finding.status == 'wrong' else finding.status:<9}{finding.name:<{_LABEL}}"
    return textwrap.fill(finding.text, 80, initial_indent=label, subsequent_indent=" " * len(label))


def _sum(n: int, n_wrong: int, n_warned: int) -> str:
    if n_wrong:
        return f"{n_wrong} of {n} checks failed: trust no result from here before that is mended."
    if n_warned:
        return (
            f"All is right; {n_warned} warning{'s' if n_warned > 1 else ''} about how well times can be compared here and now."
        )
    return "All is right."
