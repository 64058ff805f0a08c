"""Lesson 16. Style and dream from the same parts: one loop, four results.

Training changes the weights until a network answers correctly. Freeze the weights, and the same loop can
change the picture instead: until the network is sure of a class (Simonyan et al. 2013), until a layer is more
active (DeepDream, Mordvintsev et al. 2015), or until the channels of several layers are correlated as they
are for a painting (Gatys et al. 2015, Gram matrices). Only two choices differ: what changes, and the
objective.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field

from lanterna.images.digits import mnist
from lanterna.images.drawing import signed_sheet
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Finding, Lesson, Outcome, Picture
from lanterna.lessons.loop import descend
from lanterna.lessons.photographs import photograph
from lanterna.lessons.subjects import SUBJECTS
from lanterna.lessons.text import listed, percent
from lanterna.networks import open_network
from lanterna.networks.digits import conv, to_channels_last
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
_SHOWN: dict[Texture, str] = {
    "gravel": "gravel", "brick": "bricks", "grass": "grass", "coffee": "a cup of coffee",
    "astronaut": "an astronaut",
}  # fmt: skip
_STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
_CONTENT_LAYER = "relu4_2"
_BATCH = 128
_INK_WEIGHT = 3.0  # of the penalty on ink
_VIEWS = 4  # randomly transformed copies of a digit in each step
_VISIBLE_STEPS = 60  # with fewer, dream and style are measurable, but hard to see


class Parts(Settings):
    """Get four results from one loop: a trained network, a digit nobody wrote, a dream and a style."""

    verb: ClassVar[str] = "learn parts"

    photograph: Photograph = Field(default="chelsea", description="The picture to dream on and to stylise.")
    style: Texture = Field(default="coffee", description="The picture whose style is transferred.")
    class_: int = Field(default=3, ge=0, le=9, description="The digit that the picture should become.")
    layer: Literal["relu3_1", "relu3_3", "relu4_1", "relu4_3", "relu5_1"] = Field(
        default="relu4_3", description="The layer that the dream makes more active."
    )
    content: float = Field(default=0.05, ge=0, le=10, description="How closely to keep to the photograph.")
    size: int = Field(default=192, ge=64, le=512, description="Pixels along a side of dream and style.")
    steps: int = Field(default=120, ge=10, le=2000, description="Steps for each picture.")
    training: int = Field(default=300, ge=10, le=5000, description="Steps of training the network.")


class Result(NamedTuple):
    """One run of the loop: its picture `(3, H, W)`, its losses, and the score it improves, before and
    after.
    """

    picture: Tensor
    losses: list[float]
    before: float
    after: float


def trained(settings: Parts) -> tuple[Network, Result]:
    """Change the weights until every digit gets the right class."""
    torch.manual_seed(settings.seed)
    network, digits, test = conv(), mnist("train"), mnist("test")
    to_channels_last(network)
    generator = torch.Generator().manual_seed(settings.seed)
    before = accuracy(network, test)

    def loss_fn(_: int) -> Tensor:
        batch = torch.randint(0, len(digits.labels), (_BATCH,), generator=generator)
        return F.cross_entropy(network.train()(in_unit_range(digits.images[batch])), digits.labels[batch])

    losses = descend(network.parameters(), loss_fn, settings.training, 0.01)
    kernels = network.get_parameter("layers.conv1.weight").detach()  # (16, 1, 5, 5)
    return network, Result(signed_sheet(kernels[:, 0]), losses, before, accuracy(network, test))


def of_a_class(settings: Parts, network: Network) -> Result:
    """Change an empty picture until the network is sure of one class, with little ink."""
    generator = torch.Generator().manual_seed(settings.seed)
    canvas = FourierImage(1, 1, 20, 20, generator, fall=1.4, level=0.05)
    objective = objectives.log_odds(settings.class_) - _INK_WEIGHT * objectives.ink()
    network.eval()

    def picture() -> Tensor:
        return F.pad(canvas(), (4, 4, 4, 4))  # the margin, where MNIST has no ink

    def loss_fn(_: int) -> Tensor:
        views = picture().expand(_VIEWS, -1, -1, -1)
        return -objective(network, random_transform(views, generator)).mean()

    before = _probability(network, picture(), settings.class_)
    losses = descend(canvas.parameters(), loss_fn, 2 * settings.steps, 0.3)
    after = _probability(network, picture(), settings.class_)
    return Result(picture_row(picture().detach()), losses, before, after)


def dreamed(settings: Parts, network: Network, start: Tensor) -> Result:
    """Change the photograph until a layer is more active, whatever it responds to."""
    generator = torch.Generator().manual_seed(settings.seed)
    canvas = _canvas(start, generator)
    objective = objectives.energy(settings.layer)
    with torch.no_grad():
        unit = objective(network, start).item()

    def loss_fn(_: int) -> Tensor:
        return -objective(network, _jittered(_over(start, canvas), generator)).sum() / unit

    losses = descend(canvas.parameters(), loss_fn, settings.steps, 0.05)
    with torch.no_grad():
        after = objective(network, _over(start, canvas)).item()
        return Result(_over(start, canvas)[0], losses, 1.0, after / unit)


def styled(settings: Parts, network: Network, start: Tensor, painting: Tensor) -> Result:
    """Change the photograph until its Gram matrices match the painting's, and retain its content."""
    canvas = _canvas(start, torch.Generator().manual_seed(settings.seed))
    layers = frozenset({*_STYLE_LAYERS, _CONTENT_LAYER})
    with torch.no_grad():
        targets = objectives.layer_outputs(network, painting, layers)
        content = objectives.layer_outputs(network, start, layers)[_CONTENT_LAYER]
    distances = {layer: gram_distance(moments(targets[layer])) for layer in _STYLE_LAYERS}
    unit = content.square().mean()

    def losses_of(picture: Tensor) -> tuple[Tensor, Tensor]:
        outputs = objectives.layer_outputs(network, picture, layers)
        style = torch.stack(
            [distance(moments(outputs[layer])) for layer, distance in distances.items()]
        ).mean()
        return style, (outputs[_CONTENT_LAYER] - content).square().mean() / unit

    def loss_fn(_: int) -> Tensor:
        style, content_loss = losses_of(_over(start, canvas))
        return style + settings.content * content_loss

    with torch.no_grad():
        before = losses_of(start)[0].item()
    losses = descend(canvas.parameters(), loss_fn, settings.steps, 0.05)
    with torch.no_grad():
        picture = _over(start, canvas)
        return Result(picture[0], losses, before, losses_of(picture)[0].item())


