"""What speaks against timing anything on this machine right now: other programs, throttling, a battery. Linux tells.

A `Watch` is taken before and asked after some work of ours; what the processors did meanwhile beyond that was somebody
else's. Each finding is a sentence with what to do about it. What the system does not tell is passed over.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.metering import cpu_seconds

#: Less than this of a processor may be used by others without a word; scheduling and timers take some.
_OTHERS_CPUS, _STOLEN_SHARE = 0.25, 0.02
_LITTLE_MEMORY = 0.05


@dataclass
class Watch:
    """The state of the machine at the moment that it was made.

    Parameters
    ----------
    threads : int
        How many processors the measurements want.
    n_workers : int
        How many such measurements run beside each other.
    root : Path
        Where the system's files lie.

    Examples
    --------
    >>> watch = Watch()
    >>> all(": " in text for text in watch.warnings())
    True
    """

    threads: int = 1
    n_workers: int = 1
    root: Path = Path("/")
    _start: float = field(init=False)

    def __post_init__(self):
        self._start, self._own = time.monotonic(), cpu_seconds()
        self._times, self._throttled = self._cpu_times(), self._throttle_counts()

    def warnings(self) -> list[str]:
        """Return what was wrong since, and what to do."""
        return [text for text in (*self._others(), *self._slowed(), self._battery(), self._memory()) if text]

    # -- other programs

    def others_cpus(self) -> float | None:
        """Return how many processors others kept busy since, on average; None where the system does not tell."""
        wall, now = time.monotonic() - self._start, self._cpu_times()
        if not self._times or not now or wall <= 0:
            return None
        ours = cpu_seconds() - self._own
        return max(0.0, (now["busy"] - self._times["busy"] - ours) / wall)

    def _others(self) -> list[str | None]:
        others, cores, wanted = self.others_cpus(), self._times.get("cores", _cores()), self.threads * self.n_workers
        found = []
        if wanted > cores:
            found.append(
                f"{wanted} threads on {cores} processors: they wait for each other; take fewer --threads or --jobs"
            )
        elif others is not None and others > max(_OTHERS_CPUS, cores - wanted - 1 + _OTHERS_CPUS):
            found.append(
                f"the machine is busy: other programs keep {others:.1f} of {cores} processors at work; "
                "end them, or wait, before times are compared"
            )
        now = self._cpu_times()
        if self._times and now:
            total = now["all"] - self._times["all"]
            stolen = (now["steal"] - self._times["steal"]) / total if total > 0 else 0.0
            if stolen > _STOLEN_SHARE:
                found.append(
                    f"the host gave {stolen:.0%} of the processor time to other guests: "
                    "compare ratios within a run, not seconds, or take a machine of your own"
                )
        return found

    def _cpu_times(self) -> dict[str, Any]:
        try:
            lines = (self.root / "proc/stat").read_text().splitlines()
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, lines[0].split()[1:9])
        except (OSError, ValueError, IndexError):
            return {}
        ticks = os.sysconf("SC_CLK_TCK")
        busy = user + nice + system + irq + softirq
        # all processors, though this process may be pinned to one: others are counted on all of them
        cores = sum(line.startswith("cpu") for line in lines[1:]) or _cores()
        return {"busy": busy / ticks, "steal": steal / ticks, "all": (busy + idle + iowait + steal) / ticks, "cores": cores}

    # -- slowed down

    def _slowed(self) -> list[str | None]:
        found = []
        now = self._throttle_counts()
        if any(now[name] > before for name, before in self._throttled.items() if name in now and name.startswith("hot")):
            found.append("the processor is throttled for heat: let it cool down, or cap its frequency for all runs alike")
        if now.get("quota", 0) > self._throttled.get("quota", 0):
            found.append("the container is over its share of the processor: raise its limit, or take fewer threads")
        cpu = self.root / "sys/devices/system/cpu/cpu0/cpufreq"
        limit, most = (_number(cpu / name) for name in ("scaling_max_freq", "cpuinfo_max_freq"))
        if limit and most and limit < 0.95 * most:
            text = f"the processor's frequency is capped at {limit / 1e6:.1f} of {most / 1e6:.1f} GHz"
            found.append(f"{text}: compare with runs under the same cap only, or lift it (cpupower frequency-set)")
        governor, driver = _text(cpu / "scaling_governor"), _text(cpu / "scaling_driver") or ""
        saves = governor == "powersave" and "pstate" not in driver  # there the name means another thing
        if saves or _text(cpu / "energy_performance_preference") == "power":
            found.append("the processor is set to save power: choose performance (cpupower frequency-set -g performance)")
        return found

    def _throttle_counts(self) -> dict[str, int]:
        found = {}
        for path in (self.root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/*_throttle_count"):
            found[f"hot {path}"] = _number(path) or 0
        for line in (_text(self.root / "sys/fs/cgroup/cpu.stat") or "").splitlines():
            if line.startswith("nr_throttled "):
                found["quota"] = int(line.split()[1])
        return found

    # -- power and memory

    def _battery(self) -> str | None:
        supplies = self.root / "sys/class/power_supply"
        folders = list(supplies.glob("*")) if supplies.is_dir() else []
        kinds = {folder: _text(folder / "type") for folder in folders}
        on_mains = any(_number(folder / "online") == 1 for folder, kind in kinds.items() if kind in ("Mains", "USB"))
        discharging = any(
            kind == "Battery" and _text(folder / "status") == "Discharging" and _text(folder / "scope") != "Device"
            for folder, kind in kinds.items()
        )
        if discharging and not on_mains:
            return "on battery, where processors run slower and not evenly: plug it in"
        return None

    def _memory(self) -> str | None:
        found = {}
        for line in (_text(self.root / "proc/meminfo") or "").splitlines():
            name, _, rest = line.partition(":")
            if rest.split() and rest.split()[0].isdigit():
                found[name] = int(rest.split()[0]) * 1024
        available, total = found.get("MemAvailable"), found.get("MemTotal")
        if available is not None and total and available < _LITTLE_MEMORY * total:
            return f"only {available / 2**20:.0f} MiB of memory are free: end other programs, else what is timed is the disk"
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _number(path: Path) -> int | None:
    try:
        return int(_text(path) or "")
    except ValueError:
        return None
