"""The technique `classify`: classify pictures in batches, with answers for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lanterna.errors import one_line
from lanterna.techniques.classify.algorithm import Classification, Classify, classify
from lanterna.techniques.technique import Frame, Input, Output, Report, Technique, Work

if TYPE_CHECKING:
    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames

_BAR = 24  # width of a bar of 100 %, in characters


@dataclass(frozen=True, kw_only=True)
class ClassifyFrame(Frame):
    """One classified picture."""

    result: Classification


def _classify(job: Job) -> Work:
    sources = job.open_pictures.get("picture") or job.sources("picture")
    answers = classify(sources, job.settings, network=job.network)

    def frames() -> Frames:
        for number, result in enumerate(answers, 1):
            yield ClassifyFrame(number, len(sources), result=result)

    def report(frame: ClassifyFrame) -> Report:
        if frame.result.error is not None:
            raise frame.result.error
        name = job.display_name("picture", frame.step - 1)
        answers = [
            {"index": answer.index, "class": answer.name, "probability": round(answer.probability, 5)}
            for answer in frame.result.answers
        ]
        lines = [
            f"  {answer.probability:6.1%}  {'█' * max(1, round(answer.probability * _BAR)):<{_BAR}}  "
            f"{one_line(answer.name)}"
            for answer in frame.result.answers
        ]
        return Report({"photo": name, "answers": answers}, [one_line(name), *lines])

    return Work(frames(), lambda *_: [], report=report)


CLASSIFY = Technique(
    name="classify", title="Classify", help="Classify pictures, the most likely class first.",
    manual="""Classify photographs: show the most likely classes and their probabilities.

    For a folder, all its pictures are classified; those that cannot be read are reported and skipped.
    """,
    settings=Classify, run=_classify, output=Output.WORDS,
    inputs=(Input("picture", "photographs or folders of them", required=True, many=True),),
    shown_first=("network", "top"), hidden=("seed",),
)  # fmt: skip

TECHNIQUES = (CLASSIFY,)
