"""Drawing of sheets, tables and heat maps, in the same colours and font for all of Lanterna's pictures."""

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

# A dark room with a warm light: near-black with a trace of blue, warm white, and amber.
# Amber is evidence for an answer, blue against it, which colour-blind people can distinguish too.
NIGHT: Colour = (16, 18, 24)
SHADE: Colour = (30, 33, 42)
DIM: Colour = (138, 140, 148)
LIGHT: Colour = (240, 234, 222)
AMBER: Colour = (245, 176, 65)
BLUE: Colour = (92, 158, 255)

_TITLE, _LINE = 44, 10  # of a contact sheet: the height of its title, and the space around a caption
_MAX_NAME = 200  # pixels of a class's name next to a table
_NEAREST = Image.Resampling.NEAREST


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's default font at `size` pixels."""
    return ImageFont.load_default(size)


def as_picture(image: Image.Image) -> Tensor:
    """Convert a Pillow image to a picture, `(3, H, W)` float32 in [0, 1]."""
    rgb = image.convert("RGB")
    flat = torch.frombuffer(bytearray(rgb.tobytes()), dtype=torch.uint8)
    return flat.view(rgb.height, rgb.width, 3).permute(2, 0, 1).float().div(255)


def as_image(picture: Tensor) -> Image.Image:
    """Convert a picture `(3, H, W)`, or a grey one `(1, H, W)`, in [0, 1] to a Pillow image."""
    values = (picture.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    if len(values) == 1:
        return Image.fromarray(values[0].numpy())
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def round_to_8_bits(picture: Tensor) -> Tensor:
    """Round a picture `(3, H, W)` in [0, 1] to the 8-bit values that a file stores."""
    return as_picture(as_image(picture))


def as_png(picture: Tensor) -> bytes:
    """Encode a picture as PNG, for notebooks."""
    file = io.BytesIO()
    as_image(picture).save(file, "PNG")
    return file.getvalue()


def overlay_signed(picture: Tensor, values: Tensor, side: int = 336) -> Tensor:
    """Overlay values `(H, W)` on a dimmed picture `(C, H', W')`: amber above zero, blue below.

    If there are fewer values than pixels they are interpolated. The colour saturates at the 99.5th percentile
    of the absolute values. Returns `(3, S, S')`, whose longer side has `side` pixels.
    """
    values = values.detach().float().cpu()
    full = values.abs().flatten().quantile(0.995) if values.numel() < 1 << 24 else values.abs().max()
    share = (values / full.clamp(min=1e-30)).clamp(-1, 1)
    night, amber, blue = (torch.tensor(colour).view(3, 1, 1) / 255 for colour in (NIGHT, AMBER, BLUE))
    dimmed = night + 0.35 * picture.detach().float().cpu() * (1 - night)
    shape = picture.shape[-2:]
    size = [round(side * length / max(shape)) for length in shape]
    resize = nn.functional.interpolate
    options = {"mode": "nearest-exact"} if values.shape == shape else {"mode": "bicubic", "antialias": True}
    share = resize(share[None, None], size, **options)[0].clamp(-1, 1)
    page = resize(dimmed[None], size, mode="nearest-exact" if side > max(shape) else "area")[0]
    return page + (torch.where(share > 0, amber, blue) - page) * share.abs()


def layer_sheet(layers: Mapping[str, Tensor], side: int = 64, max_maps: int = 12) -> Tensor:
    """Draw a row for each layer's activations: its strongest maps `(C, H, W)`, or its units as one strip.

    Brightness rises from zero to the layer's largest value; negative activations are dark. The first row is
    the picture itself, in colour if it has three channels.
    """
    gap, left = 8, 168
    page = Image.new("RGB", (left + max_maps * (side + gap) + gap, gap + len(layers) * (side + gap)), NIGHT)
    draw = ImageDraw.Draw(page)
    for row, (name, values) in enumerate(layers.items()):
        y, values = gap + row * (side + gap), values.detach().float().cpu()
        shape = " by ".join(map(str, values.shape[-2:]))
        size = f"{len(values)} units" if values.dim() == 1 else f"{len(values)} of {shape}"
        draw.text((2 * gap, y + side / 2 - 10), name, LIGHT, font(16), anchor="lm")
        draw.text((2 * gap, y + side / 2 + 12), shape if row == 0 else size, DIM, font(13), anchor="lm")
        for column, cell in enumerate(_layer_cells(values, row == 0, max_maps)):
            x = left + column * (side + gap)
            if values.dim() == 3:
                page.paste(as_image(cell).resize((side, side), _NEAREST), (x, y))
            else:
                strip = (max_maps * (side + gap) - gap, side // 2)
                resampling = _NEAREST if strip[0] > cell.shape[-1] else Image.Resampling.BOX
                page.paste(as_image(cell).resize(strip, resampling), (x, y + side // 4))
    return as_picture(page)


def _layer_cells(values: Tensor, picture: bool, max_maps: int) -> list[Tensor]:
    if picture and len(values) in (1, 3):
        return [values]
    light = (torch.tensor(LIGHT) / 255).view(3, 1, 1)
    dark = (torch.tensor(NIGHT) / 255).view(3, 1, 1)
    values = values.clamp(min=0) / values.max().clamp(min=1e-30)
    if values.dim() != 3:
        return [dark + (light - dark) * values.reshape(1, 1, -1)]
    strongest = values.flatten(1).square().sum(1).argsort(descending=True)[:max_maps]
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
    """Arrange pictures in rows, each `side` pixels wide and `height` high (default `side`), with captions.

    Each tile is `(3, H, W)` or `(1, H, W)` in [0, 1], resized to fit. The sheet has room for at least
    `places` tiles, so that its size does not change while pictures are added.
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
    """Return the box x0, y0, x1, y1 of each picture on a titled contact sheet of `size` (height, width)."""
    side = (size[1] - gap) // columns - gap
    pitch = (size[0] - gap - _TITLE) // -(-count // columns)
    height = pitch - gap - _letters(side) - _LINE
    corners = [
        (gap + place % columns * (side + gap), gap + _TITLE + place // columns * pitch)
        for place in range(count)
    ]
    return [(x, y, x + side, y + height) for x, y in corners]


def _letters(side: int) -> int:
    """Return the font size of a contact sheet's captions."""
    return min(18, max(13, side // 8))


def draw_confusion_matrix(
    counts: Tensor,
    names: Sequence[str],
    title: str,
    cell: int = 52,
    *,
    words: tuple[str, str] = ("written", "read as"),
) -> Tensor:
    """Draw a confusion matrix `(C, C)` of counts: true classes in rows, predictions in columns.

    Mistakes are amber, by the square root of their count so that single ones are visible. Names wider than a
    cell are written vertically above their columns.
    """
    classes = len(names)
    names = [truncate(name, font(18), _MAX_NAME) for name in names]
    widest = math.ceil(max(font(18).getlength(name) for name in names))
    upright, words_wide = widest > cell - 8, widest > 32
    left, top = 48 + widest if words_wide else 72, 96 + widest if upright else 104
    width = max(left + classes * cell, 24 + math.ceil(font(22).getlength(title)))
    page = Image.new("RGB", (width + 24, top + classes * cell + 24), NIGHT)
    draw = ImageDraw.Draw(page)
    draw.text((24, 16), title, LIGHT, font(22))
    draw.text((left, 54), words[1], DIM, font(15))
    draw.text((24 if words_wide else 12, top - 24), words[0], DIM, font(15))
    brightest = max(1.0, (counts - torch.diag(counts.diagonal())).max().item()) ** 0.5
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
            glow = 0.0 if row == column else count**0.5 / brightest
            draw.rectangle((x + 1, y + 1, x + cell - 2, y + cell - 2), _blend(SHADE, AMBER, glow))
            if count:
                ink = DIM if row == column else NIGHT if glow > 0.45 else LIGHT
                draw.text((x + cell / 2, y + cell / 2), str(count), ink, font(16), anchor="mm")
    return as_picture(page)


def _draw_upright(page: Image.Image, foot: tuple[int, int], text: str) -> None:
    """Write a text vertically, upwards from `foot`, the middle of its lower end."""
    words = Image.new("L", (math.ceil(font(18).getlength(text)), 24))
    ImageDraw.Draw(words).text((0, 12), text, 255, font(18), anchor="lm")
    words = words.transpose(Image.Transpose.ROTATE_90)
    page.paste(Image.new("RGB", words.size, LIGHT), (foot[0] - 12, foot[1] - words.height), words)


def truncate(text: str, letters: ImageFont.FreeTypeFont | ImageFont.ImageFont, max_width: float) -> str:
    """Shorten a text with an ellipsis if it is wider than `max_width` pixels."""
    if letters.getlength(text) <= max_width:
        return text
    while text and letters.getlength(f"{text}…") > max_width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def signed_picture(values: Tensor) -> Tensor:
    """Draw numbers `(H, W)` as a picture `(3, H, W)`: positive amber, negative blue, zero the background.

    The largest absolute value has full brightness.
    """
    share = values / values.abs().max().clamp_min(1e-12)
    night, amber, blue = (torch.tensor(colour).view(3, 1, 1) / 255 for colour in (NIGHT, AMBER, BLUE))
    return night + share.clamp_min(0) * (amber - night) + (-share).clamp_min(0) * (blue - night)


def signed_sheet(values: Tensor, longest: int = 400) -> Tensor:
    """Arrange `signed_picture`s of `(N, H, W)` numbers in a square grid, each scaled by itself."""
    columns = math.ceil(len(values) ** 0.5)
    gap = max(1, values.shape[2] // 14)
    tiles = [nn.functional.pad(signed_picture(plane), (gap,) * 4, value=SHADE[0] / 255) for plane in values]
    tiles += [torch.full_like(tiles[0], SHADE[0] / 255)] * (-len(tiles) % columns)
    rows = [torch.cat(tiles[start : start + columns], 2) for start in range(0, len(tiles), columns)]
    return enlarge(torch.cat(rows, 1), longest)


def enlarge(picture: Tensor, longest: int) -> Tensor:
    """Enlarge a small picture `(C, H, W)` by the largest whole factor that fits `longest` pixels."""
    times = max(1, longest // max(picture.shape[1:]))
    return picture.repeat_interleave(times, 1).repeat_interleave(times, 2)


def _blend(start: Colour, end: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(start, end, strict=True))
    return red, green, blue
