"""What a study consists of: `Study`, and what its functions return: `Verdict`, `Table`, `Figure`.

Measurements are plain data (what JSON can hold): they are stored as they are, and everything else is made from them. So a
verdict can be tested on constructed measurements, and figures can be drawn again without measuring anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair

    from bench.studies.context import Context

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
OUTCOMES = (SUPPORTED, REFUTED, UNDECIDED)

#: XS is for tests: about two seconds; S takes embedded data and less than 45 s on two cores; M and L take real files.
PRESETS = ("XS", "S", "M", "L")

#: What JSON can hold: mappings, lists, strings, finite numbers, None. ``rows`` is the long table, by custom.
Measurements = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What the measurements say of the claim.

    Parameters
    ----------
    outcome : {"supported", "refuted", "undecided"}
    answer : str
        One sentence in plain words, with the number that decides.
    interval : str
        The uncertainty of that number, in words: ``"95 % interval +0.8 to +2.1 points, 5 folds"``.
    figure : str
        The name of the figure that shows it.
    """

    outcome: str
    answer: str
    interval: str
    figure: str

    def __post_init__(self):
        if self.outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}, got {self.outcome!r}")


@dataclass(frozen=True)
class Table:
    """A table ready to set: all cells are text. Columns but the first `n_text` hold numbers."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_text: int = 1


@dataclass(frozen=True)
class Picture:
    """A small picture with a line below it; `png` is base64, from `charts.png`."""

    png: str
    label: str


@dataclass(frozen=True)
class Figure:
    """A chart or a grid of pictures.

    Parameters
    ----------
    name : str
        Of its file, and what a verdict refers to: letters, digits and ``_``.
    title : str
        A few words; they stand above it.
    alt : str
        What one sees in it, for those who cannot see it, and for the file's reader: a sentence or two.
    chart : altair.Chart, optional
        From the functions of `charts`.
    pictures : sequence of rows of Picture, optional
    """

    name: str
    title: str
    alt: str
    chart: altair.TopLevelMixin | None = None
    pictures: Sequence[Sequence[Picture]] = ()


@dataclass(frozen=True)
class Study:
    """A question, its method and how its answer is reached.

    Parameters
    ----------
    name : str
        One word: what is typed.
    question : str
        As a newcomer asks it.
    claim : str
        The answer that is put to the test, in one sentence.
    source : str
        Who claims it: author, title, year, place.
    refuted_if : str
        What measurement would refute the claim.
    method : str
        What is measured and how, in a few plain sentences; words of the trade are explained.
    presets : mapping
        For each of XS, S, M and L the settings that `measure` finds in ``ctx.settings``: plain data.
    measure : callable (Context) -> Measurements
    verdict : callable (Measurements) -> Verdict
        Pure: the same measurements, the same verdict.
    tables, figures : callables (Measurements) -> list of Table, of Figure
        Pure too.
    examples : callable () -> mapping of outcome to Measurements
        Constructed measurements that must give each of the three outcomes; for the tests.
    limits : str
        What the answer does not say.
    """

    name: str
    question: str
    claim: str
    source: str
    refuted_if: str
    method: str
    presets: Mapping[str, Mapping[str, Any]]
    measure: Callable[[Context], Measurements]
    verdict: Callable[[Measurements], Verdict]
    tables: Callable[[Measurements], list[Table]]
    figures: Callable[[Measurements], list[Figure]]
    examples: Callable[[], Mapping[str, Measurements]]
    limits: str = ""
    slow: bool = field(default=False)  # its XS preset is tested by `make test-all` only

    def sentence(self, verdict: Verdict, figures: Sequence[Figure]) -> str:
        """Return the whole answer: outcome, finding, interval, figure and source.

        Raises
        ------
        ValueError
            The verdict refers to a figure that is not there.
        """
        titles = {figure.name: figure.title for figure in figures}
        if verdict.figure not in titles:
            raise ValueError(f"study {self.name!r}: the verdict refers to figure {verdict.figure!r}; there are {list(titles)}")
        words = {
            SUPPORTED: "The measurements support the claim",
            REFUTED: "The measurements refute the claim",
            UNDECIDED: "The measurements do not decide",
        }[verdict.outcome]
        return (
            f"{words}: {verdict.answer} ({verdict.interval}; figure “{titles[verdict.figure]}”; claim: {self.source})"
        )
