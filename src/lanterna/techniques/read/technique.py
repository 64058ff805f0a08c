"""The technique `read`: read the handwritten digits on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lanterna.images.annotate import Mark, draw_marks, draw_steps
from lanterna.networks.catalogue import DIGIT_NETWORKS
from lanterna.techniques.read.algorithm import Read, ReadPage, check_reads_digits, read
from lanterna.techniques.technique import Frame, Input, Output, Report, Result, Technique, Work
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from lanterna.techniques.execute import Job
    from lanterna.techniques.technique import Frames

DrawnOutput = Literal["page", "steps"]
_NEAREST = 5  # training digits reported with --why


@dataclass(frozen=True, kw_only=True)
class ReadFrame(Frame):
    """A page that was read."""

    page: ReadPage


def draw(page: ReadPage, output: DrawnOutput) -> Tensor:
    """Draw the page with boxes and readings, or the processing steps, `(3, H, W)`."""
    marks = [Mark(r.digit, r.confidence, r.box, r.doubtful) for r in page]
    if output == "page":
        return draw_marks(page.page.original, marks, page.size)
    return draw_steps(page.page, page.segments, page.normalised, marks)


def _read(job: Job) -> Work:
    job.fetch("mnist")
    if job.opened_network is None and job.settings.network in DIGIT_NETWORKS:
        opening = job.open_reader or open_or_train
        job.network = opening(job.settings.network, device=job.device)
    check_reads_digits(job.network)

    def frames() -> Frames:
        source = job.open_pictures["picture"][0] if job.open_pictures else job.source("picture")
        yield ReadFrame(1, 1, page=read(source, job.settings, network=job.network))

    def results(frame: ReadFrame, _: Any) -> Iterator[Result]:
        yield Result(draw(frame.page, "page"), "page")
        yield Result(draw(frame.page, "steps"), "steps")

    def report(frame: ReadFrame) -> Report:
        return _report(job.display_name("picture"), frame.page, show_neighbours=job.settings.nearest > 0)

    return Work(frames(), results, lambda frame: draw(frame.page, "page"), report=report)


def _report(name: str, page: ReadPage, *, show_neighbours: bool) -> Report:
    digits = []
    lines = page.text.splitlines()
    for number, reading in enumerate(page, 1):
        digit: dict[str, Any] = {
            "digit": reading.digit,
            "probabilities": [round(value, 5) for value in reading.probabilities],
            "box": [round(value, 1) for value in reading.box],
            "row": reading.row,
            "column": reading.column,
            "confidence": round(reading.confidence, 4),
        }
        if reading.note:
            digit["note"] = reading.note
        if show_neighbours:
            second = reading.runner_up
            digit["runner_up"] = second
            digit["nearest"] = [
                {"index": n.index, "label": n.label, "distance": round(n.distance, 3)}
                for n in reading.neighbours
            ]
            lines.append(
                f"{number:3}  {reading.digit}  {reading.confidence:4.0%} sure; else {second} "
                f"({reading.probabilities[second]:.1%}); nearest training digits: "
                f"{' '.join(str(n.label) for n in reading.neighbours)}"
            )
        digits.append(digit)
    width, height = page.size
    signs = [
        {"sign": sign.text, "box": [round(v, 1) for v in sign.box], "row": sign.row, "column": sign.column}
        for sign in page.signs
    ]
    document = {
        "photo": name, "width": width, "height": height, "text": page.text, "notes": list(page.notes),
        "digits": digits, "signs": signs,
    }  # fmt: skip
    return Report(document, lines, page.notes)


READ = Technique(
    name="read", title="Read", help="Read the handwritten digits on a page.",
    manual="""Read the handwritten digits on a page, drawn or photographed.

    Digits are printed in reading order, a line for each row, with a question mark after doubtful ones, the
    signs between them ([?] for one that cannot be read), and a tab between columns and cells of a table.
    `-o` saves a picture of the page with its readings, `--steps` one of every processing step. If no
    network has been trained yet, one is trained first, in a minute or less.
    """,
    settings=Read, run=_read, inputs=(Input("picture", "the page to read", required=True),),
    output=Output.WORDS, outputs=("page", "steps"), shown_first=("network",), hidden=("seed", "nearest"),
    switches={"why": ("Show each digit's runner-up and nearest training digits.", {"nearest": _NEAREST})},
    items=lambda _: ("mnist",),
)  # fmt: skip

TECHNIQUES = (READ,)
