"""Lesson 18. How style transfer works: feature maps, Gram matrices, textures, and content.

Each layer of a network has maps, one for each feature, bright where it finds it. A layer's Gram matrix says
how often each two features occur together, and nothing about where. Gatys, Ecker and Bethge (2015) change
noise until its Gram matrices are a painting's: that gives its texture. If one layer's maps also stay close to
a photograph's, place by place, the photograph appears in the painting's style.

`descended` is all of it. The technique (`lanterna.techniques.style`) goes from coarse to fine, at any size.
"""

from __future__ import annotations

import math
import random
import statistics
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
from PIL import Image, ImageDraw
from pydantic import Field

from lanterna.images.drawing import as_picture, contact_sheet
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.loop import descend
from lanterna.lessons.photographs import photograph
from lanterna.lessons.progress import track
from lanterna.lessons.subjects import SUBJECTS
from lanterna.lessons.text import percent
from lanterna.networks import open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.networks.pooling import with_pooling
from lanterna.probes.objectives import layer_outputs
from lanterna.probes.statistics import gram_distance, moments
from lanterna.techniques.fourier_image import FourierImage
from lanterna.techniques.octaves import resized
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks import Network

Painting = Literal["strokes", "hatching", "gravel"]
PAINTINGS: tuple[Painting, ...] = ("strokes", "hatching", "gravel")
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT_LAYER = "relu4_2"
_RATE = 0.1
_SQUARES = 4  # along each side of a shuffled painting
_MAPS = 8  # feature maps that are shown


class StyleTransfer(Settings):
    """Take a painting's texture from its Gram matrices, and add the content of a photograph."""

    verb: ClassVar[str] = "learn style"

    photograph: Literal["chelsea", "coffee", "astronaut"] = Field(
        default="chelsea", description="The photograph whose content the picture gets."
    )
    painting: Painting = Field(default="strokes", description="The painting whose style the photograph gets.")
    content: float = Field(default=0.1, ge=0, le=10, description="How much content counts, beside style.")
    size: int = Field(default=128, ge=64, le=256, description="Pixels along a side.")
    steps: int = Field(default=40, ge=5, le=500, description="Steps for each picture.")


def painting(name: Painting, size: int) -> Tensor:
    """Return something painted, `(3, size, size)`: strokes and hatching are drawn, gravel is a photograph."""
    if name == "gravel":
        return photograph("gravel", size)
    chosen, side = random.Random(0), 512
    strokes = name == "strokes"
    image = Image.new("RGB", (side, side), (24, 52, 88) if strokes else (240, 232, 216))
    pen = ImageDraw.Draw(image)
    inks = ((226, 170, 60), (198, 74, 48), (236, 226, 204), (44, 96, 140), (66, 132, 120))
    for _ in range(500 if strokes else 130):
        x, y, length = (chosen.uniform(-30, side + 30) for _ in range(3))
        angle = chosen.choice((-0.8, 0.8, 0.1)) if not strokes else chosen.gauss(0.1, 0.25)
        reach = 30 + length / 12
        across, down = reach * math.cos(angle), reach * math.sin(angle)
        for line in range(1 if strokes else 9):
            at = (x + 6 * line, y, x + 6 * line + across, y + down)
            pen.line(
                at, chosen.choice(inks) if strokes else (38, 34, 40), chosen.randint(4, 11) if strokes else 2
            )
    return resized(as_picture(image), (size, size)).clamp(0, 1)


def shuffled(picture: Tensor, seed: int) -> Tensor:
    """Cut a picture `(3, H, W)` into squares and put them together in another order."""
    side = picture.shape[1] // _SQUARES
    squares = picture.unfold(1, side, side).unfold(2, side, side).flatten(1, 2)  # (3, squares, side, side)
    order = torch.randperm(squares.shape[1], generator=torch.Generator().manual_seed(seed))
    rows = squares[:, order].reshape(3, _SQUARES, _SQUARES, side, side)
    mixed: Tensor = rows.permute(0, 1, 3, 2, 4).reshape(3, _SQUARES * side, _SQUARES * side)
    return mixed


def difference(one: Tensor, other: Tensor) -> float:
    """Return |a − b|² / (|a|² + |b|²): 0 if they are the same, 1 if they have nothing in common."""
    return ((one - other).square().sum() / (one.square().sum() + other.square().sum())).item()


class Measured(NamedTuple):
    """The outputs of a picture's layers, to compare others with."""

    outputs: dict[str, Tensor]

    def style(self, others: dict[str, Tensor], layers: Sequence[str] = STYLE_LAYERS) -> Tensor:
        """Return the distance of Gram matrices, the mean of layers: 0 the same, about 1 nothing in common."""
        distances = [gram_distance(moments(self.outputs[layer]))(moments(others[layer])) for layer in layers]
        return torch.stack(distances).mean()

    def content(self, others: dict[str, Tensor]) -> Tensor:
        """Return the distance of the content layer's maps, place by place, relative to their size."""
        own = self.outputs[CONTENT_LAYER]
        return (others[CONTENT_LAYER] - own).square().mean() / own.square().mean()


