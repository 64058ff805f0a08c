"""Declare the techniques of `imagine`: digits from noise, on the way between two, and like your own."""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lanterna.devices import choose_device
from lanterna.images.digits import Digits, mnist
from lanterna.images.drawing import contact_sheet
from lanterna.networks.digits import SIDE
from lanterna.settings import networks_folder
from lanterna.techniques.derive import film_of, sheet_of
from lanterna.techniques.imagine.algorithm import (
    Learning,
    LearningDrawings,
    LearningFrame,
    as_light,
    digit_row,
    follow,
    guided,
    learn,
    new_network,
    noise_of,
    one_hot,
)
from lanterna.techniques.imagine.drawings import (
    Comparison,
    check_enough,
    compare,
    drawings_in,
    read_drawings,
)
from lanterna.techniques.imagine.estimate import estimate_drawing, seconds_to_learn
from lanterna.techniques.imagine.ink import own_digit
from lanterna.techniques.imagine.network import load_network, save_network
from lanterna.techniques.imagine.settings import Between, Imagine, ImagineFilm, Like, OwnDrawings
from lanterna.techniques.learned import LearnedOnce
from lanterna.techniques.technique import Frame, Input, Report, Result, SheetCell, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from lanterna.techniques.execute import Job
    from lanterna.techniques.imagine.network import FlowNetwork
    from lanterna.techniques.imagine.settings import Drawing
    from lanterna.techniques.technique import Estimate, Frames

_DIGITS = 50_000  # that a network learns from
_SHORT = 50  # steps of training that are done sooner than estimated
_GUIDANCES, _STEPS = (0.0, 1.0, 2.0, 4.0), (1, 3, 8, 20)  # of a sheet


def learning_of(settings: Drawing) -> Learning:
    """Return how the network for these settings learns."""
    return Learning(epochs=settings.epochs)


def network_file(learning: Learning, drawings: Tensor | None = None) -> Path:
    """Return the file of the network that learned this way, from these drawings if it is not from digits."""
    learned_from = b"" if drawings is None else drawings.numpy().tobytes()
    key = hashlib.sha256(learning.model_dump_json().encode() + learned_from).hexdigest()[:8]
    return networks_folder() / f"imagine-{key}.safetensors"


def _learned_epochs() -> int:
    """Return for how many epochs the longest trained network of digits on this machine learned; 0 if none."""
    here = [Learning(epochs=epochs) for epochs in range(1, 1001)]
    return max((learning.epochs for learning in here if network_file(learning).is_file()), default=0)


def open_flow(
    learning: Learning, device: torch.device | str = "cpu", *, drawings: Tensor | None = None
) -> FlowNetwork:
    """Open the network that learned this way. Errors: `LanternaError` if its file is damaged."""
    file = network_file(learning, drawings)
    return load_network(new_network(learning), file, learning.model_dump_json()).to(device)


def _learned(
    job: Job, learning: Learning | None = None, drawings: Tensor | None = None
) -> LearnedOnce[LearningFrame]:
    """Return the network of a job: the one on this machine, or one that learns first."""
    learning = learning or learning_of(job.settings)
    file = network_file(learning, drawings)

    def begin(checkpointing: dict[str, Any]) -> tuple[Generator[LearningFrame, Any, None], int]:
        if drawings is None:
            job.fetch("mnist")
            digits = mnist("train")
            if epochs := _learned_epochs():
                job.notify(f"a network that learned with --epochs {epochs} is there: add that to use it")
        else:
            digits = Digits(drawings, torch.zeros(len(drawings), dtype=torch.int64))
        frames = learn(digits, learning, device=job.device, **checkpointing)
        return frames, learning.steps(len(digits.labels))

    return LearnedOnce(
        job, file, begin, lambda frame: save_network(frame.network, file, learning.model_dump_json())
    )


def _open(job: Job) -> FlowNetwork:
    return open_flow(learning_of(job.settings), choose_device(job.device))


