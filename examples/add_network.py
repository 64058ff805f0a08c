"""A network of your own in Lanterna: a function without arguments that gives a `torch.nn.Module` is all.

`lanterna look seven.png --network examples/add_network.py:mine`, and wherever else a network is asked for.
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
    """Reads a digit: two convolutions that halve the picture, and one layer that answers."""

    spec = InputSpec(channels=1, size=28, mean=(0.0,), std=(1.0,))  # what it takes: grey, 28 pixels, 0 to 1
    classes = tuple("0123456789")

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 8, kernel_size=5, stride=2)
        self.parts = nn.Conv2d(8, 16, kernel_size=3, stride=2)
        self.answer = nn.Linear(16 * 5 * 5, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Evidence for each digit, `(N, 10)`, of digits `(N, 1, 28, 28)`."""
        x = F.relu(self.edges(images))  # (N, 8, 12, 12)
        x = F.relu(self.parts(x))  # (N, 16, 5, 5)
        return self.answer(x.flatten(1))


def mine() -> nn.Module:
    """The network with its weights: those kept here, or learned now, in a second or two."""
    torch.manual_seed(0)  # the same network each time
    network = Mine()
    if not WEIGHTS.exists():
        learn(network)
        save_model(network, str(WEIGHTS))
    load_model(network, WEIGHTS)
    return network


def learn(network: nn.Module, batches: int = 300) -> None:
    """Show it some thousand digits, a hundred at a time."""
    digits = mnist("train")
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    order = torch.randperm(len(digits.images), generator=torch.Generator().manual_seed(0))
    for some in order.split(100)[:batches]:
        loss = F.cross_entropy(network(digits.images[some] / 255), digits.labels[some].long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
