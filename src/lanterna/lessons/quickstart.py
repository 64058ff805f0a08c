"""Lesson 14. The quickstart, line by line: what each line does, in torch and next to the original.

`program` below is TensorFlow's "quickstart for beginners", line for line. It runs, and each line is followed
by a report of what it did. The table shows the lines as they stand in this file.
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
from lanterna.lessons.lecture import grierson
from lanterna.lessons.lesson import Chart, Finding, Lesson, Line, Outcome
from lanterna.lessons.loop import one_thread
from lanterna.lessons.progress import track
from lanterna.lessons.text import counted, percent
from lanterna.techniques.technique import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from lanterna.lessons.lesson import Verdict

_EXPECTED, _TOLERANCE = 0.98, 0.01  # the original's accuracy, and what still counts as about that


class Quickstart(Settings):
    """Run the quickstart line by line."""

    verb: ClassVar[str] = "learn quickstart"

    units: int = Field(default=128, ge=1, le=1024, description="Units of the hidden layer.")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="The share of units that dropout zeroes.")
    epochs: int = Field(default=5, ge=1, le=20, description="Passes over the training set.")
    digits: int = Field(default=60_000, ge=320, le=60_000, description="Digits to learn from.")


class Report(NamedTuple):
    """What a line did: the original's line, its purpose and what was measured, with the numbers."""

    original: str
    purpose: str
    measured: str
    numbers: dict[str, list[float]] = {}  # noqa: RUF012 - never changed


def program(settings: Quickstart) -> Iterator[Report]:
    """Run the quickstart. Yield a report after each line, or after a few lines that belong together."""
    train, validation, test = mnist("train"), mnist("validation"), mnist("test")
    images = torch.cat([train.images, validation.images])[: settings.digits]
    labels = torch.cat([train.labels, validation.labels])[: settings.digits]
    yield Report("mnist.load_data()", "Load images of handwritten digits, and their labels.",
                 f"{len(labels):,} to learn from, {len(test.labels):,} to test with")  # fmt: skip
    x, x_test = images.float() / 255, test.images.float() / 255
    yield Report("x_train / 255.0", "Scale the grey values from 0–255 to 0–1.",
                 f"from 0 to {int(images.max())} before, from {x.min():g} to {x.max():g} now")  # fmt: skip
    torch.manual_seed(settings.seed)
    yield Report("", "Seed the random numbers, so that the run can be repeated.", f"seed {settings.seed}")
    flatten = nn.Flatten()
    yield Report("Flatten(input_shape=(28, 28))", "Put the rows of pixels one after another.",
                 f"{tuple(x[0].shape)} to {flatten(x[:1]).shape[1]} numbers")  # fmt: skip
    hidden = nn.Linear(784, settings.units)
    yield Report(f"Dense({settings.units})", "Each unit adds up all pixels times its weights, and a bias.",
                 f"{784 * settings.units:,} weights and {settings.units} biases")  # fmt: skip
    relu = nn.ReLU()
    yield Report("activation='relu'",
                 "Replace negative values by 0. Without this, two layers would act as one.",
                 f"{share_of_zeros(relu(hidden(flatten(x[:1000]))))} of units are off")  # fmt: skip
    dropout = nn.Dropout(settings.dropout)
    yield Report(f"Dropout({settings.dropout:g})",
                 "Zero random units during training, so that no unit depends on another.",
                 f"{share_of_zeros(dropout(torch.ones(10_000)), 1)} zeroed, the others "
                 f"multiplied by {1 / (1 - settings.dropout):.2f}")  # fmt: skip
    output = nn.Linear(settings.units, 10)
    yield Report("Dense(10)",
                 "Ten numbers, one for each digit: logits, which are raw scores, not yet percentages.",
                 f"{10 * settings.units:,} weights and 10 biases")  # fmt: skip
    model = nn.Sequential(flatten, hidden, relu, dropout, output)
    yield Report("Sequential([...])", "Chain the layers.",
                 f"{sum(weight.numel() for weight in model.parameters()):,} parameters to learn")  # fmt: skip
    chances = model(x[:1]).softmax(1)
    yield Report("tf.nn.softmax(predictions)", "Turn the logits into ten probabilities that add up to 1.",
                 f"untrained, it says that the first digit, a {labels[0]}, is one with a probability of "
                 f"{percent(chances[0, labels[0]].item())}")  # fmt: skip
    loss_fn = nn.CrossEntropyLoss()
    untrained = loss_fn(model.eval()(x_test), test.labels).item()
    yield Report("SparseCategoricalCrossentropy(from_logits=True)",
                 "Measure how wrong it is: minus the logarithm of the right answer's probability.",
                 f"{untrained:.2f} untrained; guessing is ln 10 = {math.log(10):.2f}",
                 {"untrained": [untrained]})  # fmt: skip
    optimiser = without_dynamo(torch.optim.Adam)(model.parameters(), lr=0.001, eps=1e-7)
    yield Report("compile(optimizer='adam')",
                 "Choose Adam: gradient descent that adapts every weight's step size.",
                 f"a learning rate of {optimiser.param_groups[0]['lr']:g}")  # fmt: skip
    losses, learned, tested = [], [], []
    for _ in track(range(settings.epochs), "training"):
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
        tested.append(accuracy_of(model, x_test, test.labels))
    yield Report(f"fit(x_train, y_train, epochs={settings.epochs})",
                 "Run forward, compute the loss, backpropagate, step: for every batch of 32, in every epoch.",
                 f"{len(losses):,} steps; {percent(learned[-1], 1)} read correctly during training",
                 {"losses": losses, "during training": learned, "tested": tested})  # fmt: skip
    accuracy = accuracy_of(model, x_test, test.labels)
    yield Report("evaluate(x_test, y_test)", "Read digits that it has never seen, without dropout.",
                 f"{percent(accuracy, 1)} read correctly", {"accuracy": [accuracy]})  # fmt: skip
    probabilities = model.eval()(x_test[:5]).softmax(1)
    yield Report("probability_model(x_test[:5])", "Say how probable each answer is, for five test digits.",
                 ", ".join(f"a {label} with {percent(row[label].item(), 1)}"
                           for row, label in zip(probabilities, test.labels.tolist(), strict=False)),
                 {"probabilities": probabilities.flatten().tolist(),
                  "labels": test.labels[:5].tolist()})  # fmt: skip


