"""The command ``python -m bench.fit_speed``."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

PARTS = ("epoch", "race", "memory")
RESULT = "fit_speed.json"


def _manifest() -> dict[str, Any]:
    from bench.environment import isa, machine

    return {
        "command": " ".join(["python -m bench.fit_speed", *sys.argv[1:]]),
        "utc": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {**machine(), "isa": isa()},
    }


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of seeds; write whole numbers with commas, as 0,1,2") from None


def _chosen(text: str) -> list[str]:
    parts = text.split(",")
    if wrong := [part for part in parts if part not in PARTS]:
        raise typer.BadParameter(f"{wrong[0]!r} is not a part; there are {', '.join(PARTS)}")
    return parts


def _write(output: Path, values: dict[str, Any]) -> None:
    from bench.fit_speed.table import markdown

    output.mkdir(parents=True, exist_ok=True)
    (output / RESULT).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    (output / "table.md").write_text(markdown(values), encoding="utf-8")


def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for table.md and fit_speed.json.")],
    parts: Annotated[str, typer.Option(help="Which parts to measure, comma-separated.")] = ",".join(PARTS),
    seeds: Annotated[str, typer.Option(help="Of the races, comma-separated.")] = "0,1,2",
    dataset: Annotated[str, typer.Option("-d", "--dataset", help="Images with an official split.")] = "fashion_mnist",
    networks: Annotated[str | None, typer.Option(help="Of the memory part, comma-separated.")] = None,
) -> None:
    """Measure one epoch, the race to an accuracy, and memory; what was measured before and is not measured now stays."""
    from bench.fit_speed import data, epoch, memory, race

    path = output / RESULT
    values = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"dataset": dataset, "manifests": {}}
    if values["dataset"] != dataset:
        raise typer.BadParameter(f"{path} holds figures of {values['dataset']!r}; give {dataset!r} another folder")
    made = values["manifests"]  # of each figure, as they need not be of one call
    for part in _chosen(parts):
        if part == "epoch":
            made["epoch"] = _manifest()
            values["epoch"] = epoch.measure(*data.training_part(dataset))
            typer.echo(f"epoch: {values['epoch']['seconds']:.2f} s", err=True)
        elif part == "race":
            images = data.images(dataset)
            for seed in _numbers(seeds):
                found = race.measure(images, seed)
                others = [r for r in values.get("races", []) if r["seed"] != seed]
                made[f"race {seed}"] = _manifest()
                values["races"] = sorted([*others, found], key=lambda r: r["seed"])
                typer.echo(f"race {seed}: { {n: r['seconds'] for n, r in found['records'].items()} }", err=True)
                _write(output, values)
        else:
            for network in networks.split(",") if networks else memory.NETWORKS:
                found = memory.in_process(network, dataset)
                others = [r for r in values.get("memory", []) if r["network"] != network]
                made[f"memory {network}"] = _manifest()
                values["memory"] = sorted([*others, found], key=lambda r: [*memory.NETWORKS, r["network"]].index(r["network"]))
                typer.echo(f"memory: {found}", err=True)
        _write(output, values)


if __name__ == "__main__":
    typer.run(main)