def experiment(settings: Parts) -> Outcome:
    """Run the loop four times and compare the scores before and after."""
    network, weights = trained(settings)
    vgg = optimize_for_inference(open_network("vgg16"), [settings.layer, *_STYLE_LAYERS, _CONTENT_LAYER])
    content, painting = (
        photograph(name, settings.size)[None] for name in (settings.photograph, settings.style)
    )
    results = [
        weights,
        of_a_class(settings, network),
        dreamed(settings, vgg, content),
        styled(settings, vgg, content, painting),
    ]
    return _outcome(settings, results)


def _outcome(settings: Parts, results: Sequence[Result]) -> Outcome:
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
        "The same loop does all four. It changes weights until the network reads "
        f"{percent(weights.after, 1)} of test digits ({percent(weights.before)} before). It changes a "
        f"picture until that network is {percent(digit.after)} sure that it is a {settings.class_} "
        f"({percent(digit.before)} before). It changes a photograph until {settings.layer} is "
        f"{dream.after:.{0 if dream.after > 10 else 1}f} times as active, and another copy until its Gram "
        f"matrices are {style.before / max(style.after, 1e-9):.0f} times closer to those of a photograph of "
        f"{_SHOWN[settings.style]}."
    )
    missed = [name for name, good in worked.items() if not good]
    if missed:
        words += f" With these settings the results for {listed(missed)} did not get far enough."
    if settings.steps < _VISIBLE_STEPS:
        words += f" The photographs hardly look different yet: --set steps={_VISIBLE_STEPS} takes more steps."
    subject = SUBJECTS[settings.photograph]
    titles = (
        ("1. Weights, for the right class", "kernels of the first layer, after training"),
        (f"2. A picture, for the class {settings.class_}", "a digit that nobody wrote"),
        (f"3. A photograph, for more activity in {settings.layer}", f"the {subject}, dreamed"),
        (
            "4. A photograph, for another's Gram matrices",
            f"the {subject} in the style of a photograph of {_SHOWN[settings.style]}",
        ),
    )
    pictures = [
        Picture(title, result.picture, words) for (title, words), result in zip(titles, results, strict=True)
    ]
    numbers = {
        f"{name}, {when}": value
        for name, result in zip(worked, results, strict=True)
        for when, value in (("before", result.before), ("after", result.after))
    }
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), pictures)


def _canvas(start: Tensor, generator: torch.Generator) -> FourierImage:
    """Return the changes to a photograph as a Fourier image, close to none at the start."""
    height, width = start.shape[2:]
    return FourierImage(1, 3, height, width, generator, start=1e-4)


def _over(start: Tensor, canvas: FourierImage) -> Tensor:
    """Return the photograph with its changes, `(1, 3, H, W)` in [0, 1]."""
    return torch.sigmoid(torch.logit(start, 0.01) + torch.logit(canvas(), 1e-6))


def _jittered(picture: Tensor, generator: torch.Generator) -> Tensor:
    """Shift the picture at random, so that the network's pixel grid leaves no pattern in it."""
    shift = torch.randint(0, 32, (2,), generator=generator).tolist()
    return picture.roll(shift, (2, 3))


def _probability(network: Network, picture: Tensor, class_: int) -> float:
    with torch.no_grad():
        return float(network(picture).softmax(1)[0, class_])


LESSON = Lesson(
    "parts", "Style and dream from the same parts", "Are training, dreaming and style transfer the same "
    "thing?",
    "Choose what changes, the weights or the picture, and choose the goal, a class, an active layer or a "
    "style: one loop does it all.",
    "src/lanterna/lessons/parts.py", Parts, experiment, needs=("mnist", "photographs", "vgg16"),
    quote=grierson(
        "Two popular techniques are style transfer and using generative image models, such as Generative "
        "Adversarial Networks (GANs)."
    ),
    explanation="""
        A painter and a critic sit at one table. Usually the critic is learning: the pictures stay as
        they are, and the critic changes until the verdicts are right. That is training. Now let the
        critic be fixed and the painter learn: before each dab of paint, ask the critic which way to
        change it, and follow the advice. The same conversation, the other way round.

        For a network, the conversation is one loop. Run it, measure how far the result is from the
        goal, find the direction that improves it, change something a little, and repeat. If the
        weights change, the network learns. If the pixels change, a picture appears, and which one
        depends on the goal. "Be sure that this is a 3" leads to a digit that nobody wrote. "Let this
        layer respond more strongly, to whatever it responds to already" leads to a dream. "Have the
        textures of this painting and the layout of that photograph" leads to style transfer. The
        textures are measured with Gram matrices, tables that note which features occur together, but
        not where.
    """,
    seen="""
        First the network is fixed, and the picture changes until it is read as the digit that you
        choose, often before it looks like one to you. Then the picture is fixed, and the same gradient
        changes the weights until the network agrees. Only what is allowed to move is different.
    """,
)  # fmt: skip
