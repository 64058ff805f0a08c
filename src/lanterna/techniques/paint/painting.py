"""A painting: a network that has learned a picture. It is saved in a small file and renders at any size."""

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

TILE = 2**15  # positions rendered at a time
_KIND = "lanterna painting 1"
_MAX_BYTES = 2**28  # more than any plan needs; a limit for files from elsewhere


class Painting:
    """A network that has learned one or more pictures of `size` (height, width)."""

    def __init__(self, network: Coordinates) -> None:
        self.network = network

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the learned picture, in pixels."""
        return self.network.size

    @property
    def pictures(self) -> int:
        """The number of learned pictures."""
        return self.network.pictures

    @property
    def parameters(self) -> int:
        """The number of trained parameters."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def bytes(self) -> int:
        """The size of its file."""
        return len(_to_bytes(self.network))

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
        """Render at any `size` (height, width), by default its own: `(3, H, W)` in [0, 1].

        `beyond` extends the frame on each side by a share of it; `zoom` 2 shows half of the view; `centre`
        (x, y), as fractions of the frame, is in the middle; `turn` rotates the view clockwise, in degrees. A
        `size` of another aspect ratio shows more on two sides and distorts nothing. `which` chooses among
        several pictures, from 0: 1.5 is half way from the second to the third; or it has a weight for each
        picture.

        Rendering tile by tile takes little more memory than the result. Errors: `UsageError` if `which` is
        out of range or the zoom is not above 0.
        """
        height, width = size or self.size
        mixture = self.mixture(which)
        result = torch.empty(3, height * width)
        tiles = self.tiles((height, width), beyond=beyond, zoom=zoom, centre=centre, turn=turn)
        for pixels, positions in tiles:
            weights = None if mixture is None else mixture.to(positions.device).expand(len(positions), -1)
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
        """Yield tiles, row by row: a slice of pixels, and their positions `(N, 2)` in the view of `render`.

        Errors: `UsageError` if the zoom is not above 0 or the size is below one pixel.
        """
        height, width = size
        if zoom <= 0 or beyond <= -0.5 or min(height, width) < 1:
            raise UsageError(
                f"expected a zoom above 0 and a size of at least 1 px, got {zoom} and {height} × {width}"
            )
        own_height, own_width = self.size
        # Pixels of the original per pixel of the result, so that the whole frame is visible.
        step = max(own_height / height, own_width / width) * (1 + 2 * beyond) / zoom
        cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        for first in range(0, height * width, TILE):
            last = min(first + TILE, height * width)
            index = torch.arange(first, last, device=self.network.output.weight.device)
            right = (index % width + 0.5 - width / 2) * step
            down = (index // width + 0.5 - height / 2) * step
            x = (cosine * right + sine * down) / own_width + centre[0]
            y = (cosine * down - sine * right) / own_height + centre[1]
            yield slice(first, last), torch.stack([x, y], 1)

    def mixture(self, which: float | Sequence[float] | None) -> Tensor | None:
        """Return the weight of each picture, `(1, pictures)`, or None if there is only one."""
        count = self.pictures
        if count == 1:
            if which not in (None, 0, 0.0):
                raise UsageError(f"which: this painting has only one picture, got {which}")
            return None
        if which is None or isinstance(which, int | float):
            position = float(which or 0)
            if not 0 <= position <= count - 1:
                raise UsageError(f"which: expected a number from 0 to {count - 1}, got {which}")
            first = min(int(position), count - 2)
            mixture = torch.zeros(count)
            mixture[first], mixture[first + 1] = 1 - (position - first), position - first
            return mixture[None]
        if len(which) != count:
            raise UsageError(f"which: expected {count} numbers, one for each picture, got {len(which)}")
        return torch.tensor([list(which)], dtype=torch.float32)

    def save(self, path: Path) -> None:
        """Write it to a safetensors file, atomically, with its plan as metadata.

        Weights are saved in half precision: at 256 px that changed no network's PSNR by more than 0.01 dB.
        """
        with atomic_write(path) as temporary:
            temporary.write_bytes(_to_bytes(self.network))


def _to_bytes(network: Coordinates) -> bytes:
    metadata = {
        "kind": _KIND,
        "plan": network.plan.model_dump(mode="json", include=set(CoordinatePlan.model_fields)),
        "size": network.size,
        "pictures": network.pictures,
    }
    weights = {name: each.half().contiguous().cpu() for name, each in network.state_dict().items()}
    # In one entry: safetensors writes several in random order, and equal paintings must be equal files.
    return save(weights, {"lanterna": json.dumps(metadata)})


def open_painting(path: Path) -> Painting:
    """Open a painting from a file that `Painting.save` wrote; the file cannot run code.

    Errors: `MissingError` if there is no file, `UsageError` if it is not a painting, `LanternaError` if it is
    damaged.
    """
    if not path.is_file():
        raise MissingError(f"no painting at {path}: create one with lanterna paint PICTURE")
    invalid = UsageError(f"{path} is not a painting: expected a file that lanterna paint wrote")
    if path.stat().st_size > _MAX_BYTES:
        raise invalid
    try:
        with safe_open(path, "pt") as file:
            metadata = json.loads((file.metadata() or {}).get("lanterna", "{}"))
            if metadata.get("kind") != _KIND:
                raise invalid
            plan = CoordinatePlan.model_validate(metadata["plan"])
            height, width = (int(side) for side in metadata["size"])
            pictures = int(metadata["pictures"])
            if not (1 <= height <= 65_536 and 1 <= width <= 65_536 and 1 <= pictures <= 100):
                raise invalid
            with torch.device("meta"):  # allocate nothing before the shapes are checked
                shapes = Coordinates(plan, (height, width), pictures).state_dict()
            if set(shapes) != set(file.keys()) or any(
                file.get_slice(name).get_shape() != list(shape.shape) for name, shape in shapes.items()
            ):
                raise invalid
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
        raise invalid from error
    if not all(bool(each.isfinite().all()) for each in weights.values()):
        raise LanternaError(f"{path} is damaged: it has weights that are not finite")
    network = Coordinates(plan, (height, width), pictures)
    network.load_state_dict(weights)
    return Painting(network)
