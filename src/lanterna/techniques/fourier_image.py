"""Parameterise a picture by its Fourier coefficients and uncorrelated colours, so that gradients paint well.

A gradient step on pixels spends itself on the finest noise. The same step on Fourier coefficients that are
scaled like those of photographs (amplitude falling as 1/frequency), in colours that do not correlate,
changes large shapes as readily as small ones: another way down the same slope. Olah, Mordvintsev and
Schubert, "Feature Visualization" (2017), section "Preconditioning and Parameterization"; lucid's `fft_image`
is the example that everybody follows.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Columns: bright to dark, blue to red, green to magenta: the axes along which the colours of the shelf's
# astronaut, chelsea, coffee and rocket do not correlate, each as long as its standard deviation, the longest
# of length 1. `colour_axes` measures them, each photograph's total variance counting the same.
COLOURS = ((0.601, -0.271, 0.037), (0.591, 0.034, -0.081), (0.538, 0.266, 0.048))


def colour_axes(pictures: list[Tensor]) -> Tensor:
    """The uncorrelated axes of the colours of `pictures`, `(3, H, W)` each, as the columns of `(3, 3)`.

    Principal axes, the strongest first, each scaled by its standard deviation, all divided by the longest.
    """
    covariances = [torch.cov(picture.flatten(1)) for picture in pictures]
    mean = torch.stack([covariance / covariance.trace() for covariance in covariances]).mean(0)
    variances, axes = torch.linalg.eigh(mean)
    scaled: Tensor = (axes * variances.clamp_min(0).sqrt()).flip(1)
    longest: Tensor = scaled.norm(dim=0).max()
    return scaled / longest


def decorrelate(slope: Tensor, vivid: float = 0.0) -> Tensor:
    """Bring a gradient `(3, H, W)` into the colours of photographs; a `vivid` of 1 leaves it as it is.

    Networks see a hue as readily as a shade, so a gradient paints in magenta and green, which the world
    hardly does. Its part along each of the uncorrelated axes counts by how much photographs vary along it
    (the square root of their covariance): shade before blue to red, and green to magenta last. What would
    make all of a picture lighter or darker is left out: step by step, it would burn the picture out.
    """
    slope = slope - slope.mean((1, 2), keepdim=True)
    axes = slope.new_tensor(COLOURS)
    natural = axes / axes.norm(dim=0) @ axes.T
    return torch.einsum("rc,chw->rhw", natural.lerp(torch.eye(3).to(slope), vivid), slope)


class FourierImage(nn.Module):
    """Hold `count` pictures `(count, channels, height, width)` in [0, 1] as scaled Fourier coefficients.

    Calling it gives the pictures. `fall` is how fast amplitude falls with frequency (1: as in photographs),
    `start` the contrast of the noise it begins with, `level` what it shows where all coefficients are 0 (0.5
    grey, near 0 black).
    Coefficients are drawn on the CPU, so that a seed means the same start on every device.
    """

    def __init__(
        self,
        count: int,
        channels: int,
        height: int,
        width: int,
        generator: torch.Generator,
        *,
        fall: float = 1.0,
        start: float = 0.01,
        level: float = 0.5,
    ) -> None:
        super().__init__()
        self.size = (height, width)
        self.level = math.log(level / (1 - level))
        down = torch.fft.fftfreq(height)[:, None]
        across = torch.fft.rfftfreq(width)[None, :]
        frequency = (down.square() + across.square()).sqrt()  # cycles a pixel, (H, W // 2 + 1)
        scale = frequency.clamp_min(1 / max(height, width)) ** -fall
        # A change of all coefficients by one changes pixels by about one, whatever the size and fall.
        scale = scale * (height * width) ** 0.5 / scale.square().mean().sqrt()
        self.register_buffer("scale", scale)
        self.register_buffer("colours", torch.tensor(COLOURS) if channels == 3 else torch.eye(channels))
        shape = (count, channels, height, width // 2 + 1, 2)
        self.waves = nn.Parameter(start * torch.randn(shape, generator=generator))

    def forward(self) -> Tensor:
        """The pictures, `(count, channels, H, W)` in [0, 1]."""
        waves = torch.view_as_complex(self.waves) * self.get_buffer("scale")
        plain = torch.fft.irfft2(waves, s=self.size)
        coloured = torch.einsum("rc,nchw->nrhw", self.get_buffer("colours"), plain)
        return torch.sigmoid(coloured + self.level)


def random_transform(images: Tensor, generator: torch.Generator, amount: float = 1.0) -> Tensor:
    """Shift, turn and scale each picture `(N, C, H, W)` a little at random, at the same size.

    At an `amount` of 1: shifted by up to 7 % of its side, turned by up to 15 degrees, scaled by up to a
    quarter, either way. What excites a unit only at one exact place and scale is noise; what survives this
    is a thing (the "transformation robustness" of Olah et al. 2017). Where lucid pads with grey, jitters,
    scales, turns and jitters again, this samples once (bilinear), and beyond an edge the picture goes on at
    the opposite one, as waves do: there is no border to look at, and what is made can be laid as tiles.
    """
    count, _, height, width = images.shape

    def either_way(most: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * (most * amount)

    angle, zoom = either_way(math.radians(15)), 1.25 ** either_way(1)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    across = torch.stack([cos, -sin * height / width, either_way(0.14)], 1)  # affine_grid counts from -1 to 1
    down = torch.stack([sin * width / height, cos, either_way(0.14)], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(images.shape), align_corners=False)
    grid = (grid + 1).remainder(2) - 1
    # One pixel from the opposite edge on every side, to interpolate with.
    larger = F.pad(images, (1, 1, 1, 1), mode="circular")
    grid = grid * torch.tensor([width / (width + 2), height / (height + 2)])
    return F.grid_sample(larger, grid.to(images), align_corners=False)