def _network_then(job: Job, draw: Callable[[FlowNetwork], Iterator[Frame]]) -> Work:
    """Return work that shows the network learning, if there is none yet, and then draws."""
    frames = _learned(job).then(lambda: draw(_open(job)), job.settings.steps, "drawing")

    def results(frame: Frame, _: Any) -> list[Result]:
        if isinstance(frame, LearningFrame):  # stopped: what the network draws so far
            *_, frame = draw(frame.network)
        assert frame.picture is not None
        return [Result(frame.picture)]

    return Work(frames, results)


def _drawn(
    network: FlowNetwork, classes: Tensor, settings: Drawing, start: Tensor, begin: float = 0.0
) -> Iterator[Frame]:
    """Draw digits of `classes` `(N, 10)`, from mixtures at time `begin`, yielding a frame after each step."""
    device = next(network.parameters()).device
    velocity = guided(network, classes.to(device), settings.guidance)
    with torch.inference_mode():
        for step, digits in enumerate(follow(velocity, start.to(device), settings.steps, begin), start=1):
            yield Frame(step, settings.steps, picture=digit_row(as_light(digits)))


def _classes(digits: str) -> Tensor:
    return one_hot(torch.tensor([int(digit) for digit in digits]))


def _imagine(job: Job) -> Work:
    settings: Imagine = job.settings
    classes = _classes(settings.digits)
    noise = noise_of(settings.seed, len(classes))
    return _network_then(job, lambda network: _drawn(network, classes, settings, noise))


def _between(job: Job) -> Work:
    settings: Between = job.settings
    first, last = (_classes(str(end)) for end in settings.between)
    classes = torch.lerp(first, last, torch.linspace(0, 1, settings.pictures)[:, None])
    noise = noise_of(settings.seed, 1).expand(len(classes), -1, -1, -1)
    return _network_then(job, lambda network: _drawn(network, classes, settings, noise))


def _like(job: Job) -> Work:
    settings: Like = job.settings
    own = own_digit(job.pictures("like")[0], job.display_name("like"))
    classes, begin = _classes(settings.digits), 1 - settings.strength
    noise = noise_of(settings.seed, len(classes))
    start = torch.lerp(noise, 2 * own - 1, begin)
    return _network_then(job, lambda network: _drawn(network, classes, settings, start, begin))


def _describe(frame: Frame) -> str:
    n = frame.numbers
    return f", epoch {n['epoch']:.1f}, loss {n['loss']:.3f}" if "loss" in n else ""


def _estimate(job: Job) -> Estimate:
    """Estimate drawing the digits, and learning to if that is still to be done."""
    settings: Imagine | Between = job.settings
    pictures = settings.pictures if isinstance(settings, Between) else len(settings.digits)
    steps = settings.frames if isinstance(settings, ImagineFilm) else settings.steps
    learning = learning_of(settings)
    drawing = estimate_drawing(learning, pictures, steps, settings.guidance)
    return _with_learning(drawing, job, learning, _DIGITS)


def _with_learning(
    drawing: Estimate, job: Job, learning: Learning, count: int, drawings: Tensor | None = None
) -> Estimate:
    """Add the time of learning from so many digits or drawings, unless a network has."""
    steps = learning.steps(count)
    if job.resume or steps < _SHORT or network_file(learning, drawings).is_file():
        return drawing
    return replace(drawing, seconds=drawing.seconds + seconds_to_learn(learning, steps, job.device))


def learning_from(settings: OwnDrawings, count: int) -> LearningDrawings:
    """Return how the network learns from so many drawings."""
    kind = LearningDrawings(mirror=settings.mirror)
    epochs = max(1, round(settings.training / kind.changed({"epochs": 1}).steps(count)))
    return kind.changed({"epochs": epochs})


