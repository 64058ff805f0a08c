"""Declare the techniques of networks that paint: learning pictures, a race, rendering a painting again.

And those of untrained networks: random pictures, a sheet and a film of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lanterna.devices import choose_device
from lanterna.errors import LanternaError, UsageError
from lanterna.files import format_size
from lanterna.probes.neurons import neurons_sheet
from lanterna.techniques.derive import film_of, film_of_training, sheet_of
from lanterna.techniques.paint.algorithm import Paint, PaintFrame, paint
from lanterna.techniques.paint.painting import Painting, open_painting
from lanterna.techniques.paint.pixels import LONGEST
from lanterna.techniques.paint.race import Race, RaceFrame, race
from lanterna.techniques.paint.random_picture import RandomPicture, random_frames, random_loop
from lanterna.techniques.paint.rendering import (
    MAX_PIXELS,
    Grid,
    Morph,
    Render,
    grid,
    morph,
    render,
    render_all,
)
from lanterna.techniques.technique import Frame, Input, Report, Result, Settings, SheetCell, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames

_PREVIEW_PIXELS, _RESULT_PIXELS = 2**17, 2**22  # of several pictures shown side by side


def _paint(job: Job) -> Work:
    settings: Paint = job.settings
    # Decode many photographs at a reduced size, to save memory.
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
            raise LanternaError(f"the training diverged: set --rate below {rate:g}")
        settings = frame.settings.changed({"rate": now.rate})
        if settings.steps:  # known steps replace seconds in the recipe
            settings = settings.model_copy(update={"seconds": Paint.model_fields["seconds"].default})
        return [
            Result(_full_picture(frame), settings=settings, sidecar=(".safetensors", frame.painting.save))
        ]

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
    return render_all(frame.painting, _PREVIEW_PIXELS) if frame.painting.pictures > 1 else frame.picture


def _full_picture(frame: PaintFrame) -> Tensor:
    """Return a frame's painting at its own size, several pictures side by side."""
    painting, picture = frame.painting, frame.picture
    if painting.pictures == 1 and picture is not None and tuple(picture.shape[1:]) == painting.size:
        return picture
    return render_all(painting, _RESULT_PIXELS)


def _describe(frame: Frame) -> str:
    numbers = frame.numbers
    held_out = f", {numbers['held_out']:.1f} dB held out" if "held_out" in numbers else ""
    return f", {numbers['psnr']:.1f} dB{held_out}, loss {numbers['loss']:.3g}"


def _check_masks(settings: Paint, counts: Mapping[str, int]) -> Paint:
    masks, pictures = counts.get("mask", 0), counts["picture"]
    if masks not in (0, 1, pictures):
        raise UsageError(f"mask: expected one, or one for each picture, got {masks} for {pictures}")
    return settings


PAINT = Technique(
    name="paint", title="Paint", help="A network learns to paint your picture, pixel by pixel.",
    settings=Paint, run=_paint,
    inputs=(
        Input("picture", "the picture to learn, or several", required=True, many=True),
        Input(
            "mask", "a grey picture for all pictures, or one for each: light where pixels are hidden",
            many=True, grey=True,
        ),
    ),
    shown_first=("network", "seconds", "size", "keep"), live=("rate",),
    check=_check_masks, networks=lambda _: (), describe=_describe, resumes="always",
    sidecar=("painting", ".safetensors"), exclusive=(("steps", "seconds"),),
    manual="""Let a network learn to paint a picture.

    `lanterna paint cat.jpg`, `--network siren`, `--seconds 60`, `--preset lecture`; `--keep 0.05` learns from
    5 % of the pixels and guesses the rest. `lanterna paint a.jpg b.jpg c.jpg` trains one network on all
    three.

    Next to the picture (paint.png, or -o) the painting is saved as a small .safetensors file:
    `lanterna paint render paint.safetensors --size 4000x3000` renders it at any size. Ctrl-C saves the
    painting so far, and --resume continues it.

    `lanterna paint cat.jpg --race` compares all four networks. `lanterna paint --random` needs no picture.
    """,
)  # fmt: skip

