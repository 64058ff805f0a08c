"""Classifying: what is in a picture, in a network's own classes, one picture or thousands."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from lanterna.errors import LanternaError, UsageError
from lanterna.images import open_picture
from lanterna.networks import open_network, to_input
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lanterna.images.decoding import Source
    from lanterna.networks.network import InputSpec, Network

BATCH = 16
"""Pictures that go through the network together: more fill the memory and are no faster on a CPU."""

LONGEST = 1024
"""The longest side at which a photograph is decoded: several times what any of the networks looks at."""


class Classify(Settings):
    """Say what is in a picture."""

    verb: ClassVar[str] = "classify"

    network: str = Field(
        default="efficientnet-lite0", min_length=1, description="Which network answers, or module:function."
    )
    top: int = Field(default=5, ge=1, le=1000, description="How many answers to give, the likeliest first.")


@dataclass(frozen=True)
class Answer:
    """One class, by its index and name, and how likely the network holds it."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True)
class Classified:
    """What was given, and the answers, the likeliest first; or no answers and the error of a bad picture."""

    source: Source | Tensor
    answers: tuple[Answer, ...]
    error: LanternaError | None = None


def classify(
    sources: Iterable[Source | Tensor],
    settings: Classify | None = None,
    *,
    network: Network | None = None,
    device: str = "auto",
) -> Iterator[Classified]:
    """Yield the answers for each source, in order, as they come.

    A source is a picture file (path, bytes, stream) or a picture `(3, H, W)` in [0, 1]. `network` is used
    where given, else the one that the settings name. While one batch is computed, the next is decoded. A
    picture that cannot be opened comes back with its error, and the others go on.

    Errors: `UsageError` for a network with no classes, `MissingError` for one that is not here.
    """
    settings = settings or Classify()
    if network is None:
        network = open_network(settings.network, device=device)
        for parameter in network.parameters():
            if parameter.dim() == 4:  # the order in which convolutions run fastest
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    if not network.classes:
        raise UsageError(f"{network.name} has no classes to answer with: try efficientnet-lite0")
    return _answers(iter(sources), settings, network)


def _answers(
    sources: Iterator[Source | Tensor], settings: Classify, network: Network
) -> Iterator[Classified]:
    with ThreadPoolExecutor(1) as decoder:
        coming = decoder.submit(_decode, list(islice(sources, BATCH)), network.input_spec)
        while decoded := coming.result():
            coming = decoder.submit(_decode, list(islice(sources, BATCH)), network.input_spec)
            good = [picture for _, picture in decoded if isinstance(picture, Tensor)]
            rows = iter(_probabilities(network, good) if good else ())
            for source, picture in decoded:
                if isinstance(picture, LanternaError):
                    yield Classified(source, (), picture)
                else:
                    likeliest = next(rows).topk(min(settings.top, len(network.classes)))
                    yield Classified(
                        source,
                        tuple(
                            Answer(index, network.classes[index], value)
                            for value, index in zip(
                                likeliest.values.tolist(), likeliest.indices.tolist(), strict=True
                            )
                        ),
                    )


def _decode(
    sources: list[Source | Tensor], spec: InputSpec
) -> list[tuple[Source | Tensor, Tensor | LanternaError]]:
    """Each picture as the network wants to see it, or why it cannot be opened."""
    decoded: list[tuple[Source | Tensor, Tensor | LanternaError]] = []
    for source in sources:
        try:
            picture = source if isinstance(source, Tensor) else open_picture(source, longest=LONGEST)
            decoded.append((source, to_input(picture, spec)))
        except LanternaError as error:
            decoded.append((source, error))
    return decoded


@torch.inference_mode()
def _probabilities(network: Network, pictures: list[Tensor]) -> Tensor:
    """`(N, classes)` probabilities of N pictures that are as the network wants them."""
    device = next(network.parameters()).device
    images = torch.stack(pictures).to(device, memory_format=torch.channels_last)
    logits: Tensor = network(images)  # (N, classes)
    return logits.float().softmax(1).cpu()
