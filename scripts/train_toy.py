"""Train the tiny network that the lessons' figures read digits with, and save its weights.

    python scripts/train_toy.py

It reads 14 × 14 pixels with 24 hidden ReLU units, and was trained on digits that are scaled and centred, so
that it minds when they are not. Its weights, five kilobytes of 8-bit numbers, are a script, which the page
loads with a figure that needs them. Takes half a minute.
"""

from __future__ import annotations

import base64
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from lanterna.files import atomic_write
from lanterna.images.digits import mnist
from lanterna.lessons.loop import descend

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.images.digits import Digits

PLACE = Path(__file__).parents[1] / "src/lanterna/surfaces/web/lessons/digits.js"
UNITS, STEPS, BATCH, RATE, DECAY = 24, 6000, 256, 0.01, 3e-4
HEAD = """// A tiny network that reads digits: 14 × 14 pixels, {units} ReLU units and ten answers.
// It reads {share} of MNIST's test digits. These first lines are written by scripts/train_toy.py.

const [INPUTS, UNITS, CLASSES] = [196, {units}, 10];
const SCALES = {scales}; // of 8-bit numbers: weights, biases of each layer
const NUMBERS = `
{numbers}
`;
"""


def main() -> None:
    """Train, round to 8 bits, and write the script's first lines; those below stay."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(196, UNITS), nn.ReLU(), nn.Linear(UNITS, 10))
    images, labels = small(mnist("train")), mnist("train").labels

    def loss_fn(_: int) -> Tensor:
        batch = torch.randint(0, len(labels), (BATCH,))
        decay = sum(weight.square().sum() for weight in network.parameters())
        return F.cross_entropy(network(images[batch]), labels[batch]) + DECAY * decay

    descend(network.parameters(), loss_fn, STEPS, RATE)
    codes, scales = [], []
    for weight in network.parameters():
        scale = weight.data.abs().max() / 127
        codes.append((weight.data / scale).round().to(torch.int8).flatten())
        weight.data = codes[-1].reshape(weight.shape) * scale
        scales.append(float(f"{scale:.4g}"))
    test = mnist("test")
    share = (network(small(test)).argmax(1) == test.labels).float().mean()
    numbers = textwrap.fill(base64.b64encode(torch.cat(codes).numpy().tobytes()).decode(), 100)
    rest = PLACE.read_text(encoding="utf-8").partition("\n`;\n")[2] if PLACE.exists() else ""
    with atomic_write(PLACE) as path:
        head = HEAD.format(units=UNITS, share=f"{100 * share:.1f} %", scales=scales, numbers=numbers)
        path.write_text(head + rest, encoding="utf-8")
    print(f"reads {100 * share:.1f} % of the test digits; {PLACE} has {PLACE.stat().st_size:,} bytes")


def small(digits: Digits) -> Tensor:
    """Return digits as `(N, 196)` in [0, 1]: means of 2 × 2 pixels."""
    return F.avg_pool2d(digits.images.float() / 255, 2).flatten(1)


if __name__ == "__main__":
    sys.exit(main())
