"""The measurements as a page: what was asked for, what was measured, and the details."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

#: What is asked of one epoch of lenet5, on a machine of that ceiling; and of memory.
EPOCH_S, CEILING_GFLOPS, ADDED_BYTES = 3.0, 270.0, 150e6


def scaled(epoch: Mapping[str, Any]) -> float:
    """Return the seconds of an epoch on a machine of the ceiling in the bar, if all of it were multiply-adds.

    Examples
    --------
    >>> scaled({"seconds": 4.0, "fma_gflops": 135.0})
    2.0
    """
    return epoch["seconds"] * epoch["fma_gflops"] / CEILING_GFLOPS


def ratios(races: list[Mapping[str, Any]]) -> list[float]:
    """Return PyTorch's seconds over ours, seed by seed, of the races in which both arrived."""
    found = []
    for race in races:
        ours, theirs = (race["records"][name]["seconds"] for name in ("cython", race["torch"]))
        if ours and theirs:
            found.append(theirs / ours)
    return found


def _bars(values: Mapping[str, Any]) -> list[str]:
    lines = ["| what | must | measured | met |", "|---|---|---|---|"]

    def line(what: str, must: str, measured: str, met: bool) -> None:
        lines.append(f"| {what} | {must} | {measured} | {'yes' if met else 'no'} |")

    if epoch := values.get("epoch"):
        at = f"{epoch['seconds']:.2f} s at {epoch['fma_gflops']:.0f} GFLOP/s, which is {scaled(epoch):.2f} s at 270"
        must = f"< {EPOCH_S:.0f} s at a ceiling of {CEILING_GFLOPS:.0f} GFLOP/s"
        met = min(epoch["seconds"], scaled(epoch)) < EPOCH_S
        line(f"one epoch of {epoch['model']}, {epoch['n_samples']:,} images, 1 core", must, at, met)
    if races := values.get("races"):
        found, target = ratios(races), races[0]["target"]
        what = f"seconds to {target:.2f} accuracy, PyTorch's over ours"
        if found:
            text = f"median {statistics.median(found):.2f}x, least {min(found):.2f}x, of {len(races)} seeds"
        else:
            text = f"no race of {len(races)} in which both arrived"
        line(what, "> 1x", text, bool(found) and statistics.median(found) > 1.0)
    if memory := values.get("memory"):
        known = [row for row in memory if row["added_bytes"] is not None]
        most = max(known, key=lambda row: row["added_bytes"], default=None)
        text = "-" if most is None else f"at most {most['added_bytes'] / 1e6:.0f} MB ({most['network']})"
        met = most is not None and most["added_bytes"] < ADDED_BYTES
        line("fit adds to the data", f"< {ADDED_BYTES / 1e6:.0f} MB", text, met)
    return lines


def _epoch(epoch: Mapping[str, Any]) -> list[str]:
    fits = ", ".join(f"{s:.2f}" for s in epoch["fit_s"])
    return [
        "## One epoch", "",
        f"`fit` of {epoch['model']} with max_iter=1 and batches of {epoch['batch_size']}, on {epoch['n_samples']:,} images of "
        f"float32, checks of the data and standardization included: {fits} s on one thread, median {epoch['seconds']:.2f} s. "
        f"The machine's ceiling, measured beside it: {epoch['fma_gflops']:.0f} GFLOP/s. The figure at 270 GFLOP/s is that "
        "median times the ceiling over 270: as if nothing but arithmetic took time, so it is a reckoning, no measurement.",
    ]  # fmt: skip


def _races(races: list[Mapping[str, Any]]) -> list[str]:
    first = races[0]
    lines = [
        "## Race", "",
        f"{first['network']}, batches of {first['batch']}, SGD with Nesterov momentum {first['momentum']}, learning rate "
        f"{first['learning_rate']} falling to 0 along half a cosine of {first['most_epochs']} epochs, "
        f"weight decay {first['weight_decay']:.2g} on weights: the same starting weights and the "
        "same batches in the same order for both, one thread each, epochs in turn. Seconds of training until the accuracy on "
        f"the test part is first {first['target']:.2f} or more; evaluation is not counted. PyTorch's way is the one whose step "
        "was the fastest here.", "",
        "| seed | contestant | epochs | seconds | seconds per epoch | accuracy reached | PyTorch's seconds over ours |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for race in races:
        ratio = "".join(f"{r:.2f}x" for r in ratios([race])) or "-"
        for name in ("cython", race["torch"]):
            record = race["records"][name]
            seconds = "-" if record["seconds"] is None else f"{record['seconds']:.1f}"
            lines.append(
                f"| {race['seed']} | {name} | {len(record['epoch_s'])} | {seconds} | "
                f"{statistics.median(record['epoch_s']):.2f} | {max(record['accuracy']):.4f} | "
                f"{ratio if name == 'cython' else ''} |"
            )
    steps = {n: [race["torch_step_s"][n] for race in races if n in race["torch_step_s"]] for n in first["torch_step_s"]}
    ways = ", ".join(f"{name} {1e3 * statistics.median(values):.2f} ms" for name, values in steps.items())
    return [*lines, "", f"A step of PyTorch on such a batch: {ways}."]


def _memory(rows: list[Mapping[str, Any]]) -> list[str]:
    lines = [
        "## Memory", "",
        "The peak of the resident memory during `fit` (one epoch) above what was resident before, in a process of its own that "
        f"holds the data, {rows[0]['n_samples']:,} images of float32, {rows[0]['data_bytes'] / 1e6:.0f} MB.", "",
        "| network | batch | added MB |", "|---|--:|--:|",
    ]  # fmt: skip
    for row in rows:
        added = "-" if row["added_bytes"] is None else f"{row['added_bytes'] / 1e6:.1f}"
        lines.append(f"| {row['network']} | {row['batch_size']} | {added} |")
    return lines


def markdown(values: Mapping[str, Any]) -> str:
    """Return the page of whatever has been measured."""
    lines = [f"# What a fit costs, on {values['dataset']}", "", *_bars(values)]
    for part, make in (("epoch", _epoch), ("races", _races), ("memory", _memory)):
        if values.get(part):
            lines += ["", *make(values[part])]
    for command, machine in {part["command"]: part["machine"] for part in values["manifests"].values()}.items():
        commit = (machine.get("git") or {}).get("commit", "")[:12]
        where = f"on {machine['cpu']}, instruction set {machine['isa']}, commit {commit or 'unknown'}"
        lines += ["", f"Made by `{command}` {where}."]
    return "\n".join(lines) + "\n"
