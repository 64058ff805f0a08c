"""Turn a picture into a network's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from lanterna.errors import UsageError
from lanterna.networks.digits import DIGIT_INPUT

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.networks.network import InputSpec

_GREY = (0.299, 0.587, 0.114)  # how bright red, green and blue look (ITU-R BT.601)


def to_input(picture: Tensor, spec: InputSpec) -> Tensor:
    """Crop the middle of a picture, at the size and with the channels of `spec`; still in [0, 1].

    `(3, H, W)` becomes `(spec.channels, spec.size, spec.size)`: the square in the middle, `spec.crop` of the
    shorter side, resampled (bicubic, with the detail that would alias taken out). For the digit
    networks, which know white ink on black, a picture that is light along its edge is turned to its negative.

    Errors: `UsageError` where `spec` has neither one channel nor three.
    """
    if spec.channels == 1:
        red, green, blue = _GREY
        picture = (red * picture[0] + green * picture[1] + blue * picture[2]).unsqueeze(0)
    elif spec.channels != 3:
        raise UsageError(f"a picture has 1 or 3 channels, the network wants {spec.channels}")
    height, width = picture.shape[-2:]
    side = max(1, round(min(height, width) * spec.crop))
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[:, top : top + side, left : left + side]
    if spec == DIGIT_INPUT and light_edged(square):
        square = 1 - square
    size = (spec.size, spec.size)
    if side != spec.size:
        square = F.interpolate(square.unsqueeze(0), size, mode="bicubic", antialias=True)[0]
    return square.clamp(0, 1)


def light_edged(picture: Tensor) -> bool:
    """Whether a picture `(1, H, W)` is light along its edge, as a page is and a drawn digit is not."""
    along = (picture[0, 0], picture[0, -1], picture[0, :, 0], picture[0, :, -1])
    return float(sum(side.median() for side in along) / 4) > 0.5
