"""Classifying, declared: many pictures go through the network together, and each has its own answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lanterna.errors import one_line
from lanterna.techniques.classify.algorithm import Classified, Classify, classify
from lanterna.techniques.technique import Frame, Input, Output, Report, Technique, Work

if TYPE_CHECKING:
    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames

_BAR = 24  # letters of a bar that stands for 100 %


@dataclass(frozen=True, kw_only=True)
class ClassifyFrame(Frame):
    """A picture that was looked at, and the answers."""

    found: Classified


def _classify(job: Job) -> Work:
    sources = job.open_pictures.get("picture") or job.sources("picture")
    answers = classify(sources, job.settings, network=job.network)

    def frames() -> Frames:
        for number, found in enumerate(answers, 1):
            yield ClassifyFrame(number, len(sources), found=found)

    def report(frame: ClassifyFrame) -> Report:
        if frame.found.error is not None:
            raise frame.found.error
        name = job.display_name("picture", frame.step - 1)
        answers = [
            {"index": answer.index, "class": answer.name, "probability": round(answer.probability, 5)}
            for answer in frame.found.answers
        ]
        lines = [
            f"  {answer.probability:6.1%}  {'█' * max(1, round(answer.probability * _BAR)):<{_BAR}}  "
            f"{one_line(answer.name)}"
            for answer in frame.found.answers
        ]
        return Report({"photo": name, "answers": answers}, [one_line(name), *lines])

    return Work(frames(), lambda *_: [], report=report)


CLASSIFY = Technique(
    name="classify", title="Classify", help="What is in a picture, the likeliest first.",
    manual="""Say what is in photographs: the likeliest classes, and how likely.

    A folder is classified as a whole; a picture in it that cannot be read is named, and the rest is done.
    """,
    settings=Classify, run=_classify, output=Output.WORDS,
    inputs=(Input("picture", "photographs or folders of them", required=True, many=True),),
    shown_first=("network", "top"), hidden=("seed",),
)  # fmt: skip

TECHNIQUES = (CLASSIFY,)
