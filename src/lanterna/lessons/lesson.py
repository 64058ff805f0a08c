"""The parts of a lesson: a question, the lecture's claim, an experiment, and the finding that it leads to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from lanterna.lessons.lecture import Quote
    from lanterna.techniques.technique import Settings

Verdict = Literal["holds", "holds only when", "does not hold"]
"""Whether a claim holds, as results store it. `Finding.label` is what people read."""

CODE_COLUMNS = ("in the original", "in torch")
"""The columns of a table of measurements that contain code."""

LABELS: dict[Verdict, str] = {"holds": "True", "holds only when": "Partly true", "does not hold": "Not true"}
"""The verdicts as they are shown."""


@dataclass(frozen=True)
class Finding:
    """An experiment's result: the verdict on the claim, a summary, and the numbers and seeds behind it."""

    verdict: Verdict
    words: str
    numbers: Mapping[str, float]
    seeds: Sequence[int] = ()

    @property
    def label(self) -> str:
        """The verdict as it is shown: True, Partly true or Not true."""
        return LABELS[self.verdict]

    def __str__(self) -> str:
        return f"{self.label}: {self.words}"


@dataclass(frozen=True)
class Line:
    """A named series of points `(xs[i], ys[i])`, drawn as a line, as separate marks or dashed."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    style: Literal["line", "marks", "dashed"] = "line"


@dataclass(frozen=True)
class Surface:
    """A height map over a rectangle, `heights[row][column]` from the bottom row up; brighter is higher."""

    heights: Sequence[Sequence[float]]
    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True)
class Chart:
    """Lines over two axes, named `across` and `up`. An axis may be logarithmic, or show integers only.

    A surface may lie behind the lines, and arrows `(x, y, dx, dy)` may show a vector field.
    """

    title: str
    across: str
    up: str
    lines: Sequence[Line]
    log_across: bool = False
    log_up: bool = False
    whole_across: bool = False
    surface: Surface | None = None
    arrows: Sequence[tuple[float, float, float, float]] = ()


@dataclass(frozen=True)
class Picture:
    """A picture `(3, H, W)` in [0, 1] among the charts, with a description of what it shows."""

    title: str
    picture: Tensor
    words: str


@dataclass(frozen=True)
class Outcome:
    """A finding, and the charts and pictures that show it.

    `rows` is an optional table, its header first.
    """

    finding: Finding
    charts: Sequence[Chart | Picture]
    rows: Sequence[Sequence[str]] = field(default_factory=tuple)


@dataclass(frozen=True)
class Lesson:
    """One lesson. `claim` is the lecture's, in our words; `source` is the file to read next.

    `quote` is the lecture's own line. `explanation` leads from an everyday analogy to the idea, without any
    mathematics; empty lines separate its paragraphs. `seen` says what the interactive figure shows, if
    there is one.

    `program` is a short program to read, and to edit and run in the notebook, if there is one.

    `experiment` takes an instance of `settings`, whose fields are the controls. `needs` lists the items of
    the shelf that it uses. A `quick` experiment takes a second or two with its defaults, so that it can
    follow a control while it moves.
    """

    name: str
    title: str
    question: str
    claim: str
    source: str
    settings: type[Settings]
    experiment: Callable[[Any], Outcome]
    needs: Sequence[str] = ()
    quick: bool = False
    quote: Quote | None = None
    explanation: str = ""
    seen: str = ""
    program: str = ""

    @property
    def paragraphs(self) -> list[str]:
        """The explanation's paragraphs, each on one line."""
        return [" ".join(paragraph.split()) for paragraph in self.explanation.split("\n\n") if paragraph]
