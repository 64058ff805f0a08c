"""A race, drawn: the paintings side by side with what they have reached, their PSNR over time below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from lanterna.images.drawing import AMBER, BLUE, DIM, LIGHT, NIGHT, SHADE, Colour, as_image, as_picture, font

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.techniques.paint.jpeg_comparison import Jpeg

WIDTH = 1280
_GAP, _WORDS, _CURVES = 24, 88, 220  # pixels: between pictures, for what is said of each, and the curves
_JPEG = 26
_INKS: tuple[Colour, ...] = (AMBER, BLUE, LIGHT, DIM)  # apart for colour-blind eyes as well


@dataclass(frozen=True)
class Lane:
    """What is shown of one network: `picture` `(3, H, W)`, `curve` of (seconds, dB)."""

    name: str
    picture: Tensor
    curve: tuple[tuple[float, float], ...]
    parameters: int
    bytes: int
    jpeg: Jpeg | None


def race_sheet(lanes: Sequence[Lane], seconds: float | None, *, finished: bool) -> Tensor:
    """The race so far, `(3, H, 1280)`. `seconds` is how long the curves will be, where that is known.

    Where the race is `finished`, each network's file is set beside the JPEG that is as good.
    """
    side = (WIDTH - _GAP * (len(lanes) + 1)) // len(lanes)
    height, width = lanes[0].picture.shape[1:]
    tall = min(max(1, round(side * height / width)), 2 * side)
    top = _GAP + tall + _WORDS + _JPEG
    page = Image.new("RGB", (WIDTH, (top + _CURVES + 2 * _GAP) // 2 * 2), NIGHT)
    draw = ImageDraw.Draw(page)
    for place, (lane, ink) in enumerate(zip(lanes, _INKS, strict=False)):
        x = _GAP + place * (side + _GAP)
        how = Image.Resampling.NEAREST if width * 2 <= side else Image.Resampling.BICUBIC
        wide = min(side, max(1, round(tall * width / height)))
        page.paste(as_image(lane.picture).resize((wide, tall), how), (x + (side - wide) // 2, _GAP))
        y = _GAP + tall + 14
        reached, decibels = lane.curve[-1]
        draw.rectangle((x, y + 5, x + 13, y + 18), ink)
        draw.text((x + 24, y), lane.name, LIGHT, font(20))
        draw.text((x + side, y), f"{decibels:.1f} dB", LIGHT, font(20), anchor="ra")
        about = f"{lane.parameters:,} parameters, {_size(lane.bytes)}"
        draw.text((x, y + 32), about, DIM, font(15))
        draw.text((x + side, y + 32), f"{reached:.1f} s", DIM, font(15), anchor="ra")
        if finished:
            draw.text((x, y + 54), beside(lane), DIM, font(15))
    _curves(draw, lanes, (_GAP, top, WIDTH - _GAP, top + _CURVES), seconds)
    return as_picture(page)


def beside(lane: Lane) -> str:
    """A network's file beside the JPEG that is as good, in words."""
    jpeg = lane.jpeg
    if jpeg is None:
        return "no JPEG is as good"
    if jpeg.least:
        return f"the least JPEG: {_size(jpeg.bytes)}, {jpeg.psnr:.1f} dB"
    return f"a JPEG as good: {_size(jpeg.bytes)}"


def _size(count: int) -> str:
    return f"{count / 1000:,.0f} kB" if count >= 10_000 else f"{count / 1000:.1f} kB"


def _curves(
    draw: ImageDraw.ImageDraw, lanes: Sequence[Lane], box: tuple[int, int, int, int], seconds: float | None
) -> None:
    left, top, right, bottom = box
    left, right = left + 40, right - 96  # for the decibels, and for the names where curves end
    reached = [decibels for lane in lanes for _, decibels in lane.curve]
    low, high = min(10.0, min(reached) // 10 * 10), max(30.0, max(reached))
    most = max(seconds or 0.0, *(lane.curve[-1][0] for lane in lanes))

    def place(moment: float, decibels: float) -> tuple[float, float]:
        across = moment / max(most, 1e-9)
        return left + across * (right - left), bottom - (decibels - low) / (high - low) * (bottom - top)

    for level in range(int(low), int(high) + 1, 10):
        _, y = place(0, level)
        draw.line((left, y, right, y), SHADE)
        draw.text((left - 8, y), f"{level}", DIM, font(13), anchor="rm")
    draw.text((left - 8, bottom + 16), "dB", DIM, font(13), anchor="rm")
    draw.text((right, bottom + 16), f"{most:.1f} s", DIM, font(13), anchor="rm")
    ends: list[tuple[float, float, str, Colour]] = []
    for lane, ink in zip(lanes, _INKS, strict=False):
        points = [place(*each) for each in lane.curve]
        if len(points) > 1:
            draw.line(points, ink, 3, joint="curve")
        x, y = points[-1]
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), ink)
        ends.append((y, x, lane.name, ink))
    _apart(draw, ends)


def _apart(draw: ImageDraw.ImageDraw, ends: list[tuple[float, float, str, Colour]]) -> None:
    """Write each name where its curve ends, none over another."""
    placed: list[tuple[float, float]] = []
    for y, x, name, ink in sorted(ends):
        lower = max([y, *(above + 18 for beside, above in placed if abs(beside - x) < 70)])
        draw.text((x + 12, lower), name, ink, font(15), anchor="lm")
        placed.append((x, lower))
