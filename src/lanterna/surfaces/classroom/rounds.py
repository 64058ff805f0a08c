"""The rounds of a class, each a row of stages that the teacher steps through with one key."""

from __future__ import annotations

from typing import Literal, NamedTuple

Task = Literal["draw", "vote", "wait"]
TARGET = 7
"""The digit that drawings pretend to be in the round Fool it."""
CERTAIN = 0.9
"""The probability from which on a reading counts as certain."""
PICTURES = 12
"""How many digits are to be told apart in the round Hunt."""


class Stage(NamedTuple):
    """A stage: its name, what phones do in it, and what the screen and the phones say."""

    name: str
    task: Task
    words: str
    phone: str = ""


class Kind(NamedTuple):
    """A kind of round. A stage `draw` with `asks` asks each phone for a digit."""

    title: str
    stages: tuple[Stage, ...]
    asks: bool = False


_SCREEN = "Look at the big screen"
KINDS: dict[str, Kind] = {
    "draw": Kind(
        "Draw",
        (
            Stage("join", "draw", "Scan the code, or type the address, and draw a digit", "Draw a digit"),
            Stage("draw", "draw", "Which of these digits is hard to read?", "Draw a digit"),
        ),
    ),
    "vote": Kind(
        "Vote",
        (
            Stage("ask", "vote", "What do you expect?"),
            Stage("split", "wait", "What you expect", _SCREEN),
            Stage("truth", "wait", "What is true", _SCREEN),
        ),
    ),
    "train": Kind(
        "Train",
        (
            Stage("collect", "draw", "Draw the digit that your phone asks for"),
            Stage("learn", "wait", "A network learns from your digits", _SCREEN),
            Stage("test", "draw", "New digits: your network against one that learned from 50,000"),
        ),
        asks=True,
    ),
    "fool": Kind(
        "Fool it",
        (
            Stage(
                "draw", "draw", f"Draw what is read as {TARGET} with certainty, and is none",
                f"Draw no {TARGET} that is read as {TARGET}",
            ),
        ),
    ),
    "style": Kind(
        "Style",
        (
            Stage("choose", "vote", "Choose two styles for this photograph", "Choose two styles"),
            Stage("paint", "wait", "The two that most of you chose", _SCREEN),
        ),
    ),
    "hunt": Kind(
        "Hunt",
        (
            Stage("choose", "vote", "Which of these did nobody write?", "Which digits did nobody write?"),
            Stage("split", "wait", "What you suspect", _SCREEN),
            Stage("truth", "wait", "The amber ones were imagined by a network", _SCREEN),
        ),
    ),
}  # fmt: skip
"""The kinds of rounds in the order of a lesson."""
