"""Lesson 12. Paths: follow a digit through a network, cut connections, and watch the answer change.

For one picture, the answer of a network of ReLUs is an exact sum of what every connection contributes
(`lanterna.probes.paths`). If these contributions are right, then cutting the connections that contribute most
must destroy the answer far sooner than cutting the largest weights, or random ones.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field

from lanterna.images.digits import mnist
from lanterna.images.drawing import overlay_signed
from lanterna.lessons.lecture import grierson_on_broad
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.progress import track
from lanterna.lessons.text import counted, percent, scientific
from lanterna.probes.ablation import ablation
from lanterna.probes.paths import heat, paths
from lanterna.probes.running import INPUT, weights_of
from lanterna.techniques.technique import Settings
from lanterna.techniques.train.algorithm import in_unit_range, logits_of
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict
    from lanterna.networks.network import Network
    from lanterna.probes.ablation import By
    from lanterna.probes.paths import Paths

_ORDERS: tuple[tuple[By, str], ...] = (
    ("for", "largest contributions"), ("weight", "largest weights"), ("random", "random"),
)  # fmt: skip
_ROUNDING = 1e-4  # of the answer, or of 1 if that is larger: the gap that rounding explains
_MARGIN = 0.2  # of the answer: how much sooner the contributions destroy it
_SHARES = (0.0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


class FollowPaths(Settings):
    """Follow a digit through a network, and cut the connections that made the answer."""

    verb: ClassVar[str] = "learn paths"

    network: Literal["conv", "dense"] = Field(default="conv", description="The network that reads the digit.")
    digit: int = Field(default=0, ge=0, le=9999, description="The test digit to follow.")
    cut: float = Field(
        default=0.003,
        gt=0,
        le=0.5,
        description="The share of all connections to cut.",
    )
    digits: int = Field(default=20, ge=1, le=500, description="Test digits over which cutting is averaged.")


def opened(name: str) -> Network:
    """Open the network. Train it first if it does not exist yet."""
    return open_or_train(name, device="cpu")


def remaining(network: Network, images: Tensor, answers: Sequence[int], by: By, seed: int) -> list[float]:
    """Return which share of the answer remains as more connections are cut, averaged over digits.

    For each digit, other random ones are cut.
    """
    shares = torch.stack([
        ablation(network, image, answer, by, _SHARES, seed=seed + number)
        for number, (image, answer) in enumerate(zip(images, answers, strict=True))
    ])  # fmt: skip
    return (shares / shares[:, :1]).mean(0).tolist()


def without(network: Network, found: Paths, share: float) -> Network:
    """Return a copy of the network without that share of its connections, those that contribute most."""
    cut = deepcopy(network)
    weights = weights_of(cut)
    ranked = torch.cat([part.flatten() for part in found.connections.values()]).sort(descending=True).values
    threshold = ranked[max(1, round(share * len(ranked))) - 1]
    with torch.no_grad():
        for layer, weight in weights.items():
            weight[found.connections[layer] >= threshold] = 0.0
    return cut


def strongest(found: Paths) -> list[tuple[str, str, str, str]]:
    """Return the unit of each layer that contributes most, and the sum over the layer and all later
    biases.
    """
    rows = []
    for layer, contributions in found.contributions.items():
        if layer not in found.complete_layers:
            continue
        by_unit = contributions.flatten(1).sum(1) if contributions.dim() == 3 else contributions.flatten()
        best = int(by_unit.argmax())
        unit = "the picture" if layer == INPUT else f"{'map' if contributions.dim() == 3 else 'unit'} {best}"
        rows.append((layer, unit, f"{by_unit[best]:+.2f}", f"{found.explained(layer):.4f}"))
    return rows


def experiment(settings: FollowPaths) -> Outcome:
    """Follow one digit, and measure what remains of answers as connections are cut in three orders."""
    network = opened(settings.network)
    test = mnist("test")
    image = in_unit_range(test.images[settings.digit])
    before = logits_of(network, test.images[settings.digit][None])[0]
    answer = int(before.argmax())
    found = paths(network, image, answer)

    images = in_unit_range(test.images[: settings.digits])
    answers = logits_of(network, test.images[: settings.digits]).argmax(1).tolist()
    falls = {
        name: remaining(network, images, answers, by, settings.seed)
        for by, name in track(_ORDERS, "cutting connections")
    }
    after = logits_of(without(network, found, settings.cut), test.images[settings.digit][None])[0]
    verdict, words, numbers = _conclusion(settings, found, after, falls, int(test.labels[settings.digit]))
    classes = range(len(before))
    shares = [100 * share for share in _SHARES]
    charts: list[Chart | Picture] = [
        Picture(
            f"Pixels for and against {answer}", overlay_signed(image, heat(found), 448),
            f"the digit: amber pixels speak for {answer}, blue ones against it",
        ),
        Chart(f"The ten outputs, {_short(settings.cut)} of connections cut", "class", "logit (score)",
              [Line("before", classes, before.tolist(), "marks"),
               Line("after", classes, after.tolist(), "marks")],
              whole_across=True),
        Chart(f"What remains, mean of {counted(settings.digits, 'test digit')}", "percent of connections cut",
              "share of the answer",
              [Line(name, shares[1:], values[1:]) for name, values in falls.items()], log_across=True),
    ]  # fmt: skip
    head = ("layer", "contributes most", "how much", "whole layer and all later biases")
    return Outcome(Finding(verdict, words, numbers, (settings.seed,)), charts, [head, *strongest(found)])


def _conclusion(
    settings: FollowPaths, found: Paths, after: Tensor, falls: dict[str, list[float]], label: int
) -> tuple[Verdict, str, dict[str, float]]:
    """Return the verdict, its reasons and its numbers."""
    index = min(range(len(_SHARES)), key=lambda each: abs(_SHARES[each] - settings.cut))
    by_paths, by_weights, by_chance = (values[index] for values in falls.values())
    adds_up = found.error <= _ROUNDING * max(1.0, abs(found.value))
    destroyed = by_paths < min(by_weights, by_chance) - _MARGIN
    reads = int(after.argmax())
    which = f"Test digit {settings.digit}" if settings.digit else "The first test digit"
    changed = f"it reads {reads}" if reads != found.answer else f"it still reads {reads}"
    words = (
        f"{which}, a {label}, is read as {found.answer} with a logit, the score of an answer, of "
        f"{found.value:.2f}. At every layer the contributions add up to that, "
        f"{'but for rounding' if adds_up else f'but for {scientific(found.error)}'}. "
        f"Without the {_short(settings.cut)} of its connections that contribute most, {changed}. On average "
        f"over {counted(settings.digits, 'digit')}: {_fate(index, by_paths)}. Cut as many of the largest "
        f"weights instead and {percent(by_weights)} of the answer remains, or random ones and "
        f"{percent(by_chance)}."
    )
    numbers = {
        "gap of the sums": found.error, "answer": found.value, "remaining, by contribution": by_paths,
        "remaining, by weight": by_weights, "remaining, at random": by_chance,
        "logit after the cut": float(after[found.answer]),
    }  # fmt: skip
    verdict: Verdict = "holds" if adds_up and destroyed else "holds only when" if adds_up else "does not hold"
    if adds_up and not destroyed:
        words += (
            " This cuts so much that it hardly matters what."
            if index >= len(_SHARES) - 2
            else " Here the contributions are no better guide than the others."
        )
    return verdict, words, numbers


def _short(share: float) -> str:
    return f"{100 * share:.3g} %"


def _fate(index: int, left: float) -> str:
    """Describe what cutting the largest contributions does to the answer."""
    cut = f"cut the {_short(_SHARES[index])} that matter most"
    if left < 0:
        return f"{cut} and the network argues against its own answer"
    return f"{cut} and {percent(left)} of the answer remains"


LESSON = Lesson(
    "paths", "Paths", "Which part of the network made the answer?",
    "The picture flows through the layers along paths, and each part contributes to the answer. Cut those "
    "paths, and the answer goes.",
    "src/lanterna/probes/paths.py", FollowPaths, experiment, needs=("mnist",),
    quote=grierson_on_broad(
        "The 'paths' through the different layers show how different aspects of the image are classified by "
        "different layers by the network."
    ),
    explanation="""
        Ten friends buy a present together. Afterwards you can ask what each of them paid, and the
        shares add up to the price on the receipt, to the penny. You can ask the same of a network's
        answer.

        For one particular picture, each of its ReLU units is either on or off. Those that are on pass
        their sum along unchanged, and those that are off pass nothing. So for this one picture the
        whole network only multiplies and adds, and the score of its answer, the logit, can be divided
        exactly: so much from this connection, so much from that one, and the rest from the biases.
        Some shares are negative, because they speak against the answer.

        A large weight is not the same as a large share. A wide pipe delivers nothing if no water
        flows into it. So the shares make a prediction that can be tested: cut the few connections
        with the largest ones, and the answer should collapse. Cut as many of the largest weights, or
        random ones, and it should survive.
    """,
    seen="""
        The paths are the connections with the largest shares in this one answer; for another digit,
        others light up. Cutting a unit that many of them run through changes the answer. Cutting one
        that none of them touches hardly makes a difference, even if its weights are large.
    """,
)  # fmt: skip
