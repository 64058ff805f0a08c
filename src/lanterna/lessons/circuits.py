"""Lesson 3. Forward and backward: values flow through a circuit one way, gradients flow back the other.

Each gate knows its local derivatives: how much its output changes with each of its inputs, no matter what
comes after it. Nudging one input measures them. Nudging a value inside the circuit, and running every gate
after it again, measures the gradient with respect to that value.
"""

from __future__ import annotations

import math
import random
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from pydantic import Field

from lanterna.errors import UsageError
from lanterna.lessons.circuit_picture import circuit_pictures, label
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.scalars import FUNCTIONS, Value, circuit
from lanterna.lessons.text import counted, scientific
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lanterna.lessons.lesson import Picture, Verdict

_NUDGE = 1e-6  # relative to the number that is nudged, or to 0.001 if that is larger
_NAMES = "abcdefgh"


class Circuits(Settings):
    """Build a circuit, send values forward and gradients back."""

    verb: ClassVar[str] = "learn circuits"

    expression: str = Field(
        default="sigmoid(a * b + c * d - e)",
        min_length=1,
        description="The circuit: + - * / **, exp, log, tanh, sigmoid and relu.",
    )
    numbers: tuple[Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)], ...] = Field(
        default=(1.0, 2.0, -1.0, 1.5, -0.5), min_length=1, max_length=8,
        description="The inputs a, b, c …, in this order.",
    )  # fmt: skip
    others: int = Field(
        default=200, ge=0, le=2000, description="Random circuits that are compared with torch as well."
    )


def numerical_gradients(settings: Circuits) -> tuple[Value, list[float]]:
    """Return the circuit after its backward pass, and the gradient of every value as a nudge measures it.

    Errors: `UsageError` if the circuit is undefined a nudge away from these numbers.
    """
    numbers = dict(zip(_NAMES, settings.numbers, strict=False))
    output = circuit(settings.expression, numbers)
    output.backward()
    return output, [
        _central_difference(settings, partial(_output_when_nudged, output, value), value.data)
        for value in output.nodes()
    ]


def numerical_local_gradients(settings: Circuits, gate: Value) -> list[float]:
    """Return a gate's derivative with respect to each of its inputs, as nudges measure it."""
    inputs = [value.data for value in gate.inputs]

    def nudged(index: int, h: float) -> float:
        return _run(gate, [number + h * (i == index) for i, number in enumerate(inputs)])

    return [
        _central_difference(settings, partial(nudged, index), number) for index, number in enumerate(inputs)
    ]


def _central_difference(settings: Circuits, nudged: Callable[[float], float], number: float) -> float:
    h = _NUDGE * max(1e-3, abs(number))
    try:
        return (nudged(h) - nudged(-h)) / (2 * h)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UsageError(
            f"expression: {settings.expression!r} is undefined {scientific(h)} away from these numbers: "
            "change them"
        ) from None


def _output_when_nudged(output: Value, nudged: Value, h: float) -> float:
    """Return the output after one value is nudged and all gates after it are run again."""
    numbers: dict[Value, float] = {}
    for value in output.nodes():
        inputs = [numbers[source] for source in value.inputs]
        numbers[value] = _run(value, inputs) if inputs else value.data
        if value is nudged:
            numbers[value] += h
    return numbers[output]


def _run(gate: Value, inputs: list[float]) -> float:
    """Run a gate on other inputs."""
    if gate.operation == "+":
        return inputs[0] + inputs[1]
    if gate.operation == "×":
        return inputs[0] * inputs[1]
    if gate.operation.startswith("^"):
        return (Value(inputs[0]) ** float(gate.operation[1:])).data
    return FUNCTIONS[gate.operation](Value(inputs[0])).data


def random_circuit(seed: int) -> tuple[str, dict[str, float]]:
    """Return a random expression of about ten gates, and its inputs."""
    rng = random.Random(seed)
    numbers = {name: round(rng.uniform(-2, 2), 3) for name in _NAMES[:4]}

    def grow(depth: int) -> str:
        if depth == 0 or rng.random() < 0.15:
            return rng.choice(list(numbers))
        if rng.random() < 0.3:
            return f"{rng.choice(('tanh', 'sigmoid', 'relu'))}({grow(depth - 1)})"
        return f"({grow(depth - 1)} {rng.choice('+-*')} {grow(depth - 1)})"

    return grow(4), numbers


def gap_to_torch(expression: str, numbers: dict[str, float]) -> float:
    """Return the largest difference between our gradients and torch's, relative to the largest gradient.

    Both are computed in 64 bits.
    """
    output = circuit(expression, numbers)
    output.backward()
    ours = {value.name: value.grad for value in output.nodes() if not value.inputs}
    leaves = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in numbers.items()
    }
    functions = {name: getattr(torch, name) for name in FUNCTIONS}
    result = eval(expression, {"__builtins__": {}}, {**leaves, **functions})
    torch.autograd.backward(result)
    torchs = {name: 0.0 if leaf.grad is None else leaf.grad.item() for name, leaf in leaves.items()}
    largest = max(1e-12, *(abs(grad) for grad in torchs.values()))
    return max(abs(ours.get(name, 0.0) - torchs[name]) for name in torchs) / largest


