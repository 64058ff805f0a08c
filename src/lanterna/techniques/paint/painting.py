"""A painting: a network that has learned a picture, as a small file, painted at any size."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import atomic_write
from lanterna.networks.coordinate_plan import CoordinatePlan
from lanterna.networks.coordinates import Coordinates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TILE = 2**15  # positions that are painted at a time
_KIND = "lanterna painting 1"
_MOST = 2**28  # bytes: more than any plan gives, and a limit for a file from elsewhere


class Painting:
    """A network that has learned one or more pictures of `size` (height, width)."""

    def __init__(self, network: Coordinates) -> None:
        self.network = network

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture that was learned, in pixels."""
        return self.network.size

    @property
    def pictures(self) -> int:
        """How many pictures were learned."""
        return self.network.pictures

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def bytes(self) -> int:
        """How large its file is."""
        return len(_packed(self.network))

    @torch.no_grad()
    def render(
        self,
        size: tuple[int, int] | None = None,
        *,
        beyond: float = 0.0,
        zoom: float = 1.0,
        centre: tuple[float, float] = (0.5, 0.5),
        turn: float = 0.0,
        which: float | Sequence[float] | None = None,
    ) -> Tensor:
        """Paint it at any `size` (height, width), its own if none is given: `(3, H, W)` in [0, 1].

        `beyond` is how far past its frame to paint on each side, as a share of the frame; `zoom` 2 shows half
        of what there is to see; `centre` (x, y) of the frame is in the middle; `turn` turns what is seen by
        so many degrees, clockwise. A `size` of another shape shows more on two sides, squeezing nothing.
        `which` of several pictures, counted from 0: 1.5 is half way from the second to the third; or how
        much of each, as many numbers as there are pictures.

        Pixels are painted tile by tile, so that memory is that of the result and little more. Errors:
        `UsageError` for a `which` that is not there, a zoom that is not above 0.
        """
        height, width = size or self.size
        mixed = self.mixture(which)
        result = torch.empty(3, height * width)
        tiles = self.tiles((height, width), beyond=beyond, zoom=zoom, centre=centre, turn=turn)
        for pixels, positions in tiles:
            weights = None if mixed is None else mixed.to(positions.device).expand(len(positions), -1)
            result[:, pixels] = self.network(positions, weights).T.clamp_(0, 1).cpu()
        return result.view(3, height, width)

    def tiles(
        self,
        size: tuple[int, int],
        *,
        beyond: float = 0.0,
        zoom: float = 1.0,
        centre: tuple[float, float] = (0.5, 0.5),
        turn: float = 0.0,
    ) -> Iterator[tuple[slice, Tensor]]:
        """Which pixels, row by row, and where they lie `(N, 2)`, in parts; what is seen is as for `render`.

        Errors: `UsageError` for a zoom that is not above 0 or a size below one pixel.
        """
        height, width = size
        if zoom <= 0 or beyond <= -0.5 or min(height, width) < 1:
            raise UsageError(f"a zoom is above 0 and a size at least 1 px, got {zoom} and {height} × {width}")
        tall, wide = self.size
        # Pixels of the original for each pixel of the result, so that all of the frame is seen.
        step = max(tall / height, wide / width) * (1 + 2 * beyond) / zoom
        cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        for first in range(0, height * width, TILE):
            last = min(first + TILE, height * width)
            number = torch.arange(first, last, device=self.network.output.weight.device)
            right = (number % width + 0.5 - width / 2) * step
            down = (number // width + 0.5 - height / 2) * step
            x = (cosine * right + sine * down) / wide + centre[0]
            y = (cosine * down - sine * right) / tall + centre[1]
            yield slice(first, last), torch.stack([x, y], 1)

    def mixture(self, which: float | Sequence[float] | None) -> Tensor | None:
        """How much of each picture, `(1, pictures)`, or None where there is one."""
        count = self.pictures
        if count == 1:
            if which not in (None, 0, 0.0):
                raise UsageError(f"which: this painting is of one picture, got {which}")
            return None
        if which is None or isinstance(which, int | float):
            place = float(which or 0)
            if not 0 <= place <= count - 1:
                raise UsageError(f"which: expected a number from 0 to {count - 1}, got {which}")
            first = min(int(place), count - 2)
            mixture = torch.zeros(count)
            mixture[first], mixture[first + 1] = 1 - (place - first), place - first
            return mixture[None]
        if len(which) != count:
            raise UsageError(f"which: expected {count} numbers, one for each picture, got {len(which)}")
        return torch.tensor([list(which)], dtype=torch.float32)

    def save(self, path: Path) -> None:
        """Write it to a safetensors file, whole or not at all, its plan beside.

        Numbers have 16 bits there: at 256 px that changed no network's PSNR by more than 0.01 dB.
        """
        with atomic_write(path) as temporary:
            temporary.write_bytes(_packed(self.network))


def _packed(network: Coordinates) -> bytes:
    about = {
        "kind": _KIND,
        "plan": network.plan.model_dump(mode="json", include=set(CoordinatePlan.model_fields)),
        "size": network.size,
        "pictures": network.pictures,
    }
    numbers = {name: each.half().contiguous().cpu() for name, each in network.state_dict().items()}
    # In one entry: safetensors puts several in any order, and equal paintings are to be equal files.
    return save(numbers, {"lanterna": json.dumps(about)})


def open_painting(path: Path) -> Painting:
    """The painting in a file that `Painting.save` wrote.

    Errors: `MissingError` where there is no file, `UsageError` where it is no painting. It can run no code.
    """
    if not path.is_file():
        raise MissingError(f"no painting at {path}: lanterna paint PICTURE makes one")
    wrong = UsageError(f"{path} is no painting: expected a file that lanterna paint wrote")
    if path.stat().st_size > _MOST:
        raise wrong
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("lanterna", "{}"))
            if about.get("kind") != _KIND:
                raise wrong
            plan = CoordinatePlan.model_validate(about["plan"])
            height, width = (int(side) for side in about["size"])
            pictures = int(about["pictures"])
            if not (1 <= height <= 65_536 and 1 <= width <= 65_536 and 1 <= pictures <= 100):
                raise wrong
            with torch.device("meta"):  # nothing is made before it is known to fit
                shapes = Coordinates(plan, (height, width), pictures).state_dict()
            if set(shapes) != set(file.keys()) or any(
                file.get_slice(name).get_shape() != list(shape.shape) for name, shape in shapes.items()
            ):
                raise wrong
            weights = {name: file.get_tensor(name).float() for name in shapes}
    except (
        SafetensorError,
        ValidationError,
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise wrong from error
    if not all(bool(each.isfinite().all()) for each in weights.values()):
        raise LanternaError(f"{path} is damaged: it has numbers that are none")
    network = Coordinates(plan, (height, width), pictures)
    network.load_state_dict(weights)
    return Painting(network)