PAINT_FILM = film_of_training(
    PAINT, output="film", name="paint-film", title="A film",
    help="Learn a picture, with a film of the training.", shown_first=("network", "seconds", "size"),
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
        for name, runner in sorted(frame.runners.items(), key=lambda item: -item[1].psnr):
            jpeg = f", JPEG of equal PSNR {format_size(runner.jpeg.bytes)}" if runner.jpeg else ""
            size = f"{runner.parameters:,} parameters, {format_size(runner.bytes)}"
            lines.append(f"{name:<8} {runner.psnr:5.1f} dB in {runner.seconds:.1f} s, {size}{jpeg}")
        return Report({"finished": frame.finished, "networks": runners}, lines)

    return Work(race(picture, job.settings, device=job.device), report=report)


def _describe_race(frame: Frame) -> str:
    return (
        "".join(f", {name} {value:.1f}" for name, value in frame.numbers.items() if name != "seconds") + " dB"
    )


RACE = Technique(
    name="race", title="A race", help="Four networks learn one picture side by side.", verb="paint",
    flags=("race",), settings=Race, run=_race,
    inputs=(Input("picture", "the picture that all networks learn", required=True),),
    shown_first=("seconds", "equal", "parameters", "size"), describe=_describe_race,
    exclusive=(("steps", "seconds"),),
)  # fmt: skip

RACE_FILM = film_of_training(
    RACE, output="race-film", due=lambda _: True, name="race-film", title="A film of a race",
    help="Race four networks, with a film of the race.",
)  # fmt: skip


# Rendering a painting.


def _open(job: Job) -> Painting:
    device = choose_device(job.device)
    file = job.source("painting")
    if isinstance(file, bytes):
        raise UsageError("expected the name of a painting, a file that lanterna paint wrote")
    painting = open_painting(file)
    painting.network.to(device)
    return painting


def _render(job: Job) -> Frames:
    painting = _open(job)
    return grid(painting, job.settings) if isinstance(job.settings, Grid) else render(painting, job.settings)


RENDER = Technique(
    name="render", title="Large",
    help="Render a painting again: larger, zoomed in, or beyond its edges.",
    verb="paint", command=("paint", "render"), settings=Render, run=_render,
    inputs=(Input("painting", "a painting, from lanterna paint", required=True, suffix=".safetensors"),),
    shown_first=("size", "print", "zoom", "beyond", "turn"), hidden=("seed",), saves_partial=False,
    manual="""Render a painting again, at any size.

    `lanterna paint render paint.safetensors --size 4000x3000`, `--print 30cm@300dpi`, `--beyond 0.3` past its
    frame, `--zoom 4 --centre 0.3 0.6` into it. For several pictures: `--which 1.5`, `--grid`, `--morph
    between.webp`.

    Without -o it is written to render.png.
    """,
)  # fmt: skip

GRID = Technique(
    name="grid", title="In between", help="A sheet of pictures interpolated between those of a painting.",
    verb="paint", command=("paint", "render"), flags=("grid",), settings=Grid, run=_render,
    inputs=RENDER.inputs, shown_first=("between", "size"), hidden=("seed",), saves_partial=False,
)  # fmt: skip


def _morph(job: Job, done: int) -> Frames:
    return morph(_open(job), job.settings, done=done)


def _length(job: Job) -> tuple[int, float]:
    painting = _open(job)
    job.settings.pixels(painting)  # raises its error before a folder of frames is created
    return job.settings.count(painting), job.settings.fps


MORPH = film_of(
    RENDER, name="morph", title="Morph", help="A film from picture to picture, for a painting of several.",
    settings=Morph, film_flag="morph", outputs=("morph",), shown_first=("frames", "fps", "size"),
    frames=_morph, length=_length,
)  # fmt: skip


class Neurons(Settings):
    """A sheet of each neuron's activation over the picture."""

    verb: ClassVar[str] = "paint neurons"

    which: float | None = Field(
        default=None, ge=0, le=99, description="Which of several pictures, from 0; 1.5 is between two."
    )
    rows: int = Field(default=4, ge=1, le=64, description="The maximum number of rows for each layer.")
    columns: int = Field(default=16, ge=8, le=64, description="The number of neurons in each row.")
    side: int = Field(
        default=72, ge=16, le=512, description="Pixels along the longer side of each neuron's picture."
    )


def _neurons(job: Job) -> Frames:
    settings, painting = job.settings, _open(job)
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


# Random pictures.


class RandomSheet(RandomPicture):
    """A contact sheet of seeds, beginning with `seed`."""

    sheet: int = Field(
        default=16, ge=1, le=400, description="The number of seeds on a sheet, to choose from."
    )


class RandomLoop(RandomPicture):
    """A film along a closed loop in weight space."""

    frames: int = Field(default=120, ge=2, le=100_000, description="The number of frames.")
    fps: float = Field(default=24.0, ge=1, le=60, description="Frames per second.")


_SHEET_WIDTH = 240  # pixels, of a picture on a sheet


def _random(job: Job) -> Frames:
    return random_frames(job.settings)


def _check_size(settings: RandomPicture, _: Mapping[str, int]) -> RandomPicture:
    if settings.width * settings.height > MAX_PIXELS:
        raise UsageError(
            f"expected at most {MAX_PIXELS:,} pixels, got {settings.width} × {settings.height}: "
            "reduce --width or --height"
        )
    return settings


RANDOM = Technique(
    name="random", title="Random", help="What an untrained network paints.", verb="paint",
    command=("paint", "--random"), settings=RandomPicture, run=_random, on_device=False,
    shown_first=("seed", "layers", "spread", "zoom", "mirror", "repeats", "colours"), check=_check_size,
    manual="""Paint without a picture: an untrained network, its random weights drawn by --seed.

    `lanterna paint --random --seed 7`, `--sheet 16` to choose from, `--preset rosette`, `--loop loop.webp`.

    Without -o it is written to random.png.
    """,
)  # fmt: skip


def _seeds(settings: RandomSheet) -> list[SheetCell]:
    seeds = range(settings.seed, settings.seed + settings.sheet)
    return [
        SheetCell(str(seed), "random", settings.as_base(RandomPicture).changed({"seed": seed}))
        for seed in seeds
    ]


def _small(_: object, large: RandomPicture) -> RandomPicture:
    height = max(8, round(_SHEET_WIDTH * large.height / large.width))
    return large.changed({"width": _SHEET_WIDTH, "height": height})


RANDOM_SHEET = sheet_of(
    RANDOM, name="random-sheet", title="Random sheet", help="Seeds side by side, to choose from.",
    settings=RandomSheet, flags=("sheet",), outputs=("random-sheet",),
    shown_first=("seed", "sheet", "layers", "spread"),
    saves_partial=False, cells=_seeds, small=_small, columns=lambda *_: 4, heading=lambda *_: "Seeds", gap=12,
)  # fmt: skip


def _loop(job: Job, done: int) -> Frames:
    return random_loop(job.settings.as_base(RandomPicture), job.settings.frames, done=done)


RANDOM_LOOP = film_of(
    RANDOM, name="random-loop", title="Random loop",
    help="A film along a loop in weight space.",
    settings=RandomLoop, film_flag="loop", outputs=("random-loop",),
    shown_first=("seed", "frames", "layers", "spread", "colours"),
    frames=_loop, length=lambda job: (job.settings.frames, job.settings.fps),
)  # fmt: skip

TECHNIQUES = (
    PAINT, PAINT_FILM, RACE, RACE_FILM, RENDER, GRID, MORPH, NEURONS, RANDOM, RANDOM_SHEET, RANDOM_LOOP,
)  # fmt: skip