def share_of_zeros(values: Tensor, digits: int = 0) -> str:
    """Return the share of values that are 0 as a percentage."""
    return percent((values == 0).float().mean().item(), digits)


@torch.no_grad()
def accuracy_of(model: nn.Module, x: Tensor, labels: Tensor) -> float:
    """Return the model's accuracy in evaluation mode."""
    return float((model.eval()(x).argmax(1) == labels).float().mean())


def lines() -> list[str]:
    """Return the source of the program's lines, in the groups that the reports divide them into."""
    source = inspect.getsource(program)
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    groups: list[str] = []
    group: list[str] = []
    for statement in function.body[1:]:  # the first is its docstring
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield):
            groups.append("\n".join(group))
            group = []
        else:
            segment = ast.get_source_segment(source, statement, padded=True) or ""
            group.append(textwrap.dedent(segment))
    return groups


@one_thread()
def experiment(settings: Quickstart) -> Outcome:
    """Run the program and describe each line."""
    reports = list(program(settings))
    numbers = {name: values for report in reports for name, values in report.numbers.items()}
    (accuracy,), (untrained,) = numbers["accuracy"], numbers["untrained"]
    learned, tested = numbers["during training"], numbers["tested"]
    as_expected = abs(accuracy - _EXPECTED) <= _TOLERANCE
    starts_guessing = abs(untrained - math.log(10)) < 0.3
    as_original = settings.digits == 60_000 and settings.epochs >= 5
    words = (
        f"After {counted(settings.epochs, 'epoch')} with {settings.digits:,} digits it reads "
        f"{percent(accuracy, 1)} of 10,000 digits that it has never seen. Before training, its loss was "
        f"{untrained:.2f}, no better than guessing (ln 10 = 2.30). "
    )
    if learned[-1] < tested[-1]:
        words += (
            f"During training it reads fewer ({percent(learned[-1], 1)}), because dropout zeroes some units, "
            "and because the number averages over the epoch, in which the network was still learning."
        )
    elif settings.dropout < 0.05:
        words += f"It reads more of its training digits ({percent(learned[-1], 1)}): it has memorised some."
    else:
        words += f"It reads {percent(learned[-1], 1)} of its training digits."
    verdict: Verdict = (
        "holds"
        if as_expected and starts_guessing
        else "holds only when"
        if starts_guessing
        else "does not hold"
    )
    if starts_guessing and not as_expected and not as_original:
        words += " The original's 98 % takes five epochs of all 60,000 digits."
    means = [
        sum(part) / len(part)
        for part in (numbers["losses"][start : start + 50] for start in range(0, len(numbers["losses"]), 50))
    ]
    epochs = range(1, settings.epochs + 1)
    charts = [
        Chart("The loss falls", "step", "loss, mean of 50", [Line("", range(0, 50 * len(means), 50), means)],
              log_up=True),
        Chart("Digits read correctly", "epoch", "accuracy",
              [Line("test digits", epochs, tested), Line("during training", epochs, learned, "dashed")],
              whole_across=True),
        Chart("The first five test digits", "answer", "probability",
              [Line(f"a {label:.0f}", range(10), numbers["probabilities"][10 * n : 10 * n + 10], "marks")
               for n, label in enumerate(numbers["labels"])], whole_across=True),
    ]  # fmt: skip
    head = ("in the original", "in torch", "what it does", "measured")
    rows = [
        (report.original, code, report.purpose, report.measured)
        for report, code in zip(reports, lines(), strict=True)
    ]
    finding = Finding(verdict, words, {"accuracy": accuracy, "untrained loss": untrained,
                      "during training": learned[-1]}, (settings.seed,))  # fmt: skip
    return Outcome(finding, charts, [head, *rows])


