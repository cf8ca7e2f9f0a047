"""Memory of a training step, ours and PyTorch's: ``python -m bench.micro.memory -o results/kernels/memory``

Each contestant trains in a process of its own. There it first trains tiny networks, so that libraries, code and thread pools
are loaded; then it notes its resident memory, builds the network at the batch size asked for and takes some steps. *Peak* is
the most that was resident above the note during the steps, the median of five processes: parameters, gradients, the
optimizer's state, activations, working buffers, the batch itself. *Growth* is what 10,000 further steps on small batches add
to the resident memory: a leak of one float per step would be 40 kB of it.

Memory that was used and freed stays with the process, and whoever needs some takes of that first. An import of PyTorch leaves
megabytes of it, in which a whole MLP has room without being seen. So what is free is given back to the system (malloc_trim)
before the note, and again between building and stepping.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import psutil
import typer

NETWORKS = ("lenet5", "conv16_32", "conv32_64", "vgg_small", "mlp")
BATCH, STEPS, PROCESSES = 128, 20, 5
GROWTH_BATCH, GROWTH_STEPS = 2, 10_000


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    return psutil.Process().memory_info().rss


def peak_bytes() -> int | None:
    """Return the most that was resident since :func:`forget_peak`; None where the system does not tell (Linux does)."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM")), None)


def forget_peak() -> None:
    """Begin the mark of the peak anew (Linux: proc(5), clear_refs)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def give_back() -> None:
    """Give freed memory back to the system, where the C library can (glibc)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def measure(network: str, contestant: str, batch: int, steps: int, growth_steps: int) -> dict[str, int | None]:
    """Train in this process and return ``peak_bytes`` above its start and ``growth_bytes``."""
    from bench.micro.peers import networks

    small = [networks.prepare("training", networks.Setting(name, 2, 1), contestant) for name in ("lenet5", "mlp")]

    def train_small() -> None:
        for step in 3 * small:
            step()

    train_small()  # loads code, pools and the optimizers
    give_back()
    train_small()  # takes back what every step needs
    before = resident_bytes()
    step = networks.prepare("training", networks.Setting(network, batch, 1), contestant)
    give_back()
    forget_peak()
    for _ in range(steps):
        step()
    peak = peak_bytes()
    step = networks.prepare("training", networks.Setting(network, GROWTH_BATCH, 1), contestant)
    for _ in range(max(20, growth_steps // 10)):
        step()
    gc.collect()
    settled = resident_bytes()
    for _ in range(growth_steps):
        step()
    gc.collect()
    return {"peak_bytes": None if peak is None else peak - before, "growth_bytes": resident_bytes() - settled}


def in_process(network: str, contestant: str, batch: int, steps: int, growth_steps: int) -> dict[str, int | None]:
    """Return what :func:`measure` finds in a process of its own."""
    code = (
        "import json, sys; from bench.micro.memory import measure; network, contestant, *n = sys.argv[1:]; "
        "print(json.dumps(measure(network, contestant, *map(int, n))))"
    )
    arguments = [network, contestant, *map(str, (batch, steps, growth_steps))]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def markdown(rows: list[dict], command: str) -> str:
    """Return the measurements as a table."""

    def mib(value: int | None) -> str:
        return "-" if value is None else f"{value / 2**20:.1f}"

    lines = [
        "# Memory of a training step", "",
        "| network | batch | contestant | peak MiB | growth MiB over 10,000 steps | PyTorch's peak over this one |",
        "|---|--:|---|--:|--:|--:|",
    ]  # fmt: skip
    for row in rows:
        peers = [r["peak_bytes"] for r in rows if r["network"] == row["network"] and r["contestant"].startswith("torch")]
        peers = [p for p in peers if p]
        ours = not row["contestant"].startswith("torch")
        ratio = f"{min(peers) / row['peak_bytes']:.2f}x" if ours and peers and row["peak_bytes"] else "-"
        names = f"| {row['network']} | {row['batch']} | {row['contestant']} |"
        lines.append(f"{names} {mib(row['peak_bytes'])} | {mib(row['growth_bytes'])} | {ratio} |")
    how = (
        "Resident memory during the steps above that of the process before the network was built, freed memory given back "
        "before both; one thread, the median of several processes for each line."
    )
    return "\n".join([*lines, "", how, "", f"Made by `{command}`."]) + "\n"


def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for table.md and memory.json.")],
    networks: Annotated[str, typer.Option(help="Comma-separated.")] = ",".join(NETWORKS),
    growth_steps: Annotated[int, typer.Option(min=1, help="Steps of the search for leaks.")] = GROWTH_STEPS,
    processes: Annotated[int, typer.Option(min=1, help="Processes of each contestant; the median peak counts.")] = PROCESSES,
) -> None:
    """Measure every network, on the Cython kernels and, where it is installed, on PyTorch."""
    import importlib.util

    rows = []
    for network in networks.split(","):
        peers = ([] if network == "mlp" else ["torch-nchw"]) + ["torch" if network == "mlp" else "torch-nhwc"]
        for contestant in ["cython", *(peers if importlib.util.find_spec("torch") else [])]:
            steps = growth_steps if contestant == "cython" else 1
            found = in_process(network, contestant, BATCH, STEPS, steps)
            peaks = [found["peak_bytes"]]
            peaks += [in_process(network, contestant, BATCH, STEPS, 1)["peak_bytes"] for _ in range(processes - 1)]
            found["peak_bytes"] = None if None in peaks else int(statistics.median(peaks))
            if contestant != "cython":
                found["growth_bytes"] = None
            rows.append({"network": network, "batch": BATCH, "contestant": contestant, **found, "peaks_bytes": peaks})
            typer.echo(f"{network} {contestant}: {found}", err=True)
    command = " ".join(["python -m bench.micro.memory", *sys.argv[1:]])
    output.mkdir(parents=True, exist_ok=True)
    (output / "memory.json").write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    (output / "table.md").write_text(markdown(rows, command), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
