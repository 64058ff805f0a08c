"""`lanterna look`: a picture inside a network, with the paths to its answer, as one page."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import torch.nn.functional as F
from cyclopts import Parameter

from lanterna.devices import reuse_memory
from lanterna.errors import UsageError
from lanterna.files import atomic_write, format_size, refuse_to_overwrite, refuse_to_replace
from lanterna.images import open_picture
from lanterna.networks import class_index, note_on, open_network, shelf_items, to_input
from lanterna.networks.digits import DIGIT_INPUT
from lanterna.surfaces.cli.common import (
    Force,
    Json,
    Output,
    Quiet,
    Settings,
    emit_json,
    fetch_missing,
    progress,
    say,
    show,
)
from lanterna.surfaces.cli.digit_reader import open_or_train
from lanterna.surfaces.web.look_page import look_pages
from lanterna.techniques.classify.algorithm import LONGEST
from lanterna.techniques.read.algorithm import ReadPage
from lanterna.techniques.read.algorithm import read as read_page

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.networks.network import Network

_PHOTOGRAPHS = "efficientnet-lite0"
_LONG = 3.0  # seconds; the first page of longer work is announced
_MIN_DIGITS = 3  # confident digits, from which on a picture is a page of digits
_MIN_CONFIDENCE = 0.9  # of one or two digits, on a plain background
_MAX_BUSYNESS = 0.04  # share of the background that is edges


@dataclass(frozen=True)
class Question:
    """Which network to look into, and which answer to explain."""

    network: Annotated[
        str | None, Parameter(help="The network, or module:function. [default: depends on the picture]")
    ] = None
    digit: Annotated[int | None, Parameter(help="The digit's number on the page, counted from 1.")] = None
    answer: Annotated[str | None, Parameter(help="The answer to explain. [default: the network's]")] = None
    against: Annotated[str | None, Parameter(help="A second answer, to compare with it.")] = None


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
) -> int | None:
    """Look inside a network: every layer, and the paths to its answer.

    Writes one page that opens from disk. A digit goes through `conv`, which
    runs in the page: draw another digit, or switch a unit off, and all layers
    follow. A photograph goes through EfficientNet-Lite0. If no digit network
    has been trained yet, the fast one is trained first.
    """
    name = "standard input" if str(picture) == "-" else picture.name
    path = output or Path(f"{'picture' if str(picture) == '-' else picture.stem}-look.html")
    refuse_to_overwrite(path, force=force)
    refuse_to_replace(path, [picture])
    if question.digit is not None and question.digit < 1:
        raise UsageError(f"--digit: expected a number from 1, got {question.digit}")
    source = sys.stdin.buffer.read() if str(picture) == "-" else picture
    opened = open_picture(source, longest=LONGEST)  # raises before anything is trained
    network, network_name, image = _choose_network(
        source, opened, question.network, question.digit, quiet=quiet
    )
    answer = None if question.answer is None else class_index(question.answer, network)
    against = None if question.against is None else class_index(question.against, network)
    finished = _write_pages(
        path, network, image, quiet=quiet, name=network_name, title=name, answer=answer, against=against
    )
    size = path.stat().st_size
    read_as = _read_as(network, image)
    if json:
        emit_json(
            {"picture": name, "network": network_name, "read_as": read_as, "page": str(path), "bytes": size}
        )
    else:
        reading = f"{network_name} reads it as {read_as}" if read_as else f"{network_name} has no classes"
        say(reading, quiet=quiet)
        show(str(path))
        say(f"{format_size(size)}: open it in a browser", quiet=quiet)
    return None if finished else 130


def _write_pages(path: Path, network: "Network", image: "Tensor", *, quiet: bool, **options: Any) -> bool:  # noqa: ANN401
    """Write the page, then finer ones; return False if Ctrl-C stopped this after the first."""
    begun, written = time.perf_counter(), 0
    reuse_memory()
    try:
        with progress("looking", quiet=quiet) as update:
            for page in look_pages(network, image, watch=update, **options):
                with atomic_write(path) as temporary:
                    temporary.write_text(page, encoding="utf-8")
                written += 1
                if written == 1 and network.classes and time.perf_counter() - begun > _LONG:
                    say(f"{path} has a first answer and gets finer: Ctrl-C keeps it", quiet=quiet)
    except KeyboardInterrupt:
        if not written:
            raise
        say("stopped: the page is the last one that was finished", quiet=quiet)
        return False
    return True


def _choose_network(
    source: Path | bytes, picture: "Tensor", name: str | None, digit: int | None, *, quiet: bool
) -> "tuple[Network, str, Tensor]":
    """Return the network, its name, and the preprocessed picture."""
    if name in (None, "conv", "dense"):
        fetch_missing("mnist", quiet=quiet)
    if name is not None:
        fetch_missing(*shelf_items(name), quiet=quiet)
        digits = name in ("conv", "dense")
        network = open_or_train(name, device="cpu", quiet=quiet) if digits else open_network(name)
        if note := note_on(name, network):
            say(note, quiet=quiet)
        if not network.input_spec.is_of_digits:
            if digit is not None:
                raise UsageError(f"--digit is for networks that read digits: {name} does not")
            return network, name, to_input(picture, network.input_spec)
        return network, name, _digit(read_page(source, network=network), digit, picture, network)
    network = open_or_train("conv", device="cpu", quiet=quiet)
    page = read_page(source, network=network)
    if digit is not None or _is_of_digits(page, picture):
        return network, "conv", _digit(page, digit, picture, network)
    fetch_missing(*shelf_items(_PHOTOGRAPHS), quiet=quiet)
    network = open_network(_PHOTOGRAPHS)
    return network, _PHOTOGRAPHS, to_input(picture, network.input_spec)


def _is_of_digits(page: ReadPage, picture: "Tensor") -> bool:
    """Whether a picture shows digits: several read with confidence, or one or two on a plain background.

    Round or straight things in photographs are read as digits too, but not on a plain background.
    """
    if _is_digit(picture):
        return True
    if not page or sum(reading.doubtful for reading in page) > 0.5 * len(page):
        return False
    if len(page) >= _MIN_DIGITS:
        return True
    return (
        max(reading.confidence for reading in page) >= _MIN_CONFIDENCE
        and _busyness(page, picture) <= _MAX_BUSYNESS
    )


def _is_digit(picture: "Tensor") -> bool:
    """Whether a picture is as small as the digits that the networks were trained on."""
    return tuple(picture.shape[1:]) == (DIGIT_INPUT.size, DIGIT_INPUT.size)


def _busyness(page: ReadPage, picture: "Tensor") -> float:
    """Return the share of the background where brightness changes by more than 0.08 per pixel."""
    grey = picture.mean(0, keepdim=True)
    small = F.avg_pool2d(grey, max(1, round(max(grey.shape) / 256)), ceil_mode=True)[0]
    change = F.pad((small[1:] - small[:-1]).abs(), (0, 0, 0, 1)) + F.pad(
        (small[:, 1:] - small[:, :-1]).abs(), (0, 1)
    )
    across, down = small.shape[1] / page.size[0], small.shape[0] / page.size[1]
    background = torch.ones_like(small, dtype=torch.bool)
    for reading in page:
        x0, y0, x1, y1 = reading.box
        rows = slice(max(0, int(y0 * down) - 2), int(y1 * down) + 3)
        background[rows, max(0, int(x0 * across) - 2) : int(x1 * across) + 3] = False
    return float((change[background] > 0.08).float().mean()) if background.any() else 1.0


def _digit(page: ReadPage, digit: int | None, picture: "Tensor", network: "Network") -> "Tensor":
    """Return one digit of a page, preprocessed; the whole picture if no digit was found."""
    if digit is None and _is_digit(picture):
        return to_input(picture, network.input_spec)
    if digit is not None and digit > len(page):
        digits = f"expected a digit from 1 to {len(page)}" if len(page) else "this page has no digits"
        raise UsageError(f"--digit: {digits}, got {digit}")
    return page[(digit or 1) - 1].image if page else to_input(picture, network.input_spec)


@torch.no_grad()
def _read_as(network: "Network", image: "Tensor") -> str | None:
    if not network.classes:
        return None
    return network.classes[int(network(image.unsqueeze(0))[0].argmax())]
