"""Lesson 1. Raising an output: random search, numerical derivatives, analytic derivatives.

The circuit multiplies pairs of inputs and adds up the products: f = x1 y1 + x2 y2 + … Its derivative with
respect to x1 is y1. All three methods take steps of the same length, and their cost is the number of times
they evaluate the circuit.
"""

from __future__ import annotations

import math
import random
import statistics
from operator import mul
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Method = Literal["random", "numerical", "analytic"]
_METHODS: tuple[Method, ...] = ("random", "numerical", "analytic")
_NUDGE = 1e-4
_MAX_EVALUATIONS = 20_000  # after which a method gives up


class Gates(Settings):
    """Raise the output of a circuit of multiply gates."""

    verb: ClassVar[str] = "learn gates"

    gates: int = Field(default=128, ge=1, le=256, description="Multiply gates of the largest circuit.")
    step: float = Field(default=0.05, gt=0, le=1, description="How far the inputs move in one step.")
    rise: float = Field(default=0.5, gt=0, le=5, description="How much the output should rise.")
    tries: int = Field(default=9, ge=1, le=99, description="How many circuits each method is measured on.")


def output(inputs: Sequence[float]) -> float:
    """Run the circuit: multiply neighbouring inputs and add up the products."""
    return math.fsum(map(mul, inputs[::2], inputs[1::2]))


def analytic_gradient(inputs: Sequence[float]) -> list[float]:
    """Return the circuit's gradient by the product rule: for each input, the one it is multiplied by."""
    return [inputs[index ^ 1] for index in range(len(inputs))]


def numerical_gradient(evaluate: Callable[[Sequence[float]], float], inputs: list[float]) -> list[float]:
    """Measure the circuit's gradient: nudge each input and divide the output's change by the nudge."""
    current, gradient = evaluate(inputs), []
    for index in range(len(inputs)):
        nudged = [*inputs]
        nudged[index] += _NUDGE
        gradient.append((evaluate(nudged) - current) / _NUDGE)
    return gradient


def evaluations(method: Method, gates: int, settings: Gates, seed: int) -> int:
    """Count how often a method evaluates the circuit until the output has risen, up to `_MAX_EVALUATIONS`."""
    rng, count = random.Random(seed), 0

    def evaluate(inputs: Sequence[float]) -> float:
        nonlocal count
        count += 1
        return output(inputs)

    # All inputs together have length 1, so that the gradient is as long for circuits of every size.
    inputs = _with_length(1.0, [rng.gauss(0, 1) for _ in range(2 * gates)])
    goal = output(inputs) + settings.rise
    while output(inputs) < goal and count < _MAX_EVALUATIONS:
        if method == "random":
            step = _with_length(settings.step, [rng.gauss(0, 1) for _ in inputs])
            candidate = [value + change for value, change in zip(inputs, step, strict=True)]
            accept = evaluate(candidate) > output(inputs)
        else:
            gradient = (
                numerical_gradient(evaluate, inputs) if method == "numerical" else analytic_gradient(inputs)
            )
            step = _with_length(settings.step, gradient)
            candidate = [value + change for value, change in zip(inputs, step, strict=True)]
            accept = True
            count += method == "analytic"  # one forward and backward pass
        if accept:
            inputs = candidate
    return count


def _with_length(length: float, values: Sequence[float]) -> list[float]:
    norm = math.sqrt(sum(value * value for value in values)) or 1.0
    return [value * length / norm for value in values]


def experiment(settings: Gates) -> Outcome:
    """Count evaluations for circuits of one gate, two, four and so on."""
    sizes = [2**power for power in range(settings.gates.bit_length()) if 2**power <= settings.gates]
    seeds = range(settings.seed, settings.seed + settings.tries)
    runs = {
        method: [[evaluations(method, size, settings, seed) for seed in seeds] for size in sizes]
        for method in _METHODS
    }
    found = {method: [statistics.median(each) for each in counts] for method, counts in runs.items()}
    small = {method: counts[0] for method, counts in found.items()}
    large = {method: counts[-1] for method, counts in found.items()}
    numbers = {
        f"{method}, {size} inputs": float(value)
        for size, counts in ((2, small), (2 * sizes[-1], large))
        for method, value in counts.items()
    }
    arrives = all(counts[-1] < _MAX_EVALUATIONS for counts in found.values())
    cheapest = (
        arrives and large["analytic"] == min(large.values()) and small["analytic"] == min(small.values())
    )
    ones, many = ([_ranged(runs[method][place]) for method in _METHODS] for place in (0, -1))
    words = (
        f"To raise the output of one gate by {settings.rise:g}, random search needs {ones[0]} evaluations, "
        f"the numerical derivative {ones[1]} and the analytic derivative {ones[2]}. With {2 * sizes[-1]} "
        f"inputs they need {many[0]}, {many[1]} and {many[2]}. The analytic derivative costs the same "
        "however many inputs there are. The numerical one needs an extra evaluation for every input, so that "
        "with many inputs even random search is "
        f"{'cheaper' if large['random'] < large['numerical'] else 'hardly more expensive'}."
    )
    if settings.tries > 1:
        words += f" (Medians of {settings.tries} circuits, and their range in brackets.)"
    if not arrives:
        words = f"Not every method got there within {_MAX_EVALUATIONS:,} evaluations. {words}"
    inputs = [2 * size for size in sizes]
    lines = [
        Line("random search", inputs, found["random"]),
        Line("numerical derivative", inputs, found["numerical"]),
        Line("analytic derivative", inputs, found["analytic"]),
    ]
    chart = Chart(
        f"Until the output has risen by {settings.rise:g}", "inputs", "evaluations", lines, True, True
    )
    return Outcome(Finding("holds" if cheapest else "does not hold", words, numbers, tuple(seeds)), [chart])


def _ranged(counts: list[int]) -> str:
    """Return the median, and the range if there is one."""
    low, high = min(counts), max(counts)
    return f"{statistics.median(counts):.0f}" + (f" ({low} to {high})" if low < high else "")


LESSON = Lesson(
    "gates", "Raising an output", "How should the inputs change to raise the output?",
    "Trying at random works but is slow. Nudging each input shows the way. The derivative gives it directly.",
    "src/lanterna/lessons/gates.py", Gates, experiment, quick=True,
    quote=grierson(
        "For example, we might want to build a system that can automatically change input values in order to "
        "meet some condition, e.g. making an output value get higher."
    ),
    explanation="""
        Imagine a shower with two taps in a house whose pipes you cannot see, and you want the water
        warmer. You could turn both taps at random, and turn them back whenever it gets colder. That
        works, but most of your turns are wasted. Or you could turn each tap by a hair, feel what
        happens, and then turn both the way that helped. That is surer, but with a hundred taps you
        would have to test a hundred taps before every move.

        The third way is to know the plumbing. If the pipes simply multiply two numbers, x and y, then
        raising x a little raises the result y times as much. There is nothing to test: you can read
        it off. How strongly a result responds to one of its inputs is called a derivative.

        A network is a house with thousands or millions of taps. It can learn only because one
        calculation gives the derivatives of all of them at once, however many there are.
    """,
    seen="""
        All three methods raise the output. A random step costs one run of the gate, but many of them
        lead nowhere. A step by nudges costs three runs, a step by the derivative only one, and neither
        is wasted. With two numbers that hardly matters; with a million it decides whether a network
        can learn at all.
    """,
)  # fmt: skip
