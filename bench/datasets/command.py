"""`depthbench data list`, `fetch` and `verify`: which data sets there are, bring their files, check them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from bench.errors import InputError

BAD_INPUT, NOT_RIGHT = 2, 1

app = typer.Typer(
    help="Data sets: list them, fetch their files, verify what is at hand.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _answers_bad_input(command: Callable) -> Callable:
    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except InputError as e:
            print(f"error: {e}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from None

    return wrapped


@app.command(name="list")
@_answers_bad_input
def list_(
    names: Annotated[list[str] | None, typer.Argument(help="Say all of these; one line for each data set if left out.")] = None,
) -> None:
    """Show what there is, whether it is at hand, its terms and published scores; of data sets named, everything."""
    from bench import datasets
    from bench.datasets import cache, show

    if names:
        print("\n\n".join(show.details(datasets.get(name)) for name in names))
        return
    print(show.overview(datasets.DATASETS))
    print("pmlb:<name>, openml:<id>  any table of the Penn Machine Learning Benchmarks, any data set of OpenML")
    print(f"Files lie below {cache.folder()} ({cache.VARIABLE} names another folder).")


@app.command()
@_answers_bad_input
def fetch(names: Annotated[list[str], typer.Argument(help="Data sets; pmlb:<name> and openml:<id> too.")]) -> None:
    """Bring the files of data sets, verified; what is there already is not fetched again."""
    from bench import datasets

    for name in names:
        datasets.get(name)  # a typo in the last name costs no download of the first
    for name in names:
        paths = datasets.fetch(name)
        for path in paths:
            print(f"{name}  {path}")
        if not paths:
            print(f"{name}  embedded, nothing to fetch")


@app.command()
@_answers_bad_input
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Data sets; all that have a file at hand if left out.")] = None,
) -> None:
    """Read files and compare their SHA-256; exit code 1 where one is wrong, or one that was asked for is missing."""
    from bench import datasets
    from bench.datasets import cache, pmlb

    known = [*datasets.DATASETS, *map(pmlb.entry, pmlb.stored())]
    found = {
        file: cache.state(file)
        for dataset in ([datasets.get(name) for name in names] if names else known)
        for file in (cache.choose(dataset.sources) if dataset.sources else ())
    }
    if not names:
        found = {file: state for file, state in found.items() if state != "missing"}
    for file, state in found.items():
        print(f"{state:<7}  {cache.path_of(file)}")
    wrong = sum(state != "ok" for state in found.values())
    print(f"{len(found) - wrong} right, {wrong} not" if found else "no file to verify")
    if wrong:
        raise typer.Exit(NOT_RIGHT)
