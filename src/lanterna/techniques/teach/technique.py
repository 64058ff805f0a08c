"""Teaching a network classes of one's own, declared; it is saved under a name for everything else to use."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from lanterna.errors import UsageError
from lanterna.images.folders import gather
from lanterna.networks.naming import as_name
from lanterna.networks.trained import trained_folder
from lanterna.techniques.teach.algorithm import teach
from lanterna.techniques.teach.results import (
    confusion_picture,
    keep_taught,
    mistakes_picture,
    notes_on,
    warnings_of,
)
from lanterna.techniques.teach.settings import Teach
from lanterna.techniques.technique import Input, Output, Report, Result, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lanterna.images.folders import Gathered
    from lanterna.techniques.execute import File, Job
    from lanterna.techniques.teach.algorithm import TeachFrame

_FEWEST = 4  # pictures of a class: one is held out, and three say what it looks like


class TeachHere(Teach):
    """Teach a network to tell your pictures apart."""

    labels: tuple[str, ...] = Field(default=(), description="The class of each picture, in their order.")


def _check(settings: TeachHere, counts: Mapping[str, int]) -> TeachHere:
    given = counts.get("picture", 0)
    if given == 1 and not settings.labels:
        return settings  # a folder, whose subfolders are the classes
    if len(settings.labels) != given:
        raise UsageError(f"labels: expected one for each picture, got {len(settings.labels)} for {given}")
    for label in settings.labels:
        if not label.strip() or label != label.strip() or set(label) & set('/\\:*?"<>|') or label[0] == ".":
            raise UsageError(f"a class is called by a word or a few, got {label[:60]!r}")
        if len(label) > 60 or not label.isprintable():
            raise UsageError(f"a class has a name of up to 60 letters, got {label[:60]!r}")
    each = Counter(settings.labels)
    if len(each) < 2:
        raise UsageError("two classes are needed at least, to be told apart")
    few = [label for label, count in each.items() if count < _FEWEST]
    if few:
        raise UsageError(f"{few[0]!r} needs {_FEWEST} pictures at least, and 20 are better: add some")
    return settings


def _default_name(settings: TeachHere, files: Mapping[str, Sequence[File]]) -> str:
    """The name of the folder that it is taught with. Errors: `UsageError` where that has no letters."""
    if settings.labels or not files:
        return "taught"
    folder = Path(str(files["picture"][0]))
    if name := as_name(folder.resolve().name):
        return name
    raise UsageError(f"{folder} gives no name to call the network by: -o NAME gives one")


def _classes(job: Job) -> Gathered:
    """The pictures by class: those of a folder that was given, or of files with their labels."""
    labels, files = job.settings.labels, job.sources("picture")
    if not labels:
        assert isinstance(files[0], Path)
        return gather(files[0])
    assert job.checkpoint is not None
    folder = job.checkpoint.with_name("classes")
    shutil.rmtree(folder, ignore_errors=True)
    for number, (file, label) in enumerate(zip(files, labels, strict=True)):
        assert isinstance(file, Path)
        place = folder / label / f"{number:04}{file.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return gather(folder)


def _teach(job: Job) -> Work:
    settings: Teach = job.settings.as_base(Teach)
    if job.resume and not settings.fine_tune:
        raise UsageError("--resume is for --fine-tune: without it the same command goes on by itself")
    gathered, place = _classes(job), trained_folder(job.title)
    network = job.network
    if gathered.loose:
        job.notify(
            f"{gathered.loose} pictures beside the subfolders of {gathered.folder} belong to no class: "
            "left out"
        )
    begun = time.perf_counter()
    frames = teach(
        gathered, settings, network=network, name=place.name, workers=job.options.get("workers", 0),
        checkpoint=job.checkpoint if settings.fine_tune else None, resume=job.resume,
    )  # fmt: skip
    summary: dict[str, Any] = {}

    def results(frame: TeachFrame, _: object) -> list[Result]:
        if frame.results is None or frame.network is None:
            return []  # it was stopped before it had learned
        found, taught = frame.results, frame.network
        seconds = time.perf_counter() - begun
        low, high = found.interval
        words = (
            f"{found.right} of {found.held_out} pictures held out are named right; "
            f"of all such pictures that is {low:.0%} to {high:.0%}"
        )
        made = {
            "mistakes": mistakes_picture(found, gathered.folder, taught),
            "confusion": confusion_picture(found),
        }
        summary.update(keep_taught(place, taught, settings, found, seconds, made))
        numbers = {"accuracy": found.accuracy}
        return [
            Result(picture, name, settings, network=taught, numbers=numbers, words=words)
            for name, picture in made.items()
        ]

    def report(frame: TeachFrame) -> Report:
        if frame.results is None:
            return Report()
        notes = [
            *notes_on(frame.results, summary["seconds"]),
            f"kept in {place}: weights, settings, confusion.png, mistakes.png",
            f"now: lanterna classify PHOTO --network {job.title}",
        ]
        return Report(summary, notes=notes, warnings=warnings_of(frame.results.left_out))

    return Work(frames, results, lambda _: None, report=report)


def _described(frame: TeachFrame) -> str:
    n = frame.numbers
    words = f", {frame.doing}"
    if "computed" in n:
        words += f", {n['pictures_a_second']:.0f} a second"
    return f"{words}, loss {n['loss']:.3f}" if "loss" in n else words


class Running(BaseModel):
    """How the pictures are read."""

    workers: int | None = Field(
        default=None, ge=0, le=64,
        description="Processes that decode pictures; 0 is none. [default: as many as pay]",
    )  # fmt: skip


TEACH = Technique(
    name="teach", title="Teach", help="A network learns to tell your own pictures apart.",
    settings=TeachHere, run=_teach, output=Output.NETWORK, outputs=("mistakes", "confusion"),
    inputs=(
        Input(
            "picture", "the pictures of all classes", required=True, many=True,
            folder="a folder whose subfolders are classes, with pictures in each",
        ),
    ),
    shown_first=("network", "fine_tune"), hidden=("labels",), check=_check, default_name=_default_name,
    options=Running, resumes="always", describe=_described, reruns=False, records_inputs=False,
    manual="""
    Teach a network your own classes: each subfolder of FOLDER is one, with twenty pictures or more in it.

    It says how many of the pictures that it held out the network names right, and keeps the network under a
    name that `classify`, `look`, `feature` and `dream` know. What it saw in a picture is kept, so that the
    same command with more pictures looks at the new ones only, and one that was stopped goes on.
    """,
)  # fmt: skip

TECHNIQUES = (TEACH,)
