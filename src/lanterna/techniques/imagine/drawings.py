"""A person's own drawings to learn from, and how near a drawn picture comes to one of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.images.decoding import describe_unread, is_folder, is_picture_name
from lanterna.images.pictures import open_picture
from lanterna.networks.digits import SIDE
from lanterna.techniques.imagine.ink import drawing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

FEWEST = 200
_SMALL = 32  # pixels of a drawing that is taken as it is
_COMPARED = 500  # drawings that are compared with all others
_ALIKE = 0.05  # share of drawings that are nearer to another than what counts as a copy


def drawings_in(folder: Path) -> list[Path]:
    """Return the pictures in a folder, by name. Errors: `UsageError` if there are fewer than 200."""
    if not is_folder(folder):
        given = "is a file" if folder.exists() else "does not exist"
        raise UsageError(f"{folder} {given}: give a folder of at least {FEWEST} drawings")
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    files = [folder / name for name in names if is_picture_name(name)]
    if not files:
        unread = describe_unread(names) or "expected .png, .jpg, .jpeg, .webp or the like"
        raise UsageError(f"{folder} has no pictures in it: {unread}")
    return check_enough(files, str(folder))


def check_enough(files: list[Path], where: str) -> list[Path]:
    """Return the files. Errors: `UsageError` if they are fewer than 200."""
    if len(files) < FEWEST:
        raise UsageError(f"{where}: expected at least {FEWEST} drawings to learn from, got {len(files)}")
    return files


def read_drawings(
    files: Sequence[Path], progress: Callable[[int, int], None], notify: Callable[[str], None]
) -> Tensor:
    """Read drawings as uint8 `(N, 1, 28, 28)`, light ink on black; those without ink are left out, and named.

    Drawings of at most 32 pixels are taken as they are, larger ones by their ink. Errors: `UsageError` if a
    file cannot be read, or fewer than 200 have ink.
    """
    read, empty = list[Tensor](), list[Path]()
    for number, file in enumerate(files, start=1):
        light = _as_light(open_picture(file))
        if light is None:
            empty.append(file)
        else:
            read.append(light.mul(255).round().to(torch.uint8))
        progress(number, len(files))
    if empty:
        names = ", ".join(file.name for file in empty[:3]) + (" and others" if len(empty) > 3 else "")
        notify(f"left out: {len(empty)} without ink: {names}")
    if len(read) < FEWEST:
        raise UsageError(f"expected at least {FEWEST} drawings to learn from, found ink in {len(read)}")
    return torch.stack(read)


def _as_light(picture: Tensor) -> Tensor | None:
    """Return a drawing `(3, H, W)` as light `(1, 28, 28)` in [0, 1]; None if there is no ink."""
    if max(picture.shape[1:]) > _SMALL:
        return drawing(picture)
    grey = picture.mean(0, keepdim=True)
    light = 1 - grey if grey.median() > 0.5 else grey  # on light paper, ink is dark
    if light.max() - light.min() < 0.1:
        return None
    height, width = (max(1, round(side * SIDE / max(light.shape[1:]))) for side in light.shape[1:])
    if (height, width) != light.shape[1:]:
        light = F.interpolate(light[None], (height, width), mode="bilinear", antialias=True)[0]
    left, top = (SIDE - width) // 2, (SIDE - height) // 2
    return F.pad(light, (left, SIDE - width - left, top, SIDE - height - top)).clamp(0, 1)


@dataclass(frozen=True)
class Comparison:
    """Drawn pictures compared with the drawings that a network learned from.

    `distances` `(N,)` are those to the `nearest` `(N, 1, 28, 28)` of them, `copied` which count as copies.
    """

    distances: Tensor
    nearest: Tensor
    copied: Tensor

    @property
    def copies(self) -> int:
        """The number of copies."""
        return int(self.copied.sum())

    @property
    def median(self) -> float:
        """The median distance."""
        return float(self.distances.median())


def compare(drawn: Tensor, known: Tensor, shift: int, *, mirror: bool) -> Comparison:
    """Compare drawn pictures `(N, 1, 28, 28)` with the drawings that a network learned from."""
    distances, found = nearest(drawn, known, shift, mirror=mirror)
    return Comparison(distances, found, distances < copy_distance(known, shift, mirror=mirror))


def nearest(drawn: Tensor, known: Tensor, shift: int, *, mirror: bool) -> tuple[Tensor, Tensor]:
    """Return for each picture `(N, 1, 28, 28)` how far the nearest of `known` is, `(N,)`, and that one.

    The distance is the root of the mean squared difference of their pixels, from 0 to 1. `known` may be
    shifted by up to `shift` pixels, and mirrored if `mirror` is true, as they were in training.
    """
    distances, found = torch.full((len(drawn),), torch.inf), torch.zeros_like(drawn)
    for each in _moved(known, shift, mirror=mirror):
        apart, places = _apart(drawn, each).min(1)
        closer = apart < distances
        distances = torch.where(closer, apart, distances)
        found[closer] = each[places[closer]]
    return distances, found


def copy_distance(known: Tensor, shift: int, *, mirror: bool) -> float:
    """Return the distance below which a picture counts as a copy: only 5 % of drawings are so near another.

    At most 500 of them are compared with all others.
    """
    random = torch.Generator().manual_seed(0)
    chosen = torch.randperm(len(known), generator=random)[:_COMPARED]
    distances = torch.full((len(chosen),), torch.inf)
    for each in _moved(known, shift, mirror=mirror):
        apart = _apart(known[chosen], each)
        apart[torch.arange(len(chosen)), chosen] = torch.inf  # itself
        distances = torch.minimum(distances, apart.amin(1))
    return float(distances.quantile(_ALIKE))


def _apart(some: Tensor, others: Tensor) -> Tensor:
    distances: Tensor = torch.cdist(some.flatten(1), others.flatten(1)) / SIDE
    return distances


def _moved(pictures: Tensor, shift: int, *, mirror: bool) -> Iterator[Tensor]:
    """Yield the pictures in all positions, and mirrored."""
    padded = F.pad(pictures, (shift, shift, shift, shift))
    for flipped in (padded, padded.flip(3)) if mirror else (padded,):
        for top, left in itertools.product(range(2 * shift + 1), repeat=2):
            yield flipped[:, :, top : top + SIDE, left : left + SIDE]
