"""Replace a network's pooling by maximum with pooling by average."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, Literal

from torch import nn

if TYPE_CHECKING:
    from lanterna.networks.network import Network

Pooling = Literal["average", "maximum"]


def with_pooling(network: Network, pooling: Pooling) -> Network:
    """Return `network` with its own pooling (`maximum`), or a copy that pools by average instead.

    The copy shares the weights. Averages pass a gradient to every position, a maximum to one of four: Gatys,
    Ecker and Bethge, "A Neural Algorithm of Artistic Style" (2015), found pictures more appealing with it.
    """
    if pooling == "maximum":
        return network
    shared = {id(each): each for each in itertools.chain(network.parameters(), network.buffers())}
    copied = copy.deepcopy(network, shared)
    for parent in list(copied.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.MaxPool2d):
                setattr(parent, name, _average(module))
    return copied


def _average(pool: nn.MaxPool2d) -> nn.AvgPool2d:
    return nn.AvgPool2d(
        pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode, count_include_pad=False
    )
