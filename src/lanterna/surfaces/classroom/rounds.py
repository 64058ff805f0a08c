"""The rounds of a class, each a row of steps that the teacher steps through with one key."""

from __future__ import annotations

from typing import Literal, NamedTuple

Task = Literal["draw", "vote", "wait"]
TARGET = 7
"""The digit that drawings pretend to be in the round Fool it."""
CERTAIN = 0.9
"""The probability from which on a reading counts as certain."""
SHOWN = 60
"""The number of drawings on the screen."""
PICTURES = 12
"""The number of digits in the round Hunt."""


class Step(NamedTuple):
    """A step: its name, what phones do in it, and what the screen and the phones say."""

    name: str
    task: Task
    words: str
    phone: str = ""


class Kind(NamedTuple):
    """A kind of round. A step `draw` with `asks` asks each phone for a digit."""

    title: str
    steps: tuple[Step, ...]
    asks: bool = False


SCREEN = "Look at the big screen"
KINDS: dict[str, Kind] = {
    "draw": Kind(
        "Draw",
        (
            Step("join", "draw", "Scan the code, or type the address, and draw a digit", "Draw a digit"),
            Step("draw", "draw", "Which of these digits is hard to read?", "Draw a digit"),
        ),
    ),
    "vote": Kind(
        "Vote",
        (
            Step("ask", "vote", "What do you expect?"),
            Step("split", "wait", "What you expect", SCREEN),
            Step("truth", "wait", "What is true", SCREEN),
        ),
    ),
    "train": Kind(
        "Train",
        (
            Step("collect", "draw", "Draw the digit that your phone asks for"),
            Step("learn", "wait", "A network learns from your digits", SCREEN),
            Step("test", "draw", "New digits: your network against one that learned from 50,000"),
        ),
        asks=True,
    ),
    "fool": Kind(
        "Fool it",
        (
            Step(
                "draw", "draw",
                f"Draw something that is read as {TARGET} with certainty, but is not a {TARGET}",
                f"Draw something that is read as {TARGET}, but is not a {TARGET}",
            ),
        ),
    ),
    "style": Kind(
        "Style",
        (
            Step("choose", "vote", "Choose two styles for this photograph", "Choose two styles"),
            Step("paint", "wait", "The two that most of you chose", SCREEN),
        ),
    ),
    "hunt": Kind(
        "Hunt",
        (
            Step("choose", "vote", "Which of these did nobody write?", "Which digits did nobody write?"),
            Step("split", "wait", "What you suspect", SCREEN),
            Step("truth", "wait", "The amber ones were imagined by a network", SCREEN),
        ),
    ),
}  # fmt: skip
"""The kinds of rounds in the order of a lesson."""
