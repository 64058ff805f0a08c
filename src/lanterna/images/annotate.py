"""Pictures of a page's readings: the page with its digits marked, and the steps from page to digit."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from lanterna.images.drawing import AMBER, BLUE, DIM, LIGHT, NIGHT, SHADE, Colour, as_image, as_picture, font

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.images.ink import Page
    from lanterna.images.normalise import Normalised
    from lanterna.images.segments import Segment

_PANEL = 420
_GAP = 24
_DIGIT = 84


class Mark(NamedTuple):
    """A digit to be marked: `box` is x0, y0, x1, y1 in pixels of the original picture."""

    digit: int
    confidence: float
    box: tuple[float, float, float, float]
    doubtful: bool


def draw_marks(picture: Tensor, marks: Sequence[Mark], size: tuple[int, int]) -> Tensor:
    """Draw a box around each digit of a page `(3, H, W)`, with its reading and confidence.

    Confident readings are amber, doubtful ones blue; the length of the bar below each box is the confidence.
    `size` is the width and height of the original picture, in whose pixels the boxes are.
    """
    scale = min(2.0, 1600 / max(picture.shape[1:])) if max(picture.shape[1:]) < 1600 else 1.0
    page = as_image(picture)
    page = page.resize((round(page.width * scale), round(page.height * scale)), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(page)
    ratio = (page.width / size[0], page.height / size[1])
    line = max(2, round(max(page.size) / 700))
    middle = sorted(mark.box[3] - mark.box[1] for mark in marks)[len(marks) // 2] * ratio[1] if marks else 0.0
    letters = font(int(min(max(0.3 * middle, 11), 0.03 * max(page.size))))
    for mark in marks:
        colour = BLUE if mark.doubtful else AMBER
        x0, y0, x1, y1 = (value * ratio[place % 2] for place, value in enumerate(mark.box))
        x0, y0, x1, y1 = x0 - 2 * line, y0 - 2 * line, x1 + 2 * line, y1 + 2 * line
        draw.rounded_rectangle((x0, y0, x1, y1), 3 * line, outline=colour, width=line)
        draw.rectangle((x0, y1 + line, x0 + (x1 - x0) * mark.confidence, y1 + 2 * line), fill=colour)
        _label(draw, str(mark.digit) + ("?" if mark.doubtful else ""), x0, y0, letters, colour)
    return as_picture(page)


def _label(
    draw: ImageDraw.ImageDraw, words: str, x: float, y: float, letters: object, colour: Colour
) -> None:
    """Write a reading on a dark tag above its box, or inside the box at the upper edge of the page."""
    left, top, right, bottom = draw.textbbox((0, 0), words, font=letters)  # type: ignore[arg-type]
    pad = 0.22 * (bottom - top) + 2
    high = bottom - top + 2 * pad
    y = y - high - pad if y - high - pad >= 0 else y + pad
    draw.rounded_rectangle((x, y, x + right - left + 2 * pad, y + high), pad, fill=NIGHT)
    draw.text((x + pad - left, y + pad - top), words, colour, letters)  # type: ignore[arg-type]


def draw_steps(
    page: Page, segments: Sequence[Segment], digits: Normalised, marks: Sequence[Mark], max_digits: int = 12
) -> Tensor:
    """Draw every step from the page to the network's input, `(3, H, W)`.

    Six pictures show the full page; below are up to `max_digits` of its digits, step by step.
    """
    level = 1 - page.ink
    panels = [
        ("original", as_image(page.original)),
        ("grey, along the colour of the ink", as_image(page.evened.grey[None].clamp(0, 1))),
        ("lighting evened out", as_image(1 - page.evened.ink[None])),
        (_rotation_caption(page), as_image(1 - page.ruled[None])),
        ("lines removed" if page.lines or page.rules else "ink found", as_image(level[None])),
        ("1 segment" if len(segments) == 1 else f"{len(segments)} segments", _draw_boxes(level, segments)),
    ]
    height = round(_PANEL * page.picture.shape[1] / page.picture.shape[2])
    height = min(max(height, 160), 560)
    chosen = list(range(len(segments)))[:: max(1, -(-len(segments) // max_digits))]
    rows = 5 if chosen else 0
    width = _GAP + 3 * (_PANEL + _GAP)
    top = 76 + 2 * (height + 52)
    sheet = Image.new("RGB", (width, top + (rows * (_DIGIT + 12) + 68 if rows else 0)), NIGHT)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, 22), "From the page to the network", LIGHT, font(28))
    for place, (words, image) in enumerate(panels):
        x, y = _GAP + place % 3 * (_PANEL + _GAP), 76 + place // 3 * (height + 52)
        image = image.convert("RGB")
        image.thumbnail((_PANEL, height), Image.Resampling.LANCZOS)
        draw.rectangle((x, y, x + _PANEL, y + height), SHADE)
        sheet.paste(image, (x + (_PANEL - image.width) // 2, y + (height - image.height) // 2))
        draw.text((x, y + height + 8), words, DIM, font(17))
    if chosen:
        _draw_digits(draw, sheet, top, chosen, segments, digits, marks)
    return as_picture(sheet)


def _rotation_caption(page: Page) -> str:
    if abs(page.turn) <= 0.3:
        return "ink, page already level"
    return f"rotated back by {abs(page.turn):.1f} degrees"


def _draw_boxes(level: Tensor, segments: Sequence[Segment]) -> Image.Image:
    image = as_image(level[None]).convert("RGB")
    draw = ImageDraw.Draw(image)
    for segment in segments:
        draw.rectangle(segment.box, outline=(196, 120, 20), width=max(2, image.width // 400))
    return image


def _draw_digits(
    draw: ImageDraw.ImageDraw,
    sheet: Image.Image,
    top: int,
    chosen: Sequence[int],
    segments: Sequence[Segment],
    digits: Normalised,
    marks: Sequence[Mark],
) -> None:
    steps = [
        ("cropped", [torch.from_numpy(segments[n].ink) for n in chosen]),
        ("box of 20 by 20", list(digits.boxed[list(chosen), 0])),
        ("centre of mass", list(digits.centred[list(chosen), 0])),
        ("slant removed", list(digits.upright[list(chosen), 0])),
        ("what the network sees", list(digits.images[list(chosen), 0])),
    ]
    left = 210
    pitch = min(_DIGIT + 12, (sheet.width - left - _GAP) // max(len(chosen), 1))
    side = pitch - 10
    for row, (words, images) in enumerate(steps):
        y = top + row * (_DIGIT + 12)
        draw.text((_GAP, y + side / 2), words, DIM, font(17), anchor="lm")
        for column, image in enumerate(images):
            x = left + column * pitch
            sheet.paste(_thumbnail(image, side), (x, y))
    y = top + len(steps) * (_DIGIT + 12)
    draw.text((_GAP, y + 16), "read as", DIM, font(17), anchor="lm")
    for column, number in enumerate(chosen):
        mark = marks[number]
        colour = BLUE if mark.doubtful else AMBER
        middle = left + (column + 0.5) * pitch - (pitch - side) / 2
        draw.text((middle, y + 14), str(mark.digit), colour, font(30), anchor="mm")
        draw.text((middle, y + 42), f"{mark.confidence:.0%}", DIM, font(15), anchor="mm")


def _thumbnail(image: Tensor, side: int) -> Image.Image:
    """Fit a digit's picture into a square, with its aspect ratio preserved."""
    picture = as_image(image[None])
    scale = (side - 8) / max(picture.size) if picture.size != (28, 28) else side / 28
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    drawn = picture.resize(
        size, Image.Resampling.BICUBIC if max(picture.size) > 28 else Image.Resampling.NEAREST
    )
    square = Image.new("RGB", (side, side), (0, 0, 0))
    square.paste(drawn.convert("RGB"), ((side - size[0]) // 2, (side - size[1]) // 2))
    return square
