"""Lesson 3. Forward and backward: values flow through a circuit one way, slopes flow back the other.

Each gate knows its local derivatives: how much it changes with each of its inputs, whatever is behind it. A
nudge of one input measures them; a nudge of one wire, with all gates behind it run again, its slope.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from pydantic import Field

from lanterna.errors import UsageError
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.scalars import SQUASHES, Value, circuit
from lanterna.lessons.wiring import label, wiring
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lanterna.lessons.lesson import Picture, Verdict

_NUDGE = 1e-6  # the share of a number by which it is nudged; of a small one, that of a thousandth
_NAMES = "abcdefgh"


class Circuits(Settings):
    """Build a circuit, let values flow forward and slopes back."""

    verb: ClassVar[str] = "learn circuits"

    expression: str = Field(
        default="sigmoid(a * b + c * d - e)",
        min_length=1,
        description="The circuit: + - * / ** and squashes.",
    )
    numbers: tuple[Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)], ...] = Field(
        default=(1.0, 2.0, -1.0, 1.5, -0.5), min_length=1, max_length=8,
        description="What is on a, b, c …, in this order.",
    )  # fmt: skip
    others: int = Field(
        default=200, ge=0, le=2000, description="Random circuits that are held to torch besides."
    )


def checked_by_nudges(settings: Circuits) -> tuple[Value, list[float]]:
    """The circuit after its backward pass, and the slope of each wire as a nudge there measures it.

    Errors: `UsageError` where the circuit has an answer at these numbers, but not right beside them.
    """
    numbers = dict(zip(_NAMES, settings.numbers, strict=False))
    output = circuit(settings.expression, numbers)
    output.backward()
    return output, [
        _measured(settings, partial(_moved, output, wire), wire.number) for wire in output.wires()
    ]


def local_by_nudges(settings: Circuits, gate: Value) -> list[float]:
    """The gate's derivative by each of its inputs, as a nudge of that input measures it."""
    inputs = [each.number for each in gate.inputs]

    def nudged(place: int, h: float) -> float:
        return _run(gate, [number + h * (at == place) for at, number in enumerate(inputs)])

    return [_measured(settings, partial(nudged, place), number) for place, number in enumerate(inputs)]


def _measured(settings: Circuits, moved: Callable[[float], float], number: float) -> float:
    """A slope: nudge a number both ways, measure, divide."""
    h = _NUDGE * max(1e-3, abs(number))
    try:
        return (moved(h) - moved(-h)) / (2 * h)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UsageError(
            f"expression: {settings.expression!r} has no answer {h:.0e} beside these numbers: move them"
        ) from None


def _moved(output: Value, moved: Value, by: float) -> float:
    """The output where one wire is moved, by running all gates behind it again."""
    numbers: dict[Value, float] = {}
    for wire in output.wires():
        numbers[wire] = _run(wire, [numbers[each] for each in wire.inputs]) if wire.inputs else wire.number
        if wire is moved:
            numbers[wire] += by
    return numbers[output]


def _run(gate: Value, inputs: list[float]) -> float:
    """A gate again, with other numbers on its inputs."""
    if gate.made_by == "+":
        return inputs[0] + inputs[1]
    if gate.made_by == "×":
        return inputs[0] * inputs[1]
    if gate.made_by.startswith("^"):
        return (Value(inputs[0]) ** float(gate.made_by[1:])).number
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


def experiment(settings: Circuits) -> Outcome:
    """The circuit's wires with value and slope, and each gate's local derivatives, all of them beside a
    nudge; many circuits beside torch.
    """
    output, nudged = checked_by_nudges(settings)
    wires = output.wires()
    names = {wire: label(wire, place) for place, wire in enumerate(wires)}
    local = {wire: local_by_nudges(settings, wire) for wire in wires}
    rows: list[tuple[str, ...]] = [
        ("wire", "gate", "value", "slope", "nudged", "local slopes", "local, nudged")
    ]
    for wire, measured in zip(wires, nudged, strict=True):
        numbers = (wire.number, wire.slope, measured)
        by = [names[each] for each in wire.inputs]
        rows.append(
            (names[wire], wire.made_by or "input", *(f"{number:.4g}" for number in numbers),
             _by_each(by, wire.locals), _by_each(by, local[wire]))
        )  # fmt: skip
    gap = _gap([wire.slope for wire in wires], nudged)
    local_gap = max(_gap(wire.locals, local[wire]) for wire in wires)
    seeds = range(settings.seed, settings.seed + settings.others)
    worst = max((apart_from_torch(*random_circuit(seed)) for seed in seeds), default=0.0)
    agree = max(gap, local_gap) < 1e-4
    corner = any(wire.made_by == "relu" and abs(wire.inputs[0].number) <= _NUDGE for wire in wires)
    verdict: Verdict = "does not hold"
    words = f"The output is {output.number:.4g}. "
    if agree and worst < 1e-9:
        verdict = "holds"
        words += (
            "Every wire's slope, sent back gate by gate, is what a nudge of that wire measures, up to "
            f"{gap:.0e} of the largest; and every gate's local slopes are what a nudge of its inputs "
            f"measures, up to {local_gap:.0e}."
        )
    elif corner and worst < 1e-9:
        verdict = "holds only when"
        words += (
            "A ReLU stands at its corner, 0, where there is no one slope: what is sent back takes it for 0, "
            "and a nudge both ways measures the half."
        )
    else:
        words += (
            f"Slopes that are sent back and nudges differ by up to {max(gap, local_gap):.0e} of the largest."
        )
    if settings.others:
        words += (
            f" On {settings.others} random circuits our slopes and torch's differ by at most {worst:.0e}."
        )
    ends = [min(nudged), max(nudged)]
    charts: list[Chart | Picture] = [
        *wiring(output, settings.expression),
        Chart(
            "Each wire's slope, measured and sent back", "slope by a nudge", "slope sent back",
            [Line("wires", nudged, [wire.slope for wire in wires], "marks"),
             Line("equal", ends, ends, "dashed")],
        ),
    ]  # fmt: skip
    found = {
        "output": output.number, "gap to nudges": gap, "gap of local slopes": local_gap,
        "gap to torch": worst,
    }  # fmt: skip
    return Outcome(Finding(verdict, words, found, tuple(seeds)[:1]), charts, rows)


def _gap(slopes: Sequence[float], measured: Sequence[float]) -> float:
    """The largest difference, as a share of the largest slope."""
    scale = max(1e-9, *(abs(slope) for slope in (*slopes, 0.0)))
    return max((abs(one - other) for one, other in zip(slopes, measured, strict=True)), default=0.0) / scale


def _by_each(names: Sequence[str], slopes: Sequence[float]) -> str:
    return ", ".join(f"{name}: {slope:.4g}" for name, slope in zip(names, slopes, strict=True))


LESSON = Lesson(
    "circuits", "Forward and backward", "How does every part of a circuit learn its share?",
    "Values flow forward through the gates; slopes flow back, multiplied by each gate's own derivative.",
    "src/lanterna/lessons/scalars.py", Circuits, experiment, quick=True,
)  # fmt: skip