PROGRAM = """
import torch

from lanterna.images.digits import mnist

train, test = mnist("train"), mnist("test")
x, x_test = train.images[:examples].float() / 255, test.images.float() / 255  # from 0 to 1
layers = torch.nn.Flatten(), torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Dropout(0.2)
model = torch.nn.Sequential(*layers, torch.nn.Linear(128, 10))
optimiser = torch.optim.Adam(model.parameters(), lr=0.001)
for _ in range(epochs):
    for batch in torch.randperm(len(x)).split(32):
        loss = torch.nn.functional.cross_entropy(model.train()(x[batch]), train.labels[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
for label, digit in zip(test.labels[:5], model.eval()(x_test[:5]).softmax(1), strict=True):
    print(f"a {label}:", *(f"{100 * share:4.0f}" for share in digit), "%")
""".strip()


LESSON = Lesson(
    "quickstart", "The quickstart, line by line", "What does each line of the quickstart do?",
    "A dozen lines make a network that reads about 98 % of handwritten digits after five epochs.",
    "src/lanterna/lessons/quickstart.py", Quickstart, experiment, needs=("mnist",),
    quote=grierson(
        "The training process simply compares the outputs to the input, works out the difference, and "
        "propagates this back to adjust the weights a tiny amount in the direction represented by the "
        "gradient."
    ),
    explanation="""
        Learning with flash cards goes like this: look at a card, guess, turn it over, remember what
        went wrong, take the next. After a few rounds through the whole box, you ask a friend to test
        you with cards you have never seen.

        The quickstart does just that. It loads a box of 60,000 handwritten digits with the answers on
        the back, builds a small network, and shows it 32 cards at a time. For each it compares the
        network's guess with the right answer. The loss puts a number on how wrong they were, and the
        optimiser, Adam, changes every weight a little so that next time the loss would be smaller.
        Once through the whole box is called an epoch.

        One line is stranger than the others: dropout. During training it switches off a fifth of the
        hidden units at random, like a team that practises with some players missing, so that nobody
        becomes indispensable. In the final test, with 10,000 new digits, everybody plays.
    """,
    program=f"examples, epochs = 60_000, 5  # fewer are quicker\n{PROGRAM}",
    seen="""
        Softmax turns ten scores into ten probabilities, and the loss looks at one of them only, that
        of the right answer. One step raises the right score and lowers the others, each by as much as
        its probability is off. The more the answer is right already, the smaller the step.
    """,
)  # fmt: skip