def measure(network: Network, picture: Tensor) -> Measured:
    """Run a picture `(3, H, W)` through the network."""
    with torch.no_grad():
        return Measured(layer_outputs(network, picture[None], frozenset({*STYLE_LAYERS, CONTENT_LAYER})))


def descended(
    settings: StyleTransfer, network: Network, style: Measured, layers: Sequence[str],
    content: Measured | None = None,
) -> tuple[Tensor, list[float]]:  # fmt: skip
    """Change noise until its Gram matrices are those of `style`; keep to `content` as well, if there is any.

    Returns the picture `(3, H, W)` and the loss at each step.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    canvas = FourierImage(1, 3, settings.size, settings.size, generator)
    needed = frozenset({*layers, *((CONTENT_LAYER,) if content else ())})

    def loss_fn(_: int) -> Tensor:
        outputs = layer_outputs(network, canvas(), needed)
        loss = style.style(outputs, layers)
        return loss + settings.content * content.content(outputs) if content else loss

    losses = descend(canvas.parameters(), loss_fn, settings.steps, _RATE)
    return canvas().detach()[0], losses


def experiment(settings: StyleTransfer) -> Outcome:
    """Make textures from Gram matrices, shuffle paintings, and add content."""
    whole = with_pooling(open_network("vgg19"), "average")
    network = optimize_for_inference(whole, [*STYLE_LAYERS, CONTENT_LAYER])
    photo = photograph(settings.photograph, settings.size)
    paintings = {name: painting(name, settings.size) for name in PAINTINGS}
    targets = {name: measure(network, picture) for name, picture in paintings.items()}
    textures = {
        name: descended(settings, network, targets[name], STYLE_LAYERS)
        for name in track(PAINTINGS, "matching Gram matrices")
    }
    chosen, target = paintings[settings.painting], targets[settings.painting]
    by_layer = {
        layer: descended(settings, network, target, [layer])[0]
        for layer in track(STYLE_LAYERS, "matching single layers")
    }
    result, _ = descended(settings, network, target, STYLE_LAYERS, measure(network, photo))

    mixed = {name: shuffled(picture, settings.seed) for name, picture in paintings.items()}
    again = {name: measure(network, mixed[name]).outputs for name in PAINTINGS}
    others = dict(zip(PAINTINGS, (*PAINTINGS[1:], PAINTINGS[0]), strict=True))  # another painting for each
    closer = [losses[0] / losses[-1] for _, losses in textures.values()]
    rows: dict[str, list[float]] = {}
    for name in PAINTINGS:
        own = targets[name].outputs
        for what, outputs in (("shuffled", again[name]), ("another", targets[others[name]].outputs)):
            grams = [
                difference(moments(own[layer]).gram, moments(outputs[layer]).gram) for layer in STYLE_LAYERS
            ]
            rows.setdefault(f"style, {what}", []).append(statistics.mean(grams))
            content = difference(own[CONTENT_LAYER], outputs[CONTENT_LAYER])
            rows.setdefault(f"content, {what}", []).append(content)
    times = [a / b for a, b in zip(rows["content, shuffled"], rows["style, shuffled"], strict=True)]
    keeps = all(a < b / 10 for a, b in zip(rows["style, shuffled"], rows["style, another"], strict=True))
    loses = min(times) > 10
    verdict: Verdict = (
        "holds"
        if keeps and loses and min(closer) > 3
        else "holds only when"
        if keeps or min(closer) > 3
        else "does not hold"
    )
    final, before = (
        (target.style(each).item(), measure(network, photo).content(each).item())
        for each in (
            measure(network, result).outputs, measure(network, textures[settings.painting][0]).outputs,
        )
    )  # fmt: skip
    subject = SUBJECTS[settings.photograph]
    words = (
        f"From noise, {settings.steps} steps bring the Gram matrices {_about(closer)} times closer to those "
        f"of a painting (with three paintings, {min(closer):.0f} to {max(closer):.0f} times). Cut a painting "
        f"into squares and shuffle them: its content, compared place by place, changes {_about(times)} times "
        f"as much as its Gram matrices ({min(times):.0f} to {max(times):.0f} times); those of another "
        "painting are far away, as the table shows. With the "
        f"content of the {subject} as a second goal, the distance from the {subject} "
        f"{_changed(before[1], final[1])}, and that from the style {_changed(before[0], final[0])}."
    )
    numbers = {"times closer": statistics.median(closer)}
    numbers |= {
        f"{name}, {row}": value
        for row, values in rows.items()
        for name, value in zip(PAINTINGS, values, strict=True)
    }
    numbers |= {"style, texture": before[0], "style, with content": final[0],
                "content, texture": before[1], "content, with content": final[1]}  # fmt: skip
    charts: list[Chart | Picture] = [
        _sheet("1. Feature maps", _maps(target.outputs["relu2_1"], chosen), 3,
               "the painting, and where eight features of relu2_1 are found in it: brighter is more"),
        _sheet("2. Gram matrices: which features occur together", [
            (chosen, settings.painting), (mixed[settings.painting], "shuffled"), (photo, subject),
            *((_gram(outputs["relu1_1"], settings.size), "its Gram matrix") for outputs in (
                target.outputs, again[settings.painting], measure(network, photo).outputs)),
        ], 3, "a painting, the same shuffled and a photograph; below each its Gram matrix of relu1_1"),
        _sheet("3. Textures from Gram matrices alone", [
            *((paintings[name], name) for name in PAINTINGS),
            *((textures[name][0], "from noise") for name in PAINTINGS),
        ], 3, "three paintings; below each, noise that was changed until its Gram matrices were the same"),
        _sheet("4. What each layer is for", [
            (chosen, settings.painting), *((each, layer) for layer, each in by_layer.items()),
            (textures[settings.painting][0], "all four"),
        ], 3, "the painting, and textures from single layers: early ones colours, later ones larger forms"),
        _sheet("5. Style and content", [
            (photo, "content"), (chosen, "style"), (result, "both"),
        ], 3, "a photograph, a painting, and a picture with the content of one and the style of the other"),
        Chart("From noise to a texture", "step", "distance of Gram matrices",
              [Line(name, range(settings.steps), losses) for name, (_, losses) in textures.items()],
              log_up=True),
    ]  # fmt: skip
    table = [
        ("differences, from 0, the same, to 1", *PAINTINGS),
        *((row, *(f"{value:.3f}" for value in values)) for row, values in rows.items()),
    ]
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), charts, table)


def _maps(output: Tensor, picture: Tensor) -> list[tuple[Tensor, str]]:
    """Return the picture and the maps that vary most, as tiles."""
    maps = output[0]
    strongest = maps.flatten(1).std(1).topk(_MAPS).indices.tolist()
    tiles = [(picture, "painting")]
    for number in strongest:
        scaled = (maps[number] / maps[number].max().clamp_min(1e-12))[None]
        tiles.append((resized(scaled, picture.shape[1:]).clamp(0, 1).expand(3, -1, -1), f"map {number}"))
    return tiles


def _gram(output: Tensor, size: int) -> Tensor:
    """Return a layer's Gram matrix as a picture; the brightness is the square root of each number."""
    gram = moments(output).gram.clamp_min(0).sqrt()
    scaled = (gram / gram.max().clamp_min(1e-12)).expand(3, -1, -1)
    return torch.nn.functional.interpolate(scaled[None], (size, size), mode="nearest")[0]


