"""The network that learns the way from noise to digits.

Two parts, each for what it does best in little time: fully connected layers see the whole digit and sketch
it, and convolutions on the sketch and the mixture draw its strokes. After a minute on one core, the Frechet
distance of 1,000 samples without guidance was 48; for fully connected layers alone it was 80, for a U-Net,
which managed a third of the steps, 163 (all three with the papers' loss).

Its parts: residual blocks (He et al. 2016), whose activations are scaled and shifted by the time and the
class (Perez et al. 2018; Peebles and Xie 2023, section 3.2), and pixels in blocks of 2 × 2 as channels (Shi
et al. 2016), as convolutions over all 28 × 28 pixels would take four times as long.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lanterna.errors import LanternaError
from lanterna.files import atomic_write
from lanterna.networks.digits import CLASSES, SIDE

if TYPE_CHECKING:
    from pathlib import Path

_HALF = SIDE // 2
_WAVES = 32  # sines of the time, and as many cosines
_SKETCH = 4  # values that the sketch has for each block of 2 × 2 pixels


class FlowNetwork(nn.Module):
    """Predicts the digit in a mixture of digit and noise.

    From pictures `(N, 1, 28, 28)`, their times `(N,)` from 0 (noise) to 1 (digit), and their `classes`
    `(N, 10)`, the share of each class or all zero for any digit, to pictures of the same shape, in about
    [-1, 1]. `width` are the values of the fully connected part, `channels` those of the convolutions.
    """

    def __init__(self, width: int, blocks: int, channels: int, strokes: int, *, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.time = nn.Linear(2 * _WAVES, width)
            self.classes = nn.Linear(CLASSES, width, bias=False)
            nn.init.normal_(self.classes.weight)  # an embedding, larger than torch's start of a layer
            self.condition = nn.Linear(width, width)
            self.see = nn.Linear(SIDE * SIDE, width)
            self.blocks = nn.ModuleList(DenseBlock(width) for _ in range(blocks))
            self.sketch = nn.Linear(width, _HALF * _HALF * _SKETCH)
            self.join = nn.Conv2d(4 + _SKETCH, channels, 3, padding=1)
            self.strokes = nn.ModuleList(StrokeBlock(channels, width) for _ in range(strokes))
            self.output = nn.Conv2d(channels, 4, 3, padding=1)
        for parameter in self.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, mixed: Tensor, times: Tensor, classes: Tensor) -> Tensor:
        """Predict the digits in mixtures."""
        c = F.silu(self.condition(F.silu(self.time(_waves(times)) + self.classes(classes))))  # (N, width)
        x = self.see(mixed.flatten(1))  # (N, width)
        for block in self.blocks:
            x = block(x, c)
        sketch = self.sketch(x).view(-1, _HALF, _HALF, _SKETCH).permute(0, 3, 1, 2)  # (N, 4, 14, 14)
        pixels = F.pixel_unshuffle(mixed, 2).to(sketch).contiguous(memory_format=torch.channels_last)
        y = self.join(torch.cat([pixels, sketch], 1))  # (N, channels, 14, 14)
        for block in self.strokes:
            y = block(y, c)
        digits: Tensor = F.pixel_shuffle(self.output(F.silu(y)) + sketch, 2)  # (N, 1, 28, 28)
        return digits


class DenseBlock(nn.Module):
    """A residual block of two fully connected layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = _zeroed(nn.Linear(width, 3 * width))
        self.hidden = nn.Linear(width, 2 * width)
        self.out = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`(N, width)` twice to `(N, width)`."""
        scale, shift, gate = self.modulation(condition).chunk(3, 1)
        added = self.out(F.silu(self.hidden(self.norm(x) * (1 + scale) + shift)))
        total: Tensor = x + (1 + gate) * added
        return total


class StrokeBlock(nn.Module):
    """A residual block of two convolutions; at first it returns its input."""

    def __init__(self, channels: int, condition: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(condition, 2 * channels)
        self.conv2 = _zeroed(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """`(N, C, 14, 14)` and `(N, width)` to `(N, C, 14, 14)`."""
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, 1)
        added: Tensor = self.conv2(F.silu(self.conv1(x) * (1 + scale) + shift))
        return x + added


def _zeroed(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    """Set a layer's weights and biases to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def _waves(times: Tensor) -> Tensor:
    """Return sines and cosines of times `(N,)` at many frequencies, `(N, 64)` (Vaswani et al. 2017)."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000), _WAVES, device=times.device))
    phases = times[:, None] * frequencies
    return torch.cat([phases.sin(), phases.cos()], 1)


def save_network(network: FlowNetwork, path: Path, description: str) -> None:
    """Save the weights to a safetensors file, atomically, with a description of how they were learned."""
    weights = {name: value.contiguous().cpu() for name, value in network.state_dict().items()}
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(weights, {"lanterna": json.dumps(description)}))


def load_network(network: FlowNetwork, path: Path, description: str) -> FlowNetwork:
    """Load the weights that `save_network` wrote into a network of their shapes, for drawing.

    Errors: `LanternaError` if the file is damaged, or holds anything else.
    """
    try:
        with safe_open(path, "pt") as file:
            if json.loads((file.metadata() or {}).get("lanterna", "null")) != description:
                raise ValueError("other weights")
            shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
            if shapes != {name: file.get_slice(name).get_shape() for name in file.keys()}:  # noqa: SIM118
                raise ValueError("other shapes")
            weights = {name: file.get_tensor(name) for name in shapes}
        if not all(bool(value.isfinite().all()) for value in weights.values()):
            raise ValueError("weights that are not finite")
        network.load_state_dict(weights)
    except (OSError, ValueError, TypeError, SafetensorError, RuntimeError) as error:
        raise LanternaError(f"{path} is damaged: delete it, and the network learns again") from error
    return network.eval()