def experiment(settings: Circuits) -> Outcome:
    """Compare all gradients of the circuit with nudges, and random circuits with torch."""
    output, nudged = numerical_gradients(settings)
    values = output.nodes()
    names = {value: label(value, index) for index, value in enumerate(values)}
    local = {value: numerical_local_gradients(settings, value) for value in values}
    rows: list[tuple[str, ...]] = [
        ("name", "gate", "value", "gradient", "by a nudge", "local derivatives", "by nudges")
    ]
    for value, measured in zip(values, nudged, strict=True):
        numbers = (value.data, value.grad, measured)
        inputs = [names[source] for source in value.inputs]
        rows.append(
            (names[value], value.operation or "input", *(f"{number:.4g}" for number in numbers),
             _named(inputs, value.local_grads), _named(inputs, local[value]))
        )  # fmt: skip
    gap = _gap([value.grad for value in values], nudged)
    local_gap = max(_gap(value.local_grads, local[value]) for value in values)
    seeds = range(settings.seed, settings.seed + settings.others)
    torch_gap = max((gap_to_torch(*random_circuit(seed)) for seed in seeds), default=0.0)
    agree = max(gap, local_gap) < 1e-4
    at_corner = any(value.operation == "relu" and abs(value.inputs[0].data) <= _NUDGE for value in values)
    verdict: Verdict = "does not hold"
    words = f"The output is {output.data:.4g}. "
    if agree and torch_gap < 1e-9:
        verdict = "holds"
        words += (
            f"The backward pass finds the same gradients as nudging each value: they agree {_digits(gap)}. "
            "The gates' own derivatives agree with nudges as well."
        )
    elif at_corner and torch_gap < 1e-9:
        verdict = "holds only when"
        words += (
            "The input of a ReLU is exactly 0. There its graph has a corner and no single slope: the "
            "backward pass uses 0, while a nudge to both sides measures one half."
        )
    else:
        words += (
            f"The gradients of the backward pass and of the nudges agree only {_digits(max(gap, local_gap))}."
        )
    if settings.others:
        words += (
            f" On {settings.others} random circuits our gradients and torch's agree {_digits(torch_gap)}."
        )
    ends = [min(nudged), max(nudged)]
    charts: list[Chart | Picture] = [
        *circuit_pictures(output, settings.expression),
        Chart(
            "Gradients: measured, and from the backward pass", "gradient by a nudge",
            "gradient by the backward pass",
            [Line("values", nudged, [value.grad for value in values], "marks"),
             Line("equal", ends, ends, "dashed")],
        ),
    ]  # fmt: skip
    found = {
        "output": output.data, "gap to nudges": gap, "gap of local derivatives": local_gap,
        "gap to torch": torch_gap,
    }  # fmt: skip
    return Outcome(Finding(verdict, words, found, tuple(seeds)[:1]), charts, rows)


def _gap(gradients: Sequence[float], measured: Sequence[float]) -> float:
    """Return the largest difference, relative to the largest gradient."""
    scale = max(1e-9, *(abs(gradient) for gradient in (*gradients, 0.0)))
    return max((abs(a - b) for a, b in zip(gradients, measured, strict=True)), default=0.0) / scale


def _digits(gap: float) -> str:
    """Say to how many digits numbers agree whose relative difference is `gap`."""
    digits = min(16, math.floor(-math.log10(gap))) if gap else 16  # the digits that 64 bits hold
    return f"to {counted(digits, 'digit')}" if digits > 0 else "in no digit"


def _named(names: Sequence[str], derivatives: Sequence[float]) -> str:
    return ", ".join(f"{name}: {value:.4g}" for name, value in zip(names, derivatives, strict=True))


LESSON = Lesson(
    "circuits", "Forward and backward", "How does each part of a circuit learn how much it matters?",
    "Values flow forward through the gates. Gradients flow back, and each gate multiplies them by its own "
    "derivative.",
    "src/lanterna/lessons/scalars.py", Circuits, experiment, quick=True,
    quote=grierson(
        "We use the gradient to adjust the parameters of the network. The difference propagates back "
        "through the network."
    ),
    explanation="""
        A cake comes out too sweet, and the head baker wants to know why. The person who iced it
        answers for the icing, and passes the question on to whoever whipped the cream and whoever
        baked the sponge. They answer for their part and pass it on again, until the question reaches
        the sugar and the flour. Nobody has to understand the whole bakery. Each of them only has to
        know one thing: if what I was handed had been a little different, how different would my own
        result have been?

        A network is a bakery of numbers. They flow forward through simple steps, called gates, that
        add, multiply or squash, and at the end there is one result. Then the question travels
        backwards. Each gate knows how strongly its own output reacts to each of its inputs. It
        multiplies the answer that comes back to it by that, and passes it on. Where two routes lead
        back to the same number, their answers are added up. After a single trip back, every number
        knows how much it matters to the result. That is its gradient.
    """,
    seen="""
        On the way forward, a gate needs nothing but its own inputs. On the way back, it needs nothing
        but the number that arrives and its own derivatives, and one trip is enough for the whole
        circuit. An amber wire carries a number whose increase would raise the result, a blue wire one
        whose increase would lower it.
    """,
)  # fmt: skip
