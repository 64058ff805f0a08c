"""Lesson 16. Style and dream from the same parts: one loop, four results.

Learning changes weights until a network answers as it should. Hold the weights, and let the same loop change
the picture instead: until the network is sure of a class (Simonyan et al. 2013), until a layer is more
excited (DeepDream, Mordvintsev et al. 2015), or until the channels of several layers fire together as they do
for a painting (Gatys et al. 2015, Gram matrices). Two things are chosen, and only they: what is changed, and
what is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field

from lanterna.images.digits import mnist
from lanterna.images.drawing import signed_sheet
from lanterna.lessons.lesson import Finding, Lesson, Outcome, Picture
from lanterna.lessons.loop import descend
from lanterna.lessons.photographs import photograph
from lanterna.networks import open_network
from lanterna.networks.digits import conv, lay_channels_last
from lanterna.networks.inference import optimize_for_inference
from lanterna.probes import objectives
from lanterna.probes.statistics import gram_distance, moments
from lanterna.techniques.feature.algorithm import picture_row
from lanterna.techniques.fourier_image import FourierImage, random_transform
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import accuracy, in_unit_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks import Network

Photograph = Literal["chelsea", "astronaut", "coffee"]
Texture = Literal["gravel", "brick", "grass", "coffee", "astronaut"]
_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
_CONTENT_LAYER = "relu4_2"
_BATCH = 128
_INK = 3.0  # how dear ink is on a digit
_VIEWS = 4  # shifted and turned copies of a digit that are looked at in each step


class Parts(Settings):
    """Make four results with one loop: a network, a digit nobody wrote, a dream and a picture in a style."""

    verb: ClassVar[str] = "learn parts"

    photograph: Photograph = Field(default="chelsea", description="The picture that is dreamed and painted.")
    style: Texture = Field(default="coffee", description="Whose textures it is painted in.")
    class_: int = Field(default=3, ge=0, le=9, description="The digit that is wanted of the picture.")
    layer: Literal["relu3_1", "relu3_3", "relu4_1", "relu4_3", "relu5_1"] = Field(
        default="relu4_3", description="The layer that is to be excited."
    )
    content: float = Field(default=0.05, ge=0, le=10, description="How much the photograph is to be kept.")
    size: int = Field(default=192, ge=64, le=512, description="Pixels along a side of dream and style.")
    steps: int = Field(default=120, ge=10, le=2000, description="Steps, of each picture.")
    training: int = Field(default=300, ge=10, le=5000, description="Steps of training, at first.")


class Result(NamedTuple):
    """What one run of the loop made, `(3, H, W)`; its losses; and what was wanted, before and after."""

    picture: Tensor
    losses: list[float]
    before: float
    after: float


def trained(settings: Parts) -> tuple[Network, Result]:
    """Changed: the weights. Wanted: the right class of every digit."""
    torch.manual_seed(settings.seed)
    network, digits, test = conv(), mnist("train"), mnist("test")
    lay_channels_last(network)
    generator = torch.Generator().manual_seed(settings.seed)
    before = accuracy(network, test)

    def wanted(_: int) -> Tensor:
        some = torch.randint(0, len(digits.labels), (_BATCH,), generator=generator)
        return F.cross_entropy(network.train()(in_unit_range(digits.images[some])), digits.labels[some])

    losses = descend(network.parameters(), wanted, settings.training, 0.01)
    kernels = network.get_parameter("layers.conv1.weight").detach()  # (16, 1, 5, 5)
    return network, Result(signed_sheet(kernels[:, 0]), losses, before, accuracy(network, test))


def of_a_class(settings: Parts, network: Network) -> Result:
    """Changed: a picture, empty at first. Wanted: one answer, and little ink."""
    generator = torch.Generator().manual_seed(settings.seed)
    canvas = FourierImage(1, 1, 20, 20, generator, fall=1.4, level=0.05)
    want = objectives.log_odds(settings.class_) - _INK * objectives.ink()
    network.eval()

    def picture() -> Tensor:
        return F.pad(canvas(), (4, 4, 4, 4))  # where MNIST has no ink

    def wanted(_: int) -> Tensor:
        views = picture().expand(_VIEWS, -1, -1, -1)
        return -want(network, random_transform(views, generator)).mean()

    share = [_share(network, picture(), settings.class_)]
    losses = descend(canvas.parameters(), wanted, 2 * settings.steps, 0.3)
    share.append(_share(network, picture(), settings.class_))
    return Result(picture_row(picture().detach()), losses, *share)


def dreamed(settings: Parts, network: Network, begin: Tensor) -> Result:
    """Changed: the photograph. Wanted: more of whatever a layer sees in it."""
    generator = torch.Generator().manual_seed(settings.seed)
    canvas = _changes(begin, generator)
    want = objectives.energy(settings.layer)
    with torch.no_grad():
        unit = want(network, begin).item()

    def wanted(_: int) -> Tensor:
        return -want(network, _jittered(_over(begin, canvas), generator)).sum() / unit

    losses = descend(canvas.parameters(), wanted, settings.steps, 0.05)
    with torch.no_grad():
        after = want(network, _over(begin, canvas)).item()
        return Result(_over(begin, canvas)[0], losses, 1.0, after / unit)


def styled(settings: Parts, network: Network, begin: Tensor, painting: Tensor) -> Result:
    """Changed: the photograph. Wanted: channels that fire together as for the painting, and its content."""
    canvas = _changes(begin, torch.Generator().manual_seed(settings.seed))
    layers = frozenset({*_STYLE_LAYERS, _CONTENT_LAYER})
    with torch.no_grad():
        seen = objectives.read(network, painting, layers)
        content = objectives.read(network, begin, layers)[_CONTENT_LAYER]
    distances = {layer: gram_distance(moments(seen[layer])) for layer in _STYLE_LAYERS}
    unit = content.square().mean()

    def apart(picture: Tensor) -> tuple[Tensor, Tensor]:
        outputs = objectives.read(network, picture, layers)
        style = torch.stack([away(moments(outputs[layer])) for layer, away in distances.items()]).mean()
        return style, (outputs[_CONTENT_LAYER] - content).square().mean() / unit

    def wanted(_: int) -> Tensor:
        style, content_lost = apart(_over(begin, canvas))
        return style + settings.content * content_lost

    with torch.no_grad():
        before = apart(begin)[0].item()
    losses = descend(canvas.parameters(), wanted, settings.steps, 0.05)
    with torch.no_grad():
        picture = _over(begin, canvas)
        return Result(picture[0], losses, before, apart(picture)[0].item())


def experiment(settings: Parts) -> Outcome:
    """All four, and how far each got."""
    network, weights = trained(settings)
    vgg = optimize_for_inference(open_network("vgg16"), [settings.layer, *_STYLE_LAYERS, _CONTENT_LAYER])
    begin, painting = (
        photograph(name, settings.size)[None] for name in (settings.photograph, settings.style)
    )
    results = [
        weights,
        of_a_class(settings, network),
        dreamed(settings, vgg, begin),
        styled(settings, vgg, begin, painting),
    ]
    return _told(settings, results)


def _told(settings: Parts, results: Sequence[Result]) -> Outcome:
    weights, digit, dream, style = results
    worked = {
        "training": weights.after > 0.9,
        "class": digit.after > 0.9 > digit.before,
        "dream": dream.after > 1.5,
        "style": style.after < style.before / 3,
    }
    verdict: Verdict = (
        "holds" if all(worked.values()) else "holds only when" if any(worked.values()) else "does not hold"
    )
    words = (
        f"One loop. It changes weights until {weights.after:.1%} of test digits are read right "
        f"({weights.before:.0%} before); a picture until that network is {digit.after:.0%} sure of a "
        f"{settings.class_} ({digit.before:.0%}); a photograph until {settings.layer} is {dream.after:.1f} "
        f"times as excited; and until its Gram matrices are "
        f"{style.before / max(style.after, 1e-9):.0f} times nearer the painting's."
    )
    missed = [name for name, good in worked.items() if not good]
    if missed:
        words += f" Not far enough with these settings: {' and '.join(missed)}."
    titles = (
        ("1. weights, for the right class", "kernels of the first layer, after training"),
        (f"2. a picture, for the class {settings.class_}", "a digit that nobody wrote"),
        (f"3. a photograph, for the energy of {settings.layer}", f"{settings.photograph}, dreamed"),
        (f"4. a photograph, for {settings.style}'s Gram matrices", f"{settings.photograph} in that style"),
    )
    pictures = [
        Picture(title, each.picture, told) for (title, told), each in zip(titles, results, strict=True)
    ]
    numbers = {
        f"{name}, {when}": value
        for name, each in zip(worked, results, strict=True)
        for when, value in (("before", each.before), ("after", each.after))
    }
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), pictures)


def _changes(begin: Tensor, generator: torch.Generator) -> FourierImage:
    """What is changed of a photograph: the waves of the light that is added to it, none at first."""
    height, width = begin.shape[2:]
    return FourierImage(1, 3, height, width, generator, start=1e-4)


def _over(begin: Tensor, canvas: FourierImage) -> Tensor:
    """The photograph with its changes, `(1, 3, H, W)` in [0, 1]."""
    return torch.sigmoid(torch.logit(begin, 0.01) + torch.logit(canvas(), 1e-6))


def _jittered(picture: Tensor, generator: torch.Generator) -> Tensor:
    """The picture shifted at random, so that no pixel is special to the network's grid."""
    by = torch.randint(0, 32, (2,), generator=generator).tolist()
    return picture.roll(by, (2, 3))


def _share(network: Network, picture: Tensor, answer: int) -> float:
    with torch.no_grad():
        return float(network(picture).softmax(1)[0, answer])


LESSON = Lesson(
    "parts", "Style and dream from the same parts", "Are training, dreaming and style the same thing?",
    "Change what is changed, weights or the picture, and what is wanted, a class, a layer's energy or a "
    "style: one loop does all of it.",
    "src/lanterna/lessons/parts.py", Parts, experiment, needs=("mnist", "photographs", "vgg16"),
)  # fmt: skip
