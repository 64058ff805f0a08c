"""`lanterna look`: a picture flowing through a network, and what made its answer, as one page."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import torch.nn.functional as F
from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.files import human_size, refuse_to_overwrite, replacing
from lanterna.images import open_picture
from lanterna.networks import class_index, open_network, shelf_items, to_input
from lanterna.networks.digits import DIGIT_INPUT
from lanterna.surfaces.cli.common import (
    Force,
    Json,
    Output,
    Quiet,
    Settings,
    emit_json,
    fetch_missing,
    say,
    show,
)
from lanterna.surfaces.cli.digit_reader import open_or_train
from lanterna.surfaces.web.looking import look_page
from lanterna.techniques.classify.algorithm import LONGEST
from lanterna.techniques.read.algorithm import ReadPage
from lanterna.techniques.read.algorithm import read as read_page

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.networks.network import Network

_PHOTOGRAPHS = "efficientnet-lite0"
_PAGE = 3  # digits that are read surely make a page of digits, whatever else is on it
_SURE = 0.9  # of one or two, on a ground that is plain
_BUSY = 0.04  # share of the ground with an edge in it, at most


@dataclass(frozen=True)
class Question:
    """What to look at, and what is to be explained."""

    network: Annotated[
        str | None, Parameter(help="Which network, or module:function. [default: by the picture]")
    ] = None
    digit: Annotated[int | None, Parameter(help="Which digit of a page, from 1 on.")] = None
    answer: Annotated[str | None, Parameter(help="The answer to explain. [default: the network's]")] = None
    against: Annotated[str | None, Parameter(help="Another answer: why not this one.")] = None


def look(
    picture: Annotated[
        Path, Parameter(help="A digit, a page of digits or a photograph; - for standard input.")
    ],
    /,
    *,
    question: Annotated[Question, Settings] = Question(),
    output: Output = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Look at a picture flowing through a network: every layer, and the paths that made the answer.

    Writes one page that opens from disk. A digit goes through `conv`, and the page computes: draw another,
    cut a unit, and everything follows. A photograph goes through EfficientNet-Lite0. If no digit network has
    been trained yet, the fast one is trained first.
    """
    name = "standard input" if str(picture) == "-" else picture.name
    place = output or Path(f"{'picture' if str(picture) == '-' else picture.stem}-look.html")
    refuse_to_overwrite(place, force=force)
    if question.digit is not None and question.digit < 1:
        raise UsageError(f"--digit counts from 1, got {question.digit}")
    source = sys.stdin.buffer.read() if str(picture) == "-" else picture
    opened = open_picture(source, longest=LONGEST)  # a bad picture is told before anything is trained
    chosen, named, image = _choose(source, opened, question.network, question.digit, quiet=quiet)
    asked = (question.answer, question.against)
    answer, against = (None if each is None else class_index(each, chosen) for each in asked)
    page = look_page(chosen, image, name=named, title=name, answer=answer, against=against)
    with replacing(place) as temporary:
        temporary.write_text(page, encoding="utf-8")
    size = place.stat().st_size
    read_as = _read_as(chosen, image)
    if json:
        emit_json({"picture": name, "network": named, "read_as": read_as, "page": str(place), "bytes": size})
    else:
        say(f"{named} reads it as {read_as}" if read_as else f"{named} has no classes", quiet=quiet)
        show(str(place))
        say(f"{human_size(size)}: open it in a browser", quiet=quiet)


def _choose(
    source: Path | bytes, picture: "Tensor", wanted: str | None, digit: int | None, *, quiet: bool
) -> "tuple[Network, str, Tensor]":
    """The network, its name, and the picture as it sees it."""
    if wanted in (None, "conv", "dense"):
        fetch_missing("mnist", quiet=quiet)
    if wanted is not None:
        fetch_missing(*shelf_items(wanted), quiet=quiet)
        digits = wanted in ("conv", "dense")
        network = open_or_train(wanted, device="cpu", quiet=quiet) if digits else open_network(wanted)
        if network.input_spec != DIGIT_INPUT:
            if digit is not None:
                raise UsageError(f"--digit is for networks that read digits, {wanted} does not")
            return network, wanted, to_input(picture, network.input_spec)
        return network, wanted, _digit(read_page(source, network=network), digit, picture, network)
    network = open_or_train("conv", device="cpu", quiet=quiet)
    page = read_page(source, network=network)
    if digit is not None or _is_of_digits(page, picture):
        return network, "conv", _digit(page, digit, picture, network)
    fetch_missing(*shelf_items(_PHOTOGRAPHS), quiet=quiet)
    network = open_network(_PHOTOGRAPHS)
    return network, _PHOTOGRAPHS, to_input(picture, network.input_spec)


def _is_of_digits(page: ReadPage, picture: "Tensor") -> bool:
    """Whether a picture is of digits: several that are read surely, or one or two on plain ground.

    In many a photograph something round or straight reads as a digit too, but not on plain ground.
    """
    if _is_digit(picture):
        return True
    if not page or sum(reading.doubtful for reading in page) > 0.5 * len(page):
        return False
    if len(page) >= _PAGE:
        return True
    return max(reading.confidence for reading in page) >= _SURE and _busyness(page, picture) <= _BUSY


def _is_digit(picture: "Tensor") -> bool:
    """Whether a picture is as small as the digits that the networks were trained on."""
    return tuple(picture.shape[1:]) == (DIGIT_INPUT.size, DIGIT_INPUT.size)


def _busyness(page: ReadPage, picture: "Tensor") -> float:
    """The share of the ground, outside the digits' boxes, where brightness changes by over 0.08 a pixel."""
    grey = picture.mean(0, keepdim=True)
    small = F.avg_pool2d(grey, max(1, round(max(grey.shape) / 256)), ceil_mode=True)[0]
    change = F.pad((small[1:] - small[:-1]).abs(), (0, 0, 0, 1)) + F.pad(
        (small[:, 1:] - small[:, :-1]).abs(), (0, 1)
    )
    across, down = small.shape[1] / page.size[0], small.shape[0] / page.size[1]
    ground = torch.ones_like(small, dtype=torch.bool)
    for reading in page:
        x0, y0, x1, y1 = reading.box
        rows = slice(max(0, int(y0 * down) - 2), int(y1 * down) + 3)
        ground[rows, max(0, int(x0 * across) - 2) : int(x1 * across) + 3] = False
    return float((change[ground] > 0.08).float().mean()) if ground.any() else 1.0


def _digit(page: ReadPage, digit: int | None, picture: "Tensor", network: "Network") -> "Tensor":
    """The wanted digit of a page as the network sees it; the whole picture where none was found."""
    if digit is None and _is_digit(picture):
        return to_input(picture, network.input_spec)
    if digit is not None and digit > len(page):
        raise UsageError(f"--digit {digit}: there are {len(page)} digits on this page")
    return page[(digit or 1) - 1].image if page else to_input(picture, network.input_spec)


@torch.no_grad()
def _read_as(network: "Network", image: "Tensor") -> str | None:
    if not network.classes:
        return None
    return network.classes[int(network(image.unsqueeze(0))[0].argmax())]
