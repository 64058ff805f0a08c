"""Drawing with words: the colours and letters of every picture that Lanterna lays out itself."""

from __future__ import annotations

import io
import math
from functools import cache
from typing import TYPE_CHECKING

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Colour = tuple[int, int, int]

# A dark room, one warm light: near-black with a trace of blue, warm paper white, and amber.
# For an answer is amber, against it is blue, which colour-blind eyes keep apart too.
NIGHT: Colour = (16, 18, 24)
SHADE: Colour = (30, 33, 42)
DIM: Colour = (138, 140, 148)
LIGHT: Colour = (240, 234, 222)
AMBER: Colour = (245, 176, 65)
BLUE: Colour = (92, 158, 255)

_TITLE, _LINE = 44, 10  # of a contact sheet: pixels for its title, and those around a line of words
_NAME_MOST = 200  # pixels of a class's name beside a table
_NEAREST = Image.Resampling.NEAREST


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


def round_to_8_bits(picture: Tensor) -> Tensor:
    """A picture `(3, H, W)` in [0, 1] as a file would give it back."""
    return as_picture(as_image(picture))


def as_png(picture: Tensor) -> bytes:
    """A picture as the bytes of a PNG file, as notebooks show it."""
    file = io.BytesIO()
    as_image(picture).save(file, "PNG")
    return file.getvalue()


def overlay_signed(picture: Tensor, values: Tensor, side: int = 336) -> Tensor:
    """Values `(H, W)` as light over a dimmed picture `(C, H', W')`: amber above zero, blue below.

    Where there are fewer values than pixels they are interpolated. The colour is full at the value that one
    place in two hundred exceeds in size. `(3, S, S')`, the longer side `side` pixels.
    """
    values = values.detach().float().cpu()
    full = values.abs().flatten().quantile(0.995) if values.numel() < 1 << 24 else values.abs().max()
    share = (values / full.clamp(min=1e-30)).clamp(-1, 1)
    night, amber, blue = (torch.tensor(each).view(3, 1, 1) / 255 for each in (NIGHT, AMBER, BLUE))
    dimmed = night + 0.35 * picture.detach().float().cpu() * (1 - night)
    shape = picture.shape[-2:]
    size = [round(side * length / max(shape)) for length in shape]
    resize = nn.functional.interpolate
    how = {"mode": "nearest-exact"} if values.shape == shape else {"mode": "bicubic", "antialias": True}
    share = resize(share[None, None], size, **how)[0].clamp(-1, 1)
    page = resize(dimmed[None], size, mode="nearest-exact" if side > max(shape) else "area")[0]
    return page + (torch.where(share > 0, amber, blue) - page) * share.abs()


