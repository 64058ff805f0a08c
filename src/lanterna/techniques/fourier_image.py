"""Parameterise a picture by its Fourier coefficients and decorrelated colours, to precondition its gradients.

A gradient step on pixels changes mostly the finest noise. The same step on Fourier coefficients that are
scaled like those of photographs (amplitude falling as 1/frequency), in decorrelated colours, changes large
shapes as much as small ones: the objective stays the same, and only the direction of steepest ascent changes.
Olah, Mordvintsev and Schubert, "Feature Visualization" (2017), section "Preconditioning and
Parameterization"; the reference implementation is lucid's `fft_image`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Columns: bright to dark, blue to red, green to magenta. These are the principal axes of the colours of four
# photographs on the shelf (astronaut, chelsea, coffee, rocket), measured by `colour_axes`.
COLOURS = ((0.601, -0.271, 0.037), (0.591, 0.034, -0.081), (0.538, 0.266, 0.048))


def colour_axes(pictures: list[Tensor]) -> Tensor:
    """Return the principal axes of the colours of `pictures`, `(3, H, W)` each, as the columns of `(3, 3)`.

    The strongest comes first. Each is scaled by its standard deviation, and all are divided by the longest.
    Pictures count equally: their covariances are divided by their total variance.
    """
    covariances = [torch.cov(picture.flatten(1)) for picture in pictures]
    mean = torch.stack([covariance / covariance.trace() for covariance in covariances]).mean(0)
    variances, axes = torch.linalg.eigh(mean)
    scaled: Tensor = (axes * variances.clamp_min(0).sqrt()).flip(1)
    longest: Tensor = scaled.norm(dim=0).max()
    return scaled / longest


def decorrelate(gradient: Tensor, vivid: float = 0.0) -> Tensor:
    """Give a gradient `(3, H, W)` the colour statistics of photographs; a `vivid` of 1 leaves it unchanged.

    Networks respond to hue as much as to brightness, so raw gradients paint in magenta and green, which are
    rare in photographs. The component along each principal axis is scaled by its standard deviation in
    photographs (the square root of their covariance): brightness most, then blue to red, then green to
    magenta. The mean of each channel is removed: over many steps it would burn the picture out.
    """
    gradient = gradient - gradient.mean((1, 2), keepdim=True)
    axes = gradient.new_tensor(COLOURS)
    natural = axes / axes.norm(dim=0) @ axes.T
    return torch.einsum("rc,chw->rhw", natural.lerp(torch.eye(3).to(gradient), vivid), gradient)


class FourierImage(nn.Module):
    """Pictures `(count, channels, height, width)` in [0, 1], parameterised by scaled Fourier coefficients.

    `fall` is the exponent with which amplitude falls with frequency (1: as in photographs), `start` the std
    of the initial coefficients, `level` the value of pixels if all coefficients are 0 (0.5: grey, near 0:
    black). The initial coefficients are drawn on the CPU, so that a seed starts alike on every device.
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
        frequency = (down.square() + across.square()).sqrt()  # cycles per pixel, (H, W // 2 + 1)
        scale = frequency.clamp_min(1 / max(height, width)) ** -fall
        # Changing all coefficients by 1 changes pixels by about 1, for every size and fall.
        scale = scale * (height * width) ** 0.5 / scale.square().mean().sqrt()
        self.register_buffer("scale", scale)
        self.register_buffer("colours", torch.tensor(COLOURS) if channels == 3 else torch.eye(channels))
        shape = (count, channels, height, width // 2 + 1, 2)
        self.coefficients = nn.Parameter(start * torch.randn(shape, generator=generator))

    def forward(self) -> Tensor:
        """Return the pictures, `(count, channels, H, W)` in [0, 1]."""
        scaled = torch.view_as_complex(self.coefficients) * self.get_buffer("scale")
        decorrelated = torch.fft.irfft2(scaled, s=self.size)
        colours = torch.einsum("rc,nchw->nrhw", self.get_buffer("colours"), decorrelated)
        return torch.sigmoid(colours + self.level)


def random_transform(images: Tensor, generator: torch.Generator, amount: float = 1.0) -> Tensor:
    """Shift, rotate and scale each picture `(N, C, H, W)` a little at random, at the same size.

    With an `amount` of 1: shifts of up to 7 % of a side, rotations of up to 15 degrees, and scaling by up to
    a quarter, either way. A pattern that excites a unit at one exact position and scale only is noise
    (the "transformation robustness" of Olah et al. 2017). Lucid pads with grey, jitters, scales, rotates and
    jitters again; this samples once (bilinear), with circular padding as in the Fourier basis: so there is no
    border to respond to, and the pictures tile seamlessly.
    """
    count, _, height, width = images.shape

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * (limit * amount)

    angle, zoom = uniform(math.radians(15)), 1.25 ** uniform(1)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    across = torch.stack(
        [cos, -sin * height / width, uniform(0.14)], 1
    )  # in the coordinates of affine_grid, -1 to 1
    down = torch.stack([sin * width / height, cos, uniform(0.14)], 1)
    grid = F.affine_grid(torch.stack([across, down], 1), list(images.shape), align_corners=False)
    grid = (grid + 1).remainder(2) - 1
    # Pad one pixel from the opposite edge on every side, for the interpolation.
    padded = F.pad(images, (1, 1, 1, 1), mode="circular")
    grid = grid * torch.tensor([width / (width + 2), height / (height + 2)])
    return F.grid_sample(padded, grid.to(images), align_corners=False)
