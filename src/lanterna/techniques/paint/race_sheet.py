"""Draw a race: the paintings side by side with their results, and their PSNR over time below."""

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
_GAP, _CAPTION, _CURVES, _JPEG = 24, 88, 220, 26  # heights in pixels; the gap is between pictures
_INKS: tuple[Colour, ...] = (AMBER, BLUE, LIGHT, DIM)  # distinct to colour-blind readers, too


@dataclass(frozen=True)
class Lane:
    """One network's column: its `picture` `(3, H, W)` and its `curve` of (seconds, dB)."""

    name: str
    picture: Tensor
    curve: tuple[tuple[float, float], ...]
    parameters: int
    bytes: int
    jpeg: Jpeg | None


def race_sheet(lanes: Sequence[Lane], seconds: float | None, *, finished: bool) -> Tensor:
    """Draw the race so far, `(3, H, 1280)`. `seconds` is the final length of the curves, if known.

    If the race is `finished`, compare each network's file with the JPEG of equal PSNR.
    """
    side = (WIDTH - _GAP * (len(lanes) + 1)) // len(lanes)
    height, width = lanes[0].picture.shape[1:]
    shown_height = min(max(1, round(side * height / width)), 2 * side)
    top = _GAP + shown_height + _CAPTION + _JPEG
    page = Image.new("RGB", (WIDTH, (top + _CURVES + 2 * _GAP) // 2 * 2), NIGHT)
    draw = ImageDraw.Draw(page)
    for index, (lane, ink) in enumerate(zip(lanes, _INKS, strict=False)):
        x = _GAP + index * (side + _GAP)
        resampling = Image.Resampling.NEAREST if width * 2 <= side else Image.Resampling.BICUBIC
        shown_width = min(side, max(1, round(shown_height * width / height)))
        image = as_image(lane.picture).resize((shown_width, shown_height), resampling)
        page.paste(image, (x + (side - shown_width) // 2, _GAP))
        y = _GAP + shown_height + 14
        elapsed, decibels = lane.curve[-1]
        draw.rectangle((x, y + 5, x + 13, y + 18), ink)
        draw.text((x + 24, y), lane.name, LIGHT, font(20))
        draw.text((x + side, y), f"{decibels:.1f} dB", LIGHT, font(20), anchor="ra")
        caption = f"{lane.parameters:,} parameters, {_format_size(lane.bytes)}"
        draw.text((x, y + 32), caption, DIM, font(15))
        draw.text((x + side, y + 32), f"{elapsed:.1f} s", DIM, font(15), anchor="ra")
        if finished:
            draw.text((x, y + 54), compare_jpeg(lane), DIM, font(15))
    _curves(draw, lanes, (_GAP, top, WIDTH - _GAP, top + _CURVES), seconds)
    return as_picture(page)


def compare_jpeg(lane: Lane) -> str:
    """Describe the JPEG of equal PSNR."""
    jpeg = lane.jpeg
    if jpeg is None:
        return "no JPEG is as good"
    if jpeg.lowest:
        return f"the smallest JPEG: {_format_size(jpeg.bytes)}, {jpeg.psnr:.1f} dB"
    return f"JPEG of equal PSNR: {_format_size(jpeg.bytes)}"


def _format_size(count: int) -> str:
    return f"{count / 1000:,.0f} kB" if count >= 10_000 else f"{count / 1000:.1f} kB"


def _curves(
    draw: ImageDraw.ImageDraw, lanes: Sequence[Lane], box: tuple[int, int, int, int], seconds: float | None
) -> None:
    left, top, right, bottom = box
    left, right = left + 40, right - 96  # leave room for the decibels and for the names at the ends
    values = [decibels for lane in lanes for _, decibels in lane.curve]
    low, high = min(10.0, min(values) // 10 * 10), max(30.0, max(values))
    duration = max(seconds or 0.0, *(lane.curve[-1][0] for lane in lanes))

    def point(time: float, decibels: float) -> tuple[float, float]:
        across = time / max(duration, 1e-9)
        return left + across * (right - left), bottom - (decibels - low) / (high - low) * (bottom - top)

    for level in range(int(low), int(high) + 1, 10):
        _, y = point(0, level)
        draw.line((left, y, right, y), SHADE)
        draw.text((left - 8, y), f"{level}", DIM, font(13), anchor="rm")
    draw.text((left - 8, bottom + 16), "dB", DIM, font(13), anchor="rm")
    draw.text((right, bottom + 16), f"{duration:.1f} s", DIM, font(13), anchor="rm")
    ends: list[tuple[float, float, str, Colour]] = []
    for lane, ink in zip(lanes, _INKS, strict=False):
        points = [point(*each) for each in lane.curve]
        if len(points) > 1:
            draw.line(points, ink, 3, joint="curve")
        x, y = points[-1]
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), ink)
        ends.append((y, x, lane.name, ink))
    _label_ends(draw, ends)


def _label_ends(draw: ImageDraw.ImageDraw, ends: list[tuple[float, float, str, Colour]]) -> None:
    """Write each name at the end of its curve, without overlaps."""
    placed: list[tuple[float, float]] = []
    for y, x, name, ink in sorted(ends):
        label_y = max([y, *(other_y + 18 for other_x, other_y in placed if abs(other_x - x) < 70)])
        draw.text((x + 12, label_y), name, ink, font(15), anchor="lm")
        placed.append((x, label_y))