def layer_sheet(layers: Mapping[str, Tensor], side: int = 64, most: int = 12) -> Tensor:
    """A row for each layer of one picture: its strongest maps `(C, H, W)` as light, or its units as a strip.

    Each map is lit from zero to its layer's largest value; below zero nothing shines. A picture with three
    channels is drawn in its colours.
    """
    gap, left = 8, 168
    page = Image.new("RGB", (left + most * (side + gap) + gap, gap + len(layers) * (side + gap)), NIGHT)
    draw = ImageDraw.Draw(page)
    for row, (name, values) in enumerate(layers.items()):
        y, values = gap + row * (side + gap), values.detach().float().cpu()
        shape = " by ".join(map(str, values.shape[-2:]))
        what = f"{len(values)} units" if values.dim() == 1 else f"{len(values)} of {shape}"
        draw.text((2 * gap, y + side / 2 - 10), name, LIGHT, font(16), anchor="lm")
        draw.text((2 * gap, y + side / 2 + 12), shape if row == 0 else what, DIM, font(13), anchor="lm")
        for column, tile in enumerate(_tiles(values, row == 0, most)):
            x = left + column * (side + gap)
            if values.dim() == 3:
                page.paste(as_image(tile).resize((side, side), _NEAREST), (x, y))
            else:
                strip = (most * (side + gap) - gap, side // 2)
                how = _NEAREST if strip[0] > tile.shape[-1] else Image.Resampling.BOX
                page.paste(as_image(tile).resize(strip, how), (x, y + side // 4))
    return as_picture(page)


def _tiles(values: Tensor, picture: bool, most: int) -> list[Tensor]:
    if picture and len(values) in (1, 3):
        return [values]
    light = (torch.tensor(LIGHT) / 255).view(3, 1, 1)
    dark = (torch.tensor(NIGHT) / 255).view(3, 1, 1)
    values = values.clamp(min=0) / values.max().clamp(min=1e-30)
    if values.dim() != 3:
        return [dark + (light - dark) * values.reshape(1, 1, -1)]
    strongest = values.flatten(1).square().sum(1).argsort(descending=True)[:most]
    return [dark + (light - dark) * values[index] for index in strongest.sort().values]


def contact_sheet(
    tiles: Sequence[tuple[Tensor, str]],
    *,
    columns: int,
    side: int,
    height: int | None = None,
    places: int = 0,
    title: str = "",
    gap: int = 16,
) -> Tensor:
    """Pictures in rows, each `side` pixels wide and `height` high (else as high), its caption beneath.

    Each tile is `(3, H, W)` or `(1, H, W)` in [0, 1], enlarged or reduced to that size. The sheet has room
    for as many as `places`, where there are fewer so far.
    """
    height = height or side
    letters, top = _letters(side), gap + (_TITLE if title else 0)
    words, line = font(letters), letters + _LINE
    rows = -(-max(len(tiles), places) // columns)
    size = (gap + columns * (side + gap), top + rows * (height + line + gap))
    page = Image.new("RGB", size, NIGHT)
    draw = ImageDraw.Draw(page)
    if title:
        draw.text((gap, gap), title, LIGHT, font(22))
    for place, (picture, caption) in enumerate(tiles):
        x = gap + place % columns * (side + gap)
        y = top + place // columns * (height + line + gap)
        page.paste(as_image(picture).resize((side, height), Image.Resampling.BICUBIC), (x, y))
        draw.text((x, y + height + 4), truncate(caption, words, side + gap - 4), DIM, words)
    return as_picture(page)


def contact_sheet_boxes(
    size: tuple[int, int], count: int, *, columns: int, gap: int = 16
) -> list[tuple[int, int, int, int]]:
    """Where the pictures of a titled contact sheet of `size` (height, width) are: x0, y0, x1, y1 of each."""
    side = (size[1] - gap) // columns - gap
    pitch = (size[0] - gap - _TITLE) // -(-count // columns)
    height = pitch - gap - _letters(side) - _LINE
    corners = [
        (gap + place % columns * (side + gap), gap + _TITLE + place // columns * pitch)
        for place in range(count)
    ]
    return [(x, y, x + side, y + height) for x, y in corners]


def _letters(side: int) -> int:
    """How large the words are beneath a picture of a contact sheet."""
    return min(18, max(13, side // 8))


def draw_confusion_matrix(
    counts: Tensor,
    names: Sequence[str],
    title: str,
    cell: int = 52,
    *,
    words: tuple[str, str] = ("written", "read as"),
) -> Tensor:
    """How often each true class (rows) was given each answer (columns), `(C, C)` whole numbers, as a picture.

    Mistakes glow amber, by the square root of their count so that single ones are seen. Names that are wider
    than a cell stand upright over their columns.
    """
    classes = len(names)
    names = [truncate(name, font(18), _NAME_MOST) for name in names]
    widest = math.ceil(max(font(18).getlength(name) for name in names))
    upright, words_wide = widest > cell - 8, widest > 32
    left, top = 48 + widest if words_wide else 72, 96 + widest if upright else 104
    width = max(left + classes * cell, 24 + math.ceil(font(22).getlength(title)))
    page = Image.new("RGB", (width + 24, top + classes * cell + 24), NIGHT)
    draw = ImageDraw.Draw(page)
    draw.text((24, 16), title, LIGHT, font(22))
    draw.text((left, 54), words[1], DIM, font(15))
    draw.text((24 if words_wide else 12, top - 24), words[0], DIM, font(15))
    most = max(1.0, (counts - torch.diag(counts.diagonal())).max().item()) ** 0.5
    for row in range(classes):
        y, middle = top + row * cell, left + (row + 0.5) * cell
        if words_wide:
            draw.text((left - 12, y + cell / 2), names[row], LIGHT, font(18), anchor="rm")
        else:
            draw.text((left - 20, y + cell / 2), names[row], LIGHT, font(18), anchor="mm")
        if upright:
            _draw_upright(page, (round(middle), top - 8), names[row])
        else:
            draw.text((middle, top - 14), names[row], LIGHT, font(18), anchor="mm")
        for column in range(classes):
            x, count = left + column * cell, int(counts[row, column])
            glow = 0.0 if row == column else count**0.5 / most
            draw.rectangle((x + 1, y + 1, x + cell - 2, y + cell - 2), _between(SHADE, AMBER, glow))
            if count:
                ink = DIM if row == column else NIGHT if glow > 0.45 else LIGHT
                draw.text((x + cell / 2, y + cell / 2), str(count), ink, font(16), anchor="mm")
    return as_picture(page)


def _draw_upright(page: Image.Image, foot: tuple[int, int], text: str) -> None:
    """Words that climb from `foot`, the middle of their lower end."""
    words = Image.new("L", (math.ceil(font(18).getlength(text)), 24))
    ImageDraw.Draw(words).text((0, 12), text, 255, font(18), anchor="lm")
    words = words.transpose(Image.Transpose.ROTATE_90)
    page.paste(Image.new("RGB", words.size, LIGHT), (foot[0] - 12, foot[1] - words.height), words)


def truncate(text: str, letters: ImageFont.FreeTypeFont | ImageFont.ImageFont, most: float) -> str:
    """The text, cut short with an ellipsis where it would be wider than `most` pixels."""
    if letters.getlength(text) <= most:
        return text
    while text and letters.getlength(f"{text}…") > most:
        text = text[:-1]
    return f"{text.rstrip()}…"


def signed_picture(values: Tensor) -> Tensor:
    """Numbers `(H, W)` as a picture `(3, H, W)`: above zero amber, below it blue, zero the page itself.

    The largest, of either sign, is as bright as can be.
    """
    share = values / values.abs().max().clamp_min(1e-12)
    night, amber, blue = (torch.tensor(colour).view(3, 1, 1) / 255 for colour in (NIGHT, AMBER, BLUE))
    return night + share.clamp_min(0) * (amber - night) + (-share).clamp_min(0) * (blue - night)


def signed_sheet(values: Tensor, longest: int = 400) -> Tensor:
    """Many such pictures, `(N, H, W)` numbers, in a square of rows, each as bright as can be."""
    columns = math.ceil(len(values) ** 0.5)
    gap = max(1, values.shape[2] // 14)
    tiles = [nn.functional.pad(signed_picture(each), (gap,) * 4, value=SHADE[0] / 255) for each in values]
    tiles += [torch.full_like(tiles[0], SHADE[0] / 255)] * (-len(tiles) % columns)
    rows = [torch.cat(tiles[start : start + columns], 2) for start in range(0, len(tiles), columns)]
    return enlarge(torch.cat(rows, 1), longest)


def enlarge(picture: Tensor, longest: int) -> Tensor:
    """A small picture `(C, H, W)` with each pixel a square, as large as goes into `longest` pixels."""
    times = max(1, longest // max(picture.shape[1:]))
    return picture.repeat_interleave(times, 1).repeat_interleave(times, 2)


def _between(start: Colour, end: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    return red, green, blue
