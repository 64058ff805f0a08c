"""Lesson 3. Forward and backward: values flow through a circuit one way, slopes flow back the other."""

from __future__ import annotations

import random
from typing import ClassVar

import torch
from pydantic import Field

from lanterna.errors import UsageError
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.scalars import SQUASHES, Value, circuit
from lanterna.recipes.recipe import Recipe

_NUDGE = 1e-6
_NAMES = "abcdefgh"


class Circuits(Recipe):
    """Build a circuit, let values flow forward and slopes back."""

    verb: ClassVar[str] = "learn circuits"

    expression: str = Field(
        default="sigmoid(a * b + c * d - e)",
        min_length=1,
        description="The circuit: + - * / ** and squashes.",
    )
    numbers: tuple[float, ...] = Field(
        default=(-1.0, 2.0, 3.0, -2.0, 1.0), min_length=1, max_length=8,
        description="What is on a, b, c …, in this order.",
    )  # fmt: skip
    others: int = Field(
        default=200, ge=0, le=2000, description="Random circuits that are held to torch besides."
    )


def checked_by_nudges(recipe: Circuits) -> tuple[Value, list[float]]:
    """The circuit after its backward pass, and the slope of each wire as a nudge there measures it."""
    numbers = dict(zip(_NAMES, recipe.numbers, strict=False))
    output = circuit(recipe.expression, numbers)
    output.backward()
    return output, [_nudged(output, place) for place in range(len(output.wires()))]


def _nudged(output: Value, place: int) -> float:
    """How much the output changes where one wire is moved, by running all gates behind it again."""
    sides = []
    for sign in (1.0, -1.0):
        numbers: dict[int, float] = {}
        for at, wire in enumerate(output.wires()):
            if wire.inputs:
                numbers[id(wire)] = _run(wire, [numbers[id(each)] for each in wire.inputs])
            else:
                numbers[id(wire)] = wire.number
            if at == place:
                numbers[id(wire)] += sign * _NUDGE
        sides.append(numbers[id(output)])
    return (sides[0] - sides[1]) / (2 * _NUDGE)


def _run(gate: Value, inputs: list[float]) -> float:
    """A gate again, with other numbers on its inputs."""
    if gate.made_by == "+":
        return inputs[0] + inputs[1]
    if gate.made_by == "×":
        return inputs[0] * inputs[1]
    if gate.made_by.startswith("^"):
        return float(inputs[0] ** float(gate.made_by[1:]))
    return SQUASHES[gate.made_by](Value(inputs[0])).number


def random_circuit(seed: int) -> tuple[str, dict[str, float]]:
    """An expression of some ten gates, and numbers for its inputs."""
    chance = random.Random(seed)
    numbers = {name: round(chance.uniform(-2, 2), 3) for name in _NAMES[:4]}

    def grown(depth: int) -> str:
        if depth == 0 or chance.random() < 0.15:
            return chance.choice(list(numbers))
        if chance.random() < 0.3:
            return f"{chance.choice(('tanh', 'sigmoid', 'relu'))}({grown(depth - 1)})"
        return f"({grown(depth - 1)} {chance.choice('+-*')} {grown(depth - 1)})"

    return grown(4), numbers


def apart_from_torch(expression: str, numbers: dict[str, float]) -> float:
    """The largest difference between our slopes and torch's, in 64 bits, as a share of the largest slope."""
    ours = circuit(expression, numbers)
    ours.backward()
    mine = {wire.name: wire.slope for wire in ours.wires() if not wire.inputs}
    leaves = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in numbers.items()
    }
    squashes = {name: getattr(torch, name) for name in SQUASHES}
    result = eval(expression, {"__builtins__": {}}, {**leaves, **squashes})
    torch.autograd.backward(result)
    theirs = {name: 0.0 if leaf.grad is None else leaf.grad.item() for name, leaf in leaves.items()}
    largest = max(1e-12, *(abs(slope) for slope in theirs.values()))
    return max(abs(mine.get(name, 0.0) - theirs[name]) for name in theirs) / largest


def experiment(recipe: Circuits) -> Outcome:
    """The circuit's wires with value and slope, each slope beside its nudge; many circuits beside torch."""
    if len(recipe.numbers) > len(_NAMES):
        raise UsageError(f"numbers: expected up to {len(_NAMES)}, got {len(recipe.numbers)}")
    output, nudged = checked_by_nudges(recipe)
    wires = output.wires()
    rows: list[tuple[str, ...]] = [("wire", "gate", "value", "slope", "nudged")]
    for place, (wire, measured) in enumerate(zip(wires, nudged, strict=True)):
        label = wire.name or f"w{place}"
        rows.append(
            (label, wire.made_by or "input", f"{wire.number:.4g}", f"{wire.slope:.4g}", f"{measured:.4g}")
        )
    scale = max(1e-9, *(abs(wire.slope) for wire in wires))
    gap = max(abs(wire.slope - measured) for wire, measured in zip(wires, nudged, strict=True)) / scale
    seeds = range(recipe.seed, recipe.seed + recipe.others)
    worst = max((apart_from_torch(*random_circuit(seed)) for seed in seeds), default=0.0)
    holds = gap < 1e-4 and worst < 1e-9
    words = (
        f"The output is {output.number:.4g}. Every wire's slope, sent back gate by gate, is what a nudge of "
        f"that wire measures, up to {gap:.0e} of the largest."
    )
    if recipe.others:
        words += f" On {recipe.others} random circuits our slopes and torch's differ by at most {worst:.0e}."
    line = Line("wires", nudged, [wire.slope for wire in wires], "marks")
    ends = [min(nudged), max(nudged)]
    chart = Chart(
        recipe.expression, "slope by a nudge", "slope sent back", [line, Line("equal", ends, ends, "dashed")]
    )
    numbers = {"output": output.number, "gap to nudges": gap, "gap to torch": worst}
    finding = Finding("holds" if holds else "does not hold", words, numbers, tuple(seeds)[:1])
    return Outcome(finding, [chart], rows)


LESSON = Lesson(
    "circuits", "Forward and backward", "How does every part of a circuit learn its share?",
    "Values flow forward through the gates; slopes flow back, multiplied by each gate's own derivative.",
    "src/lanterna/lessons/scalars.py", Circuits, experiment, quick=True,
)  # fmt: skip
