"""Lesson 14. The quickstart, line by line: what each line does, in torch and beside the original's terms.

The program is `program`, below. It is that of TensorFlow's "quickstart for beginners", line for line: it is
run, and after each line it is asked what the line did. The table shows the line as it stands there.
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import nn

from lanterna.devices import without_dynamo
from lanterna.images.digits import mnist
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.loop import one_thread
from lanterna.lessons.progress import told
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

_ABOUT, _NEAR = 0.98, 0.01  # what the original says comes out; and what still is about that


class Quickstart(Settings):
    """Run the quickstart line by line."""

    verb: ClassVar[str] = "learn quickstart"

    units: int = Field(default=128, ge=1, le=1024, description="Units of the hidden layer.")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="The share of units that is left out.")
    epochs: int = Field(default=5, ge=1, le=20, description="Passes over the training set.")
    digits: int = Field(default=60_000, ge=320, le=60_000, description="Digits to learn from.")


class Told(NamedTuple):
    """What a line did: the original's words for it, what it is for, what was measured; numbers to keep."""

    original: str
    does: str
    measured: str
    numbers: dict[str, list[float]] = {}  # noqa: RUF012 - never changed


def program(settings: Quickstart) -> Iterator[Told]:
    """The quickstart. Each line, or few lines that belong together, is followed by what it did."""
    train, validation, test = mnist("train"), mnist("validation"), mnist("test")
    images = torch.cat([train.images, validation.images])[: settings.digits]
    labels = torch.cat([train.labels, validation.labels])[: settings.digits]
    yield Told("mnist.load_data()", "Fetches handwritten digits, and what each of them is.",
               f"{len(labels):,} to learn from, {len(test.labels):,} to test with")  # fmt: skip
    x, x_test = images.float() / 255, test.images.float() / 255
    yield Told("x_train / 255.0", "Brings 256 levels of grey to the range from 0 to 1.",
               f"from 0 to {int(images.max())} before, from {x.min():g} to {x.max():g} now")  # fmt: skip
    torch.manual_seed(settings.seed)
    yield Told("", "Chance begins from a number, so that this run can be had again.", f"seed {settings.seed}")
    flatten = nn.Flatten()
    yield Told("Flatten(input_shape=(28, 28))", "Lays the rows of pixels one behind another.",
               f"{tuple(x[0].shape)} to {flatten(x[:1]).shape[1]} numbers")  # fmt: skip
    hidden = nn.Linear(784, settings.units)
    yield Told(f"Dense({settings.units})", "Each unit weighs every pixel, adds them up, and a bias.",
               f"{784 * settings.units:,} weights and {settings.units} biases")  # fmt: skip
    bend = nn.ReLU()
    yield Told("activation='relu'", "Nothing below zero, itself above: else two layers would be one.",
               f"{(bend(hidden(flatten(x[:1000]))) == 0).float().mean():.0%} of units are off")  # fmt: skip
    dropout = nn.Dropout(settings.dropout)
    yield Told(f"Dropout({settings.dropout:g})",
               "Leaves units out at random while learning, so that none leans on another.",
               f"{(dropout(torch.ones(10_000)) == 0).float().mean():.1%} left out, "
               f"the others {1 / (1 - settings.dropout):.2f} times as strong")  # fmt: skip
    output = nn.Linear(settings.units, 10)
    yield Told("Dense(10)", "Ten numbers, one for each digit: logits, raw scores, not yet percentages.",
               f"{10 * settings.units:,} weights and 10 biases")  # fmt: skip
    model = nn.Sequential(flatten, hidden, bend, dropout, output)
    yield Told("Sequential([...])", "Puts them one after another.",
               f"{sum(each.numel() for each in model.parameters()):,} numbers to learn")  # fmt: skip
    shares = model(x[:1]).softmax(1)
    yield Told("tf.nn.softmax(predictions)", "Makes ten shares of the logits, which add up to 1.",
               f"untrained, the first digit is a {labels[0]} by {shares[0, labels[0]]:.0%}")  # fmt: skip
    loss_fn = nn.CrossEntropyLoss()
    untrained = loss_fn(model.eval()(x_test), test.labels).item()
    yield Told("SparseCategoricalCrossentropy(from_logits=True)",
               "How surprised one is by the right answer: minus the logarithm of its share.",
               f"{untrained:.2f} untrained; guessing is ln 10 = {math.log(10):.2f}",
               {"untrained": [untrained]})  # fmt: skip
    optimiser = without_dynamo(torch.optim.Adam)(model.parameters(), lr=0.001, eps=1e-7)
    yield Told("compile(optimizer='adam')", "Steps down the slope, each number with a pace of its own.",
               f"a pace of {optimiser.param_groups[0]['lr']:g}")  # fmt: skip
    losses, learned, tested = [], [], []
    for _ in told(range(settings.epochs), "training"):
        right = 0
        for chosen in torch.split(torch.randperm(len(x)), 32):
            logits = model.train()(x[chosen])
            loss = loss_fn(logits, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            right += int((logits.argmax(1) == labels[chosen]).sum())
        learned.append(right / len(x))
        tested.append(read_right(model, x_test, test.labels))
    yield Told(f"fit(x_train, y_train, epochs={settings.epochs})",
               "Forward, how wrong, back, a step; all digits in batches of 32, and all of that again.",
               f"{len(losses):,} steps; {learned[-1]:.1%} read right while learning",
               {"losses": losses, "while learning": learned, "tested": tested})  # fmt: skip
    accuracy = read_right(model, x_test, test.labels)
    yield Told("evaluate(x_test, y_test)", "Reads digits that it never saw, with nothing left out.",
               f"{accuracy:.1%} read right", {"accuracy": [accuracy]})  # fmt: skip


@torch.no_grad()
def read_right(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    """The share of digits that the network reads right, at rest."""
    return float((model.eval()(x).argmax(1) == labels).float().mean())


def lines() -> list[str]:
    """The program's lines as they stand in this file, those that belong together as one."""
    source = inspect.getsource(program)
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    found: list[str] = []
    together: list[str] = []
    for statement in function.body[1:]:  # the first is its docstring
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield):
            found.append("\n".join(together))
            together = []
        else:
            segment = ast.get_source_segment(source, statement, padded=True) or ""
            together.append(textwrap.dedent(segment))
    return found


@one_thread()
def experiment(settings: Quickstart) -> Outcome:
    """Run it, and tell each line."""
    told = list(program(settings))
    numbers = {name: values for each in told for name, values in each.numbers.items()}
    (accuracy,), (untrained,) = numbers["accuracy"], numbers["untrained"]
    learned, tested = numbers["while learning"], numbers["tested"]
    about = abs(accuracy - _ABOUT) <= _NEAR
    begins = abs(untrained - math.log(10)) < 0.3
    whole = settings.digits == 60_000 and settings.epochs >= 5
    words = (
        f"After {settings.epochs} {'epoch' if settings.epochs == 1 else 'epochs'} of {settings.digits:,} "
        f"digits it reads {accuracy:.1%} of 10,000 that it never saw. Untrained, its loss was "
        f"{untrained:.2f}, as good as guessing (ln 10 = 2.30). "
    )
    if learned[-1] < tested[-1]:
        words += (
            f"While learning it reads fewer ({learned[-1]:.1%}): units are left out then, and an epoch's "
            "number is a mean over what it knew less at first."
        )
    elif settings.dropout < 0.05:
        words += f"Digits that it learned from it reads better ({learned[-1]:.1%}): it knows some by heart."
    else:
        words += f"Digits that it learned from: {learned[-1]:.1%}."
    verdict: Verdict = "holds" if about and begins else "holds only when" if begins else "does not hold"
    if begins and not about and not whole:
        words += " The original's 98 % is for five epochs of all 60,000."
    means = [
        sum(part) / len(part)
        for part in (numbers["losses"][start : start + 50] for start in range(0, len(numbers["losses"]), 50))
    ]
    epochs = range(1, settings.epochs + 1)
    charts = [
        Chart("The loss falls", "steps", "loss, mean of 50", [Line("", range(0, 50 * len(means), 50), means)],
              log_up=True),
        Chart("What it reads", "epoch", "read right",
              [Line("test digits", epochs, tested), Line("while learning", epochs, learned, "dashed")],
              whole_across=True),
    ]  # fmt: skip
    head = ("in the original", "in torch", "what it does", "measured")
    rows = [(each.original, code, each.does, each.measured) for each, code in zip(told, lines(), strict=True)]
    finding = Finding(verdict, words, {"accuracy": accuracy, "untrained loss": untrained,
                      "while learning": learned[-1]}, (settings.seed,))  # fmt: skip
    return Outcome(finding, charts, [head, *rows])


LESSON = Lesson(
    "quickstart", "The quickstart, line by line", "What does each line of the quickstart do?",
    "A dozen lines make a network that reads about 98 % of handwritten digits after five epochs.",
    "src/lanterna/lessons/quickstart.py", Quickstart, experiment, needs=("mnist",),
)  # fmt: skip
