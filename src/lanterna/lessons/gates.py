"""Lesson 1. Making an output go higher by itself: tries, a numerical derivative, an analytic one.

The circuit is gates that multiply two numbers each, added up: f = x1 y1 + x2 y2 + … Its derivative by x1 is
y1. Whoever climbs takes steps of one length and pays for each evaluation of the circuit.
"""

from __future__ import annotations

import math
import random
import statistics
from operator import mul
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NUDGE = 1e-4
_MOST = 20_000  # evaluations after which a way is given up


class Gates(Settings):
    """Climb with a circuit of multiply gates."""

    verb: ClassVar[str] = "learn gates"

    gates: int = Field(default=128, ge=1, le=256, description="Multiply gates of the largest circuit.")
    step: float = Field(default=0.05, gt=0, le=1, description="How far the inputs move in one step.")
    rise: float = Field(default=0.5, gt=0, le=5, description="How much the output is to rise.")
    tries: int = Field(default=9, ge=1, le=99, description="How many circuits each way is measured on.")


def output(inputs: Sequence[float]) -> float:
    """The circuit: neighbours are multiplied, the products added."""
    return math.fsum(map(mul, inputs[::2], inputs[1::2]))


def slope(inputs: Sequence[float]) -> list[float]:
    """Its gradient, by the rule: each input's partner."""
    return [inputs[place ^ 1] for place in range(len(inputs))]


def nudged_slope(evaluate: Callable[[Sequence[float]], float], inputs: list[float]) -> list[float]:
    """Its gradient, measured: nudge each input, see by how much the output changes, divide."""
    here, found = evaluate(inputs), []
    for place in range(len(inputs)):
        moved = [*inputs]
        moved[place] += _NUDGE
        found.append((evaluate(moved) - here) / _NUDGE)
    return found


def evaluations(way: str, gates: int, settings: Gates, seed: int) -> int:
    """How often the circuit was evaluated until its output had risen; `_MOST` where it never had."""
    chance, count = random.Random(seed), 0

    def evaluate(at: Sequence[float]) -> float:
        nonlocal count
        count += 1
        return output(at)

    # Inputs of length 1 in all, so that circuits of every size are as steep.
    inputs = _of_length(1.0, [chance.gauss(0, 1) for _ in range(2 * gates)])
    goal = output(inputs) + settings.rise
    while output(inputs) < goal and count < _MOST:
        if way == "tries":
            move = _of_length(settings.step, [chance.gauss(0, 1) for _ in inputs])
            tried = [value + by for value, by in zip(inputs, move, strict=True)]
            better = evaluate(tried) > output(inputs)
        else:
            found = nudged_slope(evaluate, inputs) if way == "nudges" else slope(inputs)
            move = _of_length(settings.step, found)
            tried, better = [value + by for value, by in zip(inputs, move, strict=True)], True
            count += way == "rule"  # forward once, and back along the gates
        if better:
            inputs = tried
    return count


def _of_length(length: float, values: Sequence[float]) -> list[float]:
    now = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value * length / now for value in values]


def experiment(settings: Gates) -> Outcome:
    """Count evaluations for circuits of one gate, two, four and so on."""
    sizes = [2**power for power in range(settings.gates.bit_length()) if 2**power <= settings.gates]
    seeds = range(settings.seed, settings.seed + settings.tries)
    found = {
        way: [statistics.median(evaluations(way, size, settings, seed) for seed in seeds) for size in sizes]
        for way in ("tries", "nudges", "rule")
    }
    small = {way: counts[0] for way, counts in found.items()}
    large = {way: counts[-1] for way, counts in found.items()}
    numbers = {f"{way}, {size} inputs": float(value) for size, which in ((2, small), (2 * sizes[-1], large))
               for way, value in which.items()}  # fmt: skip
    arrives = all(counts[-1] < _MOST for counts in found.values())
    cheapest = arrives and large["rule"] == min(large.values()) and small["rule"] == min(small.values())
    blind = large["tries"] < large["nudges"]
    words = (
        f"With one gate it takes {small['tries']:.0f} blind tries, {small['nudges']:.0f} evaluations with "
        f"nudges and {small['rule']:.0f} with the rule. With {2 * sizes[-1]} inputs: {large['tries']:.0f}, "
        f"{large['nudges']:.0f} and {large['rule']:.0f}. "
    )
    words += (
        "The rule's cost does not grow with the inputs. A measured derivative costs one evaluation an input, "
        f"so that with many inputs even blind tries are {'cheaper' if blind else 'not much dearer'}."
    )
    if not arrives:
        words = f"Not every way arrived within {_MOST:,} evaluations. {words}"
    lines = [
        Line("blind tries", [2 * size for size in sizes], found["tries"]),
        Line("numerical derivative", [2 * size for size in sizes], found["nudges"]),
        Line("analytic derivative", [2 * size for size in sizes], found["rule"]),
    ]
    chart = Chart(
        f"Until the output has risen by {settings.rise:g}", "inputs", "evaluations", lines, True, True
    )
    return Outcome(Finding("holds" if cheapest else "does not hold", words, numbers, tuple(seeds)), [chart])


LESSON = Lesson(
    "gates", "Making an output go higher", "How does an output go higher by itself?",
    "Trying at random works but is slow, nudging each input tells the way, the derivative tells it at once.",
    "src/lanterna/lessons/gates.py", Gates, experiment, quick=True,
)  # fmt: skip
