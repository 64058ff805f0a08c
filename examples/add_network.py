"""Use your own network: all it takes is a function without arguments that returns a `torch.nn.Module`.

`lanterna look seven.png --network examples/add_network.py:mine`, and so for any other option `--network`.
"""

from pathlib import Path

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.nn import functional as F

from lanterna.images.digits import mnist
from lanterna.networks import InputSpec

WEIGHTS = Path("mine.safetensors")


class Mine(nn.Module):
    """A digit classifier: two strided convolutions and one fully connected layer."""

    input_spec = InputSpec(channels=1, size=28, mean=(0.0,), std=(1.0,))  # grey, 28 pixels, 0 to 1
    classes = tuple("0123456789")

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 8, kernel_size=5, stride=2)
        self.parts = nn.Conv2d(8, 16, kernel_size=3, stride=2)
        self.answer = nn.Linear(16 * 5 * 5, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits `(N, 10)` of digits `(N, 1, 28, 28)`."""
        x = F.relu(self.edges(images))  # (N, 8, 12, 12)
        x = F.relu(self.parts(x))  # (N, 16, 5, 5)
        return self.answer(x.flatten(1))


def mine() -> nn.Module:
    """Return the network with its saved weights; if there are none, train it, in a second or two."""
    torch.manual_seed(0)  # the same network every time
    network = Mine()
    if not WEIGHTS.exists():
        train(network)
        save_model(network, str(WEIGHTS))
    load_model(network, WEIGHTS)
    return network


def train(network: nn.Module, batches: int = 300) -> None:
    """Train the network on batches of a hundred digits."""
    digits = mnist("train")
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    order = torch.randperm(len(digits.images), generator=torch.Generator().manual_seed(0))
    for batch in order.split(100)[:batches]:
        loss = F.cross_entropy(network(digits.images[batch] / 255), digits.labels[batch].long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
