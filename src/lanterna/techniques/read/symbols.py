"""A small network that separates digits from signs and from everything else.

A network that was trained on digits alone reads a digit in anything. This one was also trained on signs,
lines, corners, boxes, letters, scribbles, pieces of digits and touching pairs, by `scripts/train_symbols.py`.
It comes with the package, so networks that read digits, whoever trained them, remain as they are.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors.torch import load
from torch import Tensor, nn

from lanterna.networks.digits import conv, to_channels_last

if TYPE_CHECKING:
    from lanterna.networks.network import Network

SIGNS = ("+", "×", "÷", "=", "%", "(", ")")
CLASSES = (*"0123456789", *SIGNS, "other")
WEIGHTS = Path(__file__).parent / "symbols.safetensors"
_DIGITS = 10
_BATCH = 250  # a larger batch exceeds the CPU's caches


class Symbols(NamedTuple):
    """What N images are: `digit` `(N,)` is the probability that it is a digit, `sign` `(N,)` that it is the
    sign in `names`, the likeliest one. `excluded` `(N,)` is whether it is surely no digit.
    """

    digit: Tensor
    excluded: Tensor
    sign: Tensor
    names: tuple[str, ...]


def read_symbols(images: Tensor) -> Symbols:
    """Classify `(N, 1, 28, 28)` in [0, 1]."""
    if not len(images):
        return Symbols(torch.zeros(0), torch.zeros(0, dtype=torch.bool), torch.zeros(0), ())
    network, doubtful, excluded = _open()
    with torch.inference_mode():
        logits = torch.cat([network(batch) for batch in torch.split(images, _BATCH)])
    best = logits.softmax(1)[:, _DIGITS:-1].max(1)
    names = tuple(SIGNS[index] for index in best.indices.tolist())
    odds = digit_log_odds(logits)
    return Symbols(torch.sigmoid(odds - doubtful), odds < excluded, best.values, names)


def digit_log_odds(logits: Tensor) -> Tensor:
    """Return the log odds that each image is a digit, `(N,)`, from the logits of all classes."""
    return logits[:, :_DIGITS].logsumexp(1) - logits[:, _DIGITS:].logsumexp(1)


def build_symbols() -> Network:
    """Build the network, with new weights."""
    network = conv(channels=(12, 24, 32))
    output = network.layers["output"]
    assert isinstance(output, nn.Linear)
    network.layers["output"] = nn.Linear(output.in_features, len(CLASSES))
    return network


@cache
def _open() -> tuple[Network, float, float]:
    """Open the network, and the log odds below which a digit is doubtful, and below which it is none."""
    weights = load(WEIGHTS.read_bytes())
    doubtful, excluded = (float(weights.pop(name)) for name in ("doubtful", "excluded"))
    network = build_symbols()
    network.load_state_dict(weights)
    to_channels_last(network)
    return network.eval(), doubtful, excluded
