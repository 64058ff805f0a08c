"""Declare the techniques of `dream`: a picture, a contact sheet, a film."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Literal

import torch
from pydantic import Field
from torch import nn

from lanterna import shelf
from lanterna.devices import free_memory
from lanterna.errors import UsageError
from lanterna.networks import shelf_items
from lanterna.networks.trained import is_trained
from lanterna.probes import objectives
from lanterna.renamed import OLD_PRESET
from lanterna.techniques.derive import SHEET_SIDE, film_of, sheet_of, weighted_by_pixels
from lanterna.techniques.dream.algorithm import LIVE, LONGEST, OLD_PRESETS, Dream, default_layers, dream
from lanterna.techniques.dream.estimate import estimate_dream, worth_estimating
from lanterna.techniques.dream.film import DreamFilm, dream_frames, dream_zoom
from lanterna.techniques.dream.tiles import match_channels
from lanterna.techniques.octaves import octave_sizes, resized
from lanterna.techniques.technique import Estimate, Input, Report, SheetCell, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frame, Frames

CHANNELS = 24
"""The number of channels on a sheet of channels: those with the strongest activations."""

_MAX_STEPS, _MAX_OCTAVES = 8, 3  # of a picture on a sheet
_SMALL_TILE = 256  # pixels along each side of tiles if there is little memory


class Sheet(Dream):
    """Make a contact sheet of small dreams of one picture, each with one setting changed."""

    sheet: Literal["presets", "layers", "channels"] = Field(
        default="presets", description="What differs between the pictures."
    )
    shown: tuple[str, ...] = Field(
        default=(), description="What the sheet shows, in order: layers, LAYER:CHANNEL, or presets."
    )
    side: int = Field(
        default=SHEET_SIDE, ge=16, le=1024, description="Pixels along the longer side of each picture on it."
    )


def _guided(settings: Dream, counts: Mapping[str, int]) -> Dream:
    return settings.changed({"guided": bool(counts.get("guide"))})


def _dream(job: Job) -> Work:
    settings: Dream = job.settings
    (picture,) = job.pictures("picture")
    guide, masks = job.picture("guide"), job.pictures("mask")
    frames = dream(
        picture, settings, network=job.network, guide=guide, masks=masks,
        **job.checkpointing,
    )  # fmt: skip
    height, width = picture.shape[1:]
    sizes = octave_sizes(
        height, width, settings.size or min(max(height, width), LONGEST), settings.octaves, settings.ratio
    )

    # Only the energy of layers is relative to that of the picture.
    targets = settings.targets(job.network)
    relative = not (settings.class_ or settings.guided or masks) and all(
        target.weight > 0 and not (target.channels or target.rank) for target in targets
    )

    def report(frame: Frame) -> Report:
        if not relative or frame.numbers["energy"] >= 1:
            return Report()
        hint = "try more --steps, or another --step-size"
        return Report(notes=[f"the dream has less energy than the picture had: {hint}"])

    return Work(frames, fraction_done=weighted_by_pixels(sizes, [settings.steps] * len(sizes)), report=report)


def _estimate(job: Job) -> Estimate | None:
    (picture,) = job.pictures("picture")
    shape = (picture.shape[1], picture.shape[2])
    if not worth_estimating(shape, job.settings):
        return None
    ahead = estimate_dream(shape, job.settings, job.network, len(job.pictures("mask")))
    free = free_memory(job.network.get_buffer("mean").device)
    return Estimate(
        ahead.seconds, ahead.memory, {"tile": _SMALL_TILE} if free and ahead.memory > free else {}
    )


def _describe(frame: Frame) -> str:
    energy = frame.numbers.get("energy")
    return "" if energy is None else f", energy {energy:.2f} times the start's"


DREAM = Technique(
    name="dream", title="Dream", help="Amplify what a network sees in your picture.",
    settings=Dream, run=_dream,
    inputs=(
        Input("picture", "the picture to dream on", required=True, example="chelsea"),
        Input("guide", "another picture, whose features the dream takes on"),
        Input("mask", "a grey picture: light where to dream", many=True, grey=True),
    ),
    shown_first=("layer", "steps", "step_size", "octaves", "size"), hidden=("guided",),
    live=tuple(sorted(LIVE - {"mask_layer"})),
    check=_guided, estimate=_estimate, describe=_describe, resumes="optional",
    manual="""Turn a picture into what a network sees in it (DeepDream).

    `lanterna dream cat.jpg --preset creatures`, `--layer block9:31,40`, `--class goldfish`, `--guide
    flowers.jpg`, `--sheet layers`. `--film zoom.webp` zooms endlessly into the picture; a film instead of a
    picture is dreamed frame by frame.

    A layer is LAYER[:CHANNELS][*WEIGHT], with channels such as 31,40 or strongest4, weakest4, average4.
    Ctrl-C saves the picture so far. Without -o it is written to dream.png.
    """,
)  # fmt: skip


# The contact sheet.


def _choose(job: Job) -> Sheet:
    """Return the settings of a sheet with `shown` filled in, unless it is given.

    Layers: those in the settings, or all `dreamable_layers`. Channels: those of one layer with the strongest
    activations on this picture. Presets: all whose network is available offline.

    Errors: `UsageError` if the layers in the settings do not fit the sheet.
    """
    settings: Sheet = job.settings
    if settings.shown:
        return settings
    if settings.mask_layer:
        raise UsageError("a sheet chooses what the masks dream: leave --mask-layer out")
    (picture,) = job.pictures("picture")
    if settings.sheet == "layers":
        shown = settings.layer or tuple(dreamable_layers(job.network))
    elif settings.sheet == "channels":
        network = job.network
        layer, *more = settings.layer or default_layers(network)[:1]
        if more or layer not in network.layers:
            raise UsageError(
                f"--sheet channels needs one layer: --layer with one of {', '.join(network.layers)}"
            )
        shown = tuple(f"{layer}:{index}" for index in strongest_channels(network, layer, picture))
    elif settings.network != Dream.model_fields["network"].default:
        raise UsageError(
            f"presets choose their own layers: leave --network {settings.network} out, or take --sheet layers"
        )
    else:
        shown = tuple(
            name for name, preset in Dream.presets.items() if _is_available(preset, settings.network)
        )
    if not shown:
        raise UsageError(f"{settings.network} has no {settings.sheet} to show on a sheet")
    return settings.changed({"shown": shown})


def _is_available(preset: Mapping[str, Any], default: str) -> bool:
    """Return whether the network of a preset can be opened without fetching or training it first."""
    name = preset.get("network", default)
    items = shelf_items(name)
    return all(map(shelf.is_fetched, items)) if items else is_trained(name)


def dreamable_layers(network: Network) -> list[str]:
    """Return the layers for a sheet: those with positions, if any, except pooling and normalisation layers.

    Of a convolution and its ReLU, only the ReLU is included.
    """
    blank = torch.zeros(1, network.input_spec.channels, network.input_spec.size, network.input_spec.size)
    blank = blank.to(network.get_buffer("mean").device)
    with torch.no_grad():
        shapes = {name: output.shape for name, output in network.run(blank)}
    excluded = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.BatchNorm2d, nn.Dropout, nn.Identity)
    names = [
        name
        for name, shape in shapes.items()
        if len(shape) == 4 and shape[2] * shape[3] > 1 and not isinstance(network.layer(name), excluded)
    ]
    if not names:  # fully connected layers, tokens
        return [name for name, shape in shapes.items() if not isinstance(network.layer(name), nn.Flatten)]
    followers = [*names[1:], None]
    return [
        name
        for name, after in zip(names, followers, strict=True)
        if after is None or not isinstance(network.layer(after), nn.ReLU | nn.ReLU6)
    ]


def strongest_channels(network: Network, layer: str, picture: Tensor, count: int = CHANNELS) -> list[int]:
    """Return the channels of a layer with the largest mean activations on a picture `(3, H, W)`."""
    small = resized(picture, (network.input_spec.size, network.input_spec.size)).clamp(0, 1)
    images = match_channels(small[None].to(network.get_buffer("mean").device), network)
    with torch.no_grad():
        outputs = objectives.layer_outputs(network, images, frozenset({layer}))
    means = objectives.with_positions(outputs[layer])[0].mean((1, 2))
    return means.argsort(descending=True, stable=True)[:count].tolist()


def _cells(settings: Sheet) -> list[SheetCell]:
    """Return the cells of a sheet whose settings have `shown` filled in."""
    own = settings.as_base(Dream).model_dump()
    cells = []
    for name in settings.shown:
        preset = None
        if settings.sheet == "presets":
            defaults = Dream().model_dump()
            changed = {key: value for key, value in own.items() if value != defaults[key]}
            old = OLD_PRESETS.get(name.removesuffix(OLD_PRESET)) if name.endswith(OLD_PRESET) else None
            full_size = Dream.checked({**(old or DREAM.preset(name)), **changed})
            preset = None if old else name
        else:
            full_size = Dream.checked({**own, "layer": (name,)})
        # The caption of a channel is its number.
        label = name.rpartition(":")[2] if re.fullmatch(r".+:\d+", name) else name.removesuffix(OLD_PRESET)
        cells.append(SheetCell(label, "dream", full_size, preset))
    return cells


def _small(sheet: Sheet, settings: Dream) -> Dream:
    return settings.changed(
        {
            "size": sheet.side,
            "steps": min(settings.steps, _MAX_STEPS),
            "octaves": min(settings.octaves, _MAX_OCTAVES),
        }
    )


def _columns(_: Sheet, cells: Sequence[SheetCell]) -> int:
    return 6 if len(cells) > 12 else math.ceil(math.sqrt(len(cells)))


def _title(job: Job, settings: Sheet) -> str:
    if settings.sheet == "presets":
        return "What each preset dreams"
    if settings.sheet == "layers":
        return f"What each layer of {job.network.name} dreams"
    return f"What channels of {settings.shown[0].partition(':')[0]} in {job.network.name} dream"


def _notes(settings: Sheet) -> list[str]:
    old = any(name.endswith(OLD_PRESET) for name in settings.shown)
    missing = Dream.presets.keys() - set(settings.shown) if settings.sheet == "presets" and not old else ()
    return [
        f"left out: {name}, whose network is not available: lanterna networks describes how to get "
        f"{Dream.presets[name]['network']}"
        for name in sorted(missing)
    ]


SHEET = sheet_of(
    DREAM, name="dream-sheet", title="A sheet", help="Small dreams side by side, to choose from.",
    settings=Sheet, flags=("sheet",), outputs=("presets", "layers", "channels"), output_setting="sheet",
    shown_first=("sheet", "layer"), hidden=("guided", "shown"),
    cells=_cells, small=_small, choose=_choose, columns=_columns, heading=_title, notes=_notes,
)  # fmt: skip


# The film.


def _film_frames(job: Job, done: int) -> Frames:
    """Yield the frames of a zoom into a picture, or of a dreamed film, after the first `done`."""
    settings: DreamFilm = job.settings
    guide, last = job.picture("guide"), job.frames[done - 1] if done else None
    if job.input_film is not None:
        originals = job.input_film.frames(max(0, done - 1))
        return dream_frames(
            originals,
            settings,
            count=job.input_film.count,
            network=job.network,
            guide=guide,
            done=done,
            last=last,
        )
    (picture,) = job.pictures("picture")
    first = job.frames[0] if done else None
    return dream_zoom(picture, settings, network=job.network, guide=guide, done=done, first=first, last=last)


def _length(job: Job) -> tuple[int, float]:
    if job.input_film is not None:
        return job.input_film.count, job.input_film.fps
    job.pictures("picture")
    return job.settings.frames, job.settings.fps


FILM = film_of(
    DREAM, name="dream-film", title="A film",
    help="An endless zoom into a dream, or an animation dreamed frame by frame.",
    settings=DreamFilm, film_flag="film", outputs=("film",),
    inputs=(Input("picture", "the picture to zoom into, or an animation", required=True), DREAM.inputs[1]),
    shown_first=("layer", "frames", "zoom", "turn", "loop"),
    frames=_film_frames, length=_length,
)  # fmt: skip

TECHNIQUES = (DREAM, SHEET, FILM)
