"""Declare the techniques of `feature`: feature visualisation, and the kernels of the first layer."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from lanterna.images.drawing import contact_sheet, signed_picture
from lanterna.networks.catalogue import DIGIT_NETWORKS
from lanterna.networks.trained import is_trained
from lanterna.probes import objectives
from lanterna.probes.kernels import first_kernels
from lanterna.techniques.feature.algorithm import DIGIT_ZOOM, Feature, Kernels, feature
from lanterna.techniques.feature.examples import best_examples
from lanterna.techniques.technique import Frame, Report, Result, Technique, Work
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from lanterna.networks import Network
    from lanterna.probes.kernels import KernelFits
    from lanterna.techniques.execute import Job
    from lanterna.techniques.feature.algorithm import FeatureFrame

_KERNEL_SIDE = 112  # pixels along each side of a kernel on the sheet


@dataclass(frozen=True)
class Pair:
    """A channel, its activations for the generated and the best real picture, and the latter's source."""

    channel: int
    generated: float
    real: float
    source: str


def _feature(job: Job) -> Work:
    settings: Feature = job.settings
    if settings.sheet:
        job.fetch("mnist" if job.network.input_spec.is_of_digits else "photographs")
    pairs: list[Pair] = []

    def results(frame: FeatureFrame, _: Any) -> list[Result]:
        if settings.sheet:
            picture, pairs[:] = sheet(settings, frame, job.network)
            return [Result(picture, "sheet")]
        assert frame.picture is not None
        return [Result(frame.picture)]

    def report(_: Any) -> Report:
        return Report({"channels": [dataclasses.asdict(pair) for pair in pairs]} if pairs else {})

    return Work(feature(settings, network=job.network), results, report=report)


def sheet(settings: Feature, frame: FeatureFrame, network: Network) -> tuple[Tensor, list[Pair]]:
    """Return the contact sheet of a layer, `(3, H, W)`, with each generated picture and the best real one."""
    assert frame.pictures is not None
    layer, side = settings.layer or list(network.layers)[-1], frame.pictures.shape[-1]
    channels = range(len(frame.pictures))
    examples = best_examples(network, layer, channels, side)
    pictures = frame.pictures.to(network.get_buffer("mean").device)
    with torch.no_grad():
        activations = objectives.channel(layer, channels)(network, pictures).tolist()
    pairs = [
        Pair(channel, value, example.activation, example.source)
        for channel, value, example in zip(channels, activations, examples, strict=True)
    ]
    cells = []
    for pair, picture, example in zip(pairs, frame.pictures, examples, strict=True):
        cells += [
            (picture, f"{pair.channel}:  {pair.generated:.3g}"),
            (example.picture, f"{pair.source}  {pair.real:.3g}"),
        ]
    source = (
        "training digit" if network.input_spec.is_of_digits else "of the shelf's photographs (not ImageNet)"
    )
    title = f"{layer} of {network.name}: generated, and the best {source}"
    return contact_sheet(cells, columns=8, side=128, title=title), pairs


def _check_target(settings: Feature, _: Mapping[str, int]) -> Feature:
    settings.check_target()
    return settings


def _describe(frame: Frame) -> str:
    probability = frame.numbers.get("probability")
    text = "" if probability is None else f", probability {probability:.1%}"
    return f", activation {frame.numbers['activation']:.2f}{text}"


FEATURE = Technique(
    name="feature", title="Feature", help="What a channel, unit or class of a network looks for.",
    room="look", settings=Feature, run=_feature, outputs=("feature", "sheet"),
    shown_first=("network", "layer", "channel", "class_", "steps"), check=_check_target,
    describe=_describe, example={"layer": "block9", "channel": 31},
    arguments=("layer", "channel"),
    exclusive=(("channel", "class_"), ("layer", "class_"), ("channel", "direction"), ("class_", "direction")),
    manual="""Paint what a channel, unit or class of a network looks for (feature visualisation).

    `lanterna feature block9 31`, `--class goldfish`, `block9 --direction 31 40`, `block9 --sheet 16`;
    `relu5_1 31 --network vgg19` (no classes; `lanterna networks vgg19` lists its layers).

    Ctrl-C saves the picture so far. Without -o it is written to feature.png.
    """,
)  # fmt: skip


def _kernels(job: Job) -> Work:
    name = job.settings.network
    if name in DIGIT_NETWORKS and not is_trained(name):
        job.fetch("mnist")
        job.network = (job.open_reader or open_or_train)(name, device="cpu")
    measured = first_kernels(job.network)
    frame = Frame(1, 1, picture=kernels_sheet(measured, job.network.name))
    frames = (each for each in [frame])  # a generator
    return Work(frames, report=lambda _: _kernels_report(measured, job.network.name))


def kernels_sheet(kernels: KernelFits, name: str) -> Tensor:
    """Return a sheet `(3, H, W)` of the first layer's kernels, those that a pattern explains best first."""
    cells = []
    for number in kernels.explained.argsort(descending=True).tolist():
        weight, found, share = (
            kernels.weights[number],
            kernels.found[number],
            kernels.explained[number].item(),
        )
        if len(weight) == 3:
            picture = 0.5 + weight / (2 * weight.abs().max())
        else:
            picture = signed_picture(weight.mean(0))
        enlarged = picture.repeat_interleave(DIGIT_ZOOM, 1).repeat_interleave(DIGIT_ZOOM, 2)
        cells.append((enlarged, f"{number}: {found or 'none'} {share:.0%}"))
    count = sum(found is not None for found in kernels.found)
    title = f"{name}: {count} of {len(cells)} first kernels are an edge, bar or blob"
    return contact_sheet(cells, columns=8, side=_KERNEL_SIDE, title=title)


def _kernels_report(measured: KernelFits, name: str) -> Report:
    counts = Counter(found for found in measured.found if found)
    chance, median = measured.chance.median().item(), measured.explained.median().item()
    count, total = sum(counts.values()), len(measured.shapes)
    kinds = ", ".join(f"{number} {shape}" for shape, number in sorted(counts.items())) or "none"
    rows = zip(measured.found, measured.shapes, measured.explained.tolist(), strict=True)
    return Report(
        {
            "network": name,
            "size": list(measured.weights.shape),
            "threshold": round(measured.threshold, 4),
            "median_of_noise": round(chance, 4),
            "median": round(median, 4),
            "found": dict(sorted(counts.items())),
            "kernels": [
                {"found": found, "best_fit": shape, "explained": round(share, 4)}
                for found, shape, share in rows
            ],
        },
        [f"{count} of {total} first kernels are an edge, bar or blob ({kinds})"],
        [
            f"that is, it explains more than {measured.threshold:.0%} of the kernel's energy, which happens "
            f"for 1 in 100 kernels of noise (medians: noise {chance:.0%}, this network {median:.0%})"
        ],
    )


KERNELS = Technique(
    name="kernels", title="First kernels",
    help="The kernels of the first layer: edges, bars, blobs, or none of these.",
    verb="feature", room="look", flags=("kernels",), settings=Kernels, run=_kernels, on_device=False,
    shown_first=("network",), hidden=("seed",),
)  # fmt: skip

TECHNIQUES = (FEATURE, KERNELS)
