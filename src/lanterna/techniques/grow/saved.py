"""Find, learn and open the rules that are saved on this machine, for the techniques of `grow`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError, UsageError
from lanterna.settings import networks_folder
from lanterna.techniques.grow.rule import open_rule
from lanterna.techniques.learned import LearnedOnce, unfinished
from lanterna.techniques.technique import Input

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.grow.rule import Rule
    from lanterna.techniques.grow.training import LearningFrame
    from lanterna.techniques.technique import Frame, Settings

SUFFIX = ".safetensors"
SHORT = 50  # steps of training that are done sooner than estimated
_LEAST_CONTRAST = 2 / 255  # the mean difference from one colour in a picture in which nothing is to be seen
RULE = Input("texture", "a texture, from lanterna grow", required=True, suffix=SUFFIX)


def rule_file(example: Tensor, learning: Settings) -> Path:
    """Return the file of the rule that was learned from this example in this way."""
    key = hashlib.sha256(learning.model_dump_json().encode() + example.numpy().tobytes()).hexdigest()[:16]
    return networks_folder() / f"grow-{key}{SUFFIX}"


def learned_once(
    job: Job, file: Path, steps: int, learn: Callable[[dict[str, Any]], Generator[LearningFrame, Any, None]]
) -> LearnedOnce[LearningFrame]:
    """Return the rule of a job: the one in this file, or one that `learn` learns first, in some steps.

    `learn` gets the keyword arguments that save and resume its state. Errors, at the end of its frames:
    `LanternaError`, and nothing is saved, if its weights have run away.
    """

    def save(frame: LearningFrame) -> None:
        if not frame.rule.is_finite():
            for checkpoint in (job.checkpoint, unfinished(file)):
                if checkpoint:
                    checkpoint.unlink(missing_ok=True)
            raise LanternaError("the rule's weights run away: learn it again with a lower --learning-rate")
        frame.rule.save(file)

    return LearnedOnce(job, file, lambda checkpointing: (learn(checkpointing), steps), save)


def open_learned(file: Path) -> Rule:
    """Open the rule of a job, which was learned on this machine. Errors: `LanternaError` if it is damaged."""
    try:
        return open_rule(file)
    except LanternaError as error:
        raise LanternaError(f"{file} is damaged: delete it, and the rule is learned again") from error


def given_rule(job: Job, number: int = 0) -> Rule:
    """Open the rule that a job is given as its input."""
    file = job.sources(RULE.name)[number]
    if isinstance(file, bytes):
        raise UsageError("expected the name of a texture, a .safetensors file that lanterna grow wrote")
    return open_rule(file)


def note_if_plain(picture: Tensor | None) -> list[str]:
    """Return a note if hardly anything grows in a picture `(3, H, W)`: nearly all of it is one colour."""
    if picture is None:
        return []
    median = picture.flatten(1).median(1).values[:, None, None]
    if (picture - median).abs().amax(0).mean() > _LEAST_CONTRAST:
        return []
    return ["hardly anything grows by this rule yet: it has learned for too few steps"]


def describe(frame: Frame) -> str:
    """Return the loss of a rule that is being learned, in words."""
    loss = frame.numbers.get("loss")
    return "" if loss is None else f", loss {loss:.3f}"
