"""The command ``depthbench study``. Exit code 0: answered; 1: some of `all` could not be; 2: bad input; 130: interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

FOLDER = Path("results") / "studies"


def study(
    name: Annotated[str | None, typer.Argument(help="A study, or all. Left out: the list of studies.")] = None,
    preset: Annotated[
        str, typer.Option("--preset", help="S: embedded data, under a minute; M, L: real files, minutes and hours.")
    ] = "S",
    jobs: Annotated[int, typer.Option("-j", "--jobs", min=1, help="Workers beside each other; they share caches.")] = 1,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of studies. [results/studies]")] = None,
    redraw: Annotated[
        bool, typer.Option("--redraw", help="Measure nothing: write answers, figures and page again from study.json.")
    ] = False,
) -> None:
    """Answer a question about learning by measurement; writes a folder per study and one page of all, index.html."""
    import sys

    from bench import listing
    from bench.errors import InputError
    from bench.runs import signals_interrupt
    from bench.studies import catalog, runner
    from bench.studies.entry import PRESETS

    if name is None:
        print(listing.render("studies"))
        return
    if preset not in PRESETS:
        raise InputError(f"unknown preset {preset!r}; allowed: S, M, L")
    folder = output if output is not None else FOLDER
    chosen = list(catalog.STUDIES) if name == "all" else [catalog.get(name)]
    command = ["depthbench", *sys.argv[1:]]
    teller = runner.Teller()
    with signals_interrupt():
        try:
            failed: dict[str, str] = {}
            if redraw:
                for line in runner.redraw(chosen, folder):
                    teller.line(line)
            elif name == "all":
                failed = runner.run_all(chosen, preset, folder, command, teller, jobs=jobs)
            else:
                found = runner.run_study(chosen[0], preset, folder / name, command, teller, jobs=jobs)
                teller.line(f"{name}: {found.verdict.outcome}, {found.manifest['seconds']:.0f} s")
                print(found.sentence)
            page = runner.write_page(folder, catalog.STUDIES, failed)
        except KeyboardInterrupt:
            teller.line(f"interrupted: what is finished is kept in {folder}; the same command goes on from there")
            raise typer.Exit(runner.INTERRUPTED) from None
    print(page)
    raise typer.Exit(runner.SOME_FAILED if failed else runner.DONE)
