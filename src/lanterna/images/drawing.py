"""Drawing with words: the colours and letters of every picture that Lanterna lays out itself."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

Colour = tuple[int, int, int]

# A dark room, one warm light: near-black with a trace of blue, warm paper white, and amber.
# For an answer is amber, against it is blue, which colour-blind eyes keep apart too.
NIGHT: Colour = (16, 18, 24)
SHADE: Colour = (30, 33, 42)
DIM: Colour = (138, 140, 148)
LIGHT: Colour = (240, 234, 222)
AMBER: Colour = (245, 176, 65)
BLUE: Colour = (92, 158, 255)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The letters that come with Pillow, at `size` pixels."""
    return ImageFont.load_default(size)


def as_picture(image: Image.Image) -> Tensor:
    """A Pillow image as a picture, `(3, H, W)` float32 in [0, 1]."""
    rgb = image.convert("RGB")
    flat = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
    return flat.view(rgb.height, rgb.width, 3).permute(2, 0, 1).float().div(255)


def as_image(picture: Tensor) -> Image.Image:
    """A picture `(3, H, W)`, or a grey one `(1, H, W)`, in [0, 1] as a Pillow image."""
    values = (picture.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    if len(values) == 1:
        return Image.fromarray(values[0].numpy())
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def contact_sheet(
    tiles: Sequence[tuple[Tensor, str]], *, columns: int, side: int, title: str = "", gap: int = 16
) -> Tensor:
    """Pictures in rows, each `side` pixels wide and high with its caption beneath, under a title.

    Each tile is `(3, H, W)` or `(1, H, W)` in [0, 1], enlarged or reduced to the square.
    """
    words, line = font(max(13, side // 8)), max(13, side // 8) + 10
    top = gap + (44 if title else 0)
    rows = -(-len(tiles) // columns)
    size = (gap + columns * (side + gap), top + rows * (side + line + gap))
    page = Image.new("RGB", size, NIGHT)
    draw = ImageDraw.Draw(page)
    if title:
        draw.text((gap, gap), title, LIGHT, font(22))
    for place, (picture, caption) in enumerate(tiles):
        x = gap + place % columns * (side + gap)
        y = top + place // columns * (side + line + gap)
        page.paste(as_image(picture).resize((side, side), Image.Resampling.BICUBIC), (x, y))
        draw.text((x, y + side + 4), caption, DIM, words)
    return as_picture(page)


def table_of_answers(counts: Tensor, names: Sequence[str], title: str, cell: int = 52) -> Tensor:
    """How often each true class (rows) was given each answer (columns), `(C, C)` whole numbers, as a picture.

    Mistakes glow amber, by the square root of their count so that single ones are seen.
    """
    classes = len(names)
    left, top = 72, 104
    page = Image.new("RGB", (left + classes * cell + 24, top + classes * cell + 24), NIGHT)
    draw = ImageDraw.Draw(page)
    draw.text((24, 16), title, LIGHT, font(22))
    draw.text((left, 54), "read as", DIM, font(15))
    draw.text((12, top - 24), "written", DIM, font(15))
    most = max(1.0, (counts - torch.diag(counts.diagonal())).max().item()) ** 0.5
    for row in range(classes):
        y = top + row * cell
        draw.text((left - 20, y + cell / 2), names[row], LIGHT, font(18), anchor="mm")
        draw.text((left + (row + 0.5) * cell, top - 14), names[row], LIGHT, font(18), anchor="mm")
        for column in range(classes):
            x, count = left + column * cell, int(counts[row, column])
            glow = 0.0 if row == column else count**0.5 / most
            draw.rectangle((x + 1, y + 1, x + cell - 2, y + cell - 2), _between(SHADE, AMBER, glow))
            if count:
                ink = DIM if row == column else NIGHT if glow > 0.45 else LIGHT
                draw.text((x + cell / 2, y + cell / 2), str(count), ink, font(16), anchor="mm")
    return as_picture(page)


def signed_picture(values: Tensor) -> Tensor:
    """Numbers `(H, W)` as a picture `(3, H, W)`: above zero amber, below it blue, zero the page itself.

    The largest, of either sign, is as bright as can be.
    """
    share = values / values.abs().max().clamp_min(1e-12)
    night, amber, blue = (torch.tensor(colour).view(3, 1, 1) / 255 for colour in (NIGHT, AMBER, BLUE))
    return night + share.clamp_min(0) * (amber - night) + (-share).clamp_min(0) * (blue - night)


def _between(start: Colour, end: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    return red, green, blue
