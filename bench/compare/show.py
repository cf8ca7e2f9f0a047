"""The answer of a comparison: for a terminal, as Markdown, or as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from bench.compare.measurements import RUN
from bench.compare.scores import WORSE, ScoreChange, StatusChange
from bench.compare.times import SAME, SLOWER, Change, geometric_mean
from bench.metrics import METRICS

#: Of what did not change, so many of the worst and of the best are shown.
SHOWN_SAME = 5


@dataclass(frozen=True)
class Answer:
    """What changed from A to B.

    Attributes
    ----------
    least : float or None
        The ratio that a change of time had to exceed.
    notes : list of str
        What a reader must know: what was left out, what could not be compared.
    """

    kind: str
    times: list[Change] = field(default_factory=list)
    scores: list[ScoreChange] = field(default_factory=list)
    statuses: list[StatusChange] = field(default_factory=list)
    least: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 where anything got worse, else 0."""
        slower = any(c.verdict == SLOWER for c in self.times)
        return int(slower or any(c.verdict == WORSE for c in (*self.scores, *self.statuses)))

    def sentence(self) -> str:
        """Return the answer in words."""
        parts = []
        if self.times:
            slower = sum(c.verdict == SLOWER for c in self.times)
            faster = sum(c.verdict not in (SLOWER, SAME) for c in self.times)
            overall = geometric_mean(self.times)
            parts.append(
                f"{slower} of {len(self.times)} timings got slower and {faster} faster, beyond noise; "
                f"over all of them B takes {overall:.2f} times as long as A"
            )
        if self.scores:
            worse = sum(c.verdict == WORSE for c in self.scores)
            better = sum(c.verdict not in (WORSE, SAME) for c in self.scores)
            text = f"{worse} of {len(self.scores)} scores got worse and {better} better, beyond chance"
            known = [c for c in self.scores if c.n_differ is not None]
            if known:
                n, differ = (sum(getattr(c, name) for c in known) for name in ("n_predictions", "n_differ"))
                text += f"; {differ:,} of {n:,} stored predictions differ" if differ else "; no stored prediction differs"
            parts.append(text)
        if self.statuses:
            worse = sum(c.verdict == WORSE for c in self.statuses)
            parts.append(f"{worse} contestants have fewer finished folds and {len(self.statuses) - worse} more")
        return "; ".join(parts) + "." if parts else "There is nothing that both have."


def to_json(answer: Answer) -> str:
    """Return everything as JSON."""
    values = {"kind": answer.kind, "sentence": answer.sentence(), "least_ratio": answer.least, "notes": answer.notes}
    values["times"] = [dataclasses.asdict(c) for c in answer.times]
    values["scores"] = [dataclasses.asdict(c) for c in answer.scores]
    values["statuses"] = [dataclasses.asdict(c) for c in answer.statuses]
    return json.dumps(values, indent=1)


def rows(answer: Answer) -> list[tuple[str, str, str, str, str]]:
    """Return the lines of the table: name, before, after, change, verdict; of what stayed the same only the extremes."""
    from bench.profiling.printing import seconds

    lines = [(c.name, f"{c.before} folds", f"{c.after} folds", c.message, c.verdict) for c in answer.statuses]
    lines += [
        (c.name, f"{c.before:.4f}", f"{c.after:.4f}", _score_change(c), c.verdict) for c in _worth_showing(answer.scores)
    ]
    return lines + [
        (c.name, seconds(c.before_s), seconds(c.after_s), f"{100 * (c.ratio - 1):+.1f} %", c.verdict)
        for c in _worth_showing(answer.times)
    ]


def _score_change(c: ScoreChange) -> str:
    scale, unit = METRICS[c.metric].shown(2)[0], f" {METRICS[c.metric].unit}"
    text = f"{scale * (c.after - c.before):+.2f}"
    if c.low is not None and c.high is not None and c.low < c.high:
        return f"{text} ({scale * c.low:+.2f} to {scale * c.high:+.2f}){unit}"
    return f"{text}{unit}"


def _worth_showing(found: list) -> list:
    same = [c for c in found if c.verdict == SAME]
    shown = same if len(same) <= 2 * SHOWN_SAME else [*same[:SHOWN_SAME], *same[-SHOWN_SAME:]]
    return [c for c in found if c.verdict != SAME or c in shown]


def markdown(answer: Answer) -> str:
    """Return the table as Markdown."""
    lines = ["| what | A | B | change | verdict |", "|---|--:|--:|--:|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows(answer)]
    return "\n".join([*lines, "", answer.sentence(), *(f"- {note}" for note in answer.notes)])


def show(answer: Answer, console: Console) -> None:
    """Print the table, the sentence and the notes."""
    table = Table(box=None, pad_edge=False)
    for name, side in (("what", "left"), ("A", "right"), ("B", "right"), ("change", "right"), ("verdict", "left")):
        table.add_column(name, justify=side, overflow="fold", no_wrap=name != "what")
    for row in rows(answer):
        style = {"slower": "red", "worse": "red", "faster": "green", "better": "green"}.get(row[-1])
        table.add_row(*row, style=style)
    console.print(table)
    if answer.least is not None:
        agree = "the folds must agree" if answer.kind == RUN else "its rounds must differ"
        console.print(f"A time must change by more than {100 * (answer.least - 1):.1f} % to count, and {agree}.")
    console.print(answer.sentence())
    for note in answer.notes:
        console.print(f"note: {note}")