def _drawings(job: Job) -> Tensor:
    def read() -> list[Tensor]:
        given = [file for file in job.sources("of") if isinstance(file, Path)]
        files = drawings_in(given[0]) if len(given) == 1 else check_enough(given, "imagine")
        return [read_drawings(files, partial(job.progress, "reading drawings"), job.notify)]

    return job.opened_once("of", read)[0]


def _estimate_own(job: Job) -> Estimate:
    """Estimate drawing, and learning to if that is still to be done."""
    settings: OwnDrawings = job.settings
    drawings = _drawings(job)
    learning = learning_from(settings, len(drawings))
    drawing = estimate_drawing(learning, settings.samples, settings.steps, 1)
    return _with_learning(drawing, job, learning, len(drawings), drawings)


def _own(job: Job) -> Work:
    settings: OwnDrawings = job.settings
    drawings = _drawings(job)
    learning = learning_from(settings, len(drawings))
    learned = _learned(job, learning, drawings)
    classes = _classes("0" * settings.samples)

    def draw(network: FlowNetwork) -> Iterator[OwnFrame]:
        device = next(network.parameters()).device
        velocity = guided(network, classes.to(device), 1)
        noise = noise_of(settings.seed, len(classes)).to(device)
        with torch.inference_mode():
            for step, values in enumerate(follow(velocity, noise, settings.steps), start=1):
                light = as_light(values).cpu()
                yield OwnFrame(step, settings.steps, picture=digit_row(light), drawn=light)

    def results(frame: LearningFrame | OwnFrame, _: Any) -> list[Result]:
        if isinstance(frame, LearningFrame):  # stopped: what the network draws so far
            (frame,) = deque(draw(frame.network), maxlen=1)
        found = compared(frame.drawn)
        picture = _pairs(frame.drawn, found) if settings.pairs else digit_row(frame.drawn)
        return [Result(picture, numbers={"copies": found.copies, "distance": found.median})]

    @cache
    def compared(drawn: Tensor) -> Comparison:
        return compare(drawn, drawings.float() / 255, learning.shift, mirror=learning.mirror)

    def report(frame: LearningFrame | OwnFrame) -> Report:
        if isinstance(frame, LearningFrame):
            return Report()
        found = compared(frame.drawn)
        document = {"copies": found.copies, "distance": round(found.median, 4)}
        return Report(document, notes=[_honest(found, len(drawings))])

    frames = learned.then(
        lambda: draw(open_flow(learning, choose_device(job.device), drawings=drawings)),
        settings.steps,
        "drawing",
    )
    return Work(frames, results, report=report)


@dataclass(frozen=True)
class OwnFrame(Frame):
    """Pictures on their way from noise to drawings: `drawn` `(N, 1, 28, 28)` in [0, 1]."""

    drawn: Tensor = field(kw_only=True, repr=False)


def _pairs(drawn: Tensor, found: Comparison) -> Tensor:
    """Return a sheet of pictures, each beside the drawing nearest to it, and how far apart they are."""
    tiles = [
        (digit_row(torch.stack([one, other])), f"{'copy, ' if copied else ''}{100 * apart:.0f} % apart")
        for one, other, apart, copied in zip(
            drawn, found.nearest, found.distances.tolist(), found.copied.tolist(), strict=True
        )
    ]
    columns = min(4, len(tiles))
    return contact_sheet(tiles, columns=columns, side=2 * 4 * SIDE, height=4 * SIDE)


def _honest(found: Comparison, count: int) -> str:
    """Say whether pictures are copies, and what helps."""
    copies, drawn = found.copies, len(found.distances)
    text = (
        f"{copies} of {drawn} are copies: nearer to one of your {count:,} drawings than 95 % of those are to "
        "each other"
    )
    return f"{text}; more drawings help, and fewer steps of training" if copies > drawn / 4 else text


