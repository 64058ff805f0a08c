"""Lesson 11. First layers find edges: measured on our digit network, EfficientNet-Lite and VGG-16.

A kernel counts as an edge, a bar or a blob if one of those explains more of it than it does for 99 of 100
noise kernels (`lanterna.probes.kernels`): with so few numbers in a kernel, much looks like something by
chance. Whether later layers combine what the first one finds is tested on our digit network: each unit of its
second convolution keeps only the maps of the first that it weighs most.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from lanterna.images.digits import mnist
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.progress import track
from lanterna.lessons.text import listed, percent
from lanterna.networks import open_network
from lanterna.probes.kernels import first_kernels
from lanterna.techniques.feature.technique import kernels_sheet
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import in_unit_range
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.network import Network
    from lanterna.probes.kernels import KernelFits

Name = Literal["conv", "efficientnet-lite0", "vgg16"]
_MOST = 0.75  # of the kernels: with more the layer counts as one that finds edges
_DIGITS = 2000  # test digits
_LEFT = (1, 2, 4, 8, 16)  # maps of the first layer that each unit of the second keeps


class Edges(Settings):
    """Count the edges, bars and blobs among the kernels of first layers."""

    verb: ClassVar[str] = "learn edges"

    networks: tuple[Name, ...] = Field(
        default=("conv", "efficientnet-lite0", "vgg16"), min_length=1, max_length=3,
        description="The networks whose first layers are measured.",
    )  # fmt: skip


def opened(name: str) -> Network:
    """Open a network. Train `conv` first if it does not exist yet."""
    return open_or_train(name, device="cpu") if name == "conv" else open_network(name)


def combining(network: Network) -> dict[int, float]:
    """Return the accuracy of a digit network if each unit of its second convolution keeps only so many maps.

    Those of which its kernels have the most energy (sum of squares) are left. Batch norms use the statistics
    of the test digits, as those of training belong to the whole network.
    """
    test = mnist("test")
    images, labels = in_unit_range(test.images[:_DIGITS]), test.labels[:_DIGITS]
    accuracies = {}
    for left in _LEFT:
        cut = copy.deepcopy(network)
        second = [part for part in cut.modules() if isinstance(part, nn.Conv2d)][1].weight.data
        energies = second.square().sum((2, 3))
        if left < energies.shape[1]:
            strongest = energies.topk(left, 1).indices
            second *= torch.zeros_like(energies).scatter(1, strongest, 1.0)[:, :, None, None]
        for part in cut.modules():
            part.train(isinstance(part, nn.BatchNorm2d))
        with torch.no_grad():
            accuracies[left] = (cut(images).argmax(1) == labels).float().mean().item()
    return accuracies


def experiment(settings: Edges) -> Outcome:
    """Measure how well the best edge, bar or blob explains each kernel, compared with noise."""
    names = tuple(dict.fromkeys(settings.networks))
    networks = {name: opened(name) for name in track(names, "examining kernels")}
    measured: dict[str, KernelFits] = {name: first_kernels(network) for name, network in networks.items()}
    counts = {name: sum(shape is not None for shape in kernels.found) for name, kernels in measured.items()}
    totals = {name: len(kernels.shapes) for name, kernels in measured.items()}
    finds_edges = {name: counts[name] / totals[name] > _MOST for name in names}
    verdict: Verdict = (
        "holds"
        if all(finds_edges.values())
        else "holds only when"
        if any(finds_edges.values())
        else "does not hold"
    )
    shares = listed([f"{counts[name]} of {totals[name]} in {name}" for name in names])
    words = f"Kernels that are edges, bars or blobs, beyond chance: {shares}."
    if verdict == "holds only when":
        others = listed([name for name in names if not finds_edges[name]])
        words += (
            f" So it is true of networks trained on photographs. {others} was trained on digits only: its "
            "first kernels read those well, but fewer of them are such shapes, and in another training it is "
            "another number."
        )
    lines: list[Line] = []
    numbers: dict[str, float] = {}
    for name, kernels in measured.items():
        explained = kernels.explained.sort(descending=True).values.tolist()
        ranks = [100 * (index + 0.5) / len(explained) for index in range(len(explained))]
        lines.append(Line(name, ranks, explained))
        chance = kernels.chance.flip(0).tolist()[::20]
        lines.append(
            Line(
                f"noise for {name}",
                [100 * index / len(chance) for index in range(len(chance))],
                chance,
                "dashed",
            )
        )
        numbers |= {f"{name}, found": float(counts[name]), f"{name}, of": float(totals[name]),
                    f"{name}, median": kernels.explained.median().item(),
                    f"{name}, median of noise": kernels.chance.median().item()}  # fmt: skip
    charts: list[Chart | Picture] = [
        Chart(
            "Kernels, the best explained first",
            "percent of the kernels",
            "share that a shape explains",
            lines,
        )
    ]
    if "conv" in networks:
        left = combining(networks["conv"])
        words += (
            " Later layers do combine them: if each unit of conv's second convolution keeps only the map "
            f"that it weighs most, it reads {percent(left[1])} of test digits, with four maps "
            f"{percent(left[4])} and with all {max(left)} {percent(left[max(left)])}."
        )
        numbers |= {f"read with {count} maps each": share for count, share in left.items()}
        charts.append(
            Chart(
                "Maps of the first layer that each unit of the second keeps", "maps", "read correctly",
                [Line("conv", list(left), list(left.values()))], log_across=True, whole_across=True,
            )
        )  # fmt: skip
    charts += [
        Picture(
            f"First kernels of {name}", kernels_sheet(kernels, name),
            "kernels, those that an edge, bar or blob explains best first, with the share that it explains",
        )
        for name, kernels in measured.items()
    ]  # fmt: skip
    return Outcome(Finding(verdict, words, numbers, (0,)), charts)


LESSON = Lesson(
    "edges", "First layers find edges", "What does a first layer detect?",
    "The first layer of a network finds edges, and later layers combine them.",
    "src/lanterna/probes/kernels.py", Edges, experiment,
    needs=("mnist", "efficientnet-lite0", "imagenet-classes", "vgg16"),
    quote=grierson("First layers might work out some of the edges"),
    explanation="""
        Close your eyes and run a fingertip over a table. Where the wood is even you feel nothing in
        particular; at the edge you notice at once. A network's first layer goes over a picture with
        many such fingertips. They are called kernels, and each is a small square of numbers, three or
        five to a side. It lies over a patch of the picture, multiplies each pixel by the number on
        top of it, and adds up the results. Then it moves along and does the same again.

        Suppose the numbers on its left are positive and those on its right are negative. Where the
        picture is even, they cancel out. Where bright meets dark, the sum is large: this kernel finds
        upright edges. Nobody puts such numbers in. They come out of the training, if they come at
        all.

        But people see faces in clouds, and edges in any small pattern of numbers. So this lesson is
        strict: a kernel counts as an edge, a bar or a blob only if the shape fits it better than it
        fits 99 of 100 squares of random numbers.
    """,
    seen="""
        Wherever a drawing is even, the nine products cancel out and the picture on the right stays
        empty. Where ink begins, in the direction of the kernel, it lights up amber, and where ink
        ends, blue. The drawing never changes, only the nine numbers, and with them what is found.
    """,
)  # fmt: skip
