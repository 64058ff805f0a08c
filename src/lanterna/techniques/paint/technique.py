"""Networks that paint, declared: one learns pictures, four race, and a painting is shown again.

And those that have learned nothing: random pictures, a sheet and a film of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lanterna.devices import choose_device
from lanterna.errors import LanternaError, UsageError
from lanterna.files import human_size
from lanterna.probes.neurons import neurons_sheet
from lanterna.techniques.derive import film_of, film_of_training, sheet_of
from lanterna.techniques.paint.algorithm import Paint, PaintFrame, paint
from lanterna.techniques.paint.cppn import Cppn, random_loop, random_picture
from lanterna.techniques.paint.painting import Painting, open_painting
from lanterna.techniques.paint.pixels import LONGEST
from lanterna.techniques.paint.race import Race, RaceFrame, race
from lanterna.techniques.paint.rendering import MOST, Grid, Morph, Render, grid, morph, render, wall
from lanterna.techniques.technique import Frame, Input, Report, Result, Settings, SheetCell, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames

_ON_THE_WAY, _AT_THE_END = 2**17, 2**22  # pixels of several paintings shown together


def _paint(job: Job) -> Work:
    settings: Paint = job.settings
    # Of a hundred photographs no more is read than what they are made smaller from.
    longest = 4 * (settings.size or LONGEST) if job.count("picture") > 1 else None
    frames = paint(
        job.pictures("picture", longest=longest), settings, masks=job.pictures("mask"), device=job.device,
        **job.checkpointing, extra_steps=job.extra_steps,
    )  # fmt: skip

    def results(frame: PaintFrame, now: Paint) -> list[Result]:
        if not math.isfinite(frame.numbers["psnr"]):
            rate = frame.numbers["rate"]
            if job.checkpoint:
                job.checkpoint.unlink(missing_ok=True)
            raise LanternaError(f"the network has lost its way: --rate with less than {rate:g}")
        made = frame.settings.changed({"rate": now.rate})
        if made.steps:  # where they are known, they take the place of seconds
            made = made.model_copy(update={"seconds": Paint.model_fields["seconds"].default})
        return [Result(_whole(frame), settings=made, sidecar=(".safetensors", frame.painting.save))]

    def share(frame: Frame) -> float:
        return frame.step / frame.steps if frame.steps else frame.numbers["seconds"] / settings.seconds

    def report(frame: PaintFrame) -> Report:
        height, width = frame.painting.size
        return Report(
            {
                "pictures": frame.painting.pictures, "width": width, "height": height, "steps": frame.step,
                "parameters": frame.painting.parameters, "settings": frame.settings.model_dump(mode="json"),
            }
        )  # fmt: skip

    return Work(frames, results, _shown, share, report)


def _shown(frame: PaintFrame) -> Tensor | None:
    return wall(frame.painting, _ON_THE_WAY) if frame.painting.pictures > 1 else frame.picture


def _whole(frame: PaintFrame) -> Tensor:
    """The painting of a frame at its own size, several pictures on one wall."""
    painting, picture = frame.painting, frame.picture
    if painting.pictures == 1 and picture is not None and tuple(picture.shape[1:]) == painting.size:
        return picture
    return wall(painting, _AT_THE_END)


def _describe(frame: Frame) -> str:
    numbers = frame.numbers
    guessed = f", {numbers['held_out']:.1f} dB where it guesses" if "held_out" in numbers else ""
    return f", {numbers['psnr']:.1f} dB{guessed}, loss {numbers['loss']:.3g}"


def _masks_fit(settings: Paint, counts: Mapping[str, int]) -> Paint:
    masks, pictures = counts.get("mask", 0), counts["picture"]
    if masks not in (0, 1, pictures):
        raise UsageError(f"paint takes one mask for all pictures or one for each, got {masks} for {pictures}")
    return settings


PAINT = Technique(
    name="paint", title="Paint", help="A network learns to paint your picture, pixel by pixel.",
    settings=Paint, run=_paint,
    inputs=(
        Input("picture", "the picture to learn, or several", required=True, many=True),
        Input(
            "mask", "a grey picture for all, or one for each: light where the network must guess",
            many=True, grey=True,
        ),
    ),
    shown_first=("network", "seconds", "size", "keep"), live=("rate",),
    check=_masks_fit, networks=lambda _: (), describe=_describe, resumes="always",
    sidecar=("painting", ".safetensors"), exclusive=(("steps", "seconds"),),
    manual="""Let a network learn to paint a picture.

    `lanterna paint cat.jpg`, `--network siren`, `--seconds 60`, `--preset lecture`; `--keep 0.05` learns from
    5 % of the pixels and guesses the rest. `lanterna paint a.jpg b.jpg c.jpg` teaches one network all three.

    Beside the picture (paint.png, or -o) the painting is written, a small .safetensors file:
    `lanterna paint render paint.safetensors --size 4000x3000` paints it at any size. Ctrl-C keeps what there
    is, and --resume goes on.

    `lanterna paint cat.jpg --race` sets all four networks against each other. `lanterna paint --random` needs
    no picture.
    """,
)  # fmt: skip

PAINT_FILM = film_of_training(
    PAINT, output="film", name="paint-film", title="A film",
    help="The same, and a film of how it was learned.", shown_first=("network", "seconds", "size"),
)  # fmt: skip


def _race(job: Job) -> Work:
    (picture,) = job.pictures("picture")

    def report(frame: RaceFrame) -> Report:
        runners = {
            name: {
                "psnr": round(runner.psnr, 3), "seconds": round(runner.seconds, 3),
                "parameters": runner.parameters, "bytes": runner.bytes,
                "jpeg_bytes": runner.jpeg.bytes if runner.jpeg else None,
            }
            for name, runner in frame.runners.items()
        }  # fmt: skip
        lines = []
        for name, runner in sorted(frame.runners.items(), key=lambda each: -each[1].psnr):
            beside = f", a JPEG as good {human_size(runner.jpeg.bytes)}" if runner.jpeg else ""
            size = f"{runner.parameters:,} parameters, {human_size(runner.bytes)}"
            lines.append(f"{name:<8} {runner.psnr:5.1f} dB in {runner.seconds:.1f} s, {size}{beside}")
        return Report({"finished": frame.finished, "networks": runners}, lines)

    return Work(race(picture, job.settings, device=job.device), report=report)


def _describe_race(frame: Frame) -> str:
    return (
        "".join(f", {name} {value:.1f}" for name, value in frame.numbers.items() if name != "seconds") + " dB"
    )


RACE = Technique(
    name="race", title="A race", help="Four networks learn one picture side by side.", verb="paint",
    flags=("race",), settings=Race, run=_race,
    inputs=(Input("picture", "the picture that all learn", required=True),),
    shown_first=("seconds", "equal", "parameters", "size"), describe=_describe_race,
)  # fmt: skip

RACE_FILM = film_of_training(
    RACE, output="race-film", due=lambda _: True, name="race-film", title="A film of a race",
    help="The same, and a film of it.",
)  # fmt: skip


# What a painting has in it.


def _opened(job: Job) -> Painting:
    chosen = choose_device(job.device)
    file = job.source("painting")
    if isinstance(file, bytes):
        raise UsageError("a painting is a file that `lanterna paint` wrote: give its name")
    painting = open_painting(file)
    painting.network.to(chosen)
    return painting


def _render(job: Job) -> Frames:
    painting = _opened(job)
    return grid(painting, job.settings) if isinstance(job.settings, Grid) else render(painting, job.settings)


RENDER = Technique(
    name="render", title="Large",
    help="Re-render a painting: larger, zoomed in, or beyond its edges.",
    verb="paint", command=("paint", "render"), settings=Render, run=_render,
    inputs=(Input("painting", "a picture that Paint has made here", required=True, suffix=".safetensors"),),
    shown_first=("size", "print", "zoom", "beyond", "turn"), hidden=("seed",), saves_partial=False,
    manual="""Paint a painting again, at any size.

    `lanterna paint render paint.safetensors --size 4000x3000`, `--print 30cm@300dpi`, `--beyond 0.3` past its
    frame, `--zoom 4 --centre 0.3 0.6` into it. Of several pictures: `--which 1.5`, `--grid`, `--morph
    between.webp`.

    Without -o it is written to render.png.
    """,
)  # fmt: skip

GRID = Technique(
    name="grid", title="In between", help="What a painting of several pictures has between them, on a sheet.",
    verb="paint", command=("paint", "render"), flags=("grid",), settings=Grid, run=_render,
    inputs=RENDER.inputs, shown_first=("between", "size"), hidden=("seed",), saves_partial=False,
)  # fmt: skip


def _morph(job: Job, done: int) -> Frames:
    return morph(_opened(job), job.settings, done=done)


def _length(job: Job) -> tuple[int, float]:
    painting = _opened(job)
    job.settings.pixels(painting)  # what is too large is refused before there is a folder of frames
    return job.settings.count(painting), job.settings.fps


MORPH = film_of(
    RENDER, name="morph", title="Morph", help="A film from picture to picture, of a painting of several.",
    settings=Morph, film_flag="morph", outputs=("morph",), shown_first=("frames", "fps", "size"),
    frames=_morph, length=_length,
)  # fmt: skip


class Neurons(Settings):
    """What each neuron of a painting paints, on one sheet."""

    verb: ClassVar[str] = "paint neurons"

    which: float | None = Field(
        default=None, ge=0, le=99, description="Which of several pictures, from 0: 1.5 is between two."
    )
    rows: int = Field(default=4, ge=1, le=64, description="Rows of each layer, at most.")
    columns: int = Field(default=16, ge=8, le=64, description="Neurons in each row.")
    side: int = Field(default=72, ge=16, le=512, description="Pixels along the longer side of each.")


def _neurons(job: Job) -> Frames:
    settings, painting = job.settings, _opened(job)
    picture = neurons_sheet(
        painting.network, which=painting.mixture(settings.which), columns=settings.columns,
        rows=settings.rows, side=settings.side,
    )  # fmt: skip
    yield Frame(1, 1, picture=picture)


NEURONS = Technique(
    name="neurons", title="Neurons", help="What each neuron of a painting paints.", verb="paint",
    command=("paint", "neurons"), settings=Neurons, run=_neurons, inputs=RENDER.inputs,
    shown_first=("columns", "rows", "side"), hidden=("seed",),
    manual="""Show what each neuron of a painting paints, layer by layer.

    Amber is above zero, blue below it. Without -o it is written to neurons.png.
    """,
)  # fmt: skip


# Without a picture.


class RandomSheet(Cppn):
    """A contact sheet of seeds, beginning with `seed`."""

    sheet: int = Field(default=16, ge=1, le=400, description="A sheet of so many seeds, to choose from.")


class RandomLoop(Cppn):
    """A round trip through weight space."""

    frames: int = Field(default=120, ge=2, le=100_000, description="How many frames it has.")
    fps: float = Field(default=24.0, ge=1, le=60, description="Frames a second.")


_TILE = 240  # pixels across of a picture on a sheet


def _random(job: Job) -> Frames:
    yield Frame(1, 1, picture=random_picture(job.settings))


def _fits_memory(settings: Cppn, _: Mapping[str, int]) -> Cppn:
    if settings.width * settings.height > MOST:
        raise UsageError(
            f"at most {MOST:,} pixels are painted, {settings.width} × {settings.height} are more: "
            "--width and --height with less"
        )
    return settings


RANDOM = Technique(
    name="random", title="Random", help="What a network paints that has learned nothing.", verb="paint",
    command=("paint", "--random"), settings=Cppn, run=_random, on_device=False,
    shown_first=("seed", "layers", "spread", "zoom", "mirror", "repeats", "colours"), check=_fits_memory,
    manual="""Paint without a picture: a network that has learned nothing, its weights drawn by --seed.

    `lanterna paint --random --seed 7`, `--sheet 16` to choose from, `--preset rosette`, `--loop loop.webp`.

    Without -o it is written to random.png.
    """,
)  # fmt: skip


def _seeds(settings: RandomSheet) -> list[SheetCell]:
    seeds = range(settings.seed, settings.seed + settings.sheet)
    return [SheetCell(str(seed), "random", settings.as_base(Cppn).changed({"seed": seed})) for seed in seeds]


def _small(large: Cppn) -> Cppn:
    tall = max(8, round(_TILE * large.height / large.width))
    return large.changed({"width": _TILE, "height": tall})


RANDOM_SHEET = sheet_of(
    RANDOM, name="random-sheet", title="Random sheet", help="Seeds side by side, to choose from.",
    settings=RandomSheet, flags=("sheet",), outputs=("random-sheet",),
    shown_first=("seed", "sheet", "layers", "spread"),
    saves_partial=False, cells=_seeds, small=_small, columns=lambda *_: 4, heading=lambda *_: "Seeds", gap=12,
)  # fmt: skip


def _loop(job: Job, done: int) -> Frames:
    return random_loop(job.settings.as_base(Cppn), job.settings.frames, done=done)


RANDOM_LOOP = film_of(
    RANDOM, name="random-loop", title="Random loop",
    help="A film through the weights, and back to where it began.",
    settings=RandomLoop, film_flag="loop", outputs=("random-loop",),
    shown_first=("seed", "frames", "layers", "spread", "colours"),
    frames=_loop, length=lambda job: (job.settings.frames, job.settings.fps),
)  # fmt: skip

TECHNIQUES = (
    PAINT, PAINT_FILM, RACE, RACE_FILM, RENDER, GRID, MORPH, NEURONS, RANDOM, RANDOM_SHEET, RANDOM_LOOP,
)  # fmt: skip
