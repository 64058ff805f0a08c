"""What a lesson is: a question, what the lecture says, an experiment, and a finding that the data gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from lanterna.techniques.technique import Settings

Verdict = Literal["holds", "holds only when", "does not hold"]


@dataclass(frozen=True)
class Finding:
    """What came out: whether the claim holds, in words, with the numbers and the seeds that it rests on."""

    verdict: Verdict
    words: str
    numbers: Mapping[str, float]
    seeds: Sequence[int] = ()


@dataclass(frozen=True)
class Line:
    """Points `(xs[i], ys[i])` with a name: joined, or marks by themselves, or dashed."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    style: Literal["line", "marks", "dashed"] = "line"


@dataclass(frozen=True)
class Surface:
    """Heights over a rectangle, `heights[row][column]` with the first row at `bottom`, drawn as light."""

    heights: Sequence[Sequence[float]]
    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True)
class Chart:
    """Lines on two axes, each of which may be logarithmic, or count in whole numbers.

    Beneath them may lie a surface; and arrows `(x, y, dx, dy)`, which point where the numbers go.
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
    """A picture `(3, H, W)` in [0, 1] among the charts, and what is to be seen in it, in words."""

    title: str
    picture: Tensor
    words: str


@dataclass(frozen=True)
class Outcome:
    """A finding, and the charts and pictures that show it.

    `rows` are a table where a lesson has one, its head first.
    """

    finding: Finding
    charts: Sequence[Chart | Picture]
    rows: Sequence[Sequence[str]] = field(default_factory=tuple)


@dataclass(frozen=True)
class Lesson:
    """One lesson. `claim` is the lecture's, in our words; `where` says where in the code one reads on.

    `experiment` is given settings of the class `settings`, whose fields are the controls; `needs` are the
    items of the shelf that it stands on. `quick`: with its usual settings it takes a second or two, and can
    answer while a control moves.
    """

    name: str
    title: str
    question: str
    claim: str
    where: str
    settings: type[Settings]
    experiment: Callable[[Any], Outcome]
    needs: Sequence[str] = ()
    quick: bool = False
