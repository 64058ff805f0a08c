"""What a page shows of a network that it cannot compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.networks.stages import Network


def recorded(
    network: Network, image: Tensor, *, answer: int | None = None, against: int | None = None
) -> tuple[dict[str, object], dict[str, Tensor]]:
    """To come."""
    raise NotImplementedError
