"""Convert a picture to a network's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.networks.network import InputSpec

_GREY = (0.299, 0.587, 0.114)  # luma weights of red, green and blue (ITU-R BT.601)


def to_input(picture: Tensor, spec: InputSpec) -> Tensor:
    """Centre-crop a picture and resize it to the size and channels of `spec`, still in [0, 1].

    `(3, H, W)` becomes `(spec.channels, spec.size, spec.size)`: the square in the middle, `spec.crop` of the
    shorter side, resampled (bicubic, antialiased). The digit networks are trained on white ink on black, so
    a picture that is light along its edge is inverted for them.

    Errors: `UsageError` if `spec` has neither one channel nor three.
    """
    if spec.channels == 1:
        red, green, blue = _GREY
        picture = (red * picture[0] + green * picture[1] + blue * picture[2]).unsqueeze(0)
    elif spec.channels != 3:
        raise UsageError(f"a picture has 1 or 3 channels, the network takes {spec.channels}")
    height, width = picture.shape[-2:]
    side = max(1, round(min(height, width) * spec.crop))
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[:, top : top + side, left : left + side]
    if spec.is_of_digits and light_edged(square):
        square = 1 - square
    size = (spec.size, spec.size)
    if side != spec.size:
        square = F.interpolate(square.unsqueeze(0), size, mode="bicubic", antialias=True)[0]
    return square.clamp(0, 1)


def light_edged(picture: Tensor) -> bool:
    """Whether a picture `(1, H, W)` is light along its edge, as a page is and a drawn digit is not."""
    edges = (picture[0, 0], picture[0, -1], picture[0, :, 0], picture[0, :, -1])
    return float(sum(edge.median() for edge in edges) / 4) > 0.5
