"""Reading a page, declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lanterna.images.annotate import Mark, page_with_marks, steps_picture
from lanterna.techniques.read.algorithm import Read, ReadPage, read
from lanterna.techniques.technique import Frame, Input, Output, Report, Result, Technique, Work
from lanterna.techniques.train.results import open_or_train

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.techniques.execute import Job

Made = Literal["page", "steps"]


def draw(page: ReadPage, made: Made) -> Tensor:
    """The page with boxes and readings, or the steps that led to them, `(3, H, W)`."""
    marks = [Mark(r.digit, r.confidence, r.box, r.doubtful) for r in page]
    if made == "page":
        return page_with_marks(page.page.picture, marks, page.size)
    return steps_picture(page.page, page.segments, page.seen, marks)


def _read(job: Job) -> Work:
    job.fetch("mnist")
    job.network = open_or_train(job.settings.network, device=job.device)
    source = job.pictures_given["picture"][0] if job.pictures_given else job.source("picture")
    page = read(source, job.settings, network=job.network)
    frame = Frame(1, 1, picture=draw(page, "page"))

    def results(*_: Any) -> list[Result]:
        return [Result(draw(page, made), made) for made in ("page", "steps")]

    return Work((each for each in [frame]), results, report=lambda _: Report({"text": page.text}))


READ = Technique(
    name="read", title="Read", help="A page with what was read on it, and every step that led there.",
    settings=Read, run=_read, inputs=(Input("picture", "the page to read", required=True),),
    output=Output.WORDS, makes=("page", "steps"), shown_first=("network",), hidden=("seed", "nearest"),
)  # fmt: skip

TECHNIQUES = (READ,)
