"""Add your own technique in one file: the Kuwahara filter, which turns a photograph into broad strokes.

Each pixel becomes the mean of one of four squares around it, the one with the smallest variance (Kuwahara et
al., "Processing of RI-angiocardiographic images", 1976). This smooths the picture but preserves edges.
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
    radius: int = Field(default=4, ge=1, le=64, description="Width of the strokes, in pixels.")
    rounds: int = Field(default=4, ge=1, le=100, description="Number of passes over the picture.")


def kuwahara(picture: Tensor, radius: int) -> Tensor:
    """Filter a picture `(3, H, W)` once."""
    padded = F.pad(picture[None], (radius,) * 4, mode="replicate")
    mean, square = (F.avg_pool2d(x, radius + 1, stride=1) for x in (padded, padded**2))
    variance = (square - mean**2).sum(1)
    height, width = picture.shape[1:]
    corners = [(y, x) for y in (0, radius) for x in (0, radius)]  # of the four squares
    means = torch.stack([mean[0, :, y : y + height, x : x + width] for y, x in corners])  # (4, 3, H, W)
    variances = torch.stack([variance[0, y : y + height, x : x + width] for y, x in corners])  # (4, H, W)
    return means.gather(0, variances.argmin(0).expand(1, 3, -1, -1))[0]


def strokes(job: Job) -> Frames:
    """Yield the picture after each pass; new settings that are sent in apply from the next pass."""
    (picture,), settings = job.pictures("picture"), job.settings
    for number in range(1, settings.rounds + 1):
        picture = kuwahara(picture, min(settings.radius, *(side - 1 for side in picture.shape[1:])))
        settings = (yield Frame(number, settings.rounds, picture=picture)) or settings


STROKES = Technique(
    name="strokes", title="Strokes", help="A picture in broad strokes.", settings=Strokes, run=strokes,
    inputs=(Input("picture", "the picture to paint", required=True),),
    shown_first=("radius", "rounds"), live=("radius",),
)  # fmt: skip