IMAGINE = Technique(
    name="imagine", title="Imagine", help="Digits that nobody wrote, drawn from noise.",
    settings=Imagine, run=_imagine, arguments=("digits",), networks=lambda _: (),
    shown_first=("digits", "seed", "guidance", "steps"), resumes="always", describe=_describe,
    estimate=_estimate, learns_once=True,
    manual="""Draw digits that nobody wrote, from noise.

    `lanterna imagine 4096`, `--seed 7` for others, `--guidance 3` for clearer ones; `--between 3 8` is the
    way from one to another, `--like mine.png` draws in the manner of your own digit, `--film noise.webp`
    shows how noise becomes digits, and `--sheet` compares guidance and steps. `--of drawings` learns from a
    folder of at least 200 drawings of your own, and says how many of its pictures are only copies of them.

    The first time, a network learns to draw them while you watch; it is saved for the next time. Ctrl-C stops
    and saves; --resume continues. Without -o it is written to imagine.png.
    """,
)  # fmt: skip

BETWEEN = replace(
    IMAGINE, name="imagine-between", title="Between", help="The way from one digit to another.",
    settings=Between, run=_between, arguments=(), flags=("between",), outputs=("between",),
    file="imagine-between", shown_first=("between", "seed", "pictures", "guidance"),
)  # fmt: skip

LIKE = replace(
    IMAGINE, name="imagine-like", title="Like yours", help="Digits in the manner of one that you drew.",
    settings=Like, run=_like, flags=("like",), outputs=("like",), file="imagine-like",
    inputs=(Input("like", "a picture of your own digit", required=True),),
    shown_first=("digits", "strength", "seed", "guidance"),
)  # fmt: skip

OWN = replace(
    IMAGINE, name="imagine-own", title="Your drawings", help="Learn from your own drawings, and draw others.",
    settings=OwnDrawings, run=_own, arguments=(), flags=("of",), outputs=("own",), file="imagine-own",
    estimate=_estimate_own,
    inputs=(
        Input(
            "of", "at least 200 of your drawings, in one folder", required=True, many=True,
            folder="a folder of at least 200 drawings, of 28 to 32 pixels or photographed one by one",
        ),
    ),
    shown_first=("samples", "training", "seed", "mirror"),
)  # fmt: skip


# The sheet and the film.


def _cells(settings: Imagine) -> list[SheetCell]:
    return [
        SheetCell(
            f"{guidance:g}, {steps}", "imagine", settings.changed({"guidance": guidance, "steps": steps})
        )
        for guidance, steps in itertools.product(_GUIDANCES, _STEPS)
    ]


SHEET = sheet_of(
    IMAGINE, name="imagine-sheet", title="A sheet", help="Guidance and steps side by side.",
    flags=("sheet",), outputs=("imagine-sheet",), shown_first=("digits", "seed"), saves_partial=False,
    cells=_cells, small=lambda _, large: large, learned=_learned, columns=lambda *_: len(_STEPS),
    heading=lambda *_: "Guidance, steps", estimate=_estimate,
)  # fmt: skip


def _film(job: Job, done: int) -> Frames:
    settings: ImagineFilm = job.settings
    classes = _classes(settings.digits)
    network, noise = _open(job), noise_of(settings.seed, len(classes))
    way = settings.changed({"steps": settings.frames - 1})
    first = Frame(0, 0, picture=digit_row(as_light(noise)))
    for frame in itertools.chain([first], _drawn(network, classes, way, noise)):
        if frame.step >= done:
            yield Frame(frame.step + 1, settings.frames, picture=frame.picture)


FILM = film_of(
    IMAGINE, name="imagine-film", title="A film", help="A film of the way from noise to digits.",
    settings=ImagineFilm, film_flag="film", outputs=("film",),
    shown_first=("digits", "seed", "frames", "fps"), hidden=("steps",), frames=_film, learned=_learned,
    estimate=_estimate,
    length=lambda job: (job.settings.frames, job.settings.fps),
)  # fmt: skip

TECHNIQUES = (IMAGINE, BETWEEN, LIKE, OWN, SHEET, FILM)