def _sheet(title: str, tiles: list[tuple[Tensor, str]], columns: int, words: str) -> Picture:
    return Picture(title, contact_sheet(tiles, columns=columns, side=tiles[0][0].shape[-1], gap=8), words)


def _about(values: list[float]) -> str:
    """Return the median, with one significant digit."""
    return f"about {float(f'{statistics.median(values):.1g}'):,.0f}"


def _changed(before: float, after: float) -> str:
    """Say by how many percent a distance falls or rises."""
    return f"{'falls' if after < before else 'rises'} by {percent(abs(after / before - 1))}"


LESSON = Lesson(
    "style", "How style transfer works", "What is a style, in numbers?",
    "A style is which features occur together in a picture, wherever they are; content is where they are.",
    "src/lanterna/lessons/style.py", StyleTransfer, experiment, needs=("photographs", "vgg19"),
    quote=grierson(
        "Two popular techniques are style transfer and using generative image models, such as Generative "
        "Adversarial Networks (GANs)."
    ),
    explanation="""
        Think of your favourite soup. A list of what is in it, and of what always comes together on one
        spoon, says a lot about how it tastes, and nothing about where in the bowl each piece lies. Stir
        it, and the list stays the same.

        A network sees a painting as a stack of maps. One is bright wherever there is red, another
        wherever a line slants to the right, another where there are dots. The Gram matrix is the list:
        for every two maps it says how strongly they are bright in the same places. Where those places
        are does not matter. Change noise until its Gram matrices are those of a painting, and you get
        its colours and strokes, all over the picture.

        Early layers have small maps of colours and short lines, so on their own they give a coloured
        grain. Later ones add larger forms. For content we compare the maps of one late layer place by
        place instead. Ask for both, and you get your photograph, painted.
    """,
    seen="""
        Each square of the Gram matrix belongs to two maps, and is strong if both find their feature in
        the same places. Shuffle the picture: nearly every place of the maps changes, and the matrix
        hardly does. So noise that is changed until it has the same matrix gets the colours and lines
        of the picture, but not its arrangement.
    """,
)  # fmt: skip
