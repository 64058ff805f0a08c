"""Lesson 20. Simple rules, many cells: a rule written by hand, and one that is learned from a picture.

Each cell sees its eight neighbours, and all follow the same rule. In Conway's Game of Life (M. Gardner,
Scientific American, October 1970) a cell is alive or not, and lives by the number of its living neighbours.
A neural cellular automaton (Mordvintsev, Randazzo, Niklasson and Levin, Distill 2020) gives each cell some
numbers, and a small network as its rule, which learns by gradient descent; with a texture as the goal it is
the one of `lanterna grow` (Niklasson, Mordvintsev, Randazzo and Levin, "Self-organising textures", Distill
2021), whose code this lesson runs.

How much of a wiped hole is left is measured for both: for the learned rule by the distance of the texture
around it from the picture's, for the rule written by hand by the share of living cells in it.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor

from lanterna.images.drawing import contact_sheet
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome, Picture
from lanterna.lessons.progress import track
from lanterna.lessons.style import Painting, painting
from lanterna.lessons.text import listed, of_runs
from lanterna.networks import open_network
from lanterna.techniques.grow.algorithm import Learning, TextureDistance, example_of, learn
from lanterna.techniques.grow.rule import colours, nothing
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lanterna.lessons.lesson import Verdict
    from lanterna.techniques.grow.rule import Rule

_DETAIL = 96  # pixels along each side of the picture to learn from
_TRAINED = 48  # cells along each side in training
_GROWN = 120  # steps from nothing
_RADIUS = 20  # cells of the hole
_HEALED = (0, 4, 8, 16, 32, 64, 96)  # steps after the wipe
_PLANE = 96  # cells along each side of a plane with a hole
_LEAST = 0.01  # by which a hole changes the distance
_TILE = 192  # pixels of a picture in a sheet


class Cells(Settings):
    """Wipe a hole into a texture that lives by a learned rule, and into cells that live by your own."""

    verb: ClassVar[str] = "learn cells"

    born: str = Field(default="3", description="Numbers of living neighbours with which a cell is born.")
    survives: str = Field(
        default="23", description="Numbers of living neighbours with which a living cell survives."
    )
    picture: Painting = Field(default="strokes", description="The picture whose texture is learned.")
    training: int = Field(default=250, ge=1, le=5000, description="Steps of training.")
    runs: int = Field(default=3, ge=1, le=20, description="Trainings, each with another seed.")
    size: int = Field(default=192, ge=64, le=512, description="Cells along each side of the large texture.")

    @field_validator("born", "survives", mode="before")
    @classmethod
    def _check_counts(cls, value: object) -> object:
        text = str(value) if isinstance(value, int) else value  # `--set born=3` is a number
        if isinstance(text, str) and set(text) <= set("012345678"):
            return "".join(sorted(set(text)))
        raise ValueError(f"expected digits from 0 to 8, such as 23, got {value!r}")


def stepped(alive: Tensor, born: str, survives: str) -> Tensor:
    """Return which cells `(H, W)` of a torus are alive after a step: those born, and those that survive."""
    shifts = [(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if down or across]
    neighbours = torch.stack([alive.roll(shift, (0, 1)) for shift in shifts]).sum(0)
    stay, come = (torch.isin(neighbours, torch.tensor([int(n) for n in text])) for text in (survives, born))
    return (alive & stay) | (~alive & come)


def hole_of_life(born: str, survives: str, seed: int) -> list[float]:
    """Return how much of a wiped hole is left after each number of steps: 1 all of it, 0 none.

    It is the share of living cells missing in the hole, compared with the cells around it.
    """
    generator = torch.Generator().manual_seed(seed)
    alive = torch.rand(_PLANE, _PLANE, generator=generator) < 0.3
    hole = disc(_PLANE)
    left = list[float]()
    for step in range(_GROWN + _HEALED[-1] + 1):
        if step == _GROWN:
            alive &= ~hole
        if step - _GROWN in _HEALED:
            around = alive[~hole].float().mean().item()
            left.append(1 - alive[hole].float().mean().item() / around if around else 1.0)
        alive = stepped(alive, born, survives)
    return left


def disc(side: int) -> Tensor:
    """Return the cells `(side, side)` of the hole, in the middle of a plane."""
    places = torch.arange(side) - (side - 1) / 2
    return places[:, None] ** 2 + places[None, :] ** 2 < _RADIUS**2


def hole_of_texture(
    rule: Rule, distance: Callable[[Tensor], float], seed: int
) -> tuple[list[float], list[Tensor]]:
    """Return how much of a wiped hole is left after each number of steps, and the pictures before and then.

    It is the distance of the square around the hole from the picture's texture: 1 as far as just after the
    wipe, 0 as far as before.
    """
    cells, hole = nothing(_PLANE, _PLANE), disc(_PLANE)
    inner = slice(_PLANE // 2 - _RADIUS, _PLANE // 2 + _RADIUS)
    distances, pictures = list[float](), list[Tensor]()

    def measure() -> None:
        pictures.append(shown(cells))
        distances.append(distance(colours(cells)[:, :, inner, inner]))

    for step in range(_GROWN + _HEALED[-1] + 1):
        if step == _GROWN:
            measure()
            cells[:, :, hole] = 0
        if step - _GROWN in _HEALED:
            measure()
        rule.advance(cells, step, seed)
    before, wiped, *_ = distances
    if wiped - before < _LEAST:  # no texture had grown that a hole could spoil
        return [1.0] * len(_HEALED), pictures
    return [(each - before) / (wiped - before) for each in distances[1:]], pictures


def shown(cells: Tensor) -> Tensor:
    """Return the picture of cells."""
    return colours(cells)[0].clamp(0, 1)


def experiment(settings: Cells) -> Outcome:
    """Learn rules, grow textures of several sizes, and see how holes heal."""
    network = open_network("vgg19")
    example = painting(settings.picture, 2 * _DETAIL)
    seeds = range(settings.seed, settings.seed + settings.runs)
    by_side: dict[int, list[float]] = {side: [] for side in (_TRAINED, settings.size)}
    empty = list[float]()
    learned, written = list[list[float]](), list[list[float]]()
    grown, healing = list[Tensor](), list[Tensor]()
    for seed in track(seeds, "learning a rule"):
        learning = Learning(training=settings.training, detail=_DETAIL, side=_TRAINED, seed=seed)
        (frame,) = deque(learn(example, learning, network, device="cpu"), maxlen=1)
        texture = TextureDistance(example_of(example, _DETAIL), network, learning)

        def distance(pictures: Tensor, texture: TextureDistance = texture) -> float:
            with torch.no_grad():
                return texture(pictures, torch.Generator().manual_seed(0)).item()

        empty.append(distance(colours(nothing(_TRAINED, _TRAINED))))
        for side in by_side:
            cells = nothing(side, side)
            for step in range(_GROWN):
                frame.rule.advance(cells, step, seed)
            by_side[side].append(distance(colours(cells)))
            if seed == seeds[0]:
                grown.append(shown(cells))
        left, pictures = hole_of_texture(frame.rule, distance, seed)
        learned.append(left)
        healing = healing or pictures
        written.append(hole_of_life(settings.born, settings.survives, seed))
    small, large = by_side[_TRAINED], by_side[settings.size]
    times = [one / other for one, other in zip(large, small, strict=True)]
    grows = [one / other for one, other in zip(empty, small, strict=True)]
    ends, own_ends = ([max(0.0, left[-1]) for left in lefts] for lefts in (learned, written))
    any_size, heals = median(times) < 2 and median(grows) > 4, median(ends) < 0.2
    verdict: Verdict = (
        "holds" if any_size and heals else "holds only when" if any_size or heals else "does not hold"
    )
    size = settings.size
    words = (
        f"After {settings.training} steps of training on {_TRAINED} × {_TRAINED} cells, the texture that "
        f"grows is {_ranged(grows, 1)} times nearer to the picture's than empty cells. On {size} × {size} "
        f"cells it is {_ranged(times)} times as far from it as on the plane of the training. Of a hole "
        f"{2 * _RADIUS} cells wide {_ranged(ends, 0)} % is left after {_HEALED[-1]} steps. By the "
        f"rule written by hand (born with {_counts(settings.born)}, survives with "
        f"{_counts(settings.survives)}) it is {_ranged(own_ends, 0)} %.{of_runs(settings.runs)}"
    )
    numbers = {
        "distance of empty cells": median(empty),
        **{f"distance at {side} × {side}": median(each) for side, each in by_side.items()},
        **{f"of the hole left after {step} steps": median(left[at] for left in learned)
           for at, step in enumerate(_HEALED) if step},
        "of the hole left, by hand": median(own_ends),
    }  # fmt: skip
    charts: list[Chart | Picture] = [
        Picture(
            "Learned from a picture, and grown at any size",
            contact_sheet(
                [(example_of(example, _DETAIL), settings.picture),
                 *((each, f"{side} cells wide") for side, each in zip(by_side, grown, strict=True))],
                columns=3, side=_TILE, gap=8,
            ),
            "the picture, and its texture grown from nothing by one rule, on planes of two sizes",
        ),
        Picture(
            "A hole heals",
            contact_sheet(
                [(healing[0], "before"), (healing[1], "wiped"),
                 *((healing[1 + at], f"{_HEALED[at]} steps later") for at in (2, len(_HEALED) - 1))],
                columns=4, side=_TILE, gap=8,
            ),
            "a texture with a hole wiped into it, which the cells around fill step by step",
        ),
        Chart(
            "How much of a hole is left", "steps after the wipe", "share of the hole",
            [Line(name, _HEALED, [median(left[at] for left in lefts) for at in range(len(_HEALED))])
             for name, lefts in (("learned rule", learned), ("written by hand", written))],
            whole_across=True,
        ),
    ]  # fmt: skip
    return Outcome(Finding(verdict, words, numbers, tuple(seeds)), charts)


def _ranged(values: Sequence[float], digits: int = 2) -> str:
    """Return the median of values and their range; without digits, as percentages."""
    scale = 1 if digits else 100
    middle, low, high = (f"{scale * each:.{digits}f}" for each in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def _counts(text: str) -> str:
    """Return numbers of neighbours as a list."""
    return listed(list(text)).replace(" and ", " or ") if text else "no number"


LESSON = Lesson(
    "cells", "Simple rules, many cells", "How does a picture grow that nobody plans?",
    "Cells that see only their neighbours, and all follow one small rule, grow a texture and heal it.",
    "src/lanterna/techniques/grow/rule.py", Cells, experiment, needs=("photographs", "vgg19"),
    quote=grierson(
        "It shows you how to design a Neural Network to generate a new image from scratch based on a "
        "separate image."
    ),
    explanation="""
        Watch a flock of starlings turn. No bird leads, and none sees the whole flock: each watches the
        few around it. The shape in the sky is nobody's plan.

        A cellular automaton is a plane of cells that live like this. Each sees its eight neighbours,
        and all follow the same rule, step by step. John Conway wrote one by hand in 1970, the Game of
        Life: count your living neighbours, and live or die by the number. Such a rule is hard to
        find, since the smallest change to it changes everything.

        So let gradient descent find one (Mordvintsev and others 2020, Niklasson and others 2021). A
        cell gets twelve numbers, three of them its colour, and a small network as its rule. Let it run
        for some steps, compare the texture with a painting's, and go back through all of those steps
        to improve the rule.

        The rule does not know how large the plane is, or where a cell lies in it. So it grows a
        texture at any size, and to the cells around a hole, a hole is only another place to grow into.
    """,
    seen="""
        Each square of the rule is a number of living neighbours: choose with which a cell is born, and
        with which it survives. There are 262,144 such rules. Most die out, fill everything or boil;
        a few grow patterns. Wipe a hole with the brush: Life leaves it empty, a maze grows back.
    """,
)  # fmt: skip
