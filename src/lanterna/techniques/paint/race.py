"""Race: all four networks learn to paint one picture, side by side.

They take turns of a quarter of a second, each timed by its own clock, so that other load on the machine slows
all of them alike. At equal `seconds` each has the default settings of `lanterna paint`; at equal `parameters`
their widths, or the hash grid's tables, are chosen to give all the same number of parameters.

    for frame in race(picture, Race(size=256, seconds=5)):
        frame.picture      # the four paintings and their curves, drawn as one picture of constant size
        frame.numbers      # hash, siren, fourier and relu: PSNR in dB; seconds
    frame.runners["hash"].curve, frame.runners["hash"].jpeg

`save_film` of `lanterna.images.films` makes a film of the frames' pictures.
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
_TURN = 0.25  # seconds; less at first, when most happens
_MAX_FRAMES = 100  # of a race, approximately


class Race(Settings):
    """Train all four networks on one picture, side by side."""

    verb: ClassVar[str] = "race"

    size: int | None = Field(
        default=None, ge=8, le=4096,
        description="Pixels along the longer side; by default the picture's own, up to 512.",
    )  # fmt: skip
    seconds: float = Field(
        default=15.0, gt=0, le=86_400, description="How many seconds each trains, if no steps are given."
    )
    steps: int | None = Field(
        default=None, ge=1, le=100_000_000, description="How many steps each trains, instead of seconds."
    )
    equal: Literal["seconds", "parameters"] = Field(
        default="seconds",
        description="seconds: each trains for the same time; parameters: all are of equal size as well.",
    )
    parameters: int = Field(
        default=50_000, ge=2_000, le=4_000_000, description="How many parameters each has, if equal."
    )


@dataclass(frozen=True)
class Runner:
    """One network in the race: its painting so far, and its `curve` of (seconds, PSNR in dB).

    `jpeg` is, in the last frame, the smallest JPEG of at least the same PSNR, or None if there is none.
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
        """The current PSNR in dB."""
        return self.curve[-1][1]

    @property
    def seconds(self) -> float:
        """The training time so far."""
        return self.curve[-1][0]


@dataclass(frozen=True)
class RaceFrame(Frame):
    """The state of the race; `step` and `steps` are sums over all networks.

    `picture` shows the race; `numbers` has the PSNR of each network by name, and the longest training time as
    `seconds`.
    """

    runners: Mapping[str, Runner] = field(kw_only=True)
    settings: Race = field(kw_only=True)
    finished: bool = False


def race(
    picture: Tensor, settings: Race | None = None, *, device: str = "auto"
) -> Generator[RaceFrame, None, None]:
    """Train all networks on a picture `(3, H, W)` in [0, 1], yielding frames as they take turns.

    Errors: those of `paint`, before the first step.
    """
    settings = settings or Race()
    pixels = prepare_pixels([picture], (), settings.size, 1.0, settings.seed)
    height, width = pixels.size
    target = pixels.colours_at(torch.arange(height * width)).T.reshape(3, height, width)
    entries = {name: entry(name, settings, pixels.size) for name in NETWORKS}
    return _frames(target, settings, entries, device)


def _frames(
    target: Tensor, settings: Race, entries: Mapping[CoordinateNetwork, Paint], device: str
) -> Generator[RaceFrame, None, None]:
    for entry_settings in entries.values():  # a warm-up: what the first step loads must not be timed
        tiny = entry_settings.model_copy(update={"size": 8, "steps": 1, "finest": 8})
        deque(paint(target, tiny, device=device), maxlen=0)
    work = {name: paint(target, entry_settings, device=device) for name, entry_settings in entries.items()}
    runners: dict[str, Runner] = {}
    frames: dict[str, PaintFrame] = {}
    time_limit, turn = 0.0, max(_TURN, settings.seconds / _MAX_FRAMES)
    try:
        while work:
            time_limit += min(turn, max(0.05, time_limit / 6))
            for name in list(work):
                while name in work and (name not in runners or runners[name].seconds < time_limit):
                    frame = next(work[name], None)
                    if frame is None:
                        del work[name]
                    else:
                        frames[name] = frame
                        runners[name] = _update(runners.get(name), frame, entries[name])
            if work:
                yield _frame(settings, runners, frames)
        runners = {
            name: replace(runner, jpeg=jpeg_of_equal_psnr(target, runner.psnr))
            for name, runner in runners.items()
        }
        yield _frame(settings, runners, frames, finished=True)
    finally:
        for unfinished in work.values():
            unfinished.close()


def _update(before: Runner | None, frame: PaintFrame, settings: Paint) -> Runner:
    assert frame.picture is not None
    painting = frame.painting
    point = (frame.numbers["seconds"], frame.numbers["psnr"])
    return Runner(
        settings,
        painting,
        frame.picture,
        (*(before.curve if before else ()), point),
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
    """Return the settings with which a network enters a race, for a picture of `size` (height, width)."""
    values: dict[str, Any] = {
        "network": name, "size": max(size), "seconds": settings.seconds, "steps": settings.steps,
        "seed": settings.seed,
    }  # fmt: skip
    if settings.equal == "parameters":
        values |= match_parameters(name, settings.parameters, size)
    return Paint(**values)


def match_parameters(name: CoordinateNetwork, target: int, size: tuple[int, int]) -> dict[str, int]:
    """Return settings that bring a network of default depth nearest to `target` parameters.

    A hash grid gets the largest tables that leave room for layers of 16 neurons; the number of neurons then
    makes up the difference.
    """
    if name != "hash":
        return {"neurons": _neurons(target, size, network=name)}
    for entries in range(17, 3, -1):
        settings = {"grid_entries": entries}
        if count_parameters(size, network=name, neurons=16, **settings) <= target:
            break
    return {**settings, "neurons": _neurons(target, size, network=name, **settings)}


def _neurons(target: int, size: tuple[int, int], **settings: Any) -> int:  # settings of a plan
    """Return the number of neurons per layer that comes nearest to `target` parameters, by bisection."""
    low, high = 1, 1024
    while low < high:
        middle = (low + high) // 2
        if count_parameters(size, neurons=middle, **settings) < target:
            low = middle + 1
        else:
            high = middle
    return min(
        (neurons for neurons in (low - 1, low) if neurons > 0),
        key=lambda neurons: abs(count_parameters(size, neurons=neurons, **settings) - target),
    )


def count_parameters(size: tuple[int, int], **settings: Any) -> int:  # settings of a plan
    """Return how many parameters a network with these settings has, for a picture of that size."""
    with torch.device("meta"):
        network = Coordinates(CoordinatePlan(**settings), size)
    return sum(parameter.numel() for parameter in network.parameters())
