"""Race: one picture, painted by all four networks side by side.

They take turns, a quarter of a second each, and every one has its own clock, so that whatever else the
machine does slows all of them alike. At equal `seconds` each is as `lanterna paint` makes it; at equal
`parameters` their widths, or the hash grid's tables, are chosen so that all have as many numbers to learn.

    for frame in race(picture, Race(size=256, seconds=5)):
        frame.picture      # the four paintings and their curves, drawn as one picture: a film has these
        frame.numbers      # hash, siren, fourier and relu: PSNR in dB; seconds
    frame.runners["hash"].curve, frame.runners["hash"].jpeg

`save_film` of `lanterna.images.films` makes a film of the frames' pictures; all are of one size.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import torch
from pydantic import Field

from lanterna.networks.coordinate_plan import CoordinateNetwork, CoordinatePlan
from lanterna.networks.coordinates import Coordinates
from lanterna.techniques.paint.algorithm import Paint, PaintFrame, paint
from lanterna.techniques.paint.jpeg_comparison import Jpeg, jpeg_of_equal_psnr
from lanterna.techniques.paint.pixels import prepare_pixels
from lanterna.techniques.paint.race_sheet import Lane, race_sheet
from lanterna.techniques.technique import Frame, Settings

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from torch import Tensor

    from lanterna.techniques.paint.painting import Painting

NETWORKS: tuple[CoordinateNetwork, ...] = get_args(CoordinateNetwork)
_TURN = 0.25  # seconds, and less at first, when most happens
_FRAMES = 100  # of a race, about, at most


class Race(Settings):
    """Let all four networks paint one picture, side by side."""

    verb: ClassVar[str] = "race"

    size: int | None = Field(
        default=None, ge=8, le=4096,
        description="Pixels along the longer side; the picture's own, up to 512, if not given.",
    )  # fmt: skip
    seconds: float = Field(
        default=15.0, gt=0, le=86_400, description="How long each learns, where no steps are given."
    )
    steps: int | None = Field(
        default=None, ge=1, le=100_000_000, description="How many steps each learns, in place of seconds."
    )
    equal: Literal["seconds", "parameters"] = Field(
        default="seconds",
        description="seconds: each as suits it, in equal time; parameters: with as many numbers as well.",
    )
    parameters: int = Field(
        default=50_000, ge=2_000, le=4_000_000, description="How many numbers each has (equal parameters)."
    )


@dataclass(frozen=True)
class Runner:
    """One of the four: its painting so far, and how good it was when. `curve` has (seconds, dB).

    `jpeg` is, in the last frame, the smallest JPEG that is no worse; None where none is as good.
    """

    settings: Paint
    painting: Painting = field(repr=False)
    picture: Tensor = field(repr=False)
    curve: tuple[tuple[float, float], ...]
    parameters: int
    bytes: int
    jpeg: Jpeg | None = None

    @property
    def psnr(self) -> float:
        """In dB, now."""
        return self.curve[-1][1]

    @property
    def seconds(self) -> float:
        """Of work, so far."""
        return self.curve[-1][0]


@dataclass(frozen=True)
class RaceFrame(Frame):
    """How far the race has come: `step` of `steps` of all together.

    `picture` is the whole race, drawn; `numbers` the PSNR of each network by name, and `seconds` of each.
    """

    runners: Mapping[str, Runner] = field(kw_only=True)
    settings: Race = field(kw_only=True)
    finished: bool = False


def race(
    picture: Tensor, settings: Race | None = None, *, device: str = "auto"
) -> Generator[RaceFrame, None, None]:
    """Paint a picture `(3, H, W)` in [0, 1] with all networks, yielding frames as they take turns.

    Errors: those of `paint`; `UsageError` before the first step.
    """
    settings = settings or Race()
    pixels = prepare_pixels([picture], (), settings.size, 1.0, settings.seed)
    height, width = pixels.size
    goal = pixels.colours_of(torch.arange(height * width)).T.reshape(3, height, width)
    entries = {name: entry(name, settings, pixels.size) for name in NETWORKS}
    return _frames(goal, settings, entries, device)


def _frames(
    goal: Tensor, settings: Race, entries: Mapping[CoordinateNetwork, Paint], device: str
) -> Generator[RaceFrame, None, None]:
    for each in entries.values():  # what is loaded at the first step is not of anyone's time
        tiny = each.model_copy(update={"size": 8, "steps": 1, "finest": 8})
        deque(paint(goal, tiny, device=device), maxlen=0)
    work = {name: paint(goal, each, device=device) for name, each in entries.items()}
    runners: dict[str, Runner] = {}
    frames: dict[str, PaintFrame] = {}
    mark, turn = 0.0, max(_TURN, settings.seconds / _FRAMES)
    try:
        while work:
            mark += min(turn, max(0.05, mark / 6))
            for name in list(work):
                while name in work and (name not in runners or runners[name].seconds < mark):
                    frame = next(work[name], None)
                    if frame is None:
                        del work[name]
                    else:
                        frames[name] = frame
                        runners[name] = _further(runners.get(name), frame, entries[name])
            if work:
                yield _frame(settings, runners, frames)
        runners = {
            each: replace(runner, jpeg=jpeg_of_equal_psnr(goal, runner.psnr))
            for each, runner in runners.items()
        }
        yield _frame(settings, runners, frames, finished=True)
    finally:
        for rest in work.values():
            rest.close()


def _further(before: Runner | None, frame: PaintFrame, settings: Paint) -> Runner:
    assert frame.picture is not None
    painting = frame.painting
    reached = (frame.numbers["seconds"], frame.numbers["psnr"])
    return Runner(
        settings,
        painting,
        frame.picture,
        (*(before.curve if before else ()), reached),
        before.parameters if before else painting.parameters,
        before.bytes if before else painting.bytes,
    )


def _frame(
    settings: Race,
    runners: Mapping[str, Runner],
    frames: Mapping[str, PaintFrame],
    *,
    finished: bool = False,
) -> RaceFrame:
    lanes = [
        Lane(name, each.picture, each.curve, each.parameters, each.bytes, each.jpeg)
        for name, each in runners.items()
    ]
    numbers = {name: each.psnr for name, each in runners.items()}
    return RaceFrame(
        step=sum(frame.step for frame in frames.values()),
        steps=sum(frame.steps for frame in frames.values()),
        numbers={**numbers, "seconds": max(each.seconds for each in runners.values())},
        picture=race_sheet(lanes, None if settings.steps else settings.seconds, finished=finished),
        runners=dict(runners),
        settings=settings,
        finished=finished,
    )


def entry(name: CoordinateNetwork, settings: Race, size: tuple[int, int]) -> Paint:
    """What one network enters a race with, for a picture of `size` (height, width)."""
    values: dict[str, Any] = {
        "network": name, "size": max(size), "seconds": settings.seconds, "steps": settings.steps,
        "seed": settings.seed,
    }  # fmt: skip
    if settings.equal == "parameters":
        values |= match_parameters(name, settings.parameters, size)
    return Paint(**values)


def match_parameters(name: CoordinateNetwork, goal: int, size: tuple[int, int]) -> dict[str, int]:
    """Settings of a network that come nearest to `goal` numbers to learn, its depth as it suits it.

    A hash grid has tables as large as leave a quarter of the numbers, or 16 neurons at least, to the layers
    behind it; their neurons fill up what is left.
    """
    if name != "hash":
        return {"neurons": _neurons(goal, size, network=name)}
    for entries in range(17, 3, -1):
        settings = {"grid_entries": entries}
        if count_parameters(size, network=name, neurons=16, **settings) <= goal:
            break
    return {**settings, "neurons": _neurons(goal, size, network=name, **settings)}


def _neurons(goal: int, size: tuple[int, int], **settings: Any) -> int:  # settings of a plan
    """How many neurons in each layer come nearest to `goal` parameters: they grow with every neuron."""
    low, high = 1, 1024
    while low < high:
        middle = (low + high) // 2
        if count_parameters(size, neurons=middle, **settings) < goal:
            low = middle + 1
        else:
            high = middle
    return min(
        (each for each in (low - 1, low) if each > 0),
        key=lambda each: abs(count_parameters(size, neurons=each, **settings) - goal),
    )


def count_parameters(size: tuple[int, int], **settings: Any) -> int:  # settings of a plan
    """How many numbers a network with these settings learns, for a picture of that size."""
    with torch.device("meta"):
        network = Coordinates(CoordinatePlan(**settings), size)
    return sum(parameter.numel() for parameter in network.parameters())
