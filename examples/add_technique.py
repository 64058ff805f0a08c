"""A technique of your own, in one file: Kuwahara's filter, which turns a photograph into broad strokes.

Each pixel becomes the mean of that one of four squares around it, in which the picture varies least
(Kuwahara et al., "Processing of RI-angiocardiographic images", 1976): edges stay, and all else is smoothed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field

from lanterna.techniques.technique import Frame, Input, Settings, Technique

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames


class Strokes(Settings):
    """Paint a picture with broad strokes."""

    verb: ClassVar[str] = "strokes"
    presets: ClassVar = {"fine": {"radius": 2}, "broad": {"radius": 9, "rounds": 6}}
    radius: int = Field(default=4, ge=1, le=64, description="How broad strokes are, in pixels.")
    rounds: int = Field(default=4, ge=1, le=100, description="How often the picture is gone over.")


def smoothed(picture: Tensor, radius: int) -> Tensor:
    """The picture `(3, H, W)` gone over once."""
    wide = F.pad(picture[None], (radius,) * 4, mode="replicate")
    mean, square = (F.avg_pool2d(each, radius + 1, stride=1) for each in (wide, wide**2))
    spread = (square - mean**2).sum(1)
    height, width = picture.shape[1:]
    corners = [(y, x) for y in (0, radius) for x in (0, radius)]  # of the squares above, below, left, right
    means = torch.stack([mean[0, :, y : y + height, x : x + width] for y, x in corners])  # (4, 3, H, W)
    spreads = torch.stack([spread[0, y : y + height, x : x + width] for y, x in corners])  # (4, H, W)
    return means.gather(0, spreads.argmin(0).expand(1, 3, -1, -1))[0]


def strokes(job: Job) -> Frames:
    """Yield the picture after each round; settings that are sent in count from the next one on."""
    (picture,), settings = job.pictures("picture"), job.settings
    for number in range(1, settings.rounds + 1):
        picture = smoothed(picture, min(settings.radius, *(side - 1 for side in picture.shape[1:])))
        settings = (yield Frame(number, settings.rounds, picture=picture)) or settings


STROKES = Technique(
    name="strokes", title="Strokes", help="A picture in broad strokes.", settings=Strokes, run=strokes,
    inputs=(Input("picture", "the picture to paint", required=True),),
    shown_first=("radius", "rounds"), live=("radius",),
)  # fmt: skip
