"""Classify one picture or thousands into a network's classes."""

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
"""Batch size: larger batches need more memory and are no faster on a CPU."""

LONGEST = 1024
"""The longest side at which a photograph is decoded: several times any network's input size."""


class Classify(Settings):
    """Classify pictures."""

    verb: ClassVar[str] = "classify"

    network: str = Field(
        default="efficientnet-lite0",
        min_length=1,
        description="Which network to classify with, or module:function.",
    )
    top: int = Field(default=5, ge=1, le=1000, description="How many classes to show, the most likely first.")


@dataclass(frozen=True)
class Answer:
    """One class, by index and name, and its probability."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True)
class Classification:
    """A source's answers, most likely first; if it could not be opened, no answers and the error."""

    source: Source | Tensor
    answers: tuple[Answer, ...]
    error: LanternaError | None = None


def classify(
    sources: Iterable[Source | Tensor],
    settings: Classify | None = None,
    *,
    network: Network | None = None,
    device: str = "auto",
) -> Iterator[Classification]:
    """Classify each source, yielding the answers in order.

    A source is a picture file (path, bytes, stream) or a picture `(3, H, W)` in [0, 1]. By default the
    network named in the settings is used. The next batch is decoded while the current one is computed. If a
    picture cannot be opened, its result carries the error, and the others are not affected.

    Errors: `UsageError` if the network has no classes, `MissingError` if it is not on this machine.
    """
    settings = settings or Classify()
    if network is None:
        network = open_network(settings.network, device=device, seed=settings.seed)
        for parameter in network.parameters():
            if parameter.dim() == 4:  # convolutions are fastest in this memory format
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    if not network.classes:
        raise UsageError(f"{network.name} has no classes to answer with: try efficientnet-lite0")
    return _classify_batches(iter(sources), settings, network)


def _classify_batches(
    sources: Iterator[Source | Tensor], settings: Classify, network: Network
) -> Iterator[Classification]:
    with ThreadPoolExecutor(1) as executor:
        next_batch = executor.submit(_decode, list(islice(sources, BATCH)), network.input_spec)
        while decoded := next_batch.result():
            next_batch = executor.submit(_decode, list(islice(sources, BATCH)), network.input_spec)
            opened = [picture for _, picture in decoded if isinstance(picture, Tensor)]
            probabilities = iter(_probabilities(network, opened) if opened else ())
            for source, picture in decoded:
                if isinstance(picture, LanternaError):
                    yield Classification(source, (), picture)
                else:
                    top = next(probabilities).topk(min(settings.top, len(network.classes)))
                    yield Classification(
                        source,
                        tuple(
                            Answer(index, network.classes[index], value)
                            for value, index in zip(top.values.tolist(), top.indices.tolist(), strict=True)
                        ),
                    )


def _decode(
    sources: list[Source | Tensor], spec: InputSpec
) -> list[tuple[Source | Tensor, Tensor | LanternaError]]:
    """Preprocess each picture, or return the error if it cannot be opened."""
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
    """Return the probabilities `(N, classes)` of N preprocessed pictures."""
    device = next(network.parameters()).device
    images = torch.stack(pictures).to(device, memory_format=torch.channels_last)
    logits: Tensor = network(images)  # (N, classes)
    return logits.float().softmax(1).cpu()
